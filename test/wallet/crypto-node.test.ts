// The engine's primitives against @noble, an implementation that shares no code with them, and the refusals that
// peers' input must meet.

import { describe, expect, test } from '@jest/globals'
import { aeskw, cbc, gcm } from '@noble/ciphers/aes.js'
import { chacha20poly1305, xchacha20poly1305 } from '@noble/ciphers/chacha.js'
import { hsalsa, xsalsa20poly1305 } from '@noble/ciphers/salsa.js'
import { ed25519, x25519 } from '@noble/curves/ed25519.js'
import { argon2id } from '@noble/hashes/argon2.js'
import { blake2b } from '@noble/hashes/blake2.js'
import { hkdf } from '@noble/hashes/hkdf.js'
import { hmac } from '@noble/hashes/hmac.js'
import { sha256, sha512 } from '@noble/hashes/sha2.js'
import { fromHex, hex, utf8 } from '../../wallet/bytes.ts'
import { cryptoNode as crypto } from '../../wallet/crypto-node.ts'
import { ed25519PublicToX25519, isSoundEd25519, isSoundX25519 } from '../../wallet/curve25519.ts'
import { sha256 as pureSha256 } from '../../wallet/sha256.ts'

const fill = (length: number, from = 1) => Uint8Array.from({ length }, (_, i) => (from + i * 7) & 255)
const same = (ours: Uint8Array | undefined, theirs: Uint8Array) => expect(ours && hex(ours)).toBe(hex(theirs))
const texts = [0, 1, 55, 56, 63, 64, 65, 200, 1500].map(length => fill(length))
const flipped = (bytes: Uint8Array, at = 0) => bytes.map((byte, i) => (i === at ? byte ^ 1 : byte))

test('a record is a fresh nonce, the ciphertext and its tag', () => {
  const [key, plain, aad] = [fill(32), fill(300), fill(81)]
  const [one, other] = [
    crypto.xchacha20Poly1305Record?.(key, plain, aad),
    crypto.xchacha20Poly1305Record?.(key, plain, aad),
  ]
  same(one?.subarray(24), xchacha20poly1305(key, one?.subarray(0, 24) as Uint8Array, aad).encrypt(plain))
  expect(one?.subarray(0, 24)).not.toEqual(other?.subarray(0, 24))
})

describe('hashes', () => {
  test.each(texts)('of %#', data => {
    same(crypto.sha256(data), sha256(data))
    same(pureSha256(data), sha256(data))
    same(crypto.sha512(data), sha512(data))
    same(crypto.hmacSha512(fill(40), data), hmac(sha512, fill(40), data))
    same(crypto.blake2b(data, 16, fill(32)), blake2b(data, { dkLen: 16, key: fill(32) }))
    same(crypto.blake2b(data, 64), blake2b(data, { dkLen: 64 }))
  })
  test('HKDF of one and more blocks', () => {
    for (const length of [16, 32, 33, 100]) {
      same(
        crypto.hkdfSha256(fill(32), fill(8), utf8('info'), length),
        hkdf(sha256, fill(32), fill(8), utf8('info'), length),
      )
    }
  })
  test('argon2id', async () => {
    const found = await crypto.argon2id(utf8('secret'), fill(16), 65_536, 2)
    same(found, argon2id(utf8('secret'), fill(16), { t: 2, m: 64, p: 1, dkLen: 32 }))
  })
})

