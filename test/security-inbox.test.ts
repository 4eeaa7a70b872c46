// What no authenticated peer has sent never comes to a pico (law L5): no rule fires, no state changes, not one byte is
// written, and `rejected` (`status` where no key of ours is named) says why. Held against a whole engine and its store.

import { afterEach, describe, expect, test } from '@jest/globals'
import type { Json, JsonObject } from '../src/ports.ts'
import { cryptoNode } from '../wallet/crypto-node.ts'
import { packV1 } from '../wallet/envelope-v1.ts'
import { type PackV2, packSigned, packV2 } from '../wallet/envelope-v2.ts'
import { isFault } from '../wallet/fault.ts'
import { makeFromPrior } from '../wallet/from-prior.ts'
import type { Keys } from '../wallet/keys.ts'
import { fixedKeys } from './vectors-run/keys.ts'
import { type Effect, identityOf, type Receiver, startReceiver } from './vectors-run/receiver.ts'
import { bytesOf, message, type Person, person, recipientOf } from './wallet/people.ts'

const NOW = 1_735_689_600
const [alice, bob, mallory, carol] = ['alice', 'bob', 'mallory', 'carol'].map(name => person(name)) as [
  Person,
  Person,
  Person,
  Person,
]

const open: Receiver[] = []
afterEach(async () => {
  for (const receiver of open.splice(0)) await receiver.close()
})

/** Bob, connected with alice and carol; mallory is a stranger. */
async function bobWith(version: 'v1' | 'v2'): Promise<Receiver> {
  const receiver = await startReceiver({
    version,
    now: NOW * 1000,
    identity: identityOf(bob, version),
    mediator: false,
    registered: [],
    peers: [alice.did, carol.did],
    asked: [],
  })
  open.push(receiver)
  return receiver
}

const bytes = <T>(made: T): Exclude<T, { fault: true }> => {
  if (isFault(made)) throw new Error((made as unknown as { message: string }).message)
  return made as Exclude<T, { fault: true }>
}

const seal = (keys: Keys, plaintext: object, more: Partial<PackV2>) =>
  bytes(packV2(cryptoNode, keys, { plaintext: bytesOf(plaintext), recipients: [recipientOf(bob)], ...more }))
/** Authcrypt by `from` of what it says. */
const authcrypt = (from: Person, more: object = {}) =>
  seal(from.keys, message(from, bob, more), { sender: from.boxKid })
/** An envelope by mallory whose header says that `kid` encrypted. */
const as = (kid: string, claimed: Person) =>
  seal(fixedKeys(cryptoNode, new Map([[kid, mallory.keys.pair(mallory.boxKid)!]])), message(claimed, bob), {
    sender: kid,
  })
const vouch = (signer: Person, kid: string, iss: string, sub: string) =>
  makeFromPrior(text => signer.keys.sign(signer.signKid, text)!, kid, { iss, sub, iat: NOW })

const v1Message = (more: object = {}) => ({
  '@type': 'https://didcomm.org/basicmessage/1.0/message',
  '@id': '0f3e6f7a-0a4b-4a1b-9a1f-7c1d2e3f4a5b',
  content: 'hello',
  sent_time: '2025-01-01T00:00:00Z',
  ...more,
})
const sealV1 = (from: Person | undefined, plaintext: object) =>
  bytes(
    packV1(cryptoNode, (from ?? alice).keys, {
      plaintext: bytesOf(plaintext),
      recipients: [bob.publicKey],
      ...(from === undefined ? {} : { sender: from.verkey }),
    }),
  )

/** Every byte of the store. */
const image = async ({ store }: Receiver) =>
  (await store.all()).map(
    ({ key, value }) => `${Buffer.from(key).toString('hex')} ${Buffer.from(value).toString('hex')}`,
  )

async function refusal(receiver: Receiver, envelope: Uint8Array): Promise<Effect> {
  const before = await image(receiver)
  const effect = await receiver.post(envelope, NOW * 1000)
  expect(await image(receiver)).toEqual(before)
  expect({
    received: effect.received,
    rejected: effect.rejected,
    opened: effect.opened,
    writes: effect.writes,
    sent: effect.sent,
    faults: effect.faults,
  }).toEqual({
    received: [],
    rejected: [],
    opened: [],
    writes: 0,
    sent: [],
    faults: [],
  })
  return effect
}

const rejected = async (receiver: Receiver) =>
  (await receiver.node.verb('rejected', { pico: 'root' })) as { count: number; recent: { reason: string }[] }
