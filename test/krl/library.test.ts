// The pure modules math, time and random: results, refusals, and that time and randomness are the host's alone.

import { createHash, createHmac } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { makeLibrary } from '../../krl/library.ts'
import { parseTime } from '../../krl/time.ts'
import { type Host, RulesetFault, type Value } from '../../krl/types.ts'

const hashes = ['sha256', 'sha1', 'md5']
const library = makeLibrary({
  hashes,
  hash: (name, data) => (hashes.includes(name) ? createHash(name).update(data).digest() : undefined),
  hmac: (name, key, data) => (hashes.includes(name) ? createHmac(name, key).update(data).digest() : undefined),
})
const NOW = Date.UTC(2021, 4, 6, 7, 8, 9, 10)

const makeHost = (bytes: () => number = () => 0, steps = 1e6) =>
  ({
    budget: { steps, depth: 100, size: 1e6 },
    now: () => NOW,
    random: (length: number) => Uint8Array.from({ length }, bytes),
  }) as unknown as Host

const call = (name: string, ...args: Value[]): Value => {
  const [domain, member] = name.split(':') as [string, string]
  return library[domain]!.functions[member]!.run(makeHost(), args)
}

type Case = [name: string, args: Value[], expected: Value]
const gives = (cases: Case[]) =>
  test.each(cases.map(([name, args, expected], i): [string, Case] => [`${name} ${i}`, [name, args, expected]]))(
    '%s',
    (_label, [name, args, expected]) => expect(call(name, ...args)).toEqual(expected),
  )
const refuses = (cases: [string, Value[]][]) =>
  test.each(cases)('%s refuses %p', (name, args) => {
    expect(() => call(name, ...args)).toThrow(RulesetFault)
  })

describe('math', () => {
  gives([
    ['math:base64encode', ['hello'], 'aGVsbG8='],
    ['math:base64encode', ['hé'], 'aMOp'],
    ['math:base64encode', [null], 'bnVsbA=='],
    ['math:base64encode', ['00ff10', 'hex'], 'AP8Q'],
    ['math:base64encode', ['é', 'latin1'], '6Q=='],
    ['math:base64decode', ['aGVsbG8='], 'hello'],
    ['math:base64decode', ['aGVs bG8'], 'hello'],
    ['math:base64decode', ['AP8Q', 'hex'], '00ff10'],
    ['math:base64decode', ['_-8', 'HEX'], 'ffef'],
    ['math:base64decode', ['6Q==', 'latin1'], 'é'],
    ['math:base64decode', ['AP8Q', 'base64'], 'AP8Q'],
    ['math:base64decode', ['+/8=', 'base64url'], '-_8'],
    ['math:base64decode', [''], ''],
    ['math:hash', ['sha256', 'abc'], 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'],
    ['math:hash', ['sha256', 'abc', 'base64'], 'ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0='],
    ['math:hash', ['md5', ''], 'd41d8cd98f00b204e9800998ecf8427e'],
    [
      'math:hmac',
      ['sha256', 'key', 'The quick brown fox jumps over the lazy dog'],
      'f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8',
    ],
    ['math:hashFunctions', [], hashes],
    ['math:abs', [-2.5], 2.5],
    ['math:abs', ['-3'], 3],
    ['math:abs', ['x'], null],
    ['math:ceiling', [1.2], 2],
    ['math:ceiling', [1.234, 2], 1.24],
    ['math:ceiling', [1234, -2], 1300],
    ['math:floor', [-1.2], -2],
    ['math:floor', [1.239, 2], 1.23],
    ['math:int', [7.9], 7],
    ['math:int', [-7.9], -7],
    ['math:int', ['7.9'], 7],
    ['math:round', [2.5], 3],
    ['math:round', [1.005, 2], 1.01],
    ['math:round', [15, -1], 20],
    ['math:round', [149, -3], 0],
    ['math:round', [1e21, 1], 1e21],
    ['math:round', [null], null],
  ])
  refuses([
    ['math:hash', []],
    ['math:hash', [5, 'x']],
    ['math:hash', ['sha999', 'x']],
    ['math:hash', ['sha256', 'x', 'binary']],
    ['math:hmac', ['sha256', 5, 'x']],
    ['math:hmac', ['constructor', 'k', 'x']],
    ['math:base64encode', ['x', 'ebcdic']],
    ['math:base64decode', ['x', 'constructor']],
  ])

  test('null is hashed as its text', () => {
    expect(call('math:hash', 'sha1', null)).toBe(call('math:hash', 'sha1', 'null'))
  })

  test('the algorithms are a property', () => {
    expect(library.math?.properties.hashAlgorithms).toEqual(hashes)
  })

  test('base 64 agrees with the platform', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), bytes => {
        const hex = Buffer.from(bytes).toString('hex')
        expect(call('math:base64encode', hex, 'hex')).toBe(Buffer.from(bytes).toString('base64'))
        expect(call('math:base64decode', Buffer.from(bytes).toString('base64url'), 'hex')).toBe(hex)
        expect(call('math:base64decode', Buffer.from(bytes).toString('base64'))).toBe(
          Buffer.from(bytes).toString('utf8'),
        )
      }),
    )
  })
})

