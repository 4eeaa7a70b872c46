// Event expressions: every operator in both orders, interleavings, what a wrong attribute does, windows, aggregators;
// laws: progress survives JSON, an event of another name changes nothing, and progress stays small.

import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { advance, type SeenEvent, type State, start } from '../../krl/runtime.ts'
import type { EventEx, Value } from '../../krl/types.ts'

type Pattern = Extract<EventEx, { op: 'event' }>
type Aggregate = NonNullable<Extract<EventEx, { readonly arg: EventEx }>['aggregate']>

const e = (type: string, attrs: Record<string, string> = {}, setting: string[] = [], where?: number): Pattern => ({
  op: 'event',
  domain: 'd',
  type,
  attrs: Object.entries(attrs).map(([name, source]) => ({ name, re: { source, flags: '' } })),
  setting,
  ...(where === undefined ? {} : { where }),
})
const [a, b, c, d] = [e('a'), e('b'), e('c'), e('d')]
const nary = (op: 'or' | 'and' | 'before' | 'then' | 'after', ...args: EventEx[]): EventEx => ({ op, args })
const between = (op: 'between' | 'not between', x: EventEx, y: EventEx, z: EventEx): EventEx => ({
  op,
  args: [x, y, z],
})
const any = (n: number, ...args: EventEx[]): EventEx => ({ op: 'any', n, args })
const times = (op: 'count' | 'repeat', n: number, arg: EventEx, aggregate?: Aggregate): EventEx => ({
  op,
  n,
  arg,
  ...(aggregate ? { aggregate } : {}),
})

const seen = (type: string, attrs: Record<string, Value> = {}, time = 0): SeenEvent => ({
  domain: 'd',
  type,
  attrs,
  time,
})

/** Feeds letters (one event each); gives the letters at which the rule was selected as upper case. */
const played = (ex: EventEx, letters: string): string => {
  let state = start(ex)
  return [...letters.replaceAll(' ', '')]
    .map(type => {
      const after = advance(ex, state, seen(type), () => true)
      state = after.state
      return after.selected ? type.toUpperCase() : type
    })
    .join('')
}

describe('operators', () => {
  test.each<[string, EventEx, string]>([
    ['or', nary('or', a, b), 'ABcABxA'],
    ['or of three', nary('or', a, b, c), 'CdBA'],
    ['and', nary('and', a, b), 'aBbAaaaB'],
    ['and of three', nary('and', a, b, c), 'caBacBbcA'],
    ['and needs each once', nary('and', a, b), 'aaaaB'],
    ['before', nary('before', a, b), 'aBbbaacB'],
    ['before of three', nary('before', a, b, c), 'abaCcabC'],
    ['after', nary('after', a, b), 'abAaabcA'],
    ['after of three', nary('after', a, b, c), 'cbAabcbA'],
    ['then', nary('then', a, b), 'aBaabaB'],
    ['then is broken by a salient event', nary('or', nary('then', a, b), c), 'acbCaB'],
    ['then is not broken by others', nary('then', a, b), 'axyzB'],
    ['then of three', nary('then', a, b, c), 'abbcabC'],
    ['between', between('between', a, b, c), 'baCcacbaaCc'],
    ['between: the middle must come', between('between', a, b, c), 'bccaC'],
    ['not between', between('not between', a, b, c), 'bCbacbC'],
    ['not between with the same ends', between('not between', a, b, a), 'abAbA'],
    ['any 2', any(2, a, b, c), 'aaBcBccA'],
    ['any 1', any(1, a, b), 'ABx'],
    ['any all', any(2, a, b), 'bAaaB'],
    ['any more than there are', any(3, a, b), 'abababab'],
    ['count', times('count', 3, a), 'aabAaaAa'],
    ['count 1', times('count', 1, a), 'AxA'],
    ['count 0 never fires', times('count', 0, a), 'aaaa'],
    ['repeat', times('repeat', 3, a), 'aaAAxA'],
    ['repeat 1', times('repeat', 1, a), 'AAA'],
  ])('%s', (_name, ex, expected) => {
    expect(played(ex, expected.toLowerCase())).toBe(expected)
  })

  test.each<[string, EventEx, string]>([
    ['(a and b) or c: an operand begun is finished first', nary('or', nary('and', a, b), c), 'CacB'],
    ['a and (b or c)', nary('and', a, nary('or', b, c)), 'aBcA'],
    ['(a before a) or a', nary('or', nary('before', a, a), a), 'AAA'],
    ['(a and b) or b', nary('or', nary('and', a, b), b), 'BaBBa'],
    ['(a and b) or (c and a): both begun by a', nary('or', nary('and', a, b), nary('and', c, a)), 'aCaB'],
    ['a and (a before b): either reading of a', nary('and', a, nary('before', a, b)), 'abA'],
    ['a and a', nary('and', a, a), 'aAaA'],
    ['(a or b) before (c and d)', nary('before', nary('or', a, b), nary('and', c, d)), 'cbdxCadC'],
    ['count of or', times('count', 2, nary('or', a, b)), 'aBbA'],
    ['(a then b) before c', nary('before', nary('then', a, b), c), 'aabaacabC'],
    ['repeat before b takes more of a', nary('before', times('repeat', 2, a), b), 'aaaaBab'],
    ['repeat or b: b still fires', nary('or', times('repeat', 2, a), b), 'aABaAAB'],
  ])('%s', (_name, ex, expected) => {
    expect(played(ex, expected.toLowerCase())).toBe(expected)
  })

  test('wildcards', () => {
    const every: EventEx = { op: 'event', domain: '*', type: '*', attrs: [], setting: [], where: 0 }
    const asked: number[] = []
    const guard = (index: number) => asked.push(index) === 2
    const selected = [1, 2, 3].map(() => advance(every, undefined, seen('q'), guard).selected)
    expect(selected).toEqual([false, true, false])
    expect(asked).toEqual([0, 0, 0])
    expect(advance(e('a'), undefined, { ...seen('a'), domain: 'other' }, () => true).selected).toBe(false)
  })
})

