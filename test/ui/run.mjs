// `npm run test:ui`: the console in a real Chromium over two real engines, by clicking only. Every step leaves a
// screenshot; an error in the browser's console or on the page fails the run. Exit 2 without a Chromium.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const SCREENSHOTS = fileURLToPath(new URL('./screenshots/', import.meta.url))
const BROWSERS = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']
const QUIET = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]
/** Longest wait for anything to appear, ms. */
const PATIENCE_MS = 15_000
const MANY = 200
/** A frame that takes longer than this while 200 boxes are moved is a freeze, ms. */
const FREEZE_MS = 500

const RULESETS = {
  '/hello.krl': `ruleset hello {
  meta {
    name "Hello"
    version "1.2.0"
    shares count
  }
  global {
    count = function(name) { name => ent:names.defaultsTo({}){name} | ent:n.defaultsTo(0) }
  }
  rule greet {
    select when echo hello name re#(.+)# setting(who)
    send_directive("say", {"text": meta:rulesetConfig{"greeting"} + " " + who})
    fired {
      ent:n := ent:n.defaultsTo(0) + 1
      ent:names{who} := ent:names{who}.defaultsTo(0) + 1
    }
  }
}
`,
  '/broken.krl': `ruleset broken {
  rule typo {
    select when echo hello
    send_directive("say" {})
  }
}
`,
}

const browserPath = BROWSERS.find(path => path !== undefined && existsSync(path))
if (browserPath === undefined) {
  console.error('There is no Chromium on this machine. `apt-get install -y chromium` brings one on Debian and Ubuntu;')
  console.error('any other is named by CHROMIUM=/path/to/chromium.')
  process.exit(2)
}

rmSync(SCREENSHOTS, { recursive: true, force: true })
mkdirSync(SCREENSHOTS, { recursive: true })
/** What is to be ended, last first. */
const cleanups = []
const faults = []
/** Refusals that a step provokes: the browser reports each as a failed load. */
let provoked = 0
let shots = 0

