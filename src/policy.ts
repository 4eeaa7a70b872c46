// pure
// What may arrive on a channel or a connection: classic policies {allow, deny}; deny is looked at first, the default
// is deny (krl-readings, Keep). Also the command line's short form `d:t,…` and `rid/name,…`.

import type { Policy } from './pico.ts'
import type { Json, JsonObject } from './ports.ts'

export const ALLOW_ALL_EVENTS: Policy = { allow: [{ domain: '*', name: '*' }], deny: [] }
export const ALLOW_ALL_QUERIES: Policy = { allow: [{ rid: '*', name: '*' }], deny: [] }
export const DENY_ALL: Policy = { allow: [], deny: [] }

type Kind = 'event' | 'query'
const FIRST = { event: 'domain', query: 'rid' } as const

function covers(rule: JsonObject, kind: Kind, first: string, name: string): boolean {
  const matches = (want: Json | undefined, got: string) => want === '*' || want === got
  return matches(rule[FIRST[kind]], first) && matches(rule.name, name)
}

/** Whether the policy lets (domain, name) or (rid, name) pass. */
export function allows(policy: Policy, kind: Kind, first: string, name: string): boolean {
  if (policy.deny.some(rule => covers(rule, kind, first, name))) return false
  return policy.allow.some(rule => covers(rule, kind, first, name))
}

/** Domains in which the engine tells of messages, connections, exchanges, faults and answers. No peer raises events in
 *  them, whatever a policy says: rules take what they read there as found out by the engine. */
export const isTold = (domain: string): boolean =>
  /^(didcomm(_.*)?|connection|credential|proof|mediation|engine|system|http)$/.test(domain)

/** Reads the classic form; a string says what is wrong with it. */
export function readPolicy(value: Json | undefined, kind: Kind): Policy | string {
  if (value === null || typeof value !== 'object' || Array.isArray(value))
    return `${kind}Policy must be {"allow":[…],"deny":[…]}`
  const extra = Object.keys(value).find(key => key !== 'allow' && key !== 'deny')
  if (extra !== undefined) return `${kind}Policy has no member "${extra}"`
  const allow = readRules(value.allow, kind)
  const deny = readRules(value.deny, kind)
  if (typeof allow === 'string') return allow
  if (typeof deny === 'string') return deny
  return { allow, deny }
}

function readRules(value: Json | undefined, kind: Kind): JsonObject[] | string {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value)) return `${kind}Policy: allow and deny are lists`
  const rules: JsonObject[] = []
  for (const rule of value) {
    const first = FIRST[kind]
    if (rule === null || typeof rule !== 'object' || Array.isArray(rule))
      return `${kind}Policy: a rule is {"${first}":…,"name":…}`
    if (typeof rule[first] !== 'string' || typeof rule.name !== 'string')
      return `${kind}Policy: a rule needs "${first}" and "name"`
    rules.push({ [first]: rule[first], name: rule.name })
  }
  return rules
}

/** `d:t,d:*,!d:t` or `rid/name,…` to a policy (`!` denies); a string says what is wrong. Empty allows nothing. */
export function parsePolicy(text: string, kind: Kind): Policy | string {
  const separator = kind === 'event' ? ':' : '/'
  const allow: JsonObject[] = []
  const deny: JsonObject[] = []
  for (const piece of text
    .split(',')
    .map(piece => piece.trim())
    .filter(piece => piece !== '')) {
    const list = piece.startsWith('!') ? deny : allow
    const part = piece.replace(/^!/, '')
    if (part === '*') {
      list.push({ [FIRST[kind]]: '*', name: '*' })
      continue
    }
    const [first, name, more] = part.split(separator)
    if (!first || !name || more !== undefined)
      return `"${part}" is not of the form ${kind === 'event' ? 'domain:type' : 'rid/name'}`
    list.push({ [FIRST[kind]]: first, name })
  }
  return { allow, deny }
}

/** Channel tags in the classic spelling: lower case, `[a-z0-9_-]`, sorted as given; undefined for a bad one. */
export function cleanTags(value: Json | undefined): string[] | undefined {
  const list = typeof value === 'string' ? value.split(',') : value
  if (!Array.isArray(list)) return undefined
  const tags: string[] = []
  for (const tag of list) {
    if (typeof tag !== 'string') return undefined
    const clean = tag
      .trim()
      .toLowerCase()
      .replace(/[^a-z0-9_-]+/g, '-')
    if (clean !== '') tags.push(clean)
  }
  return tags
}
