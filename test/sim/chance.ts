// Chance from a seed: xoshiro128** (Blackman and Vigna, public domain), one stream per use, so that a change in what one
// part draws leaves the others as they were.

export class Chance {
  private a: number
  private b: number
  private c: number
  private d: number

  /** `stream` tells uses of one seed apart. */
  constructor(seed: number, stream: string) {
    // FNV-1a over the name and the seed, then splitmix32: nearby seeds give streams that have nothing in common.
    let state = 0x811c9dc5
    for (const code of [...`${seed}/${stream}`].map(character => character.charCodeAt(0)))
      state = Math.imul(state ^ code, 0x01000193)
    const next = () => {
      state = (state + 0x9e3779b9) | 0
      let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad)
      mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97)
      return mixed ^ (mixed >>> 15)
    }
    this.a = next()
    this.b = next()
    this.c = next()
    this.d = next() | 1
  }

  /** 32 bits, unsigned. */
  word(): number {
    const product = Math.imul(this.b, 5)
    const result = Math.imul((product << 7) | (product >>> 25), 9)
    const shifted = this.b << 9
    this.c ^= this.a
    this.d ^= this.b
    this.b ^= this.c
    this.a ^= this.d
    this.c ^= shifted
    this.d = (this.d << 11) | (this.d >>> 21)
    return result >>> 0
  }

  /** At least `from`, less than `to`. */
  between(from: number, to: number): number {
    return from + Math.floor((this.word() / 0x1_0000_0000) * (to - from))
  }

  /** True in this share of cases. */
  happens(share: number): boolean {
    return this.word() < share * 0x1_0000_0000
  }

  pick<T>(from: readonly T[]): T {
    return from[this.between(0, from.length)] as T
  }

  bytes(length: number): Uint8Array {
    const out = Buffer.allocUnsafe(length)
    for (let i = 0; i < length; i += 4) {
      const word = this.word()
      for (let j = 0; j < 4 && i + j < length; j++) out[i + j] = word >>> (8 * j)
    }
    return out
  }
}
