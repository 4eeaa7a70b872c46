// pure
// A pico in one step: the many small records it is, what memory knows of them, the layers of writes over them, and the
// run that reads, draws, asks and writes. A step never sees store keys or sealing. DESIGN 4, Reading and Effects.

import { strict as assert } from 'node:assert'
import type { Budget, CompiledRule, CompiledRuleset } from '../krl/types.ts'
import { base64url, hex, utf8 } from '../wallet/bytes.ts'
import { cryptoNode } from '../wallet/crypto-node.ts'
import { brief, cut, WHOLE } from './brief.ts'
import type { Directive, PicoEvent } from './event.ts'
import type { Filter } from './filter.ts'
import { jcsHash } from './hash.ts'
import {
  type Answer,
  type Bind,
  type Effect,
  type Given,
  type Json,
  type JsonObject,
  type Letter,
  type LoadedRuleset,
  type LogRecord,
  Need,
  type PicoId,
  type RecordChange,
  type View,
  type Work,
} from './ports.ts'

/** Groups of records. Leaves are named beside each. */
export const GROUP = {
  /** leaf `self`: the pico itself. */
  pico: 'pico',
  /** leaf ECI. */
  channel: 'chan',
  /** leaf child's pico id; `eci` leads to it. */
  child: 'child',
  /** leaf child's ECI → pico id. */
  childEci: 'child-eci',
  /** leaf rid. */
  ruleset: 'rs',
  /** leaf rule name, per rid: progress of event expressions. */
  progress: (rid: string) => `ee/${rid}`,
  /** leaf variable name, per rid. */
  variables: (rid: string) => `var/${rid}`,
  /** leaf map key, per rid and variable that is kept entry by entry. */
  entries: (rid: string, name: string) => `var/${rid}/${name}`,
  /** leaf job id. */
  job: 'job',
  /** leaf kid: a private key as the keyring reads it. */
  key: 'wallet',
  /** leaf recipient key text → what it opens. */
  recipient: 'rcpt',
  /** leaf invitation id. */
  invitation: 'inv',
  /** leaf connection id. */
  connection: 'conn',
  /** leaf DID (short) or base58 key of a peer → connection id. */
  peer: 'peer',
  /** leaf thread id (lower case). */
  thread: 'thread',
  /** leaf running number, zero padded: the bounded message list. */
  message: 'msg',
  /** leaf id, per sender: what applied already (law L4). Never listed by a step. */
  seen: (sender: string) => `seen/${sender}`,
} as const

/** The record `pico/self`. */
export interface Self {
  readonly picoId: PicoId
  readonly name: string
  readonly did: string
  readonly parentId: PicoId | null
  readonly parentEci: string | null
  readonly parentUrl: string | null
  /** The channel the parent uses to reach this pico. */
  readonly eci: string
  readonly createdAt: number
  /** Running number for records whose order matters. */
  readonly ordinal: number
  readonly messages: number
  readonly relocateSerial: number
}

export interface Policy {
  readonly allow: readonly JsonObject[]
  readonly deny: readonly JsonObject[]
}

export interface Channel {
  readonly id: string
  readonly tags: readonly string[]
  readonly eventPolicy: Policy
  readonly queryPolicy: Policy
  readonly familyChannelPicoID: PicoId | null
  readonly n: number
}

export interface Child {
  readonly picoId: PicoId
  readonly name: string
  readonly eci: string
  /** The channel of this pico that the child was given. */
  readonly parentEci: string
  readonly ready: boolean
  readonly did: string | null
  readonly n: number
  readonly movedTo?: string
}

export interface InstalledRuleset {
  readonly rid: string
  readonly url: string
  readonly hash: string
  readonly config: JsonObject
  readonly modules: LoadedRuleset['modules']
  readonly flushedAt: number
  readonly n: number
}

export interface Job {
  readonly id: string
  readonly rid: string
  readonly domain: string
  readonly type: string
  readonly attrs: Json
  readonly at: number
  readonly cron: string | null
  readonly n: number
}

export interface Address {
  readonly uri: string
  readonly routingKeys: readonly string[]
}

type ConnectionState = 'invited' | 'requested' | 'responded' | 'established' | 'closed' | 'failed'

