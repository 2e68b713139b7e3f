// Players hear what a broadcast encoder says beside the pictures: ID3 tags, each once and at its moment, and a break.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { after, before, describe, test } from "node:test";
import { launch, openPage } from "./lib/browser.mjs";
import { connection } from "./lib/headwater.mjs";
import { goLive } from "./lib/live.mjs";
import { serve } from "./lib/server.mjs";

/** Breaks, in seconds after the first picture, how often and how long; announced three before. Each player comes to one. */
const [BREAK_AT, BREAK_EVERY, BREAK_S] = [9, 20, 4];
const TAG_EVERY = 2;
const SPEAKER = fileURLToPath(new URL("../e2e/cue_stream.py", import.meta.url));

let browser;
let files;
let show;
let encoder;

before(
  async () => {
    files = await serve();
    browser = await launch();
    show = await goLive(connection(), { lowLatency: false, interval: "PT1S", protocol: "SRT" });
    const pictures = [
      "ffmpeg -v error -re -f lavfi -i testsrc2=size=320x180:rate=25 -re -f lavfi -i sine=frequency=440:sample_rate=48000",
      "-c:v libx264 -preset ultrafast -tune zerolatency -pix_fmt yuv420p -g 25 -sc_threshold 0 -b:v 500k",
      "-c:a aac -b:a 96k -ac 2 -f mpegts -",
    ].join(" ");
    const breaks = Array.from({ length: 60 }, (_, number) => `--break=${BREAK_AT + number * BREAK_EVERY}+${BREAK_S}`);
    const speaker = `python3 "$0" ${breaks.join(" ")} --tag-every=${TAG_EVERY}`;
    const sender = `srt-live-transmit -q -chunk:1316 file://con "$1&latency=2000"`;
    // A group of its own, so that all three can be stopped.
    encoder = spawn("sh", ["-c", `${pictures} | ${speaker} | ${sender}`, SPEAKER, show.ingest], {
      stdio: ["ignore", "inherit", "inherit"],
      detached: true,
    });
    await show.until(show.hls, (text) => text.includes("#EXT-X-STREAM-INF"));
  },
  { timeout: 300_000 },
);

after(async () => {
  if (encoder?.pid !== undefined) process.kill(-encoder.pid, "SIGKILL");
  await show?.end();
  await browser?.close();
  await files?.close();
});

for (const [title, page, url] of [
  ["hls.js, CMAF", "hls", "hls"],
  ["hls.js, MPEG-2 TS", "hls", "ts"],
  ["Shaka Player, DASH", "shaka", "dash"],
  ["dash.js", "dash", "dash"],
]) {
  describe(title, () => {
    test("tells of tags and of the break", { timeout: 300_000 }, async () => {
      const { context, page: tab } = await openPage(browser);
      try {
        await tab.goto(`${files.origin}/pages/${page}.html`);
        await tab.waitForFunction(() => window.player !== undefined);
        await tab.evaluate(() => window.player.listen());
        await tab.evaluate((url) => window.player.load(url), show[url]);
        await tab.evaluate(() => document.querySelector("video").play());
        // From where it began on: five tags, eight seconds.
        await tab.waitForFunction(
          () => new Set(window.heard.filter(({ tag }) => tag).map(({ tag }) => tag)).size >= 5 && window.heard.some(({ splice }) => splice),
          null,
          { timeout: 150_000 },
        );
        const { heard, errors } = await tab.evaluate(() => ({ heard: window.heard, errors: window.state().errors }));
        assert.deepEqual(errors, []);
        // Sound and pictures both carry a tag, and players that fetch both hear it from both: at the same moment.
        const tags = new Map();
        for (const { tag, time } of heard.filter(({ tag }) => tag)) {
          const number = Number(tag.split(" ")[1]);
          assert.ok(!tags.has(number) || Math.abs(tags.get(number) - time) < 0.05, JSON.stringify(heard));
          tags.set(number, time);
        }
        const numbers = [...tags.keys()].sort((a, b) => a - b);
        for (const [at, number] of numbers.entries()) {
          assert.equal(number, numbers[0] + at, `a tag is missing: ${numbers}`);
          // Whose moment was over when the first segment begins comes at its beginning.
          if (at > 1) assert.ok(Math.abs(tags.get(number) - tags.get(number - 1) - TAG_EVERY) < 0.1, JSON.stringify(heard));
        }
        // Tags and breaks are on one clock.
        const zero = tags.get(numbers[1]) - numbers[1] * TAG_EVERY;
        for (const { splice, time, duration } of heard.filter(({ splice }) => splice)) {
          assert.match(splice, /^fc30[0-9a-f]+$/);
          assert.ok(Math.abs(duration - BREAK_S) < 0.05, `${duration} s`);
          const turns = (time - zero - BREAK_AT) / BREAK_EVERY;
          assert.ok(Math.abs(turns - Math.round(turns)) < 0.005, `${time - zero} s after the first picture`);
        }
      } finally {
        await context.close();
      }
    });
  });
}
