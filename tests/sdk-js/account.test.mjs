// The account itself, and signing in to it.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { randomUUID } from "node:crypto";
import { ClientSecretCredential } from "@azure/identity";
import {
  UNKNOWN,
  UUID,
  account,
  all,
  clientOf,
  names,
  operationOf,
  refused,
  skip,
  staticToken,
  statuses,
} from "./lib/headwater.mjs";

describe("the account", { skip }, () => {
  const { to, client, where } = account();
  const [group, name] = where;

  test("is found by name, in its resource group and in its subscription", async () => {
    const found = await client.mediaservices.get(...where);
    assert.equal(found.name, name);
    assert.equal(found.type, "Microsoft.Media/mediaservices");
    assert.equal(
      found.id,
      `/subscriptions/${to.subscriptionId}/resourceGroups/${group}/providers/Microsoft.Media/mediaservices/${name}`,
    );
    assert.match(found.mediaServiceId, UUID);
    assert.ok(found.location);
    assert.equal(found.provisioningState, "Succeeded");
    assert.equal(found.publicNetworkAccess, "Enabled");
    assert.equal(found.encryption.type, "SystemKey");
    assert.deepEqual(found.keyDelivery.accessControl, { defaultAction: "Allow", ipAllowList: [] });
    assert.deepEqual(found.privateEndpointConnections, []);
    assert.ok(found.systemData.createdAt instanceof Date && found.systemData.createdAt <= new Date());
    const primary = found.storageAccounts.filter(({ type }) => type === "Primary");
    assert.equal(primary.length, 1);
    assert.match(primary[0].id, /\/providers\/Microsoft\.Storage\/storageAccounts\/[^/]+$/);

    const find = (accounts) => accounts.find((one) => one.name === name);
    assert.deepEqual(find(await all(client.mediaservices.list(group))), found);
    assert.deepEqual(find(await all(client.mediaservices.listBySubscription())), found);
  });

  test("is not found under another name, group or subscription", async () => {
    await refused(client.mediaservices.get(group, "nobody"), 404, { says: /'nobody'/ });
    await refused(client.mediaservices.get("nowhere", name), 404);
    await refused(client.assets.get("nowhere", name, "anything"), 404);
    assert.deepEqual(await all(client.mediaservices.list("nowhere")), []);
    const elsewhere = clientOf(to, undefined, randomUUID());
    assert.deepEqual(await all(elsewhere.mediaservices.listBySubscription()), []);
    await refused(elsewhere.mediaservices.get(...where), 404);
  });

  test("operations say what could be granted", async () => {
    const { value } = await client.operations.list();
    assert.ok(value.length > 0);
    assert.equal(new Set(names(value)).size, value.length);
    assert.ok(names(value).includes("Microsoft.Media/mediaservices/assets/read"));
    for (const { name: operation, display } of value) {
      assert.match(operation, /^Microsoft\.Media\/mediaservices(\/\w+)+$/);
      for (const shown of ["provider", "resource", "operation", "description"]) assert.ok(display[shown], operation);
    }
  });

  test("a name is available if it is well-formed and free", async () => {
    const { location } = await client.mediaservices.get(...where);
    const check = (wanted) => client.locations.checkNameAvailability(location, { name: wanted, type: "mediaservices" });
    const taken = await check(name);
    assert.deepEqual([taken.nameAvailable, taken.reason], [false, "AlreadyExists"]);
    assert.ok(taken.message.includes(name));
    for (const bad of ["ab", "has space", "UPPER", "a".repeat(25)]) {
      const { nameAvailable, reason, message } = await check(bad);
      assert.deepEqual([nameAvailable, reason], [false, "Invalid"], bad);
      assert.ok(message);
    }
    assert.equal((await check(`a${randomUUID().replaceAll("-", "").slice(0, 20)}`)).nameAvailable, true);
    const nameless = client.locations.checkNameAvailability(location, { type: "mediaservices" });
    await refused(nameless, 400, { field: "name" });
  });

  test("a change can be asked about", async () => {
    const { location, id } = await client.mediaservices.get(...where);
    const { mediaServicesOperationStatuses: progress, mediaServicesOperationResults: results } = client;
    const tags = { tag: randomUUID() };
    const { result: poller, seen } = await statuses((options) =>
      client.mediaservices.beginUpdate(...where, { tags }, options),
    );
    assert.equal(seen[0].status, 202);
    assert.deepEqual((await poller.pollUntilDone()).tags, tags);
    const operation = operationOf(seen[0]);
    const { name: named, status, error } = await progress.get(location, operation);
    assert.deepEqual([named, status, error], [operation, "Succeeded", undefined]);
    const result = await results.get(location, operation);
    assert.deepEqual([result.id, result.tags], [id, tags]);
    await refused(progress.get(location, UNKNOWN), 404);
    await refused(results.get(location, UNKNOWN), 404);

    const more = { ...tags, more: "x" };
    assert.deepEqual((await client.mediaservices.beginUpdateAndWait(...where, { tags: more })).tags, more);
    // What was read can be written back.
    const read = await client.mediaservices.get(...where);
    assert.deepEqual((await client.mediaservices.beginCreateOrUpdateAndWait(...where, read)).tags, more);
    const moved = client.mediaservices.beginUpdateAndWait(...where, { publicNetworkAccess: "Disabled" });
    await refused(moved, 400, { field: "properties.publicNetworkAccess" });
  });

  test("another one comes and goes", async () => {
    const other = `sdkjs${randomUUID().replaceAll("-", "").slice(0, 12)}`;
    const { location } = await client.mediaservices.get(...where);
    const create = (options) =>
      client.mediaservices.beginCreateOrUpdateAndWait(group, other, { location, tags: { of: other } }, options);
    const first = await statuses(create);
    const second = await statuses(create);
    assert.deepEqual([first.codes[0], second.codes[0]], [201, 200]);
    for (const { result } of [first, second]) {
      assert.deepEqual([result.name, result.provisioningState, result.tags], [other, "Succeeded", { of: other }]);
    }
    assert.ok(names(await all(client.mediaservices.list(group))).includes(other));
    const remove = (options) => client.mediaservices.delete(group, other, options);
    assert.deepEqual([...(await statuses(remove)).codes, ...(await statuses(remove)).codes], [200, 204]);
    await refused(client.mediaservices.get(group, other), 404);
    const own = client.mediaservices.delete(...where);
    await refused(own, 409, { code: "InvalidOperation", says: /part of this installation/ });
    const far = client.mediaservices.beginCreateOrUpdate(group, other, { location: "mars" });
    await refused(far, 400, { field: "location" });
    await refused(client.mediaservices.get(group, other), 404);
  });

  test("storage keys are in step, and there are no edge modules", async () => {
    const { storageAccounts } = await client.mediaservices.get(...where);
    const sync = await statuses((options) =>
      client.mediaservices.syncStorageKeys(...where, { id: storageAccounts[0].id }, options),
    );
    assert.deepEqual(sync.codes, [200]);
    const unknown = storageAccounts[0].id.replace(/[^/]+$/, "nobody");
    await refused(client.mediaservices.syncStorageKeys(...where, { id: unknown }), 400, { field: "id" });
    const policies = await client.mediaservices.listEdgePolicies(...where, { deviceId: "d" });
    assert.equal(policies.usageDataCollectionPolicy, undefined);
  });

  test("there are no private links", async () => {
    const { privateLinkResources: links, privateEndpointConnections: connections } = client;
    assert.deepEqual((await links.list(...where)).value, []);
    await refused(links.get(...where, "keydelivery"), 404);
    const wanted = { privateLinkServiceConnectionState: { status: "Approved" } };
    await refused(connections.createOrUpdate(...where, "mine", wanted), 400, { field: "properties" });
    await refused(connections.get(...where, "mine"), 404);
    assert.deepEqual((await connections.list(...where)).value, []);
    assert.deepEqual((await statuses((options) => connections.delete(...where, "mine", options))).codes, [204]);
  });
});

