// One engine, whole: store, wallet, driver, inbox, outbox, rulesets, moves and the owner's verbs, behind the one seam
// that the edges know (agent.ts). Everything that varies between runs comes in by `NodeParts`; main.ts names the choices.

import { join } from 'node:path'
import type { Secret, Vault } from '../wallet/vault.ts'
import type { Agent, Carrier, EventRequest, EventResult, InvitationView, QueryRequest, Received } from './agent.ts'
import { ANSWERED, REFUSED, readThread } from './didcomm.ts'
import { Engine, type EngineLimits } from './engine.ts'
import { asPicoError, PicoError } from './errors.ts'
import { Inbox, Keyrings } from './inbox.ts'
import { Moves } from './move.ts'
import { Outbox } from './outbox.ts'
import { OwnMail } from './own-mail.ts'
import { Owner, type Waiting } from './owner.ts'
import { GROUP, uuidOf } from './pico.ts'
import type { Clock, Effect, Json, JsonObject, Letter, MarkFile, PicoId, Random, Store, View } from './ports.ts'
import { refusalOf, sentEvent, toldOf } from './sent-event.ts'
import { Sources, type Table } from './sources.ts'
import { peersMail, runQuery, step } from './step.ts'
import type { Committed } from './steps.ts'
import type { HttpClient } from './transports/client.ts'
import { checkArgs } from './verb-args.ts'

export interface NodeParts {
  /** A closed store; opened at unlock, closed at lock. */
  readonly store: Store
  readonly clock: Clock
  readonly random: Random
  readonly client: HttpClient
  /** Opens the wallet over the opened store. */
  readonly openVault: (store: Store, secret: Secret) => Promise<Vault>
  /** New wrapping; absent where there is no wallet file. */
  readonly rekey?: (store: Store, vault: Vault, secret: Secret) => Promise<Vault>
  readonly walletFacts: () => Promise<{ kdf: string; rekeyedAt: string }>
  /** The secret for `wallet unlock` without a passphrase. */
  readonly standardSecret?: () => Promise<Secret | undefined>
  /** The secret that a key file holds; made with `make` when it is not there. */
  readonly keyFileSecret?: (path: string, make: boolean) => Promise<Secret>
  /** Folder of the rulesets that every pico has. */
  readonly builtins: string
  readonly version: string
  readonly home: string
  readonly limits?: Partial<EngineLimits>
  readonly jsonDepth: number
  /** Where peers reach this engine; known once the listener listens. */
  readonly addresses: () => { publicUrl: string; baseUrl: string; adminUrl: string }
  /** Faults and notices of the engine, for the process's log: never what picos say. */
  readonly log: (record: JsonObject) => void
  readonly pause?: () => Promise<void>
  /** Takes a forwarded envelope for a registered key that is no pico's here; false when it cannot be kept now. */
  readonly passOn?: (next: string, envelope: Uint8Array, delay_ms: number) => Promise<boolean>
  /** Where it is noted what runs, for the case that the process dies of it. */
  readonly mark?: MarkFile
}

const LOGS_KEPT = 20_000
const ANSWERS_KEPT = 1_000
const LOOK_MS = 50
const KINDS: readonly (readonly [group: string, kind: string])[] = [
  [GROUP.pico, 'pico'],
  [GROUP.child, 'pico'],
  [GROUP.connection, 'connection'],
  [GROUP.ruleset, 'ruleset'],
  [GROUP.channel, 'channel'],
  [GROUP.message, 'message'],
]

/** What the engine is while nothing can be asked of it; anything else is on its way out. */
const CLOSED: Readonly<Record<string, string>> = {
  locked: 'wallet.locked',
  starting: 'engine.starting',
  unlocking: 'engine.starting',
  rekeying: 'engine.starting',
}

interface Open {
  readonly engine: Engine
  readonly vault: Vault
  readonly sources: Sources
  readonly inbox: Inbox
  readonly outbox: Outbox
  readonly owner: Owner
  readonly moves: Moves
  readonly mail: OwnMail
}

