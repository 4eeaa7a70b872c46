// Moving a pico between two engines (DESIGN 5; the messages and stages are the table protocols/move.ts). Every move is
// one sealed record of the engine, written before the next message leaves; the commit point is the pico's own registry
// record at the source, and a crash between the two is mended from it.

import { advance } from '../protocols/machine.ts'
import type { Message } from '../protocols/message.ts'
import { MOVE, move } from '../protocols/move.ts'
import type { Moved, Refused, Thread, Trigger } from '../protocols/turn.ts'
import { base64url, hex, utf8 } from '../wallet/bytes.ts'
import type { Vault } from '../wallet/vault.ts'
import type { Engine } from './engine.ts'
import { asPicoError, errorRow, PicoError } from './errors.ts'
import type { Keyrings } from './inbox.ts'
import { MOVE_STATES_BEFORE_COMMIT, type MoveRecord, picoOf, readTicket, type Ticket, text } from './move-record.ts'
import { MoveSource } from './move-source.ts'
import { MoveTarget } from './move-target.ts'
import type { OwnMail } from './own-mail.ts'
import type { Clock, Json, JsonObject, PicoId, Random } from './ports.ts'
import { type PeerTold, peersTold } from './relocation.ts'
import type { Sources, Table } from './sources.ts'
import type { HttpClient } from './transports/client.ts'

export interface MoveAround {
  readonly engine: () => Engine
  readonly sources: Sources
  readonly keyrings: Keyrings
  readonly vault: () => Vault
  readonly client: HttpClient
  /** Named records of the engine, sealed, synced when `put` resolves. */
  readonly named: Table
  readonly clock: Clock
  readonly baseUrl: () => string
  readonly engineDid: () => string
  readonly log: (record: JsonObject) => void
  /** For the console's stream. */
  readonly changed: (move: JsonObject) => void
  readonly random: Random
  /** How long a source asks a silent target before it gives a move up that is not committed, ms; 30 s. */
  readonly patience_ms?: number
  /** Awaited when a move's new state is on disk, before the next message leaves. */
  readonly reached?: (moveId: string, state: string, role: string) => Promise<void>
}

type KeptTicket = Pick<Ticket, 'id' | 'secret' | 'expires'> & { readonly usedBy?: string }

const TICKET_S = 15 * 60
/** After a disk that failed. */
const AGAIN_MS = 1000
const INDEX = 'moves'
const TICKETS = 'move-tickets'
const BASE_URL = 'base-url'
const recordName = (moveId: string): string => `move/${moveId}`

export class Moves {
  readonly around: MoveAround
  stopped = false
  private readonly records = new Map<string, MoveRecord>()
  private readonly source: MoveSource
  private readonly target: MoveTarget
  private readonly sleeping = new Set<() => void>()
  private ticketTurn: Promise<void> = Promise.resolve()
  private mail_: OwnMail | undefined

  constructor(around: MoveAround) {
    this.around = around
    this.source = new MoveSource(this)
    this.target = new MoveTarget(this)
  }

  /** The engine's mail, by which moves are spoken of. */
  attach(mail: OwnMail): void {
    this.mail_ = mail
  }

  get mail(): OwnMail {
    if (this.mail_ === undefined) throw new Error('moves without mail')
    return this.mail_
  }

  // ---- life ----------------------------------------------------------------------------------------------------

  /** Reads the moves and goes on with what is committed, in the background; what is not waits for `resume` or `abort`. */
  async start(): Promise<void> {
    const { named } = this.around
    for (const id of (named.get(INDEX) as string[] | undefined) ?? []) {
      const found = named.get(recordName(id)) as unknown as MoveRecord | undefined
      if (found) this.records.set(id, found)
    }
    await this.source.start()
    this.background(this.target.start(), 'move.target')
    this.background(this.followAddress(), 'move.address')
  }

  /** Ends what goes on in the background; disk and peers keep what was said. */
  stop(): void {
    this.stopped = true
    this.source.stop()
    this.mail_?.stop()
    for (const wake of this.sleeping) wake()
    this.sleeping.clear()
  }

  // The address of this engine is another than at its last start: every pico tells its peers.
  private async followAddress(): Promise<void> {
    const { engine, named, baseUrl } = this.around
    const url = baseUrl()
    const last = named.get(BASE_URL)
    if (last === url) return
    if (typeof last === 'string')
      for (const { picoId, status } of await engine().picos()) {
        if (this.stopped) return
        if (status === 'live') await engine().submit(picoId, { kind: 'command', name: 'relocate', args: {} }, 'applied')
      }
    await named.put(BASE_URL, url)
  }

