// did:peer numalgo 2 (Peer DID Method, "Method 2"): keys coded by purpose and services as abbreviated JSON, all in
// the text of the DID. Key ids are #key-1, #key-2, … in order, services #service, #service-1, ….

import { base58, base64url, concat, fromBase64url, utf8 } from './bytes.ts'
import { serviceType } from './did-document.ts'
import { type Fault, fault, isFault } from './fault.ts'
import { type JsonMembers, type JsonValue, readJson } from './json.ts'
import { decodeMultikey, encodeMultikey, type PublicKey } from './multikey.ts'
import { sha256 } from './sha256.ts'

/** Authentication, key agreement, assertion, capability invocation, capability delegation. */
export type Purpose = 'V' | 'E' | 'A' | 'I' | 'D'

export interface Peer2Key extends PublicKey {
  readonly purpose: Purpose
  readonly multikey: string
}

export interface Peer2Parts {
  readonly keys: readonly Peer2Key[]
  /** With full member names and without ids they did not have. */
  readonly services: readonly JsonMembers[]
}

export interface Peer2Input {
  readonly keys: readonly {
    readonly purpose: Purpose
    readonly type: 'Ed25519' | 'X25519'
    readonly publicKey: Uint8Array
  }[]
  /** Full member names; written abbreviated. */
  readonly services?: readonly { readonly [member: string]: unknown }[]
}

const prefix = 'did:peer:2'
const relationshipOf = {
  V: 'authentication',
  E: 'keyAgreement',
  A: 'assertionMethod',
  I: 'capabilityInvocation',
  D: 'capabilityDelegation',
} as const

const longNames = new Map(Object.entries({ t: 'type', s: 'serviceEndpoint', r: 'routingKeys', a: 'accept' }))
const shortNames = new Map([...longNames].map(([short, long]) => [long, short]))
const longTypes = new Map([['dm', 'DIDCommMessaging']])
const shortTypes = new Map([['DIDCommMessaging', 'dm']])

const malformed = (message: string) => fault('did.malformed', message)

/** The parts of a did:peer:2, or a Fault (`did.malformed`, `key.malformed`). */
export function parsePeer2(did: string): Peer2Parts | Fault {
  if (!did.startsWith(`${prefix}.`)) return malformed('not a did:peer:2')
  const keys: Peer2Key[] = []
  const services: JsonMembers[] = []
  for (const element of did.slice(prefix.length + 1).split('.')) {
    const read = element.startsWith('S') ? readServices(element.slice(1)) : readKey(element)
    if (isFault(read)) return read
    if (Array.isArray(read)) services.push(...read)
    else keys.push(read)
  }
  return keys.length > 0 ? { keys, services } : malformed('a did:peer:2 without keys')
}

function readKey(element: string): Peer2Key | Fault {
  const purpose = element[0] as Purpose
  if (!Object.hasOwn(relationshipOf, purpose)) return malformed('unknown purpose code')
  const multikey = element.slice(1)
  const key = multikey.startsWith('z') ? decodeMultikey(multikey) : undefined
  if (key === undefined)
    return fault('key.malformed', 'public key is malformed or of small order', multikey.slice(0, 100))
  if (key.type === 'X25519' && purpose !== 'E') return malformed('an X25519 key can only agree on keys')
  return { purpose, multikey, ...key }
}

function readServices(encoded: string): JsonMembers[] | Fault {
  const bytes = fromBase64url(encoded, { padding: 'allow' })
  const json = bytes && readJson(bytes, { maxBytes: 65_536 })
  if (json === undefined || isFault(json)) return malformed('a service that is not base64url of JSON')
  const services: JsonMembers[] = []
  for (const coded of Array.isArray(json.value) ? json.value : [json.value]) {
    const service = isMembers(coded) ? renamed(coded, longNames, longTypes) : {}
    if (serviceType(service.type) === undefined || service.serviceEndpoint === undefined) {
      return malformed('a service that is not an object with type and endpoint')
    }
    services.push(service)
  }
  return services
}

function isMembers(value: unknown): value is JsonMembers {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

// Names are abbreviated at the service and inside its endpoint objects; of values, only the type.
function renamed(
  members: JsonMembers,
  names: ReadonlyMap<string, string>,
  types: ReadonlyMap<string, string>,
): JsonMembers {
  const out: JsonMembers = {}
  for (const [name, value] of Object.entries(members)) {
    const to = names.get(name) ?? name
    const isType = name === 'type' || to === 'type'
    out[to] = isType ? renamedType(value, types) : renamedValue(value, names, types)
  }
  return out
}

function renamedType(value: JsonValue, types: ReadonlyMap<string, string>): JsonValue {
  if (Array.isArray(value)) return value.map(type => renamedType(type, types))
  return typeof value === 'string' ? (types.get(value) ?? value) : value
}

function renamedValue(
  value: JsonValue,
  names: ReadonlyMap<string, string>,
  types: ReadonlyMap<string, string>,
): JsonValue {
  if (Array.isArray(value)) return value.map(item => renamedValue(item, names, types))
  return isMembers(value) ? renamed(value, names, types) : value
}

/** The DID of these keys and services. */
export function makePeer2({ keys, services = [] }: Peer2Input): string {
  const coded = keys.map(({ purpose, type, publicKey }) => `.${purpose}${encodeMultikey(type, publicKey)}`)
  const written = services.map(service => {
    const short = renamed(service as JsonMembers, shortNames, shortTypes)
    return `.S${base64url(utf8(JSON.stringify(short)))}`
  })
  return prefix + coded.join('') + written.join('')
}

/** The short did:peer:3 of a did:peer:2. */
export function peer3Of(peer2: string): string {
  const digest = sha256(utf8(peer2.slice(prefix.length)))
  return `did:peer:3z${base58(concat(Uint8Array.of(0x12, 0x20), digest))}`
}

/** The document of a did:peer:2 as JSON, with relative ids. */
export function peer2Document(did: string, { keys, services }: Peer2Parts): JsonMembers {
  const document: JsonMembers = {
    '@context': ['https://www.w3.org/ns/did/v1', 'https://w3id.org/security/multikey/v1'],
    id: did,
    verificationMethod: keys.map(({ multikey }, i) => ({
      type: 'Multikey',
      id: `#key-${i + 1}`,
      controller: did,
      publicKeyMultibase: multikey,
    })),
  }
  for (const [i, { purpose }] of keys.entries()) {
    const name = relationshipOf[purpose]
    document[name] = [...((document[name] as string[] | undefined) ?? []), `#key-${i + 1}`]
  }
  if (services.length > 0)
    document.service = services.map((service, i) => ({ id: i === 0 ? '#service' : `#service-${i}`, ...service }))
  document.alsoKnownAs = [peer3Of(did)]
  return document
}
