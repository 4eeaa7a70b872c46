// One entrance for both envelopes. `peek` reads the outside only, so that an inbox can find whose mail it is; `unpack`
// opens what `peek` read, without parsing it again, and gives the message with the sender that is proven, or a Fault.
// Plaintext is never let in. Nothing falls through: a failed decryption ends there.
//
// DIDComm v1 (Aries RFC 0019) is opened here, v2 in envelope-v2.ts. The sender is taken only under `Authcrypt`, where
// the box around the content key proves it. Base64url comes in with its padding or without.

import { base58, fromBase58, fromBase64url, textStrict, utf8 } from './bytes.ts'
import type { Crypto, KeyPair } from './crypto.ts'
import { openV2, type SignedV2 } from './envelope-v2.ts'
import { type Fault, fault } from './fault.ts'
import { isMembers, type JsonLimits, type JsonMembers, type JsonValue, readHeader, readJsonObject } from './json.ts'
import { type EnvelopeV2, readV2 } from './jwe.ts'
import { type CurveKey, curveKeyOf, ownCurvePair } from './keyring.ts'
import type { Keys, Resolve } from './keys.ts'
import type { Opened } from './opened.ts'
import { messageType } from './plaintext.ts'

/** Names that every v1 envelope bears. `enc` is wrong and stays so: the content is ChaCha20-Poly1305-IETF with a nonce
 *  of 12 bytes. */
export const namesV1 = { enc: 'xchacha20poly1305_ietf', typ: 'JWM/1.0' } as const

const maxRecipients = 256
const padded = { padding: 'allow' } as const

/** An envelope whose outside was read. `recipients` are kids (v2) or base58 verkeys (v1), any of which may be ours. */
export type Envelope = EnvelopeV1 | EnvelopeV2 | SignedV2

/** A v1 envelope whose form was checked; nothing is decrypted yet. */
export interface EnvelopeV1 {
  readonly version: 'v1'
  /** base58 verkeys of the recipients, as `did:key` or base58 on the wire; those named otherwise are left out. */
  readonly recipients: readonly string[]
  readonly authenticated: boolean
  readonly entries: readonly Entry[]
  readonly protected: string
  readonly iv: Uint8Array
  readonly ciphertext: Uint8Array
  readonly tag: Uint8Array
}

interface Entry {
  readonly verkey: string
  readonly encryptedKey: Uint8Array
  /** Present exactly under Authcrypt. */
  readonly proof?: { readonly sender: Uint8Array; readonly iv: Uint8Array }
}

export interface OpenedV1 {
  readonly plaintext: Uint8Array
  /** base58 verkey of ours that opened it. */
  readonly recipientKid: string
  readonly sender: { readonly kid: string; readonly publicKey: Uint8Array } | null
}

/** The outside of an envelope, nothing decrypted. Fault `envelope.unreadable` for what is not JSON or no envelope,
 *  `message.plaintext` for a bare message, and those of the headers. */
export function peek(bytes: Uint8Array | string, limits?: JsonLimits): Envelope | Fault {
  const read = readJsonObject(bytes, limits)
  if ('fault' in read) return fault('envelope.unreadable', read.message)
  const outer = read.value
  if (typeof outer.payload === 'string') return { version: 'v2', form: 'signed', recipients: [], jws: outer }
  if (outer.protected === undefined) {
    const bare = outer['@type'] !== undefined || outer.type !== undefined
    return bare ? fault('message.plaintext', 'not encrypted') : fault('envelope.unreadable', 'not an envelope')
  }
  const second = outer.recipients !== undefined
  const head = readHeader(outer.protected, second ? undefined : padded)
  if ('fault' in head) return fault('envelope.unreadable', head.message, 'protected')
  return second ? readV2(outer, head.value) : readV1(outer, head.value)
}

export interface UnpackOptions {
  /** Seconds since 1970; without it no time in the message is checked. */
  readonly now?: number
}

/** Opens an envelope with our keys. Beside the Faults of `peek`: `envelope.unknown_recipient`,
 *  `envelope.undecryptable`, `envelope.nesting`, `jws.*`, `key.*` and `did.*` (the sender's key), and of the message
 *  `message.malformed`, `.expired`, `.future`, `.sender_mismatch`, `.recipient_mismatch`, `.forged_from_prior`.
 *  A message nobody is proven to have sent comes out with `sender` null: the caller decides. */
