// The parts of a DID document that Picomesh reads (DID Core 5), already normalised: absolute ids, raw key bytes.

export type KeyType = 'Ed25519' | 'X25519' | 'P-256' | 'P-384' | 'P-521' | 'secp256k1' | 'other'

export interface VerificationMethod {
  /** Absolute DID URL, `did:…#fragment`. */
  readonly id: string
  readonly controller: string
  readonly type: string
  readonly keyType: KeyType
  /** Raw public key (Ed25519, X25519: 32 bytes; others as found in the multikey or JWK, uncompressed bytes not required). */
  readonly publicKey: Uint8Array
}

export interface Service {
  readonly id: string
  readonly type: string
  /** As found: DIDCommMessaging object or array, or the v1 string; `did-communication` keeps recipientKeys beside it. */
  readonly serviceEndpoint: unknown
  readonly recipientKeys?: readonly string[]
  readonly routingKeys?: readonly string[]
  readonly accept?: readonly string[]
  readonly priority?: number
}

export interface DidDocument {
  readonly id: string
  readonly alsoKnownAs: readonly string[]
  readonly verificationMethod: readonly VerificationMethod[]
  /** Ids of verification methods, by relationship. */
  readonly authentication: readonly string[]
  readonly assertionMethod: readonly string[]
  readonly keyAgreement: readonly string[]
  readonly capabilityInvocation: readonly string[]
  readonly capabilityDelegation: readonly string[]
  readonly service: readonly Service[]
  /** The document as JSON, for callers that show or compare it. */
  readonly raw: { readonly [member: string]: unknown }
}