describe('time', () => {
  gives([
    ['time:now', [], '2021-05-06T07:08:09.010Z'],
    ['time:now', [{ tz: 'Asia/Tokyo' }], '2021-05-06T07:08:09.010Z'],
    ['time:new', ['2020-02-29'], '2020-02-29T00:00:00.000Z'],
    ['time:new', ['20200229'], '2020-02-29T00:00:00.000Z'],
    ['time:new', ['2020-03'], '2020-03-01T00:00:00.000Z'],
    ['time:new', ['2020'], '2020-01-01T00:00:00.000Z'],
    ['time:new', ['2020-366'], '2020-12-31T00:00:00.000Z'],
    ['time:new', ['2020032'], '2020-02-01T00:00:00.000Z'],
    ['time:new', ['2020-W53-5'], '2021-01-01T00:00:00.000Z'],
    ['time:new', ['2021W011'], '2021-01-04T00:00:00.000Z'],
    ['time:new', ['2021-W01'], '2021-01-04T00:00:00.000Z'],
    ['time:new', ['2020-02-29T12:34:56.789Z'], '2020-02-29T12:34:56.789Z'],
    ['time:new', ['2020-02-29T12:34:56.7894567Z'], '2020-02-29T12:34:56.789Z'],
    ['time:new', ['2020-02-29 12:34'], '2020-02-29T12:34:00.000Z'],
    ['time:new', ['20200229T1234'], '2020-02-29T12:34:00.000Z'],
    ['time:new', ['2020-02-29T12:34+02:00'], '2020-02-29T10:34:00.000Z'],
    ['time:new', ['2020-02-29T12:34-0330'], '2020-02-29T16:04:00.000Z'],
    ['time:new', ['2020-02-29T23-05'], '2020-03-01T04:00:00.000Z'],
    ['time:new', ['2020-02-29T24:00'], '2020-03-01T00:00:00.000Z'],
    ['time:new', ['+012020-01-01'], '+012020-01-01T00:00:00.000Z'],
    ['time:new', ['0001-01-01'], '0001-01-01T00:00:00.000Z'],
    ['time:new', ['08:30'], '2021-05-06T08:30:00.000Z'],
    ['time:new', ['083000Z'], '2021-05-06T08:30:00.000Z'],
    ['time:new', ['08:30+01:00'], '2021-05-06T07:30:00.000Z'],
    ['time:new', [0.5e12], '1985-11-05T00:53:20.000Z'],
    ['time:add', ['2020-01-31', { months: 1 }], '2020-02-29T00:00:00.000Z'],
    ['time:add', ['2020-02-29', { years: 1 }], '2021-02-28T00:00:00.000Z'],
    ['time:add', ['2020-03-31', { months: -1 }], '2020-02-29T00:00:00.000Z'],
    ['time:add', ['2020-12-31', { quarters: 1 }], '2021-03-31T00:00:00.000Z'],
    ['time:add', ['2020-01-01', { weeks: 1, days: -1, hours: 2 }], '2020-01-07T02:00:00.000Z'],
    ['time:add', ['2020-01-01', { minutes: '90' }], '2020-01-01T01:30:00.000Z'],
    ['time:add', ['2020-01-01', { second: 1, milliseconds: 5 }], '2020-01-01T00:00:01.005Z'],
    ['time:add', ['2020-01-01', { hours: 0.5 }], '2020-01-01T00:30:00.000Z'],
    ['time:add', ['2020-01-10', { days: -2.5 }], '2020-01-07T00:00:00.000Z'],
    ['time:add', ['2020-01-10', { days: 2.4, milliseconds: 0.9 }], '2020-01-12T00:00:00.000Z'],
    ['time:add', ['2020-01-01', { days: 'many', eons: 4, hours: [1] }], '2020-01-01T00:00:00.000Z'],
    ['time:strftime', ['2021-05-06T07:08:09', '%Y-%m-%d %H:%M:%S.%L'], '2021-05-06 07:08:09.000'],
    ['time:strftime', ['2021-05-06T00:00', '%A %a %B %b %h'], 'Thursday Thu May May May'],
    ['time:strftime', ['2021-05-06T00:05', '%I:%M %p|%l %P'], '12:05 AM|12 am'],
    ['time:strftime', ['2021-05-06T13:05', '%I:%M %p|%l %P|%k'], '01:05 PM| 1 pm|13'],
    ['time:strftime', ['2021-05-06', '%F|%D|%T|%R|%v|%x'], '2021-05-06|05/06/21|00:00:00|00:00| 6-May-2021|05/06/21'],
    ['time:strftime', ['2021-05-06T13:05', '%c|%X|%r'], 'Thu 06 May 2021 01:05:00 PM UTC|01:05:00 PM|01:05:00 PM'],
    ['time:strftime', ['2021-05-06', '%j %U %W %u %w %C %y %s'], '126 18 18 4 4 20 21 1620259200'],
    ['time:strftime', ['2021-05-02', '%U %W %u %w'], '18 17 7 0'],
    ['time:strftime', ['2021-05-06', '%-d %_d %0e %e %-m'], '6  6 06  6 5'],
    ['time:strftime', ['2021-05-01', '%o'], '1st'],
    ['time:strftime', ['2021-05-12', '%o'], '12th'],
    ['time:strftime', ['2021-05-23', '%o'], '23rd'],
    ['time:strftime', ['2021-05-06T12:00+02:00', '%H%z %:z %Z'], '10+0000 +00:00 UTC'],
    ['time:strftime', ['2021-05-06', '100%% %n%t'], '100% \n\t'],
    ['time:strftime', ['2021-05-06', 'no letters'], 'no letters'],
  ])
  refuses([
    ['time:now', [[]]],
    ['time:now', ['UTC']],
    ['time:new', []],
    ['time:new', ['']],
    ['time:new', ['yesterday']],
    ['time:new', ['12345']],
    ['time:new', ['2021-02-29']],
    ['time:new', ['2021-13-01']],
    ['time:new', ['2021-366']],
    ['time:new', ['2021-W54-1']],
    ['time:new', ['2021-01-01T25:00']],
    ['time:new', ['2021-01-01T10:60']],
    ['time:new', ['2021-01-01T24:01']],
    ['time:new', ['9'.repeat(10_000)]],
    ['time:new', [{}]],
    ['time:new', [1e20]],
    ['time:add', []],
    ['time:add', ['2020-01-01']],
    ['time:add', ['2020-01-01', []]],
    ['time:add', ['never', { days: 1 }]],
    ['time:add', ['2020-01-01', { years: 1e9 }]],
    ['time:strftime', ['2020-01-01']],
    ['time:strftime', ['2020-01-01', ['%F']]],
    ['time:strftime', ['never', '%F']],
  ])

  test('every time that is written is read back', () => {
    fc.assert(
      fc.property(fc.integer({ min: -6e13, max: 2e14 }), at => {
        expect(parseTime(new Date(at).toISOString(), NOW)).toBe(at)
        const text = new Date(at).toISOString()
        if (text.length === 24) expect(parseTime(text.replace(/[-:]/g, ''), NOW)).toBe(at)
      }),
    )
  })

  test('a year is 365 or 366 days and a month later is never two months later', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4e12 }), fc.integer({ min: -30, max: 30 }), (at, months) => {
        const later = new Date(String(call('time:add', new Date(at).toISOString(), { months })))
        const expected = new Date(Date.UTC(new Date(at).getUTCFullYear(), new Date(at).getUTCMonth() + months, 1))
        expect(later.getUTCMonth()).toBe(expected.getUTCMonth())
      }),
    )
  })
})

