// What `npm start` says: six lines and the invitation's QR, together within 80 columns by 24 rows for a short URL of
// up to 53 bytes (QR version 3). The code's rows stand alone, so that they can be cut out of a log and read.

import { isLoopbackName } from './config.ts'
import { terminalQr } from './qr.ts'

/** All that the start-up text is made of. */
export interface StartFacts {
  readonly version: string
  /** Console link with its one-time token. */
  readonly consoleUrl: string
  readonly didcommUrl: string
  readonly home: string
  readonly wallet: 'locked' | 'passphrase' | 'key file'
  /** Absent while locked. */
  readonly rootDid?: string
  readonly invitationUrl?: string
  /** Milliseconds from start to ready. */
  readonly started_ms: number
}

const WALLET: Record<StartFacts['wallet'], string> = {
  locked: 'locked: run `picomesh wallet unlock`',
  passphrase: 'unlocked by passphrase: guards the home, also whole copies of it',
  'key file': 'unlocked by key file: guards copies without it, not this account',
}

/** `colour`: the terminal takes escape sequences. Ends with a line break. */
export function banner(facts: StartFacts, colour = false): string {
  const lines = [
    `Picomesh ${facts.version} ready in ${(facts.started_ms / 1000).toFixed(1)} s, home ${facts.home}`,
    `console  ${facts.consoleUrl}`,
    `didcomm  ${facts.didcommUrl} (${reachable(facts.didcommUrl)})`,
    `wallet   ${WALLET[facts.wallet]}`,
  ]
  if (facts.rootDid !== undefined) lines.push(`root     ${facts.rootDid}`)
  if (facts.invitationUrl !== undefined)
    lines.push(`invite   ${facts.invitationUrl}`, ...terminalQr(facts.invitationUrl, colour))
  return `${lines.join('\n')}\n`
}

function reachable(didcommUrl: string): string {
  return isLoopbackName(new URL(didcommUrl).hostname) ? 'from this machine only' : 'from where that name leads here'
}
