// pure
// All that the console knows and how it changes: update(state, action) makes the next state, nothing here asks or waits.
// What has to be asked of the engine follows from the state (`due`): what is seen and not known, or known to be old.

import type { Fault, Json, JsonObject, LogRecord, Pico } from './types.ts'

export const TABS = ['about', 'rulesets', 'channels', 'connections', 'state', 'logging', 'testing'] as const
export type Tab = (typeof TABS)[number]

/** Kinds of answers kept for a pico; the key of one is `kind/picoId`. */
export type Room = 'rulesets' | 'channels' | 'connections' | 'messages' | 'state' | 'logs' | 'testing'

/** An answer of the engine. `stale`: something happened since. After a refusal the last good value stays. */
export interface Entry {
  readonly value?: Json
  readonly fault?: Fault
  readonly stale: boolean
}

/** The last use of a form or button. */
export interface Act {
  readonly busy: boolean
  readonly fault?: Fault
  readonly answer?: Json
}

export interface State {
  /** `closed`: the engine does not know this browser. */
  readonly session: 'opening' | 'open' | 'closed'
  readonly stream: 'opening' | 'live' | 'lost'
  readonly entries: Readonly<Record<string, Entry>>
  /** Keys being asked for; true when something happened meanwhile. */
  readonly loading: Readonly<Record<string, boolean>>
  /** Records of the log by pico, oldest first, bounded. */
  readonly logs: Readonly<Record<string, readonly LogRecord[]>>
  readonly selected: string | null
  readonly tab: Tab
  readonly search: string
  /** What stands in forms: kept over errors, tabs and picos until it was used. */
  readonly drafts: Readonly<Record<string, Readonly<Record<string, string>>>>
  readonly acts: Readonly<Record<string, Act>>
}

export type Action =
  | { readonly do: 'session'; readonly session: State['session'] }
  | { readonly do: 'stream'; readonly stream: State['stream'] }
  | { readonly do: 'happened'; readonly event: JsonObject }
  | { readonly do: 'loading'; readonly key: string }
  | { readonly do: 'loaded'; readonly key: string; readonly value: Json }
  | { readonly do: 'failed'; readonly key: string; readonly fault: Fault }
  | { readonly do: 'reload'; readonly key: string }
  | { readonly do: 'open'; readonly picoId: string | null; readonly tab?: Tab }
  | { readonly do: 'search'; readonly text: string }
  | { readonly do: 'write'; readonly form: string; readonly field: string; readonly text: string }
  | { readonly do: 'act'; readonly form: string }
  | {
      readonly do: 'acted'
      readonly form: string
      readonly answer: Json
      /** Keys whose answers are old now. */
      readonly touched: readonly string[]
      /** Fields that were used up. */
      readonly clear: readonly string[]
    }
  | { readonly do: 'refused'; readonly form: string; readonly fault: Fault }
  | { readonly do: 'dismiss'; readonly form: string }

export const initial: State = {
  session: 'opening',
  stream: 'opening',
  entries: {},
  loading: {},
  logs: {},
  selected: null,
  tab: 'about',
  search: '',
  drafts: {},
  acts: {},
}

/** Records kept of one pico's log. */
export const LOG_LENGTH = 500

export const keyOf = (room: Room, picoId: string) => `${room}/${picoId}`

/** What each tab shows. */
const SEEN: Record<Tab, readonly Room[]> = {
  about: [],
  rulesets: ['rulesets'],
  channels: ['channels'],
  connections: ['connections', 'messages'],
  state: ['state'],
  logging: ['logs'],
  testing: ['testing', 'channels'],
}

/** What an event of a kind makes old, at its pico; `engine` and kinds not known make everything old. */
const TOUCHED: Record<string, readonly Room[]> = {
  pico: [],
  connection: ['connections'],
  message: ['messages'],
  ruleset: ['rulesets', 'testing', 'state'],
  channel: ['channels'],
  state: ['state'],
  move: ['connections'],
  log: [],
}

/** The next state. */
export function update(state: State, action: Action): State {
  switch (action.do) {
    case 'session':
      return { ...state, session: action.session }
    case 'stream':
      // What happened while nobody listened is not known.
      return {
        ...(action.stream === 'live' && state.stream === 'lost' ? outdate(state, () => true) : state),
        stream: action.stream,
      }
    case 'happened':
      return happened(state, action.event)
    case 'loading':
      return { ...state, loading: { ...state.loading, [action.key]: false } }
    case 'loaded':
      return loaded(state, action.key, action.value)
    case 'failed':
      return settled(state, action.key, { ...state.entries[action.key], fault: action.fault })
    case 'reload':
      return outdate(state, key => key === action.key)
    case 'open':
      return open(state, action.picoId, action.tab ?? state.tab)
    case 'search':
      return { ...state, search: action.text }
    case 'write':
      return write(state, action.form, { ...state.drafts[action.form], [action.field]: action.text })
    case 'act':
      return setAct(state, action.form, { busy: true })
    case 'acted': {
      const next = outdate(state, key => action.touched.includes(key))
      const left = Object.entries(next.drafts[action.form] ?? {}).filter(([field]) => !action.clear.includes(field))
      return setAct(write(next, action.form, Object.fromEntries(left)), action.form, {
        busy: false,
        answer: action.answer,
      })
    }
    case 'refused':
      return setAct(state, action.form, { busy: false, fault: action.fault })
    case 'dismiss': {
      const { [action.form]: _, ...acts } = state.acts
      return { ...state, acts }
    }
  }
}

