// HSalsa20 (Bernstein, "Extending the Salsa20 nonce", section 2), with the zero input that NaCl's box uses to turn an
// X25519 secret into a key: sodium-native exports neither the core function nor `crypto_box_beforenm`.

const sigma = [0x61707865, 0x3320646e, 0x79622d32, 0x6b206574]

/** HSalsa20(key, 0^16): 32 bytes from 32. */
export function hsalsa20Zero(key: Uint8Array): Uint8Array {
  const view = new DataView(key.buffer, key.byteOffset, 32)
  const k = (i: number) => view.getUint32(4 * i, true)
  const x = Uint32Array.of(
    sigma[0]!,
    k(0),
    k(1),
    k(2),
    k(3),
    sigma[1]!,
    0,
    0,
    0,
    0,
    sigma[2]!,
    k(4),
    k(5),
    k(6),
    k(7),
    sigma[3]!,
  )
  for (let round = 0; round < 10; round++) doubleRound(x)
  const out = new Uint8Array(32)
  const words = new DataView(out.buffer)
  for (const [i, at] of [0, 5, 10, 15, 6, 7, 8, 9].entries()) words.setUint32(4 * i, x[at]!, true)
  x.fill(0)
  return out
}

function doubleRound(x: Uint32Array): void {
  quarter(x, 0, 4, 8, 12)
  quarter(x, 5, 9, 13, 1)
  quarter(x, 10, 14, 2, 6)
  quarter(x, 15, 3, 7, 11)
  quarter(x, 0, 1, 2, 3)
  quarter(x, 5, 6, 7, 4)
  quarter(x, 10, 11, 8, 9)
  quarter(x, 15, 12, 13, 14)
}

function quarter(x: Uint32Array, a: number, b: number, c: number, d: number): void {
  x[b]! ^= rotated(x[a]! + x[d]!, 7)
  x[c]! ^= rotated(x[b]! + x[a]!, 9)
  x[d]! ^= rotated(x[c]! + x[b]!, 13)
  x[a]! ^= rotated(x[d]! + x[c]!, 18)
}

function rotated(value: number, by: number): number {
  return (value << by) | (value >>> (32 - by))
}