describe('attributes', () => {
  const select = (ex: EventEx, attrs: Record<string, Value>) => advance(ex, undefined, seen('a', attrs), () => true)

  test.each<[string, Pattern, Record<string, Value>, Record<string, Value> | undefined]>([
    ['one group', e('a', { n: '^(.*)$' }, ['x']), { n: 'bob' }, { x: 'bob' }],
    ['no group binds null', e('a', { n: 'bob' }, ['x']), { n: 'bobby' }, { x: null }],
    ['a group that took no part', e('a', { n: '(x)?b' }, ['x']), { n: 'b' }, { x: null }],
    [
      'groups of several attributes in order',
      e('a', { n: '(.)(.)', m: '(.)' }, ['x', 'y', 'z']),
      { m: '3', n: '12' },
      { x: '1', y: '2', z: '3' },
    ],
    ['more names than groups', e('a', { n: '(.)' }, ['x', 'y']), { n: '1' }, { x: '1', y: null }],
    ['a number reads as text', e('a', { n: '(\\d+)' }, ['x']), { n: 42 }, { x: '42' }],
    ['null reads as null', e('a', { n: '^(null)$' }, ['x']), { n: null }, { x: 'null' }],
    ['a map reads as its type', e('a', { n: '^(.*)$' }, ['x']), { n: {} }, { x: '[Map]' }],
    ['an absent attribute is empty', e('a', { n: '^(.*)$' }, ['x']), {}, { x: '' }],
    ['an absent attribute does not match more', e('a', { n: '.' }, ['x']), {}, undefined],
    ['an inherited name is absent', e('a', { toString: '.' }, ['x']), {}, undefined],
    ['no match', e('a', { n: '^b' }, ['x']), { n: 'abc' }, undefined],
    ['all must match', e('a', { n: '(a)', m: '(b)' }, ['x']), { n: 'a', m: 'a' }, undefined],
  ])('%s', (_name, ex, attrs, expected) => {
    const { selected, bindings } = select(ex, attrs)
    expect(selected).toBe(expected !== undefined)
    expect({ ...bindings }).toEqual(expected ?? {})
  })

  test('flags count and a global pattern starts over at every event', () => {
    const ex: EventEx = { ...e('a', {}, ['x']), attrs: [{ name: 'n', re: { source: '(B)', flags: 'gi' } }] }
    const hits = [1, 2, 3].map(() => select(ex, { n: 'ab' }).bindings.x)
    expect(hits).toEqual(['b', 'b', 'b'])
  })

  test('a guard sees what is bound so far, earlier events included', () => {
    const ex = nary('before', e('a', { n: '(.*)' }, ['x']), e('b', { n: '(.*)' }, ['y'], 3))
    const asked: unknown[] = []
    const guard = (index: number, bindings: Readonly<Record<string, Value>>) => {
      asked.push([index, { ...bindings }])
      return bindings.x === bindings.y
    }
    const first = advance(ex, undefined, seen('a', { n: '1' }), guard)
    const second = advance(ex, first.state, seen('b', { n: '2' }), guard)
    const third = advance(ex, second.state, seen('b', { n: '1' }), guard)
    expect(asked).toEqual([
      [3, { x: '1', y: '2' }],
      [3, { x: '1', y: '1' }],
    ])
    expect([second.selected, third.selected]).toEqual([false, true])
    expect({ ...third.bindings }).toEqual({ x: '1', y: '1' })
  })

  test('a name such as __proto__ is an ordinary name', () => {
    const { bindings } = select(e('a', { n: '(.*)' }, ['__proto__']), { n: 'x' })
    expect(Object.keys(bindings)).toEqual(['__proto__'])
    expect(({} as Record<string, unknown>).x).toBeUndefined()
  })

  const wrong = (ex: EventEx, steps: [string, string][]): string => {
    let state = start(ex)
    return steps
      .map(([type, n]) => {
        const after = advance(ex, state, seen(type, { n }), () => true)
        state = after.state
        return after.selected ? '1' : '0'
      })
      .join('')
  }
  const bob = { n: 'bob' }

  test.each<[string, EventEx, [string, string][], string]>([
    [
      'before keeps its progress',
      nary('before', a, e('b', bob)),
      [
        ['a', ''],
        ['b', 'no'],
        ['b', 'bob'],
      ],
      '001',
    ],
    [
      'and keeps its progress',
      nary('and', a, e('b', bob)),
      [
        ['a', ''],
        ['b', 'no'],
        ['b', 'bob'],
      ],
      '001',
    ],
    [
      'count keeps its progress',
      times('count', 2, e('a', bob)),
      [
        ['a', 'bob'],
        ['a', 'no'],
        ['a', 'bob'],
      ],
      '001',
    ],
    [
      'between keeps its progress',
      between('between', e('a', bob), b, c),
      [
        ['b', ''],
        ['a', 'no'],
        ['a', 'bob'],
        ['c', ''],
      ],
      '0001',
    ],
    [
      'then starts over: the event came in between',
      nary('then', a, e('b', bob)),
      [
        ['a', ''],
        ['b', 'no'],
        ['b', 'bob'],
      ],
      '000',
    ],
    [
      'repeat starts over before it is satisfied',
      times('repeat', 2, e('a', bob)),
      [
        ['a', 'bob'],
        ['a', 'no'],
        ['a', 'bob'],
        ['a', 'bob'],
      ],
      '0001',
    ],
    [
      'repeat starts over when satisfied',
      times('repeat', 2, e('a', bob)),
      [
        ['a', 'bob'],
        ['a', 'bob'],
        ['a', 'bob'],
        ['a', 'no'],
        ['a', 'bob'],
        ['a', 'bob'],
      ],
      '011001',
    ],
    [
      'repeat is not touched by other names',
      times('repeat', 2, e('a', bob)),
      [
        ['a', 'bob'],
        ['b', 'no'],
        ['a', 'bob'],
        ['c', ''],
        ['a', 'bob'],
      ],
      '00101',
    ],
  ])('%s', (_name, ex, steps, expected) => {
    expect(wrong(ex, steps)).toBe(expected)
  })
})

