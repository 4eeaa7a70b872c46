// Text spellings of bytes: UTF-8, base64 (RFC 4648 4 and 5), base58btc and hex. Decoders are strict: a text that is
// not the one spelling of its bytes (junk, line feeds, foreign alphabet, set trailing bits) gives undefined.
// Pure; a platform may register faster codecs of the same behaviour (`registerCodecs`, done by crypto-node.ts), which
// then stand in place of the pure ones: callers import a live binding and reach the platform's function directly.

/** Canonical codecs of a platform, each as its namesake below. */
export interface FastCodecs {
  readonly utf8: (text: string) => Uint8Array
  readonly textStrict: (bytes: Uint8Array) => string | undefined
  readonly base64url: (bytes: Uint8Array) => string
  readonly fromBase64url: (text: string, options?: PaddingOption) => Uint8Array | undefined
  readonly hex: (bytes: Uint8Array) => string
}

export interface PaddingOption {
  readonly padding?: 'allow' | 'refuse'
}

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

const pure: FastCodecs = {
  utf8: text => encoder.encode(text),
  textStrict: bytes => {
    try {
      return decoder.decode(bytes)
    } catch {
      return undefined
    }
  },
  base64url: write64,
  fromBase64url: (text, options) => {
    const bare = options?.padding === 'allow' ? withoutPadding(text) : text
    return bare === undefined ? undefined : read64(bare)
  },
  hex: writeHex,
}

/** Replaces the pure codecs by a platform's; without an argument, goes back to the pure ones. */
export function registerCodecs(fast: FastCodecs = pure): void {
  utf8 = fast.utf8
  textStrict = fast.textStrict
  base64url = fast.base64url
  fromBase64url = fast.fromBase64url
  hex = fast.hex
}

// ---- UTF-8 -------------------------------------------------------------------------------------------------

/** UTF-8 of a text; lone surrogates become U+FFFD. */
export let utf8 = pure.utf8

/** The text of valid UTF-8 (a byte order mark is kept), or undefined. */
export let textStrict = pure.textStrict

/** The text of bytes that are known to be UTF-8; throws on others. For a peer's bytes use `textStrict`. */
export function text(bytes: Uint8Array): string {
  const found = textStrict(bytes)
  if (found === undefined) throw new Error('bytes are not UTF-8')
  return found
}

// ---- base64 ------------------------------------------------------------------------------------------------

const urlAlphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
const urlDigits = digitTable(urlAlphabet)

/** RFC 4648 5, without padding. */
export let base64url = pure.base64url

/** Strict RFC 4648 5; `padding: 'allow'` takes the text with its correct padding as well (default `refuse`). */
export let fromBase64url = pure.fromBase64url

/** RFC 4648 4, with padding. */
export function base64(bytes: Uint8Array): string {
  const bare = base64url(bytes).replaceAll('-', '+').replaceAll('_', '/')
  return bare.padEnd(Math.ceil(bare.length / 4) * 4, '=')
}

/** All four spellings peers use in attachments (either alphabet, padded or not), but not both alphabets in one text. */
export function fromBase64Any(text: string): Uint8Array | undefined {
  const bare = withoutPadding(text)
  if (bare === undefined) return undefined
  const standard = bare.includes('+') || bare.includes('/')
  if (!standard) return fromBase64url(bare)
  if (bare.includes('-') || bare.includes('_')) return undefined
  return fromBase64url(bare.replaceAll('+', '-').replaceAll('/', '_'))
}

// Padding is right when it fills the text to a multiple of four.
function withoutPadding(text: string): string | undefined {
  if (!text.endsWith('=')) return text
  if (text.length % 4 !== 0) return undefined
  return text.slice(0, text.endsWith('==') ? -2 : -1)
}

function digitTable(alphabet: string): Int8Array {
  const table = new Int8Array(128).fill(-1)
  for (let i = 0; i < alphabet.length; i++) table[alphabet.charCodeAt(i)] = i
  return table
}

function write64(bytes: Uint8Array): string {
  let out = ''
  for (let i = 0; i < bytes.length; i += 3) {
    const left = bytes.length - i
    const group = (bytes[i]! << 16) | ((left > 1 ? bytes[i + 1]! : 0) << 8) | (left > 2 ? bytes[i + 2]! : 0)
    out += urlAlphabet[group >> 18]! + urlAlphabet[(group >> 12) & 63]!
    if (left > 1) out += urlAlphabet[(group >> 6) & 63]!
    if (left > 2) out += urlAlphabet[group & 63]!
  }
  return out
}