export interface Connection {
  readonly connectionId: string
  readonly state: ConnectionState
  readonly role: 'inviter' | 'invitee'
  readonly label: string
  /** Short forms; null before known. */
  readonly myDid: string | null
  readonly theirDid: string | null
  readonly version: 'v1' | 'v2'
  readonly invitationId: string | null
  readonly eventPolicy: Policy
  readonly queryPolicy: Policy
  readonly createdAt: number
  readonly updatedAt: number
  readonly n: number
  /** base58 keys of the peer's current DID document that may send (v1). */
  readonly theirKeys: readonly string[]
  /** base58 keys that mail to the peer is packed for (v1). */
  readonly recipientKeys: readonly string[]
  /** Newest relocate, or the seed from the DID (serial 0). */
  readonly serial: number
  readonly addresses: readonly Address[]
  /** Protocols the peer disclosed; null until it answered. */
  readonly disclosed: readonly string[] | null
  /** The thread of the handshake that made it. */
  readonly threadId: string | null
  /** The relocate serial that the peer acknowledged after a move of this pico. */
  readonly told: number
}

// ---- what memory knows -------------------------------------------------------------------------------------

/** One group of records in memory. */
export interface Group {
  /** Every record is in `leaves`. */
  complete: boolean
  readonly leaves: Map<string, Json>
  /** Leaves known to be absent, the newest of them: peers ask for what never was, such as the thread of each message. */
  readonly absent: Set<string>
  rows: (readonly [string, Json])[] | undefined
}

type Unsynced = Map<string, { readonly value: Json | undefined; readonly version: number }>

/** Groups that grow without bound and are only ever asked for one leaf. */
export const pointOnly = (group: string): boolean => group.startsWith('seen/')

const NO_ROWS: readonly (readonly [string, Json])[] = []

/** The records of one pico as memory knows them: what is on disk, and over it what is applied but not yet synced. Steps
 *  see the newest; queries see what is synced (laws L3, L9). src/records.ts reads and writes the disk below it. */
export abstract class Memory {
  /** What a step sees. */
  readonly newest: View = { get: (g, l) => this.newestValue(g, l), list: g => this.newestRows(g) }
  /** What a query sees. */
  readonly synced: View = { get: (g, l) => this.syncedValue(g, l), list: g => this.syncedRows(g) }

  protected readonly groups = new Map<string, Group>()
  protected readonly unsynced = new Map<string, Unsynced>()
  /** The newest ids of groups that are never loaded whole. */
  protected readonly recent = new Map<string, Json | undefined>()
  /** Of a pico made with this object: ids that are on disk and not in `recent`. */
  protected older: Filter | undefined
  /** Made with this object: what is not in memory is nowhere. */
  protected readonly newborn: boolean

  constructor(newborn: boolean) {
    this.newborn = newborn
  }

  /** A record that memory does not know of. */
  protected abstract read(group: string, leaf: string): Json | undefined

  private newestValue(group: string, leaf: string): Json | undefined {
    const own = this.unsynced.get(group)?.get(leaf)
    return own ? own.value : this.syncedValue(group, leaf)
  }

  private newestRows(group: string): readonly (readonly [string, Json])[] {
    const rows = this.syncedRows(group)
    const own = this.unsynced.get(group)
    return own
      ? overlaid(
          rows,
          [...own].map(([leaf, { value }]) => [leaf, value]),
        )
      : rows
  }

  private syncedValue(name: string, leaf: string): Json | undefined {
    if (pointOnly(name)) return this.recentValue(name, leaf)
    const group = this.groups.get(name)
    if (group === undefined) return this.newborn ? undefined : this.read(name, leaf)
    const value = group.leaves.get(leaf)
    return value !== undefined || group.complete || group.absent.has(leaf) ? value : this.read(name, leaf)
  }

  private syncedRows(name: string): readonly (readonly [string, Json])[] {
    assert(!pointOnly(name), 'ids seen are looked up, never listed')
    const group = this.groups.get(name)
    if (group === undefined && this.newborn) return NO_ROWS
    if (!group?.complete) throw new Need([{ kind: 'read', groups: [name] }])
    group.rows ??= [...group.leaves]
    return group.rows
  }

  private recentValue(group: string, leaf: string): Json | undefined {
    const name = `${group}\0${leaf}`
    if (this.recent.has(name)) return this.recent.get(name)
    return this.newborn && !this.older?.may(name) ? undefined : this.read(group, leaf)
  }
}

