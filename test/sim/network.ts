// The network between simulated engines and their clients: what is sent may be lost, come twice, late, or out of order;
// an answer may be lost after the work was done. Addresses are base URLs; nothing here looks into an envelope.

import type { HttpRequest, JsonObject } from '../../src/ports.ts'
import type { HttpClient, Posted } from '../../src/transports/client.ts'
import type { Chance } from './chance.ts'
import { never } from './disk.ts'
import type { Time } from './time.ts'

/** What a server does with a request; undefined when it died over it. */
export interface Server {
  readonly name: string
  readonly baseUrl: string
  readonly up: boolean
  post(path: string, envelope: Uint8Array, contentType: string): Promise<Posted | undefined>
  request(request: HttpRequest): Promise<JsonObject | undefined>
}

/** Shares of messages that meet each fate. */
export interface Weather {
  readonly lost: number
  readonly answerLost: number
  readonly twice: number
  readonly late: number
}

export const CALM: Weather = { lost: 0, answerLost: 0, twice: 0, late: 0 }

const POST_MS = 15_000
const REQUEST_MS = 10_000

export class Network {
  weather: Weather
  /** Requests sent, and those that met a bad fate. */
  sent = 0
  harmed = 0
  private readonly time: Time
  private readonly chance: Chance
  private readonly servers: readonly Server[]
  private readonly tell: (line: string) => void

  constructor(time: Time, chance: Chance, servers: readonly Server[], weather: Weather, tell: (line: string) => void) {
    this.time = time
    this.chance = chance
    this.servers = servers
    this.weather = weather
    this.tell = tell
  }

  /** The client of one process; what comes back to a dead one never arrives. */
  client(from: string, alive: () => boolean): HttpClient {
    const mine = async <T>(answer: Promise<T>): Promise<T> => {
      const got = await answer
      return alive() ? got : never()
    }
    return {
      post: (url, envelope, contentType) => mine(this.post(from, url, Uint8Array.from(envelope), contentType)),
      request: request => mine(this.request(from, request)),
      lookup: () => undefined,
      close: () => undefined,
    }
  }

  private async post(from: string, url: string, envelope: Uint8Array, contentType: string): Promise<Posted> {
    const answer = await this.carry(from, url, `post ${envelope.length}`, POST_MS, (server, path) =>
      server.post(path, envelope, contentType),
    )
    return typeof answer === 'string' ? { status: 0, reason: answer } : answer
  }

  /** As `HttpClient.request`: never throws for what the network does. */
  async request(from: string, request: HttpRequest): Promise<JsonObject> {
    const what = `${request.method} ${new URL(request.url).pathname}`
    const answer = await this.carry(from, request.url, what, REQUEST_MS, server => server.request(request))
    if (typeof answer === 'string') return { status_code: 0, status_line: answer }
    const location = (answer.headers as JsonObject | undefined)?.location
    if (!request.followRedirect || typeof location !== 'string') return answer
    return this.request(from, { ...request, url: new URL(location, request.url).href })
  }

  /** One request and its answer, or why there is none. */
  private async carry<T>(
    from: string,
    url: string,
    what: string,
    limit: number,
    work: (server: Server, path: string) => Promise<T | undefined>,
  ): Promise<T | string> {
    const server = this.servers.find(({ baseUrl }) => url.startsWith(`${baseUrl}/`))
    const ended = this.time.now + limit
    const fate = this.fate()
    this.tell(`net ${from} ${server?.name ?? '?'} ${what} ${fate.join(' ')}`)
    if (server === undefined) return 'ENOTFOUND'
    const path = url.slice(server.baseUrl.length)
    const [lost, twice, answerLost] = fate
    const arrive = async (): Promise<T | undefined> => (server.up ? work(server, path) : undefined)
    if (twice > 0) this.time.after(twice, () => void arrive())
    if (lost) return this.late(ended)
    await this.time.sleep(this.delay())
    if (!server.up) return 'ECONNREFUSED'
    const answer = await arrive()
    if (answer === undefined) return 'ECONNRESET'
    if (answerLost) return this.late(ended)
    await this.time.sleep(this.delay())
    return this.time.now > ended ? 'ETIMEDOUT' : answer
  }

  /** Lost, when a second copy arrives (0: none), the answer lost. */
  private fate(): [lost: boolean, twice: number, answerLost: boolean] {
    const { lost, twice, answerLost } = this.weather
    const fate: [boolean, number, boolean] = [
      this.chance.happens(lost),
      this.chance.happens(twice) ? this.chance.between(1, 20_000) : 0,
      this.chance.happens(answerLost),
    ]
    this.sent++
    if (fate.some(Boolean)) this.harmed++
    return fate
  }

  private delay(): number {
    return this.chance.happens(this.weather.late) ? this.chance.between(50, 30_000) : this.chance.between(1, 10)
  }

  /** A client that hears nothing gives up after its limit, or is reset before. */
  private async late(ended: number): Promise<string> {
    if (this.chance.happens(0.5)) {
      await this.time.sleep(this.chance.between(1, 50))
      return 'ECONNRESET'
    }
    await this.time.sleep(ended - this.time.now)
    return 'ETIMEDOUT'
  }
}
