// QR codes (ISO/IEC 18004) for a terminal and for a page. Level L: a short URL of about 43 characters is 29 modules,
// 33 columns by 17 rows with the quiet zone of two that readers were seen to need at least.

import qrcode from 'qrcode-generator'

const QUIET = 2

type Modules = { readonly size: number; dark(row: number, column: number): boolean }

function modules(text: string): Modules {
  const code = qrcode(0, 'L')
  code.addData(text)
  code.make()
  const size = code.getModuleCount()
  const inside = (i: number) => i >= 0 && i < size
  return { size, dark: (row, column) => inside(row) && inside(column) && code.isDark(row, column) }
}

/**
 * Lines of half blocks, two modules a character high. Light modules are drawn, so the code is right on a dark
 * terminal; with `colour` the ground is set too and it is right on any.
 */
export function terminalQr(text: string, colour = false): string[] {
  const { size, dark } = modules(text)
  const lines: string[] = []
  for (let row = -QUIET; row < size + QUIET; row += 2) {
    let line = ''
    for (let column = -QUIET; column < size + QUIET; column++) {
      const upper = !dark(row, column)
      const lower = row + 1 < size + QUIET && !dark(row + 1, column)
      line += upper ? (lower ? '█' : '▀') : lower ? '▄' : ' '
    }
    lines.push(colour ? `\x1b[97;40m${line}\x1b[0m` : line)
  }
  return lines
}

/** One inline SVG element, black on white, scaled by its box; `text` does not occur in it. */
export function svgQr(text: string): string {
  const { size, dark } = modules(text)
  const side = size + 2 * 4
  let path = ''
  for (let row = 0; row < size; row++)
    for (let column = 0; column < size; column++) if (dark(row, column)) path += `M${column + 4} ${row + 4}h1v1h-1z`
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${side} ${side}" shape-rendering="crispEdges" role="img" aria-label="QR code">` +
    `<rect width="${side}" height="${side}" fill="#fff"/><path d="${path}" fill="#000"/></svg>`
  )
}
