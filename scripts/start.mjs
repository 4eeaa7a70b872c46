// `npm start`: sets up what is missing or stale, then is the engine, in this same process.

import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { buildIfStale, install, ROOT, requireNode } from './setup.mjs'

requireNode()
install()
buildIfStale()
const cli = join(ROOT, 'dist', 'src', 'cli.js')
process.argv.splice(1, process.argv.length, cli, 'start', ...process.argv.slice(2))
await import(pathToFileURL(cli).href)
