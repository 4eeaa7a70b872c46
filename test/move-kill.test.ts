// The short form of `npm run test:long -- move`.

import { expect, test } from '@jest/globals'
import { randomFrom } from '../examples/tally.ts'
import { killAt } from './long/move.ts'

test.each([
  ['committed', 'a', 'resume', { done: 1, aborted: 0 }],
  ['prepared', 'c', 'abort', { done: 0, aborted: 1 }],
] as const)(
  'kill -9 in a move that is %s, of engine %s, then %s',
  async (stage, victim, how, ends) => {
    const figures = await killAt(stage, victim, how, randomFrom(20_261), () => undefined)
    expect(figures).toMatchObject({ rounds: 1, lost: 0, doubled: 0, faults: [] })
    expect(new Set(figures.live)).toEqual(new Set([1]))
    if (figures.missed === 0) expect(figures).toMatchObject(ends)
    expect(figures.sent).toBeGreaterThan(10)
  },
  60_000,
)