async function story() {
  const files = await serveRulesets()
  const [engineA, engineB] = await Promise.all([startEngine('a'), startEngine('b')])
  const browser = await chromium.launch({ executablePath: browserPath, args: QUIET })
  cleanups.push(() => browser.close())
  const a = await openConsole(browser, engineA, 'light')
  const b = await openConsole(browser, engineB, 'dark')
  const rootA = await onlyPico(a)
  const rootB = await onlyPico(b)

  await step('the one-time token leaves the address and opens once', async () => {
    assert.ok(!a.url().includes('token'), a.url())
    const stranger = await browser.newContext()
    const page = await stranger.newPage()
    await page.goto(engineA.link)
    await page.getByText('no session').waitFor()
    await stranger.close()
  })

  await step('a child is made', async () => {
    await openPico(a, rootA)
    await a.getByLabel('Name of a new child').fill('lamp')
    await a.getByRole('button', { name: 'Add child' }).click()
    await box(a, 'lamp').waitFor()
    await shot(a, 'child')
  })

  await step('a ruleset that does not compile says where, and the form keeps its URL', async () => {
    await openPico(a, 'lamp')
    await openTab(a, 'Rulesets')
    await a.getByLabel('URL').fill(`${files}/broken.krl`)
    provoked++
    await a.getByRole('button', { name: 'Install', exact: true }).click()
    const alert = a.getByRole('alert')
    await alert.waitFor()
    assert.match(await alert.textContent(), /4:\d+/)
    assert.equal(await a.getByLabel('URL').inputValue(), `${files}/broken.krl`)
    await shot(a, 'compile-error')
  })

  await step('a ruleset is installed by URL with a configuration', async () => {
    await a.getByLabel('URL').fill(`${files}/hello.krl`)
    await a.getByLabel('Configuration').fill('{"greeting": "Good day"}')
    await a.getByRole('button', { name: 'Install', exact: true }).click()
    const card = a.getByRole('region', { name: 'hello', exact: true })
    await card.waitFor()
    assert.match(await card.textContent(), /1\.2\.0[\s\S]*Good day/)
    await card.getByRole('button', { name: 'Flush' }).click()
    await card.getByText('fetched and compiled anew').waitFor()
    await shot(a, 'rulesets')
  })

  await step('an event is sent and a query asked through generated forms', async () => {
    await openTab(a, 'Testing')
    const event = a.getByRole('form', { name: 'echo:hello' })
    await event.getByLabel('name').fill('Ann')
    await event.getByRole('button', { name: 'Raise' }).click()
    await answer(a, 'echo:hello').getByText('"Good day Ann"').waitFor()
    await a.getByRole('form', { name: 'count(name)' }).getByRole('button', { name: 'Ask' }).click()
    await answer(a, 'count(name)').getByText('1', { exact: true }).waitFor()
    await shot(a, 'testing')
  })

  await step('its entity variables and its log are shown', async () => {
    await openTab(a, 'State')
    await a.getByRole('region', { name: 'hello', exact: true }).getByText('ent:n:').waitFor()
    await a.getByText('Ann:').waitFor()
    await shot(a, 'state')
    await openTab(a, 'Logging')
    await a.getByRole('list', { name: 'Log' }).getByRole('listitem').first().waitFor()
    await shot(a, 'logging')
  })

  await step('a channel is made, its policy holds, it is deleted', async () => {
    await openTab(a, 'Channels')
    await a.getByLabel('Tags').fill('webhook, test')
    await a.getByLabel('Queries it lets through').fill('hello/count')
    await a.getByRole('button', { name: 'Make channel' }).click()
    const card = a.getByRole('region', { name: 'Channel webhook, test' })
    await card.getByText('hello/count').waitFor()
    await shot(a, 'channels')
    await openTab(a, 'Testing')
    await a.getByLabel('As', { exact: true }).selectOption({ index: await optionOf(a, 'webhook') })
    const event = a.getByRole('form', { name: 'echo:hello' })
    await event.getByLabel('name').fill('Eve')
    provoked++
    await event.getByRole('button', { name: 'Raise' }).click()
    await a.getByRole('alert').getByText('policy.denied').waitFor()
    assert.equal(await event.getByLabel('name').inputValue(), 'Eve')
    await shot(a, 'policy')
    await openTab(a, 'Channels')
    await card.getByRole('button', { name: 'Delete' }).click()
    await card.getByRole('button', { name: 'Yes, delete' }).click()
    await card.waitFor({ state: 'detached' })
  })

  await step('an invitation of A is accepted on B; both see it established without a reload', async () => {
    await openTab(a, 'Connections')
    await a.getByLabel('Label the other side sees').fill('the <b>lamp</b>')
    await a.getByRole('button', { name: 'Make invitation' }).click()
    await a.getByRole('img', { name: 'QR code of the invitation' }).waitFor()
    await shot(a, 'invitation')
    const url = await a.getByRole('region', { name: 'Invitation' }).locator('code').first().getAttribute('title')
    await a.getByRole('button', { name: 'Done' }).click()
    await accept(b, rootB, url)
    await connection(b, 'the <b>lamp</b>').getByText('established').waitFor()
    await connection(a, rootB).getByText('established').waitFor()
    await b.getByRole('button', { name: /^Peer the <b>lamp/ }).waitFor()
    await shot(a, 'connected-a')
    await shot(b, 'connected-b')
  })

  await step('ping and messages cross both ways', async () => {
    const there = connection(b, 'the <b>lamp</b>')
    await there.getByRole('button', { name: 'Ping' }).click()
    await there.getByText(/answered in \d/).waitFor()
    await there.getByLabel('Message', { exact: true }).fill('hello <i>lamp</i>')
    await there.getByRole('button', { name: 'Send' }).click()
    await a.getByRole('list', { name: 'Messages' }).getByText('hello <i>lamp</i>').waitFor()
    await a.getByLabel('Message', { exact: true }).fill('hello yourself')
    await a.getByRole('button', { name: 'Send' }).click()
    await there.getByText('hello yourself').waitFor()
    await shot(b, 'messages')
  })

  await step('an invitation that asks for approval waits for it', async () => {
    await a.getByLabel('Label the other side sees').fill('careful')
    await a.getByLabel('Wait for my approval').check()
    await a.getByRole('button', { name: 'Make invitation' }).click()
    const url = await a.getByRole('region', { name: 'Invitation' }).locator('code').first().getAttribute('title')
    await a.getByRole('button', { name: 'Done' }).click()
    await accept(b, rootB, url)
    await a.getByRole('button', { name: 'Approve' }).click()
    await connection(b, 'careful').getByText('established').waitFor()
    await shot(a, 'approved')
    await connection(b, 'careful').getByRole('button', { name: 'Remove' }).click()
    await connection(b, 'careful').getByRole('button', { name: 'Yes, remove' }).click()
    await connection(b, 'careful').getByText('established').waitFor({ state: 'detached' })
  })

  await step('a pico is renamed', async () => {
    await openTab(a, 'About')
    await a.getByRole('button', { name: 'rename' }).click()
    await a.getByLabel('New name').fill('desk lamp')
    await a.getByRole('button', { name: 'Rename', exact: true }).click()
    await box(a, 'desk lamp').waitFor()
    await shot(a, 'renamed')
  })

  await step('the keyboard reaches boxes and tabs', async () => {
    await box(a, rootA).focus()
    await a.keyboard.press('Enter')
    await a.getByRole('complementary', { name: `Pico ${rootA}` }).waitFor()
    await a.getByRole('tab', { name: 'About' }).focus()
    await a.keyboard.press('ArrowRight')
    assert.equal(await a.getByRole('tab', { name: 'Rulesets' }).getAttribute('aria-selected'), 'true')
    await a.keyboard.press('ArrowLeft')
  })

  await step('a pico is deleted', async () => {
    const row = a.getByRole('listitem').filter({ hasText: 'desk lamp' })
    await row.getByRole('button', { name: 'Delete' }).click()
    await shot(a, 'delete')
    await row.getByRole('button', { name: 'Yes, delete' }).click()
    await box(a, 'desk lamp').waitFor({ state: 'detached' })
    await shot(a, 'deleted')
  })

  await step('nothing is asked while nothing happens', async () => {
    await a.waitForTimeout(1000)
    const asked = []
    a.on('request', request => asked.push(request.url()))
    await a.waitForTimeout(3000)
    assert.deepEqual(asked, [])
  })

  await step(`${MANY} picos are drawn live and moved without freezing`, async () => {
    await a.getByRole('button', { name: 'Close' }).click()
    await makeMany(a, rootA)
    await a.getByText(`${MANY} picos`).waitFor()
    await box(a, `p${MANY - 2}`).waitFor()
    await a.getByRole('button', { name: 'Fit' }).click()
    await a.waitForTimeout(500)
    const worst_ms = await longestFrame(a)
    await shot(a, 'many')
    assert.ok(worst_ms < FREEZE_MS, `a frame took ${worst_ms} ms`)
    console.log(`  longest frame ${Math.round(worst_ms)} ms`)
  })

  await step('no page was loaded twice', async () => {
    for (const page of [a, b]) assert.equal(await page.evaluate(() => globalThis.loadedOnce), true)
  })
}

