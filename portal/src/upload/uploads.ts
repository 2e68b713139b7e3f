/** Uploads that are under way, whichever page is shown. Bytes go from the browser straight to storage. */

import { signal } from "@preact/signals";
import { Failure, asFailure } from "../api/failure";
import { ask, profile } from "../app/session";
import { forget, keep, markOf, sameFile, type FileMark, type Kept } from "./kept";
import { blobUrl, blockList, blocksOf, storedBlocks, type Block } from "./plan";

/** `interrupted`: its tab was closed, and the file has to be chosen again. */
export type UploadState = "waiting" | "sending" | "paused" | "failed" | "done" | "interrupted";

export interface Upload {
  id: number;
  project: string;
  asset: string;
  mark: FileMark;
  /** Null until it is chosen again. */
  file: File | null;
  state: UploadState;
  sentBytes: number;
  /** Of those, found in the store from an earlier attempt. */
  keptBytes: number;
  failure: Failure | null;
  /** When sending began, and how much there was then: for the time that is left. */
  began: { at: number; bytes: number } | null;
}

export const uploads = signal<Upload[]>([]);

const running = new Map<number, AbortController>();
let last = 0;

/** Blocks that are sent at the same time; more files wait for their turn. */
const PARALLEL = 3;
const TRIES = 5;

// Closing the tab in the middle is asked about; what has been sent is kept either way.
window.addEventListener("beforeunload", (event) => {
  if (running.size > 0) event.preventDefault();
});

function change(id: number, part: Partial<Upload>): void {
  uploads.value = uploads.value.map((one) => (one.id === id ? { ...one, ...part } : one));
}

function find(id: number): Upload | undefined {
  return uploads.peek().find((one) => one.id === id);
}

/** `flow`: what becomes of them, to be remembered; null for files that are only added. */
export function addUploads(project: string, asset: string, files: Iterable<File>, flow: Kept["flow"] = null): void {
  for (const file of files) {
    const twin = uploads.peek().find((one) => one.project === project && one.asset === asset && one.mark.name === file.name);
    if (twin?.state === "interrupted" && sameFile(twin.mark, file)) {
      rejoin(twin.id, file);
      continue;
    }
    if (twin !== undefined) running.get(twin.id)?.abort();
    const upload: Upload = {
      id: ++last,
      project,
      asset,
      mark: markOf(file),
      file,
      state: "waiting",
      sentBytes: 0,
      keptBytes: 0,
      failure: null,
      began: null,
    };
    uploads.value = [...uploads.value.filter((one) => one !== twin), upload];
    keep({ who: profile.peek()?.metadata.id ?? "", project, asset, file: upload.mark, flow });
  }
  next();
}

/** An upload whose tab was closed, shown again; how much of it the store has is seen when it goes on. */
export function addInterrupted({ project, asset, file }: Kept): void {
  if (uploads.peek().some((one) => one.project === project && one.asset === asset && one.mark.name === file.name)) return;
  const upload: Upload = { id: ++last, project, asset, mark: file, file: null, state: "interrupted", sentBytes: 0, keptBytes: 0, failure: null, began: null };
  uploads.value = [...uploads.value, upload];
}

/** Goes on with the file chosen again. Another file is told to be one, and nothing happens to what is there. */
export function rejoin(id: number, file: File): void {
  const upload = find(id);
  if (upload === undefined) return;
  if (!sameFile(upload.mark, file)) {
    const failure = new Failure("conflict", `${file.name} is another file than the one that was begun, or was changed since.`);
    change(id, { failure });
    return;
  }
  change(id, { file, state: "waiting", failure: null });
  next();
}

/** Starts the first that waits, unless one is being sent. */
function next(): void {
  if (running.size > 0) return;
  const waiting = uploads.peek().find(({ state }) => state === "waiting");
  if (waiting !== undefined) void send(waiting.id);
}

export function pauseUpload(id: number): void {
  running.get(id)?.abort();
  change(id, { state: "paused" });
}

export function resumeUpload(id: number): void {
  change(id, { state: "waiting", failure: null });
  next();
}

/** Stops it; blocks without a list are dropped by the store after a week. */
export function removeUpload(id: number): void {
  running.get(id)?.abort();
  const upload = find(id);
  if (upload !== undefined) forget({ ...upload, file: upload.mark });
  uploads.value = uploads.value.filter((one) => one.id !== id);
}

/** Whether something goes on when an upload is done. Set by the flows, which know this module. */
let following: (upload: Upload) => boolean = () => false;

export function setFollowing(asks: (upload: Upload) => boolean): void {
  following = asks;
}

async function send(id: number): Promise<void> {
  const upload = find(id);
  if (upload === undefined || upload.file === null) return;
  const stop = new AbortController();
  running.set(id, stop);
  change(id, { state: "sending", failure: null });
  try {
    await sendBlocks(upload, upload.file, stop.signal);
    change(id, { state: "done", sentBytes: upload.mark.size });
    // What goes on after the upload is remembered by its flow, which forgets it at its own end.
    if (!following(upload)) forget({ ...upload, file: upload.mark });
  } catch (thrown) {
    if (!stop.signal.aborted) change(id, { state: "failed", failure: asFailure(thrown) });
  } finally {
    running.delete(id);
    next();
  }
}

