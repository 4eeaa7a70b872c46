// Bytes from outside to a pico's step: whose mail it is, opened and checked against that pico's keys, applied or kept.
// What is refused is counted and answered like what is taken, so that an attacker learns nothing (contract 4).

import { base58, base64url, fromBase64url } from '../wallet/bytes.ts'
import { cryptoNode } from '../wallet/crypto-node.ts'
import { type Envelope, peek, unpack } from '../wallet/envelope.ts'
import { type Fault, isFault } from '../wallet/fault.ts'
import { type Keyring, makeKeyring, type StoredKey } from '../wallet/keyring.ts'
import { Memo } from '../wallet/memo.ts'
import type { Carrier, Received } from './agent.ts'
import type { Engine } from './engine.ts'
import { asPicoError, errorRow } from './errors.ts'
import { resolverOf } from './identity.ts'
import type { Outbox, Packed } from './outbox.ts'
import { GROUP } from './pico.ts'
import type { Clock, Json, JsonObject, OpenedMessage, PicoId, Stimulus, View } from './ports.ts'
import type { Claim } from './resident.ts'
import type { Rejected } from './steps.ts'

/** With return-route the line stays open this long for an answer (DESIGN 4, Inbox). */
const REPLY_MS = 2_000
const REJECTED_KEPT = 100
const FORWARDS = 8

export interface Refusals {
  count: number
  readonly recent: { at: string; reason: string; from?: string }[]
}

/** Mail for the engine itself: forwards, and the protocol between engines. */
export interface OwnMail {
  /** Names of the engine's own keys, as envelopes name their recipients. */
  readonly names: ReadonlySet<string>
  take(envelope: Envelope, inbox: Inbox, depth: number): Promise<Received>
}

export interface InboxAround {
  readonly engine: Engine
  readonly keyrings: Keyrings
  readonly outbox: () => Outbox
  readonly own: OwnMail
  readonly clock: Clock
  readonly jsonDepth: number
  /** A live line of a peer, to be used for what is sent to it. */
  readonly line: (picoId: PicoId, connectionId: string, carrier: Carrier) => void
}

export class Inbox {
  private readonly around: InboxAround
  /** Read once, then opened: spares parsing an envelope twice. */
  private readonly peeked = new WeakMap<object, Envelope>()
  private readonly refusals = new Map<PicoId, Refusals>()
  /** Refused before a recipient was known. */
  readonly strangers: Refusals = { count: 0, recent: [] }

  constructor(around: InboxAround) {
    this.around = around
  }

  /** One envelope. Never throws for what a peer did. */
  async receive(bytes: Uint8Array, carrier: Carrier, depth = 0): Promise<Received> {
    const { engine, own, jsonDepth } = this.around
    const envelope = peek(bytes, { maxDepth: jsonDepth })
    if ('fault' in envelope) return this.unknown(envelope.code, 400)
    // A bare JWS names no key of ours: nobody's mail.
    if (envelope.recipients.length === 0) return this.unknown('message.plaintext', 400)
    if (envelope.recipients.some(name => own.names.has(name)))
      return depth >= FORWARDS ? this.unknown('message.loop', 400) : own.take(envelope, this, depth)
    const picoId = engine.recipient(envelope.recipients)
    if (picoId === undefined) return this.unknown('envelope.unknown_recipient', 404)
    // As it is stored; text only if it comes to that: most mail is applied at once.
    const stored: JsonObject = {
      get envelope() {
        return base64url(bytes)
      },
    }
    this.peeked.set(stored, envelope)
    try {
      // What came inside of a forward has its sender elsewhere: on this line listens whoever carried it.
      return await this.settle(engine, picoId, stored, depth === 0 ? carrier : undefined)
    } catch (thrown) {
      const error = asPicoError(thrown)
      if (errorRow(error.code).retry) return { status: 503, retryAfter: Number(error.place?.retryAfter_s ?? 1) }
      return this.unknown('envelope.unknown_recipient', 404)
    }
  }

