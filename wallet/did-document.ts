// The parts of a DID document that Picomesh reads (DID Core 5), normalised: absolute ids, raw key bytes, one list of
// methods. Also reads the older shapes that Aries peers still send (`publicKey` lists, IndyAgent; RFC 0067, RFC 0160).

import { equalBytes } from './bytes.ts'
import { type Fault, fault, isFault } from './fault.ts'
import { keyOfMethod } from './key-material.ts'
import { encodeMultikey } from './multikey.ts'

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

type Members = { readonly [member: string]: unknown }
type Relationship = (typeof relationships)[number]

/** The verification relationships of DID Core 5.3, and those of the types above. */
export const relationships = [
  'authentication',
  'assertionMethod',
  'keyAgreement',
  'capabilityInvocation',
  'capabilityDelegation',
] as const

const maxMethods = 64
const maxServices = 20
const maxBytes = 65_536

/** Reads a document in JSON that is known to describe `did`. Faults: `did.document` (malformed, over
 *  64 KiB, 64 methods or 20 services), `key.malformed` (also for small order).
 *  Methods whose id belongs to another DID, references to methods the document does not hold, and services without
 *  type or endpoint are left out. */
export function readDidDocument(json: unknown, did: string): DidDocument | Fault {
  if (!isMembers(json)) return malformed('not an object')
  if (sizeOf(json) > maxBytes) return tooLarge('more than 64 KiB')
  const methods = readMethods(json, did)
  if (isFault(methods)) return methods
  const service = readServices(json.service, did)
  if (isFault(service)) return service
  const verificationMethod = [...methods.values()]
  const related = Object.fromEntries(relationships.map(name => [name, readRelationship(json[name], did, methods)]))
  return {
    id: did,
    alsoKnownAs: strings(json.alsoKnownAs) ?? [],
    verificationMethod,
    ...(related as Record<Relationship, readonly string[]>),
    service,
    raw: json,
  }
}

const malformed = (message: string, place?: string) => fault('did.document', message, place)
const tooLarge = (message: string) => fault('did.document', message)

