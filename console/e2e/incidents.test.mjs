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
  await page.locator('.together li').first().waitFor();
  if (!site.live) {
    const address = page.locator('.why-grid tr', { hasText: '203.0.113.40' });
    assert.equal(await address.getByText('shares it').count(), 3);
    await address.getByRole('button', { name: 'Address' }).click();
    assert.equal(await page.locator('.together li[data-lit="yes"]').count(), 3);
  }
  await clean('an incident');
  await shot(page, 'work-incident');
});

it('an alert is split off, and undo brings it back', async () => {
  const lone = site.live && (await page.locator('.together li').count()) < 2;
  if (lone) return notRun('splitting an incident', 'no incident of two alerts');
  const had = await rows().count();
  await page.goto(page.url());
  await page.locator('.together li').first().waitFor();
  const alerts = await page.locator('.together li').count();
  assert.ok(await page.getByRole('button', { name: /^Split off/u }).isDisabled());
  await page.locator('.together li').last().getByRole('checkbox').check();
  await page.getByRole('button', { name: 'Split off (1)' }).click();
  await many(had + 1);
  await page.waitForFunction((number) => document.querySelectorAll('.together li').length === number, alerts - 1);
  await page.getByRole('button', { name: 'Undo the last change' }).click();
  await many(had);
  await page.waitForFunction((number) => document.querySelectorAll('.together li').length === number, alerts);
  await clean('undone');
});

it('two incidents are merged, and undo takes them apart', async () => {
  const had = await rows().count();
  if (had < 2) return notRun('merging incidents', 'the server has fewer than two');
  await page.keyboard.press('Escape');
  await page.locator('.together').waitFor({ state: 'detached' });
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
