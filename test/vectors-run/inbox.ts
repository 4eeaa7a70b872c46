// Runs security/didcomm-v1-semantic, didcomm-v2-semantic and didcomm-v2-sequences through the inbox of a whole engine and
// looks at what came of each envelope: what rules saw, what was written, what left. A message that the inbox let through
// and the protocol's table refused for its state alone counts as accepted where acceptance is expected.

import { base58, fromHex, utf8 } from '../../wallet/bytes.ts'
import { cryptoNode } from '../../wallet/crypto-node.ts'
import { didKey } from '../../wallet/did-key.ts'
import { type Fault, isFault } from '../../wallet/fault.ts'
import { canonicalize } from '../../wallet/jcs.ts'
import { sameDid, shortForm } from '../../wallet/keys.ts'
import type { Opened } from '../../wallet/opened.ts'
import { type RunResult, runCasesInTurn } from './cases.ts'
import { asText, foreignKind, identitiesOf, openAs, resolverOf } from './envelope.ts'
import { type Asked, type Effect, type Identity, type Receiver, type Setting, startReceiver } from './receiver.ts'

// biome-ignore lint/suspicious/noExplicitAny: vector files are read as they come
type Json = any

/** 2025-01-01T00:00:00Z, the clock of the v1 file. Seconds. */
const CLOCK = 1_735_689_600

interface Step {
  readonly packed: string
  readonly expected: Json
  readonly now: number
  /** Name of an identity of the file. */
  readonly receiver: string
}

/** Runs a file of one of the three families. */
export const runInbox = (file: Json): Promise<RunResult> => runCasesInTurn(file, test => runCase(file, test))

async function runCase(file: Json, test: Json): Promise<string | undefined> {
  const steps = stepsOf(test)
  const started = new Map<string, Receiver>()
  try {
    for (const name of new Set(steps.map(({ receiver }) => receiver))) {
      if (file.identities[name]?.ed25519_seed_hex === undefined) return `the file has no keys of a receiver ${name}`
      started.set(name, await startReceiver(settingOf(file, test, name, steps)))
    }
    for (const [index, step] of steps.entries()) {
      const mediator = isMediator(test, step.receiver, steps)
      const why = await runStep(file, test.kind, started.get(step.receiver)!, mediator, step)
      if (why !== undefined) return test.steps === undefined ? why : `step ${index + 1}: ${why}`
    }
    return undefined
  } finally {
    for (const receiver of started.values()) await receiver.close()
  }
}

function stepsOf(test: Json): Step[] {
  const at = secondsOf(test.receiver_time) ?? CLOCK
  const each: Json[] = test.steps ?? [test]
  return each.map(step => ({
    packed: asText(step.packed ?? step.envelope),
    expected: step.expected ?? {},
    now: secondsOf(step.receiver_time) ?? at,
    receiver: step.receiver ?? test.receiver,
  }))
}

/** A clock in seconds, or as text. */
function secondsOf(time: Json): number | undefined {
  const seconds = typeof time === 'string' ? Date.parse(time) / 1000 : (time ?? undefined)
  if (seconds !== undefined && !Number.isFinite(seconds)) throw new Error(`${time} is no receiver_time`)
  return seconds
}

/** The receiver called `name` as it is before the steps that it gets. */
function settingOf(file: Json, test: Json, name: string, steps: readonly Step[]): Setting {
  const head = file.identities[name]
  const own = steps.filter(({ receiver }) => receiver === name)
  return {
    version: head.x25519_kid === undefined ? 'v1' : 'v2',
    now: steps[0]!.now * 1000,
    identity: identityOf(head),
    mediator: isMediator(test, name, steps),
    registered: test.registered ?? file.registered ?? [],
    peers: peersOf(file, head.did),
    asked: own.flatMap(step => askedFor(test.kind, step, openIn(file, name, step.packed, step.now))),
  }
}

async function runStep(
  file: Json,
  kind: string,
  receiver: Receiver,
  mediator: boolean,
  { packed, expected, now, receiver: name }: Step,
): Promise<string | undefined> {
  const effect = await receiver.post(utf8(packed), now * 1000)
  const replies = effect.sent.map(envelope => replyIn(file, envelope, now))
  const opened = openIn(file, name, packed, now)
  return judge({ effect, replies, expected, packed, opened, mediator }, kind === 'positive')
}

