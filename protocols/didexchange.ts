// didexchange/1.1 and 1.0 (RFC 0023), both roles. The requester's DID stands in its request; the responder answers from
// a DID of its own, vouched for by the invitation key: `did_rotate~attach` (1.1) or a signed `did_doc~attach`.
// `response-received` and the responder's `start` are passed through within one step and are not kept.

import { parseJson } from './attachment.ts'
import {
  connectionFor,
  deadInvitation,
  established,
  failed,
  fault,
  invitationOf,
  named,
  ours,
  PATIENCE_SECONDS,
  refusal,
  relation,
  reported,
  retryable,
  stateEvent,
  theirs,
  timedOut,
} from './handshake.ts'
import { handshakeFor, readInvitation } from './invitation.ts'
import { protocol } from './machine.ts'
import {
  attachment,
  compact,
  isObject,
  isProblem,
  type Json,
  type JsonObject,
  type Message,
  type Problem,
  problem,
  text,
} from './message.ts'
import { reportedCode } from './problem.ts'
import type { Draft, Resolved, Service, Turn } from './turn.ts'

export const didExchange = protocol({
  name: 'didexchange',
  retain: true,
  handshake: true,
  speaks: [{ uri: 'https://didcomm.org/didexchange/1.1', version: 'v1' }],
  messages: {
    request: { check: needsDid },
    response: { check: needsDid },
    complete: {},
    problem_report: { problem: true },
  },
  dialect: t => {
    const invitation = readInvitation(t.args.invitation)
    const handshake = isProblem(invitation) ? invitation : handshakeFor(invitation, t.now)
    return 'piuri' in handshake ? handshake.piuri : undefined
  },
  // A peer that is connected would tear the connection down on a report: then none.
  report: (code, comment, thread) =>
    thread?.state === 'completed'
      ? undefined
      : {
          name: 'problem_report',
          body: {
            'problem-code': thread?.role === 'requester' ? 'response_not_accepted' : 'request_not_accepted',
            explain: `${code}: ${comment}`,
          },
        },
  roles: {
    requester: {
      'invitation-received': {
        timeout: { to: 'abandoned', connect: t => relation(t, 'failed'), raise: timedOut },
        'command accept': {
          to: 'request-sent',
          within: PATIENCE_SECONDS,
          check: badInvitation,
          keep: drawRequester,
          under: t => invitationOf(t).id,
          connect: t => relation(t, 'requested'),
          send: { request },
          raise: 'connection:request_sent',
        },
      },
      'request-sent': {
        'receive response': {
          to: 'completed',
          newcomer: true,
          check: t => fault(vouched(t)),
          keep: t => ({ theirDid: named(vouched(t) as Resolved) }),
          connect: t => relation(t, 'established'),
          send: { complete: () => ({}) },
          raise: t => [stateEvent(t, 'response_received'), stateEvent(t, 'established')],
          answer: established,
        },
        'receive problem_report': [
          // RFC 0023 "Errors": a processing error may be tried again, from the invitation.
          {
            when: t => reportedCode(t.message!.body) === 'request_processing_error',
            to: 'invitation-received',
            newcomer: true,
            within: PATIENCE_SECONDS,
            check: notTheInviter,
            raise: retryable,
          },
          {
            to: 'abandoned',
            newcomer: true,
            check: notTheInviter,
            connect: t => relation(t, 'failed'),
            raise: reported,
            answer: refusal,
          },
        ],
        'command cancel': { to: 'abandoned', connect: t => relation(t, 'closed') },
        timeout: { to: 'abandoned', connect: t => relation(t, 'failed'), raise: timedOut },
      },
      completed: {
        // Our complete was lost on the way, so the peer answered a repeated request once more: the same answer again.
        'receive response': {
          to: 'completed',
          newcomer: true,
          check: t =>
            fault(vouched(t)) ??
            (sameTheirs(t) ? undefined : problem('message.unexpected', 'the response brings another DID')),
          connect: t => relation(t, 'established'),
          send: { complete: () => ({}) },
        },
      },
      abandoned: {},
    },
    responder: {
      'invitation-sent': {
        'receive request': [
          {
            when: t => t.parent?.data.approve !== true,
            to: 'response-sent',
            within: PATIENCE_SECONDS,
            newcomer: true,
            check: t => deadInvitation(t) ?? fault(requester(t)),
            keep: t => ({ ...keepRequester(t), ...drawResponder(t) }),
            connect: t => relation(t, 'responded'),
            send: { response },
            raise: t => [stateEvent(t, 'request_received'), stateEvent(t, 'response_sent')],
            parent: 'use',
          },
          {
            to: 'request-received',
            within: PATIENCE_SECONDS,
            newcomer: true,
            check: t => deadInvitation(t) ?? fault(requester(t)),
            keep: keepRequester,
            connect: t => relation(t, 'requested'),
            raise: t => [stateEvent(t, 'request_received')],
            parent: 'use',
          },
        ],
      },
      'request-received': {
        'command approve': {
          to: 'response-sent',
          within: PATIENCE_SECONDS,
          keep: drawResponder,
          connect: t => relation(t, 'responded'),
          send: { response },
          raise: 'connection:response_sent',
        },
        'command decline': {
          to: 'abandoned',
          connect: t => relation(t, 'closed'),
          // From the invitation key: the only one of ours that the requester knows.
          send: {
            problem_report: t => ({
              from: text(t.data, 'invitationKey')!,
              body: { 'problem-code': 'request_not_accepted', explain: 'The request was declined.' },
            }),
          },
          raise: t => [failed(t, 'request_not_accepted', 'declined here')],
        },
        'receive problem_report': [
          { when: t => reportedCode(t.message!.body) === 'response_processing_error', to: 'request-received' },
          { to: 'abandoned', connect: t => relation(t, 'failed'), raise: reported },
        ],
        timeout: { to: 'abandoned', connect: t => relation(t, 'failed'), raise: timedOut },
      },
      'response-sent': {
        'receive complete': {
          to: 'completed',
          connect: t => relation(t, 'established'),
          raise: 'connection:established',
        },
        // Any authenticated message to our new DID proves that the response arrived.
        'command confirm': {
          to: 'completed',
          connect: t => relation(t, 'established'),
          raise: 'connection:established',
        },
        'receive request': {
          to: 'response-sent',
          newcomer: true,
          check: t =>
            fault(requester(t)) ??
            (sameTheirs(t) ? undefined : problem('message.unexpected', 'the request brings another DID')),
          connect: t => relation(t, 'responded'),
          send: { response },
        },
        'receive problem_report': [
          {
            when: t => reportedCode(t.message!.body) === 'response_processing_error',
            to: 'request-received',
            within: PATIENCE_SECONDS,
            raise: retryable,
          },
          { to: 'abandoned', connect: t => relation(t, 'failed'), raise: reported },
        ],
        timeout: { to: 'abandoned', connect: t => relation(t, 'failed'), raise: timedOut },
      },
      completed: { 'receive complete': { to: 'completed' } },
      abandoned: {},
    },
  },
})

