// The contract of every store (src/ports.ts): ordered bytes, atomic batches, durable when a synced write resolves.

import { afterEach, describe, expect, test } from '@jest/globals'
import type { Store, Write } from '../src/ports.ts'

export interface StoreUnderTest {
  readonly store: Store
  /** The same data after the process ended; undefined for a store that forgets. */
  reopen?(): Promise<Store>
  done?(): Promise<void>
}

const bytes = (...values: number[]) => Uint8Array.from(values)
const put = (key: Uint8Array, value: Uint8Array): Write => ({ key, value })
const del = (key: Uint8Array): Write => ({ key, value: undefined })
const keys = (rows: { key: Uint8Array }[]) => rows.map(({ key }) => [...key])

export function storeSuite(name: string, make: () => Promise<StoreUnderTest>): void {
  describe(`store: ${name}`, () => {
    let under: StoreUnderTest
    const begin = async () => {
      under = await make()
      await under.store.open()
      return under.store
    }
    afterEach(async () => {
      await under.store.close()
      await under.done?.()
    })

    test('gives back what was written, and undefined for the rest', async () => {
      const store = await begin()
      await store.write([put(bytes(1), bytes(7, 8)), put(bytes(2), bytes())], true)
      expect([...(store.get(bytes(1)) ?? [])]).toEqual([7, 8])
      expect(store.get(bytes(2))).toHaveLength(0)
      expect(store.get(bytes(3))).toBeUndefined()
    })

    test('deletes, and lets the last write of a batch win', async () => {
      const store = await begin()
      await store.write([put(bytes(1), bytes(1)), put(bytes(2), bytes(2))], false)
      await store.write([del(bytes(1)), put(bytes(2), bytes(3)), put(bytes(2), bytes(4)), del(bytes(9))], true)
      expect(store.get(bytes(1))).toBeUndefined()
      expect([...(store.get(bytes(2)) ?? [])]).toEqual([4])
    })

    test('ranges are in byte order, half open and limited', async () => {
      const store = await begin()
      const all = [bytes(0), bytes(1), bytes(1, 0), bytes(1, 255), bytes(2), bytes(128), bytes(255)]
      await store.write(
        [...all].reverse().map(key => put(key, key)),
        true,
      )
      expect(keys(await store.range(bytes(1), bytes(2)))).toEqual([[1], [1, 0], [1, 255]])
      expect(keys(await store.range(bytes(0), bytes(255)))).toEqual([[0], [1], [1, 0], [1, 255], [2], [128]])
      expect(keys(await store.range(bytes(0), bytes(255), 2))).toEqual([[0], [1]])
      expect(await store.range(bytes(3), bytes(9))).toEqual([])
    })

    test('a range is a snapshot of the moment of the call', async () => {
      const store = await begin()
      await store.write([put(bytes(1), bytes(1)), put(bytes(2), bytes(2))], true)
      const reading = store.range(bytes(0), bytes(9))
      await store.write([del(bytes(1)), put(bytes(3), bytes(3))], true)
      expect(keys(await reading)).toEqual([[1], [2]])
    })

    test('what the caller does to its buffers later changes nothing', async () => {
      const store = await begin()
      const key = bytes(5)
      const value = bytes(1, 2, 3)
      await store.write([put(key, value)], true)
      value[0] = 99
      key[0] = 6
      const found = store.get(bytes(5)) as Uint8Array
      expect([...found]).toEqual([1, 2, 3])
      found[0] = 77
      expect([...(store.get(bytes(5)) ?? [])]).toEqual([1, 2, 3])
    })

    test('a batch is all there or not at all, also while others are written', async () => {
      const store = await begin()
      const batch = (n: number) => [put(bytes(1), bytes(n)), put(bytes(2), bytes(n)), put(bytes(3), bytes(n))]
      const writes = Promise.all(Array.from({ length: 50 }, (_, n) => store.write(batch(n), n % 5 === 0)))
      for (let i = 0; i < 20; i++) {
        const rows = await store.range(bytes(0), bytes(9))
        expect(new Set(rows.map(({ value }) => value[0])).size).toBeLessThanOrEqual(1)
      }
      await writes
      expect(store.get(bytes(3))?.[0]).toBe(store.get(bytes(1))?.[0])
    })

    test('compaction keeps what is there', async () => {
      const store = await begin()
      await store.write([put(bytes(1), bytes(1)), put(bytes(2), bytes(2))], true)
      await store.write([del(bytes(1))], true)
      await store.compact(bytes(0), bytes(9))
      expect(keys(await store.range(bytes(0), bytes(9)))).toEqual([[2]])
    })

    test('a closed store refuses by name', async () => {
      const store = await begin()
      await store.close()
      const write = store.write([put(bytes(1), bytes(1))], true)
      await expect(write).rejects.toMatchObject({ code: 'store.unavailable' })
      expect(() => store.get(bytes(1))).toThrow(expect.objectContaining({ code: 'store.unavailable' }))
    })

    test('synced writes outlive the process', async () => {
      const store = await begin()
      if (!under.reopen) return expect(under.reopen).toBeUndefined()
      await store.write([put(bytes(1), bytes(1))], true)
      await store.write([put(bytes(2), bytes(2)), del(bytes(1))], true)
      const again = await under.reopen()
      await again.open()
      expect(keys(await again.range(bytes(0), bytes(9)))).toEqual([[2]])
      await again.close()
    })
  })
}
