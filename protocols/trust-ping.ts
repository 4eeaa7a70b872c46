// trust_ping/1.0 (RFC 0048) and trust-ping/2.0 (DIDComm v2) as one: the bodies are the same, the names are not.
// An answer is asked for unless `response_requested` is false.

import { protocol } from './machine.ts'
import { compact, problem, text } from './message.ts'

const PING_SECONDS = 60

export const trustPing = protocol({
  name: 'trust-ping',
  speaks: [
    { uri: 'https://didcomm.org/trust_ping/1.0', version: 'v1', wire: { 'ping-response': 'ping_response' } },
    { uri: 'https://didcomm.org/trust-ping/2.0', version: 'v2' },
  ],
  messages: {
    ping: {
      check: body =>
        body.response_requested === undefined ||
        body.response_requested === null ||
        typeof body.response_requested === 'boolean'
          ? undefined
          : problem('message.malformed', 'response_requested is not a boolean', 'response_requested'),
    },
    'ping-response': {},
  },
  roles: {
    sender: {
      start: {
        'command ping': {
          to: 'ping-sent',
          within: PING_SECONDS,
          keep: t => ({ sentAt: t.now }),
          send: { ping: t => ({ body: compact({ response_requested: true, comment: text(t.args, 'comment') }) }) },
        },
      },
      'ping-sent': {
        'receive ping-response': { to: 'done', answer: t => ({ ok: true, ms: t.now - Number(t.data.sentAt) }) },
        timeout: {
          to: 'done',
          raise: 'connection:ping_timeout',
          answer: t => ({ ok: false, ms: t.now - Number(t.data.sentAt) }),
        },
      },
      done: {},
    },
    receiver: {
      start: {
        'receive ping': [
          { when: t => t.message?.body.response_requested === false, to: 'done' },
          { to: 'done', send: { 'ping-response': () => ({}) } },
        ],
      },
      done: {},
    },
  },
})
