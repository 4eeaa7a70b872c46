// `npm test`: set-up, then jest; its own summary, and as the last line the three numbers that scripts read.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buildIfStale, install, node, ROOT, requireNode } from './setup.mjs'

requireNode()
install()
buildIfStale()
const folder = mkdtempSync(join(tmpdir(), 'picomesh-test-'))
const results = join(folder, 'results.json')
const jest = join(ROOT, 'node_modules', 'jest', 'bin', 'jest.js')
const options =
  `${process.env.NODE_OPTIONS ?? ''} --experimental-vm-modules --disable-warning=ExperimentalWarning`.trim()
const code = node(
  [jest, '--json', `--outputFile=${results}`, '--testLocationInResults=false', ...process.argv.slice(2)],
  { NODE_OPTIONS: options },
)
const lines = summary(results)
rmSync(folder, { recursive: true, force: true })
console.log(lines)
process.exitCode = code

/** A suite that could not run counts as one failed test. */
function summary(path) {
  try {
    const { numPassedTests, numFailedTests, numPendingTests, numTodoTests, numRuntimeErrorTestSuites } = JSON.parse(
      readFileSync(path, 'utf8'),
    )
    return `${numPassedTests} passed, ${numFailedTests + numRuntimeErrorTestSuites} failed, ${numPendingTests + numTodoTests} skipped`
  } catch {
    return '0 passed, 1 failed, 0 skipped'
  }
}
