// What goes into a row of a protocol table and what comes out: the seam between the tables and the engine, as types.
// The engine implements `Turn` with the wallet; the tables never see a key. Times are milliseconds unless said.

import type { Attachment, Json, JsonObject, Message, Problem, Version } from './message.ts'

// ---- what a run of a protocol is ---------------------------------------------------------------------------

/** One run of a protocol, as stored. `threadId` keeps the first message's spelling; look it up by `idKey(threadId)`. */
export interface Thread {
  readonly threadId: string
  readonly pthid?: string
  /** The protocol's name in `protocols` (its file name). */
  readonly protocol: string
  /** The dialect spoken on this thread, with the lower of the two minor versions. */
  readonly piuri: string
  readonly version: Version
  readonly role: string
  readonly state: string
  readonly connectionId?: string
  readonly data: JsonObject
  /** Milliseconds. At `expiresAt` the engine gives the trigger `timeout`. */
  readonly updatedAt: number
  readonly expiresAt?: number
}

// ---- what a row may ask ------------------------------------------------------------------------------------

/** A DID drawn or resolved. `short` equals `did` for methods without a short form. */
export interface NamedDid {
  readonly did: string
  readonly short: string
}

/** A resolved DID as a protocol sees it. `keys`: its Ed25519 verification keys as key references. */
export interface Resolved extends NamedDid {
  readonly keys: readonly string[]
}

/** A v1 destination without a DID: the service of an invitation (RFC 0434). */
export type Service = {
  readonly recipientKeys: readonly string[]
  readonly routingKeys: readonly string[]
  readonly serviceEndpoint: string
}

export interface ConnectionFacts {
  readonly connectionId: string
  readonly state: string
  readonly role: string
  readonly version: Version
  readonly label: string
  /** Short forms. */
  readonly myDid: string | null
  readonly theirDid: string | null
  readonly invitationId?: string
  /** The highest `serial` of a relocate taken from this peer; absent: none yet. */
  readonly serial?: number
}

export interface Feature {
  /** `protocol`, `goal-code`, … */
  readonly type: string
  readonly id: string
  readonly roles?: readonly string[]
}

/**
 * Everything a row may use. The engine fills it anew for each call of `advance`. A **key reference** is
 * `did:key:z…` of an Ed25519 key without fragment; keys out of a peer's invitation are passed on as found
 * (did:key with or without fragment, naked base58) and the wallet's functions take all three.
 *
 * Functions are called in a fixed order (keep, connect, send, raise, ask, answer), so draws repeat with the run.
 * `resolve` may throw to end a run that needs the network; nothing here catches.
 */
export interface Turn {
  /** Milliseconds. */
  readonly now: number
  /** The thread's data; in `connect` and later, what `keep` gave is in it. Filled by `advance`. */
  readonly data: JsonObject
  /** The thread before this move, absent when it begins. Filled by `advance`. */
  readonly thread?: Thread
  /** The version of a thread that a command begins. */
  readonly version: Version
  /** For `receive`. */
  readonly message?: Message
  /** Who sent it, proved by the envelope: `key` as a key reference (v1) or kid (v2); `did` in short form when known. */
  readonly sender?: { readonly key: string; readonly did?: string }
  /** Key reference of our key that opened the envelope (v1), or our DID (v2). */
  readonly recipient?: string
  /** A `from_prior` of the message, verified by the wallet. Short forms. */
  readonly fromPrior?: { readonly iss: string; readonly sub: string }
  /** For `command`: its arguments. `id`: the id of the message it sends. */
  readonly args: JsonObject
  /** The connection of the sender or of the command, absent before there is one. */
  readonly connection?: ConnectionFacts
  /** The thread named by `pthid` (of the message, or of the thread): the invitation of a handshake. */
  readonly parent?: Thread
  /** Our name for peers. */
  readonly label: string
  /** What stands before `?oob=` in an invitation's URL. */
  readonly baseUrl: string
  /** Our shared inbox (L6), and the keys of the relays before it. */
  readonly endpoint: { readonly uri: string; readonly routingKeys: readonly string[] }
  /** What discover-features may disclose. */
  readonly features: readonly Feature[]
  readonly draw: {
    /** A fresh UUID. */
    id(): string
    /** A fresh DID whose keys join the keyring and the directory with this step. `key`: did:key, Ed25519. */
    did(kind: 'peer4' | 'peer2' | 'key'): NamedDid
  }
  /** Attachment data `{base64, jws}` (RFC 0017) over the text's bytes by the key of ours that `key` names. */
  sign(bytesText: string, key: string): JsonObject
  /** The text that attachment data holds, if its JWS is by one of `keys`; else a problem. */
  verify(data: JsonObject, keys: readonly string[]): string | Problem
  /**
   * Resolves a DID. With `document` (a `did_doc~attach`, already vouched for and of this DID) that document is read and
   * kept for later resolution; a DID already known by other keys must not be taken over by it.
   */
  resolve(did: string, document?: JsonObject): Resolved | Problem
  /** The connection's policy on the pico protocol: may the peer raise `domain:name`, ask `domain/name`? */
  allows(kind: 'event' | 'query', domain: string, name: string): boolean
  /** move/1.0: is this one-time ticket of ours, unused and in time, and for this peer? */
  ticket?(ticket: string): boolean
}

