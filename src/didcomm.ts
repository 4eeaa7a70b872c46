// pure
// DIDComm inside a step: who sent a message and whether it may act (law L5), which thread it moves, and what the
// protocol's row means for this pico: connection, letters, events. The tables decide; this file carries out.

import { byName, dispatch, features } from '../protocols/index.ts'
import { advance, eventOf, messageAttributes } from '../protocols/machine.ts'
import {
  idKey,
  isExpired,
  isProblem,
  type Message,
  type MessageType,
  parseMessage,
  parseType,
} from '../protocols/message.ts'
import { serialise } from '../protocols/outgoing.ts'
import { PICOMESH } from '../protocols/pico.ts'
import { problemReport, reportedCode, reportedComment, wireCode } from '../protocols/problem.ts'
import { RELOCATE } from '../protocols/relocate.ts'
import { reportProblem } from '../protocols/report-problem.ts'
import type {
  Circumstances,
  ConnectionFacts,
  Moved,
  Outgoing,
  Protocol,
  Raised,
  Refused,
  Relation,
  Thread,
  Trigger,
} from '../protocols/turn.ts'
import { base58 } from '../wallet/bytes.ts'
import { readDidDocument } from '../wallet/did-document.ts'
import { keyBytesOf, knownDidKeys, nakedToDidKey } from '../wallet/did-key.ts'
import { isFault } from '../wallet/fault.ts'
import { shortForm } from '../wallet/keys.ts'
import { applyRelation, writeConnection } from './connection-record.ts'
import {
  drawDid,
  forgetDid,
  forgetLong,
  fromPrior,
  keepDocument,
  keepLong,
  keyReferences,
  ownDid,
  resolverOf,
  sign,
  verify,
} from './identity.ts'
import {
  type Connection,
  code,
  GROUP,
  LIMIT,
  type Run,
  readConnection,
  readSelf,
  rulesets,
  salientRules,
  writeSelf,
} from './pico.ts'
import { allows, isTold } from './policy.ts'
import type { Json, JsonObject, OpenedMessage, View } from './ports.ts'
import { clearTimer, setTimer } from './schedule.ts'

const MESSAGES_KEPT = 1_000
/** Code of the log record that carries a thread's answer to the command that waits for it. */
export const ANSWERED = 'thread.answered'
/** Code of the log record of a refusal that the peer and the rules were told: it counts in `rejected` too. */
export const REFUSED = 'message.refused'
const REJECTED_PER_MINUTE = 10
/** A thread that nothing ends otherwise is forgotten after this many milliseconds. */
const THREAD_IDLE_MS = 24 * 3600 * 1000

// ---- threads ---------------------------------------------------------------------------------------------------

export const readThread = (view: View, threadId: string) =>
  view.get(GROUP.thread, idKey(threadId)) as unknown as Thread | undefined

function storeThread(run: Run, before: Thread | undefined, moved: Moved, protocol: Protocol): void {
  const { thread } = moved
  const leaf = idKey(thread.threadId)
  if (before) stopWaiting(run, before)
  if (moved.final && protocol.retain !== true) {
    if (before) run.records.put(GROUP.thread, leaf, undefined)
    return
  }
  const kept: Thread =
    moved.final || thread.expiresAt !== undefined || protocol.retain === true
      ? thread
      : { ...thread, expiresAt: run.now + THREAD_IDLE_MS }
  run.records.put(GROUP.thread, leaf, kept as unknown as Json)
  if (kept.expiresAt !== undefined) setTimer(run, kept.expiresAt, 'thread', leaf)
}

// ---- what a table may ask -----------------------------------------------------------------------------------------

const endpointOf = (run: Run) => ({ uri: `${run.given.engine.baseUrl}/didcomm`, routingKeys: [] })

type More = Partial<Pick<Circumstances, 'message' | 'sender' | 'recipient' | 'fromPrior' | 'connection' | 'parent'>>

