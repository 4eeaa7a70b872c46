// Trying a pico out: a form for every event and query that its rulesets declare, and one for any other. Each goes
// as the owner's words, or over a channel, whose policy then applies.

import { useState } from 'react'
import { useConsole, useForm } from './console.ts'
import { Check, Choice, FaultBox, Field, Form, Known, objectOf, short, Tree } from './parts.tsx'
import { known } from './state.ts'
import type { Channel, Testing as Declared, Json, JsonObject, Pico } from './types.ts'

/** Rulesets that every pico has come last: what was installed is what is tried. */
const COMMON = /^io\.picolabs\.(wrangler|subscription)$/

export function Testing({ pico }: { readonly pico: Pico }) {
  return (
    <>
      <Through pico={pico} />
      <Known<Record<string, Partial<Declared>>> room="testing" picoId={pico.picoId}>
        {declared => {
          const all = Object.entries(declared)
          const own = all.filter(([rid]) => !COMMON.test(rid))
          return [...own, ...all.filter(([rid]) => COMMON.test(rid))].map(([rid, testing]) => (
            <OfRuleset key={rid} pico={pico} rid={rid} testing={testing} open={!COMMON.test(rid)} />
          ))
        }}
      </Known>
      <Free pico={pico} />
    </>
  )
}

const throughForm = (pico: Pico) => `through/${pico.picoId}`

/** Over what the events and queries of this page go. */
function Through({ pico }: { pico: Pico }) {
  const { state } = useConsole()
  const channels = known<readonly Channel[]>(state, 'channels', pico.picoId) ?? []
  const choices = channels
    .filter(channel => !channel.familyChannelPicoID)
    .map(({ eci, tags }) => [eci, `channel ${tags.join(', ')} (${short(eci, 6, 0)})`] as const)
  return (
    <div className="two filter">
      <Choice form={throughForm(pico)} name="eci" label="As" choices={[['', 'the owner'], ...choices]} />
    </div>
  )
}

function useEci(pico: Pico): { eci?: string } {
  const eci = useForm(throughForm(pico)).get('eci')
  return eci === '' ? {} : { eci }
}

interface OfRulesetProps {
  readonly pico: Pico
  readonly rid: string
  readonly testing: Partial<Declared>
  readonly open: boolean
}

function OfRuleset({ pico, rid, testing, open }: OfRulesetProps) {
  const [isOpen, setOpen] = useState(open)
  const { events = [] } = testing
  const queries = (testing.queries ?? []).filter(query => query.name !== '__testing')
  return (
    <details className="card" open={isOpen} onToggle={event => setOpen(event.currentTarget.open)}>
      <summary>
        <h3>{rid}</h3>{' '}
        <span className="muted">
          {count(events.length, 'event', 'events')}, {count(queries.length, 'query', 'queries')}
        </span>
      </summary>
      {isOpen &&
        queries.map(({ name, args = [] }) => (
          <QueryForm key={`query/${name}`} pico={pico} rid={rid} name={name} args={args} />
        ))}
      {isOpen &&
        events.map(({ domain, name, attrs = [] }) => (
          <EventForm key={`event/${domain}/${name}`} pico={pico} rid={rid} domain={domain} type={name} attrs={attrs} />
        ))}
    </details>
  )
}

const count = (n: number, one: string, more: string) => `${n} ${n === 1 ? one : more}`

/** Fields as text, or as JSON when that is asked for; empty ones are left out. A string says what is wrong. */
function valuesOf(names: readonly string[], get: (field: string) => string): JsonObject | string {
  const values: JsonObject = {}
  for (const name of names) {
    const text = get(`of/${name}`)
    if (text === '') continue
    try {
      values[name] = get('json') === 'yes' ? (JSON.parse(text) as Json) : text
    } catch {
      return `${name} is not JSON; a text needs its quotes there.`
    }
  }
  return values
}

function EventForm({
  pico,
  rid,
  domain,
  type,
  attrs,
}: {
  pico: Pico
  rid: string
  domain: string
  type: string
  attrs: readonly string[]
}) {
  const { act, refuse } = useConsole()
  const form = `event/${pico.picoId}/${rid}/${domain}:${type}`
  const { get } = useForm(form)
  const eci = useEci(pico)
  const submit = () => {
    const values = valuesOf(attrs, get)
    if (typeof values === 'string') return refuse(form, values)
    act(form, 'event', { pico: pico.picoId, domain, type, attrs: values, wait: true, ...eci })
  }
  return <Generated form={form} title={`${domain}:${type}`} submit="Raise" names={attrs} onSubmit={submit} />
}