async function step(title, run) {
  const began = performance.now()
  try {
    await run()
    console.log(`✓ ${title} (${Math.round(performance.now() - began)} ms)`)
  } catch (error) {
    console.error(`✗ ${title}`)
    throw error
  }
}

// ---- the pages ---------------------------------------------------------------------------------------------------

async function openConsole(browser, engine, colorScheme) {
  const context = await browser.newContext({ viewport: { width: 1360, height: 820 }, colorScheme })
  const page = await context.newPage()
  page.setDefaultTimeout(PATIENCE_MS)
  page.on('pageerror', error => faults.push(`page error at ${engine.name}: ${error.stack ?? error.message}`))
  page.on('console', message => {
    if (message.type() !== 'error' && message.type() !== 'warning') return
    if (/status of 4\d\d/.test(message.text()) && provoked-- > 0) return
    faults.push(`console ${message.type()} at ${engine.name}: ${message.text()}`)
  })
  await page.goto(engine.link)
  await page.getByText('live', { exact: true }).waitFor()
  await page.evaluate(() => {
    globalThis.loadedOnce = true
  })
  await shot(page, `start-${engine.name}`)
  // A page that goes wrong shows how.
  cleanups.push(async () => faults.length > 0 && (await shot(page, `end-${engine.name}`)))
  return page
}

const box = (page, name) => page.getByRole('button', { name: `Pico ${name}`, exact: true })
const connection = (page, label) => page.getByRole('region', { name: `Connection ${label}` })
const answer = (page, title) => page.getByRole('status', { name: `Answer of ${title}` })
const openTab = (page, name) => page.getByRole('tab', { name }).click()

/** The name of the pico that a new engine has. */
async function onlyPico(page) {
  const first = page.getByRole('button', { name: /^Pico / })
  await first.waitFor()
  return (await first.getAttribute('aria-label')).slice('Pico '.length)
}

async function openPico(page, name) {
  await box(page, name).click()
  await page.getByRole('complementary', { name: `Pico ${name}` }).waitFor()
}

async function accept(page, pico, url) {
  await openPico(page, pico)
  await openTab(page, 'Connections')
  await page.getByLabel('Invitation (URL or JSON)').fill(url)
  await page.getByRole('button', { name: 'Accept', exact: true }).click()
}

