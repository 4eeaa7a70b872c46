// pure
// Parents and children. A birth is two steps: the parent commits the child's entry and a `create` letter, the child
// draws its own keys and DID in its first step and reports back. Deletion runs by letters, leaves first.

import { RulesetFault } from '../krl/types.ts'
import { didKey } from '../wallet/did-key.ts'
import { drawKey } from '../wallet/keyring.ts'
import { dropChannel, putChannel } from './channel.ts'
import {
  type Child,
  children,
  GROUP,
  ordinal,
  type Run,
  readChannel,
  readChild,
  readSelf,
  type Self,
  writeSelf,
} from './pico.ts'
import { ALLOW_ALL_EVENTS, ALLOW_ALL_QUERIES } from './policy.ts'
import type { Birth, Json, JsonObject, View } from './ports.ts'

/** Rulesets that every pico has; their code is the engine's own, so the hash names it and no bytes. */
export const BUILTINS = ['io.picolabs.wrangler', 'io.picolabs.subscription'] as const
export const builtinHash = (rid: string) => `builtin:${rid}`

const family = { eventPolicy: ALLOW_ALL_EVENTS, queryPolicy: ALLOW_ALL_QUERIES }

/** The first record of a pico that is being born. */
function born(birth: Birth, did: string, now: number): Self {
  return {
    picoId: birth.picoId,
    name: birth.name,
    did,
    parentId: birth.parentId,
    parentEci: birth.parentEci,
    parentUrl: birth.parentUrl ?? null,
    eci: birth.eci,
    createdAt: now,
    ordinal: 1,
    messages: 0,
    relocateSerial: 0,
  }
}

/** In the parent's step: the child's entry, the parent's channel for it, and the letter that makes it. */
export function newChild(run: Run, wanted: { name: string; rulesets: Birth['rulesets']; attrs: JsonObject }): Child {
  const self = readSelf(run.records)
  if (self === undefined) throw new Error('a pico that was never born has a child')
  const picoId = run.picoId()
  const n = ordinal(run.records)
  const child: Child = { picoId, name: wanted.name, eci: run.eci(), parentEci: run.eci(), ready: false, did: null, n }
  run.records.put(GROUP.child, picoId, child as unknown as Json)
  run.records.put(GROUP.childEci, child.eci, picoId)
  putChannel(run, { id: child.parentEci, tags: ['system', 'child'], ...family, familyChannelPicoID: picoId, n })
  const birth: Birth = {
    picoId,
    name: wanted.name,
    parentId: self.picoId,
    parentEci: child.parentEci,
    eci: child.eci,
    rulesets: wanted.rulesets,
    attrs: wanted.attrs,
  }
  run.letter({ kind: 'create', birth }, `eci:${child.eci}`)
  return child
}

/** The child's first step: keys, DID, channel, rulesets; then the events that tell its rules. */
export function beBorn(run: Run, birth: Birth): void {
  const key = drawKey('Ed25519', run.draw('key'))
  const did = didKey('Ed25519', key.publicKey)
  writeSelf(run.records, born(birth, did, run.now))
  run.records.put(GROUP.key, `${did}#${did.slice('did:key:'.length)}`, key.stored as unknown as Json)
  const tags = birth.parentId === null ? ['system', 'self'] : ['system', 'parent']
  putChannel(run, { id: birth.eci, tags, ...family, familyChannelPicoID: birth.parentId, n: 0 })
  let n = 1
  const put = (rid: string, url: string, hash: string, config: JsonObject, modules: Json) =>
    run.records.put(GROUP.ruleset, rid, { rid, url, hash, config, modules, flushedAt: run.now, n: n++ })
  for (const rid of BUILTINS) put(rid, `picomesh:${rid}.krl`, builtinHash(rid), {}, {})
  for (const { loaded, config } of birth.rulesets)
    put(loaded.rid, loaded.url, loaded.hash, config, loaded.modules as unknown as Json)
  const self = readSelf(run.records)
  if (self) writeSelf(run.records, { ...self, ordinal: n })
  raise(run, birth.eci, 'wrangler', 'pico_created', { ...birth.attrs, name: birth.name })
  const rids = birth.rulesets.map(({ loaded }) => loaded.rid)
  if (rids.length > 0) raise(run, birth.eci, 'wrangler', 'ruleset_installed', { rids })
}

