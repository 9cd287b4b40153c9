// Working with detections: find one, tune it, write one of one's own with the server's help, try it on the
// history, and except a value that an alert shows.
import assert from 'node:assert/strict';
import { it } from 'node:test';

import { address, clean, page, site } from './session.mjs';
import { eventually, notRun, offers, shot } from './support.mjs';

const OWN = { id: '6e5c1f0a-2a5b-4f0e-9a65-0f3f4c1d2b3a', title: 'A drill of the browser tests' };
const text = (modifier) => `title: ${OWN.title}
id: ${OWN.id}
status: test
author: admin
tags:
  - attack.execution
  - attack.t1059.004
logsource:
  product: linux
  category: process_creation
detection:
  selection:
    Image|${modifier}: /drill-of-the-browser-tests
  condition: selection
level: low
`;

async function write(content) {
  await page.locator('.cm-content').click();
  await page.keyboard.press('Control+a');
  await page.keyboard.insertText(content);
}

it('the catalogue is found through by keyboard and facets, and the URL says how', async () => {
  await page.keyboard.press('g');
  await page.keyboard.press('d');
  await page.locator('.drow[data-detection]').first().waitFor();
  const all = await page.locator('.search__table').getAttribute('aria-rowcount');
  await page.getByRole('group', { name: 'Layer' }).getByRole('button', { name: 'Model' }).click();
  await page.waitForFunction(() => new URLSearchParams(location.search).get('layer') === 'model');
  await eventually('fewer rows', async () => Number(await page.locator('.search__table').getAttribute('aria-rowcount')) < Number(all));
  await page.keyboard.press('j');
  await page.locator('.drow[aria-current="true"]').waitFor();
  const id = address().get('at');
  await page.keyboard.press('Enter');
  await page.waitForURL(`**/detections/${encodeURIComponent(id)}`);
  await page.getByRole('tab', { name: 'Guide' }).waitFor();
  await page.locator('.prose').waitFor();
  await clean('a detection');
});

it('tuning asks for a reason, and holds for the group it names', async () => {
  await page.getByRole('button', { name: 'Tune…' }).first().click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('In force').selectOption('off');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await dialog.getByText('Give a reason.').waitFor();
  await clean('tuning');
  await dialog.getByLabel('Reason').fill('a drill');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await dialog.waitFor({ state: 'detached' });
  await page.locator('.alerthead .chip', { hasText: 'Off' }).waitFor();
  await page.getByRole('button', { name: 'Tune…' }).first().click();
  await page.getByRole('dialog').getByLabel('In force').selectOption('');
  await page.getByRole('dialog').getByLabel('Reason').fill('the drill is over');
  await page.getByRole('dialog').getByRole('button', { name: 'Save' }).click();
  await page.locator('.alerthead .chip', { hasText: 'Off' }).waitFor({ state: 'detached' });
});

it('the editor completes, and shows the problems of the server at their lines', async () => {
  await page.goto(`${site.url}/detections/new`);
  await page.locator('.cm-content').waitFor();
  await write(text('containz'));
  await page.locator('[data-checked="wrong"]').waitFor();
  const place = page.locator('.problems .linklike').first();
  assert.match(await place.innerText(), /^line 13, /u);
  await page.locator('.cm-lintRange-error').waitFor();
  await clean('problems');
  await shot(page, 'work-editor-problems');
  await place.click();
  await page.waitForFunction(() => document.activeElement?.classList.contains('cm-content'));
  assert.ok(await page.getByRole('button', { name: 'Save and enforce' }).isDisabled());
  await write(text('endswith'));
  await page.locator('[data-checked="fine"]').waitFor();
  // At the end of the selection's line a new one: Ima → Image, | → its modifiers.
  await page.keyboard.press('Control+Home');
  for (let line = 0; line < 12; line += 1) await page.keyboard.press('ArrowDown');
  await page.keyboard.press('End');
  await page.keyboard.press('Enter');
  await page.keyboard.type('Ima');
  await page.locator('.cm-tooltip-autocomplete li', { hasText: 'Image' }).first().waitFor();
  await shot(page, 'work-editor-completion');
  await page.keyboard.press('Escape');
  await page.keyboard.type('ge|starts');
  await page.locator('.cm-tooltip-autocomplete li', { hasText: 'startswith' }).waitFor();
  await page.locator('.cm-tooltip-autocomplete li', { hasText: 'startswith' }).click();
  await eventually('the completion is taken', async () => (await page.locator('.cm-content').innerText()).includes('Image|startswith'));
  await page.keyboard.type(': /opt/');
  await page.locator('[data-checked="fine"]').waitFor();
});

it('a text is tried on the history before it is in force', async () => {
  if (!(await offers(site, '/backtests'))) return notRun('back-test', 'this server does not offer it');
  await page.getByRole('tab', { name: 'Back-test' }).click();
  await page.getByRole('button', { name: 'Start' }).click();
  await page.waitForFunction(() => new URLSearchParams(location.search).has('run'));
  await page.locator('.backtest strong', { hasText: 'Done' }).waitFor();
  await page.locator('.numbers').waitFor();
  if (!site.live) {
    await page.locator('.backtest .hit').first().waitFor();
    await page.getByText('draco: 20 minutes were not seen').waitFor();
  }
  await clean('back-test');
  await shot(page, 'work-backtest');
});

