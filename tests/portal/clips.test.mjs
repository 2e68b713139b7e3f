// A clip of what is being recorded: marked in the picture, played at once, and the same when the recording has ended.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { execFileSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { launch } from "./lib/browser.mjs";
import { call, connection, media } from "./lib/headwater.mjs";
import { encodeTo, startEvent } from "./lib/live.mjs";
import { complaints, openPortal, plays, settled, SHAPES, shot, tooWide } from "./lib/portal.mjs";

/** A key frame every second, so segments have one each. */
const SEGMENT_SECONDS = 1;

describe("clips of a live event", () => {
  let browser;
  let to;
  const name = `clips-${randomUUID().slice(0, 6)}`;

  const api = async (method, path, body) => {
    const { status, body: answer } = await call(to, method, media(to, path), body);
    assert.ok(status < 300, `${method} ${path} answered ${status}: ${JSON.stringify(answer)}`);
    return answer;
  };

  before(async () => {
    to = connection();
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await call(to, "POST", media(to, `/liveEvents/${name}/stop`), { removeOutputsOnStop: true });
  });

  test("is marked while it is live, plays at its length, and stays when the event ends", { timeout: 15 * 60_000 }, async (t) => {
    const encoder = encodeTo(await startEvent(to, name, { segmentSeconds: SEGMENT_SECONDS }));
    t.after(() => encoder.kill());

    const { context, page, problems } = await openPortal(browser, to, `/live/${name}`);
    await page.getByRole("table", { name: "Recordings" }).getByRole("link", { name: `Clip ${name}` }).click();
    await page.getByRole("heading", { level: 1, name: `Clips of ${name}` }).waitFor();
    await plays(page);
    const at = (label) => page.getByLabel(label, { exact: true }).evaluate(({ value }) => Date.parse(value));
    await page.getByRole("button", { name: "Begin at this picture" }).click();
    const start = await at("From");
    // What is shown was recorded just now.
    assert.ok(Math.abs(Date.now() - start) < 60_000, `it begins at ${new Date(start).toISOString()}`);
    // An end before the begin is told at its field, and nothing is made.
    await page.getByLabel("To", { exact: true }).fill(await page.getByLabel("From", { exact: true }).inputValue());
    await page.getByRole("button", { name: "Make clip" }).click();
    await page.locator(".failure[data-kind=invalid]", { hasText: "ends after it begins" }).waitFor();
    assert.equal(await page.getByLabel("To", { exact: true }).getAttribute("aria-invalid"), "true");
    const begun = await page.evaluate(() => document.querySelector("video").currentTime);
    await page.waitForFunction((begun) => document.querySelector("video").currentTime > begun + 5, begun);
    await page.getByRole("button", { name: "End at this picture" }).click();
    const seconds = ((await at("To")) - start) / 1000;
    assert.ok(seconds > 4 && seconds < 60, `${seconds} s`);
    for (const [shape, options] of Object.entries(SHAPES)) {
      await page.setViewportSize(options.viewport);
      await page.emulateMedia({ colorScheme: options.colorScheme });
      assert.deepEqual(await complaints(page), []);
      assert.equal(await tooWide(page), false);
      await shot(page, `${shape}-clip`);
    }
    await page.setViewportSize(SHAPES["desk-light"].viewport);
    await page.getByRole("button", { name: "Make clip" }).click();
    await page.getByRole("heading", { level: 1, name, exact: true }).waitFor();
    await plays(page);
    const length = () => page.evaluate(() => document.querySelector("video").duration);
    const right = (length) => assert.ok(length >= seconds - 0.1 && length <= seconds + 2 * SEGMENT_SECONDS + 0.1, `${length} s for ${seconds} s`);
    right(await length());
    const address = await page.getByLabel("HLS", { exact: true }).first().inputValue();
    const playlist = await (await fetch(address)).text();
    assert.match(playlist, /#EXTM3U/);
    await shot(page, "journey-clip");

    // The recording ends, and its clip plays as before.
    await api("POST", `/liveEvents/${name}/stop`, { removeOutputsOnStop: true });
    await stopped();
    await page.goto(`${to.portalUrl}/#/assets/${name}`);
    await page.getByRole("link", { name: "Clip the recording" }).click();
    const clips = page.getByRole("table", { name: "Clips" });
    await clips.getByRole("link", { name: /^Play / }).click();
    await plays(page);
    right(await length());
    await page.goto(`${to.portalUrl}/#/clip/${name}`);
    await clips.getByRole("button", { name: "Delete" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await page.getByText("No clips yet").waitFor();
    await settled(page);
    // Hosts go by what a locator was for five seconds.
    const forgotten = Date.now() + 6000;
    let gone = await fetch(address);
    while (gone.status !== 404 && Date.now() < forgotten) {
      await new Promise((resolve) => setTimeout(resolve, 250));
      gone = await fetch(address);
    }
    assert.equal(gone.status, 404);

    // And as a file: from the key frame before its beginning to its end, not encoded again.
    await page.getByLabel("From", { exact: true }).fill(field(start));
    await page.getByLabel("To", { exact: true }).fill(field(start + 1000 * seconds));
    await page.getByLabel("A file, as it was recorded").check();
    assert.equal(await page.getByLabel("Who may watch").count(), 0);
    await page.getByLabel("Name", { exact: true }).fill(`${name}-file`);
    await settled(page);
    assert.deepEqual(await complaints(page), []);
    await shot(page, "journey-clip-file");
    await page.getByRole("button", { name: "Make clip" }).click();
    await page.getByRole("heading", { level: 1, name: `${name}-file` }).waitFor();
    await page.getByText("Finished").first().waitFor({ timeout: 180_000 });
    const { spec } = await api("GET", `/assets/${name}-file/storage`);
    const [file] = spec.files.filter(({ name }) => name.endsWith(".mp4"));
    const { assetContainerSasUrls } = await api("POST", `/assets/${name}-file/listContainerSas`, {
      permissions: "Read",
      expiryTime: new Date(Date.now() + 3_600_000).toISOString(),
    });
    const [container, signature] = assetContainerSasUrls[0].split("?");
    const { streams, format } = JSON.parse(
      execFileSync("ffprobe", [
        ...["-v", "error", "-of", "json", "-show_entries", "stream=codec_name,nb_read_frames:format=duration", "-count_frames"],
        `${container}/${file.name}?${signature}`,
      ]),
    );
    assert.deepEqual(streams.map(({ codec_name }) => codec_name).sort(), ["aac", "h264"]);
    const held = Number(format.duration);
    assert.ok(held >= seconds - 0.1 && held <= seconds + SEGMENT_SECONDS + 0.1, `${held} s for ${seconds} s`);
    const pictures = Number(streams.find(({ codec_name }) => codec_name === "h264").nb_read_frames);
    assert.ok(Math.abs(pictures - 25 * held) <= 3, `${pictures} pictures in ${held} s`);
    // Players that were open when the event ended may ask for what is no more.
    assert.deepEqual(
      problems.filter((problem) => !/status of 4(04|12)/.test(problem)),
      [],
    );
    await context.close();
  });

  /** A moment as a field for local times has it. */
  function field(ms) {
    return new Date(ms - 60_000 * new Date(ms).getTimezoneOffset()).toISOString().slice(0, -1);
  }

  /** Waits until the event takes an encoder; its address. */
  async function stopped() {
    for (;;) {
      const { properties } = await api("GET", `/liveEvents/${name}`);
      if (properties.resourceState === "Stopped") return;
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
  }
});
