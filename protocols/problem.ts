// How a fault is told to a peer, and read from one: problem reports are RFC 0035 on v1 (`notification/1.0/problem-report`,
// the spelling ACA-Py and Credo both read) and report-problem/2.0 on v2. The faults themselves are values (message.ts).

import { isObject, type JsonObject, text } from './message.ts'

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