function circumstances(
  run: Run,
  version: 'v1' | 'v2',
  args: JsonObject,
  connection: Connection | undefined,
  more: More = {},
): Circumstances {
  const endpoint = endpointOf(run)
  return {
    now: run.now,
    version,
    args,
    ...more,
    ...(connection === undefined ? {} : { connection: facts(connection) }),
    label: readSelf(run.records)?.name ?? 'Pico',
    baseUrl: run.given.engine.baseUrl,
    endpoint,
    features,
    draw: {
      id: () => run.uuid(),
      did: kind => {
        const { did, short } = drawDid(run, kind, endpoint)
        return { did, short }
      },
    },
    sign: (text, key) => sign(run, text, key) as never,
    verify: (data, keys) => {
      const result = verify(data as JsonObject, keys)
      return typeof result === 'string' ? result : { code: 'message.forged', message: result.message }
    },
    resolve: (did, document) => {
      if (document !== undefined && !isNymOf(did, more.sender?.key))
        return { code: 'did.unresolvable', message: 'a document beside a DID proves nothing of that DID' }
      const read = document === undefined ? resolverOf(run.records).resolve(did) : readDidDocument(document, did)
      if (isFault(read)) return { code: 'did.unresolvable', message: read.message }
      if (document !== undefined) keepDocument(run, did, document as JsonObject)
      keepLong(run, did)
      return { did, short: shortForm(did), keys: keyReferences(read) }
    },
    allows: (kind, first, second) =>
      connection !== undefined &&
      !(kind === 'event' && isTold(first)) &&
      allows(kind === 'event' ? connection.eventPolicy : connection.queryPolicy, kind, first, second),
  }
}

/** A connection as a protocol sees it. */
function facts(connection: Connection): ConnectionFacts {
  const { connectionId, state, role, version, label, myDid, theirDid, invitationId, serial } = connection
  return {
    connectionId,
    state,
    role,
    version,
    label,
    myDid,
    theirDid,
    ...(invitationId === null ? {} : { invitationId }),
    ...(serial === 0 ? {} : { serial }),
  }
}

/** An unqualified or did:sov nym names the key it was made of: the first 16 bytes of the key, in base58 (RFC 0023 "DID Doc
 *  attachment", as Indy makes them). No other DID is proven by a document that its bearer brings: a did:web or a hashed
 *  did:peer would be whoever says so first. */
function isNymOf(did: string, key: string | undefined): boolean {
  const bytes = key === undefined ? undefined : keyBytesOf(key)?.publicKey
  return bytes !== undefined && did.replace(/^did:sov:/, '') === base58(bytes.subarray(0, 16))
}

// ---- carrying out a move ---------------------------------------------------------------------------------------------

/** Writes what a row said. Returns the ids of the letters, in order. */
function carryOut(run: Run, protocol: Protocol, before: Thread | undefined, moved: Moved): string[] {
  const relation = moved.relation
  if (relation) relate(run, protocol, moved, relation)
  noteTold(run, protocol, moved)
  const connectionId = relation?.connectionId ?? moved.thread.connectionId
  storeThread(
    run,
    before,
    connectionId === undefined ? moved : { ...moved, thread: { ...moved.thread, connectionId } },
    protocol,
  )
  const letters = moved.outgoing.map(outgoing => post(run, outgoing))
  for (const event of moved.events) raise(run, event)
  if (moved.ask && moved.thread.connectionId !== undefined) askLater(run, moved.thread, moved.ask)
  if (moved.parent) command(run, moved.parent.threadId, moved.parent.command, {})
  return letters
}

/** A relation a row makes or changes. A peer that is newly established is asked once what it speaks (DESIGN 5, Moving). */
function relate(run: Run, protocol: Protocol, moved: Moved, relation: Relation): void {
  const before = readConnection(run.records, relation.connectionId)
  const made = applyRelation(run, relation)
  if (protocol.handshake === true) writeConnection(run, { ...made, threadId: moved.thread.threadId })
  const serial = readSelf(run.records)?.relocateSerial ?? 0
  if (relation.disclosed !== undefined && speaksRelocate(made) && made.told < serial) tellAddress(run, made)
  if (made.state !== 'established' || before?.state === 'established' || made.disclosed !== null) return
  askFeatures(run, made)
}

/** Does the peer understand relocate/1.0? */
export const speaksRelocate = (connection: Connection): boolean => connection.disclosed?.includes(RELOCATE) === true

/** Asks a peer which of Picomesh's own protocols it speaks. */
export function askFeatures(run: Run, connection: Connection): void {
  begin(run, 'discover-features', 'query', { match: `${PICOMESH}*` }, connection, connection.version)
}

