// Text spellings of bytes: the pure codecs and the platform's give and refuse the same.

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { base58btc } from 'multiformats/bases/base58'
import * as bytes from '../../wallet/bytes.ts'
import '../../wallet/crypto-node.ts'

const plain = (data: Uint8Array | undefined) => data && [...data]
const anyBytes = fc.uint8Array({ maxLength: 200 })

const refused = [
  'A',
  'AA=',
  'AA==',
  'AB',
  'AAA=',
  'A+AA',
  'A/AA',
  'AA\nAA',
  ' AAAA',
  'AAAA ',
  'AA.A',
  'AAAAé',
  'AA\u{1F600}',
]

describe.each(['platform', 'pure'])('base64, hex and UTF-8, %s codecs', kind => {
  // The module under test starts with the platform's codecs, because crypto-node registered them.
  beforeAll(() => {
    if (kind === 'pure') bytes.registerCodecs()
  })
  test('base64url there and back', () => {
    fc.assert(
      fc.property(anyBytes, data => {
        const text = bytes.base64url(data)
        expect(text).toBe(Buffer.from(data).toString('base64url'))
        expect(plain(bytes.fromBase64url(text))).toEqual([...data])
      }),
    )
  })
  test.each(refused)('refuses %j as base64url', text => {
    expect(bytes.fromBase64url(text)).toBeUndefined()
  })
  test('padding only where allowed, and only the right one', () => {
    const allow = { padding: 'allow' } as const
    expect(plain(bytes.fromBase64url('AAA=', allow))).toEqual([0, 0])
    expect(plain(bytes.fromBase64url('AA==', allow))).toEqual([0])
    expect(plain(bytes.fromBase64url('AA', allow))).toEqual([0])
    for (const text of ['AA=', 'AAA==', 'AAAA=', 'AAAA====', 'A===', '=', '====']) {
      expect(bytes.fromBase64url(text, allow)).toBeUndefined()
    }
  })
  test('padding allowed: exactly the two spellings of some bytes', () => {
    const nearly = fc.string({ unit: fc.constantFrom(...'AQgw-_=+'), maxLength: 9 })
    fc.assert(
      fc.property(nearly, text => {
        const data = Buffer.from(text, 'base64url')
        const padded = data.toString('base64').replaceAll('+', '-').replaceAll('/', '_')
        const right = text === padded || text === data.toString('base64url')
        expect(plain(bytes.fromBase64url(text, { padding: 'allow' }))).toEqual(right ? [...data] : undefined)
      }),
      { numRuns: 500 },
    )
  })
  test('all four spellings, never both alphabets', () => {
    const data = Uint8Array.of(0xfb, 0xef, 0xbe, 0xff)
    for (const text of ['++++/w==', '++++/w', '----_w==', '----_w'])
      expect(plain(bytes.fromBase64Any(text))).toEqual([...data])
    for (const text of ['-+-+', '++++_w', '++++/w=', '++ ++/w==', '++++/x'])
      expect(bytes.fromBase64Any(text)).toBeUndefined()
    expect(bytes.base64(data)).toBe('++++/w==')
  })
  test('hex there and back; odd or foreign text refused', () => {
    fc.assert(
      fc.property(anyBytes, data => {
        expect(bytes.hex(data)).toBe(Buffer.from(data).toString('hex'))
        expect(plain(bytes.fromHex(bytes.hex(data)))).toEqual([...data])
      }),
    )
    expect(bytes.hex(Uint8Array.of(1, 2, 0xff, 4).subarray(1, 3))).toBe('02ff')
    expect(plain(bytes.fromHex('FFa0'))).toEqual([255, 160])
    for (const text of ['f', 'fg', '0x00', ' 00 ']) expect(bytes.fromHex(text)).toBeUndefined()
  })
  test('UTF-8 is strict and keeps a byte order mark', () => {
    expect(bytes.textStrict(Uint8Array.of(0xc3, 0x28))).toBeUndefined()
    expect(bytes.textStrict(Uint8Array.of(0xed, 0xa0, 0x80))).toBeUndefined()
    expect(bytes.textStrict(Uint8Array.of(0xef, 0xbb, 0xbf, 0x61))).toBe('\ufeffa')
    expect(() => bytes.text(Uint8Array.of(0xff))).toThrow('UTF-8')
    fc.assert(fc.property(fc.string({ unit: 'binary' }), text => expect(bytes.text(bytes.utf8(text))).toBe(text)))
  })
  afterAll(async () => {
    expect(plain(bytes.utf8('é'))).toEqual([0xc3, 0xa9])
  })
})

describe('base58btc', () => {
  test('agrees with another implementation, long texts included', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 700 }), fc.nat(4), (data, zeros) => {
        const all = bytes.concat(new Uint8Array(zeros), data)
        const text = bytes.base58(all)
        expect(text).toBe(base58btc.baseEncode(Uint8Array.from(all)))
        expect(plain(bytes.fromBase58(text))).toEqual([...all])
      }),
    )
  })
  test.each(['0', 'O', 'I', 'l', 'abc ', 'é', '1110'])('refuses %j', text => {
    expect(bytes.fromBase58(text)).toBeUndefined()
  })
  test('empty and zeros', () => {
    expect(bytes.base58(new Uint8Array(0))).toBe('')
    expect(plain(bytes.fromBase58(''))).toEqual([])
    expect(plain(bytes.fromBase58('111'))).toEqual([0, 0, 0])
  })
})