export class Node implements Agent {
  readonly parts: NodeParts
  private readonly keyrings = new Keyrings()
  private open_: Open | undefined
  private why = 'starting'
  private turn: Promise<void> = Promise.resolve()
  /** What the last rekey of this run was given: the settings of the start do not know of it. */
  private rekeyed: { readonly keyFile?: string } | undefined
  private readonly started: number
  /** As text: one string moves through the collector's generations more cheaply than the message behind a record. */
  private readonly logs: { readonly picoId: Json; readonly text: string }[] = []
  private readonly listeners = new Set<(event: JsonObject) => void>()
  private readonly answers = new Map<string, Json>()
  private expecting = 0
  private readonly waiters = new Map<string, (answer: Json) => void>()
  private readonly lines = new Map<string, Carrier>()
  private readonly holding = new Set<{ picoId: PicoId; look: () => void }>()
  private readonly attending = new Set<(fault: PicoError) => void>()

  constructor(parts: NodeParts) {
    this.parts = parts
    this.started = parts.clock.now()
  }

  private get opened(): Open {
    if (this.open_ === undefined) throw this.closed()
    return this.open_
  }

  private closed(): PicoError {
    return new PicoError(CLOSED[this.why] ?? 'engine.stopping', `the engine is ${this.why}`)
  }

  get engine(): Engine {
    return this.opened.engine
  }

  get owner(): Owner {
    return this.opened.owner
  }

  get moves(): Moves {
    return this.opened.moves
  }

  get unlocked(): boolean {
    return this.open_ !== undefined
  }

  get refusedStrangers(): { count: number; recent: readonly JsonObject[] } {
    return this.opened.inbox.strangers
  }

  // ---- life ------------------------------------------------------------------------------------------------------

  /** Unlocks: opens store and wallet, starts the engine. Throws `wallet.*`, `store.*`; nothing is open then. */
  unlock(secret: Secret): Promise<void> {
    return this.inTurn('unlocking', async () => {
      if (this.open_) return
      await this.parts.store.open()
      await this.run(await this.parts.openVault(this.parts.store, secret))
    })
  }

  /** Unlock, lock and rekey wait for each other: one has the store. What fails leaves it closed and the wallet locked. */
  private inTurn(why: string, work: () => Promise<void>): Promise<void> {
    const mine = this.turn.then(async () => {
      this.why = why
      await work().catch(async error => {
        this.why = 'locked'
        await this.parts.store.close()
        throw error
      })
    })
    this.turn = mine.catch(() => undefined)
    return mine
  }

