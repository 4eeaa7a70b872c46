// JSON Web Signatures (RFC 7515, RFC 8037) as DIDComm needs them: EdDSA with Ed25519 only, in compact, general and
// flattened form. The key's type fixes the algorithm, never the header: `none`, HS* and the rest are refused, and so
// are `crit`, names that occur in two headers and, outside of attachments, keys or certificates a header points to.

import { base64url, equalBytes, fromBase64url, utf8 } from './bytes.ts'
import type { Crypto } from './crypto.ts'
import { type Fault, fault, isFault } from './fault.ts'
import { isMembers, type JsonMembers, type JsonValue, readHeader } from './json.ts'

/** One signature, its headers read and checked, not yet verified. */
export interface Signature {
  readonly header: JsonMembers
  /** Every key named: `kid` of both headers and of an embedded `jwk`, without repetition. */
  readonly kids: readonly string[]
  /** The embedded Ed25519 key, which must equal the one used. */
  readonly jwk?: Uint8Array
  readonly signed: Uint8Array
  readonly signature: Uint8Array
}

export interface Jws {
  readonly payload: Uint8Array
  readonly signatures: readonly Signature[]
}

/** The bytes signed by the key named `kid`. */
export type Sign = (bytes: Uint8Array) => Uint8Array

const maxSignatures = 8
const forbidden = ['crit', 'b64', 'zip']

/** Keys that a header brings or points to. They are never used; RFC 0017 lets attachments carry them. */
const foreignKeys = ['jku', 'x5u', 'x5c', 'x5t', 'x5t#S256']

// ---- writing -----------------------------------------------------------------------------------------------

/** `{protected, signature}` over the payload; `header` must hold `alg: 'EdDSA'`. */
export function signDetached(sign: Sign, header: JsonMembers, payload: Uint8Array) {
  const head = base64url(utf8(JSON.stringify(header)))
  const body = base64url(payload)
  return { protected: head, payload: body, signature: base64url(sign(utf8(`${head}.${body}`))) }
}

/** RFC 7515 7.1, `header.payload.signature`. */
export function signCompact(sign: Sign, header: JsonMembers, payload: Uint8Array): string {
  const made = signDetached(sign, header, payload)
  return `${made.protected}.${made.payload}.${made.signature}`
}

/** RFC 7515 7.2.1 with one signature and `kid` in the unprotected header, the form DIDComm v2 messages have. */
export function signGeneral(sign: Sign, kid: string, header: JsonMembers, payload: Uint8Array): JsonMembers {
  const made = signDetached(sign, header, payload)
  return {
    payload: made.payload,
    signatures: [{ protected: made.protected, signature: made.signature, header: { kid } }],
  }
}

/** RFC 7515 7.2.2. */
export function signFlattened(sign: Sign, kid: string, header: JsonMembers, payload: Uint8Array): JsonMembers {
  const made = signDetached(sign, header, payload)
  return { payload: made.payload, protected: made.protected, signature: made.signature, header: { kid } }
}

// ---- reading -----------------------------------------------------------------------------------------------

/** Compact text, or the object of the general or flattened form. `detached` is the payload's base64url when it stands
 *  elsewhere (signed attachments: keys that their headers point to are ignored). Fault `jws.malformed`, `jws.header`,
 *  `jws.unsupported_algorithm` or `jws.crit`. */
export function readJws(source: JsonValue, detached?: string): Jws | Fault {
  const parts = typeof source === 'string' ? compactParts(source) : source
  if (!isMembers(parts)) return fault('jws.malformed', 'not a JWS')
  if (detached !== undefined && parts.payload !== undefined) return fault('jws.malformed', 'two payloads', 'payload')
  const body = detached ?? parts.payload
  const payload = decode(body)
  if (typeof body !== 'string' || payload === undefined) return fault('jws.malformed', 'not base64url', 'payload')
  const list = parts.signatures === undefined ? [parts] : parts.signatures
  if (!Array.isArray(list) || list.length === 0 || list.length > maxSignatures) {
    return fault('jws.malformed', 'no signature, or too many', 'signatures')
  }
  if (list[0] !== parts && (parts.signature !== undefined || parts.protected !== undefined)) {
    return fault('jws.malformed', 'general and flattened form mixed')
  }
  const signatures: Signature[] = []
  for (const one of list) {
    const read = readSignature(one, body, detached === undefined ? [...forbidden, ...foreignKeys] : forbidden)
    if (isFault(read)) return read
    signatures.push(read)
  }
  return { payload, signatures }
}

