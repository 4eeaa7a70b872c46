// Engines that say what is not so: a target compares what was announced with what arrived, and an engine believes an
// answer on its line only when the engine that was asked packed it.

import { fileURLToPath } from 'node:url'
import { afterEach, expect, jest, test } from '@jest/globals'
import type { Sources } from '../src/sources.ts'
import { cryptoNode } from '../wallet/crypto-node.ts'
import { packV2 } from '../wallet/envelope-v2.ts'
import { isFault } from '../wallet/fault.ts'
import { recipientKeys } from '../wallet/keys.ts'
import { type Home, Net, until, verb } from './move-net.ts'
import { bytesOf, message, person, resolve } from './wallet/people.ts'

jest.setTimeout(60_000)

let net: Net
afterEach(async () => {
  await net.stop()
})
const mallory = person('mallory')

async function twoAndPico(): Promise<{ a: Home; c: Home; pico: string }> {
  net = new Net()
  const [a, c] = [await net.add('a'), await net.add('c')]
  return { a, c, pico: String((await verb(a, 'pico.new', { name: 'p' })).picoId) }
}

/** The move of a pico from a to c, which c refuses for this reason; the pico goes on at a. */
async function refused(a: Home, c: Home, pico: string, reason: RegExp): Promise<void> {
  const ticket = String((await verb(c, 'move.ticket')).ticket)
  expect(await verb(a, 'move.run', { pico, ticket })).toMatchObject({
    state: 'aborted',
    reason: { message: expect.stringMatching(reason) },
  })
  await until(() => c.node.engine.registered(pico) === undefined)
  expect(a.node.engine.registered(pico)?.status).toBe('live')
}

test.each([
  ['an epoch that is not the next', { epoch: 5 }, /another epoch/],
  ['the DID of another pico', { picoDid: mallory.did }, /another pico/],
])('a target refuses a pico that was announced with %s', async (_, lie, reason) => {
  const { a, c, pico } = await twoAndPico()
  const { engine } = a.node
  const read = engine.read.bind(engine)
  engine.read = async (id, fn) => {
    const found = await read(id, fn)
    return found !== null && typeof found === 'object' && 'picoDid' in found ? { ...found, ...lie } : found
  }
  await refused(a, c, pico, reason)
})

test('a target refuses a pico whose ruleset came without its source', async () => {
  const { a, c, pico } = await twoAndPico()
  const url = new URL('../examples/sensor-community/watcher.krl', import.meta.url)
  await verb(a, 'ruleset.install', { pico, url: `file://${fileURLToPath(url)}` })
  const { sources } = (a.node.moves as unknown as { around: { sources: Sources } }).around
  sources.source = () => undefined
  await refused(a, c, pico, /ruleset\.missing/)
})

test('an answer on the line counts only when the engine that was asked packed it', async () => {
  const { a, c } = await twoAndPico()
  const { moves } = a.node
  const recipients = recipientKeys(resolve, moves.mail.did)
  if (isFault(recipients)) throw new Error(recipients.message)
  const thid = 'ab'.repeat(16)
  const said = { type: 'https://picomesh.dev/move/1.0/active', thid, to: [moves.mail.did], body: {} }
  const plaintext = bytesOf(message(mallory, undefined, said))
  const body = packV2(cryptoNode, mallory.keys, { plaintext, recipients, sender: mallory.boxKid })
  if (isFault(body)) throw new Error(body.message)
  c.node.receive = async () => ({ status: 200, body, contentType: 'application/didcomm-encrypted+json' })
  const question = moves.message({ threadId: thid } as never, 'status', {})
  expect(await moves.mail.ask(c.node.moves.mail.did, c.url, question)).toEqual({
    silent: 'message.unauthenticated',
    final: true,
  })
})
