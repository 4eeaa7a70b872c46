// The strict JSON reader against JSON.parse and against what a peer may try.

import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { utf8 } from '../../wallet/bytes.ts'
import { readJson, readJsonObject } from '../../wallet/json.ts'

const code = (source: string | Uint8Array, limits?: object) => {
  const read = readJson(source, limits)
  return 'fault' in read ? read.code : 'read'
}

describe('readJson', () => {
  test('reads what JSON.stringify writes', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), value => {
        fc.pre(!JSON.stringify(value).match(/\d{16,}/))
        const text = JSON.stringify(value)
        expect(readJson(utf8(text))).toEqual({ value: JSON.parse(text) })
      }),
      { seed: 8259, numRuns: 300 },
    )
  })

  test.each([
    ['{"a":1,"a":2}', 'json.duplicate'],
    ['{"a":1,"\\u0061":2}', 'json.duplicate'],
    ['[{"b":{"a":1,"c":[{"x":1,"x":1}]}}]', 'json.duplicate'],
    ['{"a":{"x":1},"a":{"y":1}}', 'json.duplicate'],
    ['{"__proto__":1,"__proto__":2}', 'json.duplicate'],
    ['{"a:b":"c:d","e\\"":":"}', 'read'],
    ['{"a\\\\":1,"b":"\\\\\\""}', 'read'],
    ['9007199254740991', 'read'],
    ['9007199254740992', 'json.number'],
    ['[-9007199254740993]', 'json.number'],
    ['{"a":1e400}', 'json.number'],
    ['1.5', 'read'],
    ['{"a":1e21,"b":"12345678901234567890"}', 'read'],
    ['[-1.7976931348623157E+308]', 'read'],
    ['9007199254740993.5', 'read'],
    ['[1e21,{"a\\"1":-9007199254740993}]', 'json.number'],
    ['[1e21,"\\\\",9007199254740993]', 'json.number'],
    ['[1e21,-1e309]', 'json.number'],
    ['', 'json.syntax'],
    ['{"a":1', 'json.syntax'],
    ['{"a', 'json.syntax'],
    ['{"a":1,}', 'json.syntax'],
    ['\ufeff{}', 'json.syntax'],
    ['{} {}', 'json.syntax'],
  ])('%s gives %s', (source, expected) => {
    expect(code(source)).toBe(expected)
    expect(code(utf8(source))).toBe(expected)
  })

  test('depth and size are bounded before anything is parsed', () => {
    expect(code(`${'['.repeat(64)}${']'.repeat(64)}`)).toBe('read')
    expect(code(`${'['.repeat(65)}${']'.repeat(65)}`)).toBe('json.too_deep')
    expect(code('{"a":'.repeat(100_000))).toBe('json.too_deep')
    expect(code('[[1]]', { maxDepth: 1 })).toBe('json.too_deep')
    expect(code('"abcdef"', { maxBytes: 7 })).toBe('json.too_large')
  })

  test('a bracket inside a text is no depth', () => {
    expect(code(JSON.stringify('['.repeat(1000)))).toBe('read')
  })

  test('invalid UTF-8 is refused', () => {
    expect(code(Uint8Array.of(0x22, 0xff, 0x22))).toBe('json.utf8')
    expect(code(Uint8Array.of(0x22, 0xc0, 0x80, 0x22))).toBe('json.utf8')
  })

  test('__proto__ is a member and changes no prototype', () => {
    const read = readJsonObject('{"__proto__":{"polluted":true}}')
    if ('fault' in read) throw new Error(read.message)
    expect(Object.keys(read.value)).toEqual(['__proto__'])
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined()
    expect(Object.getPrototypeOf(read.value)).toBe(Object.prototype)
  })

  test('an object that looks like a fault is a value', () => {
    expect(readJson('{"fault":true,"code":"x","message":"y"}')).toEqual({
      value: { fault: true, code: 'x', message: 'y' },
    })
  })

  test('readJsonObject wants an object', () => {
    for (const source of ['[]', 'null', '1', '"a"']) {
      expect(readJsonObject(source)).toMatchObject({ code: 'json.not_object' })
    }
  })
})
