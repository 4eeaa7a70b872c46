// Which verb brings the answer behind each key of the state.

import { ask } from './api.ts'
import type { Room } from './state.ts'
import type { Json, JsonObject, Ruleset } from './types.ts'

/** Records of the past asked for when a log is opened. */
const PAST = 200

const LOAD: Record<Room, (pico: string) => Promise<Json>> = {
  rulesets: pico => ask('ruleset.ls', { pico }),
  channels: pico => ask('channel.ls', { pico }),
  connections: pico => ask('connection.ls', { pico }),
  messages: pico => ask('msg.ls', { pico }),
  state: pico => ask('pico.state', { pico }),
  logs: pico => ask('logs', { pico, n: PAST }),
  testing,
}

/** Asks for what `key` names. Throws Refusal. */
export function load(key: string): Promise<Json> {
  if (key === 'status') return ask('status', {})
  if (key === 'picos') return ask('pico.ls', {})
  const at = key.indexOf('/')
  return LOAD[key.slice(0, at) as Room](key.slice(at + 1))
}

/** `{[rid]: __testing}` of all rulesets, in their order. One that does not answer declares nothing. */
async function testing(pico: string): Promise<Json> {
  const rulesets = (await ask('ruleset.ls', { pico })) as unknown as Ruleset[]
  const declared = await Promise.all(
    rulesets.map(
      async ({ rid }) =>
        [rid, await ask('query', { pico, rid, name: '__testing', args: {} }).catch(() => ({}))] as const,
    ),
  )
  return Object.fromEntries(declared) as JsonObject
}
