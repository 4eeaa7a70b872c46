// The page behind a short invitation URL for people with a browser (RFC 0434, "Short URLs"): what this is, a code to
// scan, a link to open. One document without scripts or outside assets; everything that came from someone is escaped.

import type { InvitationView } from './agent.ts'
import { svgQr } from './qr.ts'

const STYLE = `body{font:16px/1.5 system-ui,sans-serif;max-width:34rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}
h1{font-size:1.4rem;overflow-wrap:anywhere}svg{display:block;width:min(20rem,100%);margin:1.5rem auto}
a.open{display:block;text-align:center;padding:.7rem;border:1px solid #222;border-radius:.4rem;color:inherit;text-decoration:none}
code{display:block;overflow-wrap:anywhere;font-size:.85rem;background:#f3f3f3;padding:.6rem}`

/** Only its own inline style may run; `didcomm:` links are navigation and need no source. */
export const PAGE_POLICY =
  "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

/** `shortUrl` is where this page stands: the code holds it, as it is the one that fits any screen. */
export function invitationPage(view: InvitationView, shortUrl: string): string {
  const label = escapeHtml(view.label)
  if (view.state !== 'open')
    return page(
      'Invitation no longer valid',
      `<h1>This invitation was ${view.state === 'used' ? 'used already' : 'valid for a time that is over'}</h1>
<p>Ask <b>${label}</b> for a new one.</p>`,
    )
  const goal = view.goal ? `<p>Purpose: ${escapeHtml(view.goal)}</p>` : ''
  return page(
    'Invitation',
    `<h1>${label} invites you to connect</h1>
${goal}<p>Scan this code with a wallet or agent that speaks DIDComm.</p>
${svgQr(shortUrl)}
<p><a class="open" href="${escapeHtml(deepLink(view.url))}">Open in a wallet on this device</a></p>
<p>Or copy this address into your agent:</p><code>${escapeHtml(shortUrl)}</code>
<p>With Picomesh: <code>picomesh accept PICO ${escapeHtml(shortUrl)}</code></p>
<p>No wallet yet? Any that reads Aries out-of-band invitations will do. Connecting gives ${label} a way to send you
messages, and you one to answer; nothing else is shared until you agree to it.</p>`,
  )
}

/** For an id that leads nowhere. */
export function missingPage(): string {
  return page(
    'No such invitation',
    '<h1>There is no invitation here</h1><p>The link may be cut off. Ask for a new one.</p>',
  )
}

/** Wallets register `didcomm://`; the query is that of the long URL (`oob`, or `_oob` for v2). */
function deepLink(url: string): string {
  return `didcomm://invite${new URL(url).search}`
}

function page(title: string, body: string): string {
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="referrer" content="no-referrer"><title>${title}</title><style>${STYLE}</style></head><body>${body}</body></html>\n`
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, character => `&#${character.charCodeAt(0)};`)
}
