// Transforms and jobs. What jobs make is for the end-to-end suite to look at: these have nothing to encode.

import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { account, all, names, newAsset, refused, skip, statuses, unique } from "./lib/headwater.mjs";

const builtIn = (presetName) => ({ odataType: "#Microsoft.Media.BuiltInStandardEncoderPreset", presetName });
const SD = builtIn("H264SingleBitrateSD");
const FINAL = ["Finished", "Error", "Canceled"];

describe("transforms", { skip }, () => {
  const { client, where } = account();
  const { transforms } = client;

  test("live through create, read, update, list and delete", async () => {
    const name = unique("transform");
    await refused(transforms.get(...where, name), 404, { says: new RegExp(`'${name}'`) });
    await refused(transforms.update(...where, name, { description: "none" }), 404);
    const outputs = [
      { preset: SD, onError: "StopProcessingJob", relativePriority: "High" },
      { preset: builtIn("AACGoodQualityAudio"), onError: "ContinueJob", relativePriority: "Low" },
    ];
    const put = (options) => transforms.createOrUpdate(...where, name, { description: "first", outputs }, options);
    const { result: made, codes } = await statuses(put);
    assert.deepEqual(codes, [201]);
    assert.deepEqual([made.name, made.description, made.outputs], [name, "first", outputs]);
    assert.equal(made.type, "Microsoft.Media/mediaservices/transforms");
    assert.ok(made.created instanceof Date);
    assert.deepEqual(made.lastModified, made.created);
    assert.deepEqual(await transforms.get(...where, name), made);
    const again = await statuses(put);
    assert.deepEqual(again.codes, [200]);
    assert.deepEqual([again.result.created, again.result.outputs], [made.created, outputs]);

    const described = await transforms.update(...where, name, { description: "second" });
    assert.deepEqual([described.description, described.outputs], ["second", outputs]);
    const narrowed = await transforms.update(...where, name, { outputs: [outputs[1]] });
    assert.deepEqual([narrowed.description, narrowed.outputs], ["second", [outputs[1]]]);
    assert.ok(narrowed.lastModified > made.created);
    // What was read can be written back.
    const back = await transforms.createOrUpdate(...where, name, narrowed);
    assert.deepEqual([back.description, back.outputs, back.created], ["second", [outputs[1]], made.created]);

    assert.deepEqual(names(await all(transforms.list(...where, { filter: `name eq '${name}'` }))), [name]);
    const deleted = await statuses((options) => transforms.delete(...where, name, options));
    const repeated = await statuses((options) => transforms.delete(...where, name, options));
    assert.deepEqual([...deleted.codes, ...repeated.codes], [200, 204]);
    await refused(transforms.get(...where, name), 404);
  });

  test("lists are filtered and ordered", async () => {
    const stem = unique("transform");
    const made = [];
    for (const letter of ["a", "b", "c"]) {
      made.push(await transforms.createOrUpdate(...where, `${stem}-${letter}`, { outputs: [{ preset: SD }] }));
    }
    const since = made[0].created.toISOString();
    const filter = `properties/created ge ${since} and startswith(name,'${stem}')`;
    const list = async (listing) => names(await all(transforms.list(...where, listing)));
    assert.deepEqual(await list({ filter, orderby: "name desc" }), names(made).toReversed());
    assert.deepEqual(await list({ filter, orderby: "properties/created" }), names(made));
    assert.deepEqual(await list({ filter: `name eq '${stem}-a' or name eq '${stem}-c'` }), [
      made[0].name,
      made[2].name,
    ]);
    await refused(list({ orderby: "properties/outputs" }), 400, { field: "$orderby" });
    for (const name of names(made)) await transforms.delete(...where, name);
  });

  test("what cannot work is refused by name", async () => {
    const name = unique("transform");
    const output = "properties.outputs[0]";
    const standard = { odataType: "#Microsoft.Media.StandardEncoderPreset", codecs: [], formats: [] };
    for (const [outputs, field] of [
      [[{ preset: builtIn("NoSuchPreset") }], `${output}.preset.presetName`],
      [[{ preset: standard }], `${output}.preset.codecs`],
      [[{ preset: SD, onError: "Panic" }], `${output}.onError`],
      [[{ preset: SD, relativePriority: "Utmost" }], `${output}.relativePriority`],
      [[{ preset: SD }, { preset: builtIn("NoSuchPreset") }], "properties.outputs[1].preset.presetName"],
      [[], "properties.outputs"],
      [Array(21).fill({ preset: SD }), "properties.outputs"],
    ]) {
      await refused(transforms.createOrUpdate(...where, name, { outputs }), 400, { field });
    }
    await refused(transforms.createOrUpdate(...where, name, { description: "x" }), 400, {
      field: "properties.outputs",
    });
    await refused(transforms.get(...where, name), 404);
  });
});

