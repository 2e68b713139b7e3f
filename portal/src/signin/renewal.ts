/** When and how a token of another authority is renewed, without anybody noticing. */

import type { Signed } from "./kept";

/** So long before its end a token is renewed, so that none ends under way. */
const AHEAD_MS = 60_000;
/** Never sooner after the one before. */
const LEAST_MS = 5_000;
/** `setTimeout` takes no more. */
const MOST_MS = 2 ** 31 - 1;

/** In how many milliseconds a token is to be renewed; null for never. A short life is used up to its last fifth. */
export function renewIn({ expiresAt, refreshToken }: Pick<Signed, "expiresAt" | "refreshToken">, now: number): number | null {
  if (expiresAt === null || refreshToken === null) return null;
  const left = expiresAt - now;
  return Math.min(MOST_MS, Math.max(LEAST_MS, left - Math.min(AHEAD_MS, left / 5)));
}

let running: Promise<Signed> | null = null;

/** Renews once, however many ask for it meanwhile. */
export function renew({ provider, refreshToken }: Pick<Signed, "provider" | "refreshToken">): Promise<Signed> {
  if (refreshToken === null) return Promise.reject(new Error("there is nothing to renew it with"));
  running ??= import("./flow")
    .then(({ refresh }) => refresh(provider, refreshToken))
    .finally(() => {
      running = null;
    });
  return running;
}
