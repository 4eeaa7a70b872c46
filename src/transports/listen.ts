// Binding and closing HTTP servers: both listeners and the local socket. A port that is taken is said in one sentence
// with the command that gets round it (contract 2).

import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { PicoError } from '../errors.ts'

export interface Listener {
  readonly server: Server
  readonly port: number
  /** Where it listens, without a slash at the end. */
  readonly url: string
  /** Stops accepting, lets requests in hand finish, cuts what is open after `grace_ms`. */
  close(grace_ms: number): Promise<void>
}

/** Binds a server. `remedy` is the command that gets round a taken port. */
export async function listen(server: Server, host: string, port: number, remedy: string): Promise<Listener> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(bindError(error, host, port, remedy)))
    server.listen(port, host, resolve)
  })
  const bound = server.address() as AddressInfo
  const name = bound.address === '0.0.0.0' || bound.address === '::' ? '127.0.0.1' : bound.address
  const url = `http://${name.includes(':') ? `[${name}]` : name}:${bound.port}`
  return { server, port: bound.port, url, close: grace_ms => closeServer(server, grace_ms) }
}

/** Stops accepting; open requests get `grace_ms`. */
export async function closeServer(server: Server, grace_ms: number): Promise<void> {
  const closed = new Promise<void>(resolve => server.close(() => resolve()))
  server.closeIdleConnections()
  const cut = setTimeout(() => server.closeAllConnections(), grace_ms)
  await closed
  clearTimeout(cut)
}

function bindError(error: NodeJS.ErrnoException, host: string, port: number, remedy: string): Error {
  if (error.code === 'EADDRINUSE')
    return new PicoError('port.taken', `Port ${port} is taken; \`${remedy}\` takes any free one`, { port })
  return new PicoError('config.invalid', `Cannot listen on ${host}:${port}: ${error.code ?? 'failed'}`)
}
