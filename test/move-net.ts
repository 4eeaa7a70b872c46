// Engines of one process that can die: each has a disk that outlives it, and a line to the others that breaks with it.
// Everything between socket and disk is the real thing.

import { fileURLToPath } from 'node:url'
import { asPicoError, httpStatus, PicoError } from '../src/errors.ts'
import { systemClock } from '../src/main.ts'
import { Node } from '../src/node.ts'
import type { Clock, HttpRequest, Json, JsonObject, Store, Write } from '../src/ports.ts'
import { MemoryStore } from '../src/stores/memory.ts'
import type { HttpClient, Posted } from '../src/transports/client.ts'
import { cryptoNode } from '../wallet/crypto-node.ts'
import { isFault } from '../wallet/fault.ts'
import { newEngineKeys, openVault } from '../wallet/vault.ts'

const BUILTINS = fileURLToPath(new URL('../krl', import.meta.url))
const never = <T>(): Promise<T> => new Promise<T>(() => undefined)
export const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))

/** What dies with a process: its view of the disk, its sockets, its timers. */
class Life {
  dead = false
  /** Called before each write reaches the disk. */
  beforeWrite: () => void = () => undefined
  readonly deaths = new Set<() => void>()
  readonly clock: Clock = { now: () => Date.now(), wake: (at, fn) => this.wake(at, fn) }
  private readonly timers = new Set<() => void>()

  private wake(at: number, fn: () => void): () => void {
    if (this.dead) return () => undefined
    const cancel = systemClock.wake(at, () => {
      this.timers.delete(cancel)
      if (!this.dead) fn()
    })
    this.timers.add(cancel)
    return () => {
      this.timers.delete(cancel)
      cancel()
    }
  }

  die(): void {
    this.dead = true
    for (const cancel of this.timers) cancel()
    for (const hear of this.deaths) hear()
  }
}

class MortalStore implements Store {
  private readonly disk: MemoryStore
  private readonly life: Life

  constructor(disk: MemoryStore, life: Life) {
    this.disk = disk
    this.life = life
  }

  open(): Promise<void> {
    return this.disk.open()
  }

  get(key: Uint8Array): Uint8Array | undefined {
    if (this.life.dead) throw new PicoError('engine.stopping', 'The process is dead.')
    return this.disk.get(key)
  }

  range(gte: Uint8Array, lt: Uint8Array, limit?: number) {
    return this.life.dead ? never<{ key: Uint8Array; value: Uint8Array }[]>() : this.disk.range(gte, lt, limit)
  }

  async write(writes: readonly Write[], sync: boolean): Promise<void> {
    // A disk takes its time: what is not awaited is seen to be missing.
    await new Promise(resolve => setImmediate(resolve))
    if (!this.life.dead) this.life.beforeWrite()
    if (this.life.dead) return never()
    await this.disk.write(writes, sync)
    if (this.life.dead) return never()
  }

  async compact(): Promise<void> {}
  async close(): Promise<void> {}
}

export interface Home {
  readonly name: string
  url: string
  readonly disk: MemoryStore
  readonly master: Uint8Array
  readonly engineKeys: Uint8Array
  life: Life
  node: Node
  readonly log: JsonObject[]
}

export class Net {
  readonly homes = new Map<string, Home>()
  /** Sees every envelope posted; a status here is the answer instead. */
  tap: (from: string, url: string, envelope: Uint8Array) => number | undefined = () => undefined

  async add(name: string): Promise<Home> {
    const master = cryptoNode.randomBytes(32)
    const engineKeys = newEngineKeys(cryptoNode, Uint8Array.from(master))
    const home: Home = {
      name,
      url: `http://${name}.example`,
      disk: new MemoryStore(),
      master,
      engineKeys,
      life: new Life(),
      node: undefined as never,
      log: [],
    }
    this.homes.set(home.url, home)
    await this.start(home)
    return home
  }