/** Rows with others laid over them; undefined deletes. */
export function overlaid(
  rows: readonly (readonly [string, Json])[],
  over: readonly (readonly [string, Json | undefined])[],
): (readonly [string, Json])[] {
  const own = new Map(over)
  const result = rows.filter(([leaf]) => !own.has(leaf))
  for (const [leaf, value] of own) if (value !== undefined) result.push([leaf, value])
  return result
}

// ---- layers of writes ---------------------------------------------------------------------------------------

/** A layer of writes over a view; itself a view, so layers stack: a rule fault drops the upper one whole. */
export class Records implements View {
  private readonly groups = new Map<string, Map<string, Json | undefined>>()
  private readonly below: View
  /** Split maps put together in this layer, by the group of their entries, until one of these is written. */
  readonly wholes = new Map<string, JsonObject>()
  readonly binds: Bind[] = []

  constructor(below: View) {
    this.below = below
  }

  get(group: string, leaf: string): Json | undefined {
    const own = this.groups.get(group)
    if (own?.has(leaf)) return own.get(leaf)
    return this.below.get(group, leaf)
  }

  list(group: string): readonly (readonly [string, Json])[] {
    const own = this.groups.get(group)
    const below = this.below.list(group)
    if (!own || own.size === 0) return below
    const result: (readonly [string, Json])[] = below.filter(([leaf]) => !own.has(leaf))
    for (const [leaf, value] of own) if (value !== undefined) result.push([leaf, value])
    return result
  }

  /** `undefined` deletes. */
  put(group: string, leaf: string, value: Json | undefined): void {
    if (this.wholes.size > 0) this.wholes.delete(group)
    let own = this.groups.get(group)
    if (!own) {
      own = new Map()
      this.groups.set(group, own)
    }
    own.set(leaf, value)
  }

  bind(key: string, bound: boolean): void {
    this.binds.push({ key, bound })
  }

  /** Writes this layer into the one below it. */
  mergeInto(target: Records): void {
    for (const [group, own] of this.groups) for (const [leaf, value] of own) target.put(group, leaf, value)
    target.binds.push(...this.binds)
  }

  changes(): RecordChange[] {
    const result: RecordChange[] = []
    for (const [group, own] of this.groups) for (const [leaf, value] of own) result.push({ group, leaf, value })
    return result
  }
}

// ---- typed reads -----------------------------------------------------------------------------------------
// Records were written by this code under these shapes; the casts below are the one place that says so.

const byNumber = (a: { n: number }, b: { n: number }) => a.n - b.n

function all<T extends { n: number }>(view: View, group: string): T[] {
  return view
    .list(group)
    .map(([, value]) => value as unknown as T)
    .sort(byNumber)
}

export const readSelf = (view: View): Self | undefined => view.get(GROUP.pico, 'self') as unknown as Self | undefined
export const writeSelf = (records: Records, self: Self): void =>
  records.put(GROUP.pico, 'self', self as unknown as Json)
export const readChannel = (view: View, eci: string) => view.get(GROUP.channel, eci) as unknown as Channel | undefined
export const readChild = (view: View, picoId: PicoId) => view.get(GROUP.child, picoId) as unknown as Child | undefined
export const readConnection = (view: View, connectionId: string) =>
  view.get(GROUP.connection, connectionId) as unknown as Connection | undefined
export const readRuleset = (view: View, rid: string) =>
  view.get(GROUP.ruleset, rid) as unknown as InstalledRuleset | undefined
export const channels = (view: View): Channel[] => all<Channel>(view, GROUP.channel)
export const children = (view: View): Child[] => all<Child>(view, GROUP.child)

// Every event asks for the rulesets, in order; a view gives the same rows as long as they are the same.
const ordered = new WeakMap<object, readonly InstalledRuleset[]>()

/** In order of installation. */
export function rulesets(view: View): readonly InstalledRuleset[] {
  const rows = view.list(GROUP.ruleset)
  let found = ordered.get(rows)
  if (found === undefined) {
    found = rows.map(([, value]) => value as unknown as InstalledRuleset).sort(byNumber)
    ordered.set(rows, found)
  }
  return found
}
export const jobs = (view: View): Job[] => all<Job>(view, GROUP.job)

