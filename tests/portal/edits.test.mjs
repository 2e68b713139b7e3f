// What is there is changed: its form opens filled, what was changed is sent and nothing else, and nothing typed is lost.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { generateKeyPairSync, randomUUID } from "node:crypto";
import { launch, openPage } from "./lib/browser.mjs";
import { call, connection, demo, media } from "./lib/headwater.mjs";
import { copyDemo, must, putFile } from "./lib/media.mjs";
import { openPortal } from "./lib/portal.mjs";

const secret = (byte) => Buffer.alloc(32, byte).toString("base64");

describe("edits in the portal", () => {
  let browser;
  let to;
  const run = randomUUID().slice(0, 6);

  before(
    async () => {
      to = connection();
      browser = await launch();
      await demo(to);
    },
    { timeout: 5 * 60_000 },
  );
  after(() => browser?.close());

  /** Opens `place` and the form behind `button`; `sent` gets the bodies of what is written. */
  async function opened(place, button, token = to.token) {
    const found = await openPortal(browser, to, place, {}, token);
    const sent = [];
    found.page.on("request", (request) => {
      if (["PATCH", "PUT"].includes(request.method())) sent.push({ method: request.method(), body: request.postDataJSON() });
    });
    if (button !== null) await found.page.getByRole("button", { name: button, exact: true }).first().click();
    return { ...found, sent, form: found.page.getByRole("dialog") };
  }

  async function read(path) {
    const { status, body } = await call(to, "GET", path);
    assert.equal(status, 200, `GET ${path} answered ${status}: ${JSON.stringify(body)}`);
    return body;
  }

  /** Saves and waits until the form is gone. */
  async function saved(form, label) {
    await form.getByRole("button", { name: label, exact: true }).click();
    await form.waitFor({ state: "detached" });
  }

  async function viewer(t, roles = ["viewer"]) {
    const { body } = await call(to, "POST", "/api/v1/user/tokens", { type: "full-access", description: `edits ${run}`, roles });
    t.after(() => call(to, "DELETE", `/api/v1/user/tokens/${body.metadata.id}`));
    return body.metadata.JWT;
  }

  test("a filter opens as it is, keeps the ticks and conditions that nobody touched, and gives back what is taken out", async (t) => {
    const name = `filter-${run}`;
    const path = media(to, `/accountFilters/${name}`);
    t.after(() => call(to, "DELETE", path));
    const other = { trackSelections: [{ property: "FourCC", operation: "NotEqual", value: "hvc1" }] };
    const video = {
      trackSelections: [
        { property: "Type", operation: "Equal", value: "Video" },
        { property: "Bitrate", operation: "Equal", value: "0-900000" },
      ],
    };
    const properties = {
      presentationTimeRange: { timescale: 90_000, startTimestamp: 300_300, endTimestamp: 900_000 },
      firstQuality: { bitrate: 600_000 },
      tracks: [other, video],
    };
    await must(to, "PUT", `/accountFilters/${name}`, { properties });
    const { context, page, form, sent } = await opened(`/filters`, null);
    const row = page.getByRole("table", { name: "Filters" }).getByRole("row", { name: new RegExp(name) });
    await row.getByRole("button", { name: "Edit" }).click();
    assert.equal(Number(await form.getByLabel("From (seconds)").inputValue()), 300_300 / 90_000);
    assert.equal(await form.getByLabel("Best picture (kbit/s)").inputValue(), "900");
    const tracks = form.getByRole("group", { name: "Tracks 1" });
    assert.equal(await tracks.getByLabel("This").inputValue(), "hvc1");
    await form.getByLabel("To (seconds)").fill("9.5");
    await saved(form, "Save filter");
    assert.deepEqual(sent, [{ method: "PATCH", body: { properties: { presentationTimeRange: { timescale: 90_000, startTimestamp: 300_300, endTimestamp: 855_000 } } } }]);
    assert.deepEqual((await read(path)).properties.tracks, properties.tracks);
    // Another condition, refused where it stands, and a window that is too short.
    await row.getByRole("button", { name: "Edit" }).click();
    await tracks.getByRole("button", { name: "Another condition of tracks 1" }).click();
    await tracks.getByLabel("What").nth(1).selectOption("Bitrate");
    await tracks.getByLabel("This").nth(1).fill("much");
    await form.getByRole("button", { name: "Save filter" }).click();
    await page.waitForFunction(() => document.activeElement?.getAttribute("aria-invalid") === "true");
    assert.equal(await tracks.getByLabel("This").nth(1).getAttribute("aria-invalid"), "true");
    await tracks.getByLabel("This").nth(1).fill("0-500000");
    await form.getByLabel("First quality (kbit/s)").fill("");
    await form.getByLabel("Window (seconds)").fill("120");
    await saved(form, "Save filter");
    assert.equal(sent.at(-1).method, "PUT", "what goes takes the whole filter");
    const changed = (await read(path)).properties;
    assert.equal(changed.firstQuality, undefined);
    assert.equal(changed.presentationTimeRange.presentationWindowDuration, 120 * 90_000);
    assert.deepEqual(changed.tracks[1].trackSelections[1], { property: "Bitrate", operation: "Equal", value: "0-500000" });
    // Those of an asset are edited on its page.
    const { assetName } = await demo(to);
    const own = `/assets/${assetName}/assetFilters/${name}`;
    await must(to, "PUT", own, { properties: { firstQuality: { bitrate: 600_000 } } });
    t.after(() => call(to, "DELETE", media(to, own)));
    await page.goto(`${to.portalUrl}/#/assets/${assetName}`);
    await row.getByRole("button", { name: "Edit" }).click();
    await form.getByLabel("First quality (kbit/s)").fill("400");
    await saved(form, "Save filter");
    await row.getByText("400 kbit/s").waitFor();
    assert.equal((await read(media(to, own))).properties.firstQuality.bitrate, 400_000);
    await context.close();
  });

  test("nothing that was typed into an edit is lost: token gone, role gone, taken, busy, down", async (t) => {
    const name = `kept-${run}`;
    const path = media(to, `/accountFilters/${name}`);
    t.after(() => call(to, "DELETE", path));
    await must(to, "PUT", `/accountFilters/${name}`, { properties: { firstQuality: { bitrate: 600_000 } } });
    const { context, page, form } = await opened("/filters", null);
    await page.getByRole("row", { name: new RegExp(name) }).getByRole("button", { name: "Edit" }).click();
    const field = form.getByLabel("Sound's language");
    await field.fill("de");
    for (const [status, kind] of [[403, "forbidden"], [409, "conflict"], [412, "conflict"], [429, "busy"], [503, "busy"], [0, "down"]]) {
      await context.route(`**/accountFilters/${name}`, (route) =>
        status === 0 ? route.abort() : route.fulfill({ status, json: { error: { code: "No", detail: `Answer ${status}.` }, ref: "ref", status } }),
      );
      await form.getByRole("button", { name: "Save filter" }).click();
      await form.locator(`.failure[data-kind=${kind}]`, { hasText: status === 0 ? "does not answer" : `Answer ${status}.` }).waitFor();
      assert.equal(await field.inputValue(), "de");
      await context.unroute(`**/accountFilters/${name}`);
    }
    let ended = true;
    await context.route(`**/accountFilters/${name}`, (route) => (ended ? route.fulfill({ status: 401, json: { error: { code: "Unauthenticated", detail: "Expired." } } }) : route.continue()));
    await form.getByRole("button", { name: "Save filter" }).click();
    const again = page.getByRole("dialog", { name: "Sign in to go on" });
    await again.getByLabel("Token").fill(to.token);
    ended = false;
    await again.getByRole("button", { name: "Go on" }).click();
    await again.waitFor({ state: "detached" });
    assert.equal(await field.inputValue(), "de");
    // Closed, left and come back to.
    await page.keyboard.press("Escape");
    await page.getByRole("link", { name: "Jobs", exact: true }).first().click();
    await page.getByRole("link", { name: "Filters", exact: true }).first().click();
    await page.getByRole("row", { name: new RegExp(name) }).getByRole("button", { name: "Edit" }).click();
    assert.equal(await field.inputValue(), "de");
    await saved(form, "Save filter");
    assert.equal((await read(path)).properties.tracks[0].trackSelections[1].value, "de");
    await context.close();
  });

  test("who may not change something finds the button off and reads why", async (t) => {
    const name = `off-${run}`;
    t.after(() => call(to, "DELETE", media(to, `/accountFilters/${name}`)));
    await must(to, "PUT", `/accountFilters/${name}`, { properties: { firstQuality: { bitrate: 600_000 } } });
    const { context, page } = await opened("/filters", null, await viewer(t));
    const edit = page.getByRole("row", { name: new RegExp(name) }).getByRole("button", { name: "Edit" });
    assert.ok(await edit.isDisabled());
    assert.match(await edit.getAttribute("title"), /does not have the right “Filter: write”/);
    // Also without a pointer: it has the focus, and says it when it is pressed.
    await edit.focus();
    await page.keyboard.press("Enter");
    await page.locator(".toast", { hasText: "does not have the right “Filter: write”" }).waitFor();
    assert.equal(await page.getByRole("dialog").count(), 0);
    for (const place of ["/organization", "/key-policies", "/webhooks"]) {
      await page.goto(`${to.portalUrl}/#${place}`);
      const button = page.getByRole("button", { name: /^(Edit|New key policy|New webhook)$/ });
      assert.match(await button.getAttribute("title"), /right “(Organization|ContentKeyPolicy|Webhook): write”/);
    }
    await context.close();
  });

  test("a track's names, language and visibility are changed, and taken back", { timeout: 15 * 60_000 }, async (t) => {
    const asset = `tracks-${run}`;
    t.after(() => call(to, "DELETE", media(to, `/assets/${asset}`)));
    await copyDemo(to, asset);
    await putFile(to, asset, "en.vtt", "WEBVTT\n\n00:00.000 --> 00:10.000\nA caption\n", "text/vtt");
    const track = { "@odata.type": "#Microsoft.Media.TextTrack", fileName: "en.vtt", languageCode: "en", displayName: "English", hlsSettings: { default: true, characteristics: "public.easy-to-read" } };
    await must(to, "PUT", `/assets/${asset}/tracks/captions`, { properties: { track } });
    const { context, page, form, sent } = await opened(`/assets/${asset}`, null);
    const tracks = page.getByRole("table", { name: "Tracks" });
    const row = tracks.getByRole("row", { name: /captions/ });
    await row.getByRole("button", { name: "Edit" }).click();
    assert.equal(await form.getByLabel("Shown as").inputValue(), "English");
    assert.ok(await form.getByLabel("On by default").isChecked());
    await form.getByLabel("Shown as").fill("English (all)");
    await form.getByLabel("Language").fill("no language");
    await form.getByRole("button", { name: "Save track" }).click();
    await page.waitForFunction(() => document.activeElement?.getAttribute("aria-invalid") === "true");
    assert.equal(await form.getByLabel("Language").getAttribute("aria-invalid"), "true");
    await form.getByLabel("Language").fill("en");
    await form.getByLabel("Offered to viewers").uncheck();
    await saved(form, "Save track");
    assert.deepEqual(sent.at(-1), {
      method: "PATCH",
      body: { properties: { track: { "@odata.type": track["@odata.type"], displayName: "English (all)", playerVisibility: "Hidden" } } },
    });
    await row.getByText("English (all)").waitFor();
    await row.getByRole("button", { name: "Edit" }).click();
    await form.getByLabel("Shown as").fill("");
    await form.getByLabel("Forced").check();
    await saved(form, "Save track");
    const now = (await read(media(to, `/assets/${asset}/tracks/captions`))).properties.track;
    assert.deepEqual(now, {
      "@odata.type": track["@odata.type"],
      fileName: "en.vtt",
      languageCode: "en",
      hlsSettings: { default: true, forced: true, characteristics: "public.easy-to-read" },
      playerVisibility: "Hidden",
    });
    // What came with the media is not offered for it.
    assert.equal(await tracks.getByRole("button", { name: "Edit" }).count(), 1);
    await context.close();
  });

  test("a key policy's description and options are changed, and secrets that nobody typed stay what they are", async (t) => {
    const name = `keys-${run}`;
    const path = media(to, `/contentKeyPolicies/${name}`);
    t.after(() => call(to, "DELETE", path));
    const symmetric = (byte) => ({ "@odata.type": "#Microsoft.Media.ContentKeyPolicySymmetricTokenKey", keyValue: secret(byte) });
    const restriction = (byte) => ({
      "@odata.type": "#Microsoft.Media.ContentKeyPolicyTokenRestriction",
      restrictionTokenType: "Jwt",
      issuer: "https://example.com",
      audience: "viewers",
      primaryVerificationKey: symmetric(byte),
    });
    const options = [
      { name: "browsers", configuration: { "@odata.type": "#Microsoft.Media.ContentKeyPolicyClearKeyConfiguration" }, restriction: restriction(1) },
      {
        name: "phones",
        configuration: { "@odata.type": "#Microsoft.Media.ContentKeyPolicyWidevineConfiguration", widevineTemplate: "{}" },
        restriction: { ...restriction(2), alternateVerificationKeys: [symmetric(3)], requiredClaims: [{ claimType: "plan", claimValue: "gold" }] },
      },
    ];
    await must(to, "PUT", `/contentKeyPolicies/${name}`, { properties: { description: "For films", options } });
    const secrets = async () => (await call(to, "POST", `${path}/getPolicyPropertiesWithSecrets`)).body.properties.options.map(({ policyOptionId: _id, ...option }) => option);
    const { context, page, form, sent } = await opened(`/key-policies/${name}`, "Edit");
    const revealed = [];
    page.on("request", (request) => request.url().endsWith("getPolicyPropertiesWithSecrets") && revealed.push(request.method()));
    const [first, second] = [form.getByRole("group", { name: "Option 1" }), form.getByRole("group", { name: "Option 2" })];
    assert.equal(await first.getByLabel("Shared secret (base64)").inputValue(), "", "no secret is shown");
    await form.getByLabel("Description").fill("");
    await saved(form, "Save key policy");
    assert.deepEqual(sent.pop(), { method: "PATCH", body: { properties: { description: "" } } });
    assert.deepEqual(revealed, [], "a description takes no secret");
    assert.deepEqual(await secrets(), options);

    await page.getByRole("button", { name: "Edit" }).click();
    await first.getByLabel("Issuer (iss)").fill("https://films.example.com");
    await second.getByLabel("Audience (aud)").fill("subscribers");
    await saved(form, "Save key policy");
    const expected = structuredClone(options);
    expected[0].restriction.issuer = "https://films.example.com";
    expected[1].restriction.audience = "subscribers";
    assert.deepEqual(await secrets(), expected, "secrets, further keys and claims are as they were");

    // Another secret for one of them, a licence that is no JSON, an option more.
    await page.getByRole("button", { name: "Edit" }).click();
    await first.getByLabel("Shared secret (base64)").fill("short");
    await form.getByRole("button", { name: "Save key policy" }).click();
    await page.waitForFunction(() => document.activeElement?.getAttribute("aria-invalid") === "true");
    assert.equal(await first.getByLabel("Shared secret (base64)").getAttribute("aria-invalid"), "true");
    await first.getByLabel("Shared secret (base64)").fill(secret(7));
    await second.locator("summary").click();
    await second.getByLabel("Widevine's template (JSON)").fill("none");
    await form.getByRole("button", { name: "Another option" }).click();
    const third = form.getByRole("group", { name: "Option 3" });
    await third.getByLabel("Key system").selectOption("FairPlay");
    await third.getByLabel("Application secret key (base64)").fill(Buffer.alloc(16, 9).toString("base64"));
    await third.getByLabel("Certificate with its key (PFX, base64)").fill(Buffer.from("certificate").toString("base64"));
    await third.getByLabel("The certificate's password").fill("word");
    await third.getByLabel("Players may").selectOption("PersistentLimited");
    await third.getByLabel("For (seconds)").fill("3600");
    await third.getByLabel("Keys go to").selectOption("open");
    await form.getByRole("button", { name: "Save key policy" }).click();
    await page.waitForFunction(() => document.activeElement?.getAttribute("aria-invalid") === "true");
    assert.equal(await second.getByLabel("Widevine's template (JSON)").getAttribute("aria-invalid"), "true");
    await second.getByLabel("Widevine's template (JSON)").fill('{"allowed_track_types":"SD_HD"}');
    await saved(form, "Save key policy");
    const now = await secrets();
    assert.equal(now[0].restriction.primaryVerificationKey.keyValue, secret(7));
    assert.equal(now[1].restriction.primaryVerificationKey.keyValue, secret(2));
    assert.equal(now[1].configuration.widevineTemplate, '{"allowed_track_types":"SD_HD"}');
    assert.deepEqual([now[2].name, now[2].configuration.fairPlayPfxPassword, now[2].configuration.rentalDuration], ["FairPlay", "word", 3600]);
    await page.getByRole("table", { name: "Options" }).getByText("FairPlay").first().waitFor();

    // FairPlay's terms without its certificate typed anew, and an option fewer.
    await page.getByRole("button", { name: "Edit" }).click();
    await third.getByLabel("For (seconds)").fill("60");
    await form.getByRole("button", { name: "Remove option 1" }).click();
    await saved(form, "Save key policy");
    const left = await secrets();
    assert.deepEqual(left.map((option) => option.name), ["phones", "FairPlay"]);
    assert.deepEqual(left[1].configuration, { ...now[2].configuration, rentalDuration: 60 });

    // Public keys in place of a secret and of further keys, claims that a token needs, and how long FairPlay keeps a film.
    await page.getByRole("button", { name: "Edit" }).click();
    assert.equal(await first.getByLabel("Claims that it needs").inputValue(), "plan=gold");
    await first.getByLabel("Claims that it needs").fill("plan=gold\nregion");
    await first.getByLabel("Tokens are verified with").selectOption("public");
    const pem = first.getByLabel("Public keys (PEM)");
    await pem.fill("a secret");
    await form.getByRole("button", { name: "Save key policy" }).click();
    await page.waitForFunction(() => document.activeElement?.getAttribute("aria-invalid") === "true");
    assert.equal(await pem.getAttribute("aria-invalid"), "true");
    const keys = [1, 2].map(() => generateKeyPairSync("rsa", { modulusLength: 2048 }));
    const file = Buffer.from(keys.map(({ publicKey }) => publicKey.export({ format: "pem", type: "spki" })).join(""));
    await first.locator("input[type=file]").setInputFiles({ name: "keys.pem", mimeType: "application/x-pem-file", buffer: file });
    await page.waitForFunction((text) => [...document.querySelectorAll("dialog textarea")].some(({ value }) => value === text), file.toString());
    await second.getByLabel("Players may").selectOption("DualExpiry");
    await second.getByLabel("Kept for (seconds)").fill("604800");
    await second.getByLabel("From the first play on (seconds)").fill("172800");
    await saved(form, "Save key policy");
    const [phones, apple] = await secrets();
    const exported = keys.map(({ publicKey }) => publicKey.export({ format: "jwk" }));
    const keyOf = ({ n, e }) => ({ "@odata.type": "#Microsoft.Media.ContentKeyPolicyRsaTokenKey", modulus: Buffer.from(n, "base64url").toString("base64"), exponent: Buffer.from(e, "base64url").toString("base64") });
    assert.deepEqual([phones.restriction.primaryVerificationKey, phones.restriction.alternateVerificationKeys], [keyOf(exported[0]), [keyOf(exported[1])]]);
    assert.deepEqual(phones.restriction.requiredClaims.map(({ claimType, claimValue }) => [claimType, claimValue ?? null]), [["plan", "gold"], ["region", null]]);
    assert.deepEqual(
      [apple.configuration.rentalAndLeaseKeyType, apple.configuration.offlineRentalConfiguration],
      ["DualExpiry", { storageDurationSeconds: 604800, playbackDurationSeconds: 172800 }],
    );
    assert.equal(apple.configuration.fairPlayPfxPassword, "word", "its certificate stays");

    // An option for PlayReady, with data in its answers.
    await page.getByRole("button", { name: "Edit" }).click();
    await form.getByRole("button", { name: "Another option" }).click();
    await third.getByLabel("Key system").selectOption("PlayReady");
    await third.getByLabel("Keys go to").selectOption("open");
    await third.locator("summary").click();
    await third.getByLabel("Custom data in answers").fill("ours");
    await saved(form, "Save key policy");
    assert.equal((await secrets())[2].configuration.responseCustomData, "ours");

    // Somebody else was faster: that is said, nothing of theirs is overwritten, and what was typed is there.
    await page.getByRole("button", { name: "Edit" }).click();
    await form.getByLabel("Description").fill("Mine");
    await first.getByLabel("Audience (aud)").fill("mine");
    assert.equal((await call(to, "PATCH", path, { properties: { description: "Theirs", options: [options[0]] } })).status, 200);
    await form.getByRole("button", { name: "Save key policy" }).click();
    await form.locator(".failure[data-kind=conflict]").waitFor();
    assert.equal(await first.getByLabel("Audience (aud)").inputValue(), "mine");
    assert.deepEqual(await secrets(), [options[0]]);
    await form.getByRole("button", { name: "Take its options as they are now" }).click();
    assert.equal(await first.getByLabel("Audience (aud)").inputValue(), "viewers");
    assert.equal(await form.getByLabel("Description").inputValue(), "Mine");
    await first.getByLabel("Keys go to").selectOption("open");
    await saved(form, "Save key policy");
    assert.equal((await secrets())[0].restriction["@odata.type"], "#Microsoft.Media.ContentKeyPolicyOpenRestriction");
    assert.equal((await read(path)).properties.description, "Mine");
    await context.close();
  });

  test("who may not read a key policy's secrets changes its description, and is told why not its options", async (t) => {
    const [role, name] = [`keyrole-${run}`, `hidden-${run}`];
    t.after(async () => {
      await call(to, "DELETE", media(to, `/contentKeyPolicies/${name}`));
      await call(to, "DELETE", `/api/v1/organization/clients/${role}`);
      await call(to, "DELETE", `/api/v1/organization/roles/${role}`);
    });
    const restriction = {
      "@odata.type": "#Microsoft.Media.ContentKeyPolicyTokenRestriction",
      restrictionTokenType: "Jwt",
      issuer: "us",
      audience: "them",
      primaryVerificationKey: { "@odata.type": "#Microsoft.Media.ContentKeyPolicySymmetricTokenKey", keyValue: secret(1) },
    };
    const options = [{ name: "one", configuration: { "@odata.type": "#Microsoft.Media.ContentKeyPolicyClearKeyConfiguration" }, restriction }];
    await must(to, "PUT", `/contentKeyPolicies/${name}`, { properties: { options } });
    const capabilities = { ContentKeyPolicy: ["read", "write"], Profile: ["read"], Account: ["read"] };
    assert.equal((await call(to, "PUT", `/api/v1/organization/roles/${role}`, { spec: { capabilities } })).status, 201);
    const client = await call(to, "PUT", `/api/v1/organization/clients/${role}`, { spec: { role } });
    const signedIn = await fetch(`${to.apiUrl}/${randomUUID()}/oauth2/v2.0/token`, {
      method: "POST",
      body: new URLSearchParams({ grant_type: "client_credentials", client_id: role, client_secret: client.body.metadata.secret, scope: "headwater/.default" }),
    });
    const { access_token: token } = await signedIn.json();
    const { context, page, form } = await opened(`/key-policies/${name}`, "Edit", token);
    await form.getByText("does not have the right “ContentKeyPolicy: reveal”").waitFor();
    assert.equal(await form.getByRole("group", { name: "Option 1" }).count(), 0);
    await form.getByLabel("Description").fill("Told by others");
    await saved(form, "Save key policy");
    assert.equal((await read(media(to, `/contentKeyPolicies/${name}`))).properties.description, "Told by others");
    // A program has no profile to change.
    await page.goto(`${to.portalUrl}/#/profile`);
    assert.match(await page.getByRole("button", { name: "Edit" }).getAttribute("title"), /not a user's/);
    await context.close();
  });

  test("a locator is changed where it stands: addresses and keys stay, and it comes off the air and back", { timeout: 15 * 60_000 }, async (t) => {
    const name = `edits-${run}`;
    const { assetName } = await demo(to);
    const path = media(to, `/streamingLocators/${name}`);
    t.after(() => call(to, "DELETE", path));
    for (const filter of ["one", "two"]) {
      const at = `/accountFilters/${name}-${filter}`;
      await must(to, "PUT", at, { properties: { firstQuality: { bitrate: 600_000 } } });
      t.after(() => call(to, "DELETE", media(to, at)));
    }
    const options = [{ name: "open", configuration: { "@odata.type": "#Microsoft.Media.ContentKeyPolicyClearKeyConfiguration" }, restriction: { "@odata.type": "#Microsoft.Media.ContentKeyPolicyOpenRestriction" } }];
    for (const policy of [name, `${name}-first`]) {
      await must(to, "PUT", `/contentKeyPolicies/${policy}`, { properties: { options } });
      t.after(() => call(to, "DELETE", media(to, `/contentKeyPolicies/${policy}`)));
    }
    const properties = { assetName, streamingPolicyName: "Predefined_ClearKey", defaultContentKeyPolicyName: `${name}-first`, filters: [`${name}-one`], endTime: "2033-03-03T03:03:03Z", alternativeMediaId: "ours", note: "of another program" };
    await must(to, "PUT", `/streamingLocators/${name}`, { properties });
    const whole = async () => (await read(path)).properties;
    const keys = async () => (await must(to, "POST", `/streamingLocators/${name}/listContentKeys`)).contentKeys.map(({ id, value }) => [id, value]);
    const [was, keysWere] = [await whole(), await keys()];

    const { context, page, sent, form } = await opened(`/locators/${name}`, "Edit");
    const until = form.getByLabel("Until");
    assert.equal(new Date(await until.inputValue()).getTime(), Date.parse("2033-03-03T03:03:03Z"));
    assert.equal(await form.getByLabel("Filters").inputValue(), `${name}-one`);
    // Nothing changed, nothing sent.
    await saved(form, "Save locator");
    assert.deepEqual(sent, []);
    await page.getByRole("button", { name: "Edit", exact: true }).click();
    await form.getByLabel("Filters").fill(`${name}-one, nowhere`);
    await form.getByLabel("Not before").fill("2034-01-01T00:00");
    await form.getByRole("button", { name: "Save locator" }).click();
    await page.waitForFunction(() => document.activeElement?.getAttribute("aria-invalid") === "true");
    assert.equal(await form.getByLabel("Until").getAttribute("aria-invalid"), "true", "it would begin after its end");
    await form.getByLabel("Not before").fill("");
    await form.getByRole("button", { name: "Save locator" }).click();
    await page.waitForFunction(() => document.activeElement?.value?.endsWith("nowhere"));
    await form.getByLabel("Filters").fill(`${name}-one, ${name}-two`);
    await form.getByLabel("Key policy").selectOption(name);
    await form.getByLabel("Content id").fill("film 9");
    // What another program changes meanwhile stays.
    await must(to, "PUT", `/streamingLocators/${name}`, { properties: { ...was, note: "changed meanwhile" } });
    await saved(form, "Save locator");
    await page.locator(".facts").getByText("film 9").waitFor();
    const now = await whole();
    assert.deepEqual(now.filters, [`${name}-one`, `${name}-two`]);
    assert.deepEqual(
      [now.streamingLocatorId, now.endTime, now.alternativeMediaId, now.note, now.defaultContentKeyPolicyName, now.contentId],
      [was.streamingLocatorId, was.endTime, "ours", "changed meanwhile", name, "film 9"],
    );
    assert.deepEqual(await keys(), keysWere);
    // What is emptied is taken back.
    await page.getByRole("button", { name: "Edit", exact: true }).click();
    await until.fill("");
    await form.getByLabel("Filters").fill("");
    await form.getByLabel("Alternative media id").fill("");
    await form.getByLabel("Key policy").selectOption("");
    await form.getByLabel("Streaming policy").selectOption("Predefined_ClearStreamingOnly");
    await saved(form, "Save locator");
    await page.locator(".facts").getByText("Stream to everybody").waitFor();
    const after = await whole();
    assert.deepEqual([after.filters, after.alternativeMediaId, after.defaultContentKeyPolicyName, after.endTime.slice(0, 4)], [[], undefined, undefined, "9999"]);
    assert.equal(after.streamingLocatorId, was.streamingLocatorId);

    const playlist = await page.getByLabel("HLS", { exact: true }).first().inputValue();
    assert.equal((await fetch(playlist)).status, 200);
    await page.getByRole("button", { name: "Take off the air" }).click();
    await form.getByRole("button", { name: "Take off the air" }).click();
    await page.locator(".facts").getByText("Off the air").waitFor();
    assert.equal((await whole()).suppressed, true);
    for (;;) {
      const { status } = await fetch(`${playlist}?${randomUUID()}`);
      if (status === 404) break;
      assert.equal(status, 200);
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
    await page.goto(`${to.portalUrl}/#/locators`);
    await page.getByRole("table", { name: "Locators" }).getByRole("row", { name: new RegExp(name) }).getByText("Off the air").waitFor();
    await page.goto(`${to.portalUrl}/#/locators/${name}`);
    await page.getByRole("button", { name: "Put on the air" }).click();
    await page.getByRole("button", { name: "Take off the air" }).waitFor();
    assert.equal((await whole()).suppressed, false);
    await context.close();
  });

  test("a job's priority and description are changed", async (t) => {
    const { id } = (await read(media(to, "/jobs"))).value.at(-1);
    const [transform, , job] = id.split("/").slice(-3);
    const path = media(to, `/transforms/${transform}/jobs/${job}`);
    const { priority } = (await read(path)).properties;
    t.after(() => call(to, "PATCH", path, { properties: { priority, description: "" } }));
    const { context, page, form, sent } = await opened(`/jobs/${transform}/${job}`, "Edit");
    await form.getByLabel("Description").fill("x".repeat(5000));
    await form.getByRole("button", { name: "Save job" }).click();
    await page.waitForFunction(() => document.activeElement?.getAttribute("aria-invalid") === "true");
    await form.getByLabel("Description").fill("The first one");
    await saved(form, "Save job");
    assert.deepEqual(sent.at(-1).body, { properties: { description: "The first one" } });
    await page.locator(".facts").getByText("The first one").waitFor();
    await page.getByRole("button", { name: "Edit" }).click();
    await form.getByLabel("Priority").selectOption("Low");
    await form.getByLabel("Description").fill("");
    await saved(form, "Save job");
    const { properties } = await read(path);
    assert.deepEqual([properties.priority, properties.description], ["Low", ""]);
    await context.close();
  });

  test("what is emptied is empty: descriptions of assets, endpoints, transforms and live events", async (t) => {
    const name = `emptied-${run}`;
    t.after(async () => {
      for (const path of [`/assets/${name}`, `/streamingEndpoints/${name}`, `/transforms/${name}`, `/liveEvents/${name}`]) await call(to, "DELETE", media(to, path));
    });
    await must(to, "PUT", `/assets/${name}`, { properties: { description: "old", alternateId: "ours" } });
    await must(to, "PUT", `/streamingEndpoints/${name}`, { location: "local", properties: { scaleUnits: 0, description: "old", customHostNames: ["films.example.com"] } });
    const preset = { "@odata.type": "#Microsoft.Media.BuiltInStandardEncoderPreset", presetName: "AdaptiveStreaming" };
    await must(to, "PUT", `/transforms/${name}`, { properties: { description: "old", outputs: [{ preset }] } });
    await must(to, "PUT", `/liveEvents/${name}`, { location: "local", properties: { description: "old", input: { streamingProtocol: "RTMP" } } });
    const { context, page, form, sent } = await opened("/", null);
    for (const [place, path, button, save] of [
      ["assets", "assets", "Describe", "Save"],
      ["endpoints", "streamingEndpoints", "Edit", "Save endpoint"],
      ["transforms", "transforms", "Change", "Save transform"],
      ["live", "liveEvents", "Change", "Save live event"],
    ]) {
      await page.goto(`${to.portalUrl}/#/${place}/${name}`);
      await page.getByRole("button", { name: button, exact: true }).click();
      assert.equal(await form.getByLabel("Description", { exact: true }).inputValue(), "old");
      await form.getByLabel("Description", { exact: true }).fill("");
      await saved(form, save);
      assert.deepEqual(sent.pop(), { method: "PATCH", body: { properties: { description: "" } } }, place);
      assert.equal((await read(media(to, `/${path}/${name}`))).properties.description, "", place);
    }
    await page.goto(`${to.portalUrl}/#/assets/${name}`);
    await page.getByRole("button", { name: "Describe" }).click();
    await form.getByLabel("When the asset is deleted").selectOption("Delete");
    await saved(form, "Save");
    assert.deepEqual(sent.pop().body, { properties: { containerDeletionPolicy: "Delete" } });
    await page.locator(".facts").getByText("files go too").waitFor();
    await context.close();
  });

  test("labels of a live event can be changed while it runs, and nothing else is offered", async (t) => {
    const name = `labels-${run}`;
    const path = media(to, `/liveEvents/${name}`);
    t.after(async () => {
      await call(to, "POST", `${path}/stop`, {});
      for (;;) if ((await call(to, "GET", path)).body?.properties?.resourceState !== "Stopping") break;
      await call(to, "DELETE", path);
    });
    await must(to, "PUT", `/liveEvents/${name}?autoStart=true`, { location: "local", properties: { input: { streamingProtocol: "RTMP" } } });
    const { context, page, form, sent } = await opened(`/live/${name}`, null);
    await page.locator(".facts .state", { hasText: "Running" }).waitFor();
    await page.getByRole("button", { name: "Change" }).click();
    await form.getByLabel("Labels").fill("team=news");
    assert.equal(await form.getByLabel("Description", { exact: true }).count(), 0);
    await saved(form, "Save live event");
    assert.deepEqual(sent.at(-1).body, { labels: { team: "news" } });
    assert.deepEqual((await read(path)).labels, { team: "news" });
    await context.close();
  });

  test("a role and a team are changed; what others change meanwhile stays", async (t) => {
    const [role, team] = [`role-${run}`, `team-${run}`];
    t.after(async () => {
      await call(to, "DELETE", `/api/v1/organization/teams/${team}`);
      await call(to, "DELETE", `/api/v1/organization/roles/${role}`);
    });
    const at = (path) => `/api/v1/organization${path}`;
    assert.equal((await call(to, "PUT", at(`/roles/${role}`), { spec: { description: "Looks", capabilities: { Asset: ["read"] } } })).status, 201);
    const scope = { [to.project]: { roles: ["viewer"] } };
    assert.equal((await call(to, "PUT", at(`/teams/${team}`), { spec: { description: "Cutters", members: {}, scopes: scope } })).status, 201);
    const { context, page, form, sent } = await opened("/roles", null);
    const row = page.getByRole("table", { name: "Roles" }).getByRole("row", { name: new RegExp(role) });
    await row.getByRole("button", { name: "Edit" }).click();
    assert.ok(await form.getByRole("group", { name: "Asset", exact: true }).getByLabel("read").isChecked());
    await form.getByRole("group", { name: "Job", exact: true }).getByLabel("read").check();
    await form.getByLabel("Description").fill("Looks at films and jobs");
    await saved(form, "Save role");
    await row.getByText("Looks at films and jobs").waitFor();
    assert.deepEqual((await read(at(`/roles/${role}`))).spec.capabilities, { Asset: ["read"], Job: ["read"] });

    await page.goto(`${to.portalUrl}/#/teams/${team}`);
    await page.getByRole("button", { name: "Edit" }).click();
    const rights = form.getByRole("group", { name: "Rights 1" });
    assert.ok(await rights.getByLabel("viewer").isChecked());
    await rights.getByLabel(role).check();
    await form.getByRole("button", { name: "Rights elsewhere" }).click();
    const everywhere = form.getByRole("group", { name: "Rights 2" });
    await everywhere.getByLabel("Where").selectOption("headwater");
    await form.getByRole("button", { name: "Save team" }).click();
    await form.locator(".failure, .wrong").first().waitFor();
    await everywhere.getByLabel("viewer").check();
    // A member comes while the form is open.
    const me = (await read("/api/v1/user/profile")).metadata.id;
    assert.equal((await call(to, "PATCH", at(`/teams/${team}`), [{ op: "add", path: `/spec/members/${me}`, value: {} }])).status, 200);
    await saved(form, "Save team");
    const spec = (await read(at(`/teams/${team}`))).spec;
    assert.deepEqual(spec.scopes, { [to.project]: { roles: [role, "viewer"].sort() }, headwater: { roles: ["viewer"] } });
    assert.ok(me in spec.members, "the member who came meanwhile is there");
    assert.ok(sent.at(-1).body.every(({ path }) => path.startsWith("/spec/scopes/")));
    await page.getByRole("table", { name: "Members" }).getByRole("button", { name: "Make admin" }).click();
    await page.getByRole("table", { name: "Members" }).getByText("yes").waitFor();
    await page.getByRole("button", { name: "Edit" }).click();
    await form.getByRole("button", { name: "Remove rights 2" }).click();
    await form.getByLabel("Description").fill("");
    await saved(form, "Save team");
    const after = (await read(at(`/teams/${team}`))).spec;
    assert.deepEqual([Object.keys(after.scopes), after.members[me], after.description ?? null], [[to.project], { isTeamAdmin: true }, null]);
    await context.close();
  });

  test("what others change between typing and saving is shown, and stays", async (t) => {
    const name = `both-${run}`;
    const team = `/api/v1/organization/teams/${name}`;
    t.after(async () => {
      await call(to, "DELETE", media(to, `/assets/${name}`));
      await call(to, "DELETE", team);
    });
    await must(to, "PUT", `/assets/${name}`, { labels: { team: "news" }, properties: { description: "Rushes" } });
    assert.equal((await call(to, "PUT", team, { spec: { members: {}, scopes: { [to.project]: { roles: ["viewer"] } } } })).status, 201);
    const { context, page, form, sent } = await opened(`/assets/${name}`, "Describe");
    await form.getByLabel("Alternate id").fill("ours-7");
    await page.keyboard.press("Escape");
    await page.goto(`${to.portalUrl}/#/teams/${name}`);
    await page.getByRole("button", { name: "Edit" }).click();
    await form.getByLabel("Description").fill("Cutters");
    await page.keyboard.press("Escape");
    await must(to, "PATCH", `/assets/${name}`, { labels: { team: "sport" }, properties: { description: "Cut" } });
    assert.equal((await call(to, "PATCH", team, [{ op: "add", path: "/spec/scopes/headwater", value: { roles: ["viewer"] } }])).status, 200);

    await page.goto(`${to.portalUrl}/#/assets/${name}`);
    await page.locator(".facts").getByText("Cut", { exact: true }).waitFor();
    await page.getByRole("button", { name: "Describe" }).click();
    const typed = (label) => form.getByLabel(label, { exact: true }).inputValue();
    assert.deepEqual([await typed("Description"), await typed("Labels"), await typed("Alternate id")], ["Cut", "team=sport", "ours-7"]);
    await saved(form, "Save");
    assert.deepEqual(sent.at(-1).body, { properties: { alternateId: "ours-7" } });
    await page.goto(`${to.portalUrl}/#/teams/${name}`);
    await page.getByRole("button", { name: "Edit" }).click();
    await form.getByRole("group", { name: "Rights 2" }).waitFor();
    await saved(form, "Save team");
    assert.deepEqual(sent.at(-1).body, [{ op: "replace", path: "/spec/description", value: "Cutters" }]);
    assert.deepEqual(Object.keys((await read(team)).spec.scopes).sort(), ["headwater", to.project].sort());

    // Also while the form is open: a page that reads itself again now and then changes nothing that was typed, nor takes it for that.
    await must(to, "PUT", `/streamingEndpoints/${name}`, { location: "local", properties: { scaleUnits: 0, description: "old" } });
    t.after(() => call(to, "DELETE", media(to, `/streamingEndpoints/${name}`)));
    await page.goto(`${to.portalUrl}/#/endpoints/${name}`);
    await page.getByRole("button", { name: "Edit" }).click();
    await form.getByLabel("Host names of your own").fill("films.example.com");
    await must(to, "PATCH", `/streamingEndpoints/${name}`, { properties: { description: "theirs" } });
    await page.locator(".facts").getByText("theirs").waitFor({ state: "attached", timeout: 30_000 });
    await saved(form, "Save endpoint");
    assert.deepEqual(sent.at(-1).body, { properties: { customHostNames: ["films.example.com"] } });
    assert.equal((await read(media(to, `/streamingEndpoints/${name}`))).properties.description, "theirs");
    await context.close();
  });

  test("one's own profile, the organization and a client are changed", async (t) => {
    const client = `client-${run}`;
    const { name } = (await read("/api/v1/user/profile")).spec;
    const organization = (await read("/api/v1/organization")).spec;
    t.after(async () => {
      await call(to, "PATCH", "/api/v1/user/profile", { spec: { name, company: "" } });
      await call(to, "PATCH", "/api/v1/organization", { spec: { name: organization.name, legalEntityName: organization.legalEntityName ?? "" } });
      await call(to, "DELETE", `/api/v1/organization/clients/${client}`);
    });
    const { context, page, form, sent } = await opened("/", null);
    await page.getByRole("link", { name, exact: true }).click();
    await page.getByRole("heading", { level: 1, name: "Profile" }).waitFor();
    await page.getByRole("button", { name: "Edit" }).click();
    assert.equal(await form.getByLabel("Name", { exact: true }).inputValue(), name);
    await form.getByLabel("Name", { exact: true }).fill(`Ada ${run}`);
    await form.getByLabel("Company").fill("Films & Co.");
    await saved(form, "Save profile");
    assert.deepEqual(sent.at(-1).body, { spec: { name: `Ada ${run}`, company: "Films & Co." } });
    // The name above every page is the new one.
    await page.getByRole("banner").getByText(`Ada ${run}`).waitFor();
    await page.locator(".facts").getByText("Films & Co.").waitFor();

    await page.getByRole("link", { name: "Organization", exact: true }).click();
    await page.getByRole("button", { name: "Edit" }).click();
    await form.getByLabel("Name", { exact: true }).fill(`Studio ${run}`);
    await form.getByLabel("Legal entity").fill("Studio Ltd");
    await saved(form, "Save organization");
    await page.locator(".facts").getByText("Studio Ltd").waitFor();
    assert.equal((await read("/api/v1/organization")).spec.name, `Studio ${run}`);

    const made = await call(to, "PUT", `/api/v1/organization/clients/${client}`, { spec: { role: "operator", description: "Uploads" } });
    assert.equal(made.status, 201);
    await page.getByRole("link", { name: "Tokens", exact: true }).click();
    const row = page.getByRole("table", { name: "Clients" }).getByRole("row", { name: new RegExp(client) });
    await row.getByRole("button", { name: "Edit" }).click();
    await form.getByLabel("Role", { exact: true }).selectOption("viewer");
    await form.getByLabel("Project", { exact: true }).selectOption(to.project);
    await saved(form, "Save client");
    await row.getByText("viewer").waitFor();
    const { spec } = await read(`/api/v1/organization/clients/${client}`);
    assert.deepEqual(spec, { role: "viewer", description: "Uploads", project: to.project });
    await context.close();
  });

  test("a user who is invited into a team finds that on their profile, and takes it or not", async (t) => {
    const teams = [`first-${run}`, `second-${run}`];
    for (const team of teams) assert.equal((await call(to, "PUT", `/api/v1/organization/teams/${team}`, { spec: { members: {}, scopes: { [to.project]: { roles: ["viewer"] } } } })).status, 201);
    const invite = await call(to, "POST", "/api/v1/organization/invites", { spec: { name: `Cleo ${run}`, teams: [] } });
    const accepted = await fetch(`${to.apiUrl}/api/v1/invites/accept`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ secret: invite.body.metadata.secret }),
    }).then((answer) => answer.json());
    const token = accepted.metadata.JWT;
    const { id } = (await call(to, "GET", "/api/v1/user/profile", undefined, token)).body.metadata;
    t.after(async () => {
      await call(to, "DELETE", `/api/v1/organization/users/${id}`);
      for (const team of teams) await call(to, "DELETE", `/api/v1/organization/teams/${team}`);
    });
    const { context, page, form } = await opened("/people", null);
    for (const team of teams) {
      await page.getByRole("button", { name: "Invite somebody" }).click();
      await form.getByLabel("Who", { exact: true }).selectOption({ label: `Cleo ${run}` });
      await form.getByLabel(team, { exact: true }).check();
      await form.getByLabel("Days it is good for").fill("2");
      await form.getByRole("button", { name: "Invite", exact: true }).click();
      const dialog = page.getByRole("dialog", { name: "Hand this on" });
      await dialog.getByText(`Cleo ${run} can accept it on their profile`).waitFor();
      await page.keyboard.press("Escape");
    }
    const asked = (await read("/api/v1/organization/invites")).items.filter(({ spec, status }) => spec.userId === id && status.state === "Pending");
    assert.deepEqual(asked.map(({ spec }) => spec.teams.join()).sort(), [...teams].sort());
    assert.ok(asked.every(({ spec }) => Math.abs(Date.parse(spec.expires) - Date.now() - 2 * 86_400_000) < 60_000));
    await context.close();
    // Without a project there is a profile still.
    const own = await openPage(browser);
    own.page.setDefaultTimeout(120_000);
    await own.page.goto(`${to.portalUrl}/#token=${token}`);
    await own.page.getByText("Your token does not reach any project").waitFor();
    await own.page.getByRole("link", { name: "Profile", exact: true }).click();
    const invitations = own.page.getByRole("table", { name: "Invitations for you" });
    await invitations.getByRole("row", { name: new RegExp(teams[0]) }).getByRole("button", { name: "Accept" }).click();
    await own.page.locator(".facts").getByRole("link", { name: teams[0] }).waitFor();
    await invitations.getByRole("row", { name: new RegExp(teams[1]) }).getByRole("button", { name: "Decline" }).click();
    await invitations.waitFor({ state: "detached" });
    const spec = async (team) => (await read(`/api/v1/organization/teams/${team}`)).spec.members;
    assert.deepEqual([id in (await spec(teams[0])), id in (await spec(teams[1]))], [true, false]);
    // Now there is a project, without signing in anew.
    await own.page.getByRole("link", { name: "Overview", exact: true }).click();
    await own.page.getByRole("heading", { name: "Published videos" }).waitFor();
    // And out again.
    await own.page.getByRole("link", { name: "Profile", exact: true }).click();
    await own.page.getByRole("button", { name: "Leave this Headwater" }).click();
    await own.page.getByRole("dialog").getByRole("button", { name: "Leave this Headwater" }).click();
    await own.page.getByLabel("Token").waitFor();
    assert.equal((await call(to, "GET", "/api/v1/user/profile", undefined, token)).status, 401);
    await own.context.close();
  });

  test("a webhook has headers and parameters, and secret ones that are kept when others change", async (t) => {
    const name = `hook-${run}`;
    const path = `/api/v1/projects/${to.project}/webhook/rules/${name}`;
    t.after(() => call(to, "DELETE", path));
    const { context, page, form, sent } = await opened("/webhooks", "New webhook");
    await form.getByLabel("Name", { exact: true }).fill(name);
    await form.getByLabel("Address to call").fill("http://127.0.0.1:9/hook");
    await form.locator("summary").click();
    await form.getByLabel("Headers", { exact: true }).fill("x-team=news\nbad header=1");
    await form.getByLabel("Secret headers").fill("authorization=Bearer abc=");
    await form.getByLabel("Enabled").uncheck();
    await form.getByRole("button", { name: "Save webhook" }).click();
    await page.waitForFunction(() => document.activeElement?.getAttribute("aria-invalid") === "true");
    assert.equal(await form.getByLabel("Headers", { exact: true }).getAttribute("aria-invalid"), "true");
    await form.getByLabel("Headers", { exact: true }).fill("x-team=news");
    await saved(form, "Save webhook");
    await page.getByRole("heading", { level: 1, name }).waitFor();
    assert.deepEqual(sent.at(-1).body.spec.authentication.headers, { authorization: "Bearer abc=" });
    await page.getByRole("button", { name: "Change" }).click();
    await form.locator("summary").click();
    assert.match(await form.getByLabel("Secret headers").inputValue(), /^authorization=\*+$/);
    await form.getByLabel("Parameters", { exact: true }).fill("from=headwater");
    await form.getByLabel("Secret parameters").fill("code=42");
    await saved(form, "Save webhook");
    const { spec } = await read(path);
    assert.deepEqual([spec.headers, spec.queryParams], [{ "x-team": "news" }, { from: "headwater" }]);
    assert.deepEqual([Object.keys(spec.authentication.headers), Object.keys(spec.authentication.queryParams)], [["authorization"], ["code"]]);
    await context.close();
  });
});
