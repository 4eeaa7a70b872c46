// Secrets at rest: only the right passphrase or key file opens the master key, and a sealed record opens only under
// its own keys, pico and store key.

import { describe, expect, test } from '@jest/globals'
import { base64url, concat, fromBase64url, hex, text, utf8 } from '../../wallet/bytes.ts'
import { cryptoNode as crypto } from '../../wallet/crypto-node.ts'
import { isFault } from '../../wallet/fault.ts'
import * as vault from '../../wallet/vault.ts'

const quick = { memory: 8192, passes: 1 }
const master = new Uint8Array(32).fill(5)
const keyFile = new Uint8Array(32).fill(6)
const code = (found: unknown) => (isFault(found) ? found.code : 'opened')
const [picoA, picoB] = ['a'.repeat(32), 'b'.repeat(32)]

describe('master key', () => {
  test('opens with the passphrase it was wrapped by, in any Unicode form', async () => {
    const header = await vault.wrapMaster(crypto, master, { passphrase: 'caf\u00e9' }, quick)
    const found = await vault.openMaster(crypto, JSON.parse(JSON.stringify(header)), { passphrase: 'cafe\u0301' })
    expect(isFault(found) ? found : hex(found)).toBe(hex(master))
    expect(JSON.stringify(header)).not.toContain(base64url(master))
  })
  test('by default costs 64 MiB and 3 passes', async () => {
    const { params } = await vault.wrapMaster(crypto, master, { passphrase: 'x' })
    expect(params).toEqual({ memory: 67_108_864, passes: 3 })
  })
  test('100 wrong passphrases and key files open nothing', async () => {
    const byWords = await vault.wrapMaster(crypto, master, { passphrase: 'right' }, quick)
    const byFile = await vault.wrapMaster(crypto, master, { keyFile })
    for (let i = 0; i < 100; i++) {
      expect(code(await vault.openMaster(crypto, byWords, { passphrase: `right${i}` }))).toBe('wallet.passphrase')
      const wrong = keyFile.map((byte, at) => (at === i % 32 ? byte ^ (1 + (i >> 5)) : byte))
      expect(code(await vault.openMaster(crypto, byFile, { keyFile: wrong }))).toBe('wallet.passphrase')
    }
    expect(code(await vault.openMaster(crypto, byFile, { keyFile }))).toBe('opened')
  })
  test('a header of one kind does not take the other secret', async () => {
    const byWords = await vault.wrapMaster(crypto, master, { passphrase: 'right' }, quick)
    const byFile = await vault.wrapMaster(crypto, master, { keyFile })
    expect(code(await vault.openMaster(crypto, byWords, { keyFile }))).toBe('wallet.wrapping')
    expect(code(await vault.openMaster(crypto, byFile, { passphrase: 'right' }))).toBe('wallet.wrapping')
  })
  test('every tampered member is noticed', async () => {
    const header = await vault.wrapMaster(crypto, master, { passphrase: 'right' }, quick)
    const flip = (text: string) => base64url(fromBase64url(text)!.map((byte, i) => (i === 0 ? byte ^ 1 : byte)))
    const tampered: [object, string][] = [
      [{ salt: flip(header.salt) }, 'wallet.passphrase'],
      [{ nonce: flip(header.nonce) }, 'wallet.passphrase'],
      [{ box: flip(header.box) }, 'wallet.passphrase'],
      [{ params: { memory: 16_384, passes: 1 } }, 'wallet.passphrase'],
      [{ note: 'added' }, 'wallet.passphrase'],
      [{ box: header.box.slice(0, -2) }, 'wallet.damaged'],
      [{ salt: 7 }, 'wallet.damaged'],
      [{ format: 'picomesh-master-9' }, 'wallet.damaged'],
      [{ kdf: 'none' }, 'wallet.damaged'],
      [{ params: { memory: 2 ** 30 + 1, passes: 1 } }, 'wallet.damaged'],
      [{ params: { memory: 8192, passes: 21 } }, 'wallet.damaged'],
      [{ params: { memory: 8192, passes: 0 } }, 'wallet.damaged'],
      [{ params: undefined }, 'wallet.damaged'],
    ]
    for (const [change, expected] of tampered) {
      expect([change, code(await vault.openMaster(crypto, { ...header, ...change }, { passphrase: 'right' }))]).toEqual(
        [change, expected],
      )
    }
    for (const junk of [null, 'text', 7, [], {}]) {
      expect(code(await vault.openMaster(crypto, junk, { passphrase: 'right' }))).toBe('wallet.damaged')
    }
  })
  test('refuses to wrap by nothing', async () => {
    await expect(vault.wrapMaster(crypto, master, { passphrase: '' })).rejects.toThrow('empty')
    await expect(vault.wrapMaster(crypto, master, { keyFile: new Uint8Array(31) })).rejects.toThrow('32 bytes')
    expect(vault.newMasterKey(crypto).length).toBe(32)
  })
})

