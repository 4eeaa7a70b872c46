// What people and programs do with the engines of a simulation: picos are made, connected by real invitations, sent
// numbered events until each is acknowledged, and asked. Everything is tried again until it is answered.

import type { Node } from '../../src/node.ts'
import type { Json, JsonObject } from '../../src/ports.ts'
import type { Chance } from './chance.ts'
import type { Machine } from './machine.ts'
import type { Network } from './network.ts'
import type { Time } from './time.ts'

export const RULES = 'http://rules.test/sim.counter.krl'
const RID = 'sim.counter'

/** A pico and where it lives now, as those know it who talk to it. */
export interface Party {
  readonly name: string
  machine: Machine
  /** Between two machines at this moment. */
  moving: boolean
  readonly picoId: string
  readonly eci: string
  /** Acknowledged events, in the order they were begun, by the connection they were sent over. */
  readonly acknowledged: string[]
  readonly bonds: Bond[]
}

/** One connection as one side sees it. */
export interface Bond {
  readonly connectionId: string
  readonly peer: Party
  /** The peer's view of the same. */
  other: Bond | undefined
  myDid?: string
}

export interface Tally {
  readonly sent: string[]
  readonly sentCount: number
  readonly got: string[]
  readonly gotCount: number
  readonly back: string[]
  readonly backCount: number
}

export class Talk {
  readonly parties: Party[] = []
  private readonly time: Time
  private readonly chance: Chance
  private readonly network: Network
  private readonly broken: (what: string) => void
  private commands = 0

  constructor(time: Time, chance: Chance, network: Network, broken: (what: string) => void) {
    this.time = time
    this.chance = chance
    this.network = network
    this.broken = broken
  }

  // ---- picos -------------------------------------------------------------------------------------------------------

  /** A pico with the counter, the root of its machine or a child of it. */
  async pico(machine: Machine, name: string, child: boolean): Promise<Party> {
    const root = { machine, picoId: (await this.on({ machine }, node => node.owner.root())).picoId }
    const picoId = child ? await this.child(root, name) : root.picoId
    const at = { machine, picoId }
    const { eci } = await this.command(at, 'channel.new', { tags: ['sim'], events: '*', queries: '*' })
    await this.command(at, 'ruleset.install', { url: RULES, config: {} })
    const party: Party = { name, machine, moving: false, picoId, eci: String(eci), acknowledged: [], bonds: [] }
    this.parties.push(party)
    return party
  }

  private async child(parent: { machine: Machine; picoId: string }, name: string): Promise<string> {
    const { picoId } = await this.command(parent, 'pico.new', { name, rulesets: [] })
    const id = String(picoId)
    await this.on(parent, node => node.owner.self(id), ['pico.unknown'])
    return id
  }

  /** A command of the owner, under an id, so that it is done once however often it is tried. */
  command(to: { machine: Machine; picoId: string }, name: string, args: JsonObject): Promise<JsonObject> {
    const id = `command-${this.commands++}`
    return this.on(to, node => node.owner.command(to.picoId, name, args, id), [
      'ruleset.unreachable',
      'pico.moved',
      'pico.unknown',
    ])
  }

  /** Until the machine that a party lives on at that moment has done it; `passing` codes are not the end either. */
  async on<T>(
    to: { readonly machine: Machine },
    work: (node: Node) => Promise<T>,
    passing: readonly string[] = [],
  ): Promise<T> {
    for (;;) {
      const tried = await to.machine.attempt(work)
      if (tried !== undefined && 'value' in tried) return tried.value
      if (tried !== undefined && !tried.passes && !passing.includes(tried.error))
        throw new Error(`${tried.error}: ${tried.message}`)
      await this.time.sleep(100)
    }
  }

  // ---- connections ---------------------------------------------------------------------------------------------------

  /** Connects two picos by an invitation behind its short URL; both bonds, once both sides are established. */
  async connect(inviter: Party, invitee: Party, version: 'v1' | 'v2'): Promise<void> {
    const policy = { events: '*', queries: '*' }
    const invitation = await this.command(inviter, 'invite', { version, multi: false, approve: false, ...policy })
    const content = await this.http('GET', String(invitation.shortUrl), undefined)
    const accepted = await this.command(invitee, 'accept', { invitation: content, ...policy })
    const mine: Bond = { connectionId: String(accepted.connectionId), peer: inviter, other: undefined }
    const { myDid } = await this.established(invitee, mine.connectionId)
    const found = await this.mirrored(inviter, String(myDid))
    const theirs: Bond = {
      connectionId: String(found.connectionId),
      peer: invitee,
      other: mine,
      myDid: String(found.myDid),
    }
    mine.other = theirs
    mine.myDid = String(myDid)
    invitee.bonds.push(mine)
    inviter.bonds.push(theirs)
  }

  private async established(party: Party, connectionId: string): Promise<JsonObject> {
    for (;;) {
      const record = await this.connection(party, connectionId)
      if (record.state === 'established') return record
      if (record.state === 'failed' || record.state === 'closed')
        this.broken(`${party.name}: the connection is ${record.state}`)
      await this.time.sleep(200)
    }
  }

  private async mirrored(party: Party, theirDid: string): Promise<JsonObject> {
    for (;;) {
      const found = (await this.connections(party)).find(
        one => one.theirDid === theirDid && one.state === 'established',
      )
      if (found !== undefined) return found
      await this.time.sleep(200)
    }
  }

