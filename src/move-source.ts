// The engine that a pico leaves (DESIGN 5): copy while it runs, freeze, send what changed since, have it verified, and
// commit by one synced write. Before it this side alone may end the move; after it the copy here never acts, and mail
// for it is passed on byte for byte.

import type { Message } from '../protocols/message.ts'
import type { Moved } from '../protocols/turn.ts'
import { base64, base64url, fromBase64url, fromHex, hex, utf8 } from '../wallet/bytes.ts'
import { cryptoNode } from '../wallet/crypto-node.ts'
import { peek } from '../wallet/envelope.ts'
import { isFault } from '../wallet/fault.ts'
import { canonicalize } from '../wallet/jcs.ts'
import { BundleWriter, ENTRY, StateHash } from './bundle.ts'
import type { Custody } from './custody.ts'
import { asPicoError, PicoError } from './errors.ts'
import type { Moves } from './move.ts'
import { MOVE_STATES_BEFORE_COMMIT, type MoveRecord, nameOf, picoOf, type Ticket, text } from './move-record.ts'
import { MEDIA } from './outbox.ts'
import { children, GROUP, type InstalledRuleset, readSelf } from './pico.ts'
import type { Json, JsonObject, PicoId, Stimulus } from './ports.ts'
import { type PeerTold, peersTold } from './relocation.ts'
import { OWN } from './resident.ts'

const FIRST_MS = 100
/** The longest pause between two messages of a move that waits for the target. */
const LONGEST_MS = 5_000
const PATIENCE_MS = 30_000
const PAGE = 250
/** Bytes of a sealed record's nonce that tell one sealing from another. */
const MARK_BYTES = 12
const GIVEN_UP = [400, 413, 415]

/** What is at the target already. */
interface Sent {
  /** Name of a record → mark of what was sent. */
  readonly marks: Map<string, string>
  readonly sources: Set<string>
}

export class MoveSource {
  private readonly moves: Moves
  private readonly driving = new Map<string, Promise<JsonObject>>()
  private readonly leaving = new Set<string>()
  private readonly aborting = new Map<string, string>()
  private readonly sent = new Map<string, Sent>()
  private readonly forwarding = new Map<PicoId, Promise<void>>()
  private unlisten: (() => void) | undefined

  constructor(moves: Moves) {
    this.moves = moves
  }

  private get custody(): Custody {
    return this.moves.around.engine().custody
  }

  // ---- life ----------------------------------------------------------------------------------------------------

  async start(): Promise<void> {
    this.unlisten = this.moves.around.engine().on('held', ({ picoId }) => void this.forward(picoId))
    for (const record of this.moves.all('source')) {
      const { threadId, state } = record.thread
      if (MOVE_STATES_BEFORE_COMMIT.includes(state) && !this.isRetired(record)) continue
      if (state === 'aborted') {
        if (!record.settled) this.moves.background(this.settleAbort(threadId), 'move.abort')
      } else if (state !== 'done' && state !== 'active' && state !== 'draining')
        this.moves.background(this.drive(threadId), 'move.resume')
      else this.leave(threadId)
    }
  }

  stop(): void {
    this.unlisten?.()
  }

  // ---- verbs ---------------------------------------------------------------------------------------------------

  async begin(picoId: PicoId, ticket: Ticket, ticketText: string): Promise<JsonObject> {
    const { engine, engineDid, clock } = this.moves.around
    const status = engine().registered(picoId)?.status
    if (status === undefined || status === 'inert') throw new PicoError('pico.unknown', 'No such pico here.')
    if (status === 'retired')
      throw new PicoError(
        'pico.moved',
        'The pico lives on another engine already.',
        engine().registered(picoId)?.tombstone,
      )
    const open = this.moves
      .all('source')
      .find(one => picoOf(one) === picoId && MOVE_STATES_BEFORE_COMMIT.includes(one.thread.state))
    if (open)
      throw new PicoError('move.state', `The pico is in a move already: ${open.thread.threadId}.`, {
        moveId: open.thread.threadId,
      })
    if (status !== 'live') throw new PicoError('pico.state', `The pico is ${status}.`, { picoId, status })
    const { picoDid, epoch } = await engine().read(picoId, view => ({
      picoDid: readSelf(view)?.did ?? '',
      epoch: Number((view.get(OWN.head, 'head') as JsonObject | undefined)?.epoch ?? 0) + 1,
    }))
    const moveId = this.moves.random(16)
    const args: JsonObject = {
      thid: moveId,
      moveId,
      picoId,
      picoDid,
      epoch,
      ticket: ticketText,
      myDid: engineDid(),
      theirDid: ticket.did,
    }
    const moved = this.moves.turn(undefined, 'command prepare', { args })
    if ('code' in moved) throw new PicoError('move.state', moved.message)
    await this.moves.put({
      thread: moved.thread,
      url: ticket.url,
      at: clock.now(),
      bytes: 0,
      frozenAt: null,
      pause_ms: 0,
      peers: [],
      settled: false,
    })
    return this.drive(moveId)
  }

