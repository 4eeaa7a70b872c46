// DIDComm v2 envelopes (DIDComm Messaging 2.x, "Message Layer Addressing Consistency"): which layers may lie in which,
// and that all of them name the same sender and us. `from` is the DID of the key that encrypted, or of the key that
// signed; a signed message inside an encrypted one must say for whom it is. Packing writes what every peer opens.

import { utf8 } from './bytes.ts'
import type { Crypto } from './crypto.ts'
import { type Fault, fault, isFault } from './fault.ts'
import { verifyFromPrior } from './from-prior.ts'
import { type JsonMembers, readHeader, readJsonObject } from './json.ts'
import { type ContentEncryption, type EnvelopeV2, open, readV2, seal } from './jwe.ts'
import { readJws, signGeneral, verifyJws } from './jws.ts'
import { didPart, type Keys, keyOf, type RecipientKey, type Resolve, sameDid } from './keys.ts'
import type { Opened } from './opened.ts'
import { checkV2, isMediaType } from './plaintext.ts'

/** A message signed and not encrypted: it names no key of ours. */
export interface SignedV2 {
  readonly version: 'v2'
  readonly form: 'signed'
  readonly recipients: readonly []
  readonly jws: JsonMembers
}

type Sender = NonNullable<Opened['sender']>

// ---- packing -----------------------------------------------------------------------------------------------

export interface PackV2 {
  /** The message as JSON text. */
  readonly plaintext: Uint8Array
  /** Keys of one DID, see `recipientKeys`. */
  readonly recipients: readonly RecipientKey[]
  /** kid of our X25519 key for authcrypt; without it the envelope is anonymous. */
  readonly sender?: string
  /** kid of our Ed25519 key that signs the message inside; it must then have `to`. */
  readonly signer?: string
  /** Hides the sender's kid in an anonymous envelope around authcrypt. */
  readonly protectSender?: boolean
  /** For anonymous encryption; default A256CBC-HS512. */
  readonly enc?: ContentEncryption
}

/** An encrypted message as UTF-8 JSON. Fault `envelope.sender_key` when a key is not ours, `envelope.recipient_key`
 *  when there is none or one gives no shared secret. */
export function packV2(crypto: Crypto, keys: Keys, pack: PackV2): Uint8Array | Fault {
  const { recipients, sender, signer, enc } = pack
  if (recipients.length === 0) return fault('envelope.recipient_key', 'no recipient')
  const content = signer === undefined ? pack.plaintext : packSigned(keys, signer, pack.plaintext)
  if (isFault(content)) return content
  const anonymous = { recipients, ...(enc !== undefined && { enc }) }
  if (sender === undefined) return sealed(crypto, { ...anonymous, content })
  if (keys.pair(sender)?.secretKey.length !== 32) return fault('envelope.sender_key', 'not an X25519 key of ours')
  const agree = (theirs: Uint8Array) => keys.agree(sender, theirs)
  const authcrypt = sealed(crypto, { content, recipients, sender: { kid: sender, agree } })
  if (isFault(authcrypt) || pack.protectSender !== true) return authcrypt
  return sealed(crypto, { ...anonymous, content: authcrypt })
}

/** A signed message (general JSON JWS) as UTF-8 JSON; Fault `envelope.sender_key`. */
export function packSigned(keys: Keys, signer: string, plaintext: Uint8Array): Uint8Array | Fault {
  if (keys.pair(signer)?.secretKey.length !== 64) return fault('envelope.sender_key', 'not an Ed25519 key of ours')
  const sign = (bytes: Uint8Array) => keys.sign(signer, bytes) as Uint8Array
  const header = { typ: 'application/didcomm-signed+json', alg: 'EdDSA' }
  return utf8(JSON.stringify(signGeneral(sign, signer, header, plaintext)))
}

function sealed(crypto: Crypto, what: Parameters<typeof seal>[1]): Uint8Array | Fault {
  const made = seal(crypto, what)
  return isFault(made) ? made : utf8(made)
}

// ---- opening -----------------------------------------------------------------------------------------------

/** What the layers around the plaintext said. */
interface Found {
  layers: string[]
  recipientKid: string
  sender: Sender | null
  signed?: Sender
}

/** What lay in a layer, wrapped: a peer can write an object that looks like a Fault. */
interface Inside {
  readonly value: JsonMembers
}

/** Opens and checks every layer and the message inside. `now` in seconds checks its times. */
export function openV2(
  crypto: Crypto,
  keys: Keys,
  resolve: Resolve,
  envelope: EnvelopeV2 | SignedV2,
  now?: number,
): Opened | Fault {
  const found: Found = { layers: [], recipientKid: '', sender: null }
  let read = envelope.form === 'signed' ? { value: envelope.jws } : openLayer(crypto, keys, resolve, envelope, found)
  if ('fault' in read) return read
  if (isJwe(read.value)) {
    const inner = innerEnvelope(read.value, found)
    if (isFault(inner)) return inner
    read = openLayer(crypto, keys, resolve, inner, found)
    if ('fault' in read) return read
  }
  if (isJws(read.value)) {
    read = verifySigned(crypto, resolve, read.value, found)
    if ('fault' in read) return read
  }
  const message = read.value
  if (isJwe(message) || isJws(message)) return fault('envelope.nesting', 'layers in an order that is not allowed')
  const wrong = checkV2(message, now) ?? checkSender(message, found) ?? checkRecipient(message, found)
  return wrong ?? opened(crypto, resolve, message, found, now)
}

