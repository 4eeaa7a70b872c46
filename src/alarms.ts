// One alarm per pico, one timer armed for the earliest of all (DESIGN 4, Drivers). Fires at or after its time, never
// early; on disk an alarm stands until the step it caused is committed, so a crash fires it again.

import type { Clock, PicoId, Store, Write } from './ports.ts'
import { after, alarmKey, endOf, idBytes, PREFIX, readAlarmKey } from './stores/keys.ts'

const PAGE = 1000
const LONGEST_MS = 86_400_000
/** Alarms that no longer stand may lie in the heap up to this many, and as many as do. */
const SLACK = 1024

export class Alarms {
  private readonly clock: Clock
  private readonly fire: (picoId: PicoId, found: boolean) => void
  private readonly times = new Map<PicoId, number>()
  /** Binary heap by time; an entry whose time is no longer the pico's is passed over. */
  private readonly heap: Timed[] = []
  private armed: { at: number; cancel: () => void } | undefined
  private running = false

  constructor(clock: Clock, fire: (picoId: PicoId, found: boolean) => void) {
    this.clock = clock
    this.fire = fire
  }

  /** Reads the alarms of a store page by page and begins to fire. */
  async start(store: Store): Promise<void> {
    this.running = true
    const end = endOf(Uint8Array.of(PREFIX.alarm))
    for (let from: Uint8Array = Uint8Array.of(PREFIX.alarm); this.running; ) {
      const page = await store.range(from, end, PAGE)
      for (const { key } of page) {
        const { at, picoId } = readAlarmKey(key)
        if (!this.times.has(picoId)) this.set(picoId, at, true)
      }
      const last = page.at(-1)
      if (!last || page.length < PAGE) return
      from = after(last.key)
    }
  }

  /** Entries in memory, those included that no longer stand. */
  get size(): number {
    return this.heap.length
  }

  stop(): void {
    this.running = false
    this.armed?.cancel()
    this.armed = undefined
    this.times.clear()
    this.heap.length = 0
  }

  /** Writes that replace a pico's alarm on disk. */
  writes(picoId: PicoId, old: number | null, at: number | null): Write[] {
    const pico = idBytes(picoId)
    const writes: Write[] = []
    if (old !== null && old !== at) writes.push({ key: alarmKey(old, pico), value: undefined })
    if (at !== null) writes.push({ key: alarmKey(at, pico), value: new Uint8Array(0) })
    return writes
  }

  /** The alarm is on disk (null: none). `found`: it lay there at start, so the last engine may have died of it. */
  set(picoId: PicoId, at: number | null, found = false): void {
    if (at === null) {
      this.times.delete(picoId)
      return
    }
    if (this.times.get(picoId) === at) return
    this.times.set(picoId, at)
    push(this.heap, { at, picoId, found })
    if (this.heap.length > 2 * this.times.size + SLACK) this.sweep()
    this.arm()
  }

  // Alarms that were changed or taken back stay in the heap until their time; a pico may change its own at each step.
  private sweep(): void {
    const standing = this.heap.filter(({ at, picoId }) => this.times.get(picoId) === at)
    this.heap.length = 0
    const seen = new Set<PicoId>()
    for (const timed of standing) {
      if (seen.has(timed.picoId)) continue
      seen.add(timed.picoId)
      push(this.heap, timed)
    }
  }

  private arm(): void {
    const first = this.heap[0]
    if (!this.running || !first) return
    if (this.armed) {
      if (this.armed.at <= first.at) return
      this.armed.cancel()
    }
    // Timers of a platform have a longest time; a ring before the time only arms anew.
    const at = Math.min(first.at, this.clock.now() + LONGEST_MS)
    this.armed = { at, cancel: this.clock.wake(at, () => this.ring()) }
  }

  private ring(): void {
    this.armed = undefined
    if (!this.running) return
    const now = this.clock.now()
    for (let first = this.heap[0]; first && first.at <= now; first = this.heap[0]) {
      pop(this.heap)
      if (this.times.get(first.picoId) !== first.at) continue
      this.times.delete(first.picoId)
      this.fire(first.picoId, first.found)
    }
    this.arm()
  }
}

type Timed = { readonly at: number; readonly picoId: PicoId; readonly found: boolean }

function push(heap: Timed[], item: Timed): void {
  let at = heap.push(item) - 1
  for (let up = (at - 1) >> 1; at > 0 && (heap[up] as Timed).at > item.at; up = (at - 1) >> 1) {
    heap[at] = heap[up] as Timed
    at = up
  }
  heap[at] = item
}

function pop(heap: Timed[]): void {
  const item = heap.pop()
  if (!item || heap.length === 0) return
  let at = 0
  for (;;) {
    let down = 2 * at + 1
    if (down >= heap.length) break
    if (down + 1 < heap.length && (heap[down + 1] as Timed).at < (heap[down] as Timed).at) down++
    if ((heap[down] as Timed).at >= item.at) break
    heap[at] = heap[down] as Timed
    at = down
  }
  heap[at] = item
}
