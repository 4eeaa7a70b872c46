// What the engines of tests have in common with one that main.ts starts.

import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { LabEngine, post, unserve } from './lab.ts'

const RULESET = `ruleset test.pattern { meta { shares matches }
  global { matches = function(text) { text.match(re#^(a|a)*$#) } } }`
let engine: LabEngine
beforeAll(async () => {
  engine = await LabEngine.start()
})
afterAll(async () => {
  await engine.close()
  unserve()
})

test('a pattern that would try every way through a text goes on in linear time', async () => {
  const pico = await engine.pico('pattern', RULESET)
  const begun = Date.now()
  expect(await engine.query(pico, 'test.pattern', 'matches', { text: `${'a'.repeat(28)}!` })).toBe(false)
  expect(Date.now() - begun).toBeLessThan(500)
})

test('what is nested too deeply is refused where it is read', async () => {
  const deep = (levels: number) => Buffer.from(`{"protected":${'['.repeat(levels)}${']'.repeat(levels)}}`)
  const before = (await engine.verb('status')).refused.count
  expect([await post(engine.url, deep(64)), await post(engine.url, deep(500_000))]).toEqual([400, 400])
  expect((await engine.verb('status')).refused.count).toBe(before + 2)
})

test('what a query says to the log is in the log', async () => {
  const pico = await engine.pico(
    'speaker',
    `ruleset test.speaker { meta { shares said } global { said = function(what) { what.klog("heard") } } }`,
  )
  expect(await engine.query(pico, 'test.speaker', 'said', { what: 'something' })).toBe('something')
  const said = (await engine.verb('logs', { pico, n: 100 })) as { level: string; message: string }[]
  expect(said.filter(({ level }) => level === 'klog').map(({ message }) => message)).toEqual(['heard something'])
})
