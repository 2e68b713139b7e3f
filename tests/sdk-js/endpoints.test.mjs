// Streaming endpoints: the only resource here whose operations take their time, and so the client's pollers.

import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { UNKNOWN, account, all, names, operationOf, refused, skip, statuses, unique } from "./lib/headwater.mjs";

describe("streaming endpoints", { skip }, () => {
  const { to, client, where } = account();
  const endpoints = client.streamingEndpoints;
  // An account may have few of them, so none are left behind.
  const made = [];
  const fresh = () => {
    made.push(unique("ep").slice(0, 24));
    return made.at(-1);
  };
  after(async () => {
    for (const name of made) {
      await endpoints.beginStopAndWait(...where, name).catch(({ statusCode }) => assert.equal(statusCode, 404));
      await endpoints.beginDeleteAndWait(...where, name);
    }
  });
  const state = async (name) => (await endpoints.get(...where, name)).resourceState;
  const create = (name, properties, options) =>
    endpoints.beginCreateAndWait(...where, name, { location: "local", scaleUnits: 0, ...properties }, options);

  test("the default one runs", async () => {
    const found = await endpoints.get(...where, "default");
    assert.deepEqual([found.name, found.resourceState, found.provisioningState], ["default", "Running", "Succeeded"]);
    assert.equal(found.type, "Microsoft.Media/mediaservices/streamingEndpoints");
    assert.equal(found.hostName, new URL(to.streamingUrl).host);
    assert.equal(found.cdnEnabled, false);
    // A start of what runs already succeeds, and the poller ends.
    await endpoints.beginStartAndWait(...where, "default");
    assert.equal(await state("default"), "Running");
  });

  test("live through create, update, scale, stop, start and delete", async () => {
    const name = fresh();
    await refused(endpoints.get(...where, name), 404, { says: new RegExp(`'${name}'`) });
    const wanted = {
      description: "first",
      scaleUnits: 1,
      cdnEnabled: false,
      tags: { team: "video", größe: "ü" },
      customHostNames: ["media.example"],
    };
    const endpoint = await create(name, wanted, { autoStart: true });
    assert.deepEqual([endpoint.resourceState, endpoint.provisioningState], ["Running", "Succeeded"]);
    for (const [member, value] of Object.entries(wanted)) assert.deepEqual(endpoint[member], value, member);
    assert.equal(endpoint.sku.name, "Premium");
    assert.ok(endpoint.location && endpoint.hostName);
    assert.ok(endpoint.created instanceof Date);
    assert.deepEqual(await endpoints.get(...where, name), endpoint);
    assert.deepEqual(
      (await all(endpoints.list(...where))).find((one) => one.name === name),
      endpoint,
    );

    const changed = await endpoints.beginUpdateAndWait(...where, name, { location: "local", description: "second" });
    assert.deepEqual([changed.description, changed.scaleUnits, changed.tags], ["second", 1, wanted.tags]);
    assert.equal(changed.resourceState, "Running");
    await endpoints.beginScaleAndWait(...where, name, { scaleUnit: 3 });
    assert.equal((await endpoints.get(...where, name)).scaleUnits, 3);
    await endpoints.beginScaleAndWait(...where, name, { scaleUnit: 0 });
    const standard = await endpoints.get(...where, name);
    assert.deepEqual([standard.scaleUnits, standard.sku.name], [0, "Standard"]);

    const { value: skus } = await endpoints.skus(...where, name);
    assert.deepEqual(skus.map(({ sku }) => sku.name).toSorted(), ["Premium", "Standard"]);
    for (const { resourceType, capacity } of skus) {
      assert.equal(resourceType, "Microsoft.Media/mediaservices/streamingEndpoints");
      assert.ok(capacity.minimum <= capacity.default && capacity.default <= capacity.maximum, JSON.stringify(capacity));
      assert.ok(capacity.scaleType);
    }

    await refused(endpoints.beginDeleteAndWait(...where, name), 409, {
      code: "InvalidOperation",
      says: /stop it first/,
    });
    await endpoints.beginStopAndWait(...where, name);
    assert.equal(await state(name), "Stopped");
    await endpoints.beginStopAndWait(...where, name);
    await endpoints.beginStartAndWait(...where, name);
    assert.equal(await state(name), "Running");
    await endpoints.beginStopAndWait(...where, name);
    await endpoints.beginDeleteAndWait(...where, name);
    await refused(endpoints.get(...where, name), 404);
    await endpoints.beginDeleteAndWait(...where, name);
    assert.ok(!names(await all(endpoints.list(...where))).includes(name));
  });

  test("are stopped unless they are told to start, and what is written again keeps its state", async () => {
    const name = fresh();
    const first = await statuses((options) => create(name, { description: "first" }, options));
    assert.deepEqual(first.codes, [201]);
    assert.deepEqual([first.result.resourceState, first.result.sku.name], ["Stopped", "Standard"]);
    const second = await statuses((options) => create(name, { description: "second" }, options));
    assert.deepEqual(second.codes, [200]);
    assert.deepEqual(
      [second.result.resourceState, second.result.description, second.result.created],
      ["Stopped", "second", first.result.created],
    );
    await endpoints.beginStartAndWait(...where, name);
    // What was read can be written back.
    const read = await endpoints.get(...where, name);
    const back = await endpoints.beginCreateAndWait(...where, name, { ...read, description: "third" });
    assert.deepEqual([back.description, back.resourceState], ["third", "Running"]);
  });

  test("starting and stopping are operations that can be asked about", async () => {
    const name = fresh();
    await create(name);
    for (const [begin, reached] of [
      [endpoints.beginStart.bind(endpoints), "Running"],
      [endpoints.beginStop.bind(endpoints), "Stopped"],
    ]) {
      const { result: poller, seen } = await statuses((options) => begin(...where, name, options));
      assert.equal(seen[0].status, 202);
      for (const header of ["azure-asyncoperation", "location"]) {
        const url = seen[0].headers.get(header);
        assert.ok(url?.startsWith(`${to.armUrl}/subscriptions/`), `${header}: ${url}`);
        assert.match(url, /[?&]api-version=/);
      }
      assert.match(seen[0].headers.get("retry-after"), /^\d+$/);
      // Another process may go on where this one left off.
      const resumed = await begin(...where, name, { resumeFrom: poller.toString() });
      for (const one of [poller, resumed]) {
        await one.pollUntilDone();
        assert.ok(one.isDone());
        assert.equal(one.getOperationState().isCompleted, true);
        assert.equal(one.getOperationState().error, undefined);
      }
      assert.equal(await state(name), reached);
      // The same once more has nothing to do.
      const again = await statuses((options) => begin(...where, name, options));
      assert.deepEqual(again.codes, [200]);
      assert.ok(again.result.isDone());
    }
  });

  test("an operation is found by its id, and outlives its endpoint", async () => {
    const name = fresh();
    await create(name);
    const begun = await statuses((options) => endpoints.beginStart(...where, name, options));
    await begun.result.pollUntilDone();
    const operation = operationOf(begun.seen[0]);
    const { name: named, status, error } = await endpoints.asyncOperation(...where, operation);
    assert.deepEqual([named, status, error], [operation, "Succeeded", undefined]);
    const look = (options) => endpoints.operationLocation(...where, name, operation, options);
    assert.deepEqual((await statuses(look)).codes, [200]);
    await endpoints.beginStopAndWait(...where, name);
    await endpoints.beginDeleteAndWait(...where, name);
    assert.equal((await endpoints.asyncOperation(...where, operation)).status, "Succeeded");
    assert.deepEqual((await statuses(look)).codes, [200]);
    await refused(endpoints.asyncOperation(...where, UNKNOWN), 404);
    await refused(endpoints.operationLocation(...where, name, UNKNOWN), 404);
  });

  test("the location of an operation that is over has the endpoint", async () => {
    const name = fresh();
    await create(name);
    const begun = await statuses((options) => endpoints.beginStart(...where, name, options));
    await begun.result.pollUntilDone();
    const found = await endpoints.operationLocation(...where, name, operationOf(begun.seen[0]));
    assert.deepEqual([found.name, found.resourceState], [name, "Running"]);
  });

  test("what is not there is not found", async () => {
    const name = unique("ep").slice(0, 24);
    await refused(endpoints.beginStart(...where, name), 404);
    await refused(endpoints.beginStop(...where, name), 404);
    await refused(endpoints.beginScale(...where, name, { scaleUnit: 1 }), 404);
    await refused(endpoints.beginUpdate(...where, name, { location: "local", description: "x" }), 404);
    await refused(endpoints.skus(...where, name), 404);
  });

  test("what makes no sense is refused by name", async () => {
    const name = unique("ep").slice(0, 24);
    for (const [change, field] of [
      [{ scaleUnits: 11 }, "properties.scaleUnits"],
      [{ scaleUnits: -1 }, "properties.scaleUnits"],
      [{ scaleUnits: 1.5 }, "properties.scaleUnits"],
      [{ scaleUnits: 9_223_372_036_854_775_807 }, "properties.scaleUnits"],
      [{ description: "x".repeat(1025) }, "properties.description"],
      [{ customHostNames: Array(21).fill("media.example") }, "properties.customHostNames"],
      [{ cdnEnabled: true }, "properties.cdnEnabled"],
    ]) {
      await refused(create(name, change), 400, { field });
    }
    await refused(endpoints.get(...where, name), 404);
    await refused(endpoints.beginScale(...where, "default", { scaleUnit: 11 }), 400, { field: "scaleUnit" });
    await refused(endpoints.beginScale(...where, "default", {}), 400, { field: "scaleUnit" });
    assert.equal((await endpoints.get(...where, "default")).scaleUnits, 0);
  });
});
