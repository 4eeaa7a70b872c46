// The whole console: a line on top, the map, and beside it the panel of the pico that was chosen.

import { ConsoleProvider, useConsole, useEngine } from './console.ts'
import { PicoMap } from './map.tsx'
import { Panel } from './panel.tsx'
import { FaultBox } from './parts.tsx'
import { picos } from './state.ts'
import type { JsonObject } from './types.ts'

export function App() {
  const console = useEngine()
  const { session, selected } = console.state
  if (session === 'opening') return <main className="notice" aria-busy="true" />
  if (session === 'closed') return <Closed />
  return (
    <ConsoleProvider value={console}>
      <Top />
      <Trouble />
      <div className={selected === null ? 'rooms' : 'rooms with-panel'}>
        <PicoMap />
        {selected !== null && <Panel key={selected} picoId={selected} />}
      </div>
    </ConsoleProvider>
  )
}

function Closed() {
  return (
    <main className="notice">
      <h1>Picomesh</h1>
      <p>
        This browser has no session with the engine. A console link opens once; the engine forgets sessions when it
        ends.
      </p>
      <p>
        Run <code>picomesh status</code> and open the console link that it shows.
      </p>
    </main>
  )
}

const STREAM = { opening: 'connecting', live: 'live', lost: 'connection lost' } as const

function Top() {
  const { state, dispatch } = useConsole()
  const status = (state.entries.status?.value ?? {}) as JsonObject
  const all = picos(state)
  const found = firstMatch(all, state.search)
  return (
    <header className="top">
      <h1>Picomesh</h1>
      <search>
        <form
          onSubmit={event => {
            event.preventDefault()
            if (found !== undefined) dispatch({ do: 'open', picoId: found.picoId })
          }}
        >
          <input
            type="search"
            aria-label="Find a pico by name"
            placeholder="Find a pico"
            value={state.search}
            onChange={event => dispatch({ do: 'search', text: event.target.value })}
          />
        </form>
      </search>
      <span className="facts">
        {all.length} {all.length === 1 ? 'pico' : 'picos'}
        {typeof status.didcommUrl === 'string' && <span className="long"> · {status.didcommUrl}</span>}
        {status.wallet === 'locked' && <b> · wallet locked: run picomesh wallet unlock</b>}
      </span>
      <span className={`stream ${state.stream}`} role="status">
        {STREAM[state.stream]}
      </span>
    </header>
  )
}

function firstMatch<P extends { readonly name: string }>(all: readonly P[], search: string): P | undefined {
  const wanted = search.trim().toLowerCase()
  if (wanted === '') return undefined
  return (
    all.find(pico => pico.name.toLowerCase() === wanted) ?? all.find(pico => pico.name.toLowerCase().includes(wanted))
  )
}

/** What keeps the whole console from being right. */
function Trouble() {
  const { state, dispatch } = useConsole()
  const fault = state.entries.picos?.fault
  return fault === undefined ? null : (
    <div className="trouble">
      <FaultBox fault={fault} />
      <button type="button" onClick={() => dispatch({ do: 'reload', key: 'picos' })}>
        Try again
      </button>
    </div>
  )
}
