// The standard library, operator by operator: what it gives, what it refuses, what it costs. Values go in and come out
// unchanged; no key reaches JavaScript's own objects.

import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { actions, deletePath, equal, getPath, operatorParams, operators, putPath } from '../../krl/stdlib.ts'
import { type Args, type Host, RulesetFault, type Value } from '../../krl/types.ts'
import { emptyMap, isRegExp, krlFunction, krlRegExp, toText } from '../../krl/values.ts'

const logged: unknown[] = []
const directives: unknown[] = []

const makeHost = (steps = 1e6, size = 1e6) =>
  ({
    budget: { steps, depth: 100, size },
    log: (...line: unknown[]) => logged.push(line),
    directive: (...given: unknown[]) => directives.push(given),
  }) as unknown as Host

const fn = (body: (...args: Value[]) => unknown) =>
  krlFunction('function', 'f', ['a', 'b', 'c'], ({ positional }: Args) => body(...positional) as Value)
const action = krlFunction('action', 'act', [], () => null)
const re = krlRegExp
const run = (name: string, ...args: Value[]) => operators[name]!(makeHost(), args)
/** Plain objects, and texts for regular expressions, so that results compare. */
const plain = (value: Value): unknown => {
  if (Array.isArray(value)) return value.map(plain)
  if (isRegExp(value) || typeof value === 'function') return toText(value)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, plain(each)]))
}

type Case = [operator: string, args: Value[], expected: unknown]
const named = (cases: Case[]) =>
  cases.map(([name, args, expected], i): [string, Case] => [`${name} ${i}`, [name, args, expected]])
const gives = (cases: Case[]) =>
  test.each(named(cases))('%s', (_label, [name, args, expected]) => expect(plain(run(name, ...args))).toEqual(expected))

const nested = { a: { b: [10, { c: 'deep' }] }, 'a.b': 'dotted', n: null }
const even = fn(n => Number(n) % 2 === 0)
const sum = fn((a, b) => Number(a) + Number(b))

describe('infix', () => {
  gives([
    ['+', [2], 2],
    ['+', [2, 3], 5],
    ['+', ['2', 3], '23'],
    ['+', [2, '3'], '23'],
    ['+', [null, 'x'], 'nullx'],
    ['+', [true, false], 'truefalse'],
    ['+', [[1], {}], '[Array][Map]'],
    ['+', ['', re('a', 'g')], 're#a#g'],
    ['-', [4], -4],
    ['-', ['4'], -4],
    ['-', [[7, 7]], -2],
    ['-', [9, 4], 5],
    ['-', ['9', ' 4 '], 5],
    ['-', [null, 4], -4],
    ['-', [true, 1], 0],
    ['-', [{ a: 1, b: 2 }, ['x']], 1],
    ['*', [6, '7'], 42],
    ['*', [null, 5], 0],
    ['/', [9, 2], 4.5],
    ['/', ['9', '3'], 3],
    ['/', [9, 0], 0],
    ['/', [0, 0], 0],
    ['/', [9, null], 0],
    ['%', [9, 4], 1],
    ['%', [-9, 4], -1],
    ['%', [9, '0'], 0],
    ['==', [null, null], true],
    ['==', [0, null], false],
    ['==', [1, '1'], false],
    ['==', [1, true], false],
    [
      '==',
      [
        [1, [2]],
        [1, [2]],
      ],
      true,
    ],
    ['==', [[1], [1, 2]], false],
    [
      '==',
      [
        { a: 1, b: [2] },
        { b: [2], a: 1 },
      ],
      true,
    ],
    ['==', [{ a: null }, {}], false],
    ['==', [{ a: 1 }, { b: 1 }], false],
    ['==', [[], {}], false],
    ['==', [re('a', ''), re('a', '')], true],
    ['==', [re('a', ''), re('a', 'i')], false],
    ['==', [even, even], true],
    ['==', [even, sum], false],
    ['!=', [1, 2], true],
    ['!=', ['a', 'a'], false],
    ['<=>', [2, 10], -1],
    ['<=>', ['2', '10'], -1],
    ['<=>', ['b', 'a'], 1],
    ['<=>', [[1, 2], 2], 0],
    ['<=>', [{ a: 1 }, [5]], 0],
    ['<=>', [null, false], 0],
    ['<=>', ['2020-02-01', '2020-01-31'], 1],
    ['<=>', [1, 'x'], -1],
    ['<=>', [re('x', ''), 're#x#'], 0],
    ['<', ['9', '10'], true],
    ['<', ['a9', 'a10'], false],
    ['>', [10, 9], true],
    ['>', [null, 0], false],
    ['<=', [1, 1], true],
    ['<=', ['b', 'a'], false],
    ['>=', ['a', 'a'], true],
    ['>=', [-1, 0], false],
    ['><', [[1, 2], 2], true],
    ['><', [[1, 2], '2'], false],
    ['><', [[[1], null], [1]], true],
    ['><', [[null], null], true],
    ['><', [[], null], false],
    ['><', [nested, 'a'], true],
    ['><', [nested, 'b'], false],
    ['><', [nested, 'a.b'], true],
    ['><', [{ a: { b: 1 } }, 'a.b'], false],
    ['><', [nested, ['a', 'b']], true],
    ['><', [nested, 'n'], true],
    ['><', [{ 5: 1 }, 5], true],
    ['><', [{}, 'toString'], false],
    ['><', ['text', 't'], false],
    ['like', ['hello', re('l+', '')], true],
    ['like', ['hello', 'L'], false],
    ['like', ['hello', re('L', 'i')], true],
    ['like', [1234, '^12'], true],
    ['cmp', ['a', 'b'], -1],
    ['cmp', [10, 9], -1],
    ['cmp', [10, '10'], 0],
    ['cmp', [{}, { a: 1 }], 0],
    ['cmp', [null, 'a'], 1],
  ])

  test('division by zero says so in the log', () => {
    logged.length = 0
    run('/', 7, 0)
    expect(logged).toEqual([['debug', '[DIVISION BY ZERO] 7 / 0']])
  })

  test('a global pattern matches every time it is asked', () => {
    const pattern = re('a', 'g')
    expect([1, 2, 3].map(() => run('like', 'a', pattern))).toEqual([true, true, true])
    expect([1, 2, 3].map(() => run('match', 'a', pattern))).toEqual([true, true, true])
  })

  test('patterns span lines only with flag m', () => {
    expect([run('like', 'x\ny', re('^y', '')), run('like', 'x\ny', re('^y', 'm'))]).toEqual([false, true])
  })
})

