// Incidents: why alerts are together, taking one out, putting incidents together, and taking that back.
import assert from 'node:assert/strict';
import { it } from 'node:test';

import { clean, page, site } from './session.mjs';
import { notRun, shot } from './support.mjs';

const rows = () => page.locator('tr[data-incident]');
const many = (wanted) => page.waitForFunction((number) => document.querySelectorAll('tr[data-incident]').length === number, wanted);

it('an incident says why its alerts are together', async () => {
  await page.goto(`${site.url}/alerts`);
  await page.getByRole('button', { name: 'Incidents', exact: true }).click();
  await rows().or(page.locator('.blank p')).first().waitFor();
  await page.waitForFunction(() => new URLSearchParams(location.search).get('view') === 'incidents');
  if ((await rows().count()) === 0) return notRun('incidents', 'the server has none');
  await page.keyboard.press('j');
  await page.locator('.together > li').first().waitFor();
  if (!site.live) {
    const address = page.locator('.why-grid tr', { hasText: '203.0.113.40' });
    assert.equal(await address.getByText('shares it').count(), 3);
    await address.getByRole('button', { name: 'Address' }).click();
    assert.equal(await page.locator('.together > li[data-lit="yes"]').count(), 3);
  }
  await clean('an incident');
  await shot(page, 'work-incident');
});

it('alerts of one storyline are one, and unfold', async () => {
  const also = page.locator('.together__also').first();
  if ((await also.count()) === 0) return notRun('alerts of one storyline', 'no incident has two of them');
  const shown = await page.locator('.together [data-alert]').count();
  const number = Number(/\d+/u.exec(await also.textContent())?.[0]);
  await also.click();
  assert.equal(await page.locator('.together [data-alert]').count(), shown + number);
  await also.click();
  assert.equal(await page.locator('.together [data-alert]').count(), shown);
});

/** Shows every alert of the incident, and gives how many there are. */
async function unfold() {
  await page.locator('.together > li').first().waitFor();
  for (const button of await page.locator('.together__also[aria-expanded="false"]').all()) await button.click();
  return page.locator('.together [data-alert]').count();
}

it('an alert is split off, and undo brings it back', async () => {
  const had = await rows().count();
  if (had === 0) return notRun('splitting an incident', 'the server has none');
  await page.goto(page.url());
  const alerts = await unfold();
  if (alerts < 2) return notRun('splitting an incident', 'no incident of two alerts');
  assert.ok(await page.getByRole('button', { name: /^Split off/u }).isDisabled());
  await page.locator('.together input').last().check();
  await page.getByRole('button', { name: 'Split off (1)' }).click();
  await many(had + 1);
  await page.getByRole('button', { name: 'Undo the last change' }).waitFor();
  assert.equal(await unfold(), alerts - 1);
  await page.getByRole('button', { name: 'Undo the last change' }).click();
  await many(had);
  await page.getByText('Nobody changed it.').waitFor();
  assert.equal(await unfold(), alerts);
  await clean('undone');
});

it('an incident is worked on by keyboard: assigned, its state set, its heaviest alert opened', async () => {
  if ((await rows().count()) === 0) return notRun('working on an incident', 'the server has none');
  const changed = [];
  const note = (request) => request.method() === 'PATCH' && changed.push(request.postDataJSON());
  page.on('request', note);
  const alerts = await unfold();
  await page.keyboard.press('a');
  await page.getByText('Saved').first().waitFor();
  assert.deepEqual(changed.map((one) => one.assignee), Array.from({ length: alerts }, () => site.user));
  await page.keyboard.press('s');
  await page.getByRole('menuitem', { name: 'In progress' }).click();
  await page.locator('aside .chip', { hasText: 'In progress' }).waitFor();
  assert.equal(changed.length, 2 * alerts);
  page.off('request', note);
  const lead = await page.locator('.together [data-alert]').evaluateAll((all) => all.toSorted((a, b) => Number(b.querySelector('.score').textContent) - Number(a.querySelector('.score').textContent))[0].dataset.alert);
  const here = page.url();
  await page.keyboard.press('Enter');
  await page.waitForURL(`**/alerts/${lead}*`);
  await page.goto(here);
  await unfold();
});

it('a list that is narrowed to nothing says how to widen it', async () => {
  if (site.live) return notRun('an empty list', 'what the server has changes');
  await page.goto(`${site.url}/alerts?q=no-such-alert`);
  await page.getByRole('button', { name: 'Take the filters away' }).click();
  await page.locator('tr[data-alert]').first().waitFor();
  await page.goto(`${site.url}/alerts?view=incidents&status=closed`);
  await page.getByText('No incident matches').waitFor();
  await clean('nothing matches');
  await page.goto(`${site.url}/alerts?view=incidents`);
  await rows().first().waitFor();
});

it('two incidents are merged, and undo takes them apart', async () => {
  const had = await rows().count();
  if (had < 2) return notRun('merging incidents', 'the server has fewer than two');
  await page.goto(`${site.url}/alerts?view=incidents`);
  await rows().first().waitFor();
  await rows().nth(0).getByRole('checkbox').check();
  await rows().nth(1).getByRole('checkbox').check();
  await page.getByRole('button', { name: 'Merge (2)' }).click();
  await many(had - 1);
  const merged = page.locator('tr[data-incident]', { hasText: 'People said so' });
  await merged.getByRole('button').click();
  await page.getByRole('button', { name: 'Undo the last change' }).click();
  await many(had);
  await clean('merge undone');
});
