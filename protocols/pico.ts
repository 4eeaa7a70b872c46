// https://picomesh.dev/pico/1.0: events and queries of one pico for another, over a connection. Authcrypt only, and only
// what the connection's policy allows. A query never blocks: the answer is a message on its thread (DESIGN 3).

import { protocol } from './machine.ts'
import { compact, isObject, type JsonObject, type Problem, problem, text } from './message.ts'
import type { Turn } from './turn.ts'

/** The home of Picomesh's own protocols. */
export const PICOMESH = 'https://picomesh.dev/'

const ANSWER_SECONDS = 60

export const pico = protocol({
  name: 'pico',
  speaks: [
    { uri: `${PICOMESH}pico/1.0`, version: 'v1' },
    { uri: `${PICOMESH}pico/1.0`, version: 'v2' },
  ],
  messages: {
    event: { check: body => needs(body, ['domain', 'type'], 'attrs') },
    query: { check: body => needs(body, ['rid', 'name'], 'args') },
    answer: {
      check: body =>
        Object.hasOwn(body, 'value') || isObject(body.error)
          ? undefined
          : problem('message.malformed', 'an answer holds value or error'),
    },
  },
  roles: {
    sender: {
      start: {
        'command event': {
          to: 'sent',
          check: t => needs(t.args, ['domain', 'type'], 'attrs', 'command.malformed'),
          send: {
            event: t => ({
              body: { ...picked(t.args, ['domain', 'type']), attrs: (t.args.attrs ?? {}) as JsonObject },
            }),
          },
        },
      },
      sent: {},
    },
    receiver: {
      start: {
        'receive event': {
          to: 'received',
          check: t => allowed(t, 'event', 'domain', 'type'),
          raise: t => {
            const { domain, type, attrs } = t.message!.body
            return [
              { domain: domain as string, name: type as string, attrs: (attrs ?? {}) as JsonObject, tunnelled: true },
            ]
          },
        },
      },
      received: {},
    },
    asker: {
      start: {
        'command query': {
          to: 'asked',
          within: ANSWER_SECONDS,
          check: t => needs(t.args, ['rid', 'name'], 'args', 'command.malformed'),
          send: {
            query: t => ({ body: { ...picked(t.args, ['rid', 'name']), args: (t.args.args ?? {}) as JsonObject } }),
          },
        },
      },
      asked: {
        'receive answer': { to: 'answered', answer: t => answerOf(t.message!.body) },
        timeout: { to: 'answered', answer: () => ({ error: { code: 'query.timeout', message: 'no answer in time' } }) },
      },
      answered: {},
    },
    answerer: {
      start: {
        'receive query': {
          to: 'asked',
          within: ANSWER_SECONDS,
          check: t => allowed(t, 'query', 'rid', 'name'),
          ask: t => {
            const { rid, name, args } = t.message!.body
            return { rid: rid as string, name: name as string, args: (args ?? {}) as JsonObject }
          },
        },
      },
      asked: {
        'command answer': { to: 'answered', send: { answer: t => ({ body: answerOf(t.args) }) } },
        timeout: {
          to: 'answered',
          send: { answer: () => ({ body: { error: { code: 'query.timeout', message: 'the query took too long' } } }) },
        },
      },
      answered: {},
    },
  },
})

function needs(
  body: JsonObject,
  names: readonly string[],
  map: string,
  code: 'message.malformed' | 'command.malformed' = 'message.malformed',
) {
  const missing = names.find(name => !text(body, name))
  if (missing) return problem(code, `${missing} is not a text`, missing)
  return body[map] === undefined || isObject(body[map]) ? undefined : problem(code, `${map} is not a map`, map)
}

function picked(args: JsonObject, names: readonly string[]): JsonObject {
  return compact(Object.fromEntries(names.map(name => [name, args[name]])))
}

function allowed(turn: Turn, kind: 'event' | 'query', first: string, second: string): Problem | undefined {
  const { body } = turn.message!
  return turn.allows(kind, text(body, first)!, text(body, second)!)
    ? undefined
    : problem('policy.denied', `the policy of this connection does not allow that ${kind}`)
}

/** `{value}` or `{error: {code, message}}` and nothing else. */
function answerOf(body: JsonObject): JsonObject {
  if (!isObject(body.error)) return { value: body.value ?? null }
  return { error: { code: text(body.error, 'code') ?? 'query.failed', message: text(body.error, 'message') ?? '' } }
}
