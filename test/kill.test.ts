// The short form of `npm run test:long -- kill`.

import { expect, test } from '@jest/globals'
import { killUnderLoad } from './long/kill.ts'

const SEED = 20_261

test('kill -9 under load, four times: nothing acknowledged is lost, doubled or torn', async () => {
  const figures = await killUnderLoad(SEED, 4, () => undefined)
  expect(figures).toMatchObject({ kills: 4, lost: 0, doubled: 0, torn: 0 })
  for (const count of Object.values(figures.acknowledged)) expect(count).toBeGreaterThan(0)
  expect(figures.handedOn).toBeGreaterThan(0)
}, 60_000)
