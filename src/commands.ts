// pure
// The owner's commands on one pico, as steps. Arguments come checked from src/owner.ts; refusals are RulesetFaults.

import { RulesetFault } from '../krl/types.ts'
import { closeChannel, openChannel } from './channel.ts'
import * as connections from './connection.ts'
import { beginDeletion, deleteChild, isParent, newChild, rename } from './family.ts'
import { install, loadRuleset, usersOf } from './modules.ts'
import { GROUP, type Run, readRuleset, readSelf } from './pico.ts'
import { parsePolicy } from './policy.ts'
import type { Birth, Json, JsonObject, Letter, LoadedRuleset } from './ports.ts'
import { relocate } from './relocation.ts'

const NAME_LENGTH = 200

type Command = (run: Run, args: JsonObject) => JsonObject

const text = (value: Json | undefined): string => (typeof value === 'string' ? value : '')
const optional = (value: Json | undefined): string | undefined => (typeof value === 'string' ? value : undefined)
const map = (value: Json | undefined): JsonObject =>
  value !== null && typeof value === 'object' && !Array.isArray(value) ? value : {}

/** A name stands in paths (`root/fleet/car-1`), tables and logs: on one line, and no slash in it. */
function picoName(value: Json | undefined): string {
  const name = text(value)
  if (name.trim() === '' || name.length > NAME_LENGTH || /[/\p{Cc}]/u.test(name))
    throw new RulesetFault(
      'pico.name',
      `a name has 1 to ${NAME_LENGTH} characters, none of them a slash or a control character`,
    )
  return name
}

const load = (run: Run, url: string, fresh: boolean): LoadedRuleset => loadRuleset(run, url, fresh, true)

function raise(run: Run, domain: string, type: string, attrs: JsonObject): void {
  run.raise({ eid: run.txnId, eci: readSelf(run.records)?.eci ?? null, domain, type, attrs })
}

