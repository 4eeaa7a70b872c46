// One model of a plaintext message for DIDComm v1 (RFC 0003, 0008, 0011, 0017, 0032, 0092) and v2 (Plaintext Message
// Structure). Threading: an absent or empty `~thread` means that the message begins a thread under its own id.

import { type Attachment, parseAttachment, serialiseAttachment } from './attachment.ts'
import {
  compact,
  isObject,
  isProblem,
  type Json,
  type JsonObject,
  type Problem,
  problem,
  text,
  texts,
} from './problem.ts'

export type Version = 'v1' | 'v2'

export interface Message {
  readonly version: Version
  readonly id: string
  /** Message type URI; the old did:sov prefix is read as https://didcomm.org/ (RFC 0348). */
  readonly type: string
  /** The thread: the message's own id when it begins one. */
  readonly thid: string
  readonly pthid?: string
  /** v2 headers; as the message claims them, not as anything proved. */
  readonly from?: string
  readonly to?: readonly string[]
  readonly fromPrior?: string
  /** Seconds since 1970: `created_time`, or `~timing.out_time`. */
  readonly createdTime?: number
  /** Seconds since 1970: `expires_time`, or `~timing.expires_time`. */
  readonly expiresTime?: number
  readonly body: JsonObject
  readonly attachments: readonly Attachment[]
  readonly returnRoute?: 'none' | 'all' | 'thread'
  readonly pleaseAck?: readonly string[]
  /** `~l10n`, or `{locale}` from the v2 header `lang`. */
  readonly l10n?: JsonObject
  /** Decorators (v1) and headers (v2) this model does not name, and what else those it names held. */
  readonly extra?: JsonObject
}

export interface MessageType {
  /** `https://didcomm.org/didexchange/1.1`. */
  readonly piuri: string
  readonly docUri: string
  readonly protocol: string
  readonly version: { readonly major: number; readonly minor: number }
  readonly name: string
}

const DIDCOMM_ORG = 'https://didcomm.org/'
const OLD_PREFIX = 'did:sov:BzCbsNYhMrjHiqZDTUASHg;spec/'
const TYPE = /^([a-z][a-z0-9+.-]*:\S*\/)([a-z0-9._-]+)\/(\d{1,4})\.(\d{1,4})(?:\.\d{1,4})?\/([a-z0-9._-]+)$/i

// A message's type is split by everything that handles it. Peers write types, so past a number all are forgotten.
const types = new Map<string, MessageType>()
const TYPES_KEPT = 500

/** Splits a message type URI (RFC 0003 "Message Type and Protocol Identifier URIs"); both prefixes. */
export function parseType(uri: string): MessageType | Problem {
  const known = types.get(uri)
  if (known !== undefined) return known
  const type = splitType(uri)
  if (isProblem(type)) return type
  if (types.size >= TYPES_KEPT) types.clear()
  types.set(uri, type)
  return type
}

function splitType(uri: string): MessageType | Problem {
  const normal = uri.startsWith(OLD_PREFIX) ? DIDCOMM_ORG + uri.slice(OLD_PREFIX.length) : uri
  const match = normal.length <= 512 ? TYPE.exec(normal) : null
  if (!match) return problem('message.malformed', 'the type is not a message type URI', 'type')
  const [, docUri, protocol, major, minor, name] = match as unknown as [string, string, string, string, string, string]
  const version = { major: Number(major), minor: Number(minor) }
  return { piuri: `${docUri}${protocol}/${version.major}.${version.minor}`, docUri, protocol, version, name }
}

/** Ids are compared in lower case (DIDComm v2 "id"): the key under which threads and seen ids are kept. */
export function idKey(id: string): string {
  return id.toLowerCase()
}

/** Past its `expires_time`. `now` in milliseconds. */
export function isExpired(message: Message, now: number): boolean {
  return message.expiresTime !== undefined && message.expiresTime * 1000 <= now
}