describe("signing in", { skip }, () => {
  const { to, where } = account();
  // As a script does that ran against Azure: only where it signs in and whom it trusts is new.
  const secret = (clientId, clientSecret) =>
    new ClientSecretCredential(to.tenantId, clientId, clientSecret, {
      authorityHost: to.armUrl,
      disableInstanceDiscovery: true,
      tlsOptions: to.tls,
    });

  test("with client id and secret", async () => {
    const client = clientOf(to, secret(to.clientId, to.clientSecret));
    const endpoints = await all(client.streamingEndpoints.list(...where));
    assert.ok(names(endpoints).includes("default"));
    assert.equal((await client.mediaservices.get(...where)).name, where[1]);
  });

  test("a token of @azure/identity says how long it lasts", async () => {
    const { token, expiresOnTimestamp } = await secret(to.clientId, to.clientSecret).getToken(`${to.armUrl}/.default`);
    assert.equal(token.split(".").length, 3);
    const seconds = (expiresOnTimestamp - Date.now()) / 1000;
    assert.ok(seconds > 3000 && seconds <= 3660, `${seconds} s`);
  });

  for (const [what, make] of [
    ["secret", () => secret(to.clientId, "not the secret at all")],
    ["client id", () => secret("nobody", to.clientSecret)],
  ]) {
    test(`a wrong ${what} is refused with the reason`, async () => {
      const call = clientOf(to, make()).mediaservices.get(...where);
      await assert.rejects(call, ({ name, message }) => {
        assert.match(name, /^Authentication/);
        assert.match(message, /client id or secret is wrong/);
        return true;
      });
    });
  }

  test("a wrong token is refused", async () => {
    const forged = `${to.token.slice(0, -4)}AAAA`;
    for (const token of ["x", "not.a.token", forged]) {
      await refused(clientOf(to, staticToken(token)).mediaservices.get(...where), 401, { says: /token/ });
    }
  });
});
