// hls.js, Shaka Player and dash.js show the cues of text tracks, whatever carries them: of files, and of what was live.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { launch, openPage } from "./lib/browser.mjs";
import { addTexts, connection, makeClip, publishWithTexts } from "./lib/headwater.mjs";
import { goLive, pushPictures } from "./lib/live.mjs";
import { serve } from "./lib/server.mjs";

const PATIENCE = 60_000;

const VTT = `WEBVTT

00:00:00.500 --> 00:00:03.000
One & <i>only</i>

00:00:05.500 --> 00:00:07.250
Across a boundary

00:00:08.000 --> 00:00:09.000
Late
in two lines
`;
const TTML = `<tt xmlns="http://www.w3.org/ns/ttml" xml:lang="de"><body><div>
<p begin="1s" end="4s">Hallo</p><p begin="5s" dur="2s">Welt<br/>da</p></div></body></tt>`;

const CUES = {
  en: [
    { start: 0.5, end: 3, text: "One & only" },
    { start: 5.5, end: 7.25, text: "Across a boundary" },
    { start: 8, end: 9, text: "Late in two lines" },
  ],
  de: [
    { start: 1, end: 4, text: "Hallo" },
    { start: 5, end: 7, text: "Welt da" },
  ],
};

const TEXTS = [
  { name: "english", file: "en.vtt", content: VTT, properties: { displayName: "English", languageCode: "en" } },
  { name: "german", file: "de.ttml", content: TTML, properties: { displayName: "Deutsch", languageCode: "de" } },
];
/** A little more than the last cue. */
const RECORDED_S = 12;

let browser;
let files;
let film;
let recording;

