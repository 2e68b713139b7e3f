// What the first page costs: below 250 kB compressed, without players, which come when something is played, and time within
// limits that are stated below.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { launch, openPage } from "./lib/browser.mjs";
import { connection, demo } from "./lib/headwater.mjs";
import { plays } from "./lib/portal.mjs";

const BUDGET_BYTES = 250_000;

/**
 * The time that opening the overview may take, from nothing in the cache. What else the machine does only ever adds, so the
 * best of a few loads is held against the limits, and one that is good ends it. With compilers on both of two cores it was
 * 0.7 s, 71 ms and 3 tasks.
 */
const LOADS = 5;
const BUDGET = {
  /** Largest contentful paint, ms: "good" by Core Web Vitals. */
  paintMs: 2500,
  /** Of every task longer than 50 ms what is beyond that, in all, ms: "good" by Lighthouse is 200. */
  blockedMs: 300,
  /** Tasks longer than 50 ms. */
  longTasks: 6,
};
/** Cumulative layout shift: "good" by Core Web Vitals. It does not depend on the machine, so every load is held against it. */
const BUDGET_SHIFT = 0.1;
/** Requests until the overview is there, to this origin. They do not depend on the machine either. */
const BUDGET_REQUESTS = 25;

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

  test("the overview is painted soon, keeps the page free for its visitor, and does not jump", { timeout: 15 * 60_000 }, async () => {
    const within = ({ paintMs, blockedMs, longTasks }) => paintMs <= BUDGET.paintMs && blockedMs <= BUDGET.blockedMs && longTasks <= BUDGET.longTasks;
    const loads = [];
    while (loads.length < LOADS && !loads.some(within)) {
      const { context, page } = await openPage(browser);
      let requests = 0;
      page.on("request", (request) => (requests += new URL(request.url()).origin === new URL(to.portalUrl).origin ? 1 : 0));
      await page.addInitScript(() => {
        const seen = (globalThis.seen = { paintMs: 0, tasks: [], shift: 0 });
        const watch = (type, take) => new PerformanceObserver((list) => list.getEntries().forEach(take)).observe({ type, buffered: true });
        watch("largest-contentful-paint", ({ startTime }) => (seen.paintMs = startTime));
        watch("longtask", ({ duration }) => seen.tasks.push(duration));
        watch("layout-shift", ({ value, hadRecentInput }) => (seen.shift += hadRecentInput ? 0 : value));
      });
      await page.goto(`${to.portalUrl}/#token=${to.token}`);
      await page.locator(".card[data-locator] img").first().waitFor();
      await page.waitForFunction(() => [...document.querySelectorAll(".card img")].every(({ complete, loading }) => complete || loading === "lazy"));
      const counted = requests;
      // What comes late counts, too.
      await page.waitForTimeout(1000);
      const { paintMs, tasks, shift } = await page.evaluate(() => globalThis.seen);
      assert.ok(paintMs > 0, "a paint was measured");
      assert.ok(shift <= BUDGET_SHIFT, `the page jumped by ${shift}`);
      assert.ok(counted <= BUDGET_REQUESTS, `${counted} requests`);
      loads.push({
        paintMs: Math.round(paintMs),
        blockedMs: Math.round(tasks.reduce((sum, duration) => sum + Math.max(0, duration - 50), 0)),
        longTasks: tasks.length,
        shift,
        requests: counted,
      });
      await context.close();
    }
    console.log(`overview: ${JSON.stringify(loads)}`);
    assert.ok(loads.some(within), `none of ${JSON.stringify(loads)} is within ${JSON.stringify(BUDGET)}`);
  });

  test("no page has inline script or style, and what is sent forbids it", async () => {
    const response = await fetch(to.portalUrl);
    const policy = response.headers.get("content-security-policy") ?? "";
    assert.match(policy, /script-src 'self'/);
    assert.doesNotMatch(policy, /unsafe/);
    assert.doesNotMatch(await response.text(), /<style|style=|<script(?![^>]*src=)/);
  });
});
