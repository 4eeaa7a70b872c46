// The panel of one pico: seven tabs, moved through by click or arrow keys.

import { type KeyboardEvent, type ReactNode, useRef } from 'react'
import { About } from './about.tsx'
import { Channels } from './channels.tsx'
import { Connections } from './connections.tsx'
import { useConsole } from './console.ts'
import { Logging } from './logging.tsx'
import { Known, Tree } from './parts.tsx'
import { Rulesets } from './rulesets.tsx'
import { picos, TABS, type Tab } from './state.ts'
import { Testing } from './testing.tsx'
import type { JsonObject, Pico } from './types.ts'

type Page = (props: { readonly pico: Pico }) => ReactNode

const PAGES: Record<Tab, Page> = {
  about: About,
  rulesets: Rulesets,
  channels: Channels,
  connections: Connections,
  state: Variables,
  logging: Logging,
  testing: Testing,
}

const titleOf = (tab: Tab) => tab.slice(0, 1).toUpperCase() + tab.slice(1)

export function Panel({ picoId }: { picoId: string }) {
  const { state, dispatch } = useConsole()
  const pico = picos(state).find(one => one.picoId === picoId)
  if (pico === undefined) return <aside className="panel" aria-busy="true" />
  const Shown = PAGES[state.tab]
  return (
    <aside
      className="panel"
      aria-label={`Pico ${pico.name}`}
      onKeyDown={event => event.key === 'Escape' && dispatch({ do: 'open', picoId: null })}
    >
      <div className="panel-top">
        <h2>{pico.name}</h2>
        <button
          type="button"
          className="quiet"
          aria-label="Close"
          onClick={() => dispatch({ do: 'open', picoId: null })}
        >
          ✕
        </button>
      </div>
      <Tabs picoId={picoId} tab={state.tab} />
      <div className="page" role="tabpanel" id="page" aria-labelledby={`tab-${state.tab}`}>
        <Shown pico={pico} />
      </div>
    </aside>
  )
}

function Tabs({ picoId, tab }: { picoId: string; tab: Tab }) {
  const { dispatch } = useConsole()
  const list = useRef<HTMLDivElement>(null)
  const open = (to: Tab) => dispatch({ do: 'open', picoId, tab: to })
  const onKeyDown = (event: KeyboardEvent) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key]
    if (step === undefined) return
    const to = TABS[(TABS.indexOf(tab) + step + TABS.length) % TABS.length]!
    open(to)
    list.current?.querySelector<HTMLElement>(`#tab-${to}`)?.focus()
  }
  return (
    <div className="tabs" role="tablist" ref={list} onKeyDown={onKeyDown}>
      {TABS.map(one => (
        <button
          key={one}
          id={`tab-${one}`}
          type="button"
          role="tab"
          aria-selected={one === tab}
          aria-controls="page"
          tabIndex={one === tab ? 0 : -1}
          onClick={() => open(one)}
        >
          {titleOf(one)}
        </button>
      ))}
    </div>
  )
}

/** Entity variables by ruleset. */
function Variables({ pico }: { readonly pico: Pico }) {
  return (
    <Known<JsonObject> room="state" picoId={pico.picoId}>
      {variables => {
        const filled = Object.entries(variables).filter(([, value]) => Object.keys(Object(value)).length > 0)
        if (filled.length === 0) return <p className="muted">No ruleset of this pico has set an entity variable.</p>
        return filled.map(([rid, value]) => (
          <section className="card" key={rid} aria-label={rid}>
            <h3>{rid}</h3>
            {Object.entries(value as JsonObject).map(([name, one]) => (
              <Tree key={name} name={`ent:${name}`} value={one} />
            ))}
          </section>
        ))
      }}
    </Known>
  )
}
