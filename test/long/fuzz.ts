// Hostile input by the thousand, from a seed: damaged envelopes, well packed nonsense of a peer that is connected,
// requests written to the socket by hand, ruleset texts. Nothing may end the engine, be our fault, or write where it must
// not; and what is right must still work afterwards.

import { readFileSync } from 'node:fs'
import { connect as dial } from 'node:net'
import { join } from 'node:path'
import { ROOT } from '../../examples/engine-process.ts'
import { compile, load } from '../../krl/index.ts'
import { readInvitation } from '../../protocols/invitation.ts'
import { isErrorCode } from '../../src/errors.ts'
import { domains } from '../../src/modules.ts'
import type { Json, JsonObject } from '../../src/ports.ts'
import { listenPublic } from '../../src/transports/http.ts'
import { STANDARD_LIMITS } from '../../src/transports/limits.ts'
import { cryptoNode } from '../../wallet/crypto-node.ts'
import { packV1 } from '../../wallet/envelope-v1.ts'
import { packV2 } from '../../wallet/envelope-v2.ts'
import { isFault } from '../../wallet/fault.ts'
import { mangled } from '../krl/mangled.ts'
import { LabEngine } from '../lab.ts'
import { type Effect, identityOf, type Receiver, startReceiver } from '../vectors-run/receiver.ts'
import { bytesOf, damaged, numbers, type Person, person, recipientOf, resolve } from '../wallet/people.ts'
import type { LongOptions } from './run.ts'

const ROUNDS = 20_000
const NOW = 1_735_689_600_000
/** One ruleset may take this long to compile, one request to be answered. */
const SLOW_MS = 2_000

type Dice = (below: number) => number
type Version = 'v1' | 'v2'
/** Says what is wrong, or nothing. */
type Case = (dice: Dice) => Promise<string | undefined> | string | undefined

export interface Part {
  readonly next: Case
  /** After the last case: what still must work. */
  readonly end: () => Promise<string | undefined>
}

export async function run({ seed, rounds = ROUNDS }: LongOptions): Promise<boolean> {
  let held = true
  for (const [name, begin] of Object.entries(PARTS)) {
    const found = await attack(begin, seed, Math.ceil(rounds / Object.keys(PARTS).length))
    console.log(`  ${name}: ${found.cases} cases, ${found.wrong.length} wrong`)
    for (const wrong of found.wrong.slice(0, 10)) console.log(`    ${wrong}`)
    held &&= found.wrong.length === 0
  }
  return held
}

/** `cases` of one part; each is made from the seed and its own number, so that one can be looked at alone. */
export async function attack(begin: () => Promise<Part>, seed: number, cases: number) {
  const part = await begin()
  const wrong: string[] = []
  for (let n = 0; n < cases; n++) {
    const found = await Promise.resolve(part.next(numbers(seed ^ Math.imul(n + 1, 0x9e3779b1)))).catch(told)
    if (found !== undefined) wrong.push(`case ${n}: ${found}`)
  }
  const left = await part.end().catch(told)
  if (left !== undefined) wrong.push(`afterwards: ${left}`)
  return { cases, wrong }
}

const told = (thrown: unknown): string =>
  `thrown: ${thrown instanceof Error ? thrown.stack : String(thrown)}`.slice(0, 1000)

export const PARTS: Readonly<Record<string, () => Promise<Part>>> = {
  'damaged envelopes, v1': () => envelopes('v1'),
  'damaged envelopes, v2': () => envelopes('v2'),
  'nonsense of a peer, v1': () => letters('v1'),
  'nonsense of a peer, v2': () => letters('v2'),
  'requests by hand': requests,
  'verbs of the owner': verbs,
  rulesets: rulesets,
  'invitations and DIDs': async () => ({ next: invitation, end: async () => undefined }),
}

// ---- envelopes ---------------------------------------------------------------------------------------------

const [alice, bob] = [person('alice'), person('bob')]

function receiverOf(version: Version): Promise<Receiver> {
  return startReceiver({
    version,
    now: NOW,
    identity: identityOf(bob, version),
    mediator: false,
    registered: [],
    peers: [alice.did],
    asked: [],
  })
}

