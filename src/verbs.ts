// The command line as a table: words, options, an example, how arguments become those of the engine's verb (agent.ts),
// how the answer reads for people. Contract 3 is this table in prose.

import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { PicoError } from './errors.ts'
import type { Json, JsonObject } from './ports.ts'
import { terminalQr } from './qr.ts'
import { anything, recordLines, table, tree } from './tables.ts'
import { LONGEST_ID, LONGEST_S, type VerbArgs, type VerbName } from './verb-args.ts'

/** Wrong arguments: exit code 2. */
export class Usage extends Error {}

/** Options as commander gives them. */
export type Options = Readonly<Record<string, string | boolean | readonly string[] | undefined>>

export interface Verb<Name extends VerbName = VerbName> {
  readonly name: Name
  /** As typed: `pico new <name>`. */
  readonly usage: string
  readonly about: string
  readonly example: string
  readonly options?: readonly (readonly [flag: string, help: string])[]
  /** Positional arguments and options to the verb's arguments. Throws Usage. */
  readonly args: (words: Words, options: Options) => VerbArgs[Name]
  /** For people; the standard is a table or record of everything. */
  readonly show?: (answer: Json, options: Options) => string
  /** Why an answer that came is a refusal all the same (exit code 1); undefined when it is none. */
  readonly refused?: (answer: Json) => JsonObject | undefined
}

/** Positional arguments by place; the rest after the fixed ones. */
export interface Words {
  readonly at: (place: number) => string
  readonly maybe: (place: number) => string | undefined
  readonly rest: readonly string[]
}

const EVENTS = ['--events <list>', 'what may be raised: domain:type,… or *'] as const
const QUERIES = ['--queries <list>', 'what may be asked: rid/name,… or *'] as const
const EXPIRES = ['--expires <seconds>', 'valid for so long'] as const
const CONNECTION = ['connectionId', 'state', 'role', 'label', 'version', 'myDid', 'theirDid']
const MOVE = ['moveId', 'picoId', 'state', 'role', 'bytes', 'pause_ms']

const verb = <Name extends VerbName>(row: Verb<Name>): Verb => row as unknown as Verb
const columns =
  (...names: string[]) =>
  (answer: Json) =>
    table(answer as Json[], names)
const record = (answer: Json) => recordLines(answer as JsonObject)
const none = () => ({})
const onPico = (words: Words) => ({ pico: words.at(0) })
const onConnection = (words: Words) => ({ pico: words.at(0), connection: words.at(1) })

