// What comes before an engine runs: configuration, the home folder, the start-up text and its QR, log lines.

import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from '@jest/globals'
import jsQrModule from 'jsqr'
import { banner, type StartFacts } from '../src/banner.ts'
import { homeOf, loopbackOnly, readConfig } from '../src/config.ts'
import { httpStatus } from '../src/errors.ts'
import {
  liveEngine,
  prepareHome,
  readEngineFile,
  removeEngineFile,
  socketPath,
  writeEngineFile,
  writePrivate,
} from '../src/home.ts'
import { createLog, prettyRecord } from '../src/log.ts'
import { main, systemClock } from '../src/main.ts'
import { Node, type NodeParts } from '../src/node.ts'
import { svgQr, terminalQr } from '../src/qr.ts'
import { LevelStore } from '../src/stores/level.ts'
import { keyFile, openWallet } from '../src/wallet-file.ts'

const folder = mkdtempSync(join(tmpdir(), 'picomesh-start-'))
afterAll(() => rmSync(folder, { recursive: true }))

describe('configuration', () => {
  test('the standards', () => {
    expect(readConfig({}, {})).toMatchObject({
      port: 3000,
      host: '127.0.0.1',
      adminPort: 3001,
      log: 'pretty',
      allowHosts: [],
      limits: { envelope_bytes: 1_048_576, json_depth: 64, queue: 10_000 },
    })
    expect(readConfig({}, {}).home).toMatch(/\/\.picomesh$/)
  })
  test('environment, its aliases, and flags above both', () => {
    const env = {
      PICO_ENGINE_HOME: '/old',
      PORT: '4000',
      PICO_ENGINE_BASE_URL: 'https://a.example/',
      PICOMESH_ADMIN_PORT: '',
      PICOMESH_ALLOW_HOSTS: 'a.lan, 10.0.0.0/8',
      PICOMESH_LIMITS: '{"queue":5}',
    }
    expect(readConfig({}, env)).toMatchObject({
      home: '/old',
      port: 4000,
      baseUrl: 'https://a.example',
      adminPort: 3001,
      allowHosts: ['a.lan', '10.0.0.0/8'],
      limits: { queue: 5, json_depth: 64 },
    })
    expect(readConfig({ port: '0', home: '/flag' }, { ...env, PICOMESH_HOME: '/new' })).toMatchObject({
      port: 0,
      home: '/flag',
    })
    expect(readConfig({}, { ...env, PICOMESH_HOME: '/new' }).home).toBe('/new')
    expect(homeOf(undefined, env)).toBe('/old')
  })
  test.each([
    [{ PORT: '70000' }, 'PORT'],
    [{ PORT: 'abc' }, 'PORT'],
    [{ PICOMESH_BASE_URL: 'ftp://x' }, 'PICOMESH_BASE_URL'],
    [{ PICOMESH_BASE_URL: 'http://x/?q' }, 'PICOMESH_BASE_URL'],
    [{ PICOMESH_LOG: 'loud' }, 'PICOMESH_LOG'],
    [{ PICOMESH_LIMITS: '{' }, 'PICOMESH_LIMITS'],
    [{ PICOMESH_LIMITS: '{"qeue":1}' }, 'PICOMESH_LIMITS'],
    [{ PICOMESH_LIMITS: '{"queue":0}' }, 'PICOMESH_LIMITS (queue)'],
    [{ PICOMESH_ALLOW_HOSTS: '10.0.0.0/99' }, 'PICOMESH_ALLOW_HOSTS'],
    [{ PICOMESH_KEY_FILE: 'a', PICOMESH_PASSPHRASE_FILE: 'b' }, 'PICOMESH_KEY_FILE'],
  ])('%j is refused by name', (env, name) => {
    expect(() => readConfig({}, env)).toThrow(
      expect.objectContaining({ code: 'config.invalid', message: expect.stringContaining(name) }),
    )
  })
  test.each([
    [{ PORT: 'abc' }, 'PORT: a port is a number from 0 to 65535'],
    [{ PORT: '1e3' }, 'PORT: a port is a number from 0 to 65535'],
    [{ PICOMESH_ADMIN_PORT: '-1' }, 'PICOMESH_ADMIN_PORT: a port is a number from 0 to 65535'],
    [{ PICOMESH_LOG: 'loud' }, 'PICOMESH_LOG: one of pretty, json, silent'],
    [{ PICOMESH_BASE_URL: 'ftp://x' }, 'PICOMESH_BASE_URL: an http or https URL, such as https://agent.example'],
    [{ PICOMESH_LIMITS: '{' }, 'PICOMESH_LIMITS: this is no JSON: write it as {"queue":5000}'],
    [{ PICOMESH_LIMITS: '{"queue":"x"}' }, 'PICOMESH_LIMITS (queue): a limit is a whole number above 0'],
  ])('%j is refused in a sentence', (env, message) => {
    expect(() => readConfig({}, env)).toThrow(expect.objectContaining({ message }))
  })
  test('what is no limit is refused with those that are', () => {
    expect(() => readConfig({}, { PICOMESH_LIMITS: '{"qeue":1}' })).toThrow(
      /no limit qeue, only envelope_bytes, .*queue/,
    )
    expect(() => readConfig({}, { PICOMESH_LIMITS: '[]' })).toThrow(/: an object of limits: envelope_bytes/)
  })
  test('loopback only: the listener and the base URL', () => {
    expect(loopbackOnly({ host: '127.0.0.1' })).toBe(true)
    expect(loopbackOnly({ host: '::1', baseUrl: 'http://localhost:3000' })).toBe(true)
    expect(loopbackOnly({ host: '127.0.0.1', baseUrl: 'https://a.example' })).toBe(false)
    expect(loopbackOnly({ host: '0.0.0.0' })).toBe(false)
    expect(loopbackOnly({ host: '127.0.0.1.evil.example' })).toBe(false)
  })
})

