// The keyring: keys by kid, remembered secrets, and what each kind of key may do.

import { describe, expect, test } from '@jest/globals'
import { hex } from '../../wallet/bytes.ts'
import type { Crypto } from '../../wallet/crypto.ts'
import { cryptoNode } from '../../wallet/crypto-node.ts'
import { didKey } from '../../wallet/did-key.ts'
import { drawKey, makeKeyring, type StoredKey } from '../../wallet/keyring.ts'

const seed = (n: number) => new Uint8Array(32).fill(n)

function counting(): { crypto: Crypto; calls: () => number } {
  let calls = 0
  const x25519: Crypto['x25519'] = (secret, point) => {
    calls++
    return cryptoNode.x25519(secret, point)
  }
  return { crypto: { ...cryptoNode, x25519 }, calls: () => calls }
}

function ring(crypto: Crypto = cryptoNode) {
  const keys = new Map<string, StoredKey>([
    ['ed', drawKey('Ed25519', seed(1)).stored],
    ['x', drawKey('X25519', seed(2)).stored],
  ])
  return { keys, keyring: makeKeyring(crypto, kid => keys.get(kid)) }
}

const peer = cryptoNode.x25519KeyPair(seed(9))
const low = new Uint8Array(32)

describe('keyring', () => {
  test('gives the public key and signs with Ed25519 only', () => {
    const { keyring } = ring()
    const message = seed(7)
    const publicKey = keyring.publicKey('ed')!
    expect(hex(publicKey)).toBe(hex(drawKey('Ed25519', seed(1)).publicKey))
    expect(cryptoNode.ed25519Verify(publicKey, keyring.sign('ed', message)!, message)).toBe(true)
    expect(keyring.sign('x', message)).toBeUndefined()
    expect(keyring.sign('nobody', message)).toBeUndefined()
    expect([keyring.keyType('ed'), keyring.keyType('x'), keyring.keyType('nobody')]).toEqual([
      'Ed25519',
      'X25519',
      undefined,
    ])
    expect(keyring.pair('x')).toBe(keyring.pair('x'))
  })

  test('agrees with X25519 only, once per peer key', () => {
    const { crypto, calls } = counting()
    const { keyring } = ring(crypto)
    const theirs = cryptoNode.x25519(peer.secretKey, keyring.publicKey('x')!)!
    for (let i = 0; i < 3; i++) expect(hex(keyring.agree('x', peer.publicKey)!)).toBe(hex(theirs))
    expect(calls()).toBe(1)
    expect(keyring.agree('ed', peer.publicKey)).toBeUndefined()
    expect(keyring.agree('x', low)).toBeUndefined()
  })

  test('box keys convert Ed25519 and are remembered', () => {
    const { crypto, calls } = counting()
    const { keyring } = ring(crypto)
    const mine = cryptoNode.ed25519ToX25519Public(keyring.publicKey('ed')!)!
    const theirs = cryptoNode.boxKey(cryptoNode.x25519(peer.secretKey, mine)!)
    for (let i = 0; i < 3; i++) expect(hex(keyring.boxKey('ed', peer.publicKey)!)).toBe(hex(theirs))
    expect(calls()).toBe(1)
    expect(keyring.boxKey('ed', low)).toBeUndefined()
    expect(keyring.boxKey('nobody', peer.publicKey)).toBeUndefined()
  })

  test('knows the X25519 key that follows from its did:key', () => {
    const { stored, publicKey } = drawKey('Ed25519', seed(3))
    const did = didKey('Ed25519', publicKey)
    const agreement = cryptoNode.ed25519ToX25519Public(publicKey)!
    const keyring = makeKeyring(cryptoNode, kid => (kid === `${did}#${did.slice(8)}` ? stored : undefined))
    const kid = `${did}#${didKey('X25519', agreement).slice(8)}`
    expect(hex(keyring.publicKey(kid)!)).toBe(hex(agreement))
    expect(hex(keyring.agree(kid, peer.publicKey)!)).toBe(hex(cryptoNode.x25519(peer.secretKey, agreement)!))
    expect(keyring.publicKey(`${did}#${didKey('X25519', peer.publicKey).slice(8)}`)).toBeUndefined()
  })

  test('clear wipes what was handed out and asks again', () => {
    const { keyring, keys } = ring()
    const { secretKey } = keyring.pair('ed')!
    const shared = keyring.agree('x', peer.publicKey)!
    keyring.clear()
    expect([...secretKey, ...shared].every(byte => byte === 0)).toBe(true)
    expect(keyring.pair('ed')).toBeDefined()
    keys.delete('ed')
    keyring.clear()
    expect(keyring.pair('ed')).toBeUndefined()
    keys.set('new', drawKey('X25519', seed(4)).stored)
    expect(keyring.publicKey('new')).toBeDefined()
  })

  test('remembers a bounded number of secrets', () => {
    const { crypto, calls } = counting()
    const { keyring } = ring(crypto)
    const points = Array.from({ length: 1001 }, (_, i) =>
      Uint8Array.from({ length: 32 }, (_, at) => (at === 0 ? 9 : at < 3 ? (i >> (8 * (at - 1))) & 255 : 0)),
    )
    for (const point of points) keyring.agree('x', point)
    keyring.agree('x', points[1000]!)
    expect(calls()).toBe(1001)
    keyring.agree('x', points[0]!)
    expect(calls()).toBe(1002)
  })
})
