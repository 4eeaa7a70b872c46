// pure
// Channels: capability URLs with a policy, for what speaks no DIDComm. The directory holds a keyed hash of the ECI.

import { RulesetFault } from '../krl/types.ts'
import { type Channel, GROUP, ordinal, type Run, readChannel } from './pico.ts'
import { cleanTags, readPolicy } from './policy.ts'
import type { Json } from './ports.ts'

/** Makes a channel, or writes `before` anew under its ECI. Throws RulesetFault for bad tags or policies. */
export function openChannel(run: Run, tags: Json, events: Json, queries: Json, before?: Channel): Channel {
  const clean = cleanTags(tags)
  const eventPolicy = readPolicy(events ?? { allow: [], deny: [] }, 'event')
  const queryPolicy = readPolicy(queries ?? { allow: [], deny: [] }, 'query')
  if (clean === undefined) throw new RulesetFault('ruleset.failed', 'a channel needs a list of tags')
  if (clean.includes('system')) throw new RulesetFault('ruleset.failed', 'the tag "system" is reserved')
  if (typeof eventPolicy === 'string') throw new RulesetFault('ruleset.failed', eventPolicy)
  if (typeof queryPolicy === 'string') throw new RulesetFault('ruleset.failed', queryPolicy)
  if (before?.tags.includes('system')) throw new RulesetFault('channel.family', 'a family channel cannot be changed')
  return putChannel(run, {
    id: before?.id ?? run.eci(),
    tags: clean,
    eventPolicy,
    queryPolicy,
    familyChannelPicoID: null,
    n: before?.n ?? ordinal(run.records),
  })
}

export function putChannel(run: Run, channel: Channel): Channel {
  run.records.put(GROUP.channel, channel.id, channel as unknown as Json)
  run.records.bind(`eci:${channel.id}`, true)
  return channel
}

/** Family channels go only with the family. */
export function closeChannel(run: Run, eci: string): void {
  const channel = readChannel(run.records, eci)
  if (channel === undefined) throw new RulesetFault('channel.unknown', 'this pico has no such channel')
  if (channel.familyChannelPicoID !== null)
    throw new RulesetFault('channel.family', 'a family channel cannot be deleted')
  dropChannel(run, eci)
}

export function dropChannel(run: Run, eci: string): void {
  run.records.put(GROUP.channel, eci, undefined)
  run.records.bind(`eci:${eci}`, false)
}
