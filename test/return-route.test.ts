// Answers on the line that a message came on (RFC 0092): the peer itself listens there, so neither its address nor the
// keys of its mediator are needed, and the envelope is one that it opens itself.

import { afterEach, describe, expect, test } from '@jest/globals'
import { cryptoNode } from '../wallet/crypto-node.ts'
import { peek, unpack } from '../wallet/envelope.ts'
import { packV1 } from '../wallet/envelope-v1.ts'
import { packV2 } from '../wallet/envelope-v2.ts'
import { isFault } from '../wallet/fault.ts'
import { identityOf, type Receiver, startReceiver } from './vectors-run/receiver.ts'
import { bytesOf, message, person, recipientOf, resolve } from './wallet/people.ts'

const NOW = 1_735_689_600
const [alice, bob, mediator] = [person('alice'), person('bob'), person('mediator')]
const open: Receiver[] = []
afterEach(async () => {
  for (const receiver of open.splice(0)) await receiver.close()
})

type Addresses = readonly { readonly uri: string; readonly routingKeys: readonly string[] }[]
const ADDRESSES: Readonly<Record<string, Addresses>> = {
  'without an address': [],
  'behind a mediator': [{ uri: 'https://mediator.test', routingKeys: [mediator.did] }],
}

async function bobWith(version: 'v1' | 'v2', addresses: Addresses): Promise<Receiver> {
  const receiver = await startReceiver({
    version,
    now: NOW * 1000,
    identity: identityOf(bob, version),
    mediator: false,
    registered: [],
    peers: [alice.did],
    addresses,
    asked: [],
  })
  open.push(receiver)
  return receiver
}

const PINGS = {
  v1: () =>
    packV1(cryptoNode, alice.keys, {
      plaintext: bytesOf({
        '@type': 'https://didcomm.org/trust_ping/1.0/ping',
        '@id': 'a-ping',
        response_requested: true,
        '~transport': { return_route: 'all' },
      }),
      recipients: [bob.publicKey],
      sender: alice.verkey,
    }),
  v2: () =>
    packV2(cryptoNode, alice.keys, {
      plaintext: bytesOf(
        message(alice, bob, {
          type: 'https://didcomm.org/trust-ping/2.0/ping',
          return_route: 'all',
          body: { response_requested: true },
        }),
      ),
      recipients: [recipientOf(bob)],
      sender: alice.boxKid,
    }),
}

describe.each(['v1', 'v2'] as const)('%s', version => {
  test.each(Object.keys(ADDRESSES))('a peer %s opens the answer itself', async where => {
    const receiver = await bobWith(version, ADDRESSES[where]!)
    const ping = PINGS[version]()
    if (isFault(ping)) throw new Error(ping.message)
    const { answer } = await receiver.post(ping, NOW * 1000)
    expect(answer.status).toBe(200)
    const envelope = peek(answer.body!, { maxDepth: 64 })
    if (isFault(envelope)) throw new Error(envelope.message)
    const opened = unpack(cryptoNode, alice.keys, resolve, envelope, { now: NOW })
    expect(JSON.stringify(opened)).toMatch(/trust[_-]ping\/\d\.0\/ping[_-]response/)
  })
})
