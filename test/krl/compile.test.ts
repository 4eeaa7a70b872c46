// What the compiler says of a text: errors with their places, all at once, and that no text whatever makes it throw,
// hang or answer without a place.

import { readFileSync } from 'node:fs'
import { describe, expect, test } from '@jest/globals'
import { compile, load } from '../../krl/index.ts'
import { tokenize } from '../../krl/token.ts'
import { domains } from '../../src/modules.ts'
import { numbers } from '../wallet/people.ts'
import { compiled, MemoryHost } from './host.ts'
import { mangled } from './mangled.ts'

const fixture = readFileSync(new URL('./fixtures/thermostat.krl', import.meta.url), 'utf8')
const problems = (source: string): string[] => {
  const result = compile(source, { domains })
  return result.ok
    ? []
    : result.diagnostics.filter(d => d.severity === 'error').map(d => `${d.line}:${d.column} ${d.code}`)
}
const ruleset = (body: string): string => `ruleset t {\n${body}\n}`
const rule = (body: string): string => ruleset(`rule r { select when a b\n${body} }`)
const global = (body: string): string => ruleset(`global {\n${body} }`)

describe('tokens', () => {
  test('kinds, texts and places', () => {
    const { tokens, errors } = tokenize('a<=>1.5e-3\n"x\\"y"re#a\\#b#gi<<t#{ {"k":1} } \\>> >>/*c*/ :=')
    expect(errors).toEqual([])
    expect(tokens.map(({ kind, text, line, column }) => `${line}:${column} ${kind} ${text}`)).toEqual([
      '1:1 word a',
      '1:2 raw <=>',
      '1:5 number 1.5e-3',
      '2:1 string "x\\"y"',
      '2:7 regexp re#a\\#b#gi',
      '2:17 chevron-open <<',
      '2:19 chevron-text t',
      '2:20 beesting-open #{',
      '2:23 raw {',
      '2:24 string "k"',
      '2:27 raw :',
      '2:28 number 1',
      '2:29 raw }',
      '2:31 beesting-close }',
      '2:32 chevron-text  \\>> ',
      '2:37 chevron-close >>',
      '2:45 raw :=',
      '2:47 end ',
    ])
  })
})

describe('a whole ruleset', () => {
  test('compiles, loads and shows what it is', () => {
    const made = compile(fixture, { domains })
    if (!made.ok) throw new Error(JSON.stringify(made.diagnostics, null, 1))
    expect(made.meta).toMatchObject({
      rid: 'org.example.thermostat',
      name: 'Thermostat',
      version: '1.2.0',
      author: 'Picomesh',
      logging: true,
      shares: ['reading', 'history', 'settings', '__testing'],
      provides: ['reading', 'page'],
      uses: [{ rid: 'org.example.pager', alias: 'pager', place: { line: 8, column: 5 } }],
      configures: ['low', 'high'],
    })
    expect(made.meta.description).toContain('two temperatures')
    expect(load(made.js).rules).toMatchObject([
      {
        name: 'take',
        salient: ['room:reading'],
        line: 33,
        column: 8,
        select: {
          event: { op: 'event', domain: 'room', type: 'reading', setting: ['celsius'], attrs: [{ name: 'celsius' }] },
        },
      },
      {
        name: 'flapping',
        salient: ['room:reading', 'room:cold', 'room:warm'],
        select: {
          within: 0,
          event: {
            op: 'or',
            args: [
              { op: 'count', n: 3, aggregate: { op: 'max', setting: ['top'] } },
              { op: 'before', args: [{ type: 'cold' }, { type: 'warm', where: 0 }] },
            ],
          },
        },
      },
    ])
  })

  test('nests and chains up to the limit, compiled and run', () => {
    const nested = `${'['.repeat(398)}1${']'.repeat(398)}`
    const chained = `1${' + 1'.repeat(398)}`
    const other = `${'false => 0 | '.repeat(398)}7`
    const made = compiled(global(`a = ${nested} b = ${chained} c = ${other}`)).instantiate(new MemoryHost())
    expect([JSON.stringify(made.member('a')), made.member('b'), made.member('c')]).toEqual([nested, 399, 7])
  })

  test('what is emitted: counted, with places, and nothing named by the user', () => {
    const made = compile(
      ruleset(
        'global { f = function(n) { n * 2 } }\nrule r { select when a b n re#(.)# setting(n)\nfired { ent:x{n} := f(n) } }',
      ),
      { domains },
    )
    const golden = readFileSync(new URL('./fixtures/emitted.txt', import.meta.url), 'utf8')
    expect(made.ok && made.js).toBe(golden.trimEnd())
  })

  test('text of another compiler version is refused', () => {
    const made = compile(fixture, { domains })
    if (!made.ok) throw new Error('fixture')
    expect(() => load(made.js.replace('$r.ruleset(1,', '$r.ruleset(0,'))).toThrow('compiled ruleset of version 0')
  })

  test('the hash of a select ignores layout and place, and nothing else', () => {
    const hash = (select: string) =>
      compiled(ruleset(`rule z { select where 1 }\nrule r { select ${select} }`)).rules[1]?.selectHash
    const base = hash('when a b x re#1# where y == 1'.replace('y', 'event:name'))
    expect(base).toMatch(/^[0-9a-f]{16}$/)
    expect(hash('when a:b\n x re#1# where event:name /* c */ == 1')).toBe(base)
    expect(compiled(ruleset('rule q { select when a b x re#1# where event:name == 1 }')).rules[0]?.selectHash).toBe(
      base,
    )
    const others = [
      'when a b x re#1# where event:name == 2',
      'when a b x re#2# where event:name == 1',
      'when a b x re#1#',
    ]
    const hashes = [...others, 'when a b x re#1# where event:name == 1 within 1 day'].map(hash)
    expect(new Set([base, ...hashes]).size).toBe(5)
  })
})

