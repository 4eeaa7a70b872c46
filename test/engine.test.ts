// What the driver promises (DESIGN 4 and 7), with a toy core: exactly once by id, nothing acknowledged lost, nothing
// torn, answers after the commit, queries on synced state only, reruns alike, letters in order, alarms never early.
// Beside each stands a build that breaks the promise, and is caught.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from '@jest/globals'
import { Alarms } from '../src/alarms.ts'
import type { Engine, EngineOptions } from '../src/engine.ts'
import type { Answer, Json, Query, Step, Stimulus, Store, View } from '../src/ports.ts'
import { LevelStore } from '../src/stores/level.ts'
import { MemoryStore } from '../src/stores/memory.ts'
import { PowerCutStore } from './power-cut.ts'
import { birth, ManualClock, picoId, settled, type ToyWorld, toyEngine, toyEvent, toyStep } from './toy-core.ts'

const query = (name: string, args: { [name: string]: Json } = {}): Query => ({
  outside: false,
  rid: 'toy',
  name,
  args,
  depth: 0,
})
const value = (answer: Answer): Json => ('value' in answer ? answer.value : answer.error)
const variable = (engine: Engine, n: number, name: string) =>
  engine.read(picoId(n), view => view.get('var/toy', name) ?? null)

const open: Engine[] = []
afterEach(async () => {
  for (const engine of open.splice(0)) await engine.stop()
})
async function begin(store: Store, rest: Partial<EngineOptions> = {}) {
  const made = await toyEngine(store, rest)
  open.push(made.engine)
  return made
}
/** An engine whose process is gone: it is never stopped. */
const abandon = (engine: Engine) => open.splice(open.indexOf(engine), 1)

const folders: string[] = []
afterEach(async () => {
  for (const path of folders.splice(0)) await rm(path, { recursive: true, force: true })
})
const stores: Record<string, () => Promise<Store>> = {
  memory: async () => new MemoryStore(),
  level: async () => {
    const path = await mkdtemp(join(tmpdir(), 'engine-'))
    folders.push(path)
    return new LevelStore(path)
  },
  'power cut': async () => new PowerCutStore(),
}

describe.each(Object.keys(stores))('on the %s store', name => {
  const make = () => (stores[name] as () => Promise<Store>)()

  test('a pico is made, found by its ECI, and applies events', async () => {
    const { engine } = await begin(await make())
    expect(await engine.createPico(birth(1))).toEqual({ picoId: picoId(1), name: 'pico 1' })
    expect(engine.lookup('eci:eci-1')).toBe(picoId(1))
    expect(engine.lookup('eci:other')).toBeUndefined()
    expect(await engine.submit(picoId(1), toyEvent(1, 'inc'), 'applied')).toEqual({ a: 1 })
    expect(await engine.submit(picoId(1), toyEvent(1, 'inc'), 'applied')).toEqual({ a: 2 })
    expect(value(await engine.query(picoId(1), query('both')))).toEqual([2, 2])
    expect((await engine.picos()).map(({ picoId: id, status }) => [id, status])).toEqual([[picoId(1), 'live']])
  })

  test('an id applies once, also among many in flight', async () => {
    const { engine } = await begin(await make())
    await engine.createPico(birth(1))
    const ids = Array.from({ length: 200 }, (_, i) => `id-${i % 50}`)
    await Promise.all(ids.map(id => engine.submit(picoId(1), toyEvent(1, 'inc', {}, id), 'applied')))
    expect(await variable(engine, 1, 'a')).toBe(50)
  })

  test('many picos and many events: all applied, in order, none torn', async () => {
    const { engine } = await begin(await make())
    const picos = [1, 2, 3, 4, 5]
    await Promise.all(picos.map(n => engine.createPico(birth(n))))
    const sent = picos.flatMap(n => Array.from({ length: 60 }, (_, i) => ({ n, i })))
    await Promise.all(
      sent.map(({ n, i }) => engine.submit(picoId(n), toyEvent(n, 'note', { what: `${i}` }), 'applied')),
    )
    for (const n of picos)
      expect(await variable(engine, n, 'order')).toEqual(Array.from({ length: 60 }, (_, i) => `${i}`))
  })

  test('a group too long for memory is read from the disk, then kept up', async () => {
    const store = await make()
    const first = await begin(store, { limits: { residents: 1 } })
    await first.engine.createPico(birth(1))
    await first.engine.createPico(birth(2))
    for (let i = 0; i < 5; i++)
      await first.engine.submit(picoId(1), toyEvent(1, 'sum', { leaf: `${i}`, value: 10 }), 'applied')
    await first.engine.submit(picoId(2), toyEvent(2, 'inc'), 'applied')
    const more = toyEvent(1, 'sum', { leaf: 'more', value: 1 })
    expect(await first.engine.submit(picoId(1), more, 'applied')).toBe(50)
    expect(value(await first.engine.query(picoId(1), query('sum')))).toBe(51)
  })
})

