// How far a pico reaches that came from an engine which writes what it likes into its records: not beyond itself. What
// leads to another pico goes on leading there, and nobody but its parent or the owner ends a pico.

import { afterEach, expect, jest, test } from '@jest/globals'
import { GROUP, readSelf } from '../src/pico.ts'
import type { Json, JsonObject, Letter, RecordChange } from '../src/ports.ts'
import { OWN, type Resident } from '../src/resident.ts'
import { connected, type Home, heard, Net, until, verb } from './move-net.ts'
import { settled } from './toy-core.ts'

jest.setTimeout(60_000)

let net: Net
afterEach(async () => {
  await net.stop()
})

/** An engine that lies, and one that takes a pico from it. */
async function two(): Promise<{ liar: Home; c: Home; evil: string }> {
  net = new Net()
  const [liar, c] = [await net.add('liar'), await net.add('c')]
  return { liar, c, evil: String((await verb(liar, 'pico.new', { name: 'evil' })).picoId) }
}

/** Writes records that no step made. */
async function forge(home: Home, pico: string, changes: readonly RecordChange[]): Promise<void> {
  const { records } = (home.node.engine as unknown as { resident(pico: string): Resident }).resident(pico)
  await home.disk.write(records.prepare(changes), true)
  records.merge(changes, records.lay(changes))
}

const move = async (from: Home, to: Home, pico: string) =>
  verb(from, 'move.run', { pico, ticket: String((await verb(to, 'move.ticket')).ticket) })
const refusedFor = (why: RegExp) => ({ state: 'aborted', reason: { message: expect.stringMatching(why) } })
const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => 'done',
    (thrown: { code?: string }) => String(thrown.code),
  )
const bind = (leaf: string): RecordChange => ({ group: OWN.bind, leaf, value: true })
const self = (home: Home, pico: string) => home.node.engine.read(pico, view => readSelf(view))
const statusAt = (home: Home, pico: string) => home.node.engine.registered(pico)?.status

/** A channel of a pico that takes everything. */
const hookOf = async (home: Home, pico: string): Promise<string> =>
  String((await verb(home, 'channel.new', { pico, tags: ['hook'], events: '*:*', queries: '*/*' })).eci)
/** The same channel as another pico's record. */
const forgedChannel = (id: string): RecordChange => {
  const all = (name: string) => ({ allow: [{ [name]: '*', name: '*' }], deny: [] })
  const channel = { id, tags: ['x'], eventPolicy: all('domain'), queryPolicy: all('rid'), familyChannelPicoID: null }
  return { group: GROUP.channel, leaf: id, value: { ...channel, n: 50 } }
}
const nameAt = (home: Home, eci: string) =>
  home.node.query({ eci, rid: 'io.picolabs.wrangler', name: 'name', args: {} })

test('a key of another pico does not come to lead to the one that arrives', async () => {
  const { liar, c, evil } = await two()
  const d = await net.add('d')
  const pair = await connected(c, d)
  const { myDid } = await verb(c, 'connection.show', { pico: pair.p, connection: pair.pConnection })
  const own = (await c.node.engine.read(pair.p, view => view.get('did', String(myDid)))) as { recipients: string[] }
  const key = `key:${own.recipients[0]}`
  await forge(liar, evil, [bind(key)])
  expect(await move(liar, c, evil)).toMatchObject(refusedFor(/another pico/))
  // Nor is it taken away when what had arrived goes.
  await until(() => statusAt(c, evil) === undefined)
  expect(c.node.engine.lookup(key)).toBe(pair.p)
  expect(statusAt(liar, evil)).toBe('live')
  await verb(d, 'msg.send', { pico: pair.q, connection: pair.qConnection, text: 'still yours' })
  await until(async () => (await heard(c, pair.p)).length === 1)
})

test('nor does a channel', async () => {
  const { liar, c, evil } = await two()
  const victim = String((await verb(c, 'pico.new', { name: 'victim' })).picoId)
  const eci = await hookOf(c, victim)
  await forge(liar, evil, [bind(`eci:${eci}`), forgedChannel(eci)])
  expect(await move(liar, c, evil)).toMatchObject(refusedFor(/another pico/))
  await until(() => statusAt(c, evil) === undefined)
  expect(await nameAt(c, eci)).toBe('victim')
})

test('a name that another pico took between the verification and the commit stays with it', async () => {
  const { liar, c, evil } = await two()
  const victim = String((await verb(c, 'pico.new', { name: 'victim' })).picoId)
  const eci = await hookOf(c, victim)
  await forge(liar, evil, [bind(`eci:${eci}`), forgedChannel(eci)])
  // As if the name had led nowhere when it was looked at.
  const { custody } = c.node.engine
  custody.leadsElsewhere = () => false
  expect(await move(liar, c, evil)).toMatchObject({ state: 'active' })
  expect(await nameAt(c, eci)).toBe('victim')
  expect(await codeOf(verb(c, 'pico.rm', { pico: evil }))).toBe('done')
  expect(await nameAt(c, eci)).toBe('victim')
})

test('a pico ends no channel but its own', async () => {
  const { liar, c, evil } = await two()
  const victim = String((await verb(c, 'pico.new', { name: 'victim' })).picoId)
  const eci = await hookOf(c, victim)
  await forge(liar, evil, [forgedChannel(eci)])
  expect(await move(liar, c, evil)).toMatchObject({ state: 'active' })
  await verb(c, 'channel.rm', { pico: evil, eci })
  expect(await nameAt(c, eci)).toBe('victim')
})

