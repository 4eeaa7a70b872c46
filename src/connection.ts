// pure
// What an owner or a rule can do with connections: invite, accept, approve, close, message, query. Each is a command
// of a protocol's table; refusals are RulesetFaults with the code of the one table.

import { RulesetFault } from '../krl/types.ts'
import { handshakeFor, readInvitation } from '../protocols/invitation.ts'
import { isProblem, type Message, parseType } from '../protocols/message.ts'
import { base64, hex, utf8 } from '../wallet/bytes.ts'
import { shortForm } from '../wallet/keys.ts'
import { allConnections, applyRelation, policies, view, writeConnection } from './connection-record.ts'
import { abandon, begin, command, post, readThread, regrant } from './didcomm.ts'
import { ownDid, receiveAs } from './identity.ts'
import { type Connection, GROUP, type Run, readConnection } from './pico.ts'
import { parsePolicy } from './policy.ts'
import type { Json, JsonObject, Letter, Stimulus, View } from './ports.ts'

export { peersMail, receive, timeout } from './didcomm.ts'

/** A connection by its id, or by the peer's DID; undefined when there is none. */
export function find(records: View, target: string): string | undefined {
  if (target.startsWith('did:')) return records.get(GROUP.peer, shortForm(target)) as string | undefined
  return records.get(GROUP.connection, target) === undefined ? undefined : target
}

export const list = (records: View): JsonObject[] => allConnections(records).map(view)

export function show(records: View, connectionId: string): JsonObject | undefined {
  const connection = readConnection(records, connectionId)
  return connection && view(connection)
}

function need(run: Run, connectionId: string): Connection {
  const connection = readConnection(run.records, connectionId)
  if (connection === undefined) throw new RulesetFault('connection.unknown', 'there is no such connection')
  return connection
}

function open(run: Run, connectionId: string): Connection {
  const connection = need(run, connectionId)
  if (connection.state !== 'established' && connection.state !== 'responded')
    throw new RulesetFault('connection.state', `the connection is ${connection.state}`)
  return connection
}

function ok(result: JsonObject): JsonObject {
  const error = result.error as { code?: string; message?: string } | undefined
  // An answer of the pico protocol may itself hold {error}; a refusal of a command has nothing beside it.
  if (error !== undefined && Object.keys(result).length === 1)
    throw new RulesetFault(error.code ?? 'command.unexpected', error.message ?? 'refused')
  return result
}

// ---- making one --------------------------------------------------------------------------------------------------

export interface InviteOptions {
  readonly label?: string
  readonly goal?: string
  readonly multi: boolean
  readonly approve: boolean
  readonly version: 'v1' | 'v2'
  readonly events: string
  readonly queries: string
  readonly expires?: number
}

function checkPolicies(events: string, queries: string): JsonObject {
  for (const [text, kind] of [
    [events, 'event'],
    [queries, 'query'],
  ] as const) {
    const policy = parsePolicy(text, kind)
    if (typeof policy === 'string') throw new RulesetFault('policy.malformed', policy)
  }
  return { events, queries }
}

/** Makes an invitation: {invitationId, url, shortUrl, invitation}. Ids are 26 hex digits, so that the short URL's QR stays small. */
export function invite(run: Run, options: InviteOptions): JsonObject {
  const id = hex(run.draw('invitation').subarray(0, 13))
  const args: JsonObject = {
    id,
    multi: options.multi,
    approve: options.approve,
    policy: checkPolicies(options.events, options.queries),
    ...(options.label === undefined ? {} : { label: options.label }),
    ...(options.goal === undefined ? {} : { goal: options.goal }),
    ...(options.expires === undefined ? {} : { expires: options.expires }),
  }
  const result = ok(begin(run, 'out-of-band', 'invite', args, undefined, options.version))
  const thread = readThread(run.records, id)
  const own = ownDid(run.records, String(thread?.data.key ?? thread?.data.did ?? ''))
  if (thread === undefined || own === undefined) throw new Error('an invitation without a key of ours')
  receiveAs(run, own, { invitationId: id })
  run.records.bind(`inv:${id}`, true)
  return result
}

export interface AcceptOptions {
  /** URL with the invitation in it, or its JSON. */
  readonly url: Json
  readonly label?: string
  readonly events?: string
  readonly queries?: string
}

/** Answers an invitation; the connection is `requested` until the peer responds. */
export function accept(run: Run, options: AcceptOptions): JsonObject {
  const invitation = readInvitation(options.url as never)
  if (isProblem(invitation)) throw new RulesetFault(invitation.code, invitation.message)
  const handshake = handshakeFor(invitation, run.now)
  if (isProblem(handshake)) throw new RulesetFault(handshake.code, handshake.message)
  const used = readThread(run.records, invitation.id)
  if (used?.role === 'sender') throw new RulesetFault('invitation.invalid', 'that invitation is this pico’s own')
  const policy = checkPolicies(options.events ?? '', options.queries ?? '')
  const args = { invitation: invitation.json as JsonObject, policy }
  const sent = ok(begin(run, handshake.name, 'accept', args, undefined, invitation.version))
  const made = readThread(run.records, String(sent.threadId))?.connectionId
  if (made === undefined) throw new Error('a handshake without a connection')
  const connection = need(run, made)
  if (connection.label === '' && invitation.label !== '')
    writeConnection(run, { ...connection, label: invitation.label })
  return view(need(run, made))
}

function handshakeOf(connection: Connection): string {
  if (connection.threadId === null) throw new RulesetFault('connection.state', 'the connection waits for nothing')
  return connection.threadId
}

/** Approves a request that waits (`invite --approve`). */
export function approve(run: Run, connectionId: string): JsonObject {
  const connection = need(run, connectionId)
  ok(command(run, handshakeOf(connection), 'approve', {}))
  return view(need(run, connectionId))
}

