// DID resolution as a table, method → function (DID Core 7.1). Methods that need no network answer at once; a shell
// adds those that do and awaits them. `asDidResolver` gives the table in the shape of the package did-resolver.

import type { DIDResolutionResult, ResolverRegistry } from 'did-resolver'
import { parseDid } from './did.ts'
import { type DidDocument, readDidDocument } from './did-document.ts'
import { resolveDidKey } from './did-key.ts'
import { resolvePeer } from './did-peer.ts'
import { type Fault, fault, isFault } from './fault.ts'

/** A synchronous method: the document, or a Fault. */
export type ResolveMethod = (did: string) => DidDocument | Fault

export interface Resolver {
  /** The document of a bare DID. Faults: `did.malformed`, `did.unsupported`, and the method's own. */
  resolve(did: string): DidDocument | Fault
  /** A resolver that also knows these documents (JSON, by their `id`), before any method is asked. */
  withStatic(documents: readonly { readonly [member: string]: unknown }[]): Resolver
  /** The methods for `new Resolver(...)` of did-resolver. */
  asDidResolver(): ResolverRegistry
}

export interface ResolverOptions {
  /** The long form of a short did:peer that the caller has seen. */
  readonly known?: (short: string) => string | undefined
  /** More methods, or others in place of `key` and `peer`. */
  readonly methods?: Readonly<Record<string, ResolveMethod>>
}

/** A resolver for did:key, did:peer and what `options.methods` adds. */
export function makeResolver(options: ResolverOptions = {}): Resolver {
  const methods: Record<string, ResolveMethod> = {
    key: resolveDidKey,
    peer: did => resolvePeer(did, options.known),
    ...options.methods,
  }
  return resolverOf(methods, new Map())
}

function resolverOf(
  methods: Readonly<Record<string, ResolveMethod>>,
  fixed: ReadonlyMap<string, DidDocument | Fault>,
): Resolver {
  const resolve: ResolveMethod = did => {
    const document = fixed.get(did)
    if (document !== undefined) return document
    const parsed = parseDid(did)
    if (parsed === undefined) return fault('did.malformed', 'not a DID')
    const method = Object.hasOwn(methods, parsed.method) ? methods[parsed.method] : undefined
    return method?.(did) ?? fault('did.unsupported', `no resolver for did:${parsed.method}`)
  }
  return {
    resolve,
    withStatic: documents => resolverOf(methods, new Map([...fixed, ...documents.map(fixedEntry)])),
    asDidResolver: () =>
      Object.fromEntries(Object.keys(methods).map(method => [method, async did => toResult(resolve(did))])),
  }
}

function fixedEntry(json: { readonly [member: string]: unknown }): readonly [string, DidDocument | Fault] {
  const { id } = json
  if (typeof id !== 'string') throw new Error('a static DID document needs an id')
  return [id, readDidDocument(json, id)]
}

const errors: Readonly<Record<string, string>> = {
  'did.unresolvable': 'notFound',
  'did.unsupported': 'unsupportedDidMethod',
}

function toResult(found: DidDocument | Fault): DIDResolutionResult {
  if (isFault(found)) {
    const error = errors[found.code] ?? 'invalidDid'
    return { didResolutionMetadata: { error, message: found.message }, didDocument: null, didDocumentMetadata: {} }
  }
  const didDocument = found.raw as unknown as NonNullable<DIDResolutionResult['didDocument']>
  return {
    didResolutionMetadata: { contentType: 'application/did+ld+json' },
    didDocument,
    didDocumentMetadata: {},
  }
}
