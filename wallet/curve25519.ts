// Checks and the one conversion that public Curve25519 keys need when a DID document is read (RFC 7748 4.1 and 6.1,
// RFC 8032 5.1.3). All data is public, so BigInt's variable time does not matter.

import { hex } from './bytes.ts'
import { isSquare } from './compressed-point.ts'

const p = 2n ** 255n - 19n
const d = 37095705934669439343138083508754565189542113879843219016388785533085940283555n

// Little-endian, sign bit cleared. Ed25519: the y coordinates of the eight torsion points; X25519: their u.
const order8y = 'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a'
const smallOrderY = new Set([0n, 1n, p - 1n, little(order8y), p - little(order8y)])
const smallOrderU = new Set([
  0n,
  1n,
  p - 1n,
  little('e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800'),
  little('5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157'),
])

function little(text: string): bigint {
  return BigInt(`0x${text.match(/../g)!.reverse().join('')}`)
}

function coordinate(publicKey: Uint8Array): bigint {
  return little(hex(publicKey)) & (2n ** 255n - 1n)
}

/** True for a 32-byte Ed25519 key that is a point, not of small order, with a canonical y. */
export function isSoundEd25519(publicKey: Uint8Array): boolean {
  if (publicKey.length !== 32) return false
  const y = coordinate(publicKey)
  return y < p && !smallOrderY.has(y) && isPoint(y)
}

// x² = (y² - 1) / (d y² + 1), RFC 8032 5.1.3; a quotient is a square when the product is.
function isPoint(y: bigint): boolean {
  const square = (y * y) % p
  return isSquare((square - 1n) * (d * square + 1n), p)
}

/** True for a 32-byte X25519 key whose Diffie-Hellman result is not always zero. */
export function isSoundX25519(publicKey: Uint8Array): boolean {
  return publicKey.length === 32 && !smallOrderU.has(coordinate(publicKey) % p)
}

/** u = (1 + y) / (1 - y) of a sound Ed25519 key. */
export function ed25519PublicToX25519(publicKey: Uint8Array): Uint8Array {
  const y = coordinate(publicKey)
  let u = ((1n + y) * inverse(p + 1n - y)) % p
  const out = new Uint8Array(32)
  for (let i = 0; i < 32; i++, u >>= 8n) out[i] = Number(u & 255n)
  return out
}

// Extended Euclid; `value` is not a multiple of p.
function inverse(value: bigint): bigint {
  let [low, high] = [value % p, p]
  let [x, y] = [1n, 0n]
  while (low > 1n) {
    const quotient = high / low
    ;[low, high] = [high - quotient * low, low]
    ;[x, y] = [y - quotient * x, x]
  }
  return ((x % p) + p) % p
}
