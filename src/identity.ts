// pure
// The DIDs and keys of one pico inside a step: drawing pairwise DIDs, naming what mail they receive, signing and
// checking attachments, resolving what peers bring. Private keys are records of their own; rules never see them.

import { signAttachment, verifyAttachment } from '../wallet/attachment.ts'
import { base58, text, utf8 } from '../wallet/bytes.ts'
import { cryptoNode } from '../wallet/crypto-node.ts'
import { type DidDocument, readDidDocument, type Service } from '../wallet/did-document.ts'
import { didKey, keyBytesOf } from '../wallet/did-key.ts'
import { makePeer2, makePeer4 } from '../wallet/did-peer.ts'
import { type Fault, isFault } from '../wallet/fault.ts'
import { makeFromPrior } from '../wallet/from-prior.ts'
import { drawKey, makeKeyring, type StoredKey } from '../wallet/keyring.ts'
import { shortForm } from '../wallet/keys.ts'
import { makeResolver } from '../wallet/resolver.ts'
import { type Address, GROUP, type Run } from './pico.ts'
import type { Json, JsonObject, View } from './ports.ts'

/** A DID of ours: the record under its short form. */
export interface OwnDid {
  readonly did: string
  readonly short: string
  /** Names under which mail for it arrives: base58 verkeys (v1) and kids (v2). */
  readonly recipients: readonly string[]
  /** base58 of its Ed25519 key: the sender on v1. */
  readonly verkey: string
  /** kid of its X25519 key: the sender on v2. */
  readonly agreement: string | null
  /** kid of its Ed25519 key: signs from_prior. */
  readonly authentication: string
}

const OWN = 'did'
const LONG = 'long'
const DOCUMENT = 'diddoc'

export type DrawKind = 'peer4' | 'peer2' | 'key'

/** Draws keys, makes the DID, stores the keys and binds what it receives to this pico. */
export function drawDid(run: Run, kind: DrawKind, endpoint: { uri: string; routingKeys: readonly string[] }): OwnDid {
  const ed = drawKey('Ed25519', run.draw('key'))
  const verkey = base58(ed.publicKey)
  const own =
    kind === 'peer2'
      ? peer2(run, ed, verkey, endpoint)
      : kind === 'peer4'
        ? peer4(ed.publicKey, verkey, endpoint)
        : plainKey(ed.publicKey, verkey)
  putKey(run, verkey, ed.stored)
  if (own.authentication !== verkey) putKey(run, own.authentication, ed.stored)
  run.records.put(OWN, own.short, own as unknown as Json)
  return own
}

type Drawn = ReturnType<typeof drawKey>

function peer4(
  publicKey: Uint8Array,
  verkey: string,
  endpoint: { uri: string; routingKeys: readonly string[] },
): OwnDid {
  const agreement = cryptoNode.ed25519ToX25519Public(publicKey)
  if (agreement === undefined) throw new Error('a drawn key is no curve point')
  const multikey = (key: string) => key.slice('did:key:'.length)
  const { long, short } = makePeer4({
    '@context': ['https://www.w3.org/ns/did/v1', 'https://w3id.org/security/multikey/v1'],
    verificationMethod: [
      { id: '#key-0', type: 'Multikey', publicKeyMultibase: multikey(didKey('Ed25519', publicKey)) },
      { id: '#key-1', type: 'Multikey', publicKeyMultibase: multikey(didKey('X25519', agreement)) },
    ],
    authentication: ['#key-0'],
    assertionMethod: ['#key-0'],
    keyAgreement: ['#key-1'],
    capabilityInvocation: ['#key-0'],
    capabilityDelegation: ['#key-0'],
    service: [
      {
        id: '#did-communication',
        type: 'did-communication',
        priority: 0,
        recipientKeys: ['#key-0'],
        routingKeys: [...endpoint.routingKeys],
        serviceEndpoint: endpoint.uri,
        accept: ['didcomm/aip2;env=rfc19'],
      },
    ],
  })
  return { did: long, short, recipients: [verkey], verkey, agreement: null, authentication: `${short}#key-0` }
}

