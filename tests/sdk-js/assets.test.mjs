// Assets, the containers behind them, and lists of them.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { getContinuationToken } from "@azure/arm-mediaservices";
import {
  UUID,
  account,
  all,
  names,
  newAsset,
  refused,
  skip,
  statuses,
  storage,
  unique,
  upload,
} from "./lib/headwater.mjs";

const hour = 3600_000;

describe("assets", { skip }, () => {
  const here = account();
  const { to, client, where } = here;
  const { assets } = client;

  test("live through create, read, update, list and delete", async () => {
    const name = unique("asset");
    await refused(assets.get(...where, name), 404, { says: new RegExp(`'${name}'`) });
    await refused(assets.update(...where, name, { description: "none" }), 404);
    const before = Date.now() - 1000;
    const { result: made, codes } = await statuses((options) =>
      assets.createOrUpdate(...where, name, { description: "first", alternateId: "a-1" }, options),
    );
    assert.deepEqual(codes, [201]);
    assert.deepEqual([made.name, made.description, made.alternateId], [name, "first", "a-1"]);
    assert.equal(made.type, "Microsoft.Media/mediaservices/assets");
    assert.ok(made.id.endsWith(`/mediaservices/${to.accountName}/assets/${name}`), made.id);
    assert.match(made.assetId, UUID);
    assert.equal(made.container, `asset-${made.assetId}`);
    assert.ok(made.storageAccountName);
    assert.equal(made.storageEncryptionFormat, "None");
    assert.ok(made.created >= before && made.created <= Date.now() + 1000, String(made.created));
    assert.deepEqual(made.lastModified, made.created);
    assert.deepEqual(await assets.get(...where, name), made);

    const repeated = await statuses((options) =>
      assets.createOrUpdate(...where, name, { description: "first", alternateId: "a-1" }, options),
    );
    assert.deepEqual(repeated.codes, [200]);
    const { assetId, container, created } = repeated.result;
    assert.deepEqual(
      { assetId, container, created },
      { assetId: made.assetId, container: made.container, created: made.created },
    );

    const patched = await assets.update(...where, name, { description: "second" });
    assert.deepEqual([patched.description, patched.alternateId, patched.assetId], ["second", "a-1", made.assetId]);
    assert.ok(patched.lastModified > made.created);
    // PUT says what the asset is: what it does not mention is gone.
    const put = await assets.createOrUpdate(...where, name, { description: "third" });
    assert.deepEqual([put.description, put.alternateId, put.assetId], ["third", undefined, made.assetId]);

    assert.deepEqual(names(await all(assets.list(...where, { filter: `name eq '${name}'` }))), [name]);
    const deleted = await statuses((options) => assets.delete(...where, name, options));
    const again = await statuses((options) => assets.delete(...where, name, options));
    assert.deepEqual([...deleted.codes, ...again.codes], [200, 204]);
    await refused(assets.get(...where, name), 404);
    assert.deepEqual(await all(assets.list(...where, { filter: `name eq '${name}'` })), []);
  });

  test("what was read can be written back", async () => {
    const name = await newAsset(here, "back", { description: "first", alternateId: "kept" });
    const read = await assets.get(...where, name);
    read.description = "second";
    const written = await assets.createOrUpdate(...where, name, read);
    const { lastModified: _, systemData: __, ...rest } = read;
    const { lastModified: ___, systemData: ____, ...found } = written;
    assert.deepEqual(found, rest);
  });

  test("names may hold what has to be escaped in a URL", async () => {
    const name = `${unique("größe")} 1 (a=b;c@d,e!f$)~ü`;
    await assets.createOrUpdate(...where, name, {});
    assert.equal((await assets.get(...where, name)).name, name);
    assert.deepEqual(names(await all(assets.list(...where, { filter: `name eq '${name}'` }))), [name]);
    await assets.delete(...where, name);
    for (const bad of ["a/b", "a%b", "a?b", "a#b", "a'b", " a", "x".repeat(261)]) {
      await refused(assets.createOrUpdate(...where, bad, {}), 400, { field: "name" });
    }
  });

  test("what may not change, or is too long, is refused by name", async () => {
    const name = await newAsset(here, "fixed");
    const change = (properties) => assets.update(...where, name, properties);
    await refused(change({ container: "another-one" }), 400, { field: "properties.container" });
    await refused(change({ storageAccountName: "another" }), 400, { field: "properties.storageAccountName" });
    await refused(change({ alternateId: "x".repeat(65) }), 400, { field: "properties.alternateId" });
    await refused(change({ description: "x".repeat(4097) }), 400, { field: "properties.description" });
    const make = (properties) => assets.createOrUpdate(...where, unique("never"), properties);
    await refused(make({ container: "Not A Container" }), 400, { field: "properties.container" });
    await refused(make({ storageAccountName: "another" }), 400, { field: "properties.storageAccountName" });
  });

  // The limit is set before the API sees the request; the client finds code and message all the same.
  test("a body that is too long is refused as everything else is", async () => {
    const call = assets.createOrUpdate(...where, unique("never"), { description: "x".repeat(2 ** 20) });
    await refused(call, 413, { code: "RequestEntityTooLarge" });
  });

  test("many requests at once do no harm to each other", async () => {
    const stem = unique("many");
    const wanted = Array.from({ length: 10 }, (_, number) => `${stem}-${number}`);
    const made = await Promise.all(wanted.map((name) => assets.createOrUpdate(...where, name, {})));
    assert.deepEqual(names(made), wanted);
    assert.equal(new Set(made.map(({ container }) => container)).size, wanted.length);
    // Whoever loses a race for the same name meets the asset that won.
    const same = await Promise.all(
      wanted.map(() => assets.createOrUpdate(...where, stem, { description: "one of many" })),
    );
    assert.equal(new Set(same.map(({ assetId }) => assetId)).size, 1);
    await Promise.all([...wanted, stem, stem].map((name) => assets.delete(...where, name)));
    assert.deepEqual(await all(assets.list(...where, { filter: `startswith(name,'${stem}')` })), []);
  });

  test("a container may be chosen", async () => {
    const container = unique("box");
    const name = await newAsset(here, "chosen", { container });
    assert.equal((await assets.get(...where, name)).container, container);
  });

  test("lists are filtered, ordered and paged", async () => {
    const stem = unique("page");
    const made = [];
    for (let number = 0; number < 7; number++) {
      made.push(`${stem}-${number}`);
      await assets.createOrUpdate(...where, made[number], { alternateId: `${stem}-${number % 2}` });
    }
    const filter = `name ge '${stem}' and name lt '${stem}-9'`;
    const list = (options) => assets.list(...where, { filter, ...options });

    assert.deepEqual(names(await all(list())), made);
    assert.deepEqual(names(await all(list({ top: 2 }))), made, "over all pages");
    const pages = await all(list({ top: 3, orderby: "name" }).byPage());
    assert.deepEqual(pages.map(names), [made.slice(0, 3), made.slice(3, 6), made.slice(6)]);
    const backwards = await all(list({ top: 3, orderby: "name desc" }).byPage());
    assert.deepEqual(backwards.flatMap(names), made.toReversed());
    assert.deepEqual(names(await all(list({ top: 2, orderby: "properties/created desc" }))), made.toReversed());
    // A page that is exactly full is the last one if nothing follows.
    assert.equal((await all(list({ top: 7 }).byPage())).length, 1);

    const odd = await all(
      assets.list(...where, { filter: `properties/alternateId eq '${stem}-1'`, orderby: "name", top: 2 }),
    );
    assert.deepEqual(names(odd), [made[1], made[3], made[5]]);
    const two = await all(assets.list(...where, { filter: `name eq '${made[0]}' or name eq '${made[4]}'` }));
    assert.deepEqual(names(two), [made[0], made[4]]);
    const { assetId } = await assets.get(...where, made[2]);
    assert.deepEqual(names(await all(assets.list(...where, { filter: `properties/assetId eq '${assetId}'` }))), [
      made[2],
    ]);
    const later = `${filter} and properties/created gt ${new Date(Date.now() + hour).toISOString()}`;
    assert.deepEqual(await all(assets.list(...where, { filter: later })), []);
  });

  test("a list goes on from a page's token, whatever was added or taken away meanwhile", async () => {
    const stem = unique("token");
    const make = (number) => assets.createOrUpdate(...where, `${stem}-${number}`, {});
    for (const number of [1, 3, 5, 7]) await make(number);
    const filter = `name ge '${stem}' and name lt '${stem}-9'`;
    const first = (
      await assets
        .list(...where, { filter, top: 2 })
        .byPage()
        .next()
    ).value;
    assert.deepEqual(names(first), [`${stem}-1`, `${stem}-3`]);
    const continuationToken = getContinuationToken(first);
    assert.ok(continuationToken.startsWith(`${to.armUrl}/subscriptions/`), continuationToken);
    await make(2);
    await make(4);
    await assets.delete(...where, `${stem}-3`);
    const rest = await all(assets.list(...where).byPage({ continuationToken }));
    assert.deepEqual(rest.map(names), [[`${stem}-4`, `${stem}-5`], [`${stem}-7`]]);
    assert.equal(getContinuationToken(rest.at(-1)), undefined);
  });

  test("a list that cannot be made is refused by the parameter's name", async () => {
    for (const filter of ["size eq 1", "name is 'a'", "name eq 'a", "properties/created gt 'yesterday'"]) {
      await refused(all(assets.list(...where, { filter })), 400, { field: "$filter" });
    }
    for (const orderby of ["size", "name up"]) {
      await refused(all(assets.list(...where, { orderby })), 400, { field: "$orderby" });
    }
    for (const top of [0, -1]) await refused(all(assets.list(...where, { top })), 400, { field: "$top" });
  });

  test("a container's signed URL allows what was asked for and no more", async () => {
    const asset = await newAsset(here, "sas");
    await upload(here, asset, "a.txt", "hello");
    const sas = (permissions, ahead = hour) =>
      assets.listContainerSas(...where, asset, { permissions, expiryTime: new Date(Date.now() + ahead) });
    const { assetContainerSasUrls: urls } = await sas("Read");
    // AMS gave one for each of its two keys.
    assert.equal(urls.length, 2);
    const { container } = await assets.get(...where, asset);
    for (const url of urls) {
      assert.ok(new URL(url).pathname.endsWith(`/${container}`), url);
      assert.deepEqual(await storage(to, "GET", url, { blob: "a.txt" }), { status: 200, text: "hello" });
    }
    const listed = await storage(to, "GET", urls[0], { query: "restype=container&comp=list" });
    assert.equal(listed.status, 200);
    assert.match(listed.text, /<Name>a\.txt<\/Name>/);
    const put = { blob: "b.txt", headers: { "x-ms-blob-type": "BlockBlob" }, body: "b" };
    assert.equal((await storage(to, "PUT", urls[0], put)).status, 403);
    const [writable] = (await sas("ReadWrite")).assetContainerSasUrls;
    assert.equal((await storage(to, "PUT", writable, put)).status, 201);
    assert.equal((await storage(to, "DELETE", writable, { blob: "b.txt" })).status, 403);
    const [deletable] = (await sas("ReadWriteDelete")).assetContainerSasUrls;
    assert.equal((await storage(to, "DELETE", deletable, { blob: "b.txt" })).status, 202);

    await refused(sas("Everything"), 400, { field: "permissions" });
    await refused(sas("Read", 48 * hour), 400, { field: "expiryTime" });
    await refused(sas("Read", -hour), 400, { field: "expiryTime" });
    const gone = assets.listContainerSas(...where, unique("none"), {
      permissions: "Read",
      expiryTime: new Date(Date.now() + hour),
    });
    await refused(gone, 404);
  });

  test("know their locators and take them along", async () => {
    const asset = await newAsset(here, "published");
    assert.deepEqual((await assets.listStreamingLocators(...where, asset)).streamingLocators, []);
    const locator = unique("locator");
    const startTime = new Date("2030-01-01T00:00:00.000Z");
    const made = await client.streamingLocators.create(...where, locator, {
      assetName: asset,
      streamingPolicyName: "Predefined_ClearStreamingOnly",
      startTime,
    });
    const { streamingLocators } = await assets.listStreamingLocators(...where, asset);
    assert.deepEqual(streamingLocators, [
      {
        name: locator,
        assetName: asset,
        created: made.created,
        startTime,
        endTime: made.endTime,
        streamingLocatorId: made.streamingLocatorId,
        streamingPolicyName: "Predefined_ClearStreamingOnly",
      },
    ]);
    await assets.delete(...where, asset);
    await refused(client.streamingLocators.get(...where, locator), 404);
    await refused(assets.listStreamingLocators(...where, asset), 404);
  });
});
