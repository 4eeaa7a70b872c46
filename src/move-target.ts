// The engine that a pico comes to (DESIGN 5). What arrives lies inert until the commit: nobody finds it, nothing of it
// runs. Every message may come again and is answered again; effects come before the record that says they happened, so
// a crash repeats them and changes nothing twice.

import type { Message } from '../protocols/message.ts'
import type { Thread } from '../protocols/turn.ts'
import { concat, text as decoded, fromBase64Any, fromBase64url, utf8 } from '../wallet/bytes.ts'
import { cryptoNode } from '../wallet/crypto-node.ts'
import { keyBytesOf } from '../wallet/did-key.ts'
import { canonicalize } from '../wallet/jcs.ts'
import { ENTRY, type Entry, NAME_BYTES, readChunk, StateHash } from './bundle.ts'
import type { CarriedRecord, Custody } from './custody.ts'
import { asPicoError, isGone, PicoError } from './errors.ts'
import { BUILTINS, builtinHash } from './family.ts'
import type { Moves } from './move.ts'
import { type MoveRecord, nameOf, picoOf, text } from './move-record.ts'
import { type Child, GROUP, type InstalledRuleset, readSelf, type Self } from './pico.ts'
import type { Json, JsonObject, PicoId, RecordChange } from './ports.ts'
import { apart, peersTold } from './relocation.ts'
import { OWN } from './resident.ts'

type Sender = { readonly key: string; readonly did: string }

const PICO_ID = /^[0-9a-f]{32}$/
const KEY_BYTES = 32
const PAGE = 250
const RETRY_MS = 1_000
const partName = (moveId: string, seq: number): string => `move/${moveId}/part/${seq}`
const isObject = (value: Json | undefined): value is JsonObject =>
  value !== null && typeof value === 'object' && !Array.isArray(value)

export class MoveTarget {
  private readonly moves: Moves
  /** One message of a move at a time. */
  private readonly turns = new Map<string, Promise<unknown>>()
  /** What was verified in this process: chunks received → state hash. */
  private readonly verified = new Map<string, { chunks: number; hash: string }>()
  private readonly telling = new Set<string>()

  constructor(moves: Moves) {
    this.moves = moves
  }

  private get custody(): Custody {
    return this.moves.around.engine().custody
  }

  /** What a crash left between commit and activation is done now. */
  async start(): Promise<void> {
    for (const record of this.moves.all('target')) {
      if (record.thread.state === 'committed')
        await this.inTurn(record.thread.threadId, () => this.activate(record.thread.threadId))
      else if (record.thread.state === 'active') this.tellPeers(record.thread.threadId)
    }
  }

  receive(message: Message, sender: Sender): Promise<Message | undefined> {
    return this.inTurn(message.thid, () => this.take(message, sender))
  }

  private inTurn<T>(moveId: string, work: () => Promise<T>): Promise<T> {
    const next = (this.turns.get(moveId) ?? Promise.resolve()).then(work, work)
    this.turns.set(moveId, next)
    const done = () => this.turns.get(moveId) === next && this.turns.delete(moveId)
    next.then(done, done)
    return next
  }

  private async take(message: Message, sender: Sender): Promise<Message | undefined> {
    const name = nameOf(message)
    const record = this.moves.get(message.thid)
    if (name === undefined || record?.thread.role === 'source') return undefined
    const moved = this.moves.turn(record?.thread, `receive ${name}`, { message, sender })
    if ('code' in moved)
      return record === undefined || record.thread.data.theirDid === sender.did
        ? (moved.report?.message ?? this.unknown(message, moved))
        : undefined
    try {
      const next =
        record === undefined
          ? await this.prepare(message, sender, moved.thread)
          : await this.effect(name, record, message, moved.thread, moved.answer)
      if (next !== undefined) return next
    } catch (thrown) {
      const { code, message: why } = asPicoError(thrown)
      if (code === 'engine.fault' || code.startsWith('store.') || code === 'engine.stopping') throw thrown
      return this.refusal(message.thid, code, why)
    }
    const reply = moved.outgoing[0]?.message
    return name === 'status' && reply ? this.withPeers(message.thid, reply) : reply
  }

