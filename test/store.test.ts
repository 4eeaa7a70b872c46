// Every store keeps the contract; what is particular to one is tested below.

import { mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
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
      // The second attempt finds what the first one found: nothing was dropped.
      for (const store of [new LevelStore(path), new LevelStore(path)])
        await expect(store.open()).rejects.toMatchObject({ code: 'store.corrupt', place: { file: name } })
      expect(await readFile(join(path, name))).toEqual(damaged)
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

  const named = async (path: string, end: RegExp) =>
    join(path, (await readdir(path)).find(file => end.test(file)) ?? '')
  test.each<[string, RegExp, (path: string) => Promise<void>]>([
    ['no CURRENT', /CURRENT is missing/, path => rm(join(path, 'CURRENT'))],
    ['a torn CURRENT', /CURRENT is damaged/, path => writeFile(join(path, 'CURRENT'), 'MANIF')],
    ['a CURRENT that names nothing', /CURRENT is damaged/, path => writeFile(join(path, 'CURRENT'), 'garbage\n')],
    ['no manifest', /MANIFEST-\d+ is missing/, async path => rm(await named(path, /^MANIFEST/))],
    ['half a manifest', /MANIFEST-\d+ is damaged/, async path => truncate(await named(path, /^MANIFEST/), 20)],
    ['a table cut short', /ldb is damaged/, async path => truncate(await named(path, /ldb$/), 10)],
    ['half a table', /ldb is damaged/, async path => truncate(await named(path, /ldb$/), 100)],
    [
      'a file in its place',
      /db is not a folder/,
      path => rm(path, { recursive: true }).then(() => writeFile(path, '')),
    ],
  ])('with %s it is refused, with the file and what to do', async (_, message, damage) => {
    const path = join(await folder(), 'db')
    const store = new LevelStore(path)
    await store.open()
    await store.write(one(1, new Uint8Array(200)), true)
    await store.compact(Uint8Array.of(0), Uint8Array.of(9))
    await store.write(one(2), true)
    await store.close()
    await damage(path)
    for (const again of [new LevelStore(path), new LevelStore(path)]) {
      const refused = again.open()
      await expect(refused).rejects.toMatchObject({ code: 'store.corrupt', place: { file: expect.any(String) } })
      await expect(refused).rejects.toThrow(message)
      await expect(refused).rejects.toThrow(/Restore the folder .* or move the whole home away/)
    }
  })

  test('one that was here is not made anew', async () => {
    const path = join(await folder(), 'db')
    const open = () => new LevelStore(path, async () => true).open()
    await expect(open()).rejects.toMatchObject({
      code: 'store.corrupt',
      message: expect.stringContaining(`${path} is`),
    })
    await expect(readdir(path)).rejects.toMatchObject({ code: 'ENOENT' })
    await mkdir(path)
    await expect(open()).rejects.toMatchObject({ code: 'store.corrupt', place: { file: 'CURRENT' } })
    expect(await readdir(path)).toEqual([])
  })

  test('one whose making was ended is made', async () => {
    const path = await folder()
    for (const name of ['LOCK', 'LOG', 'MANIFEST-000001', '000001.dbtmp']) await writeFile(join(path, name), '')
    const store = new LevelStore(path)
    await store.open()
    await store.write(one(1), true)
    await store.close()
    await rm(path, { recursive: true })
  })

  test('a table that a crash left half written is none of it', async () => {
    const path = await folder()
    const store = new LevelStore(path)
    await store.open()
    await store.write(one(1), true)
    await store.close()
    await writeFile(join(path, '000099.ldb'), 'half')
    await store.open()
    expect(store.get(Uint8Array.of(1))).toEqual(Uint8Array.of(1))
    await store.close()
    await rm(path, { recursive: true })
  })

  test('the damage of a store that is in use is not told: it is in use', async () => {
    const path = await folder()
    const store = new LevelStore(path)
    await store.open()
    for (let n = 1; n <= 20; n++) await store.write(one(n, new Uint8Array(200).fill(n)), true)
    const log = await readFile(await named(path, /log$/))
    log[100] = (log[100] as number) ^ 0x10
    await writeFile(await named(path, /log$/), log)
    await expect(new LevelStore(path).open()).rejects.toMatchObject({ code: 'store.locked' })
    await store.close()
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
