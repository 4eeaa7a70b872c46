// Ids seen are kept for a time and up to a number per sender (law L4). The core reads and writes `seen/<sender>`; here
// the old ones go, page by page in the background, and the sender's horizon rises. Dead letters go past their number
// likewise.

import type { CommitQueue } from './commit.ts'
import type { Clock, Json, JsonObject, RecordChange, Store, Write } from './ports.ts'
import { OWN, type Resident } from './resident.ts'
import { after, endOf } from './stores/keys.ts'

export interface Purge {
  readonly dedupe_days: number
  /** Per sender. A tenth more may lie there until the next purge. */
  readonly dedupe_ids: number
}

const DAY = 86_400_000
/** A message may be dated as far ahead of our clock: its id is kept that much longer than the window. */
const AHEAD = DAY
const PAGE = 500
/** Dead letters of a pico; a tenth more may lie there until the next look. */
const DEAD_KEPT = 1000
/** How many may come before it is looked again. */
export const DEAD_EVERY = DEAD_KEPT / 10
/** They hold whole messages. */
const DEAD_PAGE = 50

interface Sweep {
  readonly resident: Resident
  readonly store: Store
  readonly commit: CommitQueue
  readonly running: () => boolean
}

/** Is it time? Once a day, and when a tenth of the number has come since. */
export function purgeDue(resident: Resident, now: number, limits: Purge): boolean {
  const { head, purging, seenSincePurge } = resident
  if (head.purged === 0) resident.head = { ...head, purged: now }
  return !purging && (seenSincePurge > limits.dedupe_ids / 10 || (head.purged > 0 && now - head.purged > DAY))
}

/** Purges a pico's ids. A disk that fails leaves the rest for another time. */
export async function purge(
  resident: Resident,
  store: Store,
  commit: CommitQueue,
  clock: Clock,
  limits: Purge,
): Promise<void> {
  const now = clock.now()
  const sweep: Sweep = { resident, store, commit, running: () => !resident.dropped }
  resident.purging = true
  resident.seenSincePurge = 0
  try {
    await resident.records.load(OWN.senders)
    for (const [sender] of resident.records.synced.list(OWN.senders)) {
      await forget(sweep, sender, now, limits)
      if (!sweep.running()) return
    }
    resident.head = { ...resident.head, purged: now }
  } finally {
    resident.purging = false
  }
}

/** Deletes what is too old, and past the number the oldest; before that the sender's horizon rises, so that nothing that
 *  is forgotten and says when it was written is taken again. */
async function forget(sweep: Sweep, sender: string, now: number, limits: Purge): Promise<void> {
  const cutoff = now - limits.dedupe_days * DAY - AHEAD
  const times = await timesOf(sweep, sender, now, cutoff)
  const old = times.filter(t => t < cutoff)
  const surplus = times.length - old.length - limits.dedupe_ids
  if (old.length === 0 && surplus <= 0) return
  times.sort((a, b) => a - b)
  const last = times[old.length + Math.max(0, surplus) - 1] as number
  const aged = old.length === 0 ? 0 : (times[old.length - 1] as number) + AHEAD
  // What goes for the number may be so young that a day more would refuse what is written now.
  await raise(sweep, sender, 1 + Math.max(aged, surplus > 0 ? last : 0))
  await eachPage(sweep, `seen/${sender}`, PAGE, (key, _leaf, record) =>
    (record as Seen).t <= last ? { key, value: undefined } : undefined,
  )
}

/** When each id was seen. Answers that are no longer given go on the way. */
async function timesOf(sweep: Sweep, sender: string, now: number, cutoff: number): Promise<number[]> {
  const times: number[] = []
  await eachPage(sweep, `seen/${sender}`, PAGE, (key, leaf, record) => {
    const { a, ...rest } = record as Seen
    times.push(rest.t)
    if (a === undefined || rest.t >= now - DAY || rest.t < cutoff) return undefined
    return { key, value: sweep.resident.records.seal(key, `seen/${sender}`, leaf, rest as Json) }
  })
  return times
}

/** Deletes the oldest dead letters of a pico past the number that is kept. */
export async function thinDead(resident: Resident, store: Store, commit: CommitQueue): Promise<void> {
  const sweep = { resident, store, commit, running: () => !resident.dropped && resident.status === 'live' }
  const found: { leaf: string; at: number }[] = []
  await eachPage(sweep, OWN.dead, DEAD_PAGE, (_key, leaf, dead) => {
    found.push({ leaf, at: Number((dead as JsonObject).at) })
    return undefined
  })
  if (found.length <= DEAD_KEPT) return
  const oldest = found.sort((a, b) => a.at - b.at).slice(0, found.length - DEAD_KEPT)
  const going = new Set(oldest.map(({ leaf }) => leaf))
  await eachPage(sweep, OWN.dead, DEAD_PAGE, (key, leaf) => (going.has(leaf) ? { key, value: undefined } : undefined))
}

/** As the core keeps it: `a` is the answer to a repetition, which is given for a day. */
type Seen = JsonObject & { t: number; a?: Json }

async function eachPage(
  { resident, store, commit, running }: Sweep,
  group: string,
  limit: number,
  change: (key: Uint8Array, leaf: string, record: Json) => Write | undefined,
): Promise<void> {
  const start = resident.records.start(group)
  for (let from = start; running(); ) {
    const page = await store.range(from, endOf(start), limit)
    const writes: Write[] = []
    for (const { key, value } of page) {
      const [, leaf, record] = resident.records.open(key, value)
      const write = change(key, leaf, record)
      if (!write) continue
      resident.records.discard(group, leaf)
      writes.push(write)
    }
    if (writes.length > 0) await commit.write(writes)
    const last = page.at(-1)
    if (!last || page.length < limit) return
    from = after(last.key)
  }
}

function raise({ resident, commit }: Sweep, sender: string, horizon: number): Promise<void> {
  const before = resident.records.newest.get(OWN.horizon, sender)
  const value = Math.max(horizon, typeof before === 'number' ? before : 0)
  const changes: RecordChange[] = [{ group: OWN.horizon, leaf: sender, value }]
  const writes = resident.records.prepare(changes)
  const version = resident.records.lay(changes)
  resident.unsynced++
  return new Promise((resolve, reject) => {
    commit.enter(writes, undefined, fault => {
      if (fault) return reject(fault)
      resident.unsynced--
      resident.records.merge(changes, version)
      resolve()
    })
  })
}
