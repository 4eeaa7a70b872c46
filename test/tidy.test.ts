// The layout and the laws that a compiler does not check (DESIGN 1 and 2): who imports whom, where clock and chance may
// be read, what every protocol must bring, which codes exist, and that no export, test or path lies about.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import ts from 'typescript'
import { isErrorCode } from '../src/errors.ts'
import { everyNode, filesIn, placeOf, ROOT, type Source, sourcesIn } from './source.ts'

const LEAVES = ['wallet', 'protocols', 'krl']
/** The design's pure files; a file that says `// pure` in its first line joins them. */
const PURE = ['pico', 'step', 'event', 'ruleset', 'policy', 'family', 'errors'].map(name => `src/${name}.ts`)
/** Files that stand at the edge of the process: only they may read clock, chance, environment or write to a terminal. */
const EDGE = /^src\/((main|cli|admin|home|local|log|secret|version|world)\.ts$|transports\/|stores\/level)/
const NODE_ONLY =
  /^(node:(http|https|http2|net|fs|fs\/promises|child_process|worker_threads)|level|classic-level|express|ws|pino|commander)$/

const all = sourcesIn('src', ...LEAVES)
/** The console is a program of its own, for a browser; it only counts as a user of exports. */
const product = all.filter(({ path }) => !path.startsWith('src/ui/'))
const tests = sourcesIn('test')
const everything = [...all, ...tests, ...sourcesIn('bench', 'examples')]
const isPure = ({ path, text }: Source) => PURE.includes(path) || text.startsWith('// pure')
const pure = new Set(product.filter(isPure).map(({ path }) => path))
const inFolder = (folder: string) => product.filter(({ path }) => path.startsWith(`${folder}/`))

/** `importer -> imported` for every import that `wrong` says so of. */
function wrongImports(
  sources: readonly Source[],
  wrong: (from: string, typeOnly: boolean, path: string) => boolean,
): string[] {
  return sources.flatMap(({ path, imports }) =>
    imports.filter(({ from, typeOnly }) => wrong(from, typeOnly, path)).map(({ from }) => `${path} -> ${from}`),
  )
}

/** Places of the nodes that `wrong` finds, with what it says. */
function wrongNodes(
  sources: readonly Source[],
  wrong: (node: ts.Node, source: Source) => string | undefined,
): string[] {
  const found: string[] = []
  for (const source of sources)
    everyNode(source.tree, node => {
      const what = wrong(node, source)
      if (what !== undefined) found.push(`${placeOf(source, node)} ${what}`)
    })
  return found
}

describe('who imports whom', () => {
  test.each(LEAVES)('%s imports nothing of src, of the other leaves, of disk and network (L11)', leaf => {
    const others = LEAVES.filter(other => other !== leaf)
    const foreign = (from: string) =>
      NODE_ONLY.test(from) || ['src', ...others].some(folder => from.startsWith(`${folder}/`))
    expect(inFolder(leaf).length).toBeGreaterThan(0)
    expect(wrongImports(inFolder(leaf), foreign)).toEqual([])
  })
  test('in wallet the primitives of this platform occur in crypto-node.ts alone (L11)', () => {
    const others = inFolder('wallet').filter(({ path }) => path !== 'wallet/crypto-node.ts')
    expect(wrongImports(others, from => /^(sodium-native|node:crypto|crypto|node:buffer|buffer)$/.test(from))).toEqual(
      [],
    )
    expect(
      wrongNodes(others, node => (ts.isIdentifier(node) && node.text === 'Buffer' ? 'Buffer' : undefined)),
    ).toEqual([])
  })
  test('pure files say so in their first line', () => {
    expect(
      product.filter(({ path, text }) => PURE.includes(path) && !text.startsWith('// pure\n')).map(({ path }) => path),
    ).toEqual([])
    expect(PURE.filter(path => !pure.has(path))).toEqual([])
  })
  test('pure files run only pure files and leaves', () => {
    const allowed = (from: string) =>
      pure.has(from) ||
      from === 'src/ports.ts' ||
      LEAVES.some(leaf => from.startsWith(`${leaf}/`)) ||
      from === 'croner' ||
      from === 'node:assert'
    expect(wrongImports(product.filter(isPure), (from, typeOnly) => !typeOnly && !allowed(from))).toEqual([])
  })
  test('stores and transports know the seams, not the engine', () => {
    const shell = (from: string) =>
      /^src\/[\w-]+\.ts$/.test(from) && !pure.has(from) && !/^src\/(ports|agent|pages)\.ts$/.test(from)
    expect(wrongImports([...inFolder('src/stores'), ...inFolder('src/transports')], shell)).toEqual([])
  })
  test('main.ts is known to the command line only', () => {
    expect(wrongImports(product, (from, _, path) => from === 'src/main.ts' && path !== 'src/cli.ts')).toEqual([])
  })
  test('no file needs itself at run time', () => {
    expect(cycles(product)).toEqual([])
  })
})

