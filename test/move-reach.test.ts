// How far a pico reaches that came from an engine which writes what it likes into its records: not beyond itself. What
// leads to another pico goes on leading there.

import { afterEach, expect, jest, test } from '@jest/globals'
import { GROUP } from '../src/pico.ts'
import type { RecordChange } from '../src/ports.ts'
import { OWN, type Resident } from '../src/resident.ts'
import { connected, type Home, heard, Net, until, verb } from './move-net.ts'

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

