// Run by `run.mjs` after everything else: each operation that the client has was called.

import assert from "node:assert/strict";
import { test } from "node:test";
import { allOperations, gathered } from "./lib/called.mjs";
import { account, skip } from "./lib/headwater.mjs";
import { withoutWorker } from "./lib/live-worker.mjs";

/**
 * What an installation of one's own can only refuse: private links are between Azure's networks, and files are not
 * encrypted.
 */
const ALWAYS_REFUSED = [
  "assets.getEncryptionKey",
  "privateEndpointConnections.createOrUpdate",
  "privateEndpointConnections.get",
  "privateLinkResources.get",
];

test("every operation of the client was called", { skip: skip || withoutWorker }, () => {
  const there = allOperations(account().client);
  assert.equal(there.length, 120, "@azure/arm-mediaservices 13.1.0 has so many");
  const { answered, refused } = gathered();
  assert.deepEqual(
    ALWAYS_REFUSED.filter((operation) => !refused.has(operation)),
    [],
  );
  const left = there.filter((operation) => !answered.has(operation) && !ALWAYS_REFUSED.includes(operation));
  assert.deepEqual(left, []);
});
