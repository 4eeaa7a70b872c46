// did:peer (Peer DID Method 1.0): numalgo 0, 2, 3 and 4 are read, 2 and 4 are made. Numalgo 1 and the short forms
// (3, and 4 without document) name a document without holding it: they resolve only where the long text is known.

import { base58, concat, fromBase58, utf8 } from './bytes.ts'
import { parseDid } from './did.ts'
import { type DidDocument, readDidDocument, relationships, serviceType } from './did-document.ts'
import { keyDocument } from './did-key.ts'
import { parsePeer2, peer2Document, peer3Of } from './did-peer-2.ts'
import { type Fault, fault, isFault } from './fault.ts'
import { type JsonMembers, readJsonObject } from './json.ts'
import { Memo } from './memo.ts'
import { decodeMultikey } from './multikey.ts'
import { sha256 } from './sha256.ts'

export { makePeer2, type Peer2Input, peer3Of } from './did-peer-2.ts'

// Short forms are remembered together with their long form, so that what one caller knows answers no other.
const byLong = new Memo<DidDocument>(10_000, { maxKeyChars: 8_000_000 })
const byBoth = new Memo<DidDocument>(10_000, { maxKeyChars: 8_000_000 })

const malformed = (message: string) => fault('did.malformed', message)
const unknownLong = () => fault('did.unresolvable', 'the DID is a short form whose long form was not seen')

/** The document of a did:peer. `known` gives the long form (2 for 3, long 4 for short 4) that the caller has seen.
 *  Faults: `did.malformed`, `did.unresolvable` (long form not known), and those of `readDidDocument`. */
export function resolvePeer(did: string, known?: (short: string) => string | undefined): DidDocument | Fault {
  const remembered = byLong.get(did)
  if (remembered !== undefined) return remembered
  const id = parseDid(did)?.id
  if (id === undefined || !did.startsWith('did:peer:')) return malformed('not a did:peer')
  const isShort = /^[13]/.test(id) || (id.startsWith('4') && !id.includes(':'))
  if (!isShort) return resolveLong(did)
  if (!isShortForm(did)) return malformed('not a short form of did:peer')
  const long = known?.(did)
  return long === undefined ? unknownLong() : resolveShort(did, long)
}

function resolveLong(did: string): DidDocument | Fault {
  const document = longDocument(did, did)
  if (!isFault(document)) byLong.set(did, document)
  return document
}

function resolveShort(did: string, long: string): DidDocument | Fault {
  const memo = `${did} ${long}`
  const remembered = byBoth.get(memo)
  if (remembered !== undefined) return remembered
  const document = longDocument(did, long)
  if (!isFault(document)) byBoth.set(memo, document)
  return document
}

function longDocument(did: string, long: string): DidDocument | Fault {
  if (long.startsWith('did:peer:4')) return peer4Document(did, long)
  if (long.startsWith('did:peer:2')) return peer2Resolved(did, long)
  return did === long && long.startsWith('did:peer:0') ? peer0Document(did) : malformed('unknown numalgo')
}

function peer0Document(did: string): DidDocument | Fault {
  const multikey = did.slice('did:peer:0'.length)
  const key = multikey.startsWith('z') ? decodeMultikey(multikey) : undefined
  if (key === undefined) return fault('key.malformed', 'public key is malformed or of small order')
  return readDidDocument(keyDocument(did, multikey, key), did)
}

function peer2Resolved(did: string, long: string): DidDocument | Fault {
  const parts = parsePeer2(long)
  if (isFault(parts)) return parts
  if (did === long) return readDidDocument(peer2Document(did, parts), did)
  if (peer3Of(long) !== did) return fault('did.malformed', 'the long form is of another DID')
  return readDidDocument({ ...peer2Document(did, parts), alsoKnownAs: [long] }, did)
}

/** Structure of numalgo 1, 3 and short 4: nothing more can be said of them without the document. */
export function isShortForm(did: string): boolean {
  return /^did:peer:(1z[1-9A-HJ-NP-Za-km-z]{46,47}|[34]zQm[1-9A-HJ-NP-Za-km-z]{44})$/.test(did)
}

// ---- numalgo 4 ---------------------------------------------------------------------------------------------
// The hash covers the encoded text, which is multibase of the multicodec `json` and the document's bytes as written.

const jsonCodec = Uint8Array.of(0x80, 0x04)
const peer4Pattern = /^did:peer:4(zQm[1-9A-HJ-NP-Za-km-z]{44}):(z[1-9A-HJ-NP-Za-km-z]+)$/

