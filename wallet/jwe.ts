// The encryption of DIDComm v2 (RFC 7516 general JSON, RFC 7518 4.6, ECDH-1PU draft 4): one row per `alg`, one per
// `enc`, X25519 only. Authenticated encryption is A256CBC-HS512 alone, because the draft's tag in the key derivation
// is what binds the content to the sender. No meaning is looked at here; that is envelope-v2.ts.

import { base64url, equalBytes, fromBase64url, textStrict, utf8 } from './bytes.ts'
import type { Crypto, KeyPair, Sealed } from './crypto.ts'
import { type Fault, fault, isFault } from './fault.ts'
import { isMembers, type JsonMembers, type JsonValue } from './json.ts'
import { didPart, type RecipientKey, sameDid } from './keys.ts'
import { isMediaType } from './plaintext.ts'

export type ContentEncryption = 'A256CBC-HS512' | 'A256GCM' | 'XC20P'
export type Layer = 'authcrypt' | 'anoncrypt'

interface Content {
  readonly keyLength: number
  readonly ivLength: number
  readonly tagLength: number
  readonly seal: 'a256cbcHs512' | 'a256gcm' | 'xchacha20Poly1305'
  readonly open: 'a256cbcHs512Open' | 'a256gcmOpen' | 'xchacha20Poly1305Open'
}

const contents: Readonly<Record<ContentEncryption, Content>> = {
  'A256CBC-HS512': { keyLength: 64, ivLength: 16, tagLength: 32, seal: 'a256cbcHs512', open: 'a256cbcHs512Open' },
  A256GCM: { keyLength: 32, ivLength: 12, tagLength: 16, seal: 'a256gcm', open: 'a256gcmOpen' },
  XC20P: { keyLength: 32, ivLength: 24, tagLength: 16, seal: 'xchacha20Poly1305', open: 'xchacha20Poly1305Open' },
}

interface Mode {
  readonly layer: Layer
  readonly enc: readonly ContentEncryption[]
}

const modes: ReadonlyMap<JsonValue | undefined, Mode> = new Map<JsonValue | undefined, Mode>([
  ['ECDH-ES+A256KW', { layer: 'anoncrypt', enc: ['A256CBC-HS512', 'A256GCM', 'XC20P'] }],
  ['ECDH-1PU+A256KW', { layer: 'authcrypt', enc: ['A256CBC-HS512'] }],
])

/** A v2 envelope whose form was checked; nothing is decrypted yet. */
export interface EnvelopeV2 {
  readonly version: 'v2'
  readonly form: 'encrypted'
  readonly layer: Layer
  readonly enc: ContentEncryption
  /** kids of the recipients, all of one DID. */
  readonly recipients: readonly string[]
  readonly encryptedKeys: readonly Uint8Array[]
  /** kid of the sender's key, exactly under authcrypt. */
  readonly skid?: string
  readonly epk: Uint8Array
  readonly apu: Uint8Array
  readonly apv: Uint8Array
  readonly protected: string
  readonly iv: Uint8Array
  readonly ciphertext: Uint8Array
  readonly tag: Uint8Array
}

const typ = 'application/didcomm-encrypted+json'
const maxRecipients = 256
const nothing = new Uint8Array(0)

// ---- key derivation ----------------------------------------------------------------------------------------

// Concat KDF (NIST SP 800-56A, RFC 7518 4.6.2), one round of SHA-256. Z, then each field behind its 32-bit length;
// SuppPubInfo is the key's length in bits and, for ECDH-1PU, the content tag behind its own length.
function keyEncryptionKey(
  crypto: Crypto,
  alg: Uint8Array,
  apu: Uint8Array,
  apv: Uint8Array,
  ephemeral: Uint8Array,
  fixed?: { readonly shared: Uint8Array; readonly tag: Uint8Array },
): Uint8Array {
  const fields = [alg, apu, apv]
  let length = 4 + ephemeral.length + 4
  for (const field of fields) length += 4 + field.length
  if (fixed !== undefined) length += fixed.shared.length + 4 + fixed.tag.length
  const input = length <= scratch.length ? scratch.subarray(0, length) : new Uint8Array(length)
  let at = putNumber(input, 0, 1)
  at = put(input, at, ephemeral)
  if (fixed !== undefined) at = put(input, at, fixed.shared)
  for (const field of fields) at = put(input, putNumber(input, at, field.length), field)
  at = putNumber(input, at, 256)
  if (fixed !== undefined) put(input, putNumber(input, at, fixed.tag.length), fixed.tag)
  const key = crypto.sha256(input)
  input.fill(0)
  return key
}

