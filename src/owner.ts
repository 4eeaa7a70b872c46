// The owner's verbs (contract 3) over one engine: names to picos, arguments to commands, records to answers. What a
// verb changes is one command of src/commands.ts; what it reads is one committed state.

import { readInvitation } from '../protocols/invitation.ts'
import { isProblem } from '../protocols/message.ts'
import { allConnections, view as connectionView } from './connection-record.ts'
import type { Engine } from './engine.ts'
import { asPicoError, isGone, PicoError } from './errors.ts'
import {
  type Channel,
  type Child,
  channels,
  children,
  GROUP,
  readConnection,
  readSelf,
  rulesets,
  type Self,
} from './pico.ts'
import type { Json, JsonObject, PicoId, Stimulus, View } from './ports.ts'
import { OWN } from './resident.ts'
import { eidOf, refusalOf, sentEvent, toldOf } from './sent-event.ts'
import type { Sources } from './sources.ts'
import { variables } from './variables.ts'
import type { VerbArgs, VerbName } from './verb-args.ts'

/** Commands that wait for a peer: the answer of a protocol's thread. */
export interface Waiting {
  /** From here on answers that come before they are asked for are kept, until what is returned is called. */
  expect(): () => void
  /** Resolves with the answer on a thread, or undefined when `ms` passed. */
  thread(picoId: PicoId, threadId: string, ms: number): Promise<Json | undefined>
  /** Resolves true when `holds` became true of the pico's committed state, false when `ms` passed. */
  until(picoId: PicoId, ms: number, holds: (view: View) => boolean): Promise<boolean>
  /** Resolves true when none of these picos is left, false when `ms` passed. */
  gone(picoIds: readonly PicoId[], ms: number): Promise<boolean>
}

export interface OwnerAround {
  readonly engine: Engine
  readonly sources: Sources
  readonly waiting: Waiting
  readonly refused: (picoId: PicoId) => {
    count: number
    recent: readonly { at: string; reason: string; from?: string }[]
  }
  readonly logs: (picoId: PicoId | undefined, n: number) => readonly JsonObject[]
  /** A name for an event that has no id. */
  readonly eid: () => string
  /** Makes a root pico. */
  readonly newRoot: () => Promise<PicoId>
  /** What is thrown for a pico that has left, once it is known where it lives. */
  readonly whereTo: (picoId: PicoId) => Promise<PicoError>
  /** An invitation behind a short URL, fetched as JSON. */
  readonly fetchInvitation: (url: string) => Promise<Json>
}

type Verb<N extends VerbName> = (owner: Owner, args: VerbArgs[N]) => Promise<Json>

const CONNECT_MS = 10_000
const QUERY_MS = 60_000
const PING_MS = 20_000
const BIRTH_MS = 10_000
const DELETION_MS = 30_000

const iso = (ms: number) => new Date(ms).toISOString()

export class Owner {
  readonly around: OwnerAround
  private newRoot: Promise<PicoId> | undefined

  constructor(around: OwnerAround) {
    this.around = around
  }

  get engine(): Engine {
    return this.around.engine
  }

  // ---- naming --------------------------------------------------------------------------------------------------

  async self(picoId: PicoId): Promise<Self> {
    const self = await this.engine.read(picoId, readSelf)
    if (self === undefined) throw new PicoError('pico.unknown', 'there is no such pico')
    return self
  }

  /** As `resolve`, a pico that lives here. Throws pico.moved, `movedTo` says where to; pico.frozen when it is not known
   *  in time that it arrived there. */
  async here(name: string): Promise<PicoId> {
    const picoId = await this.resolve(name)
    if (!this.lives(picoId)) throw await this.around.whereTo(picoId)
    return picoId
  }

  /** Every pico of this engine that is not gone, in order of creation. */
  async all(): Promise<Self[]> {
    const found: Self[] = []
    for await (const self of this.each()) found.push(self)
    return found
  }

