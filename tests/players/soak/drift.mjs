// `cargo xtask soak`: an encoder flashes and beeps every ten seconds, and what players get of it does so at the same moment after an hour as well.
//
// SOAK_MINUTES: how long it sends.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { connection } from "../lib/headwater.mjs";
import { goLive } from "../lib/live.mjs";

const MINUTES = Number(process.env.SOAK_MINUTES ?? 60);
/** Farthest that a tone may be from its flash. */
const MOST_MS = 20;
/** Of media that is looked at: two flashes and more. */
const LOOKED_AT_S = 26;

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

let show;
let encoder;
let folder;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "headwater-drift-"));
  show = await goLive(connection(), { lowLatency: false, interval: "PT2S" });
  // One picture, whatever its time is rounded to, and as much of a tone.
  const [flash, tone] = ["lt(mod(t+0.01,10),0.03)", "lt(mod(t,10),0.04)"];
  encoder = spawn(
    "ffmpeg",
    [
      ...["-v", "error", "-re", "-f", "lavfi", "-i", `color=black:s=320x180:r=25,drawbox=enable='${flash}':color=white:t=fill`],
      ...["-re", "-f", "lavfi", "-i", `aevalsrc='if(${tone},0.8*sin(2*PI*1000*t),0)':s=48000`],
      ...["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "50", "-pix_fmt", "yuv420p", "-b:v", "200k"],
      ...["-c:a", "aac", "-b:a", "96k", "-f", "flv", `${show.ingest}/main`],
    ],
    { stdio: ["ignore", "inherit", "inherit"] },
  );
});

after(async () => {
  encoder?.kill("SIGKILL");
  await show?.end();
  rmSync(folder, { recursive: true });
});

/** The newest media of a playlist, in a file. */
async function newest(playlist, name) {
  const text = await (await fetch(playlist)).text();
  const bytes = async (uri) => Buffer.from(await (await fetch(new URL(uri, playlist))).arrayBuffer());
  const segments = [...text.matchAll(/#EXTINF:([\d.]+),\n(?:#.*\n)*(.+)/g)].map(([, seconds, uri]) => ({ seconds: Number(seconds), uri }));
  const wanted = [];
  for (let [at, seconds] = [segments.length - 1, 0]; at >= 0 && seconds < LOOKED_AT_S; at--) {
    wanted.unshift(segments[at].uri);
    seconds += segments[at].seconds;
  }
  const parts = [await bytes(/#EXT-X-MAP:URI="([^"]+)"/.exec(text)[1])];
  for (const uri of wanted) parts.push(await bytes(uri));
  const file = join(folder, name);
  writeFileSync(file, Buffer.concat(parts));
  return file;
}

/** Times at which a filter measures more than `threshold`, in seconds. */
function moments(file, option, filter, threshold, rate) {
  const made = spawnSync("ffmpeg", ["-hide_banner", "-nostats", "-copyts", "-i", file, option, filter, "-f", "null", "-"], { encoding: "utf8", maxBuffer: 1 << 27 });
  assert.equal(made.status, 0, made.stderr.slice(-2000));
  const found = [];
  let time = null;
  for (const line of made.stderr.split("\n")) {
    const pts = /\bpts:(\d+)/.exec(line);
    if (pts !== null) time = Number(pts[1]) / rate;
    const value = /lavfi\.[\w.]+=(-?[\d.]+)/.exec(line);
    if (value !== null && Number(value[1]) > threshold) found.push(time);
  }
  return found;
}

/** By how many milliseconds the newest tone comes after its flash. */
async function apart() {
  const master = await show.until(show.hls, (text) => text.includes("#EXT-X-STREAM-INF"));
  const video = await newest(new URL(/#EXT-X-STREAM-INF:.*\n(.+)/.exec(master)[1], show.hls), "video.mp4");
  const audio = await newest(new URL(/TYPE=AUDIO.*URI="([^"]+)"/.exec(master)[1], show.hls), "audio.mp4");
  const flashes = moments(video, "-vf", "signalstats,metadata=print:key=lavfi.signalstats.YAVG", 128, 90_000);
  // In steps of a millisecond.
  const tones = moments(audio, "-af", "asetnsamples=48,astats=metadata=1:reset=1,ametadata=print:key=lavfi.astats.Overall.Peak_level", -20, 48_000);
  const near = (flash) => tones.filter((tone) => Math.abs(tone - flash) < 2);
  const flash = flashes.findLast((flash) => near(flash).length > 0);
  assert.ok(flash !== undefined, `flashes ${flashes}, tones ${tones.slice(0, 20)}`);
  return (Math.min(...near(flash)) - flash) * 1000;
}

test(`pictures and sound are together for ${MINUTES} minutes`, { timeout: (MINUTES + 5) * 60_000 }, async (t) => {
  const begun = Date.now();
  for (const minute of [1, MINUTES / 2, MINUTES]) {
    await pause(begun + minute * 60_000 - Date.now());
    assert.equal(encoder.exitCode, null, "the encoder has ended");
    const ms = await apart();
    t.diagnostic(`after ${minute} minutes a tone begins ${ms.toFixed(1)} ms after its flash`);
    assert.ok(Math.abs(ms) < MOST_MS, `${ms} ms after ${minute} minutes`);
  }
});
