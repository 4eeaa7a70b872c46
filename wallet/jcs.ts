// JSON Canonicalization Scheme (RFC 8785): members sorted by UTF-16 units, numbers and strings as ECMAScript writes
// them, which is what JSON.stringify already does.

/** Canonical text of a JSON value; members that are undefined are left out. Throws on what JSON cannot hold (NaN,
 *  functions): our bug. A lone surrogate, for which RFC 8785 3.2.2.2 has no form, is written as its escape, so that
 *  no text of a peer can make this throw. */
export function canonicalize(value: unknown): string {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return JSON.stringify(value)
  if (typeof value === 'number' && Number.isFinite(value)) return JSON.stringify(value)
  if (Array.isArray(value)) return `[${value.map(canonicalize).join(',')}]`
  if (typeof value === 'object') return `{${membersOf(value).join(',')}}`
  throw new Error(`not a JSON value: ${typeof value}`)
}

function membersOf(value: object): string[] {
  const members = value as { readonly [member: string]: unknown }
  const names = Object.keys(members).filter(name => members[name] !== undefined)
  return names.sort().map(name => `${JSON.stringify(name)}:${canonicalize(members[name])}`)
}
