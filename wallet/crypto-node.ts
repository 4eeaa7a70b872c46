// `Crypto` on sodium-native and node:crypto (DESIGN 6): curves, ChaCha and Argon2 come from libsodium, AES, HMAC and
// HKDF from OpenSSL. The one file of the wallet that names either, or Buffer. No key is ever made or exported as a
// KeyObject: JWK export of a fresh key can deadlock Node 20. Importing this file also registers Buffer's codecs.

import { isUtf8 } from 'node:buffer'
import * as openssl from 'node:crypto'
import sodium from 'sodium-native'
import { registerCodecs } from './bytes.ts'
import type { Crypto, KeyPair, Sealed } from './crypto.ts'
import { hsalsa20Zero } from './hsalsa20.ts'

// Outputs are slices of Buffer's pool: a small Uint8Array would be moved off V8's heap at each native call. So callers
// copy with Uint8Array.from, never with slice (a Buffer's is a view), and never take `.buffer` for the bytes.
const room = (length: number): Uint8Array => Buffer.allocUnsafe(length)
const asBuffer = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)

// ---- randomness --------------------------------------------------------------------------------------------

const poolSize = 8192
const pool = new Uint8Array(poolSize)
let used = poolSize

// Bytes are copied out and wiped from the pool, so none is handed out twice or stays behind.
function randomBytes(length: number): Uint8Array {
  const out = room(length)
  if (length > poolSize / 8) sodium.randombytes_buf(out)
  else fillRandom(out)
  return out
}

function fillRandom(out: Uint8Array): void {
  const { length } = out
  if (used + length > poolSize) {
    sodium.randombytes_buf(pool)
    used = 0
  }
  for (let i = 0; i < length; i++) {
    out[i] = pool[used] as number
    pool[used++] = 0
  }
}

// ---- hashes ------------------------------------------------------------------------------------------------

function hmac(hash: string, key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
  const mac = openssl.createHmac(hash, key)
  for (const part of parts) mac.update(part)
  return mac.digest()
}

function hkdfSha256(ikm: Uint8Array, salt: Uint8Array, info: Uint8Array, length: number): Uint8Array {
  if (length > 255 * 32) throw new Error('HKDF-SHA256 gives at most 8160 bytes')
  const key = hmac('sha256', salt, ikm)
  const blocks: Uint8Array[] = []
  for (let i = 1; blocks.length * 32 < length; i++) {
    blocks.push(hmac('sha256', key, blocks.at(-1) ?? new Uint8Array(0), info, Uint8Array.of(i)))
  }
  key.fill(0)
  const first = blocks[0]
  return blocks.length === 1 ? first!.subarray(0, length) : Buffer.concat(blocks, length)
}

function blake2b(data: Uint8Array, length: number, key?: Uint8Array): Uint8Array {
  const out = room(length)
  sodium.crypto_generichash(out, data, key)
  return out
}

async function argon2id(passphrase: Uint8Array, salt: Uint8Array, memory: number, passes: number): Promise<Uint8Array> {
  const out = Buffer.alloc(32)
  await sodium.crypto_pwhash_async(out, passphrase, salt, passes, memory, sodium.crypto_pwhash_ALG_ARGON2ID13)
  return out
}

// ---- curves ------------------------------------------------------------------------------------------------

function ed25519KeyPair(seed: Uint8Array): KeyPair {
  const publicKey = room(32)
  const secretKey = room(64)
  sodium.crypto_sign_seed_keypair(publicKey, secretKey, seed)
  return { publicKey, secretKey }
}

function ed25519Sign(secretKey: Uint8Array, message: Uint8Array): Uint8Array {
  const signature = room(64)
  sodium.crypto_sign_detached(signature, message, secretKey)
  return signature
}

// libsodium refuses small-order and non-canonical keys, small-order R and S outside the group order.
function ed25519Verify(publicKey: Uint8Array, signature: Uint8Array, message: Uint8Array): boolean {
  if (publicKey.length !== 32 || signature.length !== 64) return false
  return sodium.crypto_sign_verify_detached(signature, message, publicKey)
}

function x25519KeyPair(secret: Uint8Array): KeyPair {
  const publicKey = room(32)
  sodium.crypto_scalarmult_base(publicKey, secret)
  return { publicKey, secretKey: secret }
}

// sodium-native throws both for lengths (our bug: checked first) and for a result that libsodium refuses.
function pointOrNothing(compute: (out: Uint8Array) => void): Uint8Array | undefined {
  const out = room(32)
  try {
    compute(out)
    return out
  } catch {
    return undefined
  }
}

function want(bytes: Uint8Array, length: number, what: string): void {
  if (bytes.length !== length) throw new Error(`${what} must be ${length} bytes`)
}

function x25519(secretKey: Uint8Array, publicKey: Uint8Array): Uint8Array | undefined {
  want(secretKey, 32, 'X25519 secret key')
  want(publicKey, 32, 'X25519 public key')
  return pointOrNothing(out => sodium.crypto_scalarmult(out, secretKey, publicKey))
}