describe('aggregators', () => {
  const digits = e('a', { n: '^(\\d+)$' })
  const run = (ex: EventEx, values: Value[]): unknown[] => {
    let state = start(ex)
    return values.map(n => {
      const after = advance(ex, state, seen('a', { n }), () => true)
      state = after.state && JSON.parse(JSON.stringify(after.state))
      return after.selected ? { ...after.bindings } : 0
    })
  }

  test.each<[string, EventEx, Value[], unknown[]]>([
    [
      'count max starts over',
      times('count', 2, digits, { op: 'max', setting: ['m'] }),
      ['3', '8', '1', '0'],
      [0, { m: 8 }, 0, { m: 1 }],
    ],
    [
      'repeat min slides',
      times('repeat', 2, digits, { op: 'min', setting: ['m'] }),
      ['5', '3', '4', '9'],
      [0, { m: 3 }, { m: 3 }, { m: 4 }],
    ],
    [
      'repeat sum slides',
      times('repeat', 3, digits, { op: 'sum', setting: ['m'] }),
      ['1', '2', '3', '4'],
      [0, 0, { m: 6 }, { m: 9 }],
    ],
    [
      'repeat avg',
      times('repeat', 2, digits, { op: 'avg', setting: ['m'] }),
      ['1', '2', '100'],
      [0, { m: 1.5 }, { m: 51 }],
    ],
    [
      'repeat push keeps texts',
      times('repeat', 2, digits, { op: 'push', setting: ['m'] }),
      ['1', '2', 'x', '3', '4'],
      [0, { m: ['1', '2'] }, 0, 0, { m: ['3', '4'] }],
    ],
    ['repeat 1', times('repeat', 1, digits, { op: 'push', setting: ['m'] }), ['1', '2'], [{ m: ['1'] }, { m: ['2'] }]],
    [
      'names without a group',
      times('count', 2, digits, { op: 'push', setting: ['m', 'k'] }),
      ['1', '2'],
      [0, { m: ['1', '2'], k: [null, null] }],
    ],
    [
      'sum of null is 0',
      times('count', 2, digits, { op: 'sum', setting: ['m', 'k'] }),
      ['1', '2'],
      [0, { m: 3, k: 0 }],
    ],
    [
      'beside setting',
      times('count', 2, e('a', { n: '(.*)' }, ['last']), { op: 'push', setting: ['all'] }),
      ['p', 'q'],
      [0, { last: 'q', all: ['p', 'q'] }],
    ],
    [
      'no number counts as 0',
      times('count', 2, e('a', { n: '(.*)' }), { op: 'max', setting: ['m'] }),
      ['x', '-3'],
      [0, { m: 0 }],
    ],
  ])('%s', (_name, ex, values, expected) => {
    expect(run(ex, values)).toEqual(expected)
  })
})