  async resume(given: string): Promise<JsonObject> {
    const record = this.moves.need(given)
    const moveId = record.thread.threadId
    const running = this.driving.get(moveId)
    if (running) return running
    if (record.thread.state === 'active' || record.thread.state === 'draining') this.leave(moveId)
    if (record.thread.state === 'aborted' && !record.settled)
      this.moves.background(this.settleAbort(moveId), 'move.abort')
    const unfinished = ['planned', 'prepared', 'frozen', 'committed'].includes(record.thread.state)
    return unfinished ? this.drive(moveId) : this.moves.view(record)
  }

  async abort(given: string): Promise<JsonObject> {
    const record = this.moves.need(given)
    const moveId = record.thread.threadId
    if (record.thread.state === 'aborted') return this.moves.view(record)
    this.refuseCommitted(record)
    const running = this.driving.get(moveId)
    if (running) {
      this.aborting.set(moveId, 'owner')
      await running.catch(() => undefined)
      this.aborting.delete(moveId)
    }
    const now = this.moves.need(moveId)
    if (now.thread.state === 'aborted') return this.moves.view(now)
    this.refuseCommitted(now)
    return this.end(moveId, { code: 'move.aborted', message: 'The owner ended the move.' })
  }

  private refuseCommitted(record: MoveRecord): void {
    if (MOVE_STATES_BEFORE_COMMIT.includes(record.thread.state) && !this.isRetired(record)) return
    throw new PicoError('move.state', 'The move is committed: it can only go on.', { state: record.thread.state })
  }

  // ---- stage by stage ------------------------------------------------------------------------------------------

  /** Resolves at `active` or `aborted` with what the owner sees. */
  private drive(moveId: string): Promise<JsonObject> {
    const running = this.driving.get(moveId)
    if (running) return running
    const work = this.stages(moveId).finally(() => this.driving.delete(moveId))
    this.driving.set(moveId, work)
    return work
  }

  private async stages(moveId: string): Promise<JsonObject> {
    let record = this.moves.need(moveId)
    let resumed = record.thread.state !== 'planned'
    try {
      for (; record.thread.state !== 'active' && record.thread.state !== 'aborted'; record = this.moves.need(moveId)) {
        this.checkpoint(moveId)
        if (resumed && !this.isRetired(record) && record.thread.state !== 'committed') await this.askWhere(moveId)
        resumed = false
        await this.stage(record)
      }
    } catch (thrown) {
      if (this.moves.stopped || this.isRetired(this.moves.need(moveId))) throw thrown
      const { code, message } = asPicoError(thrown)
      if (code === 'engine.fault' || code === 'engine.stopping')
        this.moves.background(Promise.reject(thrown), 'move.fault')
      return this.end(moveId, { code, message })
    }
    const shown = await this.moves.view(record)
    if (record.thread.state === 'active') this.leave(moveId)
    return shown
  }

  /** After a stop: what the target has. */
  private async askWhere(moveId: string): Promise<void> {
    const answer = await this.exchange(moveId, 'resume')
    if ('refused' in answer)
      throw new PicoError('move.refused', `The target does not know the move any more: ${text(answer.refused)}`)
  }

  private async stage(record: MoveRecord): Promise<void> {
    const moveId = record.thread.threadId
    switch (record.thread.state) {
      case 'planned':
        return void (await this.exchange(moveId, 'resume'))
      case 'prepared':
        await this.copy(moveId)
        return this.freeze(moveId)
      case 'frozen':
        if (!this.isRetired(record)) await this.verify(moveId)
        return this.retire(moveId)
      default:
        return this.commit(moveId)
    }
  }

  private async freeze(moveId: string): Promise<void> {
    const moved = this.command(moveId, 'freeze')
    await this.moves.put({ ...this.moves.need(moveId), thread: moved.thread, frozenAt: this.moves.around.clock.now() })
  }