function isMembers(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function strings(value: unknown): readonly string[] | undefined {
  return Array.isArray(value) ? value.filter(item => typeof item === 'string') : undefined
}

// Nesting too deep for JSON.stringify counts as too large.
function sizeOf(json: Members): number {
  try {
    return JSON.stringify(json).length
  } catch {
    return Number.POSITIVE_INFINITY
  }
}

// Ids are written `#1`, `did:…#1`, and in IndyAgent documents `1`, `<nym>#1` or `did:sov:<nym>#1`.
function absoluteId(id: string, did: string): string | undefined {
  if (id.startsWith('#')) return did + id
  const hash = id.indexOf('#')
  if (hash < 0) return id.startsWith('did:') ? undefined : `${did}#${id}`
  return nymOf(id.slice(0, hash)) === nymOf(did) ? did + id.slice(hash) : undefined
}

function nymOf(did: string): string {
  return did.startsWith('did:sov:') ? did.slice('did:sov:'.length) : did
}

// ---- verification methods ----------------------------------------------------------------------------------

type Methods = Map<string, VerificationMethod>

function readMethods(json: Members, did: string): Methods | Fault {
  const found: unknown[] = []
  for (const name of ['verificationMethod', 'publicKey', ...relationships]) {
    const list = json[name] ?? []
    if (!Array.isArray(list)) return malformed('must be a list', name)
    found.push(...(name === 'verificationMethod' || name === 'publicKey' ? list : list.filter(isEmbedded)))
  }
  if (found.length > maxMethods) return tooLarge(`more than ${maxMethods} verification methods`)
  const methods: Methods = new Map()
  for (const json of found) {
    const method = readMethod(json, did)
    if (isFault(method)) return method
    if (method === undefined) continue
    const twin = methods.get(method.id)
    if (twin && !equalBytes(twin.publicKey, method.publicKey)) return malformed('two methods with one id', method.id)
    methods.set(method.id, twin ?? method)
  }
  return methods
}

// IndyAgent writes `{type, publicKey: <reference>}` under authentication: a reference, not a method.
function isEmbedded(entry: unknown): boolean {
  return typeof entry !== 'string' && !(isMembers(entry) && typeof entry.publicKey === 'string')
}

function readMethod(json: unknown, did: string): VerificationMethod | undefined | Fault {
  if (!isMembers(json) || typeof json.id !== 'string') return malformed('a verification method without id')
  const { id: written, type, controller } = json
  const id = absoluteId(written, did)
  if (id === undefined) return undefined
  const key = keyOfMethod(json)
  if (isFault(key)) return fault(key.code, key.message, `${written} ${key.place}`)
  return {
    id,
    controller: typeof controller === 'string' ? controller : did,
    type: typeof type === 'string' ? type : '',
    keyType: key.type,
    publicKey: key.publicKey,
  }
}

function readRelationship(list: unknown, did: string, methods: Methods): readonly string[] {
  const ids = new Set<string>()
  for (const entry of Array.isArray(list) ? list : []) {
    const written = isMembers(entry) ? (isEmbedded(entry) ? entry.id : entry.publicKey) : entry
    const id = typeof written === 'string' ? absoluteId(written, did) : undefined
    if (id !== undefined && methods.has(id)) ids.add(id)
  }
  return [...ids]
}

/** The method that `reference` (absolute or `#fragment`) names. Fragments of older did:peer:0 and 2 implementations
 *  are understood: the whole multikey, the multikey without its `z`, and the first eight characters of that. */
export function methodOf(document: DidDocument, reference: string): VerificationMethod | undefined {
  const id = absoluteId(reference, document.id)
  const exact = document.verificationMethod.find(method => method.id === id)
  if (exact !== undefined || id === undefined || !document.id.startsWith('did:peer:')) return exact
  const fragment = id.slice(document.id.length + 1)
  const [same, ...others] = document.verificationMethod.filter(method => oldFragments(method).includes(fragment))
  return others.length === 0 ? same : undefined
}

function oldFragments({ keyType, publicKey }: VerificationMethod): readonly string[] {
  if (keyType === 'other') return []
  const multikey = encodeMultikey(keyType, publicKey)
  return [multikey, multikey.slice(1), multikey.slice(1, 9)]
}

// ---- services ----------------------------------------------------------------------------------------------

// What makes one service unreadable says nothing of the keys: it is left out and the document stays.
function readServices(list: unknown, did: string): readonly Service[] | Fault {
  if (list !== undefined && !Array.isArray(list)) return malformed('must be a list', 'service')
  if (list !== undefined && list.length > maxServices) return tooLarge(`more than ${maxServices} services`)
  return (list ?? []).flatMap((json, at) => {
    const type = isMembers(json) ? serviceType(json.type) : undefined
    return type === undefined || json.serviceEndpoint === undefined ? [] : readService(json, type, did, at)
  })
}

/** Types of service that an address is taken from. */
const addressTypes = ['DIDCommMessaging', 'did-communication', 'IndyAgent']

/** The type that a service is read by: a text or, DID Core 5.4, the one of a set that gives an address, else the first.
 *  Undefined for anything else. */
export function serviceType(type: unknown): string | undefined {
  const types = strings(Array.isArray(type) ? type : [type]) ?? []
  return addressTypes.find(name => types.includes(name)) ?? types[0]
}

function readService(json: Members, type: string, did: string, at: number): Service {
  const recipientKeys = strings(json.recipientKeys)?.map(key => (key.startsWith('#') ? did + key : key))
  const routingKeys = strings(json.routingKeys)?.map(key => (key.startsWith('#') ? did + key : key))
  const accept = strings(json.accept)
  const id = typeof json.id === 'string' ? json.id : `#service-${at}`
  return {
    id: id.startsWith('#') ? did + id : id,
    type,
    serviceEndpoint: json.serviceEndpoint,
    ...(recipientKeys && { recipientKeys }),
    ...(routingKeys && { routingKeys }),
    ...(accept && { accept }),
    ...(typeof json.priority === 'number' && { priority: json.priority }),
  }
}
