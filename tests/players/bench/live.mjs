// `cargo xtask bench live`: how far behind players are, what viewers who wait cost, and what a publisher costs.
//
// HEADWATER_CONNECTION names the installation, HEADWATER_PID its process; NGINX_RTMP and NGINX_PID, if given, an nginx with the
// rtmp module as a yardstick. LIVE_SECONDS: how long each row is measured. LIVE_TABLES: which of latency, viewers and publishers.

import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { Agent, get } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { launch, openPage } from "../lib/browser.mjs";
import { connection } from "../lib/headwater.mjs";
import { goLive } from "../lib/live.mjs";
import { serve } from "../lib/server.mjs";
import { CLOCK, pushClock, readClock, watchClock } from "./clock.mjs";

const SECONDS = Number(process.env.LIVE_SECONDS ?? 60);
const VIEWERS = 500;
const PUBLISHERS = 16;
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Seconds of CPU that a process has used, and those that it started, by name of the command: `{ up, ingest, … }`. */
function cpuOf(pid) {
  const used = {};
  const add = (id, name) => {
    const fields = readFileSync(`/proc/${id}/stat`, "utf8").replace(/^.*\) /, "").split(" ");
    used[name] = (used[name] ?? 0) + (Number(fields[11]) + Number(fields[12])) / 100;
  };
  add(pid, "self");
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    for (const child of readFileSync(`/proc/${pid}/task/${thread}/children`, "utf8").split(" ").filter(Boolean)) {
      const [, command] = readFileSync(`/proc/${child}/cmdline`, "utf8").split("\0");
      add(child, command || "child");
    }
  }
  return used;
}

const percentile = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];

async function latency(to, title, page, protocol) {
  const show = await goLive(to, { lowLatency: true, interval: "PT1S" });
  const stop = pushClock(`${show.ingest}/main`, 1);
  const [files, browser] = [await serve(), await launch()];
  try {
    await show.until(show.hls, (text) => text.includes("#EXT-X-STREAM-INF"));
    await pause(5000);
    const { page: tab } = await openPage(browser);
    await tab.goto(`${files.origin}/pages/${page}.html`);
    await tab.waitForFunction(() => window.player !== undefined);
    await tab.evaluate(() => window.player.lowLatency());
    await tab.evaluate((url) => window.player.load(url), show[protocol]);
    await tab.evaluate(() => document.querySelector("video").play());
    await tab.waitForFunction(() => window.state().frames > 5, null, { timeout: 40_000 });
    // Players need some seconds to find where they want to be.
    await pause(10_000);
    await tab.evaluate(watchClock, CLOCK);
    await pause(SECONDS * 1000);
    const { delays, misread, warnings } = await tab.evaluate(() => ({
      delays: window.delays,
      misread: window.misread,
      warnings: window.state().warnings.length,
    }));
    delays.sort((a, b) => a - b);
    const seconds = (ms) => (ms / 1000).toFixed(2);
    const [p50, p95, p99] = [0.5, 0.95, 0.99].map((share) => seconds(percentile(delays, share)));
    console.log(`| ${title} | ${p50} | ${p95} | ${p99} | ${delays.length} of ${SECONDS * 25} | ${misread} | ${warnings} |`);
  } finally {
    stop();
    await browser.close();
    await files.close();
    await show.end();
  }
}

/** `{ status, text, at }` of a GET on a connection of the agent's. */
const fetchOn = (agent, url) =>
  new Promise((resolve, reject) => {
    get(url, { agent }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (piece) => (text += piece));
      response.on("end", () => resolve({ status: response.statusCode, text, at: performance.now() }));
    }).on("error", reject);
  });

