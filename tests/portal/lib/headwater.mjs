// A running Headwater, as its public API shows it: for what a journey needs to find, and to check what it did.

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export function connection() {
  const path = process.env.HEADWATER_CONNECTION;
  if (!path) throw new Error("HEADWATER_CONNECTION has to name the connection.json of a running Headwater");
  const to = JSON.parse(readFileSync(path, "utf8"));
  // A portal that was just built, in front of an older Headwater: see lib/front.mjs.
  return { ...to, portalUrl: (process.env.PORTAL_URL ?? to.portalUrl).replace(/\/$/, "") };
}

/** Calls the API; answers `{ status, body }`. */
export async function call(to, method, path, body, token = to.token) {
  const response = await fetch(`${to.apiUrl}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await response.text();
  return { status: response.status, body: text === "" ? null : JSON.parse(text) };
}

export function media(to, path) {
  return `/api/v1/projects/${to.project}/media${path}`;
}

/** What a new installation publishes by itself, once it is there. */
export async function demo(to) {
  for (const deadline = Date.now() + 5 * 60_000; ; ) {
    const { status, body } = await call(to, "GET", media(to, "/published"));
    if (status !== 200) throw new Error(`the list of what is published answered ${status}`);
    // Others may have been published while it was encoded.
    const found = body.value.find(({ assetName }) => /^demo-[0-9a-f]+$/.test(assetName));
    if (found !== undefined) return found;
    if (Date.now() > deadline) throw new Error(`the demo is not among the last ${body.value.length} that were published`);
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

/** A film of `seconds` with sound, as bytes. */
export function makeFilm(seconds = 6) {
  const folder = mkdtempSync(join(tmpdir(), "headwater-film-"));
  const file = join(folder, "film.mp4");
  const made = spawnSync(
    "ffmpeg",
    [
      ...["-v", "error", "-y"],
      ...["-f", "lavfi", "-i", `testsrc2=size=640x360:rate=25:duration=${seconds}`],
      ...["-f", "lavfi", "-i", `sine=frequency=440:sample_rate=48000:duration=${seconds}`],
      ...["-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-g", "50"],
      ...["-c:a", "aac", "-b:a", "96k", "-movflags", "+faststart", file],
    ],
    { encoding: "utf8" },
  );
  if (made.status !== 0) throw new Error(`ffmpeg made no film: ${made.error?.message ?? made.stderr}`);
  const bytes = readFileSync(file);
  rmSync(folder, { recursive: true });
  return bytes;
}
