// What rules may rely on: one commit per step, a fault that keeps nothing, queries that change nothing, large maps by
// entry, schedules, channels, children (DESIGN 4; krl-readings).

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { parseContent } from '../src/modules.ts'
import { Records, Run } from '../src/pico.ts'
import type { Given, Stimulus } from '../src/ports.ts'
import { clearTimer, nextAlarm, setTimer } from '../src/schedule.ts'
import { clearVariable, readVariable, writeEntry, writeVariable } from '../src/variables.ts'
import { LabEngine, logged, served, unserve, until } from './lab.ts'

const COUNTER = `ruleset test.counter {
  meta { shares both, errors, whole, lengths, work, spread, told, answers, one, size, order, kids, jobs, fib, deep, large }
  global {
    both = function() { {"a": ent:a, "b": ent:b} }
    errors = function() { ent:errors }
    whole = function() { ent:map }
    work = function(n) { 1.range(n).map(function(i) { i + 1 }).length() }
    spread = function(eci, times, n) {
      1.range(times).map(function(i) { ctx:query(eci, "test.counter", "work", {"n": n}) }) }
    told = function(eci) { ctx:ask(eci, "test.counter", "work", {"n": 3}) }
    post = http:post
    answers = function() { ent:answers }
    lengths = function(n) { 1.range(n).filter(function(i) { ent:map.length() != 500 }).length() }
    one = function(k) { ent:map{[k]} }
    size = function() { ent:map.keys().length() }
    order = function() { ent:map.keys().slice(0, 2) }
    kids = function() { ctx:children.length() }
    jobs = function() { schedule:list().length() }
    fib = function(n) { n < 2 => n | fib(n - 1) + fib(n - 2) }
    endless = function(n) { endless(n + 1) }
    deep = function() { endless(1) }
    large = function() { 1.range(9000).map(function(i) { ent:a }) }
  }
  rule count { select when test count
    fired { ent:a := ent:a.defaultsTo(0) + 1; ent:b := ent:b.defaultsTo(0) + 1 } }
  rule half { select when test half
    fired { ent:a := 100; raise test event "second_half"; } }
  rule second_half { select when test second_half
    pre { x = endless(1) }
    fired { ent:b := x } }
  rule watch { select when system error
    fired { ent:errors := ent:errors.defaultsTo([]).append([event:attrs]) } }
  rule forever { select when test forever
    fired { raise test event "forever" } }
  rule fill { select when test fill
    pre { n = event:attr("n").as("Number") }
    fired { ent:map := 1.range(n).reduce(function(m, i) { m.put("k" + i, {"value": i, "text": "some words to make it longer"}) }, {}) } }
  rule put { select when test put
    fired { ent:map{[event:attr("k")]} := event:attr("v") } }
  rule drop { select when test drop
    fired { clear ent:map{[event:attr("k")]} } }
  rule again { select when test again
    fired { ent:map := ent:map.put(["k1", "value"], "changed") } }
  rule soon { select when test soon
    fired { schedule test event "count" at time:add(time:now(), {"seconds": 0.05}) } }
  rule often { select when test often
    fired { schedule test event "count" repeat "*/1 * * * * *" setting(id); ent:job := id } }
  rule stop { select when test stop
    schedule:remove(ent:job{"id"}) }
  rule long { select when test long
    send_directive(1.range(9000).join(","), {}) }
  rule pile { select when test pile
    fired { ent:pile := 1.range(20000) } }
  rule copy { select when test copy
    foreach 1.range(event:attr("n").as("Number")) setting(i)
    fired { ent:copy := ent:pile } }
  rule double { select when test double
    pre { big = 1.range(40).reduce(function(all, i) { [all, all] }, [1]) }
    send_directive("big", {"big": big}) }
  rule post { select when test post
    every { http:post(event:attr("url"), body = "plain"); post(event:attr("url"), body = "by value") } }
  rule post_and_fail { select when test post_and_fail
    http:post(event:attr("url"), body = "failed")
    fired { ent:b := endless(1) } }
  rule post_and_wait { select when test post_and_wait
    every {
      http:post(event:attr("url"), body = "awaited") setting(one)
      post(event:attr("url"), body = "awaited by value") setting(two)
    }
    fired { ent:answers := [one, two].map(function(answer) { answer{"status_code"} }) } }
  rule post_many { select when test post_many
    foreach 1.range(10001) setting(i)
    http:post("http://127.0.0.1:1/") }
  rule upsert { select when test upsert
    ctx:upsertChannel(event:attr("tags"), {"allow": [], "deny": []}, {"allow": [], "deny": []}) setting(made)
    fired { ent:a := made{"id"} } }
  rule give_up { select when test give_up
    fired { error error "no more" } }
  rule heard { select when test give_up
    fired { ent:a := "heard by the same ruleset" } }
  rule children { select when test children
    foreach 1.range(5001) setting(i)
    every { ctx:newChild("a" + i, {}); ctx:newChild("b" + i, {}) } }
  rule grumble { select when test grumble
    fired { error info event:attr("big") } }
  rule sequence { select when test one before test two
    send_directive("both came", {}) }
}`

