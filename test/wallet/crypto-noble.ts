// A second implementation of the wallet's primitives, in JavaScript alone (@noble): what a browser would use. Slow; it
// shares no line with crypto-node.ts, so what one packs and the other opens proves both.

import { aeskw, cbc, gcm } from '@noble/ciphers/aes.js'
import { chacha20poly1305, xchacha20poly1305 } from '@noble/ciphers/chacha.js'
import { hsalsa, xsalsa20poly1305 } from '@noble/ciphers/salsa.js'
import { ed25519, x25519 } from '@noble/curves/ed25519.js'
import { argon2idAsync } from '@noble/hashes/argon2.js'
import { blake2b } from '@noble/hashes/blake2.js'
import { hkdf } from '@noble/hashes/hkdf.js'
import { hmac } from '@noble/hashes/hmac.js'
import { sha256, sha512 } from '@noble/hashes/sha2.js'
import { concatBytes, randomBytes, utf8ToBytes } from '@noble/hashes/utils.js'
import type { Crypto, Sealed } from '../../wallet/crypto.ts'

type Aead = { encrypt(plain: Uint8Array): Uint8Array; decrypt(sealed: Uint8Array): Uint8Array }
type Make = (key: Uint8Array, nonce: Uint8Array, aad: Uint8Array) => Aead

function attempt<T>(compute: () => T): T | undefined {
  try {
    return compute()
  } catch {
    return undefined
  }
}

const sealWith =
  (make: Make): Crypto['chacha20Poly1305'] =>
  (key, nonce, plain, aad) => {
    const joined = make(key, nonce, aad).encrypt(plain)
    return { ciphertext: joined.slice(0, -16), tag: joined.slice(-16) }
  }

const openWith =
  (make: Make, nonceLength: number): Crypto['chacha20Poly1305Open'] =>
  (key, nonce, { ciphertext, tag }, aad) => {
    if (nonce.length !== nonceLength || tag.length !== 16) return undefined
    return attempt(() => make(key, nonce, aad).decrypt(concatBytes(ciphertext, tag)))
  }

const words = (bytes: Uint8Array) => new Uint32Array(bytes.slice().buffer)

function boxKey(shared: Uint8Array): Uint8Array {
  const out = new Uint32Array(8)
  hsalsa(words(utf8ToBytes('expand 32-byte k')), words(shared), new Uint32Array(4), out)
  return new Uint8Array(out.buffer)
}

const secretbox = (key: Uint8Array, nonce: Uint8Array, plain: Uint8Array) => xsalsa20poly1305(key, nonce).encrypt(plain)
const sealNonce = (once: Uint8Array, theirs: Uint8Array) => blake2b(concatBytes(once, theirs), { dkLen: 24 })

function cbcTag(key: Uint8Array, iv: Uint8Array, ciphertext: Uint8Array, aad: Uint8Array): Uint8Array {
  const bits = new Uint8Array(8)
  new DataView(bits.buffer).setBigUint64(0, BigInt(aad.length) * 8n)
  return hmac(sha512, key.slice(0, 32), concatBytes(aad, iv, ciphertext, bits)).slice(0, 32)
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  let difference = a.length ^ b.length
  for (let i = 0; i < a.length; i++) difference |= a[i]! ^ (b[i] ?? 0)
  return difference === 0
}

function cbcOpen(key: Uint8Array, iv: Uint8Array, { ciphertext, tag }: Sealed, aad: Uint8Array) {
  if (iv.length !== 16 || !equal(tag, cbcTag(key, iv, ciphertext, aad))) return undefined
  return attempt(() => cbc(key.slice(32), iv).decrypt(ciphertext))
}

const chacha: Make = (key, nonce, aad) => chacha20poly1305(key, nonce, aad)
const xchacha: Make = (key, nonce, aad) => xchacha20poly1305(key, nonce, aad)
const aesGcm: Make = (key, nonce, aad) => gcm(key, nonce, aad)

export const cryptoNoble: Crypto = {
  randomBytes,
  sha256,
  sha512,
  hmacSha512: (key, data) => hmac(sha512, key, data),
  hkdfSha256: (ikm, salt, info, length) => hkdf(sha256, ikm, salt, info, length),
  blake2b: (data, length, key) => blake2b(data, key === undefined ? { dkLen: length } : { dkLen: length, key }),
  argon2id: (passphrase, salt, memory, passes) =>
    argon2idAsync(passphrase, salt, { t: passes, m: memory / 1024, p: 1, dkLen: 32 }),
  ed25519KeyPair: seed => {
    const publicKey = ed25519.getPublicKey(seed)
    return { publicKey, secretKey: concatBytes(seed, publicKey) }
  },
  ed25519Sign: (secretKey, message) => ed25519.sign(message, secretKey.slice(0, 32)),
  ed25519Verify: (publicKey, signature, message) =>
    attempt(() => ed25519.verify(signature, message, publicKey, { zip215: false })) ?? false,
  ed25519ToX25519Public: publicKey =>
    attempt(() => {
      const point = ed25519.Point.fromBytes(publicKey)
      return point.isSmallOrder() || !point.isTorsionFree() ? undefined : ed25519.utils.toMontgomery(publicKey)
    }),
  ed25519ToX25519Secret: secretKey => ed25519.utils.toMontgomerySecret(secretKey.slice(0, 32)),
  x25519KeyPair: secret => ({ publicKey: x25519.getPublicKey(secret), secretKey: secret }),
  x25519: (secretKey, publicKey) => attempt(() => x25519.getSharedSecret(secretKey, publicKey)),
  boxKey,
  secretbox,
  secretboxOpen: (key, nonce, box) => attempt(() => xsalsa20poly1305(key, nonce).decrypt(box)),
  sealedBox: (recipient, plain) => {
    const secret = x25519.utils.randomSecretKey()
    const once = x25519.getPublicKey(secret)
    const key = boxKey(x25519.getSharedSecret(secret, recipient))
    return concatBytes(once, secretbox(key, sealNonce(once, recipient), plain))
  },
  sealedBoxOpen: (pair, box) =>
    attempt(() => {
      const once = box.slice(0, 32)
      const key = boxKey(x25519.getSharedSecret(pair.secretKey, once))
      return xsalsa20poly1305(key, sealNonce(once, pair.publicKey)).decrypt(box.slice(32))
    }),
  chacha20Poly1305: sealWith(chacha),
  chacha20Poly1305Open: openWith(chacha, 12),
  xchacha20Poly1305: sealWith(xchacha),
  xchacha20Poly1305Open: openWith(xchacha, 24),
  a256cbcHs512: (key, iv, plain, aad) => {
    const ciphertext = cbc(key.slice(32), iv).encrypt(plain)
    return { ciphertext, tag: cbcTag(key, iv, ciphertext, aad) }
  },
  a256cbcHs512Open: cbcOpen,
  a256gcm: sealWith(aesGcm),
  a256gcmOpen: openWith(aesGcm, 12),
  a256kwWrap: (kek, key) => aeskw(kek).encrypt(key),
  a256kwUnwrap: (kek, wrapped) => attempt(() => aeskw(kek).decrypt(wrapped)),
  equal,
  wipe: secret => secret.fill(0),
}
