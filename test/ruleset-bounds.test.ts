// What one ruleset may do to others and to the engine: what a module gives, who may be uninstalled, whose jobs it may
// end, where it may install from, how much it may raise; and what is left of it when its text or its job is gone.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals'
import { LabEngine, served, unserve, until } from './lab.ts'

jest.setTimeout(60_000)

let engine: LabEngine
beforeAll(async () => {
  engine = await LabEngine.start()
})
afterAll(async () => {
  await engine.close()
  unserve()
})

/** The code an event is refused with; 'done' when it is not. */
const raising = (pico: string, domain: string, type: string, attrs: { [name: string]: string | number }) =>
  engine.refusal('event', { pico, domain, type, attrs, wait: true })

test('the progress of an event expression is dropped when its select changes', async () => {
  const text = (second: string) => `ruleset test.select {
    rule both { select when test one before test ${second} send_directive("both came", {}) } }`
  const pico = await engine.pico('select', text('two'))
  await engine.event(pico, 'test', 'one')
  await served(text('three'))
  await engine.verb('ruleset.flush', { target: 'test.select' })
  expect((await engine.event(pico, 'test', 'three')).directives).toEqual([])
  await engine.event(pico, 'test', 'one')
  expect((await engine.event(pico, 'test', 'three')).directives).toMatchObject([{ name: 'both came' }])
})

test('a module gives what it provides and nothing else', async () => {
  await served(
    'ruleset test.secretive { meta { provides open } global { secret = function() { "s" } open = function() { "o" } } }',
  )
  const pico = await engine.pico(
    'curious',
    `ruleset test.curious { meta { use module test.secretive alias m shares open, secret }
      global { open = function() { m:open() } secret = function() { m:secret() } } }`,
  )
  expect(await engine.query(pico, 'test.curious', 'open')).toBe('o')
  expect(await engine.refusal('query', { pico, rid: 'test.curious', name: 'secret', args: {} })).toBe('ruleset.failed')
})

test('a ruleset that another one uses stays, whoever wants it gone', async () => {
  const base = 'ruleset test.base { meta { provides f } global { f = function() { 1 } } }'
  const user =
    'ruleset test.above { meta { use module test.base alias m shares g } global { g = function() { m:f() } } }'
  const pico = await engine.pico('layers', base, user)
  expect(await engine.refusal('ruleset.rm', { pico, rid: 'test.base' })).toBe('ruleset.in_use')
  expect(await raising(pico, 'wrangler', 'uninstall_ruleset_request', { rid: 'test.base' })).toBe('ruleset.failed')
  expect(await engine.query(pico, 'test.above', 'g')).toBe(1)
})

test('a rule installs file: rulesets only below a folder of one that the owner installed', async () => {
  const folders = ['own', 'other'].map(name => mkdtempSync(join(tmpdir(), `picomesh-${name}-`))) as [string, string]
  const file = (folder: string, rid: string) => {
    const path = join(folder, `${rid}.krl`)
    writeFileSync(path, `ruleset ${rid} { meta { shares x } global { x = 1 } }`)
    return `file://${path}`
  }
  try {
    const pico = await engine.pico(
      'installer',
      'ruleset test.installer { rule i { select when test install ctx:install(event:attr("url"), {}) } }',
    )
    await engine.verb('ruleset.install', { pico, url: file(folders[0], 'test.first') })
    expect(await raising(pico, 'test', 'install', { url: file(folders[0], 'test.beside') })).toBe('done')
    expect(await raising(pico, 'test', 'install', { url: file(folders[1], 'test.elsewhere') })).toBe(
      'ruleset.forbidden',
    )
  } finally {
    for (const folder of folders) rmSync(folder, { recursive: true })
  }
})

test('a step raises at most a thousand events', async () => {
  const pico = await engine.pico(
    'echo',
    `ruleset test.echo { rule many { select when test many
      foreach 1.range(event:attr("n").as("Number")) setting(i)
      fired { raise test event "heard" } } }`,
  )
  expect(await raising(pico, 'test', 'many', { n: 900 })).toBe('done')
  expect(await raising(pico, 'test', 'many', { n: 1100 })).toBe('ruleset.budget')
})

const JOBS = `ruleset test.jobs { meta { shares jobs, n }
  global { jobs = function() { schedule:list() } n = function() { ent:n.defaultsTo(0) } }
  rule count { select when test count fired { ent:n := ent:n.defaultsTo(0) + 1 } }
  rule soon { select when test soon
    fired { schedule test event "count" at time:add(time:now(), {"seconds": 0.05}) } }
  rule later { select when test later
    fired { schedule test event "count" at time:add(time:now(), {"hours": 5}) } }
  rule stop { select when test stop schedule:remove(event:attr("id")) } }`

test('a ruleset removes its own jobs only', async () => {
  const other = 'ruleset test.others { rule o { select when test others schedule:remove(event:attr("id")) } }'
  const pico = await engine.pico('jobs', JOBS, other)
  await engine.event(pico, 'test', 'later')
  const [job] = await engine.query(pico, 'test.jobs', 'jobs')
  await engine.event(pico, 'test', 'others', { id: job.id })
  expect(await engine.query(pico, 'test.jobs', 'jobs')).toHaveLength(1)
  await engine.event(pico, 'test', 'stop', { id: job.id })
  expect(await engine.query(pico, 'test.jobs', 'jobs')).toEqual([])
})

test('a job that fired or was removed leaves no timer behind', async () => {
  const pico = await engine.pico('timers', JOBS)
  const timers = () => engine.node.engine.read(pico, view => view.list('timer').length)
  const before = await timers()
  await engine.event(pico, 'test', 'later')
  expect(await timers()).toBe(before + 1)
  const [job] = await engine.query(pico, 'test.jobs', 'jobs')
  await engine.event(pico, 'test', 'stop', { id: job.id })
  expect(await timers()).toBe(before)
  await engine.event(pico, 'test', 'soon')
  await until('the job', async () => (await engine.query(pico, 'test.jobs', 'n')) === 1)
  expect(await timers()).toBe(before)
})
