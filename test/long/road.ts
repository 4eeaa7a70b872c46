// The road to an engine: a listener at the address that others know it by, which passes every request on and may take
// its time over the request, or over the answer. It stays when the engine is killed.

import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

export class Road {
  /** Milliseconds that every request waits on its way there. */
  there_ms = 0
  /** Milliseconds that every answer waits on its way back. */
  back_ms = 0
  private readonly server: Server
  private readonly to: number

  private constructor(server: Server, to: number) {
    this.server = server
    this.to = to
  }

  /** A road to that port of this machine. */
  static async open(to: number): Promise<Road> {
    const server = createServer()
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    const road = new Road(server, to)
    server.on('request', (asked, answer) => void road.pass(asked, answer).catch(() => answer.destroy()))
    return road
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`
  }

  close(): void {
    this.server.close()
    this.server.closeAllConnections()
  }

  private async pass(asked: IncomingMessage, answer: ServerResponse): Promise<void> {
    const body = await whole(asked)
    if (this.there_ms > 0) await sleep(this.there_ms)
    const { method, url, headers } = asked
    const came = await new Promise<IncomingMessage>((resolve, reject) => {
      const passed = request({ host: '127.0.0.1', port: this.to, method, path: url, headers, agent: false }, resolve)
      passed.once('error', reject)
      passed.end(body)
    })
    const content = await whole(came)
    if (this.back_ms > 0) await sleep(this.back_ms)
    const { 'transfer-encoding': _, connection: __, ...kept } = came.headers
    answer.writeHead(came.statusCode ?? 502, { ...kept, 'content-length': content.length }).end(content)
  }
}

async function whole(stream: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk as Buffer)
  if (!stream.complete) throw new Error('it broke off')
  return Buffer.concat(chunks)
}
