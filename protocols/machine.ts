// The interpreter of the protocol tables: which table a message belongs to, and then role -> state -> trigger -> row (RFC
// 0003 "States", "Roles"). A row says legality and consequence together. `advance` is pure: it reads a thread and a turn,
// and gives the next thread with everything that must be committed beside it. What needs keys, DIDs or chance comes in by
// `Turn`, never by import.

import {
  compact,
  isProblem,
  type Json,
  type JsonObject,
  type Message,
  type MessageType,
  minor,
  type Problem,
  parseType,
  problem,
  sameMajor,
  text,
} from './message.ts'
import { outgoingOf, reportOf, type Spoken } from './outgoing.ts'
import { wireCode } from './problem.ts'
import type {
  Circumstances,
  ConnectionFacts,
  Dialect,
  MessageRule,
  Moved,
  Outgoing,
  Protocol,
  Raised,
  Refused,
  Relation,
  Row,
  Thread,
  Trigger,
  Turn,
} from './turn.ts'

type OneOrMore<T> = T | readonly T[]

/** Declares a protocol. Wrong state and message names are compile errors: `to`, `receive …`, `send`, `wire`, `only`. */
export function protocol<
  const M extends { readonly [name: string]: MessageRule },
  const R extends { readonly [role: string]: object },
>(
  spec: Omit<Protocol, 'speaks' | 'messages' | 'roles'> & {
    readonly speaks: readonly Dialect<NoInfer<keyof M & string>>[]
    readonly messages: M
    readonly roles: {
      readonly [role in keyof R]: {
        readonly [state in keyof R[role]]: {
          readonly [trigger in Trigger<keyof M & string>]?: OneOrMore<Row<keyof R[role] & string, keyof M & string>>
        }
      }
    }
  },
): Protocol {
  return spec as unknown as Protocol
}

function list(row: Row | readonly Row[] | undefined): readonly Row[] {
  return row === undefined ? [] : Array.isArray(row) ? row : [row as Row]
}

// ---- the table of a message --------------------------------------------------------------------------------

/** What a list of protocols knows of messages. */
export interface Tables {
  /** The protocol of that name (a thread's `protocol`). */
  readonly byName: (name: string) => Protocol | undefined
  /** The protocols that know a message type, and its name in their tables; same major version, any minor (RFC 0003). */
  readonly byType: (uri: string) => readonly Known[]
  /**
   * Finds table, trigger and thread for a message. `find` looks a thread up by id (compared by `idKey`).
   * A general problem report on a thread whose protocol has a report of its own goes there, whatever its family.
   * Problems: `message.unsupported` (no such protocol or message), `message.version` (another major version).
   */
  readonly dispatch: (message: Message, find: Find) => Dispatched | Problem
}

type Find = (threadId: string) => Thread | undefined

export interface Known {
  readonly protocol: Protocol
  readonly name: string
}

export interface Dispatched {
  readonly protocol: Protocol
  readonly trigger: Trigger
  readonly thread?: Thread
  /** The thread of `pthid`: pass it on in the turn. */
  readonly parent?: Thread
}

const TYPES_KEPT = 500

/** The list's answers. The first protocol of the list that takes a message gets it. */
export function tables(protocols: readonly Protocol[]): Tables {
  // The tables never change; types come from peers, so past a number all are forgotten.
  const types = new Map<string, readonly Known[]>()
  const byName = (name: string) => protocols.find(one => one.name === name)
  const byType = (uri: string) => {
    const known = types.get(uri)
    if (known !== undefined) return known
    const type = parseType(uri)
    if (isProblem(type)) return []
    const found = knowing(protocols, type)
    if (types.size >= TYPES_KEPT) types.clear()
    types.set(uri, found)
    return found
  }
  const dispatch = (message: Message, find: Find) => {
    const found = byType(message.type)
    return found.length === 0 ? unknown(protocols, message) : taker(found, byName, message, find)
  }
  return { byName, byType, dispatch }
}

function knowing(protocols: readonly Protocol[], { piuri, name: wireName }: MessageType): readonly Known[] {
  return protocols.flatMap(protocol => {
    const name = canonical(protocol, piuri, wireName)
    return name === undefined ? [] : [{ protocol, name }]
  })
}

function canonical(protocol: Protocol, piuri: string, wireName: string): string | undefined {
  for (const dialect of protocol.speaks.filter(one => sameMajor(one.uri, piuri))) {
    const names = dialect.only ?? Object.keys(protocol.messages)
    const name = names.find(one => (dialect.wire?.[one] ?? one) === wireName || one === wireName)
    if (name !== undefined) return name
  }
  return undefined
}