/** What the engine gives; `advance` adds the thread and its data. */
export type Circumstances = Omit<Turn, 'data' | 'thread'>

// ---- what a row gives --------------------------------------------------------------------------------------

/** A connection to make or update: members that are present are set. */
export interface Relation {
  readonly connectionId: string
  readonly state?: 'invited' | 'requested' | 'responded' | 'established' | 'failed' | 'closed'
  readonly role?: 'inviter' | 'invitee'
  readonly version?: Version
  readonly label?: string
  readonly myDid?: NamedDid
  readonly theirDid?: NamedDid
  readonly invitationId?: string
  /** What the command `invite` or `accept` was given as `policy`. */
  readonly policy?: Json
  /** The peer's address book entry (relocate): replaces the one of a lower serial. */
  readonly serial?: number
  readonly addresses?: readonly { readonly uri: string; readonly routingKeys: readonly string[] }[]
  /** Protocols the peer disclosed, as PIURIs. */
  readonly disclosed?: readonly string[]
}

/** A message to send, by its builder. Defaults: this thread, the relation's or connection's DIDs. */
export interface Draft {
  /** A message type URI of another protocol (a general problem report). */
  readonly type?: string
  readonly body?: JsonObject
  readonly attachments?: readonly Attachment[]
  readonly thid?: string
  readonly pthid?: string
  readonly from?: string
  readonly to?: string | Service
  /** v2: the wallet signs a JWT by which `iss` vouches for `sub`. Sent again until the peer writes to `sub`. */
  readonly fromPrior?: { readonly iss: string; readonly sub: string }
  readonly createdTime?: number
  readonly expiresTime?: number
  readonly returnRoute?: 'none' | 'all'
}

export interface Outgoing {
  readonly name: string
  readonly message: Message
  /** Our DID, short or long form; a did:key before there is a connection. */
  readonly from: string
  readonly to: string | Service
  readonly connectionId?: string
  readonly fromPrior?: { readonly iss: string; readonly sub: string }
}

export interface Raised {
  readonly domain: string
  readonly name: string
  readonly attrs: JsonObject
  /** Came through a tunnel (pico protocol): the policy allowed it; raised as the peer's, not as ours. */
  readonly tunnelled?: boolean
}

export interface Moved {
  readonly thread: Thread
  /**
   * The new state has no rows. Then the thread is stored only if the protocol says `retain`; otherwise a thread that was
   * passed in is forgotten, and one that was not need not be written at all.
   */
  readonly final: boolean
  readonly outgoing: readonly Outgoing[]
  readonly events: readonly Raised[]
  readonly relation?: Relation
  /** A command for the parent thread, in the same step. */
  readonly parent?: { readonly threadId: string; readonly command: string }
  /** A query of the peer (pico protocol): evaluate, then give the command `answer` with `{value}` or `{error}`. */
  readonly ask?: { readonly rid: string; readonly name: string; readonly args: JsonObject }
  /** For a command: what its caller gets. For a reply: what the command that waits on this thread gets. */
  readonly answer?: JsonObject
}

