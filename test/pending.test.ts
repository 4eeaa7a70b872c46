// The index of picos that may have something pending: it names each that has, and after a calm stop no other, so that a
// start does not look at picos that only once had a letter.

import { afterEach, expect, test } from '@jest/globals'
import type { Engine } from '../src/engine.ts'
import type { Store } from '../src/ports.ts'
import { endOf, PREFIX, picoOfKey } from '../src/stores/keys.ts'
import { MemoryStore } from '../src/stores/memory.ts'
import { birth, picoId, settled, ToyWorld, toyEngine, toyEvent } from './toy-core.ts'

const start = Uint8Array.of(PREFIX.pending)
const flagged = async (store: Store) => (await store.range(start, endOf(start))).map(({ key }) => picoOfKey(key)).sort()

const open: Engine[] = []
afterEach(async () => {
  for (const engine of open.splice(0)) await engine.stop()
})
async function begin(store: Store, world: ToyWorld, residents = 100) {
  const { engine } = await toyEngine(store, { world, limits: { residents } })
  open.push(engine)
  return engine
}
const send = (engine: Engine, n: number, id: string) =>
  engine.submit(picoId(n), toyEvent(n, 'send', { ids: [id], to: 'far' }), 'applied')

function worldThat(takes: boolean): ToyWorld {
  const world = new ToyWorld()
  world.answer = async () => (takes ? { taken: true } : { retry: 'transport.refused' })
  return world
}

test('after a stop only picos whose letter has not left are named', async () => {
  const store = new MemoryStore()
  const world = new ToyWorld()
  world.answer = async letter => (letter.id === 'stuck' ? { retry: 'transport.refused' } : { taken: true })
  const engine = await begin(store, world)
  for (const n of [1, 2, 3]) await engine.createPico(birth(n))
  for (const n of [1, 2]) await send(engine, n, `letter-${n}`)
  await send(engine, 3, 'stuck')
  await settled()
  expect(await flagged(store)).toEqual([picoId(1), picoId(2), picoId(3)])
  await engine.stop()
  await store.open()
  expect(await flagged(store)).toEqual([picoId(3)])
  const later = worldThat(true)
  await begin(store, later)
  await settled()
  expect(later.deliveries.map(({ letter }) => letter.id)).toEqual(['stuck'])
})

test('a pico that leaves memory is named no more, and again as soon as it has a letter', async () => {
  const store = new MemoryStore()
  const world = worldThat(true)
  const engine = await begin(store, world, 3)
  for (let n = 1; n <= 8; n++) {
    await engine.createPico(birth(n))
    await send(engine, n, `letter-${n}`)
    await settled()
  }
  expect((await flagged(store)).length).toBeLessThan(5)
  world.answer = worldThat(false).answer
  // Each comes back to memory and pushes another out, in the same turn as its own letter is written.
  await Promise.all(Array.from({ length: 8 }, (_, n) => send(engine, n + 1, `stuck-${n + 1}`)))
  expect(await flagged(store)).toEqual(Array.from({ length: 8 }, (_, n) => picoId(n + 1)))
  // The process is gone; the next one finds every letter.
  open.splice(0)
  const later = worldThat(true)
  await begin(store, later)
  await settled()
  const left = new Set(later.deliveries.map(({ letter }) => letter.id))
  expect(left).toEqual(new Set(Array.from({ length: 8 }, (_, n) => `stuck-${n + 1}`)))
})

test('mail that was kept is applied after a start in the order it came', async () => {
  const store = new MemoryStore()
  const world = worldThat(true)
  world.answers = () => new Promise(() => undefined)
  const engine = await begin(store, world)
  await engine.createPico(birth(1))
  const waits = engine.submit(picoId(1), toyEvent(1, 'ask', { urls: ['never'] }), 'accepted')
  await settled()
  const notes = Array.from({ length: 20 }, (_, n) => `note-${n}`)
  for (const what of notes)
    expect(await engine.submit(picoId(1), toyEvent(1, 'note', { what }), 'accepted')).toEqual({ accepted: true })
  expect(await waits).toEqual({ accepted: true })
  await engine.stop()
  const later = await begin(store, worldThat(true))
  await settled()
  expect(await later.read(picoId(1), view => view.get('var/toy', 'order'))).toEqual(notes)
})
