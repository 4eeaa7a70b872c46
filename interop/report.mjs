// How a suite of foreign agents is called and how it answers: arguments, one line per repetition, a table at the end.
// Exit 0 all passed, 1 something failed, 2 wrong usage, 3 a peer could not be had (and nothing failed).

import { parseArgs } from 'node:util'
import { PeerUnavailable } from './peer.mjs'
import { isBuilt } from './picomesh.mjs'

/** Rows as a table with a line per scenario. */
export const table = rows => {
  const width = Math.max(4, ...rows.map(row => row.name.length))
  const line = (name, passed, failed) => `${name.padEnd(width)}  ${passed.padStart(6)}  ${failed.padStart(6)}`
  return [
    line('name', 'passed', 'failed'),
    ...rows.map(row => line(row.name, String(row.passed), String(row.failed))),
  ].join('\n')
}

const usage = suites => {
  const flags = Object.assign({}, ...suites.map(one => one.flags))
  return [
    'usage: npm run interop -- [PEER…] [flags]',
    `peers: ${suites.map(one => one.name).join(', ')} (all when none is named)`,
    ...Object.entries(flags).map(([name, what]) => `  --${name.padEnd(11)} ${what}`),
    '  --record DIR  what the peer sends to itself is written there, with its throw-away private keys',
    '  --json        rows as JSON on standard output, lines on standard error',
    '  --help        this text',
  ].join('\n')
}

/** Names and options of the command line, or an `error` that says what is wrong with it. */
const read = (suites, args) => {
  const booleans = Object.keys(Object.assign({ json: '', help: '' }, ...suites.map(one => one.flags)))
  const options = {
    record: { type: 'string' },
    ...Object.fromEntries(booleans.map(name => [name, { type: 'boolean' }])),
  }
  try {
    const { values, positionals } = parseArgs({ args, options, allowPositionals: true })
    const unknown = positionals.filter(name => !suites.some(one => one.name === name))
    if (unknown.length > 0) return { error: `no such peer: ${unknown.join(', ')}` }
    return { values, names: positionals }
  } catch (error) {
    return { error: error.message }
  }
}

/**
 * Runs the named suites (all when none is named) and ends the process with the exit code.
 * @param {{name: string, flags: Record<string, string>, suite: (options: object) => Promise<{name: string, passed: number, failed: number}[]>}[]} suites
 * @param {string[]} args
 */
export const main = async (suites, args) => {
  const { values, names, error } = read(suites, args)
  if (error) {
    console.error(`${error}\n${usage(suites)}`)
    process.exit(2)
  }
  if (values.help) {
    console.log(usage(suites))
    process.exit(0)
  }
  if (!values.self && !isBuilt()) {
    console.error('Picomesh is not built: run `npm run build` first, or call this as `npm run interop`')
    process.exit(2)
  }
  const say = values.json ? line => console.error(line) : line => console.log(line)
  const rows = []
  let missing = false
  for (const one of suites.filter(one => names.length === 0 || names.includes(one.name))) {
    try {
      rows.push(...(await one.suite({ ...values, say })))
    } catch (fault) {
      if (!(fault instanceof PeerUnavailable)) throw fault
      console.error(`PEER NOT TO BE HAD, nothing was tested with it: ${fault.message}`)
      missing = true
    }
  }
  if (values.json) console.log(JSON.stringify(rows))
  else if (rows.length > 0) console.log(`\n${table(rows)}`)
  const failed = rows.some(row => row.failed > 0)
  process.exit(failed ? 1 : missing ? 3 : 0)
}