/** Every verb that an engine answers, in the order of the help. */
export const VERBS: readonly Verb[] = [
  verb({
    name: 'status',
    usage: 'status',
    about: 'the engine: addresses, wallet, picos',
    example: 'status --json',
    args: none,
    show: record,
  }),

  verb({
    name: 'pico.ls',
    usage: 'pico ls',
    about: 'list picos',
    example: 'pico ls --parent root/fleet',
    options: [['--parent <pico>', 'only children of this one']],
    args: (_, o) => optional({ parent: text(o.parent) }),
    show: columns('name', 'picoId', 'parentId', 'children', 'did'),
  }),
  verb({
    name: 'pico.new',
    usage: 'pico new <name>',
    about: 'make a pico, a child of the first root unless told otherwise',
    example: 'pico new lamp --parent root --ruleset lamp.krl',
    options: [
      ['--parent <pico>', 'its parent'],
      ['--ruleset <url...>', 'rulesets it starts with: URLs or files'],
    ],
    args: (w, o) => ({
      name: w.at(0),
      ...optional({ parent: text(o.parent), rulesets: list(o.ruleset)?.map(rulesetUrl) }),
    }),
  }),
  verb({ name: 'pico.show', usage: 'pico show <pico>', about: 'one pico', example: 'pico show lamp', args: onPico }),
  verb({
    name: 'pico.tree',
    usage: 'pico tree',
    about: 'all picos as a tree',
    example: 'pico tree',
    args: none,
    show: answer => tree(Array.isArray(answer) ? answer : [answer]),
  }),
  verb({
    name: 'pico.rename',
    usage: 'pico rename <pico> <name>',
    about: 'give a pico another name',
    example: 'pico rename lamp "desk lamp"',
    args: w => ({ pico: w.at(0), name: w.at(1) }),
  }),
  verb({
    name: 'pico.rm',
    usage: 'pico rm <pico>',
    about: 'delete a pico, its children and their keys',
    example: 'pico rm lamp',
    args: onPico,
  }),

  verb({
    name: 'channel.ls',
    usage: 'channel ls <pico>',
    about: 'channels of a pico',
    example: 'channel ls lamp',
    args: onPico,
    show: columns('eci', 'tags', 'eventPolicy', 'queryPolicy'),
  }),
  verb({
    name: 'channel.new',
    usage: 'channel new <pico>',
    about: 'make a channel; without --events and --queries it lets nothing through',
    example: 'channel new lamp --tags switch --events lamp:on,lamp:off --queries "lamp/*"',
    options: [['--tags <list>', 'tags: a,b,…'], EVENTS, QUERIES],
    args: (w, o) => ({ pico: w.at(0), tags: tagList(o.tags), ...policies(o) }),
  }),
  verb({
    name: 'channel.rm',
    usage: 'channel rm <pico> <eci>',
    about: 'delete a channel',
    example: 'channel rm lamp ECI',
    args: w => ({ pico: w.at(0), eci: w.at(1) }),
  }),

  verb({
    name: 'ruleset.ls',
    usage: 'ruleset ls <pico>',
    about: 'rulesets of a pico',
    example: 'ruleset ls lamp',
    args: onPico,
    show: columns('rid', 'version', 'hash', 'url'),
  }),
  verb({
    name: 'ruleset.install',
    usage: 'ruleset install <pico> <url|file>',
    about: 'install a ruleset from a URL or a file',
    example: 'ruleset install lamp lamp.krl --config \'{"threshold":20}\'',
    options: [['--config <json>', 'values for the ruleset']],
    args: (w, o) => ({
      pico: w.at(0),
      url: rulesetUrl(w.at(1)),
      ...optional({ config: object(o.config, '--config') }),
    }),
  }),
  verb({
    name: 'ruleset.flush',
    usage: 'ruleset flush <url|rid>',
    about: 'fetch and compile anew, everywhere',
    example: 'ruleset flush lamp',
    args: w => ({ target: existsSync(w.at(0)) ? rulesetUrl(w.at(0)) : w.at(0) }),
  }),
  verb({
    name: 'ruleset.rm',
    usage: 'ruleset rm <pico> <rid>',
    about: 'uninstall a ruleset',
    example: 'ruleset rm lamp lamp',
    args: w => ({ pico: w.at(0), rid: w.at(1) }),
  }),

  verb({
    name: 'event',
    usage: 'event <pico> <domain:type> [k=v...]',
    about: 'raise an event and show the directives',
    example: 'event lamp switch:on level=3',
    options: [
      ['--attrs <json>', 'attributes as JSON'],
      ['--id <id>', 'raise it at most once under this id'],
      ['--eci <eci>', 'over this channel'],
      ['--no-wait', 'return when it is durable'],
    ],
    args: (w, o) => ({
      pico: w.at(0),
      ...eventName(w.at(1)),
      attrs: pairs(w.rest, o.attrs, '--attrs'),
      wait: o.wait !== false,
      ...optional({ id: id(o.id, '--id'), eci: text(o.eci) }),
    }),
    show: answer => {
      const { eid, directives } = answer as { eid: string; directives?: Json[] }
      return directives === undefined ? eid : `${eid}\n${table(directives, ['name', 'options'])}`
    },
  }),
  verb({
    name: 'query',
    usage: 'query <pico> <rid/name> [k=v...]',
    about: 'ask a ruleset',
    example: 'query lamp lamp/level',
    options: [
      ['--args <json>', 'arguments as JSON'],
      ['--eci <eci>', 'over this channel'],
    ],
    args: (w, o) => ({
      pico: w.at(0),
      ...queryName(w.at(1)),
      args: pairs(w.rest, o.args, '--args'),
      ...optional({ eci: text(o.eci) }),
    }),
    show: valueText,
  }),

  verb({
    name: 'invite',
    usage: 'invite <pico>',
    about: 'make an invitation (out-of-band, v1 unless told)',
    example: 'invite lamp --label "Desk lamp" --qr',
    options: [
      ['--v1', 'DIDComm v1'],
      ['--v2', 'DIDComm v2'],
      ['--multi', 'may be used more than once'],
      ['--approve', 'wait for `connection approve`'],
      ['--label <text>', 'what the other side sees'],
      ['--goal <code>', 'goal code'],
      EXPIRES,
      EVENTS,
      QUERIES,
      ['--qr', 'draw the short URL'],
    ],
    args: (w, o) => {
      if (o.v1 && o.v2) throw new Usage('--v1 and --v2 exclude each other')
      const words = optional({ label: text(o.label), goal: text(o.goal), expires_s: seconds(o.expires) })
      return {
        pico: w.at(0),
        version: o.v2 ? 'v2' : 'v1',
        multi: o.multi === true,
        approve: o.approve === true,
        ...words,
        ...policies(o),
      }
    },
    show: (answer, o) => {
      const { invitationId, url, shortUrl } = answer as { invitationId: string; url: string; shortUrl: string }
      const code = o.qr ? `\n${terminalQr(shortUrl).join('\n')}` : ''
      return `${recordLines({ invitationId, shortUrl, url })}${code}`
    },
  }),
  verb({
    name: 'accept',
    usage: 'accept <pico> <url|json>',
    about: 'accept an invitation and wait until connected',
    example: 'accept lamp http://127.0.0.1:3000/i/ID',
    options: [EVENTS, QUERIES, ['--no-wait', 'return at once']],
    args: (w, o) => ({ pico: w.at(0), invitation: w.at(1), wait: o.wait !== false, ...policies(o) }),
  }),
  verb({
    name: 'connection.ls',
    usage: 'connection ls <pico>',
    about: 'connections of a pico',
    example: 'connection ls lamp',
    args: onPico,
    show: columns(...CONNECTION),
  }),
  verb({
    name: 'connection.show',
    usage: 'connection show <pico> <connection>',
    about: 'one connection',
    example: 'connection show lamp ID',
    args: onConnection,
  }),
  verb({
    name: 'connection.rm',
    usage: 'connection rm <pico> <connection>',
    about: 'close here and delete; a request that waits for approval is declined',
    example: 'connection rm lamp ID',
    args: onConnection,
  }),
  verb({
    name: 'connection.approve',
    usage: 'connection approve <pico> <connection>',
    about: 'accept a request that waits',
    example: 'connection approve lamp ID',
    args: onConnection,
  }),
  verb({
    name: 'connection.policy',
    usage: 'connection policy <pico> <connection>',
    about: 'what the peer may raise and ask over the pico protocol',
    example: 'connection policy lamp ID --events lamp:on --queries "lamp/*"',
    options: [EVENTS, QUERIES],
    args: (w, o) => ({ ...onConnection(w), ...policies(o) }),
  }),

  verb({
    name: 'pico-event',
    usage: 'pico-event <pico> <connection> <domain:type> [k=v...]',
    about: "raise an event in the peer's pico",
    example: 'pico-event lamp ID switch:on level=3',
    options: [['--attrs <json>', 'attributes as JSON']],
    args: (w, o) => ({ ...onConnection(w), ...eventName(w.at(2)), attrs: pairs(w.rest, o.attrs, '--attrs') }),
  }),
  verb({
    name: 'pico-query',
    usage: 'pico-query <pico> <connection> <rid/name> [k=v...]',
    about: "ask the peer's pico",
    example: 'pico-query lamp ID lamp/level',
    options: [['--args <json>', 'arguments as JSON']],
    args: (w, o) => ({ ...onConnection(w), ...queryName(w.at(2)), args: pairs(w.rest, o.args, '--args') }),
    show: valueText,
  }),
  verb({
    name: 'ping',
    usage: 'ping <pico> <connection>',
    about: 'trust ping',
    example: 'ping lamp ID',
    args: onConnection,
  }),
  verb({
    name: 'msg.send',
    usage: 'msg send <pico> <connection> <text>',
    about: 'send a basic message',
    example: 'msg send lamp ID "hello"',
    options: [['--id <id>', 'send it at most once under this id']],
    args: (w, o) => ({ ...onConnection(w), text: w.at(2), ...optional({ id: id(o.id, '--id') }) }),
  }),
  verb({
    name: 'msg.ls',
    usage: 'msg ls <pico> [connection]',
    about: 'basic messages, newest last',
    example: 'msg ls lamp',
    args: w => ({ pico: w.at(0), ...optional({ connection: w.maybe(1) }) }),
    show: columns('at', 'direction', 'connectionId', 'text'),
  }),
  verb({
    name: 'didcomm.send',
    usage: 'didcomm send <pico> <connection> <type> <body-json>',
    about: 'send any DIDComm message',
    example: 'didcomm send lamp ID https://didcomm.org/trust-ping/2.0/ping \'{"response_requested":true}\'',
    options: [['--thid <id>', 'on this thread']],
    args: (w, o) => ({
      ...onConnection(w),
      type: w.at(2),
      body: object(w.at(3), 'the body')!,
      ...optional({ thid: id(o.thid, '--thid') }),
    }),
  }),
  verb({
    name: 'thread.ls',
    usage: 'thread ls <pico>',
    about: 'runs of protocols',
    example: 'thread ls lamp --connection ID',
    options: [['--connection <id>', 'only of this one']],
    args: (w, o) => ({ pico: w.at(0), ...optional({ connection: text(o.connection) }) }),
    show: columns('threadId', 'protocol', 'role', 'state', 'connectionId', 'updatedAt'),
  }),

  verb({
    name: 'move.ticket',
    usage: 'move ticket',
    about: 'on the target: a one-time ticket for a pico to come here',
    example: 'move ticket --expires 900',
    options: [EXPIRES],
    args: (_, o) => optional({ expires_s: seconds(o.expires) }),
    show: answer => String((answer as JsonObject).ticket),
  }),
  verb({
    name: 'move.run',
    usage: 'move run <pico> <ticket>',
    about: 'move a pico to the engine of the ticket',
    example: 'move run lamp TICKET',
    args: w => ({ pico: w.at(0), ticket: w.at(1) }),
    refused: aborted,
  }),
  verb({
    name: 'move.ls',
    usage: 'move ls',
    about: 'moves from and to here',
    example: 'move ls',
    args: none,
    show: columns(...MOVE),
  }),
  verb({
    name: 'move.show',
    usage: 'move show <move>',
    about: 'one move',
    example: 'move show ID',
    args: w => ({ move: w.at(0) }),
  }),
  verb({
    name: 'move.resume',
    usage: 'move resume <move>',
    about: 'go on with an interrupted move',
    example: 'move resume ID',
    args: w => ({ move: w.at(0) }),
    refused: aborted,
  }),
  verb({
    name: 'move.abort',
    usage: 'move abort <move>',
    about: 'give up a move before its commit',
    example: 'move abort ID',
    args: w => ({ move: w.at(0) }),
  }),

  verb({
    name: 'rejected',
    usage: 'rejected <pico>',
    about: 'messages that were refused, and why',
    example: 'rejected lamp',
    args: onPico,
    show: answer => refusals(answer as JsonObject),
  }),
  verb({
    name: 'dead.ls',
    usage: 'dead ls <pico>',
    about: 'dead letters',
    example: 'dead ls lamp',
    args: onPico,
    show: columns('id', 'kind', 'at', 'attempts', 'code', 'message'),
  }),
  verb({
    name: 'dead.retry',
    usage: 'dead retry <pico> <id>',
    about: 'try a dead letter again',
    example: 'dead retry lamp ID',
    args: w => ({ pico: w.at(0), id: w.at(1) }),
  }),
  verb({
    name: 'dead.rm',
    usage: 'dead rm <pico> <id>',
    about: 'throw a dead letter away',
    example: 'dead rm lamp ID',
    args: w => ({ pico: w.at(0), id: w.at(1) }),
  }),

  verb({
    name: 'wallet.status',
    usage: 'wallet status',
    about: 'locked or unlocked, and how it is wrapped',
    example: 'wallet status',
    args: none,
  }),
  verb({
    name: 'wallet.lock',
    usage: 'wallet lock',
    about: 'drop all keys from memory and pause',
    example: 'wallet lock',
    args: none,
  }),
]