export function unpack(
  crypto: Crypto,
  keys: Keys,
  resolve: Resolve,
  envelope: Envelope,
  options: UnpackOptions = {},
): Opened | Fault {
  if (envelope.version === 'v2') return openV2(crypto, keys, resolve, envelope, options.now)
  const opened = openV1(crypto, keys, envelope)
  if ('fault' in opened) return opened
  const read = readJsonObject(opened.plaintext)
  if ('fault' in read) return fault('message.malformed', read.message)
  const wrong = checkV1(read.value, options.now)
  if (wrong !== undefined) return wrong
  return {
    version: 'v1',
    plaintext: read.value,
    recipientKid: opened.recipientKid,
    sender: opened.sender === null ? null : { ...opened.sender, did: null },
    anonymous: opened.sender === null,
    layers: [opened.sender === null ? 'anoncrypt' : 'authcrypt'],
  }
}

// ---- the form of a v1 envelope -----------------------------------------------------------------------------

/** Checks the form of a v1 envelope: `outer` is its JSON, `head` its parsed protected header. Fault
 *  `envelope.unreadable`, `envelope.header` or `envelope.unsupported_algorithm`. Recipients whose kid is no verkey are
 *  left out. */
function readV1(outer: JsonMembers, head: JsonMembers): EnvelopeV1 | Fault {
  const { enc, typ } = namesV1
  if (head.enc !== enc) return fault('envelope.unsupported_algorithm', `enc must be ${enc}`, 'enc')
  if (head.typ !== typ) return fault('envelope.header', `typ must be ${typ}`, 'typ')
  if (head.alg !== 'Authcrypt' && head.alg !== 'Anoncrypt') {
    return fault('envelope.unsupported_algorithm', 'alg must be Authcrypt or Anoncrypt', 'alg')
  }
  const authenticated = head.alg === 'Authcrypt'
  const list = head.recipients
  if (!Array.isArray(list) || list.length === 0 || list.length > maxRecipients) {
    return fault('envelope.header', 'no recipients, or too many', 'recipients')
  }
  const entries: Entry[] = []
  for (const one of list) {
    const entry = readEntry(one, authenticated)
    if (entry === undefined) continue
    if ('fault' in entry) return entry
    entries.push(entry)
  }
  if (entries.length === 0) return fault('envelope.header', 'no recipient is named by a verkey', 'recipients')
  const iv = decode(outer.iv)
  const ciphertext = decode(outer.ciphertext)
  const tag = decode(outer.tag)
  if (iv?.length !== 12 || tag?.length !== 16 || ciphertext === undefined) {
    return fault('envelope.unreadable', 'iv, ciphertext or tag is not as RFC 0019 says')
  }
  const recipients = entries.map(entry => entry.verkey)
  return {
    version: 'v1',
    recipients,
    authenticated,
    entries,
    protected: outer.protected as string,
    iv,
    ciphertext,
    tag,
  }
}

// Undefined: a key of somebody else, named in a way that is not read here, which does not concern the others.
function readEntry(one: JsonValue, authenticated: boolean): Entry | Fault | undefined {
  const header = isMembers(one) ? one.header : undefined
  if (!isMembers(one) || !isMembers(header)) return fault('envelope.header', 'not a recipient', 'recipients')
  const verkey = verkeyOf(header.kid)
  if (verkey === undefined && typeof header.kid === 'string') return undefined
  const encryptedKey = decode(one.encrypted_key)
  if (verkey === undefined || encryptedKey === undefined) {
    return fault('envelope.header', 'kid or encrypted_key is missing or wrong', 'recipients')
  }
  if (!authenticated) {
    // Some write what is absent as null.
    if ((header.sender ?? header.iv ?? undefined) === undefined) return { verkey, encryptedKey }
    return fault('envelope.header', 'a sender under Anoncrypt', 'recipients')
  }
  const sender = decode(header.sender)
  const iv = decode(header.iv)
  if (sender === undefined || iv?.length !== 24) {
    return fault('envelope.header', 'Authcrypt without sender or iv', 'recipients')
  }
  return { verkey, encryptedKey, proof: { sender, iv } }
}

