/** Labels of a thing, each the way to all that have it. */

import type { ComponentChildren } from "preact";
import { href } from "../app/router";

/** Nothing where there are none. */
export function labelLinks(of: Readonly<Record<string, string | null>> | null | undefined, list: string): ComponentChildren {
  const labels = Object.entries(of ?? {});
  if (labels.length === 0) return null;
  return labels.map(([name, text], at) => (
    <span key={name}>
      {at > 0 && ", "}
      <a href={href([list], { q: `${name}=${text ?? ""}` })}>
        {name}={text}
      </a>
    </span>
  ));
}
