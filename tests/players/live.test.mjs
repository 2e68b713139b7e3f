// Players that ask for no low latency stay at the live edge while ffmpeg pushes, and see time go on. Those that do: endurance.test.mjs.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { launch, openPage } from "./lib/browser.mjs";
import { connection } from "./lib/headwater.mjs";
import { goLive, pushPictures } from "./lib/live.mjs";
import { serve } from "./lib/server.mjs";

const SECONDS = Number(process.env.LIVE_SECONDS ?? 30);
/** Of the encoder's key frames. */
const GROUP_S = 1;

let browser;
let files;
let show;
let encoder;

before(
  async () => {
    files = await serve();
    browser = await launch();
    show = await goLive(connection(), { lowLatency: true, interval: `PT${GROUP_S}S` });
    encoder = pushPictures(show.ingest, GROUP_S);
    await show.until(show.hls, (text) => text.includes("#EXT-X-STREAM-INF"));
  },
  { timeout: 300_000 },
);

after(async () => {
  encoder?.kill("SIGKILL");
  await show?.end();
  await browser?.close();
  await files?.close();
});

const PLAYERS = [
  ["hls.js plays live HLS", "hls"],
  ["Shaka Player plays live HLS", "shaka"],
];

for (const [title, page] of PLAYERS) {
  describe(title, () => {
    test(`stays at the edge for ${SECONDS} s`, { timeout: (SECONDS + 300) * 1000 }, async (t) => {
      const { context, page: tab, problems } = await openPage(browser);
      try {
        await tab.goto(`${files.origin}/pages/${page}.html`);
        await tab.waitForFunction(() => window.player !== undefined);
        await tab.evaluate((url) => window.player.load(url), show.hls);
        await tab.evaluate(() => document.querySelector("video").play());
        await tab.waitForFunction(() => document.querySelector("video").currentTime > 0 && window.state().frames > 5, null, {
          timeout: 120_000,
        });
        const from = await tab.evaluate(() => window.state());
        const begun = Date.now();
        await new Promise((resolve) => setTimeout(resolve, SECONDS * 1000));
        const now = await tab.evaluate(() => ({ ...window.state(), latency: window.player.latency?.() ?? null }));
        const passed = (Date.now() - begun) / 1000;
        assert.deepEqual(now.errors, []);
        // A busy machine drops frames and stalls now and then; a player that is stuck does neither.
        assert.ok(now.time - from.time > passed * 0.8, JSON.stringify({ from, now, passed, problems }));
        assert.ok(now.frames - from.frames > passed * 25 * 0.6, JSON.stringify({ from, now, passed }));
        assert.ok(now.audioBytes > from.audioBytes);
        if (now.latency !== null) {
          t.diagnostic(`${now.latency.toFixed(2)} s behind`);
          assert.ok(now.latency < 15, `${now.latency} s behind`);
        }
      } finally {
        await context.close();
      }
    });
  });
}
