// Attachments (RFC 0017, DIDComm v2 "Attachments"): structure and base64 only, no signatures. The base64 rules meet
// both known peers: ACA-Py refuses `-` and `_`, strict decoders refuse missing padding, so we emit the standard
// alphabet, padded, from JSON whose characters never need `+` or `/`; all four spellings are accepted.

import { compact, isObject, isProblem, type Json, type JsonObject, type Problem, problem, text } from './problem.ts'

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

/** As deep as a message itself may nest. */
const MAX_DEPTH = 64

const SPELLING = { v1: { id: '@id', mediaType: 'mime-type' }, v2: { id: 'id', mediaType: 'media_type' } } as const

export function parseAttachment(
  json: Json,
  version: 'v1' | 'v2',
  place: string,
  slot?: string,
  single?: boolean,
): Attachment | Problem {
  if (!isObject(json)) return problem('message.malformed', 'an attachment is not an object', place)
  const { id, mediaType } = SPELLING[version]
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

export function serialiseAttachment(attachment: Attachment, version: 'v1' | 'v2'): JsonObject {
  const { id, mediaType } = SPELLING[version]
  return {
    ...compact({ [id]: attachment.id, [mediaType]: attachment.mediaType }),
    ...attachment.more,
    data: attachment.data,
  }
}

/** The attachment's bytes: `base64` decoded, or `json` as text. Links are never followed here. */
export function attachmentBytes(attachment: { readonly data: JsonObject }): Uint8Array | Problem {
  const { data } = attachment
  if (Object.hasOwn(data, 'json')) return new TextEncoder().encode(JSON.stringify(data.json))
  const encoded = text(data, 'base64')
  if (encoded === undefined) return problem('message.malformed', 'the attachment holds neither json nor base64', 'data')
  return decodeBase64(encoded) ?? problem('message.malformed', 'the attachment is not base64', 'data.base64')
}

/** The attachment's bytes as UTF-8 text. */
export function attachmentText(attachment: { readonly data: JsonObject }): string | Problem {
  const bytes = attachmentBytes(attachment)
  return isProblem(bytes) ? bytes : (utf8(bytes) ?? problem('message.malformed', 'the attachment is not UTF-8', 'data'))
}

/** The attachment's JSON value. */
export function attachmentJson(attachment: { readonly data: JsonObject }): { readonly value: Json } | Problem {
  if (Object.hasOwn(attachment.data, 'json')) return { value: attachment.data.json! }
  const decoded = attachmentText(attachment)
  return typeof decoded === 'string' ? parseJson(decoded, 'data.base64') : decoded
}

/** Data of an attachment that carries JSON as base64 in the one spelling every known peer takes. */
export function base64Json(value: Json): { base64: string } {
  return { base64: encodeBase64(new TextEncoder().encode(neutralJson(value))) }
}

/** JSON text in which everything but ASCII without `>`, `?`, `~` is escaped: both base64 alphabets then agree. */
export function neutralJson(value: Json): string {
  return JSON.stringify(value).replace(/[\u007e-\uffff>?]/g, c => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/** A JSON text, in an attachment or for one. Nesting is bounded: who writes a value out again recurses. */
export function parseJson(source: string, place: string): { readonly value: Json } | Problem {
  if (nestsDeep(source)) return problem('message.malformed', `JSON nests deeper than ${MAX_DEPTH}`, place)
  try {
    return { value: JSON.parse(source) as Json }
  } catch (error) {
    if (error instanceof SyntaxError) return problem('message.malformed', 'not JSON', place)
    throw error
  }
}

/** Read from the brackets outside of texts, before anything is built. */
function nestsDeep(source: string): boolean {
  let depth = 0
  let inText = false
  for (let at = 0; at < source.length && depth <= MAX_DEPTH; at++) {
    const one = source[at]
    if (one === '"') inText = !inText
    else if (inText) at += one === '\\' ? 1 : 0
    else if (one === '[' || one === '{') depth++
    else if (one === ']' || one === '}') depth--
  }
  return depth > MAX_DEPTH
}

/** Either alphabet but not both, padded or not; undefined for anything else. */
export function decodeBase64(encoded: string): Uint8Array | undefined {
  if (!/^(?:[A-Za-z0-9+/]*|[A-Za-z0-9_-]*)={0,2}$/.test(encoded)) return undefined
  const bare = encoded.replace(/=+$/, '').replaceAll('-', '+').replaceAll('_', '/')
  if (bare.length % 4 === 1 || (encoded.endsWith('=') && encoded.length % 4 !== 0)) return undefined
  return Uint8Array.from(atob(bare), c => c.charCodeAt(0))
}

/** Standard alphabet, padded. */
export function encodeBase64(bytes: Uint8Array): string {
  let binary = ''
  for (let at = 0; at < bytes.length; at += 8192) binary += String.fromCharCode(...bytes.subarray(at, at + 8192))
  return btoa(binary)
}

/** URL alphabet, unpadded: what stands in invitation URLs. */
export function encodeBase64url(bytes: Uint8Array): string {
  return encodeBase64(bytes).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '')
}

export function utf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (error) {
    // By name: the decoder may belong to another realm than this module.
    if ((error as Error).name === 'TypeError') return undefined
    throw error
  }
}
