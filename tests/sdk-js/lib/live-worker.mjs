// An ingest worker without media, as `tests/e2e/live_worker.py` is one: it takes live events as a real one does, says
// that it runs them, and does what it is told at once. Its side of the conversation is `crates/work/src/live`.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { api } from "./headwater.mjs";

const LEASE_S = 20;
const PAUSE_MS = 100;

/** Why there can be no worker, for the `skip` of a suite; `false` if there can. In CI nothing is skipped. */
export const withoutWorker = missing();

function missing() {
  if (process.env.HEADWATER_BINARY) return false;
  const sentence = "HEADWATER_BINARY names no binary, which makes the worker's token";
  if (["1", "true", "yes"].includes((process.env.CI ?? "").toLowerCase())) throw new Error(sentence);
  return sentence;
}

/** A token of role `worker`, from the installation's own keys. */
function workerToken() {
  const data = dirname(process.env.HEADWATER_CONNECTION_TLS);
  const command = ["token", "--role=worker", "--subject=sdkjs-ingest", `--data=${data}`];
  return execFileSync(process.env.HEADWATER_BINARY, command, { encoding: "utf8" }).trim();
}

/** That all that is wanted of an event is so. */
function report(held) {
  const { assignment, lease, recording } = held;
  const { protocol, accessToken } = assignment.input;
  const outputs = assignment.outputs.map(({ outputId, wanted }) => {
    const state = wanted === "finish" && recording.has(outputId) ? "finished" : "recording";
    recording.add(outputId);
    return { outputId, state };
  });
  const endpoints = {
    input: [{ protocol, url: `${protocol.toLowerCase()}://localhost:1935/live/${accessToken}` }],
    preview: [
      { protocol: "FragmentedMP4", url: `http://localhost:8080/${assignment.preview.locator}/preview.ism/manifest` },
    ],
  };
  return {
    lease,
    generation: assignment.generation,
    state: { standBy: "standBy", run: "running", stop: "preparing" }[assignment.wanted],
    endpoints: assignment.wanted === "run" ? endpoints : {},
    outputs,
  };
}

/** Starts one; `end` lets every event go, and throws what went wrong meanwhile. */
export function liveWorker(to) {
  const token = workerToken();
  const events = new Map();
  let ended = false;

  async function call(path, body) {
    const answer = await api(to, "POST", `/internal/v1/liveEvents/${path}`, { token, body });
    assert.ok([200, 204, 409].includes(answer.status), `${path}: ${answer.status} ${answer.text}`);
    return answer;
  }

  async function release(id) {
    const { lease } = events.get(id);
    events.delete(id);
    await call(`${id}/release`, { lease });
  }

  async function run() {
    while (!ended) {
      const claimed = await call("claim", { worker: "sdkjs", leaseSeconds: LEASE_S });
      if (claimed.status === 200) {
        const { lease, assignment } = JSON.parse(claimed.text);
        events.set(assignment.eventId, { lease, assignment, recording: new Set() });
      }
      for (const [id, held] of [...events]) {
        const renewed = await call(`${id}/renew`, report(held));
        if (renewed.status === 409) events.delete(id);
        else {
          held.assignment = JSON.parse(renewed.text);
          if (held.assignment.wanted === "stop") await release(id);
        }
      }
      await sleep(PAUSE_MS);
    }
    for (const id of [...events.keys()]) await release(id);
  }

  const running = run().then(
    () => undefined,
    (error) => error,
  );
  return {
    async end() {
      ended = true;
      assert.equal(await running, undefined, "the worker failed");
    },
  };
}
