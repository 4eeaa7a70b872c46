// What an attachment holds (RFC 0017, DIDComm v2 "Attachments"): bytes and base64, no signatures. The base64 rules meet
// both known peers: ACA-Py refuses `-` and `_`, strict decoders refuse missing padding, so we emit the standard
// alphabet, padded, from JSON whose characters never need `+` or `/`; all four spellings are accepted.

import { isProblem, type Json, type JsonObject, type Problem, problem, text } from './message.ts'

/** As deep as a message itself may nest. */
const MAX_DEPTH = 64

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
