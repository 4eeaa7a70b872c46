// About a pico: its name, who it is, its parent and children.

import { addressOf, useConsole, useForm } from './console.ts'
import { Confirm, Copy, Field, Form, short } from './parts.tsx'
import { picos } from './state.ts'
import type { Pico } from './types.ts'

export function About({ pico }: { readonly pico: Pico }) {
  const { state } = useConsole()
  const all = picos(state)
  const parent = all.find(one => one.picoId === pico.parentId)
  const children = all.filter(one => one.parentId === pico.picoId)
  return (
    <>
      <dl>
        <dt>Name</dt>
        <dd>
          <Rename pico={pico} />
        </dd>
        <dt>DID</dt>
        <dd>
          <Copy value={pico.did} what="DID" shown={short(pico.did, 22, 8)} />
        </dd>
        <dt>Id</dt>
        <dd>
          <Copy value={pico.picoId} what="id" />
        </dd>
        <dt>Parent</dt>
        <dd>
          {parent !== undefined ? (
            <a href={addressOf(parent.picoId, 'about')}>{parent.name}</a>
          ) : pico.parentId === null ? (
            <span className="muted">none: a root</span>
          ) : (
            <span>
              on another engine <code>{short(pico.parentId)}</code>
            </span>
          )}
        </dd>
        {pico.movedTo !== undefined && (
          <>
            <dt>Moved</dt>
            <dd>
              to <span className="long-text">{pico.movedTo}</span>; mail for it is forwarded from here
            </dd>
          </>
        )}
      </dl>
      <section aria-label="Children">
        <h3>Children</h3>
        {children.length === 0 && <p className="muted">None yet.</p>}
        <ul className="list">
          {children.map(child => (
            <Child key={child.picoId} child={child} />
          ))}
        </ul>
        <AddChild pico={pico} />
      </section>
      {pico.parentId === null ? null : (
        <section aria-label="Delete this pico">
          <h3>Delete</h3>
          <p className="muted">Its keys, variables and children go with it. Nothing brings them back.</p>
          <Delete pico={pico} label="Delete pico" />
        </section>
      )}
    </>
  )
}

function Rename({ pico }: { pico: Pico }) {
  const { act, dispatch } = useConsole()
  const form = `rename/${pico.picoId}`
  const fields = useForm(form)
  if (fields.get('open') !== 'yes')
    return (
      <>
        {pico.name}{' '}
        <button
          type="button"
          className="quiet"
          onClick={() => {
            fields.set('open', 'yes')
            dispatch({ do: 'write', form, field: 'name', text: pico.name })
          }}
        >
          rename
        </button>
      </>
    )
  return (
    <Form
      form={form}
      submit="Rename"
      className="inline"
      onSubmit={() =>
        act(
          form,
          'pico.rename',
          { pico: pico.picoId, name: fields.get('name') },
          { touched: ['picos'], clear: ['open', 'name'] },
        )
      }
    >
      <Field form={form} name="name" label="New name" required />
    </Form>
  )
}

function Child({ child }: { child: Pico }) {
  return (
    <li>
      <a href={addressOf(child.picoId, 'about')}>{child.name}</a>
      <Delete pico={child} label="Delete" />
    </li>
  )
}

function Delete({ pico, label }: { pico: Pico; label: string }) {
  const { act } = useConsole()
  const form = `delete/${pico.picoId}`
  return (
    <Confirm
      label={label}
      form={form}
      question={`Delete ${pico.name} and everything below it?`}
      onYes={() => act(form, 'pico.rm', { pico: pico.picoId }, { touched: ['picos'] })}
    />
  )
}

function AddChild({ pico }: { pico: Pico }) {
  const { act } = useConsole()
  const form = `child/${pico.picoId}`
  const { get, act: last } = useForm(form)
  return (
    <>
      <Form
        form={form}
        submit="Add child"
        className="inline"
        onSubmit={() =>
          act(form, 'pico.new', { name: get('name'), parent: pico.picoId }, { touched: ['picos'], clear: ['name'] })
        }
      >
        <Field form={form} name="name" label="Name of a new child" required />
      </Form>
      {last.busy && <p className="muted">Its keys and its DID are being made …</p>}
    </>
  )
}
