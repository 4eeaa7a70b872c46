// A whole engine in memory for the security vectors: store, wallet, driver, inbox and outbox are the real ones; clock and
// HTTP client are doubles. The receiver's keys and connections lie in its store before it starts, sealed like any record.

import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import type { Received } from '../../src/agent.ts'
import { applyRelation } from '../../src/connection-record.ts'
import { begin } from '../../src/didcomm.ts'
import { keepLong, type OwnDid, receiveAs } from '../../src/identity.ts'
import { Node } from '../../src/node.ts'
import { GROUP, Run } from '../../src/pico.ts'
import type { Clock, Given, Json, JsonObject, Stimulus, Store, Write } from '../../src/ports.ts'
import { PicoRecords } from '../../src/records.ts'
import { Registry } from '../../src/registry.ts'
import { OWN } from '../../src/resident.ts'
import { idBytes } from '../../src/stores/keys.ts'
import { MemoryStore } from '../../src/stores/memory.ts'
import { readVariable } from '../../src/variables.ts'
import { base64url } from '../../wallet/bytes.ts'
import { cryptoNode } from '../../wallet/crypto-node.ts'
import { isFault } from '../../wallet/fault.ts'
import { shortForm } from '../../wallet/keys.ts'
import { newEngineKeys, openVault, type Vault } from '../../wallet/vault.ts'
import { bothForms } from './envelope.ts'

/** Who receives, as the head of a file prints it. */
export interface Identity {
  readonly did: string
  readonly seed: Uint8Array
  /** base58. */
  readonly verkey: string
  /** v2 only. */
  readonly ed25519Kid?: string
  readonly x25519Kid?: string
}

/** A person as such an identity. */
export function identityOf(
  { did, seed, verkey, signKid, boxKid }: Identity & { readonly signKid: string; readonly boxKid: string },
  version: 'v1' | 'v2',
): Identity {
  return { did, seed, verkey, ...(version === 'v2' ? { ed25519Kid: signKid, x25519Kid: boxKid } : {}) }
}

export interface Setting {
  readonly version: 'v1' | 'v2'
  /** Milliseconds. */
  readonly now: number
  readonly identity: Identity
  /** The identity is the engine's own: forwards are addressed to it. */
  readonly mediator: boolean
  /** Keys and DIDs that a mediator took for forwards. */
  readonly registered: readonly string[]
  /** DIDs that the receiver has a connection with. */
  readonly peers: readonly string[]
  /** Where the peers are reached; one of the tests' own unless told. */
  readonly addresses?: readonly { readonly uri: string; readonly routingKeys: readonly string[] }[]
  /** Requests that the receiver has sent, whose answers may come. */
  readonly asked: readonly Asked[]
}

export interface Asked {
  readonly peer: string
  readonly threadId: string
  readonly protocol: string
  readonly command: string
  readonly args: JsonObject
}

export interface Forwarded {
  readonly next: string
  readonly message: Json
  readonly delay_ms: number
}

/** What one envelope did. */
export interface Effect {
  readonly answer: Received
  /** Messages that a step was committed for, as the inbox opened them. */
  readonly opened: Extract<Stimulus, { kind: 'message' }>['opened'][]
  /** Attributes of `didcomm:message_received` and `didcomm:message_rejected`, as rules saw them. */
  readonly received: JsonObject[]
  readonly rejected: JsonObject[]
  /** Reasons of `rejected` and `status`. */
  readonly refusals: string[]
  readonly forwarded: Forwarded[]
  /** Envelopes that left, by HTTP or as the answer on the same line. */
  readonly sent: Uint8Array[]
  /** URLs that were fetched. */
  readonly fetched: string[]
  /** Batches written to the store, engine faults included. */
  readonly writes: number
  readonly warned: boolean
  readonly faults: string[]
}

const OBSERVER_URL = 'http://observer.test/vectors.observer.krl'
const OBSERVER = `ruleset vectors.observer {
  rule received { select when didcomm message_received
    always { ent:received := ent:received.defaultsTo([]).append([event:attrs]) } }
  rule rejected { select when didcomm message_rejected
    always { ent:rejected := ent:rejected.defaultsTo([]).append([event:attrs]) } }
}`
const RID = 'vectors.observer'
const BASE = 'https://receiver.test'
/** Turns of the event loop after which an engine with nothing to wait for is quiet. */
const TURNS = 30

const master = cryptoNode.randomBytes(32)
const engineKeys = newEngineKeys(cryptoNode, master)

function vault(): Vault {
  const opened = openVault(cryptoNode, Uint8Array.from(master), engineKeys)
  if (isFault(opened)) throw new Error(opened.message)
  return opened
}

/** Counts what is written. */
export class CountingStore extends MemoryStore {
  writes = 0