export const commands: Readonly<Record<string, Command>> = {
  event(run, { domain, type, attrs }) {
    raise(run, text(domain), text(type), map(attrs))
    return {}
  },
  'pico.new'(run, { name, rulesets: wanted }) {
    const urls = Array.isArray(wanted) ? wanted.filter(url => typeof url === 'string') : []
    const loaded: Birth['rulesets'] = urls.map(url => ({ url, config: {}, loaded: load(run, url, false) }))
    const child = newChild(run, { name: picoName(name), rulesets: loaded, attrs: {} })
    raise(run, 'wrangler', 'new_child_created', { name: child.name, eci: child.eci, id: child.picoId })
    return { picoId: child.picoId, eci: child.eci }
  },
  'pico.rename'(run, { name }) {
    rename(run, picoName(name))
    return {}
  },
  /** The owner deletes a child of this pico. */
  'pico.rm'(run, { eci }) {
    if (!deleteChild(run, text(eci))) throw new RulesetFault('pico.unknown', 'that is no child of this pico')
    raise(run, 'wrangler', 'child_deleted', { eci: eci ?? null })
    return {}
  },
  /** Of the owner; with `sender` of a pico's letter, which must be the parent's. */
  delete(run, { eci, sender }) {
    if (sender !== undefined && !isParent(run.records, text(sender), text(eci)))
      throw new RulesetFault('policy.denied', 'only its parent deletes a pico by letter')
    beginDeletion(run)
    return {}
  },
  'channel.new'(run, { tags, events, queries }) {
    const policies = [parsePolicy(text(events), 'event'), parsePolicy(text(queries), 'query')]
    for (const policy of policies) if (typeof policy === 'string') throw new RulesetFault('policy.malformed', policy)
    const {
      id,
      tags: clean,
      eventPolicy,
      queryPolicy,
    } = openChannel(run, tags ?? [], policies[0] as unknown as Json, policies[1] as unknown as Json)
    raise(run, 'wrangler', 'channel_created', { channel: { id, tags: [...clean] } })
    return {
      eci: id,
      tags: [...clean],
      eventPolicy: eventPolicy as unknown as Json,
      queryPolicy: queryPolicy as unknown as Json,
    }
  },
  'channel.rm'(run, { eci }) {
    closeChannel(run, text(eci))
    raise(run, 'wrangler', 'channel_deleted', { eci: eci ?? null })
    return { eci: eci ?? null }
  },
  'ruleset.install'(run, { url, config }) {
    const loaded = load(run, text(url), false)
    install(run, loaded, loaded.url, map(config))
    raise(run, 'wrangler', 'ruleset_installed', { rids: [loaded.rid], url: loaded.url })
    return { rid: loaded.rid }
  },
  /** The new text of a ruleset that this pico has, with the configuration it had. */
  'ruleset.flush'(run, { rid }) {
    const before = readRuleset(run.records, text(rid))
    if (before === undefined) throw new RulesetFault('ruleset.unknown', `this pico has no ruleset ${text(rid)}`)
    const loaded = load(run, before.url, true)
    if (loaded.rid !== before.rid) throw new RulesetFault('ruleset.invalid', `${before.url} now holds ${loaded.rid}`)
    install(run, loaded, before.url, before.config)
    raise(run, 'wrangler', 'rulesets_flushed', { rids: [before.rid] })
    return { rid: before.rid }
  },
  'ruleset.rm'(run, { rid }) {
    const name = text(rid)
    if (readRuleset(run.records, name) === undefined)
      throw new RulesetFault('ruleset.unknown', `this pico has no ruleset ${name}`)
    const users = usersOf(run, name)
    if (users.length > 0) throw new RulesetFault('ruleset.in_use', `${users.join(' and ')} uses ${name}`)
    run.records.put(GROUP.ruleset, name, undefined)
    raise(run, 'wrangler', 'ruleset_uninstalled', { rid: name })
    return { rid: name }
  },
  invite(run, args) {
    return connections.invite(run, {
      version: args.version === 'v2' ? 'v2' : 'v1',
      multi: args.multi === true,
      approve: args.approve === true,
      events: text(args.events),
      queries: text(args.queries),
      ...(typeof args.label === 'string' ? { label: args.label } : {}),
      ...(typeof args.goal === 'string' ? { goal: args.goal } : {}),
      ...(typeof args.expires_s === 'number' ? { expires: args.expires_s } : {}),
    })
  },
  accept: (run, { invitation, events, queries }) =>
    connections.accept(run, { url: invitation ?? null, events: text(events), queries: text(queries) }),
  'connection.approve': (run, { connection }) => connections.approve(run, text(connection)),
  'connection.decline': (run, { connection }) => connections.decline(run, text(connection)),
  'connection.rm': (run, { connection }) => connections.remove(run, text(connection)),
  'connection.policy': (run, { connection, events, queries }) =>
    connections.setPolicy(run, text(connection), optional(events), optional(queries)),
  ping: (run, { connection }) => connections.ping(run, text(connection)),
  'msg.send': (run, { connection, text: content, id }) =>
    connections.basicMessage(run, text(connection), text(content), optional(id)),
  'pico-event': (run, { connection, domain, type, attrs }) =>
    connections.sendPicoEvent(run, text(connection), { domain: text(domain), type: text(type), attrs: map(attrs) }),
  'pico-query': (run, { connection, rid, name, args }) =>
    connections.sendPicoQuery(run, text(connection), { rid: text(rid), name: text(name), args: map(args) }),
  'didcomm.send': (run, { connection, type, body, thid }) =>
    connections.sendMessage(run, text(connection), text(type), map(body), optional(thid)),
  /** Not the owner's: the engine, after a move of this pico or of its own address. */
  relocate: (run, { moved }) => relocate(run, moved === true),
  /** Sends a letter that was given up once more, under its old id. */
  'letter.retry'(run, { letter, id }) {
    const { body, lane, report } = letter as unknown as Letter
    run.letter(body, lane, report, text(id))
    run.records.put('dead', text(id), undefined)
    return { id: id ?? null }
  },
  'dead.rm'(run, { id }) {
    if (run.records.get('dead', text(id)) === undefined)
      throw new RulesetFault('letter.unknown', 'there is no such dead letter')
    run.records.put('dead', text(id), undefined)
    return { id: id ?? null }
  },
  /** Not the owner's: the driver gives the answer to a peer's query. */
  'pico-answer': (run, { threadId, answer }) => connections.answerQuery(run, text(threadId), map(answer)),
}
