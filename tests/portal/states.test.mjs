// What is wrong is said, with a way on, and nothing that was typed is lost.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { launch } from "./lib/browser.mjs";
import { call, connection, demo } from "./lib/headwater.mjs";
import { complaints, openPortal, shot } from "./lib/portal.mjs";

const answer = (status, code, detail, headers = {}, extraDetail = {}) => ({
  status,
  headers: { "content-type": "application/json", ...headers },
  body: JSON.stringify({ error: { code, detail, extraDetail }, ref: "00000000-ref", status }),
});

describe("states of the portal", () => {
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

  test("an API that does not answer is said so, and the page comes back by itself", async () => {
    const { context, page } = await openPortal(browser, to);
    let down = true;
    await context.route("**/media/assets?*", (route) => (down ? route.abort() : route.continue()));
    await page.getByRole("link", { name: "Assets", exact: true }).first().click();
    await page.locator(".failure[data-kind=down]").waitFor();
    await shot(page, "state-down");
    assert.deepEqual(await complaints(page), []);
    down = false;
    await page.getByRole("table", { name: "Assets" }).waitFor();
    await page.locator(".failure").waitFor({ state: "detached" });
    await context.close();
  });

  test("a busy API names the wait, and is asked again after it", async () => {
    const { context, page } = await openPortal(browser, to);
    let busy = true;
    await context.route("**/media/jobs?*", (route) =>
      busy ? route.fulfill(answer(429, "TooManyRequests", "Too many requests.", { "retry-after": "2" })) : route.continue(),
    );
    await page.getByRole("link", { name: "Jobs", exact: true }).first().click();
    await page.getByText("Asks again in 2 s.").waitFor();
    await shot(page, "state-busy");
    assert.deepEqual(await complaints(page), []);
    busy = false;
    await page.getByRole("table", { name: "Jobs" }).waitFor();
    await context.close();
  });

  test("a conflict and a refused field leave the form as it was, with the complaint where it belongs", async () => {
    const { context, page } = await openPortal(browser, to, "/webhooks");
    await page.getByRole("button", { name: "New webhook" }).click();
    const form = page.getByRole("dialog");
    await form.getByLabel("Name", { exact: true }).fill("kept");
    await form.getByLabel("Address to call").fill("https://example.com/kept");
    await context.route("**/webhook/rules/kept", (route) => route.fulfill(answer(409, "Conflict", "There is another of that name.")));
    await form.getByRole("button", { name: "Save webhook" }).click();
    await form.locator(".failure[data-kind=conflict]").waitFor();
    await shot(page, "state-conflict", false);
    await context.unroute("**/webhook/rules/kept");
    await context.route("**/webhook/rules/kept", (route) =>
      route.fulfill(answer(400, "BadRequest", "spec.url: not reachable.", {}, { field: "spec.url" })),
    );
    await form.getByRole("button", { name: "Save webhook" }).click();
    const url = form.getByLabel("Address to call");
    await page.waitForFunction(() => document.activeElement?.getAttribute("aria-invalid") === "true");
    assert.equal(await url.getAttribute("aria-invalid"), "true");
    // Closed, left and come back to: it is all there.
    await page.keyboard.press("Escape");
    await page.getByRole("link", { name: "Jobs", exact: true }).first().click();
    await page.getByRole("link", { name: "Webhooks", exact: true }).first().click();
    await page.getByRole("button", { name: "New webhook" }).click();
    assert.equal(await form.getByLabel("Name", { exact: true }).inputValue(), "kept");
    assert.equal(await url.inputValue(), "https://example.com/kept");
    await context.close();
  });

  test("a token that ends in the middle asks for another over the page, which keeps what was typed", async () => {
    const { context, page } = await openPortal(browser, to, "/assets");
    await page.getByRole("button", { name: "New asset" }).click();
    await page.getByLabel("Name", { exact: true }).fill("typed-before");
    let ended = true;
    await context.route("**/media/assets/typed-before", (route) => (ended ? route.fulfill(answer(401, "Unauthenticated", "Expired.")) : route.continue()));
    await page.getByRole("button", { name: "Make asset" }).click();
    const again = page.getByRole("dialog", { name: "Sign in to go on" });
    await again.getByLabel("Token").fill(to.token);
    await shot(page, "state-expired", false);
    ended = false;
    await again.getByRole("button", { name: "Go on" }).click();
    await again.waitFor({ state: "detached" });
    assert.equal(await page.getByLabel("Name", { exact: true }).inputValue(), "typed-before");
    await page.getByRole("button", { name: "Make asset" }).click();
    await page.getByRole("heading", { level: 1, name: "typed-before" }).waitFor();
    await page.getByRole("button", { name: "Delete" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await page.getByRole("heading", { level: 1, name: "Assets" }).waitFor();
    await context.close();
  });

  test("a viewer sees what there is and is not offered what they may not do", async () => {
    const made = await call(to, "POST", "/api/v1/user/tokens", { type: "full-access", description: "viewer of the portal tests", roles: ["viewer"] });
    const viewer = made.body.metadata.JWT;
    const { context, page } = await openPortal(browser, to, "/assets", {}, viewer);
    await page.getByRole("table", { name: "Assets" }).waitFor();
    assert.ok(await page.getByRole("button", { name: "New asset" }).isDisabled());
    assert.equal(await page.getByRole("link", { name: "Audit log" }).count(), 0);
    await page.goto(`${to.portalUrl}/#/audit`);
    await page.locator(".failure[data-kind=forbidden]").waitFor();
    await shot(page, "state-forbidden");
    assert.deepEqual(await complaints(page), []);
    await context.close();
    await call(to, "DELETE", `/api/v1/user/tokens/${made.body.metadata.id}`);
  });

  test("empty lists say what belongs there, and what is not there leads back", async () => {
    const { context, page } = await openPortal(browser, to);
    const none = { value: [], supplemental: { pagination: { start: 0, end: 0, records: 0, total: 0 } } };
    await context.route("**/media/{assets,jobs,liveEvents}?*", (route) => route.fulfill({ json: none }));
    for (const [link, title] of [
      ["Assets", "No assets yet"],
      ["Jobs", "No jobs yet"],
      ["Live events", "No live events yet"],
    ]) {
      await page.getByRole("link", { name: link, exact: true }).first().click();
      await page.getByText(title).waitFor();
    }
    await shot(page, "state-empty");
    await page.goto(`${to.portalUrl}/#/assets/there-is-none`);
    await page.locator(".failure[data-kind=missing]").first().waitFor();
    await context.close();
  });

  test("another project is another set of things, and stays chosen", async () => {
    const made = await call(to, "PUT", "/api/v1/projects/portal-second", { spec: { displayName: "Second", locationName: "local" } });
    assert.ok(made.status < 300, JSON.stringify(made.body));
    const { context, page } = await openPortal(browser, to, "/assets");
    await page.getByRole("table", { name: "Assets" }).waitFor();
    await page.getByLabel("Project", { exact: true }).selectOption("portal-second");
    await page.getByText("No assets yet").waitFor();
    await page.reload();
    await page.getByText("No assets yet").waitFor();
    await page.getByLabel("Project", { exact: true }).selectOption(to.project);
    await page.getByRole("table", { name: "Assets" }).waitFor();
    await context.close();
  });

  test("everything is reached by keyboard: skip link, navigation, a dialog and back", async () => {
    const { context, page } = await openPortal(browser, to, "/assets");
    await page.getByRole("table", { name: "Assets" }).waitFor();
    await page.reload();
    await page.getByRole("table", { name: "Assets" }).waitFor();
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement?.textContent), "Skip to content");
    await page.keyboard.press("Enter");
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement?.textContent), "New asset");
    await page.keyboard.press("Enter");
    await page.getByRole("dialog").waitFor();
    for (let tabs = 0; tabs < 12; tabs++) {
      await page.keyboard.press("Tab");
      const inside = await page.evaluate(() => document.activeElement === document.body || document.activeElement?.closest("dialog") !== null);
      assert.ok(inside, "focus stays in the dialog");
    }
    await page.keyboard.press("Escape");
    assert.equal(await page.evaluate(() => document.activeElement?.textContent), "New asset");
    await context.close();
  });
});
