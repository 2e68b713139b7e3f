// A live event of its own on a running Headwater, by MK.IO's dialect.

import { randomUUID } from "node:crypto";

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Makes and starts an event with one output and a locator: `{ ingest, hls, ts, dash, until(url, there), end() }`. */
export async function goLive(to, { lowLatency, interval, protocol = "RTMP" }) {
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
      input: { streamingProtocol: protocol, keyFrameIntervalDuration: interval },
      encoding: { encodingType: "PassthroughStandard" },
      streamOptions: [lowLatency ? "LowLatency" : "Default"],
    },
  });
  await call("PUT", `${event}/liveOutputs/out`, {
    properties: { assetName: name, manifestName: "show", archiveWindowLength: "PT1H" },
  });
  const locator = await call("PUT", `/streamingLocators/${name}`, {
    properties: { assetName: name, streamingPolicyName: "Predefined_ClearStreamingOnly" },
  });
  await call("POST", `${event}/start`);
  let ingest;
  for (const deadline = Date.now() + 30_000; ingest === undefined; await pause(200)) {
    if (Date.now() > deadline) throw new Error(`${name} has no address to send to`);
    const { properties } = await call("GET", event);
    ingest = properties.input.endpoints?.find(({ url }) => url.startsWith(`${protocol.toLowerCase()}:`))?.url;
  }
  const base = `${to.streamingUrl}/${locator.properties.streamingLocatorId}/show.ism/manifest`;
  return {
    ingest,
    hls: `${base}(format=m3u8-cmaf)`,
    ts: `${base}(format=m3u8-aapl)`,
    dash: `${base}(format=mpd-time-cmaf)`,
    async until(url, there) {
      for (const deadline = Date.now() + 30_000; ; await pause(200)) {
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
