// Every page, in both languages and both themes: it is drawn, axe finds nothing, nothing breaks the
// Content-Security-Policy, and a picture is kept for a person to look at.
import { after, before, describe, it } from 'node:test';

import { fullDisk } from './fixture/world.mjs';
import { launch, notRun, open, shot, signIn, sound, target } from './support.mjs';

let site;
let browser;
before(async () => {
  site = await target();
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await site?.stop();
});

async function firstOf(page, path, selector, attribute) {
  await page.goto(site.url + path);
  const row = page.locator(selector).first();
  await row.or(page.locator('.blank p')).first().waitFor();
  return (await row.count()) ? row.getAttribute(attribute) : undefined;
}

async function views(page) {
  const alert = await firstOf(page, '/alerts', 'tr[data-alert]', 'data-alert');
  const endpoint = await firstOf(page, '/endpoints', 'tr[data-endpoint]', 'data-endpoint');
  const detection = await firstOf(page, '/detections', '.drow[data-detection]', 'data-detection');
  const recording = await firstOf(page, '/recordings', 'tr[data-recording]', 'data-recording');
  const indicator = await firstOf(page, '/indicators', 'tr[data-indicator]', 'data-indicator');
  const list = [
    ['overview', '/', '.tiles'],
    ['workbench', '/alerts', '.workbench .facet, .workbench .blank'],
    ['incidents', '/alerts?view=incidents', 'tr[data-incident], .blank p'],
    ['endpoints', '/endpoints', '.table, .blank p'],
    ['search', '/search', '.picture'],
    ['search-narrowed', '/search?q=class:process.exec&range=7d', '.picture'],
    ['techniques', '/techniques', '.square, .blank p'],
    ['techniques-list', '/techniques?view=list', '.table, .blank p'],
    ['detections', '/detections', '.drow[data-detection], .blank p'],
    ['detection-new', '/detections/new', '.document__foot [data-checked="fine"], .document__foot [data-checked="wrong"]'],
    ['exceptions', '/exceptions', '.exception, .blank p'],
    ['indicators', '/indicators', 'tr[data-indicator], .blank p'],
    ['indicators-sightings', '/indicators?tab=sightings', '.tabs__panel tr, .blank p'],
    ['indicators-sources', '/indicators?tab=sources', '.tabs__panel tr, .blank p'],
    ['indicators-add', '/indicators?dialog=add', '[role="dialog"] form'],
    ['indicators-import', '/indicators?dialog=import', '[role="dialog"] form'],
    ['recordings', '/recordings', 'tr[data-recording], .blank p'],
    ['recordings-add', '/recordings?dialog=add', '[role="dialog"] .howto'],
    ['exception-new', '/exceptions?make=yes', '.excepting__form'],
  ];
  if (alert) {
    list.push(
      ['incident', `/alerts?view=incidents&open=${alert}`, '.together li'],
      ['alert', `/alerts/${alert}`, '.outline__row'],
      ['alert-graph', `/alerts/${alert}?view=graph`, '.gnode'],
      ['alert-timeline', `/alerts/${alert}?view=timeline&side=page`, '.timeline__row'],
    );
  } else notRun('alert pages', 'the server has no alert');
  if (recording) list.push(['recording', `/recordings/${recording}`, '.recording, .recording__detect'], ['recording-detections', `/recordings/${recording}?tab=detections`, '.recording, .recording__detect']);
  else notRun('recording page', 'the server has no recording');
  if (indicator) list.push(['indicator', `/indicators?open=${indicator}`, '.search__panel .facts']);
  else notRun('indicator page', 'the server has no indicator');
  if (detection) {
    const at = `/detections/${encodeURIComponent(detection)}`;
    list.push(
      ['detection', at, '.detection__side .panel'],
      ['detection-document', `${at}?tab=document`, '.cm-content'],
      ['detection-tuning', `${at}?tab=tuning`, '.tabs__panel button'],
      ['detection-backtest', `${at}?tab=backtest`, '.backtest'],
    );
  } else notRun('detection pages', 'the server has no detection');
  if (endpoint) {
    list.push(
      ['endpoint', `/endpoints/${endpoint}`, '.chart, .endpoint .blank'],
      ['endpoint-inventory', `/endpoints/${endpoint}?tab=inventory`, '.tabs__panel tr, .tabs__panel .blank'],
      ['endpoint-crossview', `/endpoints/${endpoint}?tab=crossview`, '.evidence .panel__body > table, .evidence .panel__body > .blank'],
      ['endpoint-evidence', `/endpoints/${endpoint}?tab=evidence`, '.tabs__panel tr, .tabs__panel .blank'],
      ['files', '/files?q=/usr/bin/curl', '.panel tr, .blank p'],
      ['endpoint-processes', `/endpoints/${endpoint}?tab=processes`, '.tabs__panel tr, .tabs__panel .blank'],
      ['endpoint-loss', `/endpoints/${endpoint}?tab=loss`, '.tabs__panel tr, .tabs__panel .blank'],
    );
  } else notRun('endpoint pages', 'the server has no endpoint');
  return list;
}

for (const language of ['en', 'ja']) {
  for (const scheme of ['light', 'dark']) {
    describe(`${language} ${scheme}`, () => {
      it('sign-in', async () => {
        const { context, page, faults } = await open(browser, site, { language, scheme });
        await page.goto(`${site.url}/sign-in`);
        await page.locator('form').waitFor();
        await sound(page, faults, 'sign-in');
        await shot(page, `${language}-${scheme}-sign-in`);
        await context.close();
      });
      it('every page', async (t) => {
        const { context, page, faults } = await open(browser, site, { language, scheme });
        await signIn(page, site);
        for (const [name, path, ready] of await views(page)) {
          await t.test(name, async () => {
            await page.goto(site.url + path);
            await page.locator(ready).first().waitFor();
            await page.locator('.live[data-state="live"]').waitFor();
            await sound(page, faults.splice(0), name);
            await shot(page, `${language}-${scheme}-${name}`);
          });
        }
        await context.close();
      });
      it('a page of a server that cannot store', async () => {
        if (site.live) return notRun('storage banner', 'needs a full disk; the product test fills one');
        const { context, page, faults } = await open(browser, site, { language, scheme });
        await signIn(page, site);
        const room = site.world.storage;
        site.world.storage = fullDisk(site.world);
        await page.locator('.banner').waitFor();
        await page.locator('.tiles').waitFor();
        await sound(page, faults, 'storage banner');
        await shot(page, `${language}-${scheme}-storage`);
        site.world.storage = room;
        await context.close();
      });
    });
  }
}
