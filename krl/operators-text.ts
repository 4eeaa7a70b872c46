// The standard library's operators on text, and JSON in and out. The receiver is converted to text first. What an
// operator builds is paid for before it is built, so one call cannot take the memory.

import { asPattern, call, checkDepth, grow, isNull, type Operator, spend, toNumber } from './convert.ts'
import type { Host, KrlMap, Value } from './types.ts'
import { emptyMap, isFunction, isMap, isRegExp, toText } from './values.ts'

/** An operator of the receiver's text. */
const text =
  (body: (host: Host, text: string, args: readonly Value[]) => Value): Operator =>
  (host, args) => {
    const receiver = toText(args[0])
    spend(host, 1 + (receiver.length >> 6))
    return body(host, receiver, args)
  }

/** The same, when the result is a text about as long as the receiver. */
const rewritten = (body: (text: string) => string): Operator =>
  text((host, receiver) => {
    grow(host, receiver.length)
    return body(receiver)
  })

const extract = text((host, receiver, args) => {
  if (args.length < 2) return []
  const pattern = asPattern(args[1])
  spend(host, receiver.length)
  const found = receiver.match(pattern)
  if (found === null) return []
  const parts = pattern.global ? found : found.slice(1)
  grow(host, parts.length)
  return Array.from(parts, part => part ?? null)
})

const match = text((host, receiver, [, pattern]) => {
  if (typeof pattern !== 'string' && !isRegExp(pattern as Value)) return false
  spend(host, receiver.length)
  return asPattern(pattern).test(receiver)
})

const split = text((host, receiver, [, on]) => {
  spend(host, receiver.length)
  grow(host, receiver.length)
  return receiver.split(isRegExp(on as Value) ? asPattern(on) : toText(on)).map(part => part ?? null)
})

/** `substr(start, length)`: a length of 0 or less counts from the end, so 0 is the rest. */
const substr = text((_host, receiver, [, from, count]) => {
  const start = toNumber(from ?? null)
  const length = isNull(count) ? null : toNumber(count)
  if (from === undefined || start === null) return receiver
  if (start > receiver.length) return ''
  if (length === null) return receiver.substring(start)
  return receiver.substring(start, length > 0 ? start + length : receiver.length + length)
})

/** `%d` for numbers, `%s` for text; a backslash before either keeps it, two make one. */
const sprintf: Operator = (host, [given, template]) => {
  if (isNull(template)) return ''
  const form = toText(template)
  const letter = typeof given === 'number' ? 'd' : typeof given === 'string' ? 's' : undefined
  if (letter === undefined || isNull(given)) return form
  spend(host, form.length)
  const filled = String(given)
  return form
    .split('\\\\')
    .map(part =>
      part.replace(letter === 'd' ? /\\?%d/g : /\\?%s/g, found => {
        const piece = found.startsWith('\\') ? found.slice(1) : filled
        grow(host, piece.length)
        return piece
      }),
    )
    .join('\\')
}

const replace: Operator = (host, args) => {
  const [receiver, what, by] = args
  if (args.length < 2) return receiver ?? null
  const subject = toText(receiver)
  const isCalled = isFunction(by)
  const pattern = isRegExp(what as Value) || isCalled ? asPattern(what) : toText(what)
  const replacement = isNull(by) ? '' : toText(by)
  spend(host, subject.length)
  grow(host, subject.length)
  return subject.replace(pattern, (...found: (string | number | undefined)[]) => {
    const parts = found.filter(part => typeof part !== 'object')
    const piece = isCalled
      ? toText(
          call(
            by,
            parts.map(part => part ?? null),
          ),
        )
      : expand(replacement, parts)
    spend(host, 1)
    grow(host, piece.length)
    return piece
  })
}