/** Tells a peer under the newest serial where this pico is reached now. */
export function tellAddress(run: Run, connection: Connection): void {
  const serial = readSelf(run.records)?.relocateSerial ?? 0
  begin(run, 'relocate', 'relocate', { serial, addresses: [endpointOf(run)] }, connection, connection.version)
}

/** The peer acknowledged where we live. */
function noteTold(run: Run, protocol: Protocol, { thread }: Moved): void {
  if (protocol.name !== 'relocate' || thread.role !== 'mover' || thread.state !== 'done') return
  const connection = thread.connectionId === undefined ? undefined : readConnection(run.records, thread.connectionId)
  const serial = Number(thread.data.serial)
  if (connection !== undefined && connection.told < serial) writeConnection(run, { ...connection, told: serial })
}

function raise(run: Run, { domain, name, attrs }: Raised): void {
  run.raise({ eid: run.txnId, eci: null, domain, type: name, attrs: attrs as JsonObject })
}

/** A message to a peer becomes a letter; packing and posting wait for the commit. */
export function post(run: Run, outgoing: Outgoing, report = false): string {
  const { message, from, to, connectionId } = outgoing
  const plaintext = serialise(message) as JsonObject
  const jwt = outgoing.fromPrior && fromPrior(run, outgoing.fromPrior.iss, outgoing.fromPrior.sub)
  const lane = connectionId ?? (typeof to === 'string' ? shortForm(to) : to.serviceEndpoint)
  const letter = run.letter(
    {
      kind: 'didcomm',
      ...(connectionId === undefined ? {} : { connectionId }),
      version: message.version,
      from,
      to:
        typeof to === 'string'
          ? to
          : { recipientKeys: to.recipientKeys, routingKeys: to.routingKeys, serviceEndpoint: to.serviceEndpoint },
      plaintext: jwt === undefined ? plaintext : { ...plaintext, from_prior: jwt },
    },
    `didcomm:${lane}`,
    report,
  )
  if (connectionId !== undefined) keepMessage(run, connectionId, message, 'out')
  return letter.id
}

/** A peer's query is evaluated after the commit, on the committed state, and its answer is a command on the thread. */
function askLater(run: Run, thread: Thread, ask: { rid: string; name: string; args: JsonObject }): void {
  run.letter(
    { kind: 'query', threadId: thread.threadId, rid: ask.rid, name: ask.name, args: ask.args },
    `query:${thread.threadId}`,
  )
}

/** The bounded list of basic messages that `msg ls` shows. */
function keepMessage(run: Run, connectionId: string, message: Message, direction: 'in' | 'out'): void {
  const type = parseType(message.type)
  if (isProblem(type) || type.protocol !== 'basicmessage' || typeof message.body.content !== 'string') return
  const self = readSelf(run.records)
  if (self === undefined) return
  const leaf = (n: number) => String(n).padStart(12, '0')
  run.records.put(GROUP.message, leaf(self.messages), {
    messageId: message.id,
    threadId: message.thid,
    connectionId,
    direction,
    text: message.body.content,
    at: new Date(run.now).toISOString(),
  })
  if (self.messages >= MESSAGES_KEPT) run.records.put(GROUP.message, leaf(self.messages - MESSAGES_KEPT), undefined)
  writeSelf(run.records, { ...self, messages: self.messages + 1 })
}

// ---- commands ----------------------------------------------------------------------------------------------------------

export type CommandResult = JsonObject

const refusalOf = (refused: { code: string; message: string; place?: string }): JsonObject => ({
  error: {
    code: refused.code,
    message: refused.message,
    ...(refused.place === undefined ? {} : { place: refused.place }),
  },
})

/** Begins a thread of `protocolName` by a command. */
export function begin(
  run: Run,
  protocolName: string,
  name: string,
  args: JsonObject,
  connection: Connection | undefined,
  version: 'v1' | 'v2',
  parentId?: string,
): CommandResult {
  const protocol = byName(protocolName)
  if (protocol === undefined) throw new Error(`no protocol ${protocolName}`)
  const parent = parentId === undefined ? undefined : readThread(run.records, parentId)
  const moved = advance(
    protocol,
    undefined,
    `command ${name}`,
    circumstances(run, version, args, connection, parent === undefined ? {} : { parent }),
  )
  if (isRefused(moved)) return refusalOf(moved)
  carryOut(run, protocol, undefined, moved)
  return { ...(moved.answer as JsonObject | undefined) }
}

