/**
 * Where in the portal the visitor is: `#/assets/film?q=x`.
 *
 * In the fragment, because every other path may be a streaming locator's. `/?watch={locatorId}`, the address of the
 * gallery that was here before, still leads to the player.
 */

import { signal } from "@preact/signals";

export interface Place {
  /** Decoded segments: `["assets", "film"]`. */
  path: string[];
  query: URLSearchParams;
}

export function readPlace(hash: string): Place {
  const [path = "", query = ""] = hash.replace(/^#/, "").split("?", 2);
  return { path: path.split("/").filter(Boolean).map(decode), query: new URLSearchParams(query) };
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

/** The address of a place: `href(["assets", "a b"])` is `#/assets/a%20b`. */
export function href(path: string[], query: Record<string, string> = {}): string {
  const search = new URLSearchParams(query).toString();
  return `#/${path.map(encodeURIComponent).join("/")}${search === "" ? "" : `?${search}`}`;
}

export const place = signal<Place>({ path: [], query: new URLSearchParams() });

export function go(path: string[], query: Record<string, string> = {}): void {
  location.hash = href(path, query);
}

/** The fragment that `place` was read from, or that was noted since. */
let known = "";

/** Keeps the address in step with what a list is filtered by, without a step in the history. Not over that of a link just followed. */
export function note(query: Record<string, string>): void {
  if (location.hash !== known) return;
  const kept = Object.fromEntries(Object.entries(query).filter(([, value]) => value !== ""));
  history.replaceState(null, "", href(place.peek().path, kept));
  known = location.hash;
}

export function startRouter(): void {
  const watched = new URLSearchParams(location.search).get("watch");
  if (watched !== null) history.replaceState(null, "", `/${href(["watch", watched])}`);
  const read = () => {
    known = location.hash;
    // `#content` is the skip link's, not a place.
    if (location.hash !== "" && !location.hash.startsWith("#/")) return;
    place.value = readPlace(location.hash);
  };
  window.addEventListener("hashchange", read);
  read();
}