const strangers = async (receiver: Receiver) =>
  ((await receiver.node.verb('status', {})) as JsonObject).refused as { count: number; recent: { reason: string }[] }

describe('DIDComm v2: nothing comes to a rule, nothing is written, and rejected says why, of', () => {
  const refusals: readonly (readonly [name: string, envelope: Uint8Array, reason: string])[] = [
    ['anoncrypt that says it is from alice', seal(mallory.keys, message(alice, bob), {}), 'message.unauthenticated'],
    ['anoncrypt from nobody', seal(mallory.keys, message(undefined, bob), {}), 'message.unauthenticated'],
    ['an expired message', authcrypt(alice, { expires_time: NOW - 1 }), 'message.expired'],
    ['a message that expires now', authcrypt(alice, { expires_time: NOW }), 'message.expired'],
    ['a message from the far future', authcrypt(alice, { created_time: NOW + 10 * 365 * 86_400 }), 'message.future'],
    [
      'authcrypt by mallory from alice',
      seal(mallory.keys, message(alice, bob), { sender: mallory.boxKid }),
      'message.sender_mismatch',
    ],
    ['skid of alice, key of mallory', as(alice.boxKid, alice), 'envelope.undecryptable'],
    ['skid of a key that is not for agreement', as(mallory.signKid, mallory), 'key.not_authorized'],
    ['skid of a DID that nobody can resolve', as('did:example:alice#key-1', alice), 'did.unsupported'],
    [
      'a signature of alice for somebody else',
      seal(alice.keys, message(alice, mallory), { signer: alice.signKid }),
      'message.recipient_mismatch',
    ],
    [
      'from_prior of alice signed by mallory',
      authcrypt(mallory, { from_prior: vouch(mallory, alice.signKid, alice.did, mallory.did) }),
      'message.forged_from_prior',
    ],
    [
      'from_prior of alice under a key of mallory',
      authcrypt(mallory, { from_prior: vouch(mallory, mallory.signKid, alice.did, mallory.did) }),
      'message.forged_from_prior',
    ],
    [
      'from_prior of alice for carol, used by mallory',
      authcrypt(mallory, { from_prior: vouch(alice, alice.signKid, alice.did, carol.did) }),
      'message.forged_from_prior',
    ],
    ['from_prior that is no JWT', authcrypt(alice, { from_prior: 'garbage' }), 'message.forged_from_prior'],
    ['an authenticated stranger', authcrypt(mallory), 'message.unauthenticated'],
    [
      'a stranger whose DID vouches for another of its own',
      authcrypt(mallory, { from_prior: vouch(person('eve'), person('eve').signKid, person('eve').did, mallory.did) }),
      'message.unauthenticated',
    ],
    ['a body that is no object', authcrypt(alice, { body: 'text' }), 'message.malformed'],
  ]
  test.each(refusals)('%s', async (_, envelope, reason) => {
    const receiver = await bobWith('v2')
    expect((await refusal(receiver, envelope)).answer).toEqual({ status: 202, refused: true })
    expect(await rejected(receiver)).toMatchObject({ count: 1, recent: [{ reason }] })
  })

  test('a replay', async () => {
    const receiver = await bobWith('v2')
    const envelope = authcrypt(alice)
    expect((await receiver.post(envelope, NOW * 1000)).received).toMatchObject([
      { from: alice.did, authenticated: true },
    ])
    await refusal(receiver, envelope)
    await refusal(
      receiver,
      authcrypt(alice, { id: '8B1E6F7A-0A4B-4A1B-9A1F-7C1D2E3F4A5B', body: { content: 'other' } }),
    )
    expect(await rejected(receiver)).toMatchObject({
      count: 2,
      recent: [{ reason: 'message.duplicate' }, { reason: 'message.duplicate' }],
    })
  })

  test('what names no key of ours: status tells', async () => {
    const receiver = await bobWith('v2')
    const plaintext = bytesOf(message(alice, bob))
    const signed = bytes(packSigned(alice.keys, alice.signKid, plaintext))
    const elsewhere = bytes(
      packV2(cryptoNode, alice.keys, { plaintext, recipients: [recipientOf(mallory)], sender: alice.boxKid }),
    )
    expect((await refusal(receiver, plaintext)).answer.status).toBe(400)
    expect((await refusal(receiver, signed)).answer.status).toBe(400)
    expect((await refusal(receiver, elsewhere)).answer.status).toBe(404)
    expect((await refusal(receiver, new TextEncoder().encode('{'))).answer.status).toBe(400)
    const reasons = (await strangers(receiver)).recent.map(({ reason }) => reason)
    expect(reasons).toEqual([
      'message.plaintext',
      'message.plaintext',
      'envelope.unknown_recipient',
      'envelope.unreadable',
    ])
    expect(await rejected(receiver)).toEqual({ count: 0, recent: [] })
  })
})

