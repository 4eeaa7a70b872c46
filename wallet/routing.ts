// Wrapping an envelope for mediators: routing 1.0 (Aries RFC 0094) and routing 2.0 (DIDComm Messaging 2.x). The two
// order their routing keys oppositely: v1 lists the key nearest the recipient first, v2 the outermost hop first.

import { base58, text, utf8 } from './bytes.ts'
import type { Crypto } from './crypto.ts'
import { packV1 } from './envelope-v1.ts'
import { packV2 } from './envelope-v2.ts'
import { type Fault, isFault } from './fault.ts'
import { didPart, type Keys, type Resolve, recipientKeys } from './keys.ts'

export interface ForwardV1 {
  /** The packed envelope for the recipient. */
  readonly envelope: Uint8Array
  /** Raw Ed25519 key of the recipient. */
  readonly to: Uint8Array
  /** Raw Ed25519 keys. First = nearest the recipient, last = the holder of the endpoint (RFC 0067). */
  readonly routingKeys: readonly Uint8Array[]
}

/** One anonymous forward around the envelope for each routing key, the last outermost. Faults of `packV1`. */
export function packForwardV1(crypto: Crypto, keys: Keys, forward: ForwardV1): Uint8Array | Fault {
  let envelope = forward.envelope
  let next = forward.to
  for (const routingKey of forward.routingKeys) {
    const head = `"@type":"https://didcomm.org/routing/1.0/forward","@id":"${uuid(crypto)}"`
    const plaintext = utf8(`{${head},"to":"${base58(next)}","msg":${text(envelope)}}`)
    const wrapped = packV1(crypto, keys, { plaintext, recipients: [routingKey] })
    if (isFault(wrapped)) return wrapped
    envelope = wrapped
    next = routingKey
  }
  return envelope
}

export interface ForwardV2 {
  /** The packed envelope for the recipient. */
  readonly envelope: Uint8Array
  /** DID, or kid, of the recipient. */
  readonly next: string
  /** DIDs or kids as `routing_keys` of the service lists them. First = the outermost hop. */
  readonly routingKeys: readonly string[]
  /** Seconds; written as `expires_time` of the forwards. */
  readonly expires?: number
}

/** One anonymous forward around the envelope for each routing key, the first outermost. Faults of `packV2` and of the
 *  resolver. */
export function packForwardV2(crypto: Crypto, keys: Keys, resolve: Resolve, forward: ForwardV2): Uint8Array | Fault {
  let envelope = forward.envelope
  let next = forward.next
  const expires = forward.expires === undefined ? '' : `"expires_time":${forward.expires},`
  for (const routingKey of forward.routingKeys.toReversed()) {
    const recipients = recipientKeys(resolve, routingKey)
    if (isFault(recipients)) return recipients
    const head = `"id":"${uuid(crypto)}","typ":"application/didcomm-plain+json"`
    const type = `"type":"https://didcomm.org/routing/2.0/forward","to":[${JSON.stringify(didPart(routingKey))}]`
    const body = `"body":{"next":${JSON.stringify(next)}}`
    const media = '"media_type":"application/didcomm-encrypted+json"'
    const attachment = `{"id":"${uuid(crypto)}",${media},"data":{"json":${text(envelope)}}}`
    const plaintext = utf8(`{${head},${type},${expires}${body},"attachments":[${attachment}]}`)
    const wrapped = packV2(crypto, keys, { plaintext, recipients })
    if (isFault(wrapped)) return wrapped
    envelope = wrapped
    next = routingKey
  }
  return envelope
}

/** A random UUID (RFC 9562 5.4). */
function uuid(crypto: Crypto): string {
  const bytes = crypto.randomBytes(16)
  bytes[6] = (bytes[6]! & 0x0f) | 0x40
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  const digits = Array.from(bytes, byte => byte.toString(16).padStart(2, '0')).join('')
  const cuts = [0, 8, 12, 16, 20, 32]
  return cuts
    .slice(1)
    .map((end, i) => digits.slice(cuts[i], end))
    .join('-')
}
