// What the documents say is run: every command of the README's `sh` blocks, in order and in one shell, against engines
// started from the build in a home of their own; scripts that take long are only looked up. A line that ends in
// `# prints X` prints X and nothing else. docs/rulesets.md is held to the table it describes.

import { execFile } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { modules } from '../src/modules.ts'
import { VERBS } from '../src/verbs.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8')
const readme = read('README.md')
const manifest = JSON.parse(read('package.json')) as { scripts: Record<string, string>; bin: Record<string, string> }
/** Where `npm run NAME` leads, as scripts/run.mjs has it: a source for what is built, the file itself otherwise. */
const programs = new Map(
  [...read('scripts/run.mjs').matchAll(/^ {2}'?([\w:]+)'?: inRoot\(([^)]+)\)/gm)].map(([, name, path]) => {
    const parts = path!.split(',').map(part => part.trim().slice(1, -1))
    return [name!, parts[0] === 'dist' ? parts.slice(1).join('/').replace(/\.js$/, '.ts') : parts.join('/')]
  }),
)

const folder = mkdtempSync(join(tmpdir(), 'picomesh-readme-'))
const bin = join(folder, 'bin')

beforeAll(() => {
  mkdirSync(bin)
  const cli = join(ROOT, manifest.bin.picomesh!)
  program('npx', `[ "$1" = picomesh ] || exit 2\nshift\nexec "${process.execPath}" "${cli}" "$@"`)
  program('npm', npm(cli))
})
afterAll(async () => {
  const pids = existsSync(join(folder, 'pids')) ? readFileSync(join(folder, 'pids'), 'utf8').trim().split('\n') : []
  for (const pid of pids) process.kill(Number(pid), 'SIGTERM')
  for (let i = 0; i < 100 && pids.some(isAlive); i++) await sleep(50)
  rmSync(folder, { recursive: true, force: true })
})

/** `npm start` starts the build and waits until it is ready; any other script must be known and is not run. */
const npm = (cli: string) => `
if [ "$1" = run ]; then shift; fi
case " ${Object.keys(manifest.scripts).join(' ')} " in *" $1 "*) ;; *) echo "no script $1" >&2; exit 1 ;; esac
[ "$1" = start ] || exit 0
home=\${PICOMESH_HOME:-$HOME/.picomesh}
PORT=\${PORT:-0} PICOMESH_ADMIN_PORT=\${PICOMESH_ADMIN_PORT:-0} "${process.execPath}" "${cli}" start >"$home.log" 2>&1 &
echo $! >>"$HOME/pids"
i=0
while [ $((i += 1)) -le 100 ]; do [ -f "$home/engine.json" ] && exit 0; sleep 0.1; done
cat "$home.log" >&2
exit 1`

function program(name: string, text: string): void {
  writeFileSync(join(bin, name), `#!/bin/sh\n${text}\n`)
  chmodSync(join(bin, name), 0o755)
}

function isAlive(pid: string): boolean {
  try {
    return process.kill(Number(pid), 0)
  } catch {
    return false
  }
}

/** The fenced `sh` blocks, indentation of a list taken away. */
function blocks(markdown: string): string[] {
  return [...markdown.matchAll(/^( *)```sh\n([\s\S]*?)^ *```$/gm)].map(([, indent, text]) =>
    text!.replace(new RegExp(`^${indent}`, 'gm'), ''),
  )
}