  private unknown(message: Message, { code, message: why }: { code: string; message: string }): Message | undefined {
    return nameOf(message) === 'problem-report' ? undefined : this.refusal(message.thid, code, why)
  }

  private refusal(moveId: string, code: string, why: string): Message {
    const known: Record<string, string> = {
      'move.hash': 'e.p.req.hash',
      'move.verify': 'e.p.req.hash',
      'move.ticket': 'e.p.req.ticket',
    }
    const thread = { threadId: moveId } as Thread
    this.moves.around.log({ level: 'warn', code, message: why, moveId })
    return this.moves.message(thread, 'problem-report', { code: known[code] ?? 'e.p.req', comment: `${code}: ${why}` })
  }

  /** What a message does here, then its record; a message when the reply is another than the table's. */
  private async effect(
    name: string,
    record: MoveRecord,
    message: Message,
    thread: Thread,
    answer: JsonObject | undefined,
  ): Promise<Message | undefined> {
    const moveId = thread.threadId
    if (name === 'chunk' && answer !== undefined) return void (await this.chunk({ ...record, thread }, answer))
    if (name === 'verify') return this.verify({ ...record, thread })
    if (name === 'abort') await this.forget(record)
    if (name === 'commit' && record.thread.state === 'frozen') this.checkRetired(thread, message.body.retired)
    await this.moves.put({ ...record, thread })
    if (name === 'commit' && thread.state === 'committed') return this.activate(moveId)
    return undefined
  }

  // ---- prepare -------------------------------------------------------------------------------------------------

  private async prepare(message: Message, sender: Sender, thread: Thread): Promise<undefined> {
    const { picoId, url, ticket } = message.body
    const moveId = thread.threadId
    if (
      !PICO_ID.test(text(picoId)) ||
      !/^https?:\/\//.test(text(url)) ||
      message.body.moveId !== moveId ||
      keyBytesOf(text(message.body.picoDid))?.type !== 'Ed25519'
    )
      throw new PicoError('message.malformed', 'A prepare names pico, DID and address.')
    await this.makeRoom(message.body, sender)
    await this.moves.use(text(ticket), moveId)
    await this.moves.put({
      thread,
      url: text(url),
      at: this.moves.around.clock.now(),
      bytes: 0,
      frozenAt: null,
      pause_ms: 0,
      peers: [],
      settled: false,
    })
  }

  /** Refuses a pico that is here, or was under a later epoch; an arrival that its own source began anew is forgotten. */
  private async makeRoom(announced: JsonObject, sender: Sender): Promise<void> {
    const [picoId, epoch] = [text(announced.picoId), Number(announced.epoch)]
    const registered = this.moves.around.engine().registered(picoId)
    if (registered === undefined) return
    if (registered.status === 'retired') {
      if (announced.picoDid !== registered.tombstone?.picoDid)
        throw new PicoError('move.state', 'The pico of that id that left here has another DID.')
      const known = Number(registered.tombstone?.epoch ?? 0)
      if (epoch <= known)
        throw new PicoError('move.state', `This engine knows epoch ${known} of the pico, ${epoch} is no later one.`)
      if (registered.tombstone?.movedTo === undefined)
        throw new PicoError('move.state', 'The pico is on its way from here.')
    } else if (registered.status !== 'inert') throw new PicoError('pico.exists', 'The pico is here already.')
    for (const older of this.moves
      .all('target')
      .filter(one => picoOf(one) === picoId && ['prepared', 'frozen'].includes(one.thread.state))) {
      if (older.thread.data.theirDid !== sender.did)
        throw new PicoError('move.state', 'The pico is arriving from another engine.')
      await this.forget(older)
      await this.moves.put({ ...older, thread: { ...older.thread, state: 'aborted' }, settled: true })
    }
  }

  // ---- the bundle ----------------------------------------------------------------------------------------------

