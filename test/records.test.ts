// What a pico's records in memory know without the disk, and what they must ask it for.

import { describe, expect, test } from '@jest/globals'
import { Filter } from '../src/filter.ts'
import type { RecordChange, Store } from '../src/ports.ts'
import { PicoRecords } from '../src/records.ts'
import { idBytes } from '../src/stores/keys.ts'
import { MemoryStore } from '../src/stores/memory.ts'
import { cryptoNode } from '../wallet/crypto-node.ts'
import { newPicoKeys, sealer } from '../wallet/vault.ts'

const picoId = '00000000000000000000000000000001'
const keys = sealer(cryptoNode, newPicoKeys(cryptoNode), picoId)

/** A store that counts what is read. */
async function counted(): Promise<{ store: Store; reads: () => number }> {
  const store = new MemoryStore()
  await store.open()
  let reads = 0
  const get = store.get.bind(store)
  store.get = key => {
    reads++
    return get(key)
  }
  return { store, reads: () => reads }
}

async function commit(records: PicoRecords, store: Store, changes: readonly RecordChange[]): Promise<void> {
  const writes = records.prepare(changes)
  const version = records.lay(changes)
  await store.write(writes, true)
  records.merge(changes, version)
}

const seen = (n: number): RecordChange => ({ group: 'seen/peer', leaf: `id-${n}`, value: { t: n } })
const IDS = 3000

describe('ids seen of a pico made just now', () => {
  test('are all known, and an id that never came costs no look at the disk', async () => {
    const { store, reads } = await counted()
    const records = new PicoRecords(store, keys, idBytes(picoId), true)
    for (let n = 0; n < IDS; n++) await commit(records, store, [seen(n)])
    for (let n = 0; n < IDS; n++) expect(records.newest.get('seen/peer', `id-${n}`)).toEqual({ t: n })
    const before = reads()
    for (let n = IDS; n < 2 * IDS; n++) expect(records.newest.get('seen/peer', `id-${n}`)).toBeUndefined()
    expect(reads() - before).toBeLessThan(IDS / 50)
  })

  test('that were written anew behind the memory are read again', async () => {
    const { store } = await counted()
    const records = new PicoRecords(store, keys, idBytes(picoId), true)
    await commit(records, store, [seen(1), seen(2)])
    const removed = records.discard('seen/peer', 'id-1')
    const { key } = records.discard('seen/peer', 'id-2')
    await store.write([removed, { key, value: records.seal(key, 'seen/peer', 'id-2', { t: 20 }) }], true)
    expect(records.newest.get('seen/peer', 'id-1')).toBeUndefined()
    expect(records.newest.get('seen/peer', 'id-2')).toEqual({ t: 20 })
  })
})

test('a pico found on disk asks the disk once for what is not there, and forgets the oldest answers', async () => {
  const { store, reads } = await counted()
  const records = new PicoRecords(store, keys, idBytes(picoId))
  for (let n = 0; n < 1000; n++) expect(records.newest.get('thread', `t-${n}`)).toBeUndefined()
  expect(reads()).toBe(1000)
  expect(records.newest.get('thread', 't-999')).toBeUndefined()
  expect(reads()).toBe(1000)
  expect(records.newest.get('thread', 't-0')).toBeUndefined()
  expect(reads()).toBe(1001)
})

test('what is deleted while a group loads stays deleted', async () => {
  const { store } = await counted()
  const first = new PicoRecords(store, keys, idBytes(picoId), true)
  const all = Array.from({ length: 1500 }, (_, n) => ({ group: 'thread', leaf: `t-${n}`, value: n }))
  await commit(first, store, all)
  const records = new PicoRecords(store, keys, idBytes(picoId))
  const loading = records.load('thread')
  await commit(
    records,
    store,
    all.map(({ group, leaf }) => ({ group, leaf, value: undefined })),
  )
  await loading
  expect(records.synced.list('thread')).toEqual([])
})

test('a filter never denies what was added and is rarely wrong about the rest', () => {
  const filter = new Filter()
  for (let n = 0; n < 20_000; n++) filter.add(`id-${n}`)
  for (let n = 0; n < 20_000; n++) expect(filter.may(`id-${n}`)).toBe(true)
  const wrong = Array.from({ length: 20_000 }, (_, n) => filter.may(`other-${n}`)).filter(Boolean).length
  expect(wrong).toBeLessThan(400)
})

describe('the size in memory', () => {
  const letter = (n: number, value?: string): RecordChange => ({ group: 'outbox', leaf: `letter-${n}`, value })

  test('goes up by a large record and down when it goes, whichever way', async () => {
    const { store } = await counted()
    const records = new PicoRecords(store, keys, idBytes(picoId), true)
    const large = 'x'.repeat(100_000)
    for (let n = 0; n < 100; n++) {
      await commit(records, store, [letter(n, large)])
      if (n % 2 === 0) await commit(records, store, [letter(n)])
      else await store.write([records.discard('outbox', `letter-${n}`)], true)
    }
    expect(records.bytes).toBeLessThan(large.length)
    await commit(records, store, [letter(1, large)])
    await commit(records, store, [letter(1, `${large}y`)])
    expect(records.bytes).toBeGreaterThan(large.length)
    expect(records.bytes).toBeLessThan(2 * large.length)
  })

  test('counts a large record once that was read and then rewritten', async () => {
    const { store } = await counted()
    const large = 'x'.repeat(100_000)
    await commit(new PicoRecords(store, keys, idBytes(picoId), true), store, [letter(1, large)])
    const again = new PicoRecords(store, keys, idBytes(picoId))
    await again.load('outbox')
    await commit(again, store, [letter(1, large)])
    expect(again.bytes).toBeLessThan(2 * large.length)
  })
})
