// What an owner finds at the engine that a pico moved away from (contract 4, "A pico that moved"): the copy that is left
// answers for nothing, and stands in nobody's way.

import { afterEach, expect, test } from '@jest/globals'
import { asPicoError } from '../src/errors.ts'
import type { JsonObject } from '../src/ports.ts'
import { connected, type Home, Net, until, verb } from './move-net.ts'

let net: Net
afterEach(async () => {
  await net.stop()
})

async function two(): Promise<{ a: Home; c: Home }> {
  net = new Net()
  return { a: await net.add('a'), c: await net.add('c') }
}
const entry = (home: Home, parent: string, child: string) =>
  home.node.engine.read(parent, view => view.get('child', child) as JsonObject | undefined)
const pico = async (home: Home, name: string, parent = 'root') =>
  String((await verb(home, 'pico.new', { name, parent })).picoId)

/** From one engine to the other; resolves as `move run` does, when the target is active. */
async function move(from: Home, to: Home, moved: string): Promise<void> {
  const { ticket } = await verb(to, 'move.ticket')
  expect(await verb(from, 'move.run', { pico: moved, ticket: String(ticket) })).toMatchObject({ state: 'active' })
}

test('a ruleset is flushed in the picos that live here, whoever moved away', async () => {
  const { a, c } = await two()
  const [goes, stays] = [await pico(a, 'goes'), await pico(a, 'stays')]
  a.node.parts.client.request = async () => ({ status_code: 200, content: 'ruleset test.two { meta { version "1" } }' })
  for (const one of [goes, stays]) await verb(a, 'ruleset.install', { pico: one, url: 'http://text.example/two.krl' })
  await move(a, c, goes)
  const flushed = (await a.node.verb('ruleset.flush', { target: 'test.two' })) as JsonObject[]
  expect(flushed.map(({ picoId }) => picoId)).toEqual([stays])
})

test('to remove a child that moved away is refused at once, and its parent keeps it', async () => {
  const { a, c } = await two()
  const parent = await pico(a, 'parent')
  const child = await pico(a, 'child', parent)
  await move(a, c, child)
  const refused = () =>
    expect(verb(a, 'pico.rm', { pico: child })).rejects.toMatchObject({
      code: 'pico.moved',
      place: { movedTo: c.url },
    })
  await refused()
  await until(async () => (await entry(a, parent, child))?.movedTo === c.url)
  await refused()
  const { eci } = (await entry(a, parent, child)) as JsonObject
  const asked = { domain: 'wrangler', type: 'child_deletion_request', attrs: { eci: String(eci) }, wait: true }
  await expect(verb(a, 'event', { pico: parent, ...asked })).rejects.toMatchObject({ code: 'pico.remote' })
  expect((await entry(a, parent, child))?.movedTo).toBe(c.url)
  // Where it lives it can be removed, and then its parent hears of it.
  expect(await verb(c, 'pico.rm', { pico: child })).toEqual({ removed: [child] })
  await until(async () => (await entry(a, parent, child)) === undefined)
})

test.each(['at once', 'when the parent has heard'])('a parent is removed without its moved child, %s', async when => {
  const { a, c } = await two()
  const parent = await pico(a, 'parent')
  const [child, other] = [await pico(a, 'child', parent), await pico(a, 'other', parent)]
  await move(a, c, child)
  if (when !== 'at once') await until(async () => (await entry(a, parent, child))?.movedTo === c.url)
  const { removed } = await verb(a, 'pico.rm', { pico: parent })
  expect(new Set(removed as string[])).toEqual(new Set([parent, other]))
  expect(a.node.engine.registered(parent)).toBeUndefined()
  expect(c.node.engine.registered(child)?.status).toBe('live')
})

test('no verb answers from the copy that is left, but those that show where it went', async () => {
  const { a, c } = await two()
  const { p, pConnection: connection } = await connected(a, c)
  const { eci } = await verb(a, 'channel.new', { pico: p, tags: ['t'], events: '*:*', queries: '*/*' })
  await move(a, c, p)
  const asked: [name: string, args?: JsonObject][] = [
    ['pico.rename', { name: 'x' }],
    ['pico.rm'],
    ['pico.state'],
    ['channel.ls'],
    ['channel.new', { tags: ['u'] }],
    ['channel.rm', { eci: String(eci) }],
    ['ruleset.ls'],
    ['ruleset.install', { url: 'http://text.example/one.krl' }],
    ['ruleset.rm', { rid: 'test.one' }],
    ['event', { domain: 'test', type: 'one', attrs: {}, wait: true }],
    ['query', { rid: 'io.picolabs.wrangler', name: 'name', args: {} }],
    ['invite', { version: 'v1', multi: false, approve: false }],
    ['accept', { invitation: '{}', wait: true }],
    ['connection.ls'],
    ['connection.show', { connection }],
    ['connection.rm', { connection }],
    ['ping', { connection }],
    ['msg.send', { connection, text: 'x' }],
    ['msg.ls'],
    ['thread.ls'],
    ['rejected'],
    ['dead.ls'],
    ['dead.rm', { id: 'x' }],
  ]
  const codes = await Promise.all(
    asked.map(([name, args = {}]) =>
      verb(a, name, { pico: p, ...args }).then(
        () => `${name} answered`,
        thrown => `${name} ${asPicoError(thrown).code} ${String(asPicoError(thrown).place?.movedTo)}`,
      ),
    ),
  )
  expect(codes).toEqual(asked.map(([name]) => `${name} pico.moved ${c.url}`))
  expect(await verb(a, 'pico.show', { pico: p })).toMatchObject({ picoId: p, movedTo: c.url })
  expect(await a.node.verb('pico.ls', {})).toContainEqual(expect.objectContaining({ picoId: p, movedTo: c.url }))
  expect(await a.node.verb('logs', { pico: p })).toEqual(expect.any(Array))
})