describe('keys of a pico', () => {
  const keys = vault.newPicoKeys(crypto)
  const wrapped = vault.wrapPicoKeys(crypto, master, picoA, keys)
  test('open under the master key, for their pico', () => {
    const found = vault.unwrapPicoKeys(crypto, master, picoA, wrapped)!
    expect(Object.values(found).map(hex)).toEqual(Object.values(keys).map(hex))
    expect(new Set(Object.values(found).map(hex)).size).toBe(3)
  })
  test('and nowhere else', () => {
    expect(vault.unwrapPicoKeys(crypto, master, picoB, wrapped)).toBeUndefined()
    expect(vault.unwrapPicoKeys(crypto, master, picoA, wrapped.subarray(1))).toBeUndefined()
    for (let i = 0; i < 100; i++) {
      const wrong = master.map((byte, at) => (at === i % 32 ? byte ^ (1 + (i >> 5)) : byte))
      expect(vault.unwrapPicoKeys(crypto, wrong, picoA, wrapped)).toBeUndefined()
    }
  })
})

describe('records', () => {
  const keys = vault.newPicoKeys(crypto)
  const sealer = vault.sealer(crypto, keys, picoA)
  const [here, there] = [utf8('store key 1'), utf8('store key 2')]
  const record = sealer.sealRecord(here, 'var/rid', 'e-mail@example.org', { balance: 12 })

  test('open under their store key', () => {
    expect(sealer.openRecord(here, record)).toEqual({
      group: 'var/rid',
      leaf: 'e-mail@example.org',
      value: { balance: 12 },
    })
    expect(text(sealer.open(here, sealer.seal(here, utf8('plain')))!)).toBe('plain')
  })
  test('show neither name nor value, and never the same bytes', () => {
    for (const word of ['e-mail', 'balance', 'var/rid']) expect(Buffer.from(record).includes(word)).toBe(false)
    expect(hex(sealer.sealRecord(here, 'a', 'b', 1))).not.toBe(hex(sealer.sealRecord(here, 'a', 'b', 1)))
    expect(Buffer.from(sealer.storeName('e-mail@example.org')).toString('latin1')).not.toContain('e-mail')
  })
  test('moved to another store key, pico or key set are refused', () => {
    expect(code(sealer.openRecord(there, record))).toBe('wallet.damaged')
    expect(vault.sealer(crypto, keys, picoB).open(here, record)).toBeUndefined()
    expect(vault.sealer(crypto, vault.newPicoKeys(crypto), picoA).open(here, record)).toBeUndefined()
  })
  test('any changed or missing byte is refused', () => {
    for (let i = 0; i < record.length; i++) {
      expect(
        sealer.open(
          here,
          record.map((byte, at) => (at === i ? byte ^ 1 : byte)),
        ),
      ).toBeUndefined()
      expect(sealer.open(here, record.subarray(0, i))).toBeUndefined()
    }
    expect(sealer.open(here, concat(record, Uint8Array.of(0)))).toBeUndefined()
  })
  test('names are keyed hashes of 16 bytes', () => {
    expect(sealer.storeName('a').length).toBe(16)
    expect(hex(sealer.storeName('a'))).toBe(hex(sealer.storeName('a')))
    expect(hex(sealer.storeName('a'))).not.toBe(hex(sealer.storeName('b')))
    expect(hex(vault.sealer(crypto, vault.newPicoKeys(crypto), picoA).storeName('a'))).not.toBe(
      hex(sealer.storeName('a')),
    )
  })
  test('draws repeat for a seed and label and for nobody else', () => {
    const [one, two] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)]
    const drawn = hex(sealer.draw(one, 'key 0'))
    expect(hex(vault.draw(crypto, keys, one, 'key 0'))).toBe(drawn)
    const others = [
      sealer.draw(two, 'key 0'),
      sealer.draw(one, 'key 1'),
      vault.draw(crypto, vault.newPicoKeys(crypto), one, 'key 0'),
    ]
    expect(new Set([drawn, ...others.map(hex)]).size).toBe(4)
  })
})

describe('vault', () => {
  const engineKeys = vault.newEngineKeys(crypto, master)
  const opened = vault.openVault(crypto, Uint8Array.from(master), engineKeys)
  if (isFault(opened)) throw new Error(opened.message)
  const at = utf8('k')

  test("seals the engine's tables and makes picos", () => {
    expect(text(opened.engine.open(at, opened.engine.seal(at, utf8('row')))!)).toBe('row')
    const wrapped = opened.newKeys(picoA)
    const sealed = opened.pico(picoA, wrapped)!.seal(at, utf8('mine'))
    expect(text(opened.pico(picoA, wrapped)!.open(at, sealed)!)).toBe('mine')
    expect(opened.pico(picoB, wrapped)).toBeUndefined()
    expect(opened.engine.open(at, sealed)).toBeUndefined()
  })
  test('rewraps picos without touching their records', () => {
    const wrapped = opened.newKeys(picoA)
    const sealed = opened.pico(picoA, wrapped)!.seal(at, utf8('mine'))
    const next = new Uint8Array(32).fill(8)
    const other = vault.openVault(crypto, next, vault.newEngineKeys(crypto, next))
    if (isFault(other)) throw new Error(other.message)
    expect(other.pico(picoA, wrapped)).toBeUndefined()
    expect(text(other.pico(picoA, opened.rewrap(picoA, wrapped, next)!)!.open(at, sealed)!)).toBe('mine')
  })
  test('does not open under another master key, and forgets when locked', () => {
    expect(code(vault.openVault(crypto, new Uint8Array(32), engineKeys))).toBe('wallet.damaged')
    const sealed = opened.engine.seal(at, utf8('row'))
    opened.lock()
    expect(() => opened.engine.open(at, sealed)).toThrow('wiped')
    expect(() => opened.engine.storeName('a')).toThrow('wiped')
  })
})