describe('the home', () => {
  const mode = (path: string) => statSync(path).mode & 0o777
  test('is made 0700, its files 0600, and closed when it was open', async () => {
    const home = join(folder, 'a', 'home')
    await prepareHome(home)
    chmodSync(home, 0o755)
    await prepareHome(home)
    expect([mode(home), mode(join(home, 'home.json'))]).toEqual([0o700, 0o600])
    await writePrivate(join(home, 'x'), 'y')
    expect([mode(join(home, 'x')), readdirSync(home).sort()]).toEqual([0o600, ['home.json', 'x']])
  })
  test('engine.json comes, goes with its process only', async () => {
    const home = join(folder, 'b')
    await prepareHome(home)
    const file = {
      pid: process.pid,
      version: '1',
      publicUrl: 'http://p',
      baseUrl: 'http://b',
      adminUrl: 'http://a',
      socket: join(home, 's'),
    }
    await writeEngineFile(home, file)
    expect([await readEngineFile(home), mode(join(home, 'engine.json'))]).toEqual([file, 0o600])
    await writeEngineFile(home, { ...file, pid: 1 })
    await removeEngineFile(home)
    expect(existsSync(join(home, 'engine.json'))).toBe(true)
    await writeEngineFile(home, file)
    await removeEngineFile(home)
    expect(existsSync(join(home, 'engine.json'))).toBe(false)
  })
  test('a live engine keeps others out, the file of a killed one does not', async () => {
    const home = join(folder, 'c')
    await prepareHome(home)
    const socket = await socketPath(home)
    await writeEngineFile(home, {
      pid: 4711,
      version: '1',
      publicUrl: 'http://p',
      baseUrl: 'http://b',
      adminUrl: 'http://a',
      socket,
    })
    await prepareHome(home)
    expect(await liveEngine(home)).toBeUndefined()
    const server = createServer(line => line.end())
    await new Promise<void>(resolve => server.listen(socket, resolve))
    await expect(prepareHome(home)).rejects.toMatchObject({
      code: 'store.locked',
      message: expect.stringContaining('4711'),
    })
    await new Promise(resolve => server.close(resolve))
  })
  test('what cannot be a home is refused untouched', async () => {
    const newer = join(folder, 'newer')
    mkdirSync(newer)
    writeFileSync(join(newer, 'home.json'), '{"format":99}')
    chmodSync(newer, 0o750)
    await expect(prepareHome(newer)).rejects.toMatchObject({ code: 'home.version' })
    expect(mode(newer)).toBe(0o750)
    writeFileSync(join(newer, 'home.json'), 'torn')
    await expect(prepareHome(newer)).rejects.toMatchObject({
      code: 'store.unavailable',
      message: expect.stringContaining('home.json'),
    })
    const file = join(folder, 'file')
    writeFileSync(file, '')
    await expect(prepareHome(file)).rejects.toMatchObject({ code: 'store.unavailable' })
  })
  test('the socket lies in the home, or in a private folder when the path is too long', async () => {
    expect(await socketPath('/short/home')).toBe('/short/home/engine.sock')
    const long = join(folder, 'x'.repeat(100))
    const path = await socketPath(long)
    expect(Buffer.byteLength(path)).toBeLessThanOrEqual(100)
    expect([path.startsWith(long), await socketPath(long), mode(join(path, '..'))]).toEqual([false, path, 0o700])
  })
  test('a folder that somebody else prepared for the socket is refused', async () => {
    const trap = join(folder, 'trap')
    mkdirSync(trap)
    symlinkSync(folder, join(trap, `picomesh-${process.getuid?.()}`))
    await expect(socketPath(join(folder, 'y'.repeat(100)), trap)).rejects.toMatchObject({ code: 'store.unavailable' })
  })
})

