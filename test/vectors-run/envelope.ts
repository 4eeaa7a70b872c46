// Runs the vector families didcomm-v1-envelope, didcomm-v2 and security (attachment-jws, and of the semantic files
// what opening an envelope decides) against the wallet. Held to: every `must` and every case without a strength.
// Listed as skipped: curves other than X25519 and Ed25519, and `should` and `policy` cases decided otherwise.

import { verifyAttachment } from '../../wallet/attachment.ts'
import { base58, fromBase58, fromBase64Any, fromBase64url, fromHex, text, utf8 } from '../../wallet/bytes.ts'
import type { Crypto } from '../../wallet/crypto.ts'
import { cryptoNode } from '../../wallet/crypto-node.ts'
import { didKeyToNaked } from '../../wallet/did-key.ts'
import { type Envelope, openV1, peek, unpack } from '../../wallet/envelope.ts'
import { type Fault, isFault } from '../../wallet/fault.ts'
import { verifyFromPrior } from '../../wallet/from-prior.ts'
import { canonicalize } from '../../wallet/jcs.ts'
import { isMembers, readJsonObject } from '../../wallet/json.ts'
import { didPart, type Keys, type Resolve, shortForm } from '../../wallet/keys.ts'
import type { Opened } from '../../wallet/opened.ts'
import { checkV2 } from '../../wallet/plaintext.ts'
import { makeResolver } from '../../wallet/resolver.ts'
import { type RunResult, runCases } from './cases.ts'
import { fixedKeys } from './keys.ts'
import { documentsOf, keysOfSecrets, type Secret, secretsOf } from './secrets.ts'

// biome-ignore lint/suspicious/noExplicitAny: vector files are read as they come
type Json = any

const same = (a: Json, b: Json) => canonicalize(a) === canonicalize(b)
export const asText = (packed: Json): string => (typeof packed === 'string' ? packed : JSON.stringify(packed))
const refusal = (found: unknown) => (isFault(found) ? undefined : 'was accepted')
const said = (wrong: Fault) => `${wrong.code}: ${wrong.message}${wrong.place === undefined ? '' : ` (${wrong.place})`}`

// ---- didcomm-v1-envelope -----------------------------------------------------------------------------------

/** Runs a file of the family didcomm-v1-envelope, each envelope as every recipient. */
export function runV1Envelope(file: Json, crypto: Crypto = cryptoNode): RunResult {
  const keysOf = (name: string) => {
    const { seed_hex: seed, verkey_base58: verkey } = file.keys?.[name] ?? {}
    if (seed === undefined) throw new Error(`the file has no key of ${name}`)
    return fixedKeys(crypto, new Map([[verkey, crypto.ed25519KeyPair(fromHex(seed)!)]]))
  }
  return runCases(file, test => {
    const packed = test.envelope ?? test.packed
    if (test.kind === 'structure-only') return checkStructure(packed, test)
    if (test.expected.unwrap !== undefined) return checkOnionV1(crypto, keysOf, packed, test)
    const envelope = peek(asText(packed))
    const names: string[] = test.recipients ?? namesFor(file, envelope, test.kind === 'negative')
    if (names.length === 0 && test.kind !== 'negative') return 'the envelope is for nobody whose key the file has'
    for (const name of names) {
      const opened = isFault(envelope) ? envelope : openEither(crypto, keysOf(name), envelope)
      const why = test.kind === 'negative' ? refusal(opened) : checkV1(opened, file.keys[name].verkey_base58, test)
      if (why !== undefined) return `${name}: ${why}`
    }
    return undefined
  })
}

/** Who opens a case that does not say it: those the envelope names; what must be refused, nobody of the file may open. */
function namesFor(file: Json, envelope: Envelope | Fault, everybody: boolean): string[] {
  const named: readonly string[] = isFault(envelope) ? [] : envelope.recipients
  const keys = Object.entries(file.keys ?? {}) as [string, Json][]
  return keys.filter(([, key]) => everybody || named.includes(key.verkey_base58)).map(([name]) => name)
}

function openEither(crypto: Crypto, keys: Keys, envelope: Envelope) {
  return envelope.version === 'v1' ? openV1(crypto, keys, envelope) : unreadable
}

const unreadable: Fault = { fault: true, code: 'envelope.unreadable', message: 'not a v1 envelope' }

function checkV1(opened: ReturnType<typeof openV1>, verkey: string, { expected }: Json): string | undefined {
  if (isFault(opened)) return said(opened)
  if (expected.plaintext_utf8 !== undefined && text(opened.plaintext) !== expected.plaintext_utf8)
    return 'another plaintext'
  if (expected.plaintext !== undefined && !same(JSON.parse(text(opened.plaintext)), expected.plaintext)) {
    return 'another plaintext'
  }
  if (opened.recipientKid !== verkey) return 'another recipient'
  return (opened.sender?.kid ?? null) === (expected.sender_verkey ?? null) ? undefined : 'another sender'
}

