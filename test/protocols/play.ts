// Plays a transcript: two parties with real tables, a real serialise-parse round for every message, and keys that are
// names (the wallet's part of `Turn`, local to this test). What a line does is printed in full under it; with
// PICOMESH_REWRITE=1 the file is written anew, and the difference is what to read. Each move is held to four laws.

import { expect } from '@jest/globals'
import { attachmentText } from '../../protocols/attachment.ts'
import { dispatch, features, protocols, refuseUnknown } from '../../protocols/index.ts'
import { advance } from '../../protocols/machine.ts'
import {
  idKey,
  isExpired,
  isObject,
  isProblem,
  type Json,
  type JsonObject,
  type Message,
  type Problem,
  parseMessage,
  problem,
  type Version,
} from '../../protocols/message.ts'
import { serialise } from '../../protocols/outgoing.ts'
import type {
  Circumstances,
  ConnectionFacts,
  Moved,
  Outgoing,
  Protocol,
  Refused,
  Relation,
  Resolved,
  Row,
  Thread,
  Trigger,
} from '../../protocols/turn.ts'

/** Rows that some transcript took: `protocol role state trigger index`. */
export const taken = new Set<string>()

const watched = new Map(protocols.map(protocol => [protocol.name, watch(protocol)]))

/** The same table, noting each row whose `to` is read: only a move reads it. */
function watch(protocol: Protocol): Protocol {
  const map = <T, U>(o: { readonly [k: string]: T }, f: (v: T, k: string) => U) =>
    Object.fromEntries(Object.entries(o).map(([k, v]) => [k, f(v, k)]))
  const roles = map(protocol.roles, (states, role) =>
    map(states, (triggers, state) =>
      map(triggers, (row, trigger) =>
        (Array.isArray(row) ? (row as Row[]) : [row as Row]).map((one, index) =>
          Object.defineProperty({ ...one }, 'to', {
            get() {
              taken.add([protocol.name, role, state, trigger, index].join(' '))
              return one.to
            },
          }),
        ),
      ),
    ),
  )
  return { ...protocol, roles }
}

interface Did {
  readonly owner: string
  readonly long: string
  readonly short: string
  readonly keys: readonly string[]
}

interface Party {
  readonly name: string
  count: number
  readonly threads: Map<string, Thread>
  readonly connections: Map<string, ConnectionFacts>
  readonly seen: Set<string>
  readonly allowed: Set<string>
}

type Facts = Omit<Partial<Circumstances>, 'connection'> & { readonly connection?: ConnectionFacts | undefined }

interface Envelope {
  readonly version: Version
  readonly json: JsonObject
  readonly from: string
  readonly to: string
  readonly fromPrior?: { readonly iss: string; readonly sub: string }
}

export function play(script: string): string {
  return new Stage().run(script)
}

class Stage {
  now = Date.UTC(2025, 0, 1)
  readonly dids = new Map<string, Did>()
  readonly parties = new Map<string, Party>()
  queue: Envelope[] = []
  last: Envelope | undefined
  invitation: JsonObject = {}
  lines: string[] = []

  /** Commands are the lines that start with `> ` or `#`; everything else is consequence and is made anew. */
  run(script: string): string {
    for (const name of ['alice', 'bob']) this.party(name)
    const blocks = script.split('\n').filter(line => line.startsWith('> ') || line.startsWith('#'))
    const told = blocks.map(line => {
      this.lines = []
      if (line.startsWith('> ')) this.perform(line.slice(2).trim())
      return [line, ...this.lines].join('\n')
    })
    return `${told.join('\n\n')}\n`
  }

  perform(line: string): void {
    const [verb, ...rest] = line.split(' ') as [string, ...string[]]
    const verbs: { readonly [verb: string]: () => void } = {
      show: () => this.say(`  ${shorten(this.invitation)}`),
      connect: () => this.connect(rest[0] as Version),
      deliver: () => this.deliverNext(rest[0] === 'all' ? Number.POSITIVE_INFINITY : 1),
      drop: () => this.drop(),
      again: () => this.receive(this.last!),
      wait: () => this.wait(Number(rest[0])),
      allow: () => this.party(rest[0]!).allowed.add(rest.slice(1).join(' ')),
      inject: () => this.inject(rest),
    }
    if (verbs[verb]) {
      verbs[verb]()
      return
    }
    const match = /^(\w+)( v1| v2)?: ([a-z-]+) ([a-z-]+)(?: (\{.*\}))?$/.exec(line)
    if (!match) throw new Error(`what is "${line}"?`)
    const args = JSON.parse(
      (match[5] ?? '{}').replace('"$invitation"', () => JSON.stringify(this.invitation)),
    ) as JsonObject
    this.command(this.party(match[1]!), match[3]!, match[4]!, args, match[2]?.trim() as Version | undefined)
  }

