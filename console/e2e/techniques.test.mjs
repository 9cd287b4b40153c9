// Observed techniques: hits, coverage, and what cannot fire here; sub-techniques unfold, a cell opens.
import assert from 'node:assert/strict';
import { it } from 'node:test';

import { clean, page, param, site } from './session.mjs';
import { notRun, shot } from './support.mjs';

it('the matrix shows what was hit beside what could be', async () => {
  await page.goto(`${site.url}/techniques`);
  await page.locator('.square').first().waitFor();
  const both = await page.locator('.square').count();
  await page.getByRole('button', { name: 'Hits', exact: true }).click();
  await param('shown', 'hits');
  assert.equal(await page.locator('.square[data-covered]').count(), 0, 'hits alone do not speak of coverage');
  await clean('hits');
  await shot(page, 'work-matrix-hits');
  await page.getByRole('button', { name: 'Coverage', exact: true }).click();
  await param('shown', 'coverage');
  assert.ok((await page.locator('.square[data-covered="yes"]').count()) > 0);
  await page.getByRole('button', { name: 'Unfold all' }).click();
  await page.waitForFunction((folded) => document.querySelectorAll('.square').length > folded, both);
  await clean('unfolded');
  await shot(page, 'work-matrix-unfolded');
  await page.getByRole('button', { name: 'Fold all' }).click();
});

it('what nothing here can fire is marked, with the reason', async () => {
  if (site.live) return notRun('techniques that cannot fire', 'depends on what the endpoints see');
  const cell = page.locator('.square[data-cannot="yes"]').first();
  assert.match(await cell.getAttribute('title'), /Cannot fire here: /u);
  await cell.click();
  await page.locator('.search__panel .warn').getByText('Cannot fire here').waitFor();
  await clean('cannot fire');
});

it('a cell opens with its detections and hits, and leads to them', async () => {
  const cell = page.locator('.square[data-covered="yes"]').first();
  const id = await cell.getAttribute('data-technique');
  await cell.focus();
  await page.keyboard.press('Enter');
  await param('open', id);
  const panel = page.getByRole('complementary', { name: id });
  await panel.locator('.hits a').first().click();
  await page.waitForURL('**/detections/*');
  await page.locator('.alerthead h1').waitFor();
});