/** A refusal: nothing changes. `report` is the protocol's problem report, when the peer may know. */
export interface Refused extends Problem {
  readonly report?: Outgoing
}

// ---- the table ---------------------------------------------------------------------------------------------

export type Trigger<M extends string = string> = `receive ${M}` | `command ${string}` | 'timeout'

export interface Row<S extends string = string, M extends string = string> {
  readonly to: S
  /** Guard: the first row of a list whose guard holds is taken. */
  readonly when?: (turn: Turn) => boolean
  /** A problem refuses the message or command: nothing changes. */
  readonly check?: (turn: Turn) => Problem | undefined
  /** Members laid over the thread's data; undefined removes. */
  readonly keep?: (turn: Turn) => { readonly [member: string]: Json | undefined }
  readonly connect?: (turn: Turn) => Relation
  readonly send?: { readonly [name in M]?: (turn: Turn, id: string) => Draft }
  /** `domain:name` raises the connection's attributes; a function says its own. */
  readonly raise?: `${string}:${string}` | ((turn: Turn) => readonly Raised[])
  /** The sender need be no peer yet: `check` proves who it is. Every other row takes only the thread's own connection. */
  readonly newcomer?: true
  /** Seconds until `timeout`. Without: the old limit stands while the state stays, and ends with it. */
  readonly within?: number | ((turn: Turn) => number | undefined)
  /** The id of a thread that this row begins by a command; default: the first message's. */
  readonly thread?: (turn: Turn) => string
  /** The parent thread (`pthid`) of a thread that this row begins by a command. */
  readonly under?: (turn: Turn) => string
  /** A command for the parent thread. */
  readonly parent?: string
  readonly ask?: (turn: Turn) => { readonly rid: string; readonly name: string; readonly args: JsonObject }
  readonly answer?: (turn: Turn) => JsonObject
}

export interface MessageRule {
  /** Members of the body that must be texts (an empty one is a text); else the message is malformed. */
  readonly texts?: readonly string[]
  /** Form of the body beyond `texts`, for every dialect. */
  readonly check?: (body: JsonObject, message: Message) => Problem | undefined
  /** Is this protocol's problem report: never answered by one, and where other families' reports on a thread are led. */
  readonly problem?: boolean
}

/** A spelling of the protocol on the wire: PIURI, version, and the names that differ. `only`: messages it has. */
export interface Dialect<M extends string = string> {
  readonly uri: `https://${string}/${string}.${string}`
  readonly version: Version
  readonly wire?: { readonly [name in M]?: string }
  readonly only?: readonly M[]
}

export interface Protocol {
  /** As in its PIURI; the file's name; the domain `didcomm_<name>` of its events. */
  readonly name: string
  /** The name in its events, if another. */
  readonly events?: string
  /** The preferred dialect of each version first. */
  readonly speaks: readonly Dialect[]
  readonly messages: { readonly [name: string]: MessageRule }
  readonly roles: {
    readonly [role: string]: { readonly [state: string]: { readonly [trigger: string]: Row | readonly Row[] } }
  }
  /** Keep threads in their last state. */
  readonly retain?: boolean
  /** Carries a connection into being: its messages raise only state events until there is one (L5). */
  readonly handshake?: boolean
  /** Not between peers of a connection: the inbox or the engine knows the other side (routing, move). */
  readonly connectionless?: boolean
  /** Not disclosed by discover-features (move/1.0 is between engines; first contact is a trust ping). */
  readonly hidden?: boolean
  /** The id under which a message's thread is kept; default `thid`. */
  readonly threadKey?: (message: Message) => string
  /** A protocol that shares its messages with another takes those for which this holds. */
  readonly claims?: (message: Message, thread: Thread | undefined, parent: Thread | undefined) => boolean
  /** This protocol's own problem report, undefined for none; without the member: the general one. */
  readonly report?: (
    code: string,
    comment: string,
    thread: Thread | undefined,
  ) => { readonly name: string; readonly body: JsonObject } | undefined
  /** The dialect (PIURI) of a thread that a command begins, if not the version's first. */
  readonly dialect?: (turn: Turn) => string | undefined
}
