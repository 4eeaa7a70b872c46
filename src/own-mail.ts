// Mail of the engine itself: its did:key, forwards that mediators and peers address to it (RFC 0094, routing 2.0), and
// the messages between engines (DESIGN 5). A forward reaches no pico before its inner envelope is opened like any other.

import { byType } from '../protocols/index.ts'
import { isExpired, isProblem, type Message, parseMessage } from '../protocols/message.ts'
import { serialise } from '../protocols/outgoing.ts'
import { readForward } from '../protocols/routing.ts'
import { base58, base64url, fromBase64url, utf8 } from '../wallet/bytes.ts'
import { cryptoNode } from '../wallet/crypto-node.ts'
import { didKey, didKeyToNaked, nakedToDidKey } from '../wallet/did-key.ts'
import { type Envelope, peek, unpack } from '../wallet/envelope.ts'
import { packV2 } from '../wallet/envelope-v2.ts'
import { isFault } from '../wallet/fault.ts'
import { drawKey, type Keyring, makeKeyring, type StoredKey } from '../wallet/keyring.ts'
import { didPart, recipientKeys } from '../wallet/keys.ts'
import type { Opened } from '../wallet/opened.ts'
import { makeResolver } from '../wallet/resolver.ts'
import type { Received } from './agent.ts'
import type { Engine } from './engine.ts'
import { asPicoError, errorRow } from './errors.ts'
import type { Inbox, OwnMail as MailOfTheEngine } from './inbox.ts'
import type { Moves } from './move.ts'
import { MEDIA } from './outbox.ts'
import type { Clock, Json, JsonObject, Random } from './ports.ts'
import type { Table } from './sources.ts'
import type { HttpClient } from './transports/client.ts'

export interface OwnMailAround {
  readonly engine: () => Engine
  readonly named: Table
  readonly client: HttpClient
  readonly clock: Clock
  readonly moves: Moves
  readonly log: (record: JsonObject) => void
  readonly random: Random
  /** Takes an envelope for a registered key that is no pico's here; false when it cannot be kept now. */
  readonly passOn?: (next: string, envelope: Uint8Array, delay_ms: number) => Promise<boolean>
}

/** What another engine said, or why it said nothing. `final`: asking again is in vain. */
export type Reply = { readonly message: Message | undefined } | { readonly silent: string; readonly final: boolean }

/** Named records: the seed of the engine's key; and by key text what a mediator has registered. */
const SEED = 'engine-seed'
const registeredName = (key: string): string => `registered/${key}`
const STRANGERS_KEPT = 100
/** Forwards that were taken are known for a day, the newest of them. */
const FORWARD_KNOWN_MS = 86_400_000
const FORWARDS_KNOWN = 50_000
const MULTIKEY_AT = 'did:key:'.length

export class OwnMail implements MailOfTheEngine {
  /** The engine's DID; empty before `start`. */
  did = ''
  private readonly around: OwnMailAround
  private readonly resolver = makeResolver()
  private keyring: Keyring | undefined
  /** Names of its keys, as envelopes name their recipients. */
  names: ReadonlySet<string> = new Set()
  private agreement = ''
  /** Hash of a forward that was taken → when; the oldest first. */
  private readonly forwarded = new Map<string, number>()

  constructor(around: OwnMailAround) {
    this.around = around
    around.moves.attach(this)
  }

  /** Reads the engine's key, or draws it on the first start. */
  async start(): Promise<void> {
    const { named, random } = this.around
    let seed = named.get(SEED)
    if (typeof seed !== 'string') {
      seed = base64url(random.bytes(32))
      await named.put(SEED, seed)
    }
    const { stored, publicKey } = drawKey('Ed25519', fromBase64url(seed) as Uint8Array)
    this.did = didKey('Ed25519', publicKey)
    const [key] = recipientKeys(did => this.resolver.resolve(did), this.did) as { kid: string }[]
    this.agreement = key?.kid ?? ''
    const own: Record<string, StoredKey> = {
      [`${this.did}#${this.did.slice(MULTIKEY_AT)}`]: stored,
      [base58(publicKey)]: stored,
    }
    this.names = new Set([...Object.keys(own), this.agreement])
    this.keyring = makeKeyring(cryptoNode, kid => own[kid])
  }

