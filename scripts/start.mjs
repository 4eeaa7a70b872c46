// `npm start`: sets up what is missing or stale, then is the engine, in this same process. package.json gives Node 64 MiB
// of room for new objects: what a message needs is then mostly gone before the collector copies it, a tenth of its time.

import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { buildIfStale, install, ROOT, requireNode } from './setup.mjs'

requireNode()
install()
buildIfStale()
const cli = join(ROOT, 'dist', 'src', 'cli.js')
process.argv.splice(1, process.argv.length, cli, 'start', ...process.argv.slice(2))
await import(pathToFileURL(cli).href)