describe('curves', () => {
  const seeds = Array.from({ length: 16 }, (_, i) => fill(32, 11 * i))
  test.each(seeds)('keys, signatures and secrets of seed %#', seed => {
    const pair = crypto.ed25519KeyPair(seed)
    same(pair.publicKey, ed25519.getPublicKey(seed))
    const signature = crypto.ed25519Sign(pair.secretKey, seed)
    same(signature, ed25519.sign(seed, seed))
    expect(crypto.ed25519Verify(pair.publicKey, signature, seed)).toBe(true)
    expect(crypto.ed25519Verify(pair.publicKey, flipped(signature, 40), seed)).toBe(false)
    expect(crypto.ed25519Verify(pair.publicKey, signature, fill(3))).toBe(false)
    const converted = ed25519.utils.toMontgomery(Uint8Array.from(pair.publicKey))
    same(crypto.ed25519ToX25519Public(pair.publicKey), converted)
    same(ed25519PublicToX25519(pair.publicKey), converted)
    same(crypto.x25519KeyPair(crypto.ed25519ToX25519Secret(pair.secretKey)).publicKey, converted)
    same(crypto.x25519KeyPair(seed).publicKey, x25519.getPublicKey(seed))
    same(crypto.x25519(seed, converted), x25519.getSharedSecret(seed, converted))
  })

  // y of the eight torsion points and their non-canonical spellings, with both signs.
  const torsion = [
    '00'.repeat(32),
    `01${'00'.repeat(31)}`,
    `ec${'ff'.repeat(30)}7f`,
    '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
    'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
    `ed${'ff'.repeat(30)}7f`,
    `ee${'ff'.repeat(30)}7f`,
  ]
  const signed = torsion.flatMap(key => [
    key,
    key.slice(0, 62) + (Number.parseInt(key.slice(62), 16) | 128).toString(16),
  ])
  test.each(signed)('Ed25519 key %s is refused', text => {
    const key = fromHex(text)!
    expect(isSoundEd25519(key)).toBe(false)
    expect(crypto.ed25519ToX25519Public(key)).toBeUndefined()
    const forged = fromHex(`01${'00'.repeat(63)}`)!
    for (let i = 0; i < 64; i++) expect(crypto.ed25519Verify(key, forged, Uint8Array.of(i))).toBe(false)
  })
  test.each([
    '00'.repeat(32),
    `01${'00'.repeat(31)}`,
    'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
    '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
    `ec${'ff'.repeat(30)}7f`,
    `ed${'ff'.repeat(30)}7f`,
    `ee${'ff'.repeat(30)}7f`,
    `ee${'ff'.repeat(31)}`,
  ])('X25519 key %s gives no secret', text => {
    const key = fromHex(text)!
    expect(isSoundX25519(key)).toBe(false)
    expect(crypto.x25519(fill(32), key)).toBeUndefined()
  })
  test('good keys are sound', () => {
    for (const seed of seeds) {
      expect(isSoundEd25519(crypto.ed25519KeyPair(seed).publicKey)).toBe(true)
      expect(isSoundX25519(crypto.x25519KeyPair(seed).publicKey)).toBe(true)
    }
  })
})

describe('boxes', () => {
  test('box key is HSalsa20 of the secret', () => {
    const words = (bytes: Uint8Array) => new Uint32Array(Uint8Array.from(bytes).buffer)
    for (let i = 0; i < 20; i++) {
      const out = new Uint32Array(8)
      hsalsa(
        Uint32Array.of(0x61707865, 0x3320646e, 0x79622d32, 0x6b206574),
        words(fill(32, i)),
        new Uint32Array(4),
        out,
      )
      same(crypto.boxKey(fill(32, i)), new Uint8Array(out.buffer))
    }
  })
  test('secretbox, also empty', () => {
    for (const plain of [fill(0), fill(100)]) {
      const box = crypto.secretbox(fill(32), fill(24), plain)
      same(box, xsalsa20poly1305(fill(32), fill(24)).encrypt(plain))
      same(crypto.secretboxOpen(fill(32), fill(24), box), plain)
      expect(crypto.secretboxOpen(fill(32), fill(24), flipped(box))).toBeUndefined()
    }
    expect(crypto.secretboxOpen(fill(32), fill(24), fill(15))).toBeUndefined()
  })
  test('sealed box', () => {
    const pair = crypto.x25519KeyPair(fill(32))
    const box = crypto.sealedBox(pair.publicKey, fill(44))
    same(crypto.sealedBoxOpen(pair, box), fill(44))
    expect(crypto.sealedBoxOpen(pair, flipped(box, 50))).toBeUndefined()
    expect(crypto.sealedBoxOpen(pair, box.subarray(0, 40))).toBeUndefined()
    expect(crypto.sealedBoxOpen(crypto.x25519KeyPair(fill(32, 5)), box)).toBeUndefined()
  })
})

