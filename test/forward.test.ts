// Mail of the engine itself: forwards that name a pico's key or a registered one (RFC 0094; routing 2.0), and nothing
// else. A forward may be anonymous; what lies inside is opened like any other mail.

import { afterEach, describe, expect, test } from '@jest/globals'
import type { Outbox } from '../src/outbox.ts'
import type { JsonObject } from '../src/ports.ts'
import { utf8 } from '../wallet/bytes.ts'
import { cryptoNode } from '../wallet/crypto-node.ts'
import { keyBytesOf } from '../wallet/did-key.ts'
import { packV1 } from '../wallet/envelope-v1.ts'
import { packV2 } from '../wallet/envelope-v2.ts'
import { isFault } from '../wallet/fault.ts'
import { makeKeyring } from '../wallet/keyring.ts'
import { recipientKeys } from '../wallet/keys.ts'
import { makeResolver } from '../wallet/resolver.ts'
import { packForwardV1, packForwardV2 } from '../wallet/routing.ts'
import { connected, type Home, heard, Net, type Pair, until, verb } from './move-net.ts'

let net: Net
afterEach(async () => {
  await net.stop()
})

const ALL = { return_route: 'all' }
const nobody = makeKeyring(cryptoNode, () => undefined)
const resolver = makeResolver()
const resolve = (did: string) => resolver.resolve(did)

/** An envelope that q packed for p, caught on its way; `deliver` gives it to an engine. */
async function caught(
  version: 'v1' | 'v2',
): Promise<{ a: Home; b: Home; pair: Pair; envelope: Uint8Array; next: string }> {
  net = new Net()
  const [a, b] = [await net.add('a'), await net.add('b')]
  const pair = await connected(a, b, version)
  let envelope: Uint8Array | undefined
  net.tap = (from, _url, bytes) => {
    if (from !== 'b') return undefined
    envelope = bytes
    return 400
  }
  await verb(b, 'msg.send', { pico: pair.q, connection: pair.qConnection, text: 'inside' })
  await until(() => envelope !== undefined)
  net.tap = () => undefined
  const { myDid } = await verb(a, 'connection.show', { pico: pair.p, connection: pair.pConnection })
  const own = await a.node.engine.read(
    pair.p,
    view => view.get('did', String(myDid)) as unknown as { verkey: string; short: string },
  )
  return { a, b, pair, envelope: envelope as Uint8Array, next: version === 'v1' ? own.verkey : own.short }
}

const give = (home: Home, envelope: Uint8Array) => home.node.receive(envelope, { live: false })
const did = (home: Home) => home.node.moves.mail.did

function wrapV1(home: Home, envelope: Uint8Array, next: string, hops = 1): Uint8Array {
  const key = keyBytesOf(did(home))?.publicKey as Uint8Array
  const to = keyBytesOf(next)?.publicKey as Uint8Array
  const wrapped = packForwardV1(cryptoNode, nobody, {
    envelope,
    to,
    routingKeys: Array.from({ length: hops }, () => key),
  })
  if (isFault(wrapped)) throw new Error(wrapped.message)
  return wrapped
}

function wrapV2(home: Home, envelope: Uint8Array, next: string, hops = 1): Uint8Array {
  const wrapped = packForwardV2(cryptoNode, nobody, resolve, {
    envelope,
    next,
    routingKeys: Array.from({ length: hops }, () => did(home)),
  })
  if (isFault(wrapped)) throw new Error(wrapped.message)
  return wrapped
}

