// The only file that knows every concrete choice: LevelDB, the system's clock and randomness, sockets, the home folder.

import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { setFlagsFromString } from 'node:v8'
import { cryptoNode } from '../wallet/crypto-node.ts'
import type { Secret } from '../wallet/vault.ts'
import { type AdminListener, listenAdmin } from './admin.ts'
import { banner } from './banner.ts'
import { type Config, loopbackOnly } from './config.ts'
import { asPicoError, PicoError } from './errors.ts'
import { checkHome, prepareHome, removeEngineFile, socketPath, writeEngineFile } from './home.ts'
import { createLog } from './log.ts'
import { Node } from './node.ts'
import type { Clock, JsonObject, MarkFile } from './ports.ts'
import { readPassphraseFile } from './secret.ts'
import { LevelStore } from './stores/level.ts'
import { markFile } from './stores/mark-file.ts'
import { parseAllowed } from './transports/address.ts'
import { createClient } from './transports/client.ts'
import { listenPublic } from './transports/http.ts'
import { acceptWebSockets } from './transports/ws.ts'
import { VERSION } from './version.ts'
import { hasWallet, isUnused, keyFile, openWallet, ownKeyFile, rekey, walletFacts } from './wallet-file.ts'

/** After this a stop that is not at its end is ended (contract 2: 5 s). */
const STOP_MS = 4_500
/** How long connections that are open stay when all that was asked is answered. */
const CUT_MS = 500
const LONGEST_TIMER_MS = 2 ** 31 - 1

export const systemClock: Clock = {
  now: Date.now,
  wake(at, fn) {
    let timer: NodeJS.Timeout
    // setTimeout holds 24.8 days; a later alarm sleeps in stretches, and none rings early.
    const arm = () => {
      const left = at - Date.now()
      timer = setTimeout(() => (at - Date.now() > 0 ? arm() : fn()), Math.min(Math.max(left, 0), LONGEST_TIMER_MS))
    }
    arm()
    return () => clearTimeout(timer)
  },
}

/** Folder of this installation: the one that holds package.json. */
export function installationFolder(): string {
  const here = fileURLToPath(new URL('.', import.meta.url))
  return join(here, here.endsWith('/dist/src/') ? '../..' : '..')
}

/** What opens the wallet by the settings; a key is made only with `make`. */
async function secretOf(config: Config, make = false): Promise<Secret | undefined> {
  if (config.passphraseFile) return { passphrase: await readPassphraseFile(config.passphraseFile) }
  if (config.keyFile) return keyFile(config.keyFile, make)
  const facts = await walletFacts(config.home)
  // A home that a passphrase guards starts locked when none is at hand.
  return facts?.kdf === 'argon2id' ? undefined : keyFile(ownKeyFile(config.home), make)
}

/** A key is made for a home that has nothing yet, and when all else that a start needs is at hand. */
async function checkSecret(config: Config): Promise<void> {
  if (config.passphraseFile || !(await isUnused(config.home))) await secretOf(config)
}

/** Opened when the engine first runs: a start that is refused leaves no mark in the home. */
function lazyMark(path: string): MarkFile {
  let file: MarkFile | undefined
  const opened = () => (file ??= markFile(path))
  return { read: () => opened().read(), write: text => opened().write(text) }
}