describe('types', () => {
  gives([
    ['as', [5], 5],
    ['as', [5, 'String'], '5'],
    ['as', [0.5, 'String'], '0.5'],
    ['as', [null, 'String'], 'null'],
    ['as', [[1], 'String'], '[Array]'],
    ['as', [{}, 'String'], '[Map]'],
    ['as', [even, 'String'], '[Function]'],
    ['as', [action, 'String'], '[Action]'],
    ['as', [re('a', 'gi'), 'String'], 're#a#gi'],
    ['as', ['12.5', 'Number'], 12.5],
    ['as', [' +7 ', 'Number'], 7],
    ['as', ['', 'Number'], 0],
    ['as', ['7a', 'Number'], null],
    ['as', ['1,000', 'Number'], null],
    ['as', ['1e3', 'Number'], 1000],
    ['as', ['Infinity', 'Number'], null],
    ['as', ['0x1F', 'Number'], 31],
    ['as', ['0b101', 'Number'], 5],
    ['as', [true, 'Number'], 1],
    ['as', [null, 'Number'], 0],
    ['as', [[4, 4], 'Number'], 2],
    ['as', [{ length: 9 }, 'Number'], 1],
    ['as', [re('1', ''), 'Number'], null],
    ['as', ['false', 'Boolean'], false],
    ['as', ['0', 'Boolean'], true],
    ['as', ['', 'Boolean'], false],
    ['as', [0, 'Boolean'], false],
    ['as', [[], 'Boolean'], true],
    ['as', [null, 'Boolean'], false],
    ['as', ['^a', 'RegExp'], 're#^a#'],
    ['as', [12, 'RegExp'], 're#12#'],
    ['as', [even, 'RegExp'], 're#\\[Function\\]#'],
    ['as', ['[ab]', 'RegExp'], 're#[ab]#'],
    ['as', [255, 'Hex'], 'ff'],
    ['as', ['0xFF', 'Hex'], '0xFF'],
    ['as', [[], 'Hex'], null],
    ['isnull', [null], true],
    ['isnull', [0], false],
    ['isnull', [''], false],
    ['isnull', [{}], false],
    ['isnull', [], true],
    ['typeof', [null], 'Null'],
    ['typeof', [Number.NaN], 'Null'],
    ['typeof', ['x'], 'String'],
    ['typeof', ['0xAf'], 'Hex'],
    ['typeof', [1], 'Number'],
    ['typeof', [false], 'Boolean'],
    ['typeof', [[]], 'Array'],
    ['typeof', [{}], 'Map'],
    ['typeof', [re('a', '')], 'RegExp'],
    ['typeof', [even], 'Function'],
    ['typeof', [action], 'Action'],
    ['defaultsTo', [null, 5], 5],
    ['defaultsTo', [0, 5], 0],
    ['defaultsTo', ['', 5], ''],
    ['defaultsTo', [Number.NaN, 5], 5],
    ['defaultsTo', [null], null],
  ])

  test('klog gives its value and logs it with the label', () => {
    logged.length = 0
    expect([run('klog', 5, 'five'), run('klog', null), run('klog', [1], 7)]).toEqual([5, null, [1]])
    expect(logged).toEqual([
      ['klog', 5, 'five'],
      ['klog', null],
      ['klog', [1], '7'],
    ])
  })

  test('defaultsTo logs its message only when the default is taken', () => {
    logged.length = 0
    run('defaultsTo', 1, 2, 'not this')
    run('defaultsTo', null, 2, 'this')
    run('defaultsTo', null, 2)
    expect(logged).toEqual([['debug', '[DEFAULTSTO] this']])
  })
})

