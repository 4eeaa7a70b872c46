// did:key (did:key Method 1.0), the naked base58 keys of DIDComm v1 (RFC 0360), and reading either where a peer may
// write any of them. An Ed25519 DID also has the X25519 key that its birational map gives, for key agreement.

import { base58, fromBase58 } from './bytes.ts'
import { ed25519PublicToX25519 } from './curve25519.ts'
import { parseDidUrl } from './did.ts'
import { type DidDocument, readDidDocument } from './did-document.ts'
import { parsePeer2 } from './did-peer-2.ts'
import { type Fault, fault, isFault } from './fault.ts'
import { Memo } from './memo.ts'
import { decodeMultikey, encodeMultikey, type PublicKey, soundKey } from './multikey.ts'

const prefix = 'did:key:'
const signing = ['authentication', 'assertionMethod', 'capabilityInvocation', 'capabilityDelegation']
const documents = new Memo<DidDocument>(10_000, { maxKeyChars: 2_000_000 })

/** The did:key of a public key. */
export function didKey(type: Parameters<typeof encodeMultikey>[0], publicKey: Uint8Array): string {
  return prefix + encodeMultikey(type, publicKey)
}

/** The document of a did:key. Fault: `did.malformed`, also for wrong lengths, no points and small order. */
export function resolveDidKey(did: string): DidDocument | Fault {
  const known = documents.get(did)
  if (known !== undefined) return known
  const multikey = did.startsWith(`${prefix}z`) ? did.slice(prefix.length) : ''
  const key = decodeMultikey(multikey)
  if (key === undefined) return fault('did.malformed', 'not a did:key of a usable public key')
  const document = readDidDocument(keyDocument(did, multikey, key), did)
  if (!isFault(document)) documents.set(did, document)
  return document
}

/** The document that a multikey stands for, under any DID that means it (did:key, did:peer:0). */
export function keyDocument(did: string, multikey: string, key: PublicKey): { [member: string]: unknown } {
  const agreement = agreementKeys(multikey, key)
  const signers = key.type === 'X25519' ? [] : signingKeys(multikey, key)
  const ids = (keys: readonly string[]) => keys.map(text => `${did}#${text}`)
  return {
    '@context': ['https://www.w3.org/ns/did/v1', 'https://w3id.org/security/multikey/v1'],
    id: did,
    verificationMethod: [...new Set([...signers, ...agreement])].map(text => ({
      id: `${did}#${text}`,
      type: 'Multikey',
      controller: did,
      publicKeyMultibase: text,
    })),
    ...(signers.length > 0 && Object.fromEntries(signing.map(name => [name, ids(signers)]))),
    ...(agreement.length > 0 && { keyAgreement: ids(agreement) }),
  }
}

const isBls = ({ type, publicKey }: PublicKey) => type === 'other' && publicKey[1] === 0x01
const g1Length = 48

// A key of both BLS12-381 groups stands for two methods.
function signingKeys(multikey: string, key: PublicKey): readonly string[] {
  const { publicKey } = key
  if (!isBls(key) || publicKey[0] !== 0xee) return [multikey]
  const [g1, g2] = [publicKey.subarray(2, 2 + g1Length), publicKey.subarray(2 + g1Length)]
  return [`z${base58(Uint8Array.of(0xea, 0x01, ...g1))}`, `z${base58(Uint8Array.of(0xeb, 0x01, ...g2))}`]
}

function agreementKeys(multikey: string, key: PublicKey): readonly string[] {
  if (isBls(key)) return []
  return key.type === 'Ed25519' ? [encodeMultikey('X25519', ed25519PublicToX25519(key.publicKey))] : [multikey]
}

// ---- key references ----------------------------------------------------------------------------------------

const didKeys = new Memo<string>(4096)

/** What `nakedToDidKey` found before, to be asked first where every v1 message names its sender and its recipient. */
export const knownDidKeys: ReadonlyMap<string, string> = didKeys

/** did:key of a naked base58 Ed25519 key, or undefined. */
export function nakedToDidKey(naked: string): string | undefined {
  const known = didKeys.get(naked)
  if (known !== undefined) return known
  const key = nakedKey(naked)
  if (key === undefined) return undefined
  const did = didKey('Ed25519', key.publicKey)
  didKeys.set(naked, did)
  return did
}

/** Naked base58 of an Ed25519 did:key, with or without fragment, or undefined. */
export function didKeyToNaked(reference: string): string | undefined {
  const key = reference.startsWith(prefix) ? keyBytesOf(reference) : undefined
  return key?.type === 'Ed25519' ? base58(key.publicKey) : undefined
}

function nakedKey(text: string): PublicKey | undefined {
  const bytes = text.length >= 32 && text.length <= 44 ? fromBase58(text) : undefined
  return bytes && soundKey('Ed25519', bytes)
}

const references = new Memo<PublicKey>(10_000, { maxKeyChars: 4_000_000 })

/** The key that a reference spells out by itself: naked base58 (Ed25519), `did:key:…`, `did:key:…#…`,
 *  `did:peer:0…`, `did:peer:2…#key-n`; undefined for anything that would need a document. */
export function keyBytesOf(reference: string): PublicKey | undefined {
  const known = references.get(reference)
  if (known !== undefined) return known
  const key = reference.startsWith('did:') ? spelledKey(reference) : nakedKey(reference)
  if (key !== undefined) references.set(reference, key)
  return key
}

function spelledKey(reference: string): PublicKey | undefined {
  const url = parseDidUrl(reference)
  if (url === undefined || url.path !== undefined || url.query !== undefined) return undefined
  const { did, method, id, fragment } = url
  if (method === 'key') return fragmentKey(id, fragment)
  if (method !== 'peer') return undefined
  if (id.startsWith('0')) return fragmentKey(id.slice(1), fragment)
  if (!id.startsWith('2.') || fragment === undefined) return undefined
  const parts = parsePeer2(did)
  const at = /^key-([1-9][0-9]?)$/.exec(fragment)?.[1]
  const key = isFault(parts) || at === undefined ? undefined : parts.keys[Number(at) - 1]
  return key && { type: key.type, publicKey: key.publicKey }
}

// A fragment names the key itself or, for Ed25519, the X25519 key derived from it.
function fragmentKey(multikey: string, fragment: string | undefined): PublicKey | undefined {
  const key = multikey.startsWith('z') ? decodeMultikey(multikey) : undefined
  if (key === undefined || fragment === undefined || fragment === multikey) return key
  if (key.type !== 'Ed25519') return undefined
  const agreement = decodeMultikey(fragment)
  const derived = ed25519PublicToX25519(key.publicKey)
  return encodeMultikey('X25519', derived) === fragment ? agreement : undefined
}