let engine: LabEngine
const RID = 'test.counter'
const ask = (name: string, args = {}) => engine.query('lab', RID, name, args)

beforeAll(async () => {
  engine = await LabEngine.start()
  await engine.pico('lab', COUNTER)
})
afterAll(async () => {
  for (const server of Listening.all) server.close()
  await engine.close()
  unserve()
})

describe('a step', () => {
  test('writes all that its rules set', async () => {
    const answer = await engine.event('lab', 'test', 'count')
    expect(answer).toMatchObject({ directives: [] })
    expect(await ask('both')).toEqual({ a: 1, b: 1 })
  })

  test('that faults keeps nothing of its rules and raises system:error with the place', async () => {
    const code = await engine.refusal('event', { pico: 'lab', domain: 'test', type: 'half', attrs: {}, wait: true })
    expect(code).toBe('ruleset.depth')
    expect(await ask('both')).toEqual({ a: 1, b: 1 })
    const errors = await until('system:error', () => ask('errors'))
    expect(errors).toHaveLength(1)
    expect(errors[0]).toMatchObject({ rid: RID, rule: 'second_half', code: 'ruleset.depth', level: 'error' })
    expect(errors[0].line).toBeGreaterThan(10)
  })

  test('that never settles is stopped and leaves the pico usable', async () => {
    const code = await engine.refusal('event', { pico: 'lab', domain: 'test', type: 'forever', attrs: {}, wait: true })
    expect(code).toBe('ruleset.budget')
    await engine.event('lab', 'test', 'count')
    expect(await ask('both')).toEqual({ a: 2, b: 2 })
  })

  test('pays for each node that it copies into a variable', async () => {
    await engine.event('lab', 'test', 'pile')
    await engine.event('lab', 'test', 'copy', { n: 10 })
    const code = await engine.refusal('event', {
      pico: 'lab',
      domain: 'test',
      type: 'copy',
      attrs: { n: 500 },
      wait: true,
    })
    expect(code).toBe('ruleset.budget')
  })

  test('is stopped when a small value would be endless JSON', async () => {
    const code = await engine.refusal('event', { pico: 'lab', domain: 'test', type: 'double', attrs: {}, wait: true })
    expect(code).toBe('ruleset.budget')
  })

  test('applies once per id and keeps its answer', async () => {
    const first = await engine.verb('event', {
      pico: 'lab',
      domain: 'test',
      type: 'count',
      attrs: {},
      id: 'once',
      wait: true,
    })
    const again = await engine.verb('event', {
      pico: 'lab',
      domain: 'test',
      type: 'count',
      attrs: {},
      id: 'once',
      wait: true,
    })
    expect(again).toEqual(first)
    expect(await ask('both')).toEqual({ a: 3, b: 3 })
  })

  test('keeps progress of event expressions between events', async () => {
    expect((await engine.event('lab', 'test', 'one')).directives).toEqual([])
    expect((await engine.event('lab', 'test', 'two')).directives).toMatchObject([{ name: 'both came' }])
    expect((await engine.event('lab', 'test', 'two')).directives).toEqual([])
  })
})