/** A forward is addressed to a key of the engine; so are all steps of a receiver that gets one. */
function isMediator(test: Json, name: string, steps: readonly Step[]): boolean {
  return test.registered !== undefined || steps.some(step => step.receiver === name && isForwarding(step))
}

/** One envelope as an identity of the file opens it with the wallet alone. */
function openIn(file: Json, name: string, packed: string, now: number): Opened | Fault {
  return openAs(cryptoNode, identitiesOf(cryptoNode, file).get(name)!, packed, now, resolverOf(file))
}

function identityOf(head: Json): Identity {
  const v2 = head.x25519_kid === undefined ? {} : { ed25519Kid: head.ed25519_kid, x25519Kid: head.x25519_kid }
  const seed = fromHex(head.ed25519_seed_hex)!
  return { did: head.did, seed, verkey: base58(cryptoNode.ed25519KeyPair(seed).publicKey), ...v2 }
}

// ---- what the receiver has before ----------------------------------------------------------------------------------

/** Every identity of the head but the receiver, and every other DID that an expected plaintext is from. */
function peersOf(file: Json, self: string): string[] {
  const named = Object.values(file.identities).map((identity: Json) => identity?.did)
  const from = file.cases
    .flatMap((test: Json) => [test, ...(test.steps ?? [])])
    .flatMap(({ expected }: Json) => {
      const { plaintext, plaintext_text: text } = expected ?? {}
      return [plaintext?.from, text === undefined ? undefined : JSON.parse(text).from]
    })
  // A message may name the short form of a DID whose long form the head has: the later of two stays.
  const dids: string[] = [...from, ...named].filter(did => typeof did === 'string' && !sameDid(did, self))
  return [...new Map(dids.map(did => [shortForm(did), did])).values()]
}

/** A peer's answer is taken on the thread of a request: what the receiver must have sent before. */
const REQUESTS: readonly (readonly [answer: RegExp, protocol: string, command: string, args: Json])[] = [
  [/\/trust[-_]ping\/\d\.\d\/ping[-_]response$/, 'trust-ping', 'ping', {}],
  [/\/discover-features\/2\.\d\/disclosures?$/, 'discover-features', 'query', { match: '*' }],
]

function askedFor(kind: string, { expected }: Step, opened: Opened | Fault): Asked[] {
  if (isFault(opened) || opened.sender === null || !(kind === 'positive' || expected.processed === true)) return []
  const message: Json = opened.plaintext
  const threadId = message.thid ?? message['~thread']?.thid
  const found = REQUESTS.find(([answer]) => answer.test(message.type ?? message['@type'] ?? ''))
  if (found === undefined || threadId === undefined) return []
  const [, protocol, command, args] = found
  return [{ peer: senderDid(opened)!, threadId, protocol, command, args }]
}

const isForwarding = ({ expected }: Step) =>
  ['forwards', 'bounded', 'max_delay_ms'].some(name => expected[name] !== undefined)

// ---- what came of it -----------------------------------------------------------------------------------------------

interface Outcome {
  readonly effect: Effect
  /** The plaintexts that left, where an identity of the file can open them. */
  readonly replies: readonly Json[]
  readonly expected: Json
  readonly packed: string
  /** As the wallet alone opens it: what the engine does not tell of the layers. */
  readonly opened: Opened | Fault
  /** The receiver is the engine. */
  readonly mediator: boolean
}

function judge(outcome: Outcome, positive: boolean): string | undefined {
  const { effect, expected } = outcome
  const [fault] = effect.faults
  if (fault !== undefined) return `engine fault: ${fault}`
  if (effect.answer.status === 503) return 'answered 503'
  if (({} as Json).polluted !== undefined) return 'Object.prototype is polluted'
  const missing = positive && !OPEN_ENDED.some(name => expected[name] !== undefined) ? taken(outcome) : undefined
  if (missing !== undefined) return missing
  for (const [name, value] of Object.entries(expected)) {
    const why = CHECKS[name]?.(outcome, value)
    if (why !== undefined) return why
  }
  const unknown = Object.keys(expected).find(name => CHECKS[name] === undefined)
  return unknown === undefined ? undefined : `skip: the expectation ${unknown} is not known`
}

