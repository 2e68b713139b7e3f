// Every player plays a published presentation from start to end, seeks in it and switches between its renditions.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { launch, openPage } from "./lib/browser.mjs";
import { connection, makeClip, publish, publishAsIs } from "./lib/headwater.mjs";
import { serve } from "./lib/server.mjs";

/** How long anything that should happen at once may take on a busy machine. */
const PATIENCE = 60_000;

let browser;
let files;
let urls;
let asIs;

before(
  async () => {
    const { PLAYER_HLS_URL: hls, PLAYER_DASH_URL: dash } = process.env;
    if (hls && dash) {
      urls = asIs = { hls, dash };
    } else {
      const { bytes } = makeClip();
      asIs = await publishAsIs(connection(), bytes);
      urls = await publish(connection(), bytes);
    }
    files = await serve();
    browser = await launch();
  },
  { timeout: 25 * 60_000 },
);

after(async () => {
  await browser?.close();
  await files?.close();
});

// Shaka Player's own builds have not read Smooth manifests since version 5.
const PLAYERS = [
  ["hls.js plays HLS", "hls", "hls"],
  ["hls.js plays HLS of transport streams", "hls", "ts"],
  ["Shaka Player plays HLS", "shaka", "hls"],
  ["Shaka Player plays DASH", "shaka", "dash"],
  ["Shaka Player plays older DASH", "shaka", "csf"],
  ["dash.js plays DASH", "dash", "dash"],
  ["dash.js plays Smooth Streaming", "dash", "smooth"],
].filter(([, , protocol]) => !process.env.PLAYER_ONLY || process.env.PLAYER_ONLY.split(",").includes(protocol));

