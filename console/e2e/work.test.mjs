// An analyst's way through the console, by keyboard where there is one: sign in, triage, follow an
// alert into the tree, pivot to search, end a process, change language and theme, sign out.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, it } from 'node:test';

import { fullDisk } from './fixture/world.mjs';
import { sleeper } from './process.mjs';
import { eventually, launch, notRun, open, shot, signIn, sound, target } from './support.mjs';

let site;
let browser;
let page;
let faults;
before(async () => {
  site = await target({ oneTime: 'yes' });
  browser = await launch();
  ({ page, faults } = await open(browser, site));
});
after(async () => {
  await browser?.close();
  await site?.stop();
});

const search = () => new URL(page.url()).searchParams;
const clean = (name) => sound(page, faults, name);

it('a wrong password is refused in words, the right one leads on to where one wanted to be', async () => {
  await page.goto(`${site.url}/alerts?sort=last`);
  await page.waitForURL('**/sign-in?**');
  await page.fill('input[autocomplete="username"]', site.user);
  await page.fill('input[autocomplete="current-password"]', 'wrong');
  await page.keyboard.press('Enter');
  await page.getByText('User name or password is wrong.').waitFor();
  await clean('refused sign-in');
  const oneTime = site.password;
  await signIn(page, site);
  if (!site.live) assert.notEqual(site.password, oneTime, 'the one-time password was not asked to be changed');
  await page.goto(`${site.url}/`);
  await page.locator('.tiles').waitFor();
});

it('triage by keyboard: move, select, assign, set the status', async () => {
  await page.keyboard.press('g');
  await page.keyboard.press('a');
  await page.locator('tr[data-alert]').first().waitFor();
  const alerts = await page.locator('tr[data-alert]').evaluateAll((rows) => rows.map((row) => row.dataset.alert));
  await page.keyboard.press('j');
  await page.locator(`tr[data-alert="${alerts[0]}"][data-focus="true"]`).waitFor();
  assert.equal(search().get('at'), alerts[0]);
  if (alerts.length > 1) {
    await page.keyboard.press('j');
    await page.locator(`tr[data-alert="${alerts[1]}"][data-focus="true"]`).waitFor();
    await page.keyboard.press('k');
  }
  await page.keyboard.press('x');
  await page.locator('.bulk[data-shown="yes"]').waitFor();
  await page.keyboard.press('a');
  await page.locator(`tr[data-alert="${alerts[0]}"] td:nth-child(9)`, { hasText: site.user }).waitFor();
  await page.keyboard.press('s');
  await page.getByRole('menuitem', { name: 'In progress' }).waitFor();
  await clean('status menu');
  await page.getByRole('menuitem', { name: 'In progress' }).click();
  await page.locator(`tr[data-alert="${alerts[0]}"] .chip`, { hasText: 'In progress' }).waitFor();
  await shot(page, 'work-triage');
  await page.keyboard.press('Escape');
});

it('facets narrow, and the URL says how', async () => {
  const level = page.getByRole('group', { name: 'Level' }).getByRole('button').first();
  await level.click();
  await page.waitForFunction(() => new URLSearchParams(location.search).has('level'));
  const counted = Number(await level.locator('.facet__count').innerText());
  await page.waitForFunction((wanted) => document.querySelectorAll('tr[data-alert]').length === wanted, counted);
  await page.goBack();
  await page.waitForFunction(() => !new URLSearchParams(location.search).has('level'));
});

