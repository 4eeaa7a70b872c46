// Mail for a pico whose rule waits for an answer from outside: a known peer hears at once that its message is on disk;
// whoever would be refused waits with everybody else, and nothing is written for him (DESIGN 3 Refusals, 4 Inbox).

import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import type { Write } from '../src/ports.ts'
import { MemoryStore } from '../src/stores/memory.ts'
import { connect, keptBack, LabEngine, post, unserve, until } from './lab.ts'

class CountedStore extends MemoryStore {
  writes = 0
  override async write(writes: readonly Write[], sync: boolean): Promise<void> {
    this.writes++
    await super.write(writes, sync)
  }
}

const RULESET = (url: string) => `ruleset test.slow {
  meta { shares heard }
  global { heard = function() { ent:heard.defaultsTo([]) } }
  rule heard {
    select when didcomm_basicmessage message
    pre {
      text = event:attr("body"){"content"}
      answer = text == "slow" => http:get("${url}") | null
    }
    always { ent:heard := ent:heard.defaultsTo([]).append(text) }
  }
}`

const store = new CountedStore()
let receiver: LabEngine
let sender: LabEngine
let outside: Server
const held: ServerResponse[] = []
let invitee: string
let writes = 0

beforeAll(async () => {
  outside = createServer((_, response) => void held.push(response)).listen(0, '127.0.0.1')
  await new Promise(resolve => outside.once('listening', resolve))
  receiver = await LabEngine.start({ store })
  sender = await LabEngine.start()
  await receiver.pico('lamp', RULESET(`http://127.0.0.1:${(outside.address() as AddressInfo).port}/`))
  await sender.pico('switch')
  await sender.pico('stranger')
  invitee = (await connect(receiver, 'lamp', sender, 'switch')).invitee
})
afterAll(async () => {
  await sender.close()
  await receiver.close()
  outside.close()
  unserve()
})

const envelopes = (...texts: string[]) =>
  keptBack(receiver, texts.length, async () => {
    for (const text of texts) {
      const { letterId: _, ...sent } = await sender.verb('msg.send', { pico: 'switch', connection: invitee, text })
      expect(sent.error).toBeUndefined()
    }
  })
const heard = () => receiver.query('lamp', 'test.slow', 'heard')
const letGo = () => {
  for (const response of held.splice(0)) response.end('{}')
}
/** What was answered after so many ms; 'nothing' when nobody was. */
const within = (ms: number, answer: Promise<unknown>) => Promise.race([answer, sleep(ms, 'nothing')])

describe('while a rule waits', () => {
  let rest: Uint8Array[]
  let before: string[]
  let slow: Promise<unknown>
  let invitation: string

  beforeEach(async () => {
    before = await heard()
    const inviting = { pico: 'lamp', version: 'v1', multi: false, approve: false, events: '', queries: '' }
    invitation = (await receiver.verb('invite', inviting)).url
    const [first, ...others] = await envelopes('slow', 'next')
    rest = others
    slow = post(receiver.url, first as Uint8Array)
    await until('the rule to ask', async () => held.length === 1)
    expect(await slow).toBe(202)
    writes = store.writes
  })
  afterEach(letGo)

  test('a message of a peer is answered from disk, and applied in its turn', async () => {
    expect(await post(receiver.url, rest[0] as Uint8Array)).toBe(202)
    expect(store.writes).toBe(writes + 1)
    expect(await heard()).toEqual(before)
    letGo()
    await until('both', async () => (await heard()).length === before.length + 2)
    expect(await heard()).toEqual([...before, 'slow', 'next'])
  })

  test('a repetition is neither written nor applied', async () => {
    expect(await post(receiver.url, rest[0] as Uint8Array)).toBe(202)
    writes = store.writes
    const again = post(receiver.url, rest[0] as Uint8Array)
    expect(await within(300, again)).toBe('nothing')
    expect(store.writes).toBe(writes)
    letGo()
    expect(await again).toBe(202)
    await until('both', async () => (await heard()).length === before.length + 2)
    expect(await receiver.verb('rejected', { pico: 'lamp' })).toMatchObject({
      recent: expect.arrayContaining([expect.objectContaining({ reason: 'message.duplicate' })]),
    })
  })

  test('a stranger is not written before his turn', async () => {
    const asking = { pico: 'stranger', invitation, events: '', queries: '', wait: false }
    const { connectionId } = await sender.verb('accept', asking)
    const state = async () =>
      (await sender.verb('connection.show', { pico: 'stranger', connection: connectionId })).state
    await sleep(500)
    expect([store.writes, await state()]).toEqual([writes, 'requested'])
    letGo()
    await until('the connection', async () => (await state()) === 'established')
  })
})