/** Expectations that say all that is expected: the message need not come to rules. */
const OPEN_ENDED = [
  'either',
  'bounded',
  'max_delay_ms',
  'forwards',
  'error',
  'error_or_unauthenticated',
  'error_or_sender',
  'error_or_warning',
  'not_processed',
  'processed',
]

const refusedFor = ({ refusals, rejected }: Effect) =>
  [...refusals, ...rejected.map(({ reason }) => String(reason))].join(', ') || 'no reason is given'

const isUnproven = ({ authenticated, sender, sender_verkey }: Json) =>
  authenticated === false || sender === null || sender_verkey === null

/** A case that must be accepted. What nobody is proven to have sent, and what is not encrypted, is readable and yet never
 *  reaches a pico (law L5): then the refusal for exactly that is what is expected. */
function taken(outcome: Outcome): string | undefined {
  const { effect, expected, opened, packed } = outcome
  if (outcome.effect.received.length === 0) {
    const foreign =
      foreignKind(packed) ?? (isFault(opened) && UNSUPPORTED.includes(opened.code) ? 'a key type' : undefined)
    if (foreign !== undefined) return `skip: ${foreign} is not supported`
  }
  const bare = isFault(opened) ? opened.code === 'message.plaintext' : opened.recipientKid === ''
  if (!bare && !isUnproven(expected)) return accepted(outcome)
  const reason = bare ? 'message.plaintext' : 'message.unauthenticated'
  return refused(outcome) ?? (effect.refusals.includes(reason) ? undefined : `was refused: ${refusedFor(effect)}`)
}

const UNSUPPORTED = ['key.unsupported', 'jws.unsupported_algorithm']

/** Exactly one step, for one authenticated message, that rules saw. */
function accepted({ effect, mediator }: Outcome): string | undefined {
  const { opened, received, rejected } = effect
  if (mediator) return effect.answer.refused === true ? `was refused: ${refusedFor(effect)}` : undefined
  if (opened.length !== 1 || opened[0]!.sender === null) return `was refused: ${refusedFor(effect)}`
  if (received.length === 1) return received[0]!.authenticated === true ? undefined : 'was not authenticated'
  const stateOnly = received.length === 0 && rejected.length === 1 && rejected[0]!.reason === 'message.unexpected'
  return stateOnly ? undefined : `was refused: ${refusedFor(effect)}`
}

/** No rule was given the message. Nothing is written either, unless a peer of a connection was told why. */
function refused({ effect }: Outcome): string | undefined {
  if (effect.received.length > 0) return 'was accepted'
  if (effect.forwarded.length > 0) return 'was forwarded'
  if (effect.writes > 0 && effect.rejected.length === 0) return 'was refused, but something was written'
  return undefined
}

function notProcessed(outcome: Outcome): string | undefined {
  const answered = outcome.replies.some(reply => !/\/problem[-_]report$/.test(reply?.type ?? reply?.['@type'] ?? ''))
  return refused(outcome) ?? (answered ? 'was answered' : undefined)
}

/** The DID that the engine took for the sender, if rules saw the message. */
const senderOf = ({ effect }: Outcome): string | undefined =>
  effect.received.length === 0 ? undefined : String(effect.received[0]!.from)

type Check = (outcome: Outcome, value: Json) => string | undefined

/** As the inbox opened it; else, where it refused after opening, as the wallet alone does. */
const messageOf = ({ effect, opened }: Outcome) => effect.opened[0] ?? (isFault(opened) ? undefined : opened)
const plaintextOf = (outcome: Outcome): Json => {
  const { opened, packed } = outcome
  return isFault(opened) && opened.code === 'message.plaintext' ? JSON.parse(packed) : messageOf(outcome)?.plaintext
}
const didOf = (outcome: Outcome) => senderOf(outcome) ?? messageOf(outcome)?.sender?.did ?? null
const verkeyOf = ({ effect, opened }: Outcome) => {
  const [inInbox] = effect.opened
  if (inInbox !== undefined) return inInbox.sender?.publicKey ?? null
  return isFault(opened) || opened.sender === null ? null : base58(opened.sender.publicKey)
}
const equal = (a: Json, b: Json) => a !== undefined && canonicalize(a) === canonicalize(b)
const unless = (holds: boolean, why: string) => (holds ? undefined : why)

