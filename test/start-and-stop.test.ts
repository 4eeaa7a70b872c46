// The life of an engine as a process (contract 2): what a start after a move finds.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, expect, jest, test } from '@jest/globals'
import { EngineProcess, freePort } from '../examples/engine-process.ts'
import type { JsonObject } from '../src/ports.ts'

jest.setTimeout(60_000)

const folder = mkdtempSync(join(tmpdir(), 'picomesh-life-'))
afterAll(() => rmSync(folder, { recursive: true }))
const engines: EngineProcess[] = []
afterEach(async () => {
  await Promise.all(engines.splice(0).map(engine => engine.kill()))
})

async function started(name: string): Promise<EngineProcess> {
  const engine = await EngineProcess.start({ home: join(folder, name), port: await freePort() })
  engines.push(engine)
  return engine
}
const invitationOf = (engine: EngineProcess) => /\S+\/i\/(\S+)/.exec(engine.output)?.[1] as string

test('an engine whose root moved away starts again, with an invitation of its new root', async () => {
  const [a, b] = await Promise.all([started('source'), started('target')])
  const { ticket } = await b.verb('move.ticket')
  expect(await a.verb('move.run', { pico: 'root', ticket: String(ticket) })).toMatchObject({ state: 'active' })
  expect(await a.stop()).toBe(0)
  const again = await a.restart()
  engines.push(again)
  expect(invitationOf(again)).not.toBe(invitationOf(a))
  const { label } = (await (await fetch(`${again.url}/i/${invitationOf(again)}`)).json()) as JsonObject
  expect(label).toBe('root')
  // It stays the same from then on.
  expect(await again.stop()).toBe(0)
  const third = await again.restart()
  engines.push(third)
  expect(invitationOf(third)).toBe(invitationOf(again))
})
