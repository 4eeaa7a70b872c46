// What every handshake shares, whatever its messages: the invitation it answers, the connection it makes, and the
// events `connection:*`, which have the same attributes on both sides and for both versions (DESIGN 3).

import { type Invitation, readInvitation } from './invitation.ts'
import { compact, isObject, isProblem, type JsonObject, type Problem, problem, text } from './message.ts'
import { reportedCode, reportedComment } from './problem.ts'
import type { Circumstances, NamedDid, Raised, Relation, Resolved, Thread, Turn } from './turn.ts'

/** Seconds that a handshake waits: an owner may take days to approve. */
export const PATIENCE_SECONDS = 7 * 86_400

/** The invitation that was accepted, already checked. */
export function invitationOf(turn: Turn): Invitation {
  const invitation = readInvitation(turn.args.invitation ?? turn.data.invitation)
  if (isProblem(invitation)) throw new Error('an unchecked invitation')
  return invitation
}

/** Why a request may not use the invitation it names, if so. The same for every handshake. */
export function deadInvitation(given: Circumstances): Problem | undefined {
  const { parent, recipient, now } = given
  if (parent?.protocol !== 'out-of-band' || parent.role !== 'sender')
    return problem('invitation.unknown', 'that names no invitation of ours', 'pthid')
  const expiry = parent.data.expiresTime
  if (typeof expiry === 'number' && expiry * 1000 <= now)
    return problem('invitation.expired', 'the invitation has expired', 'pthid')
  if (parent.state !== 'await-response') return problem('invitation.used', 'the invitation was for one use', 'pthid')
  const expected = text(parent.data, 'key') ?? text(parent.data, 'did')
  const elsewhere = recipient !== undefined && recipient !== expected
  return elsewhere ? problem('message.forged', 'the request came to another key than the invitation names') : undefined
}

/** The connection that a request makes: the invitation's own record, or one more of a multi-use invitation. */
export function connectionFor(given: Circumstances, parent: Thread): string {
  return parent.data.multiUse === true ? given.draw.id() : text(parent.data, 'connectionId')!
}

export function fault(value: Resolved | Problem): Problem | undefined {
  return isProblem(value) ? value : undefined
}

// ---- the two DIDs, as kept on the thread -----------------------------------------------------------------------

export function named({ did, short }: NamedDid): JsonObject {
  return { did, short }
}

export function ours(turn: Turn): NamedDid | undefined {
  return isObject(turn.data.myDid) ? (turn.data.myDid as unknown as NamedDid) : undefined
}

export function theirs(turn: Turn): NamedDid | undefined {
  return isObject(turn.data.theirDid) ? (turn.data.theirDid as unknown as NamedDid) : undefined
}

// ---- the connection and its events -----------------------------------------------------------------------------

/** Only the accepting side keeps the invitation; the inviter's thread hangs under it. */
export function relation(turn: Turn, state: NonNullable<Relation['state']>): Relation {
  const [myDid, theirDid] = [ours(turn), theirs(turn)]
  const accepted = turn.data.invitation === undefined ? undefined : invitationOf(turn)
  const invitationId = accepted?.id ?? turn.thread?.pthid ?? turn.parent?.threadId
  const { policy } = turn.data
  return {
    connectionId: text(turn.data, 'connectionId')!,
    state,
    role: accepted ? 'invitee' : 'inviter',
    version: accepted?.version ?? turn.thread?.version ?? turn.message?.version ?? turn.version,
    label: text(turn.data, 'label') ?? '',
    ...(myDid && { myDid }),
    ...(theirDid && { theirDid }),
    ...(invitationId !== undefined && { invitationId }),
    ...(policy !== undefined && !turn.thread && { policy }),
  }
}

/** `connection:<name>` with `{connectionId, role, label, myDid, theirDid, invitationId}`, DIDs in short form. */
export function stateEvent(turn: Turn, name: string): Raised {
  const { connectionId, role, label, myDid, theirDid, invitationId } = relation(turn, 'requested')
  const attrs = compact({ connectionId, role, label, myDid: myDid?.short, theirDid: theirDid?.short, invitationId })
  return { domain: 'connection', name, attrs }
}

/** `connection:failed` with `reason` and `code` beside. */
export function failed(turn: Turn, code: string, reason: string): Raised {
  return { domain: 'connection', name: 'failed', attrs: { ...stateEvent(turn, 'failed').attrs, reason, code } }
}

export function reported(turn: Turn): Raised[] {
  const { body } = turn.message!
  return [failed(turn, reportedCode(body), reportedComment(body).slice(0, 1000))]
}

/** A report that leaves the handshake open: `connection:problem`. */
export function retryable(turn: Turn): Raised[] {
  return reported(turn).map(event => ({ ...event, name: 'problem' }))
}

export function timedOut(turn: Turn): Raised[] {
  return [failed(turn, 'timeout', 'the peer did not answer in time')]
}

/** For the command `accept` that waits: how it ended. */
export function established(turn: Turn): JsonObject {
  return { connectionId: text(turn.data, 'connectionId')!, state: 'established' }
}

export function refusal(turn: Turn): JsonObject {
  return { connectionId: text(turn.data, 'connectionId')!, state: 'failed', code: reportedCode(turn.message!.body) }
}
