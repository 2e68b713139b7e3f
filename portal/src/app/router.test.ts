import { afterEach, expect, test, vi } from "vitest";
import { note, place, startRouter } from "./router";

afterEach(() => vi.unstubAllGlobals());

/** As much of a window as the router looks at; `changed` tells it what browsers tell a task later. */
function open(hash: string) {
  const location = { hash, search: "" };
  let changed = () => {};
  vi.stubGlobal("location", location);
  vi.stubGlobal("history", { replaceState: (_state: unknown, _title: string, url: string) => (location.hash = url) });
  vi.stubGlobal("window", { addEventListener: (_name: string, then: () => void) => (changed = then) });
  startRouter();
  return { location, changed: () => changed() };
}

test("what a list is filtered by stands in the address", () => {
  const { location, changed } = open("#/assets");
  note({ q: "film", show: "" });
  expect(location.hash).toBe("#/assets?q=film");
  note({ q: "film", show: "a b" });
  expect(location.hash).toBe("#/assets?q=film&show=a+b");
  // The skip link leads to no other place.
  location.hash = "#content";
  changed();
  note({ q: "", show: "" });
  expect(location.hash).toBe("#/assets");
});

test("a link that was just followed is not undone by the list that is left", () => {
  const { location, changed } = open("#/assets");
  location.hash = "#/assets?q=other";
  note({ q: "film", show: "" });
  expect(location.hash).toBe("#/assets?q=other");
  changed();
  expect(place.value.query.get("q")).toBe("other");
  note({ q: "more", show: "" });
  expect(location.hash).toBe("#/assets?q=more");
});