function peer2(run: Run, ed: Drawn, verkey: string, endpoint: { uri: string; routingKeys: readonly string[] }): OwnDid {
  const x = drawKey('X25519', run.draw('key'))
  const did = makePeer2({
    keys: [
      { purpose: 'V', type: 'Ed25519', publicKey: ed.publicKey },
      { purpose: 'E', type: 'X25519', publicKey: x.publicKey },
    ],
    services: [
      {
        type: 'DIDCommMessaging',
        serviceEndpoint: { uri: endpoint.uri, routingKeys: [...endpoint.routingKeys], accept: ['didcomm/v2'] },
      },
    ],
  })
  const agreement = `${did}#key-2`
  putKey(run, agreement, x.stored)
  return { did, short: did, recipients: [agreement], verkey, agreement, authentication: `${did}#key-1` }
}

function plainKey(publicKey: Uint8Array, verkey: string): OwnDid {
  const did = didKey('Ed25519', publicKey)
  return { did, short: did, recipients: [verkey], verkey, agreement: null, authentication: verkey }
}

function putKey(run: Run, kid: string, stored: StoredKey): void {
  run.records.put(GROUP.key, kid, stored as unknown as Json)
}

/** What mail to this DID belongs to; binds its recipient names in the directory. */
export function receiveAs(run: Run, own: OwnDid, purpose: JsonObject): void {
  for (const name of own.recipients) {
    run.records.put(GROUP.recipient, name, purpose)
    run.records.bind(`key:${name}`, true)
  }
}

/** Mail to this DID is no longer ours. Its keys stay until its last letter left. */
export function receiveNoMore(run: Run, own: OwnDid): void {
  for (const name of own.recipients) {
    run.records.put(GROUP.recipient, name, undefined)
    run.records.bind(`key:${name}`, false)
  }
}

/** Drops a DID of ours that nobody writes to, and its keys. */
export function forgetDid(run: Run, did: string): void {
  const own = ownDid(run.records, did)
  if (own === undefined) return
  for (const kid of new Set([...own.recipients, own.verkey, own.authentication]))
    run.records.put(GROUP.key, kid, undefined)
  run.records.put(OWN, own.short, undefined)
}

export const ownDid = (view: View, did: string): OwnDid | undefined =>
  view.get(OWN, shortForm(did)) as unknown as OwnDid | undefined

/** A keyring over the pico's key records. */
const keyringOf = (view: View) =>
  makeKeyring(cryptoNode, kid => view.get(GROUP.key, kid) as unknown as StoredKey | undefined)

/** Resolves offline: did:key, did:peer, and documents that peers brought and that were vouched for. */
export function resolverOf(view: View) {
  const known = (short: string) => view.get(LONG, short) as string | undefined
  const offline = makeResolver({ known })
  return {
    resolve(did: string): DidDocument | Fault {
      const kept = view.get(DOCUMENT, shortForm(did))
      return kept === undefined ? offline.resolve(did) : readDidDocument(kept, shortForm(did))
    },
  }
}

/** Keeps the long form of a peer's DID, so that the short form resolves from now on. */
export function keepLong(run: Run, did: string): void {
  const short = shortForm(did)
  if (short !== did) run.records.put(LONG, short, did)
}

export function forgetLong(run: Run, did: string): void {
  run.records.put(LONG, shortForm(did), undefined)
}

export function keepDocument(run: Run, did: string, document: JsonObject): void {
  run.records.put(DOCUMENT, shortForm(did), document)
}

/** Attachment data `{base64, jws}` over `content` by the key of ours that a did:key names. */
export function sign(run: Run, content: string, key: string): JsonObject {
  const found = keyBytesOf(key)
  if (found === undefined) throw new Error('sign: not a key reference')
  const verkey = base58(found.publicKey)
  const keyring = keyringOf(run.records)
  const signer = (bytes: Uint8Array) => {
    const signature = keyring.sign(verkey, bytes)
    if (signature === undefined) throw new Error('sign: not a key of ours')
    return signature
  }
  const { data } = signAttachment({ content: utf8(content), publicKey: found.publicKey, sign: signer })
  return data as unknown as JsonObject
}