  private async chunk(record: MoveRecord, { seq, data }: JsonObject): Promise<void> {
    const moveId = record.thread.threadId
    const chunk = fromBase64Any(text(data))
    const entries = chunk && readChunk(chunk)
    if (chunk === undefined || entries === undefined)
      throw new PicoError('message.malformed', 'A chunk of a bundle cannot be read.')
    const first = entries[0]
    const continued =
      record.partFrom !== undefined && first ? [this.joined(moveId, record.partFrom, Number(seq), first)] : []
    const whole = [...continued, ...entries.slice(continued.length)]
    const last = whole.at(-1)
    const open = last?.more === true
    if (open && last)
      await this.keepPart(
        moveId,
        Number(seq),
        last,
        continued.length > 0 && whole.length === 1 ? entries[0] : undefined,
      )
    await this.apply(record, open ? whole.slice(0, -1) : whole)
    const from = open ? (whole.length === 1 && continued.length > 0 ? record.partFrom : Number(seq)) : undefined
    if (record.partFrom !== undefined && from !== record.partFrom)
      await this.dropParts(moveId, record.partFrom, Number(seq))
    const { partFrom: _, ...rest } = record
    await this.moves.put({
      ...rest,
      bytes: record.bytes + chunk.length,
      ...(from === undefined ? {} : { partFrom: from }),
    })
    this.verified.delete(moveId)
  }

  /** An entry whose beginning came in earlier chunks. */
  private joined(moveId: string, from: number, seq: number, last: Entry): Entry {
    const parts: Uint8Array[] = []
    for (let n = from; n < seq; n++)
      parts.push(fromBase64Any(text(this.moves.around.named.get(partName(moveId, n)))) ?? new Uint8Array(0))
    return { ...last, content: concat(...parts, last.content) }
  }

  private keepPart(moveId: string, seq: number, joined: Entry, piece: Entry | undefined): Promise<void> {
    const { content } = piece ?? joined
    return this.moves.around.named.put(partName(moveId, seq), Buffer.from(content).toString('base64'))
  }

  private async dropParts(moveId: string, from: number, to: number): Promise<void> {
    for (let n = from; n < to; n++) await this.moves.around.named.put(partName(moveId, n), undefined)
  }

  private async apply(record: MoveRecord, entries: readonly Entry[]): Promise<void> {
    const picoId = picoOf(record)
    let records: { name: Uint8Array; sealed: Uint8Array | undefined }[] = []
    const write = async () => {
      if (records.length > 0) await this.custody.import(picoId, records)
      records = []
    }
    for (const { kind, content } of entries) {
      if (kind === ENTRY.record && content.length > NAME_BYTES)
        records.push({ name: content.slice(0, NAME_BYTES), sealed: content.slice(NAME_BYTES) })
      else if (kind === ENTRY.gone && content.length === NAME_BYTES)
        records.push({ name: content.slice(), sealed: undefined })
      else {
        await write()
        if (kind === ENTRY.reset) await this.clear(picoId)
        else if (kind === ENTRY.keys) await this.takeKeys(picoId, content)
        else if (kind === ENTRY.source) await this.moves.around.sources.adopt(decoded(content), '')
        else throw new PicoError('message.malformed', 'A bundle holds an entry that this version does not know.')
      }
    }
    await write()
  }

  private async takeKeys(picoId: PicoId, content: Uint8Array): Promise<void> {
    const wrapped = this.moves.around.vault().adopt(picoId, content.slice(KEY_BYTES), content.subarray(0, KEY_BYTES))
    cryptoNode.wipe(content)
    if (wrapped === undefined) throw new PicoError('move.verify', 'The keys of the pico do not open.')
    await this.custody.receive(picoId, wrapped)
  }

  /** What came before the source began anew, or what a retired copy left here. */
  private async clear(picoId: PicoId): Promise<void> {
    if (this.moves.around.engine().registered(picoId) === undefined) return
    for (;;) {
      const { records, next } = await this.custody.export(picoId, undefined, PAGE)
      if (records.length > 0)
        await this.custody.import(
          picoId,
          records.map(({ name }) => ({ name, sealed: undefined })),
        )
      if (next === undefined) return
    }
  }

