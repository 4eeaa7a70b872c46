// First contact on DIDComm v2, which has no handshake protocol: a trust-ping/2.0 `ping` from the invitee's new pairwise
// DID to the invitation's `from` (`pthid` = the invitation); the inviter answers from a pairwise DID of its own, vouched
// for by `from_prior` (DIDComm v2 "DID Rotation"); a last ping from the invitee tells that the answer arrived. An
// inviter that does not rotate, and an invitee that sends no last ping, are met too.

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
  stateEvent,
  theirs,
  timedOut,
} from './handshake.ts'
import { handshakeFor, readInvitation } from './invitation.ts'
import { protocol } from './machine.ts'
import { isProblem, type Json, type Problem, problem, text } from './message.ts'
import { problemReport } from './problem.ts'
import type { Draft, Resolved, Turn } from './turn.ts'

export const firstContact = protocol({
  name: 'first-contact',
  events: 'trust-ping',
  retain: true,
  handshake: true,
  hidden: true,
  speaks: [{ uri: 'https://didcomm.org/trust-ping/2.0', version: 'v2' }],
  messages: { ping: {}, 'ping-response': {}, 'problem-report': { problem: true } },
  claims: (message, thread, parent) =>
    thread ? thread.protocol === 'first-contact' : message.type.endsWith('/ping') && parent?.protocol === 'out-of-band',
  roles: {
    invitee: {
      'invitation-received': {
        'command accept': {
          to: 'request-sent',
          within: PATIENCE_SECONDS,
          check: badInvitation,
          keep: t => ({
            connectionId: t.draw.id(),
            myDid: named(t.draw.did('peer2')),
            invitation: invitationOf(t).json,
            label: invitationOf(t).label,
            policy: t.args.policy,
          }),
          under: t => invitationOf(t).id,
          connect: t => relation(t, 'requested'),
          send: {
            ping: t => ({ ...pingTo(invitationOf(t).from!, true), body: { response_requested: true, label: t.label } }),
          },
          raise: 'connection:request_sent',
        },
      },
      'request-sent': {
        'receive ping-response': {
          to: 'completed',
          newcomer: true,
          check: t => fault(vouched(t)),
          keep: t => ({ theirDid: named(vouched(t) as Resolved) }),
          connect: t => relation(t, 'established'),
          send: { ping: t => pingTo(theirs(t)!.did, false) },
          raise: t => [stateEvent(t, 'response_received'), stateEvent(t, 'established')],
          answer: established,
        },
        'receive problem-report': {
          to: 'abandoned',
          newcomer: true,
          check: t => fault(vouched(t)),
          connect: t => relation(t, 'failed'),
          raise: reported,
          answer: refusal,
        },
        'command cancel': { to: 'abandoned', connect: t => relation(t, 'closed') },
        timeout: { to: 'abandoned', connect: t => relation(t, 'failed'), raise: timedOut },
      },
      completed: { 'receive ping-response': { to: 'completed' } },
      abandoned: {},
    },
    inviter: {
      'invitation-sent': {
        'receive ping': [
          {
            when: t => t.parent?.data.approve !== true,
            to: 'response-sent',
            newcomer: true,
            check: t => deadInvitation(t) ?? fault(sender(t)),
            keep: t => ({ ...keepInvitee(t), myDid: named(t.draw.did('peer2')) }),
            connect: t => relation(t, 'responded'),
            send: { 'ping-response': response },
            raise: t => [stateEvent(t, 'request_received'), stateEvent(t, 'response_sent')],
            parent: 'use',
          },
          {
            to: 'request-received',
            within: PATIENCE_SECONDS,
            newcomer: true,
            check: t => deadInvitation(t) ?? fault(sender(t)),
            keep: keepInvitee,
            connect: t => relation(t, 'requested'),
            raise: t => [stateEvent(t, 'request_received')],
            parent: 'use',
          },
        ],
      },
      'request-received': {
        'command approve': {
          to: 'response-sent',
          keep: t => ({ myDid: named(t.draw.did('peer2')) }),
          connect: t => relation(t, 'responded'),
          send: { 'ping-response': response },
          raise: 'connection:response_sent',
        },
        'command decline': {
          to: 'abandoned',
          connect: t => relation(t, 'closed'),
          send: { 'problem-report': declined },
          raise: t => [failed(t, 'e.p.req.denied', 'declined here')],
        },
        timeout: { to: 'abandoned', connect: t => relation(t, 'failed'), raise: timedOut },
      },
      'response-sent': {
        'receive ping': [
          {
            when: t => t.message!.body.response_requested === false,
            to: 'completed',
            connect: t => relation(t, 'established'),
            raise: 'connection:established',
          },
          // Our answer was lost: the same once more.
          { to: 'response-sent', connect: t => relation(t, 'responded'), send: { 'ping-response': response } },
        ],
        // Any authenticated message to our new DID proves that the answer arrived.
        'command confirm': {
          to: 'completed',
          connect: t => relation(t, 'established'),
          raise: 'connection:established',
        },
        'receive problem-report': { to: 'abandoned', connect: t => relation(t, 'failed'), raise: reported },
      },
      completed: {
        'receive ping': [
          { when: t => t.message!.body.response_requested === false, to: 'completed' },
          { to: 'completed', send: { 'ping-response': response } },
        ],
      },
      abandoned: {},
    },
  },
})

