// How the console talks to its engine: verbs by POST, the live stream as server-sent events, the one-time token of the
// link exchanged for a cookie that no script can read.

import type { VerbArgs } from '../verb-args.ts'
import type { Fault, Json, JsonObject } from './types.ts'

/** A refusal of the engine, or of the way to it. */
export class Refusal extends Error {
  readonly fault: Fault
  constructor(fault: Fault) {
    super(fault.message)
    this.fault = fault
  }
}

const HEADERS = { 'content-type': 'application/json' }

/** The answer of a verb. Throws Refusal. */
export async function ask<Name extends keyof VerbArgs>(verb: Name, args: VerbArgs[Name]): Promise<Json> {
  const response = await reach('api/verb', { method: 'POST', headers: HEADERS, body: JSON.stringify({ verb, args }) })
  const body = (await response.json().catch(() => null)) as Json
  if (response.ok) return body
  throw new Refusal(faultOf(body, response.status))
}

/** Any thrown thing as what is shown. */
export function toFault(thrown: unknown): Fault {
  if (thrown instanceof Refusal) return thrown.fault
  return { code: 'console.fault', message: thrown instanceof Error ? thrown.message : String(thrown), place: {} }
}

async function reach(path: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(path, { credentials: 'same-origin', ...init })
  } catch {
    throw new Refusal({ code: 'engine.unreachable', message: 'The engine does not answer.', place: {} })
  }
}

function faultOf(body: Json, status: number): Fault {
  const error = body !== null && typeof body === 'object' && !Array.isArray(body) ? body.error : undefined
  if (error === undefined || error === null || typeof error !== 'object' || Array.isArray(error))
    return { code: 'engine.unreachable', message: `The engine answered ${status}.`, place: {} }
  const { code, message, ...place } = error
  return { code: String(code), message: String(message), place }
}

/** True when the engine knows this browser afterwards. The token leaves the address bar before it is used. */
export async function openSession(): Promise<boolean> {
  const token = new URLSearchParams(location.hash.slice(1)).get('token')
  if (token !== null) {
    history.replaceState(null, '', location.pathname)
    const response = await reach('api/session', { method: 'POST', headers: HEADERS, body: JSON.stringify({ token }) })
    if (response.ok) return true
  }
  return (await reach('api/session', {})).ok
}

/** How long to wait before a stream that was refused is opened again, ms. */
const AGAIN_MS = 3000

export interface Listener {
  live(): void
  lost(): void
  /** The engine no longer knows this browser. */
  closed(): void
  event(event: JsonObject): void
}

/** Follows the live stream and picks it up again after a loss; returns the stop function. */
export function follow(listener: Listener): () => void {
  let source: EventSource
  let timer: ReturnType<typeof setTimeout> | undefined
  const connect = () => {
    source = new EventSource('api/stream')
    source.onopen = () => listener.live()
    source.onmessage = ({ data }) => listener.event(JSON.parse(String(data)) as JsonObject)
    source.onerror = () => {
      listener.lost()
      if (source.readyState === EventSource.CLOSED) timer = setTimeout(reopen, AGAIN_MS)
    }
  }
  const reopen = async () => {
    const known = await openSession().catch(() => undefined)
    if (known === false) listener.closed()
    else connect()
  }
  connect()
  return () => {
    clearTimeout(timer)
    source.close()
  }
}