describe('crash', () => {
  // Events in flight, then the power goes at some point; the client repeats with the same ids what it got no answer for.
  async function storm(options: ConstructorParameters<typeof PowerCutStore>[0], keep: number, step = toyStep()) {
    let store = new PowerCutStore(options)
    const first = await begin(store, { step })
    await first.engine.createPico(birth(1))
    const answered = new Set<string>()
    const ids = Array.from({ length: 40 }, (_, i) => `id-${String(i).padStart(3, '0')}`)
    const send = (engine: Engine, id: string) =>
      engine.submit(picoId(1), toyEvent(1, 'inc', {}, id), 'applied').then(() => answered.add(id))
    let turns = 0
    store.gate = async () => {
      if (++turns > 3) await new Promise(() => undefined)
    }
    // Sent out of order, one after the other, so that several batches are needed.
    const order = ids.map((_, i) => ids[(i * 7) % ids.length] as string)
    for (const id of order) {
      void send(first.engine, id).catch(() => undefined)
      await new Promise(resolve => setImmediate(resolve))
    }
    await settled()
    const acknowledged = new Set(answered)
    abandon(first.engine)
    store = await store.cut(keep)
    const second = await begin(store, { step })
    const after = await engineState(second.engine)
    for (const id of order) await send(second.engine, id)
    return { acknowledged: acknowledged.size, after, end: await engineState(second.engine), ids: ids.length }
  }
  const engineState = async (engine: Engine) => {
    try {
      return (await engine.query(picoId(1), query('both'))) as { value: [number, number] }
    } catch {
      return { value: [-1, -1] as [number, number] }
    }
  }

  test.each([0, 1, 5])(
    'acknowledged is there, nothing is torn, repeating applies once (%i unsynced writes survive)',
    async keep => {
      const { acknowledged, after, end, ids } = await storm({}, keep)
      expect(acknowledged).toBeGreaterThan(0)
      expect(after.value[0]).toBeGreaterThanOrEqual(acknowledged)
      expect(after.value[0]).toBe(after.value[1])
      expect(end.value).toEqual([ids, ids])
    },
  )

  test('caught: a store that syncs nothing loses what was acknowledged', async () => {
    const { acknowledged, after } = await storm({ liesAboutSync: true }, 0).catch(() => ({
      acknowledged: 1,
      after: { value: [-1, -1] },
    }))
    expect(after.value[0]).toBeLessThan(acknowledged)
  })

  test('caught: answering before the commit loses what was acknowledged', async () => {
    const { acknowledged, after } = await storm({ acknowledgesEarly: true }, 0)
    expect(after.value[0]).toBeLessThan(acknowledged)
  })

  test('caught: dedupe by high-water drops what comes out of order', async () => {
    const { end, ids } = await storm({}, 0, toyStep('highWater'))
    expect(end.value[0]).toBeLessThan(ids)
  })

  test('a failed write: the submitters hear of it, memory is dropped, repeating is safe', async () => {
    const store = new PowerCutStore()
    const { engine, clock } = await begin(store)
    await engine.createPico(birth(1))
    await engine.submit(picoId(1), toyEvent(1, 'inc', {}, 'x'), 'applied')
    store.failures = 1
    const results = await Promise.allSettled(
      ['y', 'z'].map(id => engine.submit(picoId(1), toyEvent(1, 'inc', {}, id), 'applied')),
    )
    expect(results.map(r => (r.status === 'rejected' ? r.reason.code : 'ok'))).toEqual([
      'store.unavailable',
      'store.unavailable',
    ])
    expect(value(await engine.query(picoId(1), query('both')))).toEqual([1, 1])
    for (const id of ['x', 'y', 'z']) await engine.submit(picoId(1), toyEvent(1, 'inc', {}, id), 'applied')
    await clock.advance(2000)
    expect(value(await engine.query(picoId(1), query('both')))).toEqual([3, 3])
  })

  test('a failed write: who waits for it with nothing of its own hears of it too', async () => {
    const store = new PowerCutStore()
    const { engine } = await begin(store)
    await engine.createPico(birth(1))
    store.failures = 1
    const results = await Promise.allSettled(
      ['inc', 'inc', 'nothing'].map(name => engine.submit(picoId(1), toyEvent(1, name, {}, 'same'), 'applied')),
    )
    expect(results.map(r => (r.status === 'rejected' ? r.reason.code : 'ok'))).toEqual(
      Array(3).fill('store.unavailable'),
    )
  })

  test('a listener that throws stops no commit, and is heard of', async () => {
    const { engine } = await begin(new MemoryStore())
    const faults: unknown[] = []
    engine.on('committed', () => {
      throw new Error('a bug of the console')
    })
    engine.on('fault', ({ fault }) => faults.push(fault.cause))
    await engine.createPico(birth(1))
    expect(await engine.submit(picoId(1), toyEvent(1, 'inc'), 'applied')).toEqual({ a: 1 })
    expect(await engine.submit(picoId(1), toyEvent(1, 'inc'), 'applied')).toEqual({ a: 2 })
    expect(faults).toEqual([new Error('a bug of the console'), new Error('a bug of the console'), expect.any(Error)])
  })
})

