// What an owner finds at the engine that a pico moved away from (contract 4, "A pico that moved"): the copy that is left
// answers for nothing, and stands in nobody's way.

import { afterEach, expect, test } from '@jest/globals'
import type { JsonObject } from '../src/ports.ts'
import { type Home, Net, verb } from './move-net.ts'

let net: Net
afterEach(async () => {
  await net.stop()
})

async function two(): Promise<{ a: Home; c: Home }> {
  net = new Net()
  return { a: await net.add('a'), c: await net.add('c') }
}
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
