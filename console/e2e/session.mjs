// One signed-in page for all tests of a file: importing this opens it before the first test and closes it
// after the last. What is exported is set by then.
import { after, before } from 'node:test';

import { launch, open, signIn, sound, target } from './support.mjs';

export let site;
export let page;
let browser;
let faults;
before(async () => {
  site = await target();
  browser = await launch();
  ({ page, faults } = await open(browser, site));
  await signIn(page, site);
});
after(async () => {
  await browser?.close();
  await site?.stop();
});

/** The page is sound as it is now; `name` says which in a failure. */
export const clean = (name) => sound(page, faults, name);
/** What the page's address says. */
export const address = () => new URL(page.url()).searchParams;
/** Waits until the address says it. */
export const param = (name, value) => page.waitForFunction(([key, wanted]) => new URLSearchParams(location.search).get(key) === wanted, [name, value]);
