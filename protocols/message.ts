// One model of a plaintext message for DIDComm v1 (RFC 0003, 0008, 0011, 0017, 0032, 0092) and v2 (Plaintext Message
// Structure), and how it is read; with it JSON and the faults of peers and callers, as values (law L10). Threading: an
// absent or empty `~thread` means that the message begins a thread under its own id.

import type { ProblemCode } from './problem.ts'

// ---- JSON and faults as values -----------------------------------------------------------------------------

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

// ---- the model ---------------------------------------------------------------------------------------------

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

/** `slot`: v1 keeps attachments under `<slot>~attach` ('' for `~attach`); `single`: as an object, not a list. */
export interface Attachment {
  readonly slot?: string
  readonly single?: boolean
  readonly id?: string
  readonly mediaType?: string
  /** `json`, `base64` or `links`, with `hash`, `sha256`, `jws` beside. */
  readonly data: JsonObject
  /** Members this model does not name (`format`, `filename`, `byte_count`, …), as found. */
  readonly more?: JsonObject
}

export interface MessageType {
  /** `https://didcomm.org/didexchange/1.1`. */
  readonly piuri: string
  readonly docUri: string
  readonly protocol: string
  readonly version: { readonly major: number; readonly minor: number }
  readonly name: string
}

// ---- message types -----------------------------------------------------------------------------------------

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

/** `https://…/name/1.x` equal up to the minor version. */
export function sameMajor(a: string, b: string): boolean {
  return a.slice(0, a.lastIndexOf('.')) === b.slice(0, b.lastIndexOf('.'))
}

/** The minor version at the end of a PIURI. */
export function minor(uri: string): number {
  return Number(uri.slice(uri.lastIndexOf('.') + 1))
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

// ---- reading -----------------------------------------------------------------------------------------------

/** A message of its JSON. Problems: `message.malformed`; members without a meaning here are kept in `extra`. */
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

// ---- attachments -------------------------------------------------------------------------------------------

/** How each version spells the members that both have. */
export const ATTACHMENT_NAMES = {
  v1: { id: '@id', mediaType: 'mime-type' },
  v2: { id: 'id', mediaType: 'media_type' },
} as const

/** Structure alone (RFC 0017, DIDComm v2 "Attachments"); what an attachment holds is attachment.ts. */
function parseAttachment(
  json: Json,
  version: 'v1' | 'v2',
  place: string,
  slot?: string,
  single?: boolean,
): Attachment | Problem {
  if (!isObject(json)) return problem('message.malformed', 'an attachment is not an object', place)
  const { id, mediaType } = ATTACHMENT_NAMES[version]
  const { [id]: _id, [mediaType]: _type, data: named, ...rest } = json
  // An example of RFC 0023 leaves the `data` member out and writes what it holds in its place.
  const bare = named === undefined && ['base64', 'json', 'links'].some(member => Object.hasOwn(rest, member))
  const [data, more] = bare ? [rest, {}] : [named, rest]
  if (!isObject(data)) return problem('message.malformed', 'an attachment has no data', place)
  return {
    data,
    ...(text(json, id) !== undefined && { id: text(json, id)! }),
    ...(text(json, mediaType) !== undefined && { mediaType: text(json, mediaType)! }),
    ...(slot !== undefined && { slot }),
    ...(single && { single }),
    ...(Object.keys(more).length > 0 && { more }),
  }
}
