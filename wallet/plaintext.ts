// The form a decrypted v2 message must have before anybody looks at its meaning: headers of the right type (DIDComm
// Messaging 2.x "Message Headers", body optional since 2.1) and a time that is not over. What the message says, its
// thread and its protocol are not the wallet's. envelope.ts holds v1 to the same.

import { type Fault, fault } from './fault.ts'
import { isMembers, type JsonMembers, type JsonValue } from './json.ts'

/** RFC 0003 and the v2 "Message Type URI": document URI, protocol, version, message; at most 1,024 characters. */
export const messageType = /^(?=\S{1,1024}$)\S+[?/&:;=][A-Za-z0-9._-]+\/\d+(?:\.\d+)*\/[A-Za-z0-9._-]+$/

/** A message dated further ahead than this is refused: its id would outlive any memory of ids seen. Seconds. */
const maxAhead = 86_400

/** Undefined, or Fault `message.malformed`, `message.expired`, `message.future`. `now` in seconds. */
export function checkV2(message: JsonMembers, now?: number): Fault | undefined {
  return checkHeaders(message) ?? checkAttachments(message.attachments ?? undefined) ?? checkTimes(message, now)
}

function checkHeaders(message: JsonMembers): Fault | undefined {
  const { id, type, typ, body, to } = message
  if (typeof id !== 'string' || id === '') return malformed('id is missing or not a text', 'id')
  if (typeof type !== 'string' || !messageType.test(type)) return malformed('type is not a message type', 'type')
  if (typ !== undefined && !isMediaType(typ, 'didcomm-plain+json')) return malformed('typ of something else', 'typ')
  if (body !== undefined && !isMembers(body)) return malformed('body is not an object', 'body')
  for (const name of ['from', 'thid', 'pthid', 'from_prior'] as const) {
    const value = message[name] ?? undefined
    if (value !== undefined && typeof value !== 'string') return malformed('not a text', name)
  }
  if (typeof message.from === 'string' && !isDidText(message.from)) return malformed('from is not a DID', 'from')
  if (to !== undefined && to !== null && !isTexts(to)) return malformed('to is not a list of DIDs', 'to')
  return undefined
}

function checkTimes(message: JsonMembers, now: number | undefined): Fault | undefined {
  const created = message.created_time ?? undefined
  const expires = message.expires_time ?? undefined
  if (created !== undefined && typeof created !== 'number') return malformed('not a number', 'created_time')
  if (expires !== undefined && typeof expires !== 'number') return malformed('not a number', 'expires_time')
  if (now === undefined) return undefined
  if (expires !== undefined && expires <= now)
    return fault('message.expired', 'expires_time has passed', 'expires_time')
  if (created !== undefined && created > now + maxAhead) {
    return fault('message.future', 'created_time lies ahead', 'created_time')
  }
  return undefined
}

function checkAttachments(attachments: JsonValue | undefined): Fault | undefined {
  if (attachments === undefined) return undefined
  const good = Array.isArray(attachments) && attachments.every(isAttachment)
  return good ? undefined : malformed('not a list of attachments', 'attachments')
}

// data holds the content, or links with the hash that makes them safe.
function isAttachment(value: JsonValue): boolean {
  if (!isMembers(value) || !isMembers(value.data)) return false
  if (value.id !== undefined && typeof value.id !== 'string') return false
  const { json, base64, links, hash } = value.data
  if (base64 !== undefined && typeof base64 !== 'string') return false
  if (links !== undefined && !(isTexts(links) && typeof hash === 'string')) return false
  return json !== undefined || base64 !== undefined || links !== undefined
}

/** Compares a media type as JOSE `typ` spells it, with or without `application/` (RFC 7515 4.1.9). */
export function isMediaType(value: JsonValue | undefined, subtype: string): boolean {
  if (typeof value !== 'string') return false
  const given = value.toLowerCase()
  return given === `application/${subtype}` || given === subtype
}

function isDidText(value: string): boolean {
  return value.startsWith('did:') && !value.includes('#')
}

function isTexts(value: JsonValue): boolean {
  return Array.isArray(value) && value.every(item => typeof item === 'string')
}

function malformed(message: string, place: string): Fault {
  return fault('message.malformed', message, place)
}
