// Debian's Chromium, as playwright-core starts it: no browser download, no calls home.

import { existsSync } from "node:fs";
import { chromium } from "playwright-core";
import { watchRequests } from "../../lib/waits.mjs";

export { within } from "../../lib/waits.mjs";

const EXECUTABLE = process.env.CHROMIUM ?? "/usr/bin/chromium";

/** Starts a browser with a fresh profile; close it when done. */
export async function launch() {
  if (!existsSync(EXECUTABLE)) throw new Error(`no browser at ${EXECUTABLE}: apt-get install chromium`);
  return chromium.launch({
    executablePath: EXECUTABLE,
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      // A test is no gesture, and sound is part of what is tested.
      "--autoplay-policy=no-user-gesture-required",
    ],
  });
}

/** Opens a page and notes what goes wrong on it. */
export async function openPage(browser, options = {}) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, ...options });
  const page = await context.newPage();
  // For what is said to take no time: a busy machine takes longer than Playwright's half minute.
  page.setDefaultTimeout(120_000);
  const problems = [];
  page.on("pageerror", (error) => problems.push(`page error: ${error.message}`));
  page.on("console", (message) => {
    if (message.type() === "error") problems.push(`console: ${message.text()} ${message.location().url}`);
  });
  watchRequests(page);
  return { context, page, problems };
}
