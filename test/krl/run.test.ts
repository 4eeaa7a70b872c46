// Compiled rulesets at work: expressions, functions, rules, postludes, limits.

import { describe, expect, test } from '@jest/globals'
import { compile } from '../../krl/index.ts'
import { operators } from '../../krl/stdlib.ts'
import type { KrlMap, Value } from '../../krl/types.ts'
import { RulesetFault } from '../../krl/types.ts'
import { isAction, isFunction } from '../../krl/values.ts'
import { domains } from '../../src/modules.ts'
import { Bench, evaluate, MemoryHost } from './host.ts'

const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value ?? null))
const value = (expression: string, globals = '') => plain(evaluate(expression, globals))
const rules = (body: string, globals = '') => new Bench(`ruleset t { global { ${globals} } ${body} }`)
const caught = (act: () => unknown): RulesetFault => {
  try {
    act()
  } catch (error) {
    if (error instanceof RulesetFault) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

describe('expressions', () => {
  test.each<[string, unknown]>([
    ['1 + 2 * 3', 7],
    ['(1 + 2) * 3', 9],
    ['10 - 2 - 3', 5],
    ['7 / 0', 0],
    ['"a" + 1', 'a1'],
    ['1.5e3 + .5', 1500.5],
    ['-"abc".length()', -3],
    ['not true || true', true],
    ['not (true || true)', false],
    ['0 || "x"', 'x'],
    ['"" && 1', ''],
    ['1 == 1 && 2 != 3', true],
    ['true => "a" | "b"', 'a'],
    ['false => "a" | null => "b" | "c"', 'c'],
    ['{"a": {"b": [1, 2]}}{["a", "b", 1]}', 2],
    ['{"a": 5}{"a"}', 5],
    ['[1, 2, 3][1]', 2],
    ['{"a": 1}.a', 1],
    ['{"__proto__": 1}.keys()', ['__proto__']],
    ['[1, 2, 3,].map(function(x, i) { x * 10 + i })', [10, 21, 32]],
    ['<<a #{1 + 1} \\#{b} \\>> #{<<in #{"s"} "}">>}>>', 'a 2 #{b} >> in s "}"'],
    ['<<>>', ''],
    ['"a\\"b\\\\n"', 'a"b\\n'],
    ['"foobar".match(re#^FOO#i)', true],
    ['"a#b".replace(re#\\##, "-")', 'a-b'],
    ['"b a".split(re# #).sort()', ['a', 'b']],
    ['[3, 1, 2].sort("numeric")', [1, 2, 3]],
    ['range(1, 3)', [1, 2, 3]],
    ['[1, 2].map(typeof)', ['Number', 'Number']],
    ['function(a) { a }(4)', 4],
    ['"x".defaultsTo("y")', 'x'],
    ['null.defaultsTo("y")', 'y'],
    ['"ab" like re#^a#', true],
    ['1 <=> 2', -1],
    ['"10" cmp "9"', -1],
    ['{"a": 1} >< "a"', true],
    ['/* c */ 1 // d', 1],
  ])('%s', (source, expected) => {
    expect(value(`${source}\n`)).toEqual(expected)
  })

  test('event words are names where no operator can stand', () => {
    expect(value('before + count + like', 'before = 1 count = 2 like = 3 and = 4')).toBe(6)
  })
})

test('arithmetic in line answers as the library does', () => {
  const numbers = [0, -0, 1, -2.5, 3, 1e308, 7]
  const host = new MemoryHost()
  for (const op of ['+', '-', '*', '/', '%', '<', '<=', '>', '>=', '==', '!='])
    for (const left of [...numbers, '3', null])
      for (const right of [...numbers, '-2.5', 'x']) {
        const library = () => (operators[op] as NonNullable<(typeof operators)[string]>)(host, [left, right])
        const inLine = () =>
          evaluate('f(ctx:l, ctx:r)', `f = function(l, r) { l ${op} r }`, { 'ctx:l': left, 'ctx:r': right })
        let expected: unknown
        try {
          expected = library()
        } catch {
          expect(inLine).toThrow(RulesetFault)
          continue
        }
        expect([left, op, right, inLine()]).toEqual([left, op, right, expected])
      }
})

describe('names', () => {
  test('a user function replaces the operator of its name, with dot syntax too', () => {
    expect(value('[5].length() + length([1])', 'length = function(x) { 100 }')).toBe(200)
  })

  test('inside its own value a name means what it meant before', () => {
    expect(value('keys', 'keys = {"a": 1}.keys()')).toEqual(['a'])
    expect(value('add = add(1, 2) add', 'add = function(a, b) { a + b }')).toBe(3)
  })

  test('globals are made when asked for, in any order', () => {
    expect(value('a', 'a = b + 1 b = c * 2 c = 5')).toBe(11)
    const bench = new Bench('ruleset t { global { a = ctx:missing  b = 1 } }')
    expect(bench.ask('b')).toBe(1)
    expect(caught(() => bench.ask('a'))).toMatchObject({ code: 'ruleset.failed', place: { line: 1, column: 26 } })
  })

  test('a value that needs itself is a fault', () => {
    const fault = caught(() => new Bench('ruleset t {\n global { a = b + 1\n b = a } }').ask('a'))
    expect(fault).toMatchObject({ code: 'ruleset.failed', place: { line: 2, column: 11 } })
    expect(fault.message).toContain('the value of a depends on itself')
  })

  test('functions see all of their block, values what stands before', () => {
    expect(value('f = function() { g() + x } x = 3 g = function() { 4 } f()')).toBe(7)
  })

  test('closures keep their variables', () => {
    expect(value('a = add(1) b = add(10); [a(1), b(1)]', 'add = function(n) { function(x) { x + n } }')).toEqual([
      2, 11,
    ])
  })
})

describe('functions', () => {
  const area = 'area = function(w, h = w * 2) { [w, h] }'

  test('defaults, missing and extra arguments', () => {
    expect(value('area(2)', area)).toEqual([2, 4])
    expect(value('area(2, null)', area)).toEqual([2, null])
    expect(value('area(2, 3, 4)', area)).toEqual([2, 3])
    expect(value('f()', 'f = function(a) { a.isnull() }')).toBe(true)
  })

  test('named arguments, also through a value and for an operator', () => {
    expect(value('area(h = 1, w = 5)', area)).toEqual([5, 1])
    expect(value('x = {"f": area} x{"f"}(1, h = 9)', area)).toEqual([1, 9])
    expect(value('"abc".substr(len = 1, start = 1)')).toBe('b')
  })

  test('recursion', () => {
    expect(value('fact(10)', 'fact = function(n) { n < 2 => 1 | n * fact(n - 1) }')).toBe(3628800)
  })

  test('globals are offered as branded values', () => {
    const bench = new Bench(
      'ruleset t { global { f = function(a, b) { a + b } g = defaction(x) { noop() return x } v = 1 } }',
    )
    const f = bench.instance().member('f') as Value
    const g = bench.instance().member('g') as Value
    expect(isFunction(f) && f.krl.params).toEqual(['a', 'b'])
    expect(isAction(g) && g({ positional: [], named: { x: 3 } })).toBe(3)
    expect(isFunction(f) && f({ positional: [1], named: { b: 5 } })).toBe(6)
    expect(bench.instance().member('v')).toBe(1)
    expect(bench.instance().member('toString')).toBeUndefined()
  })

  test('what is not a function is a located fault', () => {
    const fault = caught(() => evaluate('x = [1]\n x[0](2)'))
    expect(fault).toMatchObject({ code: 'ruleset.failed', place: { line: 2, column: 3 } })
    expect(fault.message).toBe('1 is not a function (in t)')
  })
})

describe('rules', () => {
  test('attributes, setting, pre that hides a capture', () => {
    const bench = rules(`rule a { select when x y url re#(.+)# setting(url)
      pre { url = url + "!" }
      send_directive("d", {"url": url, "raw": event:attrs{"url"}, "old": event:attr("url")}) }`)
    expect(bench.send('x:y', { url: 'u' })).toEqual(['a'])
    expect(plain(bench.host.directives)).toEqual([{ name: 'd', options: { url: 'u!', raw: 'u', old: 'u' } }])
    expect(bench.send('x:y', {})).toEqual([])
    expect(bench.ruleset.rules[0]).toMatchObject({ salient: ['x:y'], line: 1 })
  })

  test('captures reach the foreach, guards and the postlude', () => {
    const bench = rules(`rule a { select when x y n re#(.+)# setting(n) where n > 1
      foreach [n, n] setting(v, k)
      always { ent:all := ent:all.defaultsTo([]).append([k + v]) } }`)
    bench.send('x:y', { n: '1' })
    expect(bench.host.variables.size).toBe(0)
    bench.send('x:y', { n: '5' })
    expect(plain(bench.host.variables.get('all'))).toEqual(['05', '15'].map(text => text.replace(/^(.)(.)$/, '$1$2')))
  })

  test('foreach over arrays and maps, nested, with on final', () => {
    const bench = rules(`rule a { select when x y
      foreach [1, 2] setting(n)
      foreach {"p": "P", "q": "Q"} setting(v, k)
      send_directive("d", {"s": n + k + v})
      fired { raise t event "each"; raise t event "end" attributes {"n": n} on final } }`)
    expect(bench.send('x:y')).toEqual(['a'])
    expect(bench.host.directives.map(({ options }) => options.s)).toEqual(['1pP', '1qQ', '2pP', '2qQ'])
    expect(bench.host.raised.filter(({ type }) => type === 'end')).toEqual([
      { domain: 't', type: 'end', attrs: Object.assign(Object.create(null), { n: 2 }) },
    ])
    expect(bench.host.raised).toHaveLength(5)
  })

  test('a loop over nothing does not fire', () => {
    const bench = rules('rule a { select when x y foreach null setting(n) noop() }')
    expect(bench.send('x:y')).toEqual(['!a'])
  })

  test('if, every, choose and sample', () => {
    const bench = rules(`
      rule a { select when x y if event:attrs{"go"} then every { send_directive("1") send_directive("2"); } }
      rule b { select when x y choose event:attrs{"go"} { left => send_directive("l") right => send_directive("r") } }
      rule c { select when x y sample { send_directive("s"); send_directive("s") } }`)
    expect(bench.send('x:y', { go: 'right' })).toEqual(['a', 'b', 'c'])
    expect(bench.host.directives.map(({ name }) => name)).toEqual(['1', '2', 'r', 's'])
    expect(bench.send('x:y', { go: null })).toEqual(['!a', 'b', 'c'])
  })

  test('defaction: parameters, condition, choose, return, setting', () => {
    const bench = rules(
      `rule a { select when x y
        every { act(1, c = 5) setting(one)  act(2) setting(two)  ctx:newThing("n", k = 1) setting(thing) }
        fired { ent:got := [one, two, thing] } }`,
      `act = defaction(a, b = a + 1, c) { d = b * 10; if a < 2 then send_directive("d", {"a": a}) setting(dir)
        return [dir{"name"}, d, c] }`.replace('b = a + 1, c', 'b = a + 1, c = null'),
    )
    Object.assign(bench.host.members, { 'ctx:newThing': () => 'made' })
    expect(bench.send('x:y')).toEqual(['a'])
    expect(plain(bench.host.variables.get('got'))).toEqual([['d', 20, 5], [null, 30, null], 'made'])
    expect(plain(bench.host.acts)).toEqual([
      { domain: 'ctx', name: 'newThing', args: { positional: ['n'], named: { k: 1 }, setting: true } },
    ])
  })

  test('a local defaction replaces a library action', () => {
    const bench = rules(`rule a { select when x y
      pre { send_directive = defaction() { noop() setting(foo) return "was " + foo } }
      send_directive() setting(e)
      fired { ent:e := e } }`)
    bench.send('x:y')
    expect(bench.host.variables.get('e')).toBe('was null')
    expect(bench.host.directives).toEqual([])
  })

  test('an action value that is none is a fault', () => {
    const bench = rules('rule a { select when x y pre { f = [1].head() }\n f() }')
    expect(caught(() => bench.send('x:y'))).toMatchObject({ code: 'ruleset.action', place: { line: 2, column: 2 } })
  })

  test('select where, and a selection by several events', () => {
    const bench = rules(`
      rule any { select where event:attrs{"all"} == "yes" noop() }
      rule both { select when x a n re#(.)# setting(n) and x b m re#(.)# setting(m) where n == m noop() }
      rule third { select when count 2 (x a n re#(\\d)#) sum(total) noop() fired { ent:total := total } }`)
    expect(bench.send('q:q', { all: 'yes' })).toEqual(['any'])
    expect(bench.send('x:a', { n: '1' })).toEqual([])
    expect(bench.send('x:b', { m: '2' })).toEqual([])
    expect(bench.send('x:b', { m: '1' })).toEqual(['both'])
    expect(bench.send('x:a', { n: '3' })).toEqual(['third'])
    expect(bench.host.variables.get('total')).toBe(4)
    expect(bench.ruleset.rules.map(rule => rule.salient)).toEqual([['*'], ['x:a', 'x:b'], ['x:a']])
  })

  test('within is counted in its unit', () => {
    const bench = rules('rule a { select when x a then x b within t minutes noop() }', 't = 1 + 1')
    expect(bench.instance().withins.map(within => within())).toEqual([120_000])
    bench.send('x:a')
    bench.host.time += 120_001
    expect(bench.send('x:b')).toEqual([])
    bench.send('x:a')
    bench.host.time += 120_000
    expect(bench.send('x:b')).toEqual(['a'])
    const wrong = rules('rule a { select when x a within "soon" hours noop() }')
    expect(caught(() => wrong.instance().withins[0]?.())).toMatchObject({ code: 'ruleset.failed' })
  })

  test('an inactive rule is listed and never runs', () => {
    const { rules: listed } = rules('rule a is inactive { select when x y undefined_thing() }').ruleset
    expect(listed).toMatchObject([{ name: 'a', active: false, salient: [] }])
  })
})

describe('postludes', () => {
  test('fired, else, finally; notfired; always', () => {
    const bench = rules(`
      rule a { select when x y if event:attrs{"go"} then noop()
        fired { log info "a fired" } else { log warn "a not" } finally { log debug "a done" } }
      rule b { select when x y if event:attrs{"go"} then noop()
        notfired { log info "b not" } else { log info "b fired" } }
      rule c { select when x y always { log error {"c": 1} } }`)
    bench.send('x:y', { go: true })
    bench.send('x:y', {})
    expect(plain(bench.host.logs)).toEqual([
      { level: 'info', value: 'a fired' },
      { level: 'debug', value: 'a done' },
      { level: 'info', value: 'b fired' },
      { level: 'error', value: { c: 1 } },
      { level: 'warn', value: 'a not' },
      { level: 'debug', value: 'a done' },
      { level: 'info', value: 'b not' },
      { level: 'error', value: { c: 1 } },
    ])
  })

  test('entity variables by path, without reading the whole', () => {
    const bench = rules(
      `rule a { select when x y always { ent:m{["a", "b"]} := 1; ent:m{"c"} := 2; ent:m{"d"} := 3; clear ent:m{"d"}
        ent:n := ent:m{["a", "b"]} + ent:m{"c"} + ent:m.get("c"); ent:gone := 1; clear ent:gone } }`,
      'whole = function() { ent:m } first = function() { ent:m["c"] }',
    )
    bench.send('x:y')
    expect(plain(bench.host.variables.get('m'))).toEqual({ a: { b: 1 }, c: 2 })
    expect([bench.host.variables.get('n'), bench.host.variables.has('gone')]).toEqual([5, false])
    expect(bench.host.pathReads).toBe(3)
    expect(bench.ask('first')).toBe(2)
    expect(bench.ask('whole')).toBe(bench.host.variables.get('m'))
  })

  test('raise: static, dynamic, for a ruleset', () => {
    const bench = rules(`rule a { select when x y fired {
      raise p event "q" + "r" attributes {"a": 1}
      raise event " s : t "
      raise p event "q" attributes {} for "r.i.d"
      raise event "u:v" for null } }`)
    bench.send('x:y')
    expect(plain(bench.host.raised)).toEqual([
      { domain: 'p', type: 'qr', attrs: { a: 1 } },
      { domain: 's', type: 't', attrs: null },
      { domain: 'p', type: 'q', attrs: {}, rid: 'r.i.d' },
      { domain: 'u', type: 'v', attrs: null },
    ])
    const wrong = rules('rule a { select when x y fired { raise event "nothing" } }')
    expect(caught(() => wrong.send('x:y'))).toMatchObject({ code: 'ruleset.failed' })
  })

  test('schedule: at and repeat, static and dynamic, setting', () => {
    const bench = rules(`rule a { select when x y fired {
      schedule p event "q" at "2030-01-01" attributes {"a": 1} setting(id)
      schedule event "s:t" repeat "*/5 * * * * *"
      ent:id := id } }`)
    bench.send('x:y')
    expect(plain(bench.host.jobs)).toEqual([
      { domain: 'p', type: 'q', attrs: { a: 1 }, at: '2030-01-01', setting: 'id' },
      { domain: 's', type: 't', attrs: null, repeat: '*/5 * * * * *' },
    ])
    expect(bench.host.variables.get('id')).toBe('job-1')
  })

  test('guarded bindings keep what they hide', () => {
    const bench = rules(`rule a { select when x y pre { v = "pre" } noop() setting(w)
      fired { v = "new" if event:attrs{"go"}; w = 1 if event:attrs{"go"}; w = 2 if not event:attrs{"go"}; ent:v := [v, w] } }`)
    bench.send('x:y', { go: true })
    expect(plain(bench.host.variables.get('v'))).toEqual(['new', 1])
    bench.send('x:y', {})
    expect(plain(bench.host.variables.get('v'))).toEqual(['pre', 2])
  })

  test('last ends the loop and the ruleset', () => {
    const bench = rules(`
      rule a { select when x y foreach [1, 2, 3] setting(n) fired { ent:n := n; last if n == 2 && event:attrs{"stop"} } }
      rule b { select when x y }`)
    expect(bench.send('x:y', { stop: true })).toEqual(['a'])
    expect(bench.host.variables.get('n')).toBe(2)
    expect(bench.send('x:y')).toEqual(['a', 'b'])
  })

  test('error statements; error error ends the rule', () => {
    const bench = rules(`
      rule a { select when x y fired { error warn "w"; error error {"e": 1}; ent:after := 1 } }
      rule b { select when x y }`)
    expect(bench.send('x:y')).toEqual(['a'])
    expect(plain(bench.host.raised.map(({ attrs }) => attrs))).toEqual([
      { level: 'warn', data: 'w', rule_name: 'a' },
      { level: 'error', data: { e: 1 }, rule_name: 'a' },
    ])
    expect(bench.host.variables.has('after')).toBe(false)
  })
})

describe('modules', () => {
  const source = `ruleset t { meta {
      use module org.other alias other with key = secret() and n = base + 1
      configure using base = 10 name = "dflt"
      shares hello, __testing, value provides hello
    }
    global { secret = function() { "s" } hello = function(who = "x") { <<hi #{who} #{name} #{base}>> } value = 3 }
    rule r { select when a b x re#.*# if event:attrs{"y"} then noop() } }`

  test('configuration, with, meta and __testing', () => {
    const bench = new Bench(source)
    expect(bench.ask('hello', 'you')).toBe('hi you dflt 10')
    const configured = bench.instance({ name: 'N' })
    expect(configured.member('name')).toBe('N')
    expect(plain(configured.withs.other?.())).toEqual({ key: 's', n: 11 })
    expect(bench.ruleset.meta).toMatchObject({ shares: ['hello', '__testing', 'value'], configures: ['base', 'name'] })
    expect(bench.ruleset.meta.uses).toEqual([{ rid: 'org.other', alias: 'other', place: { line: 2, column: 7 } }])
    expect(plain(bench.ask('__testing'))).toEqual({
      queries: [
        { name: 'hello', args: ['who'] },
        { name: 'value', args: [] },
      ],
      events: [{ domain: 'a', name: 'b', attrs: ['x', 'y'] }],
    })
  })

  test('a declared __testing replaces the made one', () => {
    const bench = new Bench('ruleset t { meta { shares __testing } global { __testing = __testing.put("z", 1) } }')
    expect(plain(bench.ask('__testing'))).toEqual({ queries: [], events: [], z: 1 })
  })
})

describe('limits', () => {
  const loop = 'f = function(n) { n == 0 => 0 | f(n - 1) }'

  test('steps', () => {
    const bench = new Bench(
      `ruleset t { global { ${loop}\n g = range(1, 1000).map(function(x) { f(20) }) } }`,
      {},
      { steps: 5000 },
    )
    expect(caught(() => bench.ask('g'))).toMatchObject({ code: 'ruleset.budget', place: { line: 1 } })
    const turns = new Bench(
      'ruleset t { rule a { select when x y foreach range(1, 100) setting(n) } }',
      {},
      { steps: 150 },
    )
    expect(caught(() => turns.send('x:y')).code).toBe('ruleset.budget')
  })

  test('depth of calls, direct, through the library and through defaults', () => {
    const deep = (body: string) => caught(() => evaluate('f(1)', `f = function(n, m = 0) { ${body} }`)).code
    expect(deep('f(n)')).toBe('ruleset.depth')
    expect(deep('[n].map(f)')).toBe('ruleset.depth')
    expect(deep('g = function(x, y = f(x)) { y } g(n)')).toBe('ruleset.depth')
    expect(evaluate('f(300)', loop)).toBe(0)
  })

  test('a fault of the budget says in which function it came', () => {
    const fault = caught(() => evaluate('f(1)', '\n\n  f = function(n) { f(n) }'))
    expect([fault.code, fault.place]).toEqual(['ruleset.depth', { line: 3, column: 7 }])
  })

  test('size of what is built', () => {
    const grow = 's = function(n, t) { n == 0 => t | s(n - 1, <<#{t}#{t}>>) }'
    expect(caught(() => evaluate('s(40, "ab")', grow)).code).toBe('ruleset.size')
  })

  test('no text of a ruleset reaches the emitted code but in a literal', () => {
    const nasty = '\\"; process.exit(1) //`$`\u2028'
    const source = `ruleset t { meta { name "${nasty}" }
      global { constructor = "${nasty}" __proto__ = {"${nasty}": 1} f = function($r, arguments) { $r + arguments } }
      rule prototype { select when a b c re#${nasty.replace('(1)', '')}# setting(eval) send_directive(eval) } }`
    const made = compile(source, { domains })
    if (!made.ok) throw new Error(JSON.stringify(made.diagnostics))
    const bare = made.js.replace(/"(?:[^"\\]|\\.)*"/g, '""')
    expect(bare).not.toMatch(/process|constructor|__proto__|prototype|eval|arguments/)
    const names = new Set(bare.match(/(?<![.$\w])[A-Za-z_]\w*/g))
    for (const word of 'const let if else for switch case break return null true false use void strict'.split(' '))
      names.delete(word)
    expect([...names].sort()).toEqual(
      ['guards', 'members', 'place', 'rules', 'withins', 'withs'].concat(['named', 'positional']).sort(),
    )
    const bench = new Bench(source)
    expect(bench.ask('f', 1, 2)).toBe(3)
    expect(plain(bench.ask('__proto__'))).toEqual({ [nasty.replace('\\"', '"')]: 1 })
    expect(({} as KrlMap)[nasty]).toBeUndefined()
  })
})
