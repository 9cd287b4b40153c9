// Recordings of incidents: how one comes in, what was detected when, what would have been stopped, letting
// detection go over one, and taking it away.
import assert from 'node:assert/strict';
import { it } from 'node:test';

import { address, clean, page, param, site } from './session.mjs';
import { notRun, shot } from './support.mjs';

const rows = () => page.locator('tr[data-recording]');

it('the page says how a recording comes in', async () => {
  await page.keyboard.press('g');
  await page.keyboard.press('r');
  await rows().or(page.locator('.blank')).first().waitFor();
  await page.getByRole('button', { name: 'Bring one in…' }).click();
  await param('dialog', 'add');
  await page.getByRole('dialog').getByText('metsuke replay --offline').waitFor();
  await clean('how a recording comes in');
  await shot(page, 'work-recording-howto');
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
});

it('one leads by keyboard to what was detected first and what would have been stopped', async () => {
  if ((await rows().count()) === 0) return notRun('a recording', 'the server has none');
  await page.keyboard.press('j');
  await page.locator('tr[data-recording][data-focus="true"]').waitFor();
  const id = address().get('at');
  await page.keyboard.press('Enter');
  await page.waitForURL(`**/recordings/${id}*`);
  await page.getByRole('heading', { name: 'First detected' }).or(page.getByText('Detection has not been over')).first().waitFor();
  if (site.live) return clean('a recording');
  await page.getByText('Would not have happened').waitFor();
  const steps = await page.locator('tr[data-step]').evaluateAll((all) => all.map((row) => row.querySelector('time').dateTime));
  assert.ok(steps.length > 3);
  assert.deepEqual(steps, steps.toSorted(), 'by time');
  assert.equal(await page.getByText('stopped here').count(), 1);
  await page.getByRole('tab', { name: /^Detections/u }).click();
  await param('tab', 'detections');
  await page.locator('td', { hasText: 'The storyline' }).first().waitFor();
  await clean('a recording by detections');
  await shot(page, 'work-recording');
  await page.reload();
  await page.locator('td', { hasText: 'The storyline' }).first().waitFor();
});

it('detection goes over one in slices until it is done', async () => {
  if (site.live) return notRun('detecting on a recording', 'the server has none that is open');
  await page.goto(`${site.url}/recordings`);
  await rows().filter({ hasText: 'not yet looked at' }).getByRole('link').click();
  await page.getByLabel('What if something were stopped').selectOption('high');
  const asked = [];
  page.on('request', (request) => request.method() === 'POST' && asked.push(new URL(request.url()).searchParams.get('stop_at')));
  await page.getByRole('button', { name: 'Detect', exact: true }).click();
  await page.getByRole('heading', { name: 'First detected' }).waitFor();
  assert.deepEqual(asked, ['high', 'high']);
});

it('one is deleted after a question', async () => {
  if (site.live) return notRun('deleting a recording', 'the server has none to spare');
  await page.getByRole('button', { name: 'Delete…' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete', exact: true }).click();
  await page.waitForURL('**/recordings');
  await rows().first().waitFor();
  assert.equal(await rows().count(), 1);
  await clean('a recording is gone');
});