it('highlights, tree, graph and timeline share one selection, kept in the URL', async () => {
  await page.locator('tr[data-alert]').first().waitFor();
  await page.keyboard.press('j');
  await page.locator('tr[data-focus="true"]').waitFor();
  await page.keyboard.press('Enter');
  await page.locator('.step').first().waitFor();
  await page.locator('.outline__row').first().waitFor();
  await page.keyboard.press('j');
  await page.locator('.step[data-lit="yes"]').first().waitFor();
  const key = await page.locator('.step[aria-pressed="true"]').getAttribute('data-highlight');
  assert.equal(search().get('sel'), `h:${key}`);
  const uid = await page.locator('.outline__row[aria-selected="true"]').getAttribute('data-uid');
  await page.getByText('Why it fired').waitFor();
  await page.getByRole('tab', { name: 'Timeline' }).click();
  await page.locator('.timeline__row[data-lit="yes"]').first().waitFor();
  await shot(page, 'work-selection-timeline');
  await page.getByRole('tab', { name: 'Graph' }).click();
  await page.locator('.gnode[data-lit="chosen"]').waitFor();
  await page.reload();
  await page.locator('.gnode[data-lit="chosen"]').waitFor();
  assert.equal(search().get('sel'), `h:${key}`);
  await page.getByRole('tab', { name: 'Process tree' }).click();
  await page.locator(`.outline__row[data-uid="${uid}"][aria-selected="true"]`).waitFor();
  const other = page.locator('.outline__row[aria-selected="false"]').first();
  const otherUid = await other.getAttribute('data-uid');
  await other.focus();
  await page.keyboard.press('Enter');
  await page.waitForFunction((wanted) => new URLSearchParams(location.search).get('sel') === `p:${wanted}`, otherUid);
  await clean('alert with a selection');
  await page.goBack();
  await page.locator(`.outline__row[data-uid="${uid}"][aria-selected="true"]`).waitFor();
});

it('the score stands in parts that add up', async () => {
  await page.getByRole('tab', { name: 'Score' }).click();
  const points = await page.locator('.parts td.num').allInnerTexts();
  const sum = points.reduce((total, text) => total + Number(text.replace(',', '')), 0);
  const said = Number((await page.getByText('The parts add up to').innerText()).match(/[\d.]+/u)?.[0].replace(/\.$/u, ''));
  assert.ok(points.length > 0 && Math.abs(sum - said) < points.length * 0.06, `${sum} against ${said}`);
});

it('every value has one menu: by keyboard, to a search across the fleet', async () => {
  await page.getByRole('tab', { name: 'Details' }).click();
  const value = page.locator('.alert__side dd .val').first();
  await value.focus();
  await page.keyboard.press('Shift+F10');
  const menu = page.getByRole('menu');
  await menu.waitFor();
  await clean('value menu');
  await shot(page, 'work-value-menu');
  await page.keyboard.press('Escape');
  assert.equal(await menu.count(), 0);
  await page.keyboard.press('Enter');
  await menu.getByRole('menuitem', { name: 'Search the fleet for this' }).click();
  await page.waitForURL('**/search?**');
  await page.locator('.erow[data-event]').first().waitFor();
  assert.match(search().get('q') ?? '', /:/u);
});

it('search: completion, filter in, an opened activity, brush, syntax errors', async () => {
  await page.goto(`${site.url}/search?range=24h`);
  await page.locator('.erow[data-event]').first().waitFor();
  await page.keyboard.press('/');
  await page.keyboard.type('process.us');
  await page.getByRole('option').filter({ hasText: 'process.user.name' }).first().waitFor();
  await clean('completion');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  await page.getByRole('option').filter({ hasText: 'root' }).first().waitFor();
  await shot(page, 'work-completion');
  await page.keyboard.type('root');
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => (new URLSearchParams(location.search).get('q') ?? '').endsWith(':root'));
  await page.locator('.erow[data-event]').first().waitFor();
  await page.locator('.erow[data-event]').first().click({ position: { x: 20, y: 12 } });
  await page.getByRole('complementary', { name: 'Activity' }).waitFor();
  assert.ok(search().get('open'));
  await page.locator('.search__panel dd .val').filter({ hasText: 'root' }).first().click();
  await page.getByRole('menuitem', { name: 'Filter out' }).click();
  await page.waitForFunction(() => (new URLSearchParams(location.search).get('q') ?? '').includes('NOT '));
  await page.goto(`${site.url}/search?range=24h`);
  const bars = page.locator('.picture svg.hist');
  await bars.waitFor();
  const box = await bars.boundingBox();
  await page.mouse.move(box.x + box.width * 0.6, box.y + 20);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.9, box.y + 20, { steps: 4 });
  await page.mouse.up();
  await page.waitForFunction(() => new URLSearchParams(location.search).has('from'));
  await page.goto(`${site.url}/search?q=${encodeURIComponent('((')}`);
  await page.locator('.query__error').waitFor();
  await clean('syntax error');
  await shot(page, 'work-syntax-error');
});