  /** The rest of the state, and the target's word that it has all of it. Once more from the start when it differs. */
  private async verify(moveId: string): Promise<void> {
    await this.custody.freeze(picoOf(this.moves.need(moveId)))
    for (let attempt = 0; ; attempt++) {
      const stateHash = await this.copy(moveId)
      const answer = await this.exchange(moveId, 'verify', { stateHash })
      if (answer.verified === true) return
      if (attempt > 0)
        throw new PicoError('move.verify', `The target did not verify what it received: ${text(answer.refused)}`)
      this.sent.delete(moveId)
    }
  }

  /** The commit point: from this write on the copy here never acts. */
  private async retire(moveId: string): Promise<void> {
    const { engine } = this.moves.around
    const record = this.moves.need(moveId)
    const picoId = picoOf(record)
    let retired = this.retired(record)
    if (retired === undefined) {
      const made = await this.signed(record)
      this.checkpoint(moveId)
      await this.custody.retire(picoId, made)
      retired = made
    }
    const { movedTo: _, ...said } = retired
    const peers = (await engine().read(picoId, peersTold)).peers.map(
      ({ connectionId }): PeerTold => ({ connectionId, told: false }),
    )
    const moved = this.command(moveId, 'commit', { retired: said })
    await this.moves.put({ ...record, thread: moved.thread, peers })
    this.sent.delete(moveId)
  }

  /** `{moveId, picoId, picoDid, epoch, target, url, stateHash, signature}`, signed by the pico's own DID over JCS. */
  private async signed({ thread, url }: MoveRecord): Promise<JsonObject> {
    const { engine, keyrings } = this.moves.around
    const { moveId, picoId, picoDid, epoch, theirDid, stateHash } = thread.data
    const said = { moveId, picoId, picoDid, epoch, target: theirDid, url, stateHash } as JsonObject
    const did = text(picoDid)
    const kid = `${did}#${did.slice('did:key:'.length)}`
    const signature = await engine().read(text(picoId), view =>
      keyrings.with(text(picoId), view, keyring => keyring.sign(kid, utf8(canonicalize(said)))),
    )
    if (signature === undefined) throw new Error('a pico without the key of its DID')
    return { ...said, signature: base64url(signature) }
  }

  private retired(record: MoveRecord): JsonObject | undefined {
    const registered = this.moves.around.engine().registered(picoOf(record))
    return registered?.status === 'retired' && registered.tombstone?.moveId === record.thread.threadId
      ? registered.tombstone
      : undefined
  }

  private isRetired(record: MoveRecord): boolean {
    return this.retired(record) !== undefined
  }

  /** Says it until the target is active. */
  private async commit(moveId: string): Promise<void> {
    for (let pause = FIRST_MS; ; pause = Math.min(pause * 2, LONGEST_MS)) {
      if (this.moves.stopped)
        throw new PicoError('engine.stopping', 'The engine stops; the move goes on at its next start.')
      const record = this.moves.need(moveId)
      const reply = await this.ask(record, this.command(moveId, 'resume'))
      if (typeof reply !== 'string' && nameOf(reply) === 'active') {
        const pause_ms = this.moves.around.clock.now() - (record.frozenAt ?? this.moves.around.clock.now())
        await this.hear(moveId, reply, { pause_ms })
        return
      }
      this.moves.around.log({
        level: 'warn',
        code: 'move.state',
        message: 'the target has not yet said that it is active',
        moveId,
        said: typeof reply === 'string' ? reply : text(reply.body.code),
      })
      await this.moves.sleep(pause)
    }
  }

  // ---- the bundle ----------------------------------------------------------------------------------------------