describe('order of commit and answer', () => {
  async function held() {
    const store = new PowerCutStore()
    const made = await begin(store)
    await made.engine.createPico(birth(1))
    let release: () => void = () => undefined
    const closed = new Promise<void>(resolve => {
      release = resolve
    })
    store.gate = () => closed
    return { ...made, store, release }
  }

  test('nothing is answered, seen by a query or delivered before its sync', async () => {
    const { engine, world, release } = await held()
    let answered = false
    const sent = engine.submit(picoId(1), toyEvent(1, 'send', { to: 'elsewhere', ids: ['l1'] }), 'applied').then(() => {
      answered = true
    })
    await settled()
    expect(answered).toBe(false)
    expect(world.deliveries).toHaveLength(0)
    expect(value(await engine.query(picoId(1), query('both')))).toEqual([0, 0])
    release()
    await sent
    await settled()
    expect(value(await engine.query(picoId(1), query('both')))).toEqual([1, 1])
    expect(world.deliveries.map(({ letter }) => letter.id)).toEqual(['l1'])
  })

  test('a step runs on the unsynced one before it', async () => {
    const { engine, release } = await held()
    const sent = [1, 2, 3].map(() => engine.submit(picoId(1), toyEvent(1, 'inc'), 'applied'))
    await settled()
    release()
    expect(await Promise.all(sent)).toEqual([{ a: 1 }, { a: 2 }, { a: 3 }])
  })

  test('a replay or a refusal is not answered before what it knows is on disk', async () => {
    const { engine, release } = await held()
    const answers: Json[] = []
    const all = ['inc', 'inc', 'reject', 'nothing'].map(name =>
      engine
        .submit(picoId(1), toyEvent(1, name, {}, name === 'inc' ? 'same' : undefined), 'applied')
        .then(a => answers.push(a)),
    )
    await settled()
    expect(answers).toEqual([])
    release()
    await Promise.all(all)
    expect(answers).toEqual([{ a: 1 }, { replayed: true }, { error: { code: 'message.stale', message: '' } }, null])
  })

  test('a query that waits keeps the state it began with', async () => {
    const { engine, world } = await begin(new MemoryStore())
    await engine.createPico(birth(1))
    let answer: (answer: Answer) => void = () => undefined
    world.answers = () =>
      new Promise(resolve => {
        answer = resolve
      })
    const slow = engine.query(picoId(1), query('slow'))
    await settled()
    await engine.submit(picoId(1), toyEvent(1, 'inc'), 'applied')
    answer({ value: null })
    expect(value(await slow)).toEqual([0, 0])
    expect(value(await engine.query(picoId(1), query('both')))).toEqual([1, 1])
  })
})

describe('need and rerun', () => {
  test('time, seed and state are those of the first run; answers match by order', async () => {
    const { engine, clock, world } = await begin(new MemoryStore())
    await engine.createPico(birth(1))
    const start = clock.now()
    world.answers = async effect => {
      await clock.advance(1000)
      return { value: effect.kind === 'http' ? effect.request.url : null }
    }
    const asked = engine.submit(picoId(1), toyEvent(1, 'ask', { urls: ['x', 'y', 'z'] }), 'applied')
    const behind = engine.submit(picoId(1), toyEvent(1, 'inc'), 'applied')
    expect(await asked).toEqual(['x', 'y', 'z'])
    expect(await behind).toEqual({ a: 2 })
    const [seen] = (await variable(engine, 1, 'asked')) as { now: number; a: number }[]
    expect(seen).toMatchObject({ now: start, a: 0 })
    expect(clock.now()).toBe(start + 3000)
  })

  test('effects of one run are performed at once; queries go on meanwhile', async () => {
    const { engine, world } = await begin(new MemoryStore())
    await engine.createPico(birth(1))
    const waiting: ((answer: Answer) => void)[] = []
    world.answers = () => new Promise(resolve => waiting.push(resolve))
    const asked = engine.submit(picoId(1), toyEvent(1, 'ask', { urls: ['x', 'y'], together: true }), 'applied')
    await settled()
    expect(waiting).toHaveLength(2)
    expect(value(await engine.query(picoId(1), query('a')))).toBe(0)
    waiting[1]?.({ value: 'second' })
    waiting[0]?.({ value: 'first' })
    expect(await asked).toEqual(['first', 'second'])
  })

  test('an effect that takes too long, and a step that asks too often, get an error value', async () => {
    const { engine, clock, world } = await begin(new MemoryStore(), { limits: { reruns: 3 } })
    await engine.createPico(birth(1))
    world.answers = () => new Promise(() => undefined)
    const slow = engine.submit(picoId(1), toyEvent(1, 'ask', { urls: ['x'] }), 'applied')
    await settled()
    await clock.advance(10_000)
    expect(await slow).toEqual([{ error: 'effect.timeout' }])
    world.answers = async () => ({ value: 1 })
    const often = toyEvent(1, 'ask', { urls: ['1', '2', '3', '4', '5'] })
    expect(await engine.submit(picoId(1), often, 'applied')).toEqual([
      1,
      1,
      1,
      { error: 'effect.reruns' },
      { error: 'effect.reruns' },
    ])
  })

  test('thirty seconds of waiting in all', async () => {
    const { engine, clock, world } = await begin(new MemoryStore())
    await engine.createPico(birth(1))
    world.answers = () => new Promise(resolve => clock.wake(clock.now() + 9000, () => resolve({ value: 1 })))
    const asked = engine.submit(picoId(1), toyEvent(1, 'ask', { urls: ['1', '2', '3', '4', '5'] }), 'applied')
    await settled()
    await clock.advance(31_000)
    const late = { error: 'effect.timeout' }
    expect(await asked).toEqual([1, 1, 1, late, late])
  })

  test('a query to a pico of this engine is answered from its synced state, without the world', async () => {
    const { engine, world } = await begin(new MemoryStore())
    world.answers = () => Promise.reject(new Error('the world was asked'))
    await engine.createPico(birth(1))
    await engine.createPico(birth(2))
    await engine.submit(picoId(2), toyEvent(2, 'inc'), 'applied')
    const asked = toyEvent(1, 'ask', { urls: ['query:eci-2', 'query:eci-1'] })
    expect(await engine.submit(picoId(1), asked, 'applied')).toEqual([1, 0])
    const endless = await engine.query(picoId(1), query('up', { eci: 'eci-2' }))
    expect(endless).toMatchObject({ error: { code: 'query.depth' } })
  })

  test('an accepted event is answered from its record when its step must wait, and runs after a crash', async () => {
    const store = new PowerCutStore()
    const { engine, world } = await begin(store)
    await engine.createPico(birth(1))
    world.answers = () => new Promise(() => undefined)
    const early = await Promise.all([
      engine.submit(picoId(1), toyEvent(1, 'ask', { urls: ['x'] }, 'first'), 'accepted'),
      engine.submit(picoId(1), toyEvent(1, 'note', { what: 'second' }, 'second'), 'accepted'),
    ])
    expect(early).toEqual([{ accepted: true }, { accepted: true }])
    abandon(engine)
    const again = await begin(await store.cut())
    await settled()
    expect(await variable(again.engine, 1, 'order')).toEqual(['second'])
    expect(await variable(again.engine, 1, 'a')).toBe(1)
    expect(await again.engine.read(picoId(1), view => view.list('inbox'))).toEqual([])
  })
})