describe.each(['v1', 'v2'] as const)('a forward (%s)', version => {
  const wrap = version === 'v1' ? wrapV1 : wrapV2

  test('brings its envelope to the pico whose key it names, once', async () => {
    const { a, pair, envelope, next } = await caught(version)
    expect(await give(a, wrap(a, envelope, next))).toEqual({ status: 202 })
    await until(async () => (await heard(a, pair.p)).length === 1)
    expect(await heard(a, pair.p)).toEqual(['inside'])
    expect(await give(a, wrap(a, envelope, next))).toEqual({ status: 202, refused: true })
    expect(await heard(a, pair.p)).toEqual(['inside'])
  })

  test('may lie in others, up to a limit', async () => {
    const { a, pair, envelope, next } = await caught(version)
    expect(await give(a, wrap(a, envelope, next, 20))).toMatchObject({ status: 400, refused: true })
    expect(await heard(a, pair.p)).toEqual([])
    expect(await give(a, wrap(a, envelope, next, 3))).toEqual({ status: 202 })
    await until(async () => (await heard(a, pair.p)).length === 1)
    expect(await heard(a, pair.p)).toEqual(['inside'])
  })

  test('for a key that nobody registered is dropped and counted', async () => {
    const { a, b, pair, envelope } = await caught(version)
    const before = a.node.refusedStrangers.count
    expect(await give(a, wrap(a, envelope, did(b)))).toEqual({ status: 202, refused: true })
    expect(a.node.refusedStrangers).toMatchObject({ count: before + 1 })
    expect(a.node.refusedStrangers.recent.at(-1)).toMatchObject({ reason: 'forward.unregistered' })
    expect(await heard(a, pair.p)).toEqual([])
  })

  test('that was passed on is not passed on again, and one that failed is', async () => {
    const { a, b, envelope } = await caught(version)
    const { mail } = a.node.moves
    await mail.register(did(b), { by: 'a test' })
    let passed = 0
    let works = false
    Object.assign((mail as unknown as { around: object }).around, { passOn: async () => works && ++passed > 0 })
    const forward = wrap(a, envelope, did(b))
    expect(await give(a, forward)).toMatchObject({ status: 503 })
    works = true
    expect(await give(a, forward)).toEqual({ status: 202 })
    expect(await give(a, forward)).toEqual({ status: 202, refused: true })
    // The same ciphertext in other JSON is the same forward.
    expect(await give(a, utf8(` ${Buffer.from(forward).toString()}`))).toEqual({ status: 202, refused: true })
    expect(passed).toBe(1)
    expect(a.node.refusedStrangers.recent.at(-1)).toMatchObject({ reason: 'message.duplicate' })
    const { clock } = (mail as unknown as { around: { clock: { now: () => number } } }).around
    const later = clock.now() + 86_400_000
    clock.now = () => later
    expect(await give(a, forward)).toEqual({ status: 202 })
    expect(passed).toBe(2)
  })

  test('for a key that is registered and cannot be passed on now is asked for again', async () => {
    const { a, b, envelope } = await caught(version)
    await a.node.moves.mail.register(did(b), { by: 'a test' })
    expect(a.node.moves.mail.registered(did(b))).toEqual({ by: 'a test' })
    expect(await give(a, wrap(a, envelope, did(b)))).toEqual({ status: 503, retryAfter: 60 })
    await a.node.moves.mail.register(did(b), undefined)
    expect(a.node.moves.mail.registered(did(b))).toBeUndefined()
  })
})

test('an answer to what a forward brought leaves by the outbox, not with whoever carried it', async () => {
  const { a, b, pair } = await caught('v1')
  const { outbox } = (b.node as unknown as { open_: { outbox: Outbox } }).open_
  const pack = outbox.pack.bind(outbox)
  outbox.pack = (body, pico) => pack({ ...body, plaintext: { ...body.plaintext, '~transport': ALL } }, pico)
  let ping: Uint8Array | undefined
  net.tap = (from, _url, bytes) => {
    if (from === 'b') ping ??= bytes
    return from === 'b' ? 400 : undefined
  }
  void verb(b, 'ping', { pico: pair.q, connection: pair.qConnection }).catch(() => undefined)
  await until(() => ping !== undefined)
  const answers: string[] = []
  net.tap = (from, url) => void (from === 'a' && answers.push(url))
  const { myDid } = await verb(a, 'connection.show', { pico: pair.p, connection: pair.pConnection })
  const own = await a.node.engine.read(pair.p, view => view.get('did', String(myDid)) as unknown as { verkey: string })
  expect(await give(a, wrapV1(a, ping as Uint8Array, own.verkey))).toEqual({ status: 202 })
  await until(() => answers.length > 0)
  expect(answers).toEqual([`${b.url}/didcomm`])
})

