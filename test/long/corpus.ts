// The rulesets of windley/temperature-network, unmodified, as their users would run them: install, heartbeats over
// HTTP, a violation that reaches the community, the emitter's schedule, 200 children asked at once. They are not part
// of this repository: PICOMESH_CORPUS names the folder of a clone.

import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { EngineProcess, until } from '../../examples/engine-process.ts'
import type { JsonObject } from '../../src/ports.ts'
import type { LongOptions } from './run.ts'

const CHILDREN = 200
const LIMIT_MS = 200
const HEARTBEAT = {
  payload: 'y7AJrwD2AQj1f/8=',
  payload_size: 11,
  name: 'First',
  uuid: 'cb9f03ec',
  reported_at: 1649362146028,
}

type Channel = { eci: string; tags: string[] }

/** Prints each figure; false when one is not as promised, or when there is no corpus to run. */
export async function run({ rounds = CHILDREN }: LongOptions): Promise<boolean> {
  const folder = process.env.PICOMESH_CORPUS
  if (folder === undefined) {
    console.log('set PICOMESH_CORPUS to the folder of a clone of windley/temperature-network')
    return false
  }
  const home = mkdtempSync(join(tmpdir(), 'picomesh-corpus-'))
  const engine = await EngineProcess.start({ home, port: 0 })
  try {
    return await drive(engine, resolve(folder), rounds)
  } finally {
    await engine.stop()
    rmSync(home, { recursive: true, force: true })
  }
}

async function drive(engine: EngineProcess, folder: string, count: number): Promise<boolean> {
  const files = readdirSync(folder).filter(name => name.endsWith('.krl'))
  await engine.verb('pico.new', { name: 'community' })
  for (const file of files)
    await engine.verb('ruleset.install', { pico: 'community', url: pathToFileURL(join(folder, file)).href })
  console.log(`${files.length} of ${files.length} rulesets install unmodified`)

  await sensor(engine, 's0')
  await engine.verb('event', {
    pico: 's0',
    domain: 'sensor',
    type: 'new_threshold',
    attrs: { threshold_type: 'device_temperature', upper_limit: 60, lower_limit: 50 },
    wait: true,
  })
  await heartbeat(engine, 's0')
  const violation = await until('catch_threshold_violation in the logs', 15_000, async () => {
    const log = await engine.verb<JsonObject[]>('logs', { pico: 'community', n: 5_000 })
    return log.find(record => record.code === 'rule.selected' && record.rule === 'catch_threshold_violation')
  })
  const attrs = violation.attrs as JsonObject
  const told = attrs.pico_name === 's0' && attrs.name === 'device_temperature' && typeof attrs.reading === 'number'
  console.log(`violation in the community's log: ${JSON.stringify(attrs)}`)

  const runs = await schedule(engine)
  console.log(`the emitter's schedule ran ${runs} time(s)`)

  for (let n = 1; n < count; n++) await sensor(engine, `s${n}`)
  for (let n = 1; n < count; n++) await heartbeat(engine, `s${n}`)
  const times: number[] = []
  let answered = 0
  for (let n = 0; n < 5; n++) {
    const since = performance.now()
    const all = await engine.query<{ lastTemperature: number }[]>(
      'community',
      'io.picolabs.sensor.community',
      'lastTemperatures',
    )
    times.push(performance.now() - since)
    answered = all.filter(one => typeof one.lastTemperature === 'number').length
  }
  const slowest = Math.max(...times)
  console.log(
    `lastTemperatures over ${count} children: ${answered} answers, ${times.map(t => t.toFixed(0)).join(', ')} ms, limit ${LIMIT_MS} ms`,
  )
  return files.length === 13 && told && runs > 0 && answered === count && slowest <= LIMIT_MS
}

/** A sensor as the community makes it, with all its rulesets. */
async function sensor(engine: EngineProcess, name: string): Promise<void> {
  await engine.verb('event', {
    pico: 'community',
    domain: 'sensor',
    type: 'initiation',
    attrs: { name, type: 'lht65' },
    wait: true,
  })
  await until(`${name} with its channel`, 15_000, async () => {
    const channels = await engine.verb<Channel[]>('channel.ls', { pico: `root/community/${name}` }).catch(() => [])
    return channels.find(channel => channel.tags.includes('lht65'))
  })
}

async function heartbeat(engine: EngineProcess, name: string): Promise<void> {
  const channels = await engine.verb<Channel[]>('channel.ls', { pico: `root/community/${name}` })
  const { eci } = channels.find(channel => channel.tags.includes('lht65')) as Channel
  const answer = await fetch(`${engine.file.publicUrl}/c/${eci}/event-wait/lht65/heartbeat`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(HEARTBEAT),
  })
  if (answer.status !== 200) throw new Error(`heartbeat: ${answer.status} ${await answer.text()}`)
}

/** The emitter schedules a step of 300 seconds, which selects second 0: it runs within a minute. */
async function schedule(engine: EngineProcess): Promise<number> {
  const jobs = await engine.query<unknown[]>('community', 'io.picolabs.wovyn.emitter', 'schedule')
  if (jobs.length === 0) return 0
  const ran = async () => {
    const log = await engine.verb<JsonObject[]>('logs', { pico: 'community', n: 20_000 })
    return log.filter(record => record.code === 'rule.selected' && record.rule === 'raise_emitter_event').length
  }
  return until('the emitter’s schedule', 65_000, async () => (await ran()) || undefined)
}
