// A pico moves from one engine to another while Credo, which knows only the old engine's URL, keeps writing: the old
// engine forwards what it stored, and the pico goes on under the same DIDs. Nothing lost, nothing doubled.

import { sleep, startPeer, until } from '../peer.mjs'
import { startEngine } from '../picomesh.mjs'
import { agree, equal, establishedWith, shortDid, talk } from './checks.mjs'

const MESSAGES = 60
const BEFORE = 10
const AFTER = 15
const PACE_MS = 30

/** Sends the numbered messages, the move starting after the first ten; at least fifteen leave once it is over. */
const writeThroughMove = async (peer, connectionId, move) => {
  const sent = { before: 0, during: 0, after: 0 }
  let phase = 'before'
  let moved
  for (let n = 1; n <= MESSAGES; n++) {
    if (n === BEFORE + 1) {
      phase = 'during'
      moved = move().then(
        value => {
          phase = 'after'
          return { value }
        },
        error => ({ error }),
      )
    }
    if (n === MESSAGES - AFTER + 1) await moved
    sent[phase]++
    await peer.ask('message', { connectionId, content: `number ${n}` })
    await sleep(PACE_MS)
  }
  const { value, error } = await moved
  if (error) throw error
  return { result: value, sent }
}

const numbers = async (engine, pico, connectionId) =>
  (await engine.cli('msg', 'ls', pico, connectionId))
    .filter(one => one.direction === 'in' && one.text.startsWith('number '))
    .map(one => Number(one.text.slice('number '.length)))

const wanted = Array.from({ length: MESSAGES }, (_, index) => index + 1)

/** Waits until every number is there, then a second more for a copy that should not come. */
const expectEachOnce = async (engine, pico, connectionId, refusals) => {
  const lost = async () => {
    const present = new Set(await numbers(engine, pico, connectionId))
    return wanted.filter(n => !present.has(n))
  }
  await until(async () => ((await lost()).length === 0 ? true : undefined), 'messages are missing', 30_000).catch(
    () => {},
  )
  await sleep(1_000)
  const all = await numbers(engine, pico, connectionId)
  const missing = await lost()
  const doubled = wanted.filter(n => all.filter(m => m === n).length > 1)
  const told = refusals.length > 0 ? `; Credo was answered ${[...new Set(refusals)].join(', ')}` : ''
  if (missing.length + doubled.length > 0)
    throw new Error(
      `lost ${missing.length} (${missing.join(' ')}), doubled ${doubled.length} (${doubled.join(' ')})${told}`,
    )
}

const scenario = async (a, c, peer, say) => {
  const { picoId } = await a.cli('pico', 'new', 'mover')
  const { url } = await a.cli('invite', picoId, '--label', 'mover')
  const { connectionId } = await peer.ask('receive', { url })
  const theirs = await peer.ask('wait-connected', { connectionId })
  const ours = await establishedWith(a, picoId, theirs.did)
  agree(ours, theirs)

  const move = async () => {
    const { ticket } = await c.cli('move', 'ticket')
    return a.cli('move', 'run', picoId, ticket)
  }
  const { result, sent } = await writeThroughMove(peer, connectionId, move)
  if (!['active', 'draining', 'done'].includes(result.state)) throw new Error(`the move ended as ${result.state}`)
  await expectEachOnce(c, picoId, ours.connectionId, peer.refusals)

  const moved = await c.cli('connection', 'show', picoId, ours.connectionId)
  equal([moved.myDid, moved.theirDid].map(shortDid), [ours.myDid, ours.theirDid].map(shortDid), 'DIDs after the move')
  await talk(c, picoId, moved, peer, theirs, 'after the move')
  const counts = `${sent.before} before, ${sent.during} during, ${sent.after} after`
  say(`ok   move: ${MESSAGES} messages (${counts}), 0 lost, 0 doubled; pause ${result.pause_ms} ms`)
}

/**
 * @param {string} agent path of the installed agent
 * @param {(line: string) => void} say
 * @returns {Promise<{name: string, passed: number, failed: number}[]>}
 */
export const moveSuite = async (agent, say) => {
  const row = { name: 'credo: pico moves, Credo knows the old engine', passed: 0, failed: 0 }
  const running = []
  const keep = started => {
    running.push(started)
    return started
  }
  try {
    const peer = keep(await startPeer(agent, ['--label', 'Credo']))
    const [a, c] = [keep(await startEngine()), keep(await startEngine())]
    await scenario(a, c, peer, say)
    row.passed = 1
  } catch (error) {
    row.failed = 1
    say(`FAIL move: ${error.message}`)
  } finally {
    await Promise.all(running.map(one => one.stop()))
  }
  return [row]
}
