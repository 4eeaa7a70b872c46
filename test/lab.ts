// Whole engines inside one test process: real steps, real sockets on loopback, records in memory. Rulesets are given
// as text and served over HTTP, so that they are installed the way everybody installs them.

import { randomBytes } from 'node:crypto'
import { createServer, request, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { setFlagsFromString } from 'node:v8'
import type { EngineLimits } from '../src/engine.ts'
import { systemClock } from '../src/main.ts'
import { Node } from '../src/node.ts'
import { readConnection } from '../src/pico.ts'
import type { Clock, Json, JsonObject, Store } from '../src/ports.ts'
import { MemoryStore } from '../src/stores/memory.ts'
import { parseAllowed } from '../src/transports/address.ts'
import { createClient } from '../src/transports/client.ts'
import { listenPublic } from '../src/transports/http.ts'
import { STANDARD_LIMITS } from '../src/transports/limits.ts'
import type { Listener } from '../src/transports/listen.ts'
import { acceptWebSockets } from '../src/transports/ws.ts'
import { cryptoNode } from '../wallet/crypto-node.ts'
import { isFault } from '../wallet/fault.ts'
import { newEngineKeys, newMasterKey, openVault, type Vault } from '../wallet/vault.ts'

// As src/main.ts does before anything runs: patterns that backtrack too long go on in linear time (law L8).
setFlagsFromString('--enable-experimental-regexp-engine-on-excessive-backtracks')

export interface LabOptions {
  readonly clock?: Clock
  readonly store?: Store
  readonly limits?: Partial<EngineLimits>
}

/** Answer of a verb, loosely typed: tests say what they expect of it. */
// biome-ignore lint/suspicious/noExplicitAny: answers are looked at member by member
type Answer = any

export class LabEngine {
  readonly node: Node
  readonly store: Store
  private readonly listener: Listener
  private readonly closeSockets: () => void

  private constructor(node: Node, store: Store, listener: Listener, closeSockets: () => void) {
    this.node = node
    this.store = store
    this.listener = listener
    this.closeSockets = closeSockets
  }

  static async start(options: LabOptions = {}): Promise<LabEngine> {
    const store = options.store ?? new MemoryStore()
    const master = newMasterKey(cryptoNode)
    const engineKeys = newEngineKeys(cryptoNode, master)
    let url = ''
    const node: Node = new Node({
      store,
      clock: options.clock ?? systemClock,
      random: { bytes: length => new Uint8Array(randomBytes(length)) },
      client: createClient({ loopback: true, allowed: parseAllowed([]) }, STANDARD_LIMITS.envelope_bytes),
      openVault: async () => {
        const vault = openVault(cryptoNode, Uint8Array.from(master), engineKeys)
        if (isFault(vault)) throw new Error(vault.message)
        return vault as Vault
      },
      walletFacts: async () => ({ kdf: 'none', rekeyedAt: '' }),
      builtins: fileURLToPath(new URL('../krl', import.meta.url)),
      version: 'test',
      home: '(memory)',
      jsonDepth: 64,
      addresses: () => ({ publicUrl: url, baseUrl: url, adminUrl: '' }),
      log: () => undefined,
      ...(options.limits === undefined ? {} : { limits: options.limits }),
    })
    const listener = await listenPublic({ agent: node, host: '127.0.0.1', port: 0, limits: STANDARD_LIMITS })
    url = listener.url
    const closeSockets = acceptWebSockets(listener, node, STANDARD_LIMITS)
    await node.unlock({ passphrase: '-' })
    return new LabEngine(node, store, listener, closeSockets)
  }

  get url(): string {
    return this.listener.url
  }

  verb(name: string, args: JsonObject = {}): Promise<Answer> {
    return this.node.verb(name, args)
  }

  /** The code a verb is refused with; 'done' when it is not. */
  async refusal(name: string, args: JsonObject): Promise<string> {
    return this.verb(name, args).then(
      () => 'done',
      (error: { code?: string }) => error.code ?? String(error),
    )
  }

  event(pico: string, domain: string, type: string, attrs: JsonObject = {}): Promise<Answer> {
    return this.verb('event', { pico, domain, type, attrs, wait: true })
  }

  query(pico: string, rid: string, name: string, args: JsonObject = {}): Promise<Answer> {
    return this.verb('query', { pico, rid, name, args })
  }

  /** A pico with these rulesets. */
  async pico(name: string, ...sources: string[]): Promise<string> {
    const made = await this.verb('pico.new', { name })
    for (const source of sources) await this.verb('ruleset.install', { pico: name, url: await served(source) })
    return made.picoId
  }

  async close(): Promise<void> {
    this.closeSockets()
    await this.node.close()
    await this.listener.close(100)
  }
}

// ---- rulesets over HTTP --------------------------------------------------------------------------------------

const texts = new Map<string, string>()
let server: Server | undefined

/** URL of a ruleset's text. Call `unserve` when all tests of a file are done. */
export async function served(source: string): Promise<string> {
  const rid = /ruleset\s+([\w.-]+)/.exec(source)?.[1] ?? 'nameless'
  server ??= await new Promise<Server>(resolve => {
    const made = createServer((request, response) => {
      const text = texts.get(request.url ?? '')
      response.writeHead(text === undefined ? 404 : 200, { 'content-type': 'text/plain' }).end(text)
    }).listen(0, '127.0.0.1', () => resolve(made))
  })
  texts.set(`/${rid}.krl`, source)
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/${rid}.krl`
}

export function unserve(): void {
  server?.closeAllConnections()
  server?.close()
  server = undefined
}

// ---- waiting and connecting ----------------------------------------------------------------------------------

/** Polls until `look` gives something truthy; throws after 5 s with what was waited for. */
export async function until<T>(what: string, look: () => Promise<T | undefined | false>): Promise<T> {
  for (const end = Date.now() + 5_000; Date.now() < end; ) {
    const found = await look()
    if (found) return found
    await new Promise(resolve => setTimeout(resolve, 10))
  }
  throw new Error(`waited in vain for ${what}`)
}

export interface Connected {
  readonly inviter: string
  readonly invitee: string
}

/** Connects `to` (on b) with `from`'s invitation (on a); connectionIds of both. Without `approve` all that a new connection
 *  is asked for is answered when this resolves: nothing is on its way. */
export async function connect(
  a: LabEngine,
  from: string,
  b: LabEngine,
  to: string,
  options: { version?: 'v1' | 'v2'; events?: string; queries?: string; approve?: boolean } = {},
): Promise<Connected> {
  const { version = 'v1', events = '*', queries = '*', approve = false } = options
  const made = await a.verb('invite', { pico: from, version, multi: false, approve, events, queries })
  const accepted = await b.verb('accept', { pico: to, invitation: made.url, events, queries, wait: !approve })
  const mine = await until('the inviter’s connection', async () => {
    const all = (await a.verb('connection.ls', { pico: from })) as {
      connectionId: string
      invitationId: string
      state: string
    }[]
    return all.find(c => c.invitationId === made.invitationId && (approve || c.state === 'established'))
  })
  if (!approve) {
    await heardOut(a, from, mine.connectionId)
    await heardOut(b, to, accepted.connectionId)
  }
  return { inviter: mine.connectionId, invitee: accepted.connectionId }
}

/** A new peer is asked at once what it speaks. */
async function heardOut({ node }: LabEngine, pico: string, connectionId: string): Promise<void> {
  const picoId = await node.owner.resolve(pico)
  await until('what the peer speaks', () =>
    node.engine.read(picoId, view => readConnection(view, connectionId)?.disclosed != null),
  )
}

/** How many records of each kind a pico's log holds, by code. */
export async function logged(engine: LabEngine, pico: string): Promise<Json[]> {
  return engine.verb('logs', { pico, n: 10_000 })
}

// ---- envelopes ---------------------------------------------------------------------------------------------

/** Envelopes that reach the engine meanwhile, none of them taken. */
export async function keptBack(engine: LabEngine, count: number, during: () => Promise<void>): Promise<Uint8Array[]> {
  const kept: Uint8Array[] = []
  const { node } = engine
  const { receive } = node
  node.receive = async envelope => {
    kept.push(envelope)
    return { status: 202 }
  }
  await during()
  while (kept.length < count) await sleep(10)
  node.receive = receive
  return kept
}

/** The status an envelope is answered with; by another client than ours. */
export function post(url: string, envelope: Uint8Array): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/ssi-agent-wire' }
    const sent = request(`${url}/didcomm`, { method: 'POST', headers }, answer => {
      answer.resume().on('end', () => resolve(answer.statusCode))
    })
    sent.on('error', reject).end(envelope)
  })
}
