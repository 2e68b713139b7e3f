// Players play on while the keys of what is live change, and what was live afterwards, with keys from our own key delivery.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { launch, openPage, within } from "./lib/browser.mjs";
import { connection, makeRotatingPolicy } from "./lib/headwater.mjs";
import { goLive, pushPictures } from "./lib/live.mjs";
import { serve } from "./lib/server.mjs";

/** The shortest that a policy may say. */
const INTERVAL_S = 30;
/** So that every player sees a boundary, whenever it begins. */
const WATCH_S = INTERVAL_S + 10;
const PATIENCE = 120_000;
/**
 * dash.js 5.2 loses a seek that comes while it has all of one Period and begins to fetch the next: it goes to that one's beginning, empties
 * its buffers and stays there. Otherwise every player is sought in at once.
 */
const SETTLED_MS = { dash: 3_000 };

const DASH_CENC = "format=mpd-time-cmaf,encryption=cenc";
const DASH_CBCS = "format=mpd-time-cmaf,encryption=cbcs";
const HLS_CBC = "format=m3u8-cmaf,encryption=cbc";
const HLS_CBCS = "format=m3u8-cmaf,encryption=cbcs-aapl";
const TS_CBC = "format=m3u8-aapl,encryption=cbc";
const TS_CBCS = "format=m3u8-aapl,encryption=cbcs-aapl";

// hls.js is told where licences are: playlists name none for ClearKey.
const PLAYERS = [
  ["Shaka Player, DASH under cenc", "shaka", DASH_CENC, false],
  ["Shaka Player, DASH under cbcs", "shaka", DASH_CBCS, false],
  ["dash.js, DASH under cenc", "dash", DASH_CENC, false],
  ["dash.js, DASH under cbcs", "dash", DASH_CBCS, false],
  ["hls.js, HLS under AES-128", "hls", HLS_CBC, false],
  ["hls.js, HLS under cbcs", "hls", HLS_CBCS, true],
  ["hls.js, transport streams under AES-128", "hls", TS_CBC, false],
  ["hls.js, transport streams under SAMPLE-AES", "hls", TS_CBCS, false],
].filter(([title]) => !process.env.PLAYER_ONLY || title.includes(process.env.PLAYER_ONLY));

let browser;
let files;
let show;
let encoder;
let keysUrl;

before(
  async () => {
    const to = connection();
    keysUrl = to.keysUrl;
    files = await serve();
    browser = await launch();
    const policies = await makeRotatingPolicy(to, `PT${INTERVAL_S}S`);
    show = await goLive(to, { lowLatency: true, interval: "PT1S", policies });
    encoder = pushPictures(show.ingest, 1);
    await show.until(show.manifest(HLS_CBCS), (text) => text.includes("#EXT-X-STREAM-INF"));
  },
  { timeout: 300_000 },
);

after(async () => {
  encoder?.kill("SIGKILL");
  await show?.end();
  await browser?.close();
  await files?.close();
});

/** A player's page that has begun to play, and the keys that it asked for. */
async function open(page, options, licence) {
  const { context, page: tab, problems } = await openPage(browser);
  const kids = new Set();
  const statuses = new Set();
  tab.on("response", (response) => {
    const request = response.request();
    if (request.method() === "OPTIONS" || !response.url().startsWith(keysUrl)) return;
    statuses.add(response.status());
    const kid = new URL(response.url()).searchParams.get("kid");
    for (const one of kid === null ? JSON.parse(request.postData()).kids : [kid]) kids.add(one);
  });
  await tab.goto(`${files.origin}/pages/${page}.html`);
  await tab.waitForFunction(() => window.player !== undefined);
  const keys = licence ? { licence: `${keysUrl}/ClearKey` } : {};
  await within(tab, PATIENCE, tab.evaluate(([url, keys]) => window.player.load(url, keys), [show.manifest(options), keys]));
  await within(tab, PATIENCE, tab.evaluate(() => document.querySelector("video").play()));
  const begun = () => document.querySelector("video").currentTime > 0 && window.state().frames > 5;
  await within(tab, PATIENCE, tab.waitForFunction(begun, null, { timeout: 0 }));
  return { context, tab, problems, kids, statuses };
}

// Two at a time: they mostly wait.
describe("keys change while players watch", { concurrency: 2 }, () => {
  for (const [title, page, options, licence] of PLAYERS) {
    test(title, { timeout: 3 * WATCH_S * 1000 + 3 * PATIENCE }, async (t) => {
      const { context, tab, problems, kids, statuses } = await open(page, options, licence);
      try {
        const from = await tab.evaluate(() => window.state());
        const begun = Date.now();
        let now;
        do {
          await new Promise((resolve) => setTimeout(resolve, WATCH_S * 1000));
          now = await tab.evaluate(() => window.state());
          // As in live.test.mjs.
        } while (now.time - from.time < WATCH_S * 0.8 && Date.now() - begun < 3 * WATCH_S * 1000);
        const passed = (Date.now() - begun) / 1000;
        // What live.test.mjs allows in the clear.
        const steps = now.errors.filter((text) => text.includes("bufferSeekOverHole"));
        assert.deepEqual(now.errors.filter((text) => !steps.includes(text)), []);
        assert.ok(steps.length <= passed / 5, steps.join("; "));
        assert.ok(now.time - from.time >= WATCH_S * 0.8, JSON.stringify({ from, now, passed, problems, keys: [...kids] }));
        assert.ok(now.frames - from.frames > (now.time - from.time) * 25 * 0.5, JSON.stringify({ from, now, passed }));
        assert.ok(now.audioBytes > from.audioBytes);
        assert.deepEqual([...statuses], [200]);
        assert.ok(kids.size >= 2, `asked for ${[...kids]}`);
        t.diagnostic(`${kids.size} keys`);
      } finally {
        await context.close();
      }
    });
  }
});

describe("what was live plays under the keys that it had", () => {
  before(
    async () => {
      encoder.kill("SIGKILL");
      await show.end();
      const ended = (text) => text.includes('type="static"');
      await show.until(show.manifest(DASH_CENC), ended);
    },
    { timeout: 200_000 },
  );

  for (const [title, page, options, licence] of PLAYERS) {
    test(title, { timeout: 6 * PATIENCE }, async () => {
      const { context, tab, kids, statuses } = await open(page, options, licence);
      try {
        // Farther apart than keys change, so under several wherever the film begins.
        for (const time of [INTERVAL_S + 5, 20, 1]) {
          await new Promise((resolve) => setTimeout(resolve, SETTLED_MS[page] ?? 0));
          const sought = tab.evaluate((time) => window.seek(document.querySelector("video").seekable.start(0) + time), time);
          await within(tab, PATIENCE, sought);
          const { frames } = await tab.evaluate(() => window.state());
          await within(tab, PATIENCE, tab.waitForFunction((from) => window.state().frames > from + 10, frames, { timeout: 0 }));
        }
        assert.deepEqual((await tab.evaluate(() => window.state())).errors, []);
        assert.deepEqual([...statuses], [200]);
        assert.ok(kids.size >= 2, `asked for ${[...kids]}`);
      } finally {
        await context.close();
      }
    });
  }
});