/** Records an event, and adds the text when it is over. */
async function record(to) {
  const show = await goLive(to, { lowLatency: false, interval: "PT1S" });
  const encoder = pushPictures(show.ingest, 1);
  try {
    const master = await show.until(show.hls, (text) => text.includes("#EXT-X-STREAM-INF"));
    const pictures = new URL(/#EXT-X-STREAM-INF:.*\n(.+)/.exec(master)[1], show.hls).href;
    // An encoder on a busy machine is slower than the clock.
    const recorded = (text) => [...text.matchAll(/#EXTINF:([\d.]+)/g)].reduce((sum, [, seconds]) => sum + Number(seconds), 0);
    await show.until(pictures, (text) => recorded(text) >= RECORDED_S);
  } finally {
    encoder.kill("SIGKILL");
    await show.end();
  }
  await show.until(show.dash, (text) => text.includes('type="static"'));
  await addTexts(to, show.asset, TEXTS);
  await show.until(show.hls, (text) => text.includes("TYPE=SUBTITLES"));
  return show;
}

before(
  async () => {
    const { PLAYER_TEXT_URL: base } = process.env;
    const url = (format) => `${base}(format=${format})`;
    const given = { hls: url("m3u8-cmaf"), ts: url("m3u8-aapl"), dash: url("mpd-time-cmaf"), csf: url("mpd-time-csf"), smooth: base };
    film = base ? given : await publishWithTexts(connection(), makeClip().bytes, TEXTS);
    recording = base ? given : await record(connection());
    files = await serve();
    browser = await launch();
  },
  { timeout: 15 * PATIENCE },
);

after(async () => {
  await browser?.close();
  await files?.close();
});

/** Parts of one cue from neighbouring segments joined, and white space as it is seen. */
function joined(cues) {
  const out = [];
  for (const { start, end, text } of cues) {
    const seen = text.trim().replace(/\s+/g, " ");
    const before = out.find((cue) => cue.text === seen && cue.end >= start - 0.01);
    if (before) before.end = Math.max(before.end, end);
    else out.push({ start, end, text: seen });
  }
  return out;
}

/** Within 0.1 s: in transport streams both players count from the first decode time, the pictures' times included. */
const close = (found, expected) =>
  found.length === expected.length &&
  found.every(({ start, end, text }, at) => {
    const cue = expected[at];
    return Math.abs(start - cue.start) < 0.1 && Math.abs(end - cue.end) < 0.1 && text === cue.text;
  });

for (const [title, page, protocol, of = () => film, languages = ["en", "de"]] of [
  ["hls.js, HLS CMAF", "hls", "hls"],
  ["hls.js, HLS of transport streams", "hls", "ts"],
  ["Shaka Player, HLS CMAF", "shaka", "hls"],
  ["Shaka Player, HLS of transport streams", "shaka", "ts"],
  ["Shaka Player, DASH", "shaka", "dash"],
  ["Shaka Player, older DASH", "shaka", "csf"],
  // TTML it draws itself, see below.
  ["dash.js, DASH", "dash", "dash", () => film, ["en"]],
  ["hls.js, a recording as HLS CMAF", "hls", "hls", () => recording],
  ["hls.js, a recording as HLS of transport streams", "hls", "ts", () => recording],
  ["Shaka Player, a recording as DASH", "shaka", "dash", () => recording],
]) {
  describe(title, () => {
    for (const language of languages) {
      test(`the cues in ${language} are shown at their times`, { timeout: 8 * PATIENCE }, async () => {
        const { context, page: tab, problems } = await openPage(browser);
        await tab.goto(`${files.origin}/pages/${page}.html`);
        await tab.waitForFunction(() => window.player !== undefined);
        await tab.evaluate((url) => window.player.load(url), of()[protocol]);
        const texts = await tab.evaluate(() => window.player.texts());
        assert.ok(texts.some((text) => text.language === language), JSON.stringify(texts));
        // Over and over: on a busy machine the text may come after the end.
        await tab.evaluate(() => {
          document.querySelector("video").loop = true;
          return document.querySelector("video").play();
        });
        // Shaka Player 5.2 jumps over what is missing in front of the first picture. A jump while it fetches its first text leaves it fetching
        // the init segment for ever.
        await tab.waitForFunction(() => document.querySelector("video").currentTime > 0.3, null, { timeout: 2 * PATIENCE });
        await tab.evaluate((wanted) => window.player.showText(wanted), language);
        const deadline = Date.now() + PATIENCE;
        for (let found; ; await new Promise((resolve) => setTimeout(resolve, 200))) {
          found = joined(await tab.evaluate(() => window.cues()));
          if (close(found, CUES[language])) break;
          const { time, errors } = await tab.evaluate(() => window.state());
          assert.ok(Date.now() < deadline, JSON.stringify({ found, time, errors, problems }));
        }
        assert.deepEqual(problems, []);
        await context.close();
      });
    }
  });
}

// dash.js draws TTML itself, so what counts is what is on the page.
for (const [title, protocol, of = () => film, languages = ["en", "de"]] of [
  ["dash.js, DASH", "dash", () => film, ["de"]],
  ["dash.js, older DASH", "csf"],
  ["dash.js, Smooth Streaming", "smooth"],
  ["dash.js, a recording as Smooth Streaming", "smooth", () => recording],
]) {
  for (const language of languages) {
    test(`${title}: the text in ${language} is on screen when it should be`, { timeout: 10 * PATIENCE }, async () => {
      const { context, page: tab, problems } = await openPage(browser);
      await tab.goto(`${files.origin}/pages/dash.html`);
      await tab.waitForFunction(() => window.player !== undefined);
      await tab.evaluate((url) => window.player.load(url), of()[protocol]);
      await tab.evaluate((wanted) => window.player.showText(wanted), language);
      const shown = () => tab.evaluate(() => document.querySelector("#text").innerText.trim().replace(/\s+/g, " "));
      const until = async (time, expected) => {
        // A cue that comes late is drawn at the next change of time only.
        for (const deadline = Date.now() + PATIENCE; ; ) {
          await tab.evaluate((at) => window.seek(at), time);
          await new Promise((resolve) => setTimeout(resolve, 300));
          if ((await shown()) === expected) break;
          assert.ok(Date.now() < deadline, `at ${time}: ${JSON.stringify({ shown: await shown(), expected })}`);
        }
      };
      for (const { start, end, text } of CUES[language]) {
        await until((start + end) / 2, text);
        await until(end + 0.2, "");
      }
      assert.deepEqual(problems, []);
      await context.close();
    });
  }
}