/** One script; a line that says what it prints becomes a comparison. */
function scriptOf(text: string): string {
  return text.replace(/^(\S.*?)\s+# prints (.+)$/gm, (_, command: string, wanted: string) => {
    const said = `'${`${command} printed`.replaceAll("'", `'\\''`)}'`
    return `got=$(${command}); [ "$got" = "${wanted}" ] || { echo ${said} "$got" >&2; exit 1; }`
  })
}

/** Runs a shell script that stops at the first failure. `trace`: each command as it ran, and what it complained of. */
function run(script: string): Promise<{ code: number; output: string; trace: string }> {
  const env = { HOME: folder, PATH: `${bin}:${process.env.PATH}` }
  return new Promise(resolve => {
    execFile('sh', ['-eux', '-c', script], { cwd: folder, env, timeout: 90_000 }, (error, output, trace) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), output, trace })
    })
  })
}

describe('README', () => {
  test('every command works, in order', async () => {
    const { code, output, trace } = await run(scriptOf(blocks(readme).join('\n')))
    expect({ code, end: code === 0 ? '' : trace.slice(-2_000) }).toEqual({ code: 0, end: '' })
    expect(output).toContain('established')
    expect(output).toContain('hello lamp')
    expect(output).toMatch(/state +active/)
  }, 100_000)

  test('a command that fails, or prints something else, is noticed', async () => {
    const failing = ['npx picomesh nonsense', 'npm run nonsense', 'npx picomesh --version    # prints never', 'false']
    const codes = await Promise.all(failing.map(async line => (await run(scriptOf(`${line}\ntrue`))).code))
    expect(codes.map(code => code !== 0)).toEqual(failing.map(() => true))
    expect((await run(scriptOf('npx picomesh --version    # prints 0.1.0'))).code).toBe(0)
  }, 30_000)

  test('every script it names exists, and leads to a program', () => {
    const named = [...readme.matchAll(/npm (?:run )?([a-z][\w:]*)/g)]
      .map(found => found[1]!)
      .filter(name => name !== 'runs')
    expect(named).toEqual(expect.arrayContaining(['start', 'test', 'demo', 'bench', 'vectors', 'interop', 'check']))
    expect(named.filter(name => manifest.scripts[name] === undefined)).toEqual([])
    const files = Object.values(manifest.scripts).map(script => script.split(' ').find(word => word.endsWith('.mjs'))!)
    expect(
      [...files, ...named.flatMap(name => programs.get(name) ?? [])].filter(path => !existsSync(join(ROOT, path))),
    ).toEqual([])
  })

  test('every verb of the command line is in its table', () => {
    const table = /\n## Command line\n([\s\S]*?)\n## /.exec(readme)![1]!
    const told = [...table.matchAll(/`([^`]+)`/g)].flatMap(([, text]) => {
      const [first, rest] = text!.split(' ')
      return rest === undefined ? [first!] : rest.split('\\|').map(second => `${first}.${second}`)
    })
    expect(VERBS.map(verb => verb.name as string).filter(name => !told.includes(name))).toEqual([])
  })

  test('every link and every file it names exists', () => {
    const links = [...readme.matchAll(/\]\(([^)#:]+)\)/g)].map(found => found[1]!)
    const files = [...readme.matchAll(/`((?:src|wallet|protocols|krl|test|docs|scripts)\/[\w./-]+\.\w+)`/g)].map(
      found => found[1]!,
    )
    const invented = (path: string) => path.includes('NAME')
    expect([...links, ...files].filter(path => !invented(path) && !existsSync(join(ROOT, path)))).toEqual([])
  })
})

describe('docs/rulesets.md', () => {
  test('has every member with its kind and parameters, and no other', () => {
    const rows = [...read('docs/rulesets.md').matchAll(/^\| `(\w+:\w+)` \| (\w+) \|([^|]*)\| /gm)]
    const told = rows
      .filter(([, , kind]) => ['property', 'function', 'action', 'both'].includes(kind!))
      .map(([, name, kind, params]) => `${name} ${kind} ${params!.replaceAll('`', '').trim()}`)
    const http = Object.values(modules.http!)[0]!.params.join(', ')
    const real = Object.entries(modules).flatMap(([domain, table]) =>
      Object.entries(table).map(([name, { kind, params }]) => `${domain}:${name} ${kind} ${params.join(', ')}`.trim()),
    )
    expect(told.map(row => row.replace(/ the same$/, ` ${http}`).trim()).sort()).toEqual(real.sort())
  })
})