/** Keys of all that is on the screen: the map shows every pico and connection, the panel one tab. */
export function seen(state: State): string[] {
  if (state.session !== 'open') return []
  const map = picos(state).map(pico => keyOf('connections', pico.picoId))
  const { selected } = state
  const panel = selected === null ? [] : SEEN[state.tab].map(room => keyOf(room, selected))
  return [...new Set(['status', 'picos', ...panel, ...map])]
}

/** Keys to ask for next, the most wanted first. */
export function due(state: State): string[] {
  return seen(state).filter(key => !(key in state.loading) && (state.entries[key]?.stale ?? true))
}

export function picos(state: State): readonly Pico[] {
  return (state.entries.picos?.value ?? []) as unknown as readonly Pico[]
}

/** The answer of a kind for a pico, or undefined while it is not known. */
export function known<T>(state: State, room: Room, picoId: string): T | undefined {
  return state.entries[keyOf(room, picoId)]?.value as T | undefined
}

function happened(state: State, event: JsonObject): State {
  const kind = String(event.kind)
  const picoId = typeof event.picoId === 'string' ? event.picoId : undefined
  const rooms = TOUCHED[kind]
  const next = kind === 'log' && picoId !== undefined ? addRecord(state, picoId, event as unknown as LogRecord) : state
  if (rooms === undefined) return outdate(next, () => true)
  return outdate(next, key => {
    const [room, id] = key.split('/')
    if (key === 'picos') return kind === 'pico' || kind === 'move'
    if (key === 'status') return kind === 'move'
    return rooms.includes(room as Room) && (picoId === undefined || id === picoId)
  })
}

/** Marks what is known as old, and what is being asked for as asked too early. */
function outdate(state: State, matches: (key: string) => boolean): State {
  const entries = { ...state.entries }
  const loading = { ...state.loading }
  let changed = false
  for (const [key, entry] of Object.entries(entries))
    if (!entry.stale && matches(key)) {
      entries[key] = { ...entry, stale: true }
      changed = true
    }
  for (const key of Object.keys(loading))
    if (!loading[key] && matches(key)) {
      loading[key] = true
      changed = true
    }
  return changed ? { ...state, entries, loading } : state
}

function settled(state: State, key: string, entry: Omit<Entry, 'stale'>): State {
  const { [key]: again = false, ...loading } = state.loading
  return { ...state, loading, entries: { ...state.entries, [key]: { ...entry, stale: again } } }
}

function loaded(state: State, key: string, value: Json): State {
  const next = settled(state, key, { value })
  if (key === 'picos') return forgetGone(next)
  if (!key.startsWith('logs/')) return next
  const picoId = key.slice('logs/'.length)
  const past = value as unknown as LogRecord[]
  const old = new Set(past.map(record => JSON.stringify(record)))
  const early = (state.logs[picoId] ?? []).filter(record => !old.has(JSON.stringify(record)))
  return { ...next, logs: { ...next.logs, [picoId]: byTime([...past, ...early]).slice(-LOG_LENGTH) } }
}

function byTime(records: LogRecord[]): LogRecord[] {
  return records.sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0))
}

/** Only picos whose log was looked at have one here. */
function addRecord(state: State, picoId: string, event: LogRecord): State {
  const key = keyOf('logs', picoId)
  if (!(key in state.entries) && !(key in state.loading)) return state
  const { kind: _, ...record } = event
  const records = [...(state.logs[picoId] ?? []), record as LogRecord].slice(-LOG_LENGTH)
  return { ...state, logs: { ...state.logs, [picoId]: records } }
}

function forgetGone(state: State): State {
  const here = new Set(picos(state).map(pico => pico.picoId))
  const stays = (key: string) => !key.includes('/') || here.has(key.slice(key.indexOf('/') + 1))
  const entries = Object.fromEntries(Object.entries(state.entries).filter(([key]) => stays(key)))
  const logs = Object.fromEntries(Object.entries(state.logs).filter(([picoId]) => here.has(picoId)))
  const selected = state.selected !== null && here.has(state.selected) ? state.selected : null
  return { ...state, entries, logs, selected }
}

/** Opening a tab asks again for what was refused the last time. */
function open(state: State, selected: string | null, tab: Tab): State {
  const next = { ...state, selected, tab }
  if (selected === null) return next
  const keys = SEEN[tab].map(room => keyOf(room, selected))
  return outdate(next, key => keys.includes(key) && next.entries[key]?.fault !== undefined)
}

function write(state: State, form: string, draft: Readonly<Record<string, string>>): State {
  return { ...state, drafts: { ...state.drafts, [form]: draft } }
}

function setAct(state: State, form: string, act: Act): State {
  return { ...state, acts: { ...state.acts, [form]: act } }
}
