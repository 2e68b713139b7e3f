// The player page with each player, old addresses of films, and the API's own page.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { createHmac, randomBytes, randomUUID } from "node:crypto";
import { launch } from "./lib/browser.mjs";
import { call, connection, demo, media } from "./lib/headwater.mjs";
import { encodeTo, startEvent } from "./lib/live.mjs";
import { copyDemo, makeTone, must, putFile } from "./lib/media.mjs";
import { openPortal, plays, shot, tooWide } from "./lib/portal.mjs";

describe("the portal's players", () => {
  let browser;
  let to;
  let film;
  const run = randomUUID().slice(0, 6);

  before(
    async () => {
      to = connection();
      browser = await launch();
      film = await demo(to);
    },
    { timeout: 5 * 60_000 },
  );
  after(() => browser?.close());

  test("a link with a token signs in, and the token leaves the address", async () => {
    const { context, page } = await openPortal(browser, to);
    assert.ok(!page.url().includes("token"), page.url());
    await context.close();
  });

  test("every player plays a film, with its qualities and what it requested", { timeout: 15 * 60_000 }, async () => {
    const { context, page, problems } = await openPortal(browser, to, `/watch/${film.locatorId}`);
    await plays(page);
    for (const label of ["Shaka Player", "dash.js", "hls.js"]) {
      await page.getByRole("radio", { name: label }).check();
      await page.waitForFunction((label) => document.querySelector(`input[type=radio][value="${label}"]`)?.checked, {
        "Shaka Player": "shaka",
        "dash.js": "dash.js",
        "hls.js": "hls.js",
      }[label]);
      await page.evaluate(() => {
        document.querySelector("video").currentTime = 0;
      });
      // A player that is only being loaded lets go of what was asked of the element: ask until it plays.
      await page.waitForFunction(() => {
        const video = document.querySelector("video");
        if (video.paused) video.play().catch(() => undefined);
        return video.dataset.state === "playing";
      });
      await plays(page);
      assert.equal(await page.locator(".trouble").count(), 0);
      // The page asks its player twice a second what there is to choose.
      const qualities = page.getByLabel("Quality");
      await qualities.locator("option").nth(2).waitFor({ state: "attached" }).catch(() => assert.fail(`${label} offers no qualities`));
      await qualities.selectOption({ index: 1 });
      await page.waitForFunction(() => /\d+×\d+/.test(document.querySelector(".meters")?.textContent ?? ""));
      assert.match((await page.locator("summary", { hasText: "Requests" }).textContent()) ?? "", /\([1-9]/);
    }
    await shot(page, "player");
    assert.deepEqual(problems, []);
    await context.close();
  });

  test("who comes before a live event begins waits, and sees it begin, in every player", { timeout: 15 * 60_000 }, async (t) => {
    const name = `early-${run}`;
    const event = media(to, `/liveEvents/${name}`);
    let encoder;
    t.after(async () => {
      encoder?.kill();
      await call(to, "POST", `${event}/stop`, { removeOutputsOnStop: true });
      await call(to, "DELETE", media(to, `/streamingLocators/${name}`));
    });
    const ingest = await startEvent(to, name);

    const viewers = [];
    for (const label of ["hls.js", "Shaka Player", "dash.js"]) {
      const { context, page } = await openPortal(browser, to, `/watch/${name}`);
      await page.getByRole("radio", { name: label }).check();
      await page.getByRole("status").getByText("Waiting for the event to begin").waitFor({ timeout: 120_000 });
      viewers.push({ context, page, label });
    }
    await shot(viewers[0].page, "player-waiting");
    encoder = encodeTo(ingest);
    for (const { context, page, label } of viewers) {
      // Whoever never touched the page may have to start the sound.
      await page.waitForFunction(() => {
        const video = document.querySelector("video");
        if (video.paused && video.dataset.state !== "waiting") video.play().catch(() => undefined);
        return video.dataset.state === "playing";
      }, undefined, { timeout: 120_000 });
      await plays(page);
      assert.equal(await page.locator(".trouble").count(), 0, label);
      assert.equal(await page.getByText("Waiting for the event to begin").count(), 0, label);
      await context.close();
    }
  });

  test("languages of sound and captions are chosen in every player, heard and read", { timeout: 15 * 60_000 }, async (t) => {
    const asset = `languages-${run}`;
    t.after(async () => {
      await call(to, "DELETE", media(to, `/streamingLocators/${asset}`));
      await call(to, "DELETE", media(to, `/assets/${asset}`));
    });
    await copyDemo(to, asset);
    await putFile(to, asset, "de.mp4", makeTone(1500, 20), "video/mp4");
    for (const language of ["en", "de"]) {
      await putFile(to, asset, `${language}.vtt`, `WEBVTT\n\n00:00.000 --> 00:20.000\nread in ${language}\n`, "text/vtt");
      await must(to, "PUT", `/assets/${asset}/tracks/captions-${language}`, {
        properties: { track: { "@odata.type": "#Microsoft.Media.TextTrack", fileName: `${language}.vtt`, languageCode: language, displayName: language === "en" ? "English" : "Deutsch" } },
      });
    }
    await must(to, "PUT", `/assets/${asset}/tracks/sound-de`, {
      properties: { track: { "@odata.type": "#Microsoft.Media.AudioTrack", fileName: "de.mp4", languageCode: "de", displayName: "Deutsch" } },
    });
    await must(to, "PUT", `/streamingLocators/${asset}`, { properties: { assetName: asset, streamingPolicyName: "Predefined_ClearStreamingOnly" } });
    const { context, page, problems } = await openPortal(browser, to, `/watch/${asset}`);
    await plays(page);
    await listen(page);
    for (const label of ["hls.js", "Shaka Player", "dash.js"]) {
      await page.getByRole("radio", { name: label }).check();
      await page.evaluate(() => (document.querySelector("video").currentTime = 0));
      await page.waitForFunction((player) => document.querySelector("video").dataset.player === player, { "hls.js": "hls.js", "Shaka Player": "shaka", "dash.js": "dash.js" }[label]);
      await plays(page);
      const sound = page.getByLabel("Sound", { exact: true });
      await page.waitForFunction(() => document.querySelectorAll("select option").length > 0 && [...document.querySelectorAll("label")].some(({ textContent }) => textContent === "Sound"));
      const languages = await sound.locator("option").allInnerTexts();
      const german = languages.findIndex((name) => /Deutsch|de\b/.test(name));
      assert.ok(languages.length === 2 && german >= 0, `${label} offers ${languages}`);
      await sound.selectOption({ index: german });
      await heard(page, 1500);
      assert.equal(await sound.evaluate(({ selectedIndex }) => selectedIndex), german, `${label} says what it plays`);
      await sound.selectOption({ index: 1 - german });
      await heard(page, null, 1500);
      const captions = page.getByLabel("Captions", { exact: true });
      assert.equal(await captions.inputValue(), "off");
      assert.deepEqual(await page.evaluate(() => globalThis.captions()), [], `${label} begins without captions`);
      for (const [name, words] of [["Deutsch", "read in de"], ["English", "read in en"]]) {
        await captions.selectOption({ index: (await captions.locator("option").allInnerTexts()).findIndex((option) => option.includes(name)) });
        await page.waitForFunction((words) => globalThis.captions().join() === words, words);
      }
      await captions.selectOption("off");
      await page.waitForFunction(() => globalThis.captions().length === 0);
    }
    await shot(page, "player-languages");
    // Shaka gives its text tracks an empty `data:` document, which the policy forbids and which they do without, as was read.
    assert.deepEqual(problems.filter((problem) => !problem.includes("'data:,WEBVTT'")), []);
    await context.close();
  });

  test("a film in ClearKey plays over DASH for who has a token, and for nobody else", { timeout: 15 * 60_000 }, async (t) => {
    const name = `clearkey-${run}`;
    const [issuer, audience, key] = ["https://example.com", "viewers", randomBytes(32)];
    t.after(async () => {
      for (const kind of ["streamingLocators", "streamingPolicies", "contentKeyPolicies"]) await call(to, "DELETE", media(to, `/${kind}/${name}`));
    });
    await must(to, "PUT", `/contentKeyPolicies/${name}`, {
      properties: {
        options: [
          {
            name: "token",
            configuration: { "@odata.type": "#Microsoft.Media.ContentKeyPolicyClearKeyConfiguration" },
            restriction: {
              "@odata.type": "#Microsoft.Media.ContentKeyPolicyTokenRestriction",
              restrictionTokenType: "Jwt",
              issuer,
              audience,
              primaryVerificationKey: { "@odata.type": "#Microsoft.Media.ContentKeyPolicySymmetricTokenKey", keyValue: key.toString("base64") },
            },
          },
        ],
      },
    });
    await must(to, "PUT", `/streamingPolicies/${name}`, {
      properties: {
        defaultContentKeyPolicyName: name,
        commonEncryptionCenc: {
          enabledProtocols: { hls: false, dash: true, download: false, smoothStreaming: false },
          contentKeys: { defaultKey: { label: "key" } },
          clearKeyEncryptionConfiguration: {},
        },
      },
    });
    await must(to, "PUT", `/streamingLocators/${name}`, { properties: { assetName: film.assetName, streamingPolicyName: name } });
    const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const unsigned = `${part({ alg: "HS256", typ: "JWT" })}.${part({ iss: issuer, aud: audience, exp: Math.floor(Date.now() / 1000) + 600 })}`;
    const jwt = `${unsigned}.${createHmac("sha256", key).update(unsigned).digest("base64url")}`;
    for (const [label, player] of [["Shaka Player", "shaka"], ["dash.js", "dash.js"]]) {
      const { context, page, problems } = await openPortal(browser, to, `/watch/${name}`);
      const addresses = [];
      page.on("request", (request) => addresses.push(request.url()));
      await page.getByRole("radio", { name: label }).check();
      await page.locator(".trouble", { hasText: "key policy may want a token" }).waitFor();
      assert.equal(await page.evaluate(() => document.querySelector("video").dataset.player), player);
      assert.equal(await shown(page), 0, `${label} shows nothing without a token`);
      await page.getByLabel("Key token (JWT)").fill(jwt);
      await page.getByRole("button", { name: "Play with this token" }).click();
      await plays(page);
      assert.equal(await page.locator(".trouble").count(), 0);
      assert.ok(await page.evaluate(() => document.querySelector("video").mediaKeys !== null), `${label} decrypts`);
      assert.deepEqual(addresses.filter((address) => address.includes(jwt)), []);
      await shot(page, `player-clearkey-${player}`);
      assert.deepEqual(problems.filter((problem) => !/status of 40[13]/.test(problem)), []);
      await context.close();
    }
  });

  test("a live event has a latency in every player", { timeout: 15 * 60_000 }, async (t) => {
    const name = `latency-${run}`;
    const encoder = encodeTo(await startEvent(to, name, { streamOptions: ["LowLatencyV2"] }));
    t.after(async () => {
      encoder.kill();
      await call(to, "POST", media(to, `/liveEvents/${name}/stop`), { removeOutputsOnStop: true });
    });
    const { streamingPaths } = await must(to, "POST", `/streamingLocators/${name}/listPaths`);
    const [path] = streamingPaths.flatMap(({ paths }) => paths).filter((path) => path.includes("m3u8-cmaf"));
    while (!(await fetch(`${to.streamingUrl}${path}`)).ok) await new Promise((resolve) => setTimeout(resolve, 500));
    const { context, page } = await openPortal(browser, to, `/watch/${name}`);
    for (const label of ["hls.js", "Shaka Player", "dash.js"]) {
      await page.getByRole("radio", { name: label }).check();
      await page.waitForFunction((player) => document.querySelector("video").dataset.player === player, { "hls.js": "hls.js", "Shaka Player": "shaka", "dash.js": "dash.js" }[label]);
      await plays(page);
      const latency = page.locator(".meters div", { has: page.locator("dt", { hasText: "Latency" }) }).locator("dd");
      await latency.waitFor();
      // A player begins farther behind and catches up. A picture is coded, sent and part of a segment before it is shown: none is
      // less than half a second old.
      const read = async () => Number.parseFloat(await latency.innerText());
      const ends = Date.now() + 120_000;
      let seconds = await read();
      while (!(seconds > 0.5 && seconds < 15) && Date.now() < ends) {
        await page.waitForTimeout(500);
        seconds = await read();
      }
      assert.ok(seconds > 0.5 && seconds < 15, `${label} says ${seconds} s`);
      const text = await latency.innerText();
      assert.match(text, /^\d+\.\d s$/);
      console.log(`${label}: ${text} behind`);
    }
    await shot(page, "player-live");
    await context.close();
  });

  /** Pictures that were decoded. */
  function shown(page) {
    return page.evaluate(() => document.querySelector("video").getVideoPlaybackQuality().totalVideoFrames);
  }

  /** Hears and reads the page's video from now on. */
  async function listen(page) {
    await page.evaluate(async () => {
      const audio = new AudioContext();
      await audio.resume();
      const ear = audio.createAnalyser();
      ear.fftSize = 8192;
      audio.createMediaElementSource(document.querySelector("video")).connect(ear);
      // What stands in the picture: a player may put markup around the words.
      globalThis.captions = () => {
        const video = document.querySelector("video");
        if (video.ended || video.currentTime > 15) video.currentTime = 1;
        if (video.paused) video.play().catch(() => undefined);
        const tracks = [...video.textTracks].filter(({ mode }) => mode === "showing");
        return tracks.flatMap(({ activeCues }) => [...(activeCues ?? [])].map((cue) => cue.getCueAsHTML().textContent));
      };
      globalThis.loudest = () => {
        const levels = new Float32Array(ear.frequencyBinCount);
        ear.getFloatFrequencyData(levels);
        const at = levels.indexOf(Math.max(...levels));
        return levels[at] < -80 ? null : (at * audio.sampleRate) / ear.fftSize;
      };
    });
  }

  /** Waits until this tone is the loudest; with null, any other than `not`. */
  function heard(page, hertz, not = 0) {
    return page.waitForFunction(
      ([hertz, not]) => {
        const video = document.querySelector("video");
        // Twenty seconds are over soon.
        if (video.ended || video.currentTime > 15) video.currentTime = 1;
        if (video.paused) video.play().catch(() => undefined);
        const loudest = globalThis.loudest();
        if (loudest === null) return false;
        return hertz === null ? Math.abs(loudest - not) > 100 : Math.abs(loudest - hertz) < 30;
      },
      [hertz, not],
      { polling: 200 },
    );
  }

  test("the old address of a film and a shared link lead to it, the link without a token", async () => {
    const { context, page } = await openPortal(browser, to);
    await page.goto(`${to.portalUrl}/?watch=${film.locatorId}`);
    await plays(page);
    const link = await page.getByLabel("player link", { exact: true }).inputValue();
    await context.close();
    const visitor = await openPortal(browser, to, new URL(link).hash.slice(1), {}, null);
    await plays(visitor.page);
    assert.deepEqual(visitor.problems, []);
    await visitor.context.close();
  });

  test("the API's own page shows every operation, with nothing from elsewhere", async () => {
    const { context, page, problems } = await openPortal(browser, to, "/", { viewport: { width: 360, height: 740 } }, null);
    const origins = new Set();
    page.on("request", (request) => origins.add(new URL(request.url()).origin));
    await page.goto(`${to.portalUrl}/api/docs#assetPut`);
    const opened = page.locator("details#assetPut[open]");
    await opened.getByText("Request body").waitFor();
    const { paths } = await (await fetch(`${to.apiUrl}/api/openapi.json`)).json();
    const operations = Object.values(paths).flatMap((item) => Object.values(item).filter((one) => one.operationId));
    assert.equal(await page.locator("section details:has(.method)").count(), operations.length);
    await opened.getByRole("link", { name: "AssetWrite" }).click();
    await page.locator("details#schema-AssetWrite[open]").waitFor();
    assert.ok(!(await tooWide(page)));
    assert.deepEqual([...origins], [new URL(to.portalUrl).origin]);
    assert.deepEqual(problems, []);
    await context.close();
  });
});
