// Streaming policies and streaming locators.

import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { randomUUID } from "node:crypto";
import { UUID, account, all, names, newAsset, refused, skip, statuses, unique, upload } from "./lib/headwater.mjs";

const protocols = (...enabled) =>
  Object.fromEntries(["download", "dash", "hls", "smoothStreaming"].map((name) => [name, enabled.includes(name)]));
const clear = (...enabled) => ({ noEncryption: { enabledProtocols: protocols(...enabled) } });

describe("streaming policies", { skip }, () => {
  const here = account();
  const { client, where } = here;
  const policies = client.streamingPolicies;

  test("the predefined ones are there and stay as they are", async () => {
    for (const [name, enabled] of [
      ["Predefined_DownloadOnly", ["download"]],
      ["Predefined_ClearStreamingOnly", ["dash", "hls", "smoothStreaming"]],
      ["Predefined_DownloadAndClearStreaming", ["download", "dash", "hls", "smoothStreaming"]],
    ]) {
      const policy = await policies.get(...where, name);
      assert.deepEqual([policy.name, policy.noEncryption], [name, clear(...enabled).noEncryption]);
      assert.equal(policy.type, "Microsoft.Media/mediaservices/streamingPolicies");
      await refused(policies.delete(...where, name), 400, { says: /predefined/i });
      await refused(policies.create(...where, name, clear("hls")), 400, { says: /Predefined_/ });
    }
    const aes = await policies.get(...where, "Predefined_ClearKey");
    assert.deepEqual(aes.envelopeEncryption.enabledProtocols, protocols("dash", "hls", "smoothStreaming"));
    assert.equal(aes.envelopeEncryption.contentKeys.defaultKey.label, "ContentKey_AES");
    const drm = await policies.get(...where, "Predefined_MultiDrmStreaming");
    assert.equal(drm.commonEncryptionCenc.contentKeys.defaultKey.label, "ContentKey_CENC");
    assert.equal(drm.commonEncryptionCbcs.contentKeys.defaultKey.label, "ContentKey_CBCS");
    assert.equal(drm.commonEncryptionCbcs.drm.fairPlay.allowPersistentLicense, false);
    const cenc = await policies.get(...where, "Predefined_MultiDrmCencStreaming");
    assert.deepEqual([cenc.commonEncryptionCbcs, cenc.noEncryption], [undefined, undefined]);
    const listed = names(await all(policies.list(...where, { filter: "startswith(name,'Predefined_')" })));
    assert.deepEqual(listed, [
      "Predefined_ClearKey",
      "Predefined_ClearStreamingOnly",
      "Predefined_DownloadAndClearStreaming",
      "Predefined_DownloadOnly",
      "Predefined_MultiDrmCencStreaming",
      "Predefined_MultiDrmStreaming",
    ]);
  });

  test("one's own live through create, read, list and delete, and never change", async () => {
    const name = unique("policy");
    await refused(policies.get(...where, name), 404, { says: new RegExp(`'${name}'`) });
    const put = (options) => policies.create(...where, name, clear("hls", "download"), options);
    const made = await statuses(put);
    const again = await statuses(put);
    assert.deepEqual([...made.codes, ...again.codes], [201, 201], "the client takes nothing else");
    assert.deepEqual(again.result, made.result);
    assert.deepEqual(made.result.noEncryption.enabledProtocols, protocols("hls", "download"));
    assert.ok(made.result.created instanceof Date);
    assert.deepEqual(await policies.get(...where, name), made.result);
    await refused(policies.create(...where, name, clear("hls")), 409, { says: new RegExp(`'${name}'`) });

    const locator = unique("locator");
    await client.streamingLocators.create(...where, locator, {
      assetName: await newAsset(here),
      streamingPolicyName: name,
    });
    await refused(policies.delete(...where, name), 409, { says: new RegExp(locator) });
    await client.streamingLocators.delete(...where, locator);
    const deleted = await statuses((options) => policies.delete(...where, name, options));
    const repeated = await statuses((options) => policies.delete(...where, name, options));
    assert.deepEqual([...deleted.codes, ...repeated.codes], [200, 204]);
    await refused(policies.get(...where, name), 404);
  });

  test("lists are filtered, ordered and paged, predefined and own ones together", async () => {
    const stem = `Predefinee-${unique("policy")}`;
    const made = [`${stem}-1`, `${stem}-2`];
    for (const name of made) await policies.create(...where, name, clear("dash"));
    const filter = `startswith(name,'Predefined_') or startswith(name,'${stem}')`;
    const pages = await all(policies.list(...where, { filter, top: 3, orderby: "name" }).byPage());
    assert.deepEqual(
      pages.map((page) => page.length),
      [3, 3, 2],
    );
    assert.deepEqual(names(pages.flat()).slice(6), made);
    const newest = names(await all(policies.list(...where, { filter, orderby: "properties/created desc" })));
    assert.deepEqual(newest.slice(0, 2), made.toReversed());
    for (const name of made) await policies.delete(...where, name);
  });

  test("what makes no sense is refused by name", async () => {
    const create = (body) => policies.create(...where, unique("policy"), body);
    await refused(create({}), 400);
    await refused(create({ noEncryption: {} }), 400, { field: "properties.noEncryption.enabledProtocols" });
  });
});

