// The portal in a browser: opening it, signing in, looking at it.

import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { openPage, within } from "./browser.mjs";

/** For what is said to take no time: more than a busy machine needs. */
const PATIENCE = 120_000;

/** What pages are looked at on. */
export const SHAPES = {
  "desk-light": { viewport: { width: 1280, height: 860 }, colorScheme: "light" },
  "desk-dark": { viewport: { width: 1280, height: 860 }, colorScheme: "dark" },
  "phone-light": { viewport: { width: 375, height: 780 }, colorScheme: "light", hasTouch: true },
  "phone-dark": { viewport: { width: 375, height: 780 }, colorScheme: "dark", hasTouch: true },
};

/** Opens the portal at `place` (`/assets`), signed in with `token`; null for a visitor without. */
export async function openPortal(browser, to, place = "/", options = {}, token = to.token) {
  const opened = await openPage(browser, options);
  opened.page.setDefaultTimeout(PATIENCE);
  if (token !== null) {
    await opened.page.goto(`${to.portalUrl}/#token=${token}`);
    await opened.page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
  }
  if (place !== "/" || token === null) await opened.page.goto(`${to.portalUrl}/#${place}`);
  return opened;
}

/** Waits until frames are decoded and time goes on. */
export function plays(page) {
  const playing = page.waitForFunction(
    () => {
      const video = document.querySelector("video");
      if (video?.paused) video.play().catch(() => undefined);
      return video !== null && video.currentTime > 1 && video.getVideoPlaybackQuality().totalVideoFrames > 10;
    },
    null,
    { timeout: PATIENCE },
  );
  return within(page, 2 * PATIENCE, playing);
}

/** Leaves a picture in `SCREENSHOTS`, for people to look at. */
export async function shot(page, name, fullPage = true) {
  if (!process.env.SCREENSHOTS) return;
  mkdirSync(process.env.SCREENSHOTS, { recursive: true });
  await page.screenshot({ path: join(process.env.SCREENSHOTS, `${name}.png`), fullPage });
}

/** Nothing is loading any more. */
export function settled(page) {
  return page.waitForFunction(() => document.querySelector("main h1") !== null && document.querySelector(".loading") === null);
}

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** What axe finds against WCAG 2.2 AA that is serious or critical, one line each. */
export async function complaints(page) {
  await page.evaluate(AXE);
  const found = await page.evaluate(async () => {
    const { violations } = await globalThis.axe.run(document, {
      runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"],
      resultTypes: ["violations"],
    });
    return violations.map(({ id, impact, help, nodes }) => ({ id, impact, help, where: nodes.map(({ target }) => target.join(" ")) }));
  });
  return found
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, help, where }) => `${id}: ${help} (${where.slice(0, 4).join(", ")})`);
}

export async function tooWide(page) {
  return page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth);
}
