// Every player plays what is encrypted with a key from our own key delivery, and none does without the token that the key's
// policy asks for. All URLs are those that listPaths names.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { launch, openPage, within } from "./lib/browser.mjs";
import { connection, makeClip, publishProtected, token } from "./lib/headwater.mjs";
import { serve } from "./lib/server.mjs";

const PATIENCE = 60_000;
const [ENVELOPE, CENC, CBCS] = ["EnvelopeEncryption", "CommonEncryptionCenc", "CommonEncryptionCbcs"];

// Shaka Player is given the licence URL for DASH as well, though the manifest has it: applications do so.
const PLAYERS = [
  ["Shaka Player plays DASH under cenc", "shaka", "Dash", CENC, "mpd-time-cmaf"],
  ["Shaka Player plays DASH under cbcs", "shaka", "Dash", CBCS, "mpd-time-cmaf"],
  ["Shaka Player plays older DASH under cenc", "shaka", "Dash", CENC, "mpd-time-csf"],
  ["Shaka Player plays HLS under AES-128", "shaka", "Hls", ENVELOPE, "m3u8-cmaf"],
  ["dash.js plays DASH under cenc", "dash", "Dash", CENC, "mpd-time-cmaf"],
  ["dash.js plays DASH under cbcs", "dash", "Dash", CBCS, "mpd-time-cmaf"],
  ["hls.js plays HLS under AES-128", "hls", "Hls", ENVELOPE, "m3u8-cmaf"],
  ["hls.js plays transport streams under AES-128", "hls", "Hls", ENVELOPE, "m3u8-aapl"],
  ["hls.js plays transport streams under SAMPLE-AES", "hls", "Hls", CBCS, "m3u8-aapl"],
  ["hls.js plays HLS under cbcs", "hls", "Hls", CBCS, "m3u8-cmaf"],
].filter(([title]) => !process.env.PLAYER_ONLY || title.includes(process.env.PLAYER_ONLY));

let browser;
let files;
let clip;
let published;
let keysUrl;

before(
  async () => {
    const to = connection();
    keysUrl = to.keysUrl;
    clip = makeClip().bytes;
    published = await publishProtected(to, clip);
    files = await serve();
    browser = await launch();
  },
  { timeout: 5 * PATIENCE },
);

after(async () => {
  await browser?.close();
  await files?.close();
});

/** A player's page, with the statuses of what it asked of key delivery. */
async function open(page) {
  const { context, page: tab, problems } = await openPage(browser);
  const statuses = [];
  tab.on("response", (response) => {
    const asked = response.request().method() !== "OPTIONS" && response.url().startsWith(keysUrl);
    if (asked) statuses.push(response.status());
  });
  // Of refusals a media element's requests tell nothing ("blocked by ORB"): their answers are asked for once more.
  tab.on("requestfailed", async (request) => {
    if (request.url().startsWith(keysUrl)) statuses.push((await fetch(request.url())).status);
  });
  await tab.goto(`${files.origin}/pages/${page}.html`);
  await tab.waitForFunction(() => window.player !== undefined);
  return { context, tab, problems, statuses };
}