  connection(party: Party, connectionId: string): Promise<JsonObject> {
    return this.on(party, node => node.owner.connectionRecord(party.picoId, connectionId), GONE)
  }

  async connections(party: Party): Promise<JsonObject[]> {
    return (await this.on(
      party,
      node => node.owner.verb('connection.ls', { pico: party.picoId }),
      GONE,
    )) as JsonObject[]
  }

  // ---- traffic -------------------------------------------------------------------------------------------------------

  /** `count` numbered events to `from`, which tells its peer of each; some begin before the last is acknowledged. */
  async send(from: Party, bond: Bond, label: string, count: number): Promise<void> {
    const open: Promise<void>[] = []
    for (let i = 0; i < count; i++) {
      open.push(this.event(from, bond, `${label}-${String(i).padStart(3, '0')}`))
      await this.time.sleep(this.chance.between(1, 400))
      if (this.chance.happens(0.5)) await Promise.all(open.splice(0))
    }
    await Promise.all(open)
  }

  private async event(to: Party, bond: Bond, n: string): Promise<void> {
    const way = this.chance.happens(0.5) ? 'event' : 'event-wait'
    const body = { n, connection: bond.connectionId }
    await this.http('POST', () => `${to.machine.baseUrl}/c/${to.eci}/${way}/sim/send`, body, n)
    to.acknowledged.push(n)
  }

  /** One look at a pico's counters over its channel: whatever the moment, no rule is seen half done. */
  async look(party: Party): Promise<Tally> {
    const tally = (await this.http(
      'GET',
      () => `${party.machine.baseUrl}/c/${party.eci}/query/${RID}/tally`,
      undefined,
    )) as unknown as Tally
    for (const [list, count] of [
      ['sent', 'sentCount'],
      ['got', 'gotCount'],
      ['back', 'backCount'],
    ] as const)
      if (tally[list].length !== tally[count])
        this.broken(`${party.name}: torn: ${tally[list].length} ${list} and ${tally[count]} counted`)
    return tally
  }

  /** A query to the peer over the connection; its answer comes as a message. */
  async ask(party: Party, bond: Bond): Promise<void> {
    await this.command(party, 'pico-query', { connection: bond.connectionId, rid: RID, name: 'tally', args: {} })
  }

  // ---- moving --------------------------------------------------------------------------------------------------------

  /** Moves a pico; whatever dies meanwhile, the move is resumed, or ended and begun anew, until the pico lives there. */
  async move(party: Party, target: Machine): Promise<void> {
    const source = party.machine
    party.moving = true
    // A build that loses what it synced may have lost the pico: then no move of it ever ends.
    for (let tries = 0; !(await this.moved(party, source, target)); tries++) {
      if (tries === MOVE_TRIES) throw new Error('the move does not end')
      await this.time.sleep(this.chance.between(50, 2_000))
    }
    party.machine = target
    party.moving = false
  }

  private async moved(party: Party, source: Machine, target: Machine): Promise<boolean> {
    const all = (await this.on({ machine: source }, node => node.moves.ls())) as JsonObject[]
    const mine = all
      .filter(one => one.picoId === party.picoId && one.role === 'source' && one.state !== 'aborted')
      .at(-1)
    if (mine !== undefined && ARRIVED.includes(String(mine.state))) return true
    if (mine === undefined) {
      const ticket = (await this.on({ machine: target }, node => node.moves.ticket())) as JsonObject
      await source.attempt(node => node.moves.run(party.picoId, String(ticket.ticket)))
    } else if (this.chance.happens(0.3)) await source.attempt(node => node.moves.abort(String(mine.moveId)))
    else await source.attempt(node => node.moves.resume(String(mine.moveId)))
    return false
  }

  /** Until the move is done; whether every peer knows the new address: one that has not yet said whether it can be told
   *  is not waited for, and needs the old engine. */
  async drained(party: Party, source: Machine): Promise<boolean> {
    for (;;) {
      const all = (await this.on({ machine: source }, node => node.moves.ls())) as JsonObject[]
      const done = all.find(one => one.picoId === party.picoId && one.state === 'done')
      if (done !== undefined) return (done.peers as { told: boolean }[]).every(({ told }) => told)
      await this.time.sleep(500)
    }
  }

  /** Until it is answered with 200. */
  private async http(
    method: string,
    url: string | (() => string),
    body: JsonObject | undefined,
    key?: string,
  ): Promise<Json> {
    for (let pause = 100; ; pause = Math.min(pause * 2, 5_000)) {
      const headers = {
        accept: 'application/json',
        'content-type': 'application/json',
        ...(key === undefined ? {} : { 'idempotency-key': key }),
      }
      const to = typeof url === 'string' ? url : url()
      const answer = await this.network.request('client', {
        method,
        url: to,
        headers,
        followRedirect: true,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      const status = Number(answer.status_code)
      if (status === 200) return JSON.parse(String(answer.content)) as Json
      if (status >= 400 && status < 500 && status !== 404 && status !== 429)
        this.broken(`${method} ${to} answered ${status} ${String(answer.content)}`)
      await this.time.sleep(pause)
    }
  }
}

const MOVE_TRIES = 300
const ARRIVED = ['active', 'draining', 'done']
const GONE = ['pico.moved', 'pico.unknown']
