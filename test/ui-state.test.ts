// The console's pure half: what is asked for and when, what an event makes old, what survives a refusal, what the map
// draws. The browser's half is test/ui/run.mjs.

import { describe, expect, test } from '@jest/globals'
import type { Json, JsonObject } from '../src/ports.ts'
import { arrange, BOX, graphOf, type Point } from '../src/ui/graph.ts'
import { type Action, due, initial, LOG_LENGTH, type State, seen, update } from '../src/ui/state.ts'

const run = (state: State, ...actions: Action[]) => actions.reduce(update, state)
const loaded = (key: string, value: Json): Action[] => [
  { do: 'loading', key },
  { do: 'loaded', key, value },
]
const happened = (event: JsonObject): Action => ({ do: 'happened', event })
const pico = (picoId: string, parentId: string | null = null) => ({
  picoId,
  parentId,
  name: picoId,
  did: `did:key:${picoId}`,
})

const started = run(initial, { do: 'session', session: 'open' })
const known = run(
  started,
  ...loaded('status', {}),
  ...loaded('picos', [pico('a'), pico('b', 'a')]),
  ...loaded('connections/a', []),
  ...loaded('connections/b', []),
)

describe('what is asked for', () => {
  test('nothing without a session, then the picos, then their connections', () => {
    expect(due(initial)).toEqual([])
    expect(due(started)).toEqual(['status', 'picos'])
    const listed = run(started, ...loaded('status', {}), ...loaded('picos', [pico('a'), pico('b', 'a')]))
    expect(due(listed)).toEqual(['connections/a', 'connections/b'])
    expect(due(known)).toEqual([])
  })

  test('a tab asks for what it shows before the map does, once', () => {
    const opened = run(known, { do: 'open', picoId: 'b', tab: 'connections' })
    expect(due(opened)).toEqual(['messages/b'])
    expect(due(run(opened, { do: 'loading', key: 'messages/b' }))).toEqual([])
    expect(due(run(opened, ...loaded('messages/b', [])))).toEqual([])
    expect(seen(run(started, { do: 'open', picoId: 'b', tab: 'rulesets' }))).toEqual(['status', 'picos', 'rulesets/b'])
  })

  test('an event makes old what it is about, and only what is seen is asked for again', () => {
    const opened = run(known, { do: 'open', picoId: 'a', tab: 'rulesets' }, ...loaded('rulesets/a', []))
    expect(due(run(opened, happened({ kind: 'ruleset', picoId: 'a' })))).toEqual(['rulesets/a'])
    expect(due(run(opened, happened({ kind: 'ruleset', picoId: 'b' })))).toEqual([])
    expect(due(run(opened, happened({ kind: 'ruleset' })))).toEqual(['rulesets/a'])
    expect(due(run(opened, happened({ kind: 'connection', picoId: 'b' })))).toEqual(['connections/b'])
    expect(due(run(opened, happened({ kind: 'pico', picoId: 'c' })))).toEqual(['picos'])
    expect(
      due(run(opened, happened({ kind: 'log', picoId: 'a', at: '', level: 'info', code: 'x', message: '' }))),
    ).toEqual([])
    expect(due(run(opened, happened({ kind: 'engine' })))).toHaveLength(5)
    const left = run(opened, { do: 'open', picoId: 'a', tab: 'about' }, happened({ kind: 'ruleset', picoId: 'a' }))
    expect(due(left)).toEqual([])
    expect(due(run(left, { do: 'open', picoId: 'a', tab: 'rulesets' }))).toEqual(['rulesets/a'])
  })

  test('what happens while an answer is on its way is asked for again', () => {
    const asking = run(known, { do: 'reload', key: 'connections/a' }, { do: 'loading', key: 'connections/a' })
    const late = run(asking, happened({ kind: 'connection', picoId: 'a' }), {
      do: 'loaded',
      key: 'connections/a',
      value: [],
    })
    expect(due(late)).toEqual(['connections/a'])
    expect(due(run(asking, { do: 'loaded', key: 'connections/a', value: [] }))).toEqual([])
  })

  test('after a loss of the stream everything is old', () => {
    const live = run(known, { do: 'stream', stream: 'live' })
    expect(due(live)).toEqual([])
    const back = run(live, { do: 'stream', stream: 'lost' }, { do: 'stream', stream: 'live' })
    expect(due(back)).toEqual(['status', 'picos', 'connections/a', 'connections/b'])
  })

  test('a refusal keeps the last answer, is not repeated by itself, and is asked again when the tab opens', () => {
    const fault = { code: 'wallet.locked', message: 'The wallet is locked.', place: {} }
    const open: Action = { do: 'open', picoId: 'a', tab: 'rulesets' }
    const refused = run(
      known,
      open,
      ...loaded('rulesets/a', [1]),
      { do: 'reload', key: 'rulesets/a' },
      { do: 'failed', key: 'rulesets/a', fault },
    )
    expect(refused.entries['rulesets/a']).toEqual({ value: [1], fault, stale: false })
    expect(due(refused)).toEqual([])
    expect(due(run(refused, open))).toEqual(['rulesets/a'])
    expect(run(refused, ...loaded('rulesets/a', [2])).entries['rulesets/a']).toEqual({ value: [2], stale: false })
  })
})