  party(name: string): Party {
    const found = this.parties.get(name)
    if (found) return found
    const made = {
      name,
      count: 0,
      threads: new Map(),
      connections: new Map(),
      seen: new Set<string>(),
      allowed: new Set<string>(),
    }
    this.parties.set(name, made)
    this.drawDid(made, `did:key:z6Mk${name}`, `did:key:z6Mk${name}`, [`did:key:z6Mk${name}`])
    return made
  }

  drawDid(owner: Party, long: string, short: string, keys: string[]): { did: string; short: string } {
    const did = { owner: owner.name, long, short, keys }
    for (const name of [long, short]) this.dids.set(name, did)
    return { did: long, short }
  }

  say(line: string): void {
    this.lines.push(line)
  }

  // ---- what happens --------------------------------------------------------------------------------------------

  connect(version: Version): void {
    this.command(this.party('alice'), 'out-of-band', 'invite', {}, version)
    this.command(
      this.party('bob'),
      version === 'v1' ? 'didexchange' : 'first-contact',
      'accept',
      { invitation: this.invitation },
      version,
    )
    this.deliverNext(Number.POSITIVE_INFINITY)
    this.lines = ['(alice and bob are connected)']
  }

  deliverNext(count: number): void {
    for (let n = 0; n < count && this.queue.length > 0; n++) {
      this.last = this.queue.shift()!
      this.receive(this.last)
    }
  }

  drop(): void {
    this.say(`(${this.queue.length} messages are lost)`)
    this.queue = []
  }

  wait(seconds: number): void {
    this.now += seconds * 1000
    for (const party of this.parties.values()) {
      for (const thread of [...party.threads.values()].filter(
        one => (one.expiresAt ?? Number.POSITIVE_INFINITY) <= this.now,
      )) {
        this.step(party, thread.protocol, thread, 'timeout', { connection: this.connectionOf(party, thread) })
      }
    }
  }

  /** `inject alice v1 did:… {…}`: a message by somebody whose key is that DID's; `@bob`: bob's latest DID. `$id` is the last thread's id. */
  inject([name, version, by, ...json]: string[]): void {
    const from = by!.startsWith('@')
      ? [...this.dids.values()].filter(did => did.owner === by!.slice(1)).at(-1)!.short
      : by!
    const party = this.party(name!)
    const threads = [...party.threads.values()]
    const latest = threads.at(-1)
    const source = json
      .join(' ')
      .replaceAll('$id', latest?.threadId ?? 'none')
      .replaceAll('$pid', latest?.pthid ?? 'none')
    const own = [...this.dids.values()].filter(did => did.owner === name).at(-1)!
    if (!this.dids.has(from)) this.drawDid(this.party('mallory'), from, from, [`${from}-key`])
    this.receive({ version: version as Version, json: JSON.parse(source) as JsonObject, from: from, to: own.short })
  }

  command(party: Party, name: string, command: string, args: JsonObject, version?: Version): void {
    const able = [...party.threads.values()].filter(
      thread => thread.protocol === name && this.takes(thread, `command ${command}`),
    )
    const thread = able.at(-1)
    const connection =
      this.connectionOf(party, thread) ??
      [...party.connections.values()].filter(one => one.theirDid && one.myDid).at(-1)
    const facing = version === undefined || thread ? connection : undefined
    this.step(party, name, thread, `command ${command}`, {
      args,
      version: version ?? thread?.version ?? connection?.version ?? 'v1',
      ...(facing && { connection: facing }),
    })
  }

  takes(thread: Thread, trigger: string): boolean {
    return watched.get(thread.protocol)!.roles[thread.role]![thread.state]![trigger] !== undefined
  }

  connectionOf(party: Party, thread: Thread | undefined): ConnectionFacts | undefined {
    return thread?.connectionId === undefined ? undefined : party.connections.get(thread.connectionId)
  }

  /** What the inbox does before the tables: form, replay, expiry, and whose connection it is. */
  receive(envelope: Envelope): void {
    const own = this.dids.get(envelope.to.split('#')[0]!)!
    const from = this.dids.get(envelope.from)!
    const party = this.party(own.owner)
    const message = parseMessage(envelope.json, envelope.version)
    const seen = isProblem(message) ? '' : `${from.short} ${idKey(message.id)}`
    if (isProblem(message)) this.refused(party, message)
    else if (party.seen.has(seen)) this.say(`${party.name} has seen ${message.id}`)
    else if (isExpired(message, this.now)) this.refused(party, problem('message.expired', 'past its time'))
    else if (this.handle(party, envelope, message, own, from)) party.seen.add(seen)
  }