function ed25519ToX25519Public(publicKey: Uint8Array): Uint8Array | undefined {
  want(publicKey, 32, 'Ed25519 public key')
  return pointOrNothing(out => sodium.crypto_sign_ed25519_pk_to_curve25519(out, publicKey))
}

function ed25519ToX25519Secret(secretKey: Uint8Array): Uint8Array {
  const out = room(32)
  sodium.crypto_sign_ed25519_sk_to_curve25519(out, secretKey)
  return out
}

// ---- NaCl boxes --------------------------------------------------------------------------------------------

function secretbox(key: Uint8Array, nonce: Uint8Array, plain: Uint8Array): Uint8Array {
  const box = room(plain.length + 16)
  sodium.crypto_secretbox_easy(box, plain, nonce, key)
  return box
}

function secretboxOpen(key: Uint8Array, nonce: Uint8Array, box: Uint8Array): Uint8Array | undefined {
  if (box.length < 16 || nonce.length !== 24) return undefined
  const plain = room(box.length - 16)
  return sodium.crypto_secretbox_open_easy(plain, box, nonce, key) ? plain : undefined
}

function sealedBox(recipient: Uint8Array, plain: Uint8Array): Uint8Array {
  const box = room(plain.length + 48)
  sodium.crypto_box_seal(box, plain, recipient)
  return box
}

function sealedBoxOpen(pair: KeyPair, box: Uint8Array): Uint8Array | undefined {
  if (box.length < 48) return undefined
  const plain = room(box.length - 48)
  return sodium.crypto_box_seal_open(plain, box, pair.publicKey, pair.secretKey) ? plain : undefined
}

// ---- authenticated encryption ------------------------------------------------------------------------------

type Seal = Crypto['chacha20Poly1305']
type Open = Crypto['chacha20Poly1305Open']

const sodiumSeal =
  (encrypt: typeof sodium.crypto_aead_chacha20poly1305_ietf_encrypt_detached): Seal =>
  (key, nonce, plain, aad) => {
    const ciphertext = room(plain.length)
    const tag = room(16)
    encrypt(ciphertext, tag, plain, aad.length > 0 ? aad : null, null, nonce, key)
    return { ciphertext, tag }
  }

function xchacha20Poly1305Record(key: Uint8Array, plain: Uint8Array, aad: Uint8Array): Uint8Array {
  const record = room(24 + plain.length + 16)
  const nonce = record.subarray(0, 24)
  fillRandom(nonce)
  // libsodium's combined form is ciphertext, then tag.
  sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(record.subarray(24), plain, aad, null, nonce, key)
  return record
}

const sodiumOpen =
  (decrypt: typeof sodium.crypto_aead_chacha20poly1305_ietf_decrypt_detached, nonceLength: number): Open =>
  (key, nonce, { ciphertext, tag }, aad) => {
    want(key, 32, 'ChaCha20-Poly1305 key')
    if (nonce.length !== nonceLength || tag.length !== 16) return undefined
    const plain = room(ciphertext.length)
    try {
      decrypt(plain, null, ciphertext, tag, aad.length > 0 ? aad : null, nonce, key)
      return plain
    } catch {
      return undefined
    }
  }

// RFC 7518 5.2.2.1: the tag covers AAD, IV, ciphertext and the AAD's length in bits.
function cbcTag(key: Uint8Array, iv: Uint8Array, ciphertext: Uint8Array, aad: Uint8Array): Uint8Array {
  const bits = Buffer.alloc(8)
  bits.writeUInt32BE(Math.floor(aad.length / 2 ** 29), 0)
  bits.writeUInt32BE((aad.length * 8) >>> 0, 4)
  return hmac('sha512', key.subarray(0, 32), aad, iv, ciphertext, bits).subarray(0, 32)
}

function a256cbcHs512(key: Uint8Array, iv: Uint8Array, plain: Uint8Array, aad: Uint8Array): Sealed {
  want(key, 64, 'A256CBC-HS512 key')
  const cipher = openssl.createCipheriv('aes-256-cbc', key.subarray(32), iv)
  const ciphertext = Buffer.concat([cipher.update(plain), cipher.final()])
  return { ciphertext, tag: cbcTag(key, iv, ciphertext, aad) }
}

function a256cbcHs512Open(key: Uint8Array, iv: Uint8Array, sealed: Sealed, aad: Uint8Array): Uint8Array | undefined {
  want(key, 64, 'A256CBC-HS512 key')
  const { ciphertext, tag } = sealed
  if (iv.length !== 16 || tag.length !== 32) return undefined
  if (!sodium.sodium_memcmp(tag, cbcTag(key, iv, ciphertext, aad))) return undefined
  return finished(openssl.createDecipheriv('aes-256-cbc', key.subarray(32), iv), ciphertext)
}

function finished(decipher: openssl.Decipher, ciphertext: Uint8Array): Uint8Array | undefined {
  try {
    return Buffer.concat([decipher.update(ciphertext), decipher.final()])
  } catch {
    return undefined
  }
}

// Without a fixed `authTagLength` OpenSSL takes tags cut to 4 bytes.
const gcmTag = { authTagLength: 16 }