  /** One that cannot be read does not hide the others; `unreadable` is told why. */
  private async *each(unreadable: (error: unknown) => void = () => undefined): AsyncGenerator<Self> {
    for (const { picoId, status } of await this.engine.picos()) {
      if (status === 'destroying' || status === 'inert') continue
      const self = await this.engine.read(picoId, readSelf).catch(error => {
        if (!isGone(asPicoError(error).code)) unreadable(error)
        return undefined
      })
      if (self !== undefined) yield self
    }
  }

  /** Id, DID, unique name, or a path of names from a root. Throws pico.unknown, pico.ambiguous. */
  async resolve(name: string): Promise<PicoId> {
    const status = /^[0-9a-f]{32}$/.test(name) ? this.engine.registered(name)?.status : undefined
    // One that is still arriving is nobody's yet.
    if (status !== undefined && status !== 'inert') return name
    if (name.includes('/')) return this.byPath(name.split('/').filter(part => part !== ''))
    const found = this.nearest(
      (await this.all()).filter(self => (name.startsWith('did:') ? self.did === name : self.name === name)),
    )
    if (found.length > 1 && name === 'root') return (await this.root()).picoId
    if (found.length > 1)
      throw new PicoError('pico.ambiguous', `${found.length} picos are named "${name}": give an id or a path`)
    const [only] = found
    if (only === undefined) throw new PicoError('pico.unknown', `there is no pico "${name}"`)
    return only.picoId
  }

  /** A copy that moved away answers to its name as long as no pico that lives here has it. */
  private nearest<T extends { readonly picoId: PicoId }>(found: readonly T[]): readonly T[] {
    const here = found.filter(({ picoId }) => this.lives(picoId))
    return here.length > 0 ? here : found
  }

  /** False for the copy that a move leaves behind. */
  lives(picoId: PicoId): boolean {
    return this.engine.registered(picoId)?.status !== 'retired'
  }

  private async byPath(path: readonly string[]): Promise<PicoId> {
    let level = this.nearest((await this.all()).filter(self => self.parentId === null)).map(({ picoId, name }) => ({
      picoId,
      name,
    }))
    let at: PicoId | undefined
    for (const name of path) {
      // `root` names the first root whatever its name is.
      const first = at === undefined && name === 'root'
      const found = level.filter(one => one.name === name)
      const chosen = found[0] ?? (first ? level[0] : undefined)
      if (found.length > 1 && !first)
        throw new PicoError('pico.ambiguous', `${found.length} picos are named "${name}" there`)
      if (chosen === undefined) throw new PicoError('pico.unknown', `there is no pico "${name}" there`)
      at = chosen.picoId
      level = (await this.engine.read(at, children)).map(child => ({ picoId: child.picoId, name: child.name }))
    }
    if (at === undefined) throw new PicoError('pico.unknown', 'a path of names is empty')
    return at
  }

  /** The first root that lives here: where `pico new` puts children unless told otherwise. Made when there is none. */
  async root(): Promise<Self> {
    // Only as many are read as stand before it: the start asks for it, however many there are.
    const faults: unknown[] = []
    for await (const self of this.each(fault => faults.push(fault))) if (this.isRoot(self)) return self
    // A root may be among those that cannot be read: a second one beside it would take its place for good.
    if (faults.length > 0) throw asPicoError(faults[0])
    this.newRoot ??= this.around.newRoot().finally(() => {
      this.newRoot = undefined
    })
    return this.self(await this.newRoot)
  }

  isRoot(self: Self): boolean {
    return self.parentId === null && this.lives(self.picoId)
  }

