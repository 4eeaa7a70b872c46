// What the verbs answer, as far as the console shows it (contract 3). Members that may be missing are optional: the
// console shows what there is.

import type { Json, JsonObject } from '../ports.ts'

export type { Json, JsonObject }

export interface Pico {
  readonly picoId: string
  readonly name: string
  readonly did: string
  readonly parentId: string | null
  /** The engine it went to: what is left here is forwarding. */
  readonly movedTo?: string
}

export interface Ruleset {
  readonly rid: string
  readonly version?: string | null
  readonly hash: string
  readonly url: string
  readonly config?: JsonObject | null
  readonly meta?: JsonObject | null
}

export interface Policy {
  readonly allow: readonly JsonObject[]
  readonly deny: readonly JsonObject[]
}

export interface Channel {
  readonly eci: string
  readonly tags: readonly string[]
  readonly eventPolicy: Policy
  readonly queryPolicy: Policy
  readonly familyChannelPicoID?: string | null
}

export interface Connection {
  readonly connectionId: string
  readonly state: string
  readonly role: string
  readonly label: string
  readonly myDid: string | null
  readonly theirDid: string | null
  readonly version: string
  readonly eventPolicy: Policy
  readonly queryPolicy: Policy
  readonly updatedAt?: string
}

export interface Message {
  readonly messageId: string
  readonly connectionId: string
  readonly direction: 'in' | 'out'
  readonly text: string
  readonly at: string
}

/** A record of the log; those of one step share `txnId`. */
export interface LogRecord {
  readonly at: string
  readonly picoId: string
  readonly level: string
  readonly code: string
  readonly message: string
  readonly txnId?: string
  readonly [member: string]: Json | undefined
}

/** What a ruleset says it answers to (its `__testing`). */
export interface Testing {
  readonly queries: readonly { readonly name: string; readonly args: readonly string[] }[]
  readonly events: readonly { readonly domain: string; readonly name: string; readonly attrs: readonly string[] }[]
}

/** A refusal: code and sentence, and where it happened (rid, rule, line, column, errors, …). */
export interface Fault {
  readonly code: string
  readonly message: string
  readonly place: JsonObject
}
