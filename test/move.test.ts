// A pico goes from A to C while it talks with a pico on B (DESIGN 5; G14): one live copy, nothing lost, nothing doubled,
// the same DIDs and connections, whoever dies at whatever stage.

import { afterEach, describe, expect, test } from '@jest/globals'
import type { Json, JsonObject } from '../src/ports.ts'
import { connected, type Home, heard, Net, type Pair, pause, Talk, until, verb } from './move-net.ts'

let net: Net
afterEach(async () => {
  await net.stop()
})

interface Three {
  readonly a: Home
  readonly b: Home
  readonly c: Home
  readonly pair: Pair
}

async function three(version: 'v1' | 'v2' = 'v1'): Promise<Three> {
  net = new Net()
  const [a, b, c] = [await net.add('a'), await net.add('b'), await net.add('c')]
  return { a, b, c, pair: await connected(a, b, version) }
}

const ticketOf = async (home: Home, args: JsonObject = {}) => String((await verb(home, 'move.ticket', args)).ticket)
const statusAt = (home: Home, pico: string) => home.node.engine.registered(pico)?.status
const lives = (homes: readonly Home[], pico: string) =>
  homes.filter(home => statusAt(home, pico) === 'live').map(({ name }) => name)
const code = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'no error',
    thrown => String((thrown as { code?: string }).code),
  )
const sorted = (texts: readonly string[]) => [...texts].sort()
const moves = async (home: Home) => (await home.node.verb('move.ls', {})) as JsonObject[]

