// A live event of its own on a running Headwater, by MK.IO's dialect.

import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { openPage } from "./browser.mjs";

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Makes and starts an event with one output and a locator: `{ asset, ingest, messages, hls, ts, dash, csf, smooth, manifest(options), until(url, there), end() }`.
 * `policies`: what the locator says of them; `input`: what the event's input says beside.
 */
export async function goLive(
  to,
  { lowLatency, interval, protocol = "RTMP", input = {}, policies = { streamingPolicyName: "Predefined_ClearStreamingOnly" } },
) {
  const name = `live-${randomUUID().slice(0, 8)}`;
  const call = async (method, path, body) => {
    const response = await fetch(`${to.apiUrl}/api/v1/projects/${to.project}/media${path}`, {
      method,
      headers: { authorization: `Bearer ${to.token}`, "content-type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return text === "" ? null : JSON.parse(text);
  };
  const event = `/liveEvents/${name}`;
  await call("PUT", `/assets/${name}`, { properties: {} });
  await call("PUT", event, {
    location: "local",
    properties: {
      input: { streamingProtocol: protocol, keyFrameIntervalDuration: interval, ...input },
      encoding: { encodingType: "PassthroughStandard" },
      streamOptions: [lowLatency ? "LowLatency" : "Default"],
    },
  });
  await call("PUT", `${event}/liveOutputs/out`, {
    properties: { assetName: name, manifestName: "show", archiveWindowLength: "PT1H" },
  });
  const locator = await call("PUT", `/streamingLocators/${name}`, {
    properties: { assetName: name, ...policies },
  });
  await call("POST", `${event}/start`);
  let ingest;
  let messages;
  for (const deadline = Date.now() + 120_000; ingest === undefined; await pause(200)) {
    if (Date.now() > deadline) throw new Error(`${name} has no address to send to`);
    const { properties } = await call("GET", event);
    ingest = properties.input.endpoints?.find(({ url }) => url.startsWith(`${protocol.toLowerCase()}:`))?.url;
    messages = properties.input.timedMetadataEndpoints?.find(({ url }) => url.startsWith("http:"))?.url;
  }
  const base = `${to.streamingUrl}/${locator.properties.streamingLocatorId}/show.ism/manifest`;
  return {
    asset: name,
    ingest,
    messages,
    manifest: (options) => `${base}(${options})`,
    hls: `${base}(format=m3u8-cmaf)`,
    ts: `${base}(format=m3u8-aapl)`,
    dash: `${base}(format=mpd-time-cmaf)`,
    csf: `${base}(format=mpd-time-csf)`,
    smooth: base,
    async until(url, there) {
      for (const deadline = Date.now() + 120_000; ; await pause(200)) {
        const response = await fetch(url);
        const text = await response.text();
        if (response.ok && there(text)) return text;
        if (Date.now() > deadline) throw new Error(`${url}: ${response.status} ${text}`);
      }
    },
    async end() {
      await call("DELETE", `${event}/liveOutputs/out`);
      await call("POST", `${event}/stop`, { removeOutputsOnStop: true });
    },
  };
}

/** Pushes pictures and a tone to an event that takes RTMP, with a key frame every `groupS` seconds, until it is killed: the process. */
export function pushPictures(ingest, groupS) {
  return spawn(
    "ffmpeg",
    [
      ...["-v", "error", "-re", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25"],
      ...["-re", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000"],
      ...["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-pix_fmt", "yuv420p"],
      ...["-g", String(25 * groupS), "-sc_threshold", "0", "-b:v", "800k", "-c:a", "aac", "-b:a", "96k", "-ac", "2"],
      ...["-f", "flv", `${ingest}/main`],
    ],
    { stdio: ["ignore", "inherit", "inherit"] },
  );
}

/** The process id of the ingest worker of the installation that HEADWATER_CONNECTION names, on this machine; undefined while there is none. */
export function ingestWorker() {
  const data = `--data=${join(dirname(process.env.HEADWATER_CONNECTION), "ingest")}`;
  const found = readdirSync("/proc").filter((name) => {
    if (!/^\d+$/.test(name)) return false;
    try {
      const words = readFileSync(`/proc/${name}/cmdline`, "utf8").split("\0");
      return words[1] === "ingest" && words.includes(data);
    } catch {
      // It ended meanwhile.
      return false;
    }
  });
  return found.length === 0 ? undefined : Number(found[0]);
}

/** How the three players are told to play what is live: `[title, page, protocol, whether with low latency]`. */
export const PLAYERS = [
  ["hls.js, low-latency HLS", "hls", "hls", true],
  ["Shaka Player, DASH", "shaka", "dash", false],
  ["dash.js, low-latency DASH", "dash", "dash", true],
];

/**
 * Has players play an event, each in a tab of its own, until they show pictures: `watched`
 * gets `{ title, low, tab, context }` of each as soon as it is open, so that it can be closed whatever comes. `listen`: they tell of messages, too.
 */
export async function watch(browser, files, show, players, watched, { listen = false } = {}) {
  for (const [title, page, protocol, low] of players) {
    const { context, page: tab } = await openPage(browser);
    watched.push({ title, low, context, tab });
    await tab.goto(`${files.origin}/pages/${page}.html`);
    await tab.waitForFunction(() => window.player !== undefined);
    if (low) await tab.evaluate(() => window.player.lowLatency());
    if (listen) await tab.evaluate(() => window.player.listen());
    await tab.evaluate((url) => window.player.load(url), show[protocol]);
    await tab.evaluate(() => document.querySelector("video").play());
    await tab.waitForFunction(() => document.querySelector("video").currentTime > 0 && window.state().frames > 5, null, { timeout: 120_000 });
  }
}
