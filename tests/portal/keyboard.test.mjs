// Tables, uploads and the player by keyboard alone: no pointer is used here but for opening the portal.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { launch } from "./lib/browser.mjs";
import { call, connection, demo, media } from "./lib/headwater.mjs";
import { atHeading, tabTo } from "./lib/keyboard.mjs";
import { openPortal, plays } from "./lib/portal.mjs";

describe("the portal by keyboard", () => {
  let browser;
  let to;
  let film;
  const run = randomUUID().slice(0, 6);

  before(
    async () => {
      to = connection();
      browser = await launch();
      film = await demo(to);
    },
    { timeout: 5 * 60_000 },
  );
  after(() => browser?.close());

  test("a table is searched, paged and opened, and back leads to where one was", { timeout: 15 * 60_000 }, async (t) => {
    const names = Array.from({ length: 27 }, (_, at) => `keys-${run}-${String(at).padStart(2, "0")}`);
    t.after(() => Promise.all(names.map((name) => call(to, "DELETE", media(to, `/assets/${name}`)))));
    for (const name of names) await call(to, "PUT", media(to, `/assets/${name}`), { properties: {} });
    const { context, page } = await openPortal(browser, to);
    // From the overview through the navigation.
    await tabTo(page, page.getByRole("navigation", { name: "Portal" }).getByRole("link", { name: "Assets", exact: true }));
    await page.keyboard.press("Enter");
    await atHeading(page, "Assets");
    await tabTo(page, page.getByRole("searchbox"));
    await page.keyboard.type(`keys-${run}`);
    const rows = page.getByRole("table", { name: "Assets" }).locator("tbody tr");
    await page.waitForFunction((run) => [...document.querySelectorAll("tbody tr")].length === 25 && [...document.querySelectorAll("tbody tr")].every((row) => row.dataset.id.includes(run)), run);
    await tabTo(page, page.getByRole("button", { name: "Next" }));
    await page.keyboard.press("Enter");
    await page.getByText("26 to 27 of 27").waitFor();
    assert.equal(await rows.count(), 2);
    // At the end of the list Next can be pressed no more; the next Tab goes on from there, and back is close.
    await page.keyboard.press("Shift+Tab");
    for (let tabs = 0; tabs < 3 && !(await page.getByRole("button", { name: "Previous" }).evaluate((button) => button === document.activeElement)); tabs++) {
      await page.keyboard.press("Tab");
    }
    await page.keyboard.press("Enter");
    await page.getByText("1 to 25 of 27").waitFor();
    const first = await rows.first().getAttribute("data-id");
    await page.reload();
    await rows.first().waitFor();
    await tabTo(page, rows.first().getByRole("link"));
    await page.keyboard.press("Enter");
    await atHeading(page, first);
    // The way back is the browser's own key, which no page sees.
    await page.goBack();
    await atHeading(page, "Assets");
    assert.equal(await page.getByRole("searchbox").inputValue(), `keys-${run}`, "what was searched for is there still");
    await context.close();
  });

  test("a row is acted upon and deleted, and the focus stays with its table", async (t) => {
    const names = [`keys-${run}-a`, `keys-${run}-b`];
    t.after(() => Promise.all(names.map((name) => call(to, "DELETE", media(to, `/uploadRules/${name}`)))));
    for (const name of names) {
      const { status, body } = await call(to, "PUT", media(to, `/uploadRules/${name}`), {
        properties: {
          storageAccountName: "local",
          container: `keys-${run}`,
          prefix: `${name}/`,
          suffixes: [".mp4"],
          transformName: "AdaptiveStreaming",
          streamingPolicyName: "Predefined_ClearStreamingOnly",
        },
      });
      assert.ok(status < 300, JSON.stringify(body));
    }
    const { context, page } = await openPortal(browser, to, "/upload-rules");
    const table = page.getByRole("table", { name: "Upload rules" });
    const [first, second] = names.map((name) => table.locator(`tr[data-id="${name}"]`));
    await second.waitFor();
    await tabTo(page, first.getByRole("button", { name: "Disable" }));
    await page.keyboard.press("Space");
    await first.getByText("Disabled").waitFor();
    // The same button says what it does now, and has the focus still.
    assert.equal(await page.evaluate(() => document.activeElement?.textContent), "Enable");
    await tabTo(page, first.getByRole("button", { name: "Delete" }));
    await page.keyboard.press("Enter");
    const dialog = page.getByRole("dialog");
    await tabTo(page, dialog.getByRole("button", { name: "Keep" }));
    await page.keyboard.press("Enter");
    await dialog.waitFor({ state: "detached" });
    assert.equal(await page.evaluate(() => document.activeElement?.textContent), "Delete", "whoever keeps it is where they were");
    await page.keyboard.press("Enter");
    await tabTo(page, dialog.getByRole("button", { name: "Delete" }));
    await page.keyboard.press("Enter");
    await first.waitFor({ state: "detached" });
    await page.waitForFunction(() => document.activeElement?.matches("table[aria-label='Upload rules']"));
    await tabTo(page, second.getByRole("button", { name: "Disable" }), 3);
    await tabTo(page, second.getByRole("button", { name: "Delete" }), 3);
    await page.keyboard.press("Enter");
    await tabTo(page, dialog.getByRole("button", { name: "Delete" }));
    await page.keyboard.press("Enter");
    await second.waitFor({ state: "detached" });
    // With the last row of all, the page's heading; others' rules may be there.
    await page.waitForFunction(() => document.activeElement?.matches("table[aria-label='Upload rules'], main h1"));
    await context.close();
  });

  test("a film is chosen, paused, gone on with and cancelled", { timeout: 15 * 60_000 }, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), "headwater-keys-"));
    t.after(() => rmSync(folder, { recursive: true }));
    const file = join(folder, `keys-${run}.bin`);
    writeFileSync(file, Buffer.alloc(18 * 1024 * 1024, 7));
    const { context, page } = await openPortal(browser, to, "/upload");
    let held = true;
    await context.route(/comp=block&/, (route) => (held ? undefined : route.continue()));
    const choosing = page.waitForEvent("filechooser");
    await tabTo(page, page.getByRole("button", { name: "Choose films" }));
    await page.keyboard.press("Enter");
    await (await choosing).setFiles(file);
    const row = page.locator(".flows > li", { hasText: `keys-${run}` });
    await row.getByText("Uploading").first().waitFor();
    await tabTo(page, row.getByRole("button", { name: "Pause" }));
    await page.keyboard.press("Space");
    await row.getByText("Paused").waitFor();
    assert.equal(await page.evaluate(() => document.activeElement?.textContent), "Go on");
    held = false;
    await page.keyboard.press("Space");
    await row.locator("progress").waitFor();
    held = true;
    await page.getByRole("button", { name: "Choose films" }).waitFor();
    await tabTo(page, page.getByRole("radio", { name: /^Stream to everybody/ }));
    // One of a group by arrows.
    await page.keyboard.press("ArrowDown");
    assert.ok(await page.getByRole("radio", { name: /^Stream and download/ }).isChecked());
    const asset = await row.getAttribute("data-asset");
    await context.close();
    await call(to, "DELETE", media(to, `/assets/${asset}`));
  });

  test("a film is played, paused and looked at in another player and quality, and an address copied", { timeout: 15 * 60_000 }, async () => {
    const { context, page, problems } = await openPortal(browser, to, `/watch/${film.locatorId}`);
    await plays(page);
    await tabTo(page, page.locator("video"));
    await page.keyboard.press("Space");
    await page.waitForFunction(() => document.querySelector("video").paused);
    await page.keyboard.press("Space");
    await page.waitForFunction(() => !document.querySelector("video").paused);
    // Players are one group: its chosen one by Tab, the others by arrows.
    await tabTo(page, page.getByRole("radio", { name: "hls.js" }));
    await page.keyboard.press("ArrowDown");
    assert.ok(await page.getByRole("radio", { name: "Shaka Player" }).isChecked());
    await page.waitForFunction(() => document.querySelector("video").dataset.player === "shaka");
    await page.evaluate(() => (document.querySelector("video").currentTime = 0));
    await plays(page);
    const quality = page.getByLabel("Quality");
    await tabTo(page, quality);
    assert.equal(await quality.inputValue(), "auto");
    await page.keyboard.press("ArrowDown");
    await page.waitForFunction(() => document.activeElement.value !== "auto");
    await page.waitForTimeout(1500);
    assert.equal(await quality.inputValue(), "0", "what was chosen stays while the page reads its player");
    const requests = page.locator("summary", { hasText: "Requests" });
    await tabTo(page, requests);
    await page.keyboard.press("Enter");
    await tabTo(page, page.getByRole("region", { name: /^Requests of the player/ }));
    const scrolled = () => page.evaluate(() => document.activeElement.scrollTop);
    const before = await scrolled();
    await page.keyboard.press("End");
    await page.waitForFunction((before) => document.activeElement.scrollTop > before, before);
    await context.grantPermissions(["clipboard-read", "clipboard-write"]);
    await tabTo(page, page.getByRole("button", { name: "Copy HLS", exact: true }).first());
    await page.keyboard.press("Enter");
    await page.getByRole("status").getByText("HLS copied").waitFor();
    assert.match(await page.evaluate(() => navigator.clipboard.readText()), /format=m3u8/);
    assert.deepEqual(problems, []);
    await context.close();
  });
});