// Filled and wiped within one call: a fresh buffer for each costs as much as the hash.
const scratch = new Uint8Array(4096)

function put(out: Uint8Array, at: number, bytes: Uint8Array): number {
  out.set(bytes, at)
  return at + bytes.length
}

function putNumber(out: Uint8Array, at: number, value: number): number {
  out[at] = value >>> 24
  out[at + 1] = value >>> 16
  out[at + 2] = value >>> 8
  out[at + 3] = value
  return at + 4
}

const algNames: Readonly<Record<Layer, string>> = { anoncrypt: 'ECDH-ES+A256KW', authcrypt: 'ECDH-1PU+A256KW' }
const algBytes: Readonly<Record<Layer, Uint8Array>> = {
  anoncrypt: utf8(algNames.anoncrypt),
  authcrypt: utf8(algNames.authcrypt),
}

/** SHA-256 of the kids, sorted and joined by dots: `apv` (DIDComm Messaging 2.x, "ECDH-1PU key wrapping"). */
function partyV(crypto: Crypto, kids: readonly string[]): Uint8Array {
  return crypto.sha256(utf8(kids.length === 1 ? kids[0]! : [...kids].sort().join('.')))
}

// ---- writing -----------------------------------------------------------------------------------------------

export interface Seal {
  readonly content: Uint8Array
  readonly recipients: readonly RecipientKey[]
  /** The sender's kid, and its static shared secret with a recipient's key. */
  readonly sender?: { readonly kid: string; agree(theirs: Uint8Array): Uint8Array | undefined }
  /** For an anonymous envelope; A256CBC-HS512 by default, the only one every peer opens. */
  readonly enc?: ContentEncryption
}

/** A general JSON JWE as text. Fault `envelope.recipient_key` when a key gives no shared secret. */
export function seal(crypto: Crypto, what: Seal): string | Fault {
  const { recipients, sender } = what
  const layer: Layer = sender === undefined ? 'anoncrypt' : 'authcrypt'
  const enc = sender === undefined ? (what.enc ?? 'A256CBC-HS512') : 'A256CBC-HS512'
  const row = contents[enc]
  const once = crypto.x25519KeyPair(crypto.randomBytes(32))
  const apu = sender === undefined ? nothing : utf8(sender.kid)
  const apv = partyV(
    crypto,
    recipients.map(recipient => recipient.kid),
  )
  const head = base64url(utf8(headerText(layer, enc, sender?.kid, apu, apv, once)))
  const contentKey = crypto.randomBytes(row.keyLength)
  const iv = crypto.randomBytes(row.ivLength)
  const sealed = crypto[row.seal](contentKey, iv, what.content, utf8(head))
  const entries: string[] = []
  for (const { kid, publicKey } of recipients) {
    const key = sharedKey(crypto, what, layer, apu, apv, once, publicKey, sealed.tag)
    if (key === undefined) return fault('envelope.recipient_key', 'no shared secret with this key', 'kid')
    const wrapped = base64url(crypto.a256kwWrap(key, contentKey))
    entries.push(`{"header":{"kid":${JSON.stringify(kid)}},"encrypted_key":"${wrapped}"}`)
  }
  crypto.wipe(contentKey)
  crypto.wipe(once.secretKey)
  return jweText(head, entries, iv, sealed)
}

function headerText(
  layer: Layer,
  enc: string,
  skid: string | undefined,
  apu: Uint8Array,
  apv: Uint8Array,
  once: KeyPair,
): string {
  const sender = skid === undefined ? '' : `"skid":${JSON.stringify(skid)},"apu":"${base64url(apu)}",`
  const epk = `{"kty":"OKP","crv":"X25519","x":"${base64url(once.publicKey)}"}`
  return `{"typ":"${typ}","alg":"${algNames[layer]}","enc":"${enc}",${sender}"apv":"${base64url(apv)}","epk":${epk}}`
}

function sharedKey(
  crypto: Crypto,
  what: Seal,
  layer: Layer,
  apu: Uint8Array,
  apv: Uint8Array,
  once: KeyPair,
  theirs: Uint8Array,
  tag: Uint8Array,
): Uint8Array | undefined {
  const ephemeral = crypto.x25519(once.secretKey, theirs)
  if (ephemeral === undefined) return undefined
  if (what.sender === undefined) return keyEncryptionKey(crypto, algBytes[layer], apu, apv, ephemeral)
  const shared = what.sender.agree(theirs)
  if (shared === undefined) return undefined
  return keyEncryptionKey(crypto, algBytes[layer], apu, apv, ephemeral, { shared, tag })
}

