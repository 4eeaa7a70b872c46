// What the tests of moves stand on: three engines as processes, a pico p on A that talks with a pico q on B while it
// goes to C, and what must hold when a move has ended.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { EngineProcess, freePort, ROOT, until } from '../../examples/engine-process.ts'
import { type Connection, connect } from '../../examples/sensor-community/setup.ts'
import { tally } from '../../examples/tally.ts'
import type { Json, JsonObject } from '../../src/ports.ts'
import { Road } from './road.ts'

export type Name = 'a' | 'b' | 'c'
type Counts = Record<string, number>

export interface MoveView {
  readonly moveId: string
  readonly state: string
  readonly peers: readonly { readonly connectionId: string; readonly told: boolean }[]
}

const ruleset = (name: string) => pathToFileURL(join(ROOT, 'test', 'long', `${name}.krl`)).href
const LEDGER = 'test.ledger'
const PIECE = 200_000
const ACKNOWLEDGED_MS = 60_000
const ARRIVED_MS = 60_000
const ENDED_MS = 60_000
/** Answers that say nothing about the request: it is repeated with the same key, there or elsewhere. */
const AGAIN = [0, 404, 429, 502, 503]

export interface Weight {
  /** Pieces of 200 kB that p carries. */
  readonly pieces: number
  /** Children of p, which stay behind. */
  readonly children: number
}

export class Field {
  readonly engines: Record<Name, EngineProcess>
  readonly roads: Record<Name, Road>
  private readonly folder: string
  p = ''
  q = ''
  /** The connection as each side knows it. */
  atP!: Connection
  atQ!: Connection
  private before: Json = null
  private carried: Json = null
  private eci: Record<'p' | 'q', string> = { p: '', q: '' }
  /** Where p answered last. */
  private home: 'a' | 'c' = 'a'

  private constructor(folder: string, engines: Record<Name, EngineProcess>, roads: Record<Name, Road>) {
    this.folder = folder
    this.engines = engines
    this.roads = roads
  }

  static async begin(weight: Weight): Promise<Field> {
    const folder = mkdtempSync(join(tmpdir(), 'picomesh-move-'))
    const made = await Promise.all(
      (['a', 'b', 'c'] as const).map(async name => {
        const port = await freePort()
        const road = await Road.open(port)
        return [road, await EngineProcess.start({ home: join(folder, name), port, baseUrl: road.url })] as const
      }),
    )
    const [a, b, c] = made as [(typeof made)[0], (typeof made)[0], (typeof made)[0]]
    const field = new Field(folder, { a: a[1], b: b[1], c: c[1] }, { a: a[0], b: b[0], c: c[0] })
    await field.populate(weight)
    return field
  }

  private async populate({ pieces, children }: Weight): Promise<void> {
    const { a, b } = this.engines
    const rulesets = [ruleset('ledger'), ruleset('ballast')]
    this.p = (await a.verb<{ picoId: string }>('pico.new', { name: 'p', rulesets })).picoId
    this.q = (await b.verb<{ picoId: string }>('pico.new', { name: 'q', rulesets })).picoId
    const opened = { tags: ['talk'], events: 'ledger:put' }
    this.eci.p = (await a.verb<{ eci: string }>('channel.new', { pico: this.p, ...opened })).eci
    this.eci.q = (await b.verb<{ eci: string }>('channel.new', { pico: this.q, ...opened })).eci
    const policy = { events: 'ledger:put', queries: '' }
    const [atP, atQ] = await connect({ engine: a, pico: this.p, ...policy }, { engine: b, pico: this.q, ...policy })
    this.atP = atP
    this.atQ = atQ
    for (let n = 0; n < pieces; n++)
      await a.verb('event', {
        pico: this.p,
        domain: 'ballast',
        type: 'load',
        attrs: { n: `${n}`, data: `${n}`.padEnd(PIECE, '.') },
        wait: true,
      })
    for (let n = 0; n < children; n++) await a.verb('pico.new', { name: `child-${n}`, parent: this.p })
    this.before = await a.verb('pico.show', { pico: this.p })
    this.carried = await a.query(this.p, 'test.ballast', 'weight')
  }