  private async run(vault: Vault): Promise<void> {
    const { parts } = this
    const table: Table = { get: name => engine.named(name), put: (name, value) => engine.setNamed(name, value) }
    const sources = new Sources(table, (url, owner) => this.fetchRuleset(engine, url, owner), parts.builtins)
    const outbox = new Outbox({
      engine: () => engine,
      keyrings: this.keyrings,
      client: parts.client,
      sources,
      baseUrl: () => parts.addresses().baseUrl,
      receive: async envelope => {
        const { status, carried } = await this.receive(envelope, { live: false })
        carried?.(false)
        return status
      },
      live: (picoId, connectionId) => this.line(picoId, connectionId),
    })
    const engine: Engine = new Engine({
      store: parts.store,
      vault,
      clock: parts.clock,
      random: parts.random,
      world: {
        perform: (effect: Effect) => outbox.perform(effect),
        deliver: (letter: Letter, picoId: PicoId) => outbox.deliver(letter, picoId),
      },
      step,
      runQuery,
      peersMail,
      code: sources.compiled,
      loadCode: async hash => void (await sources.ensure(hash)),
      toStimulus: (picoId, stored) => inbox.open(picoId, stored),
      facts: {
        baseUrl: parts.addresses().baseUrl,
        get engineDid() {
          return mail.did
        },
        version: parts.version,
      },
      ...(parts.limits === undefined ? {} : { limits: parts.limits }),
      ...(parts.pause === undefined ? {} : { pause: parts.pause }),
      ...(parts.mark === undefined ? {} : { mark: parts.mark }),
    })
    const around = {
      engine: () => engine,
      sources,
      keyrings: this.keyrings,
      vault: () => vault,
      client: parts.client,
      named: table,
      clock: parts.clock,
      random: parts.random,
      baseUrl: () => parts.addresses().baseUrl,
      engineDid: () => mail.did,
      log: parts.log,
      changed: (move: JsonObject) => this.emit({ kind: 'move', ...move }),
    }
    const moves = new Moves(around)
    const mail = new OwnMail({ ...around, moves, ...(parts.passOn === undefined ? {} : { passOn: parts.passOn }) })
    const inbox = new Inbox({
      engine,
      keyrings: this.keyrings,
      outbox: () => outbox,
      own: mail,
      clock: parts.clock,
      jsonDepth: parts.jsonDepth,
      line: (picoId, connectionId, carrier) => void this.lines.set(`${picoId}/${connectionId}`, carrier),
    })
    const owner = new Owner({
      engine,
      sources,
      waiting: this.waiting(engine),
      refused: picoId => inbox.refusedBy(picoId),
      logs: (picoId, n) => this.past(picoId, n),
      newRoot: () => this.newRoot(engine),
      eid: () => this.eid(),
      whereTo: picoId => this.whereTo(engine, picoId),
      fetchInvitation: url => this.fetchInvitation(url),
    })
    this.listen(engine, inbox)
    try {
      await sources.start()
      await engine.start()
      await mail.start()
      this.open_ = { engine, vault, sources, inbox, outbox, owner, moves, mail }
      this.receive = inbox.receive.bind(inbox)
      // A new home has none, nor has one whose root moved away.
      await owner.root()
      await moves.start()
    } catch (error) {
      // Half a start is none: what runs already would go on over a store that is closed.
      this.leave()
      await engine.stop().catch(() => undefined)
      this.forgetKeys(vault)
      throw error
    }
    this.emit({ kind: 'engine', state: 'ready' })
  }

  private async newRoot(engine: Engine): Promise<PicoId> {
    const picoId = Buffer.from(this.parts.random.bytes(16)).toString('hex')
    const eci = Buffer.from(this.parts.random.bytes(24)).toString('base64url')
    await engine.createPico({ picoId, name: 'root', parentId: null, parentEci: null, eci, rulesets: [], attrs: {} })
    return picoId
  }

  /** Stops the engine and forgets every key. */
  close(why = 'stopped'): Promise<void> {
    return this.inTurn(why, async () => {
      const open = this.leave()
      if (open === undefined) return
      await open.engine.stop().finally(() => this.forgetKeys(open.vault))
      this.emit({ kind: 'engine', state: why })
    })
  }

  /** From here on nothing is asked of the engine that was open. */
  private leave(): Open | undefined {
    const open = this.open_
    this.open_ = undefined
    this.receive = notOpen
    open?.moves.stop()
    for (const end of this.attending) end(this.closed())
    return open
  }

