// Debian's Chromium, as playwright-core starts it: no browser download, no calls home.

import { existsSync } from "node:fs";
import { chromium } from "playwright-core";

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

/** Requests of pages that are not answered to their ends, and since when. */
const unanswered = new WeakMap();

/** Opens a page and notes what goes wrong on it. */
export async function openPage(browser, options = {}) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, ...options });
  const page = await context.newPage();
  const problems = [];
  page.on("pageerror", (error) => problems.push(`page error: ${error.message}`));
  page.on("console", (message) => {
    if (message.type() === "error") problems.push(`console: ${message.text()} ${message.location().url}`);
  });
  const waits = new Map();
  unanswered.set(page, waits);
  page.on("request", (request) => waits.set(request, Date.now()));
  for (const over of ["requestfinished", "requestfailed"]) page.on(over, (request) => waits.delete(request));
  return { context, page, problems };
}

/** What `promise` comes to; if that is nothing within `ms`, or an error, how the page stands is said as well. */
export async function within(page, ms, promise) {
  let timer;
  const late = new Promise((_, reject) => (timer = setTimeout(() => reject(new Error(`nothing within ${ms} ms`)), ms)));
  try {
    return await Promise.race([promise, late]);
  } catch (error) {
    throw new Error(`${error.message}\n${await standing(page)}`, { cause: error });
  } finally {
    clearTimeout(timer);
  }
}

/** The page's video, and what it waits for. */
async function standing(page) {
  const video = page.evaluate(() => {
    const video = document.querySelector("video");
    if (video === null) return "no video";
    const { currentTime, readyState, networkState, paused, seeking, error, buffered, seekable } = video;
    const ranges = (all) => Array.from(all, (_, at) => [all.start(at), all.end(at)]);
    const spans = { buffered: ranges(buffered), seekable: ranges(seekable) };
    return { currentTime, readyState, networkState, paused, seeking, error: error?.message, ...spans, frames: video.getVideoPlaybackQuality() };
  });
  const silence = new Promise((resolve) => setTimeout(() => resolve("the page does not answer"), 5000));
  const state = await Promise.race([video.catch(String), silence]);
  const waits = [...(unanswered.get(page) ?? [])].map(([request, since]) => `${request.method()} ${request.url()} for ${Date.now() - since} ms`);
  return [JSON.stringify(state), ...waits].join("\n");
}