  async record(self: Self): Promise<JsonObject> {
    const { picoId, name, did, parentId } = self
    const [kin, installed] = await this.engine.read(
      picoId,
      view => [children(view).map(c => c.picoId), rulesets(view).map(r => r.rid)] as const,
    )
    const tombstone = this.engine.registered(picoId)?.tombstone
    return {
      picoId,
      name,
      did,
      parentId,
      children: kin,
      rulesets: installed,
      createdAt: iso(self.createdAt),
      ...(self.parentUrl === null ? {} : { parentUrl: self.parentUrl }),
      ...(tombstone?.movedTo === undefined ? {} : { movedTo: tombstone.movedTo }),
    }
  }

  /** `above`: whom the way led over. What moved in may claim to be an ancestor of its own. */
  async tree(self: Self, above: readonly PicoId[] = []): Promise<JsonObject> {
    const kin = await this.engine.read(self.picoId, children)
    const way = [...above, self.picoId]
    const below: Json[] = []
    for (const child of kin) if (!way.includes(child.picoId)) below.push(await this.branch(child, way))
    return { ...(await this.record(self)), children: below }
  }

  private async branch(child: Child, above: readonly PicoId[]): Promise<JsonObject> {
    const here = this.engine.registered(child.picoId) !== undefined && child.movedTo === undefined
    if (!here)
      return {
        picoId: child.picoId,
        name: child.name,
        did: child.did,
        children: [],
        rulesets: [],
        ...(child.movedTo === undefined ? {} : { movedTo: child.movedTo }),
      }
    return this.tree(await this.self(child.picoId), above)
  }

  // ---- commands ------------------------------------------------------------------------------------------------

  /** One command; a refusal or a rule's fault is thrown. */
  async command(picoId: PicoId, name: string, args: JsonObject, id?: string): Promise<JsonObject> {
    const stimulus: Stimulus = { kind: 'command', name, args, ...(id === undefined ? {} : { id }) }
    return unrefused(await this.engine.submit(picoId, stimulus, 'applied'))
  }

  /** A connection by its id or a prefix of it that names one. */
  async connection(picoId: PicoId, given: string): Promise<string> {
    const all = await this.engine.read(picoId, allConnections)
    const exact = all.find(c => c.connectionId === given || c.theirDid === given)
    const found = exact === undefined && given.length >= 6 ? all.filter(c => c.connectionId.startsWith(given)) : []
    const chosen = exact ?? (found.length === 1 ? found[0] : undefined)
    if (chosen === undefined) throw new PicoError('connection.unknown', 'there is no such connection')
    return chosen.connectionId
  }

  async connectionRecord(picoId: PicoId, connectionId: string): Promise<JsonObject> {
    const found = await this.engine.read(picoId, view => readConnection(view, connectionId))
    if (found === undefined) throw new PicoError('connection.unknown', 'there is no such connection')
    return connectionView(found)
  }

  async verb(name: string, args: JsonObject): Promise<Json> {
    const verb = (verbs as Record<string, Verb<VerbName> | undefined>)[name]
    if (verb === undefined) throw new PicoError('usage.unknown_verb', `there is no verb "${name}"`)
    return verb(this, args as never)
  }
}

/** A step's answer, or its refusal as an exception. */
function unrefused(answer: Json): JsonObject {
  const object = answer !== null && typeof answer === 'object' && !Array.isArray(answer) ? answer : {}
  const error = object.error as JsonObject | undefined
  if (error === undefined) return object
  throw refusalOf(error)
}

const channelRecord = (channel: Channel): JsonObject => ({
  eci: channel.id,
  tags: [...channel.tags],
  eventPolicy: channel.eventPolicy as unknown as Json,
  queryPolicy: channel.queryPolicy as unknown as Json,
  ...(channel.familyChannelPicoID === null ? {} : { familyChannelPicoID: channel.familyChannelPicoID }),
})

