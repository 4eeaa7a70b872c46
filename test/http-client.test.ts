// The outbound client: which addresses it refuses however they are spelled, redirects, time and size, kept sockets.

import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo, LookupFunction } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { mayReach, parseAllowed } from '../src/transports/address.ts'
import { createClient } from '../src/transports/client.ts'

const NONE = parseAllowed([])
const closed = { loopback: false, allowed: NONE }
const local = { loopback: true, allowed: NONE }

/** A resolver with a table instead of the network. */
const names =
  (table: Record<string, string[]>): LookupFunction =>
  (host, _options, callback) => {
    const found = table[host]
    if (found === undefined) callback(Object.assign(new Error(host), { code: 'ENOTFOUND' }), [])
    else
      callback(
        null,
        found.map(address => ({ address, family: address.includes(':') ? 6 : 4 })),
      )
  }

const get = (url: string, followRedirect = false) => ({ method: 'GET', url, headers: {}, followRedirect })

describe('mayReach', () => {
  test.each([
    '127.0.0.1',
    '127.255.255.254',
    '0.0.0.0',
    '10.1.2.3',
    '100.64.0.1',
    '169.254.169.254',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.1.1',
    '198.18.0.1',
    '224.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    '::ffff:127.0.0.1',
    '::ffff:7f00:1',
    '::ffff:10.0.0.1',
    '::7f00:1',
    '::ffff:0:127.0.0.1',
    '64:ff9b::7f00:1',
    '64:ff9b:1::1',
    '2002:7f00:1::',
    '2002:a9fe:a9fe::1',
    'fc00::1',
    'fd12:3456::1',
    'fe80::1',
    'fe80::1%eth0',
    'fec0::1',
    'ff02::1',
    'not an address',
    '',
  ])('refuses %s', address => {
    expect(mayReach(closed, 'name.example', address)).toBe(false)
  })
  test.each(['1.1.1.1', '100.128.0.1', '172.32.0.1', '2606:4700::1111', '::ffff:1.1.1.1', '2002:101:101::1'])(
    'lets %s',
    address => {
      expect(mayReach(closed, 'name.example', address)).toBe(true)
    },
  )
  test('loopback only while the engine is on loopback, and then nothing else that is private', () => {
    for (const address of ['127.0.0.1', '::1', '::ffff:127.0.0.1']) expect(mayReach(local, 'x', address)).toBe(true)
    for (const address of ['10.0.0.1', '0.0.0.0', '192.168.1.1', 'fe80::1'])
      expect(mayReach(local, 'x', address)).toBe(false)
  })
  test('what the owner names, by host, address or block', () => {
    const allowed = parseAllowed(['printer.lan', '10.1.0.0/16', '192.168.1.5', 'fd00::/8'])
    const reach = { loopback: false, allowed }
    expect(mayReach(reach, 'Printer.LAN.', '192.168.9.9')).toBe(true)
    for (const address of ['10.1.2.3', '192.168.1.5', 'fd00::9', '::ffff:10.1.2.3'])
      expect(mayReach(reach, 'x', address)).toBe(true)
    for (const address of ['10.2.0.1', '192.168.1.6', 'fc00::9', '127.0.0.1'])
      expect(mayReach(reach, 'x', address)).toBe(false)
  })
  test.each(['10.0.0.0/33', '10.0.0.0/x', 'a b', 'http://x', 'fd00::/129', 'host/8'])('%s is no entry', entry => {
    expect(parseAllowed([entry]).wrong).toBe(entry)
  })
})

