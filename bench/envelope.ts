// Packing and opening a message of about 1 KB, v1 and v2 authcrypt with warm caches, against the sum of their primitives:
// one key generation, one Diffie-Hellman, and the symmetric cryptography of the content and its key (v2: AES, HMAC, key
// wrap). Both are timed in turns in one process; medians of the turns.

import { base58, base64url, utf8 } from '../wallet/bytes.ts'
import { cryptoNode as crypto } from '../wallet/crypto-node.ts'
import { peek, unpack } from '../wallet/envelope.ts'
import { packV1 } from '../wallet/envelope-v1.ts'
import { packV2 } from '../wallet/envelope-v2.ts'
import { isFault } from '../wallet/fault.ts'
import { type Keyring, makeKeyring, type StoredKey } from '../wallet/keyring.ts'
import { encodeMultikey } from '../wallet/multikey.ts'
import { makeResolver } from '../wallet/resolver.ts'
import { type Measured, median, type Size } from './figure.ts'

const goal = 0.6
const turnMs = 40

interface Party {
  readonly did: string
  readonly verkey: string
  readonly ed25519: Uint8Array
  readonly x25519: Uint8Array
  readonly boxKid: string
  readonly keyring: Keyring
}

function party(name: string): Party {
  const seed = crypto.sha256(utf8(name))
  const pair = crypto.ed25519KeyPair(seed)
  const box = crypto.x25519KeyPair(crypto.ed25519ToX25519Secret(pair.secretKey))
  const did = `did:key:${encodeMultikey('Ed25519', pair.publicKey)}`
  const boxKid = `${did}#${encodeMultikey('X25519', box.publicKey)}`
  const verkey = base58(pair.publicKey)
  const stored = new Map<string, StoredKey>([
    [verkey, { type: 'Ed25519', seed: base64url(seed) }],
    [boxKid, { type: 'X25519', seed: base64url(box.secretKey) }],
  ])
  const keyring = makeKeyring(crypto, kid => stored.get(kid))
  return { did, verkey, ed25519: pair.publicKey, x25519: box.publicKey, boxKid, keyring }
}

/** Messages per second of four operations, each with its ceiling. */
export async function bench({ short }: Size): Promise<Measured[]> {
  const turns = short ? 9 : 25
  const alice = party('alice')
  const bob = party('bob')
  const { resolve } = makeResolver()
  const content = 'x'.repeat(700)
  const v1 = utf8(
    JSON.stringify({
      '@type': 'https://didcomm.org/basicmessage/1.0/message',
      '@id': '8b1e6f7a-0a4b-4a1b-9a1f-7c1d2e3f4a5b',
      '~thread': { thid: '8b1e6f7a-0a4b-4a1b-9a1f-7c1d2e3f4a5b', sender_order: 1 },
      sent_time: '2025-01-01T00:00:00Z',
      content: content + content.slice(0, 140),
    }),
  )
  const v2 = utf8(
    JSON.stringify({
      id: '8b1e6f7a-0a4b-4a1b-9a1f-7c1d2e3f4a5b',
      typ: 'application/didcomm-plain+json',
      type: 'https://didcomm.org/basicmessage/2.0/message',
      from: alice.did,
      to: [bob.did],
      created_time: 1_735_689_600,
      body: { content },
    }),
  )
  const sendV1 = { plaintext: v1, recipients: [bob.ed25519], sender: alice.verkey }
  const recipients = [{ kid: bob.boxKid, publicKey: bob.x25519 }]
  const sendV2 = { plaintext: v2, recipients, sender: alice.boxKid }
  const packedV1 = good(packV1(crypto, alice.keyring, sendV1))
  const packedV2 = good(packV2(crypto, alice.keyring, sendV2))
  const open = (packed: Uint8Array) => {
    const envelope = good(peek(packed))
    return good(unpack(crypto, bob.keyring, resolve, envelope, { now: 1_735_689_600 }))
  }
  const ceilings = { ...ceilingsV1(v1, alice, bob), ...ceilingsV2(v2, alice, bob) }
  return [
    compare('v1 authcrypt pack', () => good(packV1(crypto, alice.keyring, sendV1)), ceilings.packV1, turns),
    compare('v1 authcrypt unpack', () => open(packedV1), ceilings.unpackV1, turns),
    compare('v2 authcrypt pack', () => good(packV2(crypto, alice.keyring, sendV2)), ceilings.packV2, turns),
    compare('v2 authcrypt unpack', () => open(packedV2), ceilings.unpackV2, turns),
  ]
}

