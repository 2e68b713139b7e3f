// Every page, light and dark, on a phone and on a desk: it shows, nothing is wider than the screen, nothing is wrong in
// the console, and axe finds nothing serious.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { launch } from "./lib/browser.mjs";
import { call, connection, demo, media } from "./lib/headwater.mjs";
import { must } from "./lib/media.mjs";
import { complaints, openPortal, settled, SHAPES, shot, tooWide } from "./lib/portal.mjs";

const LISTS = [
  ["overview", "/"],
  ...[
    ...["upload", "assets", "jobs", "transforms", "upload-rules", "live", "locators", "endpoints", "streaming-policies"],
    ...["key-policies", "filters", "projects", "storage", "import", "webhooks", "usage", "audit", "profile", "organization", "people", "teams", "roles", "tokens"],
    ...["signing-keys"],
  ].map((name) => [name, `/${name}`]),
];

/** Pages with a form behind a button; what makes the most of it appear, and what that is called. */
const FORMS = [
  ["/assets", "New asset"],
  ["/locators", "Publish an asset"],
  ["/locators", "Publish an asset", async (form) => form.getByRole("radio", { name: /^Encrypt with AES-128/ }).check(), "encrypted"],
  ["/transforms", "New transform"],
  [
    "/transforms",
    "New transform",
    async (form) => {
      await form.getByRole("radio", { name: /^An encode of your own/ }).check();
      await form.getByRole("button", { name: "Add thumbnails" }).click();
      await form.getByRole("button", { name: "More thumbnails" }).click();
      await form.getByRole("button", { name: "Another output" }).click();
    },
    "whole",
  ],
  [
    "/transforms/AdaptiveStreaming",
    "Change",
    async (form) => form.getByRole("radio", { name: /^JSON/ }).check(),
    "json",
  ],
  ["/jobs", "New encode"],
  ["/jobs", "New encode", async (form) => form.getByLabel("What is encoded").selectOption("http"), "http"],
  ["/live", "New live event"],
  [
    "/live",
    "New live event",
    async (form) => {
      await form.getByRole("radio", { name: /^Ladder to 720p/ }).check();
      await form.locator("summary").click();
      await form.getByLabel("A host name of its own").check();
    },
    "encoded",
  ],
  ["/live/pages-live", "Change"],
  ["/live/pages-live", "Record"],
  ["/endpoints", "New endpoint"],
  ["/key-policies", "New key policy"],
  ["/streaming-policies", "New streaming policy"],
  [
    "/streaming-policies",
    "New streaming policy",
    async (form) => form.getByRole("radio", { name: /^CENC and CBCS with DRM/ }).check(),
    "drm",
  ],
  ["/streaming-policies", "New streaming policy", async (form) => form.getByRole("radio", { name: /^JSON/ }).check(), "json"],
  ["/filters", "New filter"],
  ["/projects", "New project"],
  ["/projects/default", "Rename"],
  ["/storage", "Add storage account"],
  ["/upload-rules", "New upload rule"],
  ["/webhooks", "New webhook"],
  ["/people", "Invite somebody"],
  ["/profile", "Edit"],
  ["/organization", "Edit"],
  ["/teams/owners", "Edit", async (form) => form.getByRole("button", { name: "Rights elsewhere" }).click()],
  [
    "/filters",
    "Edit",
    async (form) => {
      await form.locator("summary").click();
      await form.getByRole("button", { name: "Only certain tracks" }).click();
    },
  ],
  [
    "/key-policies/pages-keys",
    "Edit",
    async (form) => {
      await form.getByRole("button", { name: "Another option" }).click();
      await form.getByRole("button", { name: "Another option" }).click();
      const third = form.getByRole("group", { name: "Option 3" });
      await third.getByLabel("Key system").selectOption("FairPlay");
      await third.getByLabel("Players may").selectOption("DualExpiry");
      await third.getByLabel("Tokens are verified with").selectOption("public");
      await third.getByLabel("A token opens").selectOption("typed");
    },
  ],
  ["/webhooks/pages-hook", "Change", async (form) => form.getByLabel("Secret headers").waitFor({ state: "attached" })],
  ["/teams", "New team"],
  ["/roles", "New role"],
  ["/tokens", "New token"],
  ["/tokens", "New token", async (form) => form.getByLabel("Only some of that").check(), "rights"],
];