async function sendBlocks(upload: Upload, file: File, signal: AbortSignal): Promise<void> {
  const { project, asset, id } = upload;
  const container = await sign(project, asset);
  const blocks = blocksOf(file);
  const there = await stored(blobUrl(container.url, file.name, { comp: "blocklist", blocklisttype: "uncommitted" }), signal);
  const missing = blocks.filter((block) => there.get(block.id) !== block.end - block.start);
  const kept = file.size - missing.reduce((sum, block) => sum + block.end - block.start, 0);

  const progress = new Map<string, number>();
  const report = () => {
    const sent = [...progress.values()].reduce((sum, bytes) => sum + bytes, kept);
    change(id, { sentBytes: Math.min(sent, file.size) });
  };
  change(id, { sentBytes: kept, keptBytes: kept, began: { at: Date.now(), bytes: kept } });

  const queue = [...missing];
  const failed = new AbortController();
  const both = AbortSignal.any([signal, failed.signal]);
  const worker = async () => {
    for (let block = queue.shift(); block !== undefined; block = queue.shift()) {
      const one: Block = block;
      await insisting(both, async () => {
        const url = blobUrl((await container.fresh()).url, file.name, { comp: "block", blockid: one.id });
        await put(url, file.slice(one.start, one.end), {}, both, (bytes) => {
          progress.set(one.id, bytes);
          report();
        });
      });
      progress.set(one.id, one.end - one.start);
      report();
    }
  };
  try {
    await Promise.all(Array.from({ length: PARALLEL }, worker));
  } finally {
    failed.abort();
  }
  await insisting(signal, async () =>
    put(
      blobUrl((await container.fresh()).url, file.name, { comp: "blocklist" }),
      new Blob([blockList(blocks)]),
      { "x-ms-blob-content-type": file.type || "application/octet-stream" },
      signal,
    ),
  );
}

interface Signed {
  url: string;
  /** The same, or a new one when this one is about to expire. */
  fresh(): Promise<Signed>;
}

async function sign(project: string, asset: string): Promise<Signed> {
  const until = Date.now() + 3600_000;
  const answer = await ask((to) =>
    to.POST("/api/v1/projects/{project}/media/assets/{asset}/listContainerSas", {
      params: { path: { project, asset } },
      body: { permissions: "ReadWrite", expiryTime: new Date(until).toISOString() },
    }),
  );
  const url = answer.assetContainerSasUrls[0];
  if (url === undefined) throw new Failure("broken", "Headwater gave no URL to upload to.");
  let current: Promise<Signed> | null = null;
  const signed: Signed = {
    url,
    fresh: () => {
      if (Date.now() < until - 300_000) return Promise.resolve(signed);
      current ??= sign(project, asset);
      return current.then((next) => next.fresh());
    },
  };
  return signed;
}

async function stored(url: string, signal: AbortSignal): Promise<Map<string, number>> {
  const response = await fetch(url, { headers: { "x-ms-version": "2021-12-02" }, signal, credentials: "omit" });
  // No blob and no block of that name yet.
  if (response.status === 404) return new Map();
  if (!response.ok) throw storageFailure(response.status);
  return storedBlocks(await response.text());
}

/** Tries again after what passes by itself: no connection, a store that is busy. */
async function insisting(signal: AbortSignal, what: () => Promise<void>): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      return await what();
    } catch (thrown) {
      const failure = asFailure(thrown);
      const passes = failure.kind === "down" || failure.kind === "busy" || failure.kind === "broken";
      if (signal.aborted || !passes || tries === TRIES) throw failure;
      await new Promise((resolve) => setTimeout(resolve, 500 * 2 ** tries));
    }
  }
}

/** With XMLHttpRequest: fetch does not tell how much of a body has been sent. */
function put(
  url: string,
  body: Blob,
  headers: Record<string, string>,
  signal: AbortSignal,
  progress: (bytes: number) => void = () => undefined,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("PUT", url);
    request.setRequestHeader("x-ms-version", "2021-12-02");
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.addEventListener("progress", (event) => progress(event.loaded));
    request.addEventListener("load", () =>
      request.status >= 200 && request.status < 300 ? resolve() : reject(storageFailure(request.status)),
    );
    request.addEventListener("error", () => reject(new Failure("down", "The storage does not answer. What has been sent is kept.")));
    const abort = () => request.abort();
    request.addEventListener("abort", () => reject(new DOMException("stopped", "AbortError")));
    if (signal.aborted) return reject(new DOMException("stopped", "AbortError"));
    signal.addEventListener("abort", abort, { once: true });
    request.addEventListener("loadend", () => signal.removeEventListener("abort", abort));
    request.send(body);
  });
}

function storageFailure(status: number): Failure {
  // A signature may have ended while a machine slept: another attempt has another.
  if (status === 403) return new Failure("invalid", "The storage refused the upload's signature (status 403). Go on to have another.");
  if (status === 404) return new Failure("missing", "The storage does not have the asset's container (status 404).");
  if (status === 429 || status === 503) return new Failure("busy", `The storage is busy (status ${status}).`);
  return new Failure(status < 500 ? "invalid" : "broken", `The storage refused the upload (status ${status}).`);
}
