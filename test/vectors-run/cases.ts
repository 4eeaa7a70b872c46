// A file's cases, one after the other: what passed, failed and was skipped. A `should` or `policy` case that differs is
// listed as skipped. One that breaks the runner is judged as one that differs, and the others are run.

export interface RunResult {
  readonly passed: string[]
  readonly failed: { readonly id: string; readonly why: string }[]
  readonly skipped: { readonly id: string; readonly why: string }[]
}

// biome-ignore lint/suspicious/noExplicitAny: vector files are read as they come
type Json = any

/** What is wrong with a case, `skip: …` for one that cannot be judged, or undefined. */
export type Check = (test: Json) => string | undefined

const SKIP = 'skip: '

export function runCases(file: Json, check: Check): RunResult {
  const result: RunResult = { passed: [], failed: [], skipped: [] }
  for (const test of file.cases) {
    try {
      settle(result, test, check(expecting(test)))
    } catch (thrown) {
      settle(result, test, broken(thrown))
    }
  }
  return result
}

/** The same for checks that wait. */
export async function runCasesInTurn(
  file: Json,
  check: (test: Json) => Promise<string | undefined>,
): Promise<RunResult> {
  const result: RunResult = { passed: [], failed: [], skipped: [] }
  for (const test of file.cases) settle(result, test, await check(expecting(test)).catch(broken))
  return result
}

// A case of which nothing is expected says so by its kind alone.
const expecting = (test: Json) => ({ ...test, expected: test?.expected ?? {} })

const broken = (thrown: unknown) => `the runner broke: ${thrown instanceof Error ? thrown.message : String(thrown)}`

function settle({ passed, failed, skipped }: RunResult, { id, strength }: Json, why: string | undefined): void {
  if (why === undefined) passed.push(id)
  else if (why.startsWith(SKIP)) skipped.push({ id, why: why.slice(SKIP.length) })
  else if (strength === 'should' || strength === 'policy') skipped.push({ id, why: `${strength}: ${why}` })
  else failed.push({ id, why })
}