describe('how a step ends', () => {
  test('a rule fault: the notice is the next stimulus, from the same commit', async () => {
    const store = new PowerCutStore()
    const { engine } = await begin(store)
    await engine.createPico(birth(1))
    const both = ['fault', 'note'].map(name =>
      engine.submit(picoId(1), toyEvent(1, name, { what: 'later' }, name), 'applied'),
    )
    await Promise.all(both)
    await settled()
    expect(await variable(engine, 1, 'order')).toEqual(['fault fault', 'system:error', 'later'])
    expect(await engine.read(picoId(1), view => view.list('inbox'))).toEqual([])
  })

  test('an engine fault is tried five times, then a dead letter; the queue goes on', async () => {
    const { engine, clock } = await begin(new MemoryStore())
    await engine.createPico(birth(1))
    const broken = engine.submit(picoId(1), toyEvent(1, 'boom', {}, 'b'), 'applied')
    const behind = engine.submit(picoId(1), toyEvent(1, 'inc'), 'applied')
    const faults: number[] = []
    engine.on('fault', ({ attempts }) => faults.push(attempts))
    await settled()
    await clock.advance(10_000)
    expect(await broken).toMatchObject({ error: { code: 'engine.fault' } })
    expect(await behind).toEqual({ a: 1 })
    expect(faults).toEqual([1, 2, 3, 4, 5])
    const dead = await engine.read(picoId(1), view => view.list('dead'))
    expect(dead).toHaveLength(1)
    expect(dead[0]?.[1]).toMatchObject({ kind: 'event', attempts: 5, code: 'engine.fault' })
    expect(await engine.read(picoId(1), view => view.get('heard', 'engine:dead_letter'))).toBe(1)
  })

  test('a record that kills the process is a dead letter at the third start; others run', async () => {
    const store = new PowerCutStore()
    const first = await begin(store)
    await first.engine.createPico(birth(1))
    first.world.answers = () => new Promise(() => undefined)
    const submit = (name: string, id: string) =>
      first.engine.submit(picoId(1), toyEvent(1, name, { urls: ['x'], what: id }, id), 'accepted')
    await Promise.all([submit('ask', 'waits'), submit('deadly', 'poison'), submit('note', 'fine')])
    abandon(first.engine)
    let disk = await store.kill()
    let runs = 0
    // A process that dies leaves its mark as it is; afterwards nothing of it does anything.
    let mark = ''
    for (let start = 1; start <= 3; start++) {
      let dead = false
      const note = {
        read: () => mark,
        write: (text: string) => {
          if (!dead) mark = text
        },
      }
      const step: Step = (view, stimulus, given) => {
        if (stimulus.kind !== 'event' || stimulus.name !== 'deadly') return toyStep()(view, stimulus, given)
        runs++
        dead = true
        throw new Error('killed')
      }
      const { engine } = await begin(disk, { step, mark: note })
      await settled()
      if (start === 3) {
        expect(await variable(engine, 1, 'order')).toEqual(['engine:dead_letter', 'fine'])
        expect(await engine.read(picoId(1), view => view.list('dead').length)).toBe(1)
        break
      }
      abandon(engine)
      disk = await disk.kill()
    }
    expect(runs).toBe(2)
  })
})

