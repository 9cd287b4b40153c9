// What the browser tests share: a server (the fixture, or the one METSUKE_URL names), Chromium,
// signing in, and the checks every page must pass.
import assert from 'node:assert/strict';
import { mkdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';

import { chromium } from 'playwright-core';

import { serve } from './fixture/serve.mjs';

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
const WAIT_MS = 15_000;

/**
 * The fixture, or a running server; `live` tells which. METSUKE_CGROUP names the control group that
 * the running server's sensor watches, where a test may start processes of its own; METSUKE_EVIDENCE the
 * folder whose files that sensor may hand out.
 */
export async function target({ oneTime = 'no' } = {}) {
  const { METSUKE_URL: url, METSUKE_USER: user, METSUKE_PASSWORD: password, METSUKE_CGROUP: group, METSUKE_EVIDENCE: evidence } = process.env;
  if (!url) return { ...(await serve({ oneTime })), live: false };
  assert.ok(user && password, 'METSUKE_URL is set: set METSUKE_USER and METSUKE_PASSWORD too');
  return { url: url.replace(/\/$/u, ''), user, password, group, evidence, live: true, stop: async () => {} };
}

const API = new URL('../../openapi/openapi.json', import.meta.url);

/** Whether the server answers `path` (below /api/v1): the fixture everything, the product what it describes. */
export async function offers(site, path) {
  return !site.live || Object.hasOwn(JSON.parse(await readFile(API, 'utf8')).paths, `/api/v1${path}`);
}

export function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-dev-shm-usage'],
  });
}

/** What a page did that it must not. */
function watch(page, origin) {
  const faults = [];
  page.on('pageerror', (error) => faults.push(`error: ${error.message}`));
  page.on('console', (message) => {
    // Refused requests are logged by the browser itself; the tests that provoke them look at the page.
    if (message.type() === 'error' && !/status of (400|401|404|409|429)/u.test(message.text())) faults.push(`console: ${message.text()}`);
  });
  page.on('request', (request) => {
    const url = new URL(request.url());
    if (['http:', 'https:', 'ws:', 'wss:'].includes(url.protocol) && url.origin !== origin) faults.push(`foreign origin: ${request.url()}`);
  });
  return faults;
}

/** A fresh page with a language, a colour scheme and 1366×768. */
export async function open(browser, site, { language = 'en', scheme = 'light' } = {}) {
  const context = await browser.newContext({
    viewport: { width: 1366, height: 768 },
    colorScheme: scheme,
    reducedMotion: 'reduce',
    locale: language === 'ja' ? 'ja-JP' : 'en-GB',
  });
  context.setDefaultTimeout(WAIT_MS);
  await context.addInitScript(() => {
    globalThis.cspFaults = [];
    document.addEventListener('securitypolicyviolation', (event) => globalThis.cspFaults.push(`${event.violatedDirective}: ${event.blockedURI} ${event.sample}`));
  });
  const page = await context.newPage();
  const faults = watch(page, new URL(site.url).origin);
  return { context, page, faults };
}

async function submit(page, password) {
  await page.fill('input[autocomplete="current-password"]', password);
  await page.keyboard.press('Enter');
}

/** What `site`'s one-time password is changed to. */
const changed = (site) => process.env.METSUKE_NEW_PASSWORD ?? `${site.password}-changed`;

/**
 * Signs in; answers a one-time password with a new one, which `site` then remembers. On a live
 * server another file's tests may have changed it already: refused, the changed one is tried, once.
 */
export async function signIn(page, site) {
  await page.goto(`${site.url}/`);
  await page.fill('input[autocomplete="username"]', site.user);
  await submit(page, site.password);
  const fresh = page.locator('input[autocomplete="new-password"]');
  const refused = page.getByText('User name or password is wrong.').or(page.getByText('ユーザー名またはパスワードが違います。'));
  await page.locator('nav').or(fresh).or(refused).first().waitFor();
  if (site.live && (await refused.count())) {
    site.password = changed(site);
    await submit(page, site.password);
  } else if (await fresh.count()) {
    const password = changed(site);
    await fresh.fill(password);
    await submit(page, site.password);
    site.password = password;
  }
  await page.locator('nav').waitFor();
}

/** axe finds nothing, no CSP violation, no error, no foreign request, nothing wider than the window. */
export async function sound(page, faults, name) {
  if (!(await page.evaluate(() => 'axe' in globalThis))) await page.evaluate(await readFile(AXE, 'utf8'));
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
  const found = violations.map((one) => `${one.id}: ${one.nodes.slice(0, 3).map((node) => `${node.target} — ${node.failureSummary}`).join(' | ')}`);
  assert.deepEqual(found, [], `${name}: axe`);
  assert.deepEqual(await page.evaluate(() => globalThis.cspFaults), [], `${name}: Content-Security-Policy`);
  assert.deepEqual(faults, [], `${name}: errors`);
  const wide = await page.evaluate(() => {
    const boxes = [document.documentElement, ...document.querySelectorAll('.frame__main, .panel')];
    return Math.max(...boxes.map((box) => box.scrollWidth - box.clientWidth));
  });
  assert.ok(wide <= 0, `${name}: ${wide} px wider than the window`);
}

/** Tries again until `holds` does, or the time is up. */
export async function eventually(what, holds) {
  const deadline = Date.now() + WAIT_MS;
  while (!(await holds())) assert.ok(Date.now() < deadline, `${what}: not within ${WAIT_MS} ms`);
}

/** Keeps a picture when METSUKE_SHOTS names a folder. */
export async function shot(page, name) {
  const folder = process.env.METSUKE_SHOTS;
  if (!folder) return;
  await mkdir(folder, { recursive: true });
  await page.screenshot({ path: join(folder, `${name}.png`) });
}

export function notRun(test, reason) {
  process.stderr.write(`NOT RUN: ${test}: ${reason}\n`);
}
