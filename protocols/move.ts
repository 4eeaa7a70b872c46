// https://picomesh.dev/move/1.0, between the DIDs of two engines (DESIGN 5): how a pico goes from source to target. The
// commit point is the source's command `commit`: its thread and `retired` are one synced write. Before it only the
// source may end the move; after it the source repeats `commit` until it hears `active`. A target without a commit stays
// inert for as long as it takes. Any message may be repeated: each is answered again, and changes nothing twice.

import { protocol } from './machine.ts'
import { compact, isObject, type Json, type JsonObject, type Problem, problem, text } from './message.ts'
import { PICOMESH } from './pico.ts'
import { reportedCode } from './problem.ts'
import type { Draft, Row, Turn } from './turn.ts'

export const MOVE = `${PICOMESH}move/1.0` as const

/** Bytes of the bundle in one `chunk`, before base64. */
export const MAX_CHUNK_BYTES = 524_288

const REPEAT_SECONDS = 5

const abortable = {
  'command abort': {
    to: 'aborted',
    keep: (t: Turn) => ({ reason: text(t.args, 'reason') ?? 'aborted' }),
    send: { abort },
  },
} as const satisfies { [trigger: string]: Row<'aborted', 'abort'> }

/** What the target refused is for the engine to judge: a refused chunk ends no move. */
const refusable = {
  'receive problem-report': { check: notOther, answer: (t: Turn) => ({ refused: reportedCode(t.message!.body) }) },
} as const

const copying = {
  'command chunk': {
    check: (t: Turn) => badChunk(t.args, 'command.malformed'),
    // What was verified before is not what there is now.
    keep: (t: Turn) => ({ sent: t.args.seq, stateHash: undefined, verified: undefined }),
    send: { chunk: (t: Turn) => toOther(t, chunkBody(t.args, text(t.data, 'moveId')!)) },
  },
  'receive received': {
    check: notOther,
    keep: (t: Turn) => ({ received: Math.max(Number(t.data.received ?? 0), t.message!.body.seq as number) }),
    answer: (t: Turn) => ({ received: Math.max(Number(t.data.received ?? 0), t.message!.body.seq as number) }),
  },
} as const

