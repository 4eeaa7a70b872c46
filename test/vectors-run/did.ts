// Runs the vector families did-key and did-peer against the wallet (test/vectors; other files of the same families
// may be given). Documents are compared by key bytes, relationships and service content: id styles and suite names
// differ between versions of the methods.

import { concat, fromBase58, fromBase64url, hex, utf8 } from '../../wallet/bytes.ts'
import { cryptoNode } from '../../wallet/crypto-node.ts'
import { type DidDocument, methodOf, readDidDocument, relationships } from '../../wallet/did-document.ts'
import { didKey, didKeyToNaked, keyBytesOf, nakedToDidKey, resolveDidKey } from '../../wallet/did-key.ts'
import { isShortForm, makePeer4, peer3Of, peer4InputFault, peer4Short, resolvePeer } from '../../wallet/did-peer.ts'
import { type Fault, isFault } from '../../wallet/fault.ts'
import { canonicalize } from '../../wallet/jcs.ts'
import { type RunResult, runCases } from './cases.ts'

// biome-ignore lint/suspicious/noExplicitAny: vector files are read as they come
type Json = any

/** Runs a file of the family did-key. */
export function runDidKey(file: Json): RunResult {
  return runCases(file, test => (test.verkey_base58 === undefined ? checkDocument(test) : checkNaked(test)))
}

/** Runs a file of the family did-peer. */
export function runDidPeer(file: Json): RunResult {
  return runCases(file, checkPeer)
}

// ---- did:key -----------------------------------------------------------------------------------------------

function checkNaked({ kind, verkey_base58: naked, expected }: Json): string | undefined {
  const did = nakedToDidKey(naked)
  if (kind === 'negative') return did === undefined ? undefined : 'a bad naked key was taken'
  if (did === undefined) return 'not taken'
  if (did !== expected.did_key) return `made ${did}`
  if (didKeyToNaked(did) !== naked || didKeyToNaked(`${did}#${did.slice(8)}`) !== naked)
    return 'not back to the naked key'
  const key = keyBytesOf(did)
  return key && didKey('Ed25519', key.publicKey) === did ? undefined : 'key bytes differ'
}

function checkDocument(test: Json): string | undefined {
  const document = resolveDidKey(test.did)
  if (test.kind === 'negative') return isFault(document) ? undefined : 'a bad did:key was resolved'
  if (isFault(document)) return document.message
  const { didDocument, seed, verificationKeyPair } = test.vector ?? {}
  const wrongSeed = seed !== undefined && verificationKeyPair?.type?.startsWith('Ed25519') && checkSeed(test.did, seed)
  const { resolved, did_document: named } = test.expected
  const expected = didDocument ?? resolved ?? named
  return wrongSeed || (expected && compareDocuments(document, expected))
}

function checkSeed(did: string, seed: string): string | undefined {
  const bytes = Buffer.from(seed, 'hex')
  if (bytes.length !== 32) return undefined
  return didKey('Ed25519', cryptoNode.ed25519KeyPair(bytes).publicKey) === did ? undefined : 'seed gives another key'
}

// ---- did:peer ----------------------------------------------------------------------------------------------

function checkPeer(test: Json): string | undefined {
  const { expected, did, input_document: input } = test
  if (expected.valid_syntax !== undefined)
    return hasSyntax(did) === expected.valid_syntax ? undefined : 'syntax judged wrongly'
  if (expected.valid_input_document !== undefined) {
    return (peer4InputFault(input) === undefined) === expected.valid_input_document ? undefined : 'input judged wrongly'
  }
  if (test.kind === 'negative') return isFault(resolvePeer(did)) ? undefined : 'a bad did:peer was resolved'
  if (did !== undefined) {
    const document = resolvePeer(did)
    if (isFault(document)) return document.message
    return checkExpectations(did, document, expected)
  }
  return checkMade(input, expected)
}

function checkExpectations(did: string, document: DidDocument, expected: Json): string | undefined {
  if (expected.peer3 !== undefined && peer3Of(did) !== expected.peer3) return `made ${peer3Of(did)}`
  if (expected.short !== undefined && peer4Short(did) !== expected.short) return `made ${peer4Short(did)}`
  if (expected.did_key !== undefined) {
    const text = JSON.stringify(document.raw).replaceAll(did, expected.did_key)
    const wrong = compareDocuments(resolveDidKey(expected.did_key), JSON.parse(text))
    if (wrong !== undefined) return wrong
  }
  if (expected.input_document !== undefined) {
    const { alsoKnownAs, ...inside } = asInput(document.raw, did)
    const wanted = { alsoKnownAs, ...expected.input_document }
    if (canonicalize({ alsoKnownAs, ...inside }) !== canonicalize(wanted)) return 'another document was inside'
  }
  if (expected.resolved === undefined) return undefined
  const names = expected.resolved.alsoKnownAs
  if (names !== undefined && canonicalize(names) !== canonicalize(document.alsoKnownAs)) return 'alsoKnownAs differs'
  return compareDocuments(document, expected.resolved)
}

/** A short form names no document; every other form is one that resolves by itself. */
const hasSyntax = (did: string) => isShortForm(did) || !isFault(resolvePeer(did))

/** A document without what resolution of `did` adds: the DID itself, its other form, and itself as controller. */
function asInput(document: Json, did: string): Json {
  const own = (name: string, value: Json) => name === 'controller' && value === did
  const written = JSON.parse(JSON.stringify(document, (name, value) => (own(name, value) ? undefined : value)))
  const { id: _, ...rest } = written
  return { ...rest, alsoKnownAs: rest.alsoKnownAs.filter((name: string) => name !== peer4Short(did)) }
}