export function decline(run: Run, connectionId: string): JsonObject {
  const connection = need(run, connectionId)
  ok(command(run, handshakeOf(connection), 'decline', {}))
  return view(need(run, connectionId))
}

/** Ends a connection here: nothing more is taken from the peer. */
export function close(run: Run, connectionId: string, by: string): JsonObject {
  const connection = need(run, connectionId)
  if (connection.state === 'closed') return view(connection)
  if (connection.state === 'invited' && connection.invitationId !== null)
    command(run, connection.invitationId, 'withdraw', {})
  if (connection.threadId !== null) abandon(run, connection.threadId)
  const closed = applyRelation(run, { connectionId, state: 'closed' })
  run.raise({
    eid: run.txnId,
    eci: null,
    domain: 'connection',
    type: 'closed',
    attrs: { connectionId, by, label: closed.label, myDid: closed.myDid, theirDid: closed.theirDid },
  })
  return view(closed)
}

/** The owner removes a connection: it is closed and its record goes. Who asked for it and waits is told. */
export function remove(run: Run, connectionId: string): JsonObject {
  const { state, role, threadId } = need(run, connectionId)
  if (state === 'requested' && role === 'inviter' && threadId !== null) command(run, threadId, 'decline', {})
  const closed = close(run, connectionId, 'owner')
  run.records.put(GROUP.connection, connectionId, undefined)
  return closed
}

export function setPolicy(
  run: Run,
  connectionId: string,
  events: string | undefined,
  queries: string | undefined,
): JsonObject {
  const before = need(run, connectionId)
  checkPolicies(events ?? '', queries ?? '')
  const given = { ...(events === undefined ? {} : { events }), ...(queries === undefined ? {} : { queries }) }
  const changed: Connection = { ...before, ...policies(given) }
  // Who answers the invitation gets what it grants by then.
  if (before.state === 'invited' && before.invitationId !== null) regrant(run, before.invitationId, given)
  const text = ({ eventPolicy, queryPolicy }: Connection) => JSON.stringify([eventPolicy, queryPolicy])
  return view(text(before) === text(changed) ? before : writeConnection(run, changed))
}

// ---- using one ---------------------------------------------------------------------------------------------------

export function ping(run: Run, connectionId: string): JsonObject {
  const connection = open(run, connectionId)
  return ok(begin(run, 'trust-ping', 'ping', {}, connection, connection.version))
}

export function basicMessage(run: Run, connectionId: string, content: string, id?: string): JsonObject {
  const connection = open(run, connectionId)
  return ok(
    begin(
      run,
      'basicmessage',
      'send',
      { content, ...(id === undefined ? {} : { id }) },
      connection,
      connection.version,
    ),
  )
}

export function sendPicoEvent(
  run: Run,
  connectionId: string,
  event: { domain: string; type: string; attrs: JsonObject },
): JsonObject {
  const connection = open(run, connectionId)
  return ok(begin(run, 'pico', 'event', { ...event }, connection, connection.version))
}

export function sendPicoQuery(
  run: Run,
  connectionId: string,
  query: { rid: string; name: string; args: JsonObject },
): JsonObject {
  const connection = open(run, connectionId)
  return ok(begin(run, 'pico', 'query', { ...query }, connection, connection.version))
}

/** A message of any type, for rulesets that speak a protocol of their own. */
export function sendMessage(
  run: Run,
  connectionId: string,
  type: string,
  body: JsonObject,
  thid: string | undefined,
): JsonObject {
  const connection = open(run, connectionId)
  const read = parseType(type)
  if (isProblem(read)) throw new RulesetFault(read.code, `${read.message}: https://example.org/lamp/1.0/on is one`)
  if (connection.myDid === null || connection.theirDid === null)
    throw new RulesetFault('connection.state', 'the connection has no DIDs yet')
  const id = run.uuid()
  const message: Message = {
    version: connection.version,
    id,
    type,
    thid: thid ?? id,
    ...(connection.version === 'v2'
      ? { from: connection.myDid, to: [connection.theirDid], createdTime: Math.floor(run.now / 1000) }
      : {}),
    body: body as Message['body'],
    attachments: [],
  }
  post(run, { name: 'message', message, from: connection.myDid, to: connection.theirDid, connectionId }, true)
  return { messageId: id, threadId: thid ?? id, state: 'sent' }
}

/** The answer to a peer's query, evaluated after the commit. */
export function answerQuery(run: Run, threadId: string, answer: JsonObject): JsonObject {
  return command(run, threadId, 'answer', answer)
}

// ---- letters that left -------------------------------------------------------------------------------------------

type DidcommBody = Extract<Letter['body'], { kind: 'didcomm' }>

/** Tells rules what became of a message: delivered, or given up. */
export function letterLeft(run: Run, stimulus: Extract<Stimulus, { kind: 'letter' }>, body: DidcommBody): void {
  const message = body.plaintext
  const id = message['@id'] ?? message.id ?? stimulus.letterId
  const attrs: JsonObject = {
    id,
    connectionId: body.connectionId ?? null,
    type: message['@type'] ?? message.type ?? null,
    attempts: stimulus.attempts,
  }
  const delivered = stimulus.outcome === 'delivered'
  run.raise({
    eid: run.txnId,
    eci: null,
    domain: 'didcomm',
    type: delivered ? 'message_delivered' : 'message_undeliverable',
    attrs: delivered ? attrs : { ...attrs, reason: stimulus.reason ?? 'given up' },
  })
}

/** RFC 7617. */
export const basicAuth = (user: string, password: string): string => base64(utf8(`${user}:${password}`))
