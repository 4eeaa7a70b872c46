// What compiled rulesets meet in a real pico, where the library's tests do not reach: paths into entity variables of any
// size, faults with their places, times, modules (krl-readings; pico-engine 1.3).

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { Json, JsonObject } from '../src/ports.ts'
import { LabEngine, logged, unserve, until } from './lab.ts'

const MODULE = `ruleset host.module {
  meta { provides say, twice, quiet }
  global {
    say = defaction(n) { send_directive("said", {"n": n}) return n }
    quiet = defaction() { noop() return 7 }
    twice = function(n) { n * 2 }
  }
}`
const RULESET = `ruleset host.test {
  meta {
    use module host.module alias m
    shares value, at, wrong, jobs, job
  }
  global {
    value = function(big) { big => ent:big | ent:small }
    at = function(path) { ent:text{path} }
    wrong = function() { m:quiet() }
    jobs = function() { schedule:list() }
    job = function() { ent:job }
  }
  rule fill { select when t fill
    foreach 0.range(399) setting(n) always { ent:big{"k" + n} := n } }
  rule put { select when t put
    always {
      ent:small{event:attrs{"path"}} := event:attrs{"value"};
      ent:big{event:attrs{"path"}} := event:attrs{"value"} } }
  rule put_odd { select when t odd
    pre { key = event:attrs{"what"} == "map" => {"k": 1} | event:attrs{"what"} == "function" => function(x) { x } | re#x# }
    always { ent:small{[key]} := 1; ent:big{[key]} := 1 } }
  rule drop { select when t drop
    always { clear ent:small{event:attrs{"path"}}; clear ent:big{event:attrs{"path"}} } }
  rule text { select when t text always { ent:text := "abc" } }
  rule guarded { select when t guarded where event:attrs{"x"} * 2 > 3 noop() }
  rule later { select when t later
    always { schedule t event "put" at event:attrs{"at"} setting(job); ent:job := job } }
  rule raises { select when t raises always { raise t event "fill" attributes 5 } }
  rule says { select when t says m:say(3) }
  rule wrong_action { select when t wrong m:twice(1) }
  rule wrong_function { select when t called pre { x = m:say(1) } noop() }
}`

let engine: LabEngine
beforeAll(async () => {
  engine = await LabEngine.start()
  await engine.pico('pico', MODULE, RULESET)
  await event('fill')
})
afterAll(async () => {
  await engine.close()
  unserve()
})

const event = (type: string, attrs: JsonObject = {}) => engine.event('pico', 't', type, attrs)
/** What a rule that the event selects fails with. */
const fault = (type: string, attrs: JsonObject = {}) =>
  event(type, attrs).then(
    () => 'none',
    ({ code, place }: { code: string; place: JsonObject }) => ({ code, ...place }),
  )
const value = (big: boolean): Promise<{ [key: string]: Json }> => engine.query('pico', 'host.test', 'value', { big })
/** What of the large map is not of its filling. */
async function both(): Promise<[Json, Json]> {
  const big = Object.entries(await value(true)).filter(([key]) => !/^k\d+$/.test(key))
  return [await value(false), Object.fromEntries(big)]
}

describe('a path into an entity variable', () => {
  test.each([
    [['a', 0], { a: [1] }],
    [['b', 'c'], { a: [1], b: { c: 1 } }],
    [[[1, 2]], { a: [1], b: { c: 1 }, '[Array]': 1 }],
    [[], { a: [1], b: { c: 1 }, '[Array]': 1 }],
    [['__proto__', 'x'], { a: [1], b: { c: 1 }, '[Array]': 1, ['__proto__']: { x: 1 } }],
  ] as [Json, JsonObject][])('%j writes alike into a small and a large map', async (path, expected) => {
    await event('put', { path, value: 1 })
    expect(await both()).toEqual([expected, expected])
  })

  test.each([
    ['map', '[Map]'],
    ['function', '[Function]'],
    ['regexp', 're#x#'],
  ])('a %s as key is its text', async (what, key) => {
    expect(await event('odd', { what })).not.toHaveProperty('error')
    for (const map of await both()) expect(map).toHaveProperty([key], 1)
  })

  test('an empty one clears nothing', async () => {
    const before = await both()
    await event('drop', { path: [] })
    expect(await both()).toEqual(before)
    await event('drop', { path: ['a', 0] })
    for (const map of await both()) expect(map).toHaveProperty('a', [null])
  })

  test('leads nowhere in a text', async () => {
    await event('text')
    for (const path of [0, 'length', ['length']])
      expect(await engine.query('pico', 'host.test', 'at', { path })).toBeNull()
  })
})

test('a fault in a condition of the event expression names rule and place', async () => {
  expect(await fault('guarded', { x: 'abc' })).toMatchObject({
    rid: 'host.test',
    rule: 'guarded',
    line: expect.any(Number),
    column: expect.any(Number),
  })
})

describe('schedule … at', () => {
  test('reads a time without zone as UTC, and the forms that time:new reads', async () => {
    for (const at of ['2100-01-01T00:00:00', '21000101T000000Z', '2100-01-01']) await event('later', { at })
    const jobs = (await engine.query('pico', 'host.test', 'jobs')) as { time: number }[]
    expect(jobs.map(({ time }) => new Date(time).toISOString())).toEqual(Array(3).fill('2100-01-01T00:00:00.000Z'))
  })
  test('gives the entry that schedule:list has', async () => {
    const jobs = await engine.query('pico', 'host.test', 'jobs')
    expect(await engine.query('pico', 'host.test', 'job')).toEqual(jobs.at(-1))
  })
})

test('raise takes a map of attributes and nothing else', async () => {
  expect(await fault('raises')).toMatchObject({ code: 'ruleset.failed', rule: 'raises' })
})

test('an event that a rule of its receiver fails at was taken, whatever the rule failed at', async () => {
  await engine.pico(
    'receiver',
    `ruleset host.receiver {
      rule fails { select when t sent connection:ping("none") } }`,
  )
  const { eci } = await engine.verb('channel.new', { pico: 'receiver', tags: ['x'], events: 't:*', queries: '' })
  await engine.pico(
    'sender',
    `ruleset host.sender {
      rule sends { select when t send event:send({"eci": event:attrs{"eci"}, "domain": "t", "type": "sent"}) } }`,
  )
  await engine.event('sender', 't', 'send', { eci })
  await until('the fault', async () => JSON.stringify(await logged(engine, 'receiver')).includes('connection.unknown'))
  const { picoId } = await engine.verb('pico.show', { pico: 'sender' })
  const waiting = () => engine.node.engine.read(picoId, view => view.list('outbox').length)
  await until('the letter to have left', async () => (await waiting()) === 0)
  expect(await engine.verb('dead.ls', { pico: 'sender' })).toEqual([])
})

describe('a module', () => {
  test('its action speaks for the rule that let it', async () => {
    const { directives } = await event('says')
    expect(directives).toEqual([
      expect.objectContaining({ name: 'said', meta: expect.objectContaining({ rid: 'host.test', rule_name: 'says' }) }),
    ])
  })
  test('actions stand where actions stand, functions in expressions', async () => {
    expect(await fault('wrong')).toMatchObject({ code: 'ruleset.action', rule: 'wrong_action' })
    expect(await fault('called')).toMatchObject({ code: 'ruleset.action', rule: 'wrong_function' })
    expect(await engine.query('pico', 'host.test', 'wrong').catch((error: { code: string }) => error.code)).toBe(
      'ruleset.action',
    )
    expect(JSON.stringify(await logged(engine, 'pico'))).toContain('m:twice is not an action')
  })
})
