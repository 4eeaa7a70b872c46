// People for the wallet's tests: one Ed25519 seed each, reachable by did:key (v2) and by verkey (v1), with a keyring.

import { base58, concat, utf8 } from '../../wallet/bytes.ts'
import type { Crypto } from '../../wallet/crypto.ts'
import { cryptoNode } from '../../wallet/crypto-node.ts'
import type { Keys } from '../../wallet/keys.ts'
import { encodeMultikey } from '../../wallet/multikey.ts'
import { makeResolver } from '../../wallet/resolver.ts'
import { fixedKeys } from '../vectors-run/keys.ts'

export interface Person {
  readonly seed: Uint8Array
  readonly did: string
  readonly verkey: string
  readonly publicKey: Uint8Array
  readonly x25519: Uint8Array
  readonly signKid: string
  readonly boxKid: string
  readonly keys: Keys
}

export const { resolve } = makeResolver()

export function person(name: string, crypto: Crypto = cryptoNode): Person {
  const seed = crypto.sha256(utf8(`picomesh test ${name}`))
  const pair = crypto.ed25519KeyPair(seed)
  const box = crypto.x25519KeyPair(crypto.ed25519ToX25519Secret(pair.secretKey))
  const multikey = encodeMultikey('Ed25519', pair.publicKey)
  const did = `did:key:${multikey}`
  const signKid = `${did}#${multikey}`
  const boxKid = `${did}#${encodeMultikey('X25519', box.publicKey)}`
  const verkey = base58(pair.publicKey)
  const pairs = new Map([
    [verkey, pair],
    [signKid, pair],
    [boxKid, box],
  ])
  const keys = fixedKeys(crypto, pairs)
  return { seed, did, verkey, publicKey: pair.publicKey, x25519: box.publicKey, signKid, boxKid, keys }
}

export function recipientOf(to: Person) {
  return { kid: to.boxKid, publicKey: to.x25519 }
}

/** A v2 message with the members that matter to the envelope. */
export function message(from: Person | undefined, to: Person | undefined, more: object = {}): object {
  return {
    id: '8b1e6f7a-0a4b-4a1b-9a1f-7c1d2e3f4a5b',
    typ: 'application/didcomm-plain+json',
    type: 'https://didcomm.org/basicmessage/2.0/message',
    ...(from && { from: from.did }),
    ...(to && { to: [to.did] }),
    body: { content: 'Grüße 🌱' },
    ...more,
  }
}

export const bytesOf = (value: unknown) => utf8(JSON.stringify(value))

/** Numbers from 0 below `below`, the same for the same seed (a linear congruential generator). */
export function numbers(seed: number): (below: number) => number {
  let state = seed >>> 0
  return below => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

/** The bytes with one small damage: a bit, a byte removed or doubled, two spans swapped. */
export function damaged(bytes: Uint8Array, next: (below: number) => number): Uint8Array {
  const at = next(bytes.length)
  // A Buffer's slice is a view: the damage would be the original's too.
  const out = Uint8Array.from(bytes)
  switch (next(4)) {
    case 0:
      out[at]! ^= 1 << next(8)
      return out
    case 1:
      return concat(bytes.subarray(0, at), bytes.subarray(at + 1))
    case 2:
      return concat(bytes.subarray(0, at + 1), bytes.subarray(at))
    default: {
      const other = next(bytes.length)
      out[at] = bytes[other]!
      out[other] = bytes[at]!
      return out
    }
  }
}