/** A move that came to nothing, with the code of its reason. */
function aborted(answer: Json): JsonObject | undefined {
  const { state, reason } = answer as JsonObject
  if (state !== 'aborted') return undefined
  const { code = 'move.aborted', message = 'The move was aborted.' } = (reason ?? {}) as JsonObject
  return { code, message }
}

function valueText(answer: Json): string {
  return typeof answer === 'string' ? answer : JSON.stringify(answer, null, 2)
}

function refusals(answer: JsonObject): string {
  return `${String(answer.count)} refused\n${anything(answer.recent ?? [])}`
}

function eventName(word: string): { domain: string; type: string } {
  const [domain, type, more] = word.split(':')
  if (!domain || !type || more !== undefined) throw new Usage(`an event is DOMAIN:TYPE, not ${word}`)
  return { domain, type }
}

function queryName(word: string): { rid: string; name: string } {
  const at = word.lastIndexOf('/')
  if (at < 1 || at === word.length - 1) throw new Usage(`a query is RID/NAME, not ${word}`)
  return { rid: word.slice(0, at), name: word.slice(at + 1) }
}

/** `k=v` words over the JSON of an option; values of words stay text. */
function pairs(words: readonly string[], json: Options[string], what: string): JsonObject {
  const given = words.map(word => {
    const at = word.indexOf('=')
    if (at < 1) throw new Usage(`expected k=v, not ${word}`)
    return [word.slice(0, at), word.slice(at + 1)] as const
  })
  return { ...object(json, what), ...Object.fromEntries(given) }
}

