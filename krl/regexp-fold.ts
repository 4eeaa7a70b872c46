// Flag `i` written out (ECMA-262 22.2.2.7.3, Canonicalize without `u`): a letter becomes the class of its forms, and a
// class gets the forms that it lacks, so that the pattern needs no flag.

let foldable_: ReadonlyMap<string, readonly string[]> | undefined

/** UTF-16 units that have other forms, with all forms. Made on first use. */
const foldable = (): ReadonlyMap<string, readonly string[]> => {
  if (foldable_ !== undefined) return foldable_
  const groups = new Map<string, string[]>()
  for (let code = 0; code <= 0xffff; code++) {
    const unit = String.fromCharCode(code)
    const form = canonical(unit)
    const group = groups.get(form)
    if (group === undefined) groups.set(form, [unit])
    else group.push(unit)
  }
  const forms = new Map<string, readonly string[]>()
  for (const group of groups.values()) if (group.length > 1) for (const unit of group) forms.set(unit, group)
  foldable_ = forms
  return forms
}

const canonical = (unit: string): string => {
  const upper = unit.toUpperCase()
  return upper.length !== 1 || (unit >= '\u0080' && upper < '\u0080') ? unit : upper
}

/** A literal character of a pattern, in all its forms. */
export const foldLiteral = (unit: string): string => {
  const forms = foldable().get(unit)
  return forms === undefined ? unit : `[${forms.join('')}]`
}

/** A class `[…]` or an escape such as `\w` or `\x41`, in all forms of what it matches. */
export const foldClass = (text: string): string => {
  const exact = new RegExp(`^${text}$`)
  const folded = new RegExp(`^${text}$`, 'i')
  const others = [...foldable().keys()].filter(unit => exact.test(unit) !== folded.test(unit)).join('')
  if (others === '') return text
  return text.startsWith('[') ? `${text.slice(0, -1)}${others}]` : `[${text}${others}]`
}