// Without private keys: the outside alone.
function checkStructure(packed: Json, { expected }: Json): string | undefined {
  const [read, outer] = [peek(asText(packed)), parsed(asText(packed))]
  if (isFault(read)) return said(read)
  const { recipient_kids: kids, iv_bytes: length, protected: head = {} } = expected
  if (kids !== undefined && !same([...read.recipients], kids)) return 'other recipients'
  if (length !== undefined && 'iv' in read && read.iv.length !== length) return 'another iv'
  // v1 headers may be padded.
  const found = parsed(decoded((outer.protected ?? outer.signatures?.[0]?.protected)?.replace(/=+$/, '')))
  const wrong = Object.keys(head).find(name => !same(found?.[name] ?? null, head[name]))
  return wrong === undefined ? undefined : `another ${wrong}`
}

// Each hop opens what the one before forwarded.
function checkOnionV1(crypto: Crypto, keysOf: (name: string) => Keys, outer: Json, test: Json): string | undefined {
  let packed = outer
  for (const hop of test.expected.unwrap) {
    const envelope = peek(asText(packed))
    const opened = isFault(envelope) ? envelope : openEither(crypto, keysOf(hop.by), envelope)
    if (isFault(opened)) return `${hop.by}: ${said(opened)}`
    const plaintext = text(opened.plaintext)
    if (hop.plaintext_utf8 !== undefined && plaintext !== hop.plaintext_utf8) return `${hop.by}: another plaintext`
    if (hop.forward_to === undefined) continue
    const message = JSON.parse(plaintext)
    if (message.to !== hop.forward_to) return `${hop.by}: forwards to another`
    packed = message.msg
  }
  return undefined
}

// ---- didcomm-v2 --------------------------------------------------------------------------------------------

/** Runs a file of the family didcomm-v2: envelopes, signed messages, plaintexts and `from_prior` JWTs. */
export function runV2(file: Json, crypto: Crypto = cryptoNode): RunResult {
  const secrets = secretsOf(crypto, file)
  const resolve = makeResolver().withStatic(documentsOf(file, secrets)).resolve
  return runCases(file, test => {
    if (test.jwt !== undefined) return checkJwt(crypto, resolve, test)
    const packed = asText(test.packed)
    if (test.kind === 'structure-only') return checkStructure(test.packed, test)
    if (test.expected.unwrap !== undefined) return checkOnionV2(crypto, secrets, resolve, test)
    if (isPlaintextCase(test)) return checkPlaintextCase(packed, test)
    const foreign = foreignKind(test.packed)
    if (foreign !== undefined) return `skip: ${foreign} is not supported`
    const opened = openAsAny(crypto, secrets, resolve, packed)
    if (test.kind === 'negative') return refusal(opened)
    if (!isFault(opened)) return checkOpenedV2(opened, test.expected)
    const inner = opened.code === 'jws.unsupported_algorithm' || opened.place === 'epk.crv'
    return inner ? `skip: the inner layer's key type is not supported` : said(opened)
  })
}

function openAsAny(crypto: Crypto, secrets: Secret[], resolve: Resolve, packed: string, did?: string) {
  const envelope = peek(packed)
  return isFault(envelope) ? envelope : unpack(crypto, keysOfSecrets(crypto, secrets, did), resolve, envelope)
}

/** The curve or signature algorithm of the outer layer, when it is one the wallet does not have. */
export function foreignKind(packed: Json): string | undefined {
  const outer = typeof packed === 'string' ? parsed(packed) : packed
  const head = parsed(decoded(outer?.protected ?? outer?.signatures?.[0]?.protected))
  if (head === undefined) return undefined
  if (head.epk !== undefined) return head.epk.crv === 'X25519' ? undefined : head.epk.crv
  return /^ES/.test(head.alg ?? '') ? head.alg : undefined
}

function parsed(source: string | undefined): Json {
  const read = source === undefined ? undefined : readJsonObject(source)
  return read === undefined || isFault(read) ? undefined : read.value
}

function decoded(source: Json): string | undefined {
  const bytes = typeof source === 'string' ? fromBase64url(source) : undefined
  return bytes === undefined ? undefined : Buffer.from(bytes).toString()
}

