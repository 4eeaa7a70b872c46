#!/usr/bin/env node
// The command line (contract 3): every verb of verbs.ts over the local socket, and the few that are more than a question
// and an answer: start, logs -f, wallet unlock and rekey, check. Exit 0 done, 1 refused, 2 wrong usage, 3 no engine.

import { realpathSync } from 'node:fs'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Command, CommanderError } from 'commander'
import { type Flags, homeOf, readConfig, SETTINGS, type Setting } from './config.ts'
import { asPicoError, PicoError } from './errors.ts'
import { askEngine, consoleLink, followEngine, NoEngine, Refused } from './local.ts'
import { prettyRecord } from './log.ts'
import type { Json, JsonObject } from './ports.ts'
import { readPassphraseFile, readSecret } from './secret.ts'
import { anything, fault } from './tables.ts'
import { type Options, Usage, VERBS, type Verb, type Words, wholeNumber } from './verbs.ts'
import { VERSION } from './version.ts'

/** What a run of the command line may touch. */
export interface Terminal {
  readonly env: NodeJS.ProcessEnv
  readonly stdin: NodeJS.ReadStream | NodeJS.ReadableStream
  out(text: string): void
  err(text: string): void
}

type Run = (words: Words, options: Options, home: string) => Promise<void>

/** Runs one command line; resolves to the exit code. `argv` is what follows the program's name. */
export async function run(argv: readonly string[], terminal: Terminal): Promise<number> {
  const program = makeProgram(terminal)
  try {
    const words = eciLast(verbFirst(argv))
    nameVerb(program, words)
    await program.parseAsync(words, { from: 'user' })
    return 0
  } catch (error) {
    return report(error, argv.includes('--json'), terminal)
  }
}

/** `--home DIR` and `--json` may also stand before the verb: they are moved behind it. */
function verbFirst(argv: readonly string[]): string[] {
  const leading: string[] = []
  let at = 0
  for (; at < argv.length; at++) {
    const word = argv[at] as string
    if (word === '--home') leading.push(word, argv[++at] ?? '')
    else if (word === '--json' || word.startsWith('--home=')) leading.push(word)
    else break
  }
  const words = argv.slice(at)
  const operands = words.indexOf('--')
  return words.toSpliced(operands < 0 ? words.length : operands, 0, ...leading)
}

/** ECIs made before they were kept from it may begin like an option: behind `--` nothing is one. */
function eciLast(words: string[]): string[] {
  const at = words[0] === 'channel' && words[1] === 'rm' ? words.findIndex(word => /^-[\w-]{31}$/.test(word)) : -1
  return at < 0 || words.includes('--') ? words : [...words.toSpliced(at, 1), '--', ...words.slice(at, at + 1)]
}

/** Options without a verb are no unknown options: what is missing is the verb. */
function nameVerb(program: Command, [first, second]: readonly string[]): void {
  const asks = (word: string) => ['-h', '--help', '-V', '--version'].includes(word)
  const bare = (word: string | undefined) => word === undefined || (word.startsWith('-') && !asks(word))
  if (first === undefined || bare(first)) throw new Usage('say what to do: --help lists the verbs')
  const group = program.commands.find(command => command.name() === first)?.commands ?? []
  if (group.length > 0 && bare(second))
    throw new Usage(`say what to do: ${group.map(command => `${first} ${command.name()}`).join(', ')}`)
}

function makeProgram(terminal: Terminal): Command {
  const program = new Command('picomesh')
    .description('picos that are DIDComm agents')
    .version(VERSION)
    .exitOverride()
    .configureOutput({ writeOut: terminal.out, writeErr: () => {} })
  const add = makeAdder(program, terminal)
  addStart(program, terminal)
  for (const verb of VERBS) add(verb, answerWith(verb, terminal))
  addLogs(add, terminal)
  addWallet(add, terminal)
  addCheck(add, terminal)
  return program
}

type Row = Pick<Verb, 'usage' | 'about' | 'example' | 'options'>
type Add = (row: Row, action: Run) => void

/** Puts a row of the table under its group, with the options that every verb has. */
function makeAdder(program: Command, terminal: Terminal): Add {
  const groups = new Map<string, Command>()
  return (row, action) => {
    const words = row.usage.split(' ')
    const grouped = words[1] !== undefined && /^[a-z]/.test(words[1])
    const parent = grouped
      ? (groups.get(words[0]!) ?? program.command(words[0]!).description(`${words[0]} …`))
      : program
    if (grouped) groups.set(words[0]!, parent)
    const command = parent.command(words.slice(grouped ? 1 : 0).join(' ')).description(row.about)
    for (const [flag, help] of row.options ?? []) command.option(flag, help)
    command.option('--json', 'one JSON value on standard output').option('--home <dir>', 'home folder of the engine')
    command.addHelpText('after', `\nExample:\n  picomesh ${row.example}`)
    command.action(async (...parts: unknown[]) => {
      const positional = command.processedArgs as (string | string[] | undefined)[]
      const options = parts.at(-2) as Options
      if (options.home === '') throw new Usage('--home takes a folder')
      await action(wordsOf(positional), options, homeOf(options.home as string | undefined, terminal.env))
    })
  }
}

