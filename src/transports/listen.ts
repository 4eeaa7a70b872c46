// Binding and closing HTTP servers: both listeners and the local socket. A port that is taken is said in one sentence
// with the command that gets round it (contract 2).

import type { Server } from 'node:http'
import type { AddressInfo, ListenOptions } from 'node:net'
import { PicoError } from '../errors.ts'

export interface Listener {
  readonly server: Server
  readonly port: number
  /** Where it listens, without a slash at the end. */
  readonly url: string
  /** Stops accepting, lets requests in hand finish, cuts what is open after `grace_ms`. */
  close(grace_ms: number): Promise<void>
}

/** Told of a connection that could not be accepted. */
type OnFault = (error: PicoError) => void

/** At most one such report a minute: out of file descriptors, every connection brings one. */
const REPORT_MS = 60_000

/** Binds a server. `remedy` is the command that gets round a taken port. */
export async function listen(
  server: Server,
  host: string,
  port: number,
  remedy: string,
  onFault?: OnFault,
): Promise<Listener> {
  await bound(server, { port, host }, onFault).catch((error: NodeJS.ErrnoException) => {
    throw bindError(error, host, port, remedy)
  })
  const { address, port: taken } = server.address() as AddressInfo
  const name = address === '0.0.0.0' || address === '::' ? '127.0.0.1' : address
  const url = `http://${name.includes(':') ? `[${name}]` : name}:${taken}`
  return { server, port: taken, url, close: grace_ms => closeServer(server, grace_ms) }
}

/** Binds. What goes wrong with a connection later passes by: the others go on, and the process with them. */
export async function bound(server: Server, to: ListenOptions, onFault?: OnFault): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(to, () => {
      server.off('error', reject)
      resolve()
    })
  })
  let next = 0
  server.on('error', (error: NodeJS.ErrnoException) => {
    if (Date.now() < next) return
    next = Date.now() + REPORT_MS
    const message = `A connection could not be accepted: ${error.code ?? 'failed'}`
    onFault?.(new PicoError('transport.refused', message, undefined, { cause: error }))
  })
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
