// Who may move a handshake, and what ends it for good (laws L4 and L5; DESIGN 3, Refusals): strangers on the threads of
// others, connections that the owner removed, DIDs claimed by whoever says so first, peers on each other's threads.

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { LIMIT } from '../src/pico.ts'
import type { JsonObject } from '../src/ports.ts'
import { signAttachment } from '../wallet/attachment.ts'
import { base58, fromBase58, utf8 } from '../wallet/bytes.ts'
import { cryptoNode } from '../wallet/crypto-node.ts'
import { keyBytesOf } from '../wallet/did-key.ts'
import { makePeer4 } from '../wallet/did-peer.ts'
import { packV1 } from '../wallet/envelope-v1.ts'
import { packV2 } from '../wallet/envelope-v2.ts'
import { isFault } from '../wallet/fault.ts'
import { recipientKeys } from '../wallet/keys.ts'
import { LabEngine, post, unserve } from './lab.ts'
import { bytesOf, message, type Person, person, resolve } from './wallet/people.ts'

const HEARD = `ruleset test.heard {
  meta { shares heard }
  global { heard = function() { ent:heard.defaultsTo([]) } }
  rule any { select when didcomm message_received or connection established or connection failed
                      or connection handshake_reused or didcomm_pico answer or didcomm message_unhandled
    fired { ent:heard := ent:heard.defaultsTo([]).append(event:domain + ":" + event:name) } }
}`
const EXCHANGE = 'https://didcomm.org/didexchange/1.1'
const [alice, mallory] = [person('alice'), person('mallory')]
let engine: LabEngine
let pico = ''
let count = 0

beforeAll(async () => {
  engine = await LabEngine.start()
})
afterAll(async () => {
  await engine.close()
  unserve()
})

// biome-ignore lint/suspicious/noExplicitAny: records are looked at member by member
type Looked = any

async function fresh(): Promise<void> {
  pico = `pico-${++count}`
  await engine.pico(pico, HEARD)
}
const heard = (): Promise<string[]> => engine.query(pico, 'test.heard', 'heard')
const reason = async (): Promise<string> => (await engine.verb('rejected', { pico })).recent.at(-1)?.reason
const states = async (): Promise<string[]> =>
  ((await engine.verb('connection.ls', { pico })) as { state: string }[]).map(({ state }) => state)
async function record(group: string, leaf: string): Promise<Looked> {
  const { picoId } = await engine.verb('pico.show', { pico })
  return engine.node.engine.read(picoId, view => view.get(group, leaf) ?? null)
}
async function size(group: string): Promise<number> {
  const { picoId } = await engine.verb('pico.show', { pico })
  return engine.node.engine.read(picoId, view => view.list(group).length)
}

async function invite(more: JsonObject = {}) {
  const args = { pico, version: 'v1', multi: false, approve: false, ...more }
  const { invitation } = await engine.verb('invite', args)
  const key = keyBytesOf(invitation.services?.[0].recipientKeys[0] ?? alice.did)?.publicKey as Uint8Array
  return { id: String(invitation['@id'] ?? invitation.id), key, invitation }
}

function sealed(from: Person, plaintext: JsonObject, key: Uint8Array): Uint8Array {
  const pack = { plaintext: bytesOf(plaintext), recipients: [key], sender: from.verkey }
  const made = packV1(cryptoNode, from.keys, pack)
  if (isFault(made)) throw new Error(made.message)
  return made
}
const sent = (from: Person, plaintext: JsonObject, key: Uint8Array) => post(engine.url, sealed(from, plaintext, key))
const request = (from: Person, invitationId: string, thid: string, more: JsonObject = {}): JsonObject => ({
  '@type': `${EXCHANGE}/request`,
  '@id': thid,
  '~thread': { thid, pthid: invitationId },
  label: 'somebody',
  did: from.did,
  ...more,
})
const signed = (by: Person, content: string) =>
  signAttachment({
    content: utf8(content),
    publicKey: by.publicKey,
    sign: bytes => by.keys.sign(by.signKid, bytes) as Uint8Array,
  }) as unknown as JsonObject