describe('numbers and bits', () => {
  gives([
    ['chr', [74], 'J'],
    ['chr', ['74'], 'J'],
    ['chr', ['x'], null],
    ['range', [1, 4], [1, 2, 3, 4]],
    ['range', [4, 1], [4, 3, 2, 1]],
    ['range', [2, 2], [2]],
    ['range', ['-1', 1], [-1, 0, 1]],
    ['range', [0.5, 2.5], [0.5, 1.5, 2.5]],
    ['range', [0.5, 2], [0.5, 1.5, 2.5]],
    ['range', [3], []],
    ['range', [3, 'x'], []],
    ['range', [0, ['a', 'b']], [0, 1, 2]],
    ['shiftRight', [12, 2], 3],
    ['shiftLeft', [3, '2'], 12],
    ['band', [5, 3], 1],
    ['bor', [5, 3], 7],
    ['bxor', [5, 3], 6],
    ['bnot', [5], -6],
    ['bnot', ['-3'], 2],
  ])
})

describe('text', () => {
  gives([
    ['sprintf', [5], ''],
    ['sprintf', [5, '%d of %d'], '5 of 5'],
    ['sprintf', [5, '%d%d'], '55'],
    ['sprintf', [5, '%s'], '%s'],
    ['sprintf', ['x', '<%s> %d'], '<x> %d'],
    ['sprintf', ['x', '\\%s %s'], '%s x'],
    ['sprintf', ['x', '\\\\ %s'], '\\ x'],
    ['sprintf', ['$&', '%s'], '$&'],
    ['sprintf', [[], '%s'], '%s'],
    ['capitalize', ['word'], 'Word'],
    ['capitalize', [''], ''],
    ['capitalize', [true], 'True'],
    ['lc', ['MiX'], 'mix'],
    ['uc', ['MiX'], 'MIX'],
    ['decode', ['{"a":[1,null]}'], { a: [1, null] }],
    ['decode', ['"x"'], 'x'],
    ['decode', ['{bad'], '{bad'],
    ['decode', [''], ''],
    ['decode', [[1]], [1]],
    ['decode', [null], null],
    ['decode', [`${'['.repeat(64)}${']'.repeat(64)}`], JSON.parse(`${'['.repeat(64)}${']'.repeat(64)}`)],
    ['decode', [`${'['.repeat(65)}${']'.repeat(65)}`], `${'['.repeat(65)}${']'.repeat(65)}`],
    ['decode', [`["${'['.repeat(99)}"]`], ['['.repeat(99)]],
    ['decode', ['["a\\"]]","[["]'], ['a"]]', '[[']],
    ['encode', [null], 'null'],
    ['encode', [Number.NaN], 'null'],
    ['encode', ['a"b'], '"a\\"b"'],
    ['encode', [{ a: [1, true, null], b: {} }], '{"a":[1,true,null],"b":{}}'],
    ['encode', [[]], '[]'],
    ['encode', [[[]], 2], '[\n  []\n]'],
    ['encode', [{ a: [1, 2], b: {} }, 2], '{\n  "a": [\n    1,\n    2\n  ],\n  "b": {}\n}'],
    ['encode', [{ a: 1 }, '1'], '{\n "a": 1\n}'],
    ['encode', [{ a: 1 }, null], '{"a":1}'],
    ['encode', [{ a: 1 }, 'x'], '{"a":1}'],
    ['encode', [[even, action, re('a', 'i')]], '["[Function]","[Action]","re#a#i"]'],
    ['encode', [{ toJSON: even }], '{"toJSON":"[Function]"}'],
    ['extract', ['a1b22', re('(\\d+)', 'g')], ['1', '22']],
    ['extract', ['a1b22', re('(\\d)b(\\d)', '')], ['1', '2']],
    ['extract', ['ac', re('a(b)?(c)', '')], [null, 'c']],
    ['extract', ['abc', re('b', '')], []],
    ['extract', ['abc', re('x(y)', '')], []],
    ['extract', ['abc', '(b)'], ['b']],
    ['extract', ['abc'], []],
    ['match', ['abc', re('B', 'i')], true],
    ['match', ['abc', '^b'], false],
    ['match', ['5', 5], false],
    ['match', [15, re('5', '')], true],
    ['ord', ['A'], 65],
    ['ord', [''], null],
    ['split', ['a,b,,c', ','], ['a', 'b', '', 'c']],
    ['split', ['abc', ''], ['a', 'b', 'c']],
    ['split', ['a1b2c', re('\\d', '')], ['a', 'b', 'c']],
    ['split', ['a1b', re('(\\d)', '')], ['a', '1', 'b']],
    ['split', ['1051', 5], ['10', '1']],
    ['substr', ['abcdef', 2], 'cdef'],
    ['substr', ['abcdef', 2, 3], 'cde'],
    ['substr', ['abcdef', 2, 99], 'cdef'],
    ['substr', ['abcdef', 2, 0], 'cdef'],
    ['substr', ['abcdef', 2, -1], 'cde'],
    ['substr', ['abcdef', 3, -5], 'bc'],
    ['substr', ['abcdef', 6], ''],
    ['substr', ['abcdef', 7], ''],
    ['substr', ['abcdef', '1', '2'], 'bc'],
    ['substr', ['abcdef', 'x'], 'abcdef'],
    ['substr', ['abcdef', 1, null], 'bcdef'],
    ['substr', [12345, 1, 2], '23'],
    ['trim', ['\t x \n'], 'x'],
    ['trimLeading', [' x '], 'x '],
    ['trimTrailing', [' x '], ' x'],
    ['trim', [null], 'null'],
    ['startsWith', ['abc', 'ab'], true],
    ['startsWith', ['abc', 'b'], false],
    ['endsWith', ['abc', 'bc'], true],
    ['endsWith', ['abc', 'b'], false],
    ['contains', ['abc', 'b'], true],
    ['contains', [1234, 23], true],
    ['contains', ['abc', 'x'], false],
    ['replace', ['banana', re('a', ''), 'o'], 'bonana'],
    ['replace', ['banana', re('A', 'gi'), 'o'], 'bonono'],
    ['replace', ['banana', 'an', '-'], 'b-ana'],
    ['replace', ['a.b', '.', '-'], 'a-b'],
    ['replace', ['banana', re('an', 'g')], 'ba'],
    ['replace', ['banana', 'x', 'y'], 'banana'],
    ['replace', [105, 5, true], '10true'],
    ['replace', ['x'], 'x'],
    ['replace', ['ab', re('(a)(b)', ''), '$2$1$$$&$3'], 'ba$ab$3'],
    ['replace', ['abc', 'b', "[$`|$']"], 'a[a|c]c'],
    [
      'replace',
      ['a1b2', re('([a-z])(\\d)', 'g'), fn((whole, letter, digit, at) => `<${whole}${digit}${letter}${at}>`)],
      '<a11a0><b22b2>',
    ],
    ['replace', ['abc', re('', 'g'), fn(() => '-')], '-a-b-c-'],
    ['replace', ['aXa', 'X', fn(() => '$&')], 'a$&a'],
  ])
})