describe('letters', () => {
  test('go to another pico of the engine exactly once, in order, and are gone from the disk', async () => {
    const { engine, clock, world } = await begin(new MemoryStore())
    await engine.createPico(birth(1))
    await engine.createPico(birth(2))
    const ids = Array.from({ length: 30 }, (_, i) => `l${i}`)
    await engine.submit(picoId(1), toyEvent(1, 'send', { to: 'eci-2', ids: ids.slice(0, 10) }), 'applied')
    await engine.submit(picoId(1), toyEvent(1, 'send', { to: 'eci-2', ids: ids.slice(10) }), 'applied')
    await settled()
    expect(await variable(engine, 2, 'order')).toEqual(ids)
    await clock.advance(100)
    expect(await engine.read(picoId(1), view => view.list('outbox'))).toEqual([])
    expect(world.deliveries).toEqual([])
  })

  test('survive a crash between commit and delivery, and are still applied once', async () => {
    let store = new PowerCutStore()
    const clock = new ManualClock()
    const first = await begin(store, { clock })
    await first.engine.createPico(birth(1))
    await first.engine.createPico(birth(2))
    const ids = ['l0', 'l1', 'l2', 'l3', 'l4']
    await first.engine.submit(picoId(1), toyEvent(1, 'send', { to: 'eci-2', ids }), 'applied')
    for (let i = 0; i < 4; i++) {
      const { engine } = open[0] ? { engine: open[0] } : first
      abandon(engine)
      store = await store.cut()
      await begin(store, { clock })
      for (let turn = 0; turn < i * 4; turn++) await new Promise(resolve => setImmediate(resolve))
    }
    await settled()
    expect(await variable(open[0] as Engine, 2, 'order')).toEqual(ids)
  })

  test('a failing letter holds its lane and no other, with back-off, until it expires', async () => {
    const { engine, clock, world } = await begin(new MemoryStore())
    await engine.createPico(birth(1))
    world.answer = async letter => (letter.lane === 'bad' ? { retry: 'transport.refused' } : { taken: true })
    const send = (lane: string, ids: string[]) =>
      engine.submit(picoId(1), toyEvent(1, 'send', { to: 'far', lane, ids, ttl: 10_000, report: true }), 'applied')
    await send('bad', ['b1', 'b2'])
    await send('good', ['g1', 'g2'])
    await settled()
    expect(sentIds(world)).toEqual(['b1', 'g1', 'g2'])
    await clock.advance(9999)
    expect(sentIds(world)).toEqual(['b1', 'g1', 'g2', 'b1', 'b1', 'b1'])
    await clock.advance(100)
    const left = Object.fromEntries(await engine.read(picoId(1), view => view.list('left')))
    expect(left).toMatchObject({
      b1: { outcome: 'undeliverable' },
      g1: { outcome: 'delivered', attempts: 1 },
      g2: { outcome: 'delivered' },
    })
  })

  test('refused is given up at once, and an event that a pico refuses is reported', async () => {
    const { engine, world } = await begin(new MemoryStore())
    await engine.createPico(birth(1))
    await engine.createPico(birth(2))
    world.answer = async () => ({ refused: 'transport.forbidden' })
    await engine.submit(picoId(1), toyEvent(1, 'send', { to: 'far', ids: ['x'], report: true }), 'applied')
    await engine.submit(
      picoId(1),
      toyEvent(1, 'send', { to: 'eci-2', name: 'denied', ids: ['y'], report: true }),
      'applied',
    )
    await settled()
    const left = Object.fromEntries(await engine.read(picoId(1), view => view.list('left')))
    expect(left).toMatchObject({
      x: { reason: 'transport.forbidden' },
      y: { reason: 'policy.denied', outcome: 'undeliverable' },
    })
  })

  test('a reply may leave with the caller; when the line broke, the outbox delivers it', async () => {
    const reply: Step = (view, stimulus, given) => {
      const outcome = toyStep()(view, stimulus, given)
      return 'need' in outcome ? outcome : { ...outcome, replies: outcome.outbox.map(({ id }) => id) }
    }
    const { engine, world, clock } = await begin(new MemoryStore(), { step: reply })
    await engine.createPico(birth(1))
    const mail = (id: string) => toyEvent(1, 'send', { to: 'far', ids: [id] }) as unknown as Json
    const claim = async (id: string) => {
      const settledAs = await engine.accept(picoId(1), mail(id), { replyWithin: () => 2000 })
      return settledAs.state === 'applied' ? settledAs.replies[0] : undefined
    }
    const carried = await claim('r1')
    carried?.taken()
    const dropped = await claim('r2')
    await settled()
    expect(sentIds(world)).toEqual([])
    dropped?.release()
    dropped?.taken()
    await clock.advance(100)
    expect(sentIds(world)).toEqual(['r2'])
    expect(await engine.read(picoId(1), view => view.list('outbox'))).toEqual([])
  })

  test('a reply that takes too long leaves by the outbox, and who waited hears that the mail is kept', async () => {
    const reply: Step = (view, stimulus, given) => {
      const outcome = toyStep()(view, stimulus, given)
      if ('need' in outcome || outcome.changes.every(({ leaf }) => leaf !== 'a')) return outcome
      const body = { kind: 'didcomm', version: 'v1', from: 'me', to: 'far', plaintext: {} } as const
      const letter = { id: 'late', lane: 'far', created: given.now, expires: given.now + 1e9, body, report: false }
      return { ...outcome, outbox: [letter], replies: [letter.id] }
    }
    const options = { step: reply, peersMail: (_: View, stimulus: Stimulus) => JSON.stringify(stimulus) }
    const { engine, world, clock } = await begin(new MemoryStore(), options)
    await engine.createPico(birth(1))
    let answer: (value: Answer) => void = () => undefined
    world.answers = () => new Promise(resolve => (answer = resolve))
    const mail = toyEvent(1, 'ask', { urls: ['x'] }, 'slow') as unknown as Json
    const heard = engine.accept(picoId(1), mail, { replyWithin: () => 2000 })
    const states: string[] = []
    heard.then(
      ({ state }) => states.push(state),
      fault => states.push(String(fault)),
    )
    await settled()
    await clock.advance(1999)
    expect(states).toEqual([])
    await clock.advance(1)
    await settled()
    expect(states).toEqual(['accepted'])
    answer({ value: 'at last' })
    await settled()
    await clock.advance(100)
    expect(sentIds(world)).toEqual(['late'])
    expect(await variable(engine, 1, 'a')).toBe(1)
  })

  const sentIds = (world: ToyWorld) => world.deliveries.map(({ letter }) => letter.id)
})