/** A command on a thread that exists. */
export function command(run: Run, threadId: string, name: string, args: JsonObject): CommandResult {
  const thread = readThread(run.records, threadId)
  if (thread === undefined) return refusalOf({ code: 'thread.unknown', message: 'there is no such thread' })
  const moved = trigger(run, thread, `command ${name}`, args)
  return moved === undefined
    ? {}
    : isRefused(moved)
      ? refusalOf(moved)
      : { ...(moved.answer as JsonObject | undefined) }
}

/** Changes the policy that an invitation of ours gives to the connections made by it. */
export function regrant(run: Run, invitationId: string, policy: JsonObject): void {
  const thread = readThread(run.records, invitationId)
  if (thread === undefined) return
  const data = { ...thread.data, policy: { ...(thread.data.policy as JsonObject | undefined), ...policy } }
  run.records.put(GROUP.thread, idKey(invitationId), { ...thread, data } as unknown as Json)
}

/** Ends a thread where it stands: nothing that comes on it moves it any more. */
export function abandon(run: Run, threadId: string): void {
  const thread = readThread(run.records, threadId)
  if (thread === undefined) return
  const { expiresAt: _, ...rest } = thread
  stopWaiting(run, thread)
  run.records.put(GROUP.thread, idKey(threadId), { ...rest, state: 'abandoned' } as unknown as Json)
}

function stopWaiting(run: Run, { threadId, expiresAt }: Thread): void {
  if (expiresAt !== undefined) clearTimer(run, expiresAt, 'thread', idKey(threadId))
}

/** A thread's time is up. */
export function timeout(run: Run, leaf: string): void {
  const thread = run.records.get(GROUP.thread, leaf) as unknown as Thread | undefined
  if (thread === undefined || thread.expiresAt === undefined || thread.expiresAt > run.now) return
  const moved = trigger(run, thread, 'timeout', {})
  // A state without a timeout row is only forgotten.
  if (moved === undefined || isRefused(moved)) run.records.put(GROUP.thread, leaf, undefined)
}

function trigger(run: Run, thread: Thread, on: Trigger, args: JsonObject): Moved | Refused | undefined {
  const protocol = byName(thread.protocol)
  if (protocol === undefined) return undefined
  const connection = thread.connectionId === undefined ? undefined : readConnection(run.records, thread.connectionId)
  const parent = thread.pthid === undefined ? undefined : readThread(run.records, thread.pthid)
  const moved = advance(
    protocol,
    thread,
    on,
    circumstances(run, thread.version, args, connection, parent === undefined ? {} : { parent }),
  )
  if (isRefused(moved)) return moved
  carryOut(run, protocol, thread, moved)
  if (on === 'timeout' && moved.answer) tellWaiting(run, thread.threadId, moved.answer as JsonObject)
  return moved
}

/** A command may wait for what comes on its thread: the shell reads it off the step's log. */
function tellWaiting(run: Run, threadId: string, answer: JsonObject): void {
  run.note('debug', ANSWERED, 'a thread is answered', { threadId: idKey(threadId), answer })
}

/** A report on a thread whose table has no row for it: whoever waits there is told, and the thread is over. */
function tellOf(run: Run, message: Message): void {
  const threadId = message.pthid ?? message.thid
  tellWaiting(run, threadId, reportAnswer(message))
  const thread = readThread(run.records, threadId)
  const isWarning = message.version === 'v2' && reportedCode(message.body).startsWith('w.')
  if (thread === undefined || isWarning || byName(thread.protocol)?.retain === true) return
  stopWaiting(run, thread)
  run.records.put(GROUP.thread, idKey(threadId), undefined)
}

/** What a report says of a command that waits for its thread: the peer will not answer it otherwise. */
function reportAnswer({ body, version }: Message): JsonObject {
  const [code, comment] = [reportedCode(body), reportedComment(body)]
  const denied = code === wireCode('policy.denied', version)
  return {
    error: denied
      ? { code: 'policy.denied', message: comment }
      : { code: 'peer.problem', message: `the peer reports ${code}${comment === '' ? '' : `: ${comment}`}` },
  }
}

function isRefused(result: Moved | Refused): result is Refused {
  return 'code' in result
}

