// A pico goes from A to C while it talks with a pico on B (DESIGN 5; G14): one live copy, nothing lost, nothing doubled,
// the same DIDs and connections, whoever dies at whatever stage.

import { afterEach, describe, expect, test } from '@jest/globals'
import { PicoError } from '../src/errors.ts'
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
/** Ids in the order of the tree, as often as they stand there. */
async function inTree(home: Home): Promise<Json[]> {
  const ids = (nodes: JsonObject[]): Json[] =>
    nodes.flatMap(node => [node.picoId ?? null, ...ids(node.children as JsonObject[])])
  return ids((await home.node.verb('pico.tree', {})) as JsonObject[])
}
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
    const error = await refused.catch((thrown: PicoError) => thrown.toJSON())
    expect(error).toEqual({ code: 'pico.moved', message: expect.any(String), movedTo: c.url })
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

  test('its invitations are where it is', async () => {
    const { a, c, pair } = await three()
    const invite = { pico: pair.p, version: 'v1', multi: false, approve: false }
    const { invitation, shortUrl } = await verb(a, 'invite', invite)
    const id = String(shortUrl).split('/i/')[1] as string
    const running = verb(a, 'move.run', { pico: pair.p, ticket: await ticketOf(c) })
    await until(() => statusAt(a, pair.p) === 'retired')
    expect(await code(a.node.invitation(id))).toBe('pico.moved')
    await running
    await expect(a.node.invitation(id)).rejects.toMatchObject({ code: 'pico.moved', place: { movedTo: c.url } })
    expect(await c.node.invitation(id)).toMatchObject({ invitation, state: 'open' })
    net.kill(a)
    await net.start(a)
    await expect(a.node.invitation(id)).rejects.toMatchObject({ code: 'pico.moved', place: { movedTo: c.url } })
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

  test('a parent that moves is found by its children, and they by it', async () => {
    const { a, c, pair } = await three()
    const child = String((await verb(a, 'pico.new', { name: 'child', parent: pair.p })).picoId)
    const { moveId } = await verb(a, 'move.run', { pico: pair.p, ticket: await ticketOf(c) })
    await until(async () => (await verb(a, 'move.show', { move: String(moveId) })).state === 'done')
    const entry = () => c.node.engine.read(pair.p, view => view.get('child', child) as JsonObject)
    expect((await entry()).movedTo).toBe(a.url)
    const self = () => a.node.engine.read(child, view => view.get('pico', 'self') as JsonObject)
    await until(async () => (await self()).parentUrl === c.url)
    expect((await inTree(a)).filter(id => id === child)).toEqual([child])
    await verb(a, 'pico.rename', { pico: child, name: 'heard across' })
    await until(async () => (await entry()).name === 'heard across')
    // The child follows: from then on both are at home again.
    expect(await verb(a, 'move.run', { pico: child, ticket: await ticketOf(c) })).toMatchObject({ state: 'active' })
    await until(async () => (await entry()).movedTo === undefined)
    expect((await c.node.engine.read(child, view => view.get('pico', 'self') as JsonObject)).parentUrl).toBeNull()
  })

  test('tickets made at once are all good, and one that two use is one move’s', async () => {
    const { a, c, pair } = await three()
    const other = String((await verb(a, 'pico.new', { name: 'other' })).picoId)
    const [first, second] = await Promise.all([ticketOf(c), ticketOf(c)])
    const run = (pico: string, ticket: string) => verb(a, 'move.run', { pico, ticket })
    expect(await run(pair.p, first)).toMatchObject({ state: 'active' })
    const third = String((await verb(a, 'pico.new', { name: 'third' })).picoId)
    const ended = await Promise.all([run(other, second), run(third, second)])
    expect(ended.map(({ state }) => state).sort()).toEqual(['aborted', 'active'])
    expect(ended.find(({ state }) => state === 'aborted')).toMatchObject({
      reason: { message: expect.stringContaining('ticket') },
    })
  })

  test('a root that cannot be read is not replaced by a second one', async () => {
    const { a } = await three()
    const read = a.node.engine.read.bind(a.node.engine)
    a.node.engine.read = () => Promise.reject(new PicoError('store.corrupt', 'damaged'))
    expect(await code(a.node.owner.root())).toBe('store.corrupt')
    a.node.engine.read = read
    expect((await a.node.owner.all()).filter(self => self.parentId === null)).toHaveLength(1)
  })

  test('an engine whose root moved away has a new one; the old name leads to what lives here', async () => {
    const { a, c, pair } = await three()
    const [root, other] = [(await a.node.owner.root()).picoId, (await c.node.owner.root()).picoId]
    await verb(a, 'move.run', { pico: 'root', ticket: await ticketOf(c) })
    expect((await verb(c, 'pico.show', { pico: 'root' })).picoId).toBe(other)
    expect((await verb(c, 'pico.show', { pico: root })).parentId).toBeNull()
    // Its children stand once, below the copy of it that is left.
    const left = () => a.node.engine.read(pair.p, view => view.get('pico', 'self') as JsonObject)
    await until(async () => (await left()).parentUrl === c.url)
    expect((await inTree(a)).filter(id => id === pair.p)).toEqual([pair.p])
    expect(await code(verb(a, 'pico.new', { name: 'x', parent: root }))).toBe('pico.moved')
    const made = await Promise.all(['one', 'two'].map(name => verb(a, 'pico.new', { name })))
    const [fresh, again] = made.map(pico => pico.parentId)
    expect(fresh).not.toBe(root)
    expect(again).toBe(fresh)
    expect((await verb(a, 'pico.show', { pico: 'root/two' })).parentId).toBe(fresh)
    await a.node.close()
    await net.start(a)
    expect((await a.node.owner.root()).picoId).toBe(fresh)
  })

  test('what a failing disk ended is done again, what is a bug is not', async () => {
    net = new Net()
    const { node } = await net.add('a')
    let tries = 0
    await node.moves.persist(async () => {
      if (++tries < 3) throw new PicoError('store.unavailable', 'The disk failed.')
    })
    expect(tries).toBe(3)
    await expect(node.moves.persist(() => Promise.reject(new Error('a bug')))).rejects.toThrow('a bug')
  })

  test('an engine under another address tells the peers of its picos', async () => {
    const { a, b, pair } = await three()
    await a.node.close()
    net.homes.delete(a.url)
    a.url = 'http://a.elsewhere.example'
    net.homes.set(a.url, a)
    await net.start(a)
    const known = () => b.node.engine.read(pair.q, view => view.get('conn', pair.qConnection) as JsonObject)
    await until(async () => (await known()).serial === 1)
    expect((await known()).addresses).toEqual([{ uri: 'http://a.elsewhere.example/didcomm', routingKeys: [] }])
    await verb(b, 'msg.send', { pico: pair.q, connection: pair.qConnection, text: 'at the new address' })
    await until(async () => (await heard(a, pair.p)).length === 1)
    expect(await heard(a, pair.p)).toEqual(['at the new address'])
  })

  test('a large record and many small ones arrive whole', async () => {
    const { a, c, pair } = await three()
    const large = 'x'.repeat(1_500_000)
    const command = {
      kind: 'command',
      name: 'channel.new',
      args: { tags: ['big'], events: '', queries: '' } as JsonObject,
    } as const
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

// ---- deaths ----------------------------------------------------------------------------------------------------

/** A move under traffic in which somebody dies once; how it ended. */
async function survive(
  at: (three: Three, die: (victim: Home) => void) => void,
  how: 'resume' | 'abort',
): Promise<{ seen: string; ended: string }> {
  const world = await three()
  const { a, b, c, pair } = world
  const all = [a, b, c]
  const home = () => all.find(one => !one.life.dead && statusAt(one, pair.p) === 'live') ?? a
  const fromP = new Talk('p', home, pair.p, pair.pConnection, 3)
  const fromQ = new Talk('q', () => b, pair.q, pair.qConnection, 3)
  await pause(20)
  const ticket = await ticketOf(c)
  let victim: Home | undefined
  let seen = 'none'
  let revived: Promise<void> = Promise.resolve()
  let died: () => void = () => undefined
  const sourceDied = new Promise<void>(resolve => (died = resolve))
  at(world, dying => {
    if (victim) return
    victim = dying
    seen = a.node.moves.all('source')[0]?.thread.state ?? 'none'
    net.kill(dying)
    revived = pause(20)
      .then(() => net.start(dying))
      .then(() => (dying === a ? finish(a, how) : undefined))
    if (dying === a) died()
  })
  const running = verb(a, 'move.run', { pico: pair.p, ticket }).catch(() => undefined)
  await Promise.race([running, sourceDied])
  await revived
  // Death came before anything of the move was on disk.
  if (victim === a && (await moves(a)).length === 0)
    await verb(a, 'move.run', { pico: pair.p, ticket: await ticketOf(c) })
  const stateAtA = async () => String((await moves(a).catch((): JsonObject[] => []))[0]?.state)
  await until(async () => ['done', 'aborted'].includes(await stateAtA()))
  await pause(60)
  await revived
  const ended = await stateAtA()
  const [sentP, sentQ] = [await fromP.stop(), await fromQ.stop()]
  const now = ended === 'aborted' ? a : c
  await until(
    async () => (await heard(b, pair.q)).length >= sentP.length && (await heard(now, pair.p)).length >= sentQ.length,
  )
  expect(sorted(await heard(b, pair.q))).toEqual(sorted(sentP))
  expect(sorted(await heard(now, pair.p))).toEqual(sorted(sentQ))
  expect(lives(all, pair.p)).toEqual([now.name])
  if (ended === 'aborted') await until(() => statusAt(c, pair.p) === undefined)
  expect(now.node.engine.registered(pair.p)?.tombstone).toBeUndefined()
  const connection = await verb(now, 'connection.show', { pico: pair.p, connection: pair.pConnection })
  expect(connection).toMatchObject({ connectionId: pair.pConnection, state: 'established' })
  await net.stop()
  return { seen, ended }
}

/** What an operator does after a crash of the source. */
async function finish(a: Home, how: 'resume' | 'abort'): Promise<void> {
  const [move] = await moves(a)
  if (move === undefined) return
  const before =
    ['planned', 'prepared', 'frozen'].includes(String(move.state)) && statusAt(a, String(move.picoId)) !== 'retired'
  await verb(a, before && how === 'abort' ? 'move.abort' : 'move.resume', { move: String(move.moveId) })
}

const atState = (whose: 'a' | 'c', state: string, victim: 'a' | 'c') => (world: Three, die: (victim: Home) => void) =>
  void world[whose].node.watch(event => {
    if (event.kind === 'move' && event.state === state) die(world[victim])
  })

// The source asks its target again after pauses that double: on a busy machine that is longer than a test has by itself.
const PATIENCE_MS = 30_000

describe('kill -9 of', () => {
  const stages = ['prepared', 'frozen', 'committed', 'active', 'draining']
  const cases = (['a', 'c'] as const).flatMap(victim =>
    stages.flatMap(state => (['resume', 'abort'] as const).map(how => [victim, state, how] as const)),
  )
  test.each(cases)(
    '%s when the source is %s, then %s',
    async (victim, state, how) => {
      const { seen, ended } = await survive(atState('a', state, victim), how)
      expect(seen).toBe(state)
      const early = state === 'prepared' || state === 'frozen'
      expect(ended).toBe(victim === 'a' && how === 'abort' && early ? 'aborted' : 'done')
    },
    PATIENCE_MS,
  )

  test.each(['prepared', 'frozen', 'committed', 'active'])(
    'the target when it is %s',
    async state => {
      expect((await survive(atState('c', state, 'c'), 'resume')).ended).toBe('done')
    },
    PATIENCE_MS,
  )

  const writes = Array.from({ length: 12 }, (_, n) => 2 + 3 * n)
  test.each((['a', 'c'] as const).flatMap(victim => writes.map(n => [victim, n] as const)))(
    '%s before its write %i',
    async (victim, n) => {
      const { ended } = await survive(
        (world, die) => {
          let count = 0
          world[victim].life.beforeWrite = () => {
            if (++count === n) die(world[victim])
          }
        },
        n % 2 === 0 ? 'resume' : 'abort',
      )
      expect(['done', 'aborted']).toContain(ended)
    },
    PATIENCE_MS,
  )
})

// ---- refusals --------------------------------------------------------------------------------------------------

describe('a move is refused', () => {
  /** Everything but the engine's own bookkeeping: which picos there are, and where. */
  const picosOf = async (home: Home) => (await home.node.engine.picos()).map(({ picoId, status }) => [picoId, status])

  test('with a ticket that is none, expired, used, or of another engine; nothing changes', async () => {
    const { a, b, c, pair } = await three()
    const before = await Promise.all([a, b, c].map(picosOf))
    const run = (ticket: string) => verb(a, 'move.run', { pico: pair.p, ticket })
    expect(await code(run('no ticket'))).toBe('move.ticket')
    const late = await ticketOf(c, { expires_s: 0 })
    await pause(2)
    expect(await code(run(late))).toBe('move.ticket')
    expect(await code(run(await ticketOf(a)))).toBe('move.state')
    const read = (ticket: string) => JSON.parse(Buffer.from(ticket, 'base64url').toString()) as JsonObject
    const written = (ticket: JsonObject) => Buffer.from(JSON.stringify(ticket)).toString('base64url')
    const genuine = read(await ticketOf(c))
    expect(await run(written({ ...genuine, did: read(await ticketOf(b)).did as Json }))).toMatchObject({
      state: 'aborted',
      reason: { code: 'move.refused' },
    })
    expect(await run(written({ ...genuine, secret: 'guessed' }))).toMatchObject({
      state: 'aborted',
      reason: { message: expect.stringContaining('e.p.req.ticket') },
    })
    const used = await ticketOf(c)
    const root = (await b.node.owner.root()).picoId
    expect(await verb(b, 'move.run', { pico: root, ticket: used })).toMatchObject({ state: 'active' })
    expect(await run(used)).toMatchObject({
      state: 'aborted',
      reason: { message: expect.stringContaining('e.p.req.ticket') },
    })
    expect(await picosOf(a)).toEqual(before[0])
    expect((await picosOf(c)).filter(([picoId]) => picoId !== root)).toEqual(before[2])
    await verb(a, 'msg.send', { pico: pair.p, connection: pair.pConnection, text: 'as before' })
    await until(async () => (await heard(b, pair.q)).length === 1)
  })

  test('by a target that is sent parts out of order, another state, or a commit that the pico did not sign', async () => {
    const { a, b, c, pair } = await three()
    const ask = async (from: Home, name: string, moveId: string, body: JsonObject) => {
      const message = from.node.moves.message({ threadId: moveId } as never, name, body)
      const reply = await from.node.moves.mail.ask(c.node.moves.mail.did, c.url, message)
      return 'message' in reply ? reply.message : undefined
    }
    const codeOf = async (answer: ReturnType<typeof ask>) =>
      String((await answer)?.body.code ?? (await answer)?.type.split('/').at(-1) ?? 'nothing')
    const self = await a.node.engine.read(pair.p, view => view.get('pico', 'self') as JsonObject)
    const prepare = { picoId: pair.p, picoDid: self.did as Json, epoch: 1, url: b.url }
    const moveId = 'ab'.repeat(16)
    expect(await codeOf(ask(b, 'prepare', moveId, { ...prepare, ticket: 'none' }))).toBe('e.p.req.ticket')
    const ticket = await ticketOf(c)
    expect(await codeOf(ask(b, 'prepare', moveId, { ...prepare, ticket }))).toBe('prepared')
    expect(await codeOf(ask(b, 'prepare', 'cd'.repeat(16), { ...prepare, ticket }))).toBe('e.p.req.ticket')
    const empty = Buffer.from([1, 0, 0, 0, 0]).toString('base64')
    expect(await codeOf(ask(b, 'chunk', moveId, { seq: 2, data: empty }))).toBe('e.p.req.sequence')
    expect(await codeOf(ask(b, 'verify', moveId, { stateHash: 'ff', chunks: 1 }))).toBe('e.p.req.sequence')
    expect(await codeOf(ask(b, 'chunk', moveId, { seq: 1, data: Buffer.from('rubbish').toString('base64') }))).toBe(
      'e.p.req',
    )
    expect(await codeOf(ask(b, 'chunk', moveId, { seq: 1, data: empty }))).toBe('received')
    expect(await codeOf(ask(b, 'verify', moveId, { stateHash: 'ff', chunks: 1 }))).toBe('e.p.req.hash')
    expect(await codeOf(ask(b, 'commit', moveId, { retired: { moveId } }))).toMatch(/^e\.p\.(msg|req)/)
    expect(await codeOf(ask(a, 'abort', moveId, {}))).toBe('nothing')
    expect(statusAt(c, pair.p)).toBeUndefined()
    expect(await codeOf(ask(b, 'abort', moveId, {}))).toBe('aborted')
    // The real one is not disturbed, and what comes after it under an epoch that is known is refused.
    const real = await verb(a, 'move.run', { pico: pair.p, ticket: await ticketOf(c) })
    expect(real).toMatchObject({ state: 'active' })
    const here = { ...prepare, ticket: await ticketOf(c) }
    expect((await ask(b, 'prepare', 'ef'.repeat(16), here))?.body.comment).toMatch(/^pico\.exists/)
    await until(async () => (await verb(a, 'move.show', { move: String(real.moveId) })).state === 'done')
    const back = a.node.moves.message({ threadId: '12'.repeat(16) } as never, 'prepare', {
      ...prepare,
      ticket: await ticketOf(a),
    })
    const answer = await c.node.moves.mail.ask(a.node.moves.mail.did, a.url, back)
    expect('message' in answer && answer.message?.body.comment).toMatch(/epoch 1/)
    expect(lives([a, b, c], pair.p)).toEqual(['c'])
  })

  test('by a source that is past its commit, and a target may not end what it did not begin', async () => {
    const { a, c, pair } = await three()
    const { moveId } = await verb(a, 'move.run', { pico: pair.p, ticket: await ticketOf(c) })
    expect(await code(verb(a, 'move.abort', { move: String(moveId) }))).toBe('move.state')
    expect(await code(verb(c, 'move.abort', { move: String(moveId) }))).toBe('move.state')
    expect(await code(verb(a, 'move.show', { move: 'unknown-move' }))).toBe('move.unknown')
    expect(await verb(c, 'move.resume', { move: String(moveId) })).toMatchObject({ role: 'target' })
  })

  test('when the owner says so while the target is silent: the pico goes on, the target forgets', async () => {
    const { a, b, c, pair } = await three()
    const ticket = await ticketOf(c)
    let silent = false
    net.tap = (from, url) => (silent && from === 'a' && url.startsWith(c.url) ? 503 : undefined)
    a.node.watch(event => {
      if (event.kind === 'move' && event.state === 'frozen') silent = true
    })
    const running = verb(a, 'move.run', { pico: pair.p, ticket })
    await until(() => silent)
    await pause(30)
    await verb(b, 'msg.send', { pico: pair.q, connection: pair.qConnection, text: 'while frozen' })
    expect(statusAt(c, pair.p)).toBe('inert')
    expect(await code(verb(c, 'pico.show', { pico: pair.p }))).toBe('pico.unknown')
    expect(await code(verb(c, 'connection.ls', { pico: pair.p }))).toBe('pico.unknown')
    const [move] = await moves(a)
    expect(await verb(a, 'move.abort', { move: String(move?.moveId) })).toMatchObject({ state: 'aborted' })
    expect(await running).toMatchObject({ state: 'aborted' })
    await until(async () => (await heard(a, pair.p)).length === 1)
    expect(statusAt(c, pair.p)).toBe('inert')
    silent = false
    await until(() => statusAt(c, pair.p) === undefined)
    expect(lives([a, b, c], pair.p)).toEqual(['a'])
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