function badInvitation(turn: Turn): Problem | undefined {
  const invitation = readInvitation(turn.args.invitation)
  if (isProblem(invitation)) return invitation
  const handshake = handshakeFor(invitation, turn.now)
  if (isProblem(handshake)) return handshake
  return handshake.name === 'first-contact'
    ? fault(turn.resolve(invitation.from!))
    : problem('invitation.unsupported', 'the invitation is not for DIDComm v2')
}

function pingTo(to: string, asked: boolean): Draft {
  return { to, body: { response_requested: asked } }
}

/** Who wrote: the envelope's sender, by the DID the message names. */
function sender(turn: Turn): Resolved | Problem {
  const { message } = turn
  if (message?.from === undefined || turn.sender?.did === undefined)
    return problem('message.unauthenticated', 'the message has no authenticated sender')
  const resolved = turn.resolve(message.from)
  if (isProblem(resolved)) return resolved
  return resolved.short === turn.sender.did ? resolved : problem('message.forged', 'from is not the sender')
}

/** The inviter: the invitation's DID itself, or a DID for which that one vouches. */
function vouched(turn: Turn): Resolved | Problem {
  const from = sender(turn)
  if (isProblem(from)) return from
  const inviter = turn.resolve(invitationOf(turn).from!)
  if (isProblem(inviter)) return inviter
  const { fromPrior } = turn
  const rotated = fromPrior?.iss === inviter.short && fromPrior.sub === from.short
  return rotated || from.short === inviter.short
    ? from
    : problem('message.forged', 'the invitation does not vouch for the sender')
}

/** Draws: the connection id, for a multi-use invitation. */
function keepInvitee(turn: Turn): { readonly [member: string]: Json | undefined } {
  const parent = turn.parent!
  return {
    theirDid: named(sender(turn) as Resolved),
    label: (text(turn.message!.body, 'label') ?? '').slice(0, 255),
    connectionId: connectionFor(turn, parent),
    invitationDid: text(parent.data, 'did'),
    policy: parent.data.policy,
  }
}

function response(turn: Turn): Draft {
  const iss = turn.resolve(text(turn.data, 'invitationDid')!)
  return isProblem(iss) ? {} : { fromPrior: { iss: iss.short, sub: ours(turn)!.short } }
}

function declined(turn: Turn, id: string): Draft {
  const { type, body, pthid } = problemReport(
    'v2',
    'e.p.req.denied',
    'The request was declined.',
    turn.thread!.threadId,
  )
  return { type, body, thid: id, ...(pthid !== undefined && { pthid }), from: text(turn.data, 'invitationDid')! }
}