  handle(party: Party, envelope: Envelope, message: Message, own: Did, from: Did): boolean {
    const connection = [...party.connections.values()].find(one => one.theirDid === from.short)
    const given = {
      message,
      version: message.version,
      sender: { key: from.keys[0]!, did: from.short },
      recipient: envelope.version === 'v1' ? own.keys[0]! : own.short,
      ...(connection && { connection }),
      ...(envelope.fromPrior && { fromPrior: envelope.fromPrior }),
    }
    const found = dispatch(message, id => party.threads.get(idKey(id)))
    if (isProblem(found)) this.refused(party, refuseUnknown(found, this.circumstances(party, given)))
    const parent = isProblem(found) || !found.parent ? {} : { parent: found.parent }
    return (
      !isProblem(found) && this.step(party, found.protocol.name, found.thread, found.trigger, { ...given, ...parent })
    )
  }

  // ---- one move, its laws, its consequences --------------------------------------------------------------------

  step(party: Party, name: string, thread: Thread | undefined, trigger: Trigger, given: Facts): boolean {
    const protocol = watched.get(name)!
    const parent = given.parent ?? (thread?.pthid === undefined ? undefined : party.threads.get(idKey(thread.pthid)))
    const circumstances = this.circumstances(party, { ...given, ...(parent && { parent }) })
    const before = JSON.stringify(thread)
    const start = party.count
    const moved = advance(protocol, thread, trigger, circumstances)
    const count = party.count
    party.count = start
    expect(JSON.stringify(advance(protocol, thread, trigger, circumstances))).toBe(JSON.stringify(moved))
    party.count = count
    expect(JSON.stringify(thread)).toBe(before)
    if (isProblem(moved)) {
      this.refused(party, moved)
      return false
    }
    expect(JSON.parse(JSON.stringify(moved.thread))).toStrictEqual(moved.thread)
    expect(protocol.roles[moved.thread.role]).toHaveProperty([moved.thread.state])
    this.apply(party, protocol, thread, trigger, moved)
    if (trigger.startsWith('receive ') && (protocol.retain || !moved.final))
      this.repeated(party, protocol, moved, trigger, circumstances)
    return true
  }

  /** The message once more, should the seen set ever be lost: the thread stays where it is. */
  repeated(party: Party, protocol: Protocol, moved: Moved, trigger: Trigger, given: Circumstances): void {
    const count = party.count
    const noted = new Set(taken)
    const connection = this.connectionOf(party, moved.thread)
    const again = advance(protocol, moved.thread, trigger, { ...given, ...(connection && { connection }) })
    party.count = count
    for (const row of taken) if (!noted.has(row)) taken.delete(row)
    if (!isProblem(again))
      expect([again.thread.state, again.thread.data]).toStrictEqual([moved.thread.state, moved.thread.data])
  }

  circumstances(party: Party, given: Facts): Circumstances {
    const { connection, ...rest } = given
    const stage = this
    return {
      now: this.now,
      version: 'v1',
      args: {},
      label: party.name,
      baseUrl: `http://${party.name}.example`,
      endpoint: { uri: `http://${party.name}.example/didcomm`, routingKeys: [] },
      features,
      draw: {
        id: () => `${party.name}-${String(++party.count).padStart(4, '0')}`,
        did(kind) {
          const tail = `${party.name}-${++party.count}`
          if (kind === 'key')
            return stage.drawDid(party, `did:key:z6MkFake-${tail}`, `did:key:z6MkFake-${tail}`, [
              `did:key:z6MkFake-${tail}`,
            ])
          if (kind === 'peer2')
            return stage.drawDid(party, `did:peer:2fake-${tail}`, `did:peer:2fake-${tail}`, [
              `did:key:z6MkPeer-${tail}`,
            ])
          return stage.drawDid(party, `did:peer:4fake-${tail}:long`, `did:peer:4fake-${tail}`, [
            `did:key:z6MkPeer-${tail}`,
          ])
        },
      },
      sign: (text, key) => ({ base64: btoa(text), jws: { header: { kid: key }, signature: `by ${key}` } }),
      verify(data, keys) {
        const jws = data.jws as JsonObject | undefined
        const signed = keys.some(key => jws?.signature === `by ${key.split('#')[0]}`)
        return signed ? attachmentText({ data }) : problem('message.forged', 'not signed by those keys')
      },
      resolve: (did, document) => stage.resolve(did, document),
      allows: (kind, domain, name) => party.allowed.has(`${kind} ${domain}:${name}`),
      ticket: ticket => party.allowed.has(ticket),
      ...rest,
      ...(connection && { connection }),
    }
  }

