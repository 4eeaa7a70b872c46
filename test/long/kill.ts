// kill -9 at random instants under load (contract 5): what was acknowledged is there, nothing is applied twice, two
// variables set by one rule never disagree; by event, event-wait, DIDComm events, basic messages, and what the killed
// engine itself sends. That "acknowledged" means on disk is the business of power-cut.ts.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { EngineProcess, freePort, ROOT, until } from '../../examples/engine-process.ts'
import { postUntilAcknowledged } from '../../examples/sensor-community/emitter.ts'
import { type Connection, connect } from '../../examples/sensor-community/setup.ts'
import { randomFrom, tally } from '../../examples/tally.ts'
import type { JsonObject } from '../../src/ports.ts'
import type { LongOptions } from './run.ts'

export const LEDGER = pathToFileURL(join(ROOT, 'test', 'long', 'ledger.krl')).href
const RID = 'test.ledger'
const ROUNDS = 100
const KEEP_MS = 20_000
const DRAIN_MS = 60_000
const FLOW_MS = 2_500
/** Letters that may wait at the other engine. */
const BACKLOG = 40
/** One start in so many is itself killed before or while it recovers. */
const STARTS_KILLED = 0.2

type Counts = Record<string, number>
type Pair = { left: number; right: number; first: string; second: string }

/** Ids acknowledged so far, by the way they came. */
interface Acknowledged {
  readonly event: Set<string>
  readonly wait: Set<string>
  readonly didcomm: Set<string>
  readonly message: Set<string>
}

interface Field {
  a: EngineProcess
  readonly b: EngineProcess
  readonly eci: string
  /** The connection as each side knows it. */
  readonly atA: Connection
  readonly atB: Connection
  readonly acknowledged: Acknowledged
  /** messageId → id, of what B's owner sent. */
  readonly messages: Map<string, string>
  /** Ids that A hands on to B. */
  readonly handedOn: Set<string>
  over: boolean
}

export interface KillFigures {
  kills: number
  startsKilled: number
  acknowledged: Record<keyof Acknowledged, number>
  handedOn: number
  lost: number
  doubled: number
  torn: number
}

export async function run({ seed, rounds = ROUNDS }: LongOptions): Promise<boolean> {
  const figures = await killUnderLoad(seed, rounds, console.log)
  const { kills, startsKilled, acknowledged, handedOn, lost, doubled, torn } = figures
  console.log(`${kills} kills under load, ${startsKilled} more during the start that followed`)
  for (const [way, count] of Object.entries(acknowledged)) console.log(`  acknowledged by ${way}: ${count}`)
  console.log(`  handed on to the other engine: ${handedOn}`)
  console.log(`  lost ${lost}, doubled ${doubled}, torn ${torn}`)
  return lost + doubled + torn === 0
}

/** `rounds` kills; after each, everything acknowledged until then is compared with what the ledger holds. */
export async function killUnderLoad(seed: number, rounds: number, say: (line: string) => void): Promise<KillFigures> {
  const random = randomFrom(seed)
  const folder = mkdtempSync(join(tmpdir(), 'picomesh-kill-'))
  const field = await begin(folder)
  const figures: KillFigures = {
    kills: 0,
    startsKilled: 0,
    acknowledged: sizes(field),
    handedOn: 0,
    lost: 0,
    doubled: 0,
    torn: 0,
  }
  try {
    const load = startLoad(field, random)
    for (let round = 1; round <= rounds; round++) {
      await flowing(field)
      await sleep(random() * 300)
      await field.a.kill()
      figures.kills++
      if (random() < STARTS_KILLED) {
        await EngineProcess.startAndKill(field.a.options, random() * 600)
        figures.startsKilled++
      }
      field.a = await field.a.restart()
      await compare(field, figures)
      if (round % 10 === 0)
        say(`  ${round} kills: lost ${figures.lost}, doubled ${figures.doubled}, torn ${figures.torn}`)
    }
    field.over = true
    await Promise.all(load)
    await compareAtEnd(field, figures)
  } finally {
    field.over = true
    await Promise.all([field.a.kill(), field.b.kill()])
    rmSync(folder, { recursive: true, force: true })
  }
  return { ...figures, acknowledged: sizes(field), handedOn: field.handedOn.size }
}

async function begin(folder: string): Promise<Field> {
  const [a, b] = await Promise.all([
    EngineProcess.start({ home: join(folder, 'a'), port: await freePort() }),
    EngineProcess.start({ home: join(folder, 'b'), port: 0 }),
  ])
  for (const engine of [a, b]) await engine.verb('pico.new', { name: 'ledger', rulesets: [LEDGER] })
  const { eci } = await a.verb<{ eci: string }>('channel.new', { pico: 'ledger', tags: ['load'], events: 'ledger:put' })
  const side = { pico: 'ledger', events: 'ledger:put', queries: '' }
  const [atA, atB] = await connect({ engine: a, ...side }, { engine: b, ...side })
  const acknowledged = {
    event: new Set<string>(),
    wait: new Set<string>(),
    didcomm: new Set<string>(),
    message: new Set<string>(),
  }
  return { a, b, eci, atA, atB, acknowledged, messages: new Map(), handedOn: new Set(), over: false }
}

// ---- load --------------------------------------------------------------------------------------------------

