/**
 * The gallery: lists what is published and plays it.
 *
 * `/` is the list, `/?watch={locatorId}` one video. Everything comes from the public API; the page can do nothing that
 * a script with the same token could not.
 */

import { listPublished, type Published } from "./api/published";
import { empty, failure, gallery, loading, title, tokenForm } from "./gallery";
import { PLAYERS, type PlayerName } from "./players";
import { forgetToken, keepToken, readToken, takeToken } from "./token";
import { watch, type WatchPage } from "./watch";

const PLAYER_KEY = "headwater.player";

const content = document.querySelector<HTMLElement>("#content")!;
const announcer = document.querySelector<HTMLElement>("#announcer")!;
const forget = document.querySelector<HTMLButtonElement>("#forget-token")!;

let videos: Published[] | null = null;
let page: WatchPage | null = null;
let request: AbortController | null = null;

const taken = takeToken(location.href);
if (taken.token !== null) {
  keepToken(sessionStorage, taken.token);
  history.replaceState(null, "", taken.url);
}

function show(element: HTMLElement, said: string, focus: boolean): void {
  page?.leave();
  page = null;
  content.replaceChildren(element);
  announcer.textContent = said;
  forget.hidden = readToken(sessionStorage) === null;
  if (focus) {
    element.querySelector<HTMLElement>("h1")?.focus({ preventScroll: true });
    window.scrollTo(0, 0);
  }
}

/** Shows what the address says; `focus` after a click, so that a screen reader follows. */
function route(focus: boolean): void {
  if (videos === null) return void load(focus);
  const wanted = new URLSearchParams(location.search).get("watch");
  const video = wanted === null ? undefined : videos.find(({ locatorId }) => locatorId === wanted);
  if (video !== undefined) {
    const opened = watch(video, preferredPlayer(), (player) => sessionStorage.setItem(PLAYER_KEY, player));
    show(opened.element, title(video), focus);
    page = opened;
    document.title = `${title(video)} · Headwater`;
    return;
  }
  document.title = "Headwater";
  if (wanted !== null) {
    show(failure("This video is not published, or no longer.", reload), "Video not found", focus);
  } else if (videos.length === 0) {
    show(empty(reload), "Nothing is published yet", focus);
  } else {
    show(gallery(videos), `${videos.length} published ${videos.length === 1 ? "video" : "videos"}`, focus);
  }
}

async function load(focus: boolean): Promise<void> {
  request?.abort();
  const mine = (request = new AbortController());
  show(loading(), "Loading", focus);
  const result = await listPublished(readToken(sessionStorage), mine.signal).catch(() => null);
  if (result === null || mine !== request) return;
  if (result.ok) {
    videos = result.videos;
    route(focus);
  } else if (result.failure.kind === "needs-token") {
    const form = tokenForm(result.failure.rejected, (token) => {
      keepToken(sessionStorage, token);
      reload();
    });
    show(form, "A token is needed", focus);
  } else {
    show(failure(result.failure.sentence, reload), "The list could not be read", focus);
  }
}

function reload(): void {
  videos = null;
  void load(true);
}

function preferredPlayer(): PlayerName {
  const kept = sessionStorage.getItem(PLAYER_KEY);
  return PLAYERS.find(({ name }) => name === kept)?.name ?? "hls.js";
}

document.addEventListener("click", (event) => {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return;
  const link = (event.target as Element).closest<HTMLAnchorElement>("a[data-link]");
  if (link === null) return;
  event.preventDefault();
  if (link.href !== location.href) history.pushState(null, "", link.href);
  route(true);
});
window.addEventListener("popstate", () => route(true));
forget.addEventListener("click", () => {
  forgetToken(sessionStorage);
  reload();
});

route(false);