// base58 or did:key, with or without fragment; the normal form is base58 of 32 bytes.
function verkeyOf(kid: JsonValue | undefined): string | undefined {
  if (typeof kid !== 'string' || kid.length > 256) return undefined
  if (!kid.startsWith('did:key:z')) return /^[1-9A-HJ-NP-Za-km-z]{32,44}$/.test(kid) ? kid : undefined
  const bytes = fromBase58(kid.slice(9).split('#')[0]!)
  if (bytes?.length !== 34 || bytes[0] !== 0xed || bytes[1] !== 0x01) return undefined
  return base58(bytes.subarray(2))
}

function decode(value: JsonValue | undefined): Uint8Array | undefined {
  return typeof value === 'string' ? fromBase64url(value, padded) : undefined
}

// ---- opening v1 --------------------------------------------------------------------------------------------

/** Opens with the first recipient key that is ours. Fault `envelope.unknown_recipient`, `envelope.undecryptable`. */
export function openV1(crypto: Crypto, keys: Keys, envelope: EnvelopeV1): OpenedV1 | Fault {
  for (const entry of envelope.entries) {
    const pair = keys.pair(entry.verkey)
    if (pair?.secretKey.length === 64) return openEntry(crypto, keys, envelope, entry, pair)
  }
  return fault('envelope.unknown_recipient', 'no recipient key is ours')
}

function openEntry(crypto: Crypto, keys: Keys, envelope: EnvelopeV1, entry: Entry, pair: KeyPair): OpenedV1 | Fault {
  const mine = ownCurvePair(crypto, pair)
  let contentKey: Uint8Array | undefined
  let sender: OpenedV1['sender'] = null
  if (entry.proof === undefined) contentKey = crypto.sealedBoxOpen(mine, entry.encryptedKey)
  else {
    const theirs = openSender(crypto, mine, entry.proof.sender)
    if (theirs === undefined) return fault('envelope.undecryptable', 'the sender cannot be read')
    const boxKey = keys.boxKey(entry.verkey, theirs.x25519)
    if (boxKey !== undefined) contentKey = crypto.secretboxOpen(boxKey, entry.proof.iv, entry.encryptedKey)
    sender = { kid: theirs.verkey, publicKey: theirs.ed25519 }
  }
  if (contentKey?.length !== 32) return fault('envelope.undecryptable', 'the content key cannot be opened')
  const { iv, ciphertext, tag } = envelope
  const plaintext = crypto.chacha20Poly1305Open(contentKey, iv, { ciphertext, tag }, utf8(envelope.protected))
  crypto.wipe(contentKey)
  if (plaintext === undefined) return fault('envelope.undecryptable', 'the content does not authenticate')
  return { plaintext, recipientKid: entry.verkey, sender }
}

function openSender(crypto: Crypto, mine: KeyPair, box: Uint8Array): CurveKey | undefined {
  const opened = crypto.sealedBoxOpen(mine, box)
  const verkey = opened === undefined ? undefined : verkeyOf(textStrict(opened))
  return verkey === undefined ? undefined : curveKeyOf(crypto, verkey)
}

/** The form a decrypted v1 message must have before anybody looks at its meaning (RFC 0020, RFC 0032). Undefined, or
 *  Fault `message.malformed`, `message.expired`. `now` in seconds, for `~timing.expires_time`. */
export function checkV1(message: JsonMembers, now?: number): Fault | undefined {
  const type = message['@type']
  if (typeof type !== 'string' || !messageType.test(type))
    return fault('message.malformed', '@type is not a message type', '@type')
  const id = message['@id']
  if (id !== undefined && (typeof id !== 'string' || id === ''))
    return fault('message.malformed', '@id is not a text', '@id')
  const timing = message['~timing']
  if (!isMembers(timing) || timing.expires_time === undefined || timing.expires_time === null) return undefined
  const expires = typeof timing.expires_time === 'string' ? Date.parse(timing.expires_time) : Number.NaN
  if (Number.isNaN(expires)) return fault('message.malformed', 'not a time', '~timing.expires_time')
  if (now === undefined || expires > now * 1000) return undefined
  return fault('message.expired', 'expires_time has passed', '~timing.expires_time')
}