/** Connects a person to the pico; the key that the pico reads its mail by. */
async function peer(of: Person, invitation: { id: string; key: Uint8Array }, thid: string) {
  await sent(of, request(of, invitation.id, thid), invitation.key)
  const all = (await engine.verb('connection.ls', { pico })) as {
    connectionId: string
    theirDid: string
    myDid: string
  }[]
  const { connectionId, myDid } = all.find(({ theirDid }) => theirDid === of.did) as (typeof all)[number]
  const key = fromBase58((await record('did', myDid)).verkey) as Uint8Array
  await sent(
    of,
    { '@type': `${EXCHANGE}/complete`, '@id': `${thid}-c`, '~thread': { thid, pthid: invitation.id } },
    key,
  )
  return { connectionId, key }
}

describe('a stranger on the thread of a handshake', () => {
  test.each([
    ['completes', false, { '@type': `${EXCHANGE}/complete` }],
    ['aborts', false, { '@type': 'https://didcomm.org/notification/1.0/problem-report', description: { code: 'x' } }],
    ['aborts', true, { '@type': `${EXCHANGE}/problem_report`, 'problem-code': 'x', explain: '' }],
  ] as [string, boolean, JsonObject][])('%s nothing (approve: %p)', async (_, approve, body) => {
    await fresh()
    const invitation = await invite({ approve })
    await sent(alice, request(alice, invitation.id, 'thread'), invitation.key)
    const before = await states()
    const mail = { '@id': 'evil', '~thread': { thid: 'thread', pthid: invitation.id }, ...body }
    await sent(mallory, mail, invitation.key)
    expect([await states(), await reason(), await heard()]).toEqual([before, 'message.stranger', []])
    // The one who asked may end it, by the only key of ours that it knows.
    if (body['@type'] === `${EXCHANGE}/problem_report`) await sent(alice, { ...mail, '@id': 'own' }, invitation.key)
    expect((await states()).includes('failed')).toBe(body['@type'] === `${EXCHANGE}/problem_report`)
  })
})

