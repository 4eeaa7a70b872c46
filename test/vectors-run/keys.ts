// Keys that a vector file prints, as the wallet's envelopes want them; nothing is remembered between calls.

import type { Crypto, KeyPair } from '../../wallet/crypto.ts'
import type { Keys } from '../../wallet/keys.ts'

/** `pairs` by kid or base58 verkey, Ed25519 (64-byte secrets) or X25519. */
export function fixedKeys(crypto: Crypto, pairs: ReadonlyMap<string, KeyPair>): Keys {
  const x25519Secret = (kid: string) => {
    const secret = pairs.get(kid)?.secretKey
    return secret?.length === 64 ? crypto.ed25519ToX25519Secret(secret) : secret
  }
  const agree = (kid: string, theirs: Uint8Array) => {
    const secret = x25519Secret(kid)
    return secret === undefined ? undefined : crypto.x25519(secret, theirs)
  }
  return {
    pair: kid => pairs.get(kid),
    sign: (kid, bytes) => {
      const pair = pairs.get(kid)
      return pair === undefined ? undefined : crypto.ed25519Sign(pair.secretKey, bytes)
    },
    agree,
    boxKey: (kid, theirs) => {
      const shared = agree(kid, theirs)
      return shared === undefined ? undefined : crypto.boxKey(shared)
    },
  }
}
