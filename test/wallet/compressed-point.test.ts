// Which public keys are points, against @noble/curves; and that did:key refuses the others.

import { describe, expect, test } from '@jest/globals'
import { ed25519 } from '@noble/curves/ed25519.js'
import { p256, p384, p521 } from '@noble/curves/nist.js'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { base58, concat, utf8 } from '../../wallet/bytes.ts'
import { isCompressedPoint } from '../../wallet/compressed-point.ts'
import { cryptoNode } from '../../wallet/crypto-node.ts'
import { isSoundEd25519 } from '../../wallet/curve25519.ts'
import { didKey, nakedToDidKey, resolveDidKey } from '../../wallet/did-key.ts'

const reads = (read: () => unknown): boolean => {
  try {
    read()
    return true
  } catch {
    return false
  }
}

/** Always the same bytes, which nobody chose. */
function drawn(label: string, length: number): Uint8Array {
  const parts = [0, 1, 2].map(part => cryptoNode.sha256(utf8(`${label} ${part}`)))
  return concat(...parts).subarray(0, length)
}

const numbered = Array.from({ length: 60 }, (_, i) => i)

describe('points', () => {
  test.each([
    ['secp256k1', 32, secp256k1],
    ['P-256', 32, p256],
    ['P-384', 48, p384],
    ['P-521', 66, p521],
  ] as const)('%s', (type, length, curve) => {
    const found = numbered.map(i => {
      const x = drawn(`${type} ${i}`, length)
      if (length === 66) x[0] = i % 3
      const key = concat(Uint8Array.of(2 + (i % 2)), x)
      const expected = reads(() => curve.Point.fromBytes(key))
      expect([i, isCompressedPoint(type, key)]).toEqual([i, expected])
      return expected
    })
    expect(new Set(found).size).toBe(2)
    const own = curve.getPublicKey(new Uint8Array(length).fill(7, length - 1))
    expect(isCompressedPoint(type, own)).toBe(true)
    expect(isCompressedPoint(type, concat(Uint8Array.of(4), own.subarray(1)))).toBe(false)
    expect(isCompressedPoint(type, new Uint8Array(length + 1).fill(0xff).fill(2, 0, 1))).toBe(false)
  })

  test('Ed25519', () => {
    const found = numbered.map(i => {
      const key = drawn(`Ed25519 ${i}`, 32)
      const expected = reads(() => ed25519.Point.fromBytes(key))
      expect([i, isSoundEd25519(key)]).toEqual([i, expected])
      return expected
    })
    expect(new Set(found).size).toBe(2)
  })
})

const onP256 = (key: Uint8Array) => reads(() => p256.Point.fromBytes(key))

test('did:key of what is no point is refused', () => {
  const nowhere = numbered.map(i => drawn(`Ed25519 ${i}`, 32)).find(key => !reads(() => ed25519.Point.fromBytes(key)))!
  expect(resolveDidKey(didKey('Ed25519', nowhere))).toMatchObject({ code: 'did.malformed' })
  expect(nakedToDidKey(base58(nowhere))).toBeUndefined()
  const [key] = numbered.map(i => concat(Uint8Array.of(2), drawn(`P-256 ${i}`, 32))).filter(key => !onP256(key))
  expect(resolveDidKey(didKey('P-256', key!))).toMatchObject({ code: 'did.malformed' })
})