// ---- receiving -----------------------------------------------------------------------------------------------------------

interface Rejection {
  readonly rejected: { readonly reason: string; readonly from?: string }
}
export type Received = Rejection | { readonly replies?: readonly string[] }

interface Party {
  readonly connection: Connection | undefined
  /** Key reference (v1) or kid (v2), and the DID in short form when one is known. */
  readonly sender: { readonly key: string; readonly did?: string }
  /** Under what the id is remembered (law L4). */
  readonly name: string
  /** The DID known so far vouches for the sender's: this long form replaces it. */
  readonly rotatesTo?: string
}

const reject = (reason: string, from?: string): Rejection => ({
  rejected: { reason, ...(from === undefined ? {} : { from }) },
})

interface Purpose {
  readonly connectionId?: string
  readonly invitationId?: string
}

interface Recognised {
  readonly message: Message
  readonly party: Party
  readonly purpose: Purpose
}

/** Who sent a message, what it says, and that it is neither late nor a repetition. Reads only. */
function recognise(records: View, opened: OpenedMessage, now: number): Recognised | Rejection {
  if (opened.sender === null) return reject('message.unauthenticated')
  const purpose = records.get(GROUP.recipient, opened.recipientKid) as Purpose | undefined
  if (purpose === undefined) return reject('envelope.unknown_recipient')
  const message = parseMessage(opened.plaintext as never, opened.version)
  if (isProblem(message)) return reject(message.code)
  const party = whoSent(records, opened, message, purpose)
  if (typeof party === 'string') return reject(party, opened.sender.did ?? undefined)
  const from = party.connection?.theirDid ?? party.sender.did
  if (isExpired(message, now)) return reject('message.expired', from)
  if (isStale(records, party.name, message)) return reject('message.stale', from)
  if (records.get(GROUP.seen(party.name), idKey(message.id)) !== undefined) return reject('message.duplicate', from)
  return { message, party, purpose }
}

/** Names a message that an established peer sends for the first time; undefined for any other. What is kept on disk
 *  before it is applied must be of that kind: nobody else may make us write (DESIGN 3, Refusals). */
export function peersMail(records: View, opened: OpenedMessage, now: number): string | undefined {
  const found = recognise(records, opened, now)
  if ('rejected' in found || found.party.connection?.state !== 'established') return undefined
  return `${found.party.name}/${idKey(found.message.id)}`
}

/** One opened message. A refusal of a stranger or of an unauthentic message writes nothing. */
export function receive(run: Run, { opened }: { readonly opened: OpenedMessage }): Received {
  const found = recognise(run.records, opened, run.now)
  if ('rejected' in found) return found
  const { message, party, purpose } = found
  const { rotatesTo } = party
  return take(run, opened, message, rotatesTo === undefined ? party : rotated(run, party, rotatesTo), purpose)
}

/** The connection goes on under the new DID, mail from the old one is a stranger's (DIDComm v2 "DID Rotation"). A second
 *  connection under our same DID that the new DID had meanwhile is given up: it is the same peer. */
function rotated(run: Run, party: Party, did: string): Party {
  const old = party.connection as Connection
  const double = connectionOf(run.records, shortForm(did))
  if (double !== undefined && double.connectionId !== old.connectionId && double.myDid === old.myDid)
    applyRelation(run, { connectionId: double.connectionId, state: 'closed' })
  const connection = applyRelation(run, { connectionId: old.connectionId, theirDid: { did, short: shortForm(did) } })
  return { ...party, connection }
}

/** Past the number of ids that are kept, the sender's horizon rises: what was written before it may be a repetition. */
function isStale(records: View, sender: string, message: Message): boolean {
  const horizon = records.get('horizon', sender)
  return typeof horizon === 'number' && message.createdTime !== undefined && message.createdTime * 1000 < horizon
}