describe('errors have places', () => {
  test.each<[string, string, string[]]>([
    ['nothing', '', ['1:1 krl.syntax']],
    ['no closing brace', 'ruleset t {', ['1:12 krl.syntax']],
    ['text after the end', 'ruleset t { } x', ['1:15 krl.syntax']],
    ['rid with blanks', 'ruleset a. b { }', ['1:10 krl.syntax']],
    ['unknown section', ruleset('dispatch { }'), ['2:1 krl.syntax']],
    ['unknown meta property', ruleset('meta { foo "bar" name "x" }'), ['2:8 krl.syntax']],
    ['illegal character', global('x = 1 § 2'), ['3:7 krl.syntax', '3:9 krl.syntax']],
    ['unclosed string', global('x = "abc'), ['3:5 krl.syntax']],
    ['unclosed chevron', global('x = <<a #{ 1 }'), ['3:5 krl.syntax']],
    ['unclosed comment', global('x = 1 /* '), ['3:7 krl.syntax']],
    ['missing operand', global('x = 1 +\ny = 2'), ['4:3 krl.syntax']],
    ['function without value', global('f = function(a) { b = a }'), ['3:25 krl.syntax']],
    ['map key', global('m = {a: 1}'), ['3:6 krl.syntax']],
    ['conditional without other', global('c = 1 => 2'), ['3:12 krl.syntax']],
    ['two actions', rule('noop() noop()'), ['3:8 krl.syntax']],
    ['action without parentheses', rule('noop'), ['3:6 krl.syntax']],
    ['if without then', rule('if 1 noop()'), ['3:6 krl.syntax']],
    ['then without action', rule('if 1 then fired { }'), ['3:11 krl.syntax']],
    ['no statement', rule('fired { noop() }'), ['3:9 krl.syntax']],
    ['two settings', rule('noop() setting(a, b)'), ['3:19 krl.setting']],
    ['three loop names', rule('foreach [] setting(a, b, c)'), ['3:26 krl.setting']],
    ['choose without label', rule('choose "x" { noop() }'), ['3:14 krl.label']],
    ['rule without select', ruleset('rule r { noop() }'), ['2:6 krl.select']],
    ['any of too few', ruleset('rule r { select when any 3 (a b, c d) }'), ['2:22 krl.event']],
    ['back-reference', global('r = re#(a)\\1#'), ['3:5 krl.regexp']],
    ['look-behind', global('r = re#(?<=a)b#'), ['3:5 krl.regexp']],
    ['malformed pattern', global('r = re#(#'), ['3:5 krl.regexp']],
    ['undefined name', global('x = y + z.foo()'), ['3:5 krl.undefined', '3:9 krl.undefined', '3:11 krl.undefined']],
    ['later value', global('f = function() { a = b b = 1 a }'), ['3:22 krl.undefined']],
    ['binding of another block', rule('fired { x = 1 } finally { log info x }'), ['3:36 krl.undefined']],
    ['undefined share', ruleset('meta { shares a, b }'), ['2:15 krl.undefined', '2:18 krl.undefined']],
    ['undefined provide', ruleset('meta { provides a }'), ['2:17 krl.undefined']],
    ['shared action', ruleset('meta { shares a }\nglobal { a = defaction() { noop() } }'), ['2:15 krl.not_a_function']],
    ['unknown module', rule('foo:bar(baz:qux)'), ['3:1 krl.module', '3:9 krl.module']],
    ['alias of a known domain', ruleset('meta { use module a.b alias event }'), ['2:29 krl.duplicate']],
    ['function as action', rule('range(1, 2)'), ['3:1 krl.not_an_action']],
    [
      'user function as action',
      ruleset('global { f = function() { 1 } }\nrule r { select when a b f() }'),
      ['3:26 krl.not_an_action'],
    ],
    ['action as function', global('x = send_directive("a")'), ['3:5 krl.not_a_function']],
    ['defaction as function', global('a = defaction() { noop() }\nx = a()'), ['4:5 krl.not_a_function']],
    ['value as function', global('a = [1]\nx = a(0)'), ['4:5 krl.not_a_function']],
    ['event:attrs called', global('x = event:attrs("a")'), ['3:5 krl.not_a_function']],
    ['entity variable called', global('x = ent:f(1)'), ['3:5 krl.not_a_function']],
    ['duplicate declaration', global('a = 1 b = 2 a = 3'), ['3:13 krl.duplicate']],
    ['duplicate parameter', global('f = function(a, a) { a }'), ['3:17 krl.duplicate']],
    ['duplicate rule', ruleset('rule a { select when x y }\nrule a { select when x y }'), ['3:6 krl.duplicate']],
    ['duplicate label', rule('choose 1 { a => noop() a => noop() }'), ['3:24 krl.duplicate']],
    ['duplicate in a postlude', rule('fired { x = 1; x = 2 }'), ['3:16 krl.duplicate']],
    ['duplicate meta', ruleset('meta { name "a" name "b" }'), ['2:17 krl.duplicate']],
    ['duplicate configuration', ruleset('meta { configure using a = 1 a = 2 }'), ['2:30 krl.duplicate']],
    ['second global', ruleset('global { }\nglobal { }'), ['3:1 krl.duplicate']],
    ['positional after named', global('x = range(end = 2, 1)'), ['3:20 krl.syntax']],
    ['unknown named argument', global('x = range(1, until = 2)'), ['3:14 krl.argument']],
    ['parameter after default', global('f = function(a = 1, b) { a + b }'), ['3:21 krl.argument']],
    ['name that is no literal', ruleset('meta { name <<a#{1}>> }'), ['2:8 krl.unsupported']],
    ['keys', ruleset('meta { key k "x" }'), ['2:8 krl.unsupported']],
    ['errors to', ruleset('meta { errors to a.b }'), ['2:8 krl.unsupported']],
    ['provides keys', ruleset('meta { provides keys a, b to c.d, e }'), ['2:8 krl.unsupported']],
    ['application variable', rule('fired { app:x := 1 }'), ['3:9 krl.unsupported']],
    ['application variable read', global('x = app:y'), ['3:5 krl.unsupported']],
    ['set', rule('fired { set ent:x 1 }'), ['3:9 krl.unsupported']],
    ['raise with', rule('fired { raise a event "b" with c = 1 }'), ['3:27 krl.unsupported']],
    ['assignment elsewhere', rule('fired { ctx:x := 1 }'), ['3:9 krl.syntax']],
    ['too many repetitions', ruleset('rule r { select when count 9999999 (a b) }'), ['2:28 krl.syntax']],
    ['too large a number', global('x = 1e999'), ['3:5 krl.syntax']],
    ['too deep', global(`x = ${'['.repeat(1000)}`), ['3:405 krl.nesting']],
    ['too long a chain', global(`x = 1${' + 1'.repeat(1000)}`), ['3:1607 krl.nesting']],
  ])('%s', (_name, source, expected) => {
    expect(problems(source)).toEqual(expected)
  })

  test('every broken declaration and rule is reported at once', () => {
    const source = `ruleset t {
      meta { name }
      global { a = ) b = 2
        c = function() { } d = [1, }
      rule one { select when noop }
      rule two { select when a b pre { x = = y = 1 z = } noop( }
      rule three { select when a b fired { ent:x = 1 } }
    }`
    expect(problems(source)).toEqual([
      '2:19 krl.syntax',
      '3:20 krl.syntax',
      '4:26 krl.syntax',
      '4:36 krl.syntax',
      '5:35 krl.syntax',
      '6:44 krl.syntax',
      '6:56 krl.syntax',
      '6:64 krl.syntax',
      '7:50 krl.syntax',
    ])
  })

  test('warnings do not stop', () => {
    const made = compile(
      `ruleset t { version "1" global { f = function(a) { a.b } x = f(1, 2) y = f(c = 1) }
      rule r is inactive { select when a b } rule s { select when a b where 1 setting(x) } }`,
      { domains },
    )
    expect(made.ok && made.warnings.map(({ code, line }) => `${line} ${code}`)).toEqual([
      '1 krl.deprecated',
      '1 krl.deprecated',
      '1 krl.argument',
      '1 krl.argument',
      '2 krl.inactive',
      '2 krl.setting',
      '2 krl.deprecated',
    ])
  })

  test('domains are those of the engine, and so are their members and what those may be used as', () => {
    expect(
      problems(global('a = math:flor(1)\n b = meta:callingRID\n c = ctx:constructor\n d = http:post("x")')),
    ).toEqual(['3:5 krl.unsupported', '4:6 krl.unsupported', '5:6 krl.unsupported', '6:6 krl.not_a_function'])
    expect(problems(rule('every { math:floor(1) ctx:rid() time:noon() http:post("x") http:get("x") }'))).toEqual([
      '3:9 krl.not_an_action',
      '3:23 krl.not_an_action',
      '3:33 krl.unsupported',
    ])
    const source = global('x = credential:list()')
    expect([
      compile(source, { domains }).ok,
      compile(source, { domains: { credential: { list: 'function' } } }).ok,
    ]).toEqual([false, true])
  })
})

