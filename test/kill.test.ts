// The short form of `npm run test:long -- kill`.

import { expect, test } from '@jest/globals'
import { killUnderLoad } from './long/kill.ts'

const SEED = 20_261

test('kill -9 under load, twice: nothing acknowledged is lost, doubled or torn', async () => {
  const figures = await killUnderLoad(SEED, 2, () => undefined)
  expect(figures).toMatchObject({ kills: 2, lost: 0, doubled: 0, torn: 0 })
  for (const count of Object.values(figures.acknowledged)) expect(count).toBeGreaterThan(0)
  expect(figures.handedOn).toBeGreaterThan(0)
}, 60_000)
