// What an engine is told at start: environment and flags of `picomesh start` (contract 2). A flag wins over the
// environment, the environment over the standard. Nothing else in the project reads the environment.

import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { z } from 'zod'
import { PicoError } from './errors.ts'
import { parseAllowed } from './transports/address.ts'
import { limitsSchema, STANDARD_LIMITS } from './transports/limits.ts'

// The sentences end what the name of a setting begins: `PORT: …`.
const PORT = 'a port is a number from 0 to 65535'
// Digits alone: Number() would take `0x10`, `1e3` and a blank too.
const port = z
  .string()
  .regex(/^\d{1,5}$/, PORT)
  .transform(Number)
  .refine(number => number <= 65535, PORT)
const url = z
  .url({ protocol: /^https?$/, error: 'an http or https URL, such as https://agent.example' })
  .transform(text => text.replace(/\/+$/, ''))
  .refine(text => !/[?#]/.test(text), 'a URL without a query and a fragment')
const list = z.string().transform(text => text.split(',').flatMap(part => part.trim() || []))
const json = z.string().transform((text, context) => {
  try {
    return JSON.parse(text) as unknown
  } catch {
    context.addIssue('this is no JSON: write it as {"queue":5000}')
    return z.NEVER
  }
})

const schema = z
  .object({
    home: z
      .string()
      .min(1)
      .transform(folder => resolve(folder)),
    port: port.default(3000),
    host: z.string().min(1).default('127.0.0.1'),
    baseUrl: url.optional(),
    adminPort: port.default(3001),
    passphraseFile: z.string().min(1).optional(),
    keyFile: z.string().min(1).optional(),
    log: z.enum(['pretty', 'json', 'silent'], 'one of pretty, json, silent').default('pretty'),
    allowHosts: list.default([]),
    limits: json.pipe(limitsSchema).default(limitsSchema.parse({})),
  })
  .refine(c => !(c.passphraseFile && c.keyFile), {
    path: ['keyFile'],
    message: 'PICOMESH_PASSPHRASE_FILE and PICOMESH_KEY_FILE exclude each other',
  })

export type Config = z.output<typeof schema>

/** Where each value comes from: flag of `picomesh start`, environment variables (the first one set counts), help. */
export const SETTINGS = {
  home: { flag: '--home <dir>', env: ['PICOMESH_HOME', 'PICO_ENGINE_HOME'], help: 'home folder (default ~/.picomesh)' },
  port: { flag: '--port <n>', env: ['PORT'], help: 'public listener (default 3000; 0 = any free)' },
  host: { flag: '--host <address>', env: ['PICOMESH_HOST'], help: 'address to listen on (default 127.0.0.1)' },
  baseUrl: {
    flag: '--base-url <url>',
    env: ['PICOMESH_BASE_URL', 'PICO_ENGINE_BASE_URL'],
    help: 'URL under which peers reach this engine',
  },
  adminPort: { flag: '--admin-port <n>', env: ['PICOMESH_ADMIN_PORT'], help: 'console, loopback only (default 3001)' },
  passphraseFile: {
    flag: '--passphrase-file <file>',
    env: ['PICOMESH_PASSPHRASE_FILE'],
    help: 'file with the passphrase of the wallet',
  },
  keyFile: { flag: '--key-file <file>', env: ['PICOMESH_KEY_FILE'], help: 'key file of the wallet (made if missing)' },
  log: { flag: '--log <form>', env: ['PICOMESH_LOG'], help: 'pretty, json or silent' },
  allowHosts: {
    flag: '--allow-hosts <list>',
    env: ['PICOMESH_ALLOW_HOSTS'],
    help: 'private hosts or CIDR blocks that rulesets and letters may reach',
  },
  limits: { flag: '--limits <json>', env: ['PICOMESH_LIMITS'], help: 'limits of the listeners, as JSON' },
} as const satisfies Record<string, { flag: string; env: readonly string[]; help: string }>

export type Setting = keyof typeof SETTINGS
export type Flags = Partial<Record<Setting, string>>

/** Throws PicoError `config.invalid`; the sentence names the variable. Empty variables count as absent. */
export function readConfig(flags: Flags, env: NodeJS.ProcessEnv): Config {
  const raw: Record<string, string> = { home: join(homedir(), '.picomesh') }
  for (const [name, { env: names }] of Object.entries(SETTINGS)) {
    const value = flags[name as Setting] ?? names.map(variable => env[variable]).find(Boolean)
    if (value) raw[name] = value
  }
  const result = schema.safeParse(raw)
  if (!result.success) throw invalid(result.error.issues)
  const wrong = parseAllowed(result.data.allowHosts).wrong
  if (wrong)
    throw new PicoError('config.invalid', `PICOMESH_ALLOW_HOSTS: ${wrong} is neither a host name nor a CIDR block`)
  return result.data
}

/** The home folder alone, for the verbs that only look for an engine. */
export function homeOf(flag: string | undefined, env: NodeJS.ProcessEnv): string {
  return resolve(flag ?? (SETTINGS.home.env.map(name => env[name]).find(Boolean) || join(homedir(), '.picomesh')))
}

/** Is everything that leads here on this machine? Only then may rulesets reach loopback. */
export function loopbackOnly(config: Pick<Config, 'host' | 'baseUrl'>): boolean {
  const base = config.baseUrl === undefined || isLoopbackName(new URL(config.baseUrl).hostname)
  return base && isLoopbackName(config.host)
}

/** `localhost`, 127.0.0.0/8 and ::1, as they stand in a URL or a setting. */
export function isLoopbackName(host: string): boolean {
  return /^(localhost|127(\.\d{1,3}){3}|\[?::1\]?)$/i.test(host)
}

function invalid(issues: readonly z.core.$ZodIssue[]): PicoError {
  const [issue] = issues
  const [name = 'home', ...rest] = issue?.path ?? []
  const variable = SETTINGS[name as Setting]?.env[0] ?? String(name)
  const member = rest.length > 0 ? ` (${rest.join('.')})` : ''
  const sentence = name === 'limits' && issue !== undefined ? limitSentence(issue) : issue?.message
  return new PicoError('config.invalid', `${variable}${member}: ${sentence ?? 'not understood'}`)
}

/** The limits' schema checks, this says it; every limit is a count. */
function limitSentence(issue: z.core.$ZodIssue): string {
  const known = Object.keys(STANDARD_LIMITS).join(', ')
  if (issue.code === 'unrecognized_keys') return `there is no limit ${issue.keys.join(', ')}, only ${known}`
  if (issue.path.length > 1) return 'a limit is a whole number above 0'
  return issue.code === 'custom' ? issue.message : `an object of limits: ${known}`
}
