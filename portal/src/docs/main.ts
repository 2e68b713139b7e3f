/** `/api/docs`: the API's own document, to read. It is fetched from the service, so it is that of the version that runs. */

import { el } from "../dom";
import type { OpenApi } from "./document";
import { page } from "./render";

const content = document.querySelector<HTMLElement>("#content")!;

async function load(): Promise<void> {
  try {
    const response = await fetch("/api/openapi.json", { credentials: "omit" });
    if (!response.ok) throw new Error(`status ${response.status}`);
    content.replaceChildren(page((await response.json()) as OpenApi));
    show();
  } catch {
    const again = el("a", { href: "" }, "Try again");
    content.replaceChildren(el("p", { role: "alert" }, "The API's document could not be read. ", again));
  }
}

/** Opens what the address names, and shows it. */
function show(): void {
  const named = location.hash === "" ? null : document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (named instanceof HTMLDetailsElement) named.open = true;
  named?.scrollIntoView();
}

window.addEventListener("hashchange", show);
void load();
