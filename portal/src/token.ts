/**
 * The API token, for installations that do not show their published videos to everybody.
 *
 * It lives in this tab's session storage only. `headwater up` prints a link with `#token=…`: the fragment never
 * reaches a server, and it is taken out of the address bar before anything else happens.
 */

const KEY = "headwater.token";

export interface TokenStore {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}

/** The token in a URL's fragment, and the URL without it. Other parts of the fragment stay. */
export function takeToken(url: string): { token: string | null; url: string } {
  const parsed = new URL(url);
  const fragment = new URLSearchParams(parsed.hash.slice(1));
  const token = fragment.get("token");
  if (token === null) return { token: null, url };
  fragment.delete("token");
  parsed.hash = fragment.toString();
  return { token: token.trim() || null, url: parsed.href.replace(/#$/, "") };
}

export function readToken(store: TokenStore): string | null {
  return store.getItem(KEY);
}

export function keepToken(store: TokenStore, token: string): void {
  store.setItem(KEY, token);
}

export function forgetToken(store: TokenStore): void {
  store.removeItem(KEY);
}
