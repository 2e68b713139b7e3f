// Live events and live outputs, as far as they go without an encoder: what they are, and how they are asked to change.

import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import {
  UNKNOWN,
  UUID,
  account,
  all,
  names,
  newAsset,
  operationOf,
  refused,
  skip,
  statuses,
  unique,
} from "./lib/headwater.mjs";
import { liveWorker, withoutWorker } from "./lib/live-worker.mjs";

describe("live events", { skip }, () => {
  const { to, client, where } = account();
  const { liveEvents: events, liveOutputs: outputs } = client;
  const made = [];
  const fresh = () => {
    made.push(unique("ev").slice(0, 32));
    return made.at(-1);
  };
  after(async () => {
    for (const name of made) {
      await events
        .beginStopAndWait(...where, name, { removeOutputsOnStop: true })
        .catch(({ statusCode }) => assert.equal(statusCode, 404));
      await events.beginDeleteAndWait(...where, name);
    }
  });
  const wanted = (properties) => ({
    location: "local",
    input: { streamingProtocol: "RTMP" },
    encoding: { encodingType: "PassthroughStandard" },
    ...properties,
  });
  const create = (name, properties, options) =>
    events.beginCreateAndWait(...where, name, wanted(properties), options);

  test("live through create, get, list, update and delete", async () => {
    const name = fresh();
    await refused(events.get(...where, name), 404, { says: new RegExp(`'${name}'`) });
    const allow = [{ name: "studio", address: "192.0.2.0", subnetPrefixLength: 24 }];
    const properties = {
      description: "first",
      tags: { team: "video" },
      input: {
        streamingProtocol: "RTMP",
        keyFrameIntervalDuration: "PT4S",
        accessControl: { ip: { allow } },
      },
      useStaticHostname: true,
      hostnamePrefix: "news",
      streamOptions: ["LowLatency"],
    };
    const first = await statuses((options) => create(name, properties, options));
    assert.deepEqual(first.codes, [201]);
    const event = first.result;
    assert.deepEqual([event.resourceState, event.provisioningState], ["Stopped", "Succeeded"]);
    assert.equal(event.type, "Microsoft.Media/mediaservices/liveEvents");
    for (const member of ["description", "tags", "useStaticHostname", "hostnamePrefix", "streamOptions"]) {
      assert.deepEqual(event[member], properties[member], member);
    }
    assert.equal(event.input.keyFrameIntervalDuration, "PT4S");
    assert.deepEqual(event.input.accessControl.ip.allow, allow);
    assert.match(event.input.accessToken, UUID);
    assert.match(event.preview.previewLocator, UUID);
    assert.deepEqual([event.input.endpoints, event.preview.endpoints], [[], []]);
    assert.ok(event.created instanceof Date);
    assert.deepEqual(await events.get(...where, name), event);
    assert.ok(names(await all(events.list(...where))).includes(name));

    // The same once more, and what was read, is what is.
    const again = await statuses((options) => create(name, properties, options));
    assert.deepEqual([again.codes, again.result], [[200], event]);
    assert.deepEqual(await events.beginCreateAndWait(...where, name, event), event);
    await refused(create(name, { ...properties, description: "other" }), 409, { says: /description/ });

    const changed = await events.beginUpdateAndWait(...where, name, { location: "local", description: "second" });
    assert.deepEqual([changed.description, changed.tags, changed.input], ["second", event.tags, event.input]);
    const fixed = events.beginUpdateAndWait(...where, name, { location: "local", streamOptions: ["Default"] });
    await refused(fixed, 400, { field: "properties.streamOptions" });

    await events.beginDeleteAndWait(...where, name);
    await refused(events.get(...where, name), 404);
    await events.beginDeleteAndWait(...where, name);
  });

  test("are encoded in the ladder of their type", async () => {
    const name = fresh();
    const event = await create(name, { encoding: { encodingType: "Premium1080p", keyFrameInterval: "PT2.5S" } });
    assert.deepEqual(event.encoding, {
      encodingType: "Premium1080p",
      presetName: "Default1080p",
      keyFrameInterval: "PT2.5S",
      stretchMode: "None",
    });
  });

  test("starting is an operation, and a stop ends whatever there is", async () => {
    const name = fresh();
    await create(name);
    const { result: poller, seen } = await statuses((options) => events.beginStart(...where, name, options));
    assert.equal(seen[0].status, 202);
    assert.match(seen[0].headers.get("azure-asyncoperation"), /\/liveEventOperations\/.*[?&]api-version=/);
    assert.match(seen[0].headers.get("location"), new RegExp(`/liveEvents/${name}/operationLocations/`));
    assert.match(seen[0].headers.get("retry-after"), /^\d+$/);
    const { resourceState } = await events.get(...where, name);
    assert.ok(["Starting", "Running"].includes(resourceState), resourceState);
    await events.beginStopAndWait(...where, name, {});
    assert.equal((await events.get(...where, name)).resourceState, "Stopped");
    // Whether it ran before it was stopped depends on who else is there; that its end can be asked about does not.
    await poller.pollUntilDone().catch((error) => assert.match(error.message, /stopped meanwhile/));
    await events.beginStopAndWait(...where, name, {});
    await refused(events.beginReset(...where, name), 409, { code: "InvalidOperation" });
  });

  test("are allocated, started, reset and stopped by a worker", { skip: withoutWorker }, async () => {
    const name = fresh();
    await create(name);
    const worker = liveWorker(to);
    try {
      let operation;
      for (const [begin, reached] of [
        [events.beginAllocate, "StandBy"],
        [events.beginStart, "Running"],
        [events.beginReset, "Running"],
      ]) {
        const begun = await statuses((options) => begin(...where, name, options));
        assert.equal(begun.codes[0], 202);
        await begun.result.pollUntilDone();
        operation = operationOf(begun.seen[0]);
        const { name: named, status, error } = await events.asyncOperation(...where, operation);
        assert.deepEqual([named, status, error], [operation, "Succeeded", undefined]);
        const look = (options) => events.operationLocation(...where, name, operation, options);
        assert.deepEqual((await statuses(look)).codes, [200]);
        assert.equal((await events.get(...where, name)).resourceState, reached);
      }
      const { input, preview } = await events.get(...where, name);
      assert.ok(input.endpoints[0].url.includes(input.accessToken));
      assert.ok(preview.endpoints[0].url.includes(preview.previewLocator));
      // The same once more has nothing to do.
      assert.deepEqual((await statuses((options) => events.beginStart(...where, name, options))).codes, [200]);

      const properties = async () => ({
        assetName: await newAsset({ client, where }, "rec"),
        archiveWindowLength: "PT1H",
      });
      const first = await properties();
      const begun = await statuses((options) => outputs.beginCreate(...where, name, "main", first, options));
      assert.equal(begun.codes[0], 201);
      await begun.result.pollUntilDone();
      const recording = operationOf(begun.seen[0]);
      assert.equal((await outputs.get(...where, name, "main")).resourceState, "Running");
      const removed = await statuses((options) => outputs.beginDelete(...where, name, "main", options));
      assert.equal(removed.codes[0], 202);
      await removed.result.pollUntilDone();
      for (const id of [recording, operationOf(removed.seen[0])]) {
        assert.equal((await outputs.asyncOperation(...where, id)).status, "Succeeded");
        const look = (options) => outputs.operationLocation(...where, name, "main", id, options);
        assert.deepEqual((await statuses(look)).codes, [200]);
        await refused(events.asyncOperation(...where, id), 404);
      }
      await refused(outputs.asyncOperation(...where, operation), 404);
      await refused(outputs.operationLocation(...where, name, "main", UNKNOWN), 404);

      // A reset deletes the outputs.
      await outputs.beginCreateAndWait(...where, name, "main", await properties());
      await events.beginResetAndWait(...where, name);
      const deadline = Date.now() + 180_000;
      while ((await all(outputs.list(...where, name))).length > 0) {
        assert.ok(Date.now() < deadline, "the output is still there");
        await sleep(200);
      }
      await events.beginStopAndWait(...where, name, {});
      await events.beginStartAndWait(...where, name);
      await events.beginStopAndWait(...where, name, {});
      await events.beginAllocateAndWait(...where, name);
      assert.equal((await events.get(...where, name)).resourceState, "StandBy");
      await events.beginDeleteAndWait(...where, name);
      assert.equal((await events.asyncOperation(...where, operation)).status, "Succeeded");
      await events.operationLocation(...where, name, operation);
      await refused(events.operationLocation(...where, name, UNKNOWN), 404);
    } finally {
      await worker.end();
    }
  });

  test("are recorded by live outputs", async () => {
    const name = fresh();
    await create(name);
    const asset = await newAsset({ client, where }, "rec");
    const properties = {
      assetName: asset,
      archiveWindowLength: "PT8H",
      rewindWindowLength: "PT30M",
      manifestName: "show",
      hls: { fragmentsPerTsSegment: 3 },
      outputSnapTime: 90_000,
      description: "d",
    };
    const output = await outputs.beginCreateAndWait(...where, name, "main", properties);
    for (const [member, value] of Object.entries(properties)) assert.deepEqual(output[member], value, member);
    assert.deepEqual([output.resourceState, output.provisioningState], ["Running", "Succeeded"]);
    assert.equal(output.type, "Microsoft.Media/mediaservices/liveEvents/liveOutputs");
    assert.deepEqual(await outputs.get(...where, name, "main"), output);
    assert.deepEqual(names(await all(outputs.list(...where, name))), ["main"]);
    assert.deepEqual(await outputs.beginCreateAndWait(...where, name, "main", properties), output);
    const other = outputs.beginCreateAndWait(...where, name, "main", { ...properties, description: "e" });
    await refused(other, 409);
    await refused(client.assets.delete(...where, asset), 409, { says: /live output 'main'/ });
    await refused(events.beginDeleteAndWait(...where, name), 409, { code: "InvalidOperation", says: /'main'/ });
    await outputs.beginDeleteAndWait(...where, name, "main");
    await outputs.beginDeleteAndWait(...where, name, "main");
    await refused(outputs.get(...where, name, "main"), 404);
    await client.assets.delete(...where, asset);
  });

  test("what makes no sense is refused by name", async () => {
    const name = unique("ev").slice(0, 32);
    for (const [change, field] of [
      [{ location: "westeurope" }, "location"],
      [{ input: { streamingProtocol: "WHIP" } }, "properties.input.streamingProtocol"],
      [{ input: { streamingProtocol: "RTMP", accessToken: "secret" } }, "properties.input.accessToken"],
      [{ encoding: { encodingType: "Ultra" } }, "properties.encoding.encodingType"],
      [{ hostnamePrefix: "news" }, "properties.hostnamePrefix"],
      [{ streamOptions: ["Default", "LowLatency"] }, "properties.streamOptions"],
      [{ transcriptions: [{ language: "en-US" }] }, "properties.transcriptions"],
      [{ description: "x".repeat(4097) }, "properties.description"],
    ]) {
      await refused(create(name, change), 400, { field });
    }
    await refused(create("a_b"), 400, { field: "name" });
    await refused(events.get(...where, name), 404);
    await refused(events.beginStart(...where, name), 404);
    await refused(events.beginAllocate(...where, name), 404);
    await refused(all(outputs.list(...where, name)), 404);
  });
});
