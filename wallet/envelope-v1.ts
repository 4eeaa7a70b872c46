// DIDComm v1 envelopes (Aries RFC 0019). The content is ChaCha20-Poly1305-IETF with
// a 12-byte nonce, whatever its name `xchacha20poly1305_ietf` says. The sender is taken only under `Authcrypt`, where
// the box around the content key proves it. Base64url goes out unpadded and comes in either way.

import { base58, base64url, fromBase58, fromBase64url, textStrict, utf8 } from './bytes.ts'
import type { Crypto, KeyPair } from './crypto.ts'
import { type Fault, fault, isFault } from './fault.ts'
import { isMembers, type JsonMembers, type JsonValue } from './json.ts'
import type { Keys } from './keys.ts'
import { Memo } from './memo.ts'

const enc = 'xchacha20poly1305_ietf'
const typ = 'JWM/1.0'
const maxRecipients = 256

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

// ---- packing -----------------------------------------------------------------------------------------------

export interface PackV1 {
  readonly plaintext: Uint8Array
  /** Raw Ed25519 public keys. */
  readonly recipients: readonly Uint8Array[]
  /** kid or verkey of our Ed25519 key; without it the envelope is anonymous. */
  readonly sender?: string
}

/** An RFC 0019 envelope as UTF-8 JSON; Fault `envelope.recipient_key` for a recipient's key that is no valid point,
 *  `envelope.sender_key` when the sender's key is not ours. */
export function packV1(crypto: Crypto, keys: Keys, pack: PackV1): Uint8Array | Fault {
  if (pack.recipients.length === 0) return fault('envelope.recipient_key', 'no recipient')
  const contentKey = crypto.randomBytes(32)
  const entries: string[] = []
  const sender = pack.sender === undefined ? undefined : keys.pair(pack.sender)
  if (pack.sender !== undefined && sender?.secretKey.length !== 64) {
    return fault('envelope.sender_key', 'not an Ed25519 key of ours')
  }
  const senderKey = sender?.publicKey
  for (const recipient of pack.recipients) {
    const theirs = curveKey(crypto, recipient)
    if (theirs === undefined) return fault('envelope.recipient_key', 'not a valid Ed25519 key')
    const entry =
      senderKey === undefined
        ? anonymousEntry(crypto, theirs, contentKey)
        : authenticatedEntry(crypto, keys, pack.sender as string, senderKey, theirs, contentKey)
    if (isFault(entry)) return entry
    entries.push(entry)
  }
  const alg = senderKey === undefined ? 'Anoncrypt' : 'Authcrypt'
  const head = base64url(utf8(`{"enc":"${enc}","typ":"${typ}","alg":"${alg}","recipients":[${entries.join(',')}]}`))
  const iv = crypto.randomBytes(12)
  const sealed = crypto.chacha20Poly1305(contentKey, iv, pack.plaintext, utf8(head))
  crypto.wipe(contentKey)
  const body = `"iv":"${base64url(iv)}","ciphertext":"${base64url(sealed.ciphertext)}","tag":"${base64url(sealed.tag)}"`
  return utf8(`{"protected":"${head}",${body}}`)
}

function anonymousEntry(crypto: Crypto, theirs: CurveKey, contentKey: Uint8Array): string {
  const sealed = base64url(crypto.sealedBox(theirs.x25519, contentKey))
  return `{"encrypted_key":"${sealed}","header":{"kid":"${theirs.verkey}"}}`
}

function authenticatedEntry(
  crypto: Crypto,
  keys: Keys,
  kid: string,
  senderKey: Uint8Array,
  theirs: CurveKey,
  contentKey: Uint8Array,
): string | Fault {
  const boxKey = keys.boxKey(kid, theirs.x25519)
  const mine = curveKey(crypto, senderKey)
  if (boxKey === undefined || mine === undefined) return fault('envelope.recipient_key', 'no shared secret')
  const nonce = crypto.randomBytes(24)
  const sealed = base64url(crypto.secretbox(boxKey, nonce, contentKey))
  const sender = base64url(crypto.sealedBox(theirs.x25519, utf8(mine.verkey)))
  const header = `{"kid":"${theirs.verkey}","iv":"${base64url(nonce)}","sender":"${sender}"}`
  return `{"encrypted_key":"${sealed}","header":${header}}`
}

// ---- reading and opening -----------------------------------------------------------------------------------

/** Checks the form of a v1 envelope: `outer` is its JSON, `head` its parsed protected header. Fault
 *  `envelope.unreadable`, `envelope.header` or `envelope.unsupported_algorithm`. Recipients whose kid is no verkey are
 *  left out. */
export function readV1(outer: JsonMembers, head: JsonMembers): EnvelopeV1 | Fault {
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
    if (isFault(entry)) return entry
    if (entry !== undefined) entries.push(entry)
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

function decode(value: JsonValue | undefined): Uint8Array | undefined {
  return typeof value === 'string' ? fromBase64url(value, { padding: 'allow' }) : undefined
}

// ---- key conversion, remembered ----------------------------------------------------------------------------
// Ed25519 to X25519 costs as much as a Diffie-Hellman and a peer's key comes again and again. Public values only;
// our own converted pairs hang on the pair they were made of and go with it.

interface CurveKey {
  readonly verkey: string
  readonly ed25519: Uint8Array
  readonly x25519: Uint8Array
}

const byVerkey = new Memo<CurveKey>(4096)
const byBytes = new Memo<CurveKey>(4096)
const ownPairs = new WeakMap<KeyPair, KeyPair>()

function curveKey(crypto: Crypto, ed25519: Uint8Array): CurveKey | undefined {
  const name = String.fromCharCode(...ed25519)
  const known = byBytes.get(name)
  if (known !== undefined) return known
  const found = curveKeyOf(crypto, base58(ed25519))
  if (found !== undefined) byBytes.set(name, found)
  return found
}

function curveKeyOf(crypto: Crypto, verkey: string): CurveKey | undefined {
  const known = byVerkey.get(verkey)
  if (known !== undefined) return known
  const ed25519 = fromBase58(verkey)
  const x25519 = ed25519?.length === 32 ? crypto.ed25519ToX25519Public(ed25519) : undefined
  if (ed25519 === undefined || x25519 === undefined) return undefined
  const found = { verkey, ed25519, x25519 }
  byVerkey.set(verkey, found)
  return found
}

function ownCurvePair(crypto: Crypto, pair: KeyPair): KeyPair {
  const known = ownPairs.get(pair)
  if (known !== undefined) return known
  const made = crypto.x25519KeyPair(crypto.ed25519ToX25519Secret(pair.secretKey))
  ownPairs.set(pair, made)
  return made
}
