// `npm run NAME`: every script that is more than start and test, each set up as those are.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { buildIfStale, install, node, ROOT, requireNode } from './setup.mjs'

const bin = (...path) => join(ROOT, 'node_modules', ...path)
const inRoot = (...path) => join(ROOT, ...path)

/** Programs by script; those under dist need a build. */
const PROGRAMS = {
  bench: inRoot('dist', 'bench', 'run.js'),
  vectors: inRoot('dist', 'test', 'vectors-run', 'run.js'),
  demo: inRoot('dist', 'examples', 'demo.js'),
  'test:long': inRoot('dist', 'test', 'long', 'run.js'),
  'test:ui': inRoot('test', 'ui', 'run.mjs'),
  interop: inRoot('interop', 'run.mjs'),
}

const CHECKS = [
  ['types', [bin('typescript', 'bin', 'tsc'), '--noEmit', '-p', ROOT]],
  ['biome', [bin('@biomejs', 'biome', 'bin', 'biome'), 'check', '--error-on-warnings', ROOT]],
  ['eslint', [bin('eslint', 'bin', 'eslint.js'), ROOT]],
  [
    'tidy',
    [bin('jest', 'bin', 'jest.js'), 'test/tidy.test.ts'],
    { NODE_OPTIONS: '--experimental-vm-modules --disable-warning=ExperimentalWarning' },
  ],
]

const [name, ...args] = process.argv.slice(2)
requireNode()
install()
process.exitCode = name === 'check' ? check() : program(name)

/** All are run, so that one look shows everything. */
function check() {
  const failed = CHECKS.filter(([, command, env]) => node(command, env) !== 0).map(([title]) => title)
  console.log(
    failed.length === 0 ? `checked: ${CHECKS.map(([title]) => title).join(', ')}` : `failed: ${failed.join(', ')}`,
  )
  return failed.length === 0 ? 0 : 1
}

function program(script) {
  const file = PROGRAMS[script]
  if (file === undefined) {
    console.error(`There is no script ${script}: ${['check', ...Object.keys(PROGRAMS)].join(', ')}`)
    return 2
  }
  buildIfStale()
  if (existsSync(file)) return node(['--enable-source-maps', file, ...args])
  console.error(`${script}: ${file.slice(ROOT.length + 1)} is missing from this checkout`)
  return 1
}