describe('collections', () => {
  gives([
    ['all', [[2, 4], even], true],
    ['all', [[2, 3], even], false],
    ['all', [[]], true],
    ['all', [{ a: 2 }, even], true],
    ['notall', [[2, 3], even], true],
    ['notall', [[], even], false],
    ['any', [[1, 2], even], true],
    ['any', [[], even], false],
    ['none', [[1, 3], even], true],
    ['none', [{ a: 2 }, even], false],
    ['append', [[1], [2, 3]], [1, 2, 3]],
    ['append', [[1], 2, [3], [[4]]], [1, 2, 3, [4]]],
    ['append', [1, 2], [1, 2]],
    ['append', [null], [null]],
    ['append', [[], { a: 1 }], [{ a: 1 }]],
    ['collect', [[1, 2, 3, 4], fn(n => (Number(n) > 2 ? 'big' : 'small'))], { small: [1, 2], big: [3, 4] }],
    ['collect', [['x', 'y', 'x']], { x: ['x', 'x'], y: ['y'] }],
    ['collect', [[null, true, null]], { null: [null, null], true: [true] }],
    ['collect', [{ a: 1, b: 1 }], { 1: [1, 1] }],
    ['filter', [[1, 2, 3, 4], even], [2, 4]],
    ['filter', [{ a: 1, b: 2 }, even], { b: 2 }],
    ['filter', [{ a: 1, b: 2 }, fn((_v, k) => k === 'a')], { a: 1 }],
    ['filter', [[5, 6], fn((_v, k) => k === 1)], [6]],
    ['filter', [[0, 1, '', 'x', null, []]], [1, 'x', []]],
    ['map', [[1, 2], fn(n => Number(n) * 10)], [10, 20]],
    ['map', [{ a: 1 }, fn((v, k) => `${k}${v}`)], { a: 'a1' }],
    [
      'map',
      [[5, 6], fn((_v, i, all) => [i ?? null, (all as Value[]).length])],
      [
        [0, 2],
        [1, 2],
      ],
    ],
    ['map', [[1, null]], [1, null]],
    ['map', [[1], fn(() => undefined)], [null]],
    ['head', [[1, 2]], 1],
    ['head', [[]], null],
    ['head', ['x'], 'x'],
    ['tail', [[1, 2, 3]], [2, 3]],
    ['tail', [[]], []],
    ['tail', ['x'], []],
    ['index', [[5, [6]], [6]], 1],
    ['index', [[5], 6], -1],
    ['index', [[null], null], 0],
    ['join', [[1, 'a', null]], '1,a,null'],
    ['join', [[1, 2], '; '], '1; 2'],
    ['join', [[], ','], ''],
    ['join', ['x', ','], 'x'],
    ['length', [[1, null]], 2],
    ['length', [{ a: 1, length: 7 }], 2],
    ['length', ['abc'], 3],
    ['length', [12345], 0],
    ['length', [null], 0],
    ['isEmpty', [[]], true],
    ['isEmpty', [{}], true],
    ['isEmpty', [''], true],
    ['isEmpty', [5], true],
    ['isEmpty', [null], true],
    ['isEmpty', [even], true],
    ['isEmpty', [[null]], false],
    ['isEmpty', [' '], false],
    ['isEmpty', [{ length: 0 }], false],
    [
      'pairwise',
      [
        [
          [1, 2],
          [10, 20],
        ],
        sum,
      ],
      [11, 22],
    ],
    [
      'pairwise',
      [[[1, 2], 'x'], fn((l, r) => [l ?? null, r ?? null])],
      [
        [1, 'x'],
        [2, null],
      ],
    ],
    ['pairwise', [[[1], [2], [3]], fn((a, b, c) => `${a}${b}${c}`)], ['123']],
    ['reduce', [[1, 2, 3], sum], 6],
    ['reduce', [[1, 2, 3], sum, 10], 16],
    ['reduce', [[5], sum], 5],
    ['reduce', [[5], sum, 1], 6],
    ['reduce', [[], sum], 0],
    ['reduce', [[], sum, 9], 9],
    ['reduce', [['a', 'b'], fn((all, each, i) => `${all}${each}${i}`)], 'ab1'],
    ['reduce', [['a', 'b'], fn((all, each, i) => `${all}${each}${i}`), ''], 'a0b1'],
    ['reverse', [[1, 2, 3]], [3, 2, 1]],
    ['slice', [['a', 'b', 'c', 'd'], 1], ['a', 'b']],
    ['slice', [['a', 'b', 'c', 'd'], 0], ['a']],
    ['slice', [['a', 'b', 'c', 'd'], 4], ['a', 'b', 'c', 'd']],
    ['slice', [['a', 'b', 'c', 'd'], 5], []],
    ['slice', [['a', 'b', 'c', 'd'], 1, 2], ['b', 'c']],
    ['slice', [['a', 'b', 'c', 'd'], 2, 1], ['b', 'c']],
    ['slice', [['a', 'b', 'c', 'd'], 0, 0], ['a']],
    ['slice', [['a', 'b', 'c', 'd'], 1, 4], []],
    ['slice', [['a', 'b', 'c', 'd'], -1, 2], []],
    ['slice', [['a', 'b', 'c', 'd']], ['a', 'b', 'c', 'd']],
    ['slice', [[], 0, 3], []],
    ['splice', [[1, 2, 3, 4], 1, 2], [1, 4]],
    ['splice', [[1, 2, 3, 4], 1, 0, 9], [1, 9, 2, 3, 4]],
    ['splice', [[1, 2, 3, 4], 1, 2, [8, 9]], [1, 8, 9, 4]],
    ['splice', [[1, 2, 3, 4], 1, -1], [1]],
    ['splice', [[1, 2, 3, 4], 1, 99], [1]],
    ['splice', [[1, 2, 3, 4], -5, 1], [2, 3, 4]],
    ['splice', [[1, 2, 3, 4], 99, 1], [1, 2, 3]],
    ['splice', [[], 0, 1, 'x'], []],
    [
      'intersection',
      [
        [1, [2], 1, null],
        [[2], 1, null],
      ],
      [1, [2], null],
    ],
    ['intersection', [1, [1]], [1]],
    ['intersection', [[1]], []],
    [
      'union',
      [
        [1, 2],
        [2, { a: 1 }, { a: 1 }],
      ],
      [1, 2, { a: 1 }],
    ],
    ['union', [1, 2], [1, 2]],
    ['union', [[1, 1]], [1, 1]],
    [
      'difference',
      [
        [1, 2, 2, 3],
        [3, 1],
      ],
      [2, 2],
    ],
    ['difference', [[1, '1'], 1], ['1']],
    ['difference', [[1]], [1]],
    [
      'has',
      [
        [1, 2, 3],
        [3, 1],
      ],
      true,
    ],
    [
      'has',
      [
        [1, 2],
        [1, 9],
      ],
      false,
    ],
    ['has', [[1], []], true],
    ['has', [{ a: 1 }, { a: 1 }], true],
    ['once', [['b', 'a', 'b', 'c']], ['a', 'c']],
    ['once', [[3, 1, 3, 2]], [1, 2]],
    ['once', [[1, '1', 2]], [2]],
    ['once', [[{ a: 1 }, { b: 1 }]], [{ a: 1 }, { b: 1 }]],
    ['once', ['x'], 'x'],
    ['duplicates', [['b', 'a', 'b', null, null]], ['b', null]],
    ['duplicates', [[{ a: 1 }, { a: 1 }]], [{ a: 1 }]],
    ['duplicates', [{ a: 1 }], []],
    ['unique', [[1, 2, 1, [3], [3], '1', null, Number.NaN]], [1, 2, [3], '1', null]],
    ['unique', ['x'], 'x'],
  ])
})

