// Where a ruleset finds the modules that it uses, and who may name them for whom.

import { fileURLToPath } from 'node:url'
import { expect, test } from '@jest/globals'
import type { Json } from '../src/ports.ts'
import { Sources } from '../src/sources.ts'

const lib = (value: number) => `ruleset lib { meta { provides n } global { n = function() { ${value} } } }`
const USER = 'ruleset user { meta { use module lib shares n } global { n = function() { lib:n() } } }'
const TEXTS: Record<string, string> = {
  'http://bad/x.krl': lib(666),
  'http://good/lib.krl': lib(1),
  'http://good/user.krl': USER,
  'http://else/user.krl': USER,
}

function sources(): Sources {
  const table = new Map<string, Json | undefined>()
  return new Sources(
    { get: name => table.get(name), put: async (name, value) => void table.set(name, value) },
    async url => TEXTS[url] ?? Promise.reject(new Error(`no ${url}`)),
    fileURLToPath(new URL('../krl', import.meta.url)),
  )
}
const options = (owner: boolean) => ({ fresh: false, owner, installed: {} })

test('what a rule loads names no module for others', async () => {
  const made = sources()
  await made.load('http://bad/x.krl', options(false))
  const { modules } = await made.load('http://good/user.krl', options(true))
  expect(modules.lib?.url).toBe('http://good/lib.krl')
})

test('what the owner loaded is found by its rid from everywhere', async () => {
  const made = sources()
  await made.load('http://good/lib.krl', options(true))
  const { modules } = await made.load('http://else/user.krl', options(false))
  expect(modules.lib?.url).toBe('http://good/lib.krl')
})
