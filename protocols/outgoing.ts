// What leaves: how the draft of a row or a report of a fault becomes a message, and how a message is written as JSON.
// Reading, which every message that comes in needs, is message.ts.

import {
  ATTACHMENT_NAMES,
  type Attachment,
  compact,
  isObject,
  type Json,
  type JsonObject,
  type Message,
  text,
} from './message.ts'
import { problemReport } from './problem.ts'
import type { Circumstances, Dialect, Draft, Outgoing, Relation, Thread, Turn } from './turn.ts'

/** The spelling a thread has on the wire: its PIURI, with the minor version agreed on, and the names of its messages. */
export interface Spoken {
  readonly uri: string
  readonly dialect: Dialect
}

/**
 * The message that `draft` makes on `thread`, with both ends. What the draft leaves open is the thread's, the relation's
 * or the connection's. Throws when a table names no receiver: that is a fault of the table.
 */
export function outgoingOf(
  { uri, dialect }: Spoken,
  thread: Thread,
  relation: Relation | undefined,
  turn: Turn,
  connectionId: string | undefined,
  name: string,
  id: string,
  draft: Draft,
): Outgoing {
  const from = draft.from ?? relation?.myDid?.did ?? turn.connection?.myDid
  const to = draft.to ?? relation?.theirDid?.did ?? turn.connection?.theirDid
  if (typeof from !== 'string' || !to) throw new Error(`${uri} ${name} has no sender or no receiver`)
  const pthid = draft.pthid ?? thread.pthid
  const message: Message = {
    version: thread.version,
    id,
    type: draft.type ?? `${uri}/${dialect.wire?.[name] ?? name}`,
    thid: draft.thid ?? thread.threadId,
    ...(pthid !== undefined && { pthid }),
    ...(thread.version === 'v2' && { from, ...(typeof to === 'string' && { to: [to] }) }),
    ...(thread.version === 'v2' && { createdTime: Math.floor(turn.now / 1000) }),
    ...(draft.createdTime !== undefined && { createdTime: draft.createdTime }),
    ...(draft.expiresTime !== undefined && { expiresTime: draft.expiresTime }),
    body: draft.body ?? {},
    attachments: draft.attachments ?? [],
    ...(draft.returnRoute && { returnRoute: draft.returnRoute }),
  }
  return {
    name,
    message,
    from,
    to,
    ...(connectionId !== undefined && { connectionId }),
    ...(draft.fromPrior && { fromPrior: draft.fromPrior }),
  }
}

/**
 * The report of a fault in `about` to who sent it: the protocol's own message `own` in the dialect `spoken`, or the
 * general one (RFC 0035, report-problem/2.0) with `told`.
 */
export function reportOf(
  { uri, dialect }: Spoken,
  own: { readonly name: string; readonly body: JsonObject } | undefined,
  told: { readonly code: string; readonly comment: string },
  ends: { readonly from: string; readonly to: string },
  about: Message,
  { connection, thread, now, draw }: Circumstances & { readonly thread?: Thread },
): Outgoing {
  const id = draw.id()
  const general = problemReport(about.version, told.code, told.comment, thread?.threadId ?? about.thid)
  const head = own
    ? { type: `${uri}/${dialect.wire?.[own.name] ?? own.name}`, thid: about.thid, pthid: about.pthid, body: own.body }
    : { type: general.type, thid: general.thid ?? id, pthid: general.pthid, body: general.body }
  const { pthid, ...rest } = head
  const addressed =
    about.version === 'v2' ? { from: ends.from, to: [ends.to], createdTime: Math.floor(now / 1000) } : {}
  const message: Message = {
    version: about.version,
    id,
    ...rest,
    ...(pthid !== undefined && { pthid }),
    ...addressed,
    attachments: [],
  }
  const connectionId = connection && { connectionId: connection.connectionId }
  return { name: own?.name ?? 'problem-report', message, ...ends, ...connectionId }
}

// ---- as JSON -----------------------------------------------------------------------------------------------

/** The message as JSON in its version's spelling. A thread with a parent names both ids: ACA-Py copies and needs them. */
export function serialise(message: Message): JsonObject {
  return message.version === 'v1' ? serialiseV1(message) : serialiseV2(message)
}

function serialiseV1(message: Message): JsonObject {
  const { extra = {} } = message
  const ids = compact({
    thid: message.pthid !== undefined || message.thid !== message.id ? message.thid : undefined,
    pthid: message.pthid,
  })
  const times = compact({ out_time: isoTime(message.createdTime), expires_time: isoTime(message.expiresTime) })
  return {
    '@type': message.type,
    '@id': message.id,
    ...decorator('~thread', { ...ids, ...part(extra['~thread']) }),
    ...message.body,
    ...slots(message.attachments),
    ...extra,
    ...decorator('~thread', { ...ids, ...part(extra['~thread']) }),
    ...decorator('~timing', { ...times, ...part(extra['~timing']) }),
    ...decorator('~transport', { ...compact({ return_route: message.returnRoute }), ...part(extra['~transport']) }),
    ...(message.pleaseAck && { '~please_ack': { on: [...message.pleaseAck] } }),
    ...decorator('~l10n', message.l10n ?? {}),
  }
}

function decorator(name: string, members: JsonObject): JsonObject {
  return Object.keys(members).length > 0 ? { [name]: members } : {}
}

function part(value: Json | undefined): JsonObject {
  return isObject(value) ? value : {}
}

function isoTime(seconds: number | undefined): string | undefined {
  return seconds === undefined ? undefined : new Date(seconds * 1000).toISOString().replace('.000Z', 'Z')
}

function slots(attachments: readonly Attachment[]): JsonObject {
  const bySlot = new Map<string, Json>()
  for (const item of attachments) {
    const name = `${item.slot ?? ''}~attach`
    const written = serialiseAttachment(item, 'v1')
    const before = bySlot.get(name)
    bySlot.set(name, item.single ? written : [...(Array.isArray(before) ? before : []), written])
  }
  return Object.fromEntries(bySlot)
}

function serialiseV2(message: Message): JsonObject {
  return {
    ...compact({
      typ: 'application/didcomm-plain+json',
      type: message.type,
      id: message.id,
      thid: message.thid === message.id ? undefined : message.thid,
      pthid: message.pthid,
      from: message.from,
      to: message.to && [...message.to],
      from_prior: message.fromPrior,
      created_time: message.createdTime,
      expires_time: message.expiresTime,
      return_route: message.returnRoute,
      please_ack: message.pleaseAck && [...message.pleaseAck],
      lang: message.l10n && text(message.l10n, 'locale'),
    }),
    ...message.extra,
    body: message.body,
    ...(message.attachments.length > 0 && { attachments: message.attachments.map(a => serialiseAttachment(a, 'v2')) }),
  }
}

function serialiseAttachment(attachment: Attachment, version: 'v1' | 'v2'): JsonObject {
  const { id, mediaType } = ATTACHMENT_NAMES[version]
  return {
    ...compact({ [id]: attachment.id, [mediaType]: attachment.mediaType }),
    ...attachment.more,
    data: attachment.data,
  }
}
