// pure
// The record of a connection: what rules, policies and the owner know of a peer under one stable connectionId, and
// what delivery needs: whose keys may send, which keys receive, and the address book (DESIGN 5).

import type { Relation } from '../protocols/turn.ts'
import { isFault } from '../wallet/fault.ts'
import { shortForm } from '../wallet/keys.ts'
import { keepLong, ownDid, receiveAs, receiveNoMore, resolverOf, serviceOf, verkeysOf } from './identity.ts'
import { type Connection, GROUP, ordinal, type Run, readConnection, readSelf } from './pico.ts'
import { DENY_ALL, parsePolicy } from './policy.ts'
import type { Json, JsonObject, View } from './ports.ts'

export const allConnections = (view: View): Connection[] =>
  view
    .list(GROUP.connection)
    .map(([, value]) => value as unknown as Connection)
    .sort((a, b) => a.n - b.n)

/** Writes the record as of now; returns what was written. */
export function writeConnection(run: Run, connection: Connection): Connection {
  const written = { ...connection, updatedAt: run.now }
  run.records.put(GROUP.connection, connection.connectionId, written as unknown as Json)
  return written
}

/** As the owner sees it (contract 3). */
export function view(connection: Connection): JsonObject {
  const {
    connectionId,
    state,
    role,
    label,
    myDid,
    theirDid,
    version,
    invitationId,
    eventPolicy,
    queryPolicy,
    createdAt,
    updatedAt,
  } = connection
  return {
    connectionId,
    state,
    role,
    label,
    myDid,
    theirDid,
    version,
    ...(invitationId === null ? {} : { invitationId }),
    eventPolicy: eventPolicy as unknown as Json,
    queryPolicy: queryPolicy as unknown as Json,
    createdAt: new Date(createdAt).toISOString(),
    updatedAt: new Date(updatedAt).toISOString(),
  }
}

function fresh(run: Run, relation: Relation): Connection {
  return {
    connectionId: relation.connectionId,
    state: 'invited',
    role: relation.role ?? 'invitee',
    label: '',
    myDid: null,
    theirDid: null,
    version: relation.version ?? 'v1',
    invitationId: null,
    eventPolicy: DENY_ALL,
    queryPolicy: DENY_ALL,
    createdAt: run.now,
    updatedAt: run.now,
    n: ordinal(run.records),
    theirKeys: [],
    recipientKeys: [],
    serial: 0,
    addresses: [],
    disclosed: null,
    threadId: null,
    // Whoever connects now is given the address that holds now.
    told: readSelf(run.records)?.relocateSerial ?? 0,
  }
}

/** Makes or updates a connection as a protocol's row says; binds its DIDs, remembers whose mail is whose. */
export function applyRelation(run: Run, relation: Relation): Connection {
  let next = readConnection(run.records, relation.connectionId) ?? fresh(run, relation)
  const { state, role, version, label, invitationId, serial, addresses, disclosed } = relation
  next = {
    ...next,
    ...(state === undefined ? {} : { state }),
    ...(role === undefined ? {} : { role }),
    ...(version === undefined ? {} : { version }),
    ...(label === undefined ? {} : { label }),
    ...(invitationId === undefined ? {} : { invitationId }),
    ...(disclosed === undefined ? {} : { disclosed: [...disclosed] }),
    ...(serial === undefined ? {} : { serial }),
    ...(addresses === undefined ? {} : { addresses: [...addresses] }),
    ...policies(relation.policy),
  }
  if (relation.myDid) next = takeMyDid(run, next, relation.myDid.short)
  if (relation.theirDid) next = takeTheirDid(run, next, relation.theirDid.did)
  if (next.state === 'closed' || next.state === 'failed') unbind(run, next)
  return writeConnection(run, next)
}

/** Of `{events?, queries?}` as typed; what is not given or no policy stays out. */
export function policies(policy: Relation['policy']): Partial<Connection> {
  if (policy === undefined || policy === null || typeof policy !== 'object' || Array.isArray(policy)) return {}
  const events = typeof policy.events === 'string' ? parsePolicy(policy.events, 'event') : undefined
  const queries = typeof policy.queries === 'string' ? parsePolicy(policy.queries, 'query') : undefined
  return {
    ...(events === undefined || typeof events === 'string' ? {} : { eventPolicy: events }),
    ...(queries === undefined || typeof queries === 'string' ? {} : { queryPolicy: queries }),
  }
}

function takeMyDid(run: Run, connection: Connection, short: string): Connection {
  const own = ownDid(run.records, short)
  if (own === undefined) throw new Error('a connection under a DID that is not ours')
  // The DID of an invitation stays the invitation's: mail to it is a stranger's until the handshake says otherwise.
  if (run.records.get(GROUP.recipient, own.recipients[0] as string) === undefined)
    receiveAs(run, own, { connectionId: connection.connectionId })
  return { ...connection, myDid: own.short }
}

function takeTheirDid(run: Run, connection: Connection, did: string): Connection {
  keepLong(run, did)
  const short = shortForm(did)
  const document = resolverOf(run.records).resolve(did)
  if (connection.theirDid !== null && connection.theirDid !== short)
    run.records.put(GROUP.peer, connection.theirDid, undefined)
  run.records.put(GROUP.peer, short, connection.connectionId)
  if (isFault(document)) return { ...connection, theirDid: short }
  const service = serviceOf(document, connection.version)
  const keys = verkeysOf(document)
  return {
    ...connection,
    theirDid: short,
    theirKeys: keys,
    recipientKeys: service !== undefined && service.recipientKeys.length > 0 ? service.recipientKeys : keys,
    // A service seeds the address book once and is never read again (law L6).
    addresses:
      connection.serial > 0 || service === undefined
        ? connection.addresses
        : [{ uri: service.uri, routingKeys: service.routingKeys }],
  }
}

/** The peer's mail is no longer taken; what is still in the outbox may leave. */
function unbind(run: Run, connection: Connection): void {
  const own = connection.myDid === null ? undefined : ownDid(run.records, connection.myDid)
  const purpose =
    own && (run.records.get(GROUP.recipient, own.recipients[0] as string) as { connectionId?: string } | undefined)
  if (own && purpose?.connectionId === connection.connectionId) receiveNoMore(run, own)
  if (connection.theirDid !== null) run.records.put(GROUP.peer, connection.theirDid, undefined)
}
