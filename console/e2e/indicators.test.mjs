// Indicators: a pasted report is previewed with its defanged values, imported, looked back for; one is added
// by hand, its list changed, and removed.
import assert from 'node:assert/strict';
import { it } from 'node:test';

import { clean, page, site } from './session.mjs';
import { notRun, offers, shot } from './support.mjs';

const REPORT = `The loader fetches hxxps[:]//drill[.]browser-tests[.]example/stage and then
speaks with 192[.]0[.]2[.]201. Its file has the hash
${'ab12'.repeat(16)}.
`;

it('a pasted report shows what would be taken, as it is and as it was written', async () => {
  if (!(await offers(site, '/indicators'))) return notRun('indicators', 'this server does not offer them');
  await page.keyboard.press('g');
  await page.keyboard.press('i');
  await page.getByRole('button', { name: 'Import…' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Or paste').fill(REPORT);
  await dialog.getByRole('button', { name: 'Preview' }).click();
  await dialog.getByText('3 indicators').waitFor();
  const row = dialog.locator('tr', { hasText: '192[.]0[.]2[.]201' });
  await row.getByText('192.0.2.201', { exact: true }).waitFor();
  await dialog.getByRole('button', { name: 'Import 3' }).click();
  await dialog.getByText('Name the source.').waitFor();
  await clean('import');
  await shot(page, 'work-import');
  await dialog.getByLabel('Source').fill('browser tests');
  await dialog.getByRole('button', { name: 'Import 3' }).click();
  await dialog.getByText('3 indicators are now looked for.').waitFor();
  // History that spans years is looked through in hundreds of slices.
  await dialog.getByText('History and disks were looked through').waitFor({ timeout: 60_000 });
  await clean('imported');
  await shot(page, 'work-imported');
  await dialog.getByRole('button', { name: 'Close' }).last().click();
  await dialog.waitFor({ state: 'detached' });
  await page.getByLabel('Source').selectOption('browser tests');
  await page.waitForFunction(() => document.querySelectorAll('tr[data-indicator]').length === 3);
});

it("what is not understood, and what contradicts, is said in the reader's language", async () => {
  if (!(await offers(site, '/indicators'))) return notRun('indicators', 'this server does not offer them');
  await page.getByRole('button', { name: /^Account/u }).click();
  await page.getByRole('menuitem', { name: '日本語' }).click();
  await page.goto(`${site.url}/indicators?dialog=import`);
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('形式').selectOption('text');
  await dialog.getByLabel('または貼り付け').fill('203.0.113\nmirror1.example.org\n');
  await dialog.getByRole('button', { name: 'プレビュー' }).click();
  await dialog.getByText('1 件は解釈できませんでした').click();
  await dialog.getByText('1 行目 · 203.0.113 はハッシュ、').waitFor();
  if (!site.live) {
    await dialog.getByText('1 件が既知の情報と矛盾しています').click();
    await dialog.getByText('mirror1.example.org · by hand が安全と判断している').waitFor();
  }
  await clean('a preview in Japanese');
  await shot(page, 'work-import-ja');
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'detached' });
  await page.getByRole('button', { name: /^アカウント/u }).click();
  await page.getByRole('menuitem', { name: 'English' }).click();
  await page.getByRole('heading', { name: 'Indicators', exact: true }).waitFor();
});

it('an indicator opens beside the list, by keyboard, and says where it came from', async () => {
  if (!(await offers(site, '/indicators'))) return notRun('indicators', 'this server does not offer them');
  await page.locator('h1').click();
  await page.keyboard.press('j');
  await page.locator('.search__panel .facts').first().waitFor();
  await page.waitForFunction(() => new URLSearchParams(location.search).has('open'));
  await page.locator('.search__panel').getByText('Where it came from').waitFor();
  await page.locator('.search__panel').getByLabel('List').selectOption('block');
  await page.locator('tr[data-focus="true"] .chip[data-list="block"]').waitFor();
  await clean('an indicator');
  await page.keyboard.press('Escape');
});

it('one by hand is recognised, and removed again with its source', async () => {
  if (!(await offers(site, '/indicators'))) return notRun('indicators', 'this server does not offer them');
  await page.getByRole('button', { name: 'Add one…' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Value').fill('drill2.browser-tests.example.com');
  await dialog.getByLabel('Source').fill('browser tests');
  await dialog.getByRole('button', { name: 'Add', exact: true }).click();
  await dialog.waitFor({ state: 'detached' });
  const row = page.locator('tr[data-indicator]', { hasText: 'drill2' });
  await row.getByText('Domain').waitFor();
  await page.getByRole('tab', { name: 'Sources' }).click();
  const source = page.locator('tr', { hasText: 'browser tests' });
  assert.equal(await source.locator('td').nth(1).innerText(), '4');
  await source.getByRole('button', { name: 'Remove…' }).click();
  await clean('remove a source');
  await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click();
  await source.waitFor({ state: 'detached' });
});
