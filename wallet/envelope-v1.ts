// Packing DIDComm v1 envelopes (Aries RFC 0019), as every peer opens them: base64url without padding, recipients by
// their base58 verkeys. envelope.ts opens them.

import { base64url, utf8 } from './bytes.ts'
import type { Crypto } from './crypto.ts'
import { namesV1 } from './envelope.ts'
import { type Fault, fault, isFault } from './fault.ts'
import { type CurveKey, curveKey } from './keyring.ts'
import type { Keys } from './keys.ts'

export interface PackV1 {
  readonly plaintext: Uint8Array
  /** Raw Ed25519 public keys. */
  readonly recipients: readonly Uint8Array[]
  /** kid or verkey of our Ed25519 key; without it the envelope is anonymous. */
  readonly sender?: string
}

/** An RFC 0019 envelope as UTF-8 JSON; Fault `envelope.recipient_key` for a recipient's key that is no valid point,
 *  `envelope.sender_key` when the sender's key is not ours. */
export function packV1(crypto: Crypto, keys: Keys, pack: PackV1): Uint8Array | Fault {
  if (pack.recipients.length === 0) return fault('envelope.recipient_key', 'no recipient')
  const contentKey = crypto.randomBytes(32)
  const entries: string[] = []
  const sender = pack.sender === undefined ? undefined : keys.pair(pack.sender)
  if (pack.sender !== undefined && sender?.secretKey.length !== 64) {
    return fault('envelope.sender_key', 'not an Ed25519 key of ours')
  }
  const senderKey = sender?.publicKey
  for (const recipient of pack.recipients) {
    const theirs = curveKey(crypto, recipient)
    if (theirs === undefined) return fault('envelope.recipient_key', 'not a valid Ed25519 key')
    const entry =
      senderKey === undefined
        ? anonymousEntry(crypto, theirs, contentKey)
        : authenticatedEntry(crypto, keys, pack.sender as string, senderKey, theirs, contentKey)
    if (isFault(entry)) return entry
    entries.push(entry)
  }
  const { enc, typ } = namesV1
  const alg = senderKey === undefined ? 'Anoncrypt' : 'Authcrypt'
  const head = base64url(utf8(`{"enc":"${enc}","typ":"${typ}","alg":"${alg}","recipients":[${entries.join(',')}]}`))
  const iv = crypto.randomBytes(12)
  const sealed = crypto.chacha20Poly1305(contentKey, iv, pack.plaintext, utf8(head))
  crypto.wipe(contentKey)
  const body = `"iv":"${base64url(iv)}","ciphertext":"${base64url(sealed.ciphertext)}","tag":"${base64url(sealed.tag)}"`
  return utf8(`{"protected":"${head}",${body}}`)
}

function anonymousEntry(crypto: Crypto, theirs: CurveKey, contentKey: Uint8Array): string {
  const sealed = base64url(crypto.sealedBox(theirs.x25519, contentKey))
  return `{"encrypted_key":"${sealed}","header":{"kid":"${theirs.verkey}"}}`
}

function authenticatedEntry(
  crypto: Crypto,
  keys: Keys,
  kid: string,
  senderKey: Uint8Array,
  theirs: CurveKey,
  contentKey: Uint8Array,
): string | Fault {
  const boxKey = keys.boxKey(kid, theirs.x25519)
  const mine = curveKey(crypto, senderKey)
  if (boxKey === undefined || mine === undefined) return fault('envelope.recipient_key', 'no shared secret')
  const nonce = crypto.randomBytes(24)
  const sealed = base64url(crypto.secretbox(boxKey, nonce, contentKey))
  const sender = base64url(crypto.sealedBox(theirs.x25519, utf8(mine.verkey)))
  const header = `{"kid":"${theirs.verkey}","iv":"${base64url(nonce)}","sender":"${sender}"}`
  return `{"encrypted_key":"${sealed}","header":${header}}`
}