  /** Ends every process and removes every home. */
  async end(): Promise<void> {
    await Promise.all(Object.values(this.engines).map(engine => engine.kill()))
    for (const road of Object.values(this.roads)) road.close()
    rmSync(this.folder, { recursive: true, force: true })
  }

  async restart(name: Name): Promise<void> {
    this.engines[name] = await this.engines[name].restart()
  }

  /** Stops an engine for good and removes its home. */
  async remove(name: Name): Promise<void> {
    await this.engines[name].stop()
    rmSync(this.engines[name].options.home, { recursive: true, force: true })
    this.roads[name].close()
  }

  // ---- the move --------------------------------------------------------------------------------------------------

  async ticket(): Promise<string> {
    return (await this.engines.c.verb<{ ticket: string }>('move.ticket')).ticket
  }

  /** The one move that A or C knows; undefined before it does. */
  async move(name: 'a' | 'c'): Promise<MoveView | undefined> {
    const [move] = (await this.engines[name].verb('move.ls')) as unknown as MoveView[]
    return move
  }

  /** The same state at both ends, `done` or `aborted`. */
  ended(): Promise<string> {
    return until('the move to end at both ends', ENDED_MS, async () => {
      const [a, c] = await Promise.all([this.move('a'), this.move('c')])
      return a !== undefined && a.state === c?.state && ['done', 'aborted'].includes(a.state) ? a.state : undefined
    })
  }

  // ---- talk ------------------------------------------------------------------------------------------------------

  /** An event that a rule hands on to the other side by DIDComm; repeated with the same key until acknowledged. */
  async handOn(side: 'p' | 'q', id: string): Promise<void> {
    const body = { id, peer: (side === 'p' ? this.atP : this.atQ).connectionId }
    await this.insist(id, async () => {
      const engine = this.engines[side === 'p' ? this.home : 'b']
      const status = await post(`${engine.url}/c/${this.eci[side]}/event-wait/ledger/put`, id, body)
      if (!AGAIN.includes(status) && status !== 200) throw new Error(`${id} was refused with ${status}`)
      return status === 200
    })
  }

  /** A basic message of the owner's; repeated with the same id until acknowledged. */
  async message(side: 'p' | 'q', id: string): Promise<void> {
    const [pico, { connectionId }] = side === 'p' ? [this.p, this.atP] : [this.q, this.atQ]
    await this.insist(id, async () => {
      const engine = this.engines[side === 'p' ? this.home : 'b']
      const sent = engine.verb('msg.send', { pico, connection: connectionId, text: id, id })
      return sent.then(
        () => true,
        thrown => {
          if (/^(pico\.(moved|unknown|state)|engine\.|no engine)/.test(codeOf(thrown))) return false
          throw thrown
        },
      )
    })
  }

  /** p may be at A or at C, or on its way. */
  private async insist(id: string, attempt: () => Promise<boolean>): Promise<void> {
    for (const end = Date.now() + ACKNOWLEDGED_MS; !(await attempt()); await sleep(15)) {
      if (Date.now() > end) throw new Error(`${id} was not acknowledged within ${ACKNOWLEDGED_MS} ms`)
      this.home = this.home === 'a' ? 'c' : 'a'
    }
  }

  /** What was applied at p or q, and how often. */
  async taken(side: 'p' | 'q', at: Name): Promise<Counts> {
    return this.engines[at].query<Counts>(side === 'p' ? this.p : this.q, LEDGER, 'taken')
  }

  /** Waits until everything sent has arrived, and a little more for what comes twice. */
  async compare(all: readonly string[], at: 'a' | 'c'): Promise<Compared> {
    // A message is applied by its receiver alone; what is handed on, by the sender too.
    const due = { p: all.filter(id => !id.startsWith('pm')), q: all.filter(id => !id.startsWith('qm')) }
    const count = async () => {
      const [p, q] = await Promise.all([this.taken('p', at), this.taken('q', 'b')])
      return {
        lost: tally(due.p, p).lost + tally(due.q, q).lost,
        doubled: [...Object.values(p), ...Object.values(q)].filter(n => n > 1).length,
      }
    }
    await until('everything to arrive', ARRIVED_MS, async () => (await count()).lost === 0).catch(() => undefined)
    await sleep(50)
    return count()
  }

