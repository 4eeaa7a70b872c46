// Every store keeps the contract; what is particular to one is tested below.

import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { after, endOf, idBytes, keysKey, PREFIX } from '../src/stores/keys.ts'
import { LevelStore } from '../src/stores/level.ts'
import { markFile } from '../src/stores/mark-file.ts'
import { MemoryStore } from '../src/stores/memory.ts'
import { PowerCutStore } from './power-cut.ts'
import { storeSuite } from './store.suite.ts'

const folder = () => mkdtemp(join(tmpdir(), 'store-'))
const one = (n: number, value = Uint8Array.of(n)) => [{ key: Uint8Array.of(n), value }]

storeSuite('memory', async () => ({ store: new MemoryStore() }))
storeSuite('level', async () => {
  const path = await folder()
  const store = new LevelStore(path)
  return {
    store,
    reopen: async () => {
      await store.close()
      return new LevelStore(path)
    },
    done: () => rm(path, { recursive: true, force: true }),
  }
})
storeSuite('power cut', async () => {
  const store = new PowerCutStore()
  return { store, reopen: () => store.cut() }
})

describe('power cut', () => {
  test('drops what no finished sync covers, keeps the order of the rest', async () => {
    const store = new PowerCutStore()
    await store.open()
    await store.write(one(1), true)
    await store.write(one(2), false)
    await store.write(one(3), false)
    const again = await store.cut(1)
    await again.open()
    expect([1, 2, 3].map(n => again.get(Uint8Array.of(n)) !== undefined)).toEqual([true, true, false])
  })

  test('a store that lies about its sync loses what it acknowledged', async () => {
    const store = new PowerCutStore({ liesAboutSync: true })
    await store.open()
    await store.write(one(1), true)
    const again = await store.cut()
    await again.open()
    expect(again.get(Uint8Array.of(1))).toBeUndefined()
  })
})

describe('level', () => {
  test('a second engine is refused, and the first goes on', async () => {
    const path = await folder()
    const first = new LevelStore(path)
    await first.open()
    await expect(new LevelStore(path).open()).rejects.toMatchObject({ code: 'store.locked' })
    await first.write(one(1), true)
    await first.close()
    await rm(path, { recursive: true })
  })

  test('a flipped bit in the log is named, never skipped in silence', async () => {
    const path = await folder()
    const store = new LevelStore(path)
    await store.open()
    for (let n = 1; n <= 20; n++) await store.write(one(n, new Uint8Array(200).fill(n)), true)
    await store.close()
    const name = (await readdir(path)).find(file => file.endsWith('.log')) as string
    const log = await readFile(join(path, name))
    for (const at of [3, 5, 100, 700, 1500]) {
      const damaged = Buffer.from(log)
      damaged[at] = (damaged[at] as number) ^ 0x10
      await writeFile(join(path, name), damaged)
      const opening = new LevelStore(path).open()
      await expect(opening).rejects.toMatchObject({ code: 'store.corrupt', place: { file: name } })
    }
    await rm(path, { recursive: true })
  })

  test('a torn last record was never acknowledged: the store opens with all before it', async () => {
    const path = await folder()
    const store = new LevelStore(path)
    await store.open()
    for (let n = 1; n <= 20; n++) await store.write(one(n, new Uint8Array(200).fill(n)), true)
    await store.close()
    const name = (await readdir(path)).find(file => file.endsWith('.log')) as string
    const log = await readFile(join(path, name))
    await writeFile(join(path, name), log.subarray(0, log.length - 37))
    const again = new LevelStore(path)
    await again.open()
    expect(again.get(Uint8Array.of(19))?.[0]).toBe(19)
    expect(again.get(Uint8Array.of(20))).toBeUndefined()
    await again.close()
    await rm(path, { recursive: true })
  })

  test('a missing table file is named', async () => {
    const path = await folder()
    const store = new LevelStore(path)
    await store.open()
    await store.write(one(1), true)
    await store.compact(Uint8Array.of(0), Uint8Array.of(9))
    await store.close()
    const name = (await readdir(path)).find(file => file.endsWith('.ldb')) as string
    await rm(join(path, name))
    await expect(new LevelStore(path).open()).rejects.toMatchObject({ code: 'store.corrupt', place: { file: name } })
    await rm(path, { recursive: true })
  })

  test('after deletion and compaction a value is in no file', async () => {
    const path = await folder()
    const store = new LevelStore(path)
    await store.open()
    const marker = Buffer.from('wrapped-key-marker-0123456789')
    const key = keysKey(idBytes('00112233445566778899aabbccddeeff'))
    await store.write([{ key, value: marker }, ...one(1)], true)
    expect(await holds(path, marker)).toBe(true)
    await store.write([{ key, value: undefined }], true)
    await store.compact(Uint8Array.of(PREFIX.keys), Uint8Array.of(PREFIX.keys + 1))
    expect(await holds(path, marker)).toBe(false)
    await store.close()
    await rm(path, { recursive: true })
  })

  test('only its owner reads the folder', async () => {
    const path = join(await folder(), 'store')
    const store = new LevelStore(path)
    await store.open()
    expect((await stat(path)).mode & 0o777).toBe(0o700)
    await store.close()
    await rm(path, { recursive: true })
  })
})

describe('mark file', () => {
  test('holds the last text for the next process, readable by its owner only', async () => {
    const path = join(await folder(), 'mark')
    const mark = markFile(path)
    expect(mark.read()).toBe('')
    mark.write('0123456789abcdef0123456789abcdef 1')
    mark.write('short 0')
    expect(markFile(path).read()).toBe('short 0')
    mark.write('')
    mark.close()
    expect(markFile(path).read()).toBe('')
    expect((await stat(path)).mode & 0o777).toBe(0o600)
  })
})

describe('keys', () => {
  test('endOf is the first key after all that begin so', () => {
    expect([...endOf(Uint8Array.of(1, 2))]).toEqual([1, 3])
    expect([...endOf(Uint8Array.of(1, 255))]).toEqual([2])
    expect([...after(Uint8Array.of(1, 255))]).toEqual([1, 255, 0])
  })
})

async function holds(path: string, marker: Buffer): Promise<boolean> {
  const files = await readdir(path)
  const contents = await Promise.all(files.map(file => readFile(join(path, file))))
  return contents.some(content => content.includes(marker))
}