/** The message's attachment of a v1 slot (`did_rotate` for `did_rotate~attach`), or the first of that id or of all on v2. */
export function attachment(message: Message, slot: string): Attachment | undefined {
  return message.attachments.find(a => (message.version === 'v1' ? a.slot === slot : a.id === slot))
}

export function parseMessage(json: Json, version: Version): Message | Problem {
  if (!isObject(json)) return problem('message.malformed', 'the message is not an object')
  const [typeName, idName] = version === 'v1' ? ['@type', '@id'] : ['type', 'id']
  const uri = text(json, typeName)
  if (uri === undefined) return problem('message.malformed', 'the message has no type', typeName)
  const type = parseType(uri)
  if (isProblem(type)) return type
  const id = text(json, idName)
  if (!isId(id)) return problem('message.malformed', 'the message has no id of 1 to 255 characters', idName)
  const head = { version, id, type: `${type.piuri}/${type.name}` } as const
  return version === 'v1' ? parseV1(json, head) : parseV2(json, head)
}

type Head = Pick<Message, 'version' | 'id' | 'type'>

function isId(id: Json | undefined): id is string {
  return typeof id === 'string' && id.length >= 1 && id.length <= 255
}

function parseV1(json: JsonObject, head: Head): Message | Problem {
  const { '@type': _type, '@id': _id, '~thread': thread, '~timing': timing, '~transport': transport, ...rest } = json
  const { '~l10n': l10n, '~please_ack': pleaseAck, ...members } = rest
  const threaded = readThread(thread, head.id)
  if (isProblem(threaded)) return threaded
  const timed = readTiming(timing)
  if (isProblem(timed)) return timed
  const attachments: Attachment[] = []
  const body: [string, Json][] = []
  const extra: [string, Json][] = [...threaded.extra, ...timed.extra]
  for (const [name, value] of Object.entries(members)) {
    const slot = name.endsWith('~attach') ? name.slice(0, -'~attach'.length) : undefined
    if (slot === undefined) (name.startsWith('~') ? extra : body).push([name, value])
    else if (Array.isArray(value) && value.length === 0) extra.push([name, value])
    else {
      for (const item of Array.isArray(value) ? value : [value]) {
        const read = parseAttachment(item, 'v1', name, slot, !Array.isArray(value))
        if (isProblem(read)) return read
        attachments.push(read)
      }
    }
  }
  const { return_route, ...routing } = isObject(transport) ? transport : {}
  const route = returnRoute(return_route)
  if (Object.keys(routing).length > 0) extra.push(['~transport', routing])
  const ack = isObject(pleaseAck) ? (texts(pleaseAck, 'on') ?? []) : undefined
  return {
    ...head,
    ...threaded.ids,
    ...timed.times,
    body: Object.fromEntries(body),
    attachments,
    ...(route && { returnRoute: route }),
    ...(ack && { pleaseAck: ack }),
    ...(isObject(l10n) && { l10n }),
    ...(extra.length > 0 && { extra: Object.fromEntries(extra) }),
  }
}

/** RFC 0008: absent, null or empty (or text, as an example of RFC 0035 has it) means a new thread under the own id. */
function readThread(thread: Json | undefined, id: string) {
  if (!isObject(thread)) return { ids: { thid: id }, extra: [] }
  const { thid, pthid, ...rest } = thread
  for (const given of [thid, pthid]) {
    if (given !== undefined && given !== null && !isId(given))
      return problem('message.malformed', 'a thread id is not an id', '~thread')
  }
  const extra: [string, Json][] = Object.keys(rest).length > 0 ? [['~thread', rest]] : []
  return { ids: { thid: isId(thid) ? thid : id, ...(isId(pthid) && { pthid }) }, extra }
}

