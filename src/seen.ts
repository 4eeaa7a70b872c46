// Ids seen are kept for a time and up to a number per sender (law L4). The core reads and writes `seen/<sender>`; here
// the old ones go, page by page in the background, and past the number the sender's horizon rises.

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
const PAGE = 500

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
      const horizon = await forget(sweep, sender, now, limits)
      if (!sweep.running()) return
      if (horizon !== undefined) await raise(resident, commit, sender, horizon)
    }
    resident.head = { ...resident.head, purged: now }
  } finally {
    resident.purging = false
  }
}

/** Deletes what is older than `cutoff`; when more than the number is left, the oldest too: then the new horizon. */
async function forget(sweep: Sweep, sender: string, now: number, limits: Purge): Promise<number | undefined> {
  const cutoff = now - limits.dedupe_days * DAY
  const times: number[] = []
  await eachPage(sweep, sender, (key, leaf, seen) => {
    if (seen.t < cutoff) return { key, value: undefined }
    times.push(seen.t)
    if (seen.a === undefined || seen.t >= now - DAY) return undefined
    const { a: _, ...rest } = seen
    return { key, value: sweep.resident.records.seal(key, `seen/${sender}`, leaf, rest as Json) }
  })
  if (times.length <= limits.dedupe_ids) return undefined
  times.sort((a, b) => a - b)
  const horizon = (times[times.length - limits.dedupe_ids - 1] as number) + 1
  await eachPage(sweep, sender, (key, _leaf, seen) => (seen.t < horizon ? { key, value: undefined } : undefined))
  return horizon
}

/** As the core keeps it: `a` is the answer to a repetition, which is given for a day. */
type Seen = JsonObject & { t: number; a?: Json }

async function eachPage(
  { resident, store, commit, running }: Sweep,
  sender: string,
  change: (key: Uint8Array, leaf: string, seen: Seen) => Write | undefined,
): Promise<void> {
  const start = resident.records.start(`seen/${sender}`)
  for (let from = start; running(); ) {
    const page = await store.range(from, endOf(start), PAGE)
    const writes: Write[] = []
    for (const { key, value } of page) {
      const [, leaf, seen] = resident.records.open(key, value)
      const write = change(key, leaf, seen as Seen)
      if (!write) continue
      resident.records.discard(`seen/${sender}`, leaf)
      writes.push(write)
    }
    if (writes.length > 0) await commit.write(writes)
    const last = page.at(-1)
    if (!last || page.length < PAGE) return
    from = after(last.key)
  }
}

function raise(resident: Resident, commit: CommitQueue, sender: string, horizon: number): Promise<void> {
  const changes: RecordChange[] = [{ group: OWN.horizon, leaf: sender, value: horizon }]
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
