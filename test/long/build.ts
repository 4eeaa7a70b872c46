// Builds with one guarantee taken out, to show that the tests see it: a copy of dist in a temporary folder, edited.

import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ROOT } from '../../examples/engine-process.ts'

export interface Edit {
  /** Path below dist. */
  readonly file: string
  readonly from: RegExp
  readonly to: string
}

export interface Build {
  readonly cli: string
  remove(): void
}

/** Throws when an edit finds nothing to change: the build would be sound, and the proof void. */
export function brokenBuild(edits: readonly Edit[]): Build {
  const folder = mkdtempSync(join(tmpdir(), 'picomesh-build-'))
  for (const part of ['src', 'wallet', 'protocols', 'krl']) {
    const from = join(ROOT, 'dist', part)
    if (existsSync(from)) cpSync(from, join(folder, 'dist', part), { recursive: true })
  }
  for (const name of ['node_modules', 'krl', 'package.json']) symlinkSync(join(ROOT, name), join(folder, name))
  for (const { file, from, to } of edits) {
    const path = join(folder, 'dist', file)
    const text = readFileSync(path, 'utf8')
    const changed = text.replace(from, to)
    if (changed === text) throw new Error(`${file} holds nothing like ${from}: this edit changes nothing`)
    writeFileSync(path, changed)
  }
  return { cli: join(folder, 'dist', 'src', 'cli.js'), remove: () => rmSync(folder, { recursive: true, force: true }) }
}
