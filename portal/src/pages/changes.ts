/** What an edit sends: what somebody changed, and nothing else. */

/**
 * The members of `typed` that are not as they `was`.
 *
 * An emptied text is sent as `""`, which takes back what there was: `null` is as good as left out to the API.
 */
export function changed<T extends object>(typed: T, was: { readonly [Name in keyof T]?: T[Name] | null | undefined }): Partial<T> {
  const changes: Partial<T> = {};
  for (const name of Object.keys(typed) as (keyof T)[]) {
    const before = was[name] ?? (typeof typed[name] === "string" ? "" : undefined);
    if (JSON.stringify(typed[name]) !== JSON.stringify(before)) changes[name] = typed[name];
  }
  return changes;
}
