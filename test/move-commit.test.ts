// From the commit of a move on, its source has given the pico away: the target takes nothing but the pico's own signed
// word for this move, kin find it when it has arrived, and mail that came to the old address is passed on until taken.

import { afterEach, expect, jest, test } from '@jest/globals'
import { GROUP } from '../src/pico.ts'
import type { Json, JsonObject } from '../src/ports.ts'
import { base64url, fromBase64url, utf8 } from '../wallet/bytes.ts'
import { cryptoNode } from '../wallet/crypto-node.ts'
import { canonicalize } from '../wallet/jcs.ts'
import { connected, type Home, heard, Net, until, verb } from './move-net.ts'
import { settled } from './toy-core.ts'

jest.setTimeout(60_000)

let net: Net
afterEach(async () => {
  await net.stop()
})
const did = (home: Home) => home.node.moves.mail.did
const statusAt = (home: Home, pico: string) => home.node.engine.registered(pico)?.status
const ticketOf = async (home: Home) => String((await verb(home, 'move.ticket')).ticket)

/** A move that `from` has committed and `to` has not heard of: nothing of `from` reaches `to` any more, but what `ask` says. */
async function committed(from: Home, to: Home, pico: string) {
  let cut = false
  let asking = false
  net.tap = (name, url) => (cut && !asking && name === from.name && url.startsWith(to.url) ? 503 : undefined)
  const { custody } = from.node.engine
  const retire = custody.retire.bind(custody)
  custody.retire = (...args) => {
    cut = true
    return retire(...args)
  }
  const running = verb(from, 'move.run', { pico, ticket: await ticketOf(to) })
  await until(() => statusAt(from, pico) === 'retired')
  /** What `to` answers `home` in this or another move. The line is open for this one post: it is made at once. */
  const ask = async (home: Home, name: string, moveId: string, body: JsonObject): Promise<string> => {
    const message = home.node.moves.message({ threadId: moveId } as never, name, body)
    asking = true
    const answer = home.node.moves.mail.ask(did(to), to.url, message)
    asking = false
    const reply = await answer
    if (!('message' in reply)) return reply.silent
    return String(reply.message?.body.comment ?? reply.message?.type.split('/').at(-1) ?? 'nothing')
  }
  return { running, ask, mend: () => (cut = false) }
}

test('a target takes no commit but the pico’s own word for this move', async () => {
  net = new Net()
  const [a, b, c] = [await net.add('a'), await net.add('b'), await net.add('c')]
  const pico = String((await verb(a, 'pico.new', { name: 'p' })).picoId)
  const { running, ask, mend } = await committed(a, c, pico)
  const retired: JsonObject = a.node.engine.registered(pico)?.tombstone ?? {}
  const { signature, ...said } = retired
  const moveId = String(said.moveId)
  const kid = `${String(said.picoDid)}#${String(said.picoDid).slice('did:key:'.length)}`
  const key = (await a.node.engine.read(pico, view => view.get(GROUP.key, kid))) as { seed: string }
  const secret = cryptoNode.ed25519KeyPair(fromBase64url(key.seed) as Uint8Array).secretKey
  const signed = (what: JsonObject): JsonObject => ({
    ...what,
    signature: base64url(cryptoNode.ed25519Sign(secret, utf8(canonicalize(what)))),
  })
  expect(signed(said)).toEqual(retired)
  const wrong: JsonObject[] = [
    { ...said, signature: base64url(new Uint8Array(64)) },
    { ...said, signature: signature as Json, url: 'http://elsewhere.example' },
    signed({ ...said, target: did(b) }),
    signed({ ...said, epoch: 7 }),
    signed({ ...said, stateHash: 'ff' }),
  ]
  for (const one of wrong) expect(await ask(a, 'commit', moveId, { retired: one })).toMatch(/^move\.verify/)
  expect(statusAt(c, pico)).toBe('inert')
  // Nor does another engine push aside what is arriving.
  const other = 'ab'.repeat(16)
  const prepare = { picoId: pico, picoDid: said.picoDid as Json, epoch: 1, url: b.url, ticket: await ticketOf(c) }
  expect(await ask(b, 'prepare', other, { moveId: other, ...prepare })).toMatch(/another engine/)
  mend()
  expect(await running).toMatchObject({ state: 'active' })
  expect(statusAt(c, pico)).toBe('live')
})

test('an event of kin for a pico that has left and not yet arrived waits for it', async () => {
  net = new Net()
  const [a, c] = [await net.add('a'), await net.add('c')]
  const pico = String((await verb(a, 'pico.new', { name: 'p' })).picoId)
  const kid = String((await verb(a, 'pico.new', { name: 'kid', parent: pico })).picoId)
  const { running, mend } = await committed(a, c, pico)
  await verb(a, 'pico.rename', { pico: kid, name: 'renamed' })
  await settled()
  mend()
  await running
  const nameThere = () =>
    c.node.engine.read(pico, view => view.list('child').map(([, child]) => (child as JsonObject).name))
  await until(async () => (await nameThere())[0] === 'renamed')
  expect(await nameThere()).toEqual(['renamed'])
})

test('mail that came to the old address is passed on until the target takes it: 404, 429 and 503 are no end', async () => {
  net = new Net()
  const [a, b, c] = [await net.add('a'), await net.add('b'), await net.add('c')]
  const pair = await connected(a, b)
  const answers = [404, 503, 429, 404]
  let passing = false
  net.tap = (from, url) => {
    // The peer never hears of the move: all it sends goes to the old address.
    if (from === 'c' && url.startsWith(b.url)) return 503
    return passing && from === 'a' && url.startsWith(c.url) ? answers.shift() : undefined
  }
  await verb(a, 'move.run', { pico: pair.p, ticket: await ticketOf(c) })
  passing = true
  const texts = ['one', 'two', 'three']
  for (const text of texts) await verb(b, 'msg.send', { pico: pair.q, connection: pair.qConnection, text })
  await until(async () => (await heard(c, pair.p)).length === texts.length)
  expect(await heard(c, pair.p)).toEqual(texts)
  expect(answers).toEqual([])
})