function jweText(head: string, entries: readonly string[], iv: Uint8Array, sealed: Sealed): string {
  const body = `"iv":"${base64url(iv)}","ciphertext":"${base64url(sealed.ciphertext)}","tag":"${base64url(sealed.tag)}"`
  return `{"protected":"${head}","recipients":[${entries.join(',')}],${body}}`
}

// ---- reading -----------------------------------------------------------------------------------------------

/** Checks the form of a v2 envelope: `outer` is its JSON, `head` its parsed protected header. Fault
 *  `envelope.unreadable`, `envelope.header`, `envelope.crit` or `envelope.unsupported_algorithm`. */
export function readV2(outer: JsonMembers, head: JsonMembers): EnvelopeV2 | Fault {
  const wrong = checkNames(outer, head)
  if (wrong !== undefined) return wrong
  if (head.typ !== undefined && !isMediaType(head.typ, 'didcomm-encrypted+json')) {
    return fault('envelope.header', `typ must be ${typ}`, 'typ')
  }
  const mode = modes.get(head.alg)
  if (mode === undefined) return fault('envelope.unsupported_algorithm', 'alg is not supported', 'alg')
  const enc = mode.enc.find(name => name === head.enc)
  if (enc === undefined) return fault('envelope.unsupported_algorithm', 'enc is not supported with this alg', 'enc')
  const epk = readEpk(head.epk)
  if (isFault(epk)) return epk
  const parties = readParties(head, mode.layer)
  if (isFault(parties)) return parties
  const entries = readRecipients(outer.recipients as JsonValue[], contents[enc].keyLength + 8)
  if (isFault(entries)) return entries
  const body = readBody(outer, contents[enc])
  if (isFault(body)) return body
  return {
    version: 'v2',
    form: 'encrypted',
    layer: mode.layer,
    enc,
    ...entries,
    ...parties,
    epk,
    protected: outer.protected as string,
    ...body,
  }
}

// Names of the protected, the shared and each recipient's header must be disjoint (RFC 7516 4), and none may change
// how the envelope is read: `crit` has no extension we know, `zip` would let a small message grow without bound.
function checkNames(outer: JsonMembers, head: JsonMembers): Fault | undefined {
  const list = outer.recipients
  if (!Array.isArray(list) || list.length === 0 || list.length > maxRecipients) {
    return fault('envelope.header', 'no recipients, or too many', 'recipients')
  }
  if (outer.aad !== undefined) return fault('envelope.header', 'aad is refused', 'aad')
  if (outer.encrypted_key !== undefined || outer.header !== undefined) {
    return fault('envelope.header', 'general and flattened form mixed')
  }
  const shared = outer.unprotected ?? {}
  if (!isMembers(shared)) return fault('envelope.header', 'not an object', 'unprotected')
  const wrong = checkOwn(head) ?? checkOwn(shared) ?? checkDisjoint(shared, head)
  if (wrong !== undefined) return wrong
  for (const one of list) {
    const header = isMembers(one) ? one.header : undefined
    if (!isMembers(header)) return fault('envelope.header', 'not a recipient', 'recipients')
    const found = checkOwn(header) ?? checkDisjoint(header, head) ?? checkDisjoint(header, shared)
    if (found !== undefined) return found
  }
  return undefined
}

function checkOwn(header: JsonMembers): Fault | undefined {
  if (Object.hasOwn(header, 'crit')) return fault('envelope.crit', 'a critical extension is not understood', 'crit')
  return Object.hasOwn(header, 'zip') ? fault('envelope.header', 'compression is refused', 'zip') : undefined
}

function checkDisjoint(header: JsonMembers, other: JsonMembers): Fault | undefined {
  for (const name of Object.keys(header)) {
    if (Object.hasOwn(other, name)) return fault('envelope.header', 'a name stands in two headers', name)
  }
  return undefined
}

function readEpk(epk: JsonValue | undefined): Uint8Array | Fault {
  if (!isMembers(epk)) return fault('envelope.header', 'epk is missing', 'epk')
  if (epk.kty !== 'OKP' || epk.crv !== 'X25519') {
    return fault('envelope.unsupported_algorithm', 'only X25519 is supported', 'epk.crv')
  }
  const x = decode(epk.x)
  return x?.length === 32 ? x : fault('envelope.header', 'not an X25519 key', 'epk.x')
}

