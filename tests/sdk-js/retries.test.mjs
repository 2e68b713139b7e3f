// Lost requests and lost answers: the unmodified client repeats what it got no answer to, up to four times in all, and
// whatever it does ends well and is done once.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { account, all, clientOf, names, newAsset, refused, skip, unique, upload } from "./lib/headwater.mjs";
import { liveWorker, withoutWorker } from "./lib/live-worker.mjs";
import { unreliable } from "./lib/unreliable.mjs";

const FAULTS = {
  500: { status: 500, after: false },
  "503 with Retry-After": { status: 503, after: false, retryAfter: 1 },
  "429 with Retry-After": { status: 429, after: false, retryAfter: 1 },
  "no answer": { after: false },
  "done, then 500": { status: 500, after: true },
  "done, then 503 with Retry-After": { status: 503, after: true, retryAfter: 1 },
  "done, then no answer": { after: true },
  "done, then 500, three times": { status: 500, after: true, times: 3 },
};

const VTT = "WEBVTT\n\n00:00.000 --> 00:02.000\nHello\n";
const SD = { odataType: "#Microsoft.Media.BuiltInStandardEncoderPreset", presetName: "H264SingleBitrateSD" };

/** What a client does in one of the lives below: `client` fails first, `sure` does not. */
function lives({ to, client, sure, where, repeated }) {
  const direct = { to, client: sure, where };
  const created = (end, again = 200) => {
    const [first, ...rest] = repeated("PUT", end);
    assert.equal(first, 201, end);
    assert.deepEqual(new Set(rest), new Set(rest.length > 0 ? [again] : []), end);
  };
  const deleted = (end, gone = 200) => {
    const [first, ...rest] = repeated("DELETE", end);
    assert.equal(first, gone, end);
    assert.ok(rest.every((status) => status === 204), `${end}: ${rest}`);
  };
  const one = async (list, name) => {
    const found = (await all(list)).filter((item) => item.name === name);
    assert.equal(found.length, 1, name);
    return found[0];
  };

  return {
    async assets() {
      const [name, { assets, assetFilters: filters, tracks }] = [unique("asset"), client];
      const made = await assets.createOrUpdate(...where, name, { description: "first", alternateId: "a" });
      created(`/assets/${name}`);
      const found = await one(sure.assets.list(...where, { filter: `name eq '${name}'` }), name);
      assert.deepEqual([found.assetId, found.container], [made.assetId, made.container]);
      assert.equal((await assets.update(...where, name, { description: "second" })).alternateId, "a");
      repeated("PATCH", `/assets/${name}`);
      const wanted = { permissions: "ReadWrite", expiryTime: new Date(Date.now() + 3600_000) };
      const { assetContainerSasUrls: urls } = await assets.listContainerSas(...where, name, wanted);
      repeated("POST", `/assets/${name}/listContainerSas`);
      assert.ok(urls.length > 0 && urls.every((url) => url.includes(made.container)));
      await upload(direct, name, "en.vtt", VTT);

      await filters.createOrUpdate(...where, name, "low", { firstQuality: { bitrate: 1 } });
      created(`/assets/${name}/assetFilters/low`);
      await filters.update(...where, name, "low", { firstQuality: { bitrate: 2 } });
      assert.equal((await one(sure.assetFilters.list(...where, name), "low")).firstQuality.bitrate, 2);
      await filters.delete(...where, name, "low");
      deleted(`/assets/${name}/assetFilters/low`);

      const track = { odataType: "#Microsoft.Media.TextTrack", fileName: "en.vtt" };
      await tracks.beginCreateOrUpdateAndWait(...where, name, "en", { track });
      created(`/assets/${name}/tracks/en`);
      const hidden = { track: { odataType: track.odataType, playerVisibility: "Hidden" } };
      await tracks.beginUpdateAndWait(...where, name, "en", hidden);
      await tracks.beginUpdateTrackDataAndWait(...where, name, "en");
      assert.equal((await one(sure.tracks.list(...where, name), "en")).track.playerVisibility, "Hidden");
      await tracks.beginDeleteAndWait(...where, name, "en");
      deleted(`/assets/${name}/tracks/en`, 202);
      assert.deepEqual(await all(sure.tracks.list(...where, name)), []);
      await assets.delete(...where, name);
      deleted(`/assets/${name}`);
      await refused(sure.assets.get(...where, name), 404);
    },

    async "filters of the account"() {
      const [name, { accountFilters: filters }] = [unique("filter"), client];
      await filters.createOrUpdate(...where, name, { firstQuality: { bitrate: 1 } });
      created(`/accountFilters/${name}`);
      await filters.update(...where, name, { firstQuality: { bitrate: 2 } });
      assert.equal((await one(sure.accountFilters.list(...where), name)).firstQuality.bitrate, 2);
      await filters.delete(...where, name);
      deleted(`/accountFilters/${name}`);
    },

    async "policies and locators"() {
      const { contentKeyPolicies: policies, streamingPolicies, streamingLocators: locators } = client;
      const [keys, policy, locator] = [unique("keys"), unique("policy"), unique("loc")];
      const option = {
        name: "clear",
        configuration: { odataType: "#Microsoft.Media.ContentKeyPolicyClearKeyConfiguration" },
        restriction: { odataType: "#Microsoft.Media.ContentKeyPolicyOpenRestriction" },
      };
      const made = await policies.createOrUpdate(...where, keys, { options: [option] });
      created(`/contentKeyPolicies/${keys}`);
      const found = await one(sure.contentKeyPolicies.list(...where, { filter: `name eq '${keys}'` }), keys);
      assert.deepEqual([found.policyId, found.options], [made.policyId, made.options]);
      assert.equal(found.options.length, 1);
      await policies.update(...where, keys, { description: "d" });
      assert.equal((await sure.contentKeyPolicies.get(...where, keys)).description, "d");
      assert.equal((await policies.getPolicyPropertiesWithSecrets(...where, keys)).options.length, 1);

      const enabledProtocols = { download: false, dash: true, hls: true, smoothStreaming: false };
      await streamingPolicies.create(...where, policy, { noEncryption: { enabledProtocols } });
      created(`/streamingPolicies/${policy}`, 201);
      await one(sure.streamingPolicies.list(...where), policy);
      await streamingPolicies.delete(...where, policy);
      deleted(`/streamingPolicies/${policy}`);

      const assetName = await newAsset(direct, "film");
      const wanted = { assetName, streamingPolicyName: "Predefined_ClearKey", defaultContentKeyPolicyName: keys };
      const { streamingLocatorId } = await locators.create(...where, locator, wanted);
      created(`/streamingLocators/${locator}`, 201);
      const { streamingLocators: ofAsset } = await client.assets.listStreamingLocators(...where, assetName);
      assert.deepEqual(
        ofAsset.map((one) => one.streamingLocatorId),
        [streamingLocatorId],
      );
      // The key that was made is the one that is given out.
      const { contentKeys } = await locators.listContentKeys(...where, locator);
      assert.equal(contentKeys.length, 1);
      assert.deepEqual((await sure.streamingLocators.listContentKeys(...where, locator)).contentKeys, contentKeys);
      await locators.listPaths(...where, locator);
      await locators.delete(...where, locator);
      deleted(`/streamingLocators/${locator}`);
      await policies.delete(...where, keys);
      deleted(`/contentKeyPolicies/${keys}`);
      await refused(sure.contentKeyPolicies.get(...where, keys), 404);
    },

    async "transforms and jobs"() {
      const [transform, job, { transforms, jobs }] = [unique("transform"), unique("job"), client];
      await transforms.createOrUpdate(...where, transform, { outputs: [{ preset: SD }] });
      created(`/transforms/${transform}`);
      await transforms.update(...where, transform, { description: "d" });
      await one(sure.transforms.list(...where, { filter: `name eq '${transform}'` }), transform);
      const body = {
        input: { odataType: "#Microsoft.Media.JobInputAsset", assetName: await newAsset(direct, "in") },
        outputs: [{ odataType: "#Microsoft.Media.JobOutputAsset", assetName: await newAsset(direct, "out") }],
      };
      const made = await jobs.create(...where, transform, job, body);
      created(`/transforms/${transform}/jobs/${job}`, 201);
      assert.deepEqual((await one(sure.jobs.list(...where, transform), job)).created, made.created);
      await jobs.update(...where, transform, job, { priority: "High" });
      for (const deadline = Date.now() + 120_000; ; await sleep(200)) {
        const found = await sure.jobs.get(...where, transform, job);
        assert.equal(found.priority, "High");
        if (found.state === "Error") break;
        assert.ok(Date.now() < deadline, found.state);
      }
      await jobs.delete(...where, transform, job);
      deleted(`/transforms/${transform}/jobs/${job}`);
      assert.deepEqual(await all(sure.jobs.list(...where, transform)), []);
      await transforms.delete(...where, transform);
      deleted(`/transforms/${transform}`);
    },

    async "streaming endpoints"() {
      const [name, { streamingEndpoints: endpoints }] = [unique("ep").slice(0, 24), client];
      const made = await endpoints.beginCreateAndWait(...where, name, { location: "local", scaleUnits: 1 });
      created(`/streamingEndpoints/${name}`);
      assert.deepEqual((await one(sure.streamingEndpoints.list(...where), name)).created, made.created);
      await endpoints.beginUpdateAndWait(...where, name, { location: "local", description: "d" });
      await endpoints.beginScaleAndWait(...where, name, { scaleUnit: 2 });
      for (const [begin, action, state] of [
        [endpoints.beginStartAndWait, "start", "Running"],
        [endpoints.beginStopAndWait, "stop", "Stopped"],
      ]) {
        await begin(...where, name);
        const [first, ...rest] = repeated("POST", `/streamingEndpoints/${name}/${action}`);
        assert.equal(first, 202);
        assert.ok(rest.every((status) => status === 200));
        assert.equal((await sure.streamingEndpoints.get(...where, name)).resourceState, state);
      }
      const { description, scaleUnits } = await sure.streamingEndpoints.get(...where, name);
      assert.deepEqual([description, scaleUnits], ["d", 2]);
      await endpoints.beginDeleteAndWait(...where, name);
      deleted(`/streamingEndpoints/${name}`);
    },

    async "live events"() {
      const [name, { liveEvents: events, liveOutputs: outputs }] = [unique("ev").slice(0, 32), client];
      const event = { location: "local", input: { streamingProtocol: "RTMP" }, description: "first" };
      const made = await events.beginCreateAndWait(...where, name, event);
      created(`/liveEvents/${name}`);
      const found = await one(sure.liveEvents.list(...where), name);
      // The token that the encoder was told is the one that is asked for.
      assert.deepEqual([found.created, found.input.accessToken], [made.created, made.input.accessToken]);
      await events.beginUpdateAndWait(...where, name, { location: "local", description: "second" });
      for (const [begin, action, state] of [
        [events.beginAllocateAndWait, "allocate", "StandBy"],
        [events.beginStartAndWait, "start", "Running"],
        [events.beginResetAndWait, "reset", "Running"],
      ]) {
        await begin(...where, name);
        repeated("POST", `/liveEvents/${name}/${action}`);
        assert.equal((await sure.liveEvents.get(...where, name)).resourceState, state);
      }
      const recording = { assetName: await newAsset(direct, "rec"), archiveWindowLength: "PT1H" };
      await outputs.beginCreateAndWait(...where, name, "main", recording);
      created(`/liveEvents/${name}/liveOutputs/main`);
      assert.deepEqual(names(await all(sure.liveOutputs.list(...where, name))), ["main"]);
      await outputs.beginDeleteAndWait(...where, name, "main");
      repeated("DELETE", `/liveEvents/${name}/liveOutputs/main`);
      assert.deepEqual(await all(sure.liveOutputs.list(...where, name)), []);
      await events.beginStopAndWait(...where, name, { removeOutputsOnStop: true });
      repeated("POST", `/liveEvents/${name}/stop`);
      const { resourceState, description } = await sure.liveEvents.get(...where, name);
      assert.deepEqual([resourceState, description], ["Stopped", "second"]);
      await events.beginDeleteAndWait(...where, name);
      deleted(`/liveEvents/${name}`);
    },

    async accounts() {
      const [name, { mediaservices: services }] = [unique("a").replaceAll("-", "").slice(0, 20), client];
      const [group, existing] = where;
      const { location, storageAccounts } = await sure.mediaservices.get(...where);
      const tags = { tag: name };
      assert.deepEqual((await services.beginUpdateAndWait(...where, { tags })).tags, tags);
      assert.equal(repeated("PATCH", `/mediaservices/${existing}`).at(-1), 202);
      await services.syncStorageKeys(...where, { id: storageAccounts[0].id });
      const { mediaServiceId } = await services.beginCreateOrUpdateAndWait(group, name, { location });
      created(`/mediaservices/${name}`);
      assert.equal((await one(sure.mediaservices.list(group), name)).mediaServiceId, mediaServiceId);
      await services.delete(group, name);
      deleted(`/mediaservices/${name}`);
    },
  };
}