  override async write(writes: readonly Write[], sync: boolean): Promise<void> {
    this.writes++
    await super.write(writes, sync)
  }

  /** Everything in it. */
  all(): Promise<{ key: Uint8Array; value: Uint8Array }[]> {
    return this.range(new Uint8Array(0), new Uint8Array(80).fill(0xff))
  }
}

class StandingClock implements Clock {
  time: number
  private readonly waiting = new Set<{ at: number; fn: () => void }>()

  constructor(time: number) {
    this.time = time
  }

  now(): number {
    return this.time
  }

  wake(at: number, fn: () => void): () => void {
    const entry = { at, fn }
    this.waiting.add(entry)
    if (at <= this.time) setImmediate(() => this.waiting.delete(entry) && fn())
    return () => this.waiting.delete(entry)
  }

  set(time: number): void {
    this.time = time
    for (const entry of [...this.waiting]) if (entry.at <= time && this.waiting.delete(entry)) setImmediate(entry.fn)
  }
}

/** An engine with a root pico that an observing ruleset lives in; made once for each time, then copied. */
const images = new Map<number, Promise<{ key: Uint8Array; value: Uint8Array }[]>>()

async function image(now: number): Promise<{ key: Uint8Array; value: Uint8Array }[]> {
  const receiver = new Receiver(new CountingStore(), now)
  await receiver.node.unlock(SECRET)
  const { picoId } = await receiver.node.owner.root()
  await receiver.node.verb('ruleset.install', { pico: picoId, url: OBSERVER_URL })
  await receiver.quiet()
  await receiver.node.close()
  await receiver.store.open()
  return receiver.store.all()
}

const SECRET = { keyFile: new Uint8Array(32) }

/** The receiver of `setting`, serving. Close it. */
export async function startReceiver(setting: Setting): Promise<Receiver> {
  const { now } = setting
  const made = images.get(now) ?? image(now)
  images.set(now, made)
  const store = new CountingStore()
  await store.open()
  await store.write(await made, true)
  await furnish(store, setting)
  const receiver = new Receiver(store, now)
  await receiver.start()
  return receiver
}

// ---- what lies in the store ----------------------------------------------------------------------------------------

async function furnish(store: Store, setting: Setting): Promise<void> {
  const registry = new Registry(store, vault())
  const [root] = await registry.list()
  if (root === undefined) throw new Error('an image without a pico')
  const { picoId } = root
  const sealer = registry.sealer(picoId)
  const records = new PicoRecords(store, sealer, idBytes(picoId))
  const given: Given = {
    now: setting.now,
    seed: new Uint8Array(32),
    answers: [],
    ask: () => undefined,
    code: new Map(),
    draw: label => sealer.draw(new Uint8Array(32), label),
    engine: { baseUrl: BASE, engineDid: '', version: '0' },
  }
  const run = new Run(records.synced, given)
  const named = setting.mediator ? mediatorRecords(registry, setting) : []
  if (!setting.mediator) befriend(run, setting)
  const { binds } = run.records
  const changes = [...run.records.changes(), ...binds.map(({ key }) => ({ group: OWN.bind, leaf: key, value: true }))]
  await store.write([...records.prepare(changes), ...registry.bindWrites(binds, picoId), ...named], true)
}

function mediatorRecords(registry: Registry, { identity, registered }: Setting): Write[] {
  const seed = registry.namedWrite('engine-seed', base64url(identity.seed))
  return [seed, ...registered.map(key => registry.namedWrite(`registered/${key}`, { by: 'vectors' }))]
}

/** The identity's keys, and a connection with each peer under its one DID. */
function befriend(run: Run, { version, identity, peers, asked, addresses }: Setting): void {
  const own = ownDid(identity)
  run.records.put(GROUP.key, identity.verkey, { type: 'Ed25519', seed: base64url(identity.seed) })
  if (own.agreement !== null) {
    const secret = cryptoNode.ed25519ToX25519Secret(cryptoNode.ed25519KeyPair(identity.seed).secretKey)
    for (const kid of bothForms(own.authentication))
      run.records.put(GROUP.key, kid, { type: 'Ed25519', seed: base64url(identity.seed) })
    for (const kid of bothForms(own.agreement))
      run.records.put(GROUP.key, kid, { type: 'X25519', seed: base64url(secret) })
  }
  run.records.put('did', own.short, own as unknown as Json)
  keepLong(run, own.did)
  receiveAs(run, own, {})
  for (const did of peers) {
    const short = shortForm(did)
    const connection = applyRelation(run, {
      connectionId: `with-${short}`,
      state: 'established',
      role: 'inviter',
      version,
      myDid: { did: own.did, short: own.short },
      theirDid: { did, short },
      // A serial above 0: the address is one the peer told us, whatever its document says.
      serial: 1,
      addresses: addresses ?? [{ uri: `https://peer.test/${peers.indexOf(did)}`, routingKeys: [] }],
      disclosed: [],
    })
    for (const { peer, threadId, protocol, command, args } of asked)
      if (shortForm(peer) === short) begin(run, protocol, command, { ...args, thid: threadId }, connection, version)
  }
}