  /** Sends every record that is not at the target as it is here; the hash of the state that was read. */
  private async copy(moveId: string): Promise<string> {
    const picoId = picoOf(this.moves.need(moveId))
    const known = this.sent.get(moveId)
    // Until this copy is complete nobody knows what the target has.
    this.sent.delete(moveId)
    const sent: Sent = known ?? { marks: new Map(), sources: new Set() }
    const writer = new BundleWriter(chunk => this.sendChunk(moveId, chunk))
    if (known === undefined) {
      await writer.put(ENTRY.reset)
      await writer.put(ENTRY.keys, this.keysFor(picoId))
    }
    const state = new StateHash()
    const seen = new Set<string>()
    for (let from: Uint8Array | undefined; ; ) {
      const { records, next } = await this.custody.export(picoId, from, PAGE)
      for (const record of records) {
        this.checkpoint(moveId)
        state.add(record)
        const name = hex(record.name)
        const mark = hex(record.sealed.subarray(0, MARK_BYTES))
        seen.add(name)
        if (record.group === GROUP.ruleset)
          await this.sendSources(writer, sent, record.value as unknown as InstalledRuleset)
        if (sent.marks.get(name) === mark) continue
        await writer.put(ENTRY.record, record.name, record.sealed)
        sent.marks.set(name, mark)
      }
      if (next === undefined) break
      from = next
    }
    for (const name of [...sent.marks.keys()].filter(one => !seen.has(one))) {
      await writer.put(ENTRY.gone, fromHex(name) as Uint8Array)
      sent.marks.delete(name)
    }
    await writer.flush()
    this.sent.set(moveId, sent)
    return state.end()
  }

  private keysFor(picoId: PicoId): Uint8Array {
    const transfer = cryptoNode.randomBytes(32)
    const wrapped = this.moves.around.vault().rewrap(picoId, this.custody.wrappedKeys(picoId), transfer)
    if (wrapped === undefined)
      throw new PicoError('store.corrupt', 'The keys of a pico do not open.', { picoId, file: 'keys' })
    const keys = new Uint8Array(transfer.length + wrapped.length)
    keys.set(transfer)
    keys.set(wrapped, transfer.length)
    cryptoNode.wipe(transfer)
    return keys
  }

  private async sendSources(writer: BundleWriter, sent: Sent, installed: InstalledRuleset): Promise<void> {
    const { sources } = this.moves.around
    const hashes = [installed.hash, ...Object.values(installed.modules).map(({ hash }) => hash)]
    for (const hash of hashes) {
      const source = sent.sources.has(hash) ? undefined : sources.source(hash)
      if (source === undefined) continue
      await writer.put(ENTRY.source, utf8(source))
      sent.sources.add(hash)
    }
  }

  private async sendChunk(moveId: string, chunk: Uint8Array): Promise<void> {
    const record = this.moves.need(moveId)
    const seq = Number(record.thread.data.received ?? 0) + 1
    const answer = await this.exchange(
      moveId,
      'chunk',
      { seq, data: base64(chunk) },
      { bytes: record.bytes + chunk.length },
    )
    if (Number(answer.received ?? 0) < seq)
      throw new PicoError('move.refused', `The target refused a part of the bundle: ${text(answer.refused)}`)
  }

  // ---- speaking ------------------------------------------------------------------------------------------------

  private command(moveId: string, name: string, args: JsonObject = {}): Moved {
    const moved = this.moves.turn(this.moves.need(moveId).thread, `command ${name}`, { args })
    if ('code' in moved) throw new PicoError('move.state', moved.message, { moveId })
    return moved
  }

  /** A command whose message is answered: on disk, said until it is heard, and the answer on disk. */
  private async exchange(
    moveId: string,
    name: string,
    args: JsonObject = {},
    more: Partial<MoveRecord> = {},
  ): Promise<JsonObject> {
    const moved = this.command(moveId, name, args)
    const record = await this.moves.put({ ...this.moves.need(moveId), thread: moved.thread, ...more })
    const { clock, patience_ms } = this.moves.around
    const end = clock.now() + (patience_ms ?? PATIENCE_MS)
    for (let pause = FIRST_MS; ; pause = Math.min(pause * 2, LONGEST_MS)) {
      this.checkpoint(moveId)
      const reply = await this.ask(record, moved)
      if (typeof reply !== 'string') return this.hear(moveId, reply)
      const unknown = reply === 'http.404' && record.thread.state === 'planned'
      if (unknown || clock.now() >= end)
        throw new PicoError('move.refused', `The engine at ${record.url} does not answer: ${reply}`)
      await this.moves.sleep(pause)
    }
  }

  /** The reply, or why there is none. */
  private async ask(record: MoveRecord, { outgoing }: Moved): Promise<Message | string> {
    const { mail, around } = this.moves
    const message = outgoing[0]?.message
    if (message === undefined) throw new Error('a stage without a message')
    const said =
      nameOf(message) === 'prepare' ? { ...message, body: { ...message.body, url: around.baseUrl() } } : message
    const reply = await mail.ask(text(record.thread.data.theirDid), record.url, said)
    if (!('message' in reply)) return reply.silent
    return reply.message?.thid === record.thread.threadId ? reply.message : 'no answer'
  }