  // ---- the owner's verbs ---------------------------------------------------------------------------------------

  /** A one-time ticket for a move to this engine: `{ticket}`. */
  async ticket(expires_s: number = TICKET_S): Promise<Json> {
    const { clock, baseUrl, engineDid } = this.around
    const made = { id: this.random(8), secret: this.random(24), expires: clock.now() + expires_s * 1000 }
    await this.rewriteTickets(tickets => [...tickets, made])
    const ticket: Ticket = { did: engineDid(), url: baseUrl(), ...made }
    return { ticket: base64url(utf8(JSON.stringify(ticket))) }
  }

  /** Moves a pico to where the ticket is from; ends at `active` or `aborted`. Throws move.ticket, move.state, pico.*. */
  async run(picoId: PicoId, ticket: string): Promise<Json> {
    const read = readTicket(ticket)
    if (read === undefined)
      throw new PicoError('move.ticket', 'That is no ticket: make one by `move ticket` on the target.')
    if (read.expires <= this.around.clock.now()) throw new PicoError('move.ticket', 'The ticket has expired.')
    if (read.did === this.around.engineDid()) throw new PicoError('move.state', 'The ticket is of this very engine.')
    return this.source.begin(picoId, read, ticket)
  }

  async ls(): Promise<Json> {
    return Promise.all([...this.records.values()].sort((a, b) => a.at - b.at).map(record => this.view(record)))
  }

  async show(moveId: string): Promise<Json> {
    return this.view(this.need(moveId))
  }

  /** Goes on with a move. At the source it ends as `run` does; a target only shows where it stands: it waits for the source. */
  async resume(moveId: string): Promise<Json> {
    const record = this.need(moveId)
    return record.thread.role === 'source' ? this.source.resume(moveId) : this.view(record)
  }

  /** Ends a move before its commit: nothing happened. Throws move.state after it, and at a target. */
  async abort(moveId: string): Promise<Json> {
    const record = this.need(moveId)
    if (record.thread.role !== 'source')
      throw new PicoError('move.state', 'Only the engine that the pico comes from can end a move.')
    return this.source.abort(moveId)
  }

  /** What the owner sees of a move. */
  async view(record: MoveRecord): Promise<JsonObject> {
    const { thread, bytes, pause_ms, reason } = record
    const peers = await this.peersOf(record)
    const shown = { ...this.brief(record), bytes, pause_ms, peers: peers.map(peer => ({ ...peer })) }
    return reason === undefined || thread.state !== 'aborted' ? shown : { ...shown, reason: { ...reason } }
  }

  private brief({ thread }: MoveRecord): JsonObject {
    return { moveId: thread.threadId, picoId: thread.data.picoId ?? null, state: thread.state, role: thread.role }
  }

  private async peersOf(record: MoveRecord): Promise<readonly PeerTold[]> {
    const picoId = picoOf(record)
    const engine = this.around.engine()
    const status = engine.registered(picoId)?.status
    const here = record.thread.role === 'target' || MOVE_STATES_BEFORE_COMMIT.includes(record.thread.state)
    if (!here || (status !== 'live' && status !== 'frozen')) return record.peers
    return (await engine.read(picoId, peersTold)).peers
  }

  // ---- between engines -----------------------------------------------------------------------------------------

  /** A message of https://picomesh.dev/move/1.0 and whose key sent it; the reply goes back on the same line. */
  async receive(message: Message, sender: { key: string; did: string }): Promise<Message | undefined> {
    return this.target.receive(message, sender)
  }

  // ---- records -------------------------------------------------------------------------------------------------

  get(moveId: string): MoveRecord | undefined {
    return this.records.get(moveId)
  }

  /** By its id, or a prefix of it that names one. */
  need(moveId: string): MoveRecord {
    const found = this.records.get(moveId)
    if (found) return found
    const alike = moveId.length < 6 ? [] : [...this.records].filter(([id]) => id.startsWith(moveId))
    const [only] = alike
    if (only === undefined || alike.length > 1) throw new PicoError('move.unknown', 'There is no such move.')
    return only[1]
  }

  all(role: 'source' | 'target'): MoveRecord[] {
    return [...this.records.values()].filter(({ thread }) => thread.role === role)
  }

  /** Writes a move; resolves when it is on disk. */
  async put(record: MoveRecord): Promise<MoveRecord> {
    const { named, log, changed, reached } = this.around
    const id = record.thread.threadId
    const before = this.records.get(id)
    await named.put(recordName(id), record as unknown as Json)
    this.records.set(id, record)
    if (before === undefined) await named.put(INDEX, [...this.records.keys()])
    if (before?.thread.state === record.thread.state) return record
    log({ level: 'info', code: 'move.state', message: `move is ${record.thread.state}`, ...this.brief(record) })
    changed(this.brief(record))
    await reached?.(id, record.thread.state, record.thread.role)
    return record
  }