function packed(version: Version, plaintext: Uint8Array, from: Person = alice): Uint8Array {
  const made =
    version === 'v1'
      ? packV1(cryptoNode, from.keys, { plaintext, recipients: [bob.publicKey], sender: from.verkey })
      : packV2(cryptoNode, from.keys, { plaintext, recipients: [recipientOf(bob)], sender: from.boxKid })
  if (isFault(made)) throw new Error(made.message)
  return made
}

function basicMessage(version: Version, id: string): JsonObject {
  return version === 'v1'
    ? { '@type': 'https://didcomm.org/basicmessage/1.0/message', '@id': id, content: id }
    : {
        id,
        typ: 'application/didcomm-plain+json',
        type: 'https://didcomm.org/basicmessage/2.0/message',
        from: alice.did,
        to: [bob.did],
        body: { content: id },
      }
}

/** A well made message is applied, whatever came before it. */
async function stillTakes(receiver: Receiver, version: Version): Promise<string | undefined> {
  const { received } = await receiver.post(packed(version, bytesOf(basicMessage(version, 'the-last-one'))), NOW)
  await receiver.close()
  return received.length === 1 ? undefined : 'a good message is not taken any more'
}

const ours = ({ answer, faults }: Effect): string | undefined =>
  answer.status >= 500 || faults.length > 0 ? `answered ${answer.status}, ${faults.join(', ')}` : undefined

// The message itself is delivered first: a damage that changes nothing makes a replay, which writes nothing either.
async function envelopes(version: Version): Promise<Part> {
  const receiver = await receiverOf(version)
  const good = packed(version, bytesOf(basicMessage(version, 'the-first-one')))
  await receiver.post(good, NOW)
  return {
    async next(dice) {
      const bad = dice(2) === 0 ? damaged(good, dice) : bytesOf(distorted(jsonOf(good), dice))
      const effect = await receiver.post(bad, NOW)
      const acted =
        effect.writes > 0 || effect.received.length > 0 || effect.opened.length > 0 || effect.sent.length > 0
      return ours(effect) ?? (acted ? `acted upon: ${Buffer.from(bad).toString()}` : undefined)
    },
    end: () => stillTakes(receiver, version),
  }
}

// ---- letters -----------------------------------------------------------------------------------------------

const TYPES = [
  'basicmessage/1.0/message',
  'basicmessage/2.0/message',
  'trust_ping/1.0/ping',
  'trust_ping/1.0/ping_response',
  'trust-ping/2.0/ping',
  'trust-ping/2.0/ping-response',
  'discover-features/2.0/queries',
  'discover-features/2.0/disclose',
  'report-problem/1.0/problem-report',
  'report-problem/2.0/problem-report',
  'notification/1.0/ack',
  'didexchange/1.1/request',
  'didexchange/1.1/response',
  'didexchange/1.1/complete',
  'out-of-band/1.1/invitation',
  'out-of-band/2.0/invitation',
  'routing/1.0/forward',
  'routing/2.0/forward',
  'empty/1.0/empty',
  'unheard/7.3/of',
].map(name => `https://didcomm.org/${name}`)
const OWN = [
  'pico/1.0/event',
  'pico/1.0/query',
  'pico/1.0/answer',
  'relocate/1.0/relocate',
  'relocate/1.0/ack',
  'move/1.0/offer',
]
const ALL = [...TYPES, ...OWN.map(name => `https://picomesh.dev/${name}`)]

const BODY: JsonObject = {
  content: 'text',
  comment: 'text',
  response_requested: true,
  domain: 'lamp',
  rid: 'io.picolabs.wrangler',
  name: 'children',
  attrs: { a: 1 },
  args: {},
  value: [1],
  serial: 2,
  addresses: [{ uri: 'https://peer.test/0', routingKeys: [] }],
  queries: [{ 'feature-type': 'protocol', match: '*' }],
  disclosures: [{ 'feature-type': 'protocol', id: 'https://didcomm.org/trust-ping/2.0', roles: ['sender'] }],
  code: 'e.p.msg',
  description: { code: 'x', en: 'y' },
  next: bob.did,
  msg: {},
  label: 'Alice',
  did: alice.did,
  status: 'OK',
}
const DECORATION: JsonObject = {
  '~thread': { thid: 'a-thread', pthid: 'its-parent', sender_order: 1 },
  '~timing': { out_time: '2025-01-01T00:00:00Z', expires_time: '2035-01-01T00:00:00Z' },
  '~transport': { return_route: 'all' },
  '~please_ack': { on: ['RECEIPT'] },
  'did_doc~attach': { '@id': 'x', data: { base64: 'e30', jws: { header: {}, protected: 'e30', signature: 'AA' } } },
}
const HEADERS: JsonObject = {
  thid: 'a-thread',
  pthid: 'its-parent',
  created_time: NOW / 1000,
  expires_time: NOW / 1000 + 60,
  return_route: 'all',
  from_prior: 'e30.e30.AA',
  please_ack: [''],
  attachments: [{ id: 'x', data: { json: {} } }],
  lang: 'en',
}