// apu is the base64url of skid; either may lead to the sender, but both together must agree.
function readParties(head: JsonMembers, layer: Layer): Pick<EnvelopeV2, 'apu' | 'apv' | 'skid'> | Fault {
  const apv = decode(head.apv)
  if (apv === undefined) return fault('envelope.header', 'apv is missing', 'apv')
  const apu = head.apu === undefined ? nothing : decode(head.apu)
  if (apu === undefined) return fault('envelope.header', 'not base64url', 'apu')
  if (layer === 'anoncrypt') {
    return head.skid === undefined ? { apu, apv } : fault('envelope.header', 'a sender under ECDH-ES', 'skid')
  }
  const named = textStrict(apu)
  if (named === undefined || named === '') return fault('envelope.header', 'apu is missing', 'apu')
  if (head.skid !== undefined && head.skid !== named) return fault('envelope.header', 'apu is not skid', 'apu')
  return { apu, apv, skid: named }
}

function readRecipients(
  list: readonly JsonValue[],
  keyLength: number,
): Pick<EnvelopeV2, 'recipients' | 'encryptedKeys'> | Fault {
  const recipients: string[] = []
  const encryptedKeys: Uint8Array[] = []
  for (const one of list as readonly { header: JsonMembers; encrypted_key?: JsonValue }[]) {
    const kid = one.header.kid
    const key = decode(one.encrypted_key)
    if (typeof kid !== 'string' || !kid.includes('#')) return fault('envelope.header', 'kid is missing', 'recipients')
    if (key?.length !== keyLength) return fault('envelope.header', 'encrypted_key is wrong', 'recipients')
    if (recipients.includes(kid)) return fault('envelope.header', 'a recipient occurs twice', 'recipients')
    if (recipients[0] !== undefined && !sameDid(didPart(recipients[0]), didPart(kid))) {
      return fault('envelope.header', 'recipients of more than one DID', 'recipients')
    }
    recipients.push(kid)
    encryptedKeys.push(key)
  }
  return { recipients, encryptedKeys }
}

function readBody(outer: JsonMembers, row: Content): Pick<EnvelopeV2, 'iv' | 'ciphertext' | 'tag'> | Fault {
  const iv = decode(outer.iv)
  const ciphertext = decode(outer.ciphertext)
  const tag = decode(outer.tag)
  if (iv?.length === row.ivLength && tag?.length === row.tagLength && ciphertext !== undefined) {
    return { iv, ciphertext, tag }
  }
  return fault('envelope.unreadable', 'iv, ciphertext or tag is not as enc says')
}

function decode(value: JsonValue | undefined): Uint8Array | undefined {
  return typeof value === 'string' ? fromBase64url(value) : undefined
}

// ---- opening -----------------------------------------------------------------------------------------------

/** The content, opened as recipient number `index` with our secret. `shared` is the static secret with the sender's
 *  key, exactly under authcrypt. Fault `envelope.header` for a wrong apv, `envelope.undecryptable`. */
export function open(
  crypto: Crypto,
  envelope: EnvelopeV2,
  index: number,
  secretKey: Uint8Array,
  shared: Uint8Array | undefined,
): Uint8Array | Fault {
  const { layer, apu, apv, iv, ciphertext, tag } = envelope
  if (!equalBytes(apv, partyV(crypto, envelope.recipients))) {
    return fault('envelope.header', 'apv does not name the recipients', 'apv')
  }
  const ephemeral = crypto.x25519(secretKey, envelope.epk)
  if (ephemeral === undefined) return fault('envelope.undecryptable', 'epk is of low order', 'epk')
  const fixed = shared === undefined ? undefined : { shared, tag }
  const key = keyEncryptionKey(crypto, algBytes[layer], apu, apv, ephemeral, fixed)
  const row = contents[envelope.enc]
  const contentKey = crypto.a256kwUnwrap(key, envelope.encryptedKeys[index]!)
  if (contentKey?.length !== row.keyLength) return fault('envelope.undecryptable', 'the content key does not unwrap')
  const content = crypto[row.open](contentKey, iv, { ciphertext, tag }, utf8(envelope.protected))
  crypto.wipe(contentKey)
  return content ?? fault('envelope.undecryptable', 'the content does not authenticate')
}
