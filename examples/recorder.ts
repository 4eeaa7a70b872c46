// A listener in front of an engine that keeps every DIDComm envelope it hands on: what somebody on the wire would have.

import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http'

export interface Captured {
  readonly contentType: string
  readonly body: Buffer
}

export class Recorder {
  readonly captured: Captured[] = []
  readonly url: string
  private readonly server: Server

  private constructor(server: Server, url: string, target: string) {
    this.server = server
    this.url = url
    server.on('request', (asked, answer) => void this.handOn(target, asked, answer))
  }

  /** Listens on any free port of this machine and hands everything on to `target`. */
  static async start(target: string): Promise<Recorder> {
    const server = createServer()
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as { port: number }
    return new Recorder(server, `http://127.0.0.1:${port}`, target)
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections()
    await new Promise(resolve => this.server.close(resolve))
  }

  private async handOn(target: string, asked: IncomingMessage, answer: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of asked as AsyncIterable<Buffer>) chunks.push(chunk)
    const body = Buffer.concat(chunks)
    if (asked.method === 'POST' && asked.url?.startsWith('/didcomm'))
      this.captured.push({ contentType: asked.headers['content-type'] ?? '', body })
    const { method, headers } = asked
    const onward = request(new URL(asked.url ?? '/', target), { method, headers, agent: false }, response => {
      answer.writeHead(response.statusCode ?? 502, response.headers)
      response.pipe(answer)
      response.once('error', () => answer.destroy())
    })
    // The engine is down: whoever wrote tries again.
    onward.once('error', () => (answer.headersSent ? answer.destroy() : answer.writeHead(502).end()))
    onward.end(body)
  }
}
