// What envelopes and signatures need of a keyring and of a resolver, and how a key is found in a DID document: by a
// DID URL, only under the relationship that permits the use, only of the right curve (DID Core 5.3).

import type { KeyPair } from './crypto.ts'
import type { DidDocument, KeyType } from './did-document.ts'
import { type Fault, fault, isFault } from './fault.ts'

/** Our keys by kid (DID URL) or base58 verkey. Undefined for a name that is not ours or a secret that cannot be made. */
export interface Keys {
  /** Told apart by the secret: 64 bytes are Ed25519, 32 are X25519. */
  pair(kid: string): KeyPair | undefined
  sign(kid: string, bytes: Uint8Array): Uint8Array | undefined
  /** Static X25519 secret with a peer's key, remembered. */
  agree(kid: string, theirPublic: Uint8Array): Uint8Array | undefined
  /** NaCl box key of our (converted) Ed25519 key with a peer's X25519 key, remembered. */
  boxKey(kid: string, theirX25519: Uint8Array): Uint8Array | undefined
}

/** Synchronous; a DID that must be fetched is a Fault until the caller has fetched it. */
export type Resolve = (did: string) => DidDocument | Fault

export interface RecipientKey {
  readonly kid: string
  readonly publicKey: Uint8Array
}

/** The part of a DID URL before its fragment. */
export function didPart(kid: string): string {
  const hash = kid.indexOf('#')
  return hash < 0 ? kid : kid.slice(0, hash)
}

/** A did:peer:4 without its document; every other DID as it is (did:peer 4, "short form"). */
export function shortForm(did: string): string {
  if (!did.startsWith('did:peer:4')) return did
  const end = did.indexOf(':', 10)
  return end < 0 ? did : did.slice(0, end)
}

/** True for the same DID, a did:peer:4 in either form. */
export function sameDid(a: string, b: string): boolean {
  return a === b || shortForm(a) === shortForm(b)
}

type Relationship = 'authentication' | 'keyAgreement'

/** The raw key a DID URL names, when its document lists it under `relationship` and it is of `keyType`. Fault of the
 *  resolver, `key.not_authorized`, or `key.unsupported` for another curve. */
export function keyOf(resolve: Resolve, kid: string, relationship: Relationship, keyType: KeyType): Uint8Array | Fault {
  const did = didPart(kid)
  if (did.length === kid.length) return fault('key.not_authorized', 'a key must be named by a DID URL', 'kid')
  const document = resolve(did)
  if (isFault(document)) return document
  const fragment = kid.slice(did.length)
  const names = (id: string) => id === kid || (id.endsWith(fragment) && sameDid(id.slice(0, -fragment.length), did))
  const id = document[relationship].find(names)
  const method = id === undefined ? undefined : document.verificationMethod.find(one => one.id === id)
  if (method === undefined) return fault('key.not_authorized', `the key is not listed under ${relationship}`, 'kid')
  return method.keyType === keyType ? method.publicKey : fault('key.unsupported', `the key must be ${keyType}`, 'kid')
}

/** The X25519 keys a DID has for key agreement, or the one a DID URL names: whom a v2 envelope is for. */
export function recipientKeys(resolve: Resolve, didOrKid: string): RecipientKey[] | Fault {
  const did = didPart(didOrKid)
  if (did !== didOrKid) {
    const publicKey = keyOf(resolve, didOrKid, 'keyAgreement', 'X25519')
    return isFault(publicKey) ? publicKey : [{ kid: didOrKid, publicKey }]
  }
  const document = resolve(did)
  if (isFault(document)) return document
  const found = document.verificationMethod.filter(
    method => method.keyType === 'X25519' && document.keyAgreement.includes(method.id),
  )
  if (found.length === 0) return fault('key.unsupported', 'the DID has no X25519 key for key agreement')
  return found.map(method => ({ kid: method.id, publicKey: method.publicKey }))
}