for (const [title, page, protocol] of PLAYERS) {
  describe(title, () => {
    let tab;
    let problems;
    let context;
    let duration;
    let renditions;

    const state = () => tab.evaluate(() => window.state());
    const until = async (what, holds) => {
      const deadline = Date.now() + PATIENCE;
      for (;;) {
        const now = await state();
        assert.deepEqual(now.errors, [], `${title}: the player reported errors while waiting until ${what}`);
        if (holds(now)) return now;
        assert.ok(Date.now() < deadline, `not reached: ${what}; ${JSON.stringify({ ...now, problems })}`);
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    };
    /** Time, pictures and sound all go on. */
    const advances = async (what) => {
      const from = await state();
      return until(
        `${what}: frames, sound and time advance`,
        (now) => now.frames >= from.frames + 10 && now.time > from.time + 0.3 && now.audioBytes > from.audioBytes,
      );
    };
    const seek = async (time) => {
      const landed = await tab.evaluate((wanted) => window.seek(wanted), time);
      // Playback goes on while the event is on its way here.
      assert.ok(landed > time - 0.1 && landed < time + 0.5, `a seek to ${time} landed at ${landed}`);
      await advances(`after a seek to ${time}`);
    };

    before(
      async () => {
        ({ context, page: tab, problems } = await openPage(browser));
        await tab.goto(`${files.origin}/pages/${page}.html`);
        await tab.waitForFunction(() => window.player !== undefined);
        await tab.evaluate((url) => window.player.load(url), urls[protocol]);
        await tab.evaluate(() => document.querySelector("video").play());
      },
      { timeout: 5 * PATIENCE },
    );
    after(() => context?.close());

    test("starts at the beginning, and frames, sound and time advance", async () => {
      const first = await advances("at the start");
      assert.ok(first.start !== null && first.start < 0.1, `seekable from ${first.start}`);
      duration = first.duration;
      assert.ok(Number.isFinite(duration) && duration > 5, `duration ${duration}`);
    });

    test("every rendition can be switched to and decodes at its own size", async () => {
      renditions = await tab.evaluate(() => window.player.renditions());
      assert.ok(renditions.length >= 2, `only ${renditions.length} rendition`);
      // Down and up again: both directions, and each rendition once more than needed.
      for (const { id, width, height } of [...renditions].reverse().concat(renditions.at(-1))) {
        // Room to play: never let the end come before the switch.
        if ((await state()).time > duration / 2) await seek(1);
        await tab.evaluate((wanted) => window.player.select(wanted), id);
        // Where it takes long, the film begins anew meanwhile.
        const onScreen = (now) => now.width === width && now.height === height;
        const nearEnd = (now) => now.time > duration * 0.8;
        for (const deadline = Date.now() + 3 * PATIENCE; ; ) {
          if (onScreen(await until(`${width}x${height} is on screen`, (now) => onScreen(now) || nearEnd(now)))) break;
          assert.ok(Date.now() < deadline, `${width}x${height} never comes`);
          await seek(1);
        }
        await advances(`at ${width}x${height}`);
      }
    });

    test("seeks forward and back land, and frames decode after them", async () => {
      await seek(duration * 0.7);
      await seek(duration * 0.15);
      await seek(0);
      if (process.env.SCREENSHOTS) {
        mkdirSync(process.env.SCREENSHOTS, { recursive: true });
        await tab.screenshot({ path: join(process.env.SCREENSHOTS, `${page}-${protocol}.png`) });
      }
    });

    test("the end is reached, where the duration says it is", async () => {
      await seek(duration - 2.5);
      const last = await until("the end", (now) => now.ended);
      assert.ok(Math.abs(last.time - duration) < 0.25, `ended at ${last.time} of ${duration}`);
    });

    test("no player, page or console error happened on the way", async () => {
      assert.deepEqual((await state()).errors, []);
      assert.deepEqual(problems, []);
    });
  });
}

describe("a file with B-frames, packaged as it is", () => {
  for (const [title, page, protocol] of PLAYERS) {
    test(`${title}: each picture is shown at its own time, to the end`, { timeout: 5 * PATIENCE }, async () => {
      const { context, page: tab, problems } = await openPage(browser);
      await tab.goto(`${files.origin}/pages/${page}.html`);
      await tab.waitForFunction(() => window.player !== undefined);
      await tab.evaluate((url) => window.player.load(url), asIs[protocol]);
      // The clip has 25 pictures a second. Both times lie in the middle of a picture, in the second and a later segment.
      for (const picture of [57, 303]) {
        const shown = await tab.evaluate((time) => window.shownAt(time), (picture + 0.5) / 25);
        assert.ok(Math.abs(shown - picture / 25) < 0.002, `picture ${picture} has time ${shown}`);
      }
      await tab.evaluate(() => document.querySelector("video").play());
      await tab.evaluate((time) => window.seek(time), 22);
      await tab.waitForFunction(() => window.state().ended, undefined, { timeout: PATIENCE });
      const { errors, time, duration } = await tab.evaluate(() => window.state());
      assert.ok(Math.abs(time - duration) < 0.25 && Math.abs(duration - 24) < 0.1, `ended at ${time} of ${duration}`);
      assert.deepEqual(errors, []);
      assert.deepEqual(problems, []);
      await context.close();
    });
  }
});

describe("DASH with sets of key frames", () => {
  /** Opens a player and notes which pictures it asks for. */
  const opened = async (page, url) => {
    const { context, page: tab, problems } = await openPage(browser);
    const asked = [];
    tab.on("request", (request) => asked.push(decodeURIComponent(request.url())));
    await tab.goto(`${files.origin}/pages/${page}.html`);
    await tab.waitForFunction(() => window.player !== undefined);
    await tab.evaluate((wanted) => window.player.load(wanted), url);
    await tab.evaluate(() => document.querySelector("video").play());
    await tab.waitForFunction(() => window.state().frames > 10, undefined, { timeout: PATIENCE });
    return { context, tab, problems, asked };
  };
  const keyFrames = (url) => url.includes("/KeyFrames(");
  const withKeyFrames = () => asIs.dash.replace(/\)$/, ",type=keyframes)");

  test("Shaka Player plays fast from them, and goes on as before", { timeout: 5 * PATIENCE }, async () => {
    const { context, tab, problems, asked } = await opened("shaka", withKeyFrames());
    assert.ok(!asked.some(keyFrames), "none is asked for at the usual rate");
    const from = (await tab.evaluate(() => window.state())).time;
    await tab.evaluate(() => window.player.fast(6));
    await tab.waitForFunction((time) => window.state().time > time + 9, from, { timeout: PATIENCE });
    const fast = asked.filter(keyFrames).length;
    assert.ok(fast >= 3, `${fast} key frames: ${asked.slice(-10)}`);
    await tab.evaluate(() => window.player.normal());
    await tab.evaluate(() => window.seek(2));
    const { frames, time } = await tab.evaluate(() => window.state());
    await tab.waitForFunction(
      ([frames, time]) => window.state().frames > frames + 20 && window.state().time > time + 0.5,
      [frames, time],
      { timeout: PATIENCE },
    );
    assert.deepEqual((await tab.evaluate(() => window.state())).errors, []);
    assert.deepEqual(problems, []);
    await context.close();
  });

  test("dash.js leaves them alone", { timeout: 5 * PATIENCE }, async () => {
    const [plain, tricky] = [await opened("dash", asIs.dash), await opened("dash", withKeyFrames())];
    const renditions = ({ tab }) => tab.evaluate(() => window.player.renditions());
    assert.deepEqual(await renditions(tricky), await renditions(plain));
    for (const { context, tab, problems, asked } of [plain, tricky]) {
      assert.ok(!asked.some(keyFrames), "none is asked for");
      assert.deepEqual((await tab.evaluate(() => window.state())).errors, []);
      assert.deepEqual(problems, []);
      await context.close();
    }
  });
});
