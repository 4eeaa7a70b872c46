// The wallet beside the store: key files, and a rekey that the power may end at every write (DESIGN 4, Sealing).

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeEach, describe, expect, test } from '@jest/globals'
import { PicoError } from '../src/errors.ts'
import { Node } from '../src/node.ts'
import type { JsonObject, Store, Write } from '../src/ports.ts'
import { keysKey } from '../src/stores/keys.ts'
import { MemoryStore } from '../src/stores/memory.ts'
import { isUnused, keyFile, openWallet, ownKeyFile, rekey, walletFacts } from '../src/wallet-file.ts'
import type { Secret, Vault } from '../wallet/vault.ts'
import { LabEngine } from './lab.ts'

const folder = mkdtempSync(join(tmpdir(), 'picomesh-wallet-'))
afterAll(() => rmSync(folder, { recursive: true }))

const PICO = '0123456789abcdef0123456789abcdef'
const place = keysKey(Buffer.from(PICO, 'hex'))
const NAME = Buffer.from('name')
const code = (work: Promise<unknown>) =>
  work.then(
    () => 'done',
    (error: { code?: string }) => error.code,
  )

describe('a key file', () => {
  test('is made once, for its owner only, and read from then on', async () => {
    const file = join(folder, 'key')
    const made = await keyFile(file, true)
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(await keyFile(file, false)).toEqual(made)
  })
  test.each([
    ['that is not there', () => keyFile(join(folder, 'none'), false)],
    ['in a folder that is not there', () => keyFile(join(folder, 'none', 'key'), true)],
    ['that is a folder', () => keyFile(folder, true)],
    ['that is too short', () => keyFile(shortKey(), true)],
  ])('%s is refused by name', async (_, read) => {
    expect(await code(read())).toBe('wallet.key_file')
  })
})

function shortKey(): string {
  const file = join(folder, 'short')
  writeFileSync(file, 'AAAA\n')
  return file
}

describe('rekey', () => {
  const old: Secret = { keyFile: new Uint8Array(32).fill(1) }
  const fresh: Secret = { keyFile: new Uint8Array(32).fill(2) }
  let home: string
  let store: MemoryStore
  let vault: Vault
  let sealed: Uint8Array

  beforeEach(async () => {
    home = mkdtempSync(join(folder, 'home-'))
    store = new MemoryStore()
    await store.open()
    vault = await openWallet(home, store, old, 1)
    const wrapped = vault.newKeys(PICO)
    sealed = vault.pico(PICO, wrapped)!.seal(NAME, Buffer.from('kept'))
    await store.write([{ key: place, value: wrapped }], true)
  })

  const opens = async (secret: Secret): Promise<boolean> => {
    const opened = await openWallet(home, store, secret, 2).catch((error: { code: string }) => error.code)
    if (typeof opened === 'string') {
      expect(opened).toBe('wallet.passphrase')
      return false
    }
    const sealer = opened.pico(PICO, store.get(place) as Uint8Array)
    return Buffer.from(sealer?.open(NAME, sealed) ?? []).toString() === 'kept'
  }

  test('leaves the old secret and the old master key worthless, the records as they were', async () => {
    const before = store.get(place)
    await rekey(home, store, vault, fresh, 2)
    expect(store.get(place)).not.toEqual(before)
    expect([await opens(fresh), await opens(old)]).toEqual([true, false])
  })

  const dead = new Error('the power went')
  const deaths: Readonly<Record<string, (store: MemoryStore) => Partial<Store>>> = {
    'before the batch': () => ({ write: async () => Promise.reject(dead) }),
    'after the batch': disk => ({
      write: async (writes: readonly Write[], sync: boolean) => {
        await disk.write(writes, sync)
        throw dead
      },
    }),
    'before the compaction': () => ({ compact: async () => Promise.reject(dead) }),
  }
  test.each(Object.keys(deaths))('a death %s leaves exactly one secret that opens everything', async moment => {
    const disk = store
    const mortal = new Proxy(disk, {
      get: (target, name) => {
        const own = (deaths[moment]!(disk) as Record<string | symbol, unknown>)[name] ?? Reflect.get(target, name)
        return typeof own === 'function' ? own.bind(target) : own
      },
    })
    await expect(rekey(home, mortal, vault, fresh, 2)).rejects.toBe(dead)
    const expected = moment === 'before the batch' ? [true, false] : [false, true]
    expect([await opens(old), await opens(fresh)]).toEqual(expected)
    // And whoever opens it may go on: a rekey that was cut off is no obstacle to the next.
    const secret = moment === 'before the batch' ? old : fresh
    await rekey(home, store, await openWallet(home, store, secret, 3), { keyFile: new Uint8Array(32).fill(3) }, 3)
    expect(await opens({ keyFile: new Uint8Array(32).fill(3) })).toBe(true)
  })

  test('a damaged wallet file is told as such', async () => {
    const file = join(home, 'wallet.json')
    const wallet = JSON.parse(readFileSync(file, 'utf8')) as { engineKeys: string }
    writeFileSync(file, JSON.stringify({ ...wallet, engineKeys: `AAAA${wallet.engineKeys.slice(4)}` }))
    expect(await code(openWallet(home, store, old, 2))).toBe('wallet.damaged')
    writeFileSync(file, '{')
    expect(await code(openWallet(home, store, old, 2))).toBe('wallet.damaged')
    writeFileSync(file, '{"header":1}')
    expect(await code(openWallet(home, store, old, 2))).toBe('wallet.damaged')
    rmSync(file)
    mkdirSync(file)
    expect(await code(openWallet(home, store, old, 2))).toBe('store.unavailable')
  })

  test('a store whose wallet file is gone gets no new one', async () => {
    rmSync(join(home, 'wallet.json'))
    expect(await code(openWallet(home, store, old, 2))).toBe('wallet.damaged')
    expect(existsSync(join(home, 'wallet.json'))).toBe(false)
  })

  test('a death between the two writes of a new wallet is mended by the next start', async () => {
    const [home, store] = [mkdtempSync(join(folder, 'home-')), new MemoryStore()]
    await store.open()
    const mortal = new Proxy(store, {
      get: (target, name) => {
        const own = name === 'write' ? async () => Promise.reject(dead) : Reflect.get(target, name)
        return typeof own === 'function' ? own.bind(target) : own
      },
    })
    await expect(openWallet(home, mortal, old, 1)).rejects.toBe(dead)
    await openWallet(home, store, old, 2)
    rmSync(join(home, 'wallet.json'))
    expect(await code(openWallet(home, store, old, 3))).toBe('wallet.damaged')
  })

  test('takes the key file of the home away when that opens nothing any more', async () => {
    const own = await keyFile(ownKeyFile(home), true)
    await rekey(home, store, vault, own, 2)
    expect(await opens(await keyFile(ownKeyFile(home), false))).toBe(true)
    await rekey(home, store, await openWallet(home, store, own, 3), { passphrase: 'long enough' }, 3)
    expect(existsSync(ownKeyFile(home))).toBe(false)
  })
})