  /** Forgets the key (lock). */
  stop(): void {
    this.keyring?.clear()
    this.keyring = undefined
    this.names = new Set()
  }

  // ---- receiving -----------------------------------------------------------------------------------------------

  /** One envelope for the engine. Refusals say nothing and are counted among those of strangers. */
  async take(envelope: Envelope, inbox: Inbox, depth: number): Promise<Received> {
    const { clock, log } = this.around
    const opened = this.open(envelope)
    if ('code' in opened) return refuse(inbox, clock, opened.code)
    const message = parseMessage(opened.plaintext as JsonObject, opened.version)
    if (isProblem(message)) return refuse(inbox, clock, message.code)
    if (isExpired(message, clock.now())) return refuse(inbox, clock, 'message.expired')
    const name = byType(message.type)[0]?.protocol.name
    try {
      if (name === 'routing') return await this.forwardOnce(message, opened, inbox, depth)
      if (name === 'move') return await this.move(message, opened, inbox, depth)
    } catch (thrown) {
      const error = asPicoError(thrown)
      if (error.code === 'engine.fault') log({ level: 'error', code: error.code, message: String(error.cause) })
      return errorRow(error.code).retry || error.code === 'engine.fault'
        ? { status: 503, retryAfter: 1 }
        : refuse(inbox, clock, error.code)
    }
    return refuse(inbox, clock, 'message.unsupported', opened.sender?.did)
  }

  private open(envelope: Envelope): Opened | { code: string } {
    if (this.keyring === undefined) return { code: 'wallet.locked' }
    const now = Math.floor(this.around.clock.now() / 1000)
    return unpack(cryptoNode, this.keyring, did => this.resolver.resolve(did), envelope, { now })
  }

  // ---- forwards ------------------------------------------------------------------------------------------------

  /** Whoever repeats an envelope, however it is written around the ciphertext, repeats what it encloses. Only what was taken
   *  is known: what failed may be tried again. */
  private async forwardOnce(message: Message, opened: Opened, inbox: Inbox, depth: number): Promise<Received> {
    const { clock } = this.around
    const name = base64url(cryptoNode.sha256(utf8(JSON.stringify(opened.plaintext))))
    const before = this.forwarded.get(name)
    if (before !== undefined && clock.now() - before < FORWARD_KNOWN_MS)
      return refuse(inbox, clock, 'message.duplicate')
    const received = await this.forward(message, inbox, depth)
    if (received.status === 202 && !received.refused) this.remember(name)
    return received
  }

  private remember(forward: string): void {
    this.forwarded.delete(forward)
    this.forwarded.set(forward, this.around.clock.now())
    if (this.forwarded.size > FORWARDS_KNOWN) this.forwarded.delete(this.forwarded.keys().next().value as string)
  }

  /** Every enclosed envelope goes to the pico or the registered key that `next` names; to anything else, nowhere. */
  private async forward(message: Message, inbox: Inbox, depth: number): Promise<Received> {
    const { clock } = this.around
    const read = readForward(message)
    if (isProblem(read)) return refuse(inbox, clock, read.code)
    const local = this.isLocal(read.next)
    if (!local && this.registered(read.next) === undefined) return refuse(inbox, clock, 'forward.unregistered')
    let answer: Received = { status: 202 }
    for (const enclosed of read.messages) {
      const bytes = utf8(JSON.stringify(enclosed))
      const taken = local
        ? await inbox.receive(bytes, { live: false }, depth + 1)
        : await this.passOn(read.next, bytes, read.delay.ms)
      if (taken.status !== 202 || taken.refused) answer = taken
    }
    return answer
  }

  private async passOn(next: string, bytes: Uint8Array, delay_ms: number): Promise<Received> {
    return (await this.around.passOn?.(next, bytes, delay_ms)) ? { status: 202 } : { status: 503, retryAfter: 60 }
  }

