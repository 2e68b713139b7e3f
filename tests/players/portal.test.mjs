// What a visitor does: opens `/`, sees what is published, clicks, watches.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { launch, openPage } from "./lib/browser.mjs";
import { connection } from "./lib/headwater.mjs";

const PATIENCE = 60_000;

describe("the portal", () => {
  let browser;
  let to;

  before(
    async () => {
      to = connection();
      browser = await launch();
      // A new installation is ready before its demo is encoded.
      while ((await published()).length === 0) await new Promise((resolve) => setTimeout(resolve, 500));
    },
    { timeout: 5 * 60_000 },
  );
  after(() => browser?.close());

  const published = async () => {
    const list = `${to.apiUrl}/api/v1/projects/${to.project}/media/published`;
    const response = await fetch(list, { headers: { authorization: `Bearer ${to.token}` } });
    assert.equal(response.status, 200);
    return (await response.json()).value;
  };
  const shot = async (page, name) => {
    if (!process.env.SCREENSHOTS) return;
    mkdirSync(process.env.SCREENSHOTS, { recursive: true });
    await page.screenshot({ path: join(process.env.SCREENSHOTS, `${name}.png`) });
  };
  const open = async (options) => {
    const opened = await openPage(browser, options);
    opened.page.setDefaultTimeout(PATIENCE);
    return opened;
  };
  const plays = (page) =>
    page.waitForFunction(
      () => {
        const video = document.querySelector("video");
        return video && video.currentTime > 1 && video.getVideoPlaybackQuality().totalVideoFrames > 10;
      },
      null,
      { timeout: PATIENCE },
    );

  test("a link with a token shows the list, and the token leaves the address", async () => {
    const { context, page, problems } = await open();
    await page.goto(`${to.portalUrl.replace(/\/$/, "")}/#token=${to.token}`);
    await page.locator(".card[data-locator]").first().waitFor();
    assert.ok(!page.url().includes("token"), page.url());
    await shot(page, "portal-list");
    assert.deepEqual(problems, []);
    await context.close();
  });

  test("every player plays a video from its card, by mouse and by keyboard", async () => {
    const { context, page, problems } = await open();
    await page.goto(`${to.portalUrl.replace(/\/$/, "")}/#token=${to.token}`);
    const card = page.locator(".card[data-locator]").first();
    await card.focus();
    await page.keyboard.press("Enter");
    await plays(page);
    assert.match(page.url(), /\?watch=/);
    await shot(page, "portal-watch");
    for (const label of ["Shaka Player", "dash.js", "hls.js"]) {
      await page.getByRole("radio", { name: label }).check();
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
      assert.equal(await page.locator(".trouble").isVisible(), false);
    }
    await page.goBack();
    await page.locator(".card[data-locator]").first().waitFor();
    assert.deepEqual(problems, []);
    await context.close();
  });

  test("on a phone, in the dark, nothing is wider than the screen", async () => {
    const { context, page } = await open({ viewport: { width: 360, height: 740 }, colorScheme: "dark" });
    await page.goto(`${to.portalUrl.replace(/\/$/, "")}/#token=${to.token}`);
    await page.locator(".card[data-locator]").first().click();
    await plays(page);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth));
    await shot(page, "portal-phone");
    await context.close();
  });

  test("the API's own page shows every operation, with nothing from elsewhere", async () => {
    const { context, page, problems } = await open({ viewport: { width: 360, height: 740 } });
    const origins = new Set();
    page.on("request", (request) => origins.add(new URL(request.url()).origin));
    await page.goto(`${to.portalUrl.replace(/\/$/, "")}/api/docs#assetPut`);
    const opened = page.locator("details#assetPut[open]");
    await opened.getByText("Request body").waitFor();
    const { paths } = await (await fetch(`${to.apiUrl}/api/openapi.json`)).json();
    const operations = Object.values(paths).flatMap((item) => Object.values(item).filter((one) => one.operationId));
    assert.equal(await page.locator("section details:has(.method)").count(), operations.length);
    await opened.getByRole("link", { name: "AssetWrite" }).click();
    await page.locator("details#schema-AssetWrite[open]").waitFor();
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth));
    await shot(page, "api-docs");
    assert.deepEqual([...origins], [new URL(to.portalUrl).origin]);
    assert.deepEqual(problems, []);
    await context.close();
  });

  test("a list that fails says so and can be asked for again", async () => {
    const { context, page } = await open();
    let failing = true;
    await page.route("**/media/published*", (route) =>
      failing
        ? route.fulfill({ status: 503, json: { error: { code: "Unavailable", detail: "The catalog is busy." } } })
        : route.continue(),
    );
    await page.goto(`${to.portalUrl.replace(/\/$/, "")}/#token=${to.token}`);
    await page.getByText("The catalog is busy.").waitFor();
    failing = false;
    await page.getByRole("button", { name: "Try again" }).click();
    await page.locator(".card[data-locator]").first().waitFor();
    await context.close();
  });

  test("an empty list says how to fill it, and a refusal asks for a token", async () => {
    const { context, page } = await open();
    await page.route("**/media/published*", (route) => {
      const known = route.request().headers().authorization === "Bearer right";
      return known ? route.fulfill({ json: { value: [] } }) : route.fulfill({ status: 401, json: {} });
    });
    await page.goto(to.portalUrl);
    await page.getByLabel("Token").fill("wrong");
    await page.getByRole("button", { name: "Show videos" }).click();
    await page.getByText("That token was not accepted").waitFor();
    await page.getByLabel("Token").fill("right");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Nothing is published yet" }).waitFor();
    await page.getByRole("button", { name: "Forget token" }).click();
    await page.getByLabel("Token").waitFor();
    await context.close();
  });
});
