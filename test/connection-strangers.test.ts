// What a connection gives to everybody but its peer: nothing. Its own DID hears the peer alone and nobody once it is
// closed; an invitation that was withdrawn is open to nobody; a request speaks for the DID of its sender only (law L5).

import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import type { JsonObject } from '../src/ports.ts'
import { fromBase58 } from '../wallet/bytes.ts'
import { cryptoNode } from '../wallet/crypto-node.ts'
import { keyBytesOf } from '../wallet/did-key.ts'
import { packV1 } from '../wallet/envelope-v1.ts'
import { packV2 } from '../wallet/envelope-v2.ts'
import { isFault } from '../wallet/fault.ts'
import { recipientKeys } from '../wallet/keys.ts'
import { connect, LabEngine, unserve, until } from './lab.ts'
import { bytesOf, message, person, resolve } from './wallet/people.ts'

jest.setTimeout(60_000)

const HEARD = `ruleset test.heard {
  meta { shares got }
  global { got = function() { ent:got.defaultsTo([]) } }
  rule messages { select when didcomm_basicmessage message
    fired { ent:got := ent:got.defaultsTo([]).append([event:attr("body"){"content"}]) } }
}`
const [mallory, alice] = [person('mallory'), person('alice')]

let a: LabEngine
let b: LabEngine
beforeAll(async () => {
  ;[a, b] = await Promise.all([LabEngine.start(), LabEngine.start()])
  await a.pico('ann', HEARD)
  await b.pico('bob')
})
afterAll(async () => {
  await Promise.all([a.close(), b.close()])
  unserve()
})

const bytes = <T>(made: T): Uint8Array => {
  if (isFault(made)) throw new Error((made as unknown as { message: string }).message)
  return made as Uint8Array
}
const fromMalloryV1 = (plaintext: object, key: Uint8Array) =>
  bytes(packV1(cryptoNode, mallory.keys, { plaintext: bytesOf(plaintext), recipients: [key], sender: mallory.verkey }))
const byMallory = {
  v1: (verkey: string, _did: string) =>
    fromMalloryV1(
      { '@type': 'https://didcomm.org/basicmessage/1.0/message', '@id': 'forged', content: 'from mallory' },
      fromBase58(verkey) as Uint8Array,
    ),
  v2: (_verkey: string, did: string) => {
    const recipients = recipientKeys(resolve, did)
    if (isFault(recipients)) throw new Error(recipients.message)
    const plaintext = bytesOf(message(mallory, undefined, { to: [did] }))
    return bytes(packV2(cryptoNode, mallory.keys, { plaintext, recipients, sender: mallory.boxKid }))
  },
}
async function posted(body: Uint8Array): Promise<number> {
  const headers = { 'content-type': 'application/didcomm-envelope-enc' }
  return (await fetch(`${a.url}/didcomm`, { method: 'POST', headers, body })).status
}
const lastRefusal = async (pico: string) => (await a.verb('rejected', { pico })).recent.at(-1)?.reason
const statesOf = async (pico: string) =>
  ((await a.verb('connection.ls', { pico })) as { state: string }[]).map(({ state }) => state)

describe.each(['v1', 'v2'] as const)('over %s', version => {
  test('the DID of a connection takes nothing of a stranger, and nothing at all once it is closed', async () => {
    const { inviter } = await connect(a, 'ann', b, 'bob', { version })
    const { myDid, theirDid } = await a.verb('connection.show', { pico: 'ann', connection: inviter })
    const { picoId } = await a.verb('pico.show', { pico: 'ann' })
    const { engine } = a.node
    const own = (await engine.read(picoId, view => view.get('did', myDid))) as { verkey: string; recipients: string[] }
    const forged = byMallory[version](own.verkey, myDid)
    expect(await posted(forged)).toBe(202)
    expect(await lastRefusal('ann')).toBe('message.sender_mismatch')
    expect(await a.query('ann', 'test.heard', 'got')).toEqual([])
    expect(engine.lookup(`key:${own.recipients[0]}`)).toBe(picoId)
    expect(await engine.read(picoId, view => view.get('peer', theirDid))).toBe(inviter)
    await a.verb('connection.rm', { pico: 'ann', connection: inviter })
    expect(engine.lookup(`key:${own.recipients[0]}`)).toBeUndefined()
    expect(await engine.read(picoId, view => view.get('peer', theirDid))).toBeUndefined()
    expect(await posted(forged)).toBe(404)
  })
})

test('an invitation whose connection the owner closed is open to nobody', async () => {
  const pico = await a.pico('host')
  const made = await a.verb('invite', { pico, version: 'v1', multi: false, approve: false })
  const [record] = await a.verb('connection.ls', { pico })
  await a.verb('connection.rm', { pico, connection: record.connectionId })
  expect((await fetch(made.shortUrl, { headers: { accept: 'application/json' } })).status).toBe(410)
  await b.verb('accept', { pico: await b.pico('guest'), invitation: made.url, wait: false })
  await until('the request', async () => (await lastRefusal(pico)) === 'invitation.used')
  expect(await statesOf(pico)).toEqual([])
})

test('a request that brings the DID of another than its sender is refused, and makes no connection', async () => {
  const pico = await a.pico('shop')
  const { invitation } = await a.verb('invite', { pico, version: 'v1', multi: false, approve: false })
  const [[name]] = invitation.services.map((service: JsonObject) => service.recipientKeys)
  const key = keyBytesOf(name)?.publicKey as Uint8Array
  const request = (id: string, did: string) =>
    fromMalloryV1(
      {
        '@type': 'https://didcomm.org/didexchange/1.1/request',
        '@id': id,
        '~thread': { thid: id, pthid: invitation['@id'] },
        label: 'alice',
        did,
      },
      key,
    )
  expect(await posted(request('forged', alice.did))).toBe(202)
  expect(await lastRefusal(pico)).toBe('message.forged')
  expect(await statesOf(pico)).toEqual(['invited'])
  // Under her own DID the same request is taken.
  expect(await posted(request('honest', mallory.did))).toBe(202)
  expect(await statesOf(pico)).toEqual(['responded'])
})
