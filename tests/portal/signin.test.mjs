// People of another authority: signing in there and being let in here, staying in, leaving; and all that can be wrong.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { authority, signInAs } from "./lib/authority.mjs";
import { launch } from "./lib/browser.mjs";
import { connection, demo } from "./lib/headwater.mjs";
import { complaints, openPortal, SHAPES, shot, tooWide } from "./lib/portal.mjs";

const PORT = Number(process.env.HEADWATER_AUTHORITY_PORT);

describe("signing in at another authority", () => {
  let browser;
  let to;
  let there;

  before(
    async () => {
      if (!PORT) throw new Error("HEADWATER_AUTHORITY_PORT has to be that of the first issuer in the running Headwater's --oidc-config");
      to = connection();
      browser = await launch();
      await demo(to);
    },
    { timeout: 5 * 60_000 },
  );
  after(() => browser?.close());
  beforeEach(async () => {
    there = await authority(PORT, to.portalUrl);
  });
  afterEach(() => there.close());

  /** A visitor who has pressed the button. */
  async function leaving(place = "/", name = "Test authority") {
    const opened = await openPortal(browser, to, place, {}, null);
    await opened.page.getByRole("button", { name: `Sign in with ${name}` }).click();
    return opened;
  }

  async function looked(page, name) {
    for (const [shape, options] of Object.entries(SHAPES)) {
      await page.setViewportSize(options.viewport);
      await page.emulateMedia({ colorScheme: options.colorScheme });
      assert.deepEqual(await complaints(page), [], `${name} on ${shape}`);
      assert.equal(await tooWide(page), false, `${name} on ${shape}`);
      await shot(page, `${shape}-${name}`);
    }
  }

  test("an owner comes back to the page they wanted, with no code or token in any address, and leaves both", async () => {
    const { context, page, problems } = await openPortal(browser, to, "/assets", {}, null);
    const button = page.getByRole("button", { name: "Sign in with Test authority" });
    await button.waitFor();
    await looked(page, "sign-in-providers");
    const asked = page.waitForRequest((request) => new URL(request.url()).port === String(PORT) && request.isNavigationRequest());
    await button.click();
    const { searchParams } = new URL((await asked).url());
    assert.equal(searchParams.get("code_challenge_method"), "S256");
    assert.equal(searchParams.get("response_type"), "code");
    assert.ok(searchParams.get("state") && searchParams.get("nonce") && searchParams.get("code_challenge"));
    await signInAs(page, "owner");
    await page.getByRole("table", { name: "Assets" }).waitFor();
    assert.equal(page.url(), `${to.portalUrl}/#/assets`);
    const kept = await page.evaluate(() => ({ ...sessionStorage }));
    assert.deepEqual(Object.keys(kept).sort(), ["headwater.signed-in", "headwater.token"].sort());
    assert.equal(await page.evaluate(() => localStorage.length), 0);
    // Back leads to nothing that could be used once more.
    const token = kept["headwater.token"];
    const answer = await fetch(`${to.apiUrl}/api/v1/user/profile`, { headers: { authorization: `Bearer ${token}` } });
    assert.equal((await answer.json()).status.issuer, `http://127.0.0.1:${PORT}`);
    // The authority's own pages ask for a font and an icon that are not there.
    const ours = problems.filter((problem) => !/fonts\.googleapis\.com/.test(problem) && !problem.includes(`:${PORT}/favicon.ico`));
    assert.deepEqual(ours, []);

    await page.getByRole("button", { name: "Sign out" }).click();
    await page.waitForURL((url) => url.port === String(PORT));
    assert.ok(!page.url().includes(token));
    await page.getByRole("button", { name: /sign me out/i }).click();
    await page.waitForURL(`${to.portalUrl}/`);
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
    assert.deepEqual(await page.evaluate(() => Object.keys(sessionStorage)), []);
    await context.close();
  });

  test("a token that is about to end is renewed, and so is one that the API refuses", async () => {
    await there.close();
    there = await authority(PORT, to.portalUrl, 30);
    const { context, page } = await leaving("/assets");
    await signInAs(page, "owner");
    await page.getByRole("table", { name: "Assets" }).waitFor();
    const first = await page.evaluate(() => sessionStorage.getItem("headwater.token"));
    // Its last fifth begins after 24 seconds.
    await page.waitForFunction((first) => sessionStorage.getItem("headwater.token") !== first, first);
    assert.deepEqual(there.issued.slice(0, 2), ["authorization_code", "refresh_token"]);
    const renewals = there.issued.length;
    let asked = 0;
    await context.route("**/media/jobs?*", (route) => {
      asked += 1;
      return asked === 1 ? route.fulfill({ status: 401, json: { error: { code: "Unauthenticated", detail: "Ended." } } }) : route.continue();
    });
    await page.getByRole("link", { name: "Jobs", exact: true }).first().click();
    await page.getByRole("table", { name: "Jobs" }).waitFor();
    assert.ok(asked >= 2 && there.issued.length > renewals, `asked ${asked} times, ${there.issued}`);
    assert.equal(await page.getByRole("dialog").count(), 0);
    await context.close();
  });

  test("what cannot be renewed is asked for in another window, and the page keeps what was typed", async () => {
    const { context, page } = await leaving("/assets");
    await signInAs(page, "owner");
    await page.getByRole("button", { name: "New asset" }).click();
    await page.getByLabel("Name", { exact: true }).fill("typed-before");
    // All that the authority knew is gone, and the API takes the token no more.
    await there.close();
    there = await authority(PORT, to.portalUrl);
    const old = await page.evaluate(() => sessionStorage.getItem("headwater.token"));
    await context.route("**/media/assets/typed-before", (route) =>
      route.request().headers().authorization === `Bearer ${old}`
        ? route.fulfill({ status: 401, json: { error: { code: "Unauthenticated", detail: "Ended." } } })
        : route.fulfill({ status: 409, json: { error: { code: "Conflict", detail: "There is one." } } }),
    );
    await page.getByRole("button", { name: "Make asset" }).click();
    const again = page.getByRole("dialog", { name: "Sign in to go on" });
    const button = again.getByRole("button", { name: "Sign in with Test authority" });
    await button.waitFor();
    await looked(page, "sign-in-again");
    await page.setViewportSize(SHAPES["desk-light"].viewport);
    const opening = context.waitForEvent("page");
    await button.click();
    const other = await opening;
    await signInAs(other, "owner");
    await again.waitFor({ state: "detached" });
    assert.equal(await page.getByLabel("Name", { exact: true }).inputValue(), "typed-before");
    assert.notEqual(await page.evaluate(() => sessionStorage.getItem("headwater.token")), old);
    await page.getByRole("button", { name: "Make asset" }).click();
    await page.locator(".failure[data-kind=conflict]").waitFor();
    await context.close();
  });

  test("somebody without a role here is told so, is not signed in, and can leave", async () => {
    const { context, page } = await leaving();
    await signInAs(page, "stranger");
    await page.getByRole("heading", { name: "No access yet" }).waitFor();
    assert.equal(page.url(), `${to.portalUrl}/assets-ui/signed-in`);
    assert.deepEqual(await page.evaluate(() => Object.keys(sessionStorage)), []);
    await looked(page, "sign-in-unknown");
    await page.getByRole("button", { name: "Sign out of Test authority" }).click();
    await page.waitForURL((url) => url.port === String(PORT));
    await context.close();
  });

  test("an answer with another state, or to nobody, signs nobody in", async () => {
    const { context, page } = await leaving();
    await page.locator("input[name=login]").waitFor();
    const asked = [];
    await context.route("**/token", (route) => (asked.push(route.request().url()), route.continue()));
    await page.goto(`${to.portalUrl}/assets-ui/signed-in?code=stolen&state=another&iss=${encodeURIComponent(`http://127.0.0.1:${PORT}`)}`);
    await page.getByText("not for a sign-in that was begun in this tab").waitFor();
    await looked(page, "sign-in-failed");
    // What it was to match is gone: the same again finds nothing begun.
    await page.goto(`${to.portalUrl}/assets-ui/signed-in`);
    await page.getByText("none was begun in this tab").waitFor();
    await page.getByRole("link", { name: "To the sign-in" }).click();
    await page.getByLabel("Token").waitFor();
    assert.deepEqual(asked, []);
    assert.deepEqual(await page.evaluate(() => Object.keys(sessionStorage)), []);
    await context.close();
  });

  test("a refusal of the authority is told in words", async () => {
    const { context, page } = await leaving();
    await page.getByRole("link", { name: /cancel/i }).click();
    await page.locator(".failure[data-kind=invalid]", { hasText: "Test authority did not let you in" }).waitFor();
    await context.close();
  });

  test("an authority that is not there is said so, before leaving and after", async () => {
    const { context, page } = await leaving("/", "Silent authority");
    await page.locator(".failure[data-kind=down]", { hasText: "Silent authority does not answer" }).waitFor();
    await looked(page, "sign-in-down");
    await page.getByRole("button", { name: "Sign in with Test authority" }).click();
    await page.locator("input[name=login]").waitFor();
    const answer = await answerOf(page, to);
    await there.close();
    await page.goto(answer);
    await page.locator(".failure[data-kind=down]", { hasText: "Test authority does not answer" }).waitFor();
    there = await authority(PORT, to.portalUrl);
    await context.close();
  });

  test("the page of the answer may connect to this origin and the configured authorities, and to nothing else", async () => {
    const policy = (await fetch(`${to.portalUrl}/assets-ui/signed-in`)).headers.get("content-security-policy");
    const connect = policy.split(";").find((directive) => directive.trim().startsWith("connect-src"));
    assert.match(connect, new RegExp(`^ ?connect-src 'self'( http://127\\.0\\.0\\.1:\\d+){2}$`));
    assert.ok(connect.includes(`http://127.0.0.1:${PORT}`));
    assert.doesNotMatch(policy, /unsafe|\*/);
  });
});

/** An answer to the sign-in that is under way, as the authority would give it. */
async function answerOf(page, to) {
  // The portal's session storage belongs to its origin, so it is read there.
  await page.goto(`${to.portalUrl}/robots.txt`);
  const { state } = JSON.parse(await page.evaluate(() => sessionStorage.getItem("headwater.sign-in")));
  return `${to.portalUrl}/assets-ui/signed-in?code=x&state=${state}&iss=${encodeURIComponent(`http://127.0.0.1:${PORT}`)}`;
}