describe('paths', () => {
  gives([
    ['get', [nested, 'a'], { b: [10, { c: 'deep' }] }],
    ['get', [nested, ['a', 'b', 0]], 10],
    ['get', [nested, ['a', 'b', '1', 'c']], 'deep'],
    ['get', [nested, 'a.b'], 'dotted'],
    ['get', [nested, ['a', 'x', 'y']], null],
    ['get', [nested, 'n'], null],
    ['get', [nested, []], null],
    ['get', [[7, 8], 1], 8],
    ['get', [[7, 8], -1], null],
    ['get', ['text', 0], null],
    ['get', [null, 'a'], null],
    ['set', [{ a: 1 }, 'b', 2], { a: 1, b: 2 }],
    ['set', [nested, ['a', 'b', 1, 'c'], 'x'], { a: { b: [10, { c: 'x' }] }, 'a.b': 'dotted', n: null }],
    ['set', [{}, ['a', 0], 'x'], { a: ['x'] }],
    ['set', [{}, ['a', 'k'], 'x'], { a: { k: 'x' } }],
    ['set', [{ a: 5 }, ['a', 'k'], 'x'], { a: { k: 'x' } }],
    ['set', [[1, 2], 1, 'x'], [1, 'x']],
    ['set', [[1], 3, 'x'], [1, null, null, 'x']],
    ['set', [null, 'k', 'x'], { k: 'x' }],
    ['set', ['text', ['k'], 'x'], { k: 'x' }],
    ['set', [{ a: 1 }, [], 'x'], { a: 1 }],
    ['set', [{}, [null], 'x'], { null: 'x' }],
    ['put', [{ a: 1 }, { b: 2 }], { a: 1, b: 2 }],
    ['put', [{ a: { x: 1 } }, { a: { y: 2 } }], { a: { y: 2 } }],
    ['put', [{ a: 1 }, [], { b: 2 }], { a: 1, b: 2 }],
    ['put', [{ a: 1 }, ['b'], { c: 2 }], { a: 1, b: { c: 2 } }],
    ['put', [{ a: 1 }, 'b', 2], { a: 1, b: 2 }],
    ['put', [{ a: 1 }, ['a', 'b'], 2], { a: { b: 2 } }],
    ['put', [{}, ['0', '1'], 'x'], { 0: { 1: 'x' } }],
    ['put', [[], [0, 0], 'x'], [{ 0: 'x' }]],
    ['put', [[[1]], [0, 0], 'x'], [['x']]],
    ['put', [{ a: [1, 2] }, ['a', 2], 3], { a: [1, 2, 3] }],
    ['put', [{ a: [1, 2] }, ['a', 3], 4], { a: { 0: 1, 1: 2, 3: 4 } }],
    ['put', [{ a: [1, 2] }, ['a', 'k'], 4], { a: { 0: 1, 1: 2, k: 4 } }],
    [
      'put',
      [
        [1, 2, 3],
        ['x', 'y'],
      ],
      ['x', 'y', 3],
    ],
    ['put', [{ a: 1 }, [1]], [1]],
    ['put', [{ a: 1 }, 'b'], 'b'],
    ['put', [{ a: 1 }], { a: 1 }],
    ['put', [{ a: 1 }, 'b', null], { a: 1, b: null }],
    ['put', [5, 'a', 1], 5],
    ['put', [null, 'a', 1], null],
    ['delete', [{ a: 1, b: 2 }, 'a'], { b: 2 }],
    ['delete', [{ a: { b: 1, c: 2 } }, ['a', 'b']], { a: { c: 2 } }],
    ['delete', [{ a: [1, 2] }, ['a', 0]], { a: [null, 2] }],
    ['delete', [{ a: 1 }, 'x'], { a: 1 }],
    ['delete', [{ a: 1 }, ['a', 'b', 'c']], { a: 1 }],
    ['delete', [{ a: 1 }, []], { a: 1 }],
    ['delete', [5, 'a'], 5],
    ['keys', [{ b: 1, a: 2 }], ['b', 'a']],
    ['keys', [['x', 'y']], ['0', '1']],
    ['keys', [nested, ['a']], ['b']],
    ['keys', [nested, 'x'], []],
    ['keys', [nested, 'a.b'], []],
    ['keys', ['text'], []],
    ['values', [{ b: 1, a: 2 }], [1, 2]],
    ['values', [['x', 'y']], ['x', 'y']],
    ['values', [nested, ['a', 'b']], [10, { c: 'deep' }]],
    ['values', [null], []],
  ])

  test('the functions the engine uses agree with the operators', () => {
    expect(getPath({ a: [1] }, ['a', 0])).toBe(1)
    expect(getPath(undefined, ['a'])).toBeNull()
    expect(plain(putPath(undefined, ['a', 0], 5))).toEqual({ a: [5] })
    expect(plain(putPath({ a: 1 }, ['a'], null))).toEqual({ a: null })
    expect(plain(deletePath({ a: { b: 1 } }, ['a', 'b']))).toEqual({ a: {} })
    expect(deletePath(undefined, ['a'])).toBeNull()
    expect([equal({ a: [1] }, { a: [1] }), equal(null, undefined), equal([1], [2])]).toEqual([true, true, false])
  })
})