describe("streaming locators", { skip }, () => {
  const here = account();
  const { client, where } = here;
  const locators = client.streamingLocators;
  const policy = "Predefined_DownloadAndClearStreaming";
  let assetName;

  before(async () => {
    assetName = await newAsset(here, "film");
  });

  test("live through create, read, list and delete, and never change", async () => {
    const name = unique("locator");
    await refused(locators.get(...where, name), 404, { says: new RegExp(`'${name}'`) });
    const startTime = new Date("2029-05-06T07:08:09.123Z");
    const endTime = new Date("2031-05-06T07:08:09.000Z");
    const wanted = { assetName, streamingPolicyName: policy, startTime, endTime, alternativeMediaId: "film-1" };
    const put = (options) => locators.create(...where, name, wanted, options);
    const { result: made, codes } = await statuses(put);
    const again = await statuses(put);
    assert.deepEqual([...codes, ...again.codes], [201, 201], "the client takes nothing else");
    assert.deepEqual(again.result, made);
    assert.equal(made.name, name);
    assert.equal(made.type, "Microsoft.Media/mediaservices/streamingLocators");
    for (const [member, value] of Object.entries(wanted)) assert.deepEqual(made[member], value, member);
    assert.match(made.streamingLocatorId, UUID);
    assert.deepEqual([made.contentKeys, made.filters], [[], []]);
    assert.equal(made.defaultContentKeyPolicyName, undefined);
    assert.deepEqual(await locators.get(...where, name), made);
    assert.deepEqual(names(await all(locators.list(...where, { filter: `name eq '${name}'` }))), [name]);

    for (const change of [
      { endTime: new Date("2032-01-01") },
      { streamingPolicyName: "Predefined_DownloadOnly" },
      { assetName: await newAsset(here) },
    ]) {
      await refused(locators.create(...where, name, { ...wanted, ...change }), 409, { says: new RegExp(`'${name}'`) });
    }
    assert.deepEqual(await locators.get(...where, name), made);
    const deleted = await statuses((options) => locators.delete(...where, name, options));
    const repeated = await statuses((options) => locators.delete(...where, name, options));
    assert.deepEqual([...deleted.codes, ...repeated.codes], [200, 204]);
    await refused(locators.get(...where, name), 404);
    await refused(locators.listPaths(...where, name), 404);
    await refused(locators.listContentKeys(...where, name), 404);
  });

  test("an id may be chosen, once", async () => {
    const [name, other] = [unique("locator"), unique("locator")];
    const streamingLocatorId = randomUUID();
    const wanted = { assetName, streamingPolicyName: policy, streamingLocatorId };
    const made = await locators.create(...where, name, wanted);
    assert.equal(made.streamingLocatorId, streamingLocatorId);
    await refused(locators.create(...where, other, wanted), 409, { says: new RegExp(streamingLocatorId) });
    await locators.delete(...where, name);
    // Whoever moves a locator to another name keeps its URLs.
    assert.equal((await locators.create(...where, other, wanted)).streamingLocatorId, streamingLocatorId);
    await locators.delete(...where, other);
  });

  test("one without an end lasts until the end of time", async () => {
    const name = unique("locator");
    const made = await locators.create(...where, name, { assetName, streamingPolicyName: policy });
    assert.equal(made.startTime, undefined);
    assert.equal(made.endTime.getUTCFullYear(), 9999);
    // Read and written back, that is still no end: the same request.
    const { endTime } = made;
    assert.deepEqual(await locators.create(...where, name, { assetName, streamingPolicyName: policy, endTime }), made);
    await locators.delete(...where, name);
  });

  test("paths are those of the files there are and the protocols that the policy allows", async () => {
    const film = await newAsset(here, "film");
    const made = new Map();
    for (const streamingPolicyName of [policy, "Predefined_ClearStreamingOnly", "Predefined_DownloadOnly"]) {
      made.set(
        streamingPolicyName,
        await locators.create(...where, unique("locator"), { assetName: film, streamingPolicyName }),
      );
    }
    const paths = (streamingPolicyName) => locators.listPaths(...where, made.get(streamingPolicyName).name);
    for (const name of made.keys()) {
      assert.deepEqual(await paths(name), { streamingPaths: [], downloadPaths: [], drm: {} }, "nothing is there yet");
    }
    await upload(here, film, "my film.mp4", "not really one");
    const streaming = (id) =>
      [
        ["Hls", "(format=m3u8-cmaf)", "(format=m3u8-aapl)"],
        ["Dash", "(format=mpd-time-cmaf)", "(format=mpd-time-csf)"],
        ["SmoothStreaming", ""],
      ].map(([streamingProtocol, ...formats]) => ({
        streamingProtocol,
        encryptionScheme: "NoEncryption",
        paths: formats.map((format) => `/${id}/my%20film.ism/manifest${format}`),
      }));
    const both = made.get(policy).streamingLocatorId;
    assert.deepEqual(await paths(policy), {
      streamingPaths: streaming(both),
      downloadPaths: [`/${both}/my%20film.mp4`],
      drm: {},
    });
    const stream = made.get("Predefined_ClearStreamingOnly").streamingLocatorId;
    assert.deepEqual(await paths("Predefined_ClearStreamingOnly"), {
      streamingPaths: streaming(stream),
      downloadPaths: [],
      drm: {},
    });
    const download = made.get("Predefined_DownloadOnly").streamingLocatorId;
    assert.deepEqual(await paths("Predefined_DownloadOnly"), {
      streamingPaths: [],
      downloadPaths: [`/${download}/my%20film.mp4`],
      drm: {},
    });
    for (const { name } of made.values()) {
      assert.deepEqual(
        await locators.listContentKeys(...where, name),
        { contentKeys: [] },
        "clear content has no keys",
      );
      await locators.delete(...where, name);
    }
  });

  test("lists are filtered, ordered and paged", async () => {
    const stem = unique("locator");
    const film = await newAsset(here, "film");
    const made = [];
    for (let number = 0; number < 5; number++) {
      const endTime = new Date(Date.UTC(2030 + number, 0, 1));
      made.push(`${stem}-${number}`);
      await locators.create(...where, made[number], { assetName: film, streamingPolicyName: policy, endTime });
    }
    const filter = `name ge '${stem}' and name lt '${stem}-9'`;
    const list = (listing) => locators.list(...where, listing);
    const pages = await all(list({ filter, top: 2, orderby: "name" }).byPage());
    assert.deepEqual(pages.map(names), [made.slice(0, 2), made.slice(2, 4), made.slice(4)]);
    assert.deepEqual(names(await all(list({ filter, orderby: "properties/endTime desc", top: 2 }))), made.toReversed());
    const [from, to] = ["2031-01-01T00:00:00Z", "2033-01-01T00:00:00.000Z"];
    const ends = `${filter} and properties/endTime ge ${from} and properties/endTime lt ${to}`;
    assert.deepEqual(names(await all(list({ filter: ends, orderby: "name" }))), made.slice(1, 3));
    await refused(all(list({ filter: "properties/filters eq 'x'" })), 400, { field: "$filter" });
    for (const name of made) await locators.delete(...where, name);
  });

  test("what makes no sense is refused by name", async () => {
    const name = unique("locator");
    for (const [change, field] of [
      [{ assetName: unique("none") }, "properties.assetName"],
      [{ streamingPolicyName: unique("none") }, "properties.streamingPolicyName"],
      [{ startTime: new Date("2031-01-01"), endTime: new Date("2030-01-01") }, "properties.endTime"],
      [{ filters: [unique("none")] }, "properties.filters[0]"],
      [{ defaultContentKeyPolicyName: unique("none") }, "properties.defaultContentKeyPolicyName"],
      [{ assetName: undefined }, "properties.assetName"],
      [{ streamingPolicyName: undefined }, "properties.streamingPolicyName"],
    ]) {
      await refused(locators.create(...where, name, { assetName, streamingPolicyName: policy, ...change }), 400, {
        field,
      });
    }
    await refused(locators.get(...where, name), 404);
  });

  test("a filter in use stays until its locator goes", async () => {
    const [name, filter] = [unique("locator"), unique("filter")];
    await client.accountFilters.createOrUpdate(...where, filter, { firstQuality: { bitrate: 1 } });
    const wanted = { assetName, streamingPolicyName: policy, filters: [filter] };
    assert.deepEqual((await locators.create(...where, name, wanted)).filters, [filter]);
    await refused(client.accountFilters.delete(...where, filter), 409, { says: new RegExp(`'${name}'`) });
    await locators.delete(...where, name);
    await client.accountFilters.delete(...where, filter);
  });
});