  /** What only reads, or waits for a peer when its step is done, has nothing to finish: it ends with the engine. */
  private whileOpen<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.attending.add(reject)
      void work.then(resolve, reject).finally(() => this.attending.delete(reject))
    })
  }

  private forgetKeys(vault: Vault): void {
    this.keyrings.clear()
    this.lines.clear()
    vault.lock()
  }

  // ---- listening to the engine --------------------------------------------------------------------------------------

  private listen(engine: Engine, inbox: Inbox): void {
    engine.on('committed', event => this.committed(event, inbox))
    engine.on('queried', ({ picoId, log }) => this.record(picoId, this.parts.clock.now(), log, inbox))
    engine.on('rejected', ({ picoId, reason, from }) => {
      inbox.note(picoId, reason, from)
      this.keep(
        {
          picoId,
          level: 'warn',
          code: reason,
          message: 'a message was refused',
          ...(from === undefined ? {} : { from }),
        },
        this.parts.clock.now(),
      )
    })
    engine.on('fault', ({ picoId, fault, attempts }) => {
      this.parts.log({
        level: 'error',
        code: fault.code,
        message: fault.message,
        ...(picoId === null ? {} : { picoId }),
        attempts,
        ...(fault.cause instanceof Error ? { stack: String(fault.cause.stack) } : {}),
      })
    })
    engine.on('registry', ({ picoId, status }) => {
      if (status === 'gone' || status === 'retired') this.keyrings.forget(picoId)
      this.emit({ kind: 'pico', picoId, status })
    })
  }

  private committed(event: Committed, inbox: Inbox): void {
    const { picoId, at, changes, log } = event
    this.record(picoId, at, log, inbox)
    for (const look of [...this.holding]) if (look.picoId === picoId) look.look()
    if (this.listeners.size === 0) return
    const groups = [...new Set(changes.map(({ group }) => group))]
    const kinds = new Set(KINDS.filter(([group]) => groups.includes(group)).map(([, kind]) => kind))
    if (groups.some(group => group.startsWith('var/'))) kinds.add('state')
    for (const kind of kinds) this.emit({ kind, picoId, at: new Date(at).toISOString() })
  }

  private record(picoId: PicoId, at: number, log: Committed['log'], inbox: Inbox): void {
    for (const record of log) {
      if (record.code === ANSWERED) this.answered(`${picoId}/${String(record.threadId)}`, record.answer ?? null)
      else this.keep({ picoId, ...(record as unknown as JsonObject) }, at)
      if (record.code === REFUSED)
        inbox.note(picoId, String(record.reason), typeof record.from === 'string' ? record.from : undefined)
    }
  }

  private keep(record: JsonObject, at: number): void {
    const full = { at: new Date(at).toISOString(), ...record }
    this.logs.push({ picoId: record.picoId ?? null, text: JSON.stringify(full) })
    if (this.logs.length > LOGS_KEPT * 1.1) this.logs.splice(0, this.logs.length - LOGS_KEPT)
    if (this.listeners.size > 0) this.emit({ kind: 'log', ...full })
  }

  private past(picoId: PicoId | undefined, n: number): JsonObject[] {
    const mine = picoId === undefined ? this.logs : this.logs.filter(record => record.picoId === picoId)
    return n === 0 ? [] : mine.slice(-n).map(({ text }) => JSON.parse(text) as JsonObject)
  }

  private emit(event: JsonObject): void {
    for (const listener of this.listeners) listener(event)
  }

  watch(listener: (event: JsonObject) => void): () => void {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  // ---- commands that wait --------------------------------------------------------------------------------------------

  private answered(key: string, answer: Json): void {
    const waiter = this.waiters.get(key)
    if (waiter) {
      this.waiters.delete(key)
      waiter(answer)
      return
    }
    // The answer may come before the command that asked has returned; rules ask too, and wait for nothing here.
    if (this.expecting === 0) return
    if (this.answers.size >= ANSWERS_KEPT) this.answers.delete(this.answers.keys().next().value as string)
    this.answers.set(key, answer)
  }

  private waiting(engine: Engine): Waiting {
    const { clock } = this.parts
    return {
      expect: () => {
        this.expecting++
        return () => {
          if (--this.expecting === 0) this.answers.clear()
        }
      },
      thread: (picoId, threadId, ms) => {
        const key = `${picoId}/${threadId.toLowerCase()}`
        const early = this.answers.get(key)
        this.answers.delete(key)
        if (early !== undefined) return Promise.resolve(early)
        const answered = new Promise<Json | undefined>(resolve => {
          const cancel = clock.wake(clock.now() + ms, () => {
            this.waiters.delete(key)
            resolve(undefined)
          })
          this.waiters.set(key, answer => {
            cancel()
            resolve(answer)
          })
        })
        return this.whileOpen(answered)
      },
      until: (picoId, ms, holds) => this.whileOpen(this.until(engine, picoId, ms, holds)),
      gone: (picoIds, ms) => this.whileOpen(this.gone(engine, picoIds, ms)),
    }
  }

  private async until(engine: Engine, picoId: PicoId, ms: number, holds: (view: View) => boolean): Promise<boolean> {
    const { clock } = this.parts
    const ends = clock.now() + ms
    for (;;) {
      // Registered before looking, so that nothing that happens meanwhile is missed.
      let look: () => void = () => undefined
      const changed = new Promise<void>(resolve => (look = resolve))
      const entry = { picoId, look }
      this.holding.add(entry)
      try {
        if (await engine.read(picoId, holds)) return true
        const left = ends - clock.now()
        if (left <= 0) return false
        let cancel: () => void = () => undefined
        await Promise.race([changed, new Promise<void>(resolve => (cancel = clock.wake(clock.now() + left, resolve)))])
        cancel()
      } finally {
        this.holding.delete(entry)
      }
    }
  }

  private gone(engine: Engine, picoIds: readonly PicoId[], ms: number): Promise<boolean> {
    const left = () => picoIds.some(picoId => engine.registered(picoId) !== undefined)
    if (!left()) return Promise.resolve(true)
    return new Promise(resolve => {
      const end = (all: boolean) => {
        stop()
        cancel()
        resolve(all)
      }
      const stop = engine.on('registry', () => left() || end(true))
      const cancel = this.parts.clock.wake(this.parts.clock.now() + ms, () => end(false))
    })
  }

  private line(picoId: PicoId, connectionId: string): ((envelope: Uint8Array) => boolean) | undefined {
    const carrier = this.lines.get(`${picoId}/${connectionId}`)
    if (carrier?.reply === undefined) return undefined
    const { reply } = carrier
    return envelope => {
      if (reply(envelope)) return true
      // The line is gone: from now on the peer's address is used again.
      this.lines.delete(`${picoId}/${connectionId}`)
      return false
    }
  }

  private async fetchRuleset(engine: Engine, url: string, owner: boolean): Promise<string> {
    // Ends before the effect does: its end could not say what it had waited for.
    const ms = engine.limits.effect_ms * 0.8
    const request = { method: 'GET', url, headers: { accept: 'text/plain, */*' }, followRedirect: true }
    const { status_code, status_line, content } = await this.parts.client.request(request, owner, ms)
    if (status_code === 200) return String(content ?? '')
    const why =
      status_code === 0
        ? `cannot be fetched (${String(status_line)})`
        : `answered ${String(status_code)} ${String(status_line)}`
    throw new PicoError('ruleset.unreachable', `${url} ${why}`)
  }

  private async fetchInvitation(url: string): Promise<Json> {
    const answer = await this.parts.client.request(
      { method: 'GET', url, headers: { accept: 'application/json' }, followRedirect: true },
      true,
    )
    if (answer.status_code === 0)
      throw new PicoError('invitation.unreachable', `${url} cannot be reached (${String(answer.status_line)})`)
    if (answer.status_code !== 200) throw noInvitation(url, Number(answer.status_code), String(answer.content))
    try {
      return JSON.parse(String(answer.content)) as Json
    } catch {
      throw new PicoError('invitation.invalid', `${url} gave no invitation`)
    }
  }

  // ---- Agent ---------------------------------------------------------------------------------------------------------

  ready(): { ready: boolean; reason?: string } {
    return this.open_ === undefined ? { ready: false, reason: this.why } : { ready: true }
  }

  /** While the engine is open this is its inbox's. */
  receive: Agent['receive'] = notOpen

  channel(eci: string): PicoId {
    const picoId = this.opened.engine.lookup(`eci:${eci}`)
    if (picoId === undefined) throw new PicoError('channel.unknown', 'there is no such channel')
    return picoId
  }

  async event(request: EventRequest): Promise<EventResult> {
    const { engine } = this.opened
    const picoId = this.channel(request.eci)
    const stimulus = sentEvent(request, this.eid())
    const waited = request.wait || request.query !== undefined
    const answer = await engine.submit(picoId, stimulus, waited ? 'applied' : 'accepted')
    return toldOf(answer, String(stimulus.eid), waited)
  }

  private eid(): string {
    return uuidOf(this.parts.random.bytes(16))
  }

  async query(request: QueryRequest): Promise<Json> {
    const { engine } = this.opened
    const picoId = this.channel(request.eci)
    const answer = await this.whileOpen(engine.query(picoId, { ...request, outside: true, depth: 0 }))
    if ('error' in answer) throw refusalOf(answer.error as unknown as JsonObject)
    return answer.value
  }

  async invitation(id: string): Promise<InvitationView | undefined> {
    const { engine } = this.opened
    const picoId = engine.lookup(`inv:${id}`)
    if (picoId === undefined) return undefined
    if (engine.registered(picoId)?.status === 'retired') throw await this.whereTo(engine, picoId)
    const thread = await engine.read(picoId, view => readThread(view, id))
    const data = thread?.data as JsonObject | undefined
    if (thread === undefined || data?.invitation === undefined) return undefined
    const expired = typeof data.expiresTime === 'number' && data.expiresTime * 1000 <= this.parts.clock.now()
    const invitation = data.invitation as JsonObject
    const goal = invitation.goal ?? (invitation.body as JsonObject | undefined)?.goal
    const parameter = '@type' in invitation ? 'oob' : '_oob'
    return {
      invitation,
      url: `${this.parts.addresses().baseUrl}?${parameter}=${Buffer.from(JSON.stringify(invitation)).toString('base64url')}`,
      label: String(data.label ?? ''),
      // As a handshake is refused: past its time it has expired, used or not.
      state: expired ? 'expired' : thread.state === 'await-response' ? 'open' : 'used',
      ...(typeof goal === 'string' ? { goal } : {}),
    }
  }

  /** Where the pico of this retired copy lives: only there is known what it has now. Waits as for a frozen pico until the
   *  target says that it is active. */
  private async whereTo(engine: Engine, picoId: PicoId): Promise<PicoError> {
    const { clock } = this.parts
    const ends = clock.now() + engine.limits.frozen_ms
    while (engine.moved(picoId).code === 'pico.frozen' && clock.now() < ends)
      await new Promise<void>(resolve => clock.wake(clock.now() + LOOK_MS, resolve))
    return engine.moved(picoId)
  }

  async verb(name: string, args: JsonObject): Promise<Json> {
    checkArgs(name, args)
    try {
      return await this.run_(name, args)
    } catch (thrown) {
      throw asPicoError(thrown)
    }
  }

  private async run_(name: string, args: JsonObject): Promise<Json> {
    switch (name) {
      case 'status':
        return this.status()
      case 'wallet.status':
        return this.wallet()
      case 'wallet.lock':
        await this.close('locked')
        return this.wallet()
      case 'wallet.unlock':
        return this.unlockBy(args)
      case 'wallet.rekey':
        return this.rekey(args)
      case 'move.ticket':
        return this.opened.moves.ticket(typeof args.expires_s === 'number' ? args.expires_s : undefined)
      case 'move.run':
        return this.opened.moves.run(await this.opened.owner.resolve(String(args.pico)), String(args.ticket))
      case 'move.ls':
        return this.opened.moves.ls()
      case 'move.show':
        return this.opened.moves.show(String(args.move))
      case 'move.resume':
        return this.opened.moves.resume(String(args.move))
      case 'move.abort':
        return this.opened.moves.abort(String(args.move))
      case 'query':
        return this.whileOpen(this.opened.owner.verb(name, args))
      default:
        return this.opened.owner.verb(name, args)
    }
  }

  private async status(): Promise<Json> {
    const { publicUrl, baseUrl, adminUrl } = this.parts.addresses()
    const open = this.open_
    const strangers = open?.inbox.strangers ?? { count: 0, recent: [] }
    return {
      version: this.parts.version,
      home: this.parts.home,
      publicUrl,
      baseUrl,
      didcommUrl: `${baseUrl}/didcomm`,
      adminUrl,
      wallet: open === undefined ? 'locked' : 'unlocked',
      picos:
        open === undefined
          ? 0
          : (await open.engine.picos()).filter(pico => pico.status === 'live' || pico.status === 'frozen').length,
      ready: open !== undefined,
      uptime_ms: this.parts.clock.now() - this.started,
      refused: { count: strangers.count, recent: strangers.recent as unknown as Json },
    }
  }

  private async wallet(): Promise<Json> {
    return { state: this.open_ === undefined ? 'locked' : 'unlocked', ...(await this.parts.walletFacts()) }
  }

  private async unlockBy(args: JsonObject): Promise<Json> {
    if (this.open_ !== undefined) return this.wallet()
    // What a home that is not made yet is to be opened with is for its start to say.
    if (this.why === 'starting') throw new PicoError('engine.starting', 'the engine is starting')
    const secret = await this.secretFor(args)
    if (secret === undefined) throw new PicoError('wallet.passphrase', 'a passphrase is needed')
    await this.unlock(secret)
    return this.wallet()
  }

  /** What was given, else what the last rekey of this run wrapped with, else what the settings name. */
  private async secretFor({ passphrase, keyFile = this.rekeyed?.keyFile }: JsonObject): Promise<Secret | undefined> {
    const { keyFileSecret, standardSecret } = this.parts
    if (typeof passphrase === 'string') return { passphrase }
    if (typeof keyFile === 'string') return keyFileSecret?.(keyFile, false)
    return this.rekeyed === undefined ? standardSecret?.() : undefined
  }

  private async rekey(args: JsonObject): Promise<Json> {
    const { rekey, keyFileSecret, store } = this.parts
    if (rekey === undefined || keyFileSecret === undefined)
      throw new PicoError('usage', 'this engine has no wallet file')
    // Before a key file is made for nothing.
    if (!this.unlocked) throw new PicoError('wallet.locked', 'the engine is locked')
    const secret: Secret =
      typeof args.passphrase === 'string'
        ? { passphrase: args.passphrase }
        : await keyFileSecret(String(args.keyFile), true)
    await this.inTurn('rekeying', async () => {
      // Steps stand still meanwhile: a pico made now would be wrapped by the key that goes.
      const { engine, vault } = this.opened
      this.leave()
      await engine.stop()
      await store.open()
      const opened = await rekey(store, vault, secret).finally(() => this.forgetKeys(vault))
      // The path of a key file, never a passphrase.
      this.rekeyed = typeof args.keyFile === 'string' ? { keyFile: args.keyFile } : {}
      await this.run(opened)
    })
    return { ...((await this.wallet()) as JsonObject), hint: afterRekey(this.parts.home, args.keyFile) }
  }
}

