// An invitation: its options, then a code to scan and an address to send. It stays on the screen until it is put away.

import { useConsole, useForm } from './console.ts'
import { Check, Choice, Copy, Field, Form, listOf, Qr, short } from './parts.tsx'
import { keyOf } from './state.ts'
import type { JsonObject, Pico } from './types.ts'

export function Invite({ pico }: { pico: Pico }) {
  const { act, refuse, dispatch } = useConsole()
  const form = `invite/${pico.picoId}`
  const { get, act: last } = useForm(form)
  const submit = () => {
    const [events, queries, label] = [listOf(get('events')), listOf(get('queries')), get('label').trim()]
    const expires_s = Number(get('expires') || '0')
    if (!Number.isInteger(expires_s) || expires_s < 0)
      return refuse(form, 'The time it is valid is a whole number of seconds.')
    act(
      form,
      'invite',
      {
        pico: pico.picoId,
        version: get('version') === 'v2' ? 'v2' : 'v1',
        multi: get('multi') === 'yes',
        approve: get('approve') === 'yes',
        ...(label ? { label } : {}),
        ...(expires_s > 0 ? { expires_s } : {}),
        ...(events ? { events } : {}),
        ...(queries ? { queries } : {}),
      },
      { touched: [keyOf('connections', pico.picoId)], clear: ['label', 'events', 'queries'] },
    )
  }
  if (last.answer !== undefined)
    return <Made invitation={last.answer as JsonObject} onDone={() => dispatch({ do: 'dismiss', form })} />
  return (
    <Form form={form} title="Invite" submit="Make invitation" className="form card" onSubmit={submit}>
      <Field form={form} name="label" label="Label the other side sees" hint={pico.name} />
      <Choice form={form} name="version" label="DIDComm" choices={VERSIONS} />
      <Check form={form} name="multi" label="May be used more than once" />
      <Check form={form} name="approve" label="Wait for my approval" />
      <details>
        <summary>What the peer may do here, and for how long it is valid</summary>
        <Field form={form} name="events" label="Events" hint="domain:name" rows={2} />
        <Field form={form} name="queries" label="Queries" hint="rid/name" rows={2} />
        <Field form={form} name="expires" label="Valid for (seconds, empty: no end)" />
      </details>
    </Form>
  )
}

const VERSIONS = [
  ['', 'v1 (Aries agents)'],
  ['v2', 'v2'],
] as const

function Made({ invitation, onDone }: { invitation: JsonObject; onDone: () => void }) {
  const { shortUrl, url } = invitation
  return (
    <section className="card made" aria-label="Invitation">
      <h3>Invitation</h3>
      <Qr text={String(shortUrl)} label="QR code of the invitation" />
      <p>
        <Copy value={String(shortUrl)} what="invitation" />
      </p>
      <p className="muted">
        Long form: <Copy value={String(url)} what="long invitation" shown={short(String(url), 24, 4)} />
      </p>
      <button type="button" onClick={onDone}>
        Done
      </button>
    </section>
  )
}