describe('sort', () => {
  const values = [5, 30, 4, 100]
  gives([
    ['sort', [values], [100, 30, 4, 5]],
    ['sort', [values, 'default'], [100, 30, 4, 5]],
    ['sort', [values, 'reverse'], [5, 4, 30, 100]],
    ['sort', [values, 'numeric'], [4, 5, 30, 100]],
    ['sort', [values, 'ciremun'], [100, 30, 5, 4]],
    ['sort', [values, 'no such order'], [100, 30, 4, 5]],
    ['sort', [values, 'constructor'], [100, 30, 4, 5]],
    ['sort', [values, action], [100, 30, 4, 5]],
    ['sort', [values, fn((a, b) => Number(a) - Number(b))], [4, 5, 30, 100]],
    ['sort', [values, fn((a, b) => Number(b) - Number(a))], [100, 30, 5, 4]],
    ['sort', [values, fn((a, b) => Number(a) > Number(b))], [4, 5, 30, 100]],
    ['sort', [['o', null, 'm']], ['m', null, 'o']],
    ['sort', [['b', 'A', 'a']], ['A', 'a', 'b']],
    ['sort', [[]], []],
    ['sort', [null, 'numeric'], null],
    [
      'sort',
      [[{ k: 2 }, { k: 1 }], fn((a, b) => Number(getPath(a, ['k'])) - Number(getPath(b, ['k'])))],
      [{ k: 1 }, { k: 2 }],
    ],
  ])

  test('is stable and equals the built-in order', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.integer({ min: 0, max: 5 }), fc.integer())), pairs => {
        const byFirst = fn((a, b) => (a as number[])[0]! - (b as number[])[0]!)
        expect(run('sort', pairs, byFirst)).toEqual([...pairs].sort((a, b) => a[0] - b[0]))
      }),
    )
  })
})