const notOpen = async (): Promise<Received> => ({ status: 503, retryAfter: 5 })

/** Why there is no invitation behind a short URL; a Picomesh engine says by its code whether it is used or expired. */
function noInvitation(url: string, status: number, content: string): PicoError {
  if (status === 404) return new PicoError('invitation.unknown', `there is no invitation at ${url}`)
  if (status !== 410)
    return new PicoError('invitation.unreachable', `${url} answered ${status} instead of an invitation`)
  const expired = /"code":\s*"invitation\.expired"/.test(content)
  return expired
    ? new PicoError('invitation.expired', `the invitation at ${url} has expired`)
    : new PicoError('invitation.used', `the invitation at ${url} was used already`)
}

/** The settings do not know of a rekey: what they must say at the next start. */
function afterRekey(home: string, keyFile: Json | undefined): string {
  if (keyFile === join(home, 'key'))
    return 'the next start needs neither PICOMESH_KEY_FILE nor PICOMESH_PASSPHRASE_FILE: the key file lies in the home'
  const wrapped =
    keyFile === undefined
      ? 'the next start needs PICOMESH_PASSPHRASE_FILE, or `wallet unlock` after it'
      : `the next start needs PICOMESH_KEY_FILE=${String(keyFile)}`
  return `${wrapped}; a key file that lay in the home opens nothing any more and was removed`
}
