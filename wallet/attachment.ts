// Signed attachments (Aries RFC 0017) in the one form that every DID Exchange peer verifies: the key as did:key in the
// unprotected header, in the protected one and in its jwk, everything unpadded but the content itself. Verified is
// more: either base64 alphabet, general form, the key named with or without fragment; always against the key expected.

import { base64, base64url, equalBytes, fromBase64Any, utf8 } from './bytes.ts'
import type { Crypto } from './crypto.ts'
import { keyBytesOf } from './did-key.ts'
import { type Fault, fault, isFault } from './fault.ts'
import { isMembers, type JsonMembers, type JsonValue } from './json.ts'
import { readJws, type Sign, signDetached, verifyJws } from './jws.ts'
import { encodeMultikey } from './multikey.ts'

export interface SignAttachment {
  readonly content: Uint8Array
  /** Raw Ed25519 key that `sign` signs with. */
  readonly publicKey: Uint8Array
  readonly sign: Sign
  readonly id?: string
  readonly mimeType?: string
}

/** A v1 attachment whose `data.base64` is signed. */
export function signAttachment(attachment: SignAttachment): JsonMembers {
  const { content, publicKey, sign, id, mimeType } = attachment
  const kid = `did:key:${encodeMultikey('Ed25519', publicKey)}`
  const jwk = { kty: 'OKP', crv: 'Ed25519', x: base64url(publicKey), kid }
  const made = signDetached(sign, { alg: 'EdDSA', kid, jwk }, content)
  const jws = { header: { kid }, protected: made.protected, signature: made.signature }
  return {
    ...(id !== undefined && { '@id': id }),
    ...(mimeType !== undefined && { 'mime-type': mimeType }),
    data: { base64: base64(content), jws },
  }
}

/** The content, when every signature of the attachment is by `expectedKey` (raw Ed25519) and every kid and jwk says
 *  so. Fault `attachment.unsigned`, `attachment.malformed`, or `jws.*`. */
export function verifyAttachment(crypto: Crypto, attachment: JsonValue, expectedKey: Uint8Array): Uint8Array | Fault {
  const data = isMembers(attachment) ? attachment.data : undefined
  if (!isMembers(data)) return fault('attachment.malformed', 'no data', 'data')
  if (!isMembers(data.jws)) return fault('attachment.unsigned', 'no signature', 'data.jws')
  const content = typeof data.base64 === 'string' ? fromBase64Any(data.base64) : undefined
  if (content === undefined) return fault('attachment.malformed', 'not base64', 'data.base64')
  const jws = readJws(data.jws, base64url(content))
  if (isFault(jws)) return jws
  const signers = verifyJws(crypto, jws, kid => {
    const key = keyNamed(kid)
    if (key !== undefined && equalBytes(key, expectedKey)) return expectedKey
    return fault('jws.signer', 'not signed by the key expected', 'kid')
  })
  return isFault(signers) ? signers : content
}

/** JSON of ASCII without `>`, `?`, `~` and DEL, which alone give the characters 62 and 63 of base64: its base64 is the
 *  same in both alphabets, and no peer can decode it wrongly. */
export function neutralJson(value: JsonValue): Uint8Array {
  const escaped = (unit: string) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`
  return utf8(JSON.stringify(value).replace(/[>?~\u007f-\uffff]/g, escaped))
}

// did:key, with or without a fragment that names the same key again, or a naked base58 key.
function keyNamed(kid: string): Uint8Array | undefined {
  if (!kid.startsWith('did:key:') && kid.startsWith('did:')) return undefined
  const key = keyBytesOf(kid)
  return key?.type === 'Ed25519' ? key.publicKey : undefined
}