test('a home is unused until it has a wallet or records', async () => {
  const home = join(folder, 'unused')
  expect(await isUnused(home)).toBe(true)
  mkdirSync(join(home, 'db'), { recursive: true })
  expect(await isUnused(home)).toBe(false)
})

describe('an engine that was rekeyed', () => {
  test('unlocks by the new wrapping, whatever the settings of its start say', async () => {
    const lab = await LabEngine.start()
    const home = mkdtempSync(join(folder, 'home-'))
    const own = ownKeyFile(home)
    const node = new Node({
      ...lab.node.parts,
      home,
      store: new MemoryStore(),
      openVault: (store, secret) => openWallet(home, store, secret, 1),
      rekey: (store, vault, secret) => rekey(home, store, vault, secret, 2),
      walletFacts: async () => (await walletFacts(home)) ?? { kdf: 'none', rekeyedAt: '' },
      keyFileSecret: keyFile,
      standardSecret: () => keyFile(own, false),
    })
    await node.unlock(await keyFile(own, true))
    const again = async (args: JsonObject) => {
      await node.verb('wallet.lock', {})
      return node.verb('wallet.unlock', args).then(
        answer => (answer as JsonObject).state,
        (error: { code: string }) => error.code,
      )
    }
    const other = join(home, 'other')
    expect(await node.verb('wallet.rekey', { keyFile: other })).toMatchObject({
      state: 'unlocked',
      hint: expect.stringContaining(`PICOMESH_KEY_FILE=${other}`),
    })
    expect([existsSync(own), await again({}), await again({ keyFile: other })]).toEqual([false, 'unlocked', 'unlocked'])
    await node.verb('wallet.rekey', { passphrase: 'long enough' })
    expect([await again({}), await again({ passphrase: 'long enough' })]).toEqual(['wallet.passphrase', 'unlocked'])
    await node.verb('wallet.rekey', { keyFile: own })
    expect([await again({ keyFile: join(home, 'none') }), existsSync(join(home, 'none')), await again({})]).toEqual([
      'wallet.key_file',
      false,
      'unlocked',
    ])
    await node.verb('wallet.lock', {})
    const late = join(home, 'late')
    await expect(node.verb('wallet.rekey', { keyFile: late })).rejects.toMatchObject({ code: 'wallet.locked' })
    expect(existsSync(late)).toBe(false)
    await Promise.all([node.close(), lab.close()])
  })

  test('that fails half-way through its start is locked, not half open', async () => {
    const lab = await LabEngine.start()
    const store = new MemoryStore()
    const node = new Node({ ...lab.node.parts, store })
    await node.unlock({ passphrase: '-' })
    await node.close('locked')
    let reads = 0
    const broken = new Proxy(store, {
      get(target, name) {
        const own = Reflect.get(target, name) as unknown
        if (name !== 'range') return typeof own === 'function' ? own.bind(target) : own
        return async (...args: Parameters<Store['range']>) => {
          if (++reads > 1) throw new PicoError('store.unavailable', 'The disk failed.')
          return target.range(...args)
        }
      },
    })
    const half = new Node({ ...lab.node.parts, store: broken })
    await expect(half.unlock({ passphrase: '-' })).rejects.toMatchObject({ code: 'store.unavailable' })
    expect([half.unlocked, half.ready()]).toEqual([false, { ready: false, reason: 'locked' }])
    reads = -Infinity
    await half.unlock({ passphrase: '-' })
    expect((await half.owner.root()).name).toBe('root')
    await Promise.all([half.close(), lab.close()])
  })
})