/** The connection that the authenticated sender belongs to, or a stranger that may only shake hands; a string refuses. */
function whoSent(records: View, opened: OpenedMessage, message: Message, purpose: Purpose): Party | string {
  const sender = opened.sender as NonNullable<OpenedMessage['sender']>
  const own = purpose.connectionId === undefined ? undefined : readConnection(records, purpose.connectionId)
  if (opened.version === 'v1') {
    const key = keyReference(sender.publicKey)
    if (key === undefined) return 'message.unauthenticated'
    const bound = purpose.connectionId === undefined ? amongPeers(records, opened.recipientKid, [key]) : own
    if (bound?.theirKeys.includes(sender.publicKey))
      return {
        connection: bound,
        sender: { key, ...(bound.theirDid === null ? {} : { did: bound.theirDid }) },
        name: bound.connectionId,
      }
    if (bound !== undefined && bound.theirDid !== null) return 'message.sender_mismatch'
    const did = broughtDid(message)
    const known = did === undefined ? undefined : (records.get(GROUP.peer, did) as string | undefined)
    return {
      connection: bound,
      sender: { key, ...(did === undefined ? {} : { did }) },
      name: known ?? bound?.connectionId ?? did ?? key,
    }
  }
  const did = shortForm(sender.did ?? '')
  if (did === '') return 'message.unauthenticated'
  const known = records.get(GROUP.peer, did) as string | undefined
  const prior = opened.fromPrior
  const bound =
    purpose.connectionId === undefined
      ? amongPeers(records, opened.recipientKid, prior === undefined ? [did] : [shortForm(prior.iss), did])
      : own
  if (bound !== undefined && known === bound.connectionId)
    return { connection: bound, sender: { key: sender.kid, did }, name: known }
  const vouched =
    prior !== undefined &&
    bound !== undefined &&
    shortForm(prior.sub) === did &&
    bound.theirDid !== null &&
    records.get(GROUP.peer, shortForm(prior.iss)) === bound.connectionId
  const standing = bound?.state === 'established' || bound?.state === 'responded'
  if (vouched)
    return {
      connection: bound,
      sender: { key: sender.kid, did },
      name: bound.connectionId,
      ...(standing ? { rotatesTo: sender.did ?? did } : {}),
    }
  if (bound !== undefined && bound.theirDid !== null && bound.state !== 'requested') return 'message.sender_mismatch'
  if (
    bound !== undefined &&
    bound.state === 'requested' &&
    prior === undefined &&
    bound.theirDid !== null &&
    bound.theirDid !== did
  )
    return 'message.sender_mismatch'
  return { connection: bound, sender: { key: sender.kid, did }, name: known ?? bound?.connectionId ?? did }
}

/** The key reference of a naked key (RFC 0360). */
const keyReference = (naked: string): string | undefined => knownDidKeys.get(naked) ?? nakedToDidKey(naked)

const connectionOf = (records: View, did: string): Connection | undefined => {
  const known = records.get(GROUP.peer, did) as string | undefined
  return known === undefined ? undefined : readConnection(records, known)
}

/** A key of a DID that several peers know is bound to none of them: the sender tells whose connection under it this is. */
function amongPeers(records: View, recipientKid: string, senders: readonly string[]): Connection | undefined {
  const ours = (connection: Connection | undefined) =>
    connection?.myDid != null && ownDid(records, connection.myDid)?.recipients.includes(recipientKid) === true
  return senders.map(did => connectionOf(records, did)).find(ours)
}

/** The DID that a v1 handshake message brings. */
function broughtDid(message: Message): string | undefined {
  return typeof message.body.did === 'string' ? shortForm(message.body.did) : undefined
}

