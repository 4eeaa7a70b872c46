// Syntax of DIDs and DID URLs (DID Core 3.1, 3.2).

export interface DidUrl {
  readonly did: string
  readonly method: string
  /** The method-specific identifier. */
  readonly id: string
  /** With its leading slash. */
  readonly path?: string
  /** Without `?`. */
  readonly query?: string
  /** Without `#`. */
  readonly fragment?: string
}

// Longer than any did:peer:4 a 64 KiB document can have; bounds the work on a peer's text.
const maxLength = 100_000

const didPattern = /^did:([a-z0-9]+):((?:[A-Za-z0-9._-]|%[0-9A-Fa-f]{2}|:(?=[^/?#]))+)/
const restPattern = /^(\/[^?#\s]*)?(?:\?([^#\s]*))?(?:#(\S*))?$/

/** The parts of a DID URL (a DID is one), or undefined. */
export function parseDidUrl(text: string): DidUrl | undefined {
  if (text.length > maxLength) return undefined
  const match = didPattern.exec(text)
  if (match === null) return undefined
  const [did, method, id] = match as unknown as [string, string, string]
  const rest = restPattern.exec(text.slice(did.length))
  if (rest === null) return undefined
  const [, path, query, fragment] = rest
  return {
    did,
    method,
    id,
    ...(path !== undefined && { path }),
    ...(query !== undefined && { query }),
    ...(fragment !== undefined && { fragment }),
  }
}

/** The parts of a bare DID, or undefined for anything else, a DID URL included. */
export function parseDid(text: string): { did: string; method: string; id: string } | undefined {
  const url = parseDidUrl(text)
  return url !== undefined && url.did === text ? { did: url.did, method: url.method, id: url.id } : undefined
}

export function isDid(text: unknown): text is string {
  return typeof text === 'string' && parseDid(text) !== undefined
}

/** The DID part of a DID URL or key id, or undefined. */
export function didOf(url: string): string | undefined {
  return parseDidUrl(url)?.did
}