/** Plays until pictures and sound go on, seeks, and plays to the end. */
async function plays({ tab, problems }, url, keys) {
  await tab.evaluate(([url, keys]) => window.player.load(url, keys), [url, keys]);
  await tab.evaluate(() => document.querySelector("video").play());
  const goesOn = async (from, what) => {
    const deadline = Date.now() + PATIENCE;
    for (;;) {
      const now = await tab.evaluate(() => window.state());
      assert.deepEqual(now.errors, [], what);
      if (now.frames >= from.frames + 10 && now.audioBytes > from.audioBytes && now.time > from.time + 0.3) return;
      assert.ok(Date.now() < deadline, `${what}: ${JSON.stringify({ now, problems })}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  };
  await goesOn({ frames: 0, audioBytes: 0, time: 0 }, "at the start");
  await tab.evaluate(() => window.seek(14));
  await goesOn(await tab.evaluate(() => window.state()), "after a seek");
  await tab.evaluate(() => window.seek(22));
  await tab.waitForFunction(() => window.state().ended, undefined, { timeout: PATIENCE });
  const { errors, time, duration } = await tab.evaluate(() => window.state());
  assert.ok(Math.abs(time - duration) < 0.25, `ended at ${time} of ${duration}`);
  assert.deepEqual(errors, []);
  assert.deepEqual(problems, []);
}

/** Tries to play until key delivery has refused, and a while longer: not one frame. */
async function isRefused({ tab, statuses }, url, keys, status) {
  await tab.evaluate(([url, keys]) => void window.player.load(url, keys).catch(() => undefined), [url, keys]);
  await tab.evaluate(() => void document.querySelector("video").play().catch(() => undefined));
  for (const deadline = Date.now() + PATIENCE; statuses.length === 0; ) {
    assert.ok(Date.now() < deadline, "nothing was asked of key delivery");
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  await new Promise((resolve) => setTimeout(resolve, 2000));
  assert.deepEqual([...new Set(statuses)], [status]);
  // Shaka Player moves the clock a little on its own.
  const { frames, audioBytes, time } = await tab.evaluate(() => window.state());
  assert.deepEqual({ frames, audioBytes }, { frames: 0, audioBytes: 0 });
  assert.ok(time < 0.5, `the clock says ${time}`);
}

for (const [title, page, protocol, scheme, format] of PLAYERS) {
  describe(title, () => {
    const from = (name) => {
      const { url, licence } = published[name];
      // The key itself, of whole segments and of transport streams, is where the playlist says.
      const named = scheme === ENVELOPE || format === "m3u8-aapl";
      return [url(protocol, scheme, format), named ? {} : { licence }];
    };
    const tried = (name, more, then) => async () => {
      const opened = await open(page);
      try {
        const [url, keys] = from(name);
        await then(opened, url, { ...keys, ...more() });
      } finally {
        await opened.context.close();
      }
    };
    const timeout = 6 * PATIENCE;
    test("with no token, where none is asked for", { timeout }, tried("open", () => ({}), plays));
    test("with a token", { timeout }, tried("restricted", () => ({ token: token() }), plays));
    test(
      "never without one",
      { timeout },
      tried("restricted", () => ({}), (opened, url, keys) => isRefused(opened, url, keys, 401)),
    );
    test(
      "never with one that lacks a claim",
      { timeout },
      tried("restricted", () => ({ token: token({ subscription: "no" }) }), (opened, url, keys) => isRefused(opened, url, keys, 403)),
    );
  });
}

describe("Shaka Player plays fast from encrypted pictures", () => {
  for (const format of ["m3u8-cmaf", "m3u8-aapl"]) {
    test(format, { timeout: 6 * PATIENCE }, async () => {
      const { context, tab, problems } = await open("shaka");
      const asked = [];
      tab.on("request", (request) => asked.push(decodeURIComponent(request.url())));
      try {
        await tab.evaluate((url) => window.player.load(url), published.open.url("Hls", ENVELOPE, format));
        await tab.evaluate(() => document.querySelector("video").play());
        const goesOn = async (frames) =>
          tab.waitForFunction((from) => window.state().frames > from + 10, frames, { timeout: PATIENCE });
        await goesOn(0);
        const { time } = await tab.evaluate(() => window.state());
        await tab.evaluate(() => window.player.fast(6));
        await tab.waitForFunction((from) => window.state().time > from + 9, time, { timeout: PATIENCE });
        assert.ok(asked.filter((url) => url.includes("/KeyFrames(")).length >= 3, asked.slice(-10).join("\n"));
        await tab.evaluate(() => window.player.normal());
        await tab.evaluate(() => window.seek(2));
        await goesOn((await tab.evaluate(() => window.state())).frames);
        assert.deepEqual((await tab.evaluate(() => window.state())).errors, []);
        assert.deepEqual(problems, []);
      } finally {
        await context.close();
      }
    });
  }
});

describe("a token in the playlist's URL, for players that cannot add headers", () => {
  for (const [title, page, format] of [
    ["hls.js", "hls", "m3u8-cmaf"],
    ["hls.js, transport streams", "hls", "m3u8-aapl"],
    ["Shaka Player", "shaka", "m3u8-cmaf"],
    // Chromium 156 gives up on fMP4 under AES-128, with or without a token.
    ["the browser's own HLS, transport streams", "native", "m3u8-aapl"],
  ]) {
    test(title, { timeout: 6 * PATIENCE }, async () => {
      const opened = await open(page);
      try {
        const url = published.restricted.url("Hls", ENVELOPE, format);
        await plays(opened, `${url}?token=${token()}`, {});
        assert.deepEqual([...new Set(opened.statuses)], [200]);
      } finally {
        await opened.context.close();
      }
    });
  }

  // The others' ways without a token, and with a bad one, are above.
  const native = (title, then) =>
    test(`the browser's own HLS, transport streams, ${title}`, { timeout: 6 * PATIENCE }, async () => {
      const opened = await open("native");
      try {
        await then(opened, (name) => published[name].url("Hls", ENVELOPE, "m3u8-aapl"));
      } finally {
        await opened.context.close();
      }
    });
  native("with no token, where none is asked for", (opened, url) => plays(opened, url("open"), {}));
  native("never without one", (opened, url) => isRefused(opened, url("restricted"), {}, 401));
  native("never with one that lacks a claim", (opened, url) =>
    isRefused(opened, `${url("restricted")}?token=${token({ subscription: "no" })}`, {}, 403),
  );
});