describe('with a server on loopback', () => {
  const servers: Server[] = []
  const serve = async (listener: RequestListener): Promise<string> => {
    const server = createServer(listener)
    servers.push(server)
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }
  let echo: string
  let hits = 0
  beforeAll(async () => {
    echo = await serve((request, response) => {
      hits++
      const chunks: Buffer[] = []
      request.on('data', chunk => chunks.push(chunk))
      request.on('end', () =>
        response
          .setHeader('content-type', 'text/plain')
          .end(
            `${request.method} ${request.url} ${request.headers['content-type']} ${request.headers.authorization} ${Buffer.concat(chunks)}`,
          ),
      )
    })
  })
  afterAll(() => {
    for (const server of servers) {
      server.closeAllConnections()
      server.close()
    }
  })

  test('every spelling of loopback is refused before a socket is opened', async () => {
    const port = new URL(echo).port
    const client = createClient(
      closed,
      1000,
      names({
        'rebind.example': ['127.0.0.1'],
        localhost: ['127.0.0.1', '::1'],
        'mapped.example': ['::ffff:127.0.0.1'],
      }),
    )
    const before = hits
    for (const host of [
      '127.0.0.1',
      '2130706433',
      '0x7f000001',
      '017700000001',
      '127.1',
      '0x7f.1',
      '[::1]',
      '[::ffff:127.0.0.1]',
      '[::ffff:7f00:1]',
      '0',
      'localhost',
      'rebind.example',
      'mapped.example',
      '①②⑦.0.0.1',
    ])
      expect([host, await client.request(get(`http://${host}:${port}/`))]).toEqual([
        host,
        { status_code: 0, status_line: 'EFORBIDDEN' },
      ])
    expect((await client.post(`http://0x7f.1:${port}/`, Buffer.from('x'), 'a/b')).reason).toBe('EFORBIDDEN')
    expect(hits).toBe(before)
    client.close()
  })
  test('the owner may name any', async () => {
    const client = createClient(closed, 1000)
    expect(await client.request(get(`${echo}/x`), true)).toMatchObject({ status_code: 200, status_line: 'OK' })
    client.close()
  })
  test('of several addresses only those in reach are tried', async () => {
    const port = new URL(echo).port
    const client = createClient(local, 1000, names({ 'two.example': ['10.0.0.1', '127.0.0.1'] }))
    expect((await client.request(get(`http://two.example:${port}/`))).status_code).toBe(200)
    client.close()
  })
  test('a redirect is checked like a first address, and keys stay with their origin', async () => {
    const away = await serve((request, response) => {
      const to = {
        '/in': `${echo}/secret`,
        '/private': 'http://10.0.0.1/',
        '/file': 'file:///etc/passwd',
        '/loop': '/loop',
      }[request.url ?? '']
      response.writeHead(request.url === '/in' ? 302 : 307, { location: to }).end()
    })
    const client = createClient(local, 1000)
    const request = { ...get(`${away}/in`, true), headers: { Authorization: 'Bearer x' } }
    expect((await client.request(request)).content).toBe('GET /secret undefined undefined ')
    expect((await client.request({ ...request, followRedirect: false })).status_code).toBe(302)
    expect(await client.request(get(`${away}/private`, true))).toEqual({ status_code: 0, status_line: 'EFORBIDDEN' })
    expect(await client.request(get(`${away}/file`, true))).toEqual({ status_code: 0, status_line: 'ESCHEME' })
    expect(await client.request(get(`${away}/loop`, true))).toEqual({ status_code: 0, status_line: 'EREDIRECTS' })
    client.close()
    const outside = createClient(
      { loopback: false, allowed: parseAllowed(['away.example']) },
      1000,
      names({ 'away.example': ['127.0.0.1'] }),
    )
    expect(await outside.request(get(`http://away.example:${new URL(away).port}/in`, true))).toEqual({
      status_code: 0,
      status_line: 'EFORBIDDEN',
    })
    outside.close()
  })
  test('303 and 302 make GET of POST, 307 keeps method and body', async () => {
    const away = await serve((request, response) =>
      response.writeHead(Number(request.url?.slice(1)), { location: `${echo}/to` }).end(),
    )
    const client = createClient(local, 1000)
    const sent = (status: number) =>
      client.request({
        method: 'POST',
        url: `${away}/${status}`,
        headers: { 'content-type': 'text/x' },
        body: 'b',
        followRedirect: true,
      })
    expect((await sent(302)).content).toBe('GET /to undefined undefined ')
    expect((await sent(303)).content).toBe('GET /to undefined undefined ')
    expect((await sent(307)).content).toBe('POST /to text/x undefined b')
    client.close()
  })
  test('what an http:* answer looks like', async () => {
    const client = createClient(local, 1000)
    expect(await client.request({ ...get(`${echo}/a`), method: 'PUT', body: 'é' })).toMatchObject({
      content: 'PUT /a undefined undefined é',
      content_type: 'text/plain',
      content_length: 29,
      status_code: 200,
      status_line: 'OK',
      headers: { 'content-type': 'text/plain' },
    })
    client.close()
  })
  test('no answer is a value with a code', async () => {
    const client = createClient(local, 1000, names({}))
    expect(await client.request(get('http://nowhere.example/'))).toEqual({ status_code: 0, status_line: 'ENOTFOUND' })
    expect(await client.request(get('http://127.0.0.1:1/'))).toEqual({ status_code: 0, status_line: 'ECONNREFUSED' })
    expect(await client.request(get('ftp://x/'))).toEqual({ status_code: 0, status_line: 'ESCHEME' })
    expect(await client.request(get('nonsense'))).toEqual({ status_code: 0, status_line: 'EBADURL' })
    expect(await client.request({ ...get(echo), headers: { bad: 'a\nb' } })).toEqual({
      status_code: 0,
      status_line: 'ERR_INVALID_CHAR',
    })
    client.close()
  })
  test('one deadline holds for all redirects', async () => {
    const slow = await serve((request, response) => {
      const turn = Number(request.url?.slice(1))
      setTimeout(() => response.writeHead(turn < 3 ? 307 : 200, { location: `/${turn + 1}` }).end(), 100)
    })
    const client = createClient(local, 1000)
    expect(await client.request(get(`${slow}/0`, true))).toMatchObject({ status_code: 200 })
    expect(await client.request(get(`${slow}/0`, true), false, 250)).toEqual({
      status_code: 0,
      status_line: 'ETIMEDOUT',
    })
    client.close()
  })
  test('a body that does not come is no answer', async () => {
    const silent = await serve((_, response) => void response.writeHead(200).write('the beginning'))
    const client = createClient(local, 1000)
    expect(await client.request(get(silent), false, 100)).toEqual({ status_code: 0, status_line: 'ETIMEDOUT' })
    client.close()
  })
  test('more than 5 MB is too much', async () => {
    const big = await serve((_, response) => response.end(Buffer.alloc(5_000_001)))
    const client = createClient(local, 1000)
    expect(await client.request(get(big))).toEqual({ status_code: 0, status_line: 'ETOOLARGE' })
    client.close()
  })
  test('post carries bytes and type, gives status and reply, follows 308 only as a POST', async () => {
    const client = createClient(local, 1000)
    const direct = await client.post(`${echo}/didcomm`, Buffer.from('{"e":1}'), 'application/ssi-agent-wire')
    expect([direct.status, Buffer.from(direct.body!).toString(), direct.contentType]).toEqual([
      200,
      'POST /didcomm application/ssi-agent-wire undefined {"e":1}',
      'text/plain',
    ])
    const away = await serve((request, response) =>
      response.writeHead(request.url === '/moved' ? 308 : 302, { location: `${echo}/new` }).end(),
    )
    expect((await client.post(`${away}/moved`, Buffer.from('m'), 'a/b')).status).toBe(200)
    expect((await client.post(`${away}/found`, Buffer.from('m'), 'a/b')).status).toBe(302)
    const busy = await serve((_, response) => response.writeHead(503, { 'retry-after': '9' }).end())
    expect(await client.post(busy, Buffer.from('m'), 'a/b')).toEqual({ status: 503, retryAfter: 9 })
    expect(await client.post('ws://x/', Buffer.from('m'), 'a/b')).toEqual({ status: 0, reason: 'ESCHEME' })
    client.close()
  })
  test('a kept socket that the server closed meanwhile costs one repeat, not the letter', async () => {
    let requests = 0
    const flaky = await serve((request, response) => {
      requests++
      if (requests === 2) return void request.socket.resetAndDestroy()
      response.writeHead(202).end()
    })
    const client = createClient(local, 1000)
    expect((await client.post(flaky, Buffer.from('1'), 'a/b')).status).toBe(202)
    expect((await client.post(flaky, Buffer.from('2'), 'a/b')).status).toBe(202)
    expect(requests).toBe(3)
    client.close()
  })
  test('a fresh socket that is reset is not repeated', async () => {
    let requests = 0
    const broken = await serve(request => {
      requests++
      request.socket.resetAndDestroy()
    })
    const client = createClient(local, 1000)
    expect(await client.post(broken, Buffer.from('1'), 'a/b')).toEqual({ status: 0, reason: 'ECONNRESET' })
    expect(requests).toBe(1)
    client.close()
  })
})