function checkMade(
  input: Json,
  { long, short, resolved_long: whole, resolved_short: brief }: Json,
): string | undefined {
  const made = makePeer4(input)
  if (made.long !== long || made.short !== short || peer4Short(long) !== short) return `made ${made.short}`
  const byLong = resolvePeer(long)
  const byShort = resolvePeer(short, asked => (asked === short ? long : undefined))
  if (isFault(byLong) || isFault(byShort)) return 'does not resolve'
  if (!isFault(resolvePeer(short))) return 'a short form resolved without its long form'
  if (canonicalize(byLong.raw) !== canonicalize(whole)) return 'long form resolves to another document'
  if (canonicalize(byShort.raw) !== canonicalize(brief)) return 'short form resolves to another document'
  return compareDocuments(byLong, whole) ?? compareDocuments(byShort, brief)
}

// ---- documents ---------------------------------------------------------------------------------------------

/** Differences between a document and the one a vector expects, or undefined. */
function compareDocuments(found: DidDocument | Fault, expected: Json): string | undefined {
  if (isFault(found)) return found.message
  if (found.id !== expected.id) return `id is ${found.id}`
  const theirs = foreignDocument(expected) ?? readDidDocument(expected, expected.id)
  if (isFault(theirs)) return `skip: the expected document is not readable: ${theirs.message}`
  for (const name of relationships) {
    const [ours, want] = [keysOf(found, name), keysOf(theirs, name)]
    const extra = [...ours].filter(key => !want.has(key))
    const missing = [...want].filter(key => !ours.has(key))
    if (missing.length > 0 && !mayMiss(found.id, name)) return `${name} misses ${missing[0]}`
    if (extra.length > 0 && !mayExceed(found.id, name)) return `${name} has ${extra[0]}`
  }
  return canonicalize(servicesOf(found.raw)) === canonicalize(servicesOf(expected)) ? undefined : 'services differ'
}

// peer-did-python gives authentication keys of numalgo 2 every signing relationship; the method says authentication.
function mayMiss(did: string, name: string): boolean {
  return did.startsWith('did:peer:2') && name !== 'authentication' && name !== 'keyAgreement'
}

// ... and leaves out the key-agreement key that a numalgo 0 document has as a did:key has it. For a DID of both BLS
// groups (z5Tc) the vectors give one of the two methods in each form.
function mayExceed(did: string, name: string): boolean {
  return (did.startsWith('did:peer:0') && name === 'keyAgreement') || did.startsWith('did:key:z5Tc')
}

function keysOf(document: DidDocument, name: (typeof relationships)[number]): Set<string> {
  return new Set(document[name].map(id => hex(bareKey(methodOf(document, id)?.publicKey ?? new Uint8Array(0)))))
}

// Keys of kinds the wallet does not use carry their multicodec; vectors give the bare key or coordinates.
function bareKey(key: Uint8Array): Uint8Array {
  const [first, second] = key
  const coded = key.length > 67 || (key.length === 50 && second === 1)
  if (!coded) return key
  if (first === 0x85 && second === 0x24) return rsaModulus(key.subarray(2))
  return second === 1 ? blsKey(key.subarray(2)) : key
}

// Compressed BLS12-381 point: its x coordinate without the three flag bits.
function blsKey(point: Uint8Array): Uint8Array {
  return concat(Uint8Array.of(point[0]! & 0x1f), point.subarray(1))
}

// PKCS #1 RSAPublicKey: SEQUENCE { INTEGER n, INTEGER e }, both lengths in two bytes.
function rsaModulus(der: Uint8Array): Uint8Array {
  const length = (der[6]! << 8) | der[7]!
  return der.subarray(8, 8 + length).subarray(der[8] === 0 ? 1 : 0)
}

// Vector documents of RSA and BLS keys: their JWK or base58 key, put as the same bytes `bareKey` gives.
function foreignDocument(expected: Json): DidDocument | undefined {
  const methods: Json[] = expected.verificationMethod ?? []
  if (!methods.some(method => foreignBytes(method) !== undefined)) return undefined
  const ids = (name: string) => (expected[name] ?? []) as string[]
  return {
    id: expected.id,
    alsoKnownAs: [],
    verificationMethod: methods.map(method => ({
      id: method.id,
      controller: method.controller,
      type: method.type,
      keyType: 'other',
      publicKey: foreignBytes(method) ?? utf8('unknown'),
    })),
    authentication: ids('authentication'),
    assertionMethod: ids('assertionMethod'),
    keyAgreement: ids('keyAgreement'),
    capabilityInvocation: ids('capabilityInvocation'),
    capabilityDelegation: ids('capabilityDelegation'),
    service: [],
    raw: expected,
  }
}

function foreignBytes({ type, publicKeyJwk, publicKeyBase58 }: Json): Uint8Array | undefined {
  if (/^Bls12381/.test(type) && publicKeyBase58) return coordinate(fromBase58(publicKeyBase58)!)
  if (publicKeyJwk?.kty === 'RSA') return fromBase64url(publicKeyJwk.n)
  return /^BLS12381/.test(publicKeyJwk?.crv ?? '') ? coordinate(fromBase64url(publicKeyJwk.x)!) : undefined
}

// Prefixed so that `bareKey` treats it as its own kind.
function coordinate(x: Uint8Array): Uint8Array {
  return concat(Uint8Array.of(x.length === 48 ? 0xea : 0xeb, 1), x)
}

function servicesOf(document: Json): unknown[] {
  return (document.service ?? []).map(({ id: _, ...content }: Json) => content)
}