  async start(home: Home): Promise<void> {
    const life = new Life()
    home.life = life
    const node = new Node({
      store: new MortalStore(home.disk, life),
      clock: life.clock,
      random: { bytes: length => cryptoNode.randomBytes(length) },
      client: this.client(home, life),
      openVault: async () => {
        const vault = openVault(cryptoNode, Uint8Array.from(home.master), home.engineKeys)
        if (isFault(vault)) throw new Error(vault.message)
        return vault
      },
      walletFacts: async () => ({ kdf: 'test', rekeyedAt: '' }),
      builtins: BUILTINS,
      version: '0',
      home: home.name,
      limits: { first_ms: 20, longest_ms: 200, frozen_ms: 3000 },
      jsonDepth: 64,
      addresses: () => ({ publicUrl: home.url, baseUrl: home.url, adminUrl: home.url }),
      log: record => void (life.dead || home.log.push(record)),
    })
    home.node = node
    await node.unlock({ passphrase: 'test' })
  }

  /** kill -9. */
  kill(home: Home): void {
    home.life.die()
  }

  async stop(): Promise<void> {
    for (const home of this.homes.values()) if (!home.life.dead) await home.node.close()
    for (const home of this.homes.values()) home.life.die()
  }

  private client(from: Home, life: Life): HttpClient {
    /** What the other side answers, unless one of the two dies first. */
    const over = async <T>(url: string, broken: T, work: (home: Home) => Promise<T>): Promise<T> => {
      await new Promise(resolve => setImmediate(resolve))
      const home = this.homes.get(new URL(url).origin)
      if (life.dead) return never()
      if (home === undefined || home.life.dead) return broken
      const there = home.life
      let hear: () => void = () => undefined
      const cut = new Promise<T>(resolve => {
        hear = () => resolve(broken)
        there.deaths.add(hear)
      })
      const answer = await Promise.race([
        work(home).catch(() => (there.dead ? broken : Promise.reject(new Error('the other side failed')))),
        cut,
      ])
      there.deaths.delete(hear)
      return life.dead ? never() : answer
    }
    const post = (url: string, envelope: Uint8Array): Promise<Posted> => {
      const refused = this.tap(from.name, url, envelope)
      if (refused !== undefined) return Promise.resolve({ status: refused, reason: 'ETEST' })
      return over<Posted>(url, { status: 0, reason: 'ECONNREFUSED' }, async home => {
        const received = await home.node.receive(envelope, { live: false })
        const { status, body, contentType: type } = received
        received.carried?.(true)
        return { status, ...(body === undefined ? {} : { body }), ...(type === undefined ? {} : { contentType: type }) }
      })
    }
    const request = (asked: HttpRequest, _owner?: boolean, hops = 0): Promise<JsonObject> =>
      over<JsonObject>(asked.url, { status_code: 0, status_line: 'ECONNREFUSED' }, home =>
        serve(home.node, asked),
      ).then(answer =>
        answer.status_code === 308 && asked.followRedirect && hops < 3
          ? request({ ...asked, url: String(answer.location) }, false, hops + 1)
          : answer,
      )
    return { post, request, lookup: undefined as never, close: () => undefined }
  }
}

/** The routes that engines ask of each other. */
async function serve(node: Node, { url, headers, body }: HttpRequest): Promise<JsonObject> {
  const { pathname } = new URL(url)
  const [tree, ...parts] = pathname.split('/').slice(1).map(decodeURIComponent)
  const [eci = '', what, first = '', second = ''] = parts
  const attrs = (body === undefined || body === '' ? {} : JSON.parse(body)) as JsonObject
  const key = headers['idempotency-key']
  const ok = (content: Json): JsonObject => ({ status_code: 200, status_line: 'OK', content: JSON.stringify(content) })
  try {
    if (tree === 'i') return ok((await node.invitation(eci))?.invitation ?? null)
    if (what === 'query') return ok(await node.query({ eci, rid: first, name: second, args: attrs }))
    return ok({
      ...(await node.event({
        eci,
        domain: first,
        name: second,
        attrs,
        wait: what === 'event-wait',
        ...(key === undefined ? {} : { id: key }),
      })),
    } as unknown as JsonObject)
  } catch (thrown) {
    const error = asPicoError(thrown)
    const status_code = httpStatus(error.code)
    const location = status_code === 308 ? { location: `${String(error.place?.movedTo)}${pathname}` } : {}
    return { status_code, status_line: error.code, content: JSON.stringify({ error: error.toJSON() }), ...location }
  }
}

