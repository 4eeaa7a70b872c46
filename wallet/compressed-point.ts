// Is a compressed public key a point of its curve? (SEC 1 2.3.4; constants of SEC 2 and FIPS 186-4.) did:key wants
// `invalidPublicKey` for one that is not. All data is public, so BigInt's variable time does not matter.

import { hex } from './bytes.ts'

interface Curve {
  /** Of the field. */
  readonly p: bigint
  readonly a: bigint
  readonly b: bigint
}

const p256 = 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n
const p384 = 2n ** 384n - 2n ** 128n - 2n ** 96n + 2n ** 32n - 1n

const curves: Readonly<Record<string, Curve>> = {
  secp256k1: { p: 2n ** 256n - 2n ** 32n - 977n, a: 0n, b: 7n },
  'P-256': { p: p256, a: -3n, b: 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn },
  'P-384': {
    p: p384,
    a: -3n,
    b: 0xb3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aefn,
  },
  'P-521': {
    p: 2n ** 521n - 1n,
    a: -3n,
    b: 0x51953eb9618e1c9a1f929a21a0b68540eea2da725b99b315f3b8b489918ef109e156193951ec7e937b1652c0bd3bb1bf073573df883d2c34f1ef451fd46b503f00n,
  },
}

/** True for `02` or `03` and an x that lies on the curve `type`. */
export function isCompressedPoint(type: string, publicKey: Uint8Array): boolean {
  const curve = curves[type]
  if (curve === undefined || (publicKey[0] !== 2 && publicKey[0] !== 3)) return false
  const x = BigInt(`0x${hex(publicKey.subarray(1))}`)
  return x < curve.p && isSquare(x ** 3n + curve.a * x + curve.b, curve.p)
}

/** Is `value` a square modulo the odd prime `p`? The Jacobi symbol by quadratic reciprocity: as fast as an inverse,
 *  where Euler's criterion would cost a power. */
export function isSquare(value: bigint, p: bigint): boolean {
  let [low, high] = [((value % p) + p) % p, p]
  let sign = 1
  while (low > 0n) {
    const twos = trailingZeros(low)
    if (twos > 0) low >>= BigInt(twos)
    // The lowest bits decide: of 2 its power and `high` modulo 8, of the exchange both modulo 4.
    const [bits, lowBits] = [Number(high & 7n), Number(low & 7n)]
    if (twos % 2 === 1 && (bits === 3 || bits === 5)) sign = -sign
    if ((lowBits & 1) === 0) continue
    if ((lowBits & bits & 3) === 3) sign = -sign
    ;[low, high] = [high % low, low]
  }
  return sign === 1
}

// At most 30: whoever wants all of them asks again.
function trailingZeros(value: bigint): number {
  const bits = Number(BigInt.asUintN(30, value))
  return bits === 0 ? 30 : 31 - Math.clz32(bits & -bits)
}
