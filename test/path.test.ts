// The life of a message, as it is: V8's precise coverage between the POST of one basic message and the body of the rule
// it selects, and on to the 202. README "The life of a message" names the files; this test holds the two to each other.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { type Profiler, Session } from 'node:inspector'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { RulesetHost } from '../src/ruleset.ts'
import { LevelStore } from '../src/stores/level.ts'
import { connect, keptBack, LabEngine, post, served, unserve } from './lab.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const OURS = /^(src|wallet|protocols|krl)\/.*\.ts$/
const RULESET = `ruleset path.listener {
  rule heard { select when didcomm_basicmessage message always { log info "heard" } }
}`

const session = new Session()
const folders: string[] = []
beforeAll(() => {
  session.connect()
  session.post('Profiler.enable')
  session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false })
})
afterAll(() => {
  session.disconnect()
  unserve()
  for (const folder of folders) rmSync(folder, { recursive: true })
})

describe('README, the life of a message', () => {
  const readme = readFileSync(join(ROOT, 'README.md'), 'utf8')
  const section = /\n## The life of a message\n([\s\S]*?)\n## /.exec(readme)?.[1] ?? ''
  const [before, after] = section.split('**The rule runs.**') as [string, string]
  const named = (text: string) =>
    [...text.matchAll(/`((?:src|wallet|protocols|krl)\/[\w/-]+\.ts)`/g)].map(found => found[1]!)
  const told = [...section.matchAll(/\*\*(\d+) files\*\*/g)].map(found => Number(found[1]))

  test('names the files that are passed, in front of the rule every one, and no more than thirteen', async () => {
    const { toRule, toAnswer } = await measure({ version: 'v1' })
    if (process.env.PICOMESH_PATH === '1')
      console.log(
        `${toRule.length} files to the rule:\n${toRule.join('\n')}\n\n${toAnswer.length} to the 202:\n${toAnswer.join('\n')}`,
      )
    expect(toRule).toEqual(named(before).sort())
    expect(named(after).length).toBeGreaterThan(2)
    expect(named(after).filter(path => !toAnswer.includes(path))).toEqual([])
    expect(told[0]).toBe(toRule.length)
    expect(told[0]).toBeLessThanOrEqual(13)
  })
  test('tells how many there are after a start, and with DIDComm v2', async () => {
    const afterStart = await measure({ version: 'v1', restarted: true })
    const second = await measure({ version: 'v2' })
    expect(told.slice(1)).toEqual([afterStart.toRule.length, second.toRule.length])
  })
})

interface Passed {
  /** Files with a function executed from the POST until the rule's body runs, and from then to the 202. */
  readonly toRule: readonly string[]
  readonly toAnswer: readonly string[]
}

/** Two engines are connected; two messages of the sender are kept back, it is closed, and the first is posted. After a
 *  restart that one brings the pico into memory, and the second is looked at. */
async function measure({ version, restarted = false }: { version: 'v1' | 'v2'; restarted?: boolean }): Promise<Passed> {
  const folder = mkdtempSync(join(tmpdir(), 'picomesh-path-'))
  folders.push(folder)
  const receiver = await LabEngine.start({ store: new LevelStore(folder) })
  const sender = await LabEngine.start()
  await receiver.pico('lamp')
  await receiver.verb('ruleset.install', { pico: 'lamp', url: await served(RULESET) })
  await sender.pico('switch')
  const { invitee } = await connect(receiver, 'lamp', sender, 'switch', { version })
  const [first, second] = await keptBack(receiver, 2, async () => {
    for (const text of ['one', 'two']) await sender.verb('msg.send', { pico: 'switch', connection: invitee, text })
  })
  await sender.close()
  if (restarted) {
    await receiver.node.close('locked')
    await receiver.node.unlock({ passphrase: '-' })
    expect(await post(receiver.url, first!)).toBe(202)
  }
  await sleep(300)
  let toRule: readonly string[] = []
  const { log } = RulesetHost.prototype
  RulesetHost.prototype.log = function (...args) {
    toRule = executed()
    log.apply(this, args)
  }
  executed()
  expect(await post(receiver.url, restarted ? second! : first!)).toBe(202)
  const toAnswer = executed()
  RulesetHost.prototype.log = log
  await receiver.close()
  return { toRule, toAnswer }
}

/** Our files with a function executed since this was last asked. The inspector answers before `post` returns. */
function executed(): string[] {
  let scripts: Profiler.ScriptCoverage[] = []
  session.post('Profiler.takePreciseCoverage', (error, answer) => {
    if (error) throw error
    scripts = answer.result
  })
  return scripts
    .filter(({ functions }) => functions.some(one => one.ranges[0]!.count > 0))
    .map(({ url }) => (url.startsWith('file:') ? fileURLToPath(url) : url).replace(ROOT, ''))
    .filter(path => OURS.test(path))
    .sort()
}
