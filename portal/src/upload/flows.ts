/** From a file to a video: upload, encode, publish, one after the other, whichever page is shown. */

import { effect, signal } from "@preact/signals";
import { asFailure, type Failure } from "../api/failure";
import { ask, profile, project } from "../app/session";
import { nameFrom } from "../format";
import { assetInput, outputNames, stamp, submitJob } from "../pages/encode";
import { publish } from "../pages/publish";
import { streams } from "../presets/draft";
import { forget, keep, markOf, sameFile, takeLeft, type FileMark, type Kept } from "./kept";
import { addInterrupted, addUploads, rejoin, setFollowing, uploads, type Upload } from "./uploads";

export type Stage = "uploading" | "encoding" | "publishing" | "done" | "failed";

export interface Flow {
  id: string;
  project: string;
  file: FileMark;
  asset: string;
  /** Null to publish the file as it is. */
  transform: string | null;
  /** Null to leave it unpublished. */
  policy: string | null;
  keys: string | null;
  stage: Stage;
  /** What was being done when it failed, to go on from there. */
  at: Exclude<Stage, "failed" | "done">;
  /** Percent of the encode. */
  progress: number;
  job: string | null;
  output: string;
  locator: string | null;
  failure: Failure | null;
}

export const flows = signal<Flow[]>([]);

export interface Wish {
  transform: string | null;
  policy: string | null;
  keys: string | null;
}

/** Makes an asset for the file and begins. */
export async function startFlow(file: File, wish: Wish): Promise<void> {
  // A file whose upload was interrupted goes on with it.
  const begun = uploads.peek().find((one) => one.state === "interrupted" && one.project === project.peek() && sameFile(one.mark, file));
  if (begun !== undefined && flowOf(begun) !== undefined) return rejoin(begun.id, file);
  const id = stamp();
  const asset = `${nameFrom(file.name)}-${id}`;
  const flow: Flow = {
    ...wish,
    id,
    project: project.peek(),
    file: markOf(file),
    asset,
    stage: "uploading",
    at: "uploading",
    progress: 0,
    job: null,
    output: wish.transform === null ? asset : `${asset}-encoded`,
    locator: null,
    failure: null,
  };
  await ask((to) =>
    to.PUT("/api/v1/projects/{project}/media/assets/{asset}", {
      params: { path: { project: flow.project, asset } },
      body: { properties: { description: `Uploaded from ${file.name}` } },
    }),
  );
  flows.value = [flow, ...flows.value];
  addUploads(flow.project, asset, [file], keptOf(flow).flow);
}

/** What becomes of an upload; nothing of other files that are added to the same asset. */
function flowOf({ asset, project, mark }: Upload): Flow | undefined {
  return flows.peek().find((one) => one.asset === asset && one.project === project && one.file.name === mark.name);
}

setFollowing((upload) => flowOf(upload) !== undefined);

function keptOf(flow: Flow): Kept {
  const { id, project, asset, file, transform, policy, keys, at, job, output } = flow;
  return { who: profile.peek()?.metadata.id ?? "", project, asset, file, flow: { id, transform, policy, keys, at, job, output } };
}

/** Takes up what a closed tab left: what has been uploaded goes on by itself, the rest asks for its file. */
export async function restore(): Promise<void> {
  const who = profile.peek()?.metadata.id;
  if (who === undefined) return;
  for (const kept of await takeLeft(who)) {
    const { flow, ...rest } = kept;
    if (flow === null) {
      addInterrupted(kept);
      continue;
    }
    if (flows.peek().some(({ id }) => id === flow.id)) continue;
    flows.value = [...flows.value, { ...rest, ...flow, stage: flow.at, progress: 0, locator: null, failure: null }];
    if (flow.at === "uploading") addInterrupted(kept);
    else void advance(flow.id);
  }
}

