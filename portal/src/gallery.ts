/** The list of published videos, and the states in which there is none to show. */

import type { Published } from "./api/published";
import { el, webUrl } from "./dom";
import { clock, day, spokenDuration } from "./format";

export function watchHref(video: Published): string {
  return `/?watch=${encodeURIComponent(video.locatorId)}`;
}

export function gallery(videos: Published[]): HTMLElement {
  return el(
    "section",
    { "aria-labelledby": "gallery-title" },
    el("h1", { id: "gallery-title", tabindex: -1 }, "Published videos"),
    el("ul", { class: "grid" }, ...videos.map((video) => el("li", {}, card(video)))),
  );
}

function card(video: Published): HTMLElement {
  const poster = video.posterUrl === null ? null : webUrl(video.posterUrl);
  const frame = el("div", { class: "frame" });
  if (poster !== null) {
    const image = el("img", { src: poster, alt: "", loading: "lazy", decoding: "async" });
    // A poster that cannot be read leaves the plain frame.
    image.addEventListener("error", () => image.remove());
    frame.append(image);
  }
  if (video.durationSeconds !== null) {
    frame.append(
      el("span", { class: "length", "aria-hidden": "true" }, clock(video.durationSeconds)),
      el("span", { class: "visually-hidden" }, spokenDuration(video.durationSeconds)),
    );
  }
  return el(
    "a",
    { class: "card", href: watchHref(video), "data-link": true, "data-locator": video.locatorId },
    frame,
    el("span", { class: "title" }, title(video)),
    el("span", { class: "meta" }, day(video.created)),
  );
}

export function title(video: Published): string {
  return video.assetName || video.name;
}

export function loading(): HTMLElement {
  const blank = () => el("li", {}, el("div", { class: "card blank" }, el("div", { class: "frame" })));
  return el(
    "section",
    { "aria-busy": "true", "aria-label": "Loading the list of videos" },
    el("h1", { tabindex: -1 }, "Published videos"),
    el("ul", { class: "grid", "aria-hidden": "true" }, blank(), blank(), blank()),
  );
}

export function empty(retry: () => void): HTMLElement {
  return notice(
    "Nothing is published yet",
    el("p", {}, "Publish a file of your own, and it appears here:"),
    el("pre", {}, el("code", {}, "headwater publish film.mp4")),
    button("Look again", retry),
  );
}

export function failure(sentence: string, retry: () => void): HTMLElement {
  return notice("The list could not be read", el("p", { role: "alert" }, sentence), button("Try again", retry));
}

/** Asks for a token. `rejected`: one was given and did not do. */
export function tokenForm(rejected: boolean, submit: (token: string) => void): HTMLElement {
  const input = el("input", {
    id: "token",
    name: "token",
    type: "password",
    autocomplete: "off",
    spellcheck: "false",
    required: true,
    "aria-describedby": "token-help",
    "aria-invalid": rejected ? "true" : null,
  });
  const form = el(
    "form",
    { class: "token" },
    el("label", { for: "token" }, "Token"),
    input,
    el("button", { type: "submit" }, "Show videos"),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const token = input.value.trim();
    if (token !== "") submit(token);
  });
  return notice(
    "A token is needed",
    rejected
      ? el("p", { role: "alert" }, "That token was not accepted. It may have expired.")
      : el("p", {}, "This Headwater shows its videos to those who hold a token."),
    form,
    el(
      "p",
      { class: "meta", id: "token-help" },
      "The operator makes one with ",
      el("code", {}, "headwater token"),
      ". It is kept in this tab until you close it.",
    ),
  );
}

function notice(heading: string, ...children: HTMLElement[]): HTMLElement {
  return el("section", { class: "notice" }, el("h1", { tabindex: -1 }, heading), ...children);
}

function button(label: string, action: () => void): HTMLElement {
  const element = el("button", { type: "button" }, label);
  element.addEventListener("click", action);
  return element;
}
