// Ids that are forgotten for their age (law L4): whoever kept the envelope until then finds that its date gives it away.

import { afterEach, expect, jest, test } from '@jest/globals'
import { cryptoNode } from '../wallet/crypto-node.ts'
import { packV2 } from '../wallet/envelope-v2.ts'
import { isFault } from '../wallet/fault.ts'
import { identityOf, type Receiver, startReceiver } from './vectors-run/receiver.ts'
import { bytesOf, message, type Person, person, recipientOf } from './wallet/people.ts'

jest.setTimeout(60_000)

const NOW = 1_735_689_600
const DAY = 86_400
const [alice, bob] = ['alice', 'bob'].map(name => person(name)) as [Person, Person]

let receiver: Receiver
afterEach(() => receiver.close())

function written(id: string, created_time: number): Uint8Array {
  const plaintext = bytesOf(message(alice, bob, { id, created_time }))
  const made = packV2(cryptoNode, alice.keys, { plaintext, recipients: [recipientOf(bob)], sender: alice.boxKid })
  if (isFault(made)) throw new Error(made.message)
  return made
}

/** What becomes of an envelope that many days after the beginning. */
async function after(days: number, envelope: Uint8Array): Promise<string> {
  const { received, refusals } = await receiver.post(envelope, (NOW + days * DAY) * 1000)
  return received.length > 0 ? 'taken' : String(refusals[0])
}

test('a message whose id was forgotten for its age is stale, and one as late that is new is taken', async () => {
  receiver = await startReceiver({
    version: 'v2',
    now: NOW * 1000,
    identity: identityOf(bob, 'v2'),
    mediator: false,
    registered: [],
    peers: [alice.did],
    asked: [],
  })
  const [plain, ahead] = [written('plain', NOW), written('ahead', NOW + DAY)]
  expect(await after(0, plain)).toBe('taken')
  expect(await after(0, ahead)).toBe('taken')
  expect(await after(2, plain)).toBe('message.duplicate')
  // Every commit may be the occasion to forget; the one after it sees what was forgotten.
  for (const day of [7.5, 8.5, 9.5]) expect(await after(day, written(`day ${day}`, NOW + day * DAY))).toBe('taken')
  expect(await after(9.6, plain)).toBe('message.stale')
  expect(await after(9.6, ahead)).toBe('message.stale')
  expect(await after(9.6, written('a week on its way', NOW + 2.6 * DAY + 1))).toBe('taken')
})
