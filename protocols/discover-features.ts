// discover-features/2.0 (RFC 0557 on v1: `disclosures`; DIDComm v2: `disclose`) and the 1.0 query (RFC 0031). Only a
// peer of a connection is answered. ACA-Py's first `queries` has a thid of its own and its disclosures name every
// protocol under both prefixes: answers go by thid, and what is disclosed is read without repetition.

import { protocol } from './machine.ts'
import { compact, isObject, isProblem, type Json, type JsonObject, parseType, problem, text } from './message.ts'
import type { Feature, Turn } from './turn.ts'

const QUERY_SECONDS = 3600

export const discoverFeatures = protocol({
  name: 'discover-features',
  speaks: [
    { uri: 'https://didcomm.org/discover-features/2.0', version: 'v1', wire: { disclose: 'disclosures' } },
    { uri: 'https://didcomm.org/discover-features/2.0', version: 'v2' },
    { uri: 'https://didcomm.org/discover-features/1.0', version: 'v1', wire: { queries: 'query' } },
  ],
  messages: {
    queries: {
      check: (body, { type }) =>
        (isFirst(type) ? text(body, 'query') !== undefined : Array.isArray(body.queries))
          ? undefined
          : problem('message.malformed', 'there is no query', isFirst(type) ? 'query' : 'queries'),
    },
    disclose: {
      check: body =>
        Array.isArray(body.disclosures) || Array.isArray(body.protocols)
          ? undefined
          : problem('message.malformed', 'disclosures is not a list', 'disclosures'),
    },
  },
  roles: {
    requester: {
      start: {
        'command query': {
          to: 'queried',
          within: QUERY_SECONDS,
          send: {
            queries: t => ({
              body: { queries: [{ 'feature-type': 'protocol', match: text(t.args, 'match') ?? '*' }] },
            }),
          },
        },
      },
      queried: {
        'receive disclose': {
          to: 'done',
          connect: t => ({ connectionId: t.connection!.connectionId, disclosed: disclosedProtocols(t.message!.body) }),
          answer: t => ({ protocols: disclosedProtocols(t.message!.body) }),
        },
        timeout: { to: 'done' },
      },
      done: {},
    },
    responder: {
      start: {
        'receive queries': {
          to: 'done',
          send: { disclose: t => ({ body: disclosure(t) }) },
        },
      },
      done: {},
    },
  },
})

/** Of RFC 0031. */
const isFirst = (type: string) => type.includes('/discover-features/1.')

function disclosure(turn: Turn): JsonObject {
  const { body, type } = turn.message!
  if (isFirst(type)) {
    const found = matching(turn.features, 'protocol', text(body, 'query') ?? '*')
    return { protocols: found.map(feature => compact({ pid: feature.id, roles: feature.roles && [...feature.roles] })) }
  }
  const asked = (body.queries as Json[]).filter(isObject)
  const found = new Set(
    asked.flatMap(query => matching(turn.features, text(query, 'feature-type') ?? '', text(query, 'match') ?? '')),
  )
  return {
    disclosures: [...found].map(feature =>
      compact({ 'feature-type': feature.type, id: feature.id, roles: feature.roles && [...feature.roles] }),
    ),
  }
}

/** `match` is a text with `*` for anything, without any other pattern language. */
function matching(features: readonly Feature[], type: string, match: string): Feature[] {
  const parts = match.slice(0, 255).split('*')
  return features.filter(feature => feature.type === type && matches(feature.id, parts))
}

function matches(id: string, parts: readonly string[]): boolean {
  const [first, ...rest] = parts as [string, ...string[]]
  const last = rest.pop()
  if (last === undefined) return id === first
  if (!id.startsWith(first) || !id.endsWith(last) || id.length < first.length + last.length) return false
  let at = first.length
  for (const middle of rest) {
    const found = id.indexOf(middle, at)
    if (found < 0) return false
    at = found + middle.length
  }
  return at <= id.length - last.length
}

/** The PIURIs of a disclosure in any dialect, old prefix read as the new, each once. */
function disclosedProtocols(body: JsonObject): string[] {
  const entries = Array.isArray(body.disclosures)
    ? body.disclosures
        .filter(isObject)
        .filter(entry => text(entry, 'feature-type') === 'protocol')
        .map(entry => text(entry, 'id'))
    : ((body.protocols ?? []) as Json[]).filter(isObject).map(entry => text(entry, 'pid'))
  const read = entries.filter(id => id !== undefined).map(id => parseType(`${id}/x`))
  return [...new Set(read.flatMap(type => (isProblem(type) ? [] : [type.piuri])))].slice(0, 500)
}
