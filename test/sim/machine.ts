// A simulated machine: the whole engine as one process over a disk that outlives it. At any await of the shell the
// process may die; what it had not synced is then gone or there, and after a while the machine starts it again.

import type { Agent } from '../../src/agent.ts'
import type { EngineLimits } from '../../src/engine.ts'
import type { Node } from '../../src/node.ts'
import type { HttpRequest, JsonObject } from '../../src/ports.ts'
import type { Posted } from '../../src/transports/client.ts'
import type { Asked } from '../../src/transports/reply.ts'
import type { Secret } from '../../wallet/vault.ts'
import type { Build, Instead, Pulse } from './build.ts'
import type { Chance } from './chance.ts'
import { Disk, never } from './disk.ts'
import type { Network, Server } from './network.ts'
import type { Time } from './time.ts'

/** Where a process is to die: at the n-th await of all, or, given a salt, at the n-th at those sites that it chooses:
 *  each site is as likely as any other to be among them, however often it is passed. */
export interface Doom {
  readonly salt?: number
  readonly n: number
}

/** One site of this many is chosen by a salt. */
const CHOSEN = 32

function chooses({ salt }: Doom, site: number): boolean {
  if (salt === undefined) return true
  const mixed = Math.imul((site + 1) ^ salt, 0x9e3779b1)
  return (mixed ^ (mixed >>> 15)) >>> 0 < 0x1_0000_0000 / CHOSEN
}

/** What machines share and tell. */
export interface Surroundings {
  readonly time: Time
  readonly chance: (stream: string) => Chance
  readonly network: () => Network
  readonly tell: (line: string) => void
  /** A fault that the engine logged: there is none that a run may have. */
  readonly fault: (line: string) => void
  /** The process at `machine` passes, or dies at, a site. */
  readonly passed: (site: number) => void
  readonly died: (site: number) => void
}

interface Life {
  alive: boolean
  readonly ended: Promise<undefined>
  end: () => void
}

const SECRET: Secret = { keyFile: new Uint8Array(32).fill(7) }
const LIMITS = {
  envelope_bytes: 1 << 20,
  event_bytes: 1 << 20,
  json_depth: 64,
  header_bytes: 16_384,
  refused_per_second: 1e9,
  queue: 10_000,
  dedupe_days: 7,
  dedupe_ids: 1_000_000,
}

/** The modules of a process; evaluated once for all machines that stand in this place, one after the other. */
export class Socket {
  machine: Machine | undefined
  readonly modules: ReturnType<Build['load']>

  constructor(build: Build, files: ReadonlyMap<string, string>) {
    this.modules = build.load(
      pulseOf(() => this.machine as Machine),
      instead(() => this.machine as Machine, files),
    )
  }
}

function pulseOf(machine: () => Machine): Pulse {
  const at = (site: number, awaited: unknown) => machine().await(site, awaited)
  return {
    at,
    async *each(site, items) {
      const iterator = items[Symbol.asyncIterator]()
      for (;;) {
        const { done, value } = (await at(site, iterator.next())) as IteratorResult<unknown>
        if (done) return
        yield value
      }
    },
  }
}

type Loose = Record<string, unknown>