test('a pico that is gone takes its answers, its log and the panel with it', () => {
  const opened = run(known, { do: 'open', picoId: 'b', tab: 'logging' }, ...loaded('logs/b', []))
  const gone = run(opened, ...loaded('picos', [pico('a')]))
  expect(gone.selected).toBeNull()
  expect(Object.keys(gone.entries)).toEqual(['status', 'picos', 'connections/a'])
  expect(gone.logs).toEqual({})
})

describe('forms', () => {
  const typed = run(
    known,
    { do: 'write', form: 'f', field: 'url', text: 'u' },
    { do: 'write', form: 'f', field: 'config', text: 'c' },
    { do: 'act', form: 'f' },
  )

  test('keep what was typed when refused', () => {
    const fault = { code: 'ruleset.invalid', message: 'no', place: { line: 3, column: 7 } }
    const refused = run(typed, { do: 'refused', form: 'f', fault })
    expect(refused.drafts.f).toEqual({ url: 'u', config: 'c' })
    expect(refused.acts.f).toEqual({ busy: false, fault })
  })

  test('lose what was used, show the answer, and make its answers old', () => {
    const done = run(typed, {
      do: 'acted',
      form: 'f',
      answer: { rid: 'r' },
      touched: ['connections/a'],
      clear: ['url'],
    })
    expect(done.drafts.f).toEqual({ config: 'c' })
    expect(done.acts.f).toEqual({ busy: false, answer: { rid: 'r' } })
    expect(due(done)).toEqual(['connections/a'])
    expect(run(done, { do: 'dismiss', form: 'f' }).acts).toEqual({})
  })
})

describe('the log', () => {
  const record = (n: number) => ({
    at: `2026-01-01T00:00:${String(n).padStart(5, '0')}`,
    picoId: 'a',
    level: 'info',
    code: 'x',
    message: `${n}`,
  })
  const live = (n: number) => happened({ kind: 'log', ...record(n) })
  const asking = run(known, { do: 'open', picoId: 'a', tab: 'logging' }, { do: 'loading', key: 'logs/a' })

  test('joins the past and what came meanwhile, each once, in order', () => {
    const state = run(asking, live(2), live(3), { do: 'loaded', key: 'logs/a', value: [record(1), record(2)] }, live(4))
    expect(state.logs.a?.map(one => one.message)).toEqual(['1', '2', '3', '4'])
  })

  test('is bounded and kept only of picos that were looked at', () => {
    const many = Array.from({ length: LOG_LENGTH + 10 }, (_, n) => live(n))
    const state = run(asking, ...many, happened({ kind: 'log', ...record(1), picoId: 'b' }))
    expect(state.logs.a).toHaveLength(LOG_LENGTH)
    expect(state.logs.b).toBeUndefined()
  })
})

const overlapsOf = (places: ReadonlyMap<string, Point>) => {
  const all = [...places]
  return all.flatMap(([id, p], n) =>
    all
      .slice(n + 1)
      .filter(([, q]) => Math.abs(p.x - q.x) < BOX.width && Math.abs(p.y - q.y) < BOX.height)
      .map(([other]) => `${id} over ${other}`),
  )
}

describe('the map', () => {
  const connection = (connectionId: string, myDid: string, theirDid: string | null, state = 'established') => ({
    connectionId,
    state,
    role: 'inviter',
    label: `peer of ${connectionId}`,
    myDid,
    theirDid,
    version: 'v1',
    eventPolicy: { allow: [], deny: [] },
    queryPolicy: { allow: [], deny: [] },
  })

  test('two picos here share one line, a peer elsewhere is a half-box, what is no connection is not drawn', () => {
    const graph = graphOf([pico('a'), pico('b', 'a'), pico('c', 'elsewhere')], {
      a: [
        connection('1', 'did:x', 'did:y'),
        connection('3', 'did:z', 'did:far'),
        connection('4', 'did:i', null, 'invited'),
      ],
      b: [connection('2', 'did:y', 'did:x'), connection('5', 'did:o', 'did:old', 'closed')],
    })
    expect(graph.nodes.map(node => `${node.kind} ${node.id} ${node.depth}`)).toEqual([
      'pico a 0',
      'pico b 1',
      'pico c 0',
      'peer peer/3 1',
    ])
    expect(graph.edges.map(edge => `${edge.kind} ${edge.from} ${edge.to}`)).toEqual([
      'parent a b',
      'connection a b',
      'connection a peer/3',
    ])
  })

  test('200 boxes are arranged without overlap; those that stand or were dragged stay', () => {
    const all = [pico('a'), ...Array.from({ length: 199 }, (_, n) => pico(`p${n}`, n < 3 ? 'a' : `p${n % 3}`))]
    const places = arrange(graphOf(all, {}), new Map())
    expect(overlapsOf(places)).toEqual([])
    const more = arrange(graphOf([...all, pico('new', 'a')], {}), places)
    expect(more.size).toBe(201)
    expect(overlapsOf(more)).toEqual([])
    const few = arrange(graphOf([pico('a'), pico('b', 'a')], {}), new Map())
    const grown = arrange(graphOf([pico('a'), pico('b', 'a'), pico('c', 'a')], {}), few)
    expect([grown.get('a'), grown.get('b')]).toEqual([few.get('a'), few.get('b')])
    const pinned = arrange(graphOf([...all, pico('new', 'a')], {}), places, new Set(['p7']))
    expect(pinned.get('p7')).toEqual(places.get('p7'))
  })
})