describe('alarms', () => {
  test('fire at or after their time, never early, once', async () => {
    const { engine, clock } = await begin(new MemoryStore())
    await engine.createPico(birth(1))
    await engine.createPico(birth(2))
    const start = clock.now()
    await engine.submit(picoId(1), toyEvent(1, 'alarm', { at: start + 500 }), 'applied')
    await engine.submit(picoId(2), toyEvent(2, 'alarm', { at: start + 200 }), 'applied')
    await engine.submit(picoId(2), toyEvent(2, 'alarm', { at: start + 300 }), 'applied')
    await clock.advance(299)
    expect(await fired(engine, 2)).toEqual([])
    await clock.advance(1)
    expect(await fired(engine, 2)).toEqual([String(start + 300)])
    await clock.advance(5000)
    expect(await fired(engine, 1)).toEqual([String(start + 500)])
    expect(await fired(engine, 2)).toHaveLength(1)
  })

  test('survive a crash, also one between firing and commit', async () => {
    const store = new PowerCutStore()
    const clock = new ManualClock()
    const { engine } = await begin(store, { clock })
    await engine.createPico(birth(1))
    await engine.submit(picoId(1), toyEvent(1, 'alarm', { at: clock.now() + 500 }), 'applied')
    store.gate = () => new Promise(() => undefined)
    await clock.advance(600)
    abandon(engine)
    const again = await begin(await store.cut(), { clock })
    await clock.advance(1)
    expect(await fired(again.engine, 1)).toHaveLength(1)
    await clock.advance(5000)
    expect(await fired(again.engine, 1)).toHaveLength(1)
  })

  test('ring although the queue is full', async () => {
    const { engine, clock, world } = await begin(new MemoryStore(), { limits: { queue: 2 } })
    await engine.createPico(birth(1))
    await engine.submit(picoId(1), toyEvent(1, 'alarm', { at: clock.now() + 500 }), 'applied')
    let answer: (answer: Answer) => void = () => undefined
    world.answers = () =>
      new Promise(resolve => {
        answer = resolve
      })
    const slow = engine.submit(picoId(1), toyEvent(1, 'ask', { urls: ['slow'] }), 'applied')
    await settled()
    const waiting = [slow, ...[1, 2].map(() => engine.submit(picoId(1), toyEvent(1, 'inc'), 'applied'))]
    await clock.advance(600)
    answer({ value: 1 })
    await Promise.all(waiting)
    await settled()
    expect(await fired(engine, 1)).toHaveLength(1)
  })

  test('that change at each step do not gather in memory', () => {
    const clock = new ManualClock()
    const rung: string[] = []
    const alarms = new Alarms(clock, id => rung.push(id))
    for (let i = 0; i < 10_000; i++) alarms.set(picoId(1), clock.now() + 1000 + (i % 7))
    for (let i = 0; i < 10_000; i++) alarms.set(picoId(2), clock.now() + 50)
    expect(alarms.size).toBeLessThan(2_000)
    alarms.stop()
  })

  const fired = async (engine: Engine, n: number) =>
    (await engine.read(picoId(n), view => view.list('fired'))).map(([leaf]) => leaf)
})

