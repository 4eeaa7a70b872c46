// How far past the end of an array one assignment may reach.

import { expect, test } from '@jest/globals'
import { putPath } from '../../krl/paths.ts'

test('an assignment far past the end of an array is refused before it is filled', () => {
  expect(putPath([], ['9999'], 'x')).toHaveLength(10_000)
  expect(() => putPath([], ['20000'], 'x')).toThrow('far past')
})
