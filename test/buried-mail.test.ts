// Mail that the engine fails at five times becomes a dead letter once: repeated, it is a duplicate like any other. And
// of dead letters a pico keeps a number, the newest.

import { expect, test } from '@jest/globals'
import type { Step } from '../src/ports.ts'
import { OWN, type Resident } from '../src/resident.ts'
import { step } from '../src/step.ts'
import { MemoryStore } from '../src/stores/memory.ts'
import { connect, keptBack, LabEngine, post, unserve } from './lab.ts'
import { birth, picoId, settled, toyEngine, toyEvent } from './toy-core.ts'

/** From now on every step that is given a message fails, as by a bug of ours. */
function failAtMessages(engine: LabEngine): void {
  const { options } = engine.node.engine as unknown as { options: { step: Step } }
  const { step } = options
  options.step = (view, stimulus, given) => {
    if (stimulus.kind === 'message') throw new Error('a bug')
    return step(view, stimulus, given)
  }
}

test('a message that was buried is a duplicate when it comes again', async () => {
  const [a, b] = [await LabEngine.start(), await LabEngine.start()]
  await a.pico('ann')
  await b.pico('bob')
  const { invitee } = await connect(a, 'ann', b, 'bob')
  const [envelope] = await keptBack(a, 1, () =>
    b.verb('msg.send', { pico: 'bob', connection: invitee, text: 'poison' }),
  )
  failAtMessages(a)
  const faults: number[] = []
  a.node.engine.on('fault', ({ attempts }) => void faults.push(attempts))
  expect(await post(a.url, envelope!)).toBe(202)
  expect(faults).toEqual([1, 2, 3, 4, 5])
  expect(await a.verb('dead.ls', { pico: 'ann' })).toMatchObject([{ kind: 'message', attempts: 5 }])
  const { options } = a.node.engine as unknown as { options: { step: Step } }
  options.step = step
  expect(await post(a.url, envelope!)).toBe(202)
  expect(await a.verb('rejected', { pico: 'ann' })).toMatchObject({ recent: [{ reason: 'message.duplicate' }] })
  expect(await a.verb('dead.ls', { pico: 'ann' })).toHaveLength(1)
  await a.close()
  await b.close()
  unserve()
})

test('a pico keeps a thousand dead letters, and the oldest go', async () => {
  const { engine, world, clock } = await toyEngine(new MemoryStore())
  await engine.createPico(birth(1))
  world.answer = async () => ({ refused: 'http.400' })
  const sendTo = (to: string, ids: string[]) =>
    engine.submit(picoId(1), toyEvent(1, 'send', { ids, to, ttl: 1 }), 'applied')
  await sendTo('nobody', ['the oldest'])
  await settled()
  for (let n = 0; n < 12; n++) {
    await clock.advance(1)
    await sendTo(
      `nobody ${n}`,
      Array.from({ length: 100 }, (_, i) => `${n} ${i}`),
    )
    await settled()
  }
  const { records } = (engine as unknown as { resident(id: string): Resident }).resident(picoId(1))
  await records.load(OWN.dead)
  const dead = records.synced.list(OWN.dead).map(([leaf]) => leaf)
  expect(dead.length).toBeGreaterThanOrEqual(1000)
  expect(dead.length).toBeLessThanOrEqual(1100)
  expect(dead).not.toContain('the oldest')
  expect(dead).toContain('11 99')
  await engine.stop()
})