function taker(found: readonly Known[], byName: Tables['byName'], message: Message, find: Find): Dispatched | Problem {
  const parent = message.pthid === undefined ? undefined : find(message.pthid)
  for (const { protocol, name } of found) {
    const thread = find(protocol.threadKey?.(message) ?? message.thid)
    const reported = protocol.messages[name]!.problem
      ? (reportedOn(byName, find(message.thid)) ?? reportedOn(byName, parent))
      : undefined
    if (reported) return { ...reported, ...(parent && { parent }) }
    const own = thread?.protocol === protocol.name ? thread : undefined
    if (protocol.claims ? protocol.claims(message, own, parent) : !thread || own) {
      return { protocol, trigger: `receive ${name}`, ...(own && { thread: own }), ...(parent && { parent }) }
    }
  }
  return problem('message.unexpected', 'the thread belongs to another protocol', 'thid')
}

/** The thread's own protocol and its report message, if it has one. */
function reportedOn(byName: Tables['byName'], thread: Thread | undefined): Dispatched | undefined {
  const protocol = thread && byName(thread.protocol)
  const name = protocol && Object.keys(protocol.messages).find(one => protocol.messages[one]!.problem)
  return thread && protocol && name !== undefined ? { protocol, trigger: `receive ${name}`, thread } : undefined
}

function unknown(protocols: readonly Protocol[], message: Message): Problem {
  const type = parseType(message.type)
  if (isProblem(type)) return type
  const known = (uri: string) => uri.slice(0, uri.lastIndexOf('/')) === `${type.docUri}${type.protocol}`
  return protocols.some(protocol =>
    protocol.speaks.some(dialect => known(dialect.uri) && !sameMajor(dialect.uri, type.piuri)),
  )
    ? problem('message.version', `version ${type.version.major} of ${type.protocol} is not spoken here`, 'type')
    : problem('message.unsupported', 'no protocol here knows that message', 'type')
}

// ---- the step of a thread ----------------------------------------------------------------------------------

/**
 * Moves a thread by one trigger, or begins one (`thread` undefined: the role whose first state has the trigger).
 * The turn is already authenticated: the sender's key belongs to the connection, or the protocol's own checks prove it.
 * Never throws for a peer or caller. The thread passed in is not touched.
 */
export function advance(
  protocol: Protocol,
  thread: Thread | undefined,
  trigger: Trigger,
  given: Circumstances,
): Moved | Refused {
  const turn: Turn = { ...given, data: thread?.data ?? {}, ...(thread && { thread }) }
  const place = thread ?? opening(protocol, trigger)
  const found = place ? list(protocol.roles[place.role]?.[place.state]?.[trigger]) : []
  const malformed =
    turn.message && trigger.startsWith('receive ') ? badForm(protocol, trigger, turn.message) : undefined
  if (malformed) return refuse(protocol, malformed, trigger, turn)
  const row = found.find(one => one.when?.(turn) ?? true)
  if (!place || !row) return refuse(protocol, unexpected(protocol, trigger, place?.state), trigger, turn)
  const fault = stranger(protocol, row, trigger, turn) ?? row.check?.(turn)
  return fault ? refuse(protocol, fault, trigger, turn) : move(protocol, row, place, trigger, turn)
}

/** A message on a thread comes from the connection that the thread belongs to, and from some connection to begin one. */
function stranger(protocol: Protocol, row: Row, trigger: Trigger, turn: Turn): Problem | undefined {
  if (protocol.connectionless || row.newcomer || !trigger.startsWith('receive ')) return undefined
  const { connection, thread } = turn
  if (!protocol.handshake && !isLive(connection)) return problem('message.stranger', 'the sender is no peer')
  if (connection && (thread?.connectionId === undefined || thread.connectionId === connection.connectionId))
    return undefined
  return problem('message.stranger', 'the sender has no part in this thread')
}

/** Somebody who only asked for a connection, or whose connection ended, is no peer. */
function isLive(connection: ConnectionFacts | undefined): boolean {
  return connection?.state === 'established' || connection?.state === 'responded'
}

/** The role whose first declared state takes the trigger. */
function opening(protocol: Protocol, trigger: Trigger): { role: string; state: string } | undefined {
  for (const [role, states] of Object.entries(protocol.roles)) {
    const state = Object.keys(states)[0]!
    if (states[state]![trigger]) return { role, state }
  }
  return undefined
}

