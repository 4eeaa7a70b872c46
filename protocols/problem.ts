// Faults of peers and callers as values (law L10), and how each is told to a peer: problem reports are RFC 0035 on v1
// (`notification/1.0/problem-report`, the spelling ACA-Py and Credo both read) and report-problem/2.0 on v2.

export type Json = null | boolean | number | string | Json[] | { [member: string]: Json }
export type JsonObject = { [member: string]: Json }

/** A refusal. `code` is `family.reason`; `place` names the member or header at fault. Never holds a secret. */
export interface Problem {
  readonly code: string
  readonly message: string
  readonly place?: string
}

export function problem(code: ProblemCode, message: string, place?: string): Problem {
  return place === undefined ? { code, message } : { code, message, place }
}

export function isProblem(value: unknown): value is Problem {
  if (typeof value !== 'object' || value === null) return false
  const { code, message } = value as { code?: unknown; message?: unknown }
  return typeof code === 'string' && typeof message === 'string'
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A copy without the members that are undefined: thread data and bodies are plain JSON. */
export function compact(members: { readonly [member: string]: Json | undefined }): JsonObject {
  return Object.fromEntries(Object.entries(members).filter((entry): entry is [string, Json] => entry[1] !== undefined))
}

/** The member if it is a string. Own members only: a body is the peer's. */
export function text(object: JsonObject | undefined, member: string): string | undefined {
  const value = object && Object.hasOwn(object, member) ? object[member] : undefined
  return typeof value === 'string' ? value : undefined
}

/** The strings of a member that is a list; undefined when it is anything else or holds anything else. */
export function texts(object: JsonObject, member: string): string[] | undefined {
  const value = Object.hasOwn(object, member) ? object[member] : undefined
  return Array.isArray(value) && value.every(item => typeof item === 'string') ? (value as string[]) : undefined
}

/** Every code this folder gives, with its spelling on v1 and v2; null: nothing is told to the peer. */
export const problemCodes = {
  'message.malformed': { v1: 'message-parse-failure', v2: 'e.p.msg' },
  'message.unsupported': { v1: 'message-type-not-supported', v2: 'e.p.msg.unsupported' },
  'message.version': { v1: 'version-not-supported', v2: 'e.p.msg.unsupported' },
  'message.unexpected': { v1: 'unexpected-message', v2: 'e.p.msg.unexpected' },
  'message.expired': null,
  'message.forged': null,
  'message.unauthenticated': null,
  'message.stranger': null,
  'policy.denied': { v1: 'not-allowed', v2: 'e.p.req.denied' },
  'did.unresolvable': { v1: 'did-unresolvable', v2: 'e.p.did' },
  'invitation.malformed': null,
  'invitation.short': null,
  'invitation.unsupported': null,
  'invitation.expired': null,
  'invitation.used': null,
  'invitation.unknown': null,
  'move.ticket': { v1: 'ticket-refused', v2: 'e.p.req.ticket' },
  'move.sequence': { v1: 'chunk-out-of-order', v2: 'e.p.req.sequence' },
  'move.hash': { v1: 'state-hash-differs', v2: 'e.p.req.hash' },
  'command.malformed': null,
  'command.unexpected': null,
} as const satisfies { [code: string]: { v1: string; v2: string } | null }

export type ProblemCode = keyof typeof problemCodes

/** The code a peer is told, or undefined when it is told nothing. A code of another leaf is told as "message". */
export function wireCode(code: string, version: 'v1' | 'v2'): string | undefined {
  if (!Object.hasOwn(problemCodes, code)) return version === 'v1' ? 'message-processing-failure' : 'e.p.msg'
  return problemCodes[code as ProblemCode]?.[version]
}

/** Type, body and threading of the general problem report. v2 opens a child thread (`pthid`), v1 stays on the thread. */
export function problemReport(
  version: 'v1' | 'v2',
  told: string,
  comment: string,
  threadId: string,
): { type: string; body: JsonObject; thid?: string; pthid?: string } {
  return version === 'v1'
    ? {
        type: 'https://didcomm.org/notification/1.0/problem-report',
        body: { description: { code: told, en: comment } },
        thid: threadId,
      }
    : { type: 'https://didcomm.org/report-problem/2.0/problem-report', body: { code: told, comment }, pthid: threadId }
}

/** The code in a received report, in any of the three dialects: RFC 0023/0160, RFC 0035, report-problem/2.0. */
export function reportedCode(body: JsonObject): string {
  const description = body.description
  return (
    text(body, 'problem-code') ??
    (isObject(description) ? text(description, 'code') : undefined) ??
    text(body, 'code') ??
    ''
  )
}

/** The human text in a received report. */
export function reportedComment(body: JsonObject): string {
  const description = body.description
  const said = isObject(description)
    ? text(description, 'en')
    : typeof description === 'string'
      ? description
      : undefined
  return text(body, 'explain') ?? said ?? text(body, 'comment') ?? ''
}
