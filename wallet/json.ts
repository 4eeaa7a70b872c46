// Strict JSON for text that a peer wrote (RFC 8259, restricted as I-JSON, RFC 7493): no duplicate members, bounded
// depth and size, valid UTF-8 only, no number too large for a double and no integer it cannot hold exactly; a fraction
// or an exponent says itself that it is approximate. JSON.parse does the work; one linear scan over the punctuation
// before it bounds the depth and counts members, a walk after it finds what is lost or inexact.

import { fromBase64url, type PaddingOption, textStrict } from './bytes.ts'
import { type Fault, fault } from './fault.ts'

export type JsonValue = null | boolean | number | string | JsonValue[] | { [member: string]: JsonValue }
export type JsonMembers = { [member: string]: JsonValue }

export interface JsonLimits {
  /** Nesting of objects and arrays, 64 by default. */
  readonly maxDepth?: number
  /** Of the UTF-8 text; a text given as a string is measured in UTF-16 units. */
  readonly maxBytes?: number
}

const headerLimits: JsonLimits = { maxDepth: 8 }

const quote = 0x22
const backslash = 0x5c

/** The value of a JSON text, or a Fault (`json.too_large`, `json.utf8`, `json.too_deep`, `json.syntax`,
 *  `json.duplicate`, `json.number`). Wrapped in `{value}`, because a peer can write an object that looks like a Fault.
 *  A member named `__proto__` becomes an own property like any other. */
export function readJson(source: Uint8Array | string, limits?: JsonLimits): { readonly value: JsonValue } | Fault {
  if (limits?.maxBytes !== undefined && source.length > limits.maxBytes) {
    return fault('json.too_large', `more than ${limits.maxBytes} bytes`)
  }
  const text = typeof source === 'string' ? source : textStrict(source)
  if (text === undefined) return fault('json.utf8', 'not valid UTF-8')
  const written = countMembers(text, limits?.maxDepth ?? 64)
  if (written < 0) return fault('json.too_deep', 'nested too deeply')
  const value = parse(text)
  if (value === undefined) return fault('json.syntax', 'not JSON')
  const found: Found = { members: 0, largest: 0 }
  measure(value, found)
  const tooLarge = found.largest > Number.MAX_SAFE_INTEGER && (found.largest === Infinity || hasInexactInteger(text))
  if (tooLarge) return fault('json.number', 'a number that a double cannot hold exactly')
  return found.members === written ? { value } : fault('json.duplicate', 'a member occurs twice')
}

/** The object of a JSON text, or a Fault as of `readJson` (`json.not_object` for another value). */
export function readJsonObject(
  source: Uint8Array | string,
  limits?: JsonLimits,
): { readonly value: JsonMembers } | Fault {
  const read = readJson(source, limits)
  if ('fault' in read) return read
  return isMembers(read.value) ? { value: read.value } : fault('json.not_object', 'not a JSON object')
}

/** The object of a JSON text in strict base64url, nested at most 8 deep: a protected header (RFC 7515 3, RFC 7516 3).
 *  Fault as of `readJsonObject`; what is no base64url is no JSON either. */
export function readHeader(
  source: JsonValue | undefined,
  options?: PaddingOption,
): { readonly value: JsonMembers } | Fault {
  const bytes = typeof source === 'string' ? fromBase64url(source, options) : undefined
  return bytes === undefined ? fault('json.syntax', 'not base64url') : readJsonObject(bytes, headerLimits)
}

/** True for a JSON object, false for null, arrays and scalars. */
export function isMembers(value: unknown): value is JsonMembers {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function parse(text: string): JsonValue | undefined {
  try {
    return JSON.parse(text) as JsonValue
  } catch {
    return undefined
  }
}

// A colon outside of a string is a member. Strings are skipped by indexOf, so the cost follows the number of tokens.
function countMembers(text: string, maxDepth: number): number {
  let members = 0
  let depth = 0
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at)
    if (unit === quote) {
      at = endOfString(text, at)
      if (at < 0) return members
    } else if (unit === 0x3a) members++
    else if (unit === 0x7b || unit === 0x5b) {
      if (++depth > maxDepth) return -1
    } else if (unit === 0x7d || unit === 0x5d) depth--
  }
  return members
}

// A quote ends the string unless an odd number of backslashes stands before it.
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end > 0; end = text.indexOf('"', end + 1)) {
    let before = end - 1
    while (text.charCodeAt(before) === backslash) before--
    if ((end - before) % 2 === 1) return end
  }
  return -1
}

interface Found {
  members: number
  /** Of the numbers, without their signs. */
  largest: number
}

function measure(value: JsonValue, found: Found): void {
  if (typeof value === 'number') found.largest = Math.max(found.largest, Math.abs(value))
  if (typeof value !== 'object' || value === null) return
  const inner = Array.isArray(value) ? value : Object.values(value)
  if (inner !== value) found.members += inner.length
  for (const item of inner) if (typeof item !== 'string') measure(item, found)
}

/** Is there an integer beyond 2^53 in a text that is JSON? Only texts with such a number are looked through. */
function hasInexactInteger(text: string): boolean {
  const literal = /\d[\d.eE+-]*/y
  for (let at = 0; at < text.length; at++) {
    if (text.charCodeAt(at) === quote) at = endOfString(text, at)
    literal.lastIndex = at
    const [number] = literal.exec(text) ?? []
    if (number === undefined) continue
    if (/^\d+$/.test(number) && Number(number) > Number.MAX_SAFE_INTEGER) return true
    at += number.length - 1
  }
  return false
}