function sound(version: Version, dice: Dice, id: string): JsonObject {
  const type = ALL[dice(ALL.length)] as string
  if (version === 'v1') return { '@type': type, '@id': id, ...BODY, ...DECORATION }
  const typ = 'application/didcomm-plain+json'
  return { id, typ, type, from: alice.did, to: [bob.did], body: BODY, ...HEADERS }
}

async function letters(version: Version): Promise<Part> {
  const receiver = await receiverOf(version)
  let n = 0
  return {
    async next(dice) {
      const message = distorted(sound(version, dice, `letter-${++n}`), dice)
      const bytes = dice(8) === 0 ? damaged(bytesOf(message), dice) : bytesOf(message)
      const wrong = ours(await receiver.post(packed(version, bytes), NOW))
      return wrong && `${wrong} for ${Buffer.from(bytes).toString()}`
    },
    end: () => stillTakes(receiver, version),
  }
}

const jsonOf = (bytes: Uint8Array): JsonObject => JSON.parse(Buffer.from(bytes).toString()) as JsonObject

const deep = (levels: number): Json => (levels === 0 ? 1 : [deep(levels - 1)])
const STRANGE: readonly Json[] = [
  null,
  true,
  -1,
  1e308,
  0.5,
  '',
  '__proto__',
  'constructor',
  '\u0000\ud800',
  'did:peer:2.Vz6Mk',
  'https://didcomm.org/basicmessage/1.0/message',
  'x'.repeat(10_000),
  [],
  {},
  [[]],
  { __proto__x: 1, toString: 2, length: -1 },
  deep(100),
]

/** The value with one to three members of it, anywhere, removed, replaced, renamed, repeated or exchanged. */
function distorted(value: JsonObject, dice: Dice): Json {
  const copy = structuredClone(value) as JsonObject
  for (let n = dice(3) + 1; n > 0; n--) distort(copy, dice)
  return copy
}

function distort(tree: JsonObject, dice: Dice): void {
  const places: [Record<string, Json>, string][] = []
  const walk = (node: Json) => {
    if (node === null || typeof node !== 'object') return
    for (const name of Object.keys(node)) {
      places.push([node as Record<string, Json>, name])
      walk((node as Record<string, Json>)[name] as Json)
    }
  }
  walk(tree)
  if (places.length === 0) return
  const [[node, name], [other, also]] = [places[dice(places.length)]!, places[dice(places.length)]!]
  const kind = dice(6)
  if (kind === 0) delete node[name]
  else if (kind === 1) node[name] = [node[name] as Json, structuredClone(node[name] as Json)]
  else if (kind === 2) node[`${name}x`] = structuredClone(node[name] as Json)
  else if (kind === 3) node[name] = structuredClone(other[also] as Json)
  else node[name] = structuredClone(STRANGE[dice(STRANGE.length)] as Json)
}

// ---- requests ----------------------------------------------------------------------------------------------