describe('faults', () => {
  const code = (name: string, args: Value[], host = makeHost()): string => {
    try {
      operators[name]!(host, args)
      return 'none'
    } catch (fault) {
      if (fault instanceof RulesetFault) return fault.code
      throw fault
    }
  }
  const deep = Array.from({ length: 300 }).reduce<Value>(inner => [inner], 1)

  test.each<[string, Value[]]>([
    ['-', ['x']],
    ['-', [1, 'x']],
    ['*', ['x', 1]],
    ['/', [1, even]],
    ['%', ['x', 1]],
    ['as', [1, 'Integer']],
    ['as', ['(', 'RegExp']],
    ['like', ['x', '[']],
    ['like', ['x', '(a)\\1']],
    ['band', ['x', 1]],
    ['bnot', ['x']],
    ['shiftLeft', [1, 'x']],
    ['all', [null, even]],
    ['any', ['x', even]],
    ['map', [5, even]],
    ['map', [[1], 'not a function']],
    ['map', [[1], action]],
    ['filter', [null, even]],
    ['collect', ['x']],
    ['index', [{ a: 1 }, 1]],
    ['reverse', ['x']],
    ['reduce', [{ a: 1 }, sum]],
    ['reduce', [[1, 2], null]],
    ['reduce', [[1], null]],
    ['pairwise', [{ a: 1 }, sum]],
    ['pairwise', [[[1]], sum]],
    ['pairwise', [[[1], [2]], null]],
    ['slice', [{ a: 1 }, 0, 0]],
    ['slice', [[1], 'x']],
    ['slice', [[1], 0, even]],
    ['splice', ['x', 0, 1]],
    ['splice', [[1], 0, 'x']],
  ])('%s refuses %p', (name, args) => {
    expect(code(name, args)).toBe('ruleset.failed')
  })

  test.each<[string, string, Value[]]>([
    ['ruleset.depth', '==', [deep, JSON.parse(JSON.stringify(deep))]],
    ['ruleset.depth', 'encode', [deep]],
    ['ruleset.depth', 'unique', [[deep]]],
    ['ruleset.depth', 'set', [{}, Array.from({ length: 300 }, () => 'k'), 1]],
    ['ruleset.size', 'set', [[], 999_999_999, 1]],
    ['ruleset.size', 'range', [0, 1e12]],
    ['ruleset.size', 'sprintf', ['x'.repeat(1e4), '%s'.repeat(1e4)]],
    ['ruleset.size', 'replace', ['a'.repeat(1e4), re('a', 'g'), '$`']],
    ['ruleset.size', 'join', [Array.from({ length: 1e4 }, () => 'x'.repeat(200)), '']],
    ['ruleset.size', '+', ['x'.repeat(6e5), 'x'.repeat(6e5)]],
  ])('%s: %s', (expected, name, args) => {
    expect(code(name, args)).toBe(expected)
  })

  test('a value that shares its parts is paid for as often as it is written', () => {
    const doubled = Array.from({ length: 40 }).reduce<Value>(part => [part, part], 'x')
    expect(code('encode', [doubled])).toMatch(/^ruleset\.(size|budget)$/)
    expect(code('==', [doubled, JSON.parse('[1,2]')])).toBe('none')
    expect(code('unique', [[doubled]])).toBe('ruleset.budget')
  })

  const hundred = Array.from({ length: 100 }, (_, i) => i)
  test.each<[string, Value[]]>([
    ['map', [hundred, even]],
    ['filter', [hundred, even]],
    ['all', [hundred, fn(() => true)]],
    ['none', [hundred, fn(() => false)]],
    ['collect', [hundred, even]],
    ['reduce', [hundred, sum]],
    ['pairwise', [[hundred, hundred], sum]],
    ['sort', [hundred, 'numeric']],
    ['reverse', [hundred]],
    ['append', [hundred, hundred]],
    ['index', [hundred, -1]],
    ['unique', [hundred]],
    ['union', [hundred, hundred]],
    ['difference', [hundred, hundred]],
    ['intersection', [hundred, hundred]],
    ['duplicates', [hundred]],
    ['><', [hundred, -1]],
    ['==', [hundred, [...hundred]]],
    ['encode', [hundred]],
    ['join', [hundred]],
    ['keys', [hundred]],
    ['range', [1, 100]],
  ])('%s pays a step for every element', (name, args) => {
    expect(code(name, args, makeHost(50))).toBe('ruleset.budget')
    expect(code(name, args, makeHost(100_000))).toBe('none')
  })

  test('what a function throws comes through', () => {
    const fault = new RulesetFault('ruleset.failed', 'mine')
    const bad = fn(() => {
      throw fault
    })
    expect(() => run('map', [1], bad)).toThrow(fault)
    expect(() => run('replace', 'a', 'a', bad)).toThrow(fault)
    expect(() => run('sort', [2, 1], bad)).toThrow(fault)
  })
})

