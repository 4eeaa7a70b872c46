// The protocols spoken here, and how a message finds its table. To add one: its file, one word in `protocols`, one
// transcript in test/protocols.

import { basicMessage } from './basicmessage.ts'
import { didExchange } from './didexchange.ts'
import { discoverFeatures } from './discover-features.ts'
import { empty } from './empty.ts'
import { firstContact } from './first-contact.ts'
import { eventOf, refuse } from './machine.ts'
import { isProblem, type Message, type Problem, parseType, problem, sameMajor } from './message.ts'
import { move } from './move.ts'
import { notification } from './notification.ts'
import { outOfBand } from './out-of-band.ts'
import { pico } from './pico.ts'
import { relocate } from './relocate.ts'
import { reportProblem } from './report-problem.ts'
import { routing } from './routing.ts'
import { trustPing } from './trust-ping.ts'
import type { Circumstances, Feature, Protocol, Refused, Thread, Trigger } from './turn.ts'

/** `first-contact` stands before `trust-ping`, whose messages it shares. */
export const protocols: readonly Protocol[] = [
  outOfBand,
  didExchange,
  firstContact,
  trustPing,
  basicMessage,
  discoverFeatures,
  reportProblem,
  notification,
  empty,
  routing,
  pico,
  relocate,
  move,
]

/** The protocol of that name (a thread's `protocol`). */
export function byName(name: string): Protocol | undefined {
  return protocols.find(one => one.name === name)
}

/** The protocols that know a message type, and its name in their tables; same major version, any minor (RFC 0003). */
export function byType(uri: string): readonly Known[] {
  const known = knownTypes.get(uri)
  if (known !== undefined) return known
  const type = parseType(uri)
  if (isProblem(type)) return []
  const found = protocols.flatMap(protocol => {
    const name = canonical(protocol, type.piuri, type.name)
    return name === undefined ? [] : [{ protocol, name }]
  })
  if (knownTypes.size >= TYPES_KEPT) knownTypes.clear()
  knownTypes.set(uri, found)
  return found
}

interface Known {
  readonly protocol: Protocol
  readonly name: string
}

// The tables never change; types come from peers, so past a number all are forgotten.
const knownTypes = new Map<string, readonly Known[]>()
const TYPES_KEPT = 500

function canonical(protocol: Protocol, piuri: string, wireName: string): string | undefined {
  for (const dialect of protocol.speaks.filter(one => sameMajor(one.uri, piuri))) {
    const names = dialect.only ?? Object.keys(protocol.messages)
    const name = names.find(one => (dialect.wire?.[one] ?? one) === wireName || one === wireName)
    if (name !== undefined) return name
  }
  return undefined
}

export interface Dispatched {
  readonly protocol: Protocol
  readonly trigger: Trigger
  readonly thread?: Thread
  /** The thread of `pthid`: pass it on in the turn. */
  readonly parent?: Thread
}

/**
 * Finds table, trigger and thread for a message. `find` looks a thread up by id (compared by `idKey`).
 * A general problem report on a thread whose protocol has a report of its own goes there, whatever its family.
 * Problems: `message.unsupported` (no such protocol or message), `message.version` (another major version).
 */
export function dispatch(message: Message, find: (threadId: string) => Thread | undefined): Dispatched | Problem {
  const parent = message.pthid === undefined ? undefined : find(message.pthid)
  const found = byType(message.type)
  if (found.length === 0) return unknown(message)
  for (const { protocol, name } of found) {
    const thread = find(protocol.threadKey?.(message) ?? message.thid)
    const reported = protocol.messages[name]!.problem ? (owner(find(message.thid)) ?? owner(parent)) : undefined
    if (reported) return { ...reported, ...(parent && { parent }) }
    const own = thread?.protocol === protocol.name ? thread : undefined
    if (protocol.claims ? protocol.claims(message, own, parent) : !thread || own) {
      return { protocol, trigger: `receive ${name}`, ...(own && { thread: own }), ...(parent && { parent }) }
    }
  }
  return problem('message.unexpected', 'the thread belongs to another protocol', 'thid')
}

/** The thread's own protocol and its report message, if it has one. */
function owner(thread: Thread | undefined): Dispatched | undefined {
  const protocol = thread && byName(thread.protocol)
  const name = protocol && Object.keys(protocol.messages).find(one => protocol.messages[one]!.problem)
  return thread && protocol && name !== undefined ? { protocol, trigger: `receive ${name}`, thread } : undefined
}

/** The refusal of a message that found no table: the general problem report, to a peer of a connection. */
export function refuseUnknown(fault: Problem, given: Circumstances): Refused {
  return refuse(reportProblem, fault, 'receive unknown', given)
}

function unknown(message: Message): Problem {
  const type = parseType(message.type)
  if (isProblem(type)) return type
  const known = (uri: string) => uri.slice(0, uri.lastIndexOf('/')) === `${type.docUri}${type.protocol}`
  return protocols.some(protocol =>
    protocol.speaks.some(dialect => known(dialect.uri) && !sameMajor(dialect.uri, type.piuri)),
  )
    ? problem('message.version', `version ${type.version.major} of ${type.protocol} is not spoken here`, 'type')
    : problem('message.unsupported', 'no protocol here knows that message', 'type')
}

/** `{domain, name}` of the event that a message of that type raises; one name for both versions of a protocol. */
export function eventName(uri: string): { readonly domain: string; readonly name: string } | undefined {
  const [known] = byType(uri).filter(({ protocol }) => !protocol.hidden)
  if (known) return eventOf(known.protocol.name, known.name)
  const type = parseType(uri)
  return isProblem(type) ? undefined : eventOf(type.protocol, type.name)
}

/** What discover-features discloses of these tables: every dialect once, with the roles we take. */
export const features: readonly Feature[] = [
  ...new Map(
    protocols
      .filter(protocol => !protocol.hidden)
      .flatMap(protocol =>
        protocol.speaks.map(
          ({ uri }) => [uri, { type: 'protocol', id: uri, roles: Object.keys(protocol.roles) }] as const,
        ),
      ),
  ).values(),
]
