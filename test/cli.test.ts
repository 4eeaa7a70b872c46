// The command line against a socket server with a fake agent behind it: parsing, exit codes, what goes to which stream.

import { spawnSync } from 'node:child_process'
import { closeSync, existsSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { Readable } from 'node:stream'
import { pathToFileURL } from 'node:url'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { type AdminListener, listenAdmin } from '../src/admin.ts'
import { run } from '../src/cli.ts'
import { PicoError } from '../src/errors.ts'
import { socketPath, writeEngineFile } from '../src/home.ts'
import type { Json } from '../src/ports.ts'
import { VERBS } from '../src/verbs.ts'
import { VERSION } from '../src/version.ts'
import { type FakeAgent, fakeAgent, whoever } from './fake-agent.ts'

const home = mkdtempSync(join(tmpdir(), 'picomesh-cli-'))
const empty = mkdtempSync(join(tmpdir(), 'picomesh-none-'))
/** As one was made in 64, before `Run.eci` drew again. */
const DASHED = '-n7cAq0TgV4mXJb_Y2-pWkRzE1sLuo9d'
const krl = join(home, 'a ruleset.krl')
let agent: FakeAgent
let admin: AdminListener

beforeAll(async () => {
  const forward = whoever(() => agent)
  const socket = await socketPath(home)
  admin = await listenAdmin({ agent: forward, port: 0, ui: home, socket })
  await writeEngineFile(home, {
    pid: process.pid,
    version: VERSION,
    publicUrl: 'http://p',
    baseUrl: 'http://p',
    adminUrl: admin.url,
    socket,
  })
  writeFileSync(krl, 'ruleset a {}')
})
afterAll(async () => {
  await admin.close(0)
  rmSync(home, { recursive: true })
  rmSync(empty, { recursive: true })
})
beforeEach(() => {
  agent = fakeAgent()
})

async function cli(argv: string[], input = '', env: NodeJS.ProcessEnv = { PICOMESH_HOME: home }) {
  const out: string[] = []
  const err: string[] = []
  const terminal = {
    env,
    stdin: Readable.from([input]),
    out: (text: string) => void out.push(text),
    err: (text: string) => void err.push(text),
  }
  const code = await run(argv, terminal)
  return { code, out: out.join(''), err: err.join('') }
}

/** The verb and arguments that a command line becomes. */
async function asked(...argv: string[]) {
  const { code, err } = await cli(['--json', ...argv])
  expect([code, err]).toEqual([0, ''])
  return agent.asked.verbs.at(-1)!
}

describe('every verb', () => {
  test.each([
    [['status'], 'status', {}],
    [['pico', 'ls'], 'pico.ls', {}],
    [['pico', 'ls', '--parent', 'root'], 'pico.ls', { parent: 'root' }],
    [
      ['pico', 'new', 'a b', '--parent', 'p', '--ruleset', 'https://x/a.krl', 'https://x/b.krl'],
      'pico.new',
      { name: 'a b', parent: 'p', rulesets: ['https://x/a.krl', 'https://x/b.krl'] },
    ],
    [['pico', 'show', 'p'], 'pico.show', { pico: 'p' }],
    [['pico', 'tree'], 'pico.tree', {}],
    [['pico', 'rename', 'p', 'n'], 'pico.rename', { pico: 'p', name: 'n' }],
    [['pico', 'rm', 'p'], 'pico.rm', { pico: 'p' }],
    [['channel', 'ls', 'p'], 'channel.ls', { pico: 'p' }],
    [
      ['channel', 'new', 'p', '--tags', 'a,b', '--events', 'd:t', '--queries', 'r/*'],
      'channel.new',
      { pico: 'p', tags: ['a', 'b'], events: 'd:t', queries: 'r/*' },
    ],
    [['channel', 'rm', 'p', 'e'], 'channel.rm', { pico: 'p', eci: 'e' }],
    [['channel', 'rm', 'p', DASHED], 'channel.rm', { pico: 'p', eci: DASHED }],
    [['channel', 'rm', 'p', '--home', home, '--', `-${DASHED}`], 'channel.rm', { pico: 'p', eci: `-${DASHED}` }],
    [['query', 'p', 'r/f', '--eci', DASHED], 'query', { pico: 'p', rid: 'r', name: 'f', args: {}, eci: DASHED }],
    [['ruleset', 'ls', 'p'], 'ruleset.ls', { pico: 'p' }],
    [
      ['ruleset', 'install', 'p', 'https://x/a.krl', '--config', '{"a":1}'],
      'ruleset.install',
      { pico: 'p', url: 'https://x/a.krl', config: { a: 1 } },
    ],
    [['ruleset', 'install', 'p', krl], 'ruleset.install', { pico: 'p', url: pathToFileURL(krl).href }],
    [['ruleset', 'flush', 'my.rid'], 'ruleset.flush', { target: 'my.rid' }],
    [['ruleset', 'rm', 'p', 'r'], 'ruleset.rm', { pico: 'p', rid: 'r' }],
    [
      ['event', 'p', 'd:t', 'a=1', 'b=x=y'],
      'event',
      { pico: 'p', domain: 'd', type: 't', attrs: { a: '1', b: 'x=y' }, wait: true },
    ],
    [
      ['event', 'p', 'd:t', 'a=2', '--attrs', '{"a":1,"c":[1]}', '--id', 'i', '--eci', 'e', '--no-wait'],
      'event',
      { pico: 'p', domain: 'd', type: 't', attrs: { a: '2', c: [1] }, id: 'i', eci: 'e', wait: false },
    ],
    [
      ['query', 'p', 'io.x/fn', 'k=v', '--args', '{"n":1}', '--eci', 'e'],
      'query',
      { pico: 'p', rid: 'io.x', name: 'fn', args: { n: 1, k: 'v' }, eci: 'e' },
    ],
    [['invite', 'p'], 'invite', { pico: 'p', version: 'v1', multi: false, approve: false }],
    [
      [
        'invite',
        'p',
        '--v2',
        '--multi',
        '--approve',
        '--label',
        'L',
        '--goal',
        'g',
        '--expires',
        '60',
        '--events',
        '*',
        '--queries',
        'r/f',
        '--qr',
      ],
      'invite',
      {
        pico: 'p',
        version: 'v2',
        multi: true,
        approve: true,
        label: 'L',
        goal: 'g',
        expires_s: 60,
        events: '*',
        queries: 'r/f',
      },
    ],
    [['accept', 'p', 'http://x/i/1'], 'accept', { pico: 'p', invitation: 'http://x/i/1', wait: true }],
    [
      ['accept', 'p', '{"@id":"x"}', '--no-wait', '--events', 'd:t'],
      'accept',
      { pico: 'p', invitation: '{"@id":"x"}', wait: false, events: 'd:t' },
    ],
    [['connection', 'ls', 'p'], 'connection.ls', { pico: 'p' }],
    [['connection', 'show', 'p', 'c'], 'connection.show', { pico: 'p', connection: 'c' }],
    [['connection', 'rm', 'p', 'c'], 'connection.rm', { pico: 'p', connection: 'c' }],
    [['connection', 'approve', 'p', 'c'], 'connection.approve', { pico: 'p', connection: 'c' }],
    [
      ['connection', 'policy', 'p', 'c', '--events', 'd:t'],
      'connection.policy',
      { pico: 'p', connection: 'c', events: 'd:t' },
    ],
    [
      ['pico-event', 'p', 'c', 'd:t', 'a=1'],
      'pico-event',
      { pico: 'p', connection: 'c', domain: 'd', type: 't', attrs: { a: '1' } },
    ],
    [
      ['pico-query', 'p', 'c', 'r/f', 'a=1'],
      'pico-query',
      { pico: 'p', connection: 'c', rid: 'r', name: 'f', args: { a: '1' } },
    ],
    [['ping', 'p', 'c'], 'ping', { pico: 'p', connection: 'c' }],
    [
      ['msg', 'send', 'p', 'c', 'hello there', '--id', 'i'],
      'msg.send',
      { pico: 'p', connection: 'c', text: 'hello there', id: 'i' },
    ],
    [['msg', 'ls', 'p'], 'msg.ls', { pico: 'p' }],
    [['msg', 'ls', 'p', 'c'], 'msg.ls', { pico: 'p', connection: 'c' }],
    [
      ['didcomm', 'send', 'p', 'c', 'https://x/1.0/y', '{"a":1}', '--thid', 't'],
      'didcomm.send',
      { pico: 'p', connection: 'c', type: 'https://x/1.0/y', body: { a: 1 }, thid: 't' },
    ],
    [['thread', 'ls', 'p', '--connection', 'c'], 'thread.ls', { pico: 'p', connection: 'c' }],
    [['move', 'ticket', '--expires', '9'], 'move.ticket', { expires_s: 9 }],
    [['move', 'run', 'p', 't'], 'move.run', { pico: 'p', ticket: 't' }],
    [['move', 'ls'], 'move.ls', {}],
    [['move', 'show', 'm'], 'move.show', { move: 'm' }],
    [['move', 'resume', 'm'], 'move.resume', { move: 'm' }],
    [['move', 'abort', 'm'], 'move.abort', { move: 'm' }],
    [['rejected', 'p'], 'rejected', { pico: 'p' }],
    [['dead', 'ls', 'p'], 'dead.ls', { pico: 'p' }],
    [['dead', 'retry', 'p', 'i'], 'dead.retry', { pico: 'p', id: 'i' }],
    [['dead', 'rm', 'p', 'i'], 'dead.rm', { pico: 'p', id: 'i' }],
    [['wallet', 'status'], 'wallet.status', {}],
    [['wallet', 'lock'], 'wallet.lock', {}],
    [['wallet', 'rekey', '--key-file', '/k'], 'wallet.rekey', { keyFile: '/k' }],
    [['logs', 'p', '--n', '5'], 'logs', { pico: 'p', n: 5 }],
  ])('%j asks %s', async (argv, name, args) => {
    agent.answers.verb = verb => (verb === 'logs' ? [] : {})
    expect(await asked(...argv)).toEqual({ name, args })
  })
  test('has --help with an example', async () => {
    for (const words of [
      ...VERBS.map(({ usage }) => usage.split(' ').filter(word => /^[a-z-]+$/.test(word))),
      ['logs'],
      ['wallet', 'unlock'],
      ['wallet', 'rekey'],
      ['check'],
      ['start'],
    ]) {
      const { code, out } = await cli([...words, '--help'])
      expect([words, code]).toEqual([words, 0])
      expect(out).toMatch(/Example:\n {2}picomesh /)
    }
  })
})

describe('exit codes and streams', () => {
  test('0: with --json one value and nothing else', async () => {
    const value: Json = [{ a: 1 }, 'two', null]
    agent.answers.verb = value
    const { code, out, err } = await cli(['pico', 'ls', '--json'])
    expect([code, JSON.parse(out), out.split('\n').length, err]).toEqual([0, value, 2, ''])
  })
  test('1: code and sentence on standard error; with --json the error on standard output', async () => {
    agent.answers.verb = new PicoError('pico.moved', 'It went away.', { movedTo: 'http://b' })
    expect(await cli(['pico', 'show', 'p'])).toEqual({
      code: 1,
      out: '',
      err: 'pico.moved: It went away. {"movedTo":"http://b"}\n',
    })
    expect(await cli(['pico', 'show', 'p', '--json'])).toEqual({
      code: 1,
      out: '{"error":{"movedTo":"http://b","code":"pico.moved","message":"It went away."}}\n',
      err: '',
    })
  })
  test.each([
    ['didcomm', 'send', 'p', 'c', 'notatype', '{}'],
    ['event', 'p', 'd:t'],
  ])('1: also with a code that a peer’s mail gets 202 for: %s %s', async (...argv) => {
    agent.answers.verb = new PicoError('message.malformed', 'It has no type.')
    expect(await cli(argv)).toEqual({ code: 1, out: '', err: 'message.malformed: It has no type.\n' })
    const { code, out } = await cli([...argv, '--json'])
    expect([code, JSON.parse(out)]).toEqual([1, { error: { code: 'message.malformed', message: 'It has no type.' } }])
  })
  test('1: what a compiler found, a line each', async () => {
    const errors = [
      { line: 3, column: 7, severity: 'error', code: 'krl.undefined', message: 'x is not defined', hint: 'y is' },
      { line: 9, column: 1, severity: 'warning', code: 'krl.deprecated', message: 'old', hint: null },
    ]
    agent.answers.verb = new PicoError('ruleset.invalid', 'It does not compile.', { url: 'http://x/a.krl', errors })
    expect((await cli(['ruleset', 'install', 'p', 'http://x/a.krl'])).err).toBe(
      [
        'ruleset.invalid: It does not compile.',
        'http://x/a.krl:3:7: error krl.undefined: x is not defined',
        '  y is',
        'http://x/a.krl:9:1: warning krl.deprecated: old\n',
      ].join('\n'),
    )
  })
  test('1: what stands beside the error stays beside it', async () => {
    agent.answers.verb = new PicoError('connection.pending', 'Not yet.', { connection: { connectionId: 'c' } })
    const { code, out } = await cli(['accept', 'p', 'http://x', '--json'])
    expect([code, JSON.parse(out)]).toEqual([
      1,
      { error: { code: 'connection.pending', message: 'Not yet.' }, connection: { connectionId: 'c' } },
    ])
  })
  test.each([
    [[]],
    [['nonsense']],
    [['pico']],
    [['pico', 'nonsense']],
    [['pico', 'show']],
    [['pico', 'show', 'a', 'b']],
    [['status', '--nonsense']],
    [['event', 'p', 'no-colon']],
    [['event', 'p', 'a:b:c']],
    [['event', 'p', 'd:t', 'novalue']],
    [['event', 'p', 'd:t', '--attrs', '[1]']],
    [['event', 'p', 'd:t', '--attrs', '{']],
    [['query', 'p', 'noslash']],
    [['invite', 'p', '--v1', '--v2']],
    [['invite', 'p', '--expires', 'soon']],
    [['event', 'p', 'd:t', '--id', '']],
    [['msg', 'send', 'p', 'c', 'hello', '--id', '']],
    [['event', 'p', 'd:t', '--id', 'x'.repeat(256)]],
    [['msg', 'send', 'p', 'c', 'hello', '--id', 'x'.repeat(300)]],
    [['didcomm', 'send', 'p', 'c', 't', '{}', '--thid', '']],
    [['didcomm', 'send', 'p', 'c', 't', '{}', '--thid', 'x'.repeat(300)]],
    [['channel', 'rm', 'p', '--nonsense']],
    [['channel', 'new', 'p']],
    [['didcomm', 'send', 'p', 'c', 't', 'no json']],
    [['logs', '--n', 'x']],
    [['logs', '--n', '']],
    [['logs', '--n', ' ']],
    [['logs', '--n', '-1']],
    [['invite', 'p', '--expires', '']],
    [['wallet', 'rekey', '--passphrase-file', 'a', '--key-file', 'b']],
    [['wallet', 'unlock', '--passphrase-file', 'a', '--key-file', 'b']],
    [['wallet', 'unlock', '--key-file', '']],
    [['status', '--home', '']],
    [['--home']],
    [['start', '--home', '']],
    [['start', '--port', '']],
    [['ruleset', 'install', 'p', '']],
    [['pico', 'new', 'p', '--ruleset', '']],
    [['channel', 'new', 'p', '--tags', '']],
    [['channel', 'new', 'p', '--tags', ' ,']],
    [['invite', 'p', '--expires', '1e300']],
    [['move', 'ticket', '--expires', '1e15']],
    [['move', 'ticket', '--expires', '0']],
    [['move', 'ticket', '--expires', '-1']],
  ])('2: wrong usage %j', async argv => {
    const plain = await cli(argv)
    expect([plain.code, plain.out, plain.err]).toEqual([2, '', expect.stringMatching(/^usage: .+\n$/)])
    const asJson = await cli([...argv, '--json'])
    expect([asJson.code, (JSON.parse(asJson.out) as { error: { code: string } }).error.code, asJson.err]).toEqual([
      2,
      'usage',
      '',
    ])
    expect(agent.asked.verbs).toEqual([])
  })
  test.each([
    [['--home', '/x'], /^usage: say what to do: --help lists the verbs\n$/],
    [['pico'], /^usage: say what to do: pico ls, pico new, /],
    [['pico', '--json'], /pico ls, pico new/],
  ])('2: %j names the missing verb', async (argv, sentence) => {
    const { code, out, err } = await cli(argv)
    expect([code, `${out}${err}`]).toEqual([2, expect.stringMatching(sentence)])
  })
  test('1: a move that was aborted, with its record', async () => {
    const reason = { code: 'move.refused', message: 'No.' }
    agent.answers.verb = { moveId: 'm', state: 'aborted', reason }
    for (const argv of [
      ['move', 'run', 'p', 't'],
      ['move', 'resume', 'm'],
    ]) {
      expect(await cli(argv)).toEqual({
        code: 1,
        out: expect.stringContaining('aborted'),
        err: 'move.refused: No.\n',
      })
      const { code, out, err } = await cli([...argv, '--json'])
      expect([code, JSON.parse(out), err]).toEqual([1, { moveId: 'm', state: 'aborted', reason, error: reason }, ''])
    }
    expect((await cli(['move', 'abort', 'm'])).code).toBe(0)
  })
  test('1: check --json says how severe each finding is, and its hint or null', async () => {
    const bad = join(home, 'bad.krl')
    const found = async (text: string) => {
      writeFileSync(bad, text)
      const { code, out } = await cli(['check', bad, '--json'])
      return [code, JSON.parse(out)]
    }
    const place = { file: bad, line: 1, column: expect.any(Number), message: expect.any(String), severity: 'error' }
    expect(await found('ruleset a { global { f = function() { nowhere } } }')).toEqual([
      1,
      [{ ...place, code: 'krl.undefined', hint: expect.any(String) }],
    ])
    expect(await found('ruleset a {')).toEqual([1, [{ ...place, code: 'krl.syntax', hint: null }]])
    expect((await cli(['check', bad])).out).not.toContain('null')
  })
  test('1: standard output that cannot be written', () => {
    const written = (file: string) => {
      const out = openSync(file, 'w')
      const stdio = ['ignore', out, 'pipe'] as const
      const { status, stderr } = spawnSync(process.execPath, ['dist/src/cli.js', 'check', krl], { stdio: [...stdio] })
      closeSync(out)
      return [status, String(stderr)]
    }
    expect(written('/dev/null')).toEqual([0, ''])
    // Linux alone has a device that is always full.
    if (existsSync('/dev/full')) expect(written('/dev/full')).toEqual([1, expect.stringMatching(/^.*ENOSPC.*\n$/)])
  })
  test('3: no engine, with or without the file of a killed one', async () => {
    expect(await cli(['status'], '', { PICOMESH_HOME: empty })).toMatchObject({
      code: 3,
      out: '',
      err: expect.stringContaining('picomesh start'),
    })
    await writeEngineFile(empty, {
      pid: 1,
      version: '0',
      publicUrl: '',
      baseUrl: '',
      adminUrl: '',
      socket: join(empty, 'gone.sock'),
    })
    expect((await cli(['status', '--json', '--home', empty])).code).toBe(3)
  })
  test('--home wins over the environment', async () => {
    expect((await cli(['status', '--home', home], '', { PICOMESH_HOME: empty })).code).toBe(0)
    expect((await cli(['status'], '', { PICO_ENGINE_HOME: home })).code).toBe(0)
  })
  test('a ruleset file that is not there is refused here', async () => {
    expect(await cli(['ruleset', 'install', 'p', 'nowhere.krl'])).toMatchObject({
      code: 1,
      err: expect.stringMatching(/^ruleset\.unreachable: /),
    })
  })
  test('--version', async () => {
    expect(await cli(['--version'])).toEqual({ code: 0, out: `${VERSION}\n`, err: '' })
  })
})

describe('for people', () => {
  test('lists are aligned tables', async () => {
    agent.answers.verb = [
      { name: 'root', picoId: 'p1', parentId: null, children: ['p2'], did: 'did:key:z1' },
      { name: 'lamp\u001b[31m', picoId: 'p2', parentId: 'p1', children: [], did: 'did:key:z2' },
    ]
    expect((await cli(['pico', 'ls'])).out).toBe(
      [
        'name            picoId  parentId  children  did',
        'root            p1      -         ["p2"]    did:key:z1',
        'lamp\\u001b[31m  p2      p1        []        did:key:z2',
        '',
      ].join('\n'),
    )
    agent.answers.verb = []
    expect((await cli(['move', 'ls'])).out).toBe('(none)\n')
  })
  test('a tree', async () => {
    agent.answers.verb = {
      name: 'root',
      picoId: '1',
      children: [
        { name: 'a', picoId: '2', children: [{ name: 'c', picoId: '4', children: [] }] },
        { name: 'b', picoId: '3', children: [] },
      ],
    }
    expect((await cli(['pico', 'tree'])).out).toBe('root  1\n ├─ a  2\n │   └─ c  4\n └─ b  3\n')
  })
  test('status shows a fresh console link, --json does not', async () => {
    agent.answers.verb = { ready: true }
    expect((await cli(['status'])).out).toMatch(/#token=[\w-]{32}\n$/)
    expect((await cli(['status', '--json'])).out).toBe('{"ready":true}\n')
  })
  test('invite --qr draws the short URL', async () => {
    agent.answers.verb = {
      invitationId: 'i',
      url: 'http://x/?oob=e',
      shortUrl: 'http://127.0.0.1:3000/i/abc',
      invitation: {},
    }
    expect((await cli(['invite', 'p', '--qr'])).out).toMatch(/▀|▄|█/)
    expect((await cli(['invite', 'p'])).out).not.toMatch(/▀|▄|█/)
  })
})

describe('logs -f', () => {
  let stopFirst: (() => Promise<void>) | undefined
  afterEach(async () => stopFirst?.())

  test('shows the past once, then what comes, only of the pico asked for', async () => {
    const own = fakeAgent()
    const dir = mkdtempSync(join(tmpdir(), 'picomesh-follow-'))
    const socket = await socketPath(dir)
    const server = await listenAdmin({ agent: own, port: 0, ui: dir, socket })
    stopFirst = async () => rmSync(dir, { recursive: true })
    await writeEngineFile(dir, { pid: process.pid, version: '0', publicUrl: '', baseUrl: '', adminUrl: '', socket })
    const record = (message: string, picoId = 'P') => ({
      at: '2026-01-01T00:00:00.000Z',
      picoId,
      level: 'info',
      code: 'x',
      message,
    })
    own.answers.verb = name => {
      if (name === 'pico.show') return { picoId: 'P' }
      own.push({ kind: 'log', ...record('both') })
      own.push({ kind: 'log', ...record('between') })
      return [record('past'), record('both')]
    }
    const seen: string[] = []
    let stopped: Promise<void> | undefined
    const out = (text: string) => {
      seen.push((JSON.parse(text) as { message: string }).message)
      if (text.includes('between'))
        setTimeout(() => {
          own.push({ kind: 'log', ...record('other', 'Q') })
          own.push({ kind: 'pico', picoId: 'P' })
          own.push({ kind: 'log', ...record('later') })
        }, 20)
      if (text.includes('later')) stopped = server.close(0)
    }
    const code = await run(['logs', 'lamp', '-f', '--json', '--home', dir], {
      env: {},
      stdin: Readable.from([]),
      out,
      err: out,
    })
    await stopped
    expect([code, seen]).toEqual([0, ['past', 'both', 'between', 'later']])
  })
})

describe('wallet', () => {
  const argon = (name: string): Json =>
    name === 'wallet.status' ? { state: 'locked', kdf: 'argon2id' } : { state: 'unlocked' }
  test('unlock takes the first line of standard input', async () => {
    agent.answers.verb = argon
    expect((await cli(['wallet', 'unlock'], 'correct horse\nmore\n')).code).toBe(0)
    expect(agent.asked.verbs.at(-1)).toEqual({ name: 'wallet.unlock', args: { passphrase: 'correct horse' } })
  })
  test('unlock reads a file, without its last line break', async () => {
    const file = join(home, 'pass.txt')
    writeFileSync(file, ' spaced \r\n')
    await cli(['wallet', 'unlock', '--passphrase-file', file])
    expect(agent.asked.verbs.at(-1)?.args).toEqual({ passphrase: ' spaced ' })
    expect(await cli(['wallet', 'unlock', '--passphrase-file', join(home, 'none')])).toMatchObject({
      code: 1,
      err: expect.stringContaining('wallet.passphrase'),
    })
  })
  test('a home with a key file needs no passphrase', async () => {
    agent.answers.verb = name => (name === 'wallet.status' ? { state: 'locked', kdf: null } : {})
    await cli(['wallet', 'unlock'], 'never read')
    expect(agent.asked.verbs.at(-1)?.args).toEqual({})
  })
  test('an empty passphrase is refused here', async () => {
    agent.answers.verb = argon
    expect((await cli(['wallet', 'unlock'], '')).code).toBe(1)
    expect((await cli(['wallet', 'rekey'], '\n')).code).toBe(1)
    expect(agent.asked.verbs.some(({ name }) => name !== 'wallet.status')).toBe(false)
  })
  test('rekey takes the new passphrase the same way', async () => {
    await cli(['wallet', 'rekey'], 'new one\n')
    expect(agent.asked.verbs.at(-1)).toEqual({ name: 'wallet.rekey', args: { passphrase: 'new one' } })
  })
  test('a key file is named by its absolute path', async () => {
    expect((await cli(['wallet', 'unlock', '--key-file', 'some.key'])).code).toBe(0)
    expect(agent.asked.verbs).toEqual([{ name: 'wallet.unlock', args: { keyFile: resolve('some.key') } }])
  })
})
