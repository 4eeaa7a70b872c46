// Text to bytes and back in the encodings that `math:base64encode` and its kin name (RFC 4648 for base 16 and 64). Input that
// is not of an encoding's alphabet is read as far as it goes, as rulesets expect.

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'

export const toBase64 = (bytes: Uint8Array): string => {
  let text = ''
  for (let i = 0; i < bytes.length; i += 3) {
    const group = (bytes[i]! << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0)
    const left = bytes.length - i
    text += ALPHABET[group >> 18]! + ALPHABET[(group >> 12) & 63]!
    text += left > 1 ? ALPHABET[(group >> 6) & 63]! : '='
    text += left > 2 ? ALPHABET[group & 63]! : '='
  }
  return text
}

/** Reads both alphabets (`+/` and `-_`) up to the first `=`; other characters are passed over. */
const fromBase64 = (text: string): Uint8Array => {
  const bytes: number[] = []
  let group = 0
  let bits = 0
  for (const char of text.split('=', 1)[0] ?? '') {
    const value = char === '-' ? 62 : char === '_' ? 63 : ALPHABET.indexOf(char)
    if (value < 0) continue
    group = ((group << 6) | value) & 0xffff
    bits += 6
    if (bits < 8) continue
    bits -= 8
    bytes.push((group >> bits) & 0xff)
  }
  return Uint8Array.from(bytes)
}

export const toHex = (bytes: Uint8Array): string =>
  Array.from(bytes, byte => byte.toString(16).padStart(2, '0')).join('')

const fromHex = (text: string): Uint8Array =>
  Uint8Array.from(/^(?:[0-9a-f]{2})*/i.exec(text)?.[0].match(/../g) ?? [], pair => Number.parseInt(pair, 16))

const fromCodes = (text: string): Uint8Array => Uint8Array.from(text, char => char.charCodeAt(0) & 0xff)

const toCodes = (mask: number) => (bytes: Uint8Array) =>
  Array.from(bytes, byte => String.fromCharCode(byte & mask)).join('')

interface Encoding {
  readonly encode: (text: string) => Uint8Array
  readonly decode: (bytes: Uint8Array) => string
}

const utf8: Encoding = {
  encode: text => new TextEncoder().encode(text),
  decode: bytes => new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes),
}
const hex: Encoding = { encode: fromHex, decode: toHex }
const latin1: Encoding = { encode: fromCodes, decode: toCodes(0xff) }
const ascii: Encoding = { encode: fromCodes, decode: toCodes(0x7f) }
const base64: Encoding = { encode: fromBase64, decode: toBase64 }
const base64url: Encoding = {
  encode: fromBase64,
  decode: bytes => toBase64(bytes).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', ''),
}

/** Encodings by name. */
export const encodings: ReadonlyMap<string, Encoding> = new Map([
  ['utf8', utf8],
  ['utf-8', utf8],
  ['hex', hex],
  ['latin1', latin1],
  ['binary', latin1],
  ['ascii', ascii],
  ['base64', base64],
  ['base64url', base64url],
])