function needsDid(body: JsonObject): Problem | undefined {
  return text(body, 'did') ? undefined : problem('message.malformed', 'did is not a DID', 'did')
}

// ---- the invitation, at the requester ------------------------------------------------------------------------

function badInvitation(turn: Turn): Problem | undefined {
  const invitation = readInvitation(turn.args.invitation ?? turn.data.invitation)
  if (isProblem(invitation)) return invitation
  const handshake = handshakeFor(invitation, turn.now)
  if (isProblem(handshake)) return handshake
  if (handshake.name !== 'didexchange')
    return problem('invitation.unsupported', 'the invitation is not for didexchange')
  const first = invitation.services[0]!
  return typeof first === 'string' ? fault(turn.resolve(first)) : undefined
}

/** Before the response only the invitation's keys speak for the inviter: nobody else may end the exchange. */
function notTheInviter(turn: Turn): Problem | undefined {
  const known = invitationKeys(turn).some(key => key.split('#')[0] === turn.sender?.key)
  return known ? undefined : problem('message.stranger', 'the report is not by the inviter')
}

/** The keys that may vouch for the response: those the invitation names, or those of the DID it names. */
function invitationKeys(turn: Turn): readonly string[] {
  const first = invitationOf(turn).services[0]!
  if (typeof first !== 'string') return first.recipientKeys
  const resolved = turn.resolve(first)
  return isProblem(resolved) ? [] : resolved.keys
}

/** Draws in this order: connection id, DID. A repeated request keeps both. */
function drawRequester(turn: Turn): { readonly [member: string]: Json | undefined } {
  const invitation = invitationOf(turn)
  if (turn.data.myDid !== undefined) return {}
  return {
    connectionId: turn.draw.id(),
    myDid: named(turn.draw.did('peer4')),
    invitation: invitation.json,
    label: invitation.label,
    policy: turn.args.policy,
  }
}

function request(turn: Turn): Draft {
  const first = invitationOf(turn).services[0]! as string | Service
  const { did } = ours(turn)!
  return { body: compact({ label: turn.label, did, goal_code: invitationOf(turn).goalCode }), from: did, to: first }
}