/** RFC 0032: ISO 8601 with `T` or blank; a time we cannot read must not make a message live for ever. */
function readTiming(timing: Json | undefined) {
  if (timing === undefined || timing === null) return { times: {}, extra: [] }
  if (!isObject(timing)) return problem('message.malformed', '~timing is not an object', '~timing')
  const { out_time, expires_time, ...rest } = timing
  const [createdTime, expiresTime] = [readTime(out_time), readTime(expires_time)]
  if (createdTime === null || expiresTime === null)
    return problem('message.malformed', 'a time is not ISO 8601', '~timing')
  const extra: [string, Json][] = Object.keys(rest).length > 0 ? [['~timing', rest]] : []
  return {
    times: { ...(createdTime !== undefined && { createdTime }), ...(expiresTime !== undefined && { expiresTime }) },
    extra,
  }
}

/** Seconds; undefined when absent, null when unreadable. Without a zone: UTC. */
function readTime(time: Json | undefined): number | undefined | null {
  if (time === undefined || time === null) return undefined
  const match =
    typeof time === 'string'
      ? /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d)?)(\.\d+)?(Z|[+-]\d\d:?\d\d)?$/.exec(time)
      : null
  if (!match) return null
  const zone = (match[4] ?? 'Z').replace(/(\d\d)(\d\d)$/, '$1:$2')
  const at = Date.parse(`${match[1]}T${match[2]}${zone}`)
  return Number.isNaN(at) ? null : Math.floor(at / 1000)
}

function parseV2(json: JsonObject, head: Head): Message | Problem {
  const {
    id: _id,
    type: _type,
    typ: _typ,
    thid,
    pthid,
    from,
    to,
    from_prior,
    created_time,
    expires_time,
    ...rest
  } = json
  const { body = {}, attachments = [], return_route, please_ack, lang, ...extra } = rest
  for (const [name, given] of Object.entries({ thid, pthid, from, from_prior })) {
    if (given !== undefined && given !== null && typeof given !== 'string')
      return problem('message.malformed', 'a header is not a string', name)
  }
  if ((thid !== undefined && thid !== null && !isId(thid)) || (pthid !== undefined && pthid !== null && !isId(pthid))) {
    return problem('message.malformed', 'a thread id is not an id', 'thid')
  }
  const recipients = texts(json, 'to')
  if (to !== undefined && !recipients) return problem('message.malformed', 'to is not a list of DIDs', 'to')
  for (const [name, given] of Object.entries({ created_time, expires_time })) {
    if (given !== undefined && !(Number.isSafeInteger(given) && (given as number) >= 0)) {
      return problem('message.malformed', 'a time is not a whole number of seconds', name)
    }
  }
  if (!isObject(body)) return problem('message.malformed', 'the body is not an object', 'body')
  if (!Array.isArray(attachments)) return problem('message.malformed', 'attachments is not a list', 'attachments')
  const read: Attachment[] = []
  for (const item of attachments) {
    const one = parseAttachment(item, 'v2', 'attachments')
    if (isProblem(one)) return one
    read.push(one)
  }
  const route = returnRoute(return_route)
  const ack = texts(json, 'please_ack')
  return {
    ...head,
    thid: isId(thid) ? thid : head.id,
    ...(isId(pthid) && { pthid }),
    ...(typeof from === 'string' && { from }),
    ...(recipients && { to: recipients }),
    ...(typeof from_prior === 'string' && { fromPrior: from_prior }),
    ...(typeof created_time === 'number' && { createdTime: created_time }),
    ...(typeof expires_time === 'number' && { expiresTime: expires_time }),
    body,
    attachments: read,
    ...(route && { returnRoute: route }),
    ...(ack && { pleaseAck: ack }),
    ...(typeof lang === 'string' && { l10n: { locale: lang } }),
    ...(Object.keys(extra).length > 0 && { extra }),
  }
}

function returnRoute(value: Json | undefined): 'none' | 'all' | 'thread' | undefined {
  return value === 'all' || value === 'thread' || value === 'none' ? value : undefined
}

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