/** What a message's rule asks of its form: the texts it must hold, then the rule's own check. */
function badForm(protocol: Protocol, trigger: Trigger, message: Message): Problem | undefined {
  const rule = protocol.messages[trigger.slice('receive '.length)]
  for (const member of rule?.texts ?? [])
    if (text(message.body, member) === undefined) return problem('message.malformed', `${member} is not a text`, member)
  return rule?.check?.(message.body, message)
}

function unexpected(protocol: Protocol, trigger: Trigger, state: string | undefined): Problem {
  const where = state === undefined ? 'before it began' : `in state ${state}`
  return problem(
    trigger.startsWith('receive ') ? 'message.unexpected' : 'command.unexpected',
    `${protocol.name} ${where} takes no ${trigger}`,
  )
}

function move(
  protocol: Protocol,
  row: Row,
  from: { role: string; state: string },
  trigger: Trigger,
  before: Turn,
): Moved {
  const data = row.keep ? compact({ ...before.data, ...row.keep(before) }) : before.data
  const turn = { ...before, data }
  const relation = row.connect?.(turn)
  const connectionId = turn.connection?.connectionId ?? relation?.connectionId ?? turn.thread?.connectionId
  const owner = relation?.connectionId ?? turn.thread?.connectionId ?? turn.connection?.connectionId
  const dialect = dialectOf(protocol, turn)
  // A command may fix the id of the message it sends (`--id`): repeating it is then safe at the peer too.
  const fixed = trigger.startsWith('command ') ? text(turn.args, 'id') : undefined
  const sent = Object.entries(row.send ?? {}).map(([name, build], n) => ({
    name,
    id: (n === 0 && fixed) || turn.draw.id(),
    build: build!,
  }))
  const thread = nextThread(protocol, row, from, turn, dialect, sent[0]?.id, owner)
  const outgoing = sent.map(({ name, id, build }) =>
    outgoingOf(dialect, thread, relation, turn, connectionId, name, id, build(turn, id)),
  )
  const events = [
    ...messageEvents(protocol, trigger, turn, connectionId),
    ...rowEvents(row, turn, relation, connectionId),
  ]
  const answer = row.answer?.(turn) ?? (trigger.startsWith('command ') ? receipt(thread, outgoing) : undefined)
  return {
    thread,
    final: Object.keys(protocol.roles[from.role]![row.to]!).length === 0,
    outgoing,
    events,
    ...(relation && { relation }),
    ...(row.parent !== undefined &&
      thread.pthid !== undefined && { parent: { threadId: thread.pthid, command: row.parent } }),
    ...(row.ask && { ask: row.ask(turn) }),
    ...(answer && { answer }),
  }
}

/** RFC 0003: same major, the lower minor; a thread keeps what it began with. */
function dialectOf(protocol: Protocol, turn: Turn): Spoken {
  const version = turn.thread?.version ?? turn.message?.version ?? turn.version
  const both = protocol.speaks.filter(dialect => dialect.version === version)
  const spoken = both.length > 0 ? both : protocol.speaks
  const asked = turn.thread?.piuri ?? protocol.dialect?.(turn) ?? piuriOf(turn.message)
  const dialect = spoken.find(one => asked !== undefined && sameMajor(one.uri, asked)) ?? spoken[0]!
  return {
    uri:
      asked !== undefined && sameMajor(dialect.uri, asked) && minor(asked) < minor(dialect.uri) ? asked : dialect.uri,
    dialect,
  }
}

function piuriOf(message: Message | undefined): string | undefined {
  const type = message && parseType(message.type)
  return type && !isProblem(type) ? type.piuri : undefined
}

function nextThread(
  protocol: Protocol,
  row: Row,
  from: { role: string; state: string },
  turn: Turn,
  dialect: Spoken,
  sentId: string | undefined,
  connectionId: string | undefined,
): Thread {
  const { thread: old, message, args } = turn
  const begun = message
    ? (protocol.threadKey?.(message) ?? message.thid)
    : (row.thread?.(turn) ?? text(args, 'thid') ?? sentId)
  const threadId = old?.threadId ?? begun ?? turn.draw.id()
  const pthid = old ? old.pthid : (message?.pthid ?? row.under?.(turn))
  const within = typeof row.within === 'function' ? row.within(turn) : row.within
  const expiresAt = within !== undefined ? turn.now + within * 1000 : old?.state === row.to ? old.expiresAt : undefined
  return {
    threadId,
    ...(pthid !== undefined && { pthid }),
    protocol: protocol.name,
    piuri: dialect.uri,
    version: dialect.dialect.version,
    role: from.role,
    state: row.to,
    ...(connectionId !== undefined && { connectionId }),
    data: turn.data,
    updatedAt: turn.now,
    ...(expiresAt !== undefined && { expiresAt }),
  }
}