function checkOpenedV2(opened: Opened, expected: Json): string | undefined {
  if (expected.plaintext !== undefined && !same(opened.plaintext, expected.plaintext)) return 'another plaintext'
  const { metadata } = expected
  if (metadata === undefined) return undefined
  const auth = opened.layers.includes('authcrypt')
  const anon = opened.layers.includes('anoncrypt')
  const facts = {
    encrypted: auth || anon,
    authenticated: opened.sender !== null,
    non_repudiation: opened.signed !== undefined,
    anonymous_sender: anon,
    encrypted_from: auth ? opened.sender?.kid : null,
    sign_from: opened.signed?.kid ?? null,
  }
  const wrong = Object.entries(facts).find(([name, value]) => metadata[name] !== undefined && metadata[name] !== value)
  if (wrong !== undefined) return `${wrong[0]} is ${wrong[1]}`
  const to = metadata.encrypted_to
  return !to || to.includes(opened.recipientKid) ? undefined : 'opened by another key'
}

// A message without an envelope, or one whose form alone is judged.
function isPlaintextCase({ packed, expected }: Json): boolean {
  const read = typeof packed === 'string' ? parsed(packed) : packed
  const bare = read?.protected === undefined && read?.payload === undefined && read?.ciphertext === undefined
  return expected.parse !== undefined || (isMembers(read) && bare && read.signatures === undefined)
}

// body is optional since DIDComm Messaging 2.1; the files of this family were made for 2.0.
function checkPlaintextCase(packed: string, { kind, expected }: Json): string | undefined {
  const read = readJsonObject(packed)
  const wrong = isFault(read) ? read : checkV2(read.value)
  if (kind === 'negative') {
    if (wrong !== undefined) return undefined
    return !isFault(read) && read.value.body === undefined ? 'skip: body is optional since 2.1' : 'was accepted'
  }
  if (isFault(read) || wrong !== undefined) return said(isFault(read) ? read : wrong!)
  if (expected.plaintext !== undefined && !same(read.value, expected.plaintext)) return 'another plaintext'
  const claimed = Object.entries(expected.metadata ?? {}).find(([, value]) => value === true)
  return claimed === undefined ? undefined : `${claimed[0]} is false`
}

function checkJwt(crypto: Crypto, resolve: Resolve, { kind, jwt, expected }: Json): string | undefined {
  const found = verifyFromPrior(crypto, resolve, jwt)
  if (kind === 'negative') return refusal(found)
  if (isFault(found)) return said(found)
  const wrong = Object.entries(found).find(([name, value]) => expected[name] !== value)
  return wrong === undefined ? undefined : `${wrong[0]} is ${wrong[1]}`
}

function checkOnionV2(crypto: Crypto, secrets: Secret[], resolve: Resolve, test: Json) {
  let packed = asText(test.packed)
  for (const hop of test.expected.unwrap) {
    const opened = openAsAny(crypto, secrets, resolve, packed, hop.by.split('#')[0])
    if (isFault(opened)) return `${hop.by}: ${said(opened)}`
    const message: Json = opened.plaintext
    if (hop.plaintext_id !== undefined && message.id !== hop.plaintext_id) return `${hop.by}: another message`
    if (hop.next === undefined) continue
    if (message.body.next !== hop.next) return `${hop.by}: forwards to ${message.body.next}`
    const forwarded = contentOf(message.attachments?.[0]?.data)
    if (forwarded === undefined) return `${hop.by}: forwards nothing`
    packed = forwarded
  }
  return undefined
}

function contentOf(data: Json): string | undefined {
  if (data?.json !== undefined) return asText(data.json)
  const bytes = typeof data?.base64 === 'string' ? fromBase64Any(data.base64) : undefined
  return bytes && text(bytes)
}

// ---- security ----------------------------------------------------------------------------------------------

/** Runs security/attachment-jws: the signature, and whether what is signed is the DID of the response. */
export function runAttachmentJws(file: Json, crypto: Crypto = cryptoNode): RunResult {
  return runCases(file, ({ attachment, expected, kind }) => {
    const { verkey_base58: verkey, did } = file.identities['invitation-key'] ?? {}
    const expectedKey = fromBase58(verkey ?? didKeyToNaked(did ?? '') ?? '')
    if (expectedKey?.length !== 32) return 'the file has no identity invitation-key'
    const content = verifyAttachment(crypto, attachment, expectedKey)
    if (expected.either === true) return undefined
    const silent = expected.valid === undefined && expected.accept === undefined
    const refused = expected.valid === false || expected.error === true
    if (refused || (silent && kind === 'negative')) return refusal(content)
    if (isFault(content)) return said(content)
    if (expected.accept === undefined) return undefined
    return (text(content) === file.identities.bob?.did) === expected.accept ? undefined : 'another DID is inside'
  })
}