describe('a move', () => {
  test.each(['v1', 'v2'] as const)('while both sides talk (%s)', async version => {
    const { a, b, c, pair } = await three(version)
    const before = await verb(a, 'pico.show', { pico: pair.p })
    const connection = await verb(a, 'connection.show', { pico: pair.p, connection: pair.pConnection })
    let home = a
    const fromP = new Talk('p', () => home, pair.p, pair.pConnection)
    const fromQ = new Talk('q', () => b, pair.q, pair.qConnection)
    await pause(100)
    const moved = await verb(a, 'move.run', { pico: pair.p, ticket: await ticketOf(c) })
    home = c
    expect(moved).toEqual({
      moveId: expect.any(String),
      picoId: pair.p,
      state: 'active',
      role: 'source',
      bytes: expect.any(Number),
      pause_ms: expect.any(Number),
      peers: [{ connectionId: pair.pConnection, told: false }],
    })
    await pause(100)
    const [sentP, sentQ] = [await fromP.stop(), await fromQ.stop()]
    expect(sentP.length).toBeGreaterThan(10)
    await until(
      async () => (await heard(b, pair.q)).length >= sentP.length && (await heard(c, pair.p)).length >= sentQ.length,
    )
    expect(await heard(b, pair.q)).toEqual(sentP)
    expect(sorted(await heard(c, pair.p))).toEqual(sorted(sentQ))
    await until(async () => (await verb(a, 'move.show', { move: String(moved.moveId) })).state === 'done')
    expect(await verb(a, 'move.show', { move: String(moved.moveId) })).toMatchObject({
      state: 'done',
      role: 'source',
      peers: [{ connectionId: pair.pConnection, told: true }],
    })
    await until(async () => (await verb(c, 'move.show', { move: String(moved.moveId) })).state === 'done')
    const shown = await verb(c, 'move.show', { move: String(moved.moveId) })
    expect(shown).toMatchObject({
      role: 'target',
      bytes: moved.bytes,
      peers: [{ connectionId: pair.pConnection, told: true }],
    })
    const after = await verb(c, 'pico.show', { pico: pair.p })
    expect(after).toEqual({ ...before, parentUrl: 'http://a.example' })
    const { updatedAt: _, ...same } = connection
    expect(await verb(c, 'connection.show', { pico: pair.p, connection: pair.pConnection })).toMatchObject(same)
    expect(lives([a, b, c], pair.p)).toEqual(['c'])
  })

  test('the talk goes on when the old engine is gone, and the parent finds its child', async () => {
    const { a, b, c, pair } = await three()
    const root = (await a.node.owner.root()).picoId
    const moved = await verb(a, 'move.run', { pico: pair.p, ticket: await ticketOf(c) })
    await until(async () => (await verb(a, 'move.show', { move: String(moved.moveId) })).state === 'done')
    const child = await a.node.engine.read(root, view => view.get('child', pair.p) as JsonObject)
    expect(child.movedTo).toBe(c.url)
    await verb(c, 'pico.rename', { pico: pair.p, name: 'renamed there' })
    await until(
      async () =>
        (await a.node.engine.read(root, view => view.get('child', pair.p) as JsonObject)).name === 'renamed there',
    )
    net.kill(a)
    await verb(b, 'msg.send', { pico: pair.q, connection: pair.qConnection, text: 'still there?' })
    await until(async () => (await heard(c, pair.p)).length === 1)
    await verb(c, 'msg.send', { pico: pair.p, connection: pair.pConnection, text: 'yes' })
    await until(async () => (await heard(b, pair.q)).length === 1)
    expect(await heard(b, pair.q)).toEqual(['yes'])
  })

  test('a retired copy refuses to act and says where to go; requests meanwhile are held', async () => {
    const { a, c, pair } = await three()
    const { eci } = await verb(a, 'channel.new', { pico: pair.p, tags: ['test'], events: '*:*', queries: '*/*' })
    const ticket = await ticketOf(c)
    const running = verb(a, 'move.run', { pico: pair.p, ticket })
    await until(() => statusAt(a, pair.p) !== 'live')
    const held = await code(a.node.event({ eci: String(eci), domain: 'test', name: 'moved', attrs: {}, wait: true }))
    expect(held).toBe('pico.moved')
    await running
    const refused = a.node.event({ eci: String(eci), domain: 'test', name: 'moved', attrs: {}, wait: true })
    await expect(refused).rejects.toMatchObject({ code: 'pico.moved', place: { movedTo: c.url } })
    expect(
      await code(
        a.node.engine.query(pair.p, { outside: false, rid: 'io.picolabs.wrangler', name: 'name', args: {}, depth: 0 }),
      ),
    ).toBe('pico.moved')
    expect(await code(verb(a, 'msg.send', { pico: pair.p, connection: pair.pConnection, text: 'no' }))).toBe(
      'pico.moved',
    )
    expect(await code(a.node.engine.custody.thaw(pair.p))).toBe('pico.state')
    expect(await code(verb(a, 'move.run', { pico: pair.p, ticket: await ticketOf(c) }))).toBe('pico.moved')
    const answered = await c.node.event({ eci: String(eci), domain: 'test', name: 'moved', attrs: {}, wait: true })
    expect(answered.directives).toEqual([])
  })

  test('a peer that knows only the old address is served by the tombstone, byte for byte', async () => {
    const { a, b, c, pair } = await three()
    await b.node.engine.read(pair.q, view => view.get('conn', pair.qConnection))
    // The peer does not understand relocate: as if it had disclosed nothing.
    await forgetFeatures(a, pair.p)
    const moved = await verb(a, 'move.run', { pico: pair.p, ticket: await ticketOf(c) })
    await until(async () => (await verb(a, 'move.show', { move: String(moved.moveId) })).state === 'done')
    expect((await verb(a, 'move.show', { move: String(moved.moveId) })).peers).toEqual([
      { connectionId: pair.pConnection, told: false },
    ])
    const posted: string[] = []
    net.tap = (from, url, envelope) => void posted.push(`${from} ${url} ${Buffer.from(envelope).toString('base64')}`)
    for (let n = 0; n < 20; n++) await verb(b, 'msg.send', { pico: pair.q, connection: pair.qConnection, text: `${n}` })
    await until(async () => (await heard(c, pair.p)).length >= 20)
    expect(await heard(c, pair.p)).toEqual(Array.from({ length: 20 }, (_, n) => `${n}`))
    const toA = posted.filter(one => one.startsWith(`b ${a.url}`)).map(one => one.split(' ')[2])
    const toC = posted.filter(one => one.startsWith(`a ${c.url}`)).map(one => one.split(' ')[2])
    expect(new Set(toC)).toEqual(new Set(toA))
  })

  test('there and back: the returned pico is live where it was born, and told its peers twice', async () => {
    const { a, b, c, pair } = await three()
    const talk = new Talk('q', () => b, pair.q, pair.qConnection)
    const first = await verb(a, 'move.run', { pico: pair.p, ticket: await ticketOf(c) })
    await pause(50)
    const second = await verb(c, 'move.run', { pico: pair.p, ticket: await ticketOf(a) })
    expect(second).toMatchObject({ state: 'active' })
    await pause(50)
    const sent = await talk.stop()
    await until(async () => (await heard(a, pair.p)).length >= sent.length)
    expect(sorted(await heard(a, pair.p))).toEqual(sorted(sent))
    await until(async () => (await verb(c, 'move.show', { move: String(second.moveId) })).state === 'done')
    expect(lives([a, b, c], pair.p)).toEqual(['a'])
    const self = await a.node.engine.read(pair.p, view => view.get('pico', 'self') as JsonObject)
    expect(self).toMatchObject({ parentUrl: null, relocateSerial: 2 })
    const { tombstone } = a.node.engine.registered(pair.p) ?? {}
    expect(tombstone).toBeUndefined()
    expect(first.moveId).not.toBe(second.moveId)
  })

  test('a large record and many small ones arrive whole', async () => {
    const { a, c, pair } = await three()
    const large = 'x'.repeat(1_500_000)
    const command = { kind: 'command', name: 'channel.new', args: { tags: ['big'], events: '', queries: '' } } as const
    for (let n = 0; n < 300; n++) await a.node.engine.submit(pair.p, command, 'applied')
    await a.node.engine.submit(
      pair.p,
      { kind: 'event', eci: await eciOf(a, pair.p), outside: false, domain: 'test', name: 'big', attrs: {} },
      'applied',
    )
    await plant(a, pair.p, large)
    const moved = await verb(a, 'move.run', { pico: pair.p, ticket: await ticketOf(c) })
    expect(moved).toMatchObject({ state: 'active' })
    expect(Number(moved.bytes)).toBeGreaterThan(large.length)
    expect(await c.node.engine.read(pair.p, view => view.get('msg', 'large'))).toBe(large)
    expect(((await c.node.verb('channel.ls', { pico: pair.p })) as Json[]).length).toBe(301)
  })
})