  /** One turn of the table. */
  turn(
    thread: Thread | undefined,
    trigger: Trigger,
    more: { args?: JsonObject; message?: Message; sender?: { key: string; did: string } } = {},
  ): Moved | Refused {
    const { clock, baseUrl, engineDid } = this.around
    return advance(move, thread, trigger, {
      now: clock.now(),
      version: 'v2',
      args: more.args ?? {},
      ...(more.message === undefined ? {} : { message: more.message }),
      ...(more.sender === undefined ? {} : { sender: more.sender }),
      recipient: engineDid(),
      label: '',
      baseUrl: baseUrl(),
      endpoint: { uri: `${baseUrl()}/didcomm`, routingKeys: [] },
      features: [],
      draw: { id: () => this.random(16), did: neverAsked },
      sign: neverAsked,
      verify: neverAsked,
      resolve: neverAsked,
      allows: () => false,
      ticket: ticket => this.opens(ticket, text(more.message?.body.moveId)),
    })
  }

  /** A message of this protocol outside the table. */
  message(thread: Thread, name: string, body: JsonObject): Message {
    const type = `${MOVE}/${name}`
    return {
      version: 'v2',
      id: this.random(16),
      type,
      thid: thread.threadId,
      body: { moveId: thread.threadId, ...body },
      attachments: [],
    }
  }

  // ---- tickets -------------------------------------------------------------------------------------------------

  private tickets(): KeptTicket[] {
    const now = this.around.clock.now()
    return ((this.around.named.get(TICKETS) as unknown as KeptTicket[] | undefined) ?? []).filter(
      ({ expires }) => expires > now,
    )
  }

  /** Is it a ticket of ours, in time, and not used by another move? */
  private opens(ticket: string, moveId: string): boolean {
    const read = readTicket(ticket)
    const kept = this.tickets().find(({ id }) => id === read?.id)
    return kept !== undefined && kept.secret === read?.secret && (kept.usedBy === undefined || kept.usedBy === moveId)
  }

  /** From now on the ticket is that move's. Throws move.ticket when another took it meanwhile. */
  async use(ticket: string, moveId: string): Promise<void> {
    const id = readTicket(ticket)?.id
    await this.rewriteTickets(tickets => {
      if (!this.opens(ticket, moveId)) throw new PicoError('move.ticket', 'The ticket was used by another move.')
      return tickets.map(kept => (kept.id === id ? { ...kept, usedBy: moveId } : kept))
    })
  }

  /** One after the other: each reads what the one before has written. */
  private rewriteTickets(change: (tickets: readonly KeptTicket[]) => readonly KeptTicket[]): Promise<void> {
    const mine = this.ticketTurn.then(() =>
      this.around.named.put(
        TICKETS,
        change(this.tickets()).map(kept => ({ ...kept })),
      ),
    )
    this.ticketTurn = mine.catch(() => undefined)
    return mine
  }

  // ---- common --------------------------------------------------------------------------------------------------

  random(bytes: number): string {
    return hex(this.around.random.bytes(bytes))
  }

  /** Does again what a disk that failed for a while has ended, until it is done or the engine stops. */
  async persist(work: () => Promise<void>): Promise<void> {
    for (;;) {
      try {
        return await work()
      } catch (thrown) {
        if (this.stopped || !errorRow(asPicoError(thrown).code).retry) throw thrown
        await this.sleep(AGAIN_MS)
      }
    }
  }

  /** Milliseconds; ends early at `stop`. */
  sleep(ms: number): Promise<void> {
    if (this.stopped) return Promise.resolve()
    const { clock } = this.around
    return new Promise(resolve => {
      const wake = () => {
        cancel()
        this.sleeping.delete(wake)
        resolve()
      }
      const cancel = clock.wake(clock.now() + ms, wake)
      this.sleeping.add(wake)
    })
  }

  /** Work that nobody waits for. */
  background(work: Promise<unknown>, code: string): void {
    work.catch(thrown => {
      if (this.stopped) return
      const error = asPicoError(thrown)
      const cause = error.cause instanceof Error ? { stack: String(error.cause.stack) } : {}
      this.around.log({ level: 'error', code, message: `${error.code}: ${error.message}`, ...cause })
    })
  }
}

function neverAsked(): never {
  throw new Error('the table of moves draws no DIDs and signs nothing')
}
