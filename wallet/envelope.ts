// One entrance for both envelopes. `peek` reads the outside only, so that an inbox can find whose mail it is; `unpack`
// opens what `peek` read, without parsing it again, and gives the message with the sender that is proven, or a Fault.
// Plaintext is never let in. Nothing falls through: a failed decryption ends there.

import type { Crypto } from './crypto.ts'
import { type EnvelopeV1, openV1, readV1 } from './envelope-v1.ts'
import { openV2, type SignedV2 } from './envelope-v2.ts'
import { type Fault, fault, isFault } from './fault.ts'
import { type JsonLimits, readJsonObject } from './json.ts'
import { type EnvelopeV2, readProtected, readV2 } from './jwe.ts'
import type { Keys, Resolve } from './keys.ts'
import type { Opened } from './opened.ts'
import { checkV1 } from './plaintext.ts'

/** An envelope whose outside was read. `recipients` are kids (v2) or base58 verkeys (v1), any of which may be ours. */
export type Envelope = EnvelopeV1 | EnvelopeV2 | SignedV2

/** The outside of an envelope, nothing decrypted. Fault `envelope.unreadable` for what is not JSON or no envelope,
 *  `message.plaintext` for a bare message, and those of the headers. */
export function peek(bytes: Uint8Array | string, limits?: JsonLimits): Envelope | Fault {
  const read = readJsonObject(bytes, limits)
  if (isFault(read)) return fault('envelope.unreadable', read.message)
  const outer = read.value
  if (typeof outer.payload === 'string') return { version: 'v2', form: 'signed', recipients: [], jws: outer }
  if (outer.protected === undefined) {
    const bare = outer['@type'] !== undefined || outer.type !== undefined
    return bare ? fault('message.plaintext', 'not encrypted') : fault('envelope.unreadable', 'not an envelope')
  }
  const second = outer.recipients !== undefined
  const head = readProtected(outer, second ? 'refuse' : 'allow')
  if (isFault(head)) return head
  return second ? readV2(outer, head) : readV1(outer, head)
}

export interface UnpackOptions {
  /** Seconds since 1970; without it no time in the message is checked. */
  readonly now?: number
}

/** Opens an envelope with our keys. Beside the Faults of `peek`: `envelope.unknown_recipient`,
 *  `envelope.undecryptable`, `envelope.nesting`, `jws.*`, `key.*` and `did.*` (the sender's key), and of the message
 *  `message.malformed`, `.expired`, `.future`, `.sender_mismatch`, `.recipient_mismatch`, `.forged_from_prior`.
 *  A message nobody is proven to have sent comes out with `sender` null: the caller decides. */
export function unpack(
  crypto: Crypto,
  keys: Keys,
  resolve: Resolve,
  envelope: Envelope,
  options: UnpackOptions = {},
): Opened | Fault {
  if (envelope.version === 'v2') return openV2(crypto, keys, resolve, envelope, options.now)
  const opened = openV1(crypto, keys, envelope)
  if (isFault(opened)) return opened
  const read = readJsonObject(opened.plaintext)
  if (isFault(read)) return fault('message.malformed', read.message)
  const wrong = checkV1(read.value, options.now)
  if (wrong !== undefined) return wrong
  return {
    version: 'v1',
    plaintext: read.value,
    recipientKid: opened.recipientKid,
    sender: opened.sender === null ? null : { ...opened.sender, did: null },
    anonymous: opened.sender === null,
    layers: [opened.sender === null ? 'anoncrypt' : 'authcrypt'],
  }
}