describe("locators with keys", { skip }, () => {
  const here = account();
  const { client, where } = here;
  const locators = client.streamingLocators;
  const [keys, own] = [unique("keys"), unique("policy")];
  const kinds = ["ClearKey", "Widevine"];
  const label = { defaultKey: { label: "own" } };
  const tracks = [{ trackSelections: [{ property: "FourCC", operation: "Equal", value: "mp4a" }] }];
  let assetName;

  before(async () => {
    assetName = await newAsset(here, "film");
    await client.contentKeyPolicies.createOrUpdate(...where, keys, {
      options: kinds.map((kind) => ({
        name: kind,
        configuration: {
          odataType: `#Microsoft.Media.ContentKeyPolicy${kind}Configuration`,
          ...(kind === "Widevine" ? { widevineTemplate: "{}" } : {}),
        },
        restriction: { odataType: "#Microsoft.Media.ContentKeyPolicyOpenRestriction" },
      })),
    });
    await client.streamingPolicies.create(...where, own, {
      defaultContentKeyPolicyName: keys,
      commonEncryptionCenc: {
        enabledProtocols: protocols("dash"),
        contentKeys: { ...label, keyToTrackMappings: [{ label: "sound", tracks }] },
        drm: { widevine: { customLicenseAcquisitionUrlTemplate: "https://drm.example/{ContentKeyId}" } },
      },
    });
  });

  test("policies that encrypt read back as they were written", async () => {
    const { commonEncryptionCenc: cenc, ...policy } = await client.streamingPolicies.get(...where, own);
    assert.equal(policy.defaultContentKeyPolicyName, keys);
    assert.deepEqual(cenc.contentKeys, { ...label, keyToTrackMappings: [{ label: "sound", tracks }] });
    assert.equal(cenc.drm.widevine.customLicenseAcquisitionUrlTemplate, "https://drm.example/{ContentKeyId}");
  });

  test("keys are made once, and listed with their values", async () => {
    const name = unique("locator");
    const wanted = { assetName, streamingPolicyName: "Predefined_ClearKey", defaultContentKeyPolicyName: keys };
    const made = await locators.create(...where, name, wanted);
    assert.equal(made.defaultContentKeyPolicyName, keys);
    const listed = await locators.listContentKeys(...where, name);
    assert.equal(listed.contentKeys.length, 1);
    const [key] = listed.contentKeys;
    assert.match(key.id, UUID);
    assert.equal(Buffer.from(key.value, "base64").length, 16);
    assert.deepEqual(
      [key.type, key.labelReferenceInStreamingPolicy, key.policyName],
      ["EnvelopeEncryption", "ContentKey_AES", keys],
    );
    assert.deepEqual(await locators.create(...where, name, wanted), made);
    assert.deepEqual(await locators.listContentKeys(...where, name), listed);
    await refused(client.contentKeyPolicies.delete(...where, keys), 409, { says: new RegExp(`'${name}'`) });
    await locators.delete(...where, name);
  });

  test("keys that are brought along are kept, and never another's", async () => {
    const [name, other] = [unique("locator"), unique("locator")];
    const value = Buffer.alloc(16, 7).toString("base64");
    const key = { id: randomUUID(), value, labelReferenceInStreamingPolicy: "own" };
    const wanted = { assetName, streamingPolicyName: own, contentKeys: [key] };
    const made = await locators.create(...where, name, wanted);
    assert.equal(made.contentKeys[0].id, key.id);
    assert.equal(made.contentKeys[0].value, undefined, "a plain answer shows no key");
    const { contentKeys } = await locators.listContentKeys(...where, name);
    assert.deepEqual(
      contentKeys.map((shown) => shown.labelReferenceInStreamingPolicy),
      ["own", "sound"],
    );
    assert.equal(contentKeys[0].value, value);
    assert.deepEqual(contentKeys[1].tracks, tracks);
    const changed = { ...key, value: Buffer.alloc(16, 8).toString("base64") };
    await refused(locators.create(...where, name, { ...wanted, contentKeys: [changed] }), 409);
    await refused(locators.create(...where, other, { ...wanted, contentKeys: [changed] }), 409, {
      says: new RegExp(key.id),
    });
    await refused(locators.create(...where, other, { ...wanted, contentKeys: [{ ...key, value: "AAAA" }] }), 400, {
      field: "properties.contentKeys[0].value",
    });
    await locators.delete(...where, name);
  });

  test("paths say how they are encrypted", async () => {
    const name = unique("locator");
    await upload(here, assetName, "film.mp4", "not really one");
    const made = await locators.create(...where, name, { assetName, streamingPolicyName: own });
    assert.deepEqual((await locators.listPaths(...where, name)).streamingPaths, [
      {
        streamingProtocol: "Dash",
        encryptionScheme: "CommonEncryptionCenc",
        paths: ["mpd-time-cmaf", "mpd-time-csf"].map(
          (format) => `/${made.streamingLocatorId}/film.ism/manifest(format=${format},encryption=cenc)`,
        ),
      },
    ]);
    await locators.delete(...where, name);
  });

  test("what a key policy lacks is said", async () => {
    await refused(
      locators.create(...where, unique("locator"), {
        assetName,
        streamingPolicyName: "Predefined_MultiDrmCencStreaming",
        defaultContentKeyPolicyName: keys,
      }),
      400,
      { field: "properties.defaultContentKeyPolicyName", says: /PlayReady/ },
    );
  });
});
