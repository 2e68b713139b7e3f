// Account filters and asset filters, which have the same body and the same methods.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { account, all, names, newAsset, refused, skip, statuses, unique } from "./lib/headwater.mjs";

const RANGE = { startTimestamp: 0, endTimestamp: 170_000_000, timescale: 10_000_000 };
const TRACKS = [
  {
    trackSelections: [
      { property: "Type", operation: "Equal", value: "Audio" },
      { property: "Bitrate", operation: "NotEqual", value: "0-1500000" },
    ],
  },
  { trackSelections: [{ property: "Language", operation: "Equal", value: "de-AT" }] },
];

for (const kind of ["accountFilters", "assetFilters"]) {
  describe(kind, { skip }, () => {
    const here = account();
    const { client } = here;
    const filters = client[kind];
    let where = here.where;
    // An account may have a hundred filters only, so none are left behind.
    const made = [];
    const fresh = () => {
      made.push(unique("filter"));
      return made.at(-1);
    };
    before(async () => {
      if (kind === "assetFilters") where = [...where, await newAsset(here, "filtered")];
    });
    after(async () => {
      for (const name of made) await filters.delete(...where, name);
    });

    test("live through create, read, update, list and delete", async () => {
      const name = fresh();
      await refused(filters.get(...where, name), 404, { says: new RegExp(`'${name}'`) });
      await refused(filters.update(...where, name, { firstQuality: { bitrate: 1 } }), 404);
      const wanted = { presentationTimeRange: RANGE, firstQuality: { bitrate: 128_000 }, tracks: TRACKS };
      const put = (options) => filters.createOrUpdate(...where, name, wanted, options);
      const first = await statuses(put);
      const second = await statuses(put);
      assert.deepEqual([...first.codes, ...second.codes], [201, 200]);
      for (const { result } of [first, second]) {
        assert.equal(result.name, name);
        assert.ok(result.id.endsWith(`/${kind}/${name}`), result.id);
        assert.ok(result.type.endsWith(`/${kind}`), result.type);
        assert.deepEqual(result.presentationTimeRange, RANGE);
        assert.deepEqual(result.firstQuality, { bitrate: 128_000 });
        assert.deepEqual(result.tracks, TRACKS);
      }
      assert.deepEqual(second.result.systemData.createdAt, first.result.systemData.createdAt);
      const changed = await filters.update(...where, name, { firstQuality: { bitrate: 1 } });
      assert.deepEqual(
        [changed.firstQuality.bitrate, changed.tracks, changed.presentationTimeRange],
        [1, TRACKS, RANGE],
      );
      assert.deepEqual(await filters.get(...where, name), changed);
      assert.deepEqual(
        (await all(filters.list(...where))).find((filter) => filter.name === name),
        changed,
      );
      // PUT says what the filter is.
      const bare = await filters.createOrUpdate(...where, name, { tracks: TRACKS });
      assert.deepEqual([bare.firstQuality, bare.presentationTimeRange], [undefined, undefined]);
      const deleted = await statuses((options) => filters.delete(...where, name, options));
      const again = await statuses((options) => filters.delete(...where, name, options));
      assert.deepEqual([...deleted.codes, ...again.codes], [200, 204]);
      await refused(filters.get(...where, name), 404);
      assert.ok(!names(await all(filters.list(...where))).includes(name));
    });

    test("a live window keeps every member", async () => {
      const presentationTimeRange = {
        startTimestamp: 1,
        endTimestamp: 2,
        presentationWindowDuration: 60_000,
        liveBackoffDuration: 300_000,
        timescale: 1000,
        forceEndTimestamp: true,
      };
      const filter = await filters.createOrUpdate(...where, fresh(), { presentationTimeRange });
      assert.deepEqual(filter.presentationTimeRange, presentationTimeRange);
    });

    for (const member of ["startTimestamp", "endTimestamp", "presentationWindowDuration"]) {
      test(`${member}: what JavaScript cannot hold is not set, and the rest comes back as it was`, async () => {
        const name = fresh();
        const put = (number) => filters.createOrUpdate(...where, name, { presentationTimeRange: { [member]: number } });
        const field = `properties.presentationTimeRange.${member}`;
        for (const number of [0.5, -1]) await refused(put(number), 400, { field });
        await refused(filters.get(...where, name), 404);
        // 2^63 - 1 is how AMS says "not set", and what its filters come back with. The client makes 2^63 of it before anybody sees it;
        // from 10^21 on it writes floats.
        for (const number of [9_223_372_036_854_775_807, 2 ** 63, 2 ** 64, 1e21, 1e300]) {
          const { presentationTimeRange } = await put(number);
          assert.equal(presentationTimeRange[member], 2 ** 63);
        }
        // Between 2^53 and 2^63 the client writes an integer: the shortest that it reads as the same number.
        for (const number of [Number.MAX_SAFE_INTEGER, 2 ** 53, 2 ** 62]) {
          const { presentationTimeRange } = await put(number);
          assert.equal(presentationTimeRange[member], number);
          const read = await filters.get(...where, name);
          assert.equal(read.presentationTimeRange[member], number);
        }
      });
    }

    test("what makes no sense is refused by name", async () => {
      const name = fresh();
      const range = "properties.presentationTimeRange";
      const condition = (property, operation, value) => ({
        tracks: [{ trackSelections: [{ property, operation, value }] }],
      });
      const selection = "properties.tracks[0].trackSelections[0]";
      for (const [body, field] of [
        [{ presentationTimeRange: { startTimestamp: 2, endTimestamp: 1 } }, `${range}.endTimestamp`],
        [{ presentationTimeRange: { timescale: 0 } }, `${range}.timescale`],
        [{ presentationTimeRange: { forceEndTimestamp: true } }, `${range}.forceEndTimestamp`],
        [{ presentationTimeRange: { presentationWindowDuration: 1 } }, `${range}.presentationWindowDuration`],
        [{ presentationTimeRange: { liveBackoffDuration: 301, timescale: 1 } }, `${range}.liveBackoffDuration`],
        [{ firstQuality: { bitrate: -1 } }, "properties.firstQuality.bitrate"],
        [condition("Colour", "Equal", "red"), `${selection}.property`],
        [condition("Type", "Like", "Audio"), `${selection}.operation`],
        [condition("Type", "Equal", "Smell"), `${selection}.value`],
        [condition("Bitrate", "Equal", "fast"), `${selection}.value`],
        [{ tracks: [{ trackSelections: [] }] }, "properties.tracks[0].trackSelections"],
      ]) {
        await refused(filters.createOrUpdate(...where, name, body), 400, { field });
      }
      await refused(filters.createOrUpdate(...where, "a b", {}), 400, { field: "name" });
      await refused(filters.get(...where, name), 404);
    });
  });
}