/** The next running number of this pico; written back at once. */
export function ordinal(records: Records): number {
  const self = readSelf(records)
  if (!self) return 0
  writeSelf(records, { ...self, ordinal: self.ordinal + 1 })
  return self.ordinal
}

// ---- which rules ---------------------------------------------------------------------------------------------

/** Compiled code by hash, or the run ends here until the driver has it. */
export function code(run: Run, hash: string): CompiledRuleset {
  const compiled = run.given.code.get(hash)
  if (compiled === undefined) throw new Need([{ kind: 'code', hash }])
  return compiled
}

const salient = (rule: CompiledRule, domain: string, type: string) =>
  rule.salient.some(
    pair =>
      pair === '*' || pair === '*:*' || pair === `${domain}:${type}` || pair === `${domain}:*` || pair === `*:${type}`,
  )

// Compiled code never changes, so which of its rules look at an event is worked out once for each name. Names come from
// outside: past a number of them all are forgotten.
const salience = new WeakMap<CompiledRuleset, Map<string, readonly CompiledRule[]>>()
const NAMES_KEPT = 1000

/** Active rules that look at events of this name, in the order of the text. */
export function salientRules(compiled: CompiledRuleset, domain: string, type: string): readonly CompiledRule[] {
  const name = `${domain}:${type}`
  let known = salience.get(compiled)
  if (known === undefined) {
    known = new Map()
    salience.set(compiled, known)
  }
  let found = known.get(name)
  if (found === undefined) {
    found = compiled.rules.filter(rule => rule.active && salient(rule, domain, type))
    if (known.size >= NAMES_KEPT) known.clear()
    known.set(name, found)
  }
  return found
}

// ---- one run of one step -------------------------------------------------------------------------------------
// Everything nondeterministic comes from `given`; a run that lacks an answer ends by throwing Need and is run again from
// the start (DESIGN 4, Effects).

/** Limits of one step (law L8). */
export const LIMIT = {
  /** About a tenth of a second. */
  steps: 4_000_000,
  depth: 400,
  size: 64 * 1024 * 1024,
  raised: 1_000,
  letters: 10_000,
  queryDepth: 16,
  /** Scheduled at once in a pico. */
  jobs: 10_000,
  logs: 1_000,
  /** Connections of a pico that strangers asked for and that are not established yet. */
  pending: 1_000,
  /** Characters of a log record's message. */
  message: 2_000,
} as const

/** Code of the log record of a rule that runs. */
const SELECTED = 'rule.selected'
const DAY = 24 * 3600 * 1000

type Recorded = { request: Effect; answer: Answer }

/** What one run did so far. */
export class Run {
  readonly given: Given
  /** The layer that is written to now. */
  records: Records
  readonly answers: Recorded[] = []
  letters: Letter[] = []
  readonly log: LogRecord[] = []
  directives: Directive[] = []
  /** Raised and not yet handled, in order. */
  events: PicoEvent[] = []
  readonly budget: Budget
  /** A query may read and ask, never write. */
  readonly readOnly: boolean
  readonly queryDepth: number
  /** The event or query that everything here belongs to. */
  readonly txnId: string
  raised = 0
  timersChanged = false
  destroy = false
  private drawn = 0
  private named = 0
  private told: { readonly event: PicoEvent; readonly attrs: JsonObject } | undefined

  constructor(
    view: View,
    given: Given,
    options: { readOnly?: boolean; queryDepth?: number; eid?: string; budget?: Work | undefined } = {},
  ) {
    const { steps, size } = options.budget ?? LIMIT
    this.budget = { steps: Math.min(steps, LIMIT.steps), depth: LIMIT.depth, size: Math.min(size, LIMIT.size) }
    this.given = given
    this.records = new Records(view)
    this.readOnly = options.readOnly ?? false
    this.queryDepth = options.queryDepth ?? 0
    // A label, not a secret: the public seed is at hand in every run, and drawing costs more than a small rule.
    this.txnId = options.eid ?? uuidOf(given.seed)
  }

  get now(): number {
    return this.given.now
  }

  /** 32 bytes that only this pico can know. */
  draw(label: string): Uint8Array {
    return this.given.draw(`${label}/${this.drawn++}`)
  }

  /** A message or letter id: UUID form. No secret, but nobody outside may foresee it; of the seed only the half that is
   *  in `txnId` is ever shown, and hashing is faster than drawing. */
  uuid(): string {
    const text = `${hex(this.given.seed)}/${this.named++}`
    return uuidOf(cryptoNode.sha256(utf8(text)))
  }