  private async forget(record: MoveRecord): Promise<void> {
    const picoId = picoOf(record)
    if (record.partFrom !== undefined)
      await this.dropParts(record.thread.threadId, record.partFrom, Number(record.thread.data.received ?? 0) + 1)
    // What lies here may be what a later move brought: then the end of this one says nothing about it.
    const open = (one: MoveRecord) =>
      picoOf(one) === picoId &&
      one.thread.threadId !== record.thread.threadId &&
      ['prepared', 'frozen', 'committed'].includes(one.thread.state)
    if (!this.moves.all('target').some(open) && this.moves.around.engine().registered(picoId)?.status === 'inert')
      await this.custody.forget(picoId)
  }

  // ---- verify --------------------------------------------------------------------------------------------------

  private async verify(record: MoveRecord): Promise<Message> {
    const { threadId: moveId, data } = record.thread
    const known = this.verified.get(moveId)
    const chunks = Number(data.received)
    const hash = known?.chunks === chunks ? known.hash : await this.stateHash(record)
    this.verified.set(moveId, { chunks, hash })
    const frozenAt = record.frozenAt ?? this.moves.around.clock.now()
    const moved = this.moves.turn(record.thread, 'command verified', { args: { stateHash: hash } })
    await this.moves.put({ ...record, frozenAt, thread: 'code' in moved ? record.thread : moved.thread })
    const reply = 'code' in moved ? undefined : moved.outgoing[0]?.message
    return reply ?? this.refusal(moveId, 'move.hash', 'What arrived is not what was sent.')
  }

  /** Reads everything that arrived, opens it, and looks whether it is the pico that was announced and can run here. */
  private async stateHash(record: MoveRecord): Promise<string> {
    const { picoDid, epoch } = record.thread.data
    const picoId = picoOf(record)
    if (record.partFrom !== undefined) throw new PicoError('move.verify', 'The end of a record is missing.')
    if (this.moves.around.engine().registered(picoId) === undefined)
      throw new PicoError('move.verify', 'Nothing has arrived.')
    const state = new StateHash()
    let self: Self | undefined
    let before = -1
    for (let from: Uint8Array | undefined; ; ) {
      const { records, next } = await this.custody.export(picoId, from, PAGE).catch(thrown => {
        const { code } = asPicoError(thrown)
        throw code === 'store.corrupt' ? new PicoError('move.verify', 'A record that arrived does not open.') : thrown
      })
      for (const carried of records) {
        state.add(carried)
        if (carried.group === GROUP.pico && carried.leaf === 'self') self = carried.value as unknown as Self
        if (carried.group === OWN.head) before = Number((carried.value as JsonObject).epoch)
        await this.checkReach(picoId, carried)
        if (carried.group === GROUP.ruleset) this.checkSources(carried.value as unknown as InstalledRuleset)
      }
      if (next === undefined) break
      from = next
    }
    if (self?.picoId !== picoId || self.did !== picoDid)
      throw new PicoError('move.verify', 'What arrived is another pico than was announced.')
    if (before + 1 !== epoch) throw new PicoError('move.verify', 'What arrived is of another epoch than was announced.')
    return state.end()
  }

  /** Refuses what would reach beyond the pico that arrives: records are the word of the engine they came from. */
  private async checkReach(picoId: PicoId, { group, leaf, value }: CarriedRecord): Promise<void> {
    if (group === OWN.bind && this.custody.leadsElsewhere(leaf, picoId))
      throw new PicoError('move.verify', 'A key or channel that arrived is that of another pico here.')
    if (group === GROUP.child && !(await this.isOwnChild(picoId, leaf, value as unknown as Child)))
      throw new PicoError('move.verify', 'What arrived claims a child here that is none of its own.')
  }

  /** False for an entry that says of a pico here what that pico does not say of itself. */
  private async isOwnChild(picoId: PicoId, leaf: string, { picoId: childId, eci, movedTo }: Child): Promise<boolean> {
    const { engine, baseUrl } = this.moves.around
    if (leaf !== childId || childId === picoId || !PICO_ID.test(childId)) return false
    if (movedTo !== baseUrl() || engine().registered(childId) === undefined) return true
    const child = await engine().read(childId, readSelf)
    return child === undefined || (child.parentId === picoId && child.eci === eci)
  }