describe('within', () => {
  const run = (ex: EventEx, within: number, steps: [number, string][]): string => {
    let state = start(ex)
    return steps
      .map(([time, type]) => {
        const after = advance(ex, state, seen(type, {}, time), () => true, within)
        state = after.state
        return after.selected ? type.toUpperCase() : type
      })
      .join('')
  }

  test.each<[string, EventEx, number, [number, string][], string]>([
    [
      'the limit itself is in time',
      nary('before', a, b),
      1000,
      [
        [0, 'a'],
        [1000, 'b'],
      ],
      'aB',
    ],
    [
      'a millisecond more is not',
      nary('before', a, b),
      1000,
      [
        [0, 'a'],
        [1001, 'b'],
        [1002, 'a'],
        [1500, 'b'],
      ],
      'abaB',
    ],
    [
      'an event after the limit begins anew',
      nary('and', a, b),
      1000,
      [
        [0, 'a'],
        [2000, 'b'],
        [2500, 'a'],
      ],
      'abA',
    ],
    [
      'the clock starts at the first event that counts',
      nary('before', a, b),
      1000,
      [
        [0, 'b'],
        [5000, 'a'],
        [6000, 'b'],
      ],
      'baB',
    ],
    [
      'each selection starts a new clock',
      nary('before', a, b),
      10,
      [
        [0, 'a'],
        [9, 'b'],
        [50, 'a'],
        [60, 'b'],
      ],
      'aBaB',
    ],
    [
      'repeat keeps the clock of its first event',
      times('repeat', 2, a),
      10,
      [
        [0, 'a'],
        [5, 'a'],
        [10, 'a'],
        [11, 'a'],
        [12, 'a'],
      ],
      'aAAaA',
    ],
    [
      'clocks that go back do no harm',
      nary('before', a, b),
      10,
      [
        [100, 'a'],
        [50, 'b'],
      ],
      'aB',
    ],
  ])('%s', (_name, ex, within, steps, expected) => {
    expect(run(ex, within, steps)).toBe(expected)
  })

  test('an expired progress is given up and reported as changed', () => {
    const ex = nary('before', a, b)
    const begun = advance(ex, undefined, seen('a'), () => true, 10)
    const after = advance(ex, begun.state, seen('c', {}, 11), () => true, 10)
    expect([begun.changed, after.changed, after.state]).toEqual([true, true, undefined])
  })
})

