// The published vectors of did:key, did:peer and JCS (test/vectors) against the wallet.

import { readFileSync } from 'node:fs'
import { describe, expect, test } from '@jest/globals'
import { canonicalize } from '../../wallet/jcs.ts'
import { runDidKey, runDidPeer } from '../vectors-run/did.ts'

const read = (path: string) => JSON.parse(readFileSync(new URL(`../vectors/${path}`, import.meta.url), 'utf8'))

describe('DID vectors', () => {
  test.each([
    ['did-key/w3c-ccg.json', runDidKey, 30],
    ['did-key/naked-key-conversion.json', runDidKey, 6],
    ['did-peer/spec.json', runDidPeer, 15],
    ['did-peer/peer4.json', runDidPeer, 48],
    ['did-peer/sicpa-numalgo-0-2.json', runDidPeer, 9],
  ] as const)('%s', (path, run, count) => {
    const { passed, failed, skipped } = run(read(path))
    expect({ failed, skipped, passed: passed.length }).toEqual({ failed: [], skipped: [], passed: count })
  })
})

describe('JCS vectors', () => {
  const { cases } = read('jcs/rfc8785.json')
  test.each<{ id: string; input_text: string; expected: { canonical_text: string } }>(cases)('$id', c => {
    expect(canonicalize(JSON.parse(c.input_text))).toBe(c.expected.canonical_text)
  })
})