/** What ffmpeg hashes of a file's first track of `kind`, one line a picture (decoded) or a packet of sound (as it is). */
function hashes(bytes, kind) {
  const folder = mkdtempSync(join(tmpdir(), "headwater-hashes-"));
  try {
    const file = join(folder, "media.mp4");
    writeFileSync(file, bytes);
    const what = kind === "video" ? ["-map", "0:v:0", "-fps_mode", "passthrough"] : ["-map", "0:a:0", "-c", "copy"];
    const made = spawnSync("ffmpeg", ["-v", "error", "-i", file, ...what, "-f", "framehash", "-hash", "sha256", "-"], { encoding: "utf8" });
    assert.equal(made.stderr, "");
    return made.stdout.split("\n").filter((line) => /^\d/.test(line)).map((line) => line.split(",").at(-1).trim());
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** What is handed to the browser's decoders while `url`, a playlist of one track, is loaded to its end: a fragmented MP4. */
async function handedOver(url) {
  const { context, page: tab, problems } = await openPage(browser);
  try {
    await context.addInitScript(() => {
      window.handed = [];
      const append = SourceBuffer.prototype.appendBuffer;
      SourceBuffer.prototype.appendBuffer = function (data) {
        window.handed.push(new Uint8Array(ArrayBuffer.isView(data) ? data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength) : data.slice(0)));
        return append.call(this, data);
      };
    });
    await tab.goto(`${files.origin}/pages/hls.html`);
    await tab.waitForFunction(() => window.player !== undefined);
    await within(tab, PATIENCE, tab.evaluate((url) => window.player.load(url), url));
    const whole = () => {
      const { buffered, duration } = document.querySelector("video");
      return buffered.length > 0 && buffered.end(buffered.length - 1) > duration - 0.1;
    };
    await within(tab, PATIENCE, tab.waitForFunction(whole, null, { timeout: 0 }));
    assert.deepEqual([(await tab.evaluate(() => window.state())).errors, problems], [[], []]);
    const text = await tab.evaluate(async () => {
      const reader = new FileReader();
      const read = new Promise((resolve) => (reader.onload = resolve));
      reader.readAsDataURL(new Blob(window.handed));
      await read;
      return reader.result;
    });
    return Buffer.from(text.slice(text.indexOf(",") + 1), "base64");
  } finally {
    await context.close();
  }
}

// A third reader of both, beside ffmpeg and our own in Python: it takes transport streams apart and decrypts by itself.
describe("hls.js hands over what was there before it was encrypted", () => {
  const playlists = async (scheme) => {
    const url = published.open.url("Hls", scheme, "m3u8-aapl");
    const lines = (await (await fetch(url)).text()).split("\n");
    const sound = lines.map((line) => /TYPE=AUDIO.*URI="([^"]+)"/.exec(line)?.[1]).find(Boolean);
    const pictures = lines.find((line) => line !== "" && !line.startsWith("#"));
    return { video: new URL(pictures, url).href, audio: new URL(sound, url).href };
  };
  for (const [title, scheme] of [
    ["AES-128", ENVELOPE],
    ["SAMPLE-AES", CBCS],
  ]) {
    test(`pictures under ${title}`, { timeout: 6 * PATIENCE }, async () => {
      const got = hashes(await handedOver((await playlists(scheme)).video), "video");
      assert.deepEqual(got, hashes(clip, "video"));
    });
    test(`sound under ${title}`, { timeout: 6 * PATIENCE }, async () => {
      const got = hashes(await handedOver((await playlists(scheme)).audio), "audio");
      // The clip's edit list leaves out what the encoder put before its beginning.
      const all = hashes(clip, "audio");
      const from = all.indexOf(got[0]);
      assert.ok(from >= 0 && from <= 1, `begins with packet ${from}`);
      assert.deepEqual(got, all.slice(from));
    });
  }
});