const NEEDS_WORKER = "live events";

for (const [what, fault] of Object.entries(FAULTS)) {
  describe(`when the way fails: ${what}`, { skip }, () => {
    const here = account();
    const { to, client: sure, where } = here;

    /** Each life has a way of its own; they are lived at the same time, for most of it is waiting. */
    test("what is asked for is done, and done once", { concurrency: true }, async (t) => {
      const worker = withoutWorker ? undefined : liveWorker(to);
      try {
        await Promise.all(
          Object.keys(lives({ where })).map((life) =>
            t.test(life, { skip: life === NEEDS_WORKER && withoutWorker }, async () => {
              const way = await unreliable(to, fault);
              // As often as it does by itself, and sooner.
              const retryOptions = { retryDelayInMs: 20 };
              const client = clientOf({ ...to, armUrl: way.url }, undefined, undefined, { retryOptions });
              // What Headwater answered to one write, which it got as often as it was sent, or once.
              const repeated = (method, end) => {
                const of = (one) => one.method === method && one.path.toLowerCase().endsWith(end.toLowerCase());
                const seen = way.done.filter(of).map(({ status }) => status);
                assert.equal(seen.length, fault.after ? 1 + (fault.times ?? 1) : 1, `${method} ${end}: ${seen}`);
                assert.ok(seen.every((status) => status >= 200 && status < 300), `${method} ${end}: ${seen}`);
                return seen;
              };
              try {
                await lives({ to, client, sure, where, repeated })[life]();
              } finally {
                await way.close();
              }
            }),
          ),
        );
      } finally {
        await worker?.end();
      }
    });
  });
}
