// Channels of a pico: capability URLs with tags and policies. A family channel belongs to parent and child and stays.

import { useConsole, useForm } from './console.ts'
import { Confirm, Copy, Field, Form, Known, listOf, policyText, short } from './parts.tsx'
import { keyOf } from './state.ts'
import type { Channel, Pico } from './types.ts'

export function Channels({ pico }: { readonly pico: Pico }) {
  return (
    <>
      <Make pico={pico} />
      <Known<readonly Channel[]> room="channels" picoId={pico.picoId}>
        {channels => channels.map(channel => <One key={channel.eci} pico={pico} channel={channel} />)}
      </Known>
    </>
  )
}

function Make({ pico }: { pico: Pico }) {
  const { act } = useConsole()
  const form = `channel/${pico.picoId}`
  const { get } = useForm(form)
  const submit = () => {
    const [events, queries] = [listOf(get('events')), listOf(get('queries'))]
    const tags = listOf(get('tags')).split(',')
    const args = { pico: pico.picoId, tags, ...(events ? { events } : {}), ...(queries ? { queries } : {}) }
    act(form, 'channel.new', args, { touched: [keyOf('channels', pico.picoId)], clear: ['tags', 'events', 'queries'] })
  }
  return (
    <Form form={form} title="Make a channel" submit="Make channel" className="form card" onSubmit={submit}>
      <Field form={form} name="tags" label="Tags" hint="sensor, webhook" required />
      <div className="two">
        <Field
          form={form}
          name="events"
          label="Events it lets through"
          hint={'domain:name, one a line\n!domain:name denies, * is all'}
          rows={3}
        />
        <Field
          form={form}
          name="queries"
          label="Queries it lets through"
          hint={'rid/name, one a line\n!rid/name denies, * is all'}
          rows={3}
        />
      </div>
    </Form>
  )
}

function One({ pico, channel }: { pico: Pico; channel: Channel }) {
  const { act } = useConsole()
  const { eci, tags, eventPolicy, queryPolicy, familyChannelPicoID } = channel
  const form = `channel-rm/${eci}`
  return (
    <section className="card" aria-label={`Channel ${tags.join(', ')}`}>
      <h3>
        {tags.map(tag => (
          <span className="tag" key={tag}>
            {tag}
          </span>
        ))}
      </h3>
      <dl>
        <dt>ECI</dt>
        <dd>
          <Copy value={eci} what="ECI" shown={short(eci, 18, 4)} />
        </dd>
        <dt>Events</dt>
        <dd>{policyText(eventPolicy, 'event')}</dd>
        <dt>Queries</dt>
        <dd>{policyText(queryPolicy, 'query')}</dd>
      </dl>
      {familyChannelPicoID ? (
        <p className="muted">Between parent and child: it stays as long as both do.</p>
      ) : (
        <Confirm
          label="Delete"
          form={form}
          question={`Delete the channel ${tags.join(', ')}?`}
          onYes={() =>
            act(form, 'channel.rm', { pico: pico.picoId, eci }, { touched: [keyOf('channels', pico.picoId)] })
          }
        />
      )}
    </section>
  )
}
