// Connections of a pico: invite, accept, and for each what it is, ping, messages, what the peer may do here.

import { useConsole, useForm } from './console.ts'
import { Invite } from './invite.tsx'
import { Confirm, Copy, FaultBox, Field, Form, Known, listOf, policyText, short } from './parts.tsx'
import { keyOf, known } from './state.ts'
import type { Connection, JsonObject, Message, Pico } from './types.ts'

export function Connections({ pico }: { readonly pico: Pico }) {
  return (
    <>
      <div className="two">
        <Invite pico={pico} />
        <Accept pico={pico} />
      </div>
      <Known<readonly Connection[]> room="connections" picoId={pico.picoId}>
        {connections =>
          connections.length === 0 ? (
            <p className="muted">No connections yet: make an invitation, or paste one.</p>
          ) : (
            connections.map(connection => <One key={connection.connectionId} pico={pico} connection={connection} />)
          )
        }
      </Known>
    </>
  )
}

function Accept({ pico }: { pico: Pico }) {
  const { act } = useConsole()
  const form = `accept/${pico.picoId}`
  const { get } = useForm(form)
  const submit = () => {
    const [events, queries] = [listOf(get('events')), listOf(get('queries'))]
    const allowed = { ...(events ? { events } : {}), ...(queries ? { queries } : {}) }
    // The list below shows how it goes on: nothing waits for the peer here.
    const args = { pico: pico.picoId, invitation: get('invitation').trim(), wait: false, ...allowed }
    act(form, 'accept', args, {
      touched: [keyOf('connections', pico.picoId)],
      clear: ['invitation', 'events', 'queries'],
    })
  }
  return (
    <Form form={form} title="Accept an invitation" submit="Accept" className="form card" onSubmit={submit}>
      <Field form={form} name="invitation" label="Invitation (URL or JSON)" rows={3} required />
      <details>
        <summary>What the peer may do here</summary>
        <Field form={form} name="events" label="Events" hint="domain:name" rows={2} />
        <Field form={form} name="queries" label="Queries" hint="rid/name" rows={2} />
      </details>
    </Form>
  )
}

interface OneProps {
  readonly pico: Pico
  readonly connection: Connection
}

function One({ pico, connection }: OneProps) {
  const { label, state, role, version, myDid, theirDid } = connection
  const name = label || (state === 'invited' ? 'open invitation' : 'unnamed peer')
  return (
    <section className="card connection" aria-label={`Connection ${name}`}>
      <h3>
        <span className={`dot ${state}`} aria-hidden="true" /> {name} <span className={`chip ${state}`}>{state}</span>
      </h3>
      <p className="muted">
        {role}, DIDComm {version}
      </p>
      {(myDid ?? theirDid) !== null && (
        <dl>
          {myDid !== null && (
            <>
              <dt>Here</dt>
              <dd>
                <Copy value={myDid} what="own DID" shown={short(myDid, 20, 6)} />
              </dd>
            </>
          )}
          {theirDid !== null && (
            <>
              <dt>There</dt>
              <dd>
                <Copy value={theirDid} what="DID of the peer" shown={short(theirDid, 20, 6)} />
              </dd>
            </>
          )}
        </dl>
      )}
      <Buttons pico={pico} connection={connection} />
      {state === 'established' && <Messages pico={pico} connection={connection} />}
      {state !== 'closed' && state !== 'failed' && <Allowed pico={pico} connection={connection} />}
    </section>
  )
}

function Buttons({ pico, connection: { connectionId, state, role, label } }: OneProps) {
  const { act } = useConsole()
  const on = { pico: pico.picoId, connection: connectionId }
  const touched = [keyOf('connections', pico.picoId)]
  const [ping, approve, remove] = [`ping/${connectionId}`, `approve/${connectionId}`, `remove/${connectionId}`]
  const pinged = useForm(ping).act
  const approved = useForm(approve).act
  const answer = pinged.answer as JsonObject | undefined
  return (
    <>
      <div className="buttons">
        {state === 'requested' && role === 'inviter' && (
          <button
            type="button"
            disabled={approved.busy}
            onClick={() => act(approve, 'connection.approve', on, { touched })}
          >
            Approve
          </button>
        )}
        {state === 'established' && (
          <button type="button" disabled={pinged.busy} onClick={() => act(ping, 'ping', on)}>
            Ping
          </button>
        )}
        <Confirm
          label="Remove"
          form={remove}
          question={state === 'invited' ? 'Withdraw this invitation?' : `Say goodbye to ${label || 'this peer'}?`}
          onYes={() => act(remove, 'connection.rm', on, { touched })}
        />
        {pinged.busy && <span className="muted">waiting for an answer …</span>}
        {answer !== undefined && !pinged.busy && (
          <span role="status">{answer.ok === false ? 'no answer' : `answered in ${String(answer.ms)} ms`}</span>
        )}
      </div>
      <FaultBox fault={approved.fault ?? pinged.fault} />
    </>
  )
}

/** Messages shown of one connection. */
const SHOWN = 50

function Messages({ pico, connection: { connectionId } }: OneProps) {
  const { state, act } = useConsole()
  const form = `message/${connectionId}`
  const { get } = useForm(form)
  const all = known<readonly Message[]>(state, 'messages', pico.picoId) ?? []
  const messages = all.filter(message => message.connectionId === connectionId).slice(-SHOWN)
  const args = { pico: pico.picoId, connection: connectionId, text: get('text') }
  return (
    <>
      {messages.length > 0 && (
        <ol className="messages" aria-label="Messages">
          {messages.map(({ messageId, direction, text, at }) => (
            <li key={`${direction}/${messageId}`} className={direction}>
              {text} <time dateTime={at}>{at.slice(11, 16)}</time>
            </li>
          ))}
        </ol>
      )}
      <Form
        form={form}
        submit="Send"
        className="inline"
        onSubmit={() => act(form, 'msg.send', args, { touched: [keyOf('messages', pico.picoId)], clear: ['text'] })}
      >
        <Field form={form} name="text" label="Message" required />
      </Form>
    </>
  )
}

/** The policy for pico events and queries of this peer. */
function Allowed({ pico, connection: { connectionId, eventPolicy, queryPolicy } }: OneProps) {
  const { act } = useConsole()
  const form = `policy/${connectionId}`
  const { get } = useForm(form)
  const submit = () => {
    const on = { pico: pico.picoId, connection: connectionId }
    const policy = { events: listOf(get('events')), queries: listOf(get('queries')) }
    act(
      form,
      'connection.policy',
      { ...on, ...policy },
      { touched: [keyOf('connections', pico.picoId)], clear: ['events', 'queries'] },
    )
  }
  return (
    <details>
      <summary>
        May raise {policyText(eventPolicy, 'event')}, may ask {policyText(queryPolicy, 'query')}
      </summary>
      <Form form={form} submit="Replace by this" onSubmit={submit}>
        <Field
          form={form}
          name="events"
          label="Events"
          hint="domain:name, !domain:name denies; empty lets nothing through"
        />
        <Field
          form={form}
          name="queries"
          label="Queries"
          hint="rid/name, !rid/name denies; empty lets nothing through"
        />
      </Form>
    </details>
  )
}