describe('a start that fails', () => {
  const free = { PORT: '0', PICOMESH_ADMIN_PORT: '0', PICOMESH_LOG: 'silent' }
  const refusal = (home: string, env: NodeJS.ProcessEnv) =>
    main(readConfig({}, { ...free, PICOMESH_HOME: home, ...env })).then(
      () => 'started',
      (error: { code?: string; message: string }) => `${error.code}: ${error.message}`,
    )
  /** Every file below, with its bytes. */
  const content = (home: string) =>
    readdirSync(home, { recursive: true, withFileTypes: true })
      .filter(entry => entry.isFile() && !entry.parentPath.endsWith('db'))
      .map(entry => join(entry.parentPath, entry.name))
      .sort()
      .map(file => [file, readFileSync(file, 'utf8')])

  test.each(['PORT', 'PICOMESH_ADMIN_PORT'])('makes no home when %s is taken', async name => {
    const server = createServer()
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    const home = join(folder, `taken-${name}`)
    expect(await refusal(home, { [name]: String(port) })).toMatch(/^port\.taken: .*PORT=0/)
    expect(existsSync(home)).toBe(false)
    await new Promise(resolve => server.close(resolve))
  })

  test('makes no home when the passphrase cannot be read', async () => {
    const home = join(folder, 'no-passphrase')
    expect(await refusal(home, { PICOMESH_PASSPHRASE_FILE: join(folder, 'nowhere') })).toMatch(/^wallet\.passphrase/)
    expect(existsSync(home)).toBe(false)
  })

  test('makes no key for a home that has a wallet, and changes nothing there', async () => {
    const home = join(folder, 'used')
    await prepareHome(home)
    const store = new LevelStore(join(home, 'db'))
    await store.open()
    await openWallet(home, store, await keyFile(join(home, 'key'), true), 1)
    await store.close()
    const before = content(home)
    const wrong = join(folder, 'mistyped')
    expect(await refusal(home, { PICOMESH_KEY_FILE: wrong })).toMatch(/^wallet\.key_file: .*mistyped is missing/)
    expect([existsSync(wrong), content(home)]).toEqual([false, before])
    await keyFile(wrong, true)
    expect(await refusal(home, { PICOMESH_KEY_FILE: wrong })).toMatch(/^wallet\.passphrase/)
    expect(content(home)).toEqual(before)
    rmSync(join(home, 'key'))
    expect(await refusal(home, {})).toMatch(/^wallet\.key_file: .*key is missing/)
    expect(existsSync(join(home, 'key'))).toBe(false)
  })

  test.each(['key', 'passphrase'])('makes no new store where a wallet says that there was one (%s)', async opens => {
    const home = join(folder, `lost-${opens}`)
    await prepareHome(home)
    const store = new LevelStore(join(home, 'db'))
    await store.open()
    const secret = opens === 'key' ? await keyFile(join(home, 'key'), true) : { passphrase: 'long enough' }
    await openWallet(home, store, secret, 1)
    await store.close()
    rmSync(join(home, 'db'), { recursive: true })
    const before = content(home)
    expect(await refusal(home, {})).toMatch(/^store\.corrupt: .*db is missing\. Restore .* or move the whole home away/)
    expect([existsSync(join(home, 'db')), content(home)]).toEqual([false, before])
  })
})

test('what is asked before the engine runs gets 503', async () => {
  const node = new Node({
    ...({} as NodeParts),
    clock: systemClock,
    addresses: () => ({ publicUrl: '', baseUrl: '', adminUrl: '' }),
  })
  const asked = [
    () => node.invitation('x'),
    () => node.query({ eci: 'e', rid: 'r', name: 'f', args: {} }),
    () => node.verb('pico.ls', {}),
    () => node.verb('wallet.unlock', { passphrase: 'x' }),
  ]
  const codes = await Promise.all(asked.map(ask => ask().catch((error: { code: string }) => error.code)))
  expect(new Set(codes)).toEqual(new Set(['engine.starting']))
  expect(httpStatus('engine.starting')).toBe(503)
})

// jsqr is CommonJS with a default export.
const jsQr = jsQrModule as unknown as typeof jsQrModule.default

/** Reads half-block rows as a camera would: `light` says how drawn cells look. */
function readTerminal(rows: readonly string[], drawnIsLight: boolean): string | undefined {
  const scale = 4
  const width = rows[0]!.length * scale
  const height = rows.length * 2 * scale
  const pixels = new Uint8ClampedArray(width * height * 4)
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const half = Math.floor(y / scale)
      const character = rows[half >> 1]![Math.floor(x / scale)]
      const drawn = character === '█' || character === (half % 2 === 0 ? '▀' : '▄')
      pixels.set([0, 0, 0].fill(drawn === drawnIsLight ? 255 : 0).concat(255), (y * width + x) * 4)
    }
  return jsQr(pixels, width, height)?.data
}

