// The vectors that are shipped, by the runner of `npm run vectors`; and that this runner can say no.

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from '@jest/globals'
import { familyOf } from './vectors-run/families.ts'
import { main } from './vectors-run/run.ts'

// biome-ignore lint/suspicious/noExplicitAny: vector files are read as they come
type Json = any

const folder = join(import.meta.dirname, 'vectors')
const read = (path: string): Json => JSON.parse(readFileSync(join(folder, path), 'utf8'))
const filesOf = (family: string) => readdirSync(join(folder, family)).map(name => `${family}/${name}`)
const SECURITY = ['didcomm-v1-semantic', 'didcomm-v2-semantic', 'didcomm-v2-sequences', 'attachment-jws'].map(
  name => `security/${name}.json`,
)
const FILES = [...['did-key', 'did-peer', 'didcomm-v1-envelope', 'didcomm-v2'].flatMap(filesOf), ...SECURITY]
/** Why a case may be left out: a key type that is not spoken here, a rule that changed since, or one left to us. */
const LEFT_OUT = /is not supported$|^body is optional since 2\.1$|^(should|policy): /

describe('shipped vectors', () => {
  test.each(FILES)('%s', async path => {
    const { passed, failed, skipped } = await familyOf(read(path))!.run(read(path))
    expect(failed).toEqual([])
    expect(skipped.filter(({ why }) => !LEFT_OUT.test(why))).toEqual([])
    expect(passed.length).toBeGreaterThan(0)
  })

  test('a family is told by the form of a file, under any name', () => {
    expect(FILES.map(path => familyOf(read(path))?.name)).toEqual(
      FILES.map(path => (path.startsWith('security/') ? path.slice(0, -'.json'.length) : path.split('/')[0])),
    )
  })
})

describe('the runner says no', () => {
  const error = (test: Json) => ({ ...test, kind: 'negative', expected: { error: true } })
  const other = (name: string) => (test: Json) => ({
    ...test,
    expected: { ...test.expected, [name]: { ...test.expected[name], more: true } },
  })
  const set = (name: string, value: Json) => (test: Json) => ({
    ...test,
    expected: { ...test.expected, [name]: value },
  })
  const step = (expected: Json) => (test: Json) => ({
    ...test,
    steps: test.steps.map((one: Json) => ({ ...one, expected })),
  })
  type Corruption = readonly [path: string, id: string | RegExp, what: string, corrupt: (test: Json) => Json]
  const corruptions: readonly Corruption[] = [
    ['did-key/naked-key-conversion.json', /./, 'another DID', set('did_key', 'did:key:z6Mk')],
    ['did-key/w3c-ccg.json', /./, 'a good DID as a bad one', error],
    [
      'did-peer/spec.json',
      /./,
      'good syntax as bad and bad as good',
      test => ({ ...test, expected: { valid_syntax: test.expected.valid_syntax !== true } }),
    ],
    ['didcomm-v1-envelope/generated-by-acapy-0.12.8.json', /authcrypt|auth/, 'a good envelope as a bad one', error],
    [
      'didcomm-v2/from-prior-jwt.json',
      /./,
      'a good JWT as a bad one, a bad one as good',
      test => ({ ...test, kind: test.kind === 'positive' ? 'negative' : 'positive' }),
    ],
    ['security/didcomm-v1-semantic.json', 'v1s-auth-control', 'another plaintext', other('plaintext')],
    [
      'security/didcomm-v1-semantic.json',
      'v1s-auth-control',
      'another sender',
      set('sender_verkey', '8AhbW9HvnfLcCd9Kh1bjx7477z2j6dHfF1HgJ4e4nQL5'),
    ],
    ['security/didcomm-v1-semantic.json', 'v1s-auth-control', 'a good message as a bad one', error],
    ['security/didcomm-v2-semantic.json', 'auth-control', 'another plaintext', other('plaintext')],
    [
      'security/didcomm-v2-semantic.json',
      'auth-control',
      'another sender',
      set('sender', 'did:key:z6Mkmcxe6PYN8Cq5K7z2NaZaoCc6wZJaWWY1w2Cc8Lc5hd7T'),
    ],
    ['security/didcomm-v2-semantic.json', 'auth-control', 'a good message as a bad one', error],
    [
      'security/didcomm-v2-semantic.json',
      'skid-alice-apu-mallory',
      'a bad message as a good one',
      test => ({ ...test, kind: 'positive', expected: {} }),
    ],
    ['security/didcomm-v2-semantic.json', 'forward-base64', 'nothing to pass on', set('forwards', [])],
    [
      'security/didcomm-v2-semantic.json',
      'forward-empty',
      'something to pass on',
      set('forwards', [{ next: 'did:key:z6Mk', message: {} }]),
    ],
    ['security/didcomm-v2-sequences.json', 'replay-same-envelope', 'a replay that counts', step({ processed: true })],
    [
      'security/didcomm-v2-sequences.json',
      'replay-same-envelope',
      'a first message that does not',
      step({ processed: false }),
    ],
    ['security/didcomm-v2-sequences.json', 'trace-default-deny', 'a reply', step({ replies: [{ type: 'trace' }] })],
    [
      'security/didcomm-v2-sequences.json',
      'trace-default-deny',
      'a fetch',
      step({ fetches: ['https://trace.example'] }),
    ],
    ['security/attachment-jws.json', 'jws-kid-both', 'a good signature as a bad one', set('valid', false)],
    ['security/attachment-jws.json', 'jws-other-signer', 'a bad signature as a good one', set('valid', true)],
  ]
  test.each(corruptions)('%s %s: %s', async (path, id, _, corrupt) => {
    const file = read(path)
    const chosen = file.cases.filter((test: Json) => (typeof id === 'string' ? test.id === id : id.test(test.id)))
    const cases = chosen.slice(0, 1).map((test: Json) => ({ ...corrupt(test), strength: 'must' }))
    const { passed, failed, skipped } = await familyOf({ ...file, cases })!.run({ ...file, cases })
    expect({ passed, failed: failed.map(one => one.id), skipped }).toEqual({
      passed: [],
      failed: [cases[0].id],
      skipped: [],
    })
  })
})