describe('progress', () => {
  const pattern = fc.constantFrom(a, b, c, d)
  const { ex: anyEx } = fc.letrec<{ ex: EventEx }>(tie => ({
    ex: fc.oneof(
      { maxDepth: 2 },
      pattern,
      fc
        .tuple(
          fc.constantFrom('or', 'and', 'before', 'then', 'after'),
          fc.array(tie('ex'), { minLength: 2, maxLength: 3 }),
        )
        .map(([op, args]) => nary(op as 'or', ...args)),
      fc
        .tuple(fc.constantFrom('between', 'not between'), tie('ex'), tie('ex'), tie('ex'))
        .map(([op, x, y, z]) => between(op as 'between', x, y, z)),
      fc
        .tuple(fc.integer({ min: 1, max: 3 }), fc.array(tie('ex'), { minLength: 3, maxLength: 3 }))
        .map(([n, args]) => any(n, ...args)),
      fc
        .tuple(fc.constantFrom('count', 'repeat'), fc.integer({ min: 1, max: 4 }), pattern)
        .map(([op, n, arg]) => times(op as 'count', n, arg)),
    ),
  }))
  const letters = fc.array(fc.constantFrom('a', 'b', 'c', 'd', 'x'), { maxLength: 25 })

  test('survives JSON', () => {
    fc.assert(
      fc.property(anyEx, letters, (ex, types) => {
        let kept: State
        let stored: State
        for (const type of types) {
          const one = advance(ex, kept, seen(type), () => true, 100)
          const two = advance(ex, stored, seen(type), () => true, 100)
          expect([one.selected, JSON.stringify(one.state)]).toEqual([two.selected, JSON.stringify(two.state)])
          kept = one.state
          stored = two.state && (JSON.parse(JSON.stringify(two.state)) as State)
        }
      }),
      { numRuns: 300 },
    )
  })

  test('an event of another name changes nothing', () => {
    fc.assert(
      fc.property(anyEx, letters, (ex, types) => {
        let state = start(ex)
        for (const type of types) state = advance(ex, state, seen(type), () => true).state
        const after = advance(ex, state, seen('x'), () => true)
        expect([after.state === state, after.changed, after.selected]).toEqual([true, false, false])
      }),
      { numRuns: 200 },
    )
  })

  test('a selection without repeat starts over', () => {
    fc.assert(
      fc.property(anyEx, letters, (ex, types) => {
        fc.pre(!JSON.stringify(ex).includes('repeat'))
        let state = start(ex)
        for (const type of types) {
          const after = advance(ex, state, seen(type), () => true)
          if (after.selected) expect(after.state).toBeUndefined()
          state = after.state
        }
      }),
      { numRuns: 200 },
    )
  })

  test('a single event keeps none', () => {
    for (const type of ['a', 'b']) {
      const after = advance(a, undefined, seen(type), () => true)
      expect([after.state, after.changed, after.selected]).toEqual([undefined, false, type === 'a'])
    }
  })

  test('and of 20 events stays small and takes any order', () => {
    const types = Array.from({ length: 20 }, (_, i) => `t${i}`)
    const ex = nary('and', ...types.map(type => e(type)))
    fc.assert(
      fc.property(fc.shuffledSubarray(types, { minLength: 20 }), order => {
        let state = start(ex)
        const selected = order.map(type => {
          const after = advance(ex, state, seen(type), () => true)
          state = after.state
          expect((JSON.stringify(state) ?? '').length).toBeLessThan(120)
          return after.selected
        })
        expect(selected.indexOf(true)).toBe(19)
      }),
      { numRuns: 20 },
    )
  })

  test('operands that one event can begin together keep a bounded number of alternatives', () => {
    const alike = Array.from({ length: 16 }, (_, i) => e('a', { n: `.{0,${i + 1}}` }))
    let state = start(a)
    let fired = 0
    for (let i = 0; i < 16; i++) {
      const after = advance(nary('and', ...alike), state, seen('a', { n: 'x' }), () => true)
      state = after.state
      fired += Number(after.selected)
      expect(state?.at.length ?? 0).toBeLessThanOrEqual(128)
    }
    expect(fired).toBe(1)
    expect(played(nary('and', ...Array.from({ length: 20 }, () => a)), 'a'.repeat(20))).toBe(`${'a'.repeat(19)}A`)
  })
})
