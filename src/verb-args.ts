// The arguments of every verb that the engine answers (contract 3), one schema each: what the command line is typed
// by, and what a request to the admin listener is checked against.

import { z } from 'zod'
import { PicoError } from './errors.ts'
import type { JsonObject } from './ports.ts'

const text = z.string()
const map = z.custom<JsonObject>(value => value !== null && typeof value === 'object' && !Array.isArray(value), {
  error: 'expected an object',
})
/** Ten years: what expires later does not expire, and its date may be none. */
export const LONGEST_S = 315_360_000
const seconds = z.number().max(LONGEST_S, { error: `at most ${LONGEST_S} seconds (ten years)` })
/** Peers take no longer one (protocols/message.ts), HTTP no longer Idempotency-Key. */
export const LONGEST_ID = 255
/** Empty, it would make one of all that a script sends whose variable is not set. */
const id = z
  .string()
  .min(1, { error: 'an id has at least one character' })
  .max(LONGEST_ID, { error: `an id has at most ${LONGEST_ID} characters` })

const nothing = z.strictObject({})
/** Id, DID, unique name or path of names from the root. */
const onPico = { pico: text }
const onConnection = { ...onPico, connection: text }
/** `d:t,…` and `rid/name,…` as typed on the command line, `*` allowed; src/policy.ts makes the classic policy of them. */
const policy = { events: text.exactOptional(), queries: text.exactOptional() }

const schemas = {
  status: nothing,
  'pico.ls': z.strictObject({ parent: text.exactOptional() }),
  'pico.new': z.strictObject({ name: text, parent: text.exactOptional(), rulesets: z.array(text).exactOptional() }),
  'pico.show': z.strictObject(onPico),
  'pico.tree': nothing,
  'pico.rename': z.strictObject({ ...onPico, name: text }),
  'pico.rm': z.strictObject(onPico),
  /** For the console's State page: `{[rid]: {name: value}}`. */
  'pico.state': z.strictObject(onPico),
  'channel.ls': z.strictObject(onPico),
  'channel.new': z.strictObject({ ...onPico, ...policy, tags: z.array(text) }),
  'channel.rm': z.strictObject({ ...onPico, eci: text }),
  'ruleset.ls': z.strictObject(onPico),
  /** `url` is absolute: the command line turns a file name into a `file:` URL. */
  'ruleset.install': z.strictObject({ ...onPico, url: text, config: map.exactOptional() }),
  /** `target` is a URL or a RID. */
  'ruleset.flush': z.strictObject({ target: text }),
  'ruleset.rm': z.strictObject({ ...onPico, rid: text }),
  event: z.strictObject({
    ...onPico,
    domain: text,
    type: text,
    attrs: map,
    id: id.exactOptional(),
    eci: text.exactOptional(),
    wait: z.boolean(),
  }),
  query: z.strictObject({ ...onPico, rid: text, name: text, args: map, eci: text.exactOptional() }),
  invite: z.strictObject({
    ...onPico,
    ...policy,
    version: z.enum(['v1', 'v2']),
    multi: z.boolean(),
    approve: z.boolean(),
    label: text.exactOptional(),
    goal: text.exactOptional(),
    expires_s: seconds.exactOptional(),
  }),
  /** `invitation` is a URL or the invitation's JSON text. */
  accept: z.strictObject({ ...onPico, ...policy, invitation: text, wait: z.boolean() }),
  'connection.ls': z.strictObject(onPico),
  'connection.show': z.strictObject(onConnection),
  'connection.rm': z.strictObject(onConnection),
  'connection.approve': z.strictObject(onConnection),
  'connection.policy': z.strictObject({ ...onConnection, ...policy }),
  'pico-event': z.strictObject({ ...onConnection, domain: text, type: text, attrs: map }),
  'pico-query': z.strictObject({ ...onConnection, rid: text, name: text, args: map }),
  ping: z.strictObject(onConnection),
  'msg.send': z.strictObject({ ...onConnection, text, id: id.exactOptional() }),
  'msg.ls': z.strictObject({ ...onPico, connection: text.exactOptional() }),
  'didcomm.send': z.strictObject({ ...onConnection, type: text, body: map, thid: id.exactOptional() }),
  'thread.ls': z.strictObject({ ...onPico, connection: text.exactOptional() }),
  'move.ticket': z.strictObject({ expires_s: seconds.exactOptional() }),
  'move.run': z.strictObject({ ...onPico, ticket: text }),
  'move.ls': nothing,
  'move.show': z.strictObject({ move: text }),
  'move.resume': z.strictObject({ move: text }),
  'move.abort': z.strictObject({ move: text }),
  logs: z.strictObject({ pico: text.exactOptional(), n: z.int().nonnegative().exactOptional() }),
  rejected: z.strictObject(onPico),
  'dead.ls': z.strictObject(onPico),
  'dead.retry': z.strictObject({ ...onPico, id: text }),
  'dead.rm': z.strictObject({ ...onPico, id: text }),
  'wallet.status': nothing,
  'wallet.lock': nothing,
  /** Without both: what the last rekey or the settings of the start name. The command line reads passphrase files;
   *  the path of a key file is absolute. */
  'wallet.unlock': z.strictObject({ passphrase: text.exactOptional(), keyFile: text.exactOptional() }),
  /** The new wrapping: exactly one of the two; `keyFile` is an absolute path, made (0600) when it is not there. */
  'wallet.rekey': z.union([z.strictObject({ passphrase: text }), z.strictObject({ keyFile: text })]),
} as const

/** Every verb of the command line that the engine answers. */
export type VerbName = keyof typeof schemas

/** Arguments by verb; answers are those of the contract's table. Optional members are absent, never null. */
export type VerbArgs = { [Name in VerbName]: z.output<(typeof schemas)[Name]> }

/** Throws PicoError `usage.unknown_verb`, or `usage` with the member that is wrong. */
export function checkArgs(name: string, args: JsonObject): void {
  if (!Object.hasOwn(schemas, name)) throw new PicoError('usage.unknown_verb', `there is no verb "${name}"`)
  const checked = schemas[name as VerbName].safeParse(args)
  if (checked.success) return
  const [issue] = checked.error.issues
  const place = issue?.path.join('.') ?? ''
  const message = issue?.message ?? 'not understood'
  throw new PicoError('usage', `${name}: ${place === '' ? message : `${place}: ${message}`}`, { member: place })
}