const URL_43 = `http://127.0.0.1:3000/i/${'A'.repeat(22)}`

describe('QR', () => {
  test('a short URL fits 37 by 19 cells and reads on dark and on light terminals', () => {
    const rows = terminalQr(URL_43)
    expect(rows.length).toBeLessThanOrEqual(19)
    expect(new Set(rows.map(row => row.length))).toEqual(new Set([33]))
    expect(readTerminal(rows, true)).toBe(URL_43)
    expect(readTerminal(rows, false)).toBe(URL_43)
  })
  test('with colours the same cells on their own ground', () => {
    const plain = terminalQr(URL_43, true).map(row => row.slice('\x1b[97;40m'.length, -'\x1b[0m'.length))
    expect(plain).toEqual(terminalQr(URL_43))
  })
  test('the picture reads too', () => {
    const svg = svgQr(URL_43)
    const side = Number(/viewBox="0 0 (\d+)/.exec(svg)![1])
    const scale = 4
    const pixels = new Uint8ClampedArray((side * scale) ** 2 * 4).fill(255)
    for (const [, x, y] of svg.matchAll(/M(\d+) (\d+)h1v1h-1z/g))
      for (let dy = 0; dy < scale; dy++)
        for (let dx = 0; dx < scale; dx++)
          pixels.set([0, 0, 0, 255], ((Number(y) * scale + dy) * side * scale + Number(x) * scale + dx) * 4)
    expect(jsQr(pixels, side * scale, side * scale)?.data).toBe(URL_43)
  })
})

describe('the start-up text', () => {
  const facts: StartFacts = {
    version: '0.1.0',
    consoleUrl: `http://127.0.0.1:3001/#token=${'x'.repeat(32)}`,
    didcommUrl: 'http://127.0.0.1:3000/didcomm',
    home: '/home/someone/.picomesh',
    wallet: 'key file',
    rootDid: `did:key:${'z'.repeat(48)}`,
    invitationUrl: URL_43,
    started_ms: 812,
  }
  test('fits 80 by 24 with its code, which can be cut out and read', () => {
    const lines = banner(facts).trimEnd().split('\n')
    expect(lines.length).toBeLessThanOrEqual(23)
    expect(Math.max(...lines.map(line => line.length))).toBeLessThanOrEqual(80)
    const rows = lines.filter(line => /^[█▀▄ ]{33}$/.test(line))
    expect(lines.length - rows.length).toBeLessThanOrEqual(12)
    expect(readTerminal(rows, true)).toBe(URL_43)
  })
  test('says all that the owner needs', () => {
    const text = banner(facts)
    for (const part of [
      facts.consoleUrl,
      facts.didcommUrl,
      'from this machine only',
      facts.home,
      'key file',
      facts.rootDid!,
      URL_43,
    ])
      expect(text).toContain(part)
    expect(banner({ ...facts, didcommUrl: 'https://a.example/didcomm' })).not.toContain('this machine only')
  })
  test('locked: says how to unlock, has no invitation', () => {
    const { rootDid: _, invitationUrl: __, ...rest } = facts
    expect(banner({ ...rest, wallet: 'locked' })).toMatch(/wallet unlock/)
    expect(banner({ ...rest, wallet: 'locked' })).not.toMatch(/█/)
  })
})

describe('log lines', () => {
  const record = {
    kind: 'log',
    at: '2026-01-02T03:04:05.678Z',
    level: 'warn',
    code: 'outbox.retry',
    message: 'peer\nsilent',
    attempts: 3,
    passphrase: 'hunter2',
  }
  test('for people: one line, nothing secret, no control characters', () => {
    expect(prettyRecord(record)).toBe('03:04:05  warn   outbox.retry  peer\\nsilent  attempts=3  passphrase=…')
  })
  test('for programs: one JSON object a line', () => {
    const lines: string[] = []
    createLog('json', { write: (line: string) => void lines.push(line) })(record)
    expect(lines.map(line => JSON.parse(line))).toEqual([
      {
        level: 'warn',
        kind: 'log',
        at: record.at,
        code: 'outbox.retry',
        message: 'peer\nsilent',
        attempts: 3,
        passphrase: '[Redacted]',
      },
    ])
  })
  test('silent: nothing', () => {
    const lines: string[] = []
    createLog('silent', { write: (line: string) => void lines.push(line) })(record)
    expect(lines).toEqual([])
  })
})
