// pure
// Scheduled events: when a job is due next, and the pico's timers. One record a timer, named so that the earliest
// is the smallest; the driver keeps one alarm for the first of them.

import { Cron } from 'croner'
import { GROUP, type Job, type Records, type Run } from './pico.ts'
import type { Json, View } from './ports.ts'

const TIMER = 'timer'
const FIELDS = [
  [0, 59],
  [0, 59],
  [0, 23],
  [1, 31],
  [1, 12],
  [0, 7],
] as const

/** A cron text as real rulesets write it: outer blanks trimmed; a step beyond its field's range (an `every 300 seconds`
 *  in the seconds field) selects the first value of the field (krl-readings, Mend). Times are UTC. */
function cleanCron(text: string): string {
  const parts = text.trim().split(/\s+/)
  const fields = parts.length === 5 ? FIELDS.slice(1) : FIELDS
  return parts
    .map((part, i) => {
      const step = /^\*\/(\d+)$/.exec(part)
      const field = fields[i]
      return step && field && (Number(step[1]) > field[1] || Number(step[1]) === 0) ? String(field[0]) : part
    })
    .join(' ')
}

/** The first time after `from` (ms); undefined when the text is no cron expression or never comes. */
export function nextRun(cron: string, from: number): number | undefined {
  try {
    const next = new Cron(cleanCron(cron), { paused: true, timezone: 'UTC' }).nextRun(new Date(from))
    return next?.getTime()
  } catch {
    return undefined
  }
}

const leafOf = (at: number, kind: string, id: string) => `${String(Math.ceil(at)).padStart(15, '0')}/${kind}/${id}`

/** Leaf, beside `self`, of the time of the earliest timer; null for none. */
const ALARM = 'alarm'

export function setTimer(run: Run, at: number, kind: 'job' | 'thread', id: string): void {
  const due = Math.ceil(at)
  run.records.put(TIMER, leafOf(at, kind, id), { at: due, kind, id })
  const earliest = keptAlarm(run.records)
  if (earliest === null || (earliest !== undefined && due < earliest)) run.records.put(GROUP.pico, ALARM, due)
  run.timersChanged = true
}

export function clearTimer(run: Run, at: number, kind: 'job' | 'thread', id: string): void {
  const leaf = leafOf(at, kind, id)
  if (run.records.get(TIMER, leaf) === undefined) return
  run.records.put(TIMER, leaf, undefined)
  // Which timer is now the earliest is looked up once, when the step ends.
  if (keptAlarm(run.records) === Math.ceil(at)) recountAlarm(run)
  run.timersChanged = true
}

/** The earliest timer is to be looked up when the step ends, whatever was noted of it. */
export function recountAlarm(run: Run): void {
  run.records.put(GROUP.pico, ALARM, undefined)
  run.timersChanged = true
}

/** Undefined: to be looked up. */
const keptAlarm = (view: View) => view.get(GROUP.pico, ALARM) as number | null | undefined

/** Timers that are due at `now`, earliest first. */
export function dueTimers(view: View, now: number): { at: number; kind: 'job' | 'thread'; id: string }[] {
  return view
    .list(TIMER)
    .filter(([, value]) => (value as { at: number }).at <= now)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, value]) => value as { at: number; kind: 'job' | 'thread'; id: string })
}

/** When this pico must be woken next, null for never. All timers are looked at only when the earliest of them went. */
export function nextAlarm(records: Records): number | null {
  const kept = keptAlarm(records)
  if (kept !== undefined) return kept
  const first = earliestTimer(records)
  records.put(GROUP.pico, ALARM, first)
  return first
}

function earliestTimer(view: View): number | null {
  let first: number | null = null
  for (const [, value] of view.list(TIMER)) {
    const { at } = value as { at: number }
    if (first === null || at < first) first = at
  }
  return first
}

export function putJob(run: Run, job: Job): void {
  run.records.put(GROUP.job, job.id, job as unknown as Json)
  setTimer(run, job.at, 'job', job.id)
}

export function removeJob(run: Run, records: Records, id: string): boolean {
  const job = records.get(GROUP.job, id) as unknown as Job | undefined
  if (job === undefined) return false
  records.put(GROUP.job, id, undefined)
  clearTimer(run, job.at, 'job', id)
  return true
}
