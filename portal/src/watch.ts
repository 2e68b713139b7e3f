/** The page of one video. */

import type { Published } from "./api";
import { el, webUrl } from "./dom";
import { clock, day } from "./format";
import { title } from "./gallery";
import { PLAYERS, play, type Playback, type PlayerName } from "./players";

export interface WatchPage {
  element: HTMLElement;
  /** Stops playback and lets go of the player. */
  leave(): void;
}

export function watch(video: Published, chosen: PlayerName, remember: (player: PlayerName) => void): WatchPage {
  const poster = video.posterUrl === null ? null : webUrl(video.posterUrl);
  const screen = el("video", {
    controls: true,
    playsinline: true,
    preload: "auto",
    poster,
    "aria-label": title(video),
  });
  const trouble = el("p", { class: "trouble", role: "alert", hidden: true });
  const source = { hlsUrl: webUrl(video.hlsUrl) ?? "", dashUrl: webUrl(video.dashUrl) ?? "" };

  // One player at a time: each start waits for the stop before it, and a late start that nobody wants is stopped.
  let turn = 0;
  let current: Promise<Playback | null> = Promise.resolve(null);

  const complain = (sentence: string) => {
    trouble.textContent = sentence;
    trouble.hidden = false;
    screen.dataset.state = "error";
  };

  const start = (name: PlayerName | null, resumeAt: number, autoplay: boolean) => {
    const mine = ++turn;
    trouble.hidden = true;
    screen.dataset.state = "loading";
    screen.dataset.player = name ?? "";
    const before = current;
    current = (async () => {
      await (await before)?.stop();
      if (name === null || mine !== turn) return null;
      try {
        const playback = await play(name, screen, source, (sentence) => {
          if (mine === turn) complain(sentence);
        });
        if (resumeAt > 0) screen.currentTime = resumeAt;
        // Browsers refuse sound before a first gesture; the controls are there for that case.
        if (autoplay) screen.play().catch(() => undefined);
        return playback;
      } catch (error) {
        if (mine === turn) complain(error instanceof Error ? error.message : String(error));
        return null;
      }
    })();
  };

  screen.addEventListener("playing", () => {
    screen.dataset.state = "playing";
    trouble.hidden = true;
  });
  screen.addEventListener("ended", () => (screen.dataset.state = "ended"));

  const choice = el(
    "fieldset",
    { class: "players" },
    el("legend", {}, "Player"),
    ...PLAYERS.map(({ name, label, protocol }) => {
      const input = el("input", { type: "radio", name: "player", value: name });
      input.checked = name === chosen;
      input.addEventListener("change", () => {
        remember(name);
        start(name, screen.currentTime, !screen.paused);
      });
      return el("label", {}, input, el("span", {}, label), el("small", {}, protocol));
    }),
  );

  const facts = [
    video.durationSeconds === null ? "" : clock(video.durationSeconds),
    day(video.created),
    video.name === title(video) ? "" : video.name,
  ].filter((text) => text !== "");

  const element = el(
    "article",
    { class: "watch" },
    el("p", {}, el("a", { href: "/", "data-link": true }, "← All videos")),
    el("div", { class: "screen" }, screen),
    trouble,
    el("h1", { tabindex: -1 }, title(video)),
    el("p", { class: "meta" }, facts.join(" · ")),
    choice,
    el(
      "dl",
      { class: "links" },
      el("dt", {}, "HLS"),
      el("dd", {}, address(video.hlsUrl)),
      el("dt", {}, "DASH"),
      el("dd", {}, address(video.dashUrl)),
    ),
  );

  start(chosen, 0, true);
  return { element, leave: () => start(null, 0, false) };
}

function address(url: string): HTMLElement {
  const href = webUrl(url);
  return href === null ? el("span", {}, url) : el("a", { href, class: "url" }, url);
}
