/** Addresses that somebody may come from, as one line of text and as the API has them. */

import type { Schemas } from "../api/client";

export type Range = Schemas["IpRange"];

function text({ address, subnetPrefixLength }: Range): string {
  return subnetPrefixLength == null ? address : `${address}/${subnetPrefixLength}`;
}

/** With spaces between them; empty for everybody. */
export function listed(ranges: readonly Range[]): string {
  const addresses = ranges.map(text);
  return addresses.includes("0.0.0.0/0") ? "" : addresses.join(" ");
}

/** `known`: whose names are kept. What is no address the API refuses, by its place in the list. */
export function rangesOf(typed: string, known: readonly Range[] = []): Range[] {
  return typed
    .split(/[\s,]+/)
    .filter(Boolean)
    .map((one) => {
      const before = known.find((range) => text(range) === one);
      if (before !== undefined) return before;
      const [address = "", length] = one.split("/");
      return { name: one, address, ...(length === undefined ? {} : { subnetPrefixLength: Number(length) }) };
    });
}
