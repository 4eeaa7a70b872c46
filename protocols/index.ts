// The protocols spoken here, and what that list says of a message. To add one: its file, one word in `protocols`, one
// transcript in test/protocols.

import { basicMessage } from './basicmessage.ts'
import { didExchange } from './didexchange.ts'
import { discoverFeatures } from './discover-features.ts'
import { empty } from './empty.ts'
import { firstContact } from './first-contact.ts'
import { eventOf, refuse, tables } from './machine.ts'
import { isProblem, type Problem, parseType } from './message.ts'
import { move } from './move.ts'
import { notification } from './notification.ts'
import { outOfBand } from './out-of-band.ts'
import { pico } from './pico.ts'
import { relocate } from './relocate.ts'
import { reportProblem } from './report-problem.ts'
import { routing } from './routing.ts'
import { trustPing } from './trust-ping.ts'
import type { Circumstances, Feature, Protocol, Refused } from './turn.ts'

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

/** How a message of these finds its protocol, trigger and thread. */
export const { byName, byType, dispatch } = tables(protocols)

/** The refusal of a message that found no table: the general problem report, to a peer of a connection. */
export function refuseUnknown(fault: Problem, given: Circumstances): Refused {
  return refuse(reportProblem, fault, 'receive unknown', given)
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
