// What becomes of authenticated messages that are not simply taken: repetitions, what was written before the horizon,
// refusals past the ration, a rotation onto a known DID, a disk that fails, an answer that does not go back on its line.

import { afterEach, expect, jest, test } from '@jest/globals'
import { PicoError } from '../src/errors.ts'
import type { Outbox } from '../src/outbox.ts'
import type { JsonObject } from '../src/ports.ts'
import { OWN, type Resident } from '../src/resident.ts'
import { cryptoNode } from '../wallet/crypto-node.ts'
import { packV2 } from '../wallet/envelope-v2.ts'
import { isFault } from '../wallet/fault.ts'
import { makeFromPrior } from '../wallet/from-prior.ts'
import { identityOf, type Receiver, startReceiver } from './vectors-run/receiver.ts'
import { bytesOf, message, type Person, person, recipientOf } from './wallet/people.ts'

jest.setTimeout(60_000)

const NOW = 1_735_689_600
const [alice, bob, carol] = ['alice', 'bob', 'carol'].map(name => person(name)) as [Person, Person, Person]

const open: Receiver[] = []
afterEach(async () => {
  for (const receiver of open.splice(0)) await receiver.close()
})

/** Bob, connected with alice and carol. */
async function receiverOfBob(): Promise<Receiver> {
  const receiver = await startReceiver({
    version: 'v2',
    now: NOW * 1000,
    identity: identityOf(bob, 'v2'),
    mediator: false,
    registered: [],
    peers: [alice.did, carol.did],
    asked: [],
  })
  open.push(receiver)
  return receiver
}

function authcrypt(from: Person, more: object = {}): Uint8Array {
  const plaintext = bytesOf(message(from, bob, more))
  const made = packV2(cryptoNode, from.keys, { plaintext, recipients: [recipientOf(bob)], sender: from.boxKid })
  if (isFault(made)) throw new Error(made.message)
  return made
}
/** An event that no policy allows. */
const denied = (id: string) => ({
  id,
  type: 'https://picomesh.dev/pico/1.0/event',
  body: { domain: 'x', type: 'y', attrs: {} },
})
const post = (receiver: Receiver, envelope: Uint8Array, now = NOW) => receiver.post(envelope, now * 1000)
/** As the purge does when a sender has more ids than are kept. */
async function raiseHorizon({ node, store }: Receiver, connectionId: string, value: number): Promise<void> {
  const { picoId } = await node.owner.root()
  const { records } = (node.engine as unknown as { resident(picoId: string): Resident }).resident(picoId)
  const changes = [{ group: OWN.horizon, leaf: connectionId, value }]
  await store.write(records.prepare(changes), true)
  records.merge(changes, records.lay(changes))
}
const ignored = (reason: string) => ({ received: [], rejected: [], sent: [], writes: 0, refusals: [reason] })

test('what policy refused is a duplicate when it comes again: rules are told once', async () => {
  const receiver = await receiverOfBob()
  const envelope = authcrypt(alice, denied('one'))
  expect((await post(receiver, envelope)).rejected).toMatchObject([{ reason: 'policy.denied' }])
  expect(await post(receiver, envelope)).toMatchObject(ignored('message.duplicate'))
})

test('so is a message of an unknown type', async () => {
  const receiver = await receiverOfBob()
  const offer = authcrypt(alice, { type: 'https://example.org/tea/1.0/offer' })
  expect((await post(receiver, offer)).received).toHaveLength(1)
  expect(await post(receiver, offer)).toMatchObject(ignored('message.duplicate'))
})

test('what a sender wrote before its horizon is stale: it may be a repetition that is no longer known', async () => {
  const receiver = await receiverOfBob()
  await raiseHorizon(receiver, `with-${alice.did}`, (NOW - 100) * 1000)
  const written = (id: string, created_time: number) => authcrypt(alice, { id, created_time })
  expect(await post(receiver, written('before', NOW - 101))).toMatchObject(ignored('message.stale'))
  expect((await post(receiver, written('after', NOW - 100))).received).toHaveLength(1)
  const other = authcrypt(carol, { id: 'other', created_time: NOW - 101 })
  expect((await post(receiver, other)).received).toHaveLength(1)
})

test('rules hear of ten refusals in a minute of one connection; all are counted', async () => {
  const receiver = await receiverOfBob()
  let told = 0
  for (let n = 0; n < 13; n++) told += (await post(receiver, authcrypt(alice, denied(`a${n}`)))).rejected.length
  expect(told).toBe(10)
  expect(await receiver.node.verb('rejected', { pico: 'root' })).toMatchObject({ count: 13 })
  expect((await post(receiver, authcrypt(carol, denied('c')))).rejected).toHaveLength(1)
  expect((await post(receiver, authcrypt(alice, denied('later')), NOW + 60)).rejected).toHaveLength(1)
})

test('a peer that rotates to a DID that is known already is one connection from then on', async () => {
  const receiver = await receiverOfBob()
  const from_prior = makeFromPrior(text => alice.keys.sign(alice.signKid, text)!, alice.signKid, {
    iss: alice.did,
    sub: carol.did,
    iat: NOW,
  })
  const { received } = await post(receiver, authcrypt(carol, { from_prior }))
  expect(received).toMatchObject([{ from: carol.did, connectionId: `with-${alice.did}` }])
  const all = (await receiver.node.verb('connection.ls', { pico: 'root' })) as JsonObject[]
  expect(all.map(({ connectionId, state }) => [connectionId, state])).toEqual([
    [`with-${alice.did}`, 'established'],
    [`with-${carol.did}`, 'closed'],
  ])
})

test('a disk that fails is 503, so that the sender tries again', async () => {
  const receiver = await receiverOfBob()
  const { write } = receiver.store
  receiver.store.write = async () => {
    throw new PicoError('store.unavailable', 'The disk failed.')
  }
  expect((await post(receiver, authcrypt(alice))).answer).toMatchObject({ status: 503 })
  receiver.store.write = write
})

test('an answer that cannot be packed for its line leaves by the outbox', async () => {
  const receiver = await receiverOfBob()
  const { outbox } = (receiver.node as unknown as { open_: { outbox: Outbox } }).open_
  const { pack } = outbox
  outbox.pack = async () => {
    outbox.pack = pack
    throw new Error('not now')
  }
  const ping = authcrypt(alice, {
    type: 'https://didcomm.org/trust-ping/2.0/ping',
    return_route: 'all',
    body: { response_requested: true },
  })
  const { answer, sent } = await post(receiver, ping)
  expect(answer).toEqual({ status: 202 })
  expect(sent).toHaveLength(1)
})