/** `$1`, `$&`, `$$`, `` $` `` and `$'` in a replacement; `found` = match, groups, offset, subject. */
const expand = (replacement: string, found: readonly (string | number | undefined)[]): string => {
  const whole = String(found[0])
  const groups = found.slice(1, -2)
  const offset = Number(found.at(-2))
  const subject = String(found.at(-1))
  return replacement.replace(/\$(?:([$&`'])|(\d\d?))/g, (written, sign?: string, digits?: string) => {
    if (sign === '$') return '$'
    if (sign === '&') return whole
    if (sign !== undefined) return sign === '`' ? subject.slice(0, offset) : subject.slice(offset + whole.length)
    const two = Number(digits)
    if (two >= 1 && two <= groups.length) return String(groups[two - 1] ?? '')
    const one = Number(digits?.[0])
    return one >= 1 && one <= groups.length ? String(groups[one - 1] ?? '') + (digits?.slice(1) ?? '') : written
  })
}

/** How deep decoded JSON may nest. */
export const MAX_JSON_DEPTH = 64

/** Reads JSON; what is not a text, not JSON, or nests deeper than 64, comes back as it is. */
const decode: Operator = (host, [given]) => {
  if (typeof given !== 'string') return given ?? null
  spend(host, 1 + (given.length >> 3))
  if (jsonDepth(given) > MAX_JSON_DEPTH) return given
  grow(host, given.length)
  try {
    return adopted(JSON.parse(given))
  } catch {
    return given
  }
}

/** How deep the brackets of a JSON text nest. */
export const jsonDepth = (json: string): number => {
  let depth = 0
  let deepest = 0
  let isQuoted = false
  for (let i = 0; i < json.length; i++) {
    const char = json[i]
    if (isQuoted && char === '\\') i++
    else if (char === '"') isQuoted = !isQuoted
    else if (isQuoted) continue
    else if (char === '[' || char === '{') deepest = Math.max(deepest, ++depth)
    else if (char === ']' || char === '}') depth--
  }
  return deepest
}

/** A JSON value as a KRL value: its maps lose their prototype. */
const adopted = (json: Value): Value => {
  if (Array.isArray(json)) return json.map(adopted)
  if (typeof json !== 'object' || json === null) return json
  const map = emptyMap()
  for (const [key, value] of Object.entries(json)) map[key] = adopted(value)
  return map
}

/** JSON of a value; functions and regular expressions as their text. `indent` spaces, 0 to 10. */
const encode: Operator = (host, [given, indent]) => {
  const spaces = Math.min(Math.max(Number.parseInt(toText(indent), 10) || 0, 0), 10)
  return encoded(host, given ?? null, ' '.repeat(spaces), '\n', 0)
}

const encoded = (host: Host, value: Value | undefined, indent: string, margin: string, depth: number): string => {
  spend(host, 1)
  checkDepth(depth)
  const inner = margin + indent
  const child = (each: Value | undefined) => encoded(host, each, indent, inner, depth + 1)
  if (Array.isArray(value)) return wrapped(host, '[]', value.map(child), indent, margin)
  if (!isMap(value as Value)) return leafText(host, value)
  const colon = indent === '' ? ':' : ': '
  const members = Object.entries(value as KrlMap).map(([key, each]) => `${JSON.stringify(key)}${colon}${child(each)}`)
  return wrapped(host, '{}', members, indent, margin)
}

const leafText = (host: Host, value: Value | undefined): string => {
  const plain = typeof value === 'number' || typeof value === 'boolean' || isNull(value) ? value : toText(value)
  const json = JSON.stringify(plain ?? null)
  grow(host, json.length)
  return json
}

const wrapped = (host: Host, brackets: string, parts: readonly string[], indent: string, margin: string): string => {
  const [open, close] = [brackets[0], brackets[1]]
  grow(host, 2 + parts.length * (indent === '' ? 1 : margin.length + indent.length + 1))
  if (parts.length === 0 || indent === '') return `${open}${parts.join()}${close}`
  return `${open}${margin}${indent}${parts.join(`,${margin}${indent}`)}${margin}${close}`
}

export const textOperators: Readonly<Record<string, Operator>> = {
  sprintf,
  capitalize: rewritten(receiver => receiver.slice(0, 1).toUpperCase() + receiver.slice(1)),
  decode,
  encode,
  extract,
  lc: rewritten(receiver => receiver.toLowerCase()),
  uc: rewritten(receiver => receiver.toUpperCase()),
  match,
  ord: text((_host, receiver) => (receiver === '' ? null : receiver.charCodeAt(0))),
  split,
  substr,
  trimLeading: rewritten(receiver => receiver.trimStart()),
  trimTrailing: rewritten(receiver => receiver.trimEnd()),
  trim: rewritten(receiver => receiver.trim()),
  startsWith: text((_host, receiver, [, target]) => receiver.startsWith(toText(target))),
  endsWith: text((_host, receiver, [, target]) => receiver.endsWith(toText(target))),
  contains: text((_host, receiver, [, target]) => receiver.includes(toText(target))),
  replace,
}