describe('a query', () => {
  test('computes within its budget and is stopped beyond it', async () => {
    expect(await ask('fib', { n: 15 })).toBe(610)
    expect(await engine.refusal('query', { pico: 'lab', rid: RID, name: 'fib', args: { n: 60 } })).toBe(
      'ruleset.budget',
    )
  }, 20_000)

  test('pays for the queries that it asks', async () => {
    const { eci } = await engine.verb('channel.new', { pico: 'lab', tags: ['w'], events: '', queries: `${RID}/work` })
    expect(await ask('spread', { eci, times: 3, n: 100_000 })).toEqual([100_000, 100_000, 100_000])
    expect(await ask('told', { eci })).toEqual({ value: 3 })
    const asked = { pico: 'lab', rid: RID, name: 'spread', args: { eci, times: 100, n: 100_000 } }
    expect(await engine.refusal('query', asked)).toBe('ruleset.budget')
    await engine.verb('channel.rm', { pico: 'lab', eci })
  })

  test('reaches shared functions only', async () => {
    expect(await engine.refusal('query', { pico: 'lab', rid: RID, name: 'endless', args: {} })).toBe('query.unknown')
    expect(await engine.refusal('query', { pico: 'lab', rid: 'no.such', name: 'x', args: {} })).toBe('ruleset.unknown')
  })
})

describe('a map variable', () => {
  test('keeps its order and its entries whatever its size', async () => {
    await engine.event('lab', 'test', 'fill', { n: 500 })
    expect(await ask('size')).toBe(500)
    expect(await ask('order')).toEqual(['k1', 'k2', 'k3'])
    expect(await ask('one', { k: 'k77' })).toMatchObject({ value: 77 })
  })

  test('is put together once, however often it is read whole', async () => {
    expect(await ask('lengths', { n: 20_000 })).toBe(0)
  })

  test('of 130,000 entries is written again', () => {
    const records = new Records({ get: () => undefined, list: () => [] })
    const map = Object.fromEntries(Array.from({ length: 130_000 }, (_, i) => [`k${i}`, i]))
    writeVariable(records, 'rid', 'map', map)
    writeVariable(records, 'rid', 'map', { ...map, k7: 'seven', last: true })
    const whole = readVariable(records, 'rid', 'map') as object
    expect(Object.keys(whole).slice(-2)).toEqual(['k129999', 'last'])
    expect(whole).toMatchObject({ k7: 'seven' })
  })

  test('is put together anew after a write', () => {
    const records = new Records({ get: () => undefined, list: () => [] })
    writeVariable(records, 'rid', 'map', { a: 'x'.repeat(5_000) })
    expect(readVariable(records, 'rid', 'map')).toEqual({ a: 'x'.repeat(5_000) })
    writeEntry(records, 'rid', 'map', 'b', 2)
    expect(readVariable(records, 'rid', 'map')).toEqual({ a: 'x'.repeat(5_000), b: 2 })
    clearVariable(records, 'rid', 'map')
    expect(readVariable(records, 'rid', 'map')).toBeUndefined()
  })

  test('is written entry by entry once it is large', async () => {
    const seen: number[] = []
    const stop = engine.node.engine.on('committed', event =>
      seen.push(new Set(event.changes.map(({ group }) => group).filter(g => g.startsWith('var/'))).size),
    )
    await engine.event('lab', 'test', 'put', { k: 'k3', v: 'three' })
    await engine.event('lab', 'test', 'drop', { k: 'k4' })
    await engine.event('lab', 'test', 'again')
    stop()
    expect(await ask('one', { k: 'k3' })).toBe('three')
    expect(await ask('one', { k: 'k4' })).toBeNull()
    expect(await ask('one', { k: 'k1' })).toMatchObject({ value: 'changed' })
    expect(await ask('size')).toBe(499)
    expect(seen.length).toBeGreaterThanOrEqual(3)
  })

  test('assigned whole and small again is one value', async () => {
    await engine.event('lab', 'test', 'fill', { n: 2 })
    expect(await ask('whole')).toMatchObject({ k1: { value: 1 }, k2: { value: 2 } })
    expect(await ask('size')).toBe(2)
  })
})

