// The one seam between the edges (HTTP, WebSocket, admin, command line) and the engine: everything an edge may ask.
// Surfaces are those of the contract's sections 3 and 4. Refusals are thrown as PicoError {code, message, place};
// the edges turn a code into an HTTP status, an exit code or a sentence, and never decide anything themselves.

import type { Json, JsonObject } from './ports.ts'

/** What an inbound envelope came on. */
export interface Carrier {
  /** The line stays open (WebSocket): replies may be pushed later through `reply`; nothing is waited for. */
  readonly live: boolean
  /** False: the line is gone. */
  readonly reply?: (envelope: Uint8Array) => boolean
}

/** 200 carries an envelope for return-route; 202 = durable, also for a refusal after the recipient was found. */
export interface Received {
  readonly status: 200 | 202 | 400 | 404 | 413 | 429 | 503
  readonly body?: Uint8Array
  /** Media type of `body`. */
  readonly contentType?: string
  /** To be called once with whether `body` went out; if it did not, the outbox delivers it. */
  readonly carried?: (out: boolean) => void
  /** Seconds, with 503 and 429. */
  readonly retryAfter?: number
  /** Counts against the sender's address although the status says nothing (a replay, an unauthenticated message). */
  readonly refused?: boolean
}

export interface EventRequest {
  readonly eci: string
  readonly domain: string
  readonly name: string
  /** Query string, body and `_headers` merged. */
  readonly attrs: JsonObject
  /** `Idempotency-Key`, identity within the channel: another event, other attributes (`_headers` left out) or another
   *  query under the same id is `event.conflict`. */
  readonly id?: string
  /** Wait until applied and durable (true) or only until durable. */
  readonly wait: boolean
  /** A query after the event, over the same channel with the same attributes as arguments; implies `wait`. */
  readonly query?: { readonly rid: string; readonly name: string }
}

export interface EventResult {
  readonly eid: string
  /** With `wait`. */
  readonly directives?: readonly Json[]
  readonly replayed?: boolean
  /** With `query`. */
  readonly value?: Json
}

export interface QueryRequest {
  readonly eci: string
  readonly rid: string
  readonly name: string
  readonly args: JsonObject
}

/** An invitation as its short URL shows it. */
export interface InvitationView {
  readonly invitation: Json
  /** Long form, for wallets that cannot fetch the short one. */
  readonly url: string
  readonly label: string
  readonly state: 'open' | 'used' | 'expired'
  readonly goal?: string
}

/** The engine as the edges see it. A call from HTTP is `outside`: the channel's policy applies. */
export interface Agent {
  /** A verb of the contract's section 3, with exactly the answer of its table. Throws PicoError; `usage` = bad arguments. */
  verb(name: string, args: JsonObject): Promise<Json>
  /** One envelope, whatever it is. Never throws for what a peer did. */
  receive(envelope: Uint8Array, carrier: Carrier): Promise<Received>
  /** Throws as `event` when no such channel is here: a look-up, nothing is asked of the pico. */
  channel(eci: string): void
  /** Throws PicoError: codes of the table in errors.ts; `pico.moved` has place {movedTo: base URL of the target engine},
   *  `pico.frozen` is thrown after the engine held the request for 10 s. */
  event(request: EventRequest): Promise<EventResult>
  /** Throws as `event`. */
  query(request: QueryRequest): Promise<Json>
  /** Undefined when there is none of that id; throws as `event` when its pico moved. */
  invitation(id: string): Promise<InvitationView | undefined>
  ready(): { readonly ready: boolean; readonly reason?: string }
  /** Live stream for the console and `logs -f`: `{kind: 'log', at, picoId, level, code, message, …}` and, for redrawing,
   *  `{kind: 'pico' | 'connection' | 'ruleset' | 'channel' | 'move' | 'engine', …}`. Returns the stop function. */
  watch(listener: (event: JsonObject) => void): () => void
}