describe('limits', () => {
  test('a full queue is refused, and what was taken is applied', async () => {
    const { engine } = await begin(new MemoryStore(), { limits: { queue: 5 } })
    await engine.createPico(birth(1))
    const sent = Array.from({ length: 8 }, () => engine.submit(picoId(1), toyEvent(1, 'inc'), 'applied'))
    const results = await Promise.allSettled(sent)
    expect(results.filter(r => r.status === 'fulfilled')).toHaveLength(5)
    expect(results.find(r => r.status === 'rejected')).toMatchObject({ reason: { code: 'engine.busy' } })
    expect(await variable(engine, 1, 'a')).toBe(5)
  })

  test('a hundred thousand letters and more are taken up again', async () => {
    const store = new MemoryStore()
    const first = await begin(store)
    await first.engine.createPico(birth(1))
    first.world.answer = async () => ({ retry: 'transport.refused' })
    for (let n = 0; n < 140; n++) {
      const ids = Array.from({ length: 1000 }, (_, i) => `letter-${n}-${i}`)
      await first.engine.submit(picoId(1), toyEvent(1, 'send', { to: 'elsewhere', ids }), 'applied')
    }
    await first.engine.stop()
    abandon(first.engine)
    const second = await begin(store)
    second.world.answer = async () => ({ retry: 'transport.refused' })
    expect(await second.engine.submit(picoId(1), toyEvent(1, 'inc'), 'applied')).toEqual({ a: 141 })
  }, 30_000)

  test('mail for a pico that has moved is refused when too much lies there', async () => {
    const { engine } = await begin(new MemoryStore())
    await engine.createPico(birth(1))
    await engine.custody.freeze(picoId(1))
    const mail = () => engine.accept(picoId(1), toyEvent(1, 'note', { what: 'mail' }) as unknown as Json)
    const all = await Promise.allSettled(Array.from({ length: 10_005 }, mail))
    const refused = all.filter(one => one.status === 'rejected')
    expect(refused.map(one => one.reason.code)).toEqual(Array(5).fill('engine.busy'))
    await engine.custody.thaw(picoId(1))
    await settled()
    expect(['accepted', 'applied']).toContain((await mail()).state)
  }, 30_000)

  test('sockets get their turn however much is queued', async () => {
    let paused = 0
    const pause = () => {
      paused++
      return new Promise<void>(resolve => setImmediate(resolve))
    }
    const { engine } = await begin(new MemoryStore(), { pause })
    await engine.createPico(birth(1))
    const before = paused
    await Promise.all(Array.from({ length: 320 }, () => engine.submit(picoId(1), toyEvent(1, 'inc'), 'applied')))
    expect(paused - before).toBeGreaterThanOrEqual(9)
  })

  test('one pico with much to do does not hold another', async () => {
    const { engine } = await begin(new MemoryStore())
    await engine.createPico(birth(1))
    await engine.createPico(birth(2))
    let busy = 500
    const much = Array.from({ length: 500 }, () =>
      engine.submit(picoId(1), toyEvent(1, 'inc'), 'applied').then(() => busy--),
    )
    await engine.submit(picoId(2), toyEvent(2, 'inc'), 'applied')
    expect(busy).toBeGreaterThan(400)
    await Promise.all(much)
  })

  test('idle picos leave memory and come back', async () => {
    const { engine } = await begin(new MemoryStore(), { limits: { residents: 3 } })
    for (let n = 1; n <= 10; n++) await engine.createPico(birth(n))
    for (let n = 1; n <= 10; n++) await engine.submit(picoId(n), toyEvent(n, 'inc'), 'applied')
    for (let n = 1; n <= 10; n++)
      expect(await engine.submit(picoId(n), toyEvent(n, 'inc'), 'applied')).toEqual({ a: 2 })
  })

  test('ids seen go after their days and past their number, and the horizon rises', async () => {
    const { engine, clock } = await begin(new MemoryStore(), { limits: { dedupe_ids: 10 } })
    await engine.createPico(birth(1))
    const send = (i: number) => engine.submit(picoId(1), toyEvent(1, 'inc', {}, `id-${i}`), 'applied')
    for (let i = 0; i < 12; i++) {
      await clock.advance(1000)
      await send(i)
    }
    await clock.advance(1)
    const horizon = await engine.read(picoId(1), view => view.get('horizon', 'eci-1'))
    expect(horizon).toBeGreaterThan(0)
    expect(await send(11)).toEqual({ replayed: true })
    expect(await send(0)).toEqual({ a: 13 })
    await clock.advance(8 * 86_400_000)
    for (let i = 20; i < 23; i++) await send(i)
    await settled()
    expect(await send(11)).not.toEqual({ replayed: true })
  })
})

describe('answers kept for repetitions', () => {
  test('go after a day, the ids stay', async () => {
    const step: Step = (view, stimulus, given) => {
      const made = toyStep()(view, stimulus, given)
      if (!('changes' in made)) return made
      const changes = made.changes.map(change =>
        change.group.startsWith('seen/') ? { ...change, value: { t: given.now, a: 'the answer' } } : change,
      )
      return { ...made, changes }
    }
    const { engine, clock } = await begin(new MemoryStore(), { step })
    await engine.createPico(birth(1))
    const seen = () => engine.read(picoId(1), view => view.get('seen/eci-1', 'old'))
    await engine.submit(picoId(1), toyEvent(1, 'inc', {}, 'old'), 'applied')
    expect(await seen()).toMatchObject({ a: 'the answer' })
    for (let day = 0; day < 2; day++) {
      await clock.advance(90_000_000)
      await engine.submit(picoId(1), toyEvent(1, 'inc'), 'applied')
      await settled()
    }
    expect(await seen()).toEqual({ t: expect.any(Number) })
  })
})

