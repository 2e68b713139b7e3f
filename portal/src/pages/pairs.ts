/** Labels and tags: names with a text each, as one line and as the API has them. */

import { Failure } from "../api/failure";

/** `team=news, place=studio 2`. */
export function pairText(pairs: Readonly<Record<string, string | null>> | null | undefined): string {
  return Object.entries(pairs ?? {})
    .map(([name, text]) => `${name}=${text ?? ""}`)
    .join(", ");
}

/** The reverse. Which characters they may have is the API's to say. `field`: whom a complaint belongs to. */
export function pairsOf(typed: string, field: string): Record<string, string> {
  const pairs: Record<string, string> = {};
  for (const one of typed.split(",").map((part) => part.trim()).filter(Boolean)) {
    const at = one.indexOf("=");
    if (at < 1) throw new Failure("invalid", `${one} is not of the form name=text.`, field);
    const name = one.slice(0, at).trim();
    if (name in pairs) throw new Failure("invalid", `${name} is there twice.`, field);
    pairs[name] = one.slice(at + 1).trim();
  }
  return pairs;
}
