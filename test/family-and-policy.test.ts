// What is between parent and child is theirs: closed to HTTP, gone with the child, ended leaves first. And a channel
// whose policy allows an event does not thereby allow the query behind it.

import { afterAll, beforeAll, expect, jest, test } from '@jest/globals'
import { LabEngine, unserve, until } from './lab.ts'

jest.setTimeout(60_000)

const NUMBER = `ruleset test.number { meta { shares n } global { n = function() { ent:n.defaultsTo(0) } }
  rule count { select when test count fired { ent:n := ent:n.defaultsTo(0) + 1 } } }`
let engine: LabEngine
beforeAll(async () => {
  engine = await LabEngine.start()
})
afterAll(async () => {
  await engine.close()
  unserve()
})
const childOf = (parent: string, name: string) => engine.verb('pico.new', { name, parent })
const status = async (path: string) => (await fetch(`${engine.url}${path}`)).status

test('an event with a query gives the value only where the channel allows that query too', async () => {
  const pico = await engine.pico('policy', NUMBER)
  const both = async (queries: string) => {
    const { eci } = await engine.verb('channel.new', { pico, tags: [`q ${queries}`], events: 'test:*', queries })
    return status(`/c/${eci}/event/test/count/query/test.number/n`)
  }
  expect(await both('')).toBe(403)
  expect(await both('test.number/n')).toBe(200)
})

test('the channels between parent and child are closed to HTTP', async () => {
  const kid = await childOf(await engine.pico('strict'), 'kid')
  const self = (await engine.node.engine.read(kid.picoId, view => view.get('pico', 'self'))) as {
    eci: string
    parentEci: string
  }
  for (const eci of [self.eci, self.parentEci]) {
    expect(await status(`/c/${eci}/event/engine/child_gone?id=${kid.picoId}`)).toBe(404)
    expect(await status(`/c/${eci}/query/io.picolabs.wrangler/name`)).toBe(404)
  }
})

test('the channel for a child goes with the child', async () => {
  const pico = await engine.pico('tidy')
  const count = async () => (await engine.query(pico, 'io.picolabs.wrangler', 'channels')).length
  const before = await count()
  const kid = await childOf(pico, 'kid')
  expect(await count()).toBe(before + 1)
  await engine.verb('pico.rm', { pico: kid.picoId })
  await until('the channel to go', async () => (await count()) === before)
  expect(await count()).toBe(before)
})

test('a family is deleted leaves first', async () => {
  const parent = await engine.pico('first')
  const kid = (await childOf(parent, 'second')).picoId
  const grandkid = (await childOf(kid, 'third')).picoId
  const gone: string[] = []
  const stop = engine.node.engine.on('registry', ({ picoId, status }) => void (status === 'gone' && gone.push(picoId)))
  await engine.verb('pico.rm', { pico: parent })
  await until('the family to go', async () => gone.length === 3)
  stop()
  expect(gone).toEqual([grandkid, kid, parent])
})
