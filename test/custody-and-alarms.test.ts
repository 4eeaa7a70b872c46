// What custody owes a pico's keys, records and alarms: a destroyed pico leaves none of them, a moved one brings its
// alarm. And no timer of the platform is asked for longer than the platform can count.

import { expect, jest, test } from '@jest/globals'
import type { Write } from '../src/ports.ts'
import { idBytes, keysKey, PREFIX } from '../src/stores/keys.ts'
import { MemoryStore } from '../src/stores/memory.ts'
import { birth, ManualClock, picoId, settled, toyEngine, toyEvent } from './toy-core.ts'

jest.setTimeout(60_000)

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

/** Says what was deleted and compacted, in order. */
class WatchedStore extends MemoryStore {
  readonly done: string[] = []
  override async write(writes: readonly Write[], sync: boolean): Promise<void> {
    await super.write(writes, sync)
    for (const { key, value } of writes) if (value === undefined) this.done.push(hex(key))
  }
  override async compact(gte?: Uint8Array): Promise<void> {
    this.done.push(`compact ${hex(gte ?? new Uint8Array())}`)
  }
}

test('the keys of a destroyed pico go before its records, and are in no file afterwards', async () => {
  const store = new WatchedStore()
  const { engine } = await toyEngine(store)
  await engine.createPico(birth(1))
  await engine.submit(picoId(1), toyEvent(1, 'inc'), 'applied')
  store.done.length = 0
  await engine.submit(picoId(1), { kind: 'command', name: 'delete', args: {} }, 'applied')
  await settled()
  await engine.custody.idle()
  const keys = store.done.indexOf(hex(keysKey(idBytes(picoId(1)))))
  const record = store.done.findIndex(key => key.startsWith(hex(Uint8Array.of(PREFIX.record))))
  expect(keys).toBeGreaterThanOrEqual(0)
  expect(record).toBeGreaterThan(keys)
  expect(store.done.lastIndexOf(`compact ${hex(Uint8Array.of(PREFIX.keys))}`)).toBeGreaterThan(keys)
  const left = await store.range(Uint8Array.of(0), Uint8Array.of(255))
  expect(left.filter(({ key }) => hex(key).includes(picoId(1)))).toEqual([])
  await engine.stop()
})

test('an alarm that came with a pico survives a restart of its new engine', async () => {
  const clock = new ManualClock()
  const source = await toyEngine(new MemoryStore(), { clock })
  const store = new MemoryStore()
  const target = await toyEngine(store, { clock })
  const [from, to] = [source.engine.custody, target.engine.custody]
  await source.engine.createPico(birth(1))
  await source.engine.submit(picoId(1), toyEvent(1, 'alarm', { at: clock.now() + 500 }), 'applied')
  const { epoch } = await from.freeze(picoId(1))
  await to.receive(picoId(1), from.wrappedKeys(picoId(1)))
  await to.import(picoId(1), (await from.export(picoId(1))).records)
  await from.retire(picoId(1), { movedTo: 'http://there', epoch: epoch + 1 })
  await to.hold(picoId(1))
  await to.activate(picoId(1), epoch + 1)
  await source.engine.stop()
  await target.engine.stop()
  const { engine } = await toyEngine(store, { clock })
  await settled()
  await clock.advance(1000)
  expect(await engine.read(picoId(1), view => view.list('fired').length)).toBe(1)
  await engine.stop()
})

test('no timer of the platform is asked for more than a day', async () => {
  const asked: number[] = []
  class WatchedClock extends ManualClock {
    override wake(at: number, fn: () => void): () => void {
      asked.push(at - this.now())
      return super.wake(at, fn)
    }
  }
  const clock = new WatchedClock()
  const { engine } = await toyEngine(new MemoryStore(), { clock })
  await engine.createPico(birth(1))
  await engine.submit(picoId(1), toyEvent(1, 'alarm', { at: clock.now() + 60 * 86_400_000 }), 'applied')
  expect(asked).toContain(86_400_000)
  expect(Math.max(...asked)).toBe(86_400_000)
  // A day later the alarm is still to come, in its own time.
  await clock.advance(59 * 86_400_000)
  expect(await engine.read(picoId(1), view => view.list('fired').length)).toBe(0)
  await clock.advance(86_400_000)
  expect(await engine.read(picoId(1), view => view.list('fired').length)).toBe(1)
  await engine.stop()
})
