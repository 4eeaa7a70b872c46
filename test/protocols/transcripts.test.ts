// Every transcript beside this file says what it says, every row of every table is taken by one, and whatever a table
// does not take is refused as a value.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { describe, expect, test } from '@jest/globals'
import { diagram, rows } from '../../protocols/diagram.ts'
import { protocols } from '../../protocols/index.ts'
import { advance } from '../../protocols/machine.ts'
import { isProblem, problem } from '../../protocols/message.ts'
import type { Circumstances, Thread, Trigger } from '../../protocols/turn.ts'
import { play, taken } from './play.ts'

const folder = new URL('.', import.meta.url)
const files = readdirSync(folder).filter(name => name.endsWith('.txt'))

describe('transcripts', () => {
  test.each(files)('%s', name => {
    const file = new URL(name, folder)
    const written = readFileSync(file, 'utf8')
    const played = play(written)
    if (process.env.PICOMESH_REWRITE === '1') writeFileSync(file, played)
    expect(process.env.PICOMESH_REWRITE === '1' ? played : written).toBe(played)
  })

  test('every protocol has a transcript, and every row is taken by one', () => {
    const missing = protocols
      .filter(protocol => !files.some(name => name.startsWith(protocol.name)))
      .map(one => one.name)
    const untaken = protocols.flatMap(one =>
      rows(one)
        .map(row => [one.name, row.role, row.state, row.trigger, row.index].join(' '))
        .filter(key => !taken.has(key)),
    )
    expect({ missing, untaken }).toStrictEqual({ missing: [], untaken: [] })
  })
})

const nothing: Circumstances = {
  now: 0,
  version: 'v1',
  args: {},
  label: '',
  baseUrl: 'http://engine.example',
  endpoint: { uri: 'http://engine.example/didcomm', routingKeys: [] },
  features: [],
  draw: {
    id: () => {
      throw new Error('a refusal draws nothing')
    },
    did: () => {
      throw new Error('a refusal draws nothing')
    },
  },
  sign: () => ({}),
  verify: () => problem('message.forged', 'never'),
  resolve: () => problem('did.unresolvable', 'never'),
  allows: () => false,
}

describe.each(protocols.map(protocol => [protocol.name, protocol] as const))('%s', (name, protocol) => {
  const triggers: Trigger[] = [
    'timeout',
    'command nonsense',
    ...Object.keys(protocol.messages).map(message => `receive ${message}` as const),
    ...new Set(rows(protocol).map(row => row.trigger)),
  ]

  test('what the table does not take is refused as a value', () => {
    for (const [role, states] of Object.entries(protocol.roles)) {
      for (const [state, taking] of Object.entries(states)) {
        for (const trigger of triggers.filter(one => taking[one] === undefined)) {
          const thread: Thread = {
            threadId: 'thread-1',
            protocol: name,
            piuri: protocol.speaks[0]!.uri,
            version: 'v1',
            role,
            state,
            data: {},
            updatedAt: 0,
          }
          const refused = advance(protocol, thread, trigger, nothing)
          expect([role, state, trigger, isProblem(refused) ? refused.code : 'moved']).toStrictEqual([
            role,
            state,
            trigger,
            trigger.startsWith('receive ') ? 'message.unexpected' : 'command.unexpected',
          ])
        }
      }
    }
  })

  test('every state can be reached, and the diagram draws it', () => {
    const drawn = diagram(protocol)
    for (const [role, states] of Object.entries(protocol.roles)) {
      const [first, ...others] = Object.keys(states)
      const reached = new Set([
        first,
        ...rows(protocol)
          .filter(row => row.role === role)
          .map(row => row.row.to),
      ])
      expect(others.filter(state => !reached.has(state))).toStrictEqual([])
      for (const state of Object.keys(states)) expect(drawn).toContain(` : ${state}`)
    }
  })
})
