// pure
// Every fault of the engine has one row here: who is at fault, what HTTP and DIDComm say, whether to try again,
// how loud to log (DESIGN law L10). wallet/, protocols/ and krl/ give codes as plain values; tidy checks them here.
// Problem codes: RFC 0035 and DIDComm v2, "Problem Codes".

import type { Json } from './ports.ts'

/** peer: the other agent. caller: who uses HTTP, the command line or a query. author: of a ruleset.
 *  machine: disk, network, time. us: our bug. */
export type Blame = 'peer' | 'caller' | 'author' | 'machine' | 'us'

export interface ErrorRow {
  readonly fault: Blame
  readonly http: number
  /** DIDComm problem code an authenticated peer is told, or null for none. */
  readonly problem: string | null
  /** The same request may succeed later; HTTP adds Retry-After. */
  readonly retry: boolean
  readonly level: 'error' | 'warn' | 'info' | 'debug'
}

const row = (
  fault: Blame,
  http: number,
  problem: string | null = null,
  level: ErrorRow['level'] = 'info',
  retry = false,
): ErrorRow => ({ fault, http, problem, retry, level })
const peer = (http: number, problem: string | null = null) => row('peer', http, problem)
const caller = (http: number, problem: string | null = null) => row('caller', http, problem)
const author = (http: number) => row('author', http, 'e.p.me', 'warn')
const machine = (http: number, level: ErrorRow['level'] = 'warn') => row('machine', http, 'e.p.me', level, true)
const later = (fault: Blame, level: ErrorRow['level'] = 'info') => row(fault, 503, 'e.p.me.res', level, true)
const bug = () => row('us', 500, 'e.p.me', 'error')