/** The text of signed attachment data when its JWS is by one of `keys`, else a fault. */
export function verify(data: JsonObject, keys: readonly string[]): string | Fault {
  let last: Fault | undefined
  for (const key of keys) {
    const bytes = keyBytesOf(key)
    if (bytes === undefined) continue
    const content = verifyAttachment(cryptoNode, { data } as never, bytes.publicKey)
    if (!isFault(content)) return text(content)
    last = content
  }
  return last ?? ({ fault: true, code: 'message.forged', message: 'not signed by an expected key' } as Fault)
}

/** A from_prior JWT by which `iss`, ours, vouches for `sub`. */
export function fromPrior(run: Run, iss: string, sub: string): string | undefined {
  const own = ownDid(run.records, iss)
  if (own === undefined) return undefined
  const keyring = keyringOf(run.records)
  const signer = (bytes: Uint8Array) => {
    const signature = keyring.sign(own.authentication, bytes) ?? keyring.sign(own.verkey, bytes)
    if (signature === undefined) throw new Error('from_prior: not a key of ours')
    return signature
  }
  return makeFromPrior(signer, own.authentication, { iss, sub, iat: Math.floor(run.now / 1000) })
}

/** Ed25519 keys of a document as did:key references, as protocols name keys. */
export function keyReferences(document: DidDocument): string[] {
  const found = document.verificationMethod.filter(method => method.keyType === 'Ed25519')
  return [...new Set(found.map(method => didKey('Ed25519', method.publicKey)))]
}

/** base58 verkeys that may send for this DID on v1: its Ed25519 keys. */
export function verkeysOf(document: DidDocument): string[] {
  return [
    ...new Set(
      document.verificationMethod
        .filter(method => method.keyType === 'Ed25519')
        .map(method => base58(method.publicKey)),
    ),
  ]
}

/** Where the document says its subject is reached, and for which verkeys (v1). Undefined when nowhere. */
export function serviceOf(
  document: DidDocument,
  version: 'v1' | 'v2',
): (Address & { recipientKeys: readonly string[] }) | undefined {
  const services = [...document.service].sort((a, b) => (a.priority ?? 0) - (b.priority ?? 0))
  for (const service of services) {
    const found = version === 'v1' ? serviceV1(service, document) : serviceV2(service)
    if (found) return found
  }
  return undefined
}

function serviceV1(service: Service, document: DidDocument): (Address & { recipientKeys: string[] }) | undefined {
  if (service.type !== 'did-communication' && service.type !== 'IndyAgent') return undefined
  const uri = service.serviceEndpoint
  if (typeof uri !== 'string' || uri === '' || uri.startsWith('didcomm:transport/queue')) return undefined
  const recipientKeys = (service.recipientKeys ?? []).flatMap(reference => {
    const method = document.verificationMethod.find(
      m => m.id === reference || m.id.endsWith(reference.startsWith('#') ? reference : '\0'),
    )
    const bytes = method?.publicKey ?? keyBytesOf(reference)?.publicKey
    return bytes === undefined ? [] : [base58(bytes)]
  })
  return { uri, routingKeys: service.routingKeys ?? [], recipientKeys }
}

function serviceV2(service: Service): (Address & { recipientKeys: string[] }) | undefined {
  if (service.type !== 'DIDCommMessaging') return undefined
  const endpoints = Array.isArray(service.serviceEndpoint) ? service.serviceEndpoint : [service.serviceEndpoint]
  for (const endpoint of endpoints) {
    if (typeof endpoint === 'string' && endpoint !== '')
      return { uri: endpoint, routingKeys: service.routingKeys ?? [], recipientKeys: [] }
    const { uri, routingKeys, routing_keys } = (endpoint ?? {}) as {
      uri?: unknown
      routingKeys?: string[]
      routing_keys?: string[]
    }
    if (typeof uri === 'string' && uri !== '')
      return { uri, routingKeys: routingKeys ?? routing_keys ?? [], recipientKeys: [] }
  }
  return undefined
}