async function rulesetRecords(owner: Owner, picoId: PicoId): Promise<JsonObject[]> {
  const installed = await owner.engine.read(picoId, rulesets)
  return Promise.all(
    installed.map(async ({ rid, url, hash, config, flushedAt }) => {
      const { meta } = await owner.around.sources.ensure(hash)
      const { name, description, author, shares, provides } = meta
      return {
        rid,
        version: meta.version ?? null,
        hash,
        url,
        config,
        meta: {
          name: name ?? null,
          description: description ?? null,
          author: author ?? null,
          shares: [...shares],
          provides: [...provides],
          flushed: iso(flushedAt),
        },
      }
    }),
  )
}

async function rulesetRecord(owner: Owner, picoId: PicoId, rid: string): Promise<JsonObject> {
  const found = (await rulesetRecords(owner, picoId)).find(r => r.rid === rid)
  if (found === undefined) throw new PicoError('ruleset.unknown', `this pico has no ruleset ${rid}`)
  return found
}

/** Sends, then waits for the thread's answer. Throws what the peer's answer or report refuses. */
async function asked(
  owner: Owner,
  picoId: PicoId,
  name: string,
  args: JsonObject,
  ms: number,
): Promise<JsonObject | undefined> {
  const { waiting } = owner.around
  const enough = waiting.expect()
  try {
    const sent = await owner.command(picoId, name, args)
    const answer = await waiting.thread(picoId, String(sent.threadId), ms)
    return answer === undefined ? undefined : unrefused(answer)
  } finally {
    enough()
  }
}

/** The copy that a move leaves behind is shown and listed, and its log is told; it answers for nothing else. */
const on = (owner: Owner, args: { pico: string }): Promise<PicoId> => owner.here(args.pico)
const onConnection = async (owner: Owner, args: { pico: string; connection: string }) => {
  const picoId = await on(owner, args)
  return { picoId, connection: await owner.connection(picoId, args.connection) }
}
const defined = (members: { readonly [name: string]: Json | undefined }): JsonObject =>
  Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as JsonObject

