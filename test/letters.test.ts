// Where letters and queries go from the engine of their pico (src/letters.ts, src/reading.ts): to a pico here, or out; and what
// a pico that moves hears.

import { afterEach, beforeEach, expect, test } from '@jest/globals'
import type { Engine } from '../src/engine.ts'
import type { Json } from '../src/ports.ts'
import { MemoryStore } from '../src/stores/memory.ts'
import { birth, type ManualClock, picoId, settled, type ToyWorld, toyEngine, toyEvent } from './toy-core.ts'

let engine: Engine
let world: ToyWorld
let clock: ManualClock
beforeEach(async () => {
  const bench = await toyEngine(new MemoryStore())
  ;({ engine, world, clock } = bench)
  await engine.createPico(birth(1))
  await engine.createPico(birth(2))
})
afterEach(() => engine.stop())

const send = (attrs: { [name: string]: Json }) => engine.submit(picoId(1), toyEvent(1, 'send', attrs), 'applied')
const outside = () => world.deliveries.map(({ letter }) => letter.id)
const dead = () =>
  engine.read(picoId(1), view => view.list('dead').map(([, value]) => (value as { code: string }).code))
const heard = (n: number) => engine.read(picoId(n), view => view.get('var/toy', 'order') ?? null)
const deletion = { to: 'eci-2', delete: picoId(2) }
/** Moved away, as the move leaves it. */
async function moveAway(n: number, movedTo: string | undefined): Promise<void> {
  await engine.custody.freeze(picoId(n))
  await engine.custody.retire(picoId(n), movedTo === undefined ? {} : { movedTo })
}

/** Lets time go on until it is done. */
async function during(work: Promise<unknown>): Promise<void> {
  let done = false
  void work.finally(() => (done = true))
  while (!done) await clock.advance(1_000)
}

test('an event for another host goes out, whoever has that channel here', async () => {
  await send({ to: 'eci-2', host: 'http://elsewhere', ids: ['there'] })
  await send({ to: 'eci-2', host: 'http://here', ids: ['here'] })
  await settled()
  expect(outside()).toEqual(['there'])
  expect(await heard(2)).toEqual(['here'])
})

test('an event for a pico that has moved goes out, and waits while it is moving', async () => {
  await moveAway(2, undefined)
  await send({ to: 'eci-2', ids: ['late'] })
  await settled()
  expect(outside()).toEqual([])
  await engine.custody.forwardTo(picoId(2), 'http://there')
  await clock.advance(10_000)
  expect(outside()).toEqual(['late'])
})

test('a child is deleted here, not before a move of it has ended, and elsewhere where it lives', async () => {
  await engine.custody.freeze(picoId(2))
  await send({ ...deletion, ids: ['first'] })
  await clock.advance(5_000)
  expect([outside(), engine.registered(picoId(2))?.status]).toEqual([[], 'frozen'])
  await engine.custody.retire(picoId(2), { movedTo: 'http://there' })
  await clock.advance(20_000)
  expect([outside(), engine.registered(picoId(2))?.status]).toEqual([['first'], 'retired'])
  await engine.createPico(birth(3))
  await send({ to: 'eci-3', delete: picoId(3), ids: ['second'] })
  await clock.advance(1_000)
  expect([outside(), engine.registered(picoId(3))]).toEqual([['first'], undefined])
  await send({ to: 'eci-3', delete: picoId(3), ids: ['third'] })
  await clock.advance(1_000)
  expect([outside(), await dead()]).toEqual([['first'], []])
})

test('a frozen pico hears of its letter where it wakes', async () => {
  let answer: (taken: { taken: true }) => void = () => undefined
  world.answer = () => new Promise(resolve => (answer = resolve))
  await send({ to: 'far', ids: ['told'], report: true })
  await settled()
  const frozen = engine.custody.freeze(picoId(1))
  answer({ taken: true })
  await during(frozen)
  expect(await engine.read(picoId(1), view => view.get('left', 'told'))).toBeUndefined()
  world.answer = async () => ({ taken: true })
  await engine.custody.thaw(picoId(1))
  await settled()
  expect(outside()).toEqual(['told', 'told'])
  expect(await engine.read(picoId(1), view => view.get('left', 'told'))).toMatchObject({ outcome: 'delivered' })
})

test('a rule’s query for a pico that has moved is not answered by the copy left here', async () => {
  const ask = () => engine.submit(picoId(1), toyEvent(1, 'ask', { urls: ['query:eci-2'] }), 'applied')
  world.answers = async () => ({ value: 'from there' })
  expect(await ask()).toEqual([0])
  await moveAway(2, 'http://there')
  expect(await ask()).toEqual(['from there'])
})

test('a query that goes round is refused by its depth', async () => {
  const query = (depth: number) => ({ outside: false, rid: 'toy', name: 'a', args: {}, depth })
  expect(await engine.query(picoId(1), query(16))).toEqual({ value: 0 })
  expect(await engine.query(picoId(1), query(17))).toMatchObject({ error: { code: 'query.depth' } })
})
