// A running Headwater, as a script that knows only its public API and the Blob protocol sees it.

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createHmac, randomUUID } from "node:crypto";

export function connection() {
  const path = process.env.HEADWATER_CONNECTION;
  if (!path) throw new Error("HEADWATER_CONNECTION has to name the connection.json of a running Headwater");
  return JSON.parse(readFileSync(path, "utf8"));
}

const API_VERSION = "api-version=2022-07-01";

/** Calls the AMS surface of the account; answers the body of a 2xx. */
async function call(to, method, path, body) {
  const account =
    `/subscriptions/${to.subscriptionId}/resourceGroups/${to.resourceGroup}` +
    `/providers/Microsoft.Media/mediaServices/${to.accountName}`;
  const response = await fetch(`${to.armUrl}${account}${path}?${API_VERSION}`, {
    method,
    headers: { authorization: `Bearer ${to.token}`, "content-type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return text === "" ? null : JSON.parse(text);
}

/** Makes a 24 s, 1280x720 clip with sound: `{ bytes, seconds, frames }`. */
export function makeClip() {
  const folder = mkdtempSync(join(tmpdir(), "headwater-clip-"));
  const file = join(folder, "clip.mp4");
  const made = spawnSync(
    "ffmpeg",
    [
      ...["-v", "error", "-y"],
      ...["-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=25:duration=24"],
      ...["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=24"],
      ...["-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-g", "50", "-bf", "2"],
      ...["-c:a", "aac", "-b:a", "128k", "-ac", "2", "-movflags", "+faststart", file],
    ],
    { encoding: "utf8" },
  );
  if (made.status !== 0) throw new Error(`ffmpeg made no clip: ${made.error?.message ?? made.stderr}`);
  const bytes = readFileSync(file);
  rmSync(folder, { recursive: true });
  return { bytes, seconds: 24 };
}

/** Uploads, encodes and publishes `bytes`. Resolves to `{ hls, ts, dash, csf, smooth, name }`: complete URLs and the output's name. */
export async function publish(to, bytes, presetName = "AdaptiveStreaming") {
  const run = randomUUID().slice(0, 8);
  const [source, output] = [`players-in-${run}`, `players-out-${run}`];
  await upload(to, source, bytes);
  await call(to, "PUT", `/assets/${output}`, { properties: {} });
  const preset = { "@odata.type": "#Microsoft.Media.BuiltInStandardEncoderPreset", presetName };
  await call(to, "PUT", "/transforms/players", { properties: { outputs: [{ preset }] } });
  await call(to, "PUT", `/transforms/players/jobs/${run}`, {
    properties: {
      input: { "@odata.type": "#Microsoft.Media.JobInputAsset", assetName: source, files: ["clip.mp4"] },
      outputs: [{ "@odata.type": "#Microsoft.Media.JobOutputAsset", assetName: output }],
    },
  });
  for (const deadline = Date.now() + 20 * 60_000; ; await new Promise((resolve) => setTimeout(resolve, 1000))) {
    const { properties } = await call(to, "GET", `/transforms/players/jobs/${run}`);
    if (properties.state === "Finished") break;
    if (["Error", "Canceled"].includes(properties.state) || Date.now() > deadline) {
      throw new Error(`the job ended as ${properties.state}: ${JSON.stringify(properties.outputs)}`);
    }
  }
  return locate(to, output);
}

/** Uploads and publishes `bytes`, to be packaged as they are. */
export async function publishAsIs(to, bytes) {
  const asset = `players-as-is-${randomUUID().slice(0, 8)}`;
  await upload(to, asset, bytes);
  return locate(to, asset);
}

/**
 * Uploads `bytes` and text files, adds those as tracks, and publishes it all as it is.
 *
 * `texts`: `[{ name, file, content, properties }]`, properties as a `TextTrack` has them.
 */
export async function publishWithTexts(to, bytes, texts) {
  const asset = `players-texts-${randomUUID().slice(0, 8)}`;
  await upload(to, asset, bytes);
  await addTexts(to, asset, texts);
  return locate(to, asset);
}

/** Uploads text files to an asset and adds them as tracks: `texts` as of `publishWithTexts`. */
export async function addTexts(to, asset, texts) {
  for (const { name, file, content, properties } of texts) {
    await put(to, asset, file, content, "application/octet-stream");
    const track = { "@odata.type": "#Microsoft.Media.TextTrack", fileName: file, ...properties };
    await call(to, "PUT", `/assets/${asset}/tracks/${name}`, { properties: { track } });
  }
}

/** Puts `bytes` into a new asset, as clip.mp4. */
async function upload(to, asset, bytes) {
  await call(to, "PUT", `/assets/${asset}`, { properties: {} });
  await put(to, asset, "clip.mp4", bytes, "video/mp4");
}

/** Puts a file into an asset. */
async function put(to, asset, file, bytes, type) {
  const { assetContainerSasUrls } = await call(to, "POST", `/assets/${asset}/listContainerSas`, {
    permissions: "ReadWrite",
    expiryTime: new Date(Date.now() + 3600_000).toISOString(),
  });
  const container = new URL(assetContainerSasUrls[0]);
  container.pathname += `/${file}`;
  const answer = await fetch(container, {
    method: "PUT",
    headers: { "x-ms-blob-type": "BlockBlob", "x-ms-version": "2021-12-02", "content-type": type },
    body: bytes,
  });
  if (answer.status !== 201) throw new Error(`upload: ${answer.status} ${await answer.text()}`);
}

/** Publishes an asset under its own name. */
async function locate(to, asset) {
  await call(to, "PUT", `/streamingLocators/${asset}`, {
    properties: { assetName: asset, streamingPolicyName: "Predefined_DownloadAndClearStreaming" },
  });
  const { streamingPaths } = await call(to, "POST", `/streamingLocators/${asset}/listPaths`);
  const url = (protocol, format) => {
    const paths = streamingPaths.find(({ streamingProtocol }) => streamingProtocol === protocol)?.paths ?? [];
    const path = paths.find((candidate) => candidate.includes(format));
    if (path === undefined) throw new Error(`listPaths names no ${format}: ${JSON.stringify(streamingPaths)}`);
    return to.streamingUrl + path;
  };
  return {
    name: asset,
    hls: url("Hls", "m3u8-cmaf"),
    ts: url("Hls", "m3u8-aapl"),
    dash: url("Dash", "mpd-time-cmaf"),
    csf: url("Dash", "mpd-time-csf"),
    smooth: url("SmoothStreaming", ".ism/manifest"),
  };
}

/** Makes a streaming policy whose keys change every `interval` in every way that ClearKey has, and one by which anybody gets them. Resolves to what a locator says of both. */
export async function makeRotatingPolicy(to, interval) {
  const name = `players-rotating-${randomUUID().slice(0, 8)}`;
  const way = (dash, hls, label, more) => ({
    enabledProtocols: { download: false, dash, hls, smoothStreaming: false },
    contentKeys: { defaultKey: { label } },
    keyRotationInterval: interval,
    ...more,
  });
  const clearKey = { clearKeyEncryptionConfiguration: {} };
  await call(to, "PUT", `/streamingPolicies/${name}`, {
    properties: {
      envelopeEncryption: way(false, true, "aes", {}),
      commonEncryptionCenc: way(true, false, "cenc", clearKey),
      commonEncryptionCbcs: way(true, true, "cbcs", clearKey),
    },
  });
  const option = { configuration: odata("ClearKeyConfiguration"), restriction: odata("OpenRestriction") };
  await call(to, "PUT", `/contentKeyPolicies/${name}`, { properties: { options: [{ name: "open", ...option }] } });
  return { streamingPolicyName: name, defaultContentKeyPolicyName: name };
}

const SECRET = "a secret of thirty-two bytes or more";
const [ISSUER, AUDIENCE] = ["https://issuer.example", "players"];
/** What a token has to say besides. */
const CLAIM = "subscription";

/** A JWT under HS256 that the policies of `protect` accept, with `claims` changed. */
export function token(claims = {}) {
  const all = { iss: ISSUER, aud: AUDIENCE, exp: Math.floor(Date.now() / 1000) + 600, [CLAIM]: "yes", ...claims };
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const text = `${part({ alg: "HS256", typ: "JWT" })}.${part(all)}`;
  return `${text}.${createHmac("sha256", SECRET).update(text).digest("base64url")}`;
}

const odata = (name, more = {}) => ({ "@odata.type": `#Microsoft.Media.ContentKeyPolicy${name}`, ...more });

/**
 * Uploads `bytes`, to be packaged as they are, and publishes them encrypted in every way that ClearKey has. Resolves to
 * `{ open, restricted }`: what listPaths says of a locator whose keys anybody gets, and of one whose keys take a token, as
 * `{ url(protocol, scheme, format), licence }`.
 */
export async function publishProtected(to, bytes) {
  const run = randomUUID().slice(0, 8);
  const asset = `players-protected-${run}`;
  await upload(to, asset, bytes);
  const enabledProtocols = (...names) =>
    Object.fromEntries(["download", "dash", "hls", "smoothStreaming"].map((name) => [name, names.includes(name)]));
  const keys = (label) => ({ defaultKey: { label } });
  await call(to, "PUT", `/streamingPolicies/${asset}`, {
    properties: {
      envelopeEncryption: { enabledProtocols: enabledProtocols("hls"), contentKeys: keys("aes") },
      commonEncryptionCenc: {
        enabledProtocols: enabledProtocols("dash"),
        contentKeys: keys("cenc"),
        clearKeyEncryptionConfiguration: {},
      },
      commonEncryptionCbcs: {
        enabledProtocols: enabledProtocols("dash", "hls"),
        contentKeys: keys("cbcs"),
        clearKeyEncryptionConfiguration: {},
      },
    },
  });
  const restrictions = {
    open: odata("OpenRestriction"),
    restricted: odata("TokenRestriction", {
      issuer: ISSUER,
      audience: AUDIENCE,
      restrictionTokenType: "Jwt",
      primaryVerificationKey: odata("SymmetricTokenKey", { keyValue: Buffer.from(SECRET).toString("base64") }),
      requiredClaims: [{ claimType: CLAIM, claimValue: "yes" }],
    }),
  };
  const published = {};
  for (const [name, restriction] of Object.entries(restrictions)) {
    const locator = `${asset}-${name}`;
    await call(to, "PUT", `/contentKeyPolicies/${locator}`, {
      properties: { options: [{ name, configuration: odata("ClearKeyConfiguration"), restriction }] },
    });
    await call(to, "PUT", `/streamingLocators/${locator}`, {
      properties: { assetName: asset, streamingPolicyName: asset, defaultContentKeyPolicyName: locator },
    });
    const { streamingPaths, drm } = await call(to, "POST", `/streamingLocators/${locator}/listPaths`);
    published[name] = {
      licence: drm.clearKey.licenseAcquisitionUrl,
      url: (protocol, scheme, format) => {
        const found = streamingPaths.find((s) => s.streamingProtocol === protocol && s.encryptionScheme === scheme);
        const path = found?.paths.find((candidate) => candidate.includes(format));
        if (path === undefined) throw new Error(`listPaths names no ${scheme} ${format}: ${JSON.stringify(streamingPaths)}`);
        return to.streamingUrl + path;
      },
    };
  }
  return published;
}