// ---- who the peer is -----------------------------------------------------------------------------------------

/** The requester's DID: resolvable, or by an attached document; the sender's key must be one of its keys (L5). */
function requester(turn: Turn): Resolved | Problem {
  const key = turn.sender?.key
  if (key === undefined) return problem('message.unauthenticated', 'a request must be authcrypt')
  return senderOf(turn, peer(turn, [key], false))
}

/**
 * The responder's DID, vouched for by the invitation: the signed text of `did_rotate~attach` is that DID, or its
 * document is signed in `did_doc~attach`, or it is the very DID that the invitation named.
 */
function vouched(turn: Turn): Resolved | Problem {
  const { message } = turn
  const did = text(message!.body, 'did')!
  const keys = invitationKeys(turn)
  const rotate = attachment(message!, 'did_rotate')
  const first = invitationOf(turn).services[0]
  if (rotate) {
    const signed = turn.verify(rotate.data, keys)
    if (typeof signed !== 'string')
      return problem('message.forged', 'did_rotate~attach is not signed by the invitation key')
    if (signed !== did) return problem('message.forged', 'did_rotate~attach vouches for another DID')
    return senderOf(turn, peer(turn, keys, false))
  }
  if (attachment(message!, 'did_doc')) return senderOf(turn, peer(turn, keys, true))
  return did === first
    ? senderOf(turn, turn.resolve(did))
    : problem('message.forged', 'nothing vouches for the DID of the response')
}

function senderOf(turn: Turn, resolved: Resolved | Problem): Resolved | Problem {
  if (isProblem(resolved)) return resolved
  const ours = turn.sender !== undefined && resolved.keys.includes(turn.sender.key)
  return ours ? resolved : problem('message.forged', 'the sender is not the DID in the message')
}

/** The DID in the message. `signed`: its document must come signed by one of `keys`; else a signature that is there must hold. */
function peer(turn: Turn, keys: readonly string[], signed: boolean): Resolved | Problem {
  const message: Message = turn.message!
  const did = text(message.body, 'did')!
  const attached = attachment(message, 'did_doc')
  const resolved = turn.resolve(did)
  if (!attached || (!signed && !isProblem(resolved))) return resolved
  const document = turn.verify(attached.data, keys)
  if (typeof document !== 'string') return problem('message.forged', 'did_doc~attach is not signed as it must be')
  const json = parseJson(document, 'did_doc~attach')
  if (isProblem(json) || !isObject(json.value)) {
    return problem('message.malformed', 'did_doc~attach is not a DID document', 'did_doc~attach')
  }
  // The signature vouches for the DID of the document: any other DID beside it would be vouched for by nobody.
  const names = [
    did,
    did.startsWith('did:') ? '' : `did:sov:${did}`,
    ...(isProblem(resolved) ? [] : [resolved.did, resolved.short]),
  ]
  const id = text(json.value, 'id')
  if (!id || !names.includes(id)) return problem('message.forged', 'did_doc~attach is of another DID')
  return isProblem(resolved) ? turn.resolve(did, json.value) : resolved
}

// ---- the responder -------------------------------------------------------------------------------------------

function keepRequester(turn: Turn): { readonly [member: string]: Json | undefined } {
  const parent = turn.parent!
  return {
    theirDid: named(requester(turn) as Resolved),
    label: (text(turn.message!.body, 'label') ?? '').slice(0, 255),
    connectionId: connectionFor(turn, parent),
    invitationKey: text(parent.data, 'key'),
    policy: parent.data.policy,
  }
}

/** Answers with the peer's kind of DID, 2 or 4. Once drawn it stays, so that a repeated response is the same. */
function drawResponder(turn: Turn): { readonly [member: string]: Json | undefined } {
  const requested = turn.message ? text(turn.message.body, 'did') : theirs(turn)?.did
  return turn.data.myDid === undefined
    ? { myDid: named(turn.draw.did(requested?.startsWith('did:peer:2') ? 'peer2' : 'peer4')) }
    : {}
}

function response(turn: Turn, id: string): Draft {
  const { did } = ours(turn)!
  const data = turn.sign(did, text(turn.data, 'invitationKey')!)
  const rotate = { slot: 'did_rotate', single: true, id: `${id}-rotate`, mediaType: 'text/string', data }
  return { body: { did }, attachments: [rotate], from: did }
}

function sameTheirs(turn: Turn): boolean {
  const did = text(turn.message!.body, 'did')
  return did === theirs(turn)?.did || did === theirs(turn)?.short
}
