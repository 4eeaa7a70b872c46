// Multikeys: a public key as multibase text behind its multicodec (Controlled Identifiers 2.2.2, did:key 2.1).
// Wrong lengths, keys that are no points and Curve25519 keys that cannot keep a secret are refused here, so every DID
// method refuses them.

import { base58, concat, fromBase58, fromBase64url, hex } from './bytes.ts'
import { isCompressedPoint } from './compressed-point.ts'
import { isSoundEd25519, isSoundX25519 } from './curve25519.ts'
import type { KeyType } from './did-document.ts'
import { Memo } from './memo.ts'

export interface PublicKey {
  readonly type: KeyType
  /** Raw key, compressed point for the NIST curves and secp256k1. `other`: with its multicodec prefix. */
  readonly publicKey: Uint8Array
}

type NamedType = Exclude<KeyType, 'other'>

// Prefix as unsigned varint of the multicodec; length in bytes of the key behind it.
const codecs: Readonly<Record<NamedType, { readonly prefix: string; readonly length: number }>> = {
  Ed25519: { prefix: 'ed01', length: 32 },
  X25519: { prefix: 'ec01', length: 32 },
  secp256k1: { prefix: 'e701', length: 33 },
  'P-256': { prefix: '8024', length: 33 },
  'P-384': { prefix: '8124', length: 49 },
  'P-521': { prefix: '8224', length: 67 },
}
const types = new Map(Object.entries(codecs).map(([type, { prefix }]) => [prefix, type as NamedType]))

// BLS12-381 G1, G2, both, and RSA: documents that name them resolve, the wallet does not use them.
const foreign = new Set(['ea01', 'eb01', 'ee01', '8524'])

/** The multikey text, base58btc. Throws on a wrong length (our bug). */
export function encodeMultikey(type: NamedType, publicKey: Uint8Array): string {
  const { prefix, length } = codecs[type]
  if (publicKey.length !== length) throw new Error(`${type} public key must be ${length} bytes`)
  const [first, second] = [prefix.slice(0, 2), prefix.slice(2)].map(byte => Number.parseInt(byte, 16))
  return `z${base58(concat(Uint8Array.of(first!, second!), publicKey))}`
}

// One resolution reads the same text two or three times, and each asks whether it is a point.
const decoded = new Memo<PublicKey>(256, { maxKeyChars: 64_000 })

/** The key of a multikey text (base58btc `z` or base64url `u`), or undefined when it is not a usable key. */
export function decodeMultikey(text: string): PublicKey | undefined {
  const known = decoded.get(text)
  if (known !== undefined) return known
  const key = readMultikey(text)
  if (key !== undefined) decoded.set(text, key)
  return key
}

function readMultikey(text: string): PublicKey | undefined {
  const bytes = fromMultibase(text)
  if (bytes === undefined || bytes.length < 3) return undefined
  const prefix = hex(bytes.subarray(0, 2))
  if (foreign.has(prefix)) return { type: 'other', publicKey: bytes }
  const type = types.get(prefix)
  return type === undefined ? undefined : soundKey(type, bytes.subarray(2))
}

/** The key when its length is right, it is a point of its curve and, on Curve25519, not of small order. */
export function soundKey(type: NamedType, publicKey: Uint8Array): PublicKey | undefined {
  if (publicKey.length !== codecs[type].length) return undefined
  return isSound(type, publicKey) ? { type, publicKey } : undefined
}

function isSound(type: NamedType, publicKey: Uint8Array): boolean {
  if (type === 'Ed25519') return isSoundEd25519(publicKey)
  return type === 'X25519' ? isSoundX25519(publicKey) : isCompressedPoint(type, publicKey)
}

/** Bytes of a multibase text in one of the two encodings that DID documents use, at most 4,096 characters. */
export function fromMultibase(text: string): Uint8Array | undefined {
  if (text.length > 4096) return undefined
  if (text.startsWith('z')) return fromBase58(text.slice(1))
  return text.startsWith('u') ? fromBase64url(text.slice(1)) : undefined
}