  /** Without a carrier no answer goes back on the line. */
  private async settle(
    engine: Engine,
    picoId: PicoId,
    stored: JsonObject,
    carrier: Carrier | undefined,
  ): Promise<Received> {
    const settled = await engine.accept(picoId, stored, {
      open: () => this.open(picoId, stored),
      replyWithin: opened => replyWithin(opened, carrier),
    })
    if (settled.state === 'rejected') return { status: 202, refused: true }
    const route = this.routes.get(stored)
    if (route?.connectionId) engine.nudge(picoId, `didcomm:${route.connectionId}`)
    if (settled.state === 'accepted' || carrier === undefined || route?.returnRoute !== true) return { status: 202 }
    const { replies } = settled
    if (carrier.live) {
      if (route.connectionId) this.around.line(picoId, route.connectionId, carrier)
      for (const reply of replies) await this.speak(picoId, reply, carrier)
      return { status: 202 }
    }
    return this.inReply(picoId, replies)
  }

  /** The first answer goes back on the line the message came on; others leave by the outbox. */
  private async inReply(picoId: PicoId, replies: readonly Claim[]): Promise<Received> {
    const [first, ...others] = replies
    for (const other of others) other.release()
    if (first === undefined || first.letter.body.kind !== 'didcomm') {
      first?.release()
      return { status: 202 }
    }
    const { clock } = this.around
    let cancel: () => void = () => undefined
    const late = new Promise<undefined>(
      resolve => (cancel = clock.wake(clock.now() + REPLY_MS, () => resolve(undefined))),
    )
    const packing = this.pack(picoId, first)
    const packed = await Promise.race([packing, late]).finally(cancel)
    if (packed === undefined) {
      first.release()
      return { status: 202 }
    }
    const carried = (out: boolean) => (out ? first.taken() : first.release())
    return { status: 200, body: packed.envelope, contentType: packed.contentType, carried }
  }

  /** Undefined: it cannot be packed now; the outbox finds out why. */
  private async pack(picoId: PicoId, claim: Claim): Promise<Packed | undefined> {
    const { body } = claim.letter
    if (body.kind !== 'didcomm') return undefined
    try {
      const packed = await this.around.outbox().pack(body, picoId, true)
      return isFault(packed) ? undefined : packed
    } catch {
      return undefined
    }
  }

  private async speak(picoId: PicoId, claim: Claim, carrier: Carrier): Promise<void> {
    const packed = await this.pack(picoId, claim)
    if (packed !== undefined && carrier.reply?.(packed.envelope)) claim.taken()
    else claim.release()
  }

  // ---- opening ---------------------------------------------------------------------------------------------------

  /** What opening found out about the way back: our connection, and whether the sender listens on this line. */
  private readonly routes = new WeakMap<object, { connectionId: string; returnRoute: boolean }>()

  /** `Engine.toStimulus`: opens mail as it was received, against the pico's committed keys. Safe to repeat. */
  async open(picoId: PicoId, stored: Json): Promise<Stimulus | Rejected> {
    const envelope = this.peeked.get(stored as object) ?? this.read((stored as { envelope: string }).envelope)
    if (envelope === undefined || 'fault' in envelope) return { rejected: { reason: 'envelope.unreadable' } }
    return this.around.engine.read(picoId, view =>
      this.around.keyrings.with(picoId, view, keyring => {
        const opened = unpack(cryptoNode, keyring, did => resolverOf(view).resolve(did), envelope, {
          now: Math.floor(this.around.clock.now() / 1000),
        })
        if ('fault' in opened) return { rejected: { reason: opened.code } }
        if (opened.sender === null) return { rejected: { reason: 'message.unauthenticated' } }
        const message = opened.plaintext as JsonObject
        const returnRoute = asksReturn(message)
        const connection = view.get(GROUP.recipient, opened.recipientKid) as { connectionId?: string } | undefined
        this.routes.set(stored as object, { connectionId: connection?.connectionId ?? '', returnRoute })
        const sender: OpenedMessage['sender'] = {
          kid: opened.sender.kid,
          did: opened.sender.did,
          // On v1 a key names itself.
          publicKey: opened.version === 'v1' ? opened.sender.kid : base58(opened.sender.publicKey),
        }
        const prior = opened.fromPrior
        return {
          kind: 'message',
          opened: {
            version: opened.version,
            plaintext: message,
            recipientKid: opened.recipientKid,
            sender,
            returnRoute,
            ...(prior === undefined ? {} : { fromPrior: { iss: prior.iss, sub: prior.sub } }),
          },
        } satisfies Stimulus
      }),
    )
  }