describe('any text', () => {
  test('a mutated ruleset compiles to what loads, or has errors with places', () => {
    const dice = numbers(20240607)
    let refused = 0
    for (let i = 0; i < 1500; i++) {
      const source = mangled(fixture, dice)
      const made = compile(source, { domains })
      if (made.ok) load(made.js)
      else refused += 1
      const lines = source.split('\n').length
      for (const { line, column, message, severity } of made.diagnostics) {
        if (line < 1 || line > lines || column < 1 || message === '') throw new Error(`${message} at ${line}:${column}`)
        if (!made.ok && severity === 'error') continue
      }
      if (!made.ok && !made.diagnostics.some(({ severity }) => severity === 'error'))
        throw new Error('refused without an error')
    }
    expect(refused).toBeGreaterThan(500)
    expect(refused).toBeLessThan(1500)
  })

  test.each([
    '(',
    '[',
    '{',
    '<<#{',
    'function(){',
    '-',
    'not ',
    'a => ',
    'f(',
    'x.y(',
    'a{',
    '"',
    '/*',
    're#',
    'rule r {',
    '}',
    '{"a":',
  ])('%s a hundred thousand times', piece => {
    expect(problems(ruleset(`global { x = ${piece.repeat(100_000)} }`)).length).toBeGreaterThan(0)
    expect(problems(piece.repeat(100_000)).length).toBeGreaterThan(0)
  })

  test('the end of an interpolation where no chevron is', () => {
    const source = fixture
      .replace('share reading, history', 'share reading,re# history')
      .replace('again => <<', 'again =>rule x { <<')
    expect(source).not.toBe(fixture)
    expect(problems(source).length).toBeGreaterThan(0)
  })

  test('time grows with length', () => {
    const body = fixture.slice(fixture.indexOf('  rule take'), fixture.lastIndexOf('}'))
    const one = (i: number) => body.replace('rule take', `rule take${i}`).replace('rule flapping', `rule flapping${i}`)
    const source = `${fixture.slice(0, fixture.lastIndexOf('}')) + Array.from({ length: 160 }, (_, i) => one(i)).join('')}}`
    expect(source.length).toBeGreaterThan(240_000)
    const started = performance.now()
    expect(compile(source, { domains }).ok).toBe(true)
    expect(performance.now() - started).toBeLessThan(2000)
  })
})