describe('clock and chance', () => {
  test('are read at the edge of the process alone', () => {
    expect(
      wrongNodes(
        product.filter(({ path }) => !EDGE.test(path) && path !== 'wallet/crypto-node.ts'),
        ambient,
      ),
    ).toEqual([])
  })
})

const AMBIENT =
  /^(Date\.now|Math\.random|performance\.now|process\.(env|hrtime|stdout|stderr|argv|exit|on)|console\.\w+|globalThis\.\w+)$/
const TIMERS = new Set(['setTimeout', 'setInterval', 'fetch'])
const CHANCE = new Set(['randomBytes', 'randomUUID', 'randomInt', 'webcrypto', 'randomFillSync'])

function ambient(node: ts.Node, { tree }: Source): string | undefined {
  if (ts.isPropertyAccessExpression(node) && AMBIENT.test(node.getText(tree))) return node.getText(tree)
  if (ts.isNewExpression(node) && node.expression.getText(tree) === 'Date' && !node.arguments?.length)
    return 'new Date()'
  if (ts.isCallExpression(node) && ts.isIdentifier(node.expression) && TIMERS.has(node.expression.text))
    return node.expression.text
  if (ts.isImportSpecifier(node) && CHANCE.has((node.propertyName ?? node.name).text)) return node.getText(tree)
  return undefined
}