const CHECKS: Readonly<Record<string, Check>> = {
  error: (outcome, value) => (value === false ? undefined : refused(outcome)),
  error_or_unauthenticated: refused,
  error_or_sender(outcome, did) {
    const sender = senderOf(outcome)
    return sender === undefined || sameDid(sender, did) ? undefined : `the sender is ${sender}`
  },
  error_or_warning: outcome => (outcome.effect.warned ? undefined : refused(outcome)),
  either: () => undefined,
  bounded: ({ effect }) =>
    effect.forwarded.length + effect.sent.length <= 1 ? undefined : 'was passed on more than once',
  max_delay_ms({ effect }, most) {
    const late = effect.forwarded.find(({ delay_ms: delay }) => delay > most)
    return unless(late === undefined, `would wait ${late?.delay_ms} ms`)
  },
  not_processed: notProcessed,
  processed: (outcome, value) => (value === true ? accepted(outcome) : notProcessed(outcome)),
  forwards({ effect }, expected) {
    const found = effect.forwarded.map(({ next, message }) => ({ next, message }))
    return equal(found, expected)
      ? undefined
      : `forwarded ${found.length} to ${found.map(({ next }) => next)} (${refusedFor(effect)})`
  },
  fetches: ({ effect }, expected) => (equal(effect.fetched, expected) ? undefined : `fetched ${effect.fetched}`),
  replies(outcome, expected) {
    const found = outcome.replies.map(reply => reply?.type ?? reply?.['@type'] ?? 'something')
    const alike =
      found.length === expected.length && expected.every((one: Json, i: number) => isPart(one, outcome.replies[i]))
    return alike ? undefined : `answered with ${found.join(', ') || 'nothing'}`
  },
  plaintext: (outcome, value) => unless(equal(plaintextOf(outcome), value), 'another plaintext'),
  plaintext_text: (outcome, value) => unless(JSON.stringify(plaintextOf(outcome)) === value, 'another plaintext'),
  // Looked at after every case.
  no_pollution: () => undefined,
  sender(outcome, did) {
    const sender = didOf(outcome)
    const same = did === null || sender === null ? sender === did : sameDid(sender, did)
    return unless(same, `the sender is ${sender}`)
  },
  sender_verkey: (outcome, verkey) => unless(verkeyOf(outcome) === verkey, `the sender is ${verkeyOf(outcome)}`),
  recipient_verkey: (outcome, verkey) => unless(messageOf(outcome)?.recipientKid === verkey, 'another recipient'),
  authenticated: (outcome, value) =>
    unless(((messageOf(outcome)?.sender ?? null) !== null) === value, `authenticated is ${!value}`),
  non_repudiation: ({ opened }, value) =>
    unless(!isFault(opened) && (opened.signed !== undefined) === value, `non_repudiation is ${!value}`),
  thid: ({ effect }, value) => unless(effect.received[0]?.thid === value, `the thread is ${effect.received[0]?.thid}`),
  normalised_type: ({ effect }, value) =>
    unless(effect.received[0]?.type === value, `the type is ${effect.received[0]?.type}`),
  from_prior({ effect }, value) {
    const prior = effect.opened[0]?.fromPrior
    const wanted = typeof value === 'object' && value !== null ? [value.iss, value.sub] : [prior?.iss, prior?.sub]
    return unless(prior !== undefined && equal([prior.iss, prior.sub], wanted), 'another from_prior')
  },
}

function senderDid({ sender }: Opened): string | undefined {
  return sender === null ? undefined : (sender.did ?? didKey('Ed25519', sender.publicKey))
}

/** A reply as whoever of the file it is for reads it. */
function replyIn(file: Json, envelope: Uint8Array, now: number): Json {
  const found = [...identitiesOf(cryptoNode, file).keys()]
    .map(name => openIn(file, name, Buffer.from(envelope).toString(), now))
    .find(opened => !isFault(opened))
  return found === undefined || isFault(found) ? undefined : found.plaintext
}

/** Is every member of `part` in `whole`? A text is the message type. */
function isPart(part: Json, whole: Json): boolean {
  if (typeof part === 'string') return (whole?.type ?? whole?.['@type']) === part
  return whole !== undefined && Object.entries(part).every(([name, value]) => equal(whole[name], value))
}