function startLoad(field: Field, random: () => number): Promise<void>[] {
  let n = 0
  const worker = async (pause: number, once: (n: number) => Promise<void>) => {
    while (!field.over) {
      await once(++n)
      await sleep(pause)
    }
  }
  return [
    ...Array.from({ length: 3 }, () => worker(4, k => byHttp(field, 'event', `e${k}`, random))),
    ...Array.from({ length: 3 }, () => worker(4, k => byHttp(field, 'wait', `w${k}`, random))),
    worker(15, k => byDidcomm(field, `d${k}`)),
    worker(25, k => byMessage(field, `m${k}`)),
  ]
}

/** Repeated with the same key until acknowledged, and now and then once more: it must still count once. */
async function byHttp(field: Field, way: 'event' | 'wait', id: string, random: () => number): Promise<void> {
  const route = way === 'event' ? 'event' : 'event-wait'
  // Every third is handed on to the other engine by a rule.
  const onward = Number(id.slice(1)) % 3 === 0
  const body = onward ? { id, peer: field.atA.connectionId } : { id }
  const post = () =>
    postUntilAcknowledged(() => `${field.a.url}/c/${field.eci}/${route}/ledger/put`, id, body, DRAIN_MS)
  await post()
  field.acknowledged[way].add(id)
  if (onward) field.handedOn.add(id)
  if (random() < 0.05) await post()
}

/** An event for the pico protocol; sent as a plain message, so that the rules hear when the other engine took it. */
function byDidcomm(field: Field, id: string): Promise<void> {
  return send(field, id, 'https://picomesh.dev/pico/1.0/event', { domain: 'ledger', type: 'put', attrs: { id } })
}

function byMessage(field: Field, id: string): Promise<void> {
  return send(field, id, 'https://didcomm.org/basicmessage/1.0/message', { content: id })
}

async function send(field: Field, id: string, type: string, body: JsonObject): Promise<void> {
  const { b, atB, messages } = field
  const args = { pico: 'ledger', connection: atB.connectionId, type, body }
  const { messageId } = await b.verb<{ messageId: string }>('didcomm.send', args)
  messages.set(messageId, id)
  // Letters of one connection leave one by one: more than the way takes would only lie there.
  while (!field.over && messages.size - (await delivered(field)) > BACKLOG) await sleep(50)
}

/** Waits until requests are answered again; the other engine's letters may still wait for their next attempt. */
async function flowing(field: Field): Promise<void> {
  const { event, wait } = field.acknowledged
  const before = event.size + wait.size
  await until('requests to be answered', KEEP_MS, async () => event.size + wait.size > before + 5)
  const there = await delivered(field)
  await until('letters to arrive', FLOW_MS, async () => (await delivered(field)) > there).catch(() => undefined)
}

/** Reads which letters of B the other engine has answered with 2xx; their number. */
async function delivered(field: Field): Promise<number> {
  const { acknowledged, messages } = field
  for (const messageId of Object.keys(await field.b.query<Counts>('ledger', RID, 'delivered'))) {
    const id = messages.get(messageId)
    if (id !== undefined) acknowledged[id.startsWith('m') ? 'message' : 'didcomm'].add(id)
  }
  return acknowledged.didcomm.size + acknowledged.message.size
}

// ---- comparison --------------------------------------------------------------------------------------------

async function compare(field: Field, figures: KillFigures): Promise<void> {
  await delivered(field)
  const sent = Object.values(field.acknowledged).flatMap((ids: Set<string>) => [...ids])
  const counts = () => field.a.query<Counts>('ledger', RID, 'taken')
  // What was acknowledged but not applied lies in the inbox, and is applied now.
  const all = async () => tally(sent, await counts()).lost === 0
  await until('the inbox to be applied', KEEP_MS, all).catch(() => undefined)
  judge(figures, tally(sent, await counts()), await counts(), await pair(field.a))
}

/** When the load is over everything that was ever sent must be there, in both directions. */
async function compareAtEnd(field: Field, figures: KillFigures): Promise<void> {
  const sent = [...field.acknowledged.event, ...field.acknowledged.wait, ...field.messages.values()]
  for (const [engine, ids] of [
    [field.a, sent],
    [field.b, [...field.handedOn]],
  ] as const) {
    const counts = () => engine.query<Counts>('ledger', RID, 'taken')
    await drained(async () => tally(ids, await counts()).lost)
    judge(figures, tally(ids, await counts()), await counts(), await pair(engine))
  }
  await delivered(field)
}

/** Waits while fewer and fewer are missing. */
async function drained(missing: () => Promise<number>): Promise<void> {
  for (let left = await missing(), before = Infinity; left > 0 && left < before; ) {
    before = left
    await until('something to arrive', DRAIN_MS, async () => (await missing()) < before).catch(() => undefined)
    await sleep(200)
    left = await missing()
  }
}

const pair = (engine: EngineProcess) => engine.query<Pair>('ledger', RID, 'pair')

/** The worst that was seen at any comparison. */
function judge(figures: KillFigures, { lost }: { lost: number }, counts: Counts, two: Pair): void {
  const doubled = Object.values(counts).filter(n => n > 1).length
  figures.lost = Math.max(figures.lost, lost)
  figures.doubled = Math.max(figures.doubled, doubled)
  if (two.left !== two.right || two.first !== two.second) figures.torn++
}

function sizes({ acknowledged }: Field): KillFigures['acknowledged'] {
  const { event, wait, didcomm, message } = acknowledged
  return { event: event.size, wait: wait.size, didcomm: didcomm.size, message: message.size }
}
