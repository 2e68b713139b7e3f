/** Labels and tags: names with a text each, as lines of text and as the API has them. */

import { Failure } from "../api/failure";

type Pairs = Readonly<Record<string, string | null>> | null | undefined;

/** `team=news` and so on: with `between` one line to be shown, without it a line each, which may hold commas, to be edited. */
export function pairText(pairs: Pairs, between = "\n"): string {
  return Object.entries(pairs ?? {})
    .map(([name, text]) => `${name}=${text ?? ""}`)
    .join(between);
}

/** The reverse. Which characters they may have is the API's to say. `field`: whom a complaint belongs to. */
export function pairsOf(typed: string, field: string): Record<string, string> {
  const pairs = new Map<string, string>();
  for (const one of typed.split("\n").map((line) => line.trim()).filter(Boolean)) {
    const at = one.indexOf("=");
    if (at < 1) throw new Failure("invalid", `${one} is not of the form name=text.`, field);
    const name = one.slice(0, at).trim();
    if (pairs.has(name)) throw new Failure("invalid", `${name} is there twice.`, field);
    pairs.set(name, one.slice(at + 1).trim());
  }
  return Object.fromEntries(pairs);
}

/**
 * What is to be sent: nothing where nobody changed anything, as not all that programs write can be typed here (a name with `=` in
 * it, a text of several lines).
 */
export function pairsChanged<Field extends string>(field: Field, typed: string, was: Pairs): { [F in Field]?: Record<string, string> } {
  const changed: { [F in Field]?: Record<string, string> } = {};
  if (typed !== pairText(was)) changed[field] = pairsOf(typed, field);
  return changed;
}

/** What lists are asked for where a label is searched: `team=news`, `team~ne` for texts that hold it, `team=`; null where it is none. */
export function labelled(words: string): { $label?: string[]; $label_key?: string[] } | null {
  const [, name = "", text = ""] = words.trim().match(/^([\w.-]+)([=~].*)$/) ?? [];
  if (name === "") return null;
  return text.length === 1 ? { $label_key: [name] } : { $label: [name + text] };
}
