// The example as its reader would try it: two engines, heartbeats over HTTP, a violation in a child that reaches the
// watcher on the other engine, the question back, and a remark the other way.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { EngineProcess, until } from '../examples/engine-process.ts'
import { type Emitter, emit, postUntilAcknowledged } from '../examples/sensor-community/emitter.ts'
import {
  type Connection,
  connect,
  makeCommunity,
  makeWatcher,
  POLICY,
  RID,
} from '../examples/sensor-community/setup.ts'

const folder = mkdtempSync(join(tmpdir(), 'picomesh-community-'))
let a: EngineProcess
let b: EngineProcess
let kitchen: Emitter
let attic: Emitter
let remarks: string
let toCommunity: Connection

beforeAll(async () => {
  ;[a, b] = await Promise.all([
    EngineProcess.start({ home: join(folder, 'a'), port: 0 }),
    EngineProcess.start({ home: join(folder, 'b'), port: 0 }),
  ])
  ;[kitchen, attic] = (await makeCommunity(a, 'community', ['kitchen', 'attic'])) as [Emitter, Emitter]
  remarks = await makeWatcher(b, 'watcher')
  const host = { engine: a, pico: 'community', ...POLICY.community }
  ;[, toCommunity] = await connect(host, { engine: b, pico: 'watcher', ...POLICY.watcher })
}, 30_000)

afterAll(async () => {
  await Promise.all([a?.stop(), b?.stop()])
  rmSync(folder, { recursive: true, force: true })
})

describe('the sensor community', () => {
  test('sensors are children with a ruleset and a channel of their own', async () => {
    const tree =
      await a.verb<{ children: { name: string; children: { name: string; rulesets: string[] }[] }[] }[]>('pico.tree')
    const community = tree[0]?.children.find(({ name }) => name === 'community')
    expect(community?.children.map(({ name }) => name)).toEqual(['kitchen', 'attic'])
    expect(await a.query('attic', RID.sensor, 'profile')).toEqual({
      name: 'attic',
      threshold: 80,
      heartbeats: attic.channel,
    })
  })

  test('a heartbeat below the threshold is a reading and nothing more', async () => {
    await emit(kitchen, 1, 70.5)
    const last = await until('the reading', 5_000, async () => {
      const all = await a.query<Record<string, { temperature: number }>>('community', RID.community, 'lastTemperatures')
      return all.kitchen
    })
    expect(last.temperature).toBe(70.5)
    expect(await a.query('community', RID.community, 'violations')).toEqual({})
  })

  test('a violation in a child reaches the watcher, which asks for all temperatures', async () => {
    await emit(attic, 1, 99)
    const temperatures = await until('the answer', 5_000, async () => {
      const all = await b.query<Record<string, { temperature: number }>>('watcher', RID.watcher, 'temperatures')
      return Object.keys(all).length > 0 ? all : undefined
    })
    expect(await a.query('community', RID.community, 'violations')).toEqual({ 'attic 1': 1 })
    expect(await b.query('watcher', RID.watcher, 'violations')).toEqual({ 'attic 1': 1 })
    expect(temperatures).toMatchObject({ kitchen: { temperature: 70.5 }, attic: { temperature: 99 } })
  })

  test('the same heartbeat again, with its key, changes nothing', async () => {
    expect(await emit(attic, 1, 99)).toBe(1)
    expect(await a.query('attic', RID.sensor, 'applied')).toEqual({ 1: 1 })
  })

  test('remarks go the other way, in order; what the policy does not name has no effect', async () => {
    const { connectionId } = toCommunity
    const remark = (sequence: string) =>
      postUntilAcknowledged(() => `${b.url}/c/${remarks}/event/watcher/remark_wanted`, sequence, {
        connectionId,
        sequence,
      })
    await remark('r1')
    await b.verb('pico-event', {
      pico: 'watcher',
      connection: connectionId,
      domain: 'community',
      type: 'sensor_wanted',
      attrs: { name: 'shed' },
    })
    await remark('r2')
    const heard = await until('the second remark', 4_000, async () => {
      const all = await a.query<Record<string, number>>('community', RID.community, 'remarks')
      return all.r2 === undefined ? undefined : all
    })
    expect(heard).toEqual({ r1: 1, r2: 1 })
    const sensors = await a.query<Record<string, object>>('community', RID.community, 'sensors')
    expect(Object.keys(sensors)).toEqual(['kitchen', 'attic'])
  })

  test('a heartbeat channel takes heartbeats only', async () => {
    const url = `${a.url}/c/${kitchen.channel}/event/sensor/threshold_wanted?threshold=1`
    expect((await fetch(url, { method: 'POST' })).status).toBe(403)
    expect((await fetch(`${a.url}/c/${kitchen.channel}/query/${RID.sensor}/lastTemperature`)).status).toBe(200)
  })
})