describe("asset filters and their assets", { skip }, () => {
  const here = account();
  const { client, where } = here;

  test("belong to one asset and go with it", async () => {
    const [one, other] = [await newAsset(here), await newAsset(here)];
    await client.assetFilters.createOrUpdate(...where, one, "mine", { firstQuality: { bitrate: 1 } });
    assert.deepEqual(names(await all(client.assetFilters.list(...where, one))), ["mine"]);
    assert.deepEqual(await all(client.assetFilters.list(...where, other)), []);
    await refused(client.assetFilters.get(...where, other, "mine"), 404);
    await refused(client.accountFilters.get(...where, "mine"), 404);
    await client.assets.delete(...where, one);
    await refused(client.assetFilters.get(...where, one, "mine"), 404);
    await client.assets.createOrUpdate(...where, one, {});
    assert.deepEqual(await all(client.assetFilters.list(...where, one)), []);
  });

  test("need an asset that is there", async () => {
    const gone = unique("none");
    const says = new RegExp(`Asset '${gone}'`);
    await refused(client.assetFilters.createOrUpdate(...where, gone, "mine", {}), 404, { says });
    await refused(all(client.assetFilters.list(...where, gone)), 404, { says });
    await refused(client.assetFilters.get(...where, gone, "mine"), 404, { says });
  });
});