async function optionOf(page, text) {
  const options = await page.getByLabel('As', { exact: true }).locator('option').allInnerTexts()
  return options.findIndex(option => option.includes(text))
}

/** Enough children for a full map, over the page's own session; the map learns of them by the stream. */
async function makeMany(page, parent) {
  await page.evaluate(
    async ({ parent, number }) => {
      for (let n = 1; n < number; n += 4)
        await Promise.all(
          [0, 1, 2, 3].map(async more => {
            if (n + more >= number) return
            const body = JSON.stringify({ verb: 'pico.new', args: { name: `p${n + more - 1}`, parent } })
            const headers = { 'content-type': 'application/json' }
            const response = await fetch('api/verb', { method: 'POST', headers, body })
            if (!response.ok) throw new Error(await response.text())
          }),
        )
    },
    { parent, number: MANY },
  )
}

/** While a box is dragged around and the map is zoomed, ms. */
async function longestFrame(page) {
  const watching = page.evaluate(async () => {
    let longest = 0
    let last = performance.now()
    for (const end = last + 2500; last < end; ) {
      await new Promise(requestAnimationFrame)
      const now = performance.now()
      longest = Math.max(longest, now - last)
      last = now
    }
    return longest
  })
  const { x, y, width, height } = await box(page, 'p0').boundingBox()
  await page.mouse.move(x + width / 2, y + height / 2)
  await page.mouse.down()
  await page.mouse.move(x + 120, y + 90, { steps: 30 })
  await page.mouse.up()
  for (let n = 0; n < 10; n++) await page.mouse.wheel(0, n < 5 ? -120 : 120)
  return watching
}

async function shot(page, name) {
  // Opening and closing moves the picture for some frames.
  await page.waitForTimeout(150)
  await page.screenshot({ path: join(SCREENSHOTS, `${String(++shots).padStart(2, '0')}-${name}.png`) })
}

// ---- the world ---------------------------------------------------------------------------------------------------

/** An engine of its own home on free ports: its name and console link. */
async function startEngine(name) {
  const home = mkdtempSync(join(tmpdir(), `picomesh-ui-${name}-`))
  const env = { ...process.env, PICOMESH_HOME: home, PORT: '0', PICOMESH_ADMIN_PORT: '0' }
  const child = spawn(process.execPath, [join(ROOT, 'dist', 'src', 'cli.js'), 'start'], { env })
  const ended = new Promise(resolve => child.once('exit', resolve))
  cleanups.push(async () => {
    child.kill('SIGTERM')
    await ended
    rmSync(home, { recursive: true, force: true })
  })
  const link = await linkOf(child, name)
  // Written after the text: ready is what it says.
  const file = join(home, 'engine.json')
  for (const end = Date.now() + PATIENCE_MS; !existsSync(file) && Date.now() < end; ) await sleep(20)
  const { adminUrl } = JSON.parse(readFileSync(file, 'utf8'))
  assert.ok(link.startsWith(`${adminUrl}/#`), `${link} is no link of ${adminUrl}`)
  return { name, link }
}

/** The first URL with a fragment in the start-up text. */
function linkOf(child, name) {
  return new Promise((resolve, reject) => {
    let text = ''
    const take = chunk => {
      text += chunk
      const link = /https?:\/\/\S+#\S+(?=\s)/.exec(text)?.[0]
      if (link !== undefined) resolve(link)
    }
    child.stdout.on('data', take)
    child.stderr.on('data', take)
    child.once('error', reject)
    child.once('exit', code => reject(new Error(`engine ${name} ended with ${code}:\n${text}`)))
    setTimeout(() => reject(new Error(`engine ${name} shows no console link:\n${text}`)), PATIENCE_MS).unref()
  })
}

async function serveRulesets() {
  const server = createServer((request, response) => {
    const text = RULESETS[request.url]
    response.writeHead(text === undefined ? 404 : 200, { 'content-type': 'text/plain' })
    response.end(text)
  })
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve))
  cleanups.push(() => server.close())
  return `http://127.0.0.1:${server.address().port}`
}

try {
  await story()
} catch (error) {
  faults.push(error instanceof Error ? (error.stack ?? error.message) : String(error))
} finally {
  for (const end of cleanups.reverse()) await end()
}
for (const fault of faults) console.error(fault)
console.log(faults.length === 0 ? `console: all steps passed, ${shots} screenshots in test/ui/screenshots` : 'failed')
process.exitCode = faults.length === 0 ? 0 : 1