function good<T>(found: T): Exclude<T, { fault: true }> {
  if (isFault(found)) throw new Error(`${found.code}: ${found.message}`)
  return found as Exclude<T, { fault: true }>
}

// A sealed box is one key generation and one Diffie-Hellman, with the Salsa20 of the sender's name.
function ceilingsV1(plaintext: Uint8Array, alice: Party, bob: Party) {
  const key = crypto.randomBytes(32)
  const nonce = crypto.randomBytes(24)
  const aad = crypto.randomBytes(540)
  const name = utf8(alice.verkey)
  const mine = crypto.x25519KeyPair(bob.keyring.pair(bob.boxKid)!.secretKey)
  const box = crypto.secretbox(key, nonce, key)
  const sealed = crypto.sealedBox(bob.x25519, name)
  const content = crypto.chacha20Poly1305(key, nonce.subarray(0, 12), plaintext, aad)
  return {
    packV1: () => {
      crypto.sealedBox(bob.x25519, name)
      crypto.secretbox(key, nonce, key)
      crypto.chacha20Poly1305(key, nonce.subarray(0, 12), plaintext, aad)
    },
    unpackV1: () => {
      crypto.x25519KeyPair(key)
      crypto.sealedBoxOpen(mine, sealed)
      crypto.secretboxOpen(key, nonce, box)
      crypto.chacha20Poly1305Open(key, nonce.subarray(0, 12), content, aad)
    },
  }
}

function ceilingsV2(plaintext: Uint8Array, alice: Party, bob: Party) {
  const secret = crypto.randomBytes(32)
  const key = crypto.randomBytes(64)
  const kek = crypto.randomBytes(32)
  const iv = crypto.randomBytes(16)
  const aad = crypto.randomBytes(780)
  const mine = bob.keyring.pair(bob.boxKid)!.secretKey
  const sealed = crypto.a256cbcHs512(key, iv, plaintext, aad)
  const wrapped = crypto.a256kwWrap(kek, key)
  return {
    packV2: () => {
      const once = crypto.x25519KeyPair(secret)
      crypto.x25519(once.secretKey, bob.x25519)
      crypto.a256cbcHs512(key, iv, plaintext, aad)
      crypto.a256kwWrap(kek, key)
    },
    unpackV2: () => {
      crypto.x25519KeyPair(secret)
      crypto.x25519(mine, alice.x25519)
      crypto.a256kwUnwrap(kek, wrapped)
      crypto.a256cbcHs512Open(key, iv, sealed, aad)
    },
  }
}

function compare(name: string, operation: () => unknown, ceiling: () => unknown, turns: number): Measured {
  for (const run of [operation, ceiling]) perSecond(run, 60)
  const values: number[] = []
  const references: number[] = []
  for (let turn = 0; turn < turns; turn++) {
    values.push(perSecond(operation, turnMs))
    references.push(perSecond(ceiling, turnMs))
  }
  const value = Math.round(median(values))
  const reference = { name: 'sum of its primitives', value: Math.round(median(references)) }
  return { name, value, unit: 'messages/s', reference, ratio: value / reference.value, goal }
}

function perSecond(run: () => unknown, milliseconds: number): number {
  const start = performance.now()
  let count = 0
  let spent = 0
  while (spent < milliseconds) {
    for (let i = 0; i < 10; i++) run()
    count += 10
    spent = performance.now() - start
  }
  return (count * 1000) / spent
}
