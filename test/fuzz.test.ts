// The short form of `npm run test:long -- fuzz`, from a fixed seed.

import { expect, test } from '@jest/globals'
import { attack, PARTS, type Part } from './long/fuzz.ts'

test.each(Object.entries(PARTS))('%s: nothing breaks, and what is right still works', async (_, begin) => {
  expect(await attack(begin as () => Promise<Part>, 20_261, 150)).toEqual({ cases: 150, wrong: [] })
})
