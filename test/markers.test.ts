// The short form of `npm run test:long -- markers`, and the search itself.

import { describe, expect, test } from '@jest/globals'
import { KINDS, plantAndSearch, withoutSealing } from './long/markers.ts'
import { search, spellings, spellingsOfBytes } from './long/needles.ts'

const SEED = 4711

describe('nothing readable at rest', () => {
  test('markers of nine kinds: 0 hits in home, logs and output; keys of the deleted gone; modes closed', async () => {
    const { hits, planted, loose, wrapped } = await plantAndSearch(SEED)
    expect(planted).toBeGreaterThanOrEqual(KINDS.length)
    expect(hits).toEqual(Object.fromEntries(KINDS.map(kind => [kind, []])))
    expect(loose).toEqual([])
    expect(wrapped.before).toBeGreaterThan(0)
    expect(wrapped.after).toBe(0)
  }, 60_000)

  test('with sealing switched off the search finds every kind', async () => {
    const { hits } = await withoutSealing(SEED)
    expect(KINDS.filter(kind => hits[kind].length === 0)).toEqual([])
  }, 60_000)
})

describe('the search', () => {
  const marker = 'marker-of-some-length'
  const around = (n: number) => Buffer.from(`${'x'.repeat(n)}${marker}tail`)
  test.each([
    ['raw', around(3)],
    ['hex', Buffer.from(around(3).toString('hex'))],
    ['HEX', Buffer.from(around(3).toString('hex').toUpperCase())],
    ['base64 at 0', Buffer.from(around(3).toString('base64'))],
    ['base64 at 1', Buffer.from(around(4).toString('base64'))],
    ['base64url at 2', Buffer.from(around(5).toString('base64url'))],
    ['UTF-16LE', Buffer.from(marker, 'utf16le')],
    ['UTF-16BE', Buffer.from(marker, 'utf16le').swap16()],
  ])('finds %s', (spelling, bytes) => {
    expect(search('f', bytes, spellings(marker)).map(hit => hit.spelling)).toContain(spelling)
  })

  test('finds bytes that are no text, and nothing where there is nothing', () => {
    const bytes = Uint8Array.from({ length: 32 }, (_, i) => 255 - i)
    const text = `{"seed":"${Buffer.from(bytes).toString('base64url')}"}`
    expect(search('f', Buffer.from(text), spellingsOfBytes(bytes))).toEqual([{ file: 'f', spelling: 'base64url at 0' }])
    expect(search('f', Buffer.from('nothing here'), spellingsOfBytes(bytes))).toEqual([])
  })
})
