// A pico that is in memory: its records, its queue, its letters. What it may forget at any time stands on disk.

import type { Sealer } from '../wallet/vault.ts'
import type { Lane } from './dispatch.ts'
import type { PicoError } from './errors.ts'
import type { Json, Letter, PicoId, RecordChange, Stimulus } from './ports.ts'
import type { PicoRecords } from './records.ts'
import type { PicoStatus } from './registry.ts'
import { idBytes } from './stores/keys.ts'
import type { Trial } from './trial.ts'

/** Groups that the driver keeps among a pico's records; a step may read them. */
export const OWN = {
  /** leaf `head`: the last commit. */
  head: 'head',
  /** leaf running number: mail and notices taken and not yet applied. */
  inbox: 'inbox',
  /** leaf running number: mail taken while frozen or retired; never part of a bundle. */
  held: 'held',
  /** leaf letter id: `{n, letter}`. */
  outbox: 'outbox',
  /** leaf id: what failed five times. */
  dead: 'dead',
  /** leaf `key:…` or `eci:…`: what the directory leads here. */
  bind: 'bind',
  /** leaf sender: who has ids under `seen/<sender>`. */
  senders: 'senders',
  /** leaf sender: ms; of ids older than this some were forgotten. */
  horizon: 'horizon',
} as const

/** Record `head/head`: what the last commit was. */
export interface Head {
  readonly seq: number
  readonly epoch: number
  readonly stimulus: string | null
  readonly at: number
  readonly semantics: string
  /** Hash of the ruleset set: the value of record `pico/rulesetsHash` when the core keeps one. */
  readonly rulesets: Json
  readonly alarm: number | null
  /** When ids seen were last purged. */
  readonly purged: number
}

export type InboxRecord = { readonly n: number; readonly at: number } & (
  | { readonly stored: Json }
  | { readonly stimulus: Stimulus }
)

/** A reply that the caller may carry on its own line instead of the outbox. Exactly one of the two must be called. */
export interface Claim {
  readonly letter: Letter
  /** It is gone. */
  taken(): void
  /** The line broke: let the outbox deliver it. */
  release(): void
}

/** applied: on disk with its effects. accepted: on disk, to be applied. rejected: nothing was written. */
export type Settled =
  | { readonly state: 'applied'; readonly answer: Json; readonly replies: readonly Claim[] }
  | { readonly state: 'accepted' }
  | { readonly state: 'rejected'; readonly reason: string; readonly from?: string; readonly answer?: Json }

/** Something that waits for its pico. */
export interface Job {
  /** Undefined: made from `stored` when its turn comes. */
  stimulus: Stimulus | undefined
  readonly stored: Json | undefined
  /** May be answered once it is on disk, before it is applied. */
  readonly early: boolean
  /** The answer's letters may leave with the caller. */
  readonly claim: boolean
  /** Where it lies on disk, if it does; deleted by the commit that applies it. */
  record: { readonly group: string; readonly leaf: string } | undefined
  /** Found on disk at start, or caused by what was: runs with a mark (DESIGN 4, How a step ends). */
  readonly recovered: boolean
  /** Changes of the driver in the same commit. */
  readonly also: readonly RecordChange[]
  attempts: number
  trial: Trial | undefined
  /** What it is known by, if it is mail of a peer that was kept. */
  mail: string | undefined
  /** Once; later calls do nothing. */
  settle(result: Settled | PicoError): void
}

/** A job that has nothing of its own yet. */
export const JOB: Job = {
  stimulus: undefined,
  stored: undefined,
  early: false,
  claim: false,
  record: undefined,
  recovered: false,
  also: [],
  attempts: 0,
  trial: undefined,
  mail: undefined,
  settle: () => undefined,
}

export const job = (stimulus: Stimulus | undefined, rest: Partial<Job> = {}): Job => ({ ...JOB, stimulus, ...rest })

export class Resident {
  readonly picoId: PicoId
  readonly pico: Uint8Array
  readonly sealer: Sealer
  readonly records: PicoRecords
  status: PicoStatus
  head: Head
  queue: Job[] = []
  /** In the mailbox's round. */
  queued = false
  /** A job is in hand. */
  busy = false
  inHand: Job | undefined
  /** The job in hand waits for an effect, or to be tried again. */
  waiting = false
  /** Inbox and outbox are being read; nothing runs before. */
  loading = false
  /** Memory was dropped: whatever still refers to this object must let go. */
  dropped = false
  /** The engine's index says that something may be pending here. */
  flagged = false
  /** Commits entered and not yet on disk. */
  unsynced = 0
  /** Answers that wrote nothing wait for the commits before them. */
  afterSync: { readonly ended: Job; readonly settled: Settled }[] = []
  /** Records of mail that came while frozen or retired. */
  held = 0
  /** Names of mail that is kept and not yet applied: a repetition of it is not written again. */
  readonly kept = new Set<string>()
  nextInbox = 0
  nextLetter = 0
  readonly lanes = new Map<string, Lane>()
  timerQueued = false
  /** Somebody works with this object across awaits. */
  pins = 0
  purging = false
  seenSincePurge = 0

  constructor(picoId: PicoId, sealer: Sealer, records: PicoRecords, status: PicoStatus, head: Head) {
    this.picoId = picoId
    this.pico = idBytes(picoId)
    this.sealer = sealer
    this.records = records
    this.status = status
    this.head = head
  }

  /** Nothing would be lost or late if memory forgot this pico now. */
  get idle(): boolean {
    const working = this.pins > 0 || this.busy || this.loading || this.queued || this.purging || this.queue.length > 0
    return !working && this.unsynced === 0 && this.lanes.size === 0 && this.records.quiet
  }
}