describe('what the owner removed', () => {
  test('is not begun anew by the same request', async () => {
    await fresh()
    const invitation = await invite()
    const envelope = sealed(alice, request(alice, invitation.id, 'thread'), invitation.key)
    await post(engine.url, envelope)
    const [{ connectionId }] = await engine.verb('connection.ls', { pico })
    await engine.verb('connection.rm', { pico, connection: connectionId })
    await post(engine.url, envelope)
    await sent(alice, { ...request(alice, invitation.id, 'thread'), '@id': 'another' }, invitation.key)
    await sent(alice, { '@type': `${EXCHANGE}/complete`, '@id': 'c', '~thread': { thid: 'thread' } }, invitation.key)
    expect([await states(), await heard()]).toEqual([[], []])
  })

  test('is not established again by a response to another key of ours', async () => {
    await fresh()
    const [{ connectionId }, invitationId] = await pending()
    const { threadId, myDid } = await record('conn', connectionId)
    const key = fromBase58((await record('did', myDid)).verkey) as Uint8Array
    const response = (id: string) => ({
      '@type': `${EXCHANGE}/response`,
      '@id': id,
      '~thread': { thid: threadId, pthid: invitationId },
      did: mallory.did,
      'did_rotate~attach': signed(mallory, mallory.did),
    })
    await sent(mallory, response('first'), key)
    expect(await states()).toEqual(['established'])
    const open = await invite({ multi: true, approve: true })
    await engine.verb('connection.rm', { pico, connection: connectionId })
    await sent(mallory, response('second'), open.key)
    expect([await states(), await reason()]).toEqual([['invited'], 'message.stranger'])
  })

  test('does not come back as failed when the time of its handshake is up', async () => {
    await fresh()
    const timers = await size('timer')
    const [{ connectionId }] = await pending()
    expect(await size('timer')).toBe(timers + 1)
    await engine.verb('connection.rm', { pico, connection: connectionId })
    expect([await size('timer'), await states()]).toEqual([timers, []])
  })

  /** A request of ours that nobody answers. */
  async function pending() {
    const services = [
      { id: '#inline', type: 'did-communication', recipientKeys: [mallory.did], serviceEndpoint: 'http://127.0.0.1:9' },
    ]
    const theirs = {
      '@type': 'https://didcomm.org/out-of-band/1.1/invitation',
      '@id': `theirs-${count}`,
      handshake_protocols: [EXCHANGE],
      services,
    }
    return [
      await engine.verb('accept', { pico, invitation: JSON.stringify(theirs), wait: false }),
      theirs['@id'],
    ] as const
  }

  test('is not established again on v2', async () => {
    await fresh()
    const theirs = {
      type: 'https://didcomm.org/out-of-band/2.0/invitation',
      id: `theirs-${count}`,
      from: mallory.did,
      body: { accept: ['didcomm/v2'] },
    }
    const { connectionId } = await engine.verb('accept', { pico, invitation: JSON.stringify(theirs), wait: false })
    const { threadId } = await record('conn', connectionId)
    const open = await invite({ version: 'v2', multi: true, approve: true })
    await engine.verb('connection.rm', { pico, connection: connectionId })
    const type = 'https://didcomm.org/trust-ping/2.0/ping-response'
    const keys = recipientKeys(resolve, open.invitation.from)
    if (isFault(keys)) throw new Error(keys.message)
    const plaintext = bytesOf(
      message(mallory, undefined, { type, thid: threadId, to: [open.invitation.from], body: {} }),
    )
    const envelope = packV2(cryptoNode, mallory.keys, { plaintext, recipients: keys, sender: mallory.boxKid })
    if (isFault(envelope)) throw new Error(envelope.message)
    await fetch(`${engine.url}/didcomm`, {
      method: 'POST',
      headers: { 'content-type': 'application/didcomm-encrypted+json' },
      body: envelope,
    })
    expect([await states(), await reason()]).toEqual([['invited'], 'message.stranger'])
  })
})

describe('a document that a stranger brings', () => {
  const document = (id: string, by: Person) => ({
    '@context': ['https://www.w3.org/ns/did/v1'],
    id,
    verificationMethod: [
      { id: `${id}#k`, type: 'Ed25519VerificationKey2018', controller: id, publicKeyBase58: by.verkey },
    ],
    authentication: [`${id}#k`],
    service: [
      { id: `${id}#s`, type: 'did-communication', recipientKeys: [`${id}#k`], serviceEndpoint: 'http://127.0.0.1:9' },
    ],
  })
  const asking = (did: string, id: string, invitationId: string) => {
    const own = did.startsWith('did:') ? did : `did:sov:${did}`
    return request(mallory, invitationId, id, {
      did,
      'did_doc~attach': signed(mallory, JSON.stringify(document(own, mallory))),
    })
  }

  test('proves no DID but the nym of its own key', async () => {
    await fresh()
    const invitation = await invite({ multi: true })
    const real = makePeer4({
      '@context': [],
      verificationMethod: [{ id: '#key-0', type: 'Multikey', publicKeyMultibase: alice.did.slice(8) }],
      authentication: ['#key-0'],
    })
    const others = [
      'did:web:bank.example',
      real.short,
      'did:peer:1zQmS19jtYDvGtKVrJhQnRFpBQAx3pJ9omx2HpNrcXFuRCz9',
      base58(alice.publicKey.subarray(0, 16)),
      'did:cheqd:mainnet:abc',
    ]
    for (const [n, did] of others.entries()) {
      await sent(mallory, asking(did, `claim-${n}`, invitation.id), invitation.key)
      expect([await reason(), await states()]).toEqual(['did.unresolvable', ['invited']])
    }
    await sent(mallory, asking(base58(mallory.publicKey.subarray(0, 16)), 'own', invitation.id), invitation.key)
    expect(await states()).toEqual(['invited', 'responded'])
  })
})