const LINES = [
  'POST /didcomm HTTP/1.1',
  'GET /didcomm HTTP/1.1',
  'GET /c/ECI/event/lamp/on?a=1 HTTP/1.1',
  'POST /c/ECI/event-wait/lamp/on HTTP/1.1',
  'POST /c/ECI/query/io.picolabs.wrangler/children HTTP/1.1',
  'GET /c/ECI/query/io.picolabs.wrangler/name.txt HTTP/1.1',
  'GET /sky/event/ECI/none/lamp/on HTTP/1.1',
  'GET /sky/cloud/ECI/io.picolabs.wrangler/children HTTP/1.1',
  'GET /i/abc HTTP/1.1',
  'GET /status HTTP/1.1',
  'OPTIONS /c/ECI/event/lamp/on HTTP/1.1',
]
const TAIL = [
  'content-type: application/json',
  'content-type: application/x-www-form-urlencoded',
  'content-type: application/ssi-agent-wire',
  'idempotency-key: abc',
  'accept: application/json',
  'expect: 100-continue',
]
const BODIES = ['', '{}', '{"a":1}', '[1]', 'null', '{"a":', 'a=1&b=%', '%%%', '\u0000', `{"a":"${'x'.repeat(5000)}"}`]

async function requests(): Promise<Part> {
  const engine = await LabEngine.start()
  await engine.pico('lamp')
  const { eci } = await engine.verb('channel.new', { pico: 'lamp', tags: ['x'], events: '*:*', queries: '*/*' })
  // The standing limit would answer nearly all of them itself.
  const limits = { ...STANDARD_LIMITS, refused_per_second: 1_000_000 }
  const listener = await listenPublic({ agent: engine.node, host: '127.0.0.1', port: 0, limits })
  return {
    async next(dice) {
      const sent = requestText(eci, dice)
      const since = performance.now()
      const answer = await byHand(listener.url, sent)
      const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1] ?? 0)
      const wrong = status === 500 || status === 429 || performance.now() - since > SLOW_MS
      return wrong ? `${answer.slice(0, 200)} for ${sent.toString()}` : undefined
    },
    async end() {
      const { status } = await fetch(`${listener.url}/c/${eci}/event-wait/lamp/on`, { method: 'POST' })
      await listener.close(0)
      await engine.close()
      return status === 200 ? undefined : `a good event is answered ${status}`
    },
  }
}

function requestText(eci: string, dice: Dice): Buffer {
  const body = BODIES[dice(BODIES.length)] as string
  const head = [
    (LINES[dice(LINES.length)] as string).replace('ECI', dice(4) === 0 ? 'no-such-channel' : eci),
    'host: x',
    'connection: close',
    TAIL[dice(TAIL.length)] as string,
    `content-length: ${Buffer.byteLength(body)}`,
  ]
  const text = Buffer.from(`${head.join('\r\n')}\r\n\r\n${body}`)
  return dice(3) === 0 ? text : Buffer.from(damaged(text, dice))
}

/** What the server says until it closes, or has said after a time when it waits for the rest. */
function byHand(url: string, bytes: Uint8Array): Promise<string> {
  const { hostname, port } = new URL(url)
  return new Promise(resolve => {
    let answer = ''
    const socket = dial(Number(port), hostname)
    const end = () => {
      clearTimeout(late)
      socket.destroy()
      resolve(answer)
    }
    const late = setTimeout(end, 100)
    socket.on('data', chunk => (answer += String(chunk)))
    socket.on('close', end)
    socket.on('error', end)
    socket.end(bytes)
  })
}

// ---- verbs -------------------------------------------------------------------------------------------------

const VERBS: readonly (readonly [name: string, args: JsonObject])[] = [
  ['pico.new', { name: 'x', parent: 'lamp', rulesets: [] }],
  ['pico.rename', { pico: 'lamp', name: 'lamp' }],
  ['pico.show', { pico: 'lamp' }],
  ['channel.new', { pico: 'lamp', tags: ['a'], events: 'a:b', queries: 'a/b' }],
  ['channel.rm', { pico: 'lamp', eci: 'x' }],
  ['ruleset.install', { pico: 'lamp', url: 'file:///nowhere.krl', config: {} }],
  ['ruleset.rm', { pico: 'lamp', rid: 'x' }],
  ['event', { pico: 'lamp', domain: 'a', type: 'b', attrs: {}, wait: true }],
  ['query', { pico: 'lamp', rid: 'io.picolabs.wrangler', name: 'children', args: {} }],
  ['invite', { pico: 'lamp', version: 'v1', multi: false, approve: false, events: '', queries: '', expires_s: 10 }],
  ['accept', { pico: 'lamp', invitation: '{}', wait: false }],
  ['connection.show', { pico: 'lamp', connection: 'x' }],
  ['connection.policy', { pico: 'lamp', connection: 'x', events: 'a:b' }],
  ['ping', { pico: 'lamp', connection: 'x' }],
  ['msg.send', { pico: 'lamp', connection: 'x', text: 'x' }],
  ['pico-query', { pico: 'lamp', connection: 'x', rid: 'x', name: 'x', args: {} }],
  ['didcomm.send', { pico: 'lamp', connection: 'x', type: 'x', body: {} }],
  ['dead.retry', { pico: 'lamp', id: 'x' }],
  ['logs', { pico: 'lamp', n: 3 }],
  ['move.run', { pico: 'lamp', ticket: 'e30' }],
  ['move.show', { move: 'x' }],
]

