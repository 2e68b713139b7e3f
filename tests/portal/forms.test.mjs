// Every form, filled in and sent: what it makes is what the API then says, and what the API refuses stands at its field.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { createServer } from "node:http";
import { createHmac, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { launch } from "./lib/browser.mjs";
import { call, connection, demo, makeFilm, media } from "./lib/headwater.mjs";
import { copyDemo, must, putFile } from "./lib/media.mjs";
import { openPortal, plays } from "./lib/portal.mjs";

describe("forms of the portal", () => {
  let browser;
  let to;
  const run = randomUUID().slice(0, 6);

  before(
    async () => {
      to = connection();
      browser = await launch();
      await demo(to);
    },
    { timeout: 5 * 60_000 },
  );
  after(() => browser?.close());

  /** Opens `place` and the form behind `button`. */
  async function opened(place, button, options = {}) {
    const found = await openPortal(browser, to, place, options);
    await found.page.getByRole("button", { name: button, exact: true }).first().click();
    const form = found.page.getByRole("dialog");
    await form.locator("form").waitFor();
    return { ...found, form };
  }

  /** What the API says of something in the project. */
  async function read(path) {
    const { status, body } = await call(to, "GET", media(to, path));
    assert.equal(status, 200, `GET ${path} answered ${status}: ${JSON.stringify(body)}`);
    return body;
  }

  /** The complaint stands below this field, which has the focus. */
  async function complained(form, label, words) {
    const field = form.getByLabel(label, { exact: true });
    await form.page().waitForFunction(() => document.activeElement?.getAttribute("aria-invalid") === "true");
    assert.equal(await field.getAttribute("aria-invalid"), "true", `${label} is marked`);
    const described = await field.evaluate((element) =>
      (element.getAttribute("aria-describedby") ?? "")
        .split(" ")
        .map((id) => document.getElementById(id)?.textContent)
        .join(" "),
    );
    assert.match(described, words);
  }

  test("a project is made, switched to, renamed, and a name that is taken or refused stays to be corrected", async () => {
    const name = `portal-${run}`;
    const { context, page, form } = await opened("/projects", "New project");
    await form.getByLabel("Name", { exact: true }).fill("No Such Name");
    await form.getByRole("button", { name: "Make project" }).click();
    await complained(form, "Name", /lower-case letters/);
    await form.getByLabel("Name", { exact: true }).fill(to.project);
    await form.getByRole("button", { name: "Make project" }).click();
    await complained(form, "Name", /There is a project/);
    await form.getByLabel("Name", { exact: true }).fill(name);
    await form.getByLabel("Shown as").fill("Films of the tests");
    await form.getByRole("button", { name: "Make project" }).click();
    await page.getByRole("heading", { level: 1, name }).waitFor();
    const project = async () => (await call(to, "GET", `/api/v1/projects/${name}`)).body;
    assert.equal((await project()).spec.displayName, "Films of the tests");
    // The one that was shown is as it was: nothing is switched before somebody asks for it.
    assert.equal(await page.getByLabel("Project", { exact: true }).inputValue(), to.project);
    await page.getByRole("button", { name: "Switch to Films of the tests" }).click();
    await page.getByText("a new project has none").waitFor();
    assert.equal(await page.getByLabel("Project", { exact: true }).inputValue(), name);
    await page.getByRole("button", { name: "Rename" }).click();
    await form.getByLabel("Shown as").fill(`Renamed ${run}`);
    await form.getByRole("button", { name: "Save" }).click();
    await page.locator(".facts").getByText(`Renamed ${run}`).waitFor();
    assert.equal((await project()).spec.displayName, `Renamed ${run}`);
    await page.getByLabel("Project", { exact: true }).locator("option", { hasText: `Renamed ${run}` }).waitFor({ state: "attached" });
    await page.goto(`${to.portalUrl}/#/projects`);
    const row = page.getByRole("table", { name: "Projects" }).getByRole("row", { name: `Renamed ${run}` });
    await row.getByText("shown now").waitFor();
    await context.close();
  });

  test("a transform has outputs of every kind, refused fields are told where they are, and it is changed afterwards", async (t) => {
    const name = `forms-${run}`;
    t.after(() => call(to, "DELETE", media(to, `/transforms/${name}`)));
    const { context, page, form } = await opened("/transforms", "New transform");
    await form.getByLabel("Name", { exact: true }).fill(name);
    await form.getByLabel("Ladder", { exact: true }).selectOption("ContentAwareEncoding");
    await form.locator("summary", { hasText: "Limits" }).click();
    await form.getByLabel("Height at most").fill("360");
    await form.getByLabel("kbit/s at most").fill("900");
    // An encode of one's own, with a wrong bit rate in its second quality.
    await form.getByRole("button", { name: "Another output" }).click();
    const second = form.getByRole("group", { name: "Output 2" });
    await second.getByLabel("An encode of your own").check();
    const quality = second.getByRole("group", { name: "Quality 2" });
    await quality.getByLabel("kbit/s", { exact: true }).fill("500000");
    await second.getByLabel("Sound", { exact: true }).selectOption("DD");
    await second.getByLabel("Sound, kbit/s").fill("192");
    // The poster that comes with pictures, and a sheet beside it.
    await second.getByRole("button", { name: "More thumbnails" }).click();
    const sheet = second.getByRole("group", { name: "Thumbnail 2" });
    await sheet.getByLabel("Every").fill("2");
    await sheet.getByLabel("Columns").fill("4");
    await form.getByRole("button", { name: "Another output" }).click();
    const third = form.getByRole("group", { name: "Output 3" });
    await third.getByRole("radio", { name: /^JSON/ }).check();
    const json = third.getByLabel("Preset", { exact: true });
    await json.fill("{ not JSON");
    await form.getByRole("button", { name: "Make transform" }).click();
    await complained(form, "Preset", /This is not JSON/);
    await json.fill(JSON.stringify({ "@odata.type": "#Microsoft.Media.BuiltInAssetConverterPreset", presetName: "CopyTopBitrateInterleaved", tune: "film" }));
    await form.getByRole("button", { name: "Make transform" }).click();
    // The API reads outputs in order: the second one's fault first.
    await page.waitForFunction(() => document.activeElement?.getAttribute("aria-invalid") === "true");
    assert.equal(await quality.getByLabel("kbit/s", { exact: true }).getAttribute("aria-invalid"), "true");
    assert.equal(await form.locator("[aria-invalid=true]").count(), 1);
    await quality.getByLabel("kbit/s", { exact: true }).fill("500");
    // What is wrong in a part that is folded up is unfolded.
    const more = quality.locator("summary", { hasText: "More" });
    await more.click();
    await quality.getByLabel("Frame rate").fill("often");
    await more.click();
    await quality.getByLabel("Frame rate").waitFor({ state: "hidden" });
    await form.getByRole("button", { name: "Make transform" }).click();
    await quality.getByLabel("Frame rate").waitFor();
    await page.waitForFunction(() => document.activeElement?.getAttribute("aria-invalid") === "true");
    assert.ok(await quality.getByLabel("Frame rate").evaluate((field) => field === document.activeElement));
    await quality.getByLabel("Frame rate").fill("25");
    await form.getByRole("button", { name: "Make transform" }).click();
    await complained(form, "Preset", /tune/);
    await json.fill(JSON.stringify({ "@odata.type": "#Microsoft.Media.BuiltInAssetConverterPreset", presetName: "CopyTopBitrateInterleaved" }));
    await third.getByLabel("When it fails").selectOption("ContinueJob");
    await form.getByRole("button", { name: "Make transform" }).click();
    await page.getByRole("heading", { level: 1, name }).waitFor();
    const outputs = async () => (await read(`/transforms/${name}`)).properties.outputs;
    const [ladder, own, copy] = await outputs();
    assert.deepEqual(ladder.preset.configurations, { maxHeight: 360, maxBitrateBps: 900_000 });
    assert.deepEqual(
      own.preset.codecs.map((codec) => codec["@odata.type"].split(".").at(-1)),
      ["H264Video", "DDAudio", "JpgImage", "JpgImage"],
    );
    assert.equal(own.preset.codecs[0].layers[1].bitrate, 500_000);
    assert.deepEqual([own.preset.codecs[3].spriteColumn, own.preset.codecs[3].step], [4, "PT2S"]);
    assert.equal(copy.onError, "ContinueJob");
    const table = page.getByRole("table", { name: "Outputs" });
    await table.getByText("Encode of its own").waitFor();
    await table.getByText("Copy: the best only").waitFor();
    // What was made by forms is changed in the same forms.
    await page.getByRole("button", { name: "Change" }).click();
    await form.getByRole("button", { name: "Remove output 3" }).click();
    assert.equal(await second.getByRole("group", { name: "Quality 2" }).getByLabel("kbit/s", { exact: true }).inputValue(), "500");
    await second.getByLabel("Sound", { exact: true }).selectOption("None");
    await form.getByRole("button", { name: "Save transform" }).click();
    await form.waitFor({ state: "detached" });
    const changed = await outputs();
    assert.equal(changed.length, 2);
    assert.equal(changed[1].preset.codecs.length, 3);
    // A name that is taken makes nothing anew.
    await page.goto(`${to.portalUrl}/#/transforms`);
    await page.getByRole("button", { name: "New transform" }).click();
    await form.getByLabel("Name", { exact: true }).fill(name);
    await form.getByRole("button", { name: "Make transform" }).click();
    await complained(form, "Name", /There is a transform/);
    assert.equal((await outputs()).length, 2);
    await context.close();
  });

  test("an encode reads a part of a file elsewhere, and each output has its asset: a film, and pictures", { timeout: 15 * 60_000 }, async (t) => {
    const name = `http-${run}`;
    const film = makeFilm(6);
    const server = createServer((request, response) => {
      const [from, until] = (request.headers.range ?? "").match(/\d+/g)?.map(Number) ?? [0];
      const end = Math.min(until ?? film.length - 1, film.length - 1);
      const part = { "content-length": end - from + 1, "accept-ranges": "bytes", "content-type": "video/mp4" };
      if (request.headers.range === undefined) response.writeHead(200, part);
      else response.writeHead(206, { ...part, "content-range": `bytes ${from}-${end}/${film.length}` });
      response.end(request.method === "HEAD" ? undefined : film.subarray(from, end + 1));
    });
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    t.after(() => server.close());
    const { context, page, form, problems } = await opened("/transforms", "New transform");
    await form.getByLabel("Name", { exact: true }).fill(name);
    const only = form.getByRole("group", { name: "Output 1" });
    await only.getByLabel("An encode of your own").check();
    await only.getByRole("button", { name: "Remove quality 2" }).click();
    const quality = only.getByRole("group", { name: "Quality 1" });
    await quality.getByLabel("Width", { exact: true }).fill("320");
    await quality.getByLabel("Height", { exact: true }).fill("180");
    await quality.getByLabel("kbit/s", { exact: true }).fill("300");
    await form.getByRole("button", { name: "Another output" }).click();
    const pictures = form.getByRole("group", { name: "Output 2" });
    await pictures.getByRole("button", { name: "More thumbnails" }).click();
    await pictures.getByRole("group", { name: "Thumbnail 2" }).getByLabel("Every").fill("1");
    await form.getByRole("button", { name: "Make transform" }).click();
    await page.getByRole("heading", { level: 1, name }).waitFor();

    await page.goto(`${to.portalUrl}/#/jobs`);
    await page.getByRole("button", { name: "New encode" }).click();
    await form.getByLabel("What is encoded").selectOption("http");
    await form.getByLabel("Transform").selectOption(name);
    await form.getByLabel("Addresses of the files").fill(`http://127.0.0.1:${server.address().port}/film.mp4?secret=1`);
    await form.getByLabel("How much of it").selectOption("film");
    await form.getByLabel("From", { exact: true }).fill("soon");
    await form.getByLabel("To", { exact: true }).fill("0:04");
    await form.getByLabel("Job name").fill(name);
    await form.getByLabel("Output asset 1").fill(`${name}-film`);
    await form.getByLabel("Output asset 2").fill(`${name}-pictures`);
    await form.getByRole("button", { name: "Start encode" }).click();
    await complained(form, "From", /1:30/);
    await form.getByLabel("From", { exact: true }).fill("0:01.5");
    await form.getByRole("button", { name: "Start encode" }).click();
    await page.getByRole("heading", { level: 1, name }).waitFor();
    await page.locator(".facts .state", { hasText: "Finished" }).waitFor({ timeout: 300_000 });
    const { properties } = await read(`/transforms/${name}/jobs/${name}`);
    assert.equal(properties.input["@odata.type"], "#Microsoft.Media.JobInputHttp");
    assert.deepEqual([properties.input.start.time, properties.input.end.time], ["PT1.5S", "PT4S"]);
    // What follows the question mark is the fetcher's alone.
    assert.ok(!(await page.locator("main").innerText()).includes("secret"));
    const files = async (asset) => (await read(`/assets/${asset}/storage`)).spec.files.map(({ name }) => name);
    const encoded = await files(`${name}-film`);
    // One quality, in which is the sound, too.
    assert.ok(encoded.some((file) => file.endsWith(".ism")) && encoded.filter((file) => file.endsWith(".mp4")).length === 1, encoded.join());
    const made = await files(`${name}-pictures`);
    assert.ok(made.some((file) => file.endsWith(".vtt")) && made.filter((file) => file.endsWith(".jpg")).length === 2, made.join());
    // Of a job that made one of two, that one is published.
    await page.route(`**/jobs/${name}`, async (route) => {
      const answer = await route.fetch();
      const job = await answer.json();
      job.properties.state = "Error";
      Object.assign(job.properties.outputs[0], { state: "Error", error: { code: "ServiceError", message: "no", details: [] } });
      await route.fulfill({ response: answer, json: job });
    });
    await page.reload();
    await page.getByRole("button", { name: "Publish the result" }).click();
    await form.getByRole("button", { name: "Publish", exact: true }).waitFor();
    assert.equal(await form.getByLabel("Output", { exact: true }).count(), 0);
    await form.getByRole("button", { name: "Publish", exact: true }).click();
    await page.getByRole("heading", { level: 1, name: new RegExp(`^${name}-pictures-`) }).waitFor();
    await page.unroute(`**/jobs/${name}`);
    await page.goto(`${to.portalUrl}/#/jobs/${name}/${name}`);
    await page.getByRole("button", { name: "Publish the result" }).click();
    const output = form.getByLabel("Output", { exact: true });
    assert.deepEqual(await output.locator("option").allTextContents(), [`${name}-film`, `${name}-pictures`]);
    // What is published is what is chosen last.
    await output.selectOption(`${name}-pictures`);
    await output.selectOption(`${name}-film`);
    await form.getByRole("button", { name: "Publish", exact: true }).click();
    await page.getByRole("link", { name: "Play", exact: true }).click();
    await plays(page);
    const length = await page.evaluate(() => document.querySelector("video").duration);
    assert.ok(Math.abs(length - 2.5) < 0.15, `${length} s of 2.5 s`);

    // The pictures stand on the asset's page, with a strip out of the sheet, and in the list.
    const [poster] = made.filter((file) => file.endsWith(".jpg") && !file.includes("sheet"));
    await page.goto(`${to.portalUrl}/#/assets/${name}-pictures`);
    const shown = (selector) => page.waitForFunction((selector) => document.querySelector(selector)?.naturalWidth === 640, selector);
    await shown(`.pictures img[alt="${poster}"]`);
    const strip = page.getByRole("list", { name: "The film in pictures" });
    assert.deepEqual(
      await strip.getByRole("img").evaluateAll((tiles) => tiles.map((tile) => [tile.ariaLabel, tile.getBBox().width > 0])),
      ["0:00", "0:01", "0:02"].map((at) => [`Picture at ${at}`, true]),
    );
    await page.goto(`${to.portalUrl}/#/assets?q=${name}`);
    await shown(`tr[data-id="${name}-pictures"] .poster img`);
    assert.deepEqual(problems, []);
    // Once everybody may take them, those see them too who may not look into storage.
    const viewer = await call(to, "POST", "/api/v1/user/tokens", { type: "full-access", description: name, roles: ["viewer"] });
    t.after(async () => {
      // Overviews look for a poster of whatever everybody may take, and this has another name.
      await call(to, "DELETE", media(to, `/streamingLocators/${name}-viewers`));
      await call(to, "DELETE", `/api/v1/user/tokens/${viewer.body.metadata.id}`);
    });
    const { assetContainerSasUrls } = await call(to, "POST", media(to, `/assets/${name}-pictures/listContainerSas`), {
      permissions: "Read",
      expiryTime: new Date(Date.now() + 3_600_000).toISOString(),
    }).then(({ body }) => body);
    const [container, signature] = assetContainerSasUrls[0].split("?");
    for (const file of made) {
      const bytes = Buffer.from(await (await fetch(`${container}/${file}?${signature}`)).arrayBuffer());
      await putFile(to, `${name}-film`, file, bytes, file.endsWith(".vtt") ? "text/vtt" : "image/jpeg");
    }
    const locator = { assetName: `${name}-film`, streamingPolicyName: "Predefined_DownloadAndClearStreaming" };
    assert.equal((await call(to, "PUT", media(to, `/streamingLocators/${name}-viewers`), { properties: locator })).status, 201);
    const seen = await openPortal(browser, to, `/assets/${name}-film`, {}, viewer.body.metadata.JWT);
    await seen.page.waitForFunction((poster) => document.querySelector(`.pictures img[alt="${poster}"]`)?.naturalWidth === 640, poster);
    assert.equal(await seen.page.getByRole("list", { name: "The film in pictures" }).getByRole("img").count(), 3);
    await seen.page.goto(`${to.portalUrl}/#/assets?q=${name}`);
    await seen.page.waitForFunction((asset) => document.querySelector(`tr[data-id="${asset}"] .poster img`)?.naturalWidth > 0, `${name}-film`);
    await seen.context.close();
    await context.close();
  });

  test("an encode takes several files of an asset, one after the other", async (t) => {
    const name = `several-${run}`;
    const { assetName } = await demo(to);
    const { context, page } = await openPortal(browser, to, `/assets/${assetName}`);
    await page.getByRole("button", { name: "Encode", exact: true }).click();
    const form = page.getByRole("dialog");
    const films = (await read(`/assets/${assetName}/storage`)).spec.files.map(({ name }) => name).filter((name) => /_\d+x\d+_/.test(name));
    await form.getByLabel(films[1], { exact: true }).check();
    await form.getByLabel(films[0], { exact: true }).check();
    await form.getByText(`In this order: ${films[1]}, ${films[0]}`).waitFor();
    await form.getByLabel("One after the other").check();
    assert.equal(await form.getByLabel("How much of it").count(), 0, "a sequence is taken whole");
    await form.getByLabel("Job name").fill(name);
    await form.getByLabel("Transform").selectOption("AdaptiveStreaming");
    await form.getByLabel("Output asset").fill(name);
    await form.getByLabel("Priority").selectOption("High");
    await form.getByRole("button", { name: "Start encode" }).click();
    await page.getByRole("heading", { level: 1, name }).waitFor();
    const { properties } = await read(`/transforms/AdaptiveStreaming/jobs/${name}`);
    assert.equal(properties.priority, "High");
    assert.deepEqual(
      properties.input.inputs.map(({ files }) => files),
      [[films[1]], [films[0]]],
    );
    // It is long enough to be cancelled before it is done.
    await page.getByRole("button", { name: "Cancel job" }).click();
    await page.locator(".facts .state", { hasText: "Canceled" }).waitFor({ timeout: 180_000 });
    assert.equal((await read(`/transforms/AdaptiveStreaming/jobs/${name}`)).properties.state, "Canceled");
    await page.getByRole("button", { name: "Delete" }).click();
    await form.getByRole("button", { name: "Delete" }).click();
    await page.getByRole("heading", { level: 1, name: "Jobs" }).waitFor();
    assert.equal((await call(to, "GET", media(to, `/transforms/AdaptiveStreaming/jobs/${name}`))).status, 404);
    await context.close();
  });

  test("an encode reads some of the tracks, carries data of a program's own, and has another preset for once", { timeout: 15 * 60_000 }, async (t) => {
    const name = `more-${run}`;
    const { assetName } = await demo(to);
    t.after(async () => {
      await call(to, "DELETE", media(to, `/transforms/AdaptiveStreaming/jobs/${name}`));
      await call(to, "DELETE", media(to, `/assets/${name}`));
    });
    const { context, page, form } = await opened(`/assets/${assetName}`, "Encode");
    await form.getByLabel("Transform").selectOption("AdaptiveStreaming");
    await form.getByLabel("Job name").fill(name);
    await form.getByLabel("Output asset").fill(name);
    await form.locator("summary", { hasText: "More" }).click();
    await form.getByLabel("Which tracks are read").selectOption("language");
    await form.getByLabel("Language", { exact: true }).fill("de");
    await form.getByLabel("Which tracks are read").selectOption("audio");
    await form.getByLabel("Description").fill("The sound alone");
    await form.getByLabel("Correlation data").fill("no pair");
    const preset = form.getByLabel("Another preset, for this once (JSON)");
    await preset.fill("{");
    await form.getByRole("button", { name: "Start encode" }).click();
    await complained(form, "Correlation data", /name=text/);
    await form.getByLabel("Correlation data").fill("for=a = b\norder=4711");
    await form.getByRole("button", { name: "Start encode" }).click();
    await complained(form, "Another preset, for this once (JSON)", /not JSON/);
    const sound = { "@odata.type": "#Microsoft.Media.StandardEncoderPreset", codecs: [{ "@odata.type": "#Microsoft.Media.AacAudio", channels: 2, samplingRate: 48000, bitrate: "much" }], formats: [{ "@odata.type": "#Microsoft.Media.Mp4Format", filenamePattern: "{Basename}{Extension}" }] };
    await preset.fill(JSON.stringify(sound));
    await form.getByRole("button", { name: "Start encode" }).click();
    await complained(form, "Another preset, for this once (JSON)", /bitrate/);
    sound.codecs[0].bitrate = 64000;
    await preset.fill(JSON.stringify(sound));
    await form.getByRole("button", { name: "Start encode" }).click();
    await page.getByRole("heading", { level: 1, name }).waitFor();
    const facts = page.locator(".facts");
    for (const text of ["The sound alone", "for=a = b, order=4711", "sound"]) await facts.getByText(text, { exact: true }).waitFor();
    const { properties } = await read(`/transforms/AdaptiveStreaming/jobs/${name}`);
    assert.deepEqual(properties.correlationData, { order: "4711", for: "a = b" });
    assert.equal(properties.description, "The sound alone");
    assert.deepEqual(properties.input.inputDefinitions[0].includedTracks.map((track) => track["@odata.type"]), ["#Microsoft.Media.AudioTrackDescriptor"]);
    assert.equal(properties.outputs[0].presetOverride.codecs[0].bitrate, 64000);
    await facts.locator(".state", { hasText: "Finished" }).waitFor({ timeout: 300_000 });
    const files = (await read(`/assets/${name}/storage`)).spec.files.map(({ name }) => name);
    assert.deepEqual(files.filter((file) => file.endsWith(".mp4")).length, 1, files.join());
    await context.close();
  });

  test("a live event says how it is encoded and who may come, is changed, and is recorded for days", { timeout: 15 * 60_000 }, async (t) => {
    const name = `forms-${run}`;
    t.after(() => call(to, "DELETE", media(to, `/liveEvents/${name}`)));
    const { context, page, form } = await opened("/live", "New live event");
    const properties = async () => (await read(`/liveEvents/${name}`)).properties;
    await form.getByLabel("Name", { exact: true }).fill(name);
    await form.getByRole("radio", { name: /^Ladder to 720p/ }).check();
    await form.getByLabel("The encoder sends").selectOption("SRT");
    await form.getByLabel("Low latency").check();
    // Low latency has a key frame every second, unless somebody says otherwise.
    assert.equal(await form.getByLabel("Seconds between key frames").getAttribute("placeholder"), "1");
    await form.getByLabel("The picture is fitted").selectOption("AutoFit");
    assert.equal(await form.getByLabel("After so many seconds without").count(), 0);
    await form.getByLabel("Without an encoder", { exact: true }).selectOption("BlackAndSilence");
    await form.getByLabel("After so many seconds without").fill("2.5");
    await form.getByLabel("Labels").fill("team=news");
    await form.getByLabel("Encoders' addresses").fill("203.0.113.0/24 nowhere");
    await form.getByLabel("Addresses that may see the preview").fill("198.51.100.7");
    await form.locator("summary", { hasText: "More" }).click();
    await form.getByLabel("Layers of a transform").fill("nobody-made-it");
    await form.getByLabel("Encoder's secret").fill("short");
    await form.getByLabel("Start it at once").uncheck();
    await form.getByRole("button", { name: "Make live event" }).click();
    await complained(form, "Encoders' addresses", /IPv4 or IPv6/);
    await form.getByLabel("Encoders' addresses").fill("203.0.113.0/24 2001:db8::1");
    await form.getByRole("button", { name: "Make live event" }).click();
    await complained(form, "Layers of a transform", /or the name of a transform/);
    await form.getByLabel("Layers of a transform").fill("");
    await form.getByRole("button", { name: "Make live event" }).click();
    await complained(form, "Encoder's secret", /10 to 79/);
    await form.getByLabel("Encoder's secret").fill("a-passphrase-of-ours");
    assert.equal(await form.getByLabel("Host name begins with").count(), 0);
    await form.getByLabel("A host name of its own").check();
    const prefix = form.getByLabel("Host name begins with");
    assert.equal(await prefix.getAttribute("placeholder"), name);
    await prefix.fill("no_such_name");
    await form.getByRole("button", { name: "Make live event" }).click();
    await complained(form, "Host name begins with", /letters, digits and hyphens/);
    await prefix.fill("morning");
    const previewId = randomUUID();
    await form.getByLabel("Preview's id").fill(previewId);
    await form.getByLabel("Alternative media id of the preview").fill("show 7");
    await form.getByRole("button", { name: "Make live event" }).click();
    await page.getByRole("heading", { level: 1, name }).waitFor();
    const made = await properties();
    assert.deepEqual(made.encoding, { encodingType: "Standard", presetName: "Default720p", keyFrameInterval: "PT1S", stretchMode: "AutoFit" });
    assert.equal(made.input.accessToken, "a-passphrase-of-ours");
    assert.deepEqual([made.input.fillWith, made.input.fillAfter], ["BlackAndSilence", "PT2.5S"]);
    await page.getByText("Black pictures and silence, after 2.5 s").waitFor();
    assert.deepEqual(
      made.input.accessControl.ip.allow.map(({ address, subnetPrefixLength }) => [address, subnetPrefixLength]),
      [["203.0.113.0", 24], ["2001:db8::1", undefined]],
    );
    assert.deepEqual(made.preview.accessControl.ip.allow.map(({ address }) => address), ["198.51.100.7"]);
    assert.deepEqual(made.streamOptions, ["LowLatencyV2"]);
    assert.deepEqual([made.useStaticHostname, made.hostnamePrefix], [true, "morning"]);
    assert.deepEqual([made.preview.previewLocator, made.preview.alternativeMediaId], [previewId, "show 7"]);
    await page.locator(".facts").getByText("its own: morning").waitFor();
    await page.getByText("Allowed from 203.0.113.0/24 2001:db8::1").waitFor();

    await page.getByRole("button", { name: "Change" }).click();
    // What was decided when it was made is not asked for.
    assert.equal(await form.getByLabel("The encoder sends").count(), 0);
    assert.equal(await form.getByLabel("Seconds between key frames").inputValue(), "1");
    await form.getByLabel("Seconds between key frames").fill("4");
    assert.equal(await form.getByLabel("A host name of its own").count(), 0);
    assert.equal(await form.getByLabel("Host name begins with").inputValue(), "morning");
    await form.getByLabel("Host name begins with").fill("evening");
    assert.equal(await form.getByLabel("Labels").inputValue(), "team=news");
    await form.getByLabel("Labels").fill("team=sport");
    await form.getByLabel("Tags").fill("cost=low, or less");
    await form.getByLabel("The picture is fitted").selectOption("AutoSize");
    await form.getByLabel("Addresses that may see the preview").fill("");
    await form.getByLabel("Without an encoder", { exact: true }).selectOption("None");
    await form.getByLabel("Description").fill("Changed");
    await form.getByRole("button", { name: "Save live event" }).click();
    await page.locator(".facts").getByText("every 4 s").waitFor();
    const changed = await properties();
    assert.deepEqual([changed.input.fillWith, changed.input.fillAfter], ["None", undefined]);
    const { labels, tags } = await read(`/liveEvents/${name}`);
    assert.deepEqual([labels, tags], [{ team: "sport" }, { cost: "low, or less" }]);
    assert.deepEqual([changed.encoding.keyFrameInterval, changed.encoding.stretchMode, changed.description], ["PT4S", "AutoSize", "Changed"]);
    assert.deepEqual([changed.useStaticHostname, changed.hostnamePrefix], [true, "evening"]);
    // An empty list is everybody, and the API says so.
    assert.deepEqual(changed.preview.accessControl.ip.allow.map(({ address, subnetPrefixLength }) => `${address}/${subnetPrefixLength}`), ["0.0.0.0/0"]);
    await page.locator(".facts").getByText("whoever has its address").waitFor();
    assert.deepEqual(changed.input.accessControl, made.input.accessControl);
    // Emptied it is the event's own name.
    await page.getByRole("button", { name: "Change" }).click();
    await form.getByLabel("Host name begins with").fill("");
    await form.getByRole("button", { name: "Save live event" }).click();
    await page.locator(".facts").getByText(`its own: ${name}`).waitFor();
    assert.equal((await properties()).hostnamePrefix, name);

    await page.getByRole("button", { name: "Record" }).click();
    await form.getByLabel("Kept for", { exact: true }).fill("8");
    await form.getByLabel("Kept for, in").selectOption("days");
    await form.locator("summary", { hasText: "More" }).click();
    await form.getByLabel("Viewers may go back").fill("90");
    await form.getByLabel("Manifest name").fill("show");
    await form.getByLabel("Fragments in a segment").fill("3");
    await form.getByLabel("Begins at (ticks)").fill("90000");
    const asset = await form.getByLabel("Into a new asset").inputValue();
    await form.getByRole("button", { name: "Record" }).click();
    await complained(form, "Kept for", /archiveWindowLength/);
    await form.getByLabel("Kept for", { exact: true }).fill("7");
    await form.getByRole("button", { name: "Record" }).click();
    const recordings = page.getByRole("table", { name: "Recordings" });
    await recordings.getByText("168:00:00").waitFor();
    const [output] = (await read(`/liveEvents/${name}/liveOutputs`)).value;
    const { archiveWindowLength, rewindWindowLength, manifestName, hls, assetName } = output.properties;
    assert.equal(assetName, asset);
    assert.equal(manifestName, "show");
    assert.equal(hls.fragmentsPerTsSegment, 3);
    assert.equal(output.properties.outputSnapTime, 90_000);
    assert.match(archiveWindowLength, /^(P7D|PT168H)$/);
    assert.match(rewindWindowLength, /^(PT1H30M|PT90M)$/);
    await recordings.getByRole("button", { name: "End recording" }).click();
    await form.getByRole("button", { name: "End recording" }).click();
    await page.getByText("Nothing is recorded").waitFor();
    await page.getByRole("button", { name: "Delete", exact: true }).click();
    await form.getByRole("button", { name: "Delete" }).click();
    await page.getByRole("heading", { level: 1, name: "Live events" }).waitFor();
    assert.equal((await call(to, "GET", media(to, `/liveEvents/${name}`))).status, 404);
    await call(to, "DELETE", media(to, `/streamingLocators/${asset}`));
    await call(to, "DELETE", media(to, `/assets/${asset}`));
    await context.close();
  });

  /** What is deleted in the portal is gone. */
  async function deleted(page, label, heading, path) {
    await page.getByRole("button", { name: label, exact: true }).click();
    await page.getByRole("dialog").getByRole("button", { name: label, exact: true }).click();
    await page.getByRole("heading", { level: 1, name: heading }).waitFor();
    assert.equal((await call(to, "GET", path)).status, 404);
  }

  test("an asset is made and described, and what is too long for a description is told at its field", async () => {
    const name = `asset-${run}`;
    const { context, page, form } = await opened("/assets", "New asset");
    await form.getByLabel("Name", { exact: true }).fill("no/such:name");
    await form.getByRole("button", { name: "Make asset" }).click();
    await form.locator(".failure[data-kind=invalid]").waitFor();
    await form.getByLabel("Name", { exact: true }).fill(name);
    await form.getByLabel("When the asset is deleted").selectOption("Delete");
    await form.getByRole("button", { name: "Make asset" }).click();
    await page.getByRole("heading", { level: 1, name }).waitFor();
    assert.equal((await read(`/assets/${name}`)).properties.containerDeletionPolicy, "Delete");
    await page.getByRole("button", { name: "Describe" }).click();
    await form.getByLabel("Description").fill("x".repeat(5000));
    await form.getByLabel("Alternate id").fill("ours-7");
    await form.getByRole("button", { name: "Save" }).click();
    await complained(form, "Description", /4096/);
    await form.getByLabel("Description").fill("Rushes");
    await form.getByLabel("Labels").fill("team=news\nplace");
    await form.getByRole("button", { name: "Save" }).click();
    await complained(form, "Labels", /place is not of the form name=text/);
    await form.getByLabel("Labels").fill("team=news\nplace=what?");
    await form.getByRole("button", { name: "Save" }).click();
    await complained(form, "Labels", /place/);
    await form.getByLabel("Labels").fill("team=news\nplace=studio 2");
    await form.getByRole("button", { name: "Save" }).click();
    await page.locator(".facts").getByText("Rushes").waitFor();
    await page.locator(".facts").getByText("place=studio 2, team=news").waitFor();
    const { properties, labels } = await read(`/assets/${name}`);
    assert.deepEqual(labels, { team: "news", place: "studio 2" });
    assert.deepEqual([properties.description, properties.alternateId], ["Rushes", "ours-7"]);
    await deleted(page, "Delete", "Assets", media(to, `/assets/${name}`));
    await context.close();
  });

  test("a streaming endpoint is made, started, scaled, stopped and deleted", { timeout: 15 * 60_000 }, async (t) => {
    const name = `ep-${run}`;
    t.after(async () => {
      await call(to, "POST", media(to, `/streamingEndpoints/${name}/stop`));
      await call(to, "DELETE", media(to, `/streamingEndpoints/${name}`));
    });
    const { context, page, form } = await opened("/endpoints", "New endpoint");
    await form.getByLabel("Name", { exact: true }).fill(name);
    await form.getByLabel("Host names of your own").fill("not_a host!");
    await form.getByLabel("Start it at once").uncheck();
    await form.getByRole("button", { name: "Make endpoint" }).click();
    await complained(form, "Host names of your own", /not_a is not the name of a host/);
    await form.getByLabel("Host names of your own").fill("films.example.com tv.example.com");
    await form.getByRole("button", { name: "Make endpoint" }).click();
    await page.getByRole("heading", { level: 1, name }).waitFor();
    const state = page.locator(".facts .state");
    await state.getByText("Stopped").waitFor();
    const endpoint = async () => (await read(`/streamingEndpoints/${name}`)).properties;
    assert.deepEqual((await endpoint()).customHostNames, ["films.example.com", "tv.example.com"]);
    await page.getByRole("button", { name: "Start", exact: true }).click();
    await state.getByText("Running").waitFor();
    assert.equal((await endpoint()).resourceState, "Running");
    await page.getByRole("button", { name: "Edit" }).click();
    assert.equal(await form.getByLabel("Host names of your own").inputValue(), "films.example.com tv.example.com");
    await form.getByLabel("Host names of your own").fill("films.example.com");
    await form.getByLabel("Description").fill("For the web site");
    await form.getByLabel("Tags").fill("for=the web");
    await form.getByLabel("Addresses that are served").fill("192.0.2.0/240");
    await form.getByLabel("Caches keep films for").fill("3600");
    await form.getByRole("button", { name: "Save endpoint" }).click();
    await complained(form, "Addresses that are served", /0 to 32/);
    await form.getByLabel("Addresses that are served").fill("192.0.2.0/24 198.51.100.7");
    await form.getByRole("button", { name: "Save endpoint" }).click();
    await page.locator(".facts").getByText("For the web site").waitFor();
    await page.locator(".facts").getByText("192.0.2.0/24 198.51.100.7").waitFor();
    const changed = await read(`/streamingEndpoints/${name}`);
    assert.deepEqual([changed.tags, changed.properties.customHostNames], [{ for: "the web" }, ["films.example.com"]]);
    assert.deepEqual(
      changed.properties.accessControl.ip.allow.map(({ address, subnetPrefixLength }) => [address, subnetPrefixLength]),
      [["192.0.2.0", 24], ["198.51.100.7", undefined]],
    );
    assert.equal(changed.properties.maxCacheAge, 3600);
    await page.getByRole("button", { name: "Edit" }).click();
    await form.getByLabel("Addresses that are served").fill("");
    await form.getByLabel("Caches keep films for").fill("");
    await form.getByRole("button", { name: "Save endpoint" }).click();
    await page.locator(".facts").getByText("everybody").waitFor();
    const open = await endpoint();
    assert.deepEqual([open.accessControl, open.maxCacheAge], [undefined, undefined]);
    await page.getByRole("button", { name: "Scale" }).click();
    await form.getByLabel("Units").fill("2");
    await form.getByRole("button", { name: "Scale" }).click();
    await form.waitFor({ state: "detached" });
    await page.locator(".facts div", { hasText: "Units" }).getByText("2", { exact: true }).waitFor();
    assert.equal((await endpoint()).scaleUnits, 2);
    await page.getByRole("button", { name: "Stop", exact: true }).click();
    await form.getByRole("button", { name: "Stop", exact: true }).click();
    await state.getByText("Stopped").waitFor();
    await deleted(page, "Delete", "Streaming endpoints", media(to, `/streamingEndpoints/${name}`));
    await context.close();
  });

  test("a filter of the project leaves out what it says, and is deleted", async () => {
    const name = `filter-${run}`;
    const { context, page, form } = await opened("/filters", "New filter");
    await form.getByLabel("Name", { exact: true }).fill(name);
    await form.getByLabel("From (seconds)").fill("9");
    await form.getByLabel("To (seconds)").fill("5");
    await form.getByLabel("Best picture (kbit/s)").fill("700");
    await form.getByLabel("Sound's language").fill("en");
    await form.getByLabel("First quality (kbit/s)").fill("400");
    await form.getByRole("button", { name: "Make filter" }).click();
    await form.locator(".failure[data-kind=invalid]").waitFor();
    await form.getByLabel("To (seconds)").fill("15.5");
    await form.getByRole("button", { name: "Make filter" }).click();
    const row = page.getByRole("table", { name: "Filters" }).getByRole("row", { name: new RegExp(name) });
    await row.getByText("0:09 to 0:16").waitFor();
    const { properties } = await read(`/accountFilters/${name}`);
    assert.deepEqual([properties.presentationTimeRange.startTimestamp, properties.presentationTimeRange.endTimestamp], [9000, 15_500]);
    assert.equal(properties.firstQuality.bitrate, 400_000);
    assert.deepEqual(
      properties.tracks.map(({ trackSelections }) => trackSelections.map(({ property, value }) => `${property} ${value}`)),
      [["Type Video", "Bitrate 0-700000"], ["Type Audio", "Language en"]],
    );
    await row.getByRole("button", { name: "Delete" }).click();
    await form.getByRole("button", { name: "Delete" }).click();
    await row.waitFor({ state: "detached" });
    assert.equal((await call(to, "GET", media(to, `/accountFilters/${name}`))).status, 404);
    await context.close();
  });

  test("a storage account is added with its key, given another, and removed; a key that is none stays to be corrected", async (t) => {
    const name = `store${run}`;
    t.after(() => call(to, "DELETE", media(to, `/storage/${name}`)));
    const key = to.blobConnectionString.match(/AccountKey=([^;]*)/)[1];
    const { context, page, form } = await opened("/storage", "Add storage account");
    await form.getByLabel("Name", { exact: true }).fill(name);
    await form.getByLabel("Address").fill(to.blobUrl);
    await form.getByRole("radio", { name: /^Account key/ }).check();
    const secret = form.getByRole("textbox", { name: "Account key" });
    await secret.fill("not a key");
    await form.getByRole("button", { name: "Add storage account" }).click();
    await complained(form, "Account key", /base64/);
    await secret.fill(key);
    await form.getByRole("button", { name: "Add storage account" }).click();
    await page.getByRole("heading", { level: 1, name }).waitFor();
    const { status, body } = await call(to, "GET", media(to, `/storage/${name}`));
    assert.deepEqual([status, body.spec.url], [200, to.blobUrl]);
    assert.ok(!JSON.stringify(body).includes(key), "the key is shown to nobody");
    await page.getByRole("button", { name: "Describe" }).click();
    await form.getByLabel("Description").fill("The archive");
    await form.getByRole("button", { name: "Save" }).click();
    await page.locator(".facts").getByText("The archive").waitFor();
    assert.equal((await call(to, "GET", media(to, `/storage/${name}`))).body.spec.description, "The archive");
    // A signature that ends beside a key that does not: the one that lasts longest is used.
    await page.getByRole("button", { name: "New credential" }).click();
    await form.getByRole("textbox", { name: "SAS token" }).fill(accountSas(new URL(to.blobUrl).pathname.slice(1), key));
    await form.getByRole("button", { name: "Use this credential" }).click();
    const credentials = page.getByRole("table", { name: "Credentials" });
    await credentials.getByRole("row", { name: /SAS token/ }).getByText("Retired").waitFor();
    await credentials.getByRole("row", { name: /Retired/ }).getByRole("button", { name: "Delete" }).click();
    await form.getByRole("button", { name: "Delete" }).click();
    await credentials.getByText("Retired").waitFor({ state: "detached" });
    const left = await call(to, "GET", media(to, `/storage/${name}/credentials`));
    assert.equal(left.body.items.length, 1);
    await deleted(page, "Remove", "Storage accounts", media(to, `/storage/${name}`));
    await context.close();
  });

  test("an upload rule is made, disabled, changed and deleted", async (t) => {
    const name = `rule-${run}`;
    t.after(() => call(to, "DELETE", media(to, `/uploadRules/${name}`)));
    const { context, page, form } = await opened("/upload-rules", "New upload rule");
    await form.getByLabel("Name", { exact: true }).fill(name);
    await form.getByLabel("Container").fill("UPPER");
    await form.getByLabel("Folder").fill("films/");
    await form.getByLabel("Kinds of files").fill(".mp4 .mkv");
    await form.getByLabel("Encode with").selectOption("AdaptiveStreaming");
    await form.getByRole("button", { name: "Save rule" }).click();
    await complained(form, "Container", /container/);
    await form.getByLabel("Container").fill(`incoming-${run}`);
    await form.getByRole("button", { name: "Save rule" }).click();
    const row = page.getByRole("table", { name: "Upload rules" }).getByRole("row", { name: new RegExp(name) });
    await row.getByText("Enabled").waitFor();
    const rule = async () => (await read(`/uploadRules/${name}`)).properties;
    const { container, prefix, suffixes, transformName } = await rule();
    assert.deepEqual([container, prefix, suffixes, transformName], [`incoming-${run}`, "films/", [".mp4", ".mkv"], "AdaptiveStreaming"]);
    await row.getByRole("button", { name: "Disable" }).click();
    await row.getByText("Disabled").waitFor();
    assert.equal((await rule()).enabled, false);
    await row.getByRole("button", { name: "Change" }).click();
    await form.getByLabel("Publish with").selectOption("Predefined_DownloadAndClearStreaming");
    await form.getByLabel("Enabled").check();
    await form.getByRole("button", { name: "Save rule" }).click();
    await row.getByText("Stream and download").waitFor();
    assert.deepEqual([(await rule()).enabled, (await rule()).streamingPolicyName], [true, "Predefined_DownloadAndClearStreaming"]);
    await row.getByRole("button", { name: "Delete" }).click();
    await form.getByRole("button", { name: "Delete" }).click();
    await row.waitFor({ state: "detached" });
    assert.equal((await call(to, "GET", media(to, `/uploadRules/${name}`))).status, 404);
    await context.close();
  });

  test("key policies and the streaming policies over them are made for each kind of encryption", { timeout: 15 * 60_000 }, async (t) => {
    const made = [];
    t.after(async () => {
      for (const path of made.reverse()) await call(to, "DELETE", media(to, path));
    });
    const keys = `keys-${run}`;
    const { context, page, form } = await opened("/key-policies", "New key policy");
    await form.getByLabel("Name", { exact: true }).fill(keys);
    await form.getByRole("radio", { name: /^Widevine and PlayReady/ }).check();
    await form.getByLabel("Issuer (iss)").fill("https://example.com");
    await form.getByLabel("Audience (aud)").fill("viewers");
    await form.getByLabel("Shared secret (base64)").fill("not base64!");
    await form.getByLabel("A token opens").selectOption("key");
    await form.getByRole("button", { name: "Make key policy" }).click();
    await complained(form, "Shared secret (base64)", /base64/);
    await form.getByRole("button", { name: "Another secret" }).click();
    await form.getByRole("button", { name: "Make key policy" }).click();
    await page.getByRole("heading", { level: 1, name: keys }).waitFor();
    made.push(`/contentKeyPolicies/${keys}`);
    const { options } = (await read(`/contentKeyPolicies/${keys}`)).properties;
    assert.deepEqual(options.map(({ name }) => name), ["Widevine", "PlayReady"]);
    assert.deepEqual(options[0].restriction.requiredClaims, [{ claimType: "urn:microsoft:azure:mediaservices:contentkeyidentifier" }]);
    await page.getByRole("button", { name: "Show secrets" }).click();
    assert.equal(Buffer.from(await page.getByLabel("secret of Widevine", { exact: true }).inputValue(), "base64").length, 32);

    for (const [label, member, more] of [
      [/^None/, "noEncryption", { download: true }],
      [/^AES-128/, "envelopeEncryption", { licence: "https://keys.example.com/{ContentKeyId}", rotation: ["Every ten minutes", "PT10M"] }],
      [/^CENC with ClearKey/, "commonEncryptionCenc", {}],
      [/^CBCS with FairPlay/, "commonEncryptionCbcs", {}],
      [/^CENC and CBCS with DRM/, "commonEncryptionCbcs", { licences: { Widevine: "https://w.example.com/{ContentKeyId}", FairPlay: "skd://f.example.com/{ContentKeyId}" }, keep: true }],
      [/^CENC with DRM/, "commonEncryptionCenc", { smooth: true }],
    ]) {
      const name = `policy-${run}-${made.length}`;
      await page.goto(`${to.portalUrl}/#/streaming-policies`);
      await page.getByRole("button", { name: "New streaming policy" }).click();
      await form.getByLabel("Name", { exact: true }).fill(name);
      await form.getByRole("radio", { name: label }).check();
      if (more.download) await form.getByLabel("Download of files").check();
      if (more.smooth) await form.getByLabel("Smooth Streaming").check();
      if (more.licence) await form.getByLabel("Key server of your own").fill(more.licence);
      for (const [system, url] of Object.entries(more.licences ?? {})) await form.getByLabel(`Licence server for ${system}`).fill(url);
      if (more.keep) await form.getByLabel("FairPlay's players may keep licences").check();
      if (member !== "noEncryption") await form.getByLabel("Key policy", { exact: true }).selectOption(keys);
      if (more.rotation) await form.getByLabel("Keys of what is live change").selectOption(more.rotation[0]);
      await form.getByRole("button", { name: "Make streaming policy" }).click();
      await page.getByRole("heading", { level: 1, name }).waitFor();
      made.push(`/streamingPolicies/${name}`);
      const { properties } = await read(`/streamingPolicies/${name}`);
      assert.deepEqual([properties[member].enabledProtocols.hls, properties[member].enabledProtocols.dash], [true, true]);
      assert.equal(properties[member].enabledProtocols.download, more.download === true);
      assert.equal(properties[member].enabledProtocols.smoothStreaming, more.smooth === true);
      if (member !== "noEncryption") assert.equal(properties.defaultContentKeyPolicyName, keys);
      assert.equal(properties[member].keyRotationInterval, more.rotation?.[1]);
      if (more.licence) assert.equal(properties[member].customKeyAcquisitionUrlTemplate, more.licence);
      if (more.licences) {
        assert.equal(properties.commonEncryptionCenc.drm.widevine.customLicenseAcquisitionUrlTemplate, more.licences.Widevine);
        assert.deepEqual(properties.commonEncryptionCbcs.drm.fairPlay, { allowPersistentLicense: true, customLicenseAcquisitionUrlTemplate: more.licences.FairPlay });
      }
    }
    // What there is no field for is written as the API has it, beginning with what was filled in.
    const written = `policy-${run}-json`;
    await page.goto(`${to.portalUrl}/#/streaming-policies`);
    await page.getByRole("button", { name: "New streaming policy" }).click();
    await form.getByLabel("Name", { exact: true }).fill(written);
    await form.getByRole("radio", { name: /^CENC with DRM/ }).check();
    await form.getByLabel("Licence server for PlayReady").fill("nowhere");
    await form.getByRole("button", { name: "Make streaming policy" }).click();
    await complained(form, "Licence server for PlayReady", /http/);
    await form.getByLabel("Licence server for PlayReady").fill("https://p.example.com");
    await form.getByRole("radio", { name: /^JSON/ }).check();
    const text = form.getByLabel("Policy", { exact: true });
    const begun = JSON.parse(await text.inputValue());
    assert.equal(begun.commonEncryptionCenc.drm.playReady.customLicenseAcquisitionUrlTemplate, "https://p.example.com");
    await text.fill("{");
    await form.getByRole("button", { name: "Make streaming policy" }).click();
    await complained(form, "Policy", /not JSON/);
    begun.commonEncryptionCenc.drm.playReady.playReadyCustomAttributes = "ours";
    begun.commonEncryptionCenc.clearTracks = [{ trackSelections: [{ property: "FourCC", operation: "Equal", value: "mp4a", note: 1 }] }];
    await text.fill(JSON.stringify(begun));
    await form.getByRole("button", { name: "Make streaming policy" }).click();
    await complained(form, "Policy", /note/);
    delete begun.commonEncryptionCenc.clearTracks[0].trackSelections[0].note;
    await text.fill(JSON.stringify(begun));
    await form.getByRole("button", { name: "Make streaming policy" }).click();
    await page.getByRole("heading", { level: 1, name: written }).waitFor();
    made.unshift(`/streamingPolicies/${written}`);
    const { commonEncryptionCenc } = (await read(`/streamingPolicies/${written}`)).properties;
    assert.equal(commonEncryptionCenc.drm.playReady.playReadyCustomAttributes, "ours");
    assert.deepEqual(commonEncryptionCenc.clearTracks, begun.commonEncryptionCenc.clearTracks);
    const drm = made.at(-1);
    const { assetName } = await demo(to);
    const locator = { assetName, streamingPolicyName: drm.split("/").at(-1) };
    assert.equal((await call(to, "PUT", media(to, `/streamingLocators/${keys}`), { properties: locator })).status, 201);
    made.push(`/streamingLocators/${keys}`);
    // A key policy that somebody uses stays, and says why.
    await page.goto(`${to.portalUrl}/#/key-policies/${keys}`);
    await page.getByRole("button", { name: "Delete", exact: true }).click();
    await form.getByRole("button", { name: "Delete", exact: true }).click();
    await form.locator(".failure[data-kind=conflict]").waitFor();
    await form.getByRole("button", { name: "Keep" }).click();
    await call(to, "DELETE", media(to, made.pop()));
    await page.goto(`${to.portalUrl}/#${drm.replace("/streamingPolicies", "/streaming-policies")}`);
    await deleted(page, "Delete", "Streaming policies", media(to, drm));
    await page.goto(`${to.portalUrl}/#/key-policies/${keys}`);
    await deleted(page, "Delete", "Key policies", media(to, `/contentKeyPolicies/${keys}`));
    await context.close();
  });

  test("a role is made of rights, a team gives it, and a member comes and goes", async (t) => {
    const [role, team] = [`role-${run}`, `team-${run}`];
    t.after(async () => {
      await call(to, "DELETE", `/api/v1/organization/teams/${team}`);
      await call(to, "DELETE", `/api/v1/organization/roles/${role}`);
    });
    const { context, page, form } = await opened("/roles", "New role");
    await form.getByLabel("Name", { exact: true }).fill(role);
    await form.getByLabel("Description").fill("Looks at films");
    await form.getByRole("group", { name: "Asset", exact: true }).getByLabel("read").check();
    await form.getByRole("group", { name: "Job", exact: true }).getByLabel("read").check();
    await form.getByRole("group", { name: "Job", exact: true }).getByLabel("read").uncheck();
    await form.getByRole("button", { name: "Make role" }).click();
    const roles = page.getByRole("table", { name: "Roles" });
    await roles.getByRole("row", { name: new RegExp(role) }).waitFor();
    const organization = async (path) => (await call(to, "GET", `/api/v1/organization${path}`)).body;
    assert.deepEqual((await organization(`/roles/${role}`)).spec.capabilities, { Asset: ["read"] });

    await page.goto(`${to.portalUrl}/#/teams`);
    await page.getByRole("button", { name: "New team" }).click();
    await form.getByLabel("Name", { exact: true }).fill("no such name!");
    await form.getByLabel("Role", { exact: true }).selectOption(role);
    const scope = await form.getByLabel("Where").inputValue();
    await form.getByRole("button", { name: "Make team" }).click();
    await form.locator(".failure[data-kind=invalid]").waitFor();
    await form.getByLabel("Name", { exact: true }).fill(team);
    await form.getByRole("button", { name: "Make team" }).click();
    await page.getByRole("heading", { level: 1, name: team }).waitFor();
    assert.deepEqual((await organization(`/teams/${team}`)).spec.scopes[scope].roles, [role]);
    await page.getByRole("button", { name: "Add member" }).click();
    const user = await form.getByLabel("User", { exact: true }).inputValue();
    await form.getByLabel("May change the team's members").check();
    await form.getByRole("button", { name: "Add", exact: true }).click();
    const members = page.getByRole("table", { name: "Members" });
    await members.getByText("yes").waitFor();
    assert.deepEqual((await organization(`/teams/${team}`)).spec.members[user], { isTeamAdmin: true });
    await members.getByRole("button", { name: "Remove" }).click();
    await page.getByText("No members yet").waitFor();
    assert.deepEqual((await organization(`/teams/${team}`)).spec.members, {});
    await deleted(page, "Delete", "Teams", `/api/v1/organization/teams/${team}`);
    await page.goto(`${to.portalUrl}/#/roles`);
    await roles.getByRole("row", { name: new RegExp(role) }).getByRole("button", { name: "Delete" }).click();
    await form.getByRole("button", { name: "Delete" }).click();
    await roles.getByRole("row", { name: new RegExp(role) }).waitFor({ state: "detached" });
    await context.close();
  });

  test("captions are added to an asset's tracks, and removed", { timeout: 15 * 60_000 }, async (t) => {
    const asset = `captions-${run}`;
    t.after(() => call(to, "DELETE", media(to, `/assets/${asset}`)));
    await copyDemo(to, asset);
    await putFile(to, asset, "en.vtt", "WEBVTT\n\n00:00.000 --> 00:10.000\nA caption of the tests\n", "text/vtt");
    const { context, page, form } = await opened(`/assets/${asset}`, "Add captions or sound");
    await form.getByLabel("Name", { exact: true }).fill("captions-en");
    await form.getByLabel("File", { exact: true }).fill("missing.vtt");
    await form.getByLabel("Language").fill("en");
    await form.getByLabel("Shown as").fill("English");
    await form.getByLabel("On by default").check();
    await form.getByRole("button", { name: "Add track" }).click();
    await complained(form, "File", /missing\.vtt|fileName/);
    await form.getByLabel("File", { exact: true }).fill("en.vtt");
    await form.getByRole("button", { name: "Add track" }).click();
    const tracks = page.getByRole("table", { name: "Tracks" });
    await tracks.getByRole("row", { name: /captions-en/ }).getByText("English").waitFor();
    const { track } = (await read(`/assets/${asset}/tracks/captions-en`)).properties;
    assert.deepEqual([track.fileName, track.languageCode, track.displayName, track.hlsSettings.default], ["en.vtt", "en", "English", true]);
    await tracks.getByRole("row", { name: /captions-en/ }).getByRole("button", { name: "Remove" }).click();
    await form.getByRole("button", { name: "Remove" }).click();
    await tracks.getByRole("row", { name: /captions-en/ }).waitFor({ state: "detached" });
    assert.equal((await call(to, "GET", media(to, `/assets/${asset}/tracks/captions-en`))).status, 404);
    await context.close();
  });

  test("an asset says what plays and why the rest does not, and its files can be taken", { timeout: 15 * 60_000 }, async (t) => {
    const [asset, same] = [`plays-${run}`, `same-${run}`];
    t.after(async () => {
      await call(to, "DELETE", media(to, `/assets/${same}`));
      await call(to, "DELETE", media(to, `/assets/${asset}`));
    });
    await copyDemo(to, asset);
    const { container } = (await read(`/assets/${asset}`)).properties;
    const leftOut = async (of) => (await read(`/assets/${of}/streaming`)).leftOut;
    await putFile(to, asset, "notes.txt", "shot in May", "text/plain");
    // Another asset in a folder of a container that is there.
    const { context, page, form } = await opened("/assets", "New asset");
    await form.getByLabel("Name", { exact: true }).fill(same);
    await form.locator("summary").click();
    await form.getByLabel("Storage account").selectOption("local");
    await form.getByLabel("Container").fill("No Container");
    await form.getByLabel("Labels").fill("team=news");
    await form.getByRole("button", { name: "Make asset" }).click();
    await complained(form, "Container", /container/);
    await form.getByLabel("Container").fill(container);
    await form.getByLabel("Folder").fill("films/one");
    await form.getByRole("button", { name: "Make asset" }).click();
    await page.getByRole("heading", { level: 1, name: same }).waitFor();
    const made = await read(`/assets/${same}`);
    assert.deepEqual([made.properties.container, made.properties.subPath, made.labels], [container, "films/one", { team: "news" }]);
    const section = page.locator("section", { has: page.getByRole("heading", { name: "What plays" }) });
    await section.getByRole("button", { name: "Look", exact: true }).click();
    await section.getByText("Nothing plays").waitFor();
    await putFile(to, asset, "films/one/broken.mp4", "no film at all", "video/mp4");
    await section.getByRole("button", { name: "Look again" }).click();
    const [{ reason }] = await leftOut(same);
    await section.getByText(`broken.mp4: ${reason}`).waitFor();

    await page.goto(`${to.portalUrl}/#/assets/${asset}`);
    await section.getByRole("button", { name: "Look", exact: true }).click();
    const tracks = page.getByRole("table", { name: "What plays" });
    const { tracks: expected } = await read(`/assets/${asset}/streaming`);
    assert.ok(expected.length > 3);
    await tracks.getByText("HLS, HLS over MPEG-2 TS, DASH, Smooth Streaming").first().waitFor();
    assert.equal(await tracks.getByRole("row").count(), expected.length + 1);
    await tracks.getByText(expected[0].codec, { exact: true }).first().waitFor();
    // A file opens in a tab of its own, and the portal stays.
    const [tab] = await Promise.all([
      context.waitForEvent("page"),
      page.getByRole("table", { name: "Files" }).getByRole("row", { name: /notes\.txt/ }).getByRole("button", { name: "Download" }).click(),
    ]);
    await tab.getByText("shot in May").waitFor();
    assert.equal(await tab.evaluate(() => window.opener), null);
    assert.equal(await page.getByRole("heading", { level: 1 }).textContent(), asset);
    await context.close();
  });

  test("what was exported is looked at, made, and made no second time", { timeout: 15 * 60_000 }, async (t) => {
    const name = `import-${run}`;
    t.after(async () => {
      await call(to, "DELETE", media(to, `/streamingLocators/${name}`));
      await call(to, "DELETE", media(to, `/assets/${name}`));
      await call(to, "DELETE", media(to, `/accountFilters/${name}`));
    });
    // A container that an asset leaves behind.
    await copyDemo(to, `${name}-before`);
    const { container } = (await read(`/assets/${name}-before`)).properties;
    await call(to, "PATCH", media(to, `/assets/${name}-before`), { properties: { containerDeletionPolicy: "Retain" } });
    assert.equal((await call(to, "DELETE", media(to, `/assets/${name}-before`))).status, 200);
    const document = {
      accountFilters: [{ name, firstQuality: { bitrate: 600_000 } }],
      assets: [{ name, container, storageAccountName: "local" }],
      streamingLocators: [
        { name, assetName: name, streamingLocatorId: randomUUID(), streamingPolicyName: "Predefined_ClearStreamingOnly" },
        { name: `${name}-none`, assetName: "there-is-none", streamingLocatorId: randomUUID(), streamingPolicyName: "Predefined_ClearStreamingOnly" },
      ],
    };
    const { context, page } = await openPortal(browser, to, "/import");
    const text = page.getByLabel("What was exported (JSON)");
    await text.fill('{"asset": []}');
    await page.getByRole("button", { name: "Look what would be made" }).click();
    await page.getByText("“asset” is not known").first().waitFor();
    assert.equal(await text.getAttribute("aria-invalid"), "true");
    await page.locator("input[type=file]").setInputFiles({ name: "export.json", mimeType: "application/json", buffer: Buffer.from(JSON.stringify(document)) });
    await page.waitForFunction(() => document.querySelector("textarea").value.includes("accountFilters"));
    await page.getByRole("button", { name: "Look what would be made" }).click();
    const table = page.getByRole("table", { name: "Import", exact: true });
    const outcome = async (kind, of, words) => table.getByRole("row", { name: new RegExp(`${kind} ${of} ${words}`) }).waitFor();
    await outcome("Filter", name, "To be made");
    await outcome("Asset", name, "To be made");
    await outcome("Locator", name, "To be made");
    await outcome("Locator", `${name}-none`, "Refused");
    await table.locator("summary").first().click();
    await table.getByRole("table", { name: "What plays" }).getByText("DASH", { exact: false }).first().waitFor();
    assert.equal((await call(to, "GET", media(to, `/assets/${name}`))).status, 404, "looking makes nothing");
    await page.getByRole("button", { name: "Import", exact: true }).click();
    const dialog = page.getByRole("dialog", { name: "Make 3 things?" });
    await dialog.getByRole("button", { name: "Import" }).click();
    await page.getByRole("heading", { name: "What was made" }).waitFor();
    await outcome("Locator", name, "Created");
    assert.equal((await read(`/streamingLocators/${name}`)).properties.streamingLocatorId, document.streamingLocators[0].streamingLocatorId);
    assert.equal((await read(`/assets/${name}`)).properties.container, container);
    await page.getByRole("button", { name: "Look what would be made" }).click();
    await outcome("Asset", name, "Exists");
    assert.equal(await page.getByRole("button", { name: "Import", exact: true }).count(), 0);
    await call(to, "PATCH", media(to, `/assets/${name}`), { properties: { containerDeletionPolicy: "Delete" } });
    await context.close();
  });

  test("somebody's teams stand beside their name, and they revoke all their tokens at once", async (t) => {
    const invite = await call(to, "POST", "/api/v1/organization/invites", { spec: { name: `Bo ${run}`, teams: ["owners"] } });
    assert.equal(invite.status, 201, JSON.stringify(invite.body));
    const accepted = await fetch(`${to.apiUrl}/api/v1/invites/accept`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ secret: invite.body.metadata.secret }),
    }).then((answer) => answer.json());
    const token = accepted.metadata.JWT;
    const { id } = (await call(to, "GET", "/api/v1/user/profile", undefined, token)).body.metadata;
    t.after(() => call(to, "DELETE", `/api/v1/organization/users/${id}`));
    const { context, page } = await openPortal(browser, to, "/people");
    await page.getByRole("table", { name: "Users" }).getByRole("row", { name: new RegExp(`Bo ${run}`) }).getByText("owners").waitFor();
    await context.close();
    const other = await call(to, "POST", "/api/v1/user/tokens", { type: "full-access", description: "another", roles: ["viewer"] }, token);
    assert.equal(other.status, 201, JSON.stringify(other.body));
    const own = await openPortal(browser, to, "/tokens", {}, token);
    await own.page.getByRole("button", { name: "Revoke all" }).click();
    await own.page.getByRole("dialog").getByRole("button", { name: "Revoke all" }).click();
    // Theirs is one of them.
    await own.page.getByRole("dialog", { name: "Sign in to go on" }).waitFor();
    for (const one of [token, other.body.metadata.JWT]) assert.equal((await call(to, "GET", "/api/v1/user/profile", undefined, one)).status, 401);
    assert.equal((await call(to, "GET", "/api/v1/user/profile")).status, 200, "nobody else's is");
    await own.context.close();
  });

  test("a token is held to the rights that are ticked, and the list says which", async (t) => {
    const name = `held ${run}`;
    const { context, page, form } = await opened("/tokens", "New token");
    const listed = async () => (await call(to, "GET", "/api/v1/user/tokens")).body.items.find(({ spec }) => spec.description === name);
    t.after(async () => call(to, "DELETE", `/api/v1/user/tokens/${(await listed())?.metadata.id}`));
    await form.getByLabel("What it is for").fill(name);
    await form.getByText("Operate", { exact: true }).check();
    await form.getByLabel("Only some of that").check();
    // At first they are those of the role: all that an operator has, and nothing of an owner's.
    const rights = form.getByRole("group", { name: "Rights of this token" });
    const asset = rights.getByRole("group", { name: "Asset", exact: true });
    for (const verb of ["read", "write", "delete", "act", "reveal"]) assert.ok(await asset.getByLabel(verb).isChecked(), verb);
    assert.equal(await rights.getByRole("group", { name: "Token", exact: true }).count(), 0);
    assert.deepEqual(await rights.getByRole("group", { name: "Storage", exact: true }).getByRole("checkbox").count(), 1);
    await rights.getByRole("button", { name: "Tick none" }).click();
    await form.getByRole("button", { name: "Make token" }).click();
    await form.locator(".wrong", { hasText: "Tick one right at least" }).waitFor();
    await rights.getByRole("button", { name: "Tick reading only" }).click();
    assert.equal(await asset.getByLabel("write").isChecked(), false);
    await rights.getByRole("button", { name: "Tick none" }).click();
    await asset.getByLabel("read").check();
    await asset.getByLabel("write").check();
    await rights.getByText("2 of").waitFor();
    // An owner may more, and of that nothing is ticked by itself; a viewer less, and what is left is what they have.
    await form.getByText("Own", { exact: true }).check();
    await rights.getByRole("group", { name: "SigningKey", exact: true }).getByLabel("act").waitFor();
    await rights.getByText("2 of").waitFor();
    await form.getByText("Look", { exact: true }).check();
    await rights.getByText("1 of").waitFor();
    await form.getByText("Operate", { exact: true }).check();
    await form.getByLabel("In", { exact: true }).selectOption(to.project);
    // Closed and opened again it is all there.
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "New token" }).click();
    await rights.getByText("2 of").waitFor();
    await form.getByRole("button", { name: "Make token" }).click();
    const token = await page.getByLabel("token", { exact: true }).inputValue();
    await page.getByRole("button", { name: "Done" }).click();
    const { metadata, spec } = await listed();
    const project = (await call(to, "GET", `/api/v1/projects/${to.project}`)).body.metadata.id;
    assert.equal(metadata.type, "restricted");
    assert.deepEqual([spec.roles, spec.project], [["operator"], to.project]);
    assert.deepEqual(spec.permissions["core.project"], { [project]: { Asset: ["read", "write"] } });
    const row = page.getByRole("table", { name: "Your tokens" }).getByRole("row", { name: new RegExp(name) });
    await row.locator("summary", { hasText: "2 rights of operator" }).click();
    await row.getByText("Asset: read, write").waitFor();
    await row.getByText(`In ${to.project}`).waitFor();
    // It is good for that, and for nothing else.
    const answers = async (method, path, body) => (await call(to, method, media(to, path), body, token)).status;
    assert.equal(await answers("GET", "/assets"), 200);
    assert.equal(await answers("PUT", `/assets/held-${run}`, { properties: {} }), 201);
    assert.equal(await answers("DELETE", `/assets/held-${run}`), 403);
    assert.equal(await answers("GET", "/jobs"), 403);
    await call(to, "DELETE", media(to, `/assets/held-${run}`));
    // Whoever has it sees in the portal what it is good for; its owner sees it among everybody's, with whose it is.
    const held = await openPortal(browser, to, "/assets", {}, token);
    await held.page.getByRole("table", { name: "Assets" }).waitFor();
    assert.equal(await held.page.getByRole("link", { name: "Jobs", exact: true }).count(), 0);
    await held.context.close();
    const everybodys = page.getByRole("table", { name: "Everybody's tokens" }).getByRole("row", { name: new RegExp(name) });
    const me = (await call(to, "GET", "/api/v1/user/profile")).body.spec.name;
    assert.equal(await everybodys.locator("td[data-head=Whose]").textContent(), me);
    await row.getByRole("button", { name: "Revoke" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Revoke" }).click();
    await row.getByText("Revoked").waitFor();
    assert.equal(await answers("GET", "/assets"), 401);
    await context.close();
  });

  test("a report of usage has what was encoded, and an end before its beginning is refused at its field", async () => {
    const { context, page } = await openPortal(browser, to, "/usage");
    const report = page.locator("section", { has: page.getByRole("heading", { name: "Report" }) });
    await report.getByLabel("By", { exact: true }).selectOption("month");
    const end = await report.getByLabel("Before").inputValue();
    await report.getByLabel("Before").fill("2001-01-01");
    await report.getByRole("button", { name: "Make report" }).click();
    await report.locator(".failure[data-kind=invalid]").waitFor();
    await report.getByLabel("Before").fill(end);
    await report.getByRole("button", { name: "Make report" }).click();
    const rows = page.getByRole("table", { name: "Report" }).getByRole("row", { name: /Jobs/ });
    const asked = await call(to, "POST", "/api/v1/organization/reports/usage", {
      startDate: await report.getByLabel("From").inputValue(),
      endDate: end,
      format: "json",
      granularity: "month",
      projectNames: [to.project],
    });
    const jobs = asked.body.items.filter(({ meter }) => meter === "jobs");
    assert.ok(jobs.length > 0, "the demo was a job");
    for (const { quantity } of jobs) await rows.getByText(String(quantity), { exact: true }).first().waitFor();
    await context.close();
  });

  test("an asset is published from the list of locators for a time, with a filter, and unpublished", async () => {
    const name = `locator-${run}`;
    const { assetName } = await demo(to);
    await call(to, "PUT", media(to, `/accountFilters/${name}`), { properties: { firstQuality: { bitrate: 600_000 } } });
    const { context, page, form } = await opened("/locators", "Publish an asset");
    await form.getByLabel("Asset", { exact: true }).fill(assetName);
    await form.locator("summary", { hasText: "More" }).click();
    await form.getByLabel("Locator name").fill(name);
    await form.getByLabel("Until").fill("2031-01-02T03:04");
    await form.getByLabel("Filters").fill("there-is-none");
    const [id, keyId] = [randomUUID(), randomUUID()];
    await form.getByLabel("Id", { exact: true }).fill(id);
    await form.getByLabel("Alternative media id").fill("ours-7");
    await form.getByRole("button", { name: "Publish", exact: true }).click();
    await complained(form, "Filters", /there-is-none/);
    await form.getByLabel("Filters").fill(name);
    await form.getByRole("button", { name: "Publish", exact: true }).click();
    await page.getByRole("heading", { level: 1, name }).waitFor();
    const { properties } = await read(`/streamingLocators/${name}`);
    assert.deepEqual(properties.filters, [name]);
    assert.deepEqual([properties.streamingLocatorId, properties.alternativeMediaId], [id, "ours-7"]);
    assert.equal(Date.parse(properties.endTime), new Date("2031-01-02T03:04").getTime());
    await deleted(page, "Unpublish", "Locators", media(to, `/streamingLocators/${name}`));
    // Encrypted, with a key that is known elsewhere, too.
    await page.goto(`${to.portalUrl}/#/assets/${assetName}`);
    await page.getByRole("button", { name: "Publish", exact: true }).first().click();
    await form.getByRole("radio", { name: /^Encrypt with AES-128/ }).check();
    await form.locator("summary", { hasText: "More" }).click();
    await form.getByLabel("Locator name").fill(name);
    const keys = form.getByLabel("Content keys of your own", { exact: true });
    await keys.fill("no list");
    await form.getByRole("button", { name: "Publish", exact: true }).click();
    await complained(form, "Content keys of your own", /not JSON/);
    const key = { id: keyId, value: Buffer.alloc(16, 5).toString("base64"), labelReferenceInStreamingPolicy: "ContentKey_AES" };
    await keys.fill(JSON.stringify([{ ...key, value: "dG9vIHNob3J0" }]));
    await form.getByRole("button", { name: "Publish", exact: true }).click();
    await complained(form, "Content keys of your own", /16 bytes/);
    await keys.fill(JSON.stringify([key]));
    await form.getByRole("button", { name: "Publish", exact: true }).click();
    await page.getByRole("heading", { level: 1, name }).waitFor();
    const { contentKeys } = (await call(to, "POST", media(to, `/streamingLocators/${name}/listContentKeys`))).body;
    assert.deepEqual(contentKeys.map(({ id, value }) => [id, value]), [[keyId, key.value]]);
    await call(to, "DELETE", media(to, `/streamingLocators/${name}`));
    await call(to, "DELETE", media(to, `/accountFilters/${name}`));
    await context.close();
  });

  test("content keys leave as a CPIX document, and come back with another locator", { timeout: 15 * 60_000 }, async (t) => {
    const [name, clear] = [`cpix-${run}`, `cpix-clear-${run}`];
    const { assetName } = await demo(to);
    t.after(async () => {
      for (const one of [name, clear]) await call(to, "DELETE", media(to, `/streamingLocators/${one}`));
      await call(to, "DELETE", media(to, `/streamingPolicies/${name}`));
      await call(to, "DELETE", media(to, `/contentKeyPolicies/${name}`));
    });
    const restriction = { "@odata.type": "#Microsoft.Media.ContentKeyPolicyOpenRestriction" };
    const configuration = { "@odata.type": "#Microsoft.Media.ContentKeyPolicyClearKeyConfiguration" };
    await must(to, "PUT", `/contentKeyPolicies/${name}`, { properties: { options: [{ configuration, restriction }] } });
    await must(to, "PUT", `/streamingLocators/${clear}`, { properties: { assetName, streamingPolicyName: "Predefined_ClearStreamingOnly" } });
    // Two ways to encrypt, each with a key of its own.
    const scheme = (label) => ({ enabledProtocols: { hls: true, dash: true, download: false, smoothStreaming: false }, clearKeyEncryptionConfiguration: {}, contentKeys: { defaultKey: { label } } });
    await must(to, "PUT", `/streamingPolicies/${name}`, { properties: { commonEncryptionCenc: scheme("counted"), commonEncryptionCbcs: scheme("chained") } });
    await must(to, "PUT", `/streamingLocators/${name}`, { properties: { assetName, streamingPolicyName: name, defaultContentKeyPolicyName: name, contentId: "film 7" } });
    const keysOf = async (locator) => (await must(to, "POST", `/streamingLocators/${locator}/listContentKeys`)).contentKeys.map(({ id, type, value }) => ({ id, type, value }));
    const before = await keysOf(name);
    assert.equal(before.length, 2, "one for each way to encrypt");

    const { context, page } = await openPortal(browser, to, `/locators/${clear}`);
    await page.getByText("Not encrypted").waitFor();
    assert.equal(await page.getByRole("button", { name: "Download as CPIX" }).count(), 0);
    await page.goto(`${to.portalUrl}/#/locators/${name}`);
    const coming = page.waitForEvent("download");
    await page.getByRole("button", { name: "Download as CPIX" }).click();
    const download = await coming;
    assert.equal(download.suggestedFilename(), `${name}.cpix.xml`);
    const document = readFileSync(await download.path(), "utf8");
    assert.match(document, /contentId="film 7"/);
    for (const { id, value } of before) {
      assert.ok(document.includes(id));
      assert.ok(document.includes(value));
    }
    // Who may not see keys is offered none.
    const { body: made } = await call(to, "POST", "/api/v1/user/tokens", { type: "full-access", description: `cpix ${run}`, roles: ["viewer"] });
    t.after(() => call(to, "DELETE", `/api/v1/user/tokens/${made.metadata.id}`));
    const viewer = await openPortal(browser, to, `/locators/${name}`, {}, made.metadata.JWT);
    await viewer.page.getByText("film 7").waitFor();
    assert.equal(await viewer.page.getByRole("heading", { name: "Content keys" }).count(), 0);
    await viewer.context.close();

    await must(to, "DELETE", `/streamingLocators/${name}`);
    await page.goto(`${to.portalUrl}/#/locators`);
    await page.getByRole("button", { name: "Publish an asset" }).click();
    const form = page.getByRole("dialog");
    await form.getByLabel("Asset", { exact: true }).fill(assetName);
    await form.getByRole("radio", { name: /^Another policy/ }).check();
    await form.getByLabel("Streaming policy").selectOption(name);
    await form.getByLabel("Key policy", { exact: true }).selectOption(name);
    await form.locator("summary", { hasText: "More" }).click();
    await form.getByLabel("Locator name").fill(name);
    await form.getByLabel("Content id").fill("film 8");
    const field = form.getByLabel("Content keys of your own", { exact: true });
    await field.fill("<CPIX>no document</CPIX>");
    await form.getByRole("button", { name: "Publish", exact: true }).click();
    await complained(form, "Content keys of your own", /contentKeyDocument/);
    // A file fills the field, where it can be looked at before it is sent.
    await form.locator("input[type=file]").setInputFiles({ name: "keys.xml", mimeType: "application/xml", buffer: Buffer.from(document) });
    await page.waitForFunction((text) => [...document.querySelectorAll("dialog textarea")].some(({ value }) => value === text), document);
    await form.getByRole("button", { name: "Publish", exact: true }).click();
    await page.getByRole("heading", { level: 1, name }).waitFor();
    assert.deepEqual(await keysOf(name), before);
    assert.equal((await read(`/streamingLocators/${name}`)).properties.contentId, "film 8");
    await page.locator(".facts").getByText("film 8").waitFor();
    await page.getByRole("button", { name: "Show keys" }).click();
    for (const { id } of before) await page.getByRole("table", { name: "Content keys" }).getByText(id).waitFor();
    await context.close();
  });

  /** A signature for everything in an account, good for a day. */
  function accountSas(account, key) {
    const [version, permissions] = ["2021-12-02", "rwdlac"];
    const expiry = `${new Date(Date.now() + 86_400_000).toISOString().slice(0, 19)}Z`;
    const signed = [account, permissions, "b", "sco", "", expiry, "", "", version, "", ""].join("\n");
    const sig = createHmac("sha256", Buffer.from(key, "base64")).update(signed).digest("base64");
    return `?${new URLSearchParams({ sv: version, ss: "b", srt: "sco", sp: permissions, se: expiry, sig })}`;
  }
});