test.each(['v1', 'v2'] as const)(
  'a forward (%s) that encloses endless nesting is malformed, not our fault',
  async version => {
    const { a, next } = await caught(version)
    const deep = `${'{"a":'.repeat(100_000)}{}${'}'.repeat(100_000)}`
    const base64 = Buffer.from(deep).toString('base64')
    const kid = recipientKeys(resolve, did(a))
    if (isFault(kid)) throw new Error(kid.message)
    const key = keyBytesOf(did(a))?.publicKey as Uint8Array
    const body = { '@type': 'https://didcomm.org/routing/1.0/forward', '@id': 'deep', to: next, msg: deep }
    const typ = 'application/didcomm-plain+json'
    const attachments = [{ data: { base64 } }]
    const head = { id: 'deep', typ, to: [did(a)], type: 'https://didcomm.org/routing/2.0/forward' }
    const packed =
      version === 'v1'
        ? packV1(cryptoNode, nobody, { plaintext: utf8(JSON.stringify(body)), recipients: [key] })
        : packV2(cryptoNode, nobody, {
            plaintext: utf8(JSON.stringify({ ...head, body: { next }, attachments })),
            recipients: kid,
          })
    if (isFault(packed)) throw new Error(packed.message)
    expect(await give(a, packed)).toEqual({ status: 202, refused: true })
    expect(a.node.refusedStrangers.recent.at(-1)).toMatchObject({ reason: 'message.malformed' })
    expect(a.log.filter(({ code }) => code === 'engine.fault')).toEqual([])
  },
)

test('what is addressed to the engine and is neither a forward nor of a move reaches nothing', async () => {
  const { a } = await caught('v2')
  const recipients = recipientKeys(resolve, did(a))
  if (isFault(recipients)) throw new Error(recipients.message)
  const send = (message: JsonObject) => {
    const packed = packV2(cryptoNode, nobody, { plaintext: utf8(JSON.stringify(message)), recipients })
    if (isFault(packed)) throw new Error(packed.message)
    return give(a, packed)
  }
  const head = { id: 'one', typ: 'application/didcomm-plain+json', to: [did(a)] }
  expect(await send({ ...head, type: 'https://didcomm.org/trust-ping/2.0/ping', body: {} })).toEqual({
    status: 202,
    refused: true,
  })
  expect(a.node.refusedStrangers.recent.at(-1)).toMatchObject({ reason: 'message.unsupported' })
  // An anonymous message of a move: whoever sent it, it is nobody's.
  expect(await send({ ...head, type: 'https://picomesh.dev/move/1.0/abort', body: { moveId: 'x' } })).toEqual({
    status: 202,
    refused: true,
  })
  expect(a.node.refusedStrangers.recent.at(-1)).toMatchObject({ reason: 'message.unauthenticated' })
  expect(await send({ ...head, type: 'https://didcomm.org/routing/2.0/forward', body: { next: did(a) } })).toEqual({
    status: 202,
    refused: true,
  })
  expect(a.node.refusedStrangers.recent.at(-1)).toMatchObject({ reason: 'message.malformed' })
})

test('an engine keeps its DID over restarts', async () => {
  net = new Net()
  const a = await net.add('a')
  const before = did(a)
  expect(before).toMatch(/^did:key:z6Mk/)
  net.kill(a)
  await net.start(a)
  expect(did(a)).toBe(before)
})
