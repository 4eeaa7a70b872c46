// Secrets typed by people or piped in: never an argument, never echoed, never in the environment.

import { readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { PicoError } from './errors.ts'

interface Asks {
  readonly stdin: NodeJS.ReadStream | NodeJS.ReadableStream
  err(text: string): void
}

/** The file's text without the line break at its end. Throws PicoError `wallet.passphrase`. */
export async function readPassphraseFile(path: string): Promise<string> {
  const content = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new PicoError('wallet.passphrase', `${path} cannot be read (${error.code ?? 'failed'})`)
  })
  return notEmpty(content.replace(/\r?\n$/, ''))
}

/** Asks on the terminal without echo, or takes the first line of standard input. Throws PicoError `wallet.passphrase`. */
export async function readSecret({ stdin, err }: Asks, prompt: string): Promise<string> {
  const typed = 'isTTY' in stdin && stdin.isTTY ? await typedLine(stdin, prompt, err) : await firstLine(stdin)
  return notEmpty(typed)
}

async function firstLine(stdin: NodeJS.ReadableStream): Promise<string> {
  const lines = createInterface({ input: stdin })
  for await (const line of lines) {
    lines.close()
    return line
  }
  return ''
}

const CTRL_C = '\x03'
const CTRL_D = '\x04'
const ERASE = /[\x7f\b]/

function typedLine(stdin: NodeJS.ReadStream, prompt: string, err: (text: string) => void): Promise<string> {
  err(prompt)
  stdin.setRawMode(true)
  stdin.setEncoding('utf8')
  stdin.resume()
  return new Promise((resolve, reject) => {
    let typed = ''
    const end = (finish: () => void) => {
      stdin.off('data', take)
      stdin.setRawMode(false)
      stdin.pause()
      err('\n')
      finish()
    }
    const take = (chunk: Buffer | string) => {
      for (const character of String(chunk)) {
        if (character === CTRL_C) return end(() => reject(new PicoError('usage', 'Interrupted; nothing was changed.')))
        if (character === '\r' || character === '\n' || character === CTRL_D) return end(() => resolve(typed))
        typed = ERASE.test(character) ? typed.slice(0, -1) : typed + character
      }
    }
    stdin.on('data', take)
  })
}

function notEmpty(passphrase: string): string {
  if (passphrase === '') throw new PicoError('wallet.passphrase', 'The passphrase is empty.')
  return passphrase
}