describe('a peer', () => {
  test('has no say on the thread of another, and cannot pose as a protocol of ours', async () => {
    await fresh()
    const invitation = await invite({ multi: true })
    await peer(alice, invitation, 'alice')
    const { key } = await peer(mallory, invitation, 'mallory')
    const before = await heard()
    const types = [
      'https://didcomm.org/basicmessage/1.0/message',
      'https://example.org/checkers/1.0/move',
      `${EXCHANGE}/complete`,
      'https://didcomm.org/notification/1.0/problem-report',
    ]
    for (const [n, type] of types.entries()) {
      const rest = { content: 'hello', description: { code: 'x' } }
      await sent(mallory, { '@type': type, '@id': `other-${n}`, '~thread': { thid: 'alice' }, ...rest }, key)
      expect([await reason(), await heard()]).toEqual(['message.stranger', before])
    }
    await sent(mallory, { '@type': 'https://evil.example/pico/1.0/answer', '@id': 'posing', value: 1 }, key)
    expect(await heard()).toEqual([...before, 'didcomm:message_received', 'didcomm:message_unhandled'])
  })

  test('may reuse its connection for another invitation', async () => {
    await fresh()
    const { key, connectionId } = await peer(alice, await invite(), 'alice')
    const other = await invite()
    const type = 'https://didcomm.org/out-of-band/1.1/handshake-reuse'
    await sent(alice, { '@type': type, '@id': 'reuse', '~thread': { thid: 'reuse', pthid: other.id } }, key)
    expect((await heard()).at(-1)).toBe('connection:handshake_reused')
    expect(await record('seen', 'none')).toBeNull()
    expect(await record(`seen/${connectionId}`, 'reuse')).toMatchObject({ t: expect.any(Number) })
    expect(await states()).toEqual(['established', 'closed'])
  })

  test('that asks for features in a form of neither version is refused like any other', async () => {
    await fresh()
    const { key } = await peer(alice, await invite(), 'alice')
    const faults: unknown[] = []
    engine.node.engine.on('fault', fault => void faults.push(fault))
    for (const [n, [version, body]] of [
      ['2.0', { query: '*' }],
      ['1.0', { queries: [] }],
    ].entries() as Looked)
      await sent(
        alice,
        {
          '@type': `https://didcomm.org/discover-features/${version}/${n === 0 ? 'queries' : 'query'}`,
          '@id': `ask-${n}`,
          ...body,
        },
        key,
      )
    const { recent } = await engine.verb('rejected', { pico })
    expect([faults, recent.map((one: Looked) => one.reason)]).toEqual([[], ['message.malformed', 'message.malformed']])
  })
})

test('handshakes that failed are kept up to a number, and their requests do not act again', async () => {
  const limit = LIMIT as { pending: number }
  await fresh()
  const invitation = await invite({ multi: true })
  const groups = ['conn', 'thread', 'did', 'wallet', 'recipient']
  const sizes = () => Promise.all(groups.map(size))
  const envelopes: Uint8Array[] = []
  limit.pending = 3
  let full: number[] = []
  for (let n = 0; n < 8; n++) {
    envelopes.push(sealed(alice, request(alice, invitation.id, `ask-${n}`), invitation.key))
    await post(engine.url, envelopes[n] as Uint8Array)
    const report = { '@type': `${EXCHANGE}/problem_report`, '@id': `r-${n}`, '~thread': { thid: `ask-${n}` } }
    await sent(alice, { ...report, 'problem-code': 'x' }, invitation.key)
    if (n === 3) full = await sizes()
  }
  expect(await sizes()).toEqual(full)
  limit.pending = 1_000
  await post(engine.url, envelopes[0] as Uint8Array)
  expect([await sizes(), await reason()]).toEqual([full, 'message.duplicate'])
})
