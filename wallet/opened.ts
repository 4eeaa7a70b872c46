// What opening an envelope gives, the same for v1 and v2: the message and who is proven to have sent it.

import type { JsonMembers } from './json.ts'

export interface Opened {
  readonly version: 'v1' | 'v2'
  /** The message, its form checked, its meaning not. */
  readonly plaintext: JsonMembers
  /** Our key that opened it: a kid (v2), a base58 verkey (v1), or '' for a message signed and not encrypted. */
  readonly recipientKid: string
  /** Proven by authcrypt, else by the signature. `did` is null in v1, where a bare key is all an envelope shows. */
  readonly sender: { readonly kid: string; readonly did: string | null; readonly publicKey: Uint8Array } | null
  /** No sender is proven, whatever the message claims. */
  readonly anonymous: boolean
  /** The message bears a signature that others could verify too. */
  readonly signed?: { readonly kid: string; readonly did: string | null }
  /** Verified: `iss` vouches for `sub`, the sender. */
  readonly fromPrior?: { readonly iss: string; readonly sub: string; readonly iat?: number }
  /** Outermost first, of `anoncrypt`, `authcrypt`, `sign`. */
  readonly layers: readonly string[]
}