function QueryForm({ pico, rid, name, args }: { pico: Pico; rid: string; name: string; args: readonly string[] }) {
  const { act, refuse } = useConsole()
  const form = `query/${pico.picoId}/${rid}/${name}`
  const { get } = useForm(form)
  const eci = useEci(pico)
  const submit = () => {
    const values = valuesOf(args, get)
    if (typeof values === 'string') return refuse(form, values)
    act(form, 'query', { pico: pico.picoId, rid, name, args: values, ...eci })
  }
  return <Generated form={form} title={`${name}(${args.join(', ')})`} submit="Ask" names={args} onSubmit={submit} />
}

interface GeneratedProps {
  readonly form: string
  readonly title: string
  readonly submit: string
  readonly names: readonly string[]
  readonly onSubmit: () => void
}

function Generated({ form, title, submit, names, onSubmit }: GeneratedProps) {
  const { act } = useForm(form)
  return (
    <div className="try">
      <form
        aria-label={title}
        onSubmit={event => {
          event.preventDefault()
          if (!act.busy) onSubmit()
        }}
      >
        <div className="try-title">
          <code>{title}</code>
          <button type="submit" disabled={act.busy}>
            {submit}
          </button>
        </div>
        {names.length > 0 && (
          <div className="two">
            {names.map(name => (
              <Field key={name} form={form} name={`of/${name}`} label={name} />
            ))}
          </div>
        )}
        {names.length > 0 && <Check form={form} name="json" label="values are JSON" />}
      </form>
      <FaultBox fault={act.fault} />
      <Outcome title={title} answer={act.answer} />
    </div>
  )
}

/** Directives of an event, or the value of a query. */
function Outcome({ title, answer }: { title: string; answer: Json | undefined }) {
  if (answer === undefined) return null
  const event = isEvent(answer) ? answer : undefined
  return (
    <div className="outcome" role="status" aria-label={`Answer of ${title}`}>
      {event === undefined ? (
        <Tree value={answer} />
      ) : event.directives.length === 0 ? (
        <span className="muted">applied, no directives</span>
      ) : (
        event.directives.map((directive, n) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: the list is replaced whole
          <Tree key={n} name={String((directive as JsonObject).name)} value={(directive as JsonObject).options ?? {}} />
        ))
      )}
    </div>
  )
}

const isEvent = (answer: Json): answer is JsonObject & { directives: Json[] } =>
  answer !== null &&
  typeof answer === 'object' &&
  !Array.isArray(answer) &&
  typeof answer.eid === 'string' &&
  Array.isArray(answer.directives)

/** Any event and any query, by name. */
function Free({ pico }: { pico: Pico }) {
  const { act, refuse } = useConsole()
  const [event, query] = [`any-event/${pico.picoId}`, `any-query/${pico.picoId}`]
  const [raised, asked] = [useForm(event), useForm(query)]
  const eci = useEci(pico)
  const raise = () => {
    const [domain = '', type = ''] = raised.get('name').split(':')
    const attrs = objectOf(raised.get('attrs'), 'The attributes')
    if (domain === '' || type === '') return refuse(event, 'An event is domain:type.')
    if (typeof attrs === 'string') return refuse(event, attrs)
    act(event, 'event', { pico: pico.picoId, domain: domain.trim(), type: type.trim(), attrs, wait: true, ...eci })
  }
  const ask = () => {
    const [rid = '', name = ''] = asked.get('name').split('/')
    const args = objectOf(asked.get('args'), 'The arguments')
    if (rid === '' || name === '') return refuse(query, 'A query is rid/name.')
    if (typeof args === 'string') return refuse(query, args)
    act(query, 'query', { pico: pico.picoId, rid: rid.trim(), name: name.trim(), args, ...eci })
  }
  return (
    <details className="card">
      <summary>
        <h3>Anything else</h3>
      </summary>
      <Form form={event} submit="Raise event" onSubmit={raise}>
        <Field form={event} name="name" label="Event" hint="domain:type" required />
        <Field form={event} name="attrs" label="Attributes (JSON)" rows={2} />
      </Form>
      <Outcome title="the event" answer={raised.act.answer} />
      <Form form={query} submit="Ask query" onSubmit={ask}>
        <Field form={query} name="name" label="Query" hint="rid/name" required />
        <Field form={query} name="args" label="Arguments (JSON)" rows={2} />
      </Form>
      <Outcome title="the query" answer={asked.act.answer} />
    </details>
  )
}