describe('custody', () => {
  test('frozen: mail is kept, requests wait, queries go on; thawed: all is applied in order', async () => {
    const { engine, clock } = await begin(new MemoryStore())
    await engine.createPico(birth(1))
    await engine.custody.freeze(picoId(1))
    const kept = await engine.accept(picoId(1), toyEvent(1, 'note', { what: 'mail' }) as unknown as Json)
    expect(kept).toEqual({ state: 'accepted' })
    const waits = engine.submit(picoId(1), toyEvent(1, 'note', { what: 'request' }), 'applied')
    const late = engine.submit(picoId(1), toyEvent(1, 'inc'), 'applied').catch(error => error.code)
    expect(value(await engine.query(picoId(1), query('a')))).toBe(0)
    await clock.advance(5000)
    await engine.custody.thaw(picoId(1))
    await waits
    expect(await late).toEqual({ a: 1 })
    expect(await variable(engine, 1, 'order')).toEqual(['mail', 'request'])
    await engine.custody.freeze(picoId(1))
    const refused = engine.submit(picoId(1), toyEvent(1, 'inc'), 'applied').catch(error => error.code)
    await clock.advance(10_000)
    expect(await refused).toBe('pico.frozen')
  })

  test('a pico moves as sealed bytes with all it has, and the retired copy never acts', async () => {
    const clock = new ManualClock()
    const source = await begin(new MemoryStore(), { clock })
    const target = await begin(new MemoryStore(), { clock })
    await source.engine.createPico(birth(1))
    await source.engine.submit(picoId(1), toyEvent(1, 'inc', {}, 'once'), 'applied')
    await source.engine.submit(picoId(1), toyEvent(1, 'alarm', { at: clock.now() + 500 }), 'applied')
    source.world.answer = async () => ({ retry: 'transport.refused' })
    await source.engine.submit(picoId(1), toyEvent(1, 'send', { to: 'far', ids: ['l1'] }), 'applied')
    await settled()
    const { epoch } = await source.engine.custody.freeze(picoId(1))
    await source.engine.accept(picoId(1), { late: 'mail' })

    await target.engine.custody.receive(picoId(1), source.engine.custody.wrappedKeys(picoId(1)))
    let from: Uint8Array | undefined
    do {
      const page = await source.engine.custody.export(picoId(1), from, 3)
      await target.engine.custody.import(picoId(1), page.records)
      from = page.next
    } while (from)
    const named = async (engine: Engine) =>
      (await engine.custody.export(picoId(1))).records.map(({ group, leaf, value: v }) => [group, leaf, v])
    expect(await named(target.engine)).toEqual(await named(source.engine))
    expect(target.engine.lookup('eci:eci-1')).toBeUndefined()
    await expect(target.engine.submit(picoId(1), toyEvent(1, 'inc'), 'applied')).rejects.toMatchObject({
      code: 'pico.unknown',
    })

    await source.engine.custody.retire(picoId(1), { movedTo: 'http://there', epoch: epoch + 1 })
    await expect(source.engine.submit(picoId(1), toyEvent(1, 'inc'), 'applied')).rejects.toMatchObject({
      code: 'pico.moved',
      place: { movedTo: 'http://there' },
    })
    expect(await source.engine.accept(picoId(1), { later: 'mail' })).toEqual({ state: 'accepted' })
    expect((await source.engine.custody.held(picoId(1))).map(({ stored }) => stored)).toEqual([
      { late: 'mail' },
      { later: 'mail' },
    ])

    await target.engine.custody.hold(picoId(1))
    expect(target.engine.lookup('eci:eci-1')).toBe(picoId(1))
    await target.engine.custody.activate(picoId(1), epoch + 1)
    await settled()
    expect(target.world.deliveries.map(({ letter }) => letter.id)).toEqual(['l1'])
    expect(await target.engine.submit(picoId(1), toyEvent(1, 'inc', {}, 'once'), 'applied')).toEqual({ replayed: true })
    expect(await target.engine.submit(picoId(1), toyEvent(1, 'inc'), 'applied')).toEqual({ a: 4 })
    await clock.advance(1000)
    expect(await target.engine.read(picoId(1), view => view.list('fired').length)).toBe(1)
    expect(await source.engine.read(picoId(1), view => view.list('fired').length)).toBe(0)
    const [{ leaf }] = (await source.engine.custody.held(picoId(1))) as unknown as [{ leaf: string }]
    await source.engine.custody.forwarded(picoId(1), leaf)
    expect(await source.engine.custody.held(picoId(1))).toHaveLength(1)
    await source.engine.custody.forget(picoId(1))
    expect(source.engine.registered(picoId(1))).toBeUndefined()
  })

  test('a destroyed pico leaves nothing, after its goodbyes; also when the power goes in between', async () => {
    let store = new PowerCutStore()
    const clock = new ManualClock()
    const first = await begin(store, { clock })
    await first.engine.createPico(birth(1))
    await first.engine.createPico(birth(2))
    const empty = (await everything(store)).length
    first.world.answer = async () => ({ retry: 'transport.refused' })
    await first.engine.submit(picoId(1), toyEvent(1, 'send', { to: 'far', ids: ['bye'], ttl: 3000 }), 'applied')
    await first.engine.submit(picoId(1), { kind: 'command', name: 'delete', args: {} }, 'applied')
    await expect(first.engine.submit(picoId(1), toyEvent(1, 'inc'), 'applied')).rejects.toMatchObject({
      code: 'pico.destroyed',
    })
    abandon(first.engine)
    store = await store.cut()
    const second = await begin(store, { clock })
    second.world.answer = async () => ({ retry: 'transport.refused' })
    await clock.advance(10_000)
    await second.engine.custody.idle()
    expect(second.engine.registered(picoId(1))).toBeUndefined()
    expect(second.engine.lookup('eci:eci-1')).toBeUndefined()
    expect((await second.engine.picos()).map(({ picoId: id }) => id)).toEqual([picoId(2)])
    expect((await everything(store)).length).toBeLessThan(empty)
  })

  const everything = (store: Store) => store.range(Uint8Array.of(0), Uint8Array.of(255))
})

describe('stop', () => {
  test('a step that waits is given up; its client hears, its record runs at the next start', async () => {
    const store = new PowerCutStore()
    const { engine, world } = await begin(store)
    await engine.createPico(birth(1))
    await engine.createPico(birth(2))
    world.answers = () => new Promise(() => undefined)
    const waits = engine.submit(picoId(1), toyEvent(1, 'ask', { urls: ['x'] }), 'applied').catch(error => error.code)
    await engine.submit(picoId(2), toyEvent(2, 'ask', { urls: ['x'] }, 'kept'), 'accepted')
    await settled()
    await engine.stop()
    expect(await waits).toBe('engine.stopping')
    const again = await begin(await store.cut())
    await settled()
    expect([await variable(again.engine, 1, 'a'), await variable(again.engine, 2, 'a')]).toEqual([null, 1])
  })
})
