// Counting what arrived: each thing sent has a key, each receiver counts per key how often it applied it.

export interface Tally {
  readonly sent: number
  readonly arrived: number
  readonly lost: number
  readonly doubled: number
}

/** `counts`: key → how often it was applied, as a ruleset of the receiver says. */
export function tally(sent: Iterable<string>, counts: Readonly<Record<string, number>>): Tally {
  const keys = [...new Set(sent)]
  const times = keys.map(key => counts[key] ?? 0)
  return {
    sent: keys.length,
    arrived: times.filter(n => n > 0).length,
    lost: times.filter(n => n === 0).length,
    doubled: times.filter(n => n > 1).length,
  }
}

/** A repeatable random source for tests that choose instants: mulberry32; numbers in [0, 1). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}
