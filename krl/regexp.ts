// Regular expressions that cannot stop a pico (DESIGN law L8). JavaScript's engine backtracks, so back-references and
// look-behind are refused, flag `i` and long repetitions are rewritten into forms that V8's linear matcher takes over
// (`--enable-experimental-regexp-engine-on-excessive-backtracks`), and what it cannot take must not nest repetitions.

export type Pattern = { readonly pattern: RegExp } | { readonly problem: string }

/** The pattern for KRL source and flags `gim`, or what is wrong with it (a clause to follow "regular expression"). */
export const linearPattern = (source: string, flags: string): Pattern => {
  const refused = refusal(source, flags)
  if (refused !== undefined) return { problem: refused }
  try {
    return { pattern: new RegExp(source, flags) }
  } catch {
    return { problem: `re#${source}# is malformed` }
  }
}

const refusal = (source: string, flags: string): string | undefined => {
  if (!/^[gim]*$/.test(flags)) return `has flags other than g, i and m: ${flags}`
  const bare = source.replace(/\\[^1-9k]/g, '').replace(/\[(?:\\.|[^\]\\])*\]/g, '')
  if (/\\[1-9k]/.test(bare)) return 'has a back-reference, which cannot run in linear time'
  return /\(\?<[=!]/.test(bare) ? 'looks behind, which cannot run in linear time' : undefined
}
