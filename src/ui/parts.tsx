// Small pieces that every tab is made of. Names, labels, messages and values come from anyone: they are only ever text.

import qrcode from 'qrcode-generator'
import { type ReactNode, useId, useState } from 'react'
import { useConsole, useForm } from './console.ts'
import { keyOf, type Room } from './state.ts'
import type { Fault, Json, JsonObject, Policy } from './types.ts'

/** A refusal with its code, its sentence and every place it names. */
export function FaultBox({ fault }: { fault: Fault | undefined }) {
  if (fault === undefined) return null
  const { errors, line, column, hint, ...rest } = fault.place
  const more = Array.isArray(errors) ? errors.map(asObject) : []
  const located =
    more.length > 0 ? more : line === undefined || line === null ? [] : [{ line, column, hint } as JsonObject]
  const others = Object.entries(rest).filter(([, value]) => value !== null && typeof value !== 'object')
  return (
    <div className="fault" role="alert">
      <code>{fault.code}</code> {fault.message}
      {others.length > 0 && (
        <div className="muted">
          {others.map(([name, value]) => (
            <span key={name}>
              {name}: {String(value)}{' '}
            </span>
          ))}
        </div>
      )}
      {located.length > 0 && (
        <ul>
          {located.map((one, n) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: the list is replaced whole
            <li key={n}>
              <code>
                {text(one.line)}:{text(one.column)}
              </code>{' '}
              {text(one.message)} {one.hint ? <span className="muted">{text(one.hint)}</span> : null}
            </li>
          ))}
        </ul>
      )}
    </div>
  )
}

const asObject = (value: Json): JsonObject =>
  value !== null && typeof value === 'object' && !Array.isArray(value) ? value : { message: value }

const text = (value: Json | undefined): string =>
  value === undefined || value === null ? '' : typeof value === 'string' ? value : JSON.stringify(value)

interface FieldProps {
  readonly form: string
  readonly name: string
  readonly label: string
  readonly hint?: string
  readonly rows?: number
  readonly required?: boolean
}

/** A labelled text of a form; it lives in the state, so nothing typed is lost. */
export function Field({ form, name, label, hint, rows, required = false }: FieldProps) {
  const { get, set } = useForm(form)
  const id = useId()
  const common = {
    id,
    value: get(name),
    required,
    spellCheck: false,
    autoComplete: 'off',
    placeholder: hint,
    onChange: (event: { target: { value: string } }) => set(name, event.target.value),
  }
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      {rows === undefined ? <input {...common} /> : <textarea {...common} rows={rows} />}
    </div>
  )
}

export function Check({ form, name, label }: { form: string; name: string; label: string }) {
  const { get, set } = useForm(form)
  return (
    <label className="check">
      <input
        type="checkbox"
        checked={get(name) === 'yes'}
        onChange={event => set(name, event.target.checked ? 'yes' : '')}
      />
      {label}
    </label>
  )
}

interface ChoiceProps {
  readonly form: string
  readonly name: string
  readonly label: string
  readonly choices: readonly (readonly [value: string, shown: string])[]
}

export function Choice({ form, name, label, choices }: ChoiceProps) {
  const { get, set } = useForm(form)
  const id = useId()
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <select id={id} value={get(name)} onChange={event => set(name, event.target.value)}>
        {choices.map(([value, shown]) => (
          <option key={value} value={value}>
            {shown}
          </option>
        ))}
      </select>
    </div>
  )
}

interface FormProps {
  readonly form: string
  readonly title?: string
  readonly submit: string
  readonly className?: string
  readonly onSubmit: () => void
  readonly children?: ReactNode
}

/** Fields, a button, and under it what went wrong. */
export function Form({ form, title, submit, className = 'form', onSubmit, children }: FormProps) {
  const { act } = useForm(form)
  return (
    <form
      className={className}
      aria-label={title ?? submit}
      onSubmit={event => {
        event.preventDefault()
        if (!act.busy) onSubmit()
      }}
    >
      {title !== undefined && <h3>{title}</h3>}
      {children}
      <button type="submit" disabled={act.busy}>
        {submit}
      </button>
      <FaultBox fault={act.fault} />
    </form>
  )
}

/** A button for what cannot be undone: asks first, beside itself. */
export function Confirm({
  label,
  question,
  form,
  onYes,
}: {
  label: string
  question: string
  form: string
  onYes: () => void
}) {
  const [asking, setAsking] = useState(false)
  const { act } = useForm(form)
  if (!asking)
    return (
      <>
        <button type="button" className="quiet" disabled={act.busy} onClick={() => setAsking(true)}>
          {label}
        </button>
        <FaultBox fault={act.fault} />
      </>
    )
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset would be a form inside a form
    <span className="confirm" role="group" aria-label={question}>
      {question}{' '}
      <button
        type="button"
        className="danger"
        // biome-ignore lint/a11y/noAutofocus: the question was just asked for, and Escape or Tab leaves it
        autoFocus
        onClick={() => {
          setAsking(false)
          onYes()
        }}
      >
        Yes, {label.toLowerCase()}
      </button>{' '}
      <button type="button" onClick={() => setAsking(false)}>
        Keep
      </button>
    </span>
  )
}

