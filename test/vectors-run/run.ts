// `npm run vectors -- PATH… [--json]`: runs vector files through the functions the engine itself uses. Exit 1 when a case
// failed, 2 when nothing at a path is of a known family; beside files of known ones, others are listed as skipped.

import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { RunResult } from './cases.ts'
import { familyOf, isVectorFile, runFile } from './families.ts'

const USAGE = 'usage: npm run vectors -- PATH… [--json]'

interface Ran extends RunResult {
  readonly file: string
}

/** JSON files named, or below a folder named. */
function filesAt(path: string): string[] {
  if (!statSync(path).isDirectory()) return [path]
  const below = readdirSync(path, { recursive: true, encoding: 'utf8' }).filter(name => name.endsWith('.json'))
  return below
    .sort()
    .map(name => join(path, name))
    .filter(name => isVectorFile(read(name)))
}

function read(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    return undefined
  }
}

function lines({ file, passed, failed, skipped }: Ran): string[] {
  return [
    `${file}: ${passed.length} passed, ${failed.length} failed, ${skipped.length} skipped`,
    ...failed.map(({ id, why }) => `  failed ${id}: ${why}`),
    ...skipped.map(({ id, why }) => `  skipped ${id}: ${why}`),
  ]
}

/** The exit code. */
export async function main(
  args: readonly string[],
  out: (text: string) => void,
  err: (text: string) => void,
): Promise<number> {
  const json = args.includes('--json')
  const paths = args.filter(arg => arg !== '--json')
  if (paths.length === 0 || paths.some(path => path.startsWith('--'))) {
    err(USAGE)
    return 2
  }
  const ran: Ran[] = []
  let unknown = 0
  for (const path of paths) {
    const files = filesAt(path)
    if (!files.some(file => familyOf(read(file)) !== undefined)) {
      unknown++
      err(`${path}: of no family that is known here`)
      continue
    }
    for (const file of files) {
      const result = { file, ...(await runFile(read(file))) }
      ran.push(result)
      if (!json) for (const line of lines(result)) out(line)
    }
  }
  if (json) out(JSON.stringify({ files: ran.map(one => ({ ...one, passed: one.passed.length })) }, null, 2))
  if (ran.some(({ failed }) => failed.length > 0)) return 1
  return unknown > 0 ? 2 : 0
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    process.exitCode = await main(process.argv.slice(2), console.log, console.error)
  } catch (error) {
    console.error((error as Error).message)
    process.exitCode = 2
  }
}
