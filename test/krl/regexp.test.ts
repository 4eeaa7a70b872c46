// Regular expressions: what they match stays what JavaScript matches, and none can be made to run for long.

import { execFileSync } from 'node:child_process'
import { describe, expect, test } from '@jest/globals'
import { linearPattern } from '../../krl/regexp.ts'
import { krlRegExp } from '../../krl/values.ts'

const pattern = (source: string, flags = ''): RegExp => krlRegExp(source, flags).pattern
const problem = (source: string, flags = ''): string => {
  const made = linearPattern(source, flags)
  return 'problem' in made ? made.problem : ''
}

/** Patterns that the linear matcher takes once written out. */
const LINEAR: [string, string][] = [
  ['^(a+)+$', 'i'],
  ['(?:a|ab){20}c', ''],
  ['x{17}', ''],
  ['[a-f]{40,}?z', 'i'],
  ['(?:ab{5}){2,33}c?', 'g'],
  ['^\\s*(?<name>[^\\W_]+)\\b.*$', 'im'],
  ['[^a-k\\x41\\]é]+ß?\\k', 'i'],
  ['(^|\\s)ключ|\\u0041', 'i'],
  ['a{0}b{,3}{', ''],
  ['', ''],
  ['(?:)|()', ''],
  ['(a|a)*', 'g'],
]

describe('patterns', () => {
  test('match as JavaScript does with the same flags', () => {
    let seed = 7
    const roll = (n: number): number => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
      return Math.floor((seed / 0x1_0000_0000) * n)
    }
    const alphabet = [...'aAbBcCxXzZ kKſéÉßклюЧ_\n1-]', 'ab', 'ABC', 'xxxxxxxxxxxxxxxxx', 'abbbbb']
    let hits = 0
    for (const [source, flags] of LINEAR) {
      const [mine, reference] = [pattern(source, flags), new RegExp(source, flags)]
      for (let i = 0; i < 300; i++) {
        const text = Array.from({ length: roll(14) }, () => alphabet[roll(alphabet.length)]).join('')
        mine.lastIndex = reference.lastIndex = 0
        const [found, expected] = [mine.exec(text), reference.exec(text)]
        expect([source, text, found && [...found], found?.index]).toEqual([
          source,
          text,
          expected && [...expected],
          expected?.index,
        ])
        if (found !== null) hits += 1
      }
    }
    expect(hits).toBeGreaterThan(500)
  })

  test('are taken by the linear matcher, and hand over to it', () => {
    const taken = LINEAR.map(([source, flags]) => [pattern(source, flags).source, pattern(source, flags).flags])
    const slow = [pattern('^(a+)+$', 'i'), pattern('^(a|a)*$', ''), pattern('(?:a|aa){1,60}$', 'i')].map(p => [
      p.source,
      p.flags,
    ])
    const script = `
      for (const [source, flags] of ${JSON.stringify(taken)}) new RegExp(source, flags + 'l')
      const text = 'a'.repeat(40) + '!'
      for (const [source, flags] of ${JSON.stringify(slow)}) {
        const re = new RegExp(source, flags)
        if (re.test(text) || text.replace(re, '') !== text) throw new Error(source)
      }
      console.log('done')`
    const flags = ['--enable-experimental-regexp-engine', '--enable-experimental-regexp-engine-on-excessive-backtracks']
    expect(execFileSync(process.execPath, [...flags, '-e', script], { timeout: 20_000, encoding: 'utf8' })).toBe(
      'done\n',
    )
  })

  test.each([
    ['(a)\\1', '', 'back-reference'],
    ['(?<x>a)\\k<x>', '', 'back-reference'],
    ['(?<!a)b', '', 'looks behind'],
    ['(', '', 'malformed'],
    ['a', 'y', 'flags other'],
    ['(a+)+(?=b)', '', 'too many ways'],
    ['(?=a).*.*b', '', 'too many ways'],
    ['a*(?!b)', '', 'too many ways'],
    ['^a*(?=.*b)', '', 'too many ways'],
    ['^(?=.*a)b*', 'm', 'too many ways'],
    ['(a|a){30}', '', 'too many ways'],
    ['((((((a+)+)+)+)+)+)+', '', 'too many ways'],
    ['(?=.*.*a)', '', 'looks ahead'],
    ['(?:(?:x{99}){99}){99}', '', 'too long'],
    ['x{100000000}', '', 'too long'],
    [`${'('.repeat(60)}${')'.repeat(60)}`, '', 'nests'],
  ])('re#%s#%s is refused', (source, flags, why) => {
    expect(problem(source, flags)).toContain(why)
  })

  test.each([
    ['^(?=.*\\d)(?=.*[a-z]).{8,}$', ''],
    ['(?=ab)c', 'g'],
    ['^(?!system:)[a-z]+$', ''],
    ['(\\d{3}){30}', ''],
    ['(?!x)y?z?', 'i'],
  ])('re#%s#%s needs no linear matcher', (source, flags) => {
    expect(problem(source, flags)).toBe('')
  })
})