/** Chance and the disk's files are the machine's; compiling a ruleset, which always gives the same, is done once. */
function instead(machine: () => Machine, files: ReadonlyMap<string, string>): Instead {
  return {
    'wallet/crypto-node.ts': real => {
      const module = real() as { cryptoNode: Loose }
      return {
        ...module,
        cryptoNode: { ...module.cryptoNode, randomBytes: (length: number) => machine().secrets.bytes(length) },
      }
    },
    'krl/index.ts': real => {
      const module = real() as Loose & { compile: (source: string, options: unknown) => unknown }
      const known = new Map<string, unknown>()
      const compile = (source: string, options: unknown) => {
        if (!known.has(source)) known.set(source, module.compile(source, options))
        return known.get(source)
      }
      return { ...module, compile }
    },
    'node:fs/promises': () => ({
      __esModule: true,
      readFile: async (path: string) => {
        const text = files.get(path.replace(/^.*\//, ''))
        if (text === undefined) throw new Error(`no file ${path}`)
        return text
      },
      realpath: async (path: string) => path,
    }),
  }
}

export class Machine implements Server {
  readonly name: string
  readonly baseUrl: string
  readonly disk: Disk
  /** For keys and nonces of the wallet. */
  readonly secrets: Chance
  /** Serves at this moment. */
  up = false
  node: Node | undefined
  /** Taken away for ever. */
  gone = false
  /** Deaths that wait, one after the other. */
  dooms: Doom[] = []
  /** Of the engine, other than its own. */
  limits: Partial<EngineLimits> = {}
  private readonly random: Chance
  private readonly repair: Chance
  private readonly around: Surroundings
  private readonly modules: Socket['modules']
  private life: Life = lifeless()
  private left = 0
  private wallet: { master: Uint8Array; engineKeys: Uint8Array } | undefined

  constructor(name: string, socket: Socket, around: Surroundings) {
    this.name = name
    this.baseUrl = `http://${name}.test`
    this.around = around
    this.modules = socket.modules
    socket.machine = this
    this.disk = new Disk(around.time, around.chance(`${name} disk`))
    this.secrets = around.chance(`${name} secrets`)
    this.random = around.chance(`${name} random`)
    this.repair = around.chance(`${name} repair`)
  }

  // ---- life and death ----------------------------------------------------------------------------------------------

  /** Starts the process. */
  start(): void {
    if (this.gone) return
    this.disk.fail(0)
    const life = newLife()
    this.life = life
    this.left = this.dooms[0]?.n ?? 0
    const node = this.compose(life)
    this.node = node
    this.around.tell(`start ${this.name}`)
    node.unlock(SECRET).then(
      () => {
        if (!life.alive) return
        this.up = true
        this.around.tell(`ready ${this.name}`)
        this.watch(node)
      },
      (error: unknown) => {
        if (life.alive) this.around.fault(`${this.name} does not start: ${String((error as Error)?.stack ?? error)}`)
      },
    )
  }

  /** The process dies here and now, the power with it. */
  crash(site: number): void {
    this.life.alive = false
    this.up = false
    this.node = undefined
    const lost = this.disk.cut()
    this.around.died(site)
    this.around.tell(`crash ${this.name} ${site} ${lost}`)
    this.life.end()
    this.around.time.after(this.repair.pick([10, 500, 5_000, 20_000]), () => this.start())
  }

  /** The process ends in order, as on SIGTERM, and is started again. */
  async restart(): Promise<void> {
    const { node, life, up } = this
    if (!up || node === undefined) return
    this.up = false
    this.around.tell(`stop ${this.name}`)
    await Promise.race([node.close(), life.ended])
    if (!life.alive) return
    life.alive = false
    life.end()
    this.disk.cut()
    this.around.time.after(this.repair.pick([10, 500]), () => this.start())
  }

  /** The machine is taken away; nothing of its process goes on. */
  stop(): void {
    this.gone = true
    this.life.alive = false
    this.up = false
    this.life.end()
  }

  /** What a process is given to wait for: `awaited`, or what never comes once it is dead. */
  await(site: number, awaited: unknown): unknown {
    const { life } = this
    if (life.alive) this.pass(site)
    const thenable =
      awaited !== null && typeof awaited === 'object' && 'then' in awaited
        ? (awaited as PromiseLike<unknown>)
        : undefined
    if (!life.alive) {
      thenable?.then(undefined, () => undefined)
      return never()
    }
    if (thenable === undefined) return awaited
    return new Promise((resolve, reject) => {
      thenable.then(
        value => {
          if (life.alive) resolve(value)
        },
        error => {
          if (life.alive) reject(error)
        },
      )
    })
  }

  private pass(site: number): void {
    this.around.passed(site)
    const [doom] = this.dooms
    if (doom === undefined || !chooses(doom, site) || --this.left > 0) return
    this.dooms.shift()
    this.crash(site)
  }

  /** One try: what `work` gave or threw; undefined when nobody serves, or the process died over it. */
  async attempt<T>(
    work: (node: Node) => Promise<T>,
  ): Promise<{ value: T } | { error: string; message: string; passes: boolean } | undefined> {
    const { node, life, up } = this
    if (!up || node === undefined) return undefined
    const ended = await Promise.race([
      work(node).then(
        value => ({ value }),
        (error: unknown) => ({ error }),
      ),
      life.ended,
    ])
    if (ended === undefined || 'value' in ended) return ended
    const error = codeOf(ended.error)
    const { errorRow } = this.modules<typeof import('../../src/errors.ts')>('src/errors.ts')
    return { error, message: String((ended.error as Error).stack ?? ended.error), passes: errorRow(error).retry }
  }

  // ---- what the engine is made of ----------------------------------------------------------------------------------

  private compose(life: Life): Node {
    const { Node: Engine } = this.modules<typeof import('../../src/node.ts')>('src/node.ts')
    const { PicoError } = this.modules<typeof import('../../src/errors.ts')>('src/errors.ts')
    const { time, network, fault } = this.around
    const alive = () => life.alive
    return new Engine({
      store: this.disk.store(alive, () => new PicoError('store.unavailable', 'The disk failed.')),
      clock: { now: () => time.now, wake: (at, fn) => time.at(at, () => void (life.alive && fn())) },
      random: { bytes: length => this.random.bytes(length) },
      client: network().client(this.name, alive),
      openVault: async () => this.openVault(),
      walletFacts: async () => ({ kdf: 'hkdf-sha256', rekeyedAt: '' }),
      builtins: 'krl',
      version: '0.0.0',
      home: this.name,
      limits: this.limits,
      jsonDepth: LIMITS.json_depth,
      addresses: () => ({ publicUrl: this.baseUrl, baseUrl: this.baseUrl, adminUrl: '' }),
      log: record => {
        if (life.alive && record.level === 'error' && !String(record.code).startsWith('store.'))
          fault(`${this.name} ${JSON.stringify(record)}`)
      },
      pause: () => time.sleep(0),
    })
  }

  /** The wallet's file, without its file: a master key that survives every crash. */
  private openVault() {
    const { newMasterKey, newEngineKeys, openVault } =
      this.modules<typeof import('../../wallet/vault.ts')>('wallet/vault.ts')
    const { cryptoNode } = this.modules<typeof import('../../wallet/crypto-node.ts')>('wallet/crypto-node.ts')
    if (this.wallet === undefined) {
      const master = newMasterKey(cryptoNode)
      this.wallet = { master, engineKeys: newEngineKeys(cryptoNode, master) }
    }
    const vault = openVault(cryptoNode, Uint8Array.from(this.wallet.master), this.wallet.engineKeys)
    if ('code' in vault) throw new Error(vault.message)
    return vault
  }

  private watch(node: Node): void {
    node.engine.on('committed', ({ picoId, seq, stimulus, changes }) =>
      this.around.tell(
        `commit ${this.name} ${picoId} ${seq} ${changes.map(({ group }) => group).join(' ')} ${JSON.stringify(stimulus)}`,
      ),
    )
    node.engine.on('rejected', ({ picoId, reason }) => this.around.tell(`rejected ${this.name} ${picoId} ${reason}`))
  }

  // ---- what peers and clients reach ----------------------------------------------------------------------------------

  async post(_path: string, envelope: Uint8Array): Promise<Posted | undefined> {
    const { node, life } = this
    if (node === undefined) return undefined
    const received = await Promise.race([node.receive(envelope, { live: false }), life.ended])
    if (received === undefined) return undefined
    const { status, body, contentType: type } = received
    received.carried?.(body !== undefined)
    return {
      status,
      ...(body === undefined ? {} : { body: Uint8Array.from(body) }),
      ...(type === undefined ? {} : { contentType: type }),
    }
  }

  async request(request: HttpRequest): Promise<JsonObject | undefined> {
    const { node, life } = this
    if (node === undefined) return undefined
    const url = new URL(request.url)
    const segments = url.pathname.slice(1).split('/').map(decodeURIComponent)
    if (segments[0] === 'i') {
      const found = await Promise.race([node.invitation(segments[1] ?? '').catch(() => undefined), life.ended])
      return life.alive
        ? answer(found?.state === 'open' ? 200 : 404, JSON.stringify(found?.invitation ?? null))
        : undefined
    }
    const { classicRoute } = this.modules<typeof import('../../src/transports/classic.ts')>('src/transports/classic.ts')
    const asked: Asked = {
      method: request.method,
      segments,
      target: `${url.pathname}${url.search}`,
      query: () => url.searchParams,
      headers: request.headers,
      mediaType: request.headers['content-type'] ?? '',
      limits: LIMITS,
      exhausted: () => false,
      body: async () => Buffer.from(request.body ?? ''),
    }
    const reply = await Promise.race([classicRoute(node as Agent, asked), life.ended])
    if (reply === undefined) return undefined
    return answer(
      reply.status,
      typeof reply.body === 'string' ? reply.body : '',
      reply.headers?.location as string | undefined,
    )
  }
}

const answer = (status: number, content: string, location?: string): JsonObject => ({
  content,
  content_type: 'application/json',
  content_length: content.length,
  headers: location === undefined ? {} : { location },
  status_code: status,
  status_line: String(status),
})

const codeOf = (error: unknown): string => String((error as { code?: unknown } | undefined)?.code ?? 'engine.fault')

function newLife(): Life {
  let end = () => undefined as undefined
  const ended = new Promise<undefined>(resolve => {
    end = () => void resolve(undefined)
  })
  return { alive: true, ended, end }
}

function lifeless(): Life {
  return { ...newLife(), alive: false }
}