  // ---- what must hold --------------------------------------------------------------------------------------------

  /** Faults of the state at the end of a move; how many engines act for p. */
  async judge(ended: string, mark: string): Promise<{ faults: string[]; live: number }> {
    const faults: string[] = []
    const at = ended === 'done' ? 'c' : 'a'
    const other = at === 'c' ? 'a' : 'c'
    const [there, elsewhere] = [await this.acts(at, `${mark}-${at}`), await this.acts(other, `${mark}-${other}`)]
    const live = [there, elsewhere].filter(answers => answers.every(code => code === 'acted')).length
    if (!there.every(code => code === 'acted')) faults.push(`p does not act at ${at}: ${there.join(', ')}`)
    const refusal =
      ended === 'done' ? ['pico.moved', 'pico.moved', 'pico.moved', '308'] : [UNKNOWN, UNKNOWN, UNKNOWN, '404']
    if (elsewhere.join() !== refusal.join()) faults.push(`${other} answers for p: ${elsewhere.join(', ')}`)
    faults.push(...(await this.identity(at)))
    return { faults, live }
  }

  /** An event, a message, a query by the owner, and an event by HTTP. */
  private async acts(name: 'a' | 'c', id: string): Promise<string[]> {
    const engine = this.engines[name]
    const code = (work: Promise<unknown>) =>
      work.then(
        () => 'acted',
        thrown => codeOf(thrown),
      )
    const event = { pico: this.p, domain: 'ledger', type: 'put', attrs: { id: `${id}-event` }, wait: true }
    const status = await post(
      `${engine.url}/c/${this.eci.p}/event-wait/ledger/put`,
      `${id}-http`,
      { id: `${id}-http` },
      'manual',
    )
    return [
      await code(engine.verb('event', event)),
      await code(engine.verb('msg.send', { pico: this.p, connection: this.atP.connectionId, text: `${id}-message` })),
      await code(this.taken('p', name)),
      status === 200 ? 'acted' : `${status}`,
    ]
  }

  /** DIDs, connections, name, rulesets and what p carries are what they were. */
  private async identity(at: 'a' | 'c'): Promise<string[]> {
    const { engines, p, q, atP, atQ } = this
    const now = await engines[at].verb('pico.show', { pico: p })
    const faults: string[] = []
    const same = (what: string, before: unknown, after: unknown) => {
      if (JSON.stringify(before) !== JSON.stringify(after))
        faults.push(`${what} was ${JSON.stringify(before)}, is ${JSON.stringify(after)}`)
    }
    const parentUrl = at === 'c' ? engines.a.file.baseUrl : null
    same('p', { ...(this.before as JsonObject), parentUrl }, { ...now, parentUrl: now.parentUrl ?? null })
    same('what p carries', this.carried, await engines[at].query(p, 'test.ballast', 'weight'))
    for (const [engine, pico, before] of [
      [engines[at], p, atP],
      [engines.b, q, atQ],
    ] as const) {
      const args = { pico, connection: before.connectionId }
      same('a connection', facts(before), facts(await engine.verb<Connection & JsonObject>('connection.show', args)))
    }
    return faults
  }
}

export interface Compared {
  readonly lost: number
  readonly doubled: number
}

const UNKNOWN = 'pico.unknown'

const facts = ({ connectionId, state, myDid, theirDid }: Connection) => ({ connectionId, state, myDid, theirDid })

/** Code of an engine's refusal, or the sentence of an error without one. */
export function codeOf(thrown: unknown): string {
  const { code, body, message } = thrown as { code?: string; body?: { error?: { code?: string } }; message: string }
  return body?.error?.code ?? code ?? message
}

/** The status, 0 when there was none. */
async function post(url: string, key: string, body: object, redirect: 'follow' | 'manual' = 'follow'): Promise<number> {
  try {
    const headers = { 'content-type': 'application/json', 'idempotency-key': key }
    const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body), redirect })
    await response.arrayBuffer()
    return response.status
  } catch {
    return 0
  }
}