describe('an http action', () => {
  test('without setting leaves after the commit, and a slow one holds up no other', async () => {
    const server = await Listening.start()
    server.held = true
    await engine.event('lab', 'test', 'post', { url: server.url })
    await engine.event('lab', 'test', 'post', { url: server.url })
    await until('four requests at once', async () => server.bodies.length === 4)
    expect([...server.bodies].sort()).toEqual(['by value', 'by value', 'plain', 'plain'])
  })

  test('without setting does not leave when the step fails', async () => {
    const server = await Listening.start()
    const args = { pico: 'lab', domain: 'test', type: 'post_and_fail', attrs: { url: server.url }, wait: true }
    expect(await engine.refusal('event', args)).toBe('ruleset.depth')
    await engine.event('lab', 'test', 'post', { url: server.url })
    await until('the requests after it', async () => server.bodies.length === 2)
    expect(server.bodies).not.toContain('failed')
  })

  test('with setting gives its answer', async () => {
    const server = await Listening.start()
    await engine.event('lab', 'test', 'post_and_wait', { url: server.url })
    expect(await ask('answers')).toEqual([200, 200])
    expect(server.bodies).toContain('awaited by value')
  })

  test('is a letter, of which a step has no more than it may', async () => {
    const code = await engine.refusal('event', {
      pico: 'lab',
      domain: 'test',
      type: 'post_many',
      attrs: {},
      wait: true,
    })
    expect(code).toBe('ruleset.budget')
  })
})

test('what an HTTP answer holds is read as JSON unless it nests too deep', () => {
  expect([parseContent('{"a":[1]}'), parseContent('no JSON'), parseContent(undefined)]).toEqual([
    { a: [1] },
    'no JSON',
    null,
  ])
  const deep = '['.repeat(200_000)
  expect(parseContent(deep + ']'.repeat(200_000))).toMatch(/^\[/)
})

/** An HTTP server that keeps what it is sent; while `held` it does not answer. */
class Listening {
  static readonly all: Listening[] = []
  readonly bodies: string[] = []
  held = false
  readonly url: string
  private readonly server: Server

  private constructor(server: Server) {
    this.server = server
    Listening.all.push(this)
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
    server.on('request', async (request: IncomingMessage, response: ServerResponse) => {
      this.bodies.push(await text(request))
      if (!this.held) response.end('taken')
    })
  }

  static async start(): Promise<Listening> {
    const server = createServer()
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    return new Listening(server)
  }

  close(): void {
    this.server.closeAllConnections()
    this.server.close()
  }
}

test('an ECI does not begin like an option', () => {
  const labels: string[] = []
  // 0xf8 begins a text of base64url with `-`, 0x00 with `A`.
  const draw = (label: string) => {
    labels.push(label)
    return new Uint8Array(32).fill(labels.length < 3 ? 0xf8 : 0)
  }
  const run = new Run({ get: () => undefined, list: () => [] }, { now: 0, seed: new Uint8Array(32), draw } as never)
  expect([run.eci(), labels]).toEqual(['A'.repeat(32), ['eci/0', 'eci/1', 'eci/2']])
})

describe('the alarm of a pico', () => {
  test('is kept without looking at all timers, until the earliest goes', () => {
    let looked = 0
    const list = (group: string) => {
      if (group === 'timer') looked++
      return []
    }
    const given = { now: 0, seed: new Uint8Array(32) } as Given
    const run = new Run({ get: () => undefined, list }, given)
    setTimer(run, 20, 'job', 'b')
    expect(nextAlarm(run.records)).toBe(20)
    expect(looked).toBe(1)
    setTimer(run, 10, 'thread', 'a')
    setTimer(run, 30, 'job', 'c')
    clearTimer(run, 30, 'job', 'c')
    expect(nextAlarm(run.records)).toBe(10)
    expect(looked).toBe(1)
    clearTimer(run, 10, 'thread', 'a')
    expect(nextAlarm(run.records)).toBe(20)
    clearTimer(run, 20, 'job', 'b')
    expect(nextAlarm(run.records)).toBeNull()
    expect(looked).toBe(3)
  })
})

describe('schedules', () => {
  test('a job at a time fires once', async () => {
    const before = await ask('both')
    await engine.event('lab', 'test', 'soon')
    expect(await ask('jobs')).toBe(1)
    await until('the scheduled event', async () => (await ask('both')).a === before.a + 1)
    expect(await ask('jobs')).toBe(0)
  })

  test('a repeating job fires until it is removed', async () => {
    const before = await ask('both')
    await engine.event('lab', 'test', 'often')
    await until('the first turn', async () => (await ask('both')).a > before.a)
    await engine.event('lab', 'test', 'stop')
    expect(await ask('jobs')).toBe(0)
  })
})

describe('channels', () => {
  test('let pass what their policy allows, by HTTP status', async () => {
    const { eci } = await engine.verb('channel.new', {
      pico: 'lab',
      tags: ['t'],
      events: 'test:count',
      queries: `${RID}/both`,
    })
    const status = async (path: string) => (await fetch(`${engine.url}/c/${eci}/${path}`)).status
    expect(await status('event-wait/test/count')).toBe(200)
    expect(await status('event-wait/test/half')).toBe(403)
    expect(await status(`query/${RID}/both`)).toBe(200)
    expect(await status(`query/${RID}/errors`)).toBe(403)
    expect((await fetch(`${engine.url}/c/nope/query/${RID}/both`)).status).toBe(404)
    await engine.verb('channel.rm', { pico: 'lab', eci })
    expect(await status(`query/${RID}/both`)).toBe(404)
  })

  test('repeat an answer under the same Idempotency-Key and refuse another body', async () => {
    const { eci } = await engine.verb('channel.new', { pico: 'lab', tags: ['t2'], events: 'test:*', queries: '' })
    const send = (body: object) =>
      fetch(`${engine.url}/c/${eci}/event-wait/test/count`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'idempotency-key': 'k1' },
        body: JSON.stringify(body),
      })
    const before = (await ask('both')).a
    const first = await (await send({ x: 1 })).json()
    expect(await (await send({ x: 1 })).json()).toEqual(first)
    expect((await send({ x: 2 })).status).toBe(422)
    expect((await ask('both')).a).toBe(before + 1)
  })
})

