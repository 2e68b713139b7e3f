// What a page of a browser waits for, said where a test has waited in vain. Of Playwright's pages, without importing it: each suite has its own.

/** Requests of pages that are not answered to their ends, and since when. */
const unanswered = new WeakMap();

/** Notes from now on which of a page's requests are not answered. */
export function watchRequests(page) {
  const waits = new Map();
  unanswered.set(page, waits);
  page.on("request", (request) => waits.set(request, Date.now()));
  for (const over of ["requestfinished", "requestfailed"]) page.on(over, (request) => waits.delete(request));
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