function hashOf(encoded: string): string {
  return `z${base58(concat(Uint8Array.of(0x12, 0x20), sha256(utf8(encoded))))}`
}

/** Long and short form of a document with relative ids. Throws when `peer4InputFault` finds something (our bug). */
export function makePeer4(document: { readonly [member: string]: unknown }): { long: string; short: string } {
  const wrong = peer4InputFault(document)
  if (wrong !== undefined) throw new Error(`not a did:peer:4 document: ${wrong.message}`)
  const encoded = `z${base58(concat(jsonCodec, utf8(JSON.stringify(document))))}`
  const short = `did:peer:4${hashOf(encoded)}`
  return { long: `${short}:${encoded}`, short }
}

/** The short form of a long did:peer:4; a short form is its own. Does not check the hash. */
export function peer4Short(long: string): string {
  const at = long.indexOf(':', 'did:peer:4'.length)
  return at < 0 ? long : long.slice(0, at)
}

function peer4Document(did: string, long: string): DidDocument | Fault {
  const [, hash, encoded] = peer4Pattern.exec(long) ?? []
  if (hash === undefined || encoded === undefined) return malformed('not a did:peer:4')
  if (hashOf(encoded) !== hash) return fault('did.malformed', 'the hash is not that of the document')
  const short = peer4Short(long)
  if (did !== long && did !== short) return fault('did.malformed', 'the long form is of another DID')
  const bytes = fromBase58(encoded.slice(1))
  if (bytes === undefined || bytes[0] !== jsonCodec[0] || bytes[1] !== jsonCodec[1])
    return malformed('the document is not JSON')
  const json = readJsonObject(bytes.subarray(2), { maxBytes: 65_536 })
  if (isFault(json)) return malformed('the document is not JSON')
  return readDidDocument(inContext(json.value, did, did === long ? short : long), did)
}

// Ids stay as written; readDidDocument makes them absolute.
function inContext(document: JsonMembers, did: string, other: string): { [member: string]: unknown } {
  const owned = (entry: unknown) => (isMembers(entry) ? { ...entry, controller: entry.controller ?? did } : entry)
  const out: { [member: string]: unknown } = { ...document, id: did }
  for (const name of ['verificationMethod', ...relationships]) {
    const list = document[name]
    if (Array.isArray(list)) out[name] = list.map(owned)
  }
  const names = Array.isArray(document.alsoKnownAs) ? document.alsoKnownAs : []
  return { ...out, alsoKnownAs: [...names.filter(name => name !== other), other] }
}

// ---- what a did:peer:4 may be made of ----------------------------------------------------------------------

/** What keeps a JSON value from being the document of a did:peer:4 (no id of its own, relative ids), or undefined. */
export function peer4InputFault(document: unknown): Fault | undefined {
  if (!isMembers(document) || Object.keys(document).length === 0) return malformed('must be an object with members')
  if ('id' in document) return malformed('must not have an id')
  const { alsoKnownAs, verificationMethod, service } = document
  if (alsoKnownAs !== undefined && !isListOf(alsoKnownAs, isText))
    return malformed('alsoKnownAs must be a list of text')
  if (verificationMethod !== undefined && !isListOf(verificationMethod, isTyped)) {
    return malformed('verificationMethod must be a list of methods with relative id and type')
  }
  for (const name of relationships) {
    const list = document[name]
    const fits = (entry: unknown) => isText(entry) || isTyped(entry)
    if (list !== undefined && !isListOf(list, fits)) return malformed(`${name} must be a list of methods or references`)
  }
  const fits = service === undefined || isListOf(service, isService)
  return fits ? undefined : malformed('service must be a list of services with relative id, type and endpoint')
}

function isMembers(value: unknown): value is { readonly [member: string]: unknown } {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isListOf(value: unknown, fits: (entry: unknown) => boolean): boolean {
  return Array.isArray(value) && value.every(fits)
}

function isText(value: unknown): boolean {
  return typeof value === 'string'
}

function isTyped(entry: unknown): boolean {
  return isNamed(entry) && isText(entry.type)
}

// The type of a service may be a set (DID Core 5.4).
function isService(entry: unknown): boolean {
  if (!isNamed(entry) || entry.serviceEndpoint === undefined) return false
  return isText(entry.type) || (isListOf(entry.type, isText) && serviceType(entry.type) !== undefined)
}

function isNamed(entry: unknown): entry is { readonly [member: string]: unknown } {
  return isMembers(entry) && isText(entry.id) && (entry.id as string).startsWith('#')
}
