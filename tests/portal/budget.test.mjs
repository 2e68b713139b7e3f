// What the first page costs: below 250 kB compressed, without players, which come when something is played.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { launch, openPage } from "./lib/browser.mjs";
import { connection, demo } from "./lib/headwater.mjs";
import { plays } from "./lib/portal.mjs";

const BUDGET_BYTES = 250_000;

describe("the size of the portal", () => {
  let browser;
  let to;

  before(
    async () => {
      to = connection();
      browser = await launch();
      await demo(to);
    },
    { timeout: 5 * 60_000 },
  );
  after(() => browser?.close());

  /** Compressed sizes of the portal's own files, as the browser has loaded them. */
  const own = (page) =>
    page.evaluate(() =>
      [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
        .filter(({ name }) => new URL(name).pathname === "/" || name.includes("/assets-ui/"))
        .map(({ name, encodedBodySize }) => ({ name: new URL(name).pathname, bytes: encodedBodySize })),
    );

  test("the first load stays within its budget and from this origin, and players come later", async () => {
    const { context, page } = await openPage(browser);
    const elsewhere = [];
    page.on("request", (request) => {
      if (!request.url().startsWith(to.portalUrl)) elsewhere.push(request.url());
    });
    await page.goto(to.portalUrl);
    await page.getByLabel("Token").waitFor();
    assert.deepEqual(elsewhere, []);
    await page.getByLabel("Token").fill(to.token);
    await page.keyboard.press("Enter");
    await page.locator(".card[data-locator]").first().waitFor();
    const first = await own(page);
    const total = first.reduce((sum, { bytes }) => sum + bytes, 0);
    console.log(`first load: ${total} bytes in ${first.length} files`);
    assert.ok(total > 10_000 && total < BUDGET_BYTES, JSON.stringify(first));
    await page.locator(".card[data-locator]").first().click();
    await plays(page);
    assert.ok((await own(page)).length > first.length, "a player is loaded when it is needed");
    await context.close();
  });

  test("no page has inline script or style, and what is sent forbids it", async () => {
    const response = await fetch(to.portalUrl);
    const policy = response.headers.get("content-security-policy") ?? "";
    assert.match(policy, /script-src 'self'/);
    assert.doesNotMatch(policy, /unsafe/);
    assert.doesNotMatch(await response.text(), /<style|style=|<script(?![^>]*src=)/);
  });
});