function receipt(thread: Thread, outgoing: readonly Outgoing[]): JsonObject {
  return compact({ messageId: outgoing[0]?.message.id, threadId: thread.threadId, state: thread.state })
}

// ---- events (aca-pico 6.2) ---------------------------------------------------------------------------------

/** `didcomm_trust_ping:ping_response`: characters outside identifiers become `_`. */
export function eventOf(protocolName: string, messageName: string): { domain: string; name: string } {
  return { domain: `didcomm_${identifier(protocolName)}`, name: identifier(messageName) }
}

function identifier(name: string): string {
  return name.replace(/[^A-Za-z0-9_]/g, '_')
}

/** What rules get to know of a received message. */
export function messageAttributes(
  message: Message,
  connectionId: string | undefined,
  sender: string | undefined,
): JsonObject {
  const type = parseType(message.type)
  if (isProblem(type)) throw new Error('a parsed message has a message type')
  return compact({
    connectionId,
    type: message.type,
    piuri: type.piuri,
    protocol: type.protocol,
    version: `${type.version.major}.${type.version.minor}`,
    name: type.name,
    id: message.id,
    thid: message.thid,
    pthid: message.pthid,
    body: message.body,
    attachments: message.attachments as unknown as Json,
    authenticated: true,
    from: sender,
    to: message.to && [...message.to],
  })
}

/** Handshake messages of somebody who is no peer yet fire nothing but their state events (L5). */
function messageEvents(protocol: Protocol, trigger: Trigger, turn: Turn, connectionId: string | undefined): Raised[] {
  const { message, connection, sender } = turn
  if (!message || protocol.connectionless || !trigger.startsWith('receive ')) return []
  if (protocol.handshake && !isLive(connection)) return []
  const attrs = messageAttributes(message, connectionId, connection?.theirDid ?? sender?.did)
  return [
    { domain: 'didcomm', name: 'message_received', attrs },
    { ...eventOf(protocol.events ?? protocol.name, trigger.slice('receive '.length)), attrs },
  ]
}

function rowEvents(
  row: Row,
  turn: Turn,
  relation: Relation | undefined,
  connectionId: string | undefined,
): readonly Raised[] {
  if (row.raise === undefined) return []
  if (typeof row.raise === 'function') return row.raise(turn)
  const [domain, name] = row.raise.split(':') as [string, string]
  return [{ domain, name, attrs: connectionAttributes(turn, relation, connectionId) }]
}

/** The same on both sides: `{connectionId, role, label, myDid, theirDid, invitationId}`. */
function connectionAttributes(
  turn: Turn,
  relation: Relation | undefined,
  connectionId: string | undefined,
): JsonObject {
  const { connection } = turn
  return compact({
    connectionId,
    role: relation?.role ?? connection?.role,
    label: relation?.label ?? connection?.label,
    myDid: relation?.myDid?.short ?? connection?.myDid ?? undefined,
    theirDid: relation?.theirDid?.short ?? connection?.theirDid ?? undefined,
    invitationId: relation?.invitationId ?? connection?.invitationId,
  })
}

// ---- refusals ----------------------------------------------------------------------------------------------

/**
 * A refusal with the problem report that the other side gets, if any: only a peer of a connection (or the engine at the
 * other end of a move) is told, never about a report or an ack.
 */
export function refuse(
  protocol: Protocol,
  fault: Problem,
  trigger: Trigger,
  given: Circumstances & { readonly thread?: Thread },
): Refused {
  const { message, thread } = given
  const told = message && trigger.startsWith('receive ') ? wireCode(fault.code, message.version) : undefined
  const ends = endsOf(protocol, given)
  if (!told || !message || !ends || /\/(problem[-_]report|ack)$/.test(message.type)) return fault
  const own = protocol.report?.(told, fault.message, thread)
  if (protocol.report && !own) return fault
  const spoken = dialectOf(protocol, given as Turn)
  return { ...fault, report: reportOf(spoken, own, { code: told, comment: fault.message }, ends, message, given) }
}

function endsOf(
  protocol: Protocol,
  { connection, sender, recipient }: Circumstances,
): { from: string; to: string } | undefined {
  if (isLive(connection) && connection?.myDid && connection.theirDid)
    return { from: connection.myDid, to: connection.theirDid }
  if (!protocol.connectionless || !protocol.report || !sender?.did || recipient === undefined) return undefined
  return { from: recipient, to: sender.did }
}