export const move = protocol({
  name: 'move',
  retain: true,
  hidden: true,
  connectionless: true,
  report: (code, comment) => ({ name: 'problem-report', body: { code, comment } }),
  speaks: [
    { uri: MOVE, version: 'v1' },
    { uri: MOVE, version: 'v2' },
  ],
  messages: {
    prepare: { check: body => needs(body, ['moveId', 'picoDid', 'ticket']) ?? number(body, 'epoch') },
    prepared: { check: body => needs(body, ['moveId']) },
    chunk: { check: body => needs(body, ['moveId']) ?? badChunk(body, 'message.malformed') },
    received: { check: body => needs(body, ['moveId']) ?? number(body, 'seq') },
    verify: { check: body => needs(body, ['moveId', 'stateHash']) ?? number(body, 'chunks') },
    verified: { check: body => needs(body, ['moveId', 'stateHash']) },
    commit: {
      check: body =>
        needs(body, ['moveId']) ??
        (isObject(body.retired) ? undefined : problem('message.malformed', 'retired is not a map', 'retired')),
    },
    active: { check: body => needs(body, ['moveId']) },
    abort: { check: body => needs(body, ['moveId']) },
    aborted: { check: body => needs(body, ['moveId']) },
    status: { check: body => needs(body, ['moveId', 'state']) },
    'problem-report': { problem: true },
  },
  roles: {
    source: {
      start: {
        'command prepare': {
          to: 'planned',
          check: t =>
            needs(t.args, ['moveId', 'picoDid', 'ticket', 'myDid', 'theirDid'], 'command.malformed') ??
            number(t.args, 'epoch', 'command.malformed'),
          keep: t => picked(t.args, ['moveId', 'picoId', 'picoDid', 'epoch', 'myDid', 'theirDid', 'ticket']),
          send: { prepare },
        },
      },
      planned: {
        ...abortable,
        'receive prepared': {
          to: 'prepared',
          check: notOther,
          answer: t => ({ state: 'prepared', moveId: t.data.moveId! }),
        },
        'receive problem-report': {
          to: 'aborted',
          check: notOther,
          keep: t => ({ reason: reportedCode(t.message!.body) }),
          answer: t => ({ state: 'aborted', reason: t.data.reason! }),
        },
        'command resume': { to: 'planned', send: { prepare } },
      },
      prepared: {
        ...abortable,
        'receive problem-report': { ...refusable['receive problem-report'], to: 'prepared' },
        'command chunk': { ...copying['command chunk'], to: 'prepared' },
        'receive received': { ...copying['receive received'], to: 'prepared' },
        'command freeze': { to: 'frozen' },
        'command resume': { to: 'prepared', send: { status } },
        'receive status': { to: 'prepared', check: notOther, keep: heard, answer: statusAnswer },
      },
      frozen: {
        ...abortable,
        'receive problem-report': { ...refusable['receive problem-report'], to: 'frozen' },
        'command chunk': { ...copying['command chunk'], to: 'frozen' },
        'receive received': { ...copying['receive received'], to: 'frozen' },
        'command verify': {
          to: 'frozen',
          check: t => needs(t.args, ['stateHash'], 'command.malformed'),
          keep: t => ({ stateHash: t.args.stateHash, verified: undefined }),
          send: {
            verify: t =>
              toOther(t, { moveId: t.data.moveId!, stateHash: t.data.stateHash!, chunks: Number(t.data.sent ?? 0) }),
          },
        },
        'receive verified': {
          to: 'frozen',
          check: t =>
            notOther(t) ??
            (text(t.message!.body, 'stateHash') === t.data.stateHash
              ? undefined
              : problem('move.hash', 'the target has another state', 'stateHash')),
          keep: () => ({ verified: true }),
          answer: t => ({ verified: true, stateHash: t.data.stateHash! }),
        },
        'command commit': {
          to: 'committed',
          within: REPEAT_SECONDS,
          check: t =>
            t.data.verified === true && isObject(t.args.retired)
              ? undefined
              : problem('command.unexpected', 'a move is committed with retired, after the target verified'),
          keep: t => ({ retired: t.args.retired }),
          send: { commit },
        },
        'command resume': { to: 'frozen', send: { status } },
        'receive status': { to: 'frozen', check: notOther, keep: heard, answer: statusAnswer },
      },
      committed: {
        'receive active': {
          to: 'active',
          check: notOther,
          answer: t => ({ state: 'active', moveId: t.data.moveId! }),
        },
        timeout: { to: 'committed', within: REPEAT_SECONDS, send: { commit } },
        'command resume': { to: 'committed', within: REPEAT_SECONDS, send: { commit } },
        'receive status': { to: 'committed', check: notOther, keep: heard },
        'receive problem-report': { ...refusable['receive problem-report'], to: 'committed' },
      },
      active: {
        'command drain': { to: 'draining' },
        'receive active': { to: 'active', check: notOther },
      },
      draining: {
        'command done': {
          to: 'done',
          send: { status: t => toOther(t, { moveId: t.data.moveId!, state: 'done' }) },
        },
        'receive active': { to: 'draining', check: notOther },
      },
      done: {},
      aborted: {
        'receive aborted': { to: 'aborted', check: notOther },
        'command resume': { to: 'aborted', send: { abort } },
      },
    },
    target: {
      start: {
        'receive prepare': {
          to: 'prepared',
          check: t =>
            t.sender?.did !== undefined && t.recipient !== undefined && t.ticket?.(text(t.message!.body, 'ticket')!)
              ? undefined
              : problem('move.ticket', 'no such ticket is open for you', 'ticket'),
          keep: t => ({
            ...picked(t.message!.body, ['moveId', 'picoId', 'picoDid', 'epoch']),
            theirDid: t.sender!.did,
            myDid: t.recipient,
            received: 0,
          }),
          send: { prepared },
        },
      },
      prepared: {
        'receive prepare': { to: 'prepared', check: notOther, send: { prepared } },
        'receive chunk': [
          { when: repeated, to: 'prepared', check: notOther, send: { received } },
          {
            to: 'prepared',
            check: t => notOther(t) ?? outOfOrder(t),
            keep: t => ({ received: t.message!.body.seq }),
            send: { received },
            answer: t => ({ seq: t.message!.body.seq!, data: t.message!.body.data! }),
          },
        ],
        'receive verify': {
          to: 'frozen',
          check: t => notOther(t) ?? missing(t),
          keep: t => ({ stateHash: t.message!.body.stateHash }),
          answer: t => ({ stateHash: t.data.stateHash! }),
        },
        'receive abort': { to: 'aborted', check: notOther, send: { aborted } },
        'receive status': { to: 'prepared', check: notOther, send: { status } },
      },
      frozen: {
        'command verified': {
          to: 'frozen',
          check: t =>
            t.args.stateHash === t.data.stateHash
              ? undefined
              : problem('move.hash', 'what arrived is not what was sent', 'stateHash'),
          keep: () => ({ verified: true }),
          send: { verified },
        },
        // The source found more to send, or its verify came again.
        'receive verify': {
          to: 'frozen',
          check: t => notOther(t) ?? missing(t),
          keep: t => ({ stateHash: t.message!.body.stateHash, verified: undefined }),
          answer: t => ({ stateHash: t.data.stateHash! }),
        },
        'receive chunk': [
          { when: repeated, to: 'frozen', check: notOther, send: { received } },
          {
            to: 'prepared',
            check: t => notOther(t) ?? outOfOrder(t),
            keep: t => ({ received: t.message!.body.seq, verified: undefined }),
            send: { received },
            answer: t => ({ seq: t.message!.body.seq!, data: t.message!.body.data! }),
          },
        ],
        'receive commit': {
          to: 'committed',
          check: t =>
            notOther(t) ??
            (t.data.verified === true
              ? undefined
              : problem('message.unexpected', 'nothing was verified that could be committed')),
          keep: t => ({ retired: t.message!.body.retired }),
          answer: t => ({ retired: t.data.retired! }),
        },
        'receive abort': { to: 'aborted', check: notOther, send: { aborted } },
        'receive status': { to: 'frozen', check: notOther, send: { status } },
      },
      committed: {
        'command activate': { to: 'active', send: { active } },
        'receive commit': { to: 'committed', check: notOther, answer: t => ({ retired: t.data.retired! }) },
        'receive status': { to: 'committed', check: notOther, send: { status } },
      },
      active: {
        'receive commit': { to: 'active', check: notOther, send: { active } },
        'receive status': [
          { when: t => text(t.message!.body, 'state') === 'done', to: 'done', check: notOther },
          { to: 'active', check: notOther, send: { status } },
        ],
      },
      done: {},
      aborted: { 'receive abort': { to: 'aborted', check: notOther, send: { aborted } } },
    },
  },
})

