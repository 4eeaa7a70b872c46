// The engine's own sources, made into a program for the simulator: every await of the shell asks the simulated process
// whether it still lives, and nothing else is changed. One load is one process with its own module state (DESIGN 1).

import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runInThisContext } from 'node:vm'
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

type Evaluate = (exports: object, require: (specifier: string) => unknown, pulse: Pulse) => void
interface Module {
  readonly path: string
  readonly evaluate: Evaluate
}

/** The sources are read where they stand, also when this file runs from a build. */
export const ROOT = above(dirname(fileURLToPath(import.meta.url)))

function above(folder: string): string {
  return existsSync(join(folder, 'tsconfig.json')) ? folder : above(dirname(folder))
}

/** The engine and the routes of its listener; everything these need is found from here. */
const ENTRIES = ['src/node.ts', 'src/transports/classic.ts', 'wallet/vault.ts', 'wallet/crypto-node.ts', 'src/resident.ts']

/** Awaits of the shell are where a process may die: src but its pure files, and but what the simulator replaces. */
const isShell = (path: string, text: string) => /^src\/[\w-]+\.ts$/.test(path) && !text.startsWith('// pure')

/** Reads, changes and compiles all sources. Throws when a replacement does not fit its file exactly once. */
export async function build(replacements: readonly Replacement[] = []): Promise<Build> {
  const sites: string[] = []
  const modules = new Map<string, Module>()
  const packages = new Map<string, unknown>()
  const waiting = [...ENTRIES]
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (modules.has(path)) continue
    const source = replaced(path, readFileSync(join(ROOT, path), 'utf8'), replacements)
    const { code, imports } = compiled(path, source, sites)
    const wrapped = `(function (exports, require, __pulse) {${code}\n})`
    modules.set(path, { path, evaluate: runInThisContext(wrapped, { filename: join(ROOT, path) }) as Evaluate })
    for (const name of imports) {
      if (name.startsWith('.')) waiting.push(posix.join(posix.dirname(path), name))
      else if (!packages.has(name)) packages.set(name, { ...(await import(name)), __esModule: true })
    }
  }
  return { sites, load: (pulse, instead) => linker(modules, packages, pulse, instead) }
}

function replaced(path: string, text: string, replacements: readonly Replacement[]): string {
  let result = text
  for (const { file, find, put } of replacements) {
    if (file !== path) continue
    if (result.split(find).length !== 2) throw new Error(`${path} does not hold this snippet exactly once: ${find}`)
    result = result.replace(find, () => put)
  }
  return result
}

function linker(modules: ReadonlyMap<string, Module>, packages: ReadonlyMap<string, unknown>, pulse: Pulse, instead: Instead) {
  const evaluated = new Map<string, unknown>()
  const own = (path: string): unknown => {
    const known = evaluated.get(path)
    if (known !== undefined) return known
    const module = modules.get(path)
    if (module === undefined) throw new Error(`${path} is no module of this build`)
    const exports = {}
    evaluated.set(path, exports)
    module.evaluate(exports, name => (name.startsWith('.') ? get(posix.join(posix.dirname(path), name)) : get(name)), pulse)
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

const OPTIONS: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2022,
  module: ts.ModuleKind.CommonJS,
  esModuleInterop: true,
  isolatedModules: true,
  removeComments: false,
}

function compiled(path: string, source: string, sites: string[]): { code: string; imports: string[] } {
  const before = isShell(path, source) ? [pulsed(path, sites)] : []
  const { outputText } = ts.transpileModule(source, { compilerOptions: OPTIONS, fileName: path, transformers: { before } })
  // What is imported for its types alone is not in the output.
  const imports = [...outputText.matchAll(/\brequire\("([^"]+)"\)/g)].map(([, name]) => name as string)
  return { code: outputText, imports }
}

/** `await x` becomes `await __pulse.at(site, x)`, `for await (… of x)` likewise with `__pulse.each`. */
function pulsed(path: string, sites: string[]): ts.TransformerFactory<ts.SourceFile> {
  return context => tree => {
    const { factory } = context
    const asked = (name: keyof Pulse, node: ts.Node, awaited: ts.Expression) => {
      const { line, character } = tree.getLineAndCharacterOfPosition(node.getStart(tree))
      const site = sites.push(`${path}:${line + 1}:${character + 1}`) - 1
      const method = factory.createPropertyAccessExpression(factory.createIdentifier('__pulse'), name)
      return factory.createCallExpression(method, undefined, [factory.createNumericLiteral(site), awaited])
    }
    const visit = (node: ts.Node): ts.Node => {
      const visited = ts.visitEachChild(node, visit, context)
      if (ts.isAwaitExpression(visited)) return factory.updateAwaitExpression(visited, asked('at', node, visited.expression))
      if (ts.isForOfStatement(visited) && visited.awaitModifier) {
        const items = asked('each', node, visited.expression)
        return factory.updateForOfStatement(visited, visited.awaitModifier, visited.initializer, items, visited.statement)
      }
      return visited
    }
    return ts.visitEachChild(tree, visit, context) as ts.SourceFile
  }
}