function change(id: string, part: Partial<Flow>): void {
  flows.value = flows.value.map((one) => (one.id === id ? { ...one, ...part } : one));
  const flow = flows.peek().find((one) => one.id === id);
  // Progress is not remembered, what there is to go on with is.
  if (flow !== undefined && flow.stage !== "done" && ("at" in part || "job" in part || "output" in part)) keep(keptOf(flow));
}

/** Forgets it; what has been made so far stays. */
export function dropFlow(id: string): void {
  const flow = flows.peek().find((one) => one.id === id);
  if (flow !== undefined) forget(flow);
  flows.value = flows.value.filter((one) => one.id !== id);
}

const running = new Set<string>();

// An upload that is cancelled has nothing that could become of it.
effect(() => {
  const there = uploads.value;
  const gone = flows.peek().filter((flow) => flow.stage === "uploading" && !there.some((upload) => flowOf(upload) === flow));
  for (const { id } of gone) if (!running.has(id)) flows.value = flows.peek().filter((one) => one.id !== id);
});

// What has been uploaded goes on by itself.
effect(() => {
  for (const upload of uploads.value) {
    const flow = flowOf(upload);
    if (upload.state === "done" && flow?.stage === "uploading" && !running.has(flow.id)) void advance(flow.id);
  }
});

/** Goes on with what is left to do. */
export async function advance(id: string): Promise<void> {
  const flow = flows.peek().find((one) => one.id === id);
  if (flow === undefined || running.has(id)) return;
  running.add(id);
  let at = flow.at === "uploading" ? "encoding" : flow.at;
  try {
    if (at === "encoding" && flow.transform !== null) {
      change(id, { stage: "encoding", at, failure: null });
      await encode(flow, flow.transform);
    }
    at = "publishing";
    if (flow.policy !== null) {
      change(id, { stage: "publishing", at, failure: null });
      const output = flows.peek().find((one) => one.id === id)?.output ?? flow.output;
      const locator = await publish(output, flow.policy, flow.keys === null ? {} : { defaultContentKeyPolicyName: flow.keys }, output);
      change(id, { locator });
    }
    change(id, { stage: "done" });
    forget(flow);
  } catch (thrown) {
    change(id, { stage: "failed", at: at as Flow["at"], failure: asFailure(thrown) });
  } finally {
    running.delete(id);
  }
}

const POLL_MS = 1500;

async function encode(flow: Flow, transform: string): Promise<void> {
  const job = flow.asset;
  if (flow.job === null) {
    const { properties } = await ask((to) =>
      to.GET("/api/v1/projects/{project}/media/transforms/{transform}", { params: { path: { project: flow.project, transform } } }),
    );
    const outputs = outputNames(properties.outputs, flow.output);
    await submitJob(transform, job, assetInput(flow.asset, { files: [flow.file.name] }), outputs);
    // What can be played is what is published: pictures may be an output of their own.
    const played = outputs[properties.outputs.findIndex(({ preset }) => streams(preset))];
    change(flow.id, { job, ...(played === undefined ? {} : { output: played }) });
  }
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    const { properties } = await patiently(() =>
      ask((to) =>
        to.GET("/api/v1/projects/{project}/media/transforms/{transform}/jobs/{job}", {
          params: { path: { project: flow.project, transform, job } },
        }),
      ),
    );
    const { outputs } = properties;
    change(flow.id, { progress: Math.round(outputs.reduce((sum, { progress }) => sum + progress, 0) / Math.max(1, outputs.length)) });
    if (properties.state === "Finished") return;
    if (properties.state === "Error" || properties.state === "Canceled") {
      throw new Error(outputs.find(({ error }) => error !== undefined)?.error?.message ?? `The job ended as ${properties.state}.`);
    }
  }
}

/** A restart or a busy moment of Headwater does not end a wait. */
async function patiently<T>(read: () => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries++) {
    try {
      return await read();
    } catch (thrown) {
      const failure = asFailure(thrown);
      if (!["down", "busy"].includes(failure.kind) || tries === 20) throw failure;
      await new Promise((resolve) => setTimeout(resolve, (failure.retryAfterSeconds ?? 3) * 1000));
    }
  }
}
