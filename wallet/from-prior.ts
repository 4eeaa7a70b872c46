// `from_prior`, the JWT by which a DID vouches for the one that replaces it (DIDComm Messaging 2.x, "DID Rotation"):
// signed by an authentication key of `iss`, `sub` is the sender of the message that carries it.

import { utf8 } from './bytes.ts'
import type { Crypto } from './crypto.ts'
import { type Fault, fault, isFault } from './fault.ts'
import { type JsonMembers, readJsonObject } from './json.ts'
import { readJws, type Sign, signCompact, verifyJws } from './jws.ts'
import { didPart, keyOf, type Resolve, sameDid } from './keys.ts'
import { isMediaType } from './plaintext.ts'

export interface FromPrior {
  /** The DID given up. */
  readonly iss: string
  /** The DID that replaces it. */
  readonly sub: string
  /** Seconds. */
  readonly iat?: number
}

const maxLength = 16_384

/** A `from_prior` signed by `kid`, a key under `authentication` of `iss`. */
export function makeFromPrior(sign: Sign, kid: string, claims: FromPrior): string {
  const { iss, sub, iat } = claims
  const payload = iat === undefined ? { iss, sub } : { iss, sub, iat }
  return signCompact(sign, { typ: 'JWT', alg: 'EdDSA', kid }, utf8(JSON.stringify(payload)))
}

/** Verifies a `from_prior`. `from` is the sender of the message and must be `sub`; `now` in seconds checks `exp` and
 *  `nbf`. Fault `message.forged_from_prior`, or the resolver's when the document of `iss` is not at hand. */
export function verifyFromPrior(
  crypto: Crypto,
  resolve: Resolve,
  jwt: unknown,
  expected: { readonly from?: string; readonly now?: number } = {},
): (FromPrior & { readonly kid: string }) | Fault {
  if (typeof jwt !== 'string' || jwt.length > maxLength) return forged('not a JWT')
  const jws = readJws(jwt)
  if (isFault(jws)) return forged(jws.message)
  const claims = readJsonObject(jws.payload, { maxDepth: 8 })
  const header = jws.signatures[0]!.header
  if (isFault(claims) || (header.typ !== undefined && !isMediaType(header.typ, 'jwt'))) return forged('not a JWT')
  const read = readClaims(claims.value, expected.now)
  if (isFault(read)) return read
  if (expected.from !== undefined && !sameDid(read.sub, expected.from)) return forged('sub is not the sender')
  let unresolved: Fault | undefined
  const signers = verifyJws(crypto, jws, kid => {
    if (!sameDid(didPart(kid), read.iss)) return forged('kid is not a key of iss')
    const key = keyOf(resolve, kid, 'authentication', 'Ed25519')
    if (isFault(key) && key.code.startsWith('did.')) unresolved = key
    return key
  })
  if (unresolved !== undefined) return unresolved
  return isFault(signers) ? forged(signers.message) : { ...read, kid: signers[0]! }
}

function readClaims(claims: JsonMembers, now: number | undefined): FromPrior | Fault {
  const { iss, sub, iat, exp, nbf } = claims
  if (!isDidText(iss) || !isDidText(sub)) return forged('iss and sub must be DIDs')
  if (sameDid(iss, sub)) return forged('iss and sub are the same DID')
  for (const time of [iat, exp, nbf]) {
    if (time !== undefined && typeof time !== 'number') return forged('a time that is not a number')
  }
  if (now !== undefined && typeof exp === 'number' && exp <= now) return forged('expired')
  if (now !== undefined && typeof nbf === 'number' && nbf > now) return forged('not valid yet')
  return typeof iat === 'number' ? { iss, sub, iat } : { iss, sub }
}

function isDidText(value: unknown): value is string {
  return typeof value === 'string' && value.startsWith('did:') && !value.includes('#')
}

function forged(message: string): Fault {
  return fault('message.forged_from_prior', message, 'from_prior')
}
