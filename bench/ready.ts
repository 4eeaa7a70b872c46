// From the spawn of the real program to engine.json, with 5,000 picos on disk: start-up does not depend on their number.

import { join } from 'node:path'
import { freePort } from '../examples/engine-process.ts'
import { inFolder, perSecond } from './core.ts'
import { atMost, type Measured, median, type Size } from './figure.ts'
import { startServer } from './server.ts'

const STARTS = 5
const BORN_MS = 120_000

export async function bench({ short }: Size): Promise<Measured[]> {
  const picos = short ? 500 : 5000
  return inFolder(async folder => {
    const home = join(folder, 'home')
    // A port of its own: at a new address every pico would tell its peers first.
    const port = await freePort()
    await fill(home, picos, port)
    const times: number[] = []
    for (let n = 0; n < STARTS; n++) {
      const server = await startServer(home, { port })
      times.push(server.readyMs)
      await server.stop()
    }
    return [atMost(`ready, ${picos.toLocaleString('en-US')} picos on disk: spawn to ready`, median(times), 'ms', 1000)]
  })
}

async function fill(home: string, picos: number, port: number): Promise<void> {
  const server = await startServer(home, { port })
  const [root] = await server.ask<{ name: string; picoId: string }[]>('pico.ls', {})
  const [channel] = await server.ask<{ eci: string }[]>('channel.ls', { pico: root?.picoId as string })
  const url = (n: number) => `${server.publicUrl}/c/${channel?.eci}/event/wrangler/new_child_request?name=pico-${n}`
  await perSecond(picos, 16, async n => {
    const answer = await fetch(url(n), { method: 'POST' })
    if (answer.status !== 200) throw new Error(`a child was answered ${answer.status}`)
    await answer.arrayBuffer()
  })
  const late = Date.now() + BORN_MS
  while ((await server.ask<{ picos: number }>('status', {})).picos <= picos) {
    if (Date.now() > late) throw new Error('not all picos were born')
    await new Promise(resolve => setTimeout(resolve, 100))
  }
  await server.stop()
}