  resolve(did: string, document?: JsonObject): Resolved | Problem {
    if (document) {
      const keys = document.keys as string[]
      const known = this.dids.get(did) ?? { owner: 'mallory', long: did, short: did, keys }
      this.dids.set(did, known)
    }
    const found = this.dids.get(did)
    return found && (found.long === did || document || !did.includes('4fake'))
      ? { did, short: found.short, keys: found.keys }
      : problem('did.unresolvable', 'no such DID')
  }

  apply(party: Party, protocol: Protocol, before: Thread | undefined, trigger: Trigger, moved: Moved): void {
    const { thread } = moved
    const expiry = thread.expiresAt === undefined ? '' : `, until +${(thread.expiresAt - this.now) / 1000}s`
    const opening = before?.state ?? Object.keys(protocol.roles[thread.role]!)[0]
    this.say(
      `${party.name} ${protocol.name} ${thread.role}: ${opening} -> ${thread.state} (${trigger}; thread ${thread.threadId}${expiry})`,
    )
    if (!moved.final || protocol.retain) party.threads.set(idKey(thread.threadId), thread)
    else if (before) party.threads.delete(idKey(thread.threadId))
    if (moved.relation) this.relate(party, moved.relation)
    for (const { domain, name, attrs, tunnelled } of moved.events) {
      const generic =
        domain === 'didcomm' && name === 'message_received'
          ? ''
          : domain.startsWith('didcomm_')
            ? ''
            : ` ${shorten(hidden(attrs))}`
      this.say(`  event ${domain}:${name}${tunnelled ? ' (of the peer)' : ''}${generic}`)
    }
    for (const outgoing of moved.outgoing) this.post(outgoing)
    if (moved.ask) this.say(`  ask ${shorten(moved.ask as unknown as Json)}`)
    if (moved.answer) this.say(`  answer ${shorten(hidden(moved.answer))}`)
    if (isObject(moved.answer?.invitation)) this.invitation = moved.answer.invitation
    if (moved.parent) {
      const parent = party.threads.get(idKey(moved.parent.threadId))!
      this.step(party, parent.protocol, parent, `command ${moved.parent.command}`, {})
    }
  }

  relate(party: Party, relation: Relation): void {
    const { connectionId, myDid, theirDid, addresses, disclosed, policy, ...facts } = relation
    const old = party.connections.get(connectionId)
    const base = old ?? {
      connectionId,
      state: 'invited',
      role: '',
      version: 'v1' as const,
      label: '',
      myDid: null,
      theirDid: null,
    }
    const made: ConnectionFacts = {
      ...base,
      ...facts,
      ...(myDid && { myDid: myDid.short }),
      ...(theirDid && { theirDid: theirDid.short }),
    }
    party.connections.set(connectionId, made)
    const shown = {
      ...made,
      ...(policy !== undefined && { policy }),
      ...(addresses && { addresses }),
      ...(disclosed && { disclosed }),
    }
    this.say(`  connection ${shorten(shown as unknown as Json)}`)
  }

  refused(party: Party, refusal: Refused): void {
    this.say(`${party.name} refuses: ${refusal.code} (${refusal.message})`)
    if (refusal.report) this.post(refusal.report)
  }

  post({ message, from, to, fromPrior }: Outgoing): void {
    const json = JSON.parse(JSON.stringify(serialise(message))) as JsonObject
    const target = typeof to === 'string' ? to : to.recipientKeys[0]!
    this.say(
      `  send to ${target}${fromPrior ? ` (${fromPrior.iss} vouches for ${fromPrior.sub})` : ''} ${shorten(json)}`,
    )
    this.queue.push({ version: message.version, json, from, to: target, ...(fromPrior && { fromPrior }) })
  }
}

/** An invitation is shown once, by `> show`. */
function hidden(object: JsonObject): JsonObject {
  return 'invitation' in object ? { ...object, invitation: '…', url: '…' } : object
}

function shorten(value: Json): string {
  return JSON.stringify(value, (_name, part) =>
    typeof part === 'string' && part.length > 100 ? `${part.slice(0, 60)}…${part.length}` : part,
  )
}