describe('random', () => {
  const given = (name: string, bytes: () => number, ...args: Value[]) =>
    library.random!.functions[name]!.run(makeHost(bytes), args)
  const [low, high] = [() => 0, () => 255]

  test.each<[string, Value[], Value, Value]>([
    ['integer', [], 0, 1],
    ['integer', [0], 0, 0],
    ['integer', [10], 0, 10],
    ['integer', [-7], -7, 0],
    ['integer', [3, 5], 3, 5],
    ['integer', [5, 3], 3, 5],
    ['integer', ['4.4', -8.4], -8, 4],
    ['integer', ['x', -8], -8, 0],
    ['integer', [-3, 'x'], -3, 0],
  ])('%s %p lies from %p to %p', (name, args, least, most) => {
    expect([given(name, low, ...args), given(name, high, ...args)]).toEqual([least, most])
  })

  test('numbers lie from the lower bound up to the upper', () => {
    expect([given('number', low), given('number', low, -2, 5)]).toEqual([0, -2])
    expect(given('number', high, 5)).toBeLessThan(5)
    expect(given('number', high, 5)).toBeGreaterThan(4.99)
  })

  test('a uuid is of version 4', () => {
    expect(given('uuid', high)).toBe('ffffffff-ffff-4fff-bfff-ffffffffffff')
    expect(given('uuid', low)).toBe('00000000-0000-4000-8000-000000000000')
  })

  test('words are words and differ with the bytes', () => {
    expect([given('word', low), given('word', high)]).toEqual(['acorn', 'zebra'])
  })

  test('the same bytes give the same answers', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), bytes => {
        const fixed = () => ({ ...makeHost(), random: (length: number) => bytes.slice(0, length) }) as Host
        for (const name of ['uuid', 'word', 'integer', 'number']) {
          const { run } = library.random!.functions[name]!
          expect(run(fixed(), [1000])).toEqual(run(fixed(), [1000]))
        }
      }),
    )
  })
})

describe('modules', () => {
  test('no inherited domains, members or properties', () => {
    expect(Object.keys(library)).toEqual(['math', 'time', 'random'])
    for (const name of ['constructor', '__proto__', 'toString']) {
      expect([library[name], library.math?.functions[name], library.math?.properties[name]]).toEqual([
        undefined,
        undefined,
        undefined,
      ])
    }
  })

  test('long texts are paid for', () => {
    const { run } = library.math!.functions.hash!
    expect(() =>
      run(
        makeHost(() => 0, 10),
        ['sha256', 'x'.repeat(1000)],
      ),
    ).toThrow('budget')
    expect(() => call('math:base64encode', 'x'.repeat(2e6))).toThrow('too large')
  })
})