/** Starts an engine and stays until SIGTERM or SIGINT. Throws PicoError for what contract 2 calls exit 1. */
export async function main(config: Config): Promise<void> {
  const begun = Date.now()
  // Patterns that backtrack too long go on in linear time (law L8).
  setFlagsFromString('--enable-experimental-regexp-engine-on-excessive-backtracks')
  process.umask(0o077)
  await checkHome(config.home)
  await checkSecret(config)
  const store = new LevelStore(join(config.home, 'db'), () => hasWallet(config.home))
  // Also of a home that starts locked, whose store is opened only when it is unlocked.
  await store.check()
  const log = createLog(config.log)
  const say = (record: JsonObject) => log({ at: new Date().toISOString(), ...record })
  const reach = { loopback: loopbackOnly(config), allowed: parseAllowed(config.allowHosts) }
  const client = createClient(reach, config.limits.envelope_bytes)
  let addresses = { publicUrl: '', baseUrl: '', adminUrl: '' }
  const node = new Node({
    store,
    clock: systemClock,
    random: { bytes: cryptoNode.randomBytes },
    client,
    openVault: (store, secret) => openWallet(config.home, store, secret, Date.now()),
    rekey: (store, vault, secret) => rekey(config.home, store, vault, secret, Date.now()),
    walletFacts: async () => (await walletFacts(config.home)) ?? { kdf: 'none', rekeyedAt: '' },
    keyFileSecret: keyFile,
    standardSecret: () => secretOf(config),
    builtins: join(installationFolder(), 'krl'),
    version: VERSION,
    home: config.home,
    limits: {
      queue: config.limits.queue,
      dedupe_days: config.limits.dedupe_days,
      dedupe_ids: config.limits.dedupe_ids,
    },
    mark: lazyMark(join(config.home, 'mark')),
    jsonDepth: config.limits.json_depth,
    addresses: () => addresses,
    log: say,
  })
  const onFault = (error: PicoError) =>
    say({
      level: 'error',
      code: error.code,
      message: error.message,
      stack: String((error.cause as Error | undefined)?.stack ?? ''),
    })
  const publicListener = await listenPublic({
    agent: node,
    host: config.host,
    port: config.port,
    limits: config.limits,
    onFault,
    ...(config.baseUrl === undefined ? {} : { baseUrl: config.baseUrl }),
  })
  const closeSockets = acceptWebSockets(publicListener, node, config.limits)
  let admin: AdminListener | undefined
  const stopListeners = async (grace_ms: number) => {
    closeSockets()
    await Promise.all([publicListener.close(grace_ms), admin?.close(grace_ms)])
  }
  try {
    // Both ports are ours before anything is made; what is asked before the engine runs gets 503.
    const ui = join(installationFolder(), 'dist/ui')
    admin = await listenAdmin({ agent: node, port: config.adminPort, ui, onFault })
    addresses = {
      publicUrl: publicListener.url,
      baseUrl: config.baseUrl ?? publicListener.url,
      adminUrl: admin.url,
    }
    const make = await isUnused(config.home)
    await prepareHome(config.home)
    const secret = await secretOf(config, make)
    if (secret !== undefined) await node.unlock(secret)
    else await node.close('locked')
    const socket = await socketPath(config.home)
    await admin.openSocket(socket)
    // Said before it is written that the engine is ready: who waits for engine.json finds the text complete.
    await greet(node, config, admin.link(), begun)
    await writeEngineFile(config.home, {
      pid: process.pid,
      version: VERSION,
      publicUrl: addresses.publicUrl,
      baseUrl: addresses.baseUrl,
      adminUrl: admin.url,
      socket,
    })
    const stop = stopper(async () => {
      // Nobody new is taken from here on. Who waits is told by the end of the engine what became of it, so the lines are
      // cut only after that: what is open then is a stream, or a peer that sends too slowly.
      void stopListeners(STOP_MS)
      await node.close()
      // A WebSocket whose peer does not answer the close is not among what a listener cuts: it ends with the process.
      await Promise.race([stopListeners(CUT_MS), sleep(2 * CUT_MS)])
      client.close()
      await removeEngineFile(config.home)
    })
    process.on('SIGTERM', stop).on('SIGINT', stop)
  } catch (thrown) {
    if (!(thrown instanceof PicoError))
      say({ level: 'error', code: 'engine.fault', message: 'start failed', stack: String((thrown as Error).stack) })
    await stopListeners(CUT_MS)
    await node.close()
    throw asPicoError(thrown)
  }
}

/** Stops once, whatever is signalled meanwhile: Ctrl-C reaches the engine from the terminal, and again from npm. */
function stopper(close: () => Promise<void>): () => void {
  let stopping = false
  return () => {
    if (stopping) return
    stopping = true
    const late = setTimeout(() => process.exit(0), STOP_MS)
    void close().then(
      () => {
        clearTimeout(late)
        process.exit(0)
      },
      error => {
        process.stderr.write(`${asPicoError(error).message}\n`)
        process.exit(1)
      },
    )
  }
}

/** The start-up text, and what it needs: an invitation of the root pico that stays the same while the address does. */
async function greet(node: Node, config: Config, consoleUrl: string, begun: number): Promise<void> {
  const { baseUrl } = node.parts.addresses()
  const facts = {
    version: VERSION,
    consoleUrl,
    didcommUrl: `${baseUrl}/didcomm`,
    home: config.home,
    started_ms: Date.now() - begun,
  }
  if (!node.unlocked) {
    process.stdout.write(banner({ ...facts, wallet: 'locked' }, process.stdout.isTTY))
    return
  }
  const root = await node.owner.root()
  const invitationUrl = await standingInvitation(node, root.picoId)
  const { kdf } = await node.parts.walletFacts()
  const wallet = kdf === 'argon2id' ? 'passphrase' : 'key file'
  process.stdout.write(banner({ ...facts, wallet, rootDid: root.did, invitationUrl }, process.stdout.isTTY))
}

/** Of the root that lives here: one of a root that moved away has gone with it, and is not even asked after. */
async function standingInvitation(node: Node, picoId: string): Promise<string> {
  const { baseUrl } = node.parts.addresses()
  const known = node.engine.named('start-invitation') as { id: string; baseUrl: string } | undefined
  const ours = known?.baseUrl === baseUrl && node.engine.lookup(`inv:${known.id}`) === picoId
  if (ours && (await node.invitation(known.id))?.state === 'open') return `${baseUrl}/i/${known.id}`
  const made = await node.owner.command(picoId, 'invite', {
    version: 'v1',
    multi: true,
    approve: false,
    events: '',
    queries: '',
  })
  await node.engine.setNamed('start-invitation', { id: made.invitationId ?? null, baseUrl })
  return String(made.shortUrl)
}
