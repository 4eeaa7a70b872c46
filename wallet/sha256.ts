// SHA-256 (FIPS 180-4 6.2) for public data: the hashes inside did:peer:3 and did:peer:4. Reading a DID stays a pure,
// synchronous function without a handle on primitives; everything keyed or hot goes through `Crypto`.

const bits = 2 ** 32
const primes = [...Array(312).keys()].slice(2).filter(n => [...Array(n).keys()].slice(2).every(d => n % d !== 0))
const fraction = (root: number) => Math.floor((root - Math.floor(root)) * bits) >>> 0
const roundConstants = Uint32Array.from(primes.slice(0, 64), prime => fraction(Math.cbrt(prime)))
const initial = Uint32Array.from(primes.slice(0, 8), prime => fraction(Math.sqrt(prime)))

/** 32 bytes. */
export function sha256(data: Uint8Array): Uint8Array {
  const padded = pad(data)
  const view = new DataView(padded.buffer)
  const state = initial.slice()
  const schedule = new Uint32Array(64)
  for (let at = 0; at < padded.length; at += 64) {
    for (let i = 0; i < 16; i++) schedule[i] = view.getUint32(at + 4 * i)
    compress(state, schedule)
  }
  const out = new Uint8Array(32)
  const words = new DataView(out.buffer)
  state.forEach((word, i) => {
    words.setUint32(4 * i, word)
  })
  return out
}

function pad(data: Uint8Array): Uint8Array {
  const padded = new Uint8Array((Math.floor((data.length + 8) / 64) + 1) * 64)
  padded.set(data)
  padded[data.length] = 0x80
  const view = new DataView(padded.buffer)
  view.setUint32(padded.length - 8, Math.floor((data.length * 8) / bits))
  view.setUint32(padded.length - 4, (data.length * 8) >>> 0)
  return padded
}

function compress(state: Uint32Array, w: Uint32Array): void {
  for (let i = 16; i < 64; i++) {
    const early = w[i - 15]!
    const late = w[i - 2]!
    const small0 = right(early, 7) ^ right(early, 18) ^ (early >>> 3)
    const small1 = right(late, 17) ^ right(late, 19) ^ (late >>> 10)
    w[i] = w[i - 16]! + small0 + w[i - 7]! + small1
  }
  let [a, b, c, d, e, f, g, h] = state as unknown as [number, number, number, number, number, number, number, number]
  for (let i = 0; i < 64; i++) {
    const big1 = right(e, 6) ^ right(e, 11) ^ right(e, 25)
    const t1 = (h + big1 + ((e & f) ^ (~e & g)) + roundConstants[i]! + w[i]!) | 0
    const t2 = ((right(a, 2) ^ right(a, 13) ^ right(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0
    h = g
    g = f
    f = e
    e = (d + t1) | 0
    d = c
    c = b
    b = a
    a = (t1 + t2) | 0
  }
  for (const [i, word] of [a, b, c, d, e, f, g, h].entries()) state[i]! += word
}

function right(value: number, by: number): number {
  return (value >>> by) | (value << (32 - by))
}
