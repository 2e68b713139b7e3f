/**
 * What was exported from Azure Media Services, in requests that the API takes: policies and filters, then each asset with its
 * locators, then locators of assets that are here already. As `headwater import` sends it.
 */

import { Failure } from "../api/failure";

export interface ImportPart {
  /** Whose turn it is, for people. */
  what: string;
  /** Kinds of resources whose outcome counts: policies are sent along with what names them. */
  kinds: readonly string[];
  body: Record<string, unknown[]>;
}

const MEMBERS = ["contentKeyPolicies", "streamingPolicies", "accountFilters", "assets", "streamingLocators"] as const;

function record(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}

function assetOf(locator: unknown): unknown {
  const outer = record(locator);
  return record(outer.properties ?? outer).assetName;
}

/** Throws a `Failure` for what is no such file. `field`: whom it belongs to. */
export function partsOf(text: string, field: string): ImportPart[] {
  const wrong = (why: string) => new Failure("invalid", why, field);
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (thrown) {
    throw wrong(`This is not JSON: ${thrown instanceof Error ? thrown.message : ""}`);
  }
  if (typeof document !== "object" || document === null || Array.isArray(document)) throw wrong("This is not a JSON object.");
  const strange = Object.keys(document).find((name) => !name.startsWith("$") && !(MEMBERS as readonly string[]).includes(name));
  if (strange !== undefined) throw wrong(`“${strange}” is not known; these are: ${MEMBERS.join(", ")}.`);
  const list = (name: (typeof MEMBERS)[number]): unknown[] => {
    const items = (document as Record<string, unknown>)[name] ?? [];
    if (!Array.isArray(items)) throw wrong(`“${name}” is not a list.`);
    return items;
  };
  const policies = { contentKeyPolicies: list("contentKeyPolicies"), streamingPolicies: list("streamingPolicies") };
  const filters = list("accountFilters");
  let locators = list("streamingLocators");
  const parts: ImportPart[] = [];
  if (policies.contentKeyPolicies.length + policies.streamingPolicies.length + filters.length > 0) {
    parts.push({ what: "policies and filters", kinds: ["ContentKeyPolicy", "StreamingPolicy", "AccountFilter"], body: { ...policies, accountFilters: filters } });
  }
  for (const asset of list("assets")) {
    const { name } = record(asset);
    const own = locators.filter((locator) => assetOf(locator) === name);
    locators = locators.filter((locator) => assetOf(locator) !== name);
    parts.push({ what: String(name ?? "an asset"), kinds: ["Asset", "AssetFilter", "StreamingLocator"], body: { ...policies, assets: [asset], streamingLocators: own } });
  }
  if (locators.length > 0) parts.push({ what: "locators of other assets", kinds: ["StreamingLocator"], body: { ...policies, streamingLocators: locators } });
  if (parts.length === 0) throw wrong("There is nothing in it to be imported.");
  return parts;
}