function a256gcm(key: Uint8Array, iv: Uint8Array, plain: Uint8Array, aad: Uint8Array): Sealed {
  want(iv, 12, 'AES-GCM iv')
  const cipher = openssl.createCipheriv('aes-256-gcm', key, iv, gcmTag)
  cipher.setAAD(aad)
  const ciphertext = Buffer.concat([cipher.update(plain), cipher.final()])
  return { ciphertext, tag: cipher.getAuthTag() }
}

function a256gcmOpen(key: Uint8Array, iv: Uint8Array, sealed: Sealed, aad: Uint8Array): Uint8Array | undefined {
  want(key, 32, 'AES-256-GCM key')
  if (iv.length !== 12 || sealed.tag.length !== 16) return undefined
  const decipher = openssl.createDecipheriv('aes-256-gcm', key, iv, gcmTag)
  decipher.setAAD(aad)
  decipher.setAuthTag(sealed.tag)
  return finished(decipher, sealed.ciphertext)
}

// ---- key wrap ----------------------------------------------------------------------------------------------

const wrapIv = Buffer.alloc(8, 0xa6)

function a256kwWrap(kek: Uint8Array, key: Uint8Array): Uint8Array {
  const cipher = openssl.createCipheriv('id-aes256-wrap', kek, wrapIv)
  return Buffer.concat([cipher.update(key), cipher.final()])
}

function a256kwUnwrap(kek: Uint8Array, wrapped: Uint8Array): Uint8Array | undefined {
  want(kek, 32, 'A256KW key')
  if (wrapped.length < 24 || wrapped.length % 8 !== 0) return undefined
  return finished(openssl.createDecipheriv('id-aes256-wrap', kek, wrapIv), wrapped)
}

// ---- the interface -----------------------------------------------------------------------------------------

export const cryptoNode: Crypto = {
  randomBytes,
  sha256: data => openssl.hash('sha256', data, 'buffer'),
  sha512: data => openssl.hash('sha512', data, 'buffer'),
  hmacSha512: (key, data) => hmac('sha512', key, data),
  hkdfSha256,
  blake2b,
  argon2id,
  ed25519KeyPair,
  ed25519Sign,
  ed25519Verify,
  ed25519ToX25519Public,
  ed25519ToX25519Secret,
  x25519KeyPair,
  x25519,
  boxKey: hsalsa20Zero,
  secretbox,
  secretboxOpen,
  sealedBox,
  sealedBoxOpen,
  chacha20Poly1305: sodiumSeal(sodium.crypto_aead_chacha20poly1305_ietf_encrypt_detached),
  chacha20Poly1305Open: sodiumOpen(sodium.crypto_aead_chacha20poly1305_ietf_decrypt_detached, 12),
  xchacha20Poly1305: sodiumSeal(sodium.crypto_aead_xchacha20poly1305_ietf_encrypt_detached),
  xchacha20Poly1305Open: sodiumOpen(sodium.crypto_aead_xchacha20poly1305_ietf_decrypt_detached, 24),
  xchacha20Poly1305Record,
  a256cbcHs512,
  a256cbcHs512Open,
  a256gcm,
  a256gcmOpen,
  a256kwWrap,
  a256kwUnwrap,
  equal: (a, b) => a.length === b.length && sodium.sodium_memcmp(a, b),
  wipe: secret => sodium.sodium_memzero(secret),
}

// Buffer's decoder passes over junk; writing the bytes again and comparing finds every text that is not canonical. The
// padded spelling is compared as a whole too, so that `=` is taken only where it belongs.
registerCodecs({
  utf8: text => Buffer.from(text, 'utf8'),
  textStrict: bytes => (isUtf8(bytes) ? asBuffer(bytes).toString('utf8') : undefined),
  base64url: bytes => asBuffer(bytes).toString('base64url'),
  fromBase64url: (text, options) => {
    const bytes = Buffer.from(text, 'base64url')
    const bare = bytes.toString('base64url')
    if (bare === text) return bytes
    const padded = options?.padding === 'allow' && bare.padEnd(Math.ceil(bare.length / 4) * 4, '=') === text
    return padded ? bytes : undefined
  },
  hex: bytes => asBuffer(bytes).toString('hex'),
})

// ---- digests that rulesets may ask for ---------------------------------------------------------------------

/** Names of digests, for KRL's math module. */
export const DIGESTS: readonly string[] = ['md5', 'sha1', 'sha224', 'sha256', 'sha384', 'sha512'].filter(name =>
  openssl.getHashes().includes(name),
)

/** Undefined for a name that is not in DIGESTS. */
export function digest(algorithm: string, data: Uint8Array): Uint8Array | undefined {
  return DIGESTS.includes(algorithm) ? new Uint8Array(openssl.createHash(algorithm).update(data).digest()) : undefined
}

/** HMAC (RFC 2104); undefined for a name that is not in DIGESTS. */
export function hmacDigest(algorithm: string, key: Uint8Array, data: Uint8Array): Uint8Array | undefined {
  return DIGESTS.includes(algorithm)
    ? new Uint8Array(openssl.createHmac(algorithm, key).update(data).digest())
    : undefined
}
