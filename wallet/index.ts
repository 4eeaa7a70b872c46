// The wallet as a library: keys, DIDs and what is sealed at rest.

// Envelopes, signatures and signed attachments.
export { neutralJson, type SignAttachment, signAttachment, verifyAttachment } from './attachment.ts'
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
export {
  checkV1,
  type Envelope,
  type EnvelopeV1,
  type OpenedV1,
  openV1,
  peek,
  type UnpackOptions,
  unpack,
} from './envelope.ts'
export { type PackV1, packV1 } from './envelope-v1.ts'
export { type PackV2, packSigned, packV2, type SignedV2 } from './envelope-v2.ts'
export { type Fault, fault, isFault } from './fault.ts'
export { type FromPrior, makeFromPrior, verifyFromPrior } from './from-prior.ts'
export { canonicalize } from './jcs.ts'
export {
  isMembers,
  type JsonLimits,
  type JsonMembers,
  type JsonValue,
  readJson,
  readJsonObject,
} from './json.ts'
export type { ContentEncryption, EnvelopeV2 } from './jwe.ts'
export {
  type Jws,
  readJws,
  type Sign,
  signCompact,
  signDetached,
  signFlattened,
  signGeneral,
  verifyJws,
} from './jws.ts'
export { drawKey, type Keyring, makeKeyring, type StoredKey } from './keyring.ts'
export {
  didPart,
  type Keys,
  keyOf,
  type RecipientKey,
  type Resolve,
  recipientKeys,
  sameDid,
  shortForm,
} from './keys.ts'
export { decodeMultikey, encodeMultikey, type PublicKey } from './multikey.ts'
export type { Opened } from './opened.ts'
export { checkV2 } from './plaintext.ts'
export { makeResolver, type Resolver, type ResolverOptions } from './resolver.ts'
export { type ForwardV1, type ForwardV2, packForwardV1, packForwardV2 } from './routing.ts'
export * from './vault.ts'