  private async hear(moveId: string, message: Message, more: Partial<MoveRecord> = {}): Promise<JsonObject> {
    const record = this.moves.need(moveId)
    const did = text(record.thread.data.theirDid)
    const moved = this.moves.turn(record.thread, `receive ${nameOf(message) ?? 'unknown'}`, {
      message,
      sender: { key: did, did },
    })
    if ('code' in moved) {
      // The target has another state than was sent to it.
      if (moved.code === 'move.hash') return { refused: moved.code }
      throw new PicoError(
        'move.refused',
        `The target answered ${nameOf(message) ?? message.type} ${text(message.body.code)}: ${moved.message}`,
      )
    }
    const ended = moved.thread.state === 'aborted'
    const reason = ended
      ? {
          reason: { code: 'move.refused', message: `${text(message.body.code)} ${text(message.body.comment)}` },
          settled: true,
        }
      : {}
    const told = text(message.body.comment)
    await this.moves.put({ ...record, thread: moved.thread, ...reason, ...more })
    const answer = moved.answer ?? {}
    return 'refused' in answer && told !== '' ? { ...answer, refused: `${text(answer.refused)} ${told}` } : answer
  }

  private checkpoint(moveId: string): void {
    if (this.moves.stopped) throw new PicoError('engine.stopping', 'The engine stops; the move can be resumed.')
    if (this.aborting.has(moveId)) throw new PicoError('move.aborted', 'The owner ended the move.')
  }

  // ---- ending it -----------------------------------------------------------------------------------------------

  /** Before the commit: the pico goes on here, the target is told until it heard. */
  private async end(moveId: string, reason: { code: string; message: string }): Promise<JsonObject> {
    const before = this.moves.need(moveId)
    if (before.thread.state === 'aborted') return this.moves.view(before)
    this.refuseCommitted(before)
    const moved = this.command(moveId, 'abort', { reason: reason.code })
    const record = await this.moves.put({ ...before, thread: moved.thread, reason, settled: false })
    this.sent.delete(moveId)
    await this.thaw(record)
    this.moves.background(this.settleAbort(moveId), 'move.abort')
    return this.moves.view(record)
  }

  private async thaw(record: MoveRecord): Promise<void> {
    const picoId = picoOf(record)
    const other = this.moves.all('source').some(one => picoOf(one) === picoId && one.thread.state === 'frozen')
    if (!other && this.moves.around.engine().registered(picoId)?.status === 'frozen') await this.custody.thaw(picoId)
  }

  private async settleAbort(moveId: string): Promise<void> {
    await this.thaw(this.moves.need(moveId))
    for (let pause = FIRST_MS; !this.moves.stopped; pause = Math.min(pause * 2, 12 * LONGEST_MS)) {
      const record = this.moves.need(moveId)
      const reply = await this.ask(record, this.command(moveId, 'resume'))
      // A target that never heard of the move says so: then there is nothing to forget.
      if (typeof reply !== 'string') return void (await this.moves.put({ ...record, settled: true }))
      await this.moves.sleep(pause)
    }
  }

  // ---- after it ------------------------------------------------------------------------------------------------

  /** Draining, in the background: family and mail find their way, until the queue is empty and every peer was told. */
  private leave(moveId: string): void {
    if (this.leaving.has(moveId)) return
    this.leaving.add(moveId)
    this.moves.background(
      this.moves.persist(() => this.drain(moveId)).finally(() => this.leaving.delete(moveId)),
      'move.drain',
    )
  }

  private async drain(moveId: string): Promise<void> {
    const first = this.moves.need(moveId)
    const picoId = picoOf(first)
    if (!this.isRetired(first)) return
    await this.custody.forwardTo(picoId, first.url)
    if (first.thread.state !== 'done') await this.tellFamily(first)
    if (first.thread.state === 'active')
      await this.moves.put({ ...this.moves.need(moveId), thread: this.command(moveId, 'drain').thread })
    void this.forward(picoId)
    for (
      let pause = FIRST_MS;
      this.moves.need(moveId).thread.state === 'draining' && !this.moves.stopped;
      pause = Math.min(pause * 2, LONGEST_MS)
    ) {
      if (await this.drained(moveId))
        await this.moves.put({ ...this.moves.need(moveId), thread: this.command(moveId, 'done').thread })
      else await this.moves.sleep(pause)
    }
    for (
      let pause = FIRST_MS;
      !this.moves.need(moveId).settled && !this.moves.stopped;
      pause = Math.min(pause * 2, LONGEST_MS)
    ) {
      if (await this.say(moveId, { state: 'done' })) await this.moves.put({ ...this.moves.need(moveId), settled: true })
      else await this.moves.sleep(pause)
    }
  }

