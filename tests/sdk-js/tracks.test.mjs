// Tracks of assets: files that become subtitles and further languages.

import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import {
  UNKNOWN,
  account,
  all,
  names,
  newAsset,
  operationOf,
  refused,
  skip,
  statuses,
  unique,
  upload,
} from "./lib/headwater.mjs";

const VTT = "WEBVTT\n\n00:00.000 --> 00:02.000\nHello\n";
const text = (fileName, more = {}) => ({ track: { odataType: "#Microsoft.Media.TextTrack", fileName, ...more } });

describe("tracks", { skip }, () => {
  const here = account();
  const { client, where } = here;
  const { tracks } = client;
  let asset;

  before(async () => {
    asset = await newAsset(here, "film");
    await upload(here, asset, "en.vtt", VTT);
    await upload(here, asset, "broken.vtt", "1\n00:00:00,000 --> 00:00:01,000\n");
    await upload(here, asset, "fr.m4a", "not really one");
  });

  test("live through create, read, update, list and delete", async () => {
    const name = unique("track");
    await refused(tracks.get(...where, asset, name), 404, { says: new RegExp(`'${name}'`) });
    const wanted = text("en.vtt", { displayName: "English" });
    const made = await tracks.beginCreateOrUpdateAndWait(...where, asset, name, wanted);
    assert.equal(made.provisioningState, "Succeeded");
    assert.deepEqual(made.track, { ...wanted.track, playerVisibility: "Visible" });
    await tracks.beginCreateOrUpdateAndWait(...where, asset, name, wanted);
    assert.deepEqual(names(await all(tracks.list(...where, asset))), [name]);
    await tracks.beginUpdateAndWait(...where, asset, name, {
      track: { odataType: "#Microsoft.Media.TextTrack", playerVisibility: "Hidden", hlsSettings: { default: true } },
    });
    const changed = await tracks.get(...where, asset, name);
    assert.deepEqual(changed.track, {
      ...wanted.track,
      playerVisibility: "Hidden",
      hlsSettings: { default: true },
    });
    await tracks.beginUpdateTrackDataAndWait(...where, asset, name);
    await tracks.beginDeleteAndWait(...where, asset, name);
    await tracks.beginDeleteAndWait(...where, asset, name);
    await refused(tracks.get(...where, asset, name), 404);
  });

  test("what is done to them can be asked about", async () => {
    const name = unique("track");
    const { operationStatuses: progress, operationResults: results } = client;
    const change = { track: { odataType: "#Microsoft.Media.TextTrack", playerVisibility: "Hidden" } };
    const seen = [];
    for (const [begin, code, visibility] of [
      [(options) => tracks.beginCreateOrUpdate(...where, asset, name, text("en.vtt"), options), 201, "Visible"],
      [(options) => tracks.beginCreateOrUpdate(...where, asset, name, text("en.vtt"), options), 200, "Visible"],
      [(options) => tracks.beginUpdate(...where, asset, name, change, options), 202, "Hidden"],
      [(options) => tracks.beginUpdateTrackData(...where, asset, name, options), 202, "Hidden"],
    ]) {
      const begun = await statuses(begin);
      assert.equal(begun.codes[0], code);
      await begun.result.pollUntilDone();
      const operation = operationOf(begun.seen[0]);
      seen.push(operation);
      const { name: named, status, error } = await progress.get(...where, asset, name, operation);
      assert.deepEqual([named, status, error], [operation, "Succeeded", undefined]);
      const found = await results.get(...where, asset, name, operation);
      assert.deepEqual([found.name, found.track.fileName, found.track.playerVisibility], [name, "en.vtt", visibility]);
      await refused(progress.get(...where, asset, unique("other"), operation), 404);
    }
    assert.equal(new Set(seen).size, seen.length);
    const deleted = await statuses((options) => tracks.beginDelete(...where, asset, name, options));
    assert.equal(deleted.codes[0], 202);
    await deleted.result.pollUntilDone();
    // They outlive the track.
    for (const operation of [...seen, operationOf(deleted.seen[0])]) {
      assert.equal((await progress.get(...where, asset, name, operation)).status, "Succeeded");
      const gone = await statuses((options) => results.get(...where, asset, name, operation, options));
      assert.deepEqual(gone.codes, [204]);
    }
    await refused(progress.get(...where, asset, name, UNKNOWN), 404);
    await refused(results.get(...where, asset, name, UNKNOWN), 404);
  });

  test("audio names a file of the asset", async () => {
    const name = unique("track");
    const track = {
      odataType: "#Microsoft.Media.AudioTrack",
      fileName: "fr.m4a",
      displayName: "Français",
      languageCode: "fr",
      dashSettings: { role: "alternate" },
    };
    assert.deepEqual((await tracks.beginCreateOrUpdateAndWait(...where, asset, name, { track })).track, track);
    await tracks.beginDeleteAndWait(...where, asset, name);
  });

  test("what makes no sense is refused by name", async () => {
    const put = (body) => tracks.beginCreateOrUpdateAndWait(...where, asset, unique("track"), body);
    const field = "properties.track.fileName";
    await refused(put(text("none.vtt")), 400, { field, says: /'none.vtt' not found/ });
    await refused(put(text("broken.vtt")), 400, { field, says: /'broken.vtt' line 1/ });
    await refused(put(text("fr.m4a")), 400, { field });
    const video = { track: { odataType: "#Microsoft.Media.VideoTrack" } };
    await refused(put(video), 400, { field: "properties.track.@odata.type" });
  });

  test("files in storage are not encrypted", async () => {
    await refused(client.assets.getEncryptionKey(...where, asset), 404, { says: /not encrypted/ });
  });
});
