// routing/1.0 and 2.0 `forward` (RFC 0094; DIDComm v2 "Routing Protocol"): structure and order only. A forward is
// addressed to a key of the engine, may be anoncrypt, and reaches no pico; whether `next` is registered is the inbox's.

import { attachmentJson, parseJson } from './attachment.ts'
import { protocol } from './machine.ts'
import {
  isObject,
  isProblem,
  type JsonObject,
  type Message,
  type Problem,
  problem,
  text,
  type Version,
} from './message.ts'

/** v2 `delay_milli` beyond this is cut. */
const MAX_DELAY_MS = 600_000

export interface Forward {
  /** A key (did:key or naked base58), a DID or a DID URL. */
  readonly next: string
  /** The enclosed envelopes, untouched. */
  readonly messages: readonly JsonObject[]
  /** Milliseconds to wait before it is passed on, 0 to MAX_DELAY_MS; `random`: up to that. */
  readonly delay: { readonly ms: number; readonly random: boolean }
}

export const routing = protocol({
  name: 'routing',
  connectionless: true,
  speaks: [
    { uri: 'https://didcomm.org/routing/1.0', version: 'v1' },
    { uri: 'https://didcomm.org/routing/2.0', version: 'v2' },
  ],
  messages: {
    forward: {
      check: (_body, message) => {
        const read = readForward(message)
        return isProblem(read) ? read : undefined
      },
    },
  },
  roles: {
    mediator: {
      start: {
        'receive forward': {
          to: 'forwarded',
          answer: t => {
            const { next, messages, delay } = readForward(t.message!) as Forward
            return { next, messages: [...messages], delay: { ...delay } }
          },
        },
      },
      forwarded: {},
    },
  },
})

/** The parts of a forward. v1: `to` and `msg` (an object; texts occur); v2: `body.next` and attachments. */
export function readForward(message: Message): Forward | Problem {
  const next = text(message.body, message.version === 'v1' ? 'to' : 'next')
  if (!next || next.length > 10_000) return problem('message.malformed', 'a forward names no next', 'next')
  const inner = message.version === 'v1' ? [message.body.msg] : message.attachments.map(enclosed)
  const messages: JsonObject[] = []
  for (const one of inner) {
    const read = typeof one === 'string' ? unquoted(one) : one
    if (!isObject(read)) return problem('message.malformed', 'a forward encloses something else than a message', 'msg')
    messages.push(read)
  }
  if (messages.length === 0) return problem('message.malformed', 'a forward encloses nothing', 'attachments')
  const asked = message.extra?.delay_milli ?? message.body.delay_milli
  const milli = typeof asked === 'number' && Number.isFinite(asked) ? asked : 0
  return { next, messages, delay: { ms: Math.min(Math.abs(milli), MAX_DELAY_MS), random: milli < 0 } }
}

function enclosed(item: Message['attachments'][number]) {
  const read = attachmentJson(item)
  return isProblem(read) ? undefined : read.value
}

/**
 * The hops from the outermost envelope to the recipient. v1 (RFC 0360/0094): the first routing key is nearest the
 * recipient, the last holds the endpoint; v2: the first is outermost.
 */
export function hops(routingKeys: readonly string[], version: Version): readonly string[] {
  return version === 'v1' ? [...routingKeys].reverse() : routingKeys
}

/** A forward's body (and v2 attachment) around an envelope. */
export function forwardBody(
  next: string,
  envelope: JsonObject,
  version: Version,
): Pick<Message, 'body' | 'attachments'> {
  return version === 'v1'
    ? { body: { to: next, msg: envelope }, attachments: [] }
    : { body: { next }, attachments: [{ mediaType: 'application/didcomm-encrypted+json', data: { json: envelope } }] }
}

function unquoted(source: string) {
  const read = parseJson(source, 'msg')
  return isProblem(read) ? undefined : read.value
}
