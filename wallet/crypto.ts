// The primitives that the wallet needs, as an interface (DESIGN law L11): `crypto-node.ts` is the engine's
// implementation on sodium-native and node:crypto; a test packs and opens with a second one on @noble.
// All buffers are Uint8Array. Functions throw a plain Error only on wrong argument lengths (our bug); a failed
// authentication, an invalid point or an all-zero shared secret is `undefined` (the peer's fault is a value, L10).

export interface KeyPair {
  /** 32 bytes. */
  readonly publicKey: Uint8Array
  /** Ed25519: 64 bytes (seed and public key, libsodium's form). X25519: the 32-byte scalar. */
  readonly secretKey: Uint8Array
}

export interface Sealed {
  readonly ciphertext: Uint8Array
  readonly tag: Uint8Array
}

export interface Crypto {
  randomBytes(length: number): Uint8Array
  sha256(data: Uint8Array): Uint8Array
  sha512(data: Uint8Array): Uint8Array
  hmacSha512(key: Uint8Array, data: Uint8Array): Uint8Array
  /** RFC 5869 extract and expand. */
  hkdfSha256(ikm: Uint8Array, salt: Uint8Array, info: Uint8Array, length: number): Uint8Array
  /** Keyed or plain BLAKE2b, `length` 16 to 64 bytes. */
  blake2b(data: Uint8Array, length: number, key?: Uint8Array): Uint8Array
  /** Argon2id; `memory` in bytes. Asynchronous: it takes hundreds of milliseconds. */
  argon2id(passphrase: Uint8Array, salt: Uint8Array, memory: number, passes: number): Promise<Uint8Array>

  /** From a 32-byte seed. */
  ed25519KeyPair(seed: Uint8Array): KeyPair
  ed25519Sign(secretKey: Uint8Array, message: Uint8Array): Uint8Array
  /** Strict: small-order and non-canonical public keys never verify. */
  ed25519Verify(publicKey: Uint8Array, signature: Uint8Array, message: Uint8Array): boolean
  /** Birational map (RFC 7748 4.1); undefined for a point that has none or is of small order. */
  ed25519ToX25519Public(publicKey: Uint8Array): Uint8Array | undefined
  ed25519ToX25519Secret(secretKey: Uint8Array): Uint8Array
  /** From a 32-byte secret (clamped when used). */
  x25519KeyPair(secret: Uint8Array): KeyPair
  /** Raw Diffie-Hellman; undefined for a low-order point (all-zero result). */
  x25519(secretKey: Uint8Array, publicKey: Uint8Array): Uint8Array | undefined

  /** NaCl box key from the raw X25519 secret: HSalsa20(shared, 0). */
  boxKey(shared: Uint8Array): Uint8Array
  /** XSalsa20-Poly1305, tag first as in libsodium's `easy` form; nonce 24 bytes, key 32. */
  secretbox(key: Uint8Array, nonce: Uint8Array, plain: Uint8Array): Uint8Array
  secretboxOpen(key: Uint8Array, nonce: Uint8Array, box: Uint8Array): Uint8Array | undefined
  /** Anonymous box to an X25519 key (libsodium crypto_box_seal). */
  sealedBox(recipient: Uint8Array, plain: Uint8Array): Uint8Array
  sealedBoxOpen(pair: KeyPair, box: Uint8Array): Uint8Array | undefined

  /** ChaCha20-Poly1305 IETF: nonce 12 bytes, tag 16. */
  chacha20Poly1305(key: Uint8Array, nonce: Uint8Array, plain: Uint8Array, aad: Uint8Array): Sealed
  chacha20Poly1305Open(key: Uint8Array, nonce: Uint8Array, sealed: Sealed, aad: Uint8Array): Uint8Array | undefined
  /** XChaCha20-Poly1305 IETF: nonce 24 bytes, tag 16. */
  xchacha20Poly1305(key: Uint8Array, nonce: Uint8Array, plain: Uint8Array, aad: Uint8Array): Sealed
  xchacha20Poly1305Open(key: Uint8Array, nonce: Uint8Array, sealed: Sealed, aad: Uint8Array): Uint8Array | undefined
  /** The same as one array, nonce, ciphertext, tag, under a fresh nonce: how a record lies in the store. */
  xchacha20Poly1305Record?(key: Uint8Array, plain: Uint8Array, aad: Uint8Array): Uint8Array
  /** A256CBC-HS512 (RFC 7518 5.2.5): key 64 bytes, iv 16, tag 32. */
  a256cbcHs512(key: Uint8Array, iv: Uint8Array, plain: Uint8Array, aad: Uint8Array): Sealed
  a256cbcHs512Open(key: Uint8Array, iv: Uint8Array, sealed: Sealed, aad: Uint8Array): Uint8Array | undefined
  /** AES-256-GCM: iv 12 bytes, tag exactly 16. */
  a256gcm(key: Uint8Array, iv: Uint8Array, plain: Uint8Array, aad: Uint8Array): Sealed
  a256gcmOpen(key: Uint8Array, iv: Uint8Array, sealed: Sealed, aad: Uint8Array): Uint8Array | undefined
  /** RFC 3394 key wrap with a 256-bit key. */
  a256kwWrap(kek: Uint8Array, key: Uint8Array): Uint8Array
  a256kwUnwrap(kek: Uint8Array, wrapped: Uint8Array): Uint8Array | undefined

  equal(a: Uint8Array, b: Uint8Array): boolean
  /** Best effort in JavaScript: overwrites the buffer. */
  wipe(secret: Uint8Array): void
}