  private read(text: string): Envelope | Fault | undefined {
    const bytes = fromBase64url(text)
    return bytes && peek(bytes, { maxDepth: this.around.jsonDepth })
  }

  // ---- counting what was refused -------------------------------------------------------------------------------------

  refusedBy(picoId: PicoId): Refusals {
    return this.refusals.get(picoId) ?? { count: 0, recent: [] }
  }

  /** A refusal after the recipient was found. */
  note(picoId: PicoId, reason: string, from?: string): void {
    let kept = this.refusals.get(picoId)
    if (kept === undefined) {
      if (this.refusals.size >= 10_000) this.refusals.delete(this.refusals.keys().next().value as PicoId)
      kept = { count: 0, recent: [] }
      this.refusals.set(picoId, kept)
    }
    count(kept, this.around.clock.now(), reason, from)
  }

  private unknown(reason: string, status: 400 | 404): Received {
    count(this.strangers, this.around.clock.now(), reason, undefined)
    return { status, refused: true }
  }
}

// ---- keys at work ------------------------------------------------------------------------------------------------------

const KEYRINGS = 2_000

interface Slot {
  readonly keyring: Keyring
  view: View | undefined
}

/** Keyrings of the picos that are at work, so that static Diffie-Hellman results outlive one message. Keys of a kid never
 *  change, so a keyring read from one committed state serves the next; lock and deletion wipe it. */
export class Keyrings {
  private readonly slots = new Memo<Slot>(KEYRINGS, { dropped: slot => slot.keyring.clear() })

  /** Runs `fn` with the pico's keyring over `view`. */
  with<T>(picoId: PicoId, view: View, fn: (keyring: Keyring) => T): T {
    const slot = this.slots.get(picoId) ?? this.make(picoId)
    slot.view = view
    try {
      return fn(slot.keyring)
    } finally {
      slot.view = undefined
    }
  }

  forget(picoId: PicoId): void {
    this.slots.get(picoId)?.keyring.clear()
  }

  clear(): void {
    this.slots.clear()
  }

  private make(picoId: PicoId): Slot {
    const slot: Slot = {
      view: undefined,
      keyring: makeKeyring(cryptoNode, kid => slot.view?.get(GROUP.key, kid) as unknown as StoredKey | undefined),
    }
    this.slots.set(picoId, slot)
    return slot
  }
}

function count(kept: Refusals, now: number, reason: string, from: string | undefined): void {
  kept.count++
  kept.recent.push({ at: new Date(now).toISOString(), reason, ...(from === undefined ? {} : { from }) })
  if (kept.recent.length > REJECTED_KEPT) kept.recent.shift()
}

// A live line has no answer of its own to give, and can wait.
function replyWithin(opened: Stimulus, carrier: Carrier | undefined): number | undefined {
  if (carrier === undefined || opened.kind !== 'message' || !opened.opened.returnRoute) return undefined
  return carrier.live ? Number.POSITIVE_INFINITY : REPLY_MS
}

function asksReturn(message: JsonObject): boolean {
  const transport = message['~transport']
  const route =
    transport !== null && typeof transport === 'object' && !Array.isArray(transport)
      ? transport.return_route
      : message.return_route
  return route === 'all' || route === 'thread'
}