  /** A channel identifier: 192 bits. Drawn again when it would look like an option where it is typed. */
  eci(): string {
    const eci = base64url(this.draw('eci').subarray(0, 24))
    return eci.startsWith('-') ? this.eci() : eci
  }

  picoId(): string {
    return hex(this.draw('pico').subarray(0, 16))
  }

  /** The recorded answer of the n-th effect of this run, or one at hand; otherwise the run ends here. */
  ask(effect: Effect): Answer {
    const before = this.given.answers[this.answers.length]
    if (before !== undefined && sameRequest(before.request, effect)) {
      this.answers.push(before)
      return before.answer
    }
    const answer = this.given.ask(effect)
    if (answer === undefined) throw new Need([effect])
    this.answers.push({ request: effect, answer })
    return answer
  }

  letter(body: Letter['body'], lane: string, report = false, id = this.uuid()): Letter {
    const letter: Letter = { id, lane, created: this.now, expires: this.now + 7 * DAY, body, report }
    this.letters.push(letter)
    return letter
  }

  note(level: LogRecord['level'], code: string, message: string, more: JsonObject = {}): void {
    if (this.log.length >= LIMIT.logs) return
    this.log.push({ ...more, level, code, message: cut(message, LIMIT.message), txnId: this.txnId })
  }

  /** The record of every rule that runs: written out here, since it is by far the most frequent. */
  selected(rid: string, rule: string, event: PicoEvent | null): void {
    if (this.log.length >= LIMIT.logs) return
    const { txnId } = this
    const name = `${event?.domain}:${event?.type}`
    const message = `${rid} ${rule} selected`
    this.log.push({
      rid,
      rule,
      event: name.length <= LIMIT.message ? name : cut(name, LIMIT.message),
      attrs: this.briefly(event),
      level: 'debug',
      code: SELECTED,
      message,
      txnId,
    })
  }

  /** An event selects many rules, and its attributes are walked once. */
  private briefly(event: PicoEvent | null): JsonObject {
    if (event === null) return {}
    if (this.told?.event !== event)
      this.told = { event, attrs: fits(event.attrs, room()) ? event.attrs : brief(event.attrs) }
    return this.told.attrs
  }

  raise(event: PicoEvent): void {
    this.raised++
    this.events.push(event)
  }

  /** Begins a layer that can be dropped whole (a rule that faults keeps nothing). */
  savepoint(): { drop(): void; keep(): void } {
    const below = this.records
    const layer = new Records(below)
    const { letters, directives, destroy } = this
    this.records = layer
    this.letters = []
    this.directives = []
    return {
      drop: () => {
        this.records = below
        this.letters = letters
        this.directives = directives
        this.events = []
        this.destroy = destroy
      },
      keep: () => {
        layer.mergeInto(below)
        this.records = below
        this.letters = [...letters, ...this.letters]
        this.directives = [...directives, ...this.directives]
      },
    }
  }
}

/** The UUID form of 16 bytes, which stand for nothing else. */
export function uuidOf(bytes: Uint8Array): string {
  const h = hex(bytes.subarray(0, 16))
  return `${h.slice(0, 8)}-${h.slice(8, 12)}-4${h.slice(13, 16)}-a${h.slice(17, 20)}-${h.slice(20, 32)}`
}

function sameRequest(a: Effect, b: Effect): boolean {
  return a.kind === b.kind && jcsHash(a as unknown as Json) === jcsHash(b as unknown as Json)
}

/** What a walk over a value may still take. */
interface Room {
  nodes: number
  characters: number
}

const room = (): Room => ({ ...WHOLE })

/** Is the value so small that a log keeps it whole? */
function fits(value: Json, left: Room): boolean {
  if (--left.nodes < 0) return false
  if (typeof value === 'string') return fitsText(value, left)
  if (value === null || typeof value !== 'object') return true
  if (Array.isArray(value)) return value.length <= left.nodes && value.every(item => fits(item, left))
  for (const key in value) if (!fitsText(key, left) || !fits(value[key] as Json, left)) return false
  return true
}

function fitsText(text: string, left: Room): boolean {
  left.characters -= text.length
  return left.characters >= 0
}