test('a child that is none of its own is not taken with it', async () => {
  const { liar, c, evil } = await two()
  const victim = String((await verb(c, 'pico.new', { name: 'victim' })).picoId)
  const entry = (more: JsonObject): RecordChange => {
    const child = { picoId: victim, name: 'mine', eci: 'made-up', parentEci: 'x', ready: true, did: null, n: 51 }
    return { group: GROUP.child, leaf: victim, value: { ...child, ...more } }
  }
  await forge(liar, evil, [entry({ movedTo: c.url })])
  expect(await move(liar, c, evil)).toMatchObject(refusedFor(/none of its own/))
  await forge(liar, evil, [entry({ movedTo: c.url, eci: (await self(c, victim))?.eci ?? '' })])
  expect(await move(liar, c, evil)).toMatchObject(refusedFor(/none of its own/))
  await forge(liar, evil, [entry({ picoId: evil })])
  expect(await move(liar, c, evil)).toMatchObject(refusedFor(/none of its own/))
  expect(statusAt(c, victim)).toBe('live')
})

/** A pico that arrives with a letter that none of its steps wrote; what became of the letter. */
async function arrivesWith(body: (c: Home, evil: string) => Promise<Letter['body']>): Promise<{ c: Home; dead: Json }> {
  const { liar, c, evil } = await two()
  const letter = { id: 'forged', lane: 'x', created: 0, expires: Date.now() + 60_000, report: false }
  // Held back until it has moved.
  await liar.node.engine.custody.freeze(evil)
  const value = { n: 9, letter: { ...letter, body: await body(c, evil) } } as unknown as Json
  await forge(liar, evil, [{ group: OWN.outbox, leaf: 'forged', value }])
  const { dispatch } = liar.node.engine as unknown as { dispatch: { add: () => void } }
  dispatch.add = () => undefined
  await liar.node.engine.custody.thaw(evil)
  expect(await move(liar, c, evil)).toMatchObject({ state: 'active' })
  const deadLetters = () => c.node.verb('dead.ls', { pico: evil }) as Promise<Json[]>
  await until(async () => (await deadLetters()).length === 1)
  return { c, dead: (await deadLetters())[0] ?? null }
}

test('a letter that deletes is its parent’s, by the channel between the two', async () => {
  let victim = ''
  const { c, dead } = await arrivesWith(async home => {
    victim = String((await verb(home, 'pico.new', { name: 'victim' })).picoId)
    return { kind: 'delete', eci: (await self(home, victim))?.eci ?? '', picoId: victim }
  })
  expect(dead).toMatchObject({ kind: 'letter', code: 'policy.denied' })
  await settled()
  expect(statusAt(c, victim)).toBe('live')
  // The parent's own letter is taken, whoever asks for it.
  await verb(c, 'pico.rm', { pico: victim })
  expect(statusAt(c, victim)).toBeUndefined()
})

test('a letter that makes a pico makes a child of its sender', async () => {
  const picoId = 'ab'.repeat(16)
  const { c, dead } = await arrivesWith(async home => {
    const root = (await home.node.owner.root()).picoId
    const birth = { picoId, name: 'cuckoo', parentId: root, parentEci: 'x', eci: 'cuckoo', rulesets: [], attrs: {} }
    return { kind: 'create', birth }
  })
  expect(dead).toMatchObject({ kind: 'letter', code: 'policy.denied' })
  expect(statusAt(c, picoId)).toBeUndefined()
})

test('who comes back to a tombstone has the DID of who left', async () => {
  const { liar, c } = await two()
  const pico = String((await verb(c, 'pico.new', { name: 'p' })).picoId)
  const { moveId } = await move(c, liar, pico)
  await until(async () => (await verb(c, 'move.show', { move: String(moveId) })).state === 'done')
  const ticket = String((await verb(c, 'move.ticket')).ticket)
  const said = { moveId: 'ab'.repeat(16), picoId: pico, picoDid: liar.node.moves.mail.did, epoch: 9, url: liar.url }
  const prepare = liar.node.moves.message({ threadId: said.moveId } as never, 'prepare', { ...said, ticket })
  const answer = await liar.node.moves.mail.ask(c.node.moves.mail.did, c.url, prepare)
  expect('message' in answer && answer.message?.body.comment).toMatch(/another DID/)
  expect(await move(liar, c, pico)).toMatchObject({ state: 'active' })
})

test('picos that claim to be the parents of each other are listed, and end', async () => {
  const { c } = await two()
  const [x, y] = [await verb(c, 'pico.new', { name: 'x' }), await verb(c, 'pico.new', { name: 'y' })]
  for (const [one, other] of [
    [x, y],
    [y, x],
  ] as const) {
    const entry = {
      picoId: other.picoId,
      name: other.name,
      did: other.did,
      eci: 'e',
      parentEci: 'p',
      n: 1,
    } as JsonObject
    await forge(c, String(one.picoId), [{ group: GROUP.child, leaf: String(other.picoId), value: entry }])
  }
  const tree = JSON.stringify(await verb(c, 'pico.tree', {}))
  expect(tree.match(/"name":"[xy]"/g)).toHaveLength(4)
})