/** code → row. */
export const errors = {
  // An envelope nobody here can vouch for: dropped and counted, the sender learns nothing.
  'envelope.malformed': peer(400),
  'envelope.unsupported': peer(400),
  'envelope.plaintext': peer(400),
  'envelope.too_large': peer(413),
  'envelope.unknown_recipient': peer(404),
  'envelope.undecryptable': peer(202),
  'envelope.unauthenticated': peer(202),
  'envelope.forged': peer(202),

  // How an envelope, a signature or a JSON text is wrong, as the wallet says it.
  'envelope.unreadable': peer(400),
  'envelope.header': peer(400),
  'envelope.crit': peer(400),
  'envelope.unsupported_algorithm': peer(400),
  'envelope.nesting': peer(202),
  'envelope.recipient_key': peer(502),
  'envelope.sender_key': bug(),
  'jws.malformed': peer(202),
  'jws.header': peer(202),
  'jws.crit': peer(202),
  'jws.signature': peer(202),
  'jws.signer': peer(202),
  'jws.unsupported_algorithm': peer(202),
  'attachment.malformed': peer(202, 'e.p.msg'),
  'attachment.unsigned': peer(202, 'e.p.msg'),
  'json.too_large': peer(413),
  'json.too_deep': peer(400),
  'json.utf8': peer(400),
  'json.syntax': peer(400),
  'json.duplicate': peer(400),
  'json.number': peer(400),
  'json.not_object': peer(400),

  // Refused before anything is written; the peer is told nothing (DESIGN 3, Refusals).
  'message.plaintext': peer(400),
  'message.unauthenticated': peer(202),
  'message.sender_mismatch': peer(202),
  'message.recipient_mismatch': peer(202),
  'message.forged': peer(202),
  'message.forged_from_prior': peer(202),
  'message.stranger': peer(202),
  'message.future': peer(202),
  'message.loop': peer(400),

  // A message from an authenticated peer that is not acted upon.
  'message.malformed': peer(202, 'e.p.msg'),
  'message.unsupported': peer(202, 'e.p.msg.unsupported'),
  'message.version': peer(202, 'e.p.msg.unsupported'),
  'message.unexpected': peer(202, 'e.p.req'),
  'message.unknown_thread': peer(202, 'e.p.req'),
  'message.duplicate': peer(202),
  'message.expired': peer(202),
  'message.stale': peer(202),
  'message.too_large': peer(413, 'e.p.msg'),

  'policy.denied': caller(403, 'e.p.req.denied'),
  'policy.malformed': caller(400),
  'command.malformed': caller(400),
  'command.unexpected': caller(409),
  'channel.unknown': caller(404, 'e.p.req'),
  'channel.family': caller(403, 'e.p.req.denied'),
  'invitation.unknown': caller(404),
  'invitation.invalid': caller(400),
  'invitation.malformed': caller(400),
  'invitation.short': caller(400),
  'invitation.unsupported': caller(400),
  'invitation.unreachable': caller(502),
  'invitation.expired': caller(410, 'e.p.req'),
  'invitation.used': caller(410, 'e.p.req'),
  'connection.unknown': caller(404),
  'connection.pending': caller(409),
  'connection.state': caller(409, 'e.p.req'),
  'connection.exists': caller(409),
  'connection.failed': caller(409),
  'connection.address': row('peer', 502, null, 'info', true),
  'connection.silent': row('peer', 504),
  'thread.unknown': caller(404),

  'pico.unknown': caller(404),
  'pico.ambiguous': caller(400),
  'pico.exists': caller(409),
  'pico.name': caller(400),
  'pico.root': caller(409),
  'pico.moved': row('caller', 308, null),
  'pico.frozen': later('machine'),
  'pico.remote': caller(409),
  'pico.unborn': caller(409),
  'pico.state': caller(409),
  'pico.destroyed': caller(404),
  'move.unknown': caller(404),
  'move.ticket': caller(403, 'e.p.req.denied'),
  'move.state': caller(409, 'e.p.req'),
  'move.aborted': caller(409),
  'move.verify': row('peer', 409, 'e.p.xfer', 'error'),
  'move.hash': row('peer', 409, 'e.p.xfer', 'error'),
  'move.sequence': row('peer', 409, 'e.p.xfer'),
  'move.refused': row('peer', 502, null, 'warn'),

  'event.conflict': caller(422),
  'event.malformed': caller(400),
  'event.unknown': caller(404),
  'query.unknown': caller(404),
  'query.depth': author(500),
  'query.timeout': row('peer', 504),
  'query.unreachable': row('machine', 502),
  'peer.problem': row('peer', 502),

  'ruleset.unknown': caller(404),
  'ruleset.invalid': row('author', 422, null, 'warn'),
  'ruleset.unreachable': row('author', 502, null, 'warn', true),
  'ruleset.forbidden': caller(403),
  'ruleset.missing': machine(503, 'error'),
  'ruleset.failed': author(500),
  'ruleset.budget': author(500),
  'ruleset.depth': author(500),
  'ruleset.size': author(500),
  'ruleset.action': author(500),
  'ruleset.unsettled': author(500),
  'ruleset.in_use': caller(409),

  'krl.syntax': author(422),
  'krl.undefined': author(422),
  'krl.unsupported': author(422),
  'krl.duplicate': author(422),
  'krl.type': author(422),
  'krl.regexp': author(422),
  'krl.nesting': author(422),
  'krl.size': author(422),
  'krl.select': author(422),
  'krl.label': author(422),
  'krl.setting': author(422),
  'krl.event': author(422),
  'krl.module': author(422),
  'krl.not_a_function': author(422),
  'krl.not_an_action': author(422),
  'krl.argument': author(422),
  'krl.deprecated': author(422),
  'krl.inactive': author(422),

  // Awaited effects: values a rule sees.
  'effect.timeout': machine(504),
  'effect.reruns': author(500),
  'effect.failed': machine(502),
  'effect.forbidden': row('author', 403, null, 'warn'),

  'store.unavailable': row('machine', 503, 'e.p.me.res.storage', 'error', true),
  'store.locked': row('machine', 503, null, 'error'),
  'store.corrupt': row('machine', 500, 'e.p.me', 'error'),
  'store.version': row('machine', 500, null, 'error'),

  'transport.refused': machine(502, 'info'),
  'transport.timeout': machine(504, 'info'),
  'transport.forbidden': row('peer', 403, null, 'warn'),
  'transport.unsupported': row('peer', 502, null, 'warn'),
  'transport.too_large': row('peer', 413),
  'letter.expired': row('machine', 504),
  'letter.unknown': caller(404),
  'letter.refused': row('peer', 502),

  'wallet.locked': later('caller'),
  'wallet.passphrase': row('caller', 403, null, 'warn'),
  'wallet.key_file': caller(400),
  'wallet.damaged': row('machine', 500, null, 'error'),
  'wallet.wrapping': caller(400),

  'did.malformed': peer(400, 'e.p.did'),
  'did.unsupported': peer(400, 'e.p.did'),
  'did.unresolvable': row('peer', 502, 'e.p.did', 'info', true),
  'did.document': peer(400, 'e.p.did'),
  'key.malformed': peer(400, 'e.p.crypto'),
  'key.unsupported': peer(400, 'e.p.crypto.unsupported'),
  'key.unknown': peer(404),
  'key.not_authorized': peer(202, 'e.p.crypto'),

  'engine.busy': later('caller'),
  'engine.starting': later('machine'),
  'engine.stopping': later('machine'),
  'engine.unreachable': row('machine', 503, null, 'error'),
  'engine.fault': bug(),
  'config.invalid': row('caller', 400, null, 'error'),
  'home.version': row('machine', 500, null, 'error'),
  'port.taken': row('machine', 500, null, 'error'),

  usage: caller(400),
  'usage.unknown_verb': caller(404),
  'usage.unauthorized': caller(401),
  'usage.forbidden': caller(403),
  'usage.method': caller(405),
  'usage.media_type': caller(415),
  'usage.too_large': caller(413),
  'usage.too_deep': caller(400),
  'usage.rate': row('caller', 429, null, 'info', true),
} as const satisfies Record<string, ErrorRow>

