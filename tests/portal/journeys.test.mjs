// What people do: a film from upload to playback, one protected and played with a token, a user invited and removed, a token
// made and revoked, a webhook, a live event.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { spawn } from "node:child_process";
import { createServer } from "node:http";
import { createHmac, randomUUID } from "node:crypto";
import { launch } from "./lib/browser.mjs";
import { call, connection, demo, makeFilm, media } from "./lib/headwater.mjs";
import { complaints, openPortal, plays, SHAPES, shot, tooWide } from "./lib/portal.mjs";

describe("journeys through the portal", () => {
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

  test("a wrong token is told so and stays in its field; the right one opens the overview, where the demo plays", async () => {
    const { context, page } = await openPortal(browser, to, "/", {}, null);
    await page.getByLabel("Token").fill("not-a-token");
    await page.keyboard.press("Enter");
    await page.locator(".failure[data-kind=signed-out]").waitFor();
    assert.equal(await page.getByLabel("Token").inputValue(), "not-a-token");
    await page.getByLabel("Token").fill(to.token);
    await page.getByRole("button", { name: "Sign in", exact: true }).click();
    await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
    assert.equal(await page.evaluate(() => localStorage.length), 0);
    assert.equal(await page.locator(".step").count(), 3);
    // By keyboard, as far as the film.
    await page.locator(".card[data-locator]").last().focus();
    await page.keyboard.press("Enter");
    await plays(page);
    await context.close();
  });

  test("a film goes from a file to a picture: upload, encode, publish, play", { timeout: 15 * 60_000 }, async () => {
    const { context, page, problems } = await openPortal(browser, to, "/upload");
    const name = `journey-${run}.mp4`;
    await page.locator("input[type=file]").setInputFiles({ name, mimeType: "video/mp4", buffer: makeFilm() });
    const flow = page.locator(".flows > li", { hasText: name });
    await flow.waitFor();
    await flow.getByText("Encoding").waitFor();
    await shot(page, "journey-encoding");
    await flow.getByText("Ready").waitFor({ timeout: 5 * 60_000 });
    await shot(page, "journey-ready");
    await flow.getByRole("link", { name: "Play" }).click();
    await plays(page);
    await page.locator("summary", { hasText: "Requests" }).click();
    assert.ok((await page.locator(".timeline tbody tr").count()) > 3, "the timeline shows what was requested");
    await page.getByLabel("Quality").selectOption({ index: 1 });
    await shot(page, "journey-playing");
    await page.getByRole("link", { name: "Locator", exact: true }).click();
    await page.getByLabel("HLS", { exact: true }).first().waitFor();
    const asset = page.getByRole("link", { name: /^journey-.*-encoded$/ }).first();
    await asset.click();
    await page.getByRole("heading", { name: "Contents" }).waitFor();
    await page.getByRole("table", { name: "Tracks" }).getByText("Sound").first().waitFor();
    await page.getByRole("link", { name: "Jobs", exact: true }).click();
    await page.getByRole("link", { name: `journey-${run}-` }).first().waitFor();
    // Whether blocks of the file are there already is asked first, and "no" is a 404 that the console notes.
    assert.deepEqual(problems.filter((line) => !/ 404 .*comp=blocklist/.test(line)), []);
    await context.close();
  });

  test("an upload that broke off goes on where it was", { timeout: 15 * 60_000 }, async () => {
    const asset = `resume-${run}`;
    await call(to, "PUT", media(to, `/assets/${asset}`), { properties: {} });
    const buffer = Buffer.alloc(18 * 1024 * 1024);
    for (let at = 0; at < buffer.length; at += 4096) buffer.writeUInt32LE(at, at);
    const file = { name: "large.bin", mimeType: "application/octet-stream", buffer };
    const { context, page } = await openPortal(browser, to, `/assets/${asset}`);
    // The last block finds no connection, until the visitor comes back.
    let broken = true;
    const blocks = [];
    await context.route(/comp=block&/, (route) => {
      const id = Buffer.from(new URL(route.request().url()).searchParams.get("blockid"), "base64").toString();
      blocks.push(id);
      return broken && id.endsWith("000004") ? route.abort() : route.continue();
    });
    const row = page.locator(".uploads li", { hasText: "large.bin" });
    await page.locator("input[type=file]").setInputFiles(file);
    await row.getByText("Uploading").waitFor();
    await page.waitForFunction(() => document.querySelector(".uploads progress")?.value >= 16 * 1024 * 1024);
    await row.getByRole("button", { name: "Pause" }).click();
    await row.getByText("Paused").waitFor();
    await shot(page, "journey-paused");
    broken = false;
    const before = blocks.length;
    await row.getByRole("button", { name: "Go on" }).click();
    await row.getByText("Uploaded").waitFor();
    assert.deepEqual([...new Set(blocks.slice(before).map((id) => id.slice(-6)))], ["000004"], "only what was missing is sent again");
    await page.getByRole("table", { name: "Files" }).getByText("18.0 MiB").waitFor();
    await context.close();
  });

  test("somebody is invited, becomes a user, and is removed: their token stops working", async () => {
    const { context, page } = await openPortal(browser, to, "/people");
    const name = `Ann ${run}`;
    await page.getByRole("button", { name: "Invite somebody" }).click();
    const form = page.getByRole("dialog");
    await form.getByLabel("Name", { exact: true }).fill(name);
    await form.getByLabel("owners").check();
    await form.getByRole("button", { name: "Invite", exact: true }).click();
    const secret = await page.getByLabel("secret of the invitation", { exact: true }).inputValue();
    const accepted = await fetch(`${to.apiUrl}/api/v1/invites/accept`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ secret }),
    });
    assert.ok(accepted.ok, `accepting answered ${accepted.status}`);
    const token = (await accepted.json()).metadata.JWT;
    assert.equal((await call(to, "GET", "/api/v1/user/profile", undefined, token)).status, 200);
    await page.getByRole("button", { name: "Close" }).click();
    await page.reload();
    const row = page.getByRole("table", { name: "Users" }).getByRole("row", { name: new RegExp(name) });
    await row.getByRole("button", { name: "Remove" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Remove" }).click();
    await row.waitFor({ state: "detached" });
    assert.equal((await call(to, "GET", "/api/v1/user/profile", undefined, token)).status, 401);
    await context.close();
  });

  test("a token is made with the least rights, shown once, and revoked", async () => {
    const { context, page } = await openPortal(browser, to, "/tokens");
    const name = `build server ${run}`;
    await page.getByRole("button", { name: "New token" }).click();
    await page.getByLabel("What it is for").fill(name);
    await page.getByRole("button", { name: "Make token" }).click();
    const token = await page.getByLabel("token", { exact: true }).inputValue();
    assert.equal((await call(to, "GET", media(to, "/assets"), undefined, token)).status, 200);
    assert.equal((await call(to, "PUT", media(to, "/assets/not-allowed"), { properties: {} }, token)).status, 403);
    await page.getByRole("button", { name: "Done" }).click();
    const row = page.getByRole("table", { name: "Your tokens" }).getByRole("row", { name: new RegExp(name) });
    await row.getByRole("button", { name: "Revoke" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Revoke" }).click();
    await row.getByText("Revoked").waitFor();
    assert.equal((await call(to, "GET", media(to, "/assets"), undefined, token)).status, 401);
    await context.close();
  });

  test("a webhook is made, calls, and its delivery is in the log", { timeout: 15 * 60_000 }, async (t) => {
    const calls = [];
    const receiver = createServer((request, response) => {
      calls.push(request.url);
      request.resume();
      response.writeHead(200).end();
    });
    t.after(() => receiver.close());
    await new Promise((resolve) => receiver.listen(0, "127.0.0.1", resolve));
    const name = `hook-${run}`;
    const { context, page } = await openPortal(browser, to, "/webhooks");
    await page.getByRole("button", { name: "New webhook" }).click();
    const form = page.getByRole("dialog");
    await form.getByLabel("Name", { exact: true }).fill(name);
    await form.getByLabel("Address to call").fill(`http://127.0.0.1:${receiver.address().port}/hook`);
    await form.getByLabel("Something was published").check();
    await form.getByRole("button", { name: "Save webhook" }).click();
    await page.getByRole("heading", { level: 1, name }).waitFor();
    // Something to tell of: a film is published once more.
    const film = await demo(to);
    await call(to, "PUT", media(to, `/streamingLocators/${name}`), {
      properties: { assetName: film.assetName, streamingPolicyName: "Predefined_ClearStreamingOnly" },
    });
    await page.getByRole("table", { name: "Deliveries" }).getByText("Sent").first().waitFor();
    assert.deepEqual(calls, ["/hook"]);
    await shot(page, "journey-webhook");
    await page.getByRole("button", { name: "Delete" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await page.getByRole("heading", { level: 1, name: "Webhooks" }).waitFor();
    await call(to, "DELETE", media(to, `/streamingLocators/${name}`));
    await context.close();
  });

  test("a film is protected and plays for who has a token, and for nobody else", { timeout: 15 * 60_000 }, async (t) => {
    const name = `guarded-${run}`;
    const film = await demo(to);
    const { context, page, problems } = await openPortal(browser, to, "/key-policies");
    t.after(async () => {
      await call(to, "DELETE", media(to, `/streamingLocators/${name}`));
      await call(to, "DELETE", media(to, `/contentKeyPolicies/${name}`));
    });
    await page.getByRole("button", { name: "New key policy" }).click();
    let form = page.getByRole("dialog");
    await form.getByLabel("Name", { exact: true }).fill(name);
    const issuer = await form.getByLabel("Issuer (iss)").inputValue();
    const audience = await form.getByLabel("Audience (aud)").inputValue();
    const secret = await form.getByLabel("Shared secret (base64)").inputValue();
    await form.getByRole("button", { name: "Make key policy" }).click();
    await page.getByRole("heading", { level: 1, name }).waitFor();

    await page.goto(`${to.portalUrl}/#/assets/${film.assetName}`);
    await page.getByRole("button", { name: "Publish", exact: true }).click();
    form = page.getByRole("dialog");
    await form.getByLabel("Encrypt with AES-128").check();
    await form.getByLabel("Key policy", { exact: true }).selectOption(name);
    await form.locator("summary", { hasText: "More" }).click();
    await form.getByLabel("Locator name").fill(name);
    await form.getByRole("button", { name: "Publish", exact: true }).click();
    await page.getByRole("heading", { level: 1, name }).waitFor();
    await page.goto(`${to.portalUrl}/#/watch/${name}`);
    // Without a token there is no key.
    await page.locator(".trouble", { hasText: "key policy may want a token" }).waitFor();
    assert.equal(await page.evaluate(() => document.querySelector("video").videoWidth), 0);
    await shot(page, "journey-protected");
    const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const unsigned = `${part({ alg: "HS256", typ: "JWT" })}.${part({ iss: issuer, aud: audience, exp: Math.floor(Date.now() / 1000) + 600 })}`;
    const jwt = `${unsigned}.${createHmac("sha256", Buffer.from(secret, "base64")).update(unsigned).digest("base64url")}`;
    const addresses = [];
    page.on("request", (request) => addresses.push(request.url()));
    await page.getByLabel("Key token (JWT)").fill(jwt);
    await page.getByRole("button", { name: "Play with this token" }).click();
    await plays(page);
    await shot(page, "journey-unlocked");
    // The token is in no address and in no store.
    assert.deepEqual(
      addresses.filter((address) => address.includes(jwt)),
      [],
    );
    const stored = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, location.href]));
    assert.ok(!stored.includes(jwt));
    const unexpected = problems.filter((problem) => !/status of 40[13]/.test(problem));
    assert.deepEqual(unexpected, []);
    await context.close();
  });

  test("signing keys are replaced, and an invitation is accepted", { timeout: 15 * 60_000 }, async (t) => {
    const { context, page, problems } = await openPortal(browser, to, "/signing-keys");
    const keys = page.getByRole("table", { name: "Signing keys" });
    await keys.getByText("Signing", { exact: true }).waitFor();
    const before = await keys.locator("tbody tr").count();
    // A key younger than a minute is not replaced, so that asking twice does no harm; the page says so.
    const { body: now } = await call(to, "GET", "/api/v1/organization/signingKeys");
    const { metadata: signing } = now.items.find(({ status }) => status.state === "Signing");
    const young = Date.parse(signing.created) + 61_000 - Date.now();
    // Or it is older than that when the page has asked.
    if (young > 30_000) {
      await page.getByRole("button", { name: "New key" }).click();
      await page.getByRole("dialog").getByRole("button", { name: "New key" }).click();
      await page.getByText("The key that signs is less than a minute old and stays").waitFor();
      assert.equal(await keys.locator("tbody tr").count(), before);
    }
    await page.waitForTimeout(Math.max(0, young));
    await page.getByRole("button", { name: "New key" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "New key" }).click();
    await page.waitForFunction((before) => document.querySelectorAll("table[aria-label='Signing keys'] tbody tr").length > before, before);
    // What the last key signed is good still, this page's own token among it.
    assert.equal(await keys.getByText("Signing", { exact: true }).count(), 1);
    await shot(page, "journey-signing-keys");
    const guest = `guest ${run}`;
    const { status, body } = await call(to, "POST", "/api/v1/organization/invites", { spec: { name: guest } });
    assert.equal(status, 201, JSON.stringify(body));
    const visitor = await openPortal(browser, to, "/invited", {}, null);
    await visitor.page.getByLabel("Secret of the invitation").fill(body.metadata.secret);
    await visitor.page.getByRole("button", { name: "Accept" }).click();
    await visitor.page.locator(".person", { hasText: guest }).waitFor();
    t.after(async () => {
      const users = await call(to, "GET", "/api/v1/organization/users");
      const { metadata } = users.body.items.find(({ spec }) => spec.name === guest);
      await call(to, "DELETE", `/api/v1/organization/users/${metadata.id}`);
    });
    assert.deepEqual(problems, []);
    await visitor.context.close();
    await context.close();
  });

  test("a live event is made, started, recorded and shown, stopped, and its recording plays whole", { timeout: 15 * 60_000 }, async (t) => {
    const name = `live-${run}`;
    const { context, page, problems } = await openPortal(browser, to, "/live");
    await page.getByRole("button", { name: "New live event" }).click();
    const form = page.getByRole("dialog");
    await form.getByLabel("Name", { exact: true }).fill(name);
    await form.getByLabel("Start it at once").uncheck();
    await form.getByRole("button", { name: "Make live event" }).click();
    await page.getByRole("heading", { level: 1, name }).waitFor();
    const state = page.locator(".facts .state");
    await state.getByText("Stopped").waitFor();
    // Before it goes live, as the page says: then the recording has all that is sent.
    await page.getByRole("button", { name: "Record" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Record" }).click();
    await page.getByRole("table", { name: "Recordings" }).getByText(`${name}-recording-`).waitFor();
    await page.getByRole("button", { name: "Start", exact: true }).click();
    await state.getByText(/Starting|Running/).waitFor();
    await state.getByText("Running").waitFor();
    await shot(page, "journey-live");
    const { body } = await call(to, "GET", media(to, `/liveEvents/${name}`));
    // Where this Headwater takes an encoder's stream, its address is there to be copied.
    for (const { url } of body.properties.input.endpoints) {
      await page.waitForFunction((url) => [...document.querySelectorAll("input")].some(({ value }) => value === url), url);
    }
    const verdict = page.locator(".verdict [role=status]");
    await verdict.getByText("No encoder").waitFor();
    // An encoder, until the event is stopped. Its first second is red.
    const pictures = "color=c=red:s=320x180:r=25:d=1[a];testsrc2=s=320x180:r=25[b];[a][b]concat=n=2:v=1[out0]";
    const encoder = spawn("ffmpeg", [
      ...["-v", "error", "-re", "-f", "lavfi", "-i", pictures, "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000"],
      ...["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-pix_fmt", "yuv420p", "-g", "50", "-b:v", "400k", "-c:a", "aac"],
      ...["-f", "flv", `${body.properties.input.endpoints[0].url}/main`],
    ]);
    t.after(() => encoder.kill());
    await verdict.getByText(/^(Healthy|Unhealthy)/).waitFor();
    await page.getByRole("table", { name: "Incoming tracks" }).getByText("video_").waitFor();
    await page.locator(".chart svg").first().waitFor();
    await plays(page);
    await page.locator(".health summary", { hasText: "As a table" }).click();
    await page.getByRole("table", { name: "Measurements" }).locator("tbody tr").first().waitFor();
    for (const [shape, options] of Object.entries(SHAPES)) {
      await page.setViewportSize(options.viewport);
      await page.emulateMedia({ colorScheme: options.colorScheme });
      assert.deepEqual(await complaints(page), []);
      assert.equal(await tooWide(page), false);
      await shot(page, `${shape}-live-health`);
    }
    await page.setViewportSize(SHAPES["desk-light"].viewport);
    const recording = await page.getByRole("table", { name: "Recordings" }).getByRole("link", { name: `${name}-recording-` }).first().innerText();
    // How much an encoder has sent by now, as the event's own tracks have it.
    const received = async () => {
      const { body } = await call(to, "GET", media(to, `/liveEvents/${name}/health`));
      return body.history.filter(({ tracks }) => tracks.some(({ frameRate }) => frameRate > 0)).length;
    };
    for (;;) {
      // Measured every five seconds, so that more than ten have been recorded.
      if ((await received()) >= 3) break;
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
    await page.getByRole("button", { name: "Stop", exact: true }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Stop" }).click();
    await state.getByText("Stopped").waitFor();
    encoder.kill();

    // What was recorded is a film now, and plays from its first picture to its last.
    await page.goto(`${to.portalUrl}/#/assets/${recording}`);
    await page.getByRole("table", { name: "Locators of this asset" }).getByRole("link", { name: /^Play / }).click();
    await page.getByRole("heading", { level: 1, name: recording }).waitFor();
    await page.waitForFunction(() => Number.isFinite(document.querySelector("video")?.duration) && document.querySelector("video").readyState >= 2);
    const seen = await page.evaluate(async () => {
      const video = document.querySelector("video");
      video.pause();
      video.currentTime = 0;
      await new Promise((resolve) => video.addEventListener("seeked", resolve, { once: true }));
      // The picture is drawn by then.
      await new Promise((resolve) => setTimeout(resolve, 2000));
      const canvas = Object.assign(document.createElement("canvas"), { width: 320, height: 180 });
      const brush = canvas.getContext("2d");
      brush.drawImage(video, 0, 0);
      const [red, green, blue] = brush.getImageData(160, 90, 1, 1).data;
      const before = video.getVideoPlaybackQuality().totalVideoFrames;
      video.playbackRate = 2;
      const ended = new Promise((resolve) => video.addEventListener("ended", resolve, { once: true }));
      await video.play();
      await ended;
      const { duration, played } = video;
      // The seek before may have left a moment at the beginning as a range of its own.
      const whole = Array.from({ length: played.length }, (_, at) => [played.start(at), played.end(at)]);
      return { duration, whole, colour: { red, green, blue }, frames: video.getVideoPlaybackQuality().totalVideoFrames - before };
    });
    assert.ok(seen.duration > 10 && seen.duration < 120, `${seen.duration} s were recorded`);
    const { red, green, blue } = seen.colour;
    assert.ok(red > 200 && green < 60 && blue < 60, `it begins with the first picture that was sent, which is red: ${JSON.stringify(seen.colour)}`);
    const [first, last] = [seen.whole[0][0], seen.whole.at(-1)[1]];
    const lost = seen.whole.slice(1).reduce((sum, [start], at) => sum + start - seen.whole[at][1], 0);
    assert.ok(first < 0.1 && seen.duration - last < 0.1 && lost < 0.1, JSON.stringify(seen));
    // 25 pictures a second were sent; the decoder has counted all of them, but for some at the ends.
    assert.ok(Math.abs(seen.frames - 25 * seen.duration) <= 10, JSON.stringify(seen));
    assert.equal(await page.locator(".meters dt", { hasText: "Latency" }).count(), 0, "a film is behind nothing");
    await shot(page, "journey-recording");
    await page.goto(`${to.portalUrl}/#/live/${name}`);
    await page.getByRole("button", { name: "Delete", exact: true }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await page.getByRole("heading", { level: 1, name: "Live events" }).waitFor();
    assert.equal(await page.getByRole("link", { name, exact: true }).count(), 0);
    // The preview goes with the event, and its player has let go of it before.
    assert.deepEqual(problems, []);
    await context.close();
  });
});