describe('keys are only keys', () => {
  const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty']

  test.each(names)('%s', name => {
    expect(run('get', {}, name)).toBeNull()
    expect(run('get', [], [name, 'x'])).toBeNull()
    expect(run('><', emptyMap(), name)).toBe(false)
    const made = run('put', {}, [name, 'x'], 1)
    expect(run('get', made, [name, 'x'])).toBe(1)
    expect(run('keys', made)).toEqual([name])
    expect(run('encode', run('set', {}, [name], 1))).toBe(`{"${name}":1}`)
    expect(run('keys', run('decode', `{"${name}":{"x":1}}`))).toEqual([name])
    expect(run('get', run('collect', [name]), name)).toEqual([name])
    expect(run('keys', run('delete', run('put', { a: 1 }, name, 1), name))).toEqual(['a'])
    expect(run('keys', run('put', {}, run('decode', `{"${name}":1}`)))).toEqual([name])
    expect(run('keys', run('map', run('decode', `{"${name}":1}`)))).toEqual([name])
    expect(run('once', [name, 'b', 'b'])).toEqual([name])
    expect(({} as Record<string, unknown>).x).toBeUndefined()
  })

  test('operators and actions have no inherited names', () => {
    for (const name of names)
      expect([operators[name], actions[name], operatorParams[name]]).toEqual([undefined, undefined, undefined])
  })
})

describe('laws', () => {
  const json = fc.jsonValue({ maxDepth: 3 }) as fc.Arbitrary<Value>

  test('no operator changes what it is given', () => {
    const functions = [even, fn((a, b) => (toText(a) < toText(b) ? -1 : 1)), sum]
    const argument = fc.oneof({ weight: 4, arbitrary: json }, { weight: 1, arbitrary: fc.constantFrom(...functions) })
    fc.assert(
      fc.property(
        fc.constantFrom(...Object.keys(operators)),
        json,
        fc.array(argument, { maxLength: 3 }),
        (name, receiver, rest) => {
          const args = [receiver, ...rest]
          const before = JSON.stringify(args)
          try {
            run(name, ...args)
          } catch (fault) {
            expect(fault).toBeInstanceOf(RulesetFault)
          }
          expect(JSON.stringify(args)).toBe(before)
        },
      ),
      { numRuns: 2000 },
    )
  })

  test('decode reads what encode writes', () => {
    fc.assert(
      fc.property(json, fc.integer({ min: 0, max: 4 }), (value, indent) => {
        const text = run('encode', value, indent) as string
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value, null, indent)))
        expect(run('==', run('decode', text), value)).toBe(true)
      }),
    )
  })

  test('what is put at a path is found there', () => {
    const path = fc.array(fc.oneof(fc.string(), fc.integer({ min: 0, max: 20 })), { minLength: 1, maxLength: 4 })
    fc.assert(
      fc.property(json, path, json, (value, keys, given) => {
        expect(equal(getPath(putPath(value, keys, given), keys), given)).toBe(true)
        expect(getPath(deletePath(putPath(value, keys, given), keys), keys)).toBeNull()
      }),
    )
  })

  test('equality is what the set operators use', () => {
    fc.assert(
      fc.property(json, json, (a, b) => {
        expect(run('has', [a], [b])).toBe(equal(a, b))
        expect(run('length', run('unique', [a, b]))).toBe(equal(a, b) ? 1 : 2)
      }),
    )
  })
})

describe('tables', () => {
  test('the language has 81 names', () => {
    const all = new Set([...Object.keys(operators), ...Object.keys(actions)])
    expect([all.size, Object.keys(operatorParams).length]).toEqual([81, 81])
    expect([...all].filter(name => operatorParams[name] === undefined)).toEqual([])
  })

  test('actions', () => {
    directives.length = 0
    const none = Object.create(null) as Record<string, Value>
    const made = actions.send_directive!(makeHost(), { positional: ['hi', { a: 1 }], named: none })
    actions.send_directive!(makeHost(), { positional: ['bare'], named: none })
    actions.send_directive!(makeHost(), { positional: [], named: { name: 'named', options: { b: 2 } } })
    expect(directives).toEqual([
      ['hi', { a: 1 }],
      ['bare', emptyMap()],
      ['named', { b: 2 }],
    ])
    expect(plain(made)).toEqual({ type: 'directive', name: 'hi', options: { a: 1 } })
    expect([actions.noop!(makeHost(), { positional: [], named: none }), run('noop')]).toEqual([null, null])
  })
})