function take(
  run: Run,
  opened: OpenedMessage,
  message: Message,
  party: Party,
  purpose: { invitationId?: string },
): Received {
  const find = (id: string) => readThread(run.records, id)
  let { connection } = party
  const peer = connection !== undefined && (connection.state === 'established' || connection.state === 'responded')
  if (connection !== undefined && onThreadOfAnother(message, connection, find))
    return reject('message.stranger', party.sender.did)
  const found = dispatch(message, find)
  if (isProblem(found)) {
    if (!peer) return reject(found.code, party.sender.did)
    return found.code === 'message.unsupported'
      ? unknownMessage(run, message, party)
      : refused(run, found, message, party, peer)
  }
  const { protocol, trigger: on, thread } = found
  // Forwards are for the engine, moves are between engines: neither is for a pico.
  if (protocol.name === 'routing' || protocol.name === 'move') return reject('message.unsupported', party.sender.did)
  if (!peer && protocol.handshake !== true) return reject('message.unauthenticated', party.sender.did)
  if (protocol.handshake === true && thread?.connectionId !== undefined) {
    const made = readConnection(run.records, thread.connectionId)
    // What the owner ended, or what failed, no message begins anew.
    if (made === undefined || made.state === 'closed' || made.state === 'failed')
      return reject('message.stranger', party.sender.did)
    if (isBy(made, party.sender)) connection ??= made
  }
  if (connection === undefined && thread === undefined && !hasRoom(run))
    return reject('connection.pending', party.sender.did)
  if (connection?.state === 'responded' && protocol.handshake !== true) connection = confirm(run, connection)
  const parent = found.parent ?? (purpose.invitationId === undefined ? undefined : find(purpose.invitationId))
  const turn = circumstances(run, message.version, {}, connection, {
    message,
    sender: party.sender,
    recipient: recipientOf(opened),
    ...(opened.fromPrior === undefined
      ? {}
      : { fromPrior: { iss: shortForm(opened.fromPrior.iss), sub: shortForm(opened.fromPrior.sub) } }),
    ...(parent === undefined ? {} : { parent }),
  })
  const moved = advance(protocol, thread, on, turn)
  if (isRefused(moved)) return refused(run, moved, message, party, peer)
  const connectionId = connection?.connectionId ?? moved.relation?.connectionId ?? moved.thread.connectionId
  const settled = { ...moved, events: moved.events.map(event => tunnelledBy(event, connectionId)) }
  const replies = carryOut(run, protocol, thread, settled)
  if (connectionId !== undefined) keepMessage(run, connectionId, message, 'in')
  // The commit that makes the connection remembers the id under it; before that there is only the sender's DID.
  run.records.put(GROUP.seen(connectionId ?? party.name), idKey(message.id), { t: run.now })
  if (moved.answer) tellWaiting(run, moved.thread.threadId, moved.answer as JsonObject)
  if (protocol === reportProblem) tellOf(run, message)
  return { replies }
}

/** A peer has its say on threads of its own connection. An invitation's thread is open to all that answer it. */
function onThreadOfAnother(
  { thid, pthid }: Message,
  { connectionId }: Connection,
  find: (id: string) => Thread | undefined,
): boolean {
  return [thid, pthid].some(id => {
    const thread = id === undefined ? undefined : find(id)
    if (thread?.connectionId === undefined || thread.protocol === 'out-of-band') return false
    return thread.connectionId !== connectionId
  })
}

/** Is the sender the peer of a connection that its own recipient key does not lead to (mail to an invitation's key)? */
function isBy({ theirDid, theirKeys, version }: Connection, { key, did }: Party['sender']): boolean {
  if (version === 'v2') return theirDid !== null && theirDid === did
  return theirKeys.some(naked => keyReference(naked) === key)
}

/** Is there room for one more stranger? An invitation for many uses is open to any number of them: so many may wait to be
 *  completed or approved, and of those that failed so many are kept, the latest. */
function hasRoom(run: Run): boolean {
  const asked = run.records
    .list(GROUP.connection)
    .map(([, value]) => value as unknown as Connection)
    .filter(({ role }) => role === 'inviter')
  const failed = asked.filter(({ state }) => state === 'failed').sort((a, b) => a.n - b.n)
  if (failed.length >= LIMIT.pending) forget(run, failed[0] as Connection)
  return asked.filter(({ state }) => state === 'requested' || state === 'responded').length < LIMIT.pending
}

/** Nothing stays of a handshake that failed but the id of its request, which must not act again (law L4). */
function forget(run: Run, { connectionId, threadId, myDid, theirDid }: Connection): void {
  run.records.put(GROUP.connection, connectionId, undefined)
  if (myDid !== null) forgetDid(run, myDid)
  if (theirDid !== null && run.records.get(GROUP.peer, theirDid) === undefined) forgetLong(run, theirDid)
  if (threadId === null) return
  run.records.put(GROUP.thread, idKey(threadId), undefined)
  if (theirDid !== null) run.records.put(GROUP.seen(theirDid), idKey(threadId), { t: run.now })
}

/** Any authentic message to our new DID proves that the response arrived (RFC 0023; ACA-Py and Credo may skip complete). */
function confirm(run: Run, connection: Connection): Connection {
  if (connection.threadId !== null) command(run, connection.threadId, 'confirm', {})
  return readConnection(run.records, connection.connectionId) ?? connection
}