  private checkSources({ rid, hash, modules }: InstalledRuleset): void {
    const needed = [hash, ...Object.values(modules).map(module => module.hash)]
    const builtin = new Set<string>(BUILTINS.map(builtinHash))
    const missing = needed.find(one => !builtin.has(one) && this.moves.around.sources.source(one) === undefined)
    if (missing !== undefined) throw new PicoError('ruleset.missing', `The source of ruleset ${rid} did not arrive.`)
  }

  // ---- commit --------------------------------------------------------------------------------------------------

  /** The pico's own word that it lives here from this epoch on. */
  private checkRetired({ data, threadId }: Thread, given: Json | undefined): void {
    const { signature, ...said } = isObject(given) ? given : {}
    const expected: JsonObject = {
      moveId: threadId,
      picoId: data.picoId ?? null,
      picoDid: data.picoDid ?? null,
      epoch: data.epoch ?? null,
      target: this.moves.around.engineDid(),
      stateHash: data.stateHash ?? null,
    }
    const other = Object.keys(expected).find(member => said[member] !== expected[member])
    if (other !== undefined) throw new PicoError('move.verify', `The commit is for another move: ${other}.`)
    const key = keyBytesOf(text(data.picoDid))?.publicKey
    const bytes = fromBase64url(text(signature))
    if (key === undefined || bytes === undefined || !cryptoNode.ed25519Verify(key, bytes, utf8(canonicalize(said))))
      throw new PicoError('move.verify', 'The commit is not signed by the pico.')
  }

  /** From here on the pico lives here. */
  private async activate(moveId: string): Promise<Message | undefined> {
    const { engine, baseUrl, clock } = this.moves.around
    const record = this.moves.need(moveId)
    const picoId = picoOf(record)
    if (engine().registered(picoId)?.status !== 'live') {
      await this.custody.hold(picoId)
      const changes: RecordChange[] = await engine().read(picoId, view => apart(view, record.url, baseUrl()))
      await this.custody.activate(picoId, Number(record.thread.data.epoch), changes)
    }
    const moved = this.moves.turn(record.thread, 'command activate')
    if ('code' in moved) throw new Error(moved.message)
    const pause_ms = clock.now() - (record.frozenAt ?? clock.now())
    await this.moves.put({ ...record, thread: moved.thread, pause_ms })
    this.verified.delete(moveId)
    this.tellPeers(moveId)
    return moved.outgoing[0]?.message
  }

  /** The pico's first own step: peers and family learn where it lives. Until it is done. */
  private tellPeers(moveId: string): void {
    if (this.moves.need(moveId).settled || this.telling.has(moveId)) return
    this.telling.add(moveId)
    const work = async () => {
      const { engine, log } = this.moves.around
      for (; !this.moves.stopped && !this.moves.need(moveId).settled; await this.moves.sleep(RETRY_MS)) {
        const record = this.moves.need(moveId)
        try {
          await engine().submit(
            picoOf(record),
            { kind: 'command', id: `move/${moveId}`, name: 'relocate', args: { moved: true } },
            'applied',
          )
          // In its turn: a message of the move that is being taken must not write over it what it read before.
          await this.inTurn(moveId, () => this.moves.put({ ...this.moves.need(moveId), settled: true }))
          return
        } catch (thrown) {
          const { code, message } = asPicoError(thrown)
          if (isGone(code)) return
          log({ level: 'warn', code, message, moveId })
        }
      }
    }
    this.moves.background(
      work().finally(() => this.telling.delete(moveId)),
      'move.relocate',
    )
  }

  /** With the status goes which peers know the new address. */
  private async withPeers(moveId: string, reply: Message): Promise<Message> {
    const record = this.moves.need(moveId)
    const { engine } = this.moves.around
    const picoId = picoOf(record)
    if (record.thread.state !== 'active' && record.thread.state !== 'done') return reply
    // Gone on, or deleted: whoever has it now tells its peers.
    if (engine().registered(picoId)?.status !== 'live')
      return { ...reply, body: { ...reply.body, peers: [], waiting: 0 } }
    const { peers, waiting } = await engine().read(picoId, peersTold)
    return {
      ...reply,
      body: { ...reply.body, peers: peers.map(peer => ({ ...peer })), waiting: record.settled ? waiting : waiting + 1 },
    }
  }
}
