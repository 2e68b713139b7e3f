// The player page with each player, old addresses of films, and the API's own page.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { launch } from "./lib/browser.mjs";
import { connection, demo } from "./lib/headwater.mjs";
import { openPortal, plays, shot, tooWide } from "./lib/portal.mjs";

describe("the portal's players", () => {
  let browser;
  let to;
  let film;

  before(
    async () => {
      to = connection();
      browser = await launch();
      film = await demo(to);
    },
    { timeout: 5 * 60_000 },
  );
  after(() => browser?.close());

  test("a link with a token signs in, and the token leaves the address", async () => {
    const { context, page } = await openPortal(browser, to);
    assert.ok(!page.url().includes("token"), page.url());
    await context.close();
  });

  test("every player plays a film, with its qualities and what it requested", { timeout: 5 * 60_000 }, async () => {
    const { context, page, problems } = await openPortal(browser, to, `/watch/${film.locatorId}`);
    await plays(page);
    for (const label of ["Shaka Player", "dash.js", "hls.js"]) {
      await page.getByRole("radio", { name: label }).check();
      await page.waitForFunction((label) => document.querySelector(`input[type=radio][value="${label}"]`)?.checked, {
        "Shaka Player": "shaka",
        "dash.js": "dash.js",
        "hls.js": "hls.js",
      }[label]);
      await page.evaluate(() => {
        document.querySelector("video").currentTime = 0;
      });
      // A player that is only being loaded lets go of what was asked of the element: ask until it plays.
      await page.waitForFunction(() => {
        const video = document.querySelector("video");
        if (video.paused) video.play().catch(() => undefined);
        return video.dataset.state === "playing";
      });
      await plays(page);
      assert.equal(await page.locator(".trouble").count(), 0);
      const qualities = page.getByLabel("Quality");
      assert.ok((await qualities.locator("option").count()) > 2, `${label} offers qualities`);
      await qualities.selectOption({ index: 1 });
      await page.waitForFunction(() => /\d+×\d+/.test(document.querySelector(".meters")?.textContent ?? ""));
      assert.match((await page.locator("summary", { hasText: "Requests" }).textContent()) ?? "", /\([1-9]/);
    }
    await shot(page, "player");
    assert.deepEqual(problems, []);
    await context.close();
  });

  test("the old address of a film and a shared link lead to it, the link without a token", async () => {
    const { context, page } = await openPortal(browser, to);
    await page.goto(`${to.portalUrl}/?watch=${film.locatorId}`);
    await plays(page);
    const link = await page.getByLabel("player link", { exact: true }).inputValue();
    await context.close();
    const visitor = await openPortal(browser, to, new URL(link).hash.slice(1), {}, null);
    await plays(visitor.page);
    assert.deepEqual(visitor.problems, []);
    await visitor.context.close();
  });

  test("the API's own page shows every operation, with nothing from elsewhere", async () => {
    const { context, page, problems } = await openPortal(browser, to, "/", { viewport: { width: 360, height: 740 } }, null);
    const origins = new Set();
    page.on("request", (request) => origins.add(new URL(request.url()).origin));
    await page.goto(`${to.portalUrl}/api/docs#assetPut`);
    const opened = page.locator("details#assetPut[open]");
    await opened.getByText("Request body").waitFor();
    const { paths } = await (await fetch(`${to.apiUrl}/api/openapi.json`)).json();
    const operations = Object.values(paths).flatMap((item) => Object.values(item).filter((one) => one.operationId));
    assert.equal(await page.locator("section details:has(.method)").count(), operations.length);
    await opened.getByRole("link", { name: "AssetWrite" }).click();
    await page.locator("details#schema-AssetWrite[open]").waitFor();
    assert.ok(!(await tooWide(page)));
    assert.deepEqual([...origins], [new URL(to.portalUrl).origin]);
    assert.deepEqual(problems, []);
    await context.close();
  });
});
