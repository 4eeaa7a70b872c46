// The seams of the engine (DESIGN 4): what the pure core sees of the world and what it gives back, and what a
// driver promises. A driver owns mailbox, placement, commit and timers; the core owns everything else.

import type { CompiledRuleset } from '../krl/types.ts'

export type Json = null | boolean | number | string | Json[] | { [member: string]: Json }
export type JsonObject = { [member: string]: Json }

/** 32 lower-case hex digits: 128 random bits, never shown to peers. */
export type PicoId = string

// ---- records ---------------------------------------------------------------------------------------------
// A pico is many small records, each named by (group, leaf): `var/<rid>` holds variables by name, `var/<rid>/<name>`
// the entries of a large map variable, `chan` channels by ECI, `conn` connections, … The table is src/stores/keys.ts.
// A store key is (pico, keyed hash of group, keyed hash of leaf); the names themselves are inside the sealed value.

export interface RecordChange {
  readonly group: string
  readonly leaf: string
  /** undefined deletes. */
  readonly value: Json | undefined
}

/** One committed state plus nothing else; the core lays its own writes over it (src/pico.ts). Synchronous.
 *  Values are frozen by convention: never mutate what a view returns. */
export interface View {
  get(group: string, leaf: string): Json | undefined
  /** Every record of the group, in unspecified order. */
  list(group: string): readonly (readonly [leaf: string, value: Json])[]
}
// A driver that has not the data at hand throws `Need` out of `get` or `list`; step() turns it into `{need}`.

export class Need {
  readonly effects: readonly Effect[]
  constructor(effects: readonly Effect[]) {
    this.effects = effects
  }
}

// ---- effects and answers ---------------------------------------------------------------------------------

/** What a run may have to wait for. All but `read` and `code` are recorded as answers, matched by ordinal and hash. */
export type Effect =
  | { readonly kind: 'read'; readonly groups: readonly string[] }
  | { readonly kind: 'code'; readonly hash: string }
  | { readonly kind: 'http'; readonly request: HttpRequest }
  /** Fetch, compile, keep a ruleset and what it uses; `fresh` refetches. `base` is the URL that relative names start from. */
  | {
      readonly kind: 'ruleset'
      readonly url: string
      readonly fresh: boolean
      readonly owner: boolean
      readonly installed: Readonly<Record<string, string>>
    }
  | {
      readonly kind: 'query'
      readonly eci: string
      readonly rid: string
      readonly name: string
      readonly args: JsonObject
      readonly depth: number
      /** What the asker has left (law L8). */
      readonly budget?: Work
      readonly host?: string
    }
  | { readonly kind: 'resolve'; readonly did: string }

export interface HttpRequest {
  readonly method: string
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
  readonly followRedirect: boolean
}

/** An awaited effect's recorded result. `error` is a value the rule sees, never an exception of the engine. `spent` is
 *  what a query of this engine cost: its asker pays. */
export type Answer = (
  | { readonly value: Json }
  | { readonly error: { readonly code: string; readonly message: string; readonly place?: JsonObject } }
) & { readonly spent?: Work }

/** Part of a budget (krl/types.ts). */
export interface Work {
  readonly steps: number
  readonly size: number
}

/** The value of a `ruleset` effect. */
export interface LoadedRuleset {
  readonly rid: string
  readonly url: string
  readonly hash: string
  /** Modules it uses, found by (installed, registry, siblings of the URL): rid → hash and URL. */
  readonly modules: Readonly<Record<string, { readonly hash: string; readonly url: string }>>
}

// ---- the step --------------------------------------------------------------------------------------------

export interface Given {
  /** Milliseconds; of the first run in every rerun. */
  readonly now: number
  /** 32 public bytes; of the first run in every rerun. */
  readonly seed: Uint8Array
  /** Answers by ordinal, recorded in earlier runs of this step. */
  readonly answers: readonly { readonly request: Effect; readonly answer: Answer }[]
  /** An answer the driver has at once (a query to a pico of this engine), or undefined. Recorded by the core like any. */
  ask(effect: Effect): Answer | undefined
  /** Compiled code by hash, if at hand. */
  readonly code: { get(hash: string): CompiledRuleset | undefined }
  /** The pico's draw secret hides drawn keys: HKDF-SHA256(ikm: draw secret, salt: seed, info: label). 32 bytes a call. */
  draw(label: string): Uint8Array
  readonly engine: EngineFacts
}

