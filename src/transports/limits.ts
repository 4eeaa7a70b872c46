// What an edge takes before it says no: sizes, JSON depth, refused requests a second and address (contract 4, "Limits").
// Accepted mail is limited by the pico's queue alone; only refusals are rationed here.

import { z } from 'zod'

const count = (standard: number) => z.number().int().positive().default(standard)

/** `PICOMESH_LIMITS`, every member optional. Bytes, levels, per second and address, records, days, ids. */
export const limitsSchema = z.strictObject({
  envelope_bytes: count(1_048_576),
  event_bytes: count(1_048_576),
  json_depth: count(64),
  header_bytes: count(16_384),
  refused_per_second: count(200),
  queue: count(10_000),
  dedupe_days: count(7),
  dedupe_ids: count(1_000_000),
})
export type Limits = z.infer<typeof limitsSchema>

export const STANDARD_LIMITS: Limits = limitsSchema.parse({})

const QUOTE = 0x22
const BACKSLASH = 0x5c

/**
 * Is the nesting of this JSON text at most `levels` deep? Looks at brackets outside strings only, before any parser
 * recurses; text that is no JSON gives any answer.
 */
export function withinDepth(json: Uint8Array, levels: number): boolean {
  let depth = 0
  let inString = false
  for (let i = 0; i < json.length; i++) {
    const byte = json[i]
    if (inString) {
      if (byte === BACKSLASH) i++
      else if (byte === QUOTE) inString = false
    } else if (byte === QUOTE) inString = true
    else if (byte === 0x7b || byte === 0x5b) {
      if (++depth > levels) return false
    } else if (byte === 0x7d || byte === 0x5d) depth--
  }
  return true
}

/** Addresses remembered at a time; an attacker with more of them is a matter for the network in front. */
const ADDRESSES = 10_000

/** Counts refused requests by address and second. Whoever is exhausted is still heard: see `rationed` in http.ts. */
export class RefusalMeter {
  readonly #perSecond: number
  readonly #now: () => number
  readonly #windows = new Map<string, { second: number; refused: number }>()

  /** `now` in milliseconds. */
  constructor(perSecond: number, now: () => number) {
    this.#perSecond = perSecond
    this.#now = now
  }

  /** True when this address has used up its refusals of the current second. */
  exhausted(address: string): boolean {
    const window = this.#windows.get(source(address))
    return window !== undefined && window.second === this.#second() && window.refused >= this.#perSecond
  }

  refused(address: string): void {
    const key = source(address)
    const second = this.#second()
    const window = this.#windows.get(key)
    if (window?.second === second) {
      window.refused++
      return
    }
    this.#windows.delete(key)
    this.#windows.set(key, { second, refused: 1 })
    if (this.#windows.size > ADDRESSES)
      for (const oldest of this.#windows.keys()) return void this.#windows.delete(oldest)
  }

  #second(): number {
    return Math.floor(this.#now() / 1000)
  }
}

/** One IPv6 customer holds a /64: its addresses count as one. */
function source(address: string): string {
  if (!address.includes(':') || address.startsWith('::ffff:')) return address
  const [head = '', tail] = address.split('::')
  const groups = head.split(':').filter(Boolean)
  const missing = tail === undefined ? 0 : 8 - groups.length - tail.split(':').filter(Boolean).length
  return [...groups, ...Array<string>(missing).fill('0')].slice(0, 4).join(':')
}
