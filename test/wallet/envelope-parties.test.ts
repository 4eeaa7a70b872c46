// Who may stand in one v2 envelope: recipients of one DID, signers of one DID.

import { expect, test } from '@jest/globals'
import { base64url } from '../../wallet/bytes.ts'
import { cryptoNode } from '../../wallet/crypto-node.ts'
import { peek, unpack } from '../../wallet/envelope.ts'
import { type PackV2, packV2 } from '../../wallet/envelope-v2.ts'
import { isFault } from '../../wallet/fault.ts'
import { signDetached } from '../../wallet/jws.ts'
import { bytesOf, message, type Person, person, recipientOf, resolve } from './people.ts'

const [alice, bob, mallory] = [person('alice'), person('bob'), person('mallory')]
const pack = (from: Person, options: PackV2) => {
  const made = packV2(cryptoNode, from.keys, options)
  if (isFault(made)) throw new Error(made.message)
  return made
}
const opened = (envelope: Uint8Array) => {
  const peeked = peek(envelope)
  return isFault(peeked) ? peeked : unpack(cryptoNode, bob.keys, resolve, peeked, { now: 1_735_689_600 })
}

test('recipients of two DIDs are refused', () => {
  const to = (...people: Person[]) => ({ recipients: people.map(recipientOf), sender: alice.boxKid })
  const plaintext = bytesOf(message(alice, bob))
  expect(opened(pack(alice, { plaintext, ...to(bob) }))).toMatchObject({ sender: { did: alice.did } })
  expect(opened(pack(alice, { plaintext, ...to(bob, mallory) }))).toMatchObject({
    code: 'envelope.header',
    place: 'recipients',
  })
})

test('a message that two DIDs signed has no sender', () => {
  const payload = bytesOf(message(alice, bob))
  const header = { typ: 'application/didcomm-signed+json', alg: 'EdDSA' }
  const signature = (who: Person) => {
    const made = signDetached(bytes => who.keys.sign(who.signKid, bytes)!, header, payload)
    return { protected: made.protected, signature: made.signature, header: { kid: who.signKid } }
  }
  const signedBy = (...people: Person[]) => {
    const plaintext = bytesOf({ payload: base64url(payload), signatures: people.map(signature) })
    return pack(alice, { plaintext, recipients: [recipientOf(bob)] })
  }
  expect(opened(signedBy(alice))).toMatchObject({ sender: { did: alice.did } })
  expect(opened(signedBy(alice, mallory))).toMatchObject({ code: 'message.sender_mismatch' })
})
