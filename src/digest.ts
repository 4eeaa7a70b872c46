// pure
// Digests for KRL's math module; deterministic, so fit for the pure core.

import { createHash, createHmac, getHashes } from 'node:crypto'

/** Names rulesets may ask for. */
export const DIGESTS: readonly string[] = ['md5', 'sha1', 'sha224', 'sha256', 'sha384', 'sha512'].filter(name =>
  getHashes().includes(name),
)

export function digest(algorithm: string, data: Uint8Array): Uint8Array | undefined {
  return DIGESTS.includes(algorithm) ? new Uint8Array(createHash(algorithm).update(data).digest()) : undefined
}

export function hmacDigest(algorithm: string, key: Uint8Array, data: Uint8Array): Uint8Array | undefined {
  return DIGESTS.includes(algorithm) ? new Uint8Array(createHmac(algorithm, key).update(data).digest()) : undefined
}