// ---- picos and their talk ------------------------------------------------------------------------------------------

export const verb = async (home: Home, name: string, args: JsonObject = {}): Promise<JsonObject> =>
  (await home.node.verb(name, args)) as JsonObject

export interface Pair {
  readonly p: string
  readonly q: string
  readonly pConnection: string
  readonly qConnection: string
}

/** A pico `p` at `here`, connected to a pico `q` at `there`; each knows what the other speaks. */
export async function connected(here: Home, there: Home, version: 'v1' | 'v2' = 'v1'): Promise<Pair> {
  const p = String((await verb(here, 'pico.new', { name: 'p' })).picoId)
  const q = String((await verb(there, 'pico.new', { name: 'q' })).picoId)
  const { invitation } = await verb(here, 'invite', { pico: p, version, multi: false, approve: false })
  const qConnection = String(
    (await verb(there, 'accept', { pico: q, invitation: JSON.stringify(invitation), wait: true })).connectionId,
  )
  const [mine] = (await here.node.verb('connection.ls', { pico: p })) as JsonObject[]
  await until(async () => (await disclosed(here, p)) && (await disclosed(there, q)))
  return { p, q, pConnection: String(mine?.connectionId), qConnection }
}

async function disclosed(home: Home, pico: string): Promise<boolean> {
  return home.node.engine.read(pico, view =>
    view.list('conn').every(([, value]) => (value as JsonObject).disclosed !== null),
  )
}

export async function until(holds: () => Promise<boolean> | boolean, ms = 20_000): Promise<void> {
  for (const end = Date.now() + ms; !(await holds()); await pause(5))
    if (Date.now() > end) throw new Error(`it never came to be: ${holds}`)
}

/** Numbered messages from one side until stopped; what was acknowledged as sent. */
export class Talk {
  readonly sent: string[] = []
  private running = true
  private readonly ended: Promise<void>

  constructor(label: string, where: () => Home, pico: string, connection: string, every_ms = 8) {
    this.ended = this.run(label, where, pico, connection, every_ms)
  }

  private async run(
    label: string,
    where: () => Home,
    pico: string,
    connection: string,
    every_ms: number,
  ): Promise<void> {
    for (let n = 0; this.running; ) {
      const text = `${label} ${n}`
      try {
        const home = where()
        if (home.life.dead) throw new Error('dead')
        // The id makes a repetition safe when a death left it open whether the first try counted.
        await Promise.race([
          home.node.verb('msg.send', { pico, connection, text, id: `${label}-${n}` }),
          gone(home.life),
        ])
        this.sent.push(text)
        n++
        await pause(every_ms)
      } catch {
        await pause(10)
      }
    }
  }

  async stop(): Promise<readonly string[]> {
    this.running = false
    await this.ended
    return this.sent
  }
}

const gone = (life: Life) => new Promise<never>((_, reject) => life.deaths.add(() => reject(new Error('dead'))))

/** Texts of the basic messages a pico received, in the order it did. */
export async function heard(home: Home, pico: string): Promise<string[]> {
  const all = (await home.node.verb('msg.ls', { pico })) as JsonObject[]
  return all.filter(({ direction }) => direction === 'in').map(({ text }) => String(text))
}
