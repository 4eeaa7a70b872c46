// Ordered bytes in memory: the store of tests and of the simulator. Everything is copied in and out, so that what a
// caller does to its buffers later changes nothing here, as on a disk.

import { PicoError } from '../errors.ts'
import type { Store, Write } from '../ports.ts'

const text = (key: Uint8Array): string => Buffer.from(key.buffer, key.byteOffset, key.length).toString('latin1')
const bytes = (key: string): Uint8Array => Uint8Array.from(Buffer.from(key, 'latin1'))

export class MemoryStore implements Store {
  private records = new Map<string, Uint8Array>()
  /** Keys in order; undefined when a write added or removed one since. */
  private order: string[] | undefined
  private opened = false

  async open(): Promise<void> {
    this.opened = true
  }

  get(key: Uint8Array): Uint8Array | undefined {
    this.assertOpen()
    const value = this.records.get(text(key))
    return value && Uint8Array.from(value)
  }

  async range(gte: Uint8Array, lt: Uint8Array, limit = Infinity): Promise<{ key: Uint8Array; value: Uint8Array }[]> {
    this.assertOpen()
    this.order ??= [...this.records.keys()].sort()
    const [first, end] = [text(gte), text(lt)]
    const found: { key: Uint8Array; value: Uint8Array }[] = []
    for (let i = lowerBound(this.order, first); i < this.order.length && found.length < limit; i++) {
      const key = this.order[i] as string
      if (key >= end) break
      found.push({ key: bytes(key), value: Uint8Array.from(this.records.get(key) as Uint8Array) })
    }
    return found
  }

  async write(writes: readonly Write[], _sync: boolean): Promise<void> {
    this.assertOpen()
    for (const { key, value } of writes) {
      const name = text(key)
      if (value === undefined ? this.records.delete(name) : !this.records.has(name)) this.order = undefined
      if (value !== undefined) this.records.set(name, Uint8Array.from(value))
    }
  }

  async compact(): Promise<void> {
    this.assertOpen()
  }

  async close(): Promise<void> {
    this.opened = false
  }

  private assertOpen(): void {
    if (!this.opened) throw new PicoError('store.unavailable', 'The store is not open.')
  }
}

function lowerBound(sorted: readonly string[], key: string): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((sorted[middle] as string) < key) low = middle + 1
    else high = middle
  }
  return low
}
