// The functions of sodium-native 5 that crypto-node.ts uses; the package carries no types. Outputs come first, and
// every function throws on a wrong length.

declare module 'sodium-native' {
  type Bytes = Uint8Array
  interface Sodium {
    randombytes_buf(out: Bytes): void
    sodium_memcmp(a: Bytes, b: Bytes): boolean
    sodium_memzero(secret: Bytes): void
    crypto_generichash(out: Bytes, input: Bytes, key?: Bytes): void
    crypto_pwhash_async(
      out: Bytes,
      passphrase: Bytes,
      salt: Bytes,
      passes: number,
      memory: number,
      algorithm: number,
    ): Promise<void>
    readonly crypto_pwhash_ALG_ARGON2ID13: number
    crypto_sign_seed_keypair(publicKey: Bytes, secretKey: Bytes, seed: Bytes): void
    crypto_sign_detached(signature: Bytes, message: Bytes, secretKey: Bytes): void
    crypto_sign_verify_detached(signature: Bytes, message: Bytes, publicKey: Bytes): boolean
    crypto_sign_ed25519_pk_to_curve25519(out: Bytes, publicKey: Bytes): void
    crypto_sign_ed25519_sk_to_curve25519(out: Bytes, secretKey: Bytes): void
    crypto_scalarmult_base(out: Bytes, scalar: Bytes): void
    crypto_scalarmult(out: Bytes, scalar: Bytes, point: Bytes): void
    crypto_secretbox_easy(out: Bytes, plain: Bytes, nonce: Bytes, key: Bytes): void
    crypto_secretbox_open_easy(out: Bytes, box: Bytes, nonce: Bytes, key: Bytes): boolean
    crypto_box_seal(out: Bytes, plain: Bytes, publicKey: Bytes): void
    crypto_box_seal_open(out: Bytes, box: Bytes, publicKey: Bytes, secretKey: Bytes): boolean
    crypto_aead_chacha20poly1305_ietf_encrypt_detached: Encrypt
    crypto_aead_chacha20poly1305_ietf_decrypt_detached: Decrypt
    crypto_aead_xchacha20poly1305_ietf_encrypt_detached: Encrypt
    crypto_aead_xchacha20poly1305_ietf_encrypt(
      out: Bytes,
      plain: Bytes,
      aad: Bytes,
      none: null,
      nonce: Bytes,
      key: Bytes,
    ): void
    crypto_aead_xchacha20poly1305_ietf_decrypt_detached: Decrypt
  }
  type Encrypt = (out: Bytes, tag: Bytes, plain: Bytes, aad: Bytes | null, none: null, nonce: Bytes, key: Bytes) => void
  type Decrypt = (out: Bytes, none: null, box: Bytes, tag: Bytes, aad: Bytes | null, nonce: Bytes, key: Bytes) => void
  const sodium: Sodium
  export default sodium
}