/** Verifies every signature. `keyOf` gives the raw Ed25519 key of a key name; all names of one signature, and an
 *  embedded `jwk`, must stand for the same key. Gives the first name of each signature, or the first Fault. */
export function verifyJws(crypto: Crypto, jws: Jws, keyOf: (kid: string) => Uint8Array | Fault): string[] | Fault {
  const signers: string[] = []
  for (const one of jws.signatures) {
    const kid = one.kids[0]
    if (kid === undefined) return fault('jws.header', 'no kid', 'kid')
    const key = oneKey(one, keyOf)
    if (isFault(key)) return key
    if (!crypto.ed25519Verify(key, one.signature, one.signed))
      return fault('jws.signature', 'signature does not verify')
    signers.push(kid)
  }
  return signers
}

function oneKey(one: Signature, keyOf: (kid: string) => Uint8Array | Fault): Uint8Array | Fault {
  let key = one.jwk
  for (const kid of one.kids) {
    const found = keyOf(kid)
    if (isFault(found)) return found
    if (key !== undefined && !equalBytes(key, found)) return fault('jws.header', 'kid and jwk disagree', 'kid')
    key = found
  }
  return key ?? fault('jws.header', 'no kid', 'kid')
}

function compactParts(source: string): JsonMembers | undefined {
  const [head, payload, signature, more] = source.split('.', 4)
  if (head === undefined || payload === undefined || signature === undefined || more !== undefined) return undefined
  return { protected: head, payload, signature }
}

function readSignature(one: JsonValue, body: string, refused: readonly string[]): Signature | Fault {
  if (!isMembers(one)) return fault('jws.malformed', 'not an object', 'signatures')
  const read = readHeader(one.protected)
  if ('fault' in read) return fault('jws.malformed', read.message, 'protected')
  const unprotected = one.header ?? {}
  if (!isMembers(unprotected)) return fault('jws.malformed', 'not an object', 'header')
  const wrong = checkHeaders(read.value, unprotected, refused)
  if (wrong !== undefined) return wrong
  const signature = decode(one.signature)
  if (signature?.length !== 64) return fault('jws.malformed', 'not an Ed25519 signature', 'signature')
  const jwk = read.value.jwk ?? unprotected.jwk
  const key = jwk === undefined ? undefined : jwkKey(jwk)
  if (isFault(key)) return key
  const kids = kidsOf(unprotected.kid, read.value.kid, namedKid(jwk))
  if (isFault(kids)) return kids
  const signed = utf8(`${one.protected as string}.${body}`)
  const found = { header: read.value, kids, signed, signature }
  return key === undefined ? found : { ...found, jwk: key }
}

// `kid` in both headers is what Aries agents write; every other name must stand in one header only (RFC 7515 4).
function checkHeaders(head: JsonMembers, unprotected: JsonMembers, refused: readonly string[]): Fault | undefined {
  for (const name of refused) {
    if (!Object.hasOwn(head, name) && !Object.hasOwn(unprotected, name)) continue
    return fault(name === 'crit' ? 'jws.crit' : 'jws.header', `header ${name} is refused`, name)
  }
  for (const name of Object.keys(unprotected)) {
    if (name !== 'kid' && Object.hasOwn(head, name)) return fault('jws.header', 'a name stands in two headers', name)
  }
  if (head.alg !== 'EdDSA') return fault('jws.unsupported_algorithm', 'only EdDSA is verified', 'alg')
  return undefined
}

function kidsOf(...found: (JsonValue | undefined)[]): string[] | Fault {
  const kids: string[] = []
  for (const kid of found) {
    if (kid === undefined) continue
    if (typeof kid !== 'string' || kid === '') return fault('jws.header', 'kid is not a text', 'kid')
    if (!kids.includes(kid)) kids.push(kid)
  }
  return kids
}

// Credo writes an internal id as the jwk's kid: it names no key. A DID there must agree with the others.
function namedKid(jwk: JsonValue | undefined): JsonValue | undefined {
  const kid = isMembers(jwk) ? jwk.kid : undefined
  return typeof kid === 'string' && !kid.startsWith('did:') ? undefined : kid
}

// The raw key of an Ed25519 public JWK (RFC 8037 2).
function jwkKey(jwk: JsonValue): Uint8Array | Fault {
  const key = isMembers(jwk) && jwk.kty === 'OKP' && jwk.crv === 'Ed25519' ? decode(jwk.x) : undefined
  return key?.length === 32 ? key : fault('jws.header', 'not an Ed25519 key', 'jwk')
}

function decode(text: JsonValue | undefined): Uint8Array | undefined {
  return typeof text === 'string' ? fromBase64url(text) : undefined
}
