// A camera for terminals: draws what a program printed (block characters, colours by SGR escapes) as pixels and reads
// the QR code in it (ISO/IEC 18004, decoded by jsqr). It knows nothing of how the text was made.

import jsqrModule from 'jsqr'

const jsqr = jsqrModule.default ?? jsqrModule
// Ink of a cell by quarters: upper left, upper right, lower left, lower right.
const BLOCKS = {
  ' ': '0000',
  '\u00a0': '0000',
  '█': '1111',
  '▀': '1100',
  '▄': '0011',
  '▌': '1010',
  '▐': '0101',
  '▘': '1000',
  '▝': '0100',
  '▖': '0010',
  '▗': '0001',
  '▚': '1001',
  '▞': '0110',
  '▙': '1011',
  '▛': '1110',
  '▜': '1101',
  '▟': '0111',
}
const BASIC = [0, 60, 90, 110, 60, 80, 120, 192]
const CELL = { width: 8, height: 16 }
const MARGIN = 4

const luminance = (red, green, blue) => Math.round(0.299 * red + 0.587 * green + 0.114 * blue)

/** Brightness 0-255 of an entry of the 256-colour table. */
const paletted = index => {
  if (index < 16) return index === 15 ? 255 : index < 8 ? BASIC[index] : Math.min(255, BASIC[index - 8] + 63)
  if (index >= 232) return 8 + (index - 232) * 10
  const level = n => (n === 0 ? 0 : 55 + n * 40)
  const n = index - 16
  return luminance(level(Math.floor(n / 36)), level(Math.floor(n / 6) % 6), level(n % 6))
}

/** Applies one SGR escape to a pen; a terminal is light on dark unless told. */
const style = (pen, parameters) => {
  const codes = parameters === '' ? [0] : parameters.split(';').map(Number)
  const extended = () => (codes.shift() === 5 ? paletted(codes.shift()) : luminance(...codes.splice(0, 3)))
  while (codes.length > 0) {
    const code = codes.shift()
    if (code === 0) Object.assign(pen, { ink: 229, paper: 0, inverse: false })
    else if (code === 7) pen.inverse = true
    else if (code === 27) pen.inverse = false
    else if (code >= 30 && code <= 37) pen.ink = paletted(code - 30)
    else if (code >= 90 && code <= 97) pen.ink = paletted(code - 82)
    else if (code === 38) pen.ink = extended()
    else if (code === 39) pen.ink = 229
    else if (code >= 40 && code <= 47) pen.paper = paletted(code - 40)
    else if (code >= 100 && code <= 107) pen.paper = paletted(code - 92)
    else if (code === 48) pen.paper = extended()
    else if (code === 49) pen.paper = 0
  }
}

/** One line as cells `{quarters: [4 brightnesses], drawn}`; other characters count as dark ink on nothing. */
const cells = (line, pen) => {
  const row = []
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escapes are what is read here
  for (const [whole, sgr, other] of line.matchAll(/\u001b\[([0-9;]*)m|\u001b\[[0-9;?]*[A-Za-z]|(.)/gsu)) {
    if (sgr !== undefined) style(pen, sgr)
    else if (other !== undefined && other !== '\r') {
      const [ink, paper] = pen.inverse ? [pen.paper, pen.ink] : [pen.ink, pen.paper]
      const blocks = BLOCKS[whole]
      const quarters = [...(blocks ?? '0000')].map(bit => (bit === '1' ? ink : paper))
      row.push({ quarters, drawn: blocks !== undefined && (blocks !== '0000' || paper !== 0) })
    }
  }
  return row
}

/** Runs of neighbouring lines that hold a fair number of drawn cells: where a code may be. */
const pictures = text => {
  const pen = { ink: 229, paper: 0, inverse: false }
  const rows = text.split('\n').map(line => cells(line, pen))
  const found = []
  let run = []
  for (const row of [...rows, []]) {
    if (row.filter(cell => cell.drawn).length >= 10) run.push(row)
    else {
      if (run.length >= 8) found.push(run)
      run = []
    }
  }
  return found
}

/** Greys of a picture, cells `stretch` times as wide, with a margin of the given brightness round it. */
const raster = (rows, stretch, margin) => {
  const columns = Math.max(...rows.map(row => row.length)) + 2 * MARGIN
  const width = columns * CELL.width * stretch
  const height = (rows.length + 2 * MARGIN) * CELL.height
  const data = new Uint8ClampedArray(width * height * 4)
  for (let y = 0; y < height; y++) {
    const row = rows[Math.floor(y / CELL.height) - MARGIN]
    const lower = y % CELL.height >= CELL.height / 2 ? 2 : 0
    for (let x = 0; x < width; x++) {
      const at = x / (CELL.width * stretch)
      const right = at % 1 >= 0.5 ? 1 : 0
      const grey = row?.[Math.floor(at) - MARGIN]?.quarters[lower + right] ?? margin
      data.set([grey, grey, grey, 255], (y * width + x) * 4)
    }
  }
  return { data, width, height }
}

/**
 * Reads the first QR code in a terminal's output.
 * @param {string} text what was printed, escapes included
 * @returns {string | undefined} what the code says
 */
export const readTerminalQr = text => {
  for (const rows of pictures(text)) {
    for (const stretch of [1, 2]) {
      for (const margin of [0, 255]) {
        const { data, width, height } = raster(rows, stretch, margin)
        const code = jsqr(data, width, height, { inversionAttempts: 'attemptBoth' })
        if (code?.data) return code.data
      }
    }
  }
  return undefined
}
