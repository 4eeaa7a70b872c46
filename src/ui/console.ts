// The shell around update(): loads what is due, follows the stream, performs what forms ask for. Views get it by
// useConsole() and never call the engine themselves.

import { createContext, type Dispatch, useContext, useEffect, useReducer, useRef } from 'react'
import type { VerbArgs } from '../verb-args.ts'
import { ask, follow, openSession, toFault } from './api.ts'
import { load } from './rooms.ts'
import { type Act, type Action, due, initial, type State, TABS, type Tab, update } from './state.ts'
import type { Json } from './types.ts'

/** Requests at a time; a browser gives one origin six lines, of which the stream holds one. */
const AT_ONCE = 4
/** The same answer is asked for at most this often, however much happens, ms. */
const PAUSE_MS = 250

export interface ActOptions {
  /** Keys whose answers are old once it is done; the stream says so too, this is sooner. */
  readonly touched?: readonly string[]
  /** Fields that are used up by it. */
  readonly clear?: readonly string[]
  readonly then?: (answer: Json) => void
}

export interface Console {
  readonly state: State
  readonly dispatch: Dispatch<Action>
  /** Asks a verb on behalf of a form or button; its outcome is `state.acts[form]`. */
  act<Name extends keyof VerbArgs>(form: string, verb: Name, args: VerbArgs[Name], options?: ActOptions): void
  /** Refuses before asking: what was typed cannot be sent. */
  refuse(form: string, message: string): void
}

const Context = createContext<Console | undefined>(undefined)
export const ConsoleProvider = Context.Provider

export function useConsole(): Console {
  const console = useContext(Context)
  if (console === undefined) throw new Error('a view outside the console')
  return console
}

/** A form's fields and last outcome. */
export function useForm(form: string): {
  readonly act: Act
  readonly get: (field: string) => string
  readonly set: (field: string, text: string) => void
} {
  const { state, dispatch } = useConsole()
  return {
    act: state.acts[form] ?? { busy: false },
    get: field => state.drafts[form]?.[field] ?? '',
    set: (field, text) => dispatch({ do: 'write', form, field, text }),
  }
}

/** The console of this page. */
export function useEngine(): Console {
  const [state, dispatch] = useReducer(update, initial)
  useSession(state, dispatch)
  useAddress(state, dispatch)
  useLoads(state, dispatch)
  return {
    state,
    dispatch,
    act(form, verb, args, { touched = [], clear = [], then } = {}) {
      dispatch({ do: 'act', form })
      ask(verb, args).then(
        answer => {
          dispatch({ do: 'acted', form, answer, touched, clear })
          then?.(answer)
        },
        thrown => dispatch({ do: 'refused', form, fault: toFault(thrown) }),
      )
    },
    refuse: (form, message) => dispatch({ do: 'refused', form, fault: { code: 'usage', message, place: {} } }),
  }
}

function useSession({ session }: State, dispatch: Dispatch<Action>): void {
  useEffect(() => {
    openSession().then(
      known => dispatch({ do: 'session', session: known ? 'open' : 'closed' }),
      () => dispatch({ do: 'session', session: 'closed' }),
    )
  }, [dispatch])
  useEffect(() => {
    if (session !== 'open') return
    return follow({
      live: () => dispatch({ do: 'stream', stream: 'live' }),
      lost: () => dispatch({ do: 'stream', stream: 'lost' }),
      closed: () => dispatch({ do: 'session', session: 'closed' }),
      event: event => dispatch({ do: 'happened', event }),
    })
  }, [session, dispatch])
}

/** The address bar says which pico and tab are open: `#/picoId/tab`. */
function useAddress({ session, selected, tab }: State, dispatch: Dispatch<Action>): void {
  useEffect(() => {
    if (session !== 'open') return
    const read = () => {
      const [, picoId, name] = location.hash.split('/')
      dispatch({ do: 'open', picoId: picoId || null, tab: TABS.find(known => known === name) ?? 'about' })
    }
    if (location.hash.startsWith('#/')) read()
    addEventListener('popstate', read)
    return () => removeEventListener('popstate', read)
  }, [session, dispatch])
  useEffect(() => {
    if (session !== 'open') return
    const hash = selected === null ? '' : addressOf(selected, tab)
    if (location.hash !== hash) history.pushState(null, '', hash || location.pathname)
  }, [session, selected, tab])
}

export const addressOf = (picoId: string, tab: Tab) => `#/${picoId}/${tab}`

function useLoads(state: State, dispatch: Dispatch<Action>): void {
  const asked = useRef(new Map<string, number>())
  useEffect(() => {
    const free = AT_ONCE - Object.keys(state.loading).length
    for (const key of due(state).slice(0, Math.max(0, free))) {
      dispatch({ do: 'loading', key })
      void loadLater(key, asked.current, dispatch)
    }
  }, [state, dispatch])
}

async function loadLater(key: string, asked: Map<string, number>, dispatch: Dispatch<Action>): Promise<void> {
  const wait = (asked.get(key) ?? -PAUSE_MS) + PAUSE_MS - performance.now()
  if (wait > 0) await new Promise(resolve => setTimeout(resolve, wait))
  asked.set(key, performance.now())
  try {
    dispatch({ do: 'loaded', key, value: await load(key) })
  } catch (thrown) {
    dispatch({ do: 'failed', key, fault: toFault(thrown) })
  }
}