function object(json: Options[string], what: string): JsonObject | undefined {
  if (json === undefined) return undefined
  try {
    const value = JSON.parse(String(json)) as Json
    if (value !== null && typeof value === 'object' && !Array.isArray(value)) return value
  } catch {
    throw new Usage(`${what} must be JSON`)
  }
  throw new Usage(`${what} must be a JSON object`)
}

/** NaN for what is none, an empty word (a variable of a script that is not set) included. */
export function wholeNumber(option: Options[string]): number {
  return /^\d{1,15}$/.test(String(option)) ? Number(option) : Number.NaN
}

function seconds(option: Options[string]): number | undefined {
  if (option === undefined) return undefined
  const number = wholeNumber(option)
  if (!(number >= 1 && number <= LONGEST_S))
    throw new Usage(`--expires takes whole seconds, from 1 to ${LONGEST_S} (ten years)`)
  return number
}

/** What `--id` and `--thid` take. */
function id(option: Options[string], flag: string): string | undefined {
  const given = text(option)
  if (given !== undefined && (given === '' || given.length > LONGEST_ID))
    throw new Usage(`${flag} takes 1 to ${LONGEST_ID} characters`)
  return given
}

/** The tags of a list; one that names none would make a channel that nobody finds again. */
function tagList(option: Options[string]): string[] {
  const tags = (text(option) ?? '')
    .split(',')
    .map(tag => tag.trim())
    .filter(tag => tag !== '')
  if (tags.length === 0) throw new Usage('a channel needs --tags')
  return tags
}

function policies(options: Options): { events?: string; queries?: string } {
  return optional({ events: text(options.events), queries: text(options.queries) })
}

function text(option: Options[string]): string | undefined {
  return typeof option === 'string' ? option : undefined
}

function list(option: Options[string]): readonly string[] | undefined {
  return Array.isArray(option) ? option : undefined
}

/** A file name becomes a `file:` URL; anything with a scheme stays. */
function rulesetUrl(word: string): string {
  if (word.trim() === '') throw new Usage('a ruleset is a URL or a file, not an empty word')
  if (/^[a-z][a-z0-9+.-]+:/i.test(word)) return word
  const path = resolve(word)
  if (!existsSync(path)) throw new PicoError('ruleset.unreachable', `There is no file ${path}`)
  return pathToFileURL(path).href
}

type Present<T> = { [K in keyof T]?: Exclude<T[K], undefined> }

/** Leaves absent members out, as the verbs want them. */
function optional<T extends object>(members: T): Present<T> {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as Present<T>
}
