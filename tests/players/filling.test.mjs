// An encoder goes away and comes back: players go on, show black and hear nothing meanwhile, and then what it sends. Messages that come
// by HTTP are told to them all the while.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { launch } from "./lib/browser.mjs";
import { connection } from "./lib/headwater.mjs";
import { PLAYERS, goLive, pushPictures, watch } from "./lib/live.mjs";
import { serve } from "./lib/server.mjs";

/** Of the encoder's key frames. */
const GROUP_S = 1;
/** How long the encoder is away: longer than any player has in store. */
const AWAY_S = 15;

/** dash.js without low latency: it may stand still at a Period's edge in that mode on a loaded machine. */
const WATCHING = PLAYERS.map(([title, page, ...rest]) => (page === "dash" ? ["dash.js, DASH", page, "dash", false] : [title, page, ...rest]));

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

let browser;
let files;
let show;
let encoder;

before(
  async () => {
    files = await serve();
    browser = await launch();
    show = await goLive(connection(), { lowLatency: true, interval: `PT${GROUP_S}S`, input: { fillWith: "BlackAndSilence" } });
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

/** What the video shows: its mean luma, from 0 to 255. */
function luma() {
  const video = document.querySelector("video");
  const canvas = new OffscreenCanvas(16, 9);
  const to = canvas.getContext("2d", { willReadFrequently: true });
  to.drawImage(video, 0, 0, 16, 9);
  const { data } = to.getImageData(0, 0, 16, 9);
  let sum = 0;
  for (let at = 0; at < data.length; at += 4) sum += 0.2126 * data[at] + 0.7152 * data[at + 1] + 0.0722 * data[at + 2];
  return sum / (data.length / 4);
}

async function until(tab, what, is) {
  const seen = [];
  for (const deadline = Date.now() + 90_000; ; await pause(250)) {
    const value = await tab.evaluate(luma);
    seen.push(Math.round(value));
    if (is(value)) return;
    if (Date.now() > deadline) assert.fail(`no ${what}: ${seen} ${JSON.stringify(await tab.evaluate(() => window.state()))}`);
  }
}

/** Posts a message, as curl would in AMS's tutorials. */
async function say(message) {
  const headers = { "content-type": "application/json" };
  const response = await fetch(show.messages, { method: "POST", headers, body: JSON.stringify({ message }) });
  assert.equal(response.status, 200, await response.text());
}

async function hear(tabs, message) {
  for (const { title, tab } of tabs) {
    const told = tab.waitForFunction((wanted) => window.heard.some(({ tag }) => tag === wanted), message, { timeout: 90_000 });
    await told.catch(async () => assert.fail(`${title} did not hear '${message}': ${JSON.stringify(await tab.evaluate(() => window.heard))}`));
  }
}

describe("while the encoder is away and back", () => {
  test("players go on", { timeout: 900_000 }, async (t) => {
    const tabs = [];
    try {
      await watch(browser, files, show, WATCHING, tabs, { listen: true });
      for (const { tab } of tabs) await until(tab, "picture", (value) => value > 60);
      await say("tag 1");
      await hear(tabs, "tag 1");
      const gone = new Promise((resolve) => encoder.once("exit", resolve));
      encoder.kill("SIGKILL");
      await gone;
      const begun = Date.now();
      for (const { tab } of tabs) await until(tab, "black", (value) => value < 3);
      const from = await Promise.all(tabs.map(({ tab }) => tab.evaluate(() => window.state())));
      const since = Date.now();
      await say("tag 2");
      await hear(tabs, "tag 2");
      await pause(AWAY_S * 1000 - (since - begun));
      const passed = (Date.now() - since) / 1000;
      for (const [at, { title, tab }] of tabs.entries()) {
        const now = await tab.evaluate(() => window.state());
        assert.ok(now.time - from[at].time > passed * 0.7, `${title}: ${JSON.stringify({ from: from[at], now, passed })}`);
        assert.ok((await tab.evaluate(luma)) < 3, title);
      }
      encoder = pushPictures(show.ingest, GROUP_S);
      for (const { tab } of tabs) await until(tab, "picture again", (value) => value > 60);
      await pause(3_000);
      for (const { title, tab } of tabs) {
        const { time, errors } = await tab.evaluate(() => window.state());
        const goesOn = tab.waitForFunction((time) => window.state().time - time > 1, time, { timeout: 60_000 });
        await goesOn.catch(async () => assert.fail(`${title} stands still: ${JSON.stringify(await tab.evaluate(() => window.state()))}`));
        // Until black begins nothing comes for a second, for which hls.js waits less long, and then asks again.
        const told = errors.filter((text) => !/bufferSeekOverHole|(level|audioTrack)LoadTimeOut/.test(text));
        for (const text of errors.filter((text) => !told.includes(text))) t.diagnostic(`${title}: ${text}`);
        assert.deepEqual(told, [], title);
      }
    } finally {
      for (const { context } of tabs) await context.close();
    }
  });
});
