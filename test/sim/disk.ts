// A disk that a process can lose its power over. Writes end in order after a while; those that no finished sync covers
// are there after a crash up to some point, the next is torn and dropped whole, as LevelDB recovers its log.

import type { Store, Write } from '../../src/ports.ts'
import type { Chance } from './chance.ts'
import type { Time } from './time.ts'

interface Entry {
  readonly writes: readonly Write[]
  readonly sync: boolean
  /** What the keys held before; there once the write is in memory. */
  undo: readonly Write[] | undefined
}

const name = (key: Uint8Array): string => Buffer.from(key.buffer, key.byteOffset, key.length).toString('latin1')
// Not slice: that of a Buffer is a view.
const copy = (value: Uint8Array | undefined) => value && Uint8Array.from(value)
const bytes = (key: string): Uint8Array => Buffer.from(key, 'latin1')

export class Disk {
  private readonly time: Time
  private readonly chance: Chance
  private readonly records = new Map<string, Uint8Array>()
  private readonly order: string[] = []
  /** Not covered by a finished sync, in order; those in memory first. */
  private uncovered: Entry[] = []
  private free = 0
  private failing = 0

  constructor(time: Time, chance: Chance) {
    this.time = time
    this.chance = chance
  }

  /** The store as one process sees it; `alive` says whether that process still is, `fault` makes what a failure throws. */
  store(alive: () => boolean, fault: () => Error): Store {
    return {
      open: async () => undefined,
      get: key => copy(this.records.get(name(key))),
      range: (gte, lt, limit) => this.soon(alive, () => this.range(gte, lt, limit)),
      write: (writes, sync) => this.write(alive, fault, writes, sync),
      compact: async () => undefined,
      close: async () => undefined,
    }
  }

  /** The next so many synced writes fail. */
  fail(writes: number): void {
    this.failing = writes
  }

  /** The power goes. Nothing of the old process reaches the disk any more. How many writes were lost. */
  cut(): number {
    const kept = this.chance.pick([0, this.uncovered.length, this.chance.between(0, this.uncovered.length + 1)])
    for (const { undo } of this.uncovered.slice(kept).reverse()) if (undo) this.apply(undo)
    for (const { writes, undo } of this.uncovered.slice(0, kept)) if (!undo) this.apply(writes)
    const lost = this.uncovered.length - kept
    this.uncovered = []
    this.free = 0
    return lost
  }

  private write(alive: () => boolean, fault: () => Error, writes: readonly Write[], sync: boolean): Promise<void> {
    if (!alive()) return never()
    if (sync && this.failing > 0) {
      this.failing--
      return this.soon(alive, () => {
        throw fault()
      })
    }
    const copies = writes.map(({ key, value }) => ({ key: Uint8Array.from(key), value: copy(value) }))
    const entry: Entry = { writes: copies, sync, undo: undefined }
    this.uncovered.push(entry)
    this.free = Math.max(this.free, this.time.now) + (sync ? this.chance.between(1, 8) : 0)
    return new Promise(resolve =>
      this.time.at(this.free, () => {
        if (!alive()) return
        entry.undo = this.apply(copies)
        if (sync) this.uncovered.splice(0, this.uncovered.indexOf(entry) + 1)
        resolve()
      }),
    )
  }

  /** Now, or after a while: both happen on a disk. */
  private soon<T>(alive: () => boolean, read: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      const run = () => {
        if (!alive()) return
        try {
          resolve(read())
        } catch (error) {
          reject(error)
        }
      }
      if (this.chance.happens(0.9)) run()
      else this.time.after(this.chance.between(0, 5), run)
    })
  }

  private range(
    gte: Uint8Array,
    lt: Uint8Array,
    limit = Number.POSITIVE_INFINITY,
  ): { key: Uint8Array; value: Uint8Array }[] {
    const end = name(lt)
    const found: { key: Uint8Array; value: Uint8Array }[] = []
    for (let i = this.place(name(gte)); i < this.order.length && found.length < limit; i++) {
      const key = this.order[i] as string
      if (key >= end) break
      found.push({ key: bytes(key), value: Uint8Array.from(this.records.get(key) as Uint8Array) })
    }
    return found
  }

  private apply(writes: readonly Write[]): Write[] {
    const undo: Write[] = []
    for (const { key, value } of writes) {
      const at = name(key)
      const before = this.records.get(at)
      undo.unshift({ key, value: before })
      if (value === undefined && before !== undefined) this.order.splice(this.place(at), 1)
      if (value !== undefined && before === undefined) this.order.splice(this.place(at), 0, at)
      if (value === undefined) this.records.delete(at)
      else this.records.set(at, value)
    }
    return undo
  }

  private place(key: string): number {
    let low = 0
    let high = this.order.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.order[middle] as string) < key) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** What a dead process waits for. A new one each time: one for all would keep every dead process in memory. */
export const never = (): Promise<never> => new Promise<never>(() => undefined)
