// The sensor community as the demonstration and the tests begin it: a community with sensors on one engine, a watcher on
// another, joined by an invitation's URL.

import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type EngineProcess, ROOT, until } from '../engine-process.ts'
import type { Emitter } from './emitter.ts'

export const RID = {
  community: 'picomesh.sensor_community',
  sensor: 'picomesh.sensor',
  watcher: 'picomesh.watcher',
} as const

/** URL of a ruleset of this example. */
export const rulesetUrl = (name: 'community' | 'sensor' | 'watcher') =>
  pathToFileURL(join(ROOT, 'examples', 'sensor-community', `${name}.krl`)).href

export interface Connection {
  readonly connectionId: string
  readonly state: string
  readonly myDid: string
  readonly theirDid: string
}

type Sensors = Record<string, { eci: string; id: string; did: string; heartbeats?: string }>

/** Makes a community with sensors; an emitter for each, in the order of the names. */
export async function makeCommunity(
  engine: EngineProcess,
  community: string,
  sensors: readonly string[],
  threshold = 80,
): Promise<Emitter[]> {
  await engine.verb('pico.new', { name: community, rulesets: [rulesetUrl('community')] })
  for (const name of sensors)
    await engine.verb('event', {
      pico: community,
      domain: 'community',
      type: 'sensor_wanted',
      attrs: { name, threshold },
      wait: true,
    })
  const made = await until('the sensors to open their channels', 10_000, async () => {
    const all = await engine.query<Sensors>(community, RID.community, 'sensors')
    return sensors.every(name => all[name]?.heartbeats !== undefined) ? all : undefined
  })
  return sensors.map(name => ({ name, url: engine.url, channel: made[name]?.heartbeats as string }))
}

/** Makes a watcher; the channel by which remarks are wished of it. */
export async function makeWatcher(engine: EngineProcess, name: string): Promise<string> {
  await engine.verb('pico.new', { name, rulesets: [rulesetUrl('watcher')] })
  const { eci } = await engine.verb<{ eci: string }>('channel.new', {
    pico: name,
    tags: ['remarks'],
    events: 'watcher:remark_wanted',
  })
  return eci
}

/** Invites by URL from `host` and accepts at `guest`; both records, the host's first. */
export async function connect(
  host: { readonly engine: EngineProcess; readonly pico: string; readonly events: string; readonly queries: string },
  guest: { readonly engine: EngineProcess; readonly pico: string; readonly events: string; readonly queries?: string },
): Promise<[Connection, Connection]> {
  const { events, queries } = host
  const { shortUrl } = await host.engine.verb<{ shortUrl: string }>('invite', {
    pico: host.pico,
    version: 'v1',
    multi: false,
    approve: false,
    events,
    queries,
  })
  const mine = await guest.engine.verb<Connection & Record<string, never>>('accept', {
    pico: guest.pico,
    invitation: shortUrl,
    events: guest.events,
    queries: guest.queries ?? '',
    wait: true,
  })
  const theirs = await until('the inviter to be connected', 5_000, async () => {
    const all = await host.engine.verb<Connection[] & Record<string, never>>('connection.ls', { pico: host.pico })
    return all.find(({ state, theirDid }) => state === 'established' && theirDid === mine.myDid)
  })
  return [theirs, mine]
}

/** Sensor and community answer remarks and queries; the watcher takes violations and readings. */
export const POLICY = {
  community: { events: 'visitor:remark', queries: `${RID.community}/*` },
  sensor: { events: 'visitor:remark', queries: `${RID.sensor}/*` },
  watcher: { events: 'watcher:threshold_violation,watcher:reading' },
} as const