/** The part that a playlist has not got yet. */
function next(text) {
  const first = Number(/#EXT-X-MEDIA-SEQUENCE:(\d+)/.exec(text)[1]);
  const lines = text.split("\n");
  const whole = lines.filter((line) => line !== "" && !line.startsWith("#")).length;
  let growing = 0;
  for (const line of lines) {
    if (line.startsWith("#EXT-X-PART:")) growing += 1;
    else if (line !== "" && !line.startsWith("#")) growing = 0;
  }
  return { number: first + whole, part: growing };
}

/** How old pictures are when a part that has them can be fetched: all that is not the player's doing. */
async function atOrigin(to) {
  const show = await goLive(to, { lowLatency: true, interval: "PT1S" });
  const stop = pushClock(`${show.ingest}/main`, 1);
  const clock = readClock();
  try {
    const master = await show.until(show.hls, (text) => text.includes("#EXT-X-STREAM-INF"));
    const url = new URL(/#EXT-X-STREAM-INF:.*\n(.+)/.exec(master)[1], show.hls).href;
    let text = await show.until(url, (text) => text.includes("#EXT-X-PART:") && text.includes("#EXT-X-MAP:"));
    const bytes = async (uri) => Buffer.from(await (await fetch(new URL(uri, url))).arrayBuffer());
    clock.write(await bytes(/#EXT-X-MAP:URI="([^"]+)"/.exec(text)[1]));
    const known = new Set();
    let [begun, end] = [false, Number.POSITIVE_INFINITY];
    while (Date.now() < end) {
      for (const [line, uri] of text.matchAll(/#EXT-X-PART:.*URI="([^"]+)".*/g)) {
        if (known.has(uri)) continue;
        known.add(uri);
        if (!begun && line.includes("INDEPENDENT=YES") && known.size > 3) {
          begun = true;
          end = Date.now() + SECONDS * 1000;
        }
        if (begun) clock.write(await bytes(uri));
      }
      const { number, part } = next(text);
      text = await (await fetch(`${url}?_HLS_msn=${number}&_HLS_part=${part}`)).text();
    }
    const delays = clock.delays.toSorted((a, b) => a - b);
    const [p50, p95, p99] = [0.5, 0.95, 0.99].map((share) => (percentile(delays, share) / 1000).toFixed(2));
    console.log(`| to a part at the origin | ${p50} | ${p95} | ${p99} | ${delays.length} of ${SECONDS * 25} | 0 | 0 |`);
  } finally {
    stop();
    clock.close();
    await show.end();
  }
}

async function viewers(to) {
  const show = await goLive(to, { lowLatency: true, interval: "PT1S" });
  const stop = pushClock(`${show.ingest}/main`, 1);
  const agent = new Agent({ keepAlive: true, maxSockets: VIEWERS });
  try {
    const master = await show.until(show.hls, (text) => text.includes("#EXT-X-STREAM-INF"));
    const url = new URL(/#EXT-X-STREAM-INF:.*\n(.+)/.exec(master)[1], show.hls).href;
    await show.until(url, (text) => text.includes("#EXT-X-PART:"));
    let going = true;
    let [answers, refused] = [0, 0];
    const first = new Map();
    const late = [];
    const one = async () => {
      let { text } = await fetchOn(agent, url);
      while (going) {
        const { number, part } = next(text);
        const asked = `${url}?_HLS_msn=${number}&_HLS_part=${part}`;
        const answer = await fetchOn(agent, asked);
        answers += 1;
        if (answer.status !== 200) {
          refused += 1;
          await pause(200);
          continue;
        }
        if (!first.has(asked)) first.set(asked, answer.at);
        late.push(answer.at - first.get(asked));
        text = answer.text;
      }
    };
    const all = Array.from({ length: VIEWERS }, one);
    await pause(5000);
    [answers, refused, late.length] = [0, 0, 0];
    const before = cpuOf(process.env.HEADWATER_PID);
    await pause(SECONDS * 1000);
    const after = cpuOf(process.env.HEADWATER_PID);
    const [counted, wrong] = [answers, refused];
    const sorted = late.toSorted((a, b) => a - b);
    going = false;
    await Promise.all(all);
    const host = ((after.self - before.self) / SECONDS).toFixed(3);
    const ingest = ((after.ingest - before.ingest) / SECONDS).toFixed(3);
    const spread = [0.5, 0.99].map((share) => percentile(sorted, share).toFixed(0));
    console.log(`| ${VIEWERS} | ${(counted / SECONDS).toFixed(0)} | ${wrong} | ${spread.join(" | ")} | ${host} | ${ingest} |`);
  } finally {
    stop();
    agent.destroy();
    await show.end();
  }
}

/** A file of 3 Mbit/s to push as it is. */
function film(folder) {
  const file = join(folder, "film.flv");
  const made = spawnSync("ffmpeg", [
    ...["-v", "error", "-y", "-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=25:duration=20,noise=alls=30:allf=t"],
    ...["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=20"],
    ...["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "50", "-sc_threshold", "0"],
    ...["-b:v", "2900k", "-minrate", "2900k", "-maxrate", "2900k", "-bufsize", "2900k"],
    ...["-c:a", "aac", "-b:a", "100k", "-ac", "2", file],
  ]);
  if (made.status !== 0) throw new Error(`ffmpeg made no film: ${made.stderr}`);
  return file;
}

/** CPU seconds a second that `count` publishers of `file` cost a server. */
async function publishing(file, urls, used) {
  const arguments_ = (url) => ["-v", "error", "-re", "-stream_loop", "-1", "-i", file, "-c", "copy", "-f", "flv", url];
  const encoders = urls.map((url) => spawn("ffmpeg", arguments_(url), { stdio: ["ignore", "ignore", "inherit"] }));
  try {
    await pause(10_000);
    if (encoders.some(({ exitCode }) => exitCode !== null)) throw new Error("a publisher was turned away");
    const before = used();
    await pause(SECONDS * 1000);
    return (used() - before) / SECONDS;
  } finally {
    for (const encoder of encoders) encoder.kill("SIGKILL");
  }
}

async function publishers(to) {
  const folder = mkdtempSync(join(tmpdir(), "headwater-bench-"));
  const shows = [];
  try {
    const file = film(folder);
    const row = (server, cpu) =>
      console.log(`| ${server} | ${PUBLISHERS} | ${cpu.toFixed(3)} | ${(PUBLISHERS / cpu).toFixed(0)} |`);
    if (process.env.NGINX_RTMP) {
      const urls = Array.from({ length: PUBLISHERS }, (_, index) => `${process.env.NGINX_RTMP}/film${index}`);
      row("nginx-rtmp, HLS to disk", await publishing(file, urls, () => {
        const used = cpuOf(process.env.NGINX_PID);
        return Object.values(used).reduce((total, seconds) => total + seconds, 0);
      }));
    }
    for (let index = 0; index < PUBLISHERS; index++) shows.push(await goLive(to, { lowLatency: false, interval: "PT2S" }));
    let storing = 0;
    const cpu = await publishing(file, shows.map(({ ingest }) => `${ingest}/main`), () => {
      const used = cpuOf(process.env.HEADWATER_PID);
      storing = used.self - storing;
      return used.ingest;
    });
    row("headwater, ingest worker", cpu);
    row("headwater, with storing what is recorded", cpu + storing / SECONDS);
  } finally {
    for (const show of shows) await show.end();
    rmSync(folder, { recursive: true });
  }
}

const to = connection();
const tables = {
  latency: async () => {
    console.log("| encoder to screen | p50 s | p95 s | p99 s | pictures | misread | stalls |\n|---|---|---|---|---|---|---|");
    await atOrigin(to);
    await latency(to, "LL-HLS, hls.js", "hls", "hls");
    await latency(to, "LL-DASH, dash.js", "dash", "dash");
  },
  viewers: async () => {
    console.log("\n| viewers who wait | answers/s | refused | p50 ms after the first | p99 | CPU host | CPU ingest |\n|---|---|---|---|---|---|---|");
    await viewers(to);
  },
  publishers: async () => {
    console.log("\n| publishers of 3 Mbit/s | number | CPU s/s | publishers a core |\n|---|---|---|---|");
    await publishers(to);
  },
};
for (const table of (process.env.LIVE_TABLES ?? Object.keys(tables).join(" ")).split(" ")) await tables[table]();
