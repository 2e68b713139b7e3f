/** Presentations that are still to begin: their addresses are known before anything was sent. */

/** Pauses before such a manifest is asked for again, in ms. */
const PAUSES_MS = [1000, 1000, 2000, 3000, 5000, 10_000];

/** Whether a manifest is 404 because nothing of it is there yet, which the origin's problem body says. */
export async function isToCome(manifest: string): Promise<boolean> {
  try {
    const answer = await fetch(manifest, { cache: "no-store" });
    if (answer.status !== 404) return false;
    const problem = (await answer.json()) as { type?: unknown };
    return typeof problem.type === "string" && problem.type.endsWith("/NotYetAvailable");
  } catch {
    // No answer, or not one of this origin: not for us to wait for.
    return false;
  }
}

/** Waits for as long as a manifest is to come, or until `left` says that nobody waits any more. */
export async function untilBegun(manifest: string, left: () => boolean): Promise<void> {
  for (let at = 0; !left(); at++) {
    const pause = PAUSES_MS[Math.min(at, PAUSES_MS.length - 1)];
    await new Promise((resolve) => setTimeout(resolve, pause));
    if (left() || !(await isToCome(manifest))) return;
  }
}
