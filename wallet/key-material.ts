// The public key of a verification method in any spelling that DID documents use: publicKeyMultibase,
// publicKeyBase58 and publicKeyJwk (DID Core 5.2.1, RFC 8037, RFC 7518 6.2), typed by the suite or by the key itself.

import { concat, fromBase58, fromBase64url } from './bytes.ts'
import { type Fault, fault } from './fault.ts'
import { decodeMultikey, fromMultibase, type PublicKey, soundKey } from './multikey.ts'

type Members = { readonly [member: string]: unknown }
type NamedType = Parameters<typeof soundKey>[0]

const suites: Readonly<Record<string, NamedType>> = {
  Ed25519VerificationKey2018: 'Ed25519',
  Ed25519VerificationKey2020: 'Ed25519',
  X25519KeyAgreementKey2019: 'X25519',
  X25519KeyAgreementKey2020: 'X25519',
  EcdsaSecp256k1VerificationKey2019: 'secp256k1',
  P256Key2021: 'P-256',
  P384Key2021: 'P-384',
  P521Key2021: 'P-521',
}

// Bytes of a coordinate.
const curves: Readonly<Record<string, number>> = { 'P-256': 32, 'P-384': 48, 'P-521': 66, secp256k1: 32 }

const unknownKey: PublicKey = { type: 'other', publicKey: new Uint8Array(0) }
const unsound = (place: string) => fault('key.malformed', 'public key is malformed or of small order', place)

/** The key of a method; `other` for kinds the wallet does not know; a Fault for a malformed or unsafe key. */
export function keyOfMethod(method: Members): PublicKey | Fault {
  const suite = typeof method.type === 'string' ? suites[method.type] : undefined
  const { publicKeyMultibase, publicKeyBase58, publicKeyJwk } = method
  if (typeof publicKeyMultibase === 'string') return multibaseKey(publicKeyMultibase, suite)
  if (typeof publicKeyBase58 === 'string') return rawKey(publicKeyBase58, suite)
  if (typeof publicKeyJwk === 'object' && publicKeyJwk !== null) return keyOfJwk(publicKeyJwk as Members)
  return unknownKey
}

function multibaseKey(text: string, suite: NamedType | undefined): PublicKey | Fault {
  const key = decodeMultikey(text)
  if (key !== undefined) return key
  const bytes = fromMultibase(text)
  if (bytes === undefined) return unsound('publicKeyMultibase')
  // Early documents put the bare key behind the suite's name; a key type that is not known is nobody's fault.
  const bare = suite === undefined ? undefined : soundKey(suite, bytes)
  if (bare !== undefined) return bare
  return suite === undefined && !knownPrefix(bytes)
    ? { type: 'other', publicKey: bytes }
    : unsound('publicKeyMultibase')
}

function knownPrefix(bytes: Uint8Array): boolean {
  const [first, second] = bytes
  if (second === 0x01) return first === 0xed || first === 0xec || first === 0xe7
  return second === 0x24 && first !== undefined && first >= 0x80 && first <= 0x82
}

function rawKey(text: string, suite: NamedType | undefined): PublicKey | Fault {
  const bytes = text.length > 4096 ? undefined : fromBase58(text)
  if (bytes === undefined) return unsound('publicKeyBase58')
  if (suite === undefined) return { type: 'other', publicKey: bytes }
  return soundKey(suite, bytes) ?? unsound('publicKeyBase58')
}

/** The key of a public JWK; EC points are compressed, and whoever uses them checks that they lie on the curve. */
function keyOfJwk(jwk: Members): PublicKey | Fault {
  const { kty, crv } = jwk
  if (kty === 'OKP' && (crv === 'Ed25519' || crv === 'X25519')) {
    const x = member(jwk.x, 32)
    return (x && soundKey(crv, x)) ?? unsound('publicKeyJwk')
  }
  if (kty !== 'EC' || typeof crv !== 'string') return unknownKey
  const size = curves[crv]
  if (size === undefined) return unknownKey
  const [x, y] = [member(jwk.x, size), member(jwk.y, size)]
  if (x === undefined || y === undefined) return unsound('publicKeyJwk')
  return { type: crv as NamedType, publicKey: concat(Uint8Array.of(2 + (y[size - 1]! & 1)), x) }
}

function member(value: unknown, size: number): Uint8Array | undefined {
  const bytes = typeof value === 'string' && value.length <= 128 ? fromBase64url(value) : undefined
  return bytes?.length === size ? bytes : undefined
}