function wordsOf(positional: readonly (string | string[] | undefined)[]): Words {
  const last = positional.at(-1)
  return {
    at: place => positional[place] as string,
    maybe: place => positional[place] as string | undefined,
    rest: Array.isArray(last) ? last : [],
  }
}

function answerWith(verb: Verb, terminal: Terminal): Run {
  return async (words, options, home) => {
    const answer = await askEngine(home, verb.name, verb.args(words, options) as unknown as JsonObject)
    const error = verb.refused?.(answer)
    if (error !== undefined && options.json) show({ ...(answer as JsonObject), error }, options, terminal)
    else show(answer, options, terminal, verb.show)
    if (error !== undefined && !options.json) terminal.err(`${fault(error)}\n`)
    if (error !== undefined) throw new Shown()
    if (verb.name === 'status' && !options.json) terminal.out(`console     ${await consoleLink(home)}\n`)
  }
}

function show(answer: Json, options: Options, terminal: Terminal, pretty: Verb['show'] = anything): void {
  terminal.out(`${options.json ? JSON.stringify(answer) : pretty(answer, options)}\n`)
}

function addStart(program: Command, terminal: Terminal): void {
  const command = program.command('start').description('start an engine in the foreground')
  for (const { flag, env, help } of Object.values(SETTINGS)) command.option(flag, `${help} [${env[0]}]`)
  command.addHelpText('after', '\nExample:\n  picomesh start --home ./second --port 0 --admin-port 0')
  command.action(async (flags: Record<string, string>) => {
    const known = Object.fromEntries(Object.entries(flags).filter(([name]) => name in SETTINGS)) as Flags &
      Record<Setting, string>
    const [empty] = Object.entries(known).find(([, value]) => value === '') ?? []
    if (empty !== undefined) throw new Usage(`${SETTINGS[empty as Setting].flag.split(' ')[0]} must not be empty`)
    const config = readConfig(known, terminal.env)
    const { main } = await import('./main.ts')
    await main(config)
  })
}

function addLogs(add: Add, terminal: Terminal): void {
  const row: Row = {
    usage: 'logs [pico]',
    about: 'what happened; -f goes on showing it',
    example: 'logs lamp -f',
    options: [
      ['-f, --follow', 'go on'],
      ['-n, --n <number>', 'how many of the past'],
    ],
  }
  add(row, async (words, options, home) => {
    const pico = words.maybe(0)
    const n = options.n === undefined ? undefined : wholeNumber(options.n)
    if (Number.isNaN(n)) throw new Usage('--n takes a whole number')
    const args = { ...(pico === undefined ? {} : { pico }), ...(n === undefined ? {} : { n }) }
    const line = (record: JsonObject) =>
      terminal.out(`${options.json ? JSON.stringify(record) : prettyRecord(record)}\n`)
    if (options.follow) return follow(home, args, line)
    const past = (await askEngine(home, 'logs', args)) as JsonObject[]
    if (options.json) show(past, options, terminal)
    else for (const record of past) line(record)
  })
}

/** The stream is opened before the past is read: nothing falls between, what is in both is shown once. */
async function follow(home: string, args: { pico?: string }, line: (record: JsonObject) => void): Promise<void> {
  const picoId =
    args.pico === undefined
      ? undefined
      : ((await askEngine(home, 'pico.show', { pico: args.pico })) as JsonObject).picoId
  let early: JsonObject[] | undefined = []
  const { ended } = await followEngine(home, ({ kind, ...record }) => {
    if (kind !== 'log' || (picoId !== undefined && record.picoId !== picoId)) return
    if (early) early.push(record)
    else line(record)
  })
  const past = (await askEngine(home, 'logs', args)) as JsonObject[]
  const known = new Set(past.map(record => JSON.stringify(record)))
  for (const record of [...past, ...early.filter(record => !known.has(JSON.stringify(record)))]) line(record)
  early = undefined
  await ended
}

function addWallet(add: Add, terminal: Terminal): void {
  const file = ['--passphrase-file <file>', 'read it from here instead of asking'] as const
  add(
    {
      usage: 'wallet unlock',
      about: 'unlock the wallet',
      example: 'wallet unlock --passphrase-file pass.txt',
      options: [file, ['--key-file <file>', 'unlock with this key file']],
    },
    async (_, options, home) => {
      const args = await unlockArgs(walletFiles(options), home, terminal)
      show(await askEngine(home, 'wallet.unlock', args), options, terminal)
    },
  )
  const rekey: Row = {
    usage: 'wallet rekey',
    about: 'new master key, wrapped anew',
    example: 'wallet rekey --key-file new.key',
    options: [file, ['--key-file <file>', 'wrap with this key file, made if it is not there']],
  }
  add(rekey, async (_, options, home) => {
    const { passphraseFile, keyFile } = walletFiles(options)
    const args: JsonObject =
      keyFile !== undefined
        ? { keyFile: resolve(keyFile) }
        : { passphrase: await newPassphrase(passphraseFile, terminal) }
    show(await askEngine(home, 'wallet.rekey', args), options, terminal)
  })
}