export type ErrorCode = keyof typeof errors

/** Is the code one of the table? */
export function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(errors, code)
}

/** The row of a code; a code outside the table is our bug. */
export function errorRow(code: string): ErrorRow {
  return isErrorCode(code) ? errors[code] : errors['engine.fault']
}

/** Is the pico that was asked for no longer here? */
export function isGone(code: string): boolean {
  return code === 'pico.unknown' || code === 'pico.moved' || code === 'pico.destroyed'
}

/** HTTP status of a code. */
export function httpStatus(code: string): number {
  return errorRow(code).http
}

/** A fault of the world, a caller or an author. `place` says where (rid, rule, line, column, file, movedTo, …) and
 *  is shown beside code and message; it never holds a secret. */
export class PicoError extends Error {
  readonly code: string
  readonly place: { readonly [member: string]: Json } | undefined

  constructor(code: string, message: string, place?: { readonly [member: string]: Json }, options?: ErrorOptions) {
    super(message, options)
    this.name = 'PicoError'
    this.code = code
    this.place = place
  }

  /** `{code, message, …place}`: the form of CONTRACT 3 and 4. */
  toJSON(): { code: string; message: string; [member: string]: Json } {
    return { ...this.place, code: this.code, message: this.message }
  }
}

/** A rule or a shared function failed. The code says at what (a query over a channel that is not there, a message of no
 *  type): that is the ruleset's business, and no fault of whoever raised the event or asked. */
export class RuleFailed extends PicoError {}

/** What one is told who asked over HTTP or by a verb and is refused. The 202 of a row is for a peer's mail alone, which
 *  learns nothing by it; here a refusal never looks like success. */
export function refusedWith(error: PicoError): Pick<ErrorRow, 'http' | 'retry'> {
  if (error instanceof RuleFailed) return { http: 500, retry: false }
  const { http, retry } = errorRow(error.code)
  return { http: http < 300 ? 400 : http, retry }
}

/** Any thrown thing as a PicoError; what is none is our bug and keeps its text out of the message. */
export function asPicoError(thrown: unknown): PicoError {
  if (thrown instanceof PicoError) return thrown
  return new PicoError('engine.fault', 'The engine failed on this; the log says where.', undefined, { cause: thrown })
}