describe("jobs", { skip }, () => {
  const here = account();
  const { client, where } = here;
  const { jobs } = client;
  // One for all runs: an account may have a hundred only.
  const transform = "sdkjs-H264SingleBitrateSD";
  const asset = (assetName) => ({ odataType: "#Microsoft.Media.JobInputAsset", assetName });
  const output = (assetName) => ({ odataType: "#Microsoft.Media.JobOutputAsset", assetName });

  before(() => client.transforms.createOrUpdate(...where, transform, { outputs: [{ preset: SD }] }));

  /** A job over an asset without files. */
  async function submit(properties) {
    const name = unique("job");
    const body = {
      input: asset(await newAsset(here, "in")),
      outputs: [output(await newAsset(here, "out"))],
      ...properties,
    };
    return { name, body, made: await jobs.create(...where, transform, name, body) };
  }

  async function ended(name, of = transform) {
    for (const deadline = Date.now() + 300_000; ; await sleep(200)) {
      const job = await jobs.get(...where, of, name);
      if (FINAL.includes(job.state)) return job;
      assert.ok(Date.now() < deadline, `the job is still ${job.state}`);
    }
  }

  test("a job without files ends in an error that says so", async () => {
    const { name, body, made } = await submit({
      description: "nothing to do",
      priority: "High",
      correlationData: { order: "42", größe: "ü" },
    });
    assert.equal(made.name, name);
    assert.equal(made.type, "Microsoft.Media/mediaservices/transforms/jobs");
    assert.ok(made.id.endsWith(`/transforms/${transform}/jobs/${name}`), made.id);
    assert.equal(made.state, "Queued");
    assert.deepEqual([made.startTime, made.endTime], [undefined, undefined]);
    assert.deepEqual([made.outputs[0].state, made.outputs[0].progress], ["Queued", 0]);
    const job = await ended(name);
    assert.equal(job.state, "Error");
    assert.deepEqual([job.description, job.priority], ["nothing to do", "High"]);
    assert.deepEqual(job.correlationData, { order: "42", größe: "ü" });
    assert.deepEqual([job.input.odataType, job.input.assetName], [body.input.odataType, body.input.assetName]);
    assert.ok(job.created <= job.startTime && job.startTime <= job.endTime, JSON.stringify(job));
    assert.ok(job.lastModified >= job.endTime);
    assert.equal(job.outputs.length, 1);
    const [{ assetName, odataType, state, error, endTime }] = job.outputs;
    assert.deepEqual([odataType, assetName, state], [body.outputs[0].odataType, body.outputs[0].assetName, "Error"]);
    assert.deepEqual(endTime, job.endTime);
    assert.match(error.message, /\S+ \S+ \S+/, "a sentence");
    assert.deepEqual([error.code, error.category, error.retry], ["DownloadNotAccessible", "Download", "DoNotRetry"]);
    // It is over, so there is nothing to cancel, and it can go.
    await refused(jobs.cancelJob(...where, transform, name), 409, { code: "InvalidOperation", says: /Error/ });
    const deleted = await statuses((options) => jobs.delete(...where, transform, name, options));
    const again = await statuses((options) => jobs.delete(...where, transform, name, options));
    assert.deepEqual([...deleted.codes, ...again.codes], [200, 204]);
    await refused(jobs.get(...where, transform, name), 404, { says: new RegExp(`'${name}'`) });
  });

  test("the same request again is answered with the same job, another one is refused", async () => {
    const { name, body, made } = await submit({ correlationData: { run: "1" } });
    const { result, codes } = await statuses((options) => jobs.create(...where, transform, name, body, options));
    assert.deepEqual(codes, [201], "the client takes nothing else");
    assert.deepEqual([result.id, result.created], [made.id, made.created]);
    const other = { ...body, correlationData: { run: "2" } };
    await refused(jobs.create(...where, transform, name, other), 409, { says: new RegExp(name) });
    await ended(name);
    // So is a repetition that comes late.
    assert.deepEqual((await jobs.create(...where, transform, name, body)).created, made.created);
    await jobs.delete(...where, transform, name);
  });

  test("description and priority can be changed, nothing else", async () => {
    const { name, made } = await submit({ description: "first", correlationData: { run: "1" } });
    assert.equal(made.priority, "Normal");
    const described = await jobs.update(...where, transform, name, { description: "second" });
    assert.deepEqual([described.description, described.priority], ["second", "Normal"]);
    const urgent = await jobs.update(...where, transform, name, { priority: "High" });
    assert.deepEqual([urgent.description, urgent.priority, urgent.correlationData], ["second", "High", { run: "1" }]);
    const read = await jobs.get(...where, transform, name);
    assert.deepEqual([read.description, read.priority], ["second", "High"]);
    await refused(jobs.update(...where, transform, name, { priority: "Utmost" }), 400, {
      field: "properties.priority",
    });
    await refused(jobs.update(...where, transform, unique("none"), { priority: "Low" }), 404);
    await ended(name);
    await jobs.delete(...where, transform, name);
  });

  test("a job can be cancelled, as often as one likes", async () => {
    const { name } = await submit({ priority: "Low" });
    const cancel = (options) => jobs.cancelJob(...where, transform, name, options);
    const refusal = await cancel().catch((error) => error);
    const job = await ended(name);
    assert.equal(job.outputs[0].state, job.state);
    assert.ok(job.endTime >= job.created);
    if (job.state === "Canceled") {
      assert.equal(job.outputs[0].error, undefined);
      const { codes } = await statuses(cancel);
      assert.deepEqual(codes, [200]);
      assert.equal((await jobs.get(...where, transform, name)).state, "Canceled");
    } else {
      // A worker was quicker: nothing in this job keeps it busy.
      assert.equal(job.state, "Error");
      if (refusal) assert.deepEqual([refusal.statusCode, refusal.code], [409, "InvalidOperation"]);
    }
    await refused(jobs.cancelJob(...where, transform, unique("none")), 404);
    await jobs.delete(...where, transform, name);
  });

  test("lists are filtered and ordered", async () => {
    const made = [];
    for (let number = 0; number < 3; number++) made.push((await submit()).name);
    for (const name of made) await ended(name);
    const list = async (listing) => names(await all(jobs.list(...where, transform, listing)));
    const mine = made.map((name) => `name eq '${name}'`).join(" or ");
    assert.deepEqual(await list({ filter: mine, orderby: "properties/created" }), made);
    assert.deepEqual(await list({ filter: mine, orderby: "properties/created desc" }), made.toReversed());
    assert.deepEqual(await list({ filter: mine, orderby: "name" }), made.toSorted());
    for (const state of ["'Error'", "Microsoft.Media.JobState'Error'"]) {
      const filter = `properties/state eq ${state} and (${mine})`;
      assert.deepEqual(await list({ filter, orderby: "properties/created" }), made, state);
    }
    assert.deepEqual(await list({ filter: `properties/state ne 'Error' and (${mine})` }), []);
    const { created } = await jobs.get(...where, transform, made[0]);
    const later = `properties/created gt ${new Date(created.getTime() + 60_000).toISOString()} and (${mine})`;
    assert.deepEqual(await list({ filter: later }), []);
    await refused(list({ filter: "properties/priority eq 'High'" }), 400, { field: "$filter" });
    await refused(all(jobs.list(...where, unique("none"))), 404);
    for (const name of made) await jobs.delete(...where, transform, name);
    assert.deepEqual(await list({ filter: mine }), []);
  });

  test("jobs go with their transform", async () => {
    const own = unique("transform");
    await client.transforms.createOrUpdate(...where, own, { outputs: [{ preset: SD }] });
    const job = unique("job");
    await jobs.create(...where, own, job, {
      input: asset(await newAsset(here, "in")),
      outputs: [output(await newAsset(here, "out"))],
    });
    await ended(job, own);
    await client.transforms.delete(...where, own);
    await refused(jobs.get(...where, own, job), 404);
    await client.transforms.createOrUpdate(...where, own, { outputs: [{ preset: SD }] });
    assert.deepEqual(await all(jobs.list(...where, own)), []);
    await client.transforms.delete(...where, own);
  });

  test("a preset may be overridden, and is shown so", async () => {
    const presetOverride = builtIn("AACGoodQualityAudio");
    const { name, made } = await submit({
      outputs: [{ ...output(await newAsset(here, "out")), label: "sound", presetOverride }],
    });
    assert.deepEqual([made.outputs[0].label, made.outputs[0].presetOverride], ["sound", presetOverride]);
    await ended(name);
    await jobs.delete(...where, transform, name);
  });

  test("what cannot work is refused by name", async () => {
    const name = unique("never");
    const [source, target] = [await newAsset(here, "in"), await newAsset(here, "out")];
    const nowhere = unique("nowhere");
    const create = (body) =>
      jobs.create(...where, transform, name, { input: asset(source), outputs: [output(target)], ...body });
    const http = { odataType: "#Microsoft.Media.JobInputHttp", baseUri: "ftp://media.example/", files: ["a.mp4"] };
    const at = (time) => ({ odataType: "#Microsoft.Media.AbsoluteClipTime", time });
    const clip = { ...asset(source), start: at("PT5S"), end: at("PT1S") };
    // The time of day is for archives in assets.
    const day = { odataType: "#Microsoft.Media.UtcClipTime", time: new Date(0) };
    const web = { ...http, baseUri: "https://media.example/", start: day };
    for (const [body, field] of [
      [{ input: asset(nowhere) }, "properties.input.assetName"],
      [{ input: { ...asset(source), files: ["../up.mp4"] } }, "properties.input.files[0]"],
      [{ input: clip }, "properties.input.end"],
      [{ input: web }, "properties.input.start.@odata.type"],
      [{ input: http }, "properties.input.files[0]"],
      [{ outputs: [output(nowhere)] }, "properties.outputs[0].assetName"],
      [{ outputs: [output(source)] }, "properties.outputs[0].assetName"],
      [{ outputs: [output(target), output(nowhere)] }, "properties.outputs"],
      [{ outputs: [] }, "properties.outputs"],
      [{ priority: "Utmost" }, "properties.priority"],
      [
        { outputs: [{ ...output(target), presetOverride: builtIn("NoSuchPreset") }] },
        "properties.outputs[0].presetOverride.presetName",
      ],
    ]) {
      await refused(create(body), 400, { field });
    }
    await refused(jobs.get(...where, transform, name), 404);
    const gone = jobs.create(...where, nowhere, name, { input: asset(source), outputs: [output(target)] });
    await refused(gone, 404, { says: new RegExp(nowhere) });
  });
});