it('hostile text is shown, not obeyed', async () => {
  if (site.live) return notRun('hostile text', 'needs the fixture');
  await page.goto(`${site.url}/search?q=${encodeURIComponent('process.pid:4131')}`);
  await page.locator('.erow[data-event]').first().waitFor();
  const text = await page.locator('.search__rows').innerText();
  assert.ok(text.includes('\\u{202e}') && text.includes('\\u{0007}'), text);
  for (const mark of ['\u202e', '\u200b', '\u0007']) assert.ok(!text.includes(mark));
});

it('terminate: asks for a reason, then shows the states as they come', async () => {
  if (site.live) return endProcess();
  const alert = site.world.alerts[0];
  await page.goto(`${site.url}/alerts/${alert.id}?sel=p:${encodeURIComponent(site.world.uid(4140))}`);
  await page.locator('.outline__row[aria-selected="true"]').waitFor();
  await page.locator('.alerthead').getByRole('button', { name: 'Terminate…' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByText('bash -i').waitFor();
  await dialog.getByRole('button', { name: 'Terminate' }).click();
  await dialog.getByText('Give a reason.').waitFor();
  await dialog.getByLabel('The whole storyline').check();
  await dialog.getByLabel('Reason').fill('reverse shell, confirmed');
  await clean('terminate dialog');
  await shot(page, 'work-terminate');
  await dialog.getByRole('button', { name: 'Terminate' }).click();
  await page.locator('.plan').waitFor();
  await shot(page, 'work-plan');
  await page.locator('.plan[data-state="done"]').waitFor();
  await clean('plan done');
});

it('evidence: says what is missing, sends what was chosen, then shows the states as they come', async () => {
  if (site.live) return notRun('evidence', 'asks a host for a file; the product tests do it');
  const id = site.world.endpoints[0].id;
  await page.goto(`${site.url}/endpoints/${id}?tab=evidence`);
  await page.getByRole('button', { name: 'Collect a file…' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('button', { name: 'Send' }).click();
  await dialog.getByText('Give an absolute path.').waitFor();
  await dialog.getByText('Give a reason.').waitFor();
  await dialog.getByLabel('File (absolute path)').fill('/tmp/.cache-7/p');
  await dialog.getByLabel('Reason').fill('what was downloaded');
  assert.equal(await dialog.getByText('Give a').count(), 0, 'what is given is no longer asked for');
  await clean('evidence dialog');
  await shot(page, 'work-evidence');
  const sent = page.waitForRequest((request) => request.method() === 'POST' && request.url().endsWith('/responses'));
  await dialog.getByRole('button', { name: 'Send' }).click();
  assert.deepEqual((await sent).postDataJSON(), { verb: 'collect', endpoint: id, path: '/tmp/.cache-7/p', reason: 'what was downloaded' });
  await page.locator('.plan[data-state="done"]').first().waitFor();
  await clean('evidence plan');
  const link = page.locator(`tr[data-artifact="${site.world.artifacts[0].plan}"] a`);
  assert.equal(await link.getAttribute('href'), `/api/v1/artifacts/${site.world.artifacts[0].plan}/content`);
  await page.goto(`${site.url}/endpoints/${id}?tab=crossview`);
  await page.getByRole('button', { name: 'Compare now…' }).click();
  await dialog.getByLabel('Reason').fill('an alert');
  await dialog.getByRole('button', { name: 'Send' }).click();
  await page.locator('.plan').filter({ hasText: 'Cross-view' }).first().waitFor();
});

it('alert: the executable of a process is asked for from its profile', async () => {
  const id = site.live ? await liveAlert() : site.world.alerts[0].id;
  if (!id) return notRun('evidence from an alert', 'the server has no alert');
  if (site.live && !site.evidence) return notRun('evidence from an alert', 'METSUKE_EVIDENCE names no folder of the sensor');
  await page.goto(`${site.url}/alerts/${id}`);
  const side = page.locator('.alert__side');
  const path = await executable(side);
  assert.match(path, /^\//u);
  await side.getByRole('button', { name: 'Collect…' }).click();
  const dialog = page.getByRole('dialog');
  assert.equal(await dialog.getByLabel('File (absolute path)').inputValue(), path);
  await dialog.getByLabel('Reason').fill('what was run');
  await clean('evidence from an alert');
  await shot(page, 'work-alert-evidence');
  const sent = page.waitForRequest((request) => request.method() === 'POST' && request.url().endsWith('/responses'));
  await dialog.getByRole('button', { name: 'Send' }).click();
  const asked = (await sent).postDataJSON();
  assert.deepEqual([asked.verb, asked.path, asked.alert], ['collect', path, id]);
  await page.locator('.plan[data-state="done"], .plan[data-state="failed"]').first().waitFor();
  assert.equal(await page.locator('.plan[data-state="failed"]').count(), 0, await page.locator('.plan').first().innerText());
  await clean('evidence of an alert came');
});

async function liveAlert() {
  await page.goto(`${site.url}/alerts`);
  const row = page.locator('tr[data-alert]').first();
  await row.or(page.locator('.blank p')).first().waitFor();
  return (await row.count()) ? row.getAttribute('data-alert') : undefined;
}

/** Chooses a process of the tree and gives its executable's path; of a live host's one that the sensor may hand out. */
async function executable(side) {
  const rows = page.locator('.outline__row');
  await rows.first().waitFor();
  for (let number = site.live ? 0 : 2; number < (await rows.count()); number++) {
    const row = rows.nth(number);
    await row.click();
    await page.locator(`.outline__row[data-uid="${await row.getAttribute('data-uid')}"][aria-selected="true"]`).waitFor();
    const path = await side.locator('dt', { hasText: 'Executable' }).locator('xpath=following-sibling::dd[1]').innerText();
    if (!site.live || (path.startsWith(`${site.evidence}/`) && existsSync(path))) return path;
  }
  return assert.fail('no process of the alert has an executable that is still there');
}

/** A real process: found on its endpoint, ended from there, gone as seen from here. */
async function endProcess() {
  if (!site.group) return notRun('terminate', 'METSUKE_CGROUP names no control group of the sensor');
  const sleep = await sleeper(site.group);
  try {
    await page.goto(`${site.url}/endpoints`);
    const id = await page.locator('tr[data-endpoint]').first().getAttribute('data-endpoint');
    const row = page.locator('.tabs__panel tr').filter({ hasText: sleep.line });
    await eventually('the process on its endpoint', async () => {
      await page.goto(`${site.url}/endpoints/${id}?tab=processes`);
      await page.locator('.tabs__panel tr, .tabs__panel .blank p').first().waitFor();
      return (await row.count()) > 0;
    });
    assert.ok((await row.innerText()).includes(String(sleep.pid)), 'the row names another process');
    await row.getByRole('button', { name: 'Terminate…' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText(sleep.line).waitFor();
    await dialog.getByRole('button', { name: 'Terminate' }).click();
    await dialog.getByText('Give a reason.').waitFor();
    assert.ok(existsSync(`/proc/${sleep.pid}`), 'nothing is ended without a reason');
    await dialog.getByLabel('Reason').fill('a drill: a process of the test');
    await shot(page, 'live-terminate');
    await dialog.getByRole('button', { name: 'Terminate' }).click();
    const plan = page.locator('.plan').filter({ hasText: 'a drill: a process of the test' });
    await plan.and(page.locator('[data-state="done"]')).waitFor();
    assert.equal(await sleep.ended, 'SIGKILL');
    assert.ok(!existsSync(`/proc/${sleep.pid}`), 'the process is still there');
    await clean('plan done');
    await shot(page, 'live-plan');
  } finally {
    await sleep.stop();
  }
}

it('two people at once: the later one is told', async () => {
  if (site.live) return conflict();
  const alert = site.world.alerts[1];
  await page.goto(`${site.url}/alerts/${alert.id}`);
  await page.locator('.alerthead').waitFor();
  alert.version += 1;
  await page.keyboard.press('a');
  await page.getByText('Someone else changed this alert').waitFor();
});

/** Two accounts in two browsers; the first one's live updates are cut off, so that it knows less. */
async function conflict() {
  const other = { ...site, user: 'second', password: 'a password for one time' };
  const made = await page.evaluate(async (account) => {
    const session = await (await fetch('/api/v1/session')).json();
    const headers = { 'Content-Type': 'application/json', 'X-CSRF': session.csrf_token };
    const answer = await fetch('/api/v1/users', { method: 'POST', headers, body: JSON.stringify(account) });
    return answer.status;
  }, { name: other.user, password: other.password, role: 'analyst' });
  assert.equal(made, 201);
  const second = await open(browser, site);
  const first = await open(browser, site);
  await first.context.route('**/api/v1/stream', (route) => route.abort());
  await signIn(second.page, other);
  await signIn(first.page, site);
  const id = await page.goto(`${site.url}/alerts`).then(() => page.locator('tr[data-alert]').first().getAttribute('data-alert'));
  for (const one of [first, second]) {
    await one.page.goto(`${site.url}/alerts/${id}`);
    await one.page.locator('.alerthead').waitFor();
  }
  await second.page.keyboard.press('a');
  await second.page.getByRole('button', { name: `Owner: ${other.user}` }).waitFor();
  await first.page.keyboard.press('a');
  await first.page.getByText('Someone else changed this alert').waitFor();
  // What the second did stands, and the first one sees it now.
  await first.page.getByRole('button', { name: `Owner: ${other.user}` }).waitFor();
  await shot(first.page, 'live-conflict');
  await sound(second.page, second.faults, 'the second analyst');
  await first.context.close();
  await second.context.close();
}

it('a server that cannot store says so on every page, until it can again', async () => {
  if (site.live) return notRun('storage banner', 'needs a full disk; the product test fills one');
  await page.goto(`${site.url}/alerts`);
  await page.locator('tr[data-alert]').first().waitFor();
  assert.equal(await page.locator('.banner').count(), 0);
  site.world.storage = fullDisk(site.world);
  await page.locator('.banner').getByText('The server is not storing anything.').waitFor();
  await page.locator('.banner').getByText('no space left').waitFor();
  await clean('storage banner');
  await page.getByRole('link', { name: 'Search' }).click();
  await page.locator('.picture').waitFor();
  await page.locator('.banner').waitFor();
  site.world.storage = { ...site.world.storage, state: 'ok', since: null, reason: null };
  await page.locator('.banner').waitFor({ state: 'detached' });
});

it('language and theme change at once and are kept', async () => {
  await page.goto(`${site.url}/`);
  await page.locator('.tiles').waitFor();
  await page.getByRole('button', { name: /^Account/u }).click();
  await page.getByRole('menuitem', { name: '日本語' }).click();
  await page.getByRole('heading', { name: '概要' }).waitFor();
  assert.equal(await page.evaluate(() => document.documentElement.lang), 'ja');
  await page.getByRole('button', { name: /ダーク/u }).click();
  await page.locator('[data-mantine-color-scheme="dark"]').waitFor({ state: 'attached' });
  await page.reload();
  await page.getByRole('heading', { name: '概要' }).waitFor();
  await page.locator('[data-mantine-color-scheme="dark"]').waitFor({ state: 'attached' });
  await clean('Japanese, dark');
});

it('signing out closes the door', async () => {
  await page.getByRole('button', { name: /^アカウント/u }).click();
  await page.getByRole('menuitem', { name: 'サインアウト' }).click();
  await page.waitForURL('**/sign-in**');
  await page.goto(`${site.url}/alerts`);
  await page.waitForURL('**/sign-in?**');
});