describe('authenticated encryption', () => {
  const aads = [fill(0), fill(13)]
  const kinds = [
    {
      name: 'chacha20',
      nonce: 12,
      seal: crypto.chacha20Poly1305,
      open: crypto.chacha20Poly1305Open,
      noble: chacha20poly1305,
    },
    {
      name: 'xchacha20',
      nonce: 24,
      seal: crypto.xchacha20Poly1305,
      open: crypto.xchacha20Poly1305Open,
      noble: xchacha20poly1305,
    },
    { name: 'gcm', nonce: 12, seal: crypto.a256gcm, open: crypto.a256gcmOpen, noble: gcm },
  ]
  test.each(kinds)('$name', ({ nonce: length, seal, open, noble }) => {
    const [key, nonce] = [fill(32), fill(length, 3)]
    for (const aad of aads) {
      for (const plain of texts) {
        const { ciphertext, tag } = seal(key, nonce, plain, aad)
        same(Buffer.concat([ciphertext, tag]), noble(key, nonce, aad).encrypt(plain))
        same(open(key, nonce, { ciphertext, tag }, aad), plain)
        expect(open(key, nonce, { ciphertext, tag: flipped(tag) }, aad)).toBeUndefined()
        expect(open(key, nonce, { ciphertext, tag }, fill(14))).toBeUndefined()
        for (const cut of [0, 4, 8, 12, 15])
          expect(open(key, nonce, { ciphertext, tag: tag.subarray(0, cut) }, aad)).toBeUndefined()
        expect(open(key, nonce.subarray(1), { ciphertext, tag }, aad)).toBeUndefined()
      }
    }
  })
  test('A256CBC-HS512', () => {
    const [key, iv] = [fill(64), fill(16, 9)]
    for (const aad of aads) {
      for (const plain of texts) {
        const { ciphertext, tag } = crypto.a256cbcHs512(key, iv, plain, aad)
        same(ciphertext, cbc(key.subarray(32), iv).encrypt(plain))
        const length = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, aad.length * 8)
        same(
          tag,
          hmac(sha512, key.subarray(0, 32), Uint8Array.from([...aad, ...iv, ...ciphertext, ...length])).subarray(0, 32),
        )
        same(crypto.a256cbcHs512Open(key, iv, { ciphertext, tag }, aad), plain)
        expect(crypto.a256cbcHs512Open(key, iv, { ciphertext: flipped(ciphertext), tag }, aad)).toBeUndefined()
        expect(crypto.a256cbcHs512Open(key, iv, { ciphertext, tag: tag.subarray(0, 16) }, aad)).toBeUndefined()
      }
    }
  })
  test('A256KW', () => {
    for (const length of [16, 32, 64]) {
      const wrapped = crypto.a256kwWrap(fill(32), fill(length))
      same(wrapped, aeskw(fill(32)).encrypt(fill(length)))
      same(crypto.a256kwUnwrap(fill(32), wrapped), fill(length))
      expect(crypto.a256kwUnwrap(fill(32), flipped(wrapped, 8))).toBeUndefined()
      expect(crypto.a256kwUnwrap(fill(32), wrapped.subarray(0, -3))).toBeUndefined()
    }
  })
})

describe('randomness and constant time', () => {
  test('no bytes are handed out twice', () => {
    const seen = new Set<string>()
    for (let i = 0; i < 3000; i++) seen.add(hex(crypto.randomBytes(16)))
    expect(seen.size).toBe(3000)
    expect(crypto.randomBytes(5000).length).toBe(5000)
  })
  test('equal and wipe', () => {
    expect(crypto.equal(fill(5), fill(5))).toBe(true)
    expect(crypto.equal(fill(5), fill(6))).toBe(false)
    expect(crypto.equal(fill(5), fill(5, 2))).toBe(false)
    const secret = fill(32)
    crypto.wipe(secret)
    expect(secret.every(byte => byte === 0)).toBe(true)
  })
})