  /** The engine's own key (a forward in a forward), or a key of a pico here. */
  private isLocal(next: string): boolean {
    const engine = this.around.engine()
    const names = this.namesOf(next)
    return names.some(name => this.names.has(name)) || engine.recipient(names) !== undefined
  }

  /** The names under which mail for `next` (key, DID, DID URL) may be known: as written, and as its keys. */
  private namesOf(next: string): string[] {
    const spelled = [next, didKeyToNaked(next), nakedToDidKey(next)].filter(name => name !== undefined)
    const did = spelled.find(name => name.startsWith('did:'))
    const keys = did === undefined ? [] : recipientKeys(one => this.resolver.resolve(one), did)
    return [
      ...new Set([
        ...spelled,
        ...(did === undefined ? [] : [didPart(did)]),
        ...(isFault(keys) ? [] : keys.map(({ kid }) => kid)),
      ]),
    ]
  }

  /** What a mediator keeps of a key or DID, under any of its spellings; undefined when it is not registered. */
  registered(next: string): Json | undefined {
    return this.namesOf(next)
      .map(name => this.around.named.get(registeredName(name)))
      .find(found => found !== undefined)
  }

  /** Registers a key or DID for forwards, or with undefined forgets it. */
  register(next: string, value: Json | undefined): Promise<void> {
    return this.around.named.put(registeredName(next), value)
  }

  // ---- between engines -----------------------------------------------------------------------------------------

  private async move(message: Message, opened: Opened, inbox: Inbox, depth: number): Promise<Received> {
    const { sender } = opened
    if (opened.version !== 'v2' || sender === null || sender.did === null)
      return refuse(inbox, this.around.clock, 'message.unauthenticated')
    const reply = await this.around.moves.receive(message, { key: sender.kid, did: sender.did })
    // On the line of a forward listens whoever carried it.
    if (reply === undefined || depth > 0) return { status: 202 }
    return { status: 200, body: this.pack(reply, sender.did), contentType: MEDIA.v2 }
  }

  /** Sends a message to the engine at `url` and gives what it answers on the same line (return-route). */
  async ask(did: string, url: string, message: Message): Promise<Reply> {
    const envelope = this.pack({ ...message, returnRoute: 'all' }, did)
    const posted = await this.around.client.post(`${url.replace(/\/+$/, '')}/didcomm`, envelope, MEDIA.v2)
    if (posted.status === 202) return { message: undefined }
    if (posted.status !== 200 || posted.body === undefined) {
      const final = [400, 404, 413, 415].includes(posted.status)
      return { silent: posted.status === 0 ? (posted.reason ?? 'no answer') : `http.${posted.status}`, final }
    }
    return this.answerOf(posted.body, did)
  }

  private answerOf(body: Uint8Array, did: string): Reply {
    const envelope = peek(body)
    const opened = isFault(envelope) ? envelope : this.open(envelope)
    if ('code' in opened) return { silent: opened.code, final: false }
    if (opened.sender?.did !== did) return { silent: 'message.unauthenticated', final: true }
    const message = parseMessage(opened.plaintext as JsonObject, opened.version)
    return isProblem(message) ? { silent: message.code, final: true } : { message }
  }

  private pack(message: Message, to: string): Uint8Array {
    const { keyring } = this
    const recipients = recipientKeys(did => this.resolver.resolve(did), to)
    if (keyring === undefined || isFault(recipients))
      throw new Error('an engine without a key, or one that cannot be written to')
    const plaintext = utf8(JSON.stringify(serialise({ ...message, from: this.did, to: [to] })))
    const packed = packV2(cryptoNode, keyring, { plaintext, recipients, sender: this.agreement })
    if (isFault(packed)) throw new Error(packed.message)
    return packed
  }
}

function refuse(inbox: Inbox, clock: Clock, reason: string, from?: string | null): Received {
  const { strangers } = inbox
  strangers.count++
  strangers.recent.push({ at: new Date(clock.now()).toISOString(), reason, ...(from ? { from } : {}) })
  if (strangers.recent.length > STRANGERS_KEPT) strangers.recent.shift()
  return { status: 202, refused: true }
}