function ownDid({ did, verkey, ed25519Kid, x25519Kid }: Identity): OwnDid {
  const recipients = x25519Kid === undefined ? [verkey] : bothForms(x25519Kid)
  return {
    did,
    short: shortForm(did),
    recipients,
    verkey,
    agreement: x25519Kid ?? null,
    authentication: ed25519Kid ?? verkey,
  }
}

// ---- the engine ----------------------------------------------------------------------------------------------------

export class Receiver {
  readonly node: Node
  readonly store: CountingStore
  private readonly clock: StandingClock
  private picoId = ''
  private opened: Effect['opened'] = []
  private sent: Uint8Array[] = []
  private fetched: string[] = []
  private forwarded: Forwarded[] = []
  private faults: string[] = []
  private seen = { received: 0, rejected: 0, refusals: 0, strangers: 0, logs: 0 }

  constructor(store: CountingStore, now: number) {
    this.store = store
    this.clock = new StandingClock(now)
    this.node = new Node({
      store,
      clock: this.clock,
      random: { bytes: length => new Uint8Array(randomBytes(length)) },
      client: {
        post: async (_url, envelope) => {
          this.sent.push(envelope)
          return { status: 202 }
        },
        request: async ({ url }) => {
          if (url === OBSERVER_URL) return { status_code: 200, content: OBSERVER }
          this.fetched.push(url)
          return { status_code: 404, status_line: 'Not Found', content: '' }
        },
        lookup: () => {
          throw new Error('nothing is looked up here')
        },
        close: () => undefined,
      },
      openVault: async () => vault(),
      walletFacts: async () => ({ kdf: 'none', rekeyedAt: '' }),
      builtins: join(import.meta.dirname, '../../krl'),
      version: '0',
      home: '',
      jsonDepth: 64,
      addresses: () => ({ publicUrl: BASE, baseUrl: BASE, adminUrl: '' }),
      log: record => void this.faults.push(String(record.message)),
      passOn: async (next, envelope, delay_ms) => {
        this.forwarded.push({ next, message: JSON.parse(Buffer.from(envelope).toString()) as Json, delay_ms })
        return true
      },
    })
  }

  async start(): Promise<void> {
    await this.node.unlock(SECRET)
    this.node.engine.on('committed', ({ stimulus }) => {
      if (stimulus.kind === 'message') this.opened.push(stimulus.opened)
    })
    this.picoId = (await this.node.owner.root()).picoId
    await this.quiet()
  }

  /** Gives one envelope to the inbox and waits until nothing of it is under way. `now` in milliseconds. */
  async post(envelope: Uint8Array, now: number): Promise<Effect> {
    this.clock.set(now)
    Object.assign(this, { opened: [], sent: [], fetched: [], forwarded: [], faults: [] })
    const before = this.store.writes
    const answer = await this.node.receive(envelope, { live: false })
    await this.quiet()
    if (answer.body !== undefined) this.sent.push(answer.body)
    const { opened, sent, fetched, forwarded, faults } = this
    const writes = this.store.writes - before
    return { answer, opened, sent, fetched, forwarded, faults, writes, ...(await this.noted()) }
  }

  /** What rules saw and what was counted as refused since the last time. */
  private async noted(): Promise<Pick<Effect, 'received' | 'rejected' | 'refusals' | 'warned'>> {
    const kept = (name: string) =>
      this.node.engine.read(this.picoId, view => (readVariable(view, RID, name) ?? []) as JsonObject[])
    const [received, rejected] = [await kept('received'), await kept('rejected')]
    const { recent } = (await this.node.verb('rejected', { pico: this.picoId })) as { recent: { reason: string }[] }
    const strangers = this.node.refusedStrangers.recent as { reason: string }[]
    const logs = (await this.node.verb('logs', { pico: this.picoId, n: 1000 })) as { level: string }[]
    const { seen } = this
    this.seen = {
      received: received.length,
      rejected: rejected.length,
      refusals: recent.length,
      strangers: strangers.length,
      logs: logs.length,
    }
    return {
      received: received.slice(seen.received),
      rejected: rejected.slice(seen.rejected),
      refusals: [...recent.slice(seen.refusals), ...strangers.slice(seen.strangers)].map(({ reason }) => reason),
      warned: logs.slice(seen.logs).some(({ level }) => level === 'warn'),
    }
  }

  async quiet(): Promise<void> {
    for (let turn = 0; turn < TURNS; turn++) await new Promise(resolve => setImmediate(resolve))
  }

  close(): Promise<void> {
    return this.node.close()
  }
}