async function eciOf(home: Home, pico: string): Promise<string> {
  return String((await home.node.engine.read(pico, view => view.get('pico', 'self') as JsonObject)).eci)
}

/** A record that no step made, of any size: sealed as the driver seals. */
async function plant(home: Home, pico: string, value: Json): Promise<void> {
  await home.node.engine.custody.freeze(pico)
  await writeRecord(home, pico, 'msg', 'large', value)
  await home.node.engine.custody.thaw(pico)
}

async function writeRecord(home: Home, pico: string, group: string, leaf: string, value: Json): Promise<void> {
  const { cryptoNode } = await import('../wallet/crypto-node.ts')
  const { openVault } = await import('../wallet/vault.ts')
  const { PicoRecords } = await import('../src/records.ts')
  const { idBytes, keysKey } = await import('../src/stores/keys.ts')
  const vault = openVault(cryptoNode, Uint8Array.from(home.master), home.engineKeys)
  if ('fault' in vault) throw new Error(vault.message)
  const sealer = vault.pico(pico, home.disk.get(keysKey(idBytes(pico))) as Uint8Array)
  if (!sealer) throw new Error('keys')
  const records = new PicoRecords(home.disk, sealer, idBytes(pico))
  await home.disk.write(records.prepare([{ group, leaf, value }]), true)
}

async function forgetFeatures(home: Home, pico: string): Promise<void> {
  const [[leaf, connection] = ['', {}]] = await home.node.engine.read(pico, view => view.list('conn'))
  await home.node.engine.custody.freeze(pico)
  await writeRecord(home, pico, 'conn', leaf, { ...(connection as JsonObject), disclosed: [] })
  await home.node.engine.custody.thaw(pico)
}
