// Assets for tests: a copy of the demo, with files beside it.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { call, demo, media } from "./headwater.mjs";

/** Calls the API on the project's media; the body of its answer. */
export async function must(to, method, path, body) {
  const { status, body: answer } = await call(to, method, media(to, path), body);
  assert.ok(status < 300, `${method} ${path} answered ${status}: ${JSON.stringify(answer)}`);
  return answer;
}

/** An asset that streams as the demo does. */
export async function copyDemo(to, asset) {
  const { assetName } = await demo(to);
  const transform = `${asset}-copy`;
  await must(to, "PUT", `/assets/${asset}`, { properties: { containerDeletionPolicy: "Delete" } });
  await must(to, "PUT", `/transforms/${transform}`, {
    properties: { outputs: [{ preset: { "@odata.type": "#Microsoft.Media.BuiltInAssetConverterPreset", presetName: "CopyAllBitrateNonInterleaved" } }] },
  });
  await must(to, "PUT", `/transforms/${transform}/jobs/${asset}`, {
    properties: {
      input: { "@odata.type": "#Microsoft.Media.JobInputAsset", assetName },
      outputs: [{ "@odata.type": "#Microsoft.Media.JobOutputAsset", assetName: asset }],
    },
  });
  for (;;) {
    const { state, outputs } = (await must(to, "GET", `/transforms/${transform}/jobs/${asset}`)).properties;
    if (state === "Finished") break;
    assert.ok(state !== "Error", JSON.stringify(outputs));
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  await must(to, "DELETE", `/transforms/${transform}`);
}

/** Puts a file into an asset. */
export async function putFile(to, asset, name, body, type) {
  const { assetContainerSasUrls } = await must(to, "POST", `/assets/${asset}/listContainerSas`, {
    permissions: "ReadWrite",
    expiryTime: new Date(Date.now() + 3_600_000).toISOString(),
  });
  const [container, signature] = assetContainerSasUrls[0].split("?");
  const { status } = await fetch(`${container}/${name}?${signature}`, {
    method: "PUT",
    headers: { "x-ms-blob-type": "BlockBlob", "x-ms-version": "2021-12-02", "content-type": type },
    body,
  });
  assert.equal(status, 201);
}

/** An MP4 file of a tone in stereo, as bytes. */
export function makeTone(hertz, seconds) {
  const folder = mkdtempSync(join(tmpdir(), "headwater-tone-"));
  const file = join(folder, "tone.mp4");
  const made = spawnSync(
    "ffmpeg",
    ["-v", "error", "-y", "-f", "lavfi", "-i", `sine=frequency=${hertz}:sample_rate=48000:duration=${seconds}`, "-ac", "2", "-c:a", "aac", "-b:a", "96k", file],
    { encoding: "utf8" },
  );
  assert.equal(made.status, 0, made.stderr);
  const bytes = readFileSync(file);
  rmSync(folder, { recursive: true });
  return bytes;
}