function raise(run: Run, eci: string, domain: string, type: string, attrs: JsonObject): void {
  run.raise({ eid: run.txnId, eci, domain, type, attrs })
}

/** What the core itself keeps of family events that arrive on a family channel, before any rule sees them. */
export function noteFamilyEvent(run: Run, picoId: string, domain: string, type: string, attrs: JsonObject): void {
  const self = readSelf(run.records)
  const here = run.given.engine.baseUrl
  if (picoId === self?.parentId && domain === 'engine' && type === 'parent_moved' && typeof attrs.url === 'string')
    writeSelf(run.records, { ...self, parentUrl: attrs.url === here ? null : attrs.url })
  const child = readChild(run.records, picoId)
  if (child === undefined) return
  const put = (next: Child) => run.records.put(GROUP.child, picoId, next as unknown as Json)
  if (domain === 'wrangler' && type === 'child_initialized')
    put({ ...child, ready: true, did: typeof attrs.did === 'string' ? attrs.did : null })
  if (domain === 'engine' && type === 'child_renamed' && typeof attrs.name === 'string')
    put({ ...child, name: attrs.name })
  if (domain === 'engine' && type === 'child_moved' && typeof attrs.url === 'string') {
    const { movedTo: _, ...rest } = child
    put(attrs.url === here ? rest : { ...rest, movedTo: attrs.url })
    // A parent that goes had asked it, not knowing yet that it is elsewhere.
    if (attrs.url !== here && isGoing(run)) forget(run, child)
  }
  if (domain === 'engine' && type === 'child_gone') forget(run, child)
}

function forget(run: Run, child: Child): void {
  run.records.put(GROUP.child, child.picoId, undefined)
  run.records.put(GROUP.childEci, child.eci, undefined)
  dropChannel(run, child.parentEci)
  if (isGoing(run)) finishDeletion(run)
}

const isGoing = (run: Run): boolean => run.records.get(GROUP.pico, 'deleting') === true

/** In the parent's step: asks a child, named by its ECI, to go. False when that ECI leads to no child here. Throws
 *  `pico.remote` for one that moved away: it is its new engine's to delete, and stays this one's child until it is. */
export function deleteChild(run: Run, eci: string): boolean {
  const picoId = run.records.get(GROUP.childEci, eci)
  const child = typeof picoId === 'string' ? readChild(run.records, picoId) : undefined
  if (child === undefined) return false
  if (child.movedTo !== undefined)
    throw new RulesetFault('pico.remote', `that child lives at ${child.movedTo}: it is deleted there`)
  askToGo(run, child)
  return true
}

function askToGo(run: Run, { eci, picoId }: Child): void {
  run.letter({ kind: 'delete', eci, picoId }, `eci:${eci}`)
}

/** Is `picoId` the parent of this pico, and `eci` the channel that the two have? An entry of a child, such as one that came
 *  with a move, says nothing of it. */
export function isParent(view: View, picoId: string, eci: string): boolean {
  return readSelf(view)?.parentId === picoId && readChannel(view, eci)?.familyChannelPicoID === picoId
}

/** In the step of the pico that is to go: first its children, then itself. A child that moved away lives on (DESIGN 5). */
export function beginDeletion(run: Run): void {
  run.records.put(GROUP.pico, 'deleting', true)
  for (const child of children(run.records)) child.movedTo === undefined ? askToGo(run, child) : forget(run, child)
  finishDeletion(run)
}

function finishDeletion(run: Run): void {
  if (children(run.records).length > 0) return
  const self = readSelf(run.records)
  if (self?.parentEci) {
    const body = {
      kind: 'event',
      eci: self.parentEci,
      domain: 'engine',
      name: 'child_gone',
      attrs: { id: self.picoId },
    } as const
    run.letter(self.parentUrl === null ? body : { ...body, host: self.parentUrl }, `eci:${self.parentEci}`)
  }
  run.destroy = true
}

/** Tells the parent of a new name. */
export function rename(run: Run, name: string): void {
  const self = readSelf(run.records)
  if (self === undefined) return
  writeSelf(run.records, { ...self, name })
  if (self.parentEci === null) return
  const body = { kind: 'event', eci: self.parentEci, domain: 'engine', name: 'child_renamed', attrs: { name } } as const
  run.letter(self.parentUrl === null ? body : { ...body, host: self.parentUrl }, `eci:${self.parentEci}`)
}
