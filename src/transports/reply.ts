// What a route of the public listener is given and what it answers; refusals get the status of their row in the error
// table (500 where a rule failed) and the body {error: {code, message, …place}} (contract 4).

import type { IncomingHttpHeaders } from 'node:http'
import { PicoError, refusedWith } from '../errors.ts'
import type { Json } from '../ports.ts'
import type { Limits } from './limits.ts'

/** What a route answers; `headers` in lower case. */
export interface Reply {
  readonly status: number
  readonly headers?: Readonly<Record<string, string | readonly string[]>>
  readonly body?: string | Uint8Array
  /** Told whether `body` was handed to the connection whole. */
  readonly carried?: (out: boolean) => void
  /** Counts against the address whatever the status. */
  readonly refused?: boolean
}

/** A request as a route sees it. */
export interface Asked {
  readonly method: string
  /** Decoded parts of the path. */
  readonly segments: readonly string[]
  /** Path and query as they came, for redirects. */
  readonly target: string
  /** Parsed when asked for: most routes have none. */
  query(): URLSearchParams
  readonly headers: IncomingHttpHeaders
  /** Media type without parameters, lower case; empty without the header. */
  readonly mediaType: string
  readonly limits: Limits
  /** Its address has used up its refusals: what can be refused before the body is read should be. */
  exhausted(): boolean
  /** The whole body; throws PicoError `usage.too_large`. */
  body(limit: number): Promise<Uint8Array>
}

export function json(status: number, value: Json, headers: Reply['headers'] = {}): Reply {
  return {
    status,
    headers: { 'content-type': 'application/json; charset=utf-8', ...headers },
    body: JSON.stringify(value),
  }
}

/** `{error: {code, message, …place}}` with the status of its row; `target` is the path a moved pico has elsewhere too. */
export function refusal(error: PicoError, target = '/'): Reply {
  const { http, retry } = refusedWith(error)
  const { retryAfter_s, allow, ...shown } = error.toJSON()
  const headers: Record<string, string> = {}
  if (retry || http === 429) headers['retry-after'] = String(retryAfter_s ?? 1)
  if (Array.isArray(allow)) headers.allow = allow.join(', ')
  const movedTo = http === 308 ? shown.movedTo : undefined
  if (typeof movedTo === 'string') headers.location = `${movedTo.replace(/\/$/, '')}${target}`
  return json(http, { error: shown as { [member: string]: Json } }, headers)
}

/** 405, with the methods that are allowed. */
export function wrongMethod(...methods: string[]): PicoError {
  return new PicoError('usage.method', `Use ${methods.join(' or ')} here.`, { allow: methods })
}

export function nothingHere(): PicoError {
  return new PicoError('usage.unknown_verb', 'There is nothing at this address.')
}

export function tooDeep(limits: Limits): PicoError {
  return new PicoError('usage.too_deep', `JSON may be nested ${limits.json_depth} levels deep here.`)
}
