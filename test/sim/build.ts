// The engine's own sources, made into a program for the simulator: every await of the shell asks the simulated process
// whether it still lives, and nothing else is changed. One load is one process with its own module state (DESIGN 1).

import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runInThisContext } from 'node:vm'
import { transformSync } from '@swc/core'
import ts from 'typescript'

/** What a simulated process is asked at every await. */
export interface Pulse {
  /** `site` is about to wait for `awaited`; what it gives is awaited instead. A dead process gives what never comes. */
  at(site: number, awaited: unknown): unknown
  /** The same for the items of a `for await`. */
  each(site: number, items: AsyncIterable<unknown>): AsyncIterable<unknown>
}

/** One snippet of a source, as it stands there once, and what a broken build has instead. */
export interface Replacement {
  readonly file: string
  readonly find: string
  readonly put: string
}

/** Modules that a process sees instead of the real ones, by specifier or by path from the root. */
export type Instead = Readonly<Record<string, (real: () => unknown) => unknown>>

export interface Build {
  /** `file:line:column` of every await that a process can die at; sites are its indices. */
  readonly sites: readonly string[]
  /** Starts a process: all modules are evaluated anew. Gives the way to its modules, by path from the root. */
  load(pulse: Pulse, instead: Instead): <T>(path: string) => T
}

type Evaluate = (exports: object, require: (specifier: string) => unknown, pulse: Pulse, first: number) => void
interface Compiled {
  readonly evaluate: Evaluate
  readonly imports: readonly string[]
  /** `file:line:column` of its awaits; the first is site `first` of the build. */
  readonly sites: readonly string[]
}
interface Module extends Compiled {
  readonly first: number
}

/** The sources are read where they stand, also when this file runs from a build. */
export const ROOT = above(dirname(fileURLToPath(import.meta.url)))

function above(folder: string): string {
  return existsSync(join(folder, 'tsconfig.json')) ? folder : above(dirname(folder))
}

/** The engine and the routes of its listener; everything these need is found from here. */
const ENTRIES = [
  'src/node.ts',
  'src/transports/classic.ts',
  'wallet/vault.ts',
  'wallet/crypto-node.ts',
  'src/resident.ts',
]

/** Awaits of the shell are where a process may die: src but its pure files, and but what the simulator replaces. */
const isShell = (path: string, text: string) => /^src\/[\w-]+\.ts$/.test(path) && !text.startsWith('// pure')

/** What is compiled as it stands is compiled once. */
const compiledAsIs = new Map<string, Compiled>()

/** Reads, changes and compiles all sources. Throws when a replacement does not fit its file exactly once. */
export async function build(replacements: readonly Replacement[] = []): Promise<Build> {
  const sites: string[] = []
  const modules = new Map<string, Module>()
  const packages = new Map<string, unknown>()
  const waiting = [...ENTRIES]
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (modules.has(path)) continue
    const made = moduleOf(
      path,
      replacements.filter(({ file }) => file === path),
    )
    modules.set(path, { ...made, first: sites.length })
    sites.push(...made.sites)
    for (const name of made.imports) {
      if (name.startsWith('.')) waiting.push(posix.join(posix.dirname(path), name))
      else if (!packages.has(name)) packages.set(name, { ...(await import(name)), __esModule: true })
    }
  }
  return { sites, load: (pulse, instead) => linker(modules, packages, pulse, instead) }
}

function moduleOf(path: string, replacements: readonly Replacement[]): Compiled {
  const known = replacements.length === 0 ? compiledAsIs.get(path) : undefined
  if (known !== undefined) return known
  const made = compiled(path, replaced(path, readFileSync(join(ROOT, path), 'utf8'), replacements))
  if (replacements.length === 0) compiledAsIs.set(path, made)
  return made
}

function replaced(path: string, text: string, replacements: readonly Replacement[]): string {
  let result = text
  for (const { find, put } of replacements) {
    if (result.split(find).length !== 2) throw new Error(`${path} does not hold this snippet exactly once: ${find}`)
    result = result.replace(find, () => put)
  }
  return result
}

function linker(
  modules: ReadonlyMap<string, Module>,
  packages: ReadonlyMap<string, unknown>,
  pulse: Pulse,
  instead: Instead,
) {
  const evaluated = new Map<string, unknown>()
  const own = (path: string): unknown => {
    const known = evaluated.get(path)
    if (known !== undefined) return known
    const module = modules.get(path)
    if (module === undefined) throw new Error(`${path} is no module of this build`)
    const exports = {}
    evaluated.set(path, exports)
    module.evaluate(
      exports,
      name => (name.startsWith('.') ? get(posix.join(posix.dirname(path), name)) : get(name)),
      pulse,
      module.first,
    )
    return exports
  }
  const given = new Map<string, unknown>()
  const get = (name: string): unknown => {
    const real = () => (packages.has(name) ? packages.get(name) : own(name))
    const other = instead[name]
    if (other === undefined) return real()
    if (!given.has(name)) given.set(name, other(real))
    return given.get(name)
  }
  return <T>(path: string): T => get(path) as T
}

// ---- compiling -----------------------------------------------------------------------------------------------------

function compiled(path: string, source: string): Compiled {
  const { text, sites } = isShell(path, source) ? pulsed(path, source) : { text: source, sites: [] }
  const { code } = transformSync(text, {
    filename: path,
    configFile: false,
    swcrc: false,
    jsc: { parser: { syntax: 'typescript' }, target: 'es2022' },
    module: { type: 'commonjs' },
  })
  // What is imported for its types alone is not in the output.
  const imports = [...code.matchAll(/\brequire\("([^"]+)"\)/g)].map(([, name]) => name as string)
  const wrapped = `(function (exports, require, __pulse, __first) {${code}\n})`
  return { evaluate: runInThisContext(wrapped, { filename: join(ROOT, path) }) as Evaluate, imports, sites }
}

/** `await x` becomes `await __pulse.at(site, x)`, `for await (… of x)` likewise with `__pulse.each`. */
function pulsed(path: string, source: string): { text: string; sites: string[] } {
  const tree = ts.createSourceFile(path, source, ts.ScriptTarget.Latest)
  const sites: string[] = []
  const insertions: { at: number; text: string }[] = []
  const wrap = (method: keyof Pulse, node: ts.Node, awaited: ts.Expression) => {
    const { line, character } = tree.getLineAndCharacterOfPosition(node.getStart(tree))
    const site = sites.push(`${path}:${line + 1}:${character + 1}`) - 1
    insertions.push(
      { at: awaited.getStart(tree), text: `__pulse.${method}(__first + ${site}, ` },
      { at: awaited.end, text: ')' },
    )
  }
  const visit = (node: ts.Node) => {
    if (ts.isAwaitExpression(node)) wrap('at', node, node.expression)
    if (ts.isForOfStatement(node) && node.awaitModifier) wrap('each', node, node.expression)
    ts.forEachChild(node, visit)
  }
  visit(tree)
  // What is inside is inserted later, so that it stays inside.
  const ordered = insertions
    .map((insertion, n) => ({ ...insertion, n }))
    .sort((a, b) => b.at - a.at || (a.text === ')' && b.text === ')' ? a.n - b.n : b.n - a.n))
  let text = source
  for (const { at, text: inserted } of ordered) text = text.slice(0, at) + inserted + text.slice(at)
  return { text, sites }
}