describe('an event with an id', () => {
  const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}$/
  let eci: string
  const send = async (path: string, key: string, body: object = {}, agent = 'test') => {
    const response = await fetch(`${engine.url}/c/${eci}/${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': key, 'user-agent': agent },
      body: JSON.stringify(body),
    })
    // biome-ignore lint/suspicious/noExplicitAny: answers are looked at member by member
    return [response.status, (await response.json()) as any] as const
  }
  const over = (id: string, type: string, more: object = {}) => ({
    pico: 'lab',
    domain: 'test',
    type,
    attrs: {},
    eci,
    id,
    wait: true,
    ...more,
  })
  beforeAll(async () => {
    ;({ eci } = await engine.verb('channel.new', { pico: 'lab', tags: ['ids'], events: 'test:*', queries: '*/*' }))
  })

  test('is one for event and event-wait, whatever headers come with it', async () => {
    const before = (await ask('both')).a
    const [, eid] = await send('event/test/count', 'shared', { a: 1, b: 2 }, 'one')
    expect(eid).toMatch(UUID)
    expect(await send('event-wait/test/count', 'shared', { b: 2, a: 1 }, 'two')).toEqual([200, { eid, directives: [] }])
    expect((await ask('both')).a).toBe(before + 1)
  })

  test('is another request with a query after it, or with another query', async () => {
    const before = (await ask('both')).a
    await send('event-wait/test/count', 'plain')
    expect((await send(`event/test/count/query/${RID}/both`, 'plain'))[0]).toBe(422)
    const first = await send(`event/test/count/query/${RID}/both`, 'asked')
    expect(first).toMatchObject([200, { a: before + 2 }])
    await send('event-wait/test/count', 'between')
    expect(await send(`event/test/count/query/${RID}/both`, 'asked')).toEqual(first)
    expect((await send(`event/test/count/query/${RID}/errors`, 'asked'))[0]).toBe(422)
    expect((await send('event-wait/test/count', 'asked'))[0]).toBe(422)
    expect((await ask('both')).a).toBe(before + 3)
  })

  test('has its query answered anew where the answer was too long to be kept', async () => {
    const values = async () => {
      const [status, value] = await send(`event/test/count/query/${RID}/large`, 'long')
      return [status, value.length, value[0]]
    }
    const { a } = await ask('both')
    expect(await values()).toEqual([200, 9000, a + 1])
    await send('event-wait/test/count', 'between the two')
    expect(await values()).toEqual([200, 9000, a + 2])
  })

  test('is the same over HTTP and on the command line', async () => {
    const before = (await ask('both')).a
    const answer = await engine.verb('event', over('cli', 'count', { attrs: { x: '1' } }))
    expect(await send('event-wait/test/count', 'cli', { x: '1' })).toEqual([200, answer])
    expect((await send('event-wait/test/count', 'cli', { x: '2' }))[0]).toBe(422)
    expect(await engine.refusal('event', over('cli', 'one'))).toBe('event.conflict')
    expect(await engine.refusal('event', over('cli', 'count', { attrs: { x: '2' }, wait: false }))).toBe(
      'event.conflict',
    )
    expect((await ask('both')).a).toBe(before + 1)
  })

  test('is not empty, and not longer than one over HTTP may be', async () => {
    expect(await engine.refusal('event', over('x'.repeat(256), 'count'))).toBe('usage')
    expect(await engine.refusal('event', over('', 'count'))).toBe('usage')
    const sent = { pico: 'lab', connection: 'none', type: 'https://x/1.0/y', body: {} }
    for (const thid of ['', 'x'.repeat(256)])
      expect(await engine.refusal('didcomm.send', { ...sent, thid })).toBe('usage')
    expect(await engine.refusal('event', { ...over('', 'count'), eci: undefined } as never)).toBe('usage')
  })

  test('that a rule fails at is named by its eid, again too', async () => {
    const [status, eid] = await send('event/test/half', 'fails')
    expect([status, eid]).toEqual([200, expect.stringMatching(UUID)])
    expect(await send('event/test/half', 'fails')).toEqual([200, eid])
    expect((await send('event-wait/test/half', 'fails'))[0]).toBe(500)
    const log = (await logged(engine, 'lab')) as { code: string; txnId?: string }[]
    expect(log.find(record => record.txnId === eid && record.code === 'ruleset.depth')).toBeDefined()
  })

  test('whose answer was too long to be kept is named by its eid', async () => {
    const [, { eid, directives }] = await send('event-wait/test/long', 'long answer')
    expect([eid, directives.length]).toEqual([expect.stringMatching(UUID), 1])
    expect(await send('event-wait/test/long', 'long answer')).toEqual([200, { eid, directives: [], replayed: true }])
  })

  test('is kept where the purge finds its answer', async () => {
    const [, answer] = await send('event-wait/test/count', 'purged')
    const { picoId } = await engine.verb('pico.show', { pico: 'lab' })
    // src/seen.ts drops the member `a` after a day.
    const seen = await engine.node.engine.read(picoId, view => view.get(`seen/eci/${eci}`, 'purged'))
    expect(seen).toMatchObject({ t: expect.any(Number), a: answer })
  })

  test('has its eid when it is only taken', async () => {
    const [, { eid }] = await send('event-wait/test/count', 'taken')
    const submit = engine.node.engine.submit
    const taken: Stimulus[] = []
    engine.node.engine.submit = async (_, stimulus) => {
      taken.push(stimulus)
      return { accepted: true }
    }
    try {
      expect(await send('event/test/count', 'taken')).toEqual([200, eid])
      const { eid: drawn } = await engine.event('lab', 'test', 'count')
      expect([drawn, taken.map(stimulus => 'eid' in stimulus && stimulus.eid)]).toEqual([
        expect.stringMatching(UUID),
        [eid, drawn],
      ])
    } finally {
      engine.node.engine.submit = submit
    }
  })

  test('without waiting is answered by the eid alone', async () => {
    const { eid, ...rest } = await engine.verb('event', over('alone', 'one', { wait: false }))
    expect([eid, rest]).toEqual([expect.stringMatching(UUID), {}])
    const { eid: failed, ...nothing } = await engine.verb('event', over('failed', 'half', { wait: false }))
    expect([failed, nothing]).toEqual([expect.stringMatching(UUID), {}])
    const own = { pico: 'lab', domain: 'test', type: 'half', attrs: {}, wait: false }
    expect(await engine.verb('event', own)).toEqual({ eid: expect.stringMatching(UUID) })
  })
})

describe('ctx:upsertChannel', () => {
  test.each([[['Front Door', 'c']], [['c', 'front-door']], ['C,front door']])('finds a channel by %j', async tags => {
    await engine.event('lab', 'test', 'upsert', { tags: ['front-door', 'c'] })
    const first = (await ask('both')).a
    await engine.event('lab', 'test', 'upsert', { tags })
    expect((await ask('both')).a).toBe(first)
  })
})

describe('children', () => {
  test('are no more than a step may make; past that the rule failed, with its place', async () => {
    const args = { pico: 'lab', domain: 'test', type: 'children', attrs: {}, wait: true }
    const before = (await ask('errors')).length
    expect(await engine.refusal('event', args)).toBe('ruleset.budget')
    const errors = await until('system:error', async () => {
      const all = await ask('errors')
      return all.length > before && all
    })
    expect(errors.at(-1)).toMatchObject({ rule: 'children', code: 'ruleset.budget', line: expect.any(Number) })
    expect(await ask('kids')).toBe(0)
  })

  test('are born ready, listed, renamed and deleted with their own', async () => {
    const kid = await engine.verb('pico.new', { name: 'kid', parent: 'lab' })
    await engine.verb('pico.new', { name: 'grandkid', parent: 'kid' })
    expect(await ask('kids')).toBe(1)
    expect(await engine.query('lab', 'io.picolabs.wrangler', 'children')).toMatchObject([{ name: 'kid' }])
    await engine.verb('pico.rename', { pico: 'kid', name: 'youth' })
    await until('the parent knows the new name', async () => {
      const [child] = await engine.query('lab', 'io.picolabs.wrangler', 'children')
      return child.name === 'youth'
    })
    const { removed } = await engine.verb('pico.rm', { pico: kid.picoId })
    expect(removed).toHaveLength(2)
    expect(await ask('kids')).toBe(0)
    expect(await engine.refusal('pico.show', { pico: kid.picoId })).toBe('pico.unknown')
  })

  test.each(['', '  ', 'a/b', 'a\nb', 'x'.repeat(201)])('are not named %j', async name => {
    expect(await engine.refusal('pico.new', { name, parent: 'lab' })).toBe('pico.name')
    expect(await engine.refusal('pico.rename', { pico: 'lab', name })).toBe('pico.name')
    expect([await ask('kids'), (await engine.verb('pico.show', { pico: 'lab' })).name]).toEqual([0, 'lab'])
  })

  test('the last root stays, with all that is below it', async () => {
    expect(await engine.refusal('pico.rm', { pico: 'root' })).toBe('pico.root')
    expect((await engine.verb('pico.show', { pico: 'root/lab' })).name).toBe('lab')
  })

  test('are made by Wrangler’s event, and their parent hears of it', async () => {
    const { eci } = await engine.verb('channel.new', { pico: 'lab', tags: ['w'], events: 'wrangler:*', queries: '' })
    await fetch(`${engine.url}/c/${eci}/event-wait/wrangler/new_child_request?name=by-event`)
    await until('the child', async () => {
      const [child] = await engine.query('lab', 'io.picolabs.wrangler', 'children')
      return child?.name === 'by-event'
    })
    await fetch(
      `${engine.url}/c/${eci}/event-wait/wrangler/child_deletion_request?eci=${(await engine.query('lab', 'io.picolabs.wrangler', 'children'))[0].eci}`,
    )
    await until('the child is gone', async () => (await ask('kids')) === 0)
  })
})

describe('rulesets', () => {
  test('that do not compile are refused with every place, and nothing is installed', async () => {
    const url = await served('ruleset test.broken { rule a { select when a b fired { ent:x := nothere } } }')
    const refused = await engine.verb('ruleset.install', { pico: 'lab', url }).catch(error => error)
    expect(refused).toMatchObject({ code: 'ruleset.invalid' })
    expect(refused.place).toMatchObject({
      line: 1,
      url,
      errors: [{ line: 1, column: expect.any(Number), severity: 'error', code: 'krl.undefined' }],
    })
    expect((await engine.verb('ruleset.ls', { pico: 'lab' })).map((r: { rid: string }) => r.rid)).not.toContain(
      'test.broken',
    )
  })

  test('use modules that lie beside them', async () => {
    await served(
      'ruleset test.module { meta { provides double, base configure using base = 1 } global { double = function(x) { x * 2 + base } } }',
    )
    await engine.pico(
      'user',
      'ruleset test.user { meta { use module test.module alias m with base = 5 shares four } global { four = function() { m:double(2) } } }',
    )
    expect(await engine.query('user', 'test.user', 'four')).toBe(9)
  })

  test('whose module is nowhere say where it was looked for', async () => {
    const url = await served('ruleset test.lonely { meta { use module test.nowhere alias n } }')
    const refused = await engine.verb('ruleset.install', { pico: 'lab', url }).catch(error => error)
    expect(refused.code).toBe('ruleset.missing')
    expect(refused.message).toMatch(/not installed.*not known.*test\.nowhere\.krl/)
  })

  test('that do not come are named by their URL, also when their server says nothing more', async () => {
    const silent = createServer((_, response) => void response.writeHead(200).flushHeaders())
    await new Promise<void>(resolve => silent.listen(0, '127.0.0.1', resolve))
    const url = `http://127.0.0.1:${(silent.address() as AddressInfo).port}/silent.krl`
    const hasty = await LabEngine.start({ limits: { effect_ms: 500 } })
    try {
      await hasty.pico('lab')
      const refused = (from: string) =>
        hasty.verb('ruleset.install', { pico: 'lab', url: from }).catch((error: unknown) => error)
      const message = expect.stringContaining(`${url} cannot be fetched (ETIMEDOUT)`)
      expect(await refused(url)).toMatchObject({ code: 'ruleset.unreachable', message })
      const nobody = 'http://127.0.0.1:1/x.krl'
      const none = expect.stringContaining(`${nobody} cannot be fetched (ECONNREFUSED)`)
      expect(await refused(nobody)).toMatchObject({ code: 'ruleset.unreachable', message: none })
    } finally {
      await hasty.close()
      silent.closeAllConnections()
      silent.close()
    }
  })

  test('see nothing more of an event that error error ended', async () => {
    const url = await served(`ruleset test.second {
      meta { shares heard }
      global { heard = function() { ent:heard } }
      rule heard { select when test give_up or test count
        fired { ent:heard := event:name } } }`)
    await engine.verb('ruleset.install', { pico: 'lab', url })
    await engine.event('lab', 'test', 'count')
    await engine.event('lab', 'test', 'give_up')
    expect(await engine.query('lab', 'test.second', 'heard')).toBe('count')
    expect((await ask('errors')).at(-1)).toMatchObject({ data: 'no more', rule_name: 'give_up' })
    expect((await ask('both')).a).not.toBe('heard by the same ruleset')
  })

  test('are logged when they select', async () => {
    const log = (await logged(engine, 'lab')) as { code: string; rule?: string }[]
    expect(log.some(record => record.code === 'rule.selected' && record.rule === 'count')).toBe(true)
  })

  test('are logged with the attributes of ordinary events whole, and of huge ones in brief', async () => {
    const from = `did:peer:4zQm${'x'.repeat(1_500)}`
    const ordinary = { sensor: 's0', from, readings: [1, 2.5, null], thing: { name: 'out', on: true } }
    const huge = { big: 'x'.repeat(1_000_000), list: Array.from({ length: 5_000 }, (_, i) => i), after: 'y' }
    await engine.event('lab', 'test', 'count', ordinary)
    await engine.event('lab', 'test', 'grumble', huge)
    const log = (await logged(engine, 'lab')) as { rule?: string; code: string; message: string; attrs?: object }[]
    const shown = (rule: string) => log.filter(r => r.code === 'rule.selected' && r.rule === rule).map(r => r.attrs)
    expect(shown('count')).toContainEqual(ordinary)
    expect(shown('grumble')).toHaveLength(1)
    expect(shown('grumble')[0]).toMatchObject({ big: `${'x'.repeat(200)}…`, '…': '1 more' })
    expect(JSON.stringify(shown('grumble')[0]).length).toBeLessThan(5_000)
    await engine.event(
      'lab',
      'test',
      'grumble',
      Object.fromEntries(Array.from({ length: 200 }, (_, n) => [`k${n}`, n])),
    )
    const many = (await logged(engine, 'lab')) as typeof log
    const last = many.filter(r => r.code === 'rule.selected' && r.rule === 'grumble').at(-1)
    expect(Object.keys(last?.attrs ?? {})).toHaveLength(100)
    expect(last?.attrs).toMatchObject({ k0: 0, '…': '101 more' })
    expect(log.filter(r => r.code === 'ruleset.error').map(r => r.message)).toContain(`${'x'.repeat(2_000)}…`)
  })
})