async function verbs(): Promise<Part> {
  const engine = await LabEngine.start()
  await engine.pico('lamp')
  return {
    async next(dice) {
      const [name, args] = VERBS[dice(VERBS.length)]!
      const given = dice(5) === 0 ? args : (distorted(args, dice) as JsonObject)
      const { code, stack } = await engine.verb(name, given).then(
        () => ({ code: 'usage', stack: '' }),
        (error: { code?: string; stack?: string }) => ({ code: String(error.code), stack: error.stack }),
      )
      const known = isErrorCode(code) && code !== 'engine.fault'
      return known ? undefined : `${name} ${JSON.stringify(given).slice(0, 300)}: ${code} ${stack}`
    },
    async end() {
      const { name } = await engine.verb('pico.show', { pico: (await engine.node.owner.root()).picoId })
      await engine.close()
      return name === 'root' ? undefined : `the root is ${String(name)}`
    },
  }
}

// ---- texts -------------------------------------------------------------------------------------------------

async function rulesets(): Promise<Part> {
  const fixture = readFileSync(join(ROOT, 'test/krl/fixtures/thermostat.krl'), 'utf8')
  return {
    next(dice) {
      const source = mangled(fixture, dice)
      const since = performance.now()
      const made = compile(source, { domains })
      if (performance.now() - since > SLOW_MS) return `slow: ${source}`
      if (made.ok) load(made.js)
      else if (!made.diagnostics.some(({ severity }) => severity === 'error'))
        return `refused without an error: ${source}`
      const lines = source.split('\n').length
      const lost = made.diagnostics.find(({ line, column }) => line < 1 || line > lines || column < 1)
      return lost && `${lost.message} at ${lost.line}:${lost.column} of ${source}`
    },
    end: async () => (compile(fixture, { domains }).ok ? undefined : 'the fixture itself does not compile'),
  }
}

const INVITATION: JsonObject = {
  '@type': 'https://didcomm.org/out-of-band/1.1/invitation',
  '@id': 'an-invitation',
  label: 'Alice',
  handshake_protocols: ['https://didcomm.org/didexchange/1.1'],
  services: [
    { id: '#inline', type: 'did-communication', recipientKeys: [alice.did], serviceEndpoint: 'https://peer.test/0' },
    alice.did,
  ],
}
const DIDS = [
  alice.did,
  'did:peer:2.Ez6LSbysY2xFMRpGMhb7tFTLMpeuPRaqaWM1yECx2AtzE3KCc.Vz6MkqRYqQiSgvZQdnBytw86Qbs2ZWUkGv22od935YF4s8M7V',
  'did:peer:0z6MkqRYqQiSgvZQdnBytw86Qbs2ZWUkGv22od935YF4s8M7V',
]

async function invitation(dice: Dice): Promise<string | undefined> {
  if (dice(2) === 0) {
    const did = Buffer.from(damaged(Buffer.from(DIDS[dice(DIDS.length)] as string), dice)).toString('latin1')
    const found = await resolve(did)
    return typeof found === 'object' ? undefined : `${did} resolves to ${String(found)}`
  }
  const bytes = damaged(bytesOf(distorted(INVITATION, dice)), dice)
  const given =
    dice(2) === 0 ? Buffer.from(bytes).toString() : `https://x/?oob=${Buffer.from(bytes).toString('base64url')}`
  const read = readInvitation(given)
  return typeof read === 'object' ? undefined : `${given} reads as ${String(read)}`
}
