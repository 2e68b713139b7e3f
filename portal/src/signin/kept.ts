/**
 * What is kept of a sign-in at another authority: in this tab's session storage, as the token itself is.
 *
 * While the person is away: what the answer must match, taken out again before the answer is looked at. Afterwards: which
 * authority it was, when its token ends, and what renews it.
 */

import type { Schemas } from "../api/client";
import { forgetToken, keepToken, type TokenStore } from "../token";

export type Provider = Schemas["SignInProvider"];

/** A sign-in that has been begun. */
export interface Pending {
  provider: Provider;
  state: string;
  nonce: string;
  verifier: string;
  /** The fragment of the page that was open: `#/assets`. */
  place: string;
}

/** A sign-in that succeeded. */
export interface Signed {
  provider: Provider;
  /** What the API is shown. */
  token: string;
  /** Milliseconds since 1970; null where the authority does not say. */
  expiresAt: number | null;
  refreshToken: string | null;
}

const PENDING = "headwater.sign-in";
const SIGNED = "headwater.signed-in";

export function keepPending(store: TokenStore, pending: Pending): void {
  store.setItem(PENDING, JSON.stringify(pending));
}

/** The sign-in that was begun in this tab, once. */
export function takePending(store: TokenStore): Pending | null {
  const pending = read<Pending>(store, PENDING);
  store.removeItem(PENDING);
  return pending;
}

export function keepSigned(store: TokenStore, { token, ...rest }: Signed): void {
  keepToken(store, token);
  store.setItem(SIGNED, JSON.stringify(rest));
}

/** Null with a token that was pasted. */
export function readSigned(store: TokenStore): Omit<Signed, "token"> | null {
  return read(store, SIGNED);
}

export function forgetSigned(store: TokenStore): void {
  forgetToken(store);
  store.removeItem(SIGNED);
  store.removeItem(PENDING);
}

/** With a token that was pasted nothing of a sign-in before it is true any more. */
export function keepPasted(store: TokenStore, token: string): void {
  forgetSigned(store);
  keepToken(store, token);
}

function read<T>(store: TokenStore, key: string): T | null {
  const text = store.getItem(key);
  if (text === null) return null;
  try {
    return JSON.parse(text) as T;
  } catch {
    return null;
  }
}