/** Text that may be taken along. `shown` may be shorter than what is copied. */
export function Copy({ value, what, shown }: { value: string; what: string; shown?: string }) {
  const [copied, setCopied] = useState(false)
  return (
    <span className="copy">
      <code title={value}>{shown ?? value}</code>
      <button
        type="button"
        className="quiet"
        aria-label={`Copy ${what}`}
        onClick={() =>
          navigator.clipboard.writeText(value).then(
            () => setCopied(true),
            () => setCopied(false),
          )
        }
        onBlur={() => setCopied(false)}
      >
        {copied ? 'copied' : 'copy'}
      </button>
    </span>
  )
}

/** The first and last characters of something long. */
export function short(value: string, head = 16, tail = 6): string {
  return value.length <= head + tail + 1 ? value : `${value.slice(0, head)}…${value.slice(value.length - tail)}`
}

/** A QR code (ISO/IEC 18004), level L, with the quiet zone of four modules. */
export function Qr({ text: content, label }: { text: string; label: string }) {
  const code = qrcode(0, 'L')
  code.addData(content)
  code.make()
  const size = code.getModuleCount()
  let path = ''
  for (let row = 0; row < size; row++)
    for (let column = 0; column < size; column++)
      if (code.isDark(row, column)) path += `M${column + 4} ${row + 4}h1v1h-1z`
  return (
    <svg
      className="qr"
      viewBox={`0 0 ${size + 8} ${size + 8}`}
      shapeRendering="crispEdges"
      role="img"
      aria-label={label}
    >
      <rect width={size + 8} height={size + 8} fill="#fff" />
      <path d={path} fill="#000" />
    </svg>
  )
}

/** A JSON value as a tree; large branches begin closed. */
export function Tree({ value, name, open = true }: { value: Json; name?: string; open?: boolean }) {
  const label = name === undefined ? null : <span className="key">{name}: </span>
  if (value === null || typeof value !== 'object')
    return (
      <div className="leaf">
        {label}
        <span className={`value ${value === null ? 'null' : typeof value}`}>{JSON.stringify(value)}</span>
      </div>
    )
  const entries = Object.entries(value)
  const kind = Array.isArray(value) ? `[${entries.length}]` : `{${entries.length}}`
  if (entries.length === 0)
    return (
      <div className="leaf">
        {label}
        <span className="value">{Array.isArray(value) ? '[ ]' : '{ }'}</span>
      </div>
    )
  return <Branch label={label} kind={kind} entries={entries} open={open && entries.length <= 50} />
}

/** Entries of a branch drawn at a time. */
const PAGE = 200

function Branch({
  label,
  kind,
  entries,
  open,
}: {
  label: ReactNode
  kind: string
  entries: [string, Json][]
  open: boolean
}) {
  const [isOpen, setOpen] = useState(open)
  const [shown, setShown] = useState(PAGE)
  return (
    <details className="branch" open={isOpen} onToggle={event => setOpen(event.currentTarget.open)}>
      <summary>
        {label}
        <span className="muted">{kind}</span>
      </summary>
      {isOpen &&
        entries
          .slice(0, shown)
          .map(([key, child]) => <Tree key={key} name={key} value={child} open={entries.length <= 20} />)}
      {isOpen && entries.length > shown && (
        <button type="button" className="quiet" onClick={() => setShown(shown + PAGE)}>
          {entries.length - shown} more
        </button>
      )}
    </details>
  )
}

/** What is kept under a key, its refusal, or the note that it is on its way. */
export function Known<T>({
  room,
  picoId,
  children,
}: {
  room: Room
  picoId: string
  children: (value: T) => ReactNode
}) {
  const { state, dispatch } = useConsole()
  const key = keyOf(room, picoId)
  const entry = state.entries[key]
  return (
    <>
      {entry?.fault !== undefined && (
        <div className="trouble">
          <FaultBox fault={entry.fault} />
          <button type="button" onClick={() => dispatch({ do: 'reload', key })}>
            Try again
          </button>
        </div>
      )}
      {entry?.value !== undefined
        ? children(entry.value as T)
        : entry?.fault === undefined && <p className="muted">Asking the engine …</p>}
    </>
  )
}

/** A policy in the short form of the command line: `domain:name` or `rid/name`, `!` denies. */
export function policyText({ allow, deny }: Policy, kind: 'event' | 'query'): string {
  const one = (rule: JsonObject) =>
    kind === 'event' ? `${text(rule.domain)}:${text(rule.name)}` : `${text(rule.rid)}/${text(rule.name)}`
  const list = [...allow.map(one), ...deny.map(rule => `!${one(rule)}`)]
  return list.length === 0 ? 'nothing' : list.map(word => word.replace(/^(!?)\*[:/]\*$/, '$1*')).join(', ')
}

/** Lines or commas of a text area as the verbs take them. */
export const listOf = (lines: string) =>
  lines
    .split(/[\n,]/)
    .map(line => line.trim())
    .filter(line => line !== '')
    .join(',')

/** A JSON object out of a field; empty is `{}`. A string says what is wrong. */
export function objectOf(field: string, what: string): JsonObject | string {
  if (field.trim() === '') return {}
  try {
    const value = JSON.parse(field) as Json
    if (value !== null && typeof value === 'object' && !Array.isArray(value)) return value
    return `${what} must be a JSON object, such as {"threshold": 20}.`
  } catch (thrown) {
    return `${what} is not JSON: ${thrown instanceof Error ? thrown.message : String(thrown)}`
  }
}
