// What the outbound client sends a second time when a kept socket turns out to be dead: what may be repeated, only that.

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, jest, test } from '@jest/globals'
import { parseAllowed } from '../src/transports/address.ts'
import { createClient } from '../src/transports/client.ts'

jest.setTimeout(60_000)

test('a ruleset’s GET is repeated on a fresh socket, its POST never: it may have been done', async () => {
  let requests = 0
  const server = createServer((request, response) => {
    requests++
    if (requests % 2 === 0) return void request.socket.resetAndDestroy()
    request.resume()
    response.writeHead(200).end('ok')
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  const client = createClient({ loopback: true, allowed: parseAllowed([]) }, 1000)
  const ask = (method: string) => client.request({ method, url, headers: {}, followRedirect: false })
  try {
    await ask('POST')
    expect(await ask('POST')).toMatchObject({ status_code: 0, status_line: 'ECONNRESET' })
    expect(requests).toBe(2)
    await ask('GET')
    expect(await ask('GET')).toMatchObject({ status_code: 200 })
    expect(requests).toBe(5)
  } finally {
    client.close()
    server.closeAllConnections()
    server.close()
  }
})