describe('DIDComm v1: the same of', () => {
  const refusals: readonly (readonly [name: string, envelope: Uint8Array, reason: string])[] = [
    ['anoncrypt', sealV1(undefined, v1Message()), 'message.unauthenticated'],
    [
      'an expired message',
      sealV1(alice, v1Message({ '~timing': { expires_time: '2024-12-31T23:59:59Z' } })),
      'message.expired',
    ],
    ['an authenticated stranger', sealV1(mallory, v1Message()), 'message.unauthenticated'],
    ['a message without a type', sealV1(alice, v1Message({ '@type': undefined })), 'message.malformed'],
  ]
  test.each(refusals)('%s', async (_, envelope, reason) => {
    const receiver = await bobWith('v1')
    expect((await refusal(receiver, envelope)).answer).toEqual({ status: 202, refused: true })
    expect(await rejected(receiver)).toMatchObject({ count: 1, recent: [{ reason }] })
  })

  test('a replay, and plaintext', async () => {
    const receiver = await bobWith('v1')
    const envelope = sealV1(alice, v1Message())
    expect((await receiver.post(envelope, NOW * 1000)).received).toMatchObject([{ from: alice.did }])
    await refusal(receiver, envelope)
    await refusal(receiver, bytesOf(v1Message({ '@id': 'another' })))
    expect(await rejected(receiver)).toMatchObject({ count: 1, recent: [{ reason: 'message.duplicate' }] })
    expect(await strangers(receiver)).toMatchObject({ count: 1, recent: [{ reason: 'message.plaintext' }] })
  })
})

describe('peers that share a DID of ours', () => {
  test('are told apart by their keys: the same id from two senders is two messages', async () => {
    const receiver = await bobWith('v2')
    const first = await receiver.post(authcrypt(alice), NOW * 1000)
    const second = await receiver.post(authcrypt(carol), NOW * 1000)
    const seen = [...first.received, ...second.received].map(({ from, connectionId }) => ({ from, connectionId }))
    expect(seen).toEqual([alice, carol].map(({ did }) => ({ from: did, connectionId: `with-${did}` })))
  })

  test('one that rotates keeps its connection; the old DID is then a stranger', async () => {
    const receiver = await bobWith('v2')
    const next = person('alice, later')
    const rotation = authcrypt(next, { from_prior: vouch(alice, alice.signKid, alice.did, next.did) })
    const seen = (effect: Effect): Json =>
      effect.received.map(({ from, connectionId }) => ({ from: from ?? null, connectionId: connectionId ?? null }))
    const there = [{ from: next.did, connectionId: `with-${alice.did}` }]
    expect(seen(await receiver.post(rotation, NOW * 1000))).toEqual(there)
    await refusal(receiver, rotation)
    await refusal(receiver, authcrypt(alice, { id: 'from-the-old-one' }))
    expect(seen(await receiver.post(authcrypt(next, { id: 'without-from-prior' }), NOW * 1000))).toEqual(there)
    expect((await rejected(receiver)).recent.map(({ reason }) => reason)).toEqual([
      'message.duplicate',
      'message.unauthenticated',
    ])
  })
})

describe('no loops', () => {
  const types = [
    'report-problem/2.0/problem-report',
    'introduce/9.9/problem-report',
    'introduce/9.9/ack',
    'notification/1.0/ack',
  ]
  test.each(types)('%s is not answered', async name => {
    const receiver = await bobWith('v2')
    const effect = await receiver.post(
      authcrypt(alice, { type: `https://didcomm.org/${name}`, thid: 'some-thread', body: { code: 'e.p.msg' } }),
      NOW * 1000,
    )
    expect(effect.sent).toEqual([])
  })

  test('a type that nobody knows is answered with a report', async () => {
    const receiver = await bobWith('v2')
    const effect = await receiver.post(authcrypt(alice, { type: 'https://example.org/tea/1.0/offer' }), NOW * 1000)
    expect(effect.received.map(({ type }) => type)).toEqual(['https://example.org/tea/1.0/offer'])
    expect(effect.sent.length).toBe(1)
  })
})
