// What is wrong is said, with a way on, and nothing that was typed is lost.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { launch } from "./lib/browser.mjs";
import { call, connection, demo, makeFilm, media } from "./lib/headwater.mjs";
import { copyDemo, must, putFile } from "./lib/media.mjs";
import { complaints, openPortal, SHAPES, shot, tooWide } from "./lib/portal.mjs";

const answer = (status, code, detail, headers = {}, extraDetail = {}) => ({
  status,
  headers: { "content-type": "application/json", ...headers },
  body: JSON.stringify({ error: { code, detail, extraDetail }, ref: "00000000-ref", status }),
});

describe("states of the portal", () => {
  let browser;
  let to;

  let folder;
  /** A file of five blocks. */
  let large;
  const run = randomUUID().slice(0, 6);

  before(
    async () => {
      to = connection();
      browser = await launch();
      folder = mkdtempSync(join(tmpdir(), "headwater-states-"));
      large = join(folder, "large.bin");
      const bytes = Buffer.alloc(18 * 1024 * 1024);
      for (let at = 0; at < bytes.length; at += 4096) bytes.writeUInt32LE(at, at);
      writeFileSync(large, bytes);
      await demo(to);
    },
    { timeout: 5 * 60_000 },
  );
  after(async () => {
    await browser?.close();
    rmSync(folder, { recursive: true });
  });

  /** The number of the block that a request to the store is about. */
  function blockOf(url) {
    return Number(Buffer.from(new URL(url).searchParams.get("blockid"), "base64").toString().slice(-6));
  }

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

  test("an API that is slow is said so while it is waited for, with everything else in reach", async () => {
    const { context, page } = await openPortal(browser, to);
    let release;
    const held = new Promise((resolve) => (release = resolve));
    await context.route("**/media/assets?*", async (route) => {
      await held;
      await route.continue();
    });
    // What is said first, noted in the page: on a busy machine a moment is over before anybody looks.
    await page.evaluate(() => {
      globalThis.said = [];
      const look = () => {
        const waiting = document.querySelector("main .loading");
        if (waiting !== null && globalThis.said.at(-1) !== waiting.textContent) globalThis.said.push(waiting.textContent);
      };
      new MutationObserver(look).observe(document.body, { childList: true, subtree: true, characterData: true });
    });
    await page.getByRole("link", { name: "Assets", exact: true }).first().click();
    const waiting = page.locator("main .loading");
    await waiting.waitFor();
    await waiting.getByText("This takes longer than usual. Still waiting for Headwater.").waitFor();
    const [first] = await page.evaluate(() => globalThis.said);
    assert.ok(!first.includes("longer than usual"), `a moment is nothing to tell of: ${first}`);
    assert.equal(await waiting.getAttribute("role"), "status");
    assert.deepEqual(await complaints(page), []);
    await shot(page, "state-slow");
    // A form can be filled in meanwhile.
    await page.getByRole("button", { name: "New asset" }).click();
    await page.getByLabel("Name", { exact: true }).fill("typed-meanwhile");
    release();
    await page.getByRole("table", { name: "Assets" }).waitFor({ state: "attached" });
    await waiting.waitFor({ state: "detached" });
    assert.equal(await page.getByLabel("Name", { exact: true }).inputValue(), "typed-meanwhile");
    await context.close();
  });

  test("a network that fails in the middle of an upload breaks it off, and what was sent is kept", { timeout: 15 * 60_000 }, async (t) => {
    const asset = `broken-${run}`;
    t.after(() => call(to, "DELETE", media(to, `/assets/${asset}`)));
    await call(to, "PUT", media(to, `/assets/${asset}`), { properties: { containerDeletionPolicy: "Delete" } });
    const { context, page } = await openPortal(browser, to, `/assets/${asset}`);
    let down = false;
    const sent = [];
    await context.route(/comp=block&/, async (route) => {
      const number = blockOf(route.request().url());
      if (number >= 2) down = true;
      if (down && number >= 2) return route.abort("internetdisconnected");
      await route.continue();
      sent.push(number);
    });
    await page.locator("input[type=file]").first().setInputFiles(large);
    const row = page.locator(".uploads li", { hasText: "large.bin" });
    // It is tried again for a while before it is given up.
    await row.getByText("Broke off").waitFor();
    await row.locator(".failure[data-kind=down]", { hasText: "What has been sent is kept" }).waitFor();
    assert.deepEqual(await complaints(page), []);
    await shot(page, "state-upload-broken");
    await context.unroute(/comp=block&/);
    const again = [];
    await context.route(/comp=block&/, (route) => (again.push(blockOf(route.request().url())), route.continue()));
    await row.getByRole("button", { name: "Go on" }).click();
    await row.getByText("Uploaded").waitFor();
    assert.deepEqual([...new Set(again)].sort(), [2, 3, 4], "only what was missing is sent");
    await page.getByRole("table", { name: "Files" }).getByText("18.0 MiB").waitFor();
    assert.equal(await page.evaluate(() => localStorage.length), 0, "nothing is left to be remembered");
    await context.close();
  });

  test("a closed tab loses nothing: its film asks for its file, goes on where it was, and becomes what was wished", { timeout: 15 * 60_000 }, async () => {
    const { context, page } = await openPortal(browser, to, "/upload");
    const film = join(folder, `closed-${run}.mp4`);
    // A film, and then as much again as makes it five blocks: a `free` box, which players pass over.
    const padding = Buffer.alloc(17 * 1024 * 1024);
    padding.writeUInt32BE(padding.length, 0);
    padding.write("free", 4, "latin1");
    writeFileSync(film, Buffer.concat([makeFilm(3), padding]));
    await page.getByLabel("Encode with").selectOption("as-is");
    await page.getByText("Stream and download").check();
    // Nobody listens at the addresses of the others, which are tried until the tab closes. By a route they would be held back or refused in
    // another process, and Chromium sends what it has not heard of when its tab closes.
    await page.evaluate(() => {
      const { open } = XMLHttpRequest.prototype;
      XMLHttpRequest.prototype.open = function (method, url) {
        const block = new URL(url).searchParams.get("blockid");
        const there = block === null || Number(atob(block).slice(-6)) < 2;
        return open.call(this, method, there ? url : "http://127.0.0.1:1/");
      };
    });
    let stored = 0;
    await context.route(/comp=block&/, (route) => (stored++, route.continue()));
    await page.locator("input[type=file]").first().setInputFiles(film);
    await page.waitForFunction(() => document.querySelector(".uploads progress")?.value >= 8 * 1024 * 1024);
    assert.equal(stored, 2);
    const kept = await page.evaluate(() => JSON.stringify({ ...localStorage }));
    assert.ok(!kept.includes(to.token) && !kept.includes("sig="), "no token and no signature is kept beyond the tab");
    // A second tab does not take it away from the first.
    const other = await context.newPage();
    await other.goto(`${to.portalUrl}/#token=${to.token}`);
    await other.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
    await other.locator(".card[data-locator]").first().waitFor();
    assert.equal(await other.getByText("unfinished upload").count(), 0);
    await other.close();
    await page.close();

    await context.unroute(/comp=block&/);
    const sent = [];
    await context.route(/comp=block&/, (route) => (sent.push(blockOf(route.request().url())), route.continue()));
    const next = await context.newPage();
    next.setDefaultTimeout(120_000);
    await next.goto(`${to.portalUrl}/#token=${to.token}`);
    await next.getByRole("link", { name: "1 unfinished upload" }).click();
    const flow = next.locator(".flows > li", { hasText: `closed-${run}` });
    await flow.getByText("Broke off when its tab was closed").waitFor();
    assert.deepEqual(await complaints(next), []);
    await shot(next, "state-upload-closed");
    await next.setViewportSize(SHAPES["phone-dark"].viewport);
    await next.emulateMedia({ colorScheme: "dark" });
    assert.deepEqual(await complaints(next), []);
    assert.equal(await tooWide(next), false);
    await shot(next, "state-upload-closed-phone");
    // With one project its name stands there, however long it is, and that of what is being sent.
    await next.evaluate(() => {
      const chosen = document.querySelector(".who select");
      const name = document.createElement("span");
      name.className = "meta project";
      name.textContent = "a-project-of-24-letters-";
      (chosen ?? document.querySelector(".who .project")).replaceWith(name);
    });
    assert.equal(await tooWide(next), false);
    await shot(next, "state-upload-closed-phone-project", false);
    await next.reload();
    await flow.getByText("Broke off when its tab was closed").waitFor();
    // Another file is told to be one.
    await flow.locator("input[type=file]").setInputFiles(large);
    await flow.locator(".failure[data-kind=conflict]", { hasText: "another file" }).waitFor();
    await flow.locator("input[type=file]").setInputFiles(film);
    await next.locator(`.flows > li[data-stage=done]`, { hasText: `closed-${run}` }).waitFor();
    assert.deepEqual([...new Set(sent)].sort(), [2, 3, 4], "what was sent before the tab closed is not sent again");
    await flow.getByRole("link", { name: "Play" }).click();
    await next.waitForFunction(() => document.querySelector("video")?.videoWidth > 0);
    // Another file beside it is its own matter, and is remembered no longer than it takes.
    const asset = await next.evaluate(() => document.querySelector("h1").textContent);
    await next.goto(`${to.portalUrl}/#/assets/${asset}`);
    await next.locator("input[type=file]").first().setInputFiles(large);
    await next.locator(".uploads li", { hasText: "large.bin" }).getByText("Uploaded").waitFor();
    const locators = (await call(to, "GET", media(to, "/streamingLocators?$orderby=properties/created%20desc"))).body.value;
    const made = locators.find(({ properties }) => properties.assetName.startsWith(`closed-${run}`));
    assert.equal(made.properties.streamingPolicyName, "Predefined_DownloadAndClearStreaming", "it is published as was wished in the tab that closed");
    assert.equal(await next.evaluate(() => localStorage.length), 0);
    await context.close();
  });

  test("who signs out leaves nothing of uploads behind", async (t) => {
    const asset = `left-${run}`;
    t.after(() => call(to, "DELETE", media(to, `/assets/${asset}`)));
    await call(to, "PUT", media(to, `/assets/${asset}`), { properties: { containerDeletionPolicy: "Delete" } });
    const { context, page } = await openPortal(browser, to, `/assets/${asset}`);
    await context.route(/comp=block&/, () => undefined);
    await page.locator("input[type=file]").first().setInputFiles(large);
    await page.locator(".uploads li", { hasText: "large.bin" }).getByText("Uploading").waitFor();
    assert.equal(await page.evaluate(() => localStorage.length), 1);
    page.on("dialog", (dialog) => void dialog.accept());
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByLabel("Token").waitFor();
    assert.equal(await page.evaluate(() => localStorage.length), 0);
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

  test("what is written is sent once, however slow the answer and however often somebody presses", async (t) => {
    const name = `slow-${run}`;
    t.after(() => call(to, "DELETE", media(to, `/assets/${name}`)));
    const { context, page } = await openPortal(browser, to, "/assets");
    await page.getByRole("button", { name: "New asset" }).click();
    const form = page.getByRole("dialog");
    await form.getByLabel("Name", { exact: true }).fill(name);
    await form.getByLabel("Description").fill("Typed once");
    let release;
    const held = new Promise((resolve) => (release = resolve));
    let sent = 0;
    await context.route(`**/media/assets/${name}`, async (route) => {
      if (route.request().method() !== "PUT") return route.continue();
      sent++;
      await held;
      await route.continue();
    });
    const button = form.getByRole("button", { name: "Make asset" });
    await button.click();
    await page.waitForFunction(() => document.querySelector("dialog button[type=submit]").ariaBusy === "true");
    await button.click({ force: true });
    await form.getByLabel("Name", { exact: true }).press("Enter");
    await form.getByRole("status").getByText("Still waiting for Headwater.").waitFor();
    await shot(page, "state-slow-write", false);
    assert.deepEqual(await complaints(page), []);
    assert.equal(await form.getByLabel("Description").inputValue(), "Typed once");
    release();
    await page.getByRole("heading", { level: 1, name }).waitFor();
    assert.equal(sent, 1);
    assert.equal((await must(to, "GET", `/assets/${name}`)).properties.description, "Typed once");
    await context.close();
  });

  test("who reloads with something typed is asked first; without, or once it is sent, nobody is", async (t) => {
    const name = `left-typed-${run}`;
    t.after(() => call(to, "DELETE", media(to, `/assets/${name}`)));
    const { context, page } = await openPortal(browser, to, "/assets");
    const asked = [];
    page.on("dialog", (dialog) => {
      asked.push(dialog.type());
      void dialog.accept();
    });
    const form = page.getByRole("dialog");
    const reload = async () => {
      await page.reload();
      await page.getByRole("table", { name: "Assets" }).waitFor();
    };
    // Looked at, and filled in and emptied again.
    await page.getByRole("button", { name: "New asset" }).click();
    await form.getByLabel("Description").pressSequentially("a");
    await form.getByLabel("Description").press("Backspace");
    await reload();
    assert.deepEqual(asked, []);
    // The dialog is closed, what was typed is kept for when it is opened again.
    await page.getByRole("button", { name: "New asset" }).click();
    await form.getByLabel("Name", { exact: true }).pressSequentially(name);
    await page.keyboard.press("Escape");
    await page.getByRole("link", { name: "Jobs", exact: true }).first().click();
    await page.getByRole("heading", { level: 1, name: "Jobs" }).waitFor();
    await page.getByRole("link", { name: "Assets", exact: true }).first().click();
    await page.getByRole("table", { name: "Assets" }).waitFor();
    assert.deepEqual(asked, [], "pages of the portal keep it");
    await reload();
    assert.deepEqual(asked, ["beforeunload"]);
    await page.getByRole("button", { name: "New asset" }).click();
    await form.getByLabel("Name", { exact: true }).pressSequentially(name);
    await form.getByRole("button", { name: "Make asset" }).click();
    await page.getByRole("heading", { level: 1, name }).waitFor();
    await page.reload();
    await page.getByRole("heading", { level: 1, name }).waitFor();
    assert.equal(asked.length, 1);
    await context.close();
  });

  test("an upload outlives a busy store, a refused signature and a token that ends", { timeout: 15 * 60_000 }, async (t) => {
    const asset = `refused-${run}`;
    t.after(() => call(to, "DELETE", media(to, `/assets/${asset}`)));
    await call(to, "PUT", media(to, `/assets/${asset}`), { properties: { containerDeletionPolicy: "Delete" } });
    const { context, page } = await openPortal(browser, to, `/assets/${asset}`);
    const row = page.locator(".uploads li", { hasText: "large.bin" });
    // A token that ends before the upload has an address: the sign-in lies over the page, and the upload waits for somebody.
    await context.route("**/listContainerSas", (route) => route.fulfill(answer(401, "Unauthenticated", "Expired.")));
    await page.locator("input[type=file]").first().setInputFiles(large);
    const again = page.getByRole("dialog", { name: "Sign in to go on" });
    await again.getByLabel("Token").fill(to.token);
    await context.unroute("**/listContainerSas");
    await again.getByRole("button", { name: "Go on" }).click();
    await again.waitFor({ state: "detached" });
    await row.locator(".failure[data-kind=signed-out]").waitFor();
    // Busy: it is tried again by itself. Refused: that is said at once.
    const tries = new Map();
    await context.route(/comp=block&/, async (route) => {
      const number = blockOf(route.request().url());
      tries.set(number, (tries.get(number) ?? 0) + 1);
      if (number === 0 && tries.get(0) === 1) return route.fulfill({ status: 503 });
      if (number === 3) {
        // Whatever is under way is given up then.
        while (tries.get(0) < 2) await new Promise((resolve) => setTimeout(resolve, 50));
        return route.fulfill({ status: 403 });
      }
      return route.continue();
    });
    await row.getByRole("button", { name: "Go on" }).click();
    await row.locator(".failure[data-kind=invalid]", { hasText: "refused the upload's signature" }).waitFor();
    assert.equal(tries.get(0), 2);
    assert.equal(tries.get(3), 1);
    assert.deepEqual(await complaints(page), []);
    await shot(page, "state-upload-refused");
    await context.unroute(/comp=block&/);
    await row.getByRole("button", { name: "Go on" }).click();
    await row.getByText("Uploaded").waitFor();
    await page.getByRole("table", { name: "Files" }).getByText("18.0 MiB").waitFor();
    // So is a busy API, in its own words and with its wait.
    await context.route("**/listContainerSas", (route) => route.fulfill(answer(429, "TooManyRequests", "Too many requests.", { "retry-after": "7" })));
    await page.locator("input[type=file]").first().setInputFiles({ name: "small.bin", mimeType: "application/octet-stream", buffer: Buffer.alloc(1000, 7) });
    const small = page.locator(".uploads li", { hasText: "small.bin" });
    await small.locator(".failure[data-kind=busy]", { hasText: "Too many requests." }).getByText("Try again in 7 s.").waitFor();
    await context.unroute("**/listContainerSas");
    await small.getByRole("button", { name: "Go on" }).click();
    await small.getByText("Uploaded").waitFor();
    assert.equal((await must(to, "GET", `/assets/${asset}/storage`)).spec.files.find(({ name }) => name === "small.bin").size, 1000);
    await context.close();
  });

  test("what is to be encrypted has its key policy before anything is sent", { timeout: 15 * 60_000 }, async (t) => {
    const name = `keys-first-${run}`;
    const options = [{ configuration: { "@odata.type": "#Microsoft.Media.ContentKeyPolicyClearKeyConfiguration" }, restriction: { "@odata.type": "#Microsoft.Media.ContentKeyPolicyOpenRestriction" } }];
    await must(to, "PUT", `/contentKeyPolicies/${name}`, { properties: { options } });
    const { context, page } = await openPortal(browser, to, "/upload");
    let written = 0;
    page.on("request", (request) => (written += request.method() === "PUT" ? 1 : 0));
    const film = { name: `${name}.mp4`, mimeType: "video/mp4", buffer: makeFilm(3) };
    await page.getByLabel("Encode with").selectOption("as-is");
    await page.getByText("Encrypt with AES-128").check();
    await page.locator("input[type=file]").first().setInputFiles(film);
    await page.locator("main .failure", { hasText: "Choose the key policy first" }).waitFor();
    assert.equal(written, 0);
    assert.deepEqual(await complaints(page), []);
    await page.getByLabel("Key policy", { exact: true }).selectOption(name);
    await page.locator("input[type=file]").first().setInputFiles(film);
    await page.locator(".flows > li[data-stage=done]", { hasText: name }).waitFor({ timeout: 300_000 });
    assert.equal(await page.locator("main .failure").count(), 0);
    const made = (await must(to, "GET", "/streamingLocators?$orderby=properties/created%20desc")).value.find(({ properties }) => properties.assetName.startsWith(name));
    t.after(async () => {
      await call(to, "DELETE", media(to, `/streamingLocators/${made.name}`));
      await call(to, "DELETE", media(to, `/assets/${made.properties.assetName}`));
      await call(to, "DELETE", media(to, `/contentKeyPolicies/${name}`));
    });
    assert.deepEqual([made.properties.streamingPolicyName, made.properties.defaultContentKeyPolicyName], ["Predefined_ClearKey", name]);
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

  test("a token that has ended when the page opens asks for another, and the page is where its address says", async (t) => {
    const made = await call(to, "POST", "/api/v1/user/tokens", { type: "full-access", description: "ends before a page", roles: ["viewer"] });
    const { context, page } = await openPortal(browser, to, "/key-policies", {}, made.body.metadata.JWT);
    t.after(() => context.close());
    await page.getByRole("heading", { level: 1, name: "Key policies" }).waitFor();
    await call(to, "DELETE", `/api/v1/user/tokens/${made.body.metadata.id}`);
    await page.reload();
    const again = page.getByRole("dialog", { name: "Sign in to go on" });
    // Another that is none either is told so, where it was typed.
    await again.getByLabel("Token").fill("no.such.token");
    await again.getByRole("button", { name: "Go on" }).click();
    await again.locator(".failure[data-kind=signed-out]").waitFor();
    assert.equal(await again.getByLabel("Token").inputValue(), "no.such.token");
    assert.deepEqual(await complaints(page), []);
    await shot(page, "state-expired-before", false);
    await again.getByLabel("Token").fill(to.token);
    await again.getByRole("button", { name: "Go on" }).click();
    await again.waitFor({ state: "detached" });
    await page.getByRole("heading", { level: 1, name: "Key policies" }).waitFor();
    await page.getByRole("button", { name: "New key policy" }).click();
    await page.getByLabel("Name", { exact: true }).waitFor();
  });

  test("a viewer sees what there is and is not offered what they may not do", { timeout: 15 * 60_000 }, async (t) => {
    const made = await call(to, "POST", "/api/v1/user/tokens", { type: "full-access", description: "viewer of the portal tests", roles: ["viewer"] });
    const viewer = made.body.metadata.JWT;
    const { assetName } = await demo(to);
    const streamed = `streamed-${run}`;
    t.after(async () => {
      await call(to, "DELETE", media(to, `/streamingLocators/${streamed}`));
      await call(to, "DELETE", media(to, `/assets/${streamed}`));
    });
    await copyDemo(to, streamed);
    await putFile(to, streamed, "poster.jpg", "a picture", "image/jpeg");
    await must(to, "PUT", `/streamingLocators/${streamed}`, { properties: { assetName: streamed, streamingPolicyName: "Predefined_ClearStreamingOnly" } });
    const { context, page } = await openPortal(browser, to, `/assets?q=${assetName}`, {}, viewer);
    await page.getByRole("table", { name: "Assets" }).waitFor();
    assert.ok(await page.getByRole("button", { name: "New asset" }).isDisabled());
    // Of what is published there are posters, which take no look into storage.
    const poster = (asset) => page.waitForFunction((asset) => document.querySelector(`tr[data-id="${asset}"] .poster img`)?.naturalWidth > 0, asset);
    await poster(assetName);
    // Also of what is not among the first that are listed as published.
    await context.route("**/media/published", (route) => route.fulfill({ json: { value: [] } }));
    await page.reload();
    await poster(assetName);
    await context.unroute("**/media/published");
    // On its page there is what everybody may take, and nothing of an asset that nobody may take from.
    await page.goto(`${to.portalUrl}/#/assets/${assetName}`);
    await page.waitForFunction(() => document.querySelector(".pictures img")?.naturalWidth > 0);
    assert.deepEqual(await complaints(page), []);
    await page.goto(`${to.portalUrl}/#/assets/${streamed}`);
    await page.getByRole("table", { name: "Locators of this asset" }).waitFor();
    assert.equal(await page.locator(".pictures").count(), 0);
    assert.equal(await page.getByRole("link", { name: "Audit log" }).count(), 0);
    await page.goto(`${to.portalUrl}/#/audit`);
    await page.locator(".failure[data-kind=forbidden]").waitFor();
    await shot(page, "state-forbidden");
    assert.deepEqual(await complaints(page), []);
    await context.close();
    await call(to, "DELETE", `/api/v1/user/tokens/${made.body.metadata.id}`);
  });

  test("a link to the same list filters it anew, and so does the way back", async (t) => {
    const names = [`list-${run}-one`, `list-${run}-two`];
    t.after(() => Promise.all(names.map((name) => call(to, "DELETE", media(to, `/assets/${name}`)))));
    for (const [at, name] of names.entries()) await must(to, "PUT", `/assets/${name}`, { labels: { run, part: `part ${at + 1}` }, properties: { description: "of the list" } });
    const { context, page } = await openPortal(browser, to, `/assets?q=${names[0]}`);
    const table = page.getByRole("table", { name: "Assets" });
    const shows = async (...wanted) => {
      for (const name of names) await table.locator(`tr[data-id="${name}"]`).waitFor({ state: wanted.includes(name) ? "visible" : "detached" });
    };
    const search = page.getByRole("searchbox");
    await shows(names[0]);
    assert.equal(await search.inputValue(), names[0]);
    const open = (place) => page.evaluate((place) => {
      const link = document.createElement("a");
      link.href = place;
      document.querySelector("main").append(link);
      link.click();
      link.remove();
    }, `#${place}`);
    await open(`/assets?q=${names[1]}`);
    await shows(names[1]);
    assert.equal(await search.inputValue(), names[1]);
    await page.goBack();
    await shows(names[0]);
    assert.equal(await search.inputValue(), names[0]);
    // What was typed since stands in the address too: a link with what it began with goes back to that.
    await search.fill(`list-${run}`);
    await shows(...names);
    await page.waitForFunction((words) => location.hash.endsWith(`?q=${words}`), `list-${run}`);
    await open(`/assets?q=${names[0]}`);
    await shows(names[0]);
    await page.goBack();
    await shows(...names);
    assert.equal(await search.inputValue(), `list-${run}`);
    // Labels are searched, too, and lead to what has them.
    await search.fill(`run=${run}`);
    await shows(...names);
    await search.fill("part=part 2");
    await shows(names[1]);
    await table.getByRole("link", { name: names[1] }).click();
    await page.locator(".facts").getByRole("link", { name: `run=${run}` }).click();
    await shows(...names);
    assert.equal(await search.inputValue(), `run=${run}`);
    await search.fill("run=");
    await shows(...names);
    await page.waitForFunction(() => decodeURIComponent(location.hash).endsWith("?q=run="));
    // Choices above a list are in the address as well.
    await page.getByLabel("Which assets").selectOption({ label: "With a description" });
    await shows(...names);
    await open("/assets");
    await page.waitForFunction(() => document.querySelector("select[aria-label='Which assets']").value === "");
    assert.equal(await search.inputValue(), "");
    await page.goBack();
    await page.waitForFunction(() => document.querySelector("select[aria-label='Which assets']").value !== "");
    await shows(...names);
    // Chosen and left before the page was painted.
    await open("/assets");
    await page.waitForFunction(() => document.querySelector("select[aria-label='Which assets']").value === "");
    await page.evaluate(async () => {
      const select = document.querySelector("select[aria-label='Which assets']");
      select.selectedIndex = 1;
      select.dispatchEvent(new Event("change", { bubbles: true }));
      await new Promise((resolve) => setTimeout(resolve));
      location.hash = "#/assets?q=left";
    });
    await page.waitForFunction(() => document.querySelector("select[aria-label='Which assets']").value === "");
    assert.equal(await search.inputValue(), "left");
    await context.close();
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
