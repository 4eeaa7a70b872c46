// Does "acknowledged" mean on disk? Counted in system calls: 200 events one after the other cost at least 200 syncs. And
// tried: the engine is killed and its files are cut back to what a finished fsync or fdatasync covers, which is what a
// power cut may leave. A build that does not sync must fail both, or the proof proves nothing.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, statSync, truncateSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EngineProcess } from '../../examples/engine-process.ts'
import { postUntilAcknowledged } from '../../examples/sensor-community/emitter.ts'
import { tally } from '../../examples/tally.ts'
import { brokenBuild } from './build.ts'
import { LEDGER } from './kill.ts'
import type { LongOptions } from './run.ts'

const EVENTS = 200
const RID = 'test.ledger'

/** The engine's store without a single sync. */
const NO_SYNC = [{ file: 'src/stores/level.js', from: /write\(\{ sync(: true)? \}\)/g, to: 'write({ sync: false })' }]

/** Is there a strace that may trace? */
function canTrace(): boolean {
  return spawnSync('strace', ['-f', '-o', '/dev/null', process.execPath, '--version']).status === 0
}

export async function run({ rounds: events = EVENTS }: LongOptions): Promise<boolean> {
  const say = console.log
  if (!canTrace()) {
    say('strace cannot be had here (apt-get install strace): syncs were NOT counted, power cuts NOT tried')
    return false
  }
  const unsafe = brokenBuild(NO_SYNC)
  try {
    const counted = { sound: await countSyncs(events), unsafe: await countSyncs(events, unsafe.cli) }
    say(`  syncs for ${events} events in sequence: ${counted.sound}; with sync off ${counted.unsafe}`)
    const lost = { sound: await powerCut(events), unsafe: await powerCut(events, unsafe.cli) }
    say(`  lost of ${events} acknowledged when the power is cut: ${lost.sound}; with sync off ${lost.unsafe}`)
    const caught = counted.unsafe < events && lost.unsafe > 0
    if (!caught) say('  the build with sync off was NOT caught')
    return counted.sound >= events && lost.sound === 0 && caught
  } finally {
    unsafe.remove()
  }
}

/** fsync and fdatasync calls of an engine that is sent so many events one after the other. */
async function countSyncs(events: number, cli?: string): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'picomesh-syncs-'))
  const summary = join(folder, 'summary')
  const under = ['strace', '-f', '-c', '-e', 'trace=fdatasync,fsync', '-o', summary]
  try {
    const engine = await EngineProcess.start({ home: join(folder, 'home'), port: 0, under, ...(cli ? { cli } : {}) })
    await sendInSequence(engine, events)
    await engine.stop()
    const calls = readFileSync(summary, 'utf8').matchAll(
      /^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s.*\b(?:fdatasync|fsync)$/gm,
    )
    return [...calls].reduce((sum, [, count]) => sum + Number(count), 0)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** How many of so many acknowledged events are gone when only what was synced is left. */
async function powerCut(events: number, cli?: string): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'picomesh-power-'))
  const trace = join(folder, 'trace')
  const home = join(folder, 'home')
  const calls = 'trace=write,pwrite64,writev,fdatasync,fsync'
  const under = ['strace', '-f', '-y', '-s', '0', '-e', calls, '-o', trace]
  const build = cli ? { cli } : {}
  try {
    const first = await EngineProcess.start({ home, port: 0, under, ...build })
    const sent = await sendInSequence(first, events)
    await first.kill()
    cutTo(syncedLengths(readFileSync(trace, 'utf8')))
    const second = await EngineProcess.start({ home, port: 0, ...build })
    const counts = await second.query<Record<string, number>>('ledger', RID, 'taken').catch(() => ({}))
    await second.kill()
    return tally(sent, counts).lost
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function sendInSequence(engine: EngineProcess, events: number): Promise<string[]> {
  await engine.verb('pico.new', { name: 'ledger', rulesets: [LEDGER] })
  const { eci } = await engine.verb<{ eci: string }>('channel.new', {
    pico: 'ledger',
    tags: ['load'],
    events: 'ledger:put',
  })
  const ids = Array.from({ length: events }, (_, n) => `s${n}`)
  for (const id of ids) await postUntilAcknowledged(() => `${engine.url}/c/${eci}/event-wait/ledger/put`, id, { id })
  return ids
}

/** Bytes of each LevelDB log that a finished sync covers, read from strace's lines (`-f -y`). */
function syncedLengths(trace: string): Map<string, number> {
  const written = new Map<string, number>()
  const synced = new Map<string, number>()
  /** By thread: the call that has not returned yet, and for a sync what had been written when it began. */
  const open = new Map<string, { call: string; path: string; covers: number }>()
  const done = (call: string, path: string, covers: number, result: number) => {
    if (/sync$/.test(call)) result === 0 && synced.set(path, Math.max(covers, synced.get(path) ?? 0))
    else if (result > 0) written.set(path, (written.get(path) ?? 0) + result)
  }
  for (const line of trace.split('\n')) {
    const [, thread = '', call = '', path = ''] = /^(\d+) +(\w+)\(\d+<([^>]*\.log)>/.exec(line) ?? []
    const covers = written.get(path) ?? 0
    const result = Number(/= (-?\d+)\D*$/.exec(line)?.[1] ?? -1)
    if (call !== '' && line.endsWith('<unfinished ...>')) open.set(thread, { call, path, covers })
    else if (call !== '') done(call, path, covers, result)
    else {
      const [, resumed = ''] = /^(\d+) +<\.\.\. \w+ resumed>/.exec(line) ?? []
      const begun = open.get(resumed)
      if (begun) done(begun.call, begun.path, begun.covers, result)
      open.delete(resumed)
    }
  }
  return new Map([...written.keys()].map(path => [path, synced.get(path) ?? 0]))
}

function cutTo(lengths: Map<string, number>): void {
  for (const [path, length] of lengths)
    if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) > length) truncateSync(path, length)
}