describe('npm run vectors', () => {
  const made = mkdtempSync(join(tmpdir(), 'vectors-'))
  afterAll(() => rmSync(made, { recursive: true, force: true }))
  const put = (name: string, content: Json) => {
    writeFileSync(join(made, name), JSON.stringify(content))
    return join(made, name)
  }
  const run = async (...args: string[]) => {
    const out: string[] = []
    const err: string[] = []
    const code = await main(
      args,
      text => out.push(text),
      text => err.push(text),
    )
    return { code, out, err }
  }
  const good = read('security/didcomm-v2-sequences.json')
  const bad = {
    ...good,
    cases: good.cases
      .slice(0, 1)
      .map((test: Json) => ({ ...test, steps: [{ ...test.steps[0], expected: { processed: false } }] })),
  }

  test('prints one line a file and each case that failed or was left out, and ends by 0, 1 or 2', async () => {
    const [kept, broken, foreign] = [
      put('one.json', good),
      put('two.json', bad),
      put('three.json', { meta: {}, cases: [{ id: 'x', kind: 'positive' }] }),
    ]
    expect(await run(kept)).toEqual({
      code: 0,
      out: [`${kept}: ${good.cases.length} passed, 0 failed, 0 skipped`],
      err: [],
    })
    expect(await run(broken)).toEqual({
      code: 1,
      out: [`${broken}: 0 passed, 1 failed, 0 skipped`, `  failed ${bad.cases[0].id}: step 1: was accepted`],
      err: [],
    })
    expect(await run(foreign)).toMatchObject({ code: 2, err: [expect.stringContaining('three.json')] })
    expect((await run(made)).code).toBe(1)
    expect((await run()).code).toBe(2)
  })

  test('--json', async () => {
    const path = put('two.json', bad)
    const { code, out } = await run(path, '--json')
    expect(code).toBe(1)
    expect(JSON.parse(out.join(''))).toEqual({
      files: [{ file: path, passed: 0, failed: [{ id: bad.cases[0].id, why: 'step 1: was accepted' }], skipped: [] }],
    })
  })
})