function read64(text: string): Uint8Array | undefined {
  if (text.length % 4 === 1) return undefined
  const out = new Uint8Array((text.length * 3) >> 2)
  let bits = 0
  let held = 0
  let at = 0
  for (let i = 0; i < text.length; i++) {
    const digit = urlDigits[text.charCodeAt(i)] ?? -1
    if (digit < 0) return undefined
    held = ((held << 6) | digit) & 0xffff
    bits += 6
    if (bits >= 8) {
      bits -= 8
      out[at++] = held >> bits
    }
  }
  return (held & ((1 << bits) - 1)) === 0 ? out : undefined
}

// ---- base58btc ---------------------------------------------------------------------------------------------
// Both ways go through BigInt in groups of nine digits (58^9 < 2^53). Decoding joins the groups pairwise, so that a
// did:peer:4 of a thousand characters costs little more than its length; digit by digit it would be quadratic.

const base58Alphabet = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'
const base58Digits = digitTable(base58Alphabet)
const groupDigits = 9
const groupBase = 58n ** 9n

/** base58btc: leading zero bytes become leading `1`. */
export function base58(bytes: Uint8Array): string {
  let out = ''
  for (let rest = bytes.length === 0 ? 0n : BigInt(`0x${hex(bytes)}`); rest > 0n; rest /= groupBase) {
    out = base58Group(Number(rest % groupBase)) + out
  }
  return '1'.repeat(leading(bytes.length, i => bytes[i] === 0)) + out.replace(/^1+/, '')
}

/** Strict base58btc, or undefined. Time grows a little faster than length: bound the text before. */
export function fromBase58(text: string): Uint8Array | undefined {
  const groups: bigint[] = []
  const first = text.length % groupDigits
  for (let from = 0, to = first || groupDigits; from < text.length; from = to, to += groupDigits) {
    const value = base58Value(text, from, to)
    if (value === undefined) return undefined
    groups.push(BigInt(value))
  }
  const zeros = leading(text.length, i => text[i] === '1')
  const digits = groups.length === 0 ? '' : joinGroups(groups).toString(16)
  const body = digits === '0' || digits === '' ? new Uint8Array(0) : fromHex(digits.length % 2 ? `0${digits}` : digits)!
  return zeros === 0 ? body : concat(new Uint8Array(zeros), body)
}

function base58Group(value: number): string {
  let out = ''
  for (let i = 0; i < groupDigits; i++) {
    out = base58Alphabet[value % 58]! + out
    value = Math.floor(value / 58)
  }
  return out
}

function base58Value(text: string, from: number, to: number): number | undefined {
  let value = 0
  for (let i = from; i < to; i++) {
    const digit = base58Digits[text.charCodeAt(i)] ?? -1
    if (digit < 0) return undefined
    value = value * 58 + digit
  }
  return value
}

// Most significant first. Pairs are taken from the end, so that only the first group of a round may be single.
function joinGroups(groups: bigint[]): bigint {
  let base = groupBase
  while (groups.length > 1) {
    const odd = groups.length % 2
    const joined = odd ? [groups[0]!] : []
    for (let i = odd; i < groups.length; i += 2) joined.push(groups[i]! * base + groups[i + 1]!)
    groups = joined
    base *= base
  }
  return groups[0]!
}

function leading(length: number, is: (index: number) => boolean): number {
  let count = 0
  while (count < length && is(count)) count++
  return count
}

// ---- hex and the rest --------------------------------------------------------------------------------------

const hexOf = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))
const hexDigits = digitTable('0123456789abcdef')

/** Lower-case hex. */
export let hex = pure.hex

function writeHex(bytes: Uint8Array): string {
  let out = ''
  for (let i = 0; i < bytes.length; i++) out += hexOf[bytes[i]!]
  return out
}

/** Lower- or upper-case hex of even length, or undefined. */
export function fromHex(text: string): Uint8Array | undefined {
  if (text.length % 2 !== 0) return undefined
  const lower = text.toLowerCase()
  const out = new Uint8Array(text.length / 2)
  for (let i = 0; i < out.length; i++) {
    const high = hexDigits[lower.charCodeAt(2 * i)] ?? -1
    const low = hexDigits[lower.charCodeAt(2 * i + 1)] ?? -1
    if (high < 0 || low < 0) return undefined
    out[i] = (high << 4) | low
  }
  return out
}

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0
  for (const part of parts) length += part.length
  const out = new Uint8Array(length)
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}

/** Not constant time: for public bytes. Secrets are compared by `Crypto.equal`. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}