describe("pages of the portal", () => {
  let browser;
  let to;
  let details;
  /** Those of things that are found at first. */
  let forms;

  before(
    async () => {
      to = connection();
      browser = await launch();
      const film = await demo(to);
      await pictures(film.assetName);
      const { body: jobs } = await call(to, "GET", media(to, "/jobs"));
      const [transform, , job] = jobs.value.at(-1).id.split("/").slice(-3);
      const clearKey = { "@odata.type": "#Microsoft.Media.ContentKeyPolicyClearKeyConfiguration" };
      const open = { "@odata.type": "#Microsoft.Media.ContentKeyPolicyOpenRestriction" };
      const made = [
        await call(to, "PUT", media(to, "/liveEvents/pages-live"), { location: "local", properties: { input: { streamingProtocol: "RTMP" } } }),
        await call(to, "PUT", media(to, "/contentKeyPolicies/pages-keys"), {
          properties: { options: [{ name: "open", configuration: clearKey, restriction: open }] },
        }),
        await call(to, "PUT", media(to, "/accountFilters/pages-filter"), { properties: { firstQuality: { bitrate: 600000 } } }),
        await call(to, "PUT", `/api/v1/projects/${to.project}/webhook/rules/pages-hook`, {
          spec: { url: "http://127.0.0.1:9/hook", enabled: false, events: ["MediaKind.JobFinished"] },
        }),
      ];
      for (const { status, body } of made) assert.ok(status < 300, JSON.stringify(body));
      const asset = `/assets/${film.assetName}`;
      forms = [
        [asset, "Encode", async (form) => {
          for (const file of (await form.getByRole("checkbox").all()).slice(0, 2)) await file.check();
          await form.getByLabel("How much of it").selectOption("film");
          await form.locator("summary").click();
          await form.getByLabel("Which tracks are read").selectOption("language");
        }, "encode"],
        [asset, "Describe"],
        [asset, "Publish"],
        [asset, "Add captions or sound"],
        [asset, "New filter"],
        [`/jobs/${transform}/${job}`, "Edit"],
        [`/locators/${film.name}`, "Edit"],
        ["/endpoints/default", "Edit"],
        ["/endpoints/default", "Scale"],
        ["/storage/local", "New credential"],
      ];
      details = [
        ["asset", asset],
        ["asset-pictures", "/assets/pages-pictures"],
        ["job", `/jobs/${transform}/${job}`],
        ["transform", `/transforms/${transform}`],
        ["locator", `/locators/${film.name}`],
        ["watch", `/watch/${film.locatorId}`],
        ["endpoint", "/endpoints/default"],
        ["live-event", "/live/pages-live"],
        ["key-policy", "/key-policies/pages-keys"],
        ["streaming-policy", "/streaming-policies/Predefined_ClearStreamingOnly"],
        ["project", `/projects/${to.project}`],
        ["storage-account", "/storage/local"],
        ["webhook", "/webhooks/pages-hook"],
        ["team", "/teams/owners"],
        ["play", `/play?${new URLSearchParams({ url: film.hlsUrl })}`],
        ["missing", "/nowhere"],
      ];
    },
    { timeout: 5 * 60_000 },
  );
  after(async () => {
    await browser?.close();
    await call(to, "DELETE", media(to, "/transforms/pages-pictures"));
    await call(to, "DELETE", media(to, "/assets/pages-pictures"));
    await call(to, "DELETE", media(to, "/liveEvents/pages-live"));
    await call(to, "DELETE", media(to, "/contentKeyPolicies/pages-keys"));
    await call(to, "DELETE", media(to, "/accountFilters/pages-filter"));
    await call(to, "DELETE", `/api/v1/projects/${to.project}/webhook/rules/pages-hook`);
  });

  /** An asset with a poster and a sheet of small pictures. */
  async function pictures(source) {
    await must(to, "PUT", "/transforms/pages-pictures", {
      properties: {
        outputs: [
          {
            preset: {
              "@odata.type": "#MediaKind.ThumbnailGeneratorPreset",
              thumbnails: [{ start: "{Best}" }, { start: "PT0S", range: "100%", step: "PT2S", width: "160", label: "sheet", spriteColumn: 4 }],
            },
          },
        ],
      },
    });
    const outputs = [{ "@odata.type": "#Microsoft.Media.JobOutputAsset", assetName: "pages-pictures" }];
    // Its name ends with what its content is given.
    const { files } = (await call(to, "GET", media(to, `/assets/${source}/storage`))).body.spec;
    const film = files.map(({ name }) => name).find((name) => name.startsWith("demo_640x360_"));
    const input = { "@odata.type": "#Microsoft.Media.JobInputAsset", assetName: source, files: [film] };
    await must(to, "PUT", "/transforms/pages-pictures/jobs/pages-pictures", { properties: { input, outputs } });
    for (;;) {
      const { state } = (await must(to, "GET", "/transforms/pages-pictures/jobs/pages-pictures")).properties;
      assert.notEqual(state, "Error", film);
      if (state === "Finished") return;
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }

  for (const [shape, options] of Object.entries(SHAPES)) {
    test(`on a ${shape.replace("-", " in ")} screen every page is sound`, { timeout: 15 * 60_000 }, async () => {
      const { context, page, problems } = await openPortal(browser, to, "/", options);
      const wrong = [];
      for (const [name, place] of [...LISTS, ...details]) {
        await page.evaluate((place) => (location.hash = place), place);
        await settled(page);
        if (["watch", "play"].includes(name)) await page.waitForFunction(() => document.querySelector("video")?.videoWidth > 0);
        if (await tooWide(page)) wrong.push(`${name}: wider than the screen`);
        wrong.push(...(await complaints(page)).map((line) => `${name}: ${line}`));
        const failures = await page.locator("main .failure[data-kind]").allInnerTexts();
        wrong.push(...failures.map((text) => `${name}: ${text}`));
        await shot(page, `${shape}-${name}`);
      }
      assert.deepEqual(wrong, []);
      assert.deepEqual(problems, []);
      await context.close();
    });
  }

  for (const shape of Object.keys(SHAPES)) {
    test(`on a ${shape.replace("-", " in ")} screen every form is sound`, { timeout: 15 * 60_000 }, async () => {
      const { context, page } = await openPortal(browser, to, "/", SHAPES[shape]);
      const wrong = [];
      for (const [place, button, fill, called] of [...FORMS, ...forms]) {
        await page.evaluate((place) => (location.hash = place), place);
        await settled(page);
        const opener = page.getByRole("button", { name: button, exact: true }).first();
        await opener.click();
        const dialog = page.getByRole("dialog");
        await dialog.locator("form").last().waitFor();
        if (fill !== undefined) {
          await fill(dialog);
          await dialog.locator("details").evaluateAll((all) => all.forEach((one) => (one.open = true)));
        }
        if (await dialog.evaluate((box) => box.scrollWidth > box.clientWidth)) wrong.push(`${button}: wider than its dialog`);
        if (await tooWide(page)) wrong.push(`${button}: wider than the screen`);
        // Wherever its button stands, also in a table.
        const aside = await dialog.evaluate((box) => Math.abs(box.getBoundingClientRect().left + box.getBoundingClientRect().right - document.documentElement.clientWidth));
        if (aside > 20) wrong.push(`${place} ${button}: not in the middle`);
        wrong.push(...(await complaints(page)).map((line) => `${button}: ${line}`));
        // A dialog scrolls; the picture has all of it.
        await page.setViewportSize({ ...SHAPES[shape].viewport, height: await dialog.evaluate((box) => box.scrollHeight + 60) });
        await shot(page, `${shape}-form${place.replaceAll("/", "-")}-${called ?? button.replaceAll(" ", "-")}`, false);
        await page.setViewportSize(SHAPES[shape].viewport);
        await page.keyboard.press("Escape");
        await dialog.waitFor({ state: "detached" });
        // Where one was before the dialog, one is again.
        const back = await page.evaluate(() => document.activeElement?.textContent);
        if (back !== button) wrong.push(`${button}: focus went to ${back}`);
        // What was filled in is kept, and the next form is to be as it comes.
        if (fill !== undefined) await page.reload();
      }
      assert.deepEqual(wrong, []);
      await context.close();
    });
  }

  test("without a token there is the sign-in, and the player for whoever has its link", async () => {
    for (const [shape, options] of Object.entries(SHAPES)) {
      const { context, page } = await openPortal(browser, to, "/assets", options, null);
      await page.getByLabel("Token").waitFor();
      await shot(page, `${shape}-sign-in`);
      assert.deepEqual(await complaints(page), []);
      await page.getByRole("link", { name: "You have an invitation?" }).click();
      await page.getByLabel("Secret of the invitation").waitFor();
      await shot(page, `${shape}-invited`);
      assert.deepEqual(await complaints(page), []);
      await context.close();
    }
  });
});
