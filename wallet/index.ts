// The wallet as a library: keys, DIDs and what is sealed at rest.

export * from './bytes.ts'
export type { Crypto, KeyPair, Sealed } from './crypto.ts'
export { cryptoNode } from './crypto-node.ts'
export { type DidUrl, didOf, isDid, parseDid, parseDidUrl } from './did.ts'
export {
  type DidDocument,
  type KeyType,
  methodOf,
  readDidDocument,
  relationships,
  type Service,
  type VerificationMethod,
} from './did-document.ts'
export { didKey, didKeyToNaked, keyBytesOf, nakedToDidKey, resolveDidKey } from './did-key.ts'
export { makePeer2, makePeer4, type Peer2Input, peer3Of, peer4InputFault, peer4Short, resolvePeer } from './did-peer.ts'
export { type Fault, fault, isFault } from './fault.ts'
export { canonicalize } from './jcs.ts'
export { drawKey, type Keyring, makeKeyring, type StoredKey } from './keyring.ts'
export { decodeMultikey, encodeMultikey, type PublicKey } from './multikey.ts'
export { makeResolver, type Resolver, type ResolverOptions } from './resolver.ts'
export * from './vault.ts'
