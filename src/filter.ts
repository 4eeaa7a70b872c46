// pure
// A Bloom filter: what was never added is told apart without asking the disk, but for a share of false alarms that
// grows with the number of texts (1 % at 27,000, one half at 110,000). A false alarm costs a look at the disk only.

const BITS = 1 << 18
const PROBES = 4

export class Filter {
  private readonly words = new Uint32Array(BITS / 32)

  add(text: string): void {
    let [at, step] = hashes(text)
    for (let i = 0; i < PROBES; i++, at = (at + step) >>> 0) this.words[(at % BITS) >>> 5]! |= 1 << (at & 31)
  }

  /** False: it was never added. */
  may(text: string): boolean {
    let [at, step] = hashes(text)
    for (let i = 0; i < PROBES; i++, at = (at + step) >>> 0)
      if ((this.words[(at % BITS) >>> 5]! & (1 << (at & 31))) === 0) return false
    return true
  }
}

// Two FNV-1a sums with different seeds; the second is odd, so that all probes differ.
function hashes(text: string): [number, number] {
  let a = 0x811c9dc5
  let b = 0x9747b28c
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    a = Math.imul(a ^ code, 0x01000193)
    b = Math.imul(b ^ code, 0x01000193)
  }
  return [mixed(a), mixed(b) | 1]
}

const mixed = (hash: number): number => {
  const once = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  return (once ^ (once >>> 13)) >>> 0
}
