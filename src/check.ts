// `picomesh check`: compiles ruleset files without an engine and says what is wrong, where, and what to do.

import { readFile } from 'node:fs/promises'
import { compile } from '../krl/index.ts'
import type { Diagnostic } from '../krl/types.ts'
import { PicoError } from './errors.ts'
import { domains } from './modules.ts'

/** A diagnostic with its file, as `ruleset install` gives it too; `source` is the line it stands on. */
export interface Found extends Omit<Diagnostic, 'hint'> {
  readonly hint: string | null
  readonly file: string
  readonly source: string
}

/** Throws PicoError `ruleset.unreachable` for a file that cannot be read. */
export async function checkFiles(files: readonly string[]): Promise<Found[]> {
  const found: Found[] = []
  for (const file of files) {
    const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      throw new PicoError('ruleset.unreachable', `${file} cannot be read (${error.code ?? 'failed'})`)
    })
    const lines = text.split(/\r?\n/)
    for (const one of compile(text, { domains }).diagnostics)
      found.push({ ...one, hint: one.hint ?? null, file, source: lines[one.line - 1] ?? '' })
  }
  return found
}

/** The place, the sentence, the line with a caret below, the hint. */
export function diagnosticLines(found: Found): string {
  const caret = `${found.source.slice(0, found.column - 1).replace(/[^\t]/g, ' ')}^`
  const head = `${found.file}:${found.line}:${found.column}: ${found.severity} ${found.code}: ${found.message}`
  return [head, `  ${found.source}`, `  ${caret}`, ...(found.hint === null ? [] : [`  ${found.hint}`])].join('\n')
}