type FormCode = 'message.malformed' | 'command.malformed'

function needs(body: JsonObject, names: readonly string[], code: FormCode = 'message.malformed'): Problem | undefined {
  const missing = names.find(name => !text(body, name))
  return missing ? problem(code, `${missing} is not a text`, missing) : undefined
}

function number(body: JsonObject, name: string, code: FormCode = 'message.malformed'): Problem | undefined {
  return Number.isSafeInteger(body[name]) && (body[name] as number) >= 0
    ? undefined
    : problem(code, `${name} is not a whole number`, name)
}

function badChunk(body: JsonObject, code: FormCode): Problem | undefined {
  const data = text(body, 'data')
  const fits = data !== undefined && data.length <= Math.ceil(MAX_CHUNK_BYTES / 3) * 4
  return (
    number(body, 'seq', code) ??
    (fits ? undefined : problem(code, `data is not base64 of at most ${MAX_CHUNK_BYTES} bytes`, 'data'))
  )
}

function picked(from: JsonObject, names: readonly string[]): JsonObject {
  return compact(Object.fromEntries(names.map(name => [name, from[name]])))
}

/** Only the engine that the move began with has a say in it. */
function notOther(turn: Turn): Problem | undefined {
  const theirs = turn.sender?.did === turn.data.theirDid
  const sameMove = turn.message!.body.moveId === undefined || turn.message!.body.moveId === turn.data.moveId
  return theirs && sameMove ? undefined : problem('message.stranger', 'the sender has no part in this move')
}

function toOther(turn: Turn, body: JsonObject): Draft {
  return { body, from: text(turn.data, 'myDid')!, to: text(turn.data, 'theirDid')! }
}

function prepare(turn: Turn): Draft {
  return toOther(turn, picked(turn.data, ['moveId', 'picoId', 'picoDid', 'epoch', 'ticket']))
}

function prepared(turn: Turn): Draft {
  return toOther(turn, picked(turn.data, ['moveId', 'received']))
}

function chunkBody(args: JsonObject, moveId: string): JsonObject {
  return { moveId, ...picked(args, ['seq', 'data']) }
}

function received(turn: Turn): Draft {
  return toOther(turn, { moveId: turn.data.moveId!, seq: turn.data.received! })
}

function repeated(turn: Turn): boolean {
  return (turn.message!.body.seq as number) <= Number(turn.data.received)
}

function outOfOrder(turn: Turn): Problem | undefined {
  const next = Number(turn.data.received) + 1
  return turn.message!.body.seq === next ? undefined : problem('move.sequence', `chunk ${next} comes next`, 'seq')
}

function missing(turn: Turn): Problem | undefined {
  return turn.message!.body.chunks === turn.data.received
    ? undefined
    : problem('move.sequence', 'chunks are missing', 'chunks')
}

function verified(turn: Turn): Draft {
  return toOther(turn, picked(turn.data, ['moveId', 'stateHash']))
}

function commit(turn: Turn): Draft {
  return toOther(turn, picked(turn.data, ['moveId', 'retired']))
}

function active(turn: Turn): Draft {
  return toOther(turn, { moveId: turn.data.moveId! })
}

function abort(turn: Turn): Draft {
  return toOther(turn, picked(turn.data, ['moveId', 'reason']))
}

function aborted(turn: Turn): Draft {
  return toOther(turn, { moveId: turn.data.moveId!, reason: text(turn.message!.body, 'reason') ?? 'aborted' })
}

/** Where we stand; the source asks by it, the target answers by it with what it has. */
function status(turn: Turn): Draft {
  return toOther(
    turn,
    compact({
      moveId: turn.data.moveId,
      state: turn.thread!.state,
      received: turn.data.received,
      verified: turn.data.verified,
    }),
  )
}

function heard(turn: Turn): { readonly [member: string]: Json | undefined } {
  const { received } = turn.message!.body
  return typeof received === 'number' ? { received: Math.max(Number(turn.data.received ?? 0), received) } : {}
}

function statusAnswer(turn: Turn): JsonObject {
  return picked(turn.message!.body, ['state', 'received', 'verified'])
}