function opened(
  crypto: Crypto,
  resolve: Resolve,
  message: JsonMembers,
  found: Found,
  now: number | undefined,
): Opened | Fault {
  const sender = found.sender ?? found.signed ?? null
  const result: Opened = {
    version: 'v2',
    plaintext: message,
    recipientKid: found.recipientKid,
    sender,
    anonymous: sender === null,
    layers: found.layers,
    ...(found.signed !== undefined && { signed: { kid: found.signed.kid, did: found.signed.did } }),
  }
  const jwt = message.from_prior ?? undefined
  if (jwt === undefined) return result
  if (typeof message.from !== 'string') return fault('message.forged_from_prior', 'from is missing', 'from')
  const prior = verifyFromPrior(crypto, resolve, jwt, { from: message.from, ...(now !== undefined && { now }) })
  if (isFault(prior)) return prior
  const { iss, sub, iat } = prior
  return { ...result, fromPrior: iat === undefined ? { iss, sub } : { iss, sub, iat } }
}

// Decrypts one layer as the first recipient that is ours and reads the JSON inside.
function openLayer(crypto: Crypto, keys: Keys, resolve: Resolve, envelope: EnvelopeV2, found: Found): Inside | Fault {
  for (const [index, kid] of envelope.recipients.entries()) {
    const pair = keys.pair(kid)
    if (pair?.secretKey.length !== 32) continue
    let shared: Uint8Array | undefined
    if (envelope.skid !== undefined) {
      const publicKey = keyOf(resolve, envelope.skid, 'keyAgreement', 'X25519')
      if (isFault(publicKey)) return publicKey
      shared = keys.agree(kid, publicKey)
      if (shared === undefined) return fault('envelope.undecryptable', 'no shared secret with the sender', 'skid')
      found.sender = { kid: envelope.skid, did: didPart(envelope.skid), publicKey }
    }
    found.recipientKid = kid
    found.layers.push(envelope.layer)
    const content = open(crypto, envelope, index, pair.secretKey, shared)
    return isFault(content) ? content : readMessage(content)
  }
  return fault('envelope.unknown_recipient', 'no recipient key is ours')
}

function readMessage(content: Uint8Array): Inside | Fault {
  const read = readJsonObject(content)
  return 'fault' in read ? fault('message.malformed', read.message) : read
}

// Only anoncrypt(authcrypt(…)) hides one encryption in another.
function innerEnvelope(message: JsonMembers, found: Found): EnvelopeV2 | Fault {
  if (found.layers[0] !== 'anoncrypt') return fault('envelope.nesting', 'an envelope inside of authcrypt')
  const head = readHeader(message.protected)
  if ('fault' in head) return fault('envelope.unreadable', head.message, 'protected')
  const inner = readV2(message, head.value)
  if (isFault(inner)) return inner
  return inner.layer === 'authcrypt' ? inner : fault('envelope.nesting', 'anoncrypt inside of anoncrypt')
}

const signedTypes = ['didcomm-signed+json', 'jwm']

// Every signature must verify; a message signed by two people has no single sender, so all must be of one DID.
function verifySigned(crypto: Crypto, resolve: Resolve, message: JsonMembers, found: Found): Inside | Fault {
  const jws = readJws(message)
  if (isFault(jws)) return jws
  let first: Sender | undefined
  for (const { header } of jws.signatures) {
    // `JWM` is what the specification's own example of a signed message has.
    if (header.typ === undefined || signedTypes.some(type => isMediaType(header.typ, type))) continue
    return fault('jws.header', 'typ must be application/didcomm-signed+json', 'typ')
  }
  const signers = verifyJws(crypto, jws, kid => {
    const publicKey = keyOf(resolve, kid, 'authentication', 'Ed25519')
    if (isFault(publicKey)) return publicKey
    first ??= { kid, did: didPart(kid), publicKey }
    return sameDid(first.did as string, didPart(kid)) ? publicKey : fault('message.sender_mismatch', 'two signers')
  })
  if (isFault(signers)) return signers
  found.layers.push('sign')
  if (first !== undefined) found.signed = first
  return readMessage(jws.payload)
}

function checkSender(message: JsonMembers, found: Found): Fault | undefined {
  for (const by of [found.sender, found.signed]) {
    if (by === null || by === undefined) continue
    if (typeof message.from !== 'string' || !sameDid(message.from, by.did as string)) {
      return fault('message.sender_mismatch', 'from is not the DID whose key was used', 'from')
    }
  }
  return undefined
}

// Without this, whoever gets a signed message could encrypt it to a third party (surreptitious forwarding).
function checkRecipient(message: JsonMembers, found: Found): Fault | undefined {
  if (found.recipientKid === '') return undefined
  const to = message.to ?? undefined
  if (to === undefined) {
    if (found.signed === undefined) return undefined
    return fault('message.recipient_mismatch', 'a signed and encrypted message must have to', 'to')
  }
  const us = didPart(found.recipientKid)
  const named = (to as string[]).some(did => sameDid(didPart(did), us))
  return named ? undefined : fault('message.recipient_mismatch', 'to does not name the recipient', 'to')
}

function isJwe(value: JsonMembers): boolean {
  return typeof value.ciphertext === 'string' && typeof value.protected === 'string'
}

function isJws(value: JsonMembers): boolean {
  return typeof value.payload === 'string' && (value.signatures !== undefined || value.signature !== undefined)
}
