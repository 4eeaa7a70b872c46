// The shortest form of `npm run test:long -- move`; every stage is proven in one process by move.test.ts.

import { expect, test } from '@jest/globals'
import { randomFrom } from '../examples/tally.ts'
import { killAt } from './long/move.ts'

test('kill -9 of the source when a move is frozen, then abort', async () => {
  const figures = await killAt('frozen', 'a', 'abort', randomFrom(20_261), () => undefined)
  expect(figures).toMatchObject({ rounds: 1, lost: 0, doubled: 0, faults: [] })
  expect(new Set(figures.live)).toEqual(new Set([1]))
  if (figures.missed === 0) expect(figures.aborted).toBe(1)
  expect(figures.sent).toBeGreaterThan(10)
}, 60_000)
