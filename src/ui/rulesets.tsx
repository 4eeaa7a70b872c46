// Rulesets of a pico: what is installed and from where, install with configuration, flush, uninstall. A text that does
// not compile says line and column, and stays in the form.

import { useConsole, useForm } from './console.ts'
import { Confirm, Copy, FaultBox, Field, Form, Known, objectOf, short, Tree } from './parts.tsx'
import { keyOf } from './state.ts'
import type { Json, Pico, Ruleset } from './types.ts'

export function Rulesets({ pico }: { readonly pico: Pico }) {
  return (
    <>
      <Install pico={pico} />
      <Known<readonly Ruleset[]> room="rulesets" picoId={pico.picoId}>
        {rulesets =>
          [...rulesets.filter(one => !isBuiltin(one)), ...rulesets.filter(isBuiltin)].map(ruleset => (
            <One key={ruleset.rid} pico={pico} ruleset={ruleset} />
          ))
        }
      </Known>
    </>
  )
}

/** Comes with the engine and is in every pico: nothing to fetch, nothing to take away. */
const isBuiltin = (ruleset: Ruleset) => ruleset.url.startsWith('picomesh:')

const touchedBy = (picoId: string) => [keyOf('rulesets', picoId), keyOf('testing', picoId), keyOf('state', picoId)]

function Install({ pico }: { pico: Pico }) {
  const { act, refuse } = useConsole()
  const form = `install/${pico.picoId}`
  const { get, act: last } = useForm(form)
  const submit = () => {
    const config = objectOf(get('config'), 'The configuration')
    if (typeof config === 'string') return refuse(form, config)
    const args = { pico: pico.picoId, url: get('url').trim(), ...(Object.keys(config).length > 0 ? { config } : {}) }
    act(form, 'ruleset.install', args, { touched: touchedBy(pico.picoId), clear: ['url', 'config'] })
  }
  const rid = ridOf(last.answer)
  return (
    <>
      <Form form={form} title="Install a ruleset" submit="Install" className="form card" onSubmit={submit}>
        <Field form={form} name="url" label="URL" hint="https://…/thermometer.krl" required />
        <Field form={form} name="config" label="Configuration (JSON, may be empty)" hint='{"threshold": 20}' rows={2} />
      </Form>
      {rid !== undefined && (
        <p role="status">
          Installed <code>{rid}</code>
        </p>
      )}
    </>
  )
}

const ridOf = (answer: Json | undefined) =>
  answer !== undefined && answer !== null && typeof answer === 'object' && !Array.isArray(answer)
    ? String(answer.rid)
    : undefined

function One({ pico, ruleset }: { pico: Pico; ruleset: Ruleset }) {
  const { act } = useConsole()
  const { rid, version, hash, url, config, meta } = ruleset
  const flush = `flush/${pico.picoId}/${rid}`
  const remove = `uninstall/${pico.picoId}/${rid}`
  const flushed = useForm(flush).act
  const touched = touchedBy(pico.picoId)
  const description = typeof meta?.description === 'string' ? meta.description : undefined
  return (
    <section className="card" aria-label={rid}>
      <h3>
        {rid}
        {version ? <span className="muted"> {version}</span> : null}
      </h3>
      {description && <p className="muted description">{description.trim()}</p>}
      <dl>
        <dt>URL</dt>
        <dd className="long-text">{url}</dd>
        <dt>Hash</dt>
        <dd>
          <Copy value={hash} what={`hash of ${rid}`} shown={short(hash, 16, 4)} />
        </dd>
      </dl>
      {config && Object.keys(config).length > 0 && <Tree name="config" value={config} />}
      {isBuiltin(ruleset) ? (
        <p className="muted">Comes with the engine: every pico has it.</p>
      ) : (
        <div className="buttons">
          <button
            type="button"
            disabled={flushed.busy}
            onClick={() => act(flush, 'ruleset.flush', { target: rid }, { touched })}
          >
            Flush
          </button>
          <Confirm
            label="Uninstall"
            form={remove}
            question={`Uninstall ${rid}?`}
            onYes={() => act(remove, 'ruleset.rm', { pico: pico.picoId, rid }, { touched })}
          />
          {flushed.answer !== undefined && !flushed.busy && (
            <span className="muted" role="status">
              fetched and compiled anew
            </span>
          )}
        </div>
      )}
      <FaultBox fault={flushed.fault} />
    </section>
  )
}