describe('protocols', () => {
  const declared = inFolder('protocols').filter(({ text }) => /export const \w+ = protocol\(/.test(text))
  test('each is in the list of index.ts and has a transcript', () => {
    const index = readFileSync(join(ROOT, 'protocols/index.ts'), 'utf8')
    const list = /export const protocols\b[^=]*= \[([^\]]*)\]/.exec(index)?.[1] ?? ''
    const transcripts = readdirSync(join(ROOT, 'test/protocols')).filter(name => name.endsWith('.txt'))
    expect(declared.length).toBeGreaterThan(0)
    expect(
      declared.flatMap(({ path, text }) => {
        const name = /export const (\w+) = protocol\(/.exec(text)![1]!
        const file = path.slice('protocols/'.length, -'.ts'.length)
        const missing = transcripts.some(one => one.startsWith(file)) ? [] : [`${path}: no test/protocols/${file}*.txt`]
        return new RegExp(`\\b${name}\\b`).test(list) ? missing : [...missing, `${path}: ${name} is not in the list`]
      }),
    ).toEqual([])
  })
})

describe('fault codes', () => {
  test('each that is given is a row of the error table (L10)', () => {
    const GIVES = new Set(['fault', 'problem', 'refuse', 'PicoError', 'RulesetFault'])
    const code = (node: ts.Node): ts.StringLiteral | undefined => {
      if (ts.isPropertyAssignment(node) && node.name.getText() === 'code' && ts.isStringLiteral(node.initializer))
        return node.initializer
      if (!ts.isCallExpression(node) && !ts.isNewExpression(node)) return undefined
      const first = node.arguments?.[0]
      return GIVES.has(node.expression.getText()) && first !== undefined && ts.isStringLiteral(first)
        ? first
        : undefined
    }
    const unknown = wrongNodes(product, node => {
      const given = code(node)?.text
      return given !== undefined && /^[a-z_]+\.[a-z_.]+$/.test(given) && !isErrorCode(given) ? given : undefined
    })
    expect(unknown).toEqual([])
  })
})

describe('exports', () => {
  test('each is imported somewhere; index.ts and what programs start are the surface', () => {
    const used = new Set(
      everything.flatMap(({ imports }) => imports.flatMap(({ from, names }) => names.map(name => `${from} ${name}`))),
    )
    const surface = /(^|\/)index\.ts$|^src\/main\.ts$|^src\/cli\.ts$/
    const dead = product
      .filter(({ path }) => !surface.test(path))
      .flatMap(({ path, exports }) =>
        exports
          .filter(
            ({ name, isType, usedInside }) =>
              !used.has(`${path} ${name}`) && !used.has(`${path} *`) && !(isType && usedInside),
          )
          .map(({ name }) => `${path} ${name}`),
      )
    expect(dead).toEqual([])
  })
})

describe('tests', () => {
  test('each expect has a matcher', () => {
    const bare = (node: ts.Node) => {
      if (!ts.isCallExpression(node) || !ts.isIdentifier(node.expression) || node.expression.text !== 'expect')
        return undefined
      let outer: ts.Node = node
      while (ts.isPropertyAccessExpression(outer.parent)) outer = outer.parent
      const called = outer !== node && ts.isCallExpression(outer.parent) && outer.parent.expression === outer
      return called ? undefined : node.parent.getText().slice(0, 60)
    }
    expect(wrongNodes(tests, bare)).toEqual([])
  })
  test('none is switched off', () => {
    const off = (node: ts.Node) =>
      ts.isPropertyAccessExpression(node) && /^(test|it|describe)\.(skip|only|todo|failing)$/.test(node.getText())
        ? node.getText()
        : undefined
    expect(wrongNodes(tests, off)).toEqual([])
  })
  test('the check sees what it should', () => {
    const parse = (text: string): Source => ({
      path: 'x.ts',
      text,
      tree: ts.createSourceFile('x.ts', text, ts.ScriptTarget.Latest, true),
      imports: [],
      exports: [],
    })
    expect(
      wrongNodes([parse('const a = Date.now(); setTimeout(f, 1); new Date(); new Date(1); clock.now()')], ambient)
        .length,
    ).toBe(3)
    const loop = (path: string, from: string): Source => ({
      ...parse(''),
      path,
      imports: [{ from, typeOnly: false, names: [] }],
    })
    expect(cycles([loop('a.ts', 'b.ts'), loop('b.ts', 'a.ts')])).toEqual(['a.ts -> b.ts -> a.ts'])
  })
})

describe('text', () => {
  const text = filesIn('.').filter(
    path =>
      /\.(ts|tsx|mjs|js|json|krl|md|txt|html|css|yml|sh)$|^[A-Z]+$|^\.ci\//.test(path) &&
      !/package-lock\.json$/.test(path) &&
      path !== 'test/tidy.test.ts',
  )
  const lines = (wrong: RegExp, of: readonly string[]) =>
    of.flatMap(path =>
      readFileSync(join(ROOT, path), 'utf8')
        .split('\n')
        .flatMap((line, i) => (wrong.test(line) ? [`${path}:${i + 1}`] : [])),
    )
  test('no path of one machine', () => {
    expect(
      lines(/(^|[^A-Za-z0-9_.])\/(work|farm|root|Users)\/|\/tmp\/bash_jobs|\/home\/(?!someone|user\b)\w+\//, text),
    ).toEqual([])
  })
  test('nothing is left for later', () => {
    expect(
      lines(
        /\b(TODO|FIXME|XXX|not implemented|placeholder|for now)\b/,
        text.filter(path => /\.(ts|krl|mjs)$/.test(path) && !path.startsWith('src/ui/')),
      ),
    ).toEqual([])
  })
  test('every source file opens with what it decides', () => {
    expect(product.filter(({ text: source }) => !/^(#!.*\n)?\/\/ ./.test(source)).map(({ path }) => path)).toEqual([])
  })
})

/** Shortest description of each loop of run-time imports, found depth first. */
function cycles(sources: readonly Source[]): string[] {
  const edges = new Map(
    sources.map(({ path, imports }) => [path, imports.filter(({ typeOnly }) => !typeOnly).map(({ from }) => from)]),
  )
  const done = new Set<string>()
  const found: string[] = []
  const visit = (path: string, trail: readonly string[]) => {
    const at = trail.indexOf(path)
    if (at >= 0) found.push([...trail.slice(at), path].join(' -> '))
    if (at >= 0 || done.has(path)) return
    for (const next of edges.get(path) ?? []) if (edges.has(next)) visit(next, [...trail, path])
    done.add(path)
  }
  for (const path of edges.keys()) visit(path, [])
  return found
}
