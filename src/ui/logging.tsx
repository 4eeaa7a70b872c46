// The live log of a pico: records of one step stand together, the newest step on top.

import { useMemo } from 'react'
import { useConsole, useForm } from './console.ts'
import { Choice, Field, Known } from './parts.tsx'
import type { LogRecord, Pico } from './types.ts'

/** From the loudest; a level shows itself and everything louder. klog is what an author asked to see. */
const LEVELS = ['error', 'warn', 'klog', 'info', 'debug']
const CHOICES = [
  ['', 'everything'],
  ['info', 'info and louder'],
  ['klog', 'klog and louder'],
  ['warn', 'warnings and errors'],
  ['error', 'errors'],
] as const

export function Logging({ pico }: { readonly pico: Pico }) {
  const { state } = useConsole()
  const form = `log/${pico.picoId}`
  const { get } = useForm(form)
  const records = state.logs[pico.picoId]
  const [filter, level] = [get('text'), get('level')]
  const groups = useMemo(
    () => groupsOf((records ?? []).filter(record => isWanted(record, filter, level))),
    [records, filter, level],
  )
  return (
    <>
      <div className="two filter">
        <Field form={form} name="text" label="Only with" />
        <Choice form={form} name="level" label="Level" choices={CHOICES} />
      </div>
      <Known room="logs" picoId={pico.picoId}>
        {() =>
          groups.length === 0 ? (
            <p className="muted">
              {records?.length ? 'Nothing passes the filter.' : 'Nothing yet. What happens from now on appears here.'}
            </p>
          ) : (
            <ol className="log" aria-label="Log">
              {groups.map(group => (
                <Step key={group.id} group={group} />
              ))}
            </ol>
          )
        }
      </Known>
    </>
  )
}

interface Group {
  readonly id: string
  readonly records: LogRecord[]
}

function isWanted(record: LogRecord, filter: string, level: string): boolean {
  if (level !== '' && LEVELS.indexOf(record.level) > LEVELS.indexOf(level)) return false
  return filter === '' || JSON.stringify(record).toLowerCase().includes(filter.toLowerCase())
}

/** By transaction, the newest first; a record without one stands alone. */
function groupsOf(records: readonly LogRecord[]): Group[] {
  const groups = new Map<string, Group>()
  records.forEach((record, n) => {
    const id = record.txnId ?? `alone/${record.at}/${n}`
    const group = groups.get(id)
    if (group === undefined) groups.set(id, { id, records: [record] })
    else group.records.push(record)
  })
  return [...groups.values()].reverse()
}

function Step({ group: { id, records } }: { group: Group }) {
  return (
    <li>
      <div className="muted">
        <time dateTime={records[0]!.at}>{records[0]!.at.slice(11, 23)}</time> {id.startsWith('alone/') ? '' : id}
      </div>
      {records.map((record, n) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: records of a step only grow at the end
        <Line key={n} record={record} />
      ))}
    </li>
  )
}

function Line({ record }: { record: LogRecord }) {
  const { at: _, picoId: __, txnId: ___, level, code, message, ...rest } = record
  const more = Object.entries(rest).filter(([, value]) => value !== undefined && value !== null)
  return (
    <div className={`record ${level}`}>
      <span className="level">{level}</span> <code>{code}</code> {message}{' '}
      {more.length > 0 && (
        <span className="muted">
          {more
            .map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
            .join(' ')}
        </span>
      )}
    </div>
  )
}