const verbs: { readonly [N in VerbName]?: Verb<N> } = {
  async 'pico.ls'(owner, { parent }) {
    const picos = await owner.all()
    const parentId = parent === undefined ? undefined : await owner.resolve(parent)
    const wanted =
      parentId === undefined
        ? [...picos.filter(p => p.parentId === null), ...picos.filter(p => p.parentId !== null)]
        : picos.filter(p => p.parentId === parentId)
    return Promise.all(wanted.map(self => owner.record(self)))
  },
  async 'pico.new'(owner, { name, parent, rulesets: urls }) {
    const parentId = parent === undefined ? (await owner.root()).picoId : await owner.resolve(parent)
    const made = await owner.command(parentId, 'pico.new', defined({ name, rulesets: urls ?? [] }))
    const picoId = String(made.picoId)
    const ready = await owner.around.waiting.until(
      parentId,
      BIRTH_MS,
      view => (view.get(GROUP.child, picoId) as { ready?: boolean } | undefined)?.ready === true,
    )
    if (!ready)
      throw new PicoError('pico.unborn', 'the pico was made but has not reported back; see its dead letters', {
        picoId,
      })
    const self = await owner.self(picoId)
    return { picoId, name: self.name, did: self.did, parentId, eci: made.eci ?? null }
  },
  'pico.show': async (owner, { pico }) => owner.record(await owner.self(await owner.resolve(pico))),
  async 'pico.tree'(owner) {
    const roots = (await owner.all()).filter(self => self.parentId === null || self.parentUrl !== null)
    const trees = await Promise.all(roots.map(self => owner.tree(self)))
    // One whose parent moved away stands under the copy of it that is left here, if there is one.
    const below = new Set(trees.flatMap(tree => (tree.children as JsonObject[]).flatMap(livingIn)))
    return trees.filter(tree => !below.has(String(tree.picoId)))
  },
  async 'pico.rename'(owner, args) {
    const picoId = await on(owner, args)
    await owner.command(picoId, 'pico.rename', { name: args.name })
    return owner.record(await owner.self(picoId))
  },
  async 'pico.rm'(owner, args) {
    // One that moved away is its new engine's to delete: from here only its parent's entry would go.
    const picoId = await on(owner, args)
    const self = await owner.self(picoId)
    if (owner.isRoot(self) && (await owner.all()).filter(one => owner.isRoot(one)).length === 1)
      throw new PicoError('pico.root', 'the last root of an engine stays: delete its children, or the whole home')
    const gone = await subtree(owner, picoId)
    const parent = self.parentId
    if (parent !== null && self.parentUrl === null) await owner.command(parent, 'pico.rm', { eci: self.eci })
    else await owner.command(picoId, 'delete', {})
    if (!(await owner.around.waiting.gone(gone, DELETION_MS)))
      throw new PicoError('pico.destroyed', 'the deletion goes on: some goodbyes are still to be delivered')
    return { removed: gone }
  },
  async 'pico.state'(owner, args) {
    const picoId = await on(owner, args)
    return owner.engine.read(picoId, view =>
      Object.fromEntries(rulesets(view).map(({ rid }) => [rid, variables(view, rid)])),
    )
  },

  'channel.ls': async (owner, args) =>
    owner.engine.read(await on(owner, args), view => channels(view).map(channelRecord)),
  'channel.new': async (owner, args) =>
    owner.command(
      await on(owner, args),
      'channel.new',
      defined({ tags: args.tags, events: args.events ?? '', queries: args.queries ?? '' }),
    ),
  async 'channel.rm'(owner, args) {
    const picoId = await on(owner, args)
    const before = (await owner.engine.read(picoId, channels)).find(c => c.id === args.eci)
    await owner.command(picoId, 'channel.rm', { eci: args.eci })
    return before === undefined ? { eci: args.eci } : channelRecord(before)
  },

  'ruleset.ls': async (owner, args) => rulesetRecords(owner, await on(owner, args)),
  async 'ruleset.install'(owner, args) {
    const picoId = await on(owner, args)
    const { rid } = await owner.command(
      picoId,
      'ruleset.install',
      defined({ url: args.url, config: args.config ?? {} }),
    )
    return rulesetRecord(owner, picoId, String(rid))
  },
  async 'ruleset.flush'(owner, { target }) {
    const flushed: JsonObject[] = []
    for (const { picoId } of await owner.all()) {
      // Where it went to it is flushed by its owner there.
      if (!owner.lives(picoId)) continue
      const mine = (await owner.engine.read(picoId, rulesets)).filter(r => r.rid === target || r.url === target)
      for (const { rid } of mine) {
        await owner.command(picoId, 'ruleset.flush', { rid })
        flushed.push({ picoId, ...(await rulesetRecord(owner, picoId, rid)) })
      }
    }
    if (flushed.length === 0) throw new PicoError('ruleset.unknown', `no pico has the ruleset ${target}`)
    return flushed
  },
  async 'ruleset.rm'(owner, args) {
    const picoId = await on(owner, args)
    const before = await rulesetRecord(owner, picoId, args.rid)
    await owner.command(picoId, 'ruleset.rm', { rid: args.rid })
    return before
  },

  async event(owner, { pico, domain, type, attrs, id, eci, wait }) {
    const picoId = await owner.here(pico)
    const stimulus: Stimulus =
      eci === undefined
        ? {
            kind: 'command',
            name: 'event',
            args: { domain, type, attrs },
            ...(id === undefined ? { eid: owner.around.eid() } : { id, eid: eidOf(picoId, id) }),
          }
        : sentEvent({ eci, domain, name: type, attrs, ...defined({ id }) }, owner.around.eid())
    const answer = await owner.engine.submit(picoId, stimulus, wait ? 'applied' : 'accepted')
    return toldOf(answer, String(stimulus.eid), wait) as unknown as JsonObject
  },
  async query(owner, { pico, rid, name, args, eci }) {
    const picoId = await owner.here(pico)
    const answer = await owner.engine.query(picoId, {
      outside: eci !== undefined,
      rid,
      name,
      args,
      depth: 0,
      ...(eci === undefined ? {} : { eci }),
    })
    if ('error' in answer) return unrefused({ error: answer.error as unknown as JsonObject })
    return answer.value
  },

  async invite(owner, args) {
    const { pico, ...rest } = args
    return owner.command(await owner.here(pico), 'invite', defined({ ...rest }))
  },
  async accept(owner, args) {
    const picoId = await on(owner, args)
    const read = readInvitation(args.invitation)
    if (isProblem(read) && read.code !== 'invitation.short') throw new PicoError(read.code, read.message)
    const invitation = isProblem(read) ? await owner.around.fetchInvitation(args.invitation.trim()) : args.invitation
    const made = await owner.command(
      picoId,
      'accept',
      defined({ invitation, events: args.events ?? '', queries: args.queries ?? '' }),
    )
    const connectionId = String(made.connectionId)
    if (!args.wait) return owner.connectionRecord(picoId, connectionId)
    const state = (view: View) => readConnection(view, connectionId)?.state
    await owner.around.waiting.until(picoId, CONNECT_MS, view =>
      ['established', 'failed', 'closed'].includes(state(view) ?? ''),
    )
    const connection = await owner.connectionRecord(picoId, connectionId)
    if (connection.state === 'established') return connection
    const code = connection.state === 'failed' ? 'connection.failed' : 'connection.pending'
    throw new PicoError(code, `the connection is ${String(connection.state)}`, { connection })
  },
  'connection.ls': async (owner, args) =>
    owner.engine.read(await on(owner, args), view => allConnections(view).map(connectionView)),
  async 'connection.show'(owner, args) {
    const { picoId, connection } = await onConnection(owner, args)
    return owner.connectionRecord(picoId, connection)
  },
  async 'connection.rm'(owner, args) {
    const { picoId, connection } = await onConnection(owner, args)
    return owner.command(picoId, 'connection.rm', { connection })
  },
  async 'connection.approve'(owner, args) {
    const { picoId, connection } = await onConnection(owner, args)
    return owner.command(picoId, 'connection.approve', { connection })
  },
  async 'connection.policy'(owner, args) {
    const { picoId, connection } = await onConnection(owner, args)
    return owner.command(
      picoId,
      'connection.policy',
      defined({ connection, events: args.events, queries: args.queries }),
    )
  },

  async 'pico-event'(owner, args) {
    const { picoId, connection } = await onConnection(owner, args)
    return owner.command(picoId, 'pico-event', { connection, domain: args.domain, type: args.type, attrs: args.attrs })
  },
  async 'pico-query'(owner, args) {
    const { picoId, connection } = await onConnection(owner, args)
    const answer = await asked(
      owner,
      picoId,
      'pico-query',
      { connection, rid: args.rid, name: args.name, args: args.args },
      QUERY_MS,
    )
    if (answer === undefined) throw new PicoError('query.timeout', 'the peer did not answer in time')
    return answer.value ?? null
  },
  async ping(owner, args) {
    const { picoId, connection } = await onConnection(owner, args)
    const answer = await asked(owner, picoId, 'ping', { connection }, PING_MS)
    if (answer === undefined) throw new PicoError('connection.silent', 'the peer did not answer the ping in time')
    return answer
  },
  async 'msg.send'(owner, args) {
    const { picoId, connection } = await onConnection(owner, args)
    return owner.command(picoId, 'msg.send', defined({ connection, text: args.text, id: args.id }), args.id)
  },
  async 'msg.ls'(owner, args) {
    const picoId = await on(owner, args)
    const connection = args.connection === undefined ? undefined : await owner.connection(picoId, args.connection)
    const all = await owner.engine.read(picoId, view =>
      [...view.list(GROUP.message)].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, value]) => value as JsonObject),
    )
    return all.filter(message => connection === undefined || message.connectionId === connection)
  },
  async 'didcomm.send'(owner, args) {
    const { picoId, connection } = await onConnection(owner, args)
    return owner.command(
      picoId,
      'didcomm.send',
      defined({ connection, type: args.type, body: args.body, thid: args.thid }),
    )
  },
  async 'thread.ls'(owner, args) {
    const picoId = await on(owner, args)
    const connection = args.connection === undefined ? undefined : await owner.connection(picoId, args.connection)
    const all = await owner.engine.read(picoId, view => view.list(GROUP.thread).map(([, value]) => value as JsonObject))
    return all
      .filter(thread => connection === undefined || thread.connectionId === connection)
      .sort((a, b) => Number(a.updatedAt) - Number(b.updatedAt))
      .map(({ threadId, protocol, role, state, connectionId, updatedAt }) =>
        defined({
          threadId,
          protocol,
          role,
          state,
          connectionId: connectionId ?? null,
          updatedAt: iso(Number(updatedAt)),
        }),
      )
  },

  async logs(owner, { pico, n }) {
    const picoId = pico === undefined ? undefined : await owner.resolve(pico)
    return [...owner.around.logs(picoId, n ?? 200)] as Json
  },
  rejected: async (owner, args) => owner.around.refused(await on(owner, args)) as unknown as Json,
  async 'dead.retry'(owner, args) {
    const picoId = await on(owner, args)
    const dead = await owner.engine.read(picoId, view => view.get(OWN.dead, args.id) as JsonObject | undefined)
    if (dead === undefined) throw new PicoError('letter.unknown', 'there is no such dead letter')
    if (dead.letter !== undefined) await owner.command(picoId, 'letter.retry', { id: args.id, letter: dead.letter })
    else {
      // What it does applies once under its old id; the entry goes when it was taken.
      if (dead.stored !== undefined) await owner.engine.accept(picoId, dead.stored)
      else await owner.engine.submit(picoId, dead.stimulus as unknown as Stimulus, 'accepted')
      await owner.command(picoId, 'dead.rm', { id: args.id })
    }
    return deadRecord(args.id, dead)
  },
  async 'dead.rm'(owner, args) {
    const picoId = await on(owner, args)
    const dead = await owner.engine.read(picoId, view => view.get(OWN.dead, args.id) as JsonObject | undefined)
    await owner.command(picoId, 'dead.rm', { id: args.id })
    return deadRecord(args.id, dead ?? {})
  },
  async 'dead.ls'(owner, args) {
    const picoId = await on(owner, args)
    return owner.engine.read(picoId, view =>
      view.list(OWN.dead).map(([id, value]) => deadRecord(id, value as JsonObject)),
    )
  },
}

function deadRecord(id: string, dead: JsonObject): JsonObject {
  const { kind, at, attempts, code, message } = dead
  return {
    id,
    kind: kind ?? null,
    at: typeof at === 'number' ? iso(at) : (at ?? null),
    attempts: attempts ?? 0,
    code: code ?? null,
    message: message ?? null,
  }
}

/** The picos of a branch that are here; a child elsewhere is only named. */
function livingIn(branch: JsonObject): string[] {
  const here = 'parentId' in branch ? [String(branch.picoId)] : []
  return [...here, ...(branch.children as JsonObject[]).flatMap(livingIn)]
}

async function subtree(owner: Owner, picoId: PicoId, above: readonly PicoId[] = []): Promise<PicoId[]> {
  const way = [...above, picoId]
  const kin = await owner.engine.read(picoId, children)
  const here = kin.filter(
    ({ picoId: child, movedTo }) =>
      movedTo === undefined &&
      !way.includes(child) &&
      owner.engine.registered(child) !== undefined &&
      owner.lives(child),
  )
  const below = await Promise.all(here.map(child => subtree(owner, child.picoId, way)))
  return [picoId, ...below.flat()]
}