it('saved, it stands in the catalogue as one\'s own; deleted, it does not', async () => {
  await page.goto(`${site.url}/detections/new`);
  await page.locator('.cm-content').waitFor();
  await write(text('endswith'));
  await page.locator('[data-checked="fine"]').waitFor();
  await page.getByRole('button', { name: 'Save and enforce' }).click();
  await page.waitForURL(`**/detections/${OWN.id}?**`);
  await page.locator('.alerthead h1', { hasText: OWN.title }).waitFor();
  await page.locator('.alerthead .chip', { hasText: 'Own' }).waitFor();
  await page.getByRole('button', { name: 'Delete…' }).click();
  await clean('delete');
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await page.waitForURL('**/detections');
  await page.goto(`${site.url}/detections?q=${OWN.id}`);
  await page.getByText('No detection matches.').waitFor();
});

it('a value of an alert is excepted when one has seen what that hides', async () => {
  if (!(await offers(site, '/exceptions'))) return notRun('exceptions', 'this server does not offer them');
  await page.goto(`${site.url}/alerts`);
  await page.locator('tr[data-alert]').or(page.locator('.blank p')).first().waitFor();
  const alert = await page.locator('tr[data-alert]').first().getAttribute('data-alert').catch(() => undefined);
  if (!alert) return notRun('exception from an alert', 'the server has no alert');
  await page.goto(`${site.url}/alerts/${alert}`);
  await page.locator('.step').first().click();
  const value = page.locator('.fired .why .val').first();
  await value.click();
  await page.getByRole('menuitem', { name: 'Except…' }).click();
  await page.waitForURL('**/exceptions?**');
  const form = page.getByRole('complementary', { name: 'New exception' });
  await form.getByLabel('When').waitFor();
  assert.notEqual(await form.getByLabel('When').inputValue(), '');
  await form.locator('.preview').getByText(/It would have hidden [1-9]/u).waitFor();
  await clean('exception');
  await shot(page, 'work-exception');
  // Changed, the preview no longer speaks of it, and it cannot be made unseen.
  await form.getByLabel('When').press('End');
  await form.getByLabel('When').pressSequentially(' ');
  await form.getByText('See first what it would have hidden.').waitFor();
  assert.ok(await form.getByRole('button', { name: 'Make the exception' }).isDisabled());
  await form.getByRole('button', { name: 'Preview' }).click();
  await form.locator('.preview').waitFor();
  await form.getByLabel('Title').fill('A drill');
  await form.getByLabel('Reason').fill('of the browser tests');
  await form.getByRole('button', { name: 'Make the exception' }).click();
  const made = page.locator('.exception', { hasText: 'of the browser tests' });
  await made.waitFor();
  await made.getByRole('button', { name: 'Remove…' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click();
  await made.waitFor({ state: 'detached' });
  await clean('exceptions');
});

it('a set of rules is previewed with what is refused, and imported', async () => {
  if (!(await offers(site, '/detections/import'))) return notRun('import of rules', 'this server does not offer it');
  await page.goto(`${site.url}/detections?dialog=import`);
  const dialog = page.getByRole('dialog');
  const file = (name, content) => ({ name, mimeType: 'application/yaml', buffer: Buffer.from(content) });
  await dialog.getByLabel('Choose a zip archive or documents…').setInputFiles([file('drill.yml', text('endswith')), file('broken.yml', text('endswiht'))]);
  await dialog.getByLabel('Licence').fill('DRL 1.1');
  await dialog.getByRole('button', { name: 'Preview' }).click();
  await dialog.getByText('1 document would be taken').waitFor();
  await dialog.getByText('1 is refused').click();
  await dialog.getByText('broken.yml').first().waitFor();
  await dialog.getByText(/^line \d+, column \d+$/u).first().waitFor();
  await clean('a preview of rules');
  await shot(page, 'work-import-rules');
  await dialog.getByRole('button', { name: 'Import 1' }).click();
  await dialog.getByText('1 document was taken').waitFor();
  await dialog.getByRole('button', { name: 'Close' }).last().click();
  await page.goto(`${site.url}/detections/${OWN.id}`);
  await page.getByText('DRL 1.1').waitFor();
  await page.getByText('Imported', { exact: true }).waitFor();
  await page.getByRole('button', { name: 'Delete…' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete', exact: true }).click();
  await page.waitForURL('**/detections');
});

it('an exception of everything asks whether that is meant', async () => {
  if (site.live) return notRun('an exception of everything', 'it would hide what the server has');
  await page.goto(`${site.url}/exceptions?make=yes`);
  const form = page.locator('.excepting__form');
  await form.getByRole('button', { name: 'Preview' }).click();
  await form.getByText('100% of recent activities meet it.').waitFor();
  await form.getByLabel('Title').fill('everything');
  await form.getByLabel('Reason').fill('a drill');
  await form.getByRole('button', { name: 'Make the exception' }).click();
  await form.getByText('a person must say that it is meant').waitFor();
  await clean('a broad exception');
  await shot(page, 'work-exception-broad');
  await form.getByLabel('So much is meant to be hidden').check();
  await form.getByRole('button', { name: 'Make the exception' }).click();
  await page.locator('.exception', { hasText: 'a drill' }).waitFor();
});