/** What every step may know of its engine. */
export interface EngineFacts {
  /** Base URL for peers and `meta:host`. */
  readonly baseUrl: string
  readonly engineDid: string
  readonly version: string
}

/** Something that happens to one pico. `id` makes it apply at most once per `sender` (law L4). */
export type Stimulus =
  | { readonly kind: 'create'; readonly id: string; readonly birth: Birth }
  | {
      readonly kind: 'event'
      readonly id?: string
      /** What answers and logs call it, when its sender must know that before it is applied. */
      readonly eid?: string
      readonly eci: string
      /** Came by HTTP: family channels are closed to it and the channel's policy applies. */
      readonly outside: boolean
      readonly domain: string
      readonly name: string
      readonly attrs: JsonObject
      /** Hash of (domain, name, attrs, query): the same id with another body is refused (`event.conflict`, 422). */
      readonly bodyHash?: string
      /** Keep the answer 24 h (Idempotency-Key). */
      readonly keep?: boolean
      /** A query evaluated after the event over the same channel. */
      readonly query?: { readonly rid: string; readonly name: string }
    }
  | { readonly kind: 'message'; readonly opened: OpenedMessage }
  | {
      readonly kind: 'command'
      readonly id?: string
      /** As that of an event. */
      readonly eid?: string
      readonly name: string
      readonly args: JsonObject
    }
  | { readonly kind: 'timer' }
  /** A letter of this pico left, or was given up. */
  | {
      readonly kind: 'letter'
      readonly letterId: string
      readonly outcome: 'delivered' | 'undeliverable'
      readonly attempts: number
      readonly reason?: string
      readonly answer?: Json
      readonly letter?: Letter
    }
  /** `system:error` after a step that faulted; also `engine:dead_letter`. */
  | { readonly kind: 'notice'; readonly domain: string; readonly name: string; readonly attrs: JsonObject }

export interface Birth {
  readonly picoId: PicoId
  readonly name: string
  readonly parentId: PicoId | null
  /** Parent's ECI for the child to use, child's ECI for the parent to use; null for a root. */
  readonly parentEci: string | null
  readonly eci: string
  readonly rulesets: readonly { readonly url: string; readonly config: JsonObject; readonly loaded: LoadedRuleset }[]
  readonly attrs: JsonObject
  /** Where the parent lives when not on this engine. */
  readonly parentUrl?: string
}

/** An envelope opened and checked by the wallet against this pico's keys (src/inbox.ts), not yet policy-checked. */
export interface OpenedMessage {
  readonly version: 'v1' | 'v2'
  /** The message as JSON text was parsed; protocols/message.ts reads it. */
  readonly plaintext: JsonObject
  /** Our key (kid or base58 verkey) that opened it. */
  readonly recipientKid: string
  /** How the sender is authenticated; null only for anoncrypt, which the step refuses. */
  readonly sender: { readonly kid: string; readonly did: string | null; readonly publicKey: string } | null
  /** `from_prior` verified: the DID that vouches and the new one. */
  readonly fromPrior?: { readonly iss: string; readonly sub: string }
  readonly returnRoute: boolean
}

/** A letter leaves after the commit. `lane` orders: one in flight per lane, later ones wait. */
export interface Letter {
  readonly id: string
  readonly lane: string
  readonly created: number
  /** Milliseconds; given up after. */
  readonly expires: number
  readonly body:
    | {
        readonly kind: 'didcomm'
        readonly connectionId?: string
        readonly version: 'v1' | 'v2'
        readonly from: string
        readonly to: string | InlineService
        readonly plaintext: JsonObject
        readonly fromPrior?: string
      }
    | {
        readonly kind: 'event'
        readonly eci: string
        readonly host?: string
        readonly domain: string
        readonly name: string
        readonly attrs: JsonObject
      }
    | { readonly kind: 'create'; readonly birth: Birth }
    /** A peer's query (pico protocol), evaluated on the committed state; the answer is a command on the thread. */
    | {
        readonly kind: 'query'
        readonly threadId: string
        readonly rid: string
        readonly name: string
        readonly args: JsonObject
      }
    | { readonly kind: 'delete'; readonly eci: string; readonly picoId: PicoId }
    | {
        readonly kind: 'http'
        readonly request: HttpRequest
        readonly rid: string
        readonly autoraise?: string
        readonly autosend?: JsonObject
        readonly parseJson?: boolean
      }
  /** Raise `didcomm:message_delivered`/`_undeliverable` when done (peers' letters), or nothing. */
  readonly report: boolean
}

