// Ruleset texts that nobody wrote: pieces of the language where they do not belong, for the compiler to refuse.

const PIECES = [
  ...' \n"#{}<>()[]=:;,.|&-+*/%\\',
  '<<',
  '>>',
  '#{',
  're#',
  '/*',
  '=>',
  ':=',
  'rule x {',
  'global {',
  'function(',
  'setting(',
  'foreach ',
  'fired {',
  'where ',
  'within ',
  'ent:x',
  '__proto__',
  'null',
  '1e9',
  '1e999',
  '\u2028',
  '𝒳',
  '\0',
] as const

/** The text after one to four cuts, insertions, doublings or exchanges. `dice(n)`: a number from 0 to below n. */
export function mangled(text: string, dice: (below: number) => number): string {
  let made = text
  for (let n = dice(4) + 1; n > 0; n--) {
    const [at, from, length] = [dice(made.length + 1), dice(made.length + 1), dice(40)]
    const kind = dice(8)
    const put = kind === 0 ? '' : kind < 4 ? (PIECES[dice(PIECES.length)] as string) : made.slice(from, from + length)
    // One in eight ends there: an unfinished text.
    const rest = kind === 7 ? '' : made.slice(at + (dice(2) === 0 ? length : 0))
    made = made.slice(0, at) + put + rest
  }
  return made
}
