// The secrets that the head of a didcomm-v2 file prints, as JWK or multibase, and the DID documents that go with them.

import { base64url, fromBase64url, hex } from '../../wallet/bytes.ts'
import type { Crypto, KeyPair } from '../../wallet/crypto.ts'
import type { Keys } from '../../wallet/keys.ts'
import { fromMultibase } from '../../wallet/multikey.ts'
import { fixedKeys } from './keys.ts'

// biome-ignore lint/suspicious/noExplicitAny: vector files are read as they come
type Json = any

export interface Secret {
  readonly kid: string
  readonly jwk: Json
}

// `secrets` of a file by person, or what stands in `keys` beside the documents; a file may have neither.
export function secretsOf(crypto: Crypto, file: Json): Secret[] {
  const groups = Object.values(file.secrets ?? file.keys ?? {}).filter(Array.isArray)
  return groups.flat().map((one: Json) => ({ kid: one.kid ?? one.id, jwk: jwkOf(crypto, one) }))
}

function jwkOf(crypto: Crypto, one: Json): Json {
  const coded = one.privateKeyMultibase === undefined ? undefined : fromMultibase(one.privateKeyMultibase)
  if (coded === undefined) return one.jwk ?? one.privateKeyJwk ?? one
  const crv = PRIVATE_CODECS[hex(coded.subarray(0, 2))]
  const secret = coded.subarray(2, 34)
  if (crv === undefined || secret.length !== 32) return {}
  const { publicKey } = crv === 'X25519' ? crypto.x25519KeyPair(secret) : crypto.ed25519KeyPair(secret)
  return { kty: 'OKP', crv, d: base64url(secret), x: base64url(publicKey) }
}

/** Multicodecs ed25519-priv (0x1300) and x25519-priv (0x1302) as varints; an Ed25519 key may have its public half behind. */
const PRIVATE_CODECS: Readonly<Record<string, string>> = { '8026': 'Ed25519', '8226': 'X25519' }

// The files print documents for some; the others' documents hold the public part of their secrets.
export function documentsOf(file: Json, secrets: Secret[]): Json[] {
  const made = new Map<string, Json>()
  for (const { kid, jwk } of secrets) {
    const id = kid.split('#')[0]!
    const document = made.get(id) ?? { id, verificationMethod: [], authentication: [], keyAgreement: [] }
    const { d: _, kid: __, ...publicKeyJwk } = jwk
    document.verificationMethod.push({ id: kid, type: 'JsonWebKey2020', controller: id, publicKeyJwk })
    document[signs(kid, jwk) ? 'authentication' : 'keyAgreement'].push(kid)
    made.set(id, document)
  }
  const printed = Object.values(file.keys ?? {}).filter((one: Json) => typeof one?.id === 'string')
  return [...made.values(), ...printed]
}

// A key of a NIST curve says by its name alone what it is for.
function signs(kid: string, { crv }: Json): boolean {
  return crv === 'Ed25519' || (crv !== 'X25519' && /#key-\d+$/.test(kid))
}

export function keysOfSecrets(crypto: Crypto, secrets: Secret[], did?: string): Keys {
  const pairs = new Map<string, KeyPair>()
  for (const { kid, jwk } of secrets) {
    if (did !== undefined && !kid.startsWith(`${did}#`)) continue
    const secret = fromBase64url(jwk.d ?? '')!
    if (jwk.crv === 'X25519') pairs.set(kid, crypto.x25519KeyPair(secret))
    if (jwk.crv === 'Ed25519') pairs.set(kid, crypto.ed25519KeyPair(secret))
  }
  return fixedKeys(crypto, pairs)
}