export interface InlineService {
  readonly recipientKeys: readonly string[]
  readonly routingKeys: readonly string[]
  readonly serviceEndpoint: string
}

/** Directory entries: what leads mail and channel URLs to this pico. `key` is `key:<text of a recipient key or kid>` or `eci:<eci>`; stores keep a keyed hash of it. */
export interface Bind {
  readonly key: string
  readonly bound: boolean
}

export interface LogRecord {
  readonly level: 'error' | 'warn' | 'info' | 'debug' | 'klog'
  readonly code: string
  readonly message: string
  readonly [member: string]: Json | undefined
}

export interface Done {
  readonly changes: readonly RecordChange[]
  readonly binds: readonly Bind[]
  readonly outbox: readonly Letter[]
  /** When to wake this pico next (ms), null for never; undefined leaves it. */
  readonly alarm?: number | null
  /** What the submitter gets; `{error: {code, message, …}}` for a refusal or a fault (never stored unless `seen` keeps it). */
  readonly answer: Json
  readonly log: readonly LogRecord[]
  /** A rule faulted: this notice is the pico's next stimulus, in the same commit as an inbox record. */
  readonly next?: Extract<Stimulus, { kind: 'notice' }>
  /** Counted in `rejected`, nothing written (changes, binds, outbox are empty). */
  readonly rejected?: { readonly reason: string; readonly from?: string }
  /** The pico asks to be destroyed: leaves first, keys last. */
  readonly destroy?: boolean
  /** For return-route: ids of outbox letters that answer this message. */
  readonly replies?: readonly string[]
}

export type Outcome = Done | { readonly need: readonly Effect[]; readonly answers: Given['answers'] }

/** Pure and synchronous. Never throws for peers, rules or the world; an assertion is our bug (engine fault). */
export type Step = (view: View, stimulus: Stimulus, given: Given) => Outcome

export interface Query {
  readonly eci?: string
  readonly outside: boolean
  readonly rid: string
  readonly name: string
  readonly args: JsonObject
  readonly depth: number
  /** No more than this, when another step or query asks; what was spent comes with the answer. */
  readonly budget?: Work
}
export type QueryOutcome =
  | { readonly answer: Answer; readonly log: readonly LogRecord[] }
  | { readonly need: readonly Effect[]; readonly answers: Given['answers'] }
/** Reads one committed state, writes nothing (law L9). */
export type RunQuery = (view: View, query: Query, given: Given) => QueryOutcome

// ---- store -----------------------------------------------------------------------------------------------

export interface Write {
  readonly key: Uint8Array
  /** undefined deletes. */
  readonly value: Uint8Array | undefined
}

/** Ordered bytes. The contract is the suite test/store.suite.ts, run on every store. */
export interface Store {
  open(): Promise<void>
  /** Undefined when absent; any other failure throws PicoError `store.*`. */
  get(key: Uint8Array): Uint8Array | undefined
  /** Keys gte <= k < lt in order; a snapshot of the moment of the call. */
  range(gte: Uint8Array, lt: Uint8Array, limit?: number): Promise<{ key: Uint8Array; value: Uint8Array }[]>
  /** Atomic; with `sync` durable when it resolves. */
  write(writes: readonly Write[], sync: boolean): Promise<void>
  /** Rewrites the range so that deleted bytes leave the files. */
  compact(gte: Uint8Array, lt: Uint8Array): Promise<void>
  close(): Promise<void>
}

// ---- driver ----------------------------------------------------------------------------------------------

export interface Clock {
  now(): number
  /** Calls back once at `at` ms or soon after; returns a cancel function. */
  wake(at: number, fn: () => void): () => void
}

export interface Random {
  bytes(length: number): Uint8Array
}

/** Performs awaited effects other than `read` and `code`. */
export interface World {
  perform(effect: Effect): Promise<Answer>
  /** Delivers a letter that is not for a pico of this engine, or of kind `didcomm`/`http`. */
  deliver(letter: Letter, picoId: PicoId): Promise<Delivery>
}

/** taken: gone. retry: again with back-off until `expires`. refused: given up at once. */
export type Delivery =
  | { readonly taken: true; readonly answer?: Json }
  | { readonly retry: string }
  | { readonly refused: string }

/** A few bytes that outlive the process; they need not outlive the machine, so nothing is synced. */
export interface MarkFile {
  /** Empty when there is none. */
  read(): string
  /** Replaces the text before it returns. Failures are the caller's to hear of at the next commit. */
  write(text: string): void
}
