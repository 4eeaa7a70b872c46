// out-of-band 1.0/1.1 (RFC 0434) and 2.0: an invitation's life at its sender, and the reuse of a connection. The thread is
// kept under the invitation's id on both sides; handshakes find it as the parent thread (`pthid`) and tell it `use`.

import { buildInvitation, invitationUrl, readInvitation } from './invitation.ts'
import { protocol } from './machine.ts'
import { compact, isProblem, type JsonObject, type Problem, problem, text } from './message.ts'
import { reportedCode } from './problem.ts'
import type { Draft, Raised, Turn } from './turn.ts'

const REUSE_SECONDS = 600

export const outOfBand = protocol({
  name: 'out-of-band',
  retain: true,
  speaks: [
    { uri: 'https://didcomm.org/out-of-band/1.1', version: 'v1' },
    { uri: 'https://didcomm.org/out-of-band/2.0', version: 'v2', wire: { problem_report: 'problem-report' } },
  ],
  messages: {
    'handshake-reuse': {},
    'handshake-reuse-accepted': {},
    problem_report: { problem: true },
  },
  threadKey: message => message.pthid ?? message.thid,
  report: (code, comment) => ({ name: 'problem_report', body: { description: { code, en: comment } } }),
  roles: {
    sender: {
      initial: {
        'command invite': {
          check: t => (t.args.expires === undefined || isSeconds(t.args.expires) ? undefined : badExpiry),
          to: 'await-response',
          within: t => (typeof t.args.expires === 'number' ? t.args.expires : undefined),
          keep: drawInvitation,
          thread: t => text(t.data, 'invitationId')!,
          connect: t => ({
            connectionId: text(t.data, 'connectionId')!,
            state: 'invited',
            role: 'inviter',
            version: t.version,
            label: '',
            invitationId: text(t.data, 'invitationId')!,
            ...(t.data.policy !== undefined && { policy: t.data.policy }),
          }),
          raise: t => [
            {
              domain: 'connection',
              name: 'invitation_created',
              attrs: compact({ ...invitationFacts(t), multiUse: t.data.multiUse, goalCode: text(t.args, 'goal') }),
            },
          ],
          answer: invitationFacts,
        },
      },
      'await-response': {
        'receive handshake-reuse': [
          {
            when: t => t.data.multiUse === true,
            to: 'await-response',
            newcomer: true,
            check: mayReuse,
            send: { 'handshake-reuse-accepted': accepted },
            raise: reused,
          },
          {
            to: 'done',
            newcomer: true,
            check: mayReuse,
            connect: t => ({ connectionId: text(t.data, 'connectionId')!, state: 'closed' }),
            send: { 'handshake-reuse-accepted': accepted },
            raise: reused,
          },
        ],
        'command use': [{ when: t => t.data.multiUse === true, to: 'await-response' }, { to: 'done' }],
        'command withdraw': {
          to: 'done',
          connect: t => ({ connectionId: text(t.data, 'connectionId')!, state: 'closed' }),
        },
        timeout: {
          to: 'done',
          connect: t => ({ connectionId: text(t.data, 'connectionId')!, state: 'failed' }),
          raise: t => [failed(t, 'failed', 'expired-invitation', 'the invitation expired')],
        },
      },
      done: {
        'receive handshake-reuse': {
          to: 'done',
          newcomer: true,
          check: mayAsk,
          send: {
            problem_report: t => ({
              ...accepted(t),
              body: reportBody('expired-invitation', 'The invitation has expired.'),
            }),
          },
        },
      },
    },
    receiver: {
      initial: {
        'command reuse': {
          to: 'prepare-response',
          within: REUSE_SECONDS,
          check: t => {
            const invitation = readInvitation(t.args.invitation)
            return isProblem(invitation) ? invitation : undefined
          },
          keep: t => ({ invitationId: invitationId(t) }),
          thread: invitationId,
          send: { 'handshake-reuse': (t, id) => ({ thid: id, pthid: invitationId(t) }) },
        },
      },
      'prepare-response': {
        'receive handshake-reuse-accepted': {
          to: 'done',
          raise: reused,
          answer: t => ({ connectionId: t.connection?.connectionId ?? null }),
        },
        'receive problem_report': {
          to: 'done',
          raise: t => [failed(t, 'reuse_failed', reportedCode(t.message!.body), 'the inviter refused the reuse')],
        },
        timeout: {
          to: 'done',
          raise: t => [failed(t, 'reuse_failed', 'timeout', 'the inviter did not answer the reuse')],
        },
      },
      done: {},
    },
  },
})

const badExpiry = problem('command.malformed', 'expires is not a number of seconds', 'expires')

function isSeconds(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) > 0 && (value as number) <= 3_153_600_000
}

/** Draws in this order: invitation id, connection id, key or DID. */
function drawInvitation(turn: Turn) {
  const { args, now, version } = turn
  const id = text(args, 'id') ?? turn.draw.id()
  const connectionId = turn.draw.id()
  const drawn = turn.draw.did(version === 'v1' ? 'key' : 'peer2')
  const expiresTime = typeof args.expires === 'number' ? Math.floor(now / 1000) + args.expires : undefined
  const kept = {
    invitationId: id,
    connectionId,
    [version === 'v1' ? 'key' : 'did']: drawn.did,
    label: text(args, 'label') ?? turn.label,
    multiUse: args.multi === true,
    approve: args.approve === true,
    expiresTime,
    policy: args.policy,
  }
  return { ...kept, invitation: buildInvitation({ ...turn, data: compact(kept) }, id) }
}

function invitationFacts(turn: Turn): JsonObject {
  const invitation = turn.data.invitation as JsonObject
  const id = text(turn.data, 'invitationId')!
  return {
    invitationId: id,
    url: invitationUrl(turn.baseUrl, invitation),
    shortUrl: `${turn.baseUrl}/i/${id}`,
    invitation,
  }
}

function invitationId(turn: Turn): string {
  const invitation = readInvitation(turn.args.invitation)
  if (isProblem(invitation)) throw new Error('an unchecked invitation')
  return invitation.id
}

function mayAsk(turn: Turn): Problem | undefined {
  return turn.connection?.state === 'established'
    ? undefined
    : problem('message.unauthenticated', 'only a peer may reuse a connection')
}

function mayReuse(turn: Turn): Problem | undefined {
  const expired = typeof turn.data.expiresTime === 'number' && turn.data.expiresTime * 1000 <= turn.now
  return mayAsk(turn) ?? (expired ? problem('invitation.expired', 'the invitation has expired') : undefined)
}

/** Answers the reuse message by its own thread id, under the invitation. */
function accepted(turn: Turn): Draft {
  return { thid: turn.message!.thid, pthid: text(turn.data, 'invitationId')! }
}

function reused(turn: Turn): Raised[] {
  const attrs = compact({ connectionId: turn.connection?.connectionId, invitationId: turn.data.invitationId })
  return [{ domain: 'connection', name: 'handshake_reused', attrs }]
}

function failed(turn: Turn, name: 'failed' | 'reuse_failed', code: string, reason: string): Raised {
  const connectionId = turn.connection?.connectionId ?? text(turn.data, 'connectionId')
  return {
    domain: 'connection',
    name,
    attrs: compact({ connectionId, invitationId: turn.data.invitationId, reason, code }),
  }
}

function reportBody(code: string, comment: string): JsonObject {
  return { description: { code, en: comment } }
}