const tunnelledBy = (event: Raised, connectionId: string | undefined): Raised =>
  event.tunnelled === true && connectionId !== undefined
    ? { ...event, attrs: { ...event.attrs, _connectionId: connectionId } }
    : event

function recipientOf(opened: OpenedMessage): string {
  if (opened.version === 'v2') return opened.recipientKid.split('#')[0] as string
  return keyReference(opened.recipientKid) ?? opened.recipientKid
}

/** An authenticated peer was refused by policy, state, version or form: it is told, rules are told, the id is remembered. */
function refused(run: Run, refusal: Refused, message: Message, party: Party, peer: boolean): Received {
  const silent = ['message.unauthenticated', 'message.forged', 'message.expired', 'message.stranger']
  if (!peer || party.connection === undefined || silent.includes(refusal.code))
    return reject(refusal.code, party.sender.did)
  run.records.put(GROUP.seen(party.name), idKey(message.id), { t: run.now })
  if (refusal.report) post(run, refusal.report)
  const from = party.connection.theirDid ?? party.sender.did ?? null
  run.note('warn', REFUSED, 'a message of a peer was refused', { reason: refusal.code, from })
  raiseRejected(run, party.connection, refusal.code, message)
  return {}
}

/** At most 10 a minute per connection: a peer must not be able to flood the rules. */
function raiseRejected(run: Run, connection: Connection, reason: string, message: Message): void {
  const minute = Math.floor(run.now / 60_000)
  const before = run.records.get('rejected', connection.connectionId) as { minute: number; count: number } | undefined
  const count = before?.minute === minute ? before.count : 0
  if (count >= REJECTED_PER_MINUTE) return
  run.records.put('rejected', connection.connectionId, { minute, count: count + 1 })
  run.raise({
    eid: run.txnId,
    eci: null,
    domain: 'didcomm',
    type: 'message_rejected',
    attrs: { reason, connectionId: connection.connectionId, type: message.type, thid: message.thid },
  })
}

/** A type that no table declares: rules may know it; if none does, the peer is told. */
function unknownMessage(run: Run, message: Message, party: Party): Received {
  const connection = party.connection as Connection
  const type = parseType(message.type)
  if (isProblem(type)) return reject(type.code, party.sender.did)
  run.records.put(GROUP.seen(party.name), idKey(message.id), { t: run.now })
  const attrs = messageAttributes(
    message,
    connection.connectionId,
    connection.theirDid ?? party.sender.did,
  ) as JsonObject
  const event = eventOf(type.protocol, type.name)
  run.raise({ eid: run.txnId, eci: null, domain: 'didcomm', type: 'message_received', attrs })
  if (!posesAsOurs(type)) {
    run.raise({ eid: run.txnId, eci: null, domain: event.domain, type: event.name, attrs })
    if (handled(run, event.domain, event.name)) return {}
  }
  run.raise({ eid: run.txnId, eci: null, domain: 'didcomm', type: 'message_unhandled', attrs })
  // A report about a report or an ack would be answered in its turn, and so for ever.
  const told = /^(problem[-_]report|ack)$/.test(type.name)
    ? undefined
    : wireCode('message.unsupported', message.version)
  if (told !== undefined && connection.myDid !== null && connection.theirDid !== null) {
    const id = run.uuid()
    const report = problemReport(message.version, told, `${type.piuri} is not spoken here`, message.thid)
    const reply: Message = {
      version: message.version,
      id,
      type: report.type,
      thid: report.thid ?? id,
      ...(report.pthid === undefined ? {} : { pthid: report.pthid }),
      ...(message.version === 'v2' ? { from: connection.myDid, to: [connection.theirDid] } : {}),
      body: report.body,
      attachments: [],
    }
    post(run, {
      name: 'problem-report',
      message: reply,
      from: connection.myDid,
      to: connection.theirDid,
      connectionId: connection.connectionId,
    })
  }
  return {}
}

/** The name of a table's protocol under another document's URI: its events are for what the table checked. */
function posesAsOurs({ docUri, protocol }: MessageType): boolean {
  const known = byName(protocol)
  return known?.speaks.every(({ uri }) => !uri.startsWith(`${docUri}${protocol}/`)) === true
}

function handled(run: Run, domain: string, type: string): boolean {
  return rulesets(run.records).some(({ hash }) => salientRules(code(run, hash), domain, type).length > 0)
}
