/** The page of one video. */

import type { Published } from "./api/published";
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
  const urls = { HLS: web(video.hlsUrl), DASH: web(video.dashUrl) };
  const players = PLAYERS.filter(({ protocol }) => urls[protocol] !== null);

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
      const protocol = players.find((player) => player.name === name)?.protocol;
      const url = protocol === undefined ? null : urls[protocol];
      if (name === null || url === null || mine !== turn) return null;
      try {
        const playback = await play(name, screen, url, (sentence) => {
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

  // What the policy allows may be another protocol than that of the player chosen last time.
  const first = (players.find(({ name }) => name === chosen) ?? players[0])?.name ?? null;
  const choice = el(
    "fieldset",
    { class: "players" },
    el("legend", {}, "Player"),
    ...players.map(({ name, label, protocol }) => {
      const input = el("input", { type: "radio", name: "player", value: name });
      input.checked = name === first;
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
      ...link("HLS", video.hlsUrl),
      ...link("DASH", video.dashUrl),
    ),
  );

  start(first, 0, true);
  return { element, leave: () => start(null, 0, false) };
}

function web(url: string | null): string | null {
  return url === null ? null : webUrl(url);
}

function link(protocol: string, url: string | null): HTMLElement[] {
  return url === null ? [] : [el("dt", {}, protocol), el("dd", {}, address(url))];
}

function address(url: string): HTMLElement {
  const href = webUrl(url);
  return href === null ? el("span", {}, url) : el("a", { href, class: "url" }, url);
}