function walletFiles({ passphraseFile, keyFile }: Options): { passphraseFile?: string; keyFile?: string } {
  if (passphraseFile !== undefined && keyFile !== undefined)
    throw new Usage('--passphrase-file and --key-file exclude each other')
  if (passphraseFile === '' || keyFile === '') throw new Usage('the name of the file is empty')
  return {
    ...(typeof passphraseFile === 'string' ? { passphraseFile } : {}),
    ...(typeof keyFile === 'string' ? { keyFile } : {}),
  }
}

async function unlockArgs(
  { passphraseFile, keyFile }: { passphraseFile?: string; keyFile?: string },
  home: string,
  terminal: Terminal,
): Promise<JsonObject> {
  if (keyFile !== undefined) return { keyFile: resolve(keyFile) }
  if (passphraseFile !== undefined) return { passphrase: await readPassphraseFile(passphraseFile) }
  const { kdf } = (await askEngine(home, 'wallet.status', {})) as JsonObject
  const asks = typeof kdf === 'string' && kdf.startsWith('argon')
  return asks ? { passphrase: await readSecret(terminal, 'Passphrase: ') } : {}
}

async function newPassphrase(file: string | undefined, terminal: Terminal): Promise<string> {
  if (file !== undefined) return readPassphraseFile(file)
  const first = await readSecret(terminal, 'New passphrase: ')
  if ('isTTY' in terminal.stdin && terminal.stdin.isTTY && first !== (await readSecret(terminal, 'Once more: ')))
    throw new PicoError('wallet.passphrase', 'The two passphrases differ; nothing was changed.')
  return first
}

function addCheck(add: Add, terminal: Terminal): void {
  add(
    { usage: 'check <file...>', about: 'compile rulesets without an engine', example: 'check lamp.krl' },
    async (words, options) => {
      const { checkFiles, diagnosticLines } = await import('./check.ts')
      const found = await checkFiles(words.rest)
      if (options.json) show(found.map(({ source: _, ...shown }) => shown) as unknown as Json, options, terminal)
      else
        terminal.out(
          found.length === 0
            ? `${words.rest.length} checked, nothing found\n`
            : `${found.map(diagnosticLines).join('\n')}\n`,
        )
      if (found.some(one => one.severity === 'error')) throw new Shown()
    },
  )
}

/** All was said already; the exit code is left. */
class Shown extends Error {}

function report(error: unknown, asJson: boolean, terminal: Terminal): number {
  if (error instanceof Shown) return 1
  if (error instanceof CommanderError && error.exitCode === 0) return 0
  if (error instanceof Refused) return refuse(error.body, 1, asJson, terminal)
  if (error instanceof NoEngine) return refuse(said('engine.unreachable', error.message), 3, asJson, terminal)
  if (error instanceof Usage) return refuse(said('usage', error.message), 2, asJson, terminal)
  if (error instanceof CommanderError) {
    const message = error.message.replace(/^error: /, '')
    return refuse(said('usage', message), 2, asJson, terminal)
  }
  const known = asPicoError(error)
  if (known.code === 'engine.fault') terminal.err(`${error instanceof Error ? error.stack : String(error)}\n`)
  return refuse({ error: known.toJSON() }, 1, asJson, terminal)
}

function said(code: string, message: string): JsonObject {
  return { error: { code, message } }
}

function refuse(body: JsonObject, exit: number, asJson: boolean, terminal: Terminal): number {
  if (asJson) terminal.out(`${JSON.stringify(body)}\n`)
  else terminal.err(`${fault((body.error ?? {}) as JsonObject)}\n`)
  return exit
}

/** True when this file is the program, also through the symbolic link that npm makes. */
function isProgram(): boolean {
  const program = process.argv[1]
  return program !== undefined && pathToFileURL(realpathSync(program)).href === import.meta.url
}

if (isProgram()) {
  // A reader that has seen enough is no failure; a disk that is full is one.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0)
    process.stderr.write(`Standard output cannot be written (${error.code ?? 'failed'}).\n`)
    process.exit(1)
  })
  const { env, stdin, stdout, stderr } = process
  const terminal: Terminal = { env, stdin, out: text => void stdout.write(text), err: text => void stderr.write(text) }
  const code = await run(process.argv.slice(2), terminal)
  // A start that failed may leave sockets behind; a start that succeeded goes on.
  if (code !== 0) process.exit(code)
}
