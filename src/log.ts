// Where records of the log go: standard output, as JSON lines (pino) or as short lines for people. Records come from
// the engine already without secrets; keys that could hold one are blanked here all the same.

import { type DestinationStream, pino } from 'pino'
import type { Json, JsonObject } from './ports.ts'

/** Levels of LogRecord (ports.ts) with klog between info and warn: the author asked to see it. */
const LEVELS = { error: 50, warn: 40, klog: 35, info: 30, debug: 20 } as const
const SECRETS = ['passphrase', 'secret', 'privateKey', 'seed', 'authorization', 'cookie']
const COLOURS: Record<string, string> = { error: '31', warn: '33', klog: '36', info: '32', debug: '90' }

export type WriteLog = (record: JsonObject) => void

/** `silent` writes nothing. `out` is standard output unless told otherwise. */
export function createLog(
  form: 'pretty' | 'json' | 'silent',
  out: NodeJS.WriteStream | DestinationStream = process.stdout,
): WriteLog {
  if (form === 'silent') return () => {}
  if (form === 'pretty') {
    const colour = 'isTTY' in out && out.isTTY
    return record => void out.write(`${prettyRecord(record, colour)}\n`)
  }
  const options = {
    base: null,
    timestamp: false,
    customLevels: LEVELS,
    useOnlyCustomLevels: true,
    level: 'debug',
    formatters: { level: (label: string) => ({ level: label }) },
    redact: SECRETS,
  } as const
  const log = pino<keyof typeof LEVELS>(options, out)
  return ({ level, ...record }) => log[levelOf(level)](record)
}

/** `12:03:04 warn  code  message  name=value…`, one line whatever the values hold. */
export function prettyRecord(record: JsonObject, colour = false): string {
  const { at, level, code, message, kind: _, ...rest } = record
  const time = typeof at === 'string' ? at.slice(11, 19) : ''
  const name = levelOf(level)
  const shown = colour ? `\x1b[${COLOURS[name]}m${name.padEnd(5)}\x1b[0m` : name.padEnd(5)
  const members = Object.entries(rest).map(([key, value]) => `${key}=${SECRETS.includes(key) ? '…' : text(value)}`)
  return [time, shown, text(code ?? ''), text(message ?? ''), ...members].filter(Boolean).join('  ')
}

function levelOf(level: Json | undefined): keyof typeof LEVELS {
  return typeof level === 'string' && Object.hasOwn(LEVELS, level) ? (level as keyof typeof LEVELS) : 'info'
}

/** Control characters would let a message forge lines or colours. */
function text(value: Json): string {
  const plain = typeof value === 'string' ? value : JSON.stringify(value)
  return plain.replace(/\p{Cc}/gu, character => JSON.stringify(character).slice(1, -1))
}
