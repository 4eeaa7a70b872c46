// pure
// An event that someone outside raises over a channel: what its id stands for, what it is called, what its sender is
// told. One place for HTTP and the command line, since they share the ids of a channel (contract 4, Idempotency-Key).

import { fromHex } from '../wallet/bytes.ts'
import type { EventRequest, EventResult } from './agent.ts'
import { PicoError, RuleFailed } from './errors.ts'
import { jcsHash } from './hash.ts'
import { uuidOf } from './pico.ts'
import type { Json, JsonObject, Stimulus } from './ports.ts'

type SentEvent = Omit<EventRequest, 'wait'>

/** `eid` is used when the event has no id of its own. */
export function sentEvent(sent: SentEvent, eid: string): Extract<Stimulus, { kind: 'event' }> {
  const { eci, domain, name, attrs, id, query } = sent
  const event = {
    kind: 'event',
    eci,
    outside: true,
    domain,
    name,
    attrs,
    ...(query === undefined ? {} : { query }),
  } as const
  if (id === undefined) return { ...event, eid }
  return { ...event, id, keep: true, eid: eidOf(eci, id), bodyHash: bodyHash(sent) }
}

/** Follows from the id: every answer to a repetition names the one event, also one given before the event had its turn
 *  or after its answer was forgotten. `sender` is whose ids these are. */
export function eidOf(sender: string, id: string): string {
  return uuidOf(fromHex(jcsHash([sender, id])) as Uint8Array)
}

/** Request headers differ between repetitions. A query after the event is part of what was asked: its value is the
 *  answer, so another one, or none, under the same id is another request. */
function bodyHash({ domain, name, attrs, query }: SentEvent): string {
  const { _headers, ...body } = attrs
  return jcsHash(query === undefined ? [domain, name, body] : [domain, name, body, query.rid, query.name])
}

/** Throws a refusal, and to one who waits RuleFailed too, for an event that was taken (it has an eid). Without waiting,
 *  durable is all that is promised: what became of the event is the pico's business. */
export function toldOf(answer: Json, eid: string, waited: boolean): EventResult {
  const { eid: given, error, directives, replayed, value } = answer as JsonObject
  if (error !== undefined && given === undefined) throw refusalOf(error as JsonObject)
  if (error !== undefined && waited) throw failureOf(error as JsonObject)
  const taken = typeof given === 'string' ? given : eid
  if (!waited) return { eid: taken }
  return {
    eid: taken,
    directives: (directives as Json[] | undefined) ?? [],
    ...(replayed === true ? { replayed } : {}),
    ...(value === undefined ? {} : { value }),
  }
}

/** `{code, message, …place}` of an answer as what is thrown. One that names a ruleset was thrown by its code. */
export function refusalOf(error: JsonObject): PicoError {
  return error.rid === undefined ? new PicoError(...said(error)) : failureOf(error)
}

function failureOf(error: JsonObject): RuleFailed {
  return new RuleFailed(...said(error))
}

function said({ code, message, ...place }: JsonObject): [code: string, message: string, place: JsonObject] {
  return [String(code ?? 'engine.fault'), String(message ?? 'refused'), place]
}