  private async drained(moveId: string): Promise<boolean> {
    const record = this.moves.need(moveId)
    if (!this.isRetired(record)) return true
    await this.forward(picoOf(record))
    if ((await this.custody.held(picoOf(record))).length > 0) return false
    const said = await this.say(moveId, { state: 'draining' })
    if (said === undefined || !Array.isArray(said.peers)) return false
    const peers = said.peers as unknown as PeerTold[]
    if (JSON.stringify(peers) !== JSON.stringify(record.peers)) await this.moves.put({ ...record, peers })
    return said.waiting === 0
  }

  /** A status to the target; the body of its reply, empty when it only took it. */
  private async say(moveId: string, body: JsonObject): Promise<JsonObject | undefined> {
    const { thread, url } = this.moves.need(moveId)
    const reply = await this.moves.mail.ask(text(thread.data.theirDid), url, this.moves.message(thread, 'status', body))
    return 'message' in reply ? (reply.message?.body ?? {}) : undefined
  }

  /** Parent and children on this engine learn where their kin is reached; who lives elsewhere hears it from there. */
  private async tellFamily(record: MoveRecord): Promise<void> {
    const { engine } = this.moves.around
    const picoId = picoOf(record)
    const { self, kin } = await engine().read(picoId, view => ({ self: readSelf(view), kin: children(view) }))
    const tell = async (to: PicoId, eci: string, name: string) => {
      if (engine().registered(to)?.status !== 'live') return
      const attrs = { id: picoId, url: record.url }
      const stimulus: Stimulus = {
        kind: 'event',
        id: `${record.thread.threadId}/${to}`,
        eci,
        outside: false,
        domain: 'engine',
        name,
        attrs,
      }
      await engine().submit(to, stimulus, 'accepted')
    }
    if (self?.parentId && self.parentEci !== null) await tell(self.parentId, self.parentEci, 'child_moved')
    for (const child of kin) await tell(child.picoId, child.eci, 'parent_moved')
  }

  /** Passes on what came for a pico that left, oldest first; resolves when nothing is left or the engine stops. */
  private forward(picoId: PicoId): Promise<void> {
    const running = this.forwarding.get(picoId)
    if (running) return running
    const work = this.moves.persist(() => this.forwardAll(picoId)).finally(() => this.forwarding.delete(picoId))
    this.forwarding.set(picoId, work)
    this.moves.background(work, 'move.forward')
    return work
  }

  private async forwardAll(picoId: PicoId): Promise<void> {
    let pause = FIRST_MS
    while (!this.moves.stopped) {
      const registered = this.moves.around.engine().registered(picoId)
      const movedTo = registered?.status === 'retired' ? registered.tombstone?.movedTo : undefined
      const mail = typeof movedTo === 'string' ? await this.custody.held(picoId) : []
      if (mail.length === 0) return
      for (const { leaf, stored } of mail) {
        if (this.moves.stopped) return
        if (!(await this.passOn(text(movedTo as Json), leaf, stored, picoId))) {
          await this.moves.sleep(pause)
          pause = Math.min(pause * 2, LONGEST_MS)
          break
        }
        pause = FIRST_MS
      }
    }
  }

  /** One envelope as it was received; false when it must be tried again. */
  private async passOn(url: string, leaf: string, stored: Json, picoId: PicoId): Promise<boolean> {
    const { client, log } = this.moves.around
    const bytes = fromBase64url(text((stored as JsonObject).envelope)) as Uint8Array
    const envelope = peek(bytes)
    const media = isFault(envelope) ? MEDIA.v2 : MEDIA[envelope.version]
    const posted = await client.post(`${url.replace(/\/+$/, '')}/didcomm`, bytes, media)
    const taken = posted.status >= 200 && posted.status < 300
    if (!taken && !GIVEN_UP.includes(posted.status)) return false
    if (!taken)
      log({
        level: 'warn',
        code: 'letter.refused',
        message: `mail of a pico that moved was refused: http.${posted.status}`,
        picoId,
      })
    await this.custody.forwarded(picoId, leaf)
    return true
  }
}
