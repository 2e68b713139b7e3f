/** Rights to hand on: what a role has, as far as one has it oneself, and what of it a token is held to. */

import type { Schemas } from "../api/client";

/** Kinds of things (`Asset`), each with its verbs (`read`). */
export type Capabilities = Record<string, string[]>;

export type Rights = Schemas["Rights"];

/** Everything in one of them. */
export function union(all: Iterable<Capabilities>): Capabilities {
  const found: Capabilities = {};
  for (const one of all) {
    for (const [kind, verbs] of Object.entries(one)) found[kind] = [...new Set([...(found[kind] ?? []), ...verbs])];
  }
  return found;
}

/** Everything in both, in the order of `one`. */
export function shared(one: Capabilities, other: Capabilities): Capabilities {
  return Object.fromEntries(
    Object.entries(one)
      .map(([kind, verbs]): [string, string[]] => [kind, verbs.filter((verb) => other[kind]?.includes(verb))])
      .filter(([, verbs]) => verbs.length > 0),
  );
}

/** `of` with or without a right. */
export function toggled(of: Capabilities, kind: string, verb: string, on: boolean): Capabilities {
  const verbs = (of[kind] ?? []).filter((one) => one !== verb);
  const { [kind]: _before, ...others } = of;
  const next = on ? [...verbs, verb] : verbs;
  return next.length === 0 ? others : { ...others, [kind]: next };
}

export function count(of: Capabilities): number {
  return Object.values(of).reduce((sum, verbs) => sum + verbs.length, 0);
}

/** One's own affairs: the organization's by their place, and good with a token that is held to a project, too. */
const PERSONAL = ["OwnToken", "Profile"];

/**
 * What of `role` can be given to a token for `project` (an id; null for all of `own`): no more than one has, and nothing of
 * the organization's with one project.
 */
export function offered(role: Capabilities, own: Rights, project: string | null): Capabilities {
  const organization = union(Object.values(own["core.organization"]));
  const personal = Object.fromEntries(Object.entries(organization).filter(([kind]) => PERSONAL.includes(kind)));
  const projects = project === null ? Object.values(own["core.project"]) : [own["core.project"][project] ?? {}];
  return shared(role, union([...projects, project === null ? organization : personal]));
}

/** `chosen` as a token carries it: each right at the places where one has it. */
export function permissionsOf(chosen: Capabilities, own: Rights, project: string | null): Rights {
  const within = (places: Record<string, Capabilities>, only: string | null) =>
    Object.fromEntries(
      Object.entries(places)
        .filter(([id]) => only === null || id === only)
        .map(([id, rights]): [string, Capabilities] => [id, shared(chosen, rights)])
        .filter(([, rights]) => count(rights) > 0),
    );
  return { "core.organization": within(own["core.organization"], null), "core.project": within(own["core.project"], project) };
}