/** Runs what the wallet decides of security/didcomm-v1-semantic and -v2-semantic: opening, sender, form, time. Replay,
 *  threads, policy and forwarding are the engine's. */
export function runSemantic(file: Json, crypto: Crypto = cryptoNode): RunResult {
  const identities = identitiesOf(crypto, file)
  return runCases(file, test => {
    if (test.steps !== undefined) return 'skip: a sequence'
    const now = test.receiver_time ?? 1_735_689_600
    const opened = openAs(crypto, identities.get(test.receiver)!, asText(test.envelope ?? test.packed), now)
    return judge(opened, test.expected)
  })
}

/** Opens the steps of security/didcomm-v2-sequences; a step is wrong only if the wallet alone must refuse it. */
export function runSequences(file: Json, crypto: Crypto = cryptoNode): RunResult {
  const identities = identitiesOf(crypto, file)
  return runCases(file, test => {
    for (const [index, step] of test.steps.entries()) {
      const opened = openAs(crypto, identities.get(test.receiver)!, asText(step.packed), test.receiver_time)
      if (step.expected.error === true && !isFault(opened)) return `step ${index} was accepted`
      if (step.expected.processed === true && isFault(opened)) return `step ${index}: ${said(opened)}`
    }
    return undefined
  })
}

/** The keys of the identities in the head of a security file, by name. */
export function identitiesOf(crypto: Crypto, file: Json): Map<string, Keys> {
  return new Map(
    withSeed(file).map(([name, identity]) => {
      const pair = crypto.ed25519KeyPair(fromHex(identity.ed25519_seed_hex)!)
      const pairs = new Map([[base58(pair.publicKey), pair]])
      if (identity.x25519_kid === undefined) return [name, fixedKeys(crypto, pairs)]
      const agreement = crypto.x25519KeyPair(crypto.ed25519ToX25519Secret(pair.secretKey))
      for (const kid of bothForms(identity.ed25519_kid)) pairs.set(kid, pair)
      for (const kid of bothForms(identity.x25519_kid)) pairs.set(kid, agreement)
      return [name, fixedKeys(crypto, pairs)]
    }),
  )
}

/** A kid as it is written and with the short form of its did:peer:4. */
export function bothForms(kid: string): readonly string[] {
  const did = didPart(kid)
  return [...new Set([kid, shortForm(did) + kid.slice(did.length)])]
}

/** Knows the long form of each identity's DID. */
export function resolverOf({ identities }: Json): Resolve {
  const dids = Object.values(identities).map((identity: Json) => identity?.did)
  const long = new Map(dids.filter(did => typeof did === 'string').map(did => [shortForm(did), did]))
  return makeResolver({ known: short => long.get(short) }).resolve
}

// Others are there to be named.
function withSeed({ identities }: Json): [string, Json][] {
  const all = Object.entries(identities) as [string, Json][]
  return all.filter(([, identity]) => identity?.ed25519_seed_hex !== undefined)
}

/** Opens one envelope with the wallet alone. `now` in seconds. */
export function openAs(
  crypto: Crypto,
  keys: Keys,
  packed: string,
  now: number,
  resolve: Resolve = makeResolver().resolve,
): Opened | Fault {
  const envelope = peek(utf8(packed))
  return isFault(envelope) ? envelope : unpack(crypto, keys, resolve, envelope, { now })
}

function judge(opened: Opened | Fault, expected: Json): string | undefined {
  if (expected.error === true) return refusal(opened)
  if (expected.error_or_unauthenticated) return isFault(opened) || opened.anonymous ? undefined : 'authenticated'
  if (expected.error_or_sender !== undefined) {
    return isFault(opened) || opened.sender?.did === expected.error_or_sender ? undefined : 'another sender'
  }
  const early = ['expired', 'unauthenticated', 'plaintext']
  if (early.includes(expected.not_processed)) return isFault(opened) || opened.anonymous ? undefined : 'was accepted'
  if (expected.plaintext === undefined && expected.plaintext_text === undefined) return undefined
  if (isFault(opened)) return said(opened)
  if (expected.plaintext !== undefined && !same(opened.plaintext, expected.plaintext)) return 'another plaintext'
  if (expected.plaintext_text !== undefined && JSON.stringify(opened.plaintext) !== expected.plaintext_text) {
    return 'another plaintext'
  }
  if (expected.no_pollution && ({} as Json).polluted !== undefined) return 'Object.prototype is polluted'
  const sender = expected.sender_verkey ?? expected.sender
  if (sender === undefined || sender === null) return undefined
  return sender === opened.sender?.kid || sender === opened.sender?.did ? undefined : 'another sender'
}
