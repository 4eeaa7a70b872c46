// The key store of the foreign agent: Credo's own Node key store, widened by the two primitives of the v1 envelope
// that it lacks (RFC 0019: crypto_box and crypto_box_seal, in Credo's words ECDH-HSALSA20 with XSALSA20-POLY1305).
// So the peer needs no Askar binary. Lives in the peer's cache folder, never inside Picomesh.

import { randomUUID } from 'node:crypto'
import { Kms } from '@credo-ts/core'
import { NodeInMemoryKeyManagementStorage, NodeKeyManagementService } from '@credo-ts/node'
import sodium from 'sodium-native'

const base64url = bytes => Buffer.from(bytes).toString('base64url')
const bytes = text => Buffer.from(text, 'base64url')
const isBox = agreement => agreement?.algorithm === 'ECDH-HSALSA20'

/** X25519 private key (32 bytes) of a stored OKP key, converted when it is an Ed25519 key. */
const privateX25519 = jwk => {
  if (jwk.crv === 'X25519') return bytes(jwk.d)
  const secret = Buffer.alloc(sodium.crypto_box_SECRETKEYBYTES)
  sodium.crypto_sign_ed25519_sk_to_curve25519(secret, Buffer.concat([bytes(jwk.d), bytes(jwk.x)]))
  return secret
}

const publicX25519 = secret => {
  const key = Buffer.alloc(sodium.crypto_box_PUBLICKEYBYTES)
  sodium.crypto_scalarmult_base(key, secret)
  return key
}

/** A fresh OKP key pair as private JWK; made by libsodium, since exporting a fresh key as JWK can hang in Node 20. */
const newOkp = crv => {
  if (crv === 'Ed25519') {
    const x = Buffer.alloc(sodium.crypto_sign_PUBLICKEYBYTES)
    const secret = Buffer.alloc(sodium.crypto_sign_SECRETKEYBYTES)
    sodium.crypto_sign_keypair(x, secret)
    return { kty: 'OKP', crv, x: base64url(x), d: base64url(secret.subarray(0, 32)) }
  }
  const x = Buffer.alloc(sodium.crypto_box_PUBLICKEYBYTES)
  const d = Buffer.alloc(sodium.crypto_box_SECRETKEYBYTES)
  sodium.crypto_box_keypair(x, d)
  return { kty: 'OKP', crv, x: base64url(x), d: base64url(d) }
}

const sealTo = (recipient, data) => {
  const encrypted = Buffer.alloc(data.length + sodium.crypto_box_SEALBYTES)
  sodium.crypto_box_seal(encrypted, data, recipient)
  return { encrypted }
}

const boxTo = (recipient, secret, data) => {
  const iv = Buffer.alloc(sodium.crypto_box_NONCEBYTES)
  sodium.randombytes_buf(iv)
  const encrypted = Buffer.alloc(data.length + sodium.crypto_box_MACBYTES)
  sodium.crypto_box_easy(encrypted, data, iv, recipient, secret)
  return { encrypted, iv }
}

/** Key management for one agent, in memory only. */
export class PeerKms extends NodeKeyManagementService {
  #storage
  #onKey

  /** @param {(jwk: object) => void} onKey told each new private JWK; a recording can then be opened by others */
  constructor(onKey = () => {}) {
    const storage = new NodeInMemoryKeyManagementStorage()
    super(storage)
    this.#storage = storage
    this.#onKey = onKey
  }

  isOperationSupported(agentContext, operation) {
    if (isBox(operation.keyAgreement)) return true
    return super.isOperationSupported(agentContext, operation)
  }

  async createKey(agentContext, options) {
    if (options.type.kty !== 'OKP') return super.createKey(agentContext, options)
    const kid = options.keyId ?? randomUUID()
    await this.assertKeyNotExists(agentContext, kid)
    const { d, ...publicJwk } = newOkp(options.type.crv)
    await this.#storage.set(agentContext, kid, { ...publicJwk, d, kid })
    this.#onKey({ ...publicJwk, d })
    return { keyId: kid, publicJwk: { ...publicJwk, kid } }
  }

  async encrypt(agentContext, options) {
    const agreement = options.key.keyAgreement
    if (!isBox(agreement)) return super.encrypt(agentContext, options)
    const recipient = bytes(agreement.externalPublicJwk.x)
    const data = Buffer.from(options.data)
    if (!agreement.keyId) return sealTo(recipient, data)
    return boxTo(recipient, privateX25519(await this.getKeyAsserted(agentContext, agreement.keyId)), data)
  }

  async decrypt(agentContext, options) {
    const agreement = options.key.keyAgreement
    if (!isBox(agreement)) return super.decrypt(agentContext, options)
    const secret = privateX25519(await this.getKeyAsserted(agentContext, agreement.keyId))
    const encrypted = Buffer.from(options.encrypted)
    const sealed = !agreement.externalPublicJwk
    const data = Buffer.alloc(encrypted.length - (sealed ? sodium.crypto_box_SEALBYTES : sodium.crypto_box_MACBYTES))
    const opened = sealed
      ? sodium.crypto_box_seal_open(data, encrypted, publicX25519(secret), secret)
      : sodium.crypto_box_open_easy(
          data,
          encrypted,
          Buffer.from(options.decryption.iv),
          bytes(agreement.externalPublicJwk.x),
          secret,
        )
    if (!opened) throw new Kms.KeyManagementError('the box does not open with this key')
    return { data }
  }
}
