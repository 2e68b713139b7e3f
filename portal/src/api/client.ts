/**
 * The API, typed by its own OpenAPI document.
 *
 * `schema.d.ts` is made from `docs/openapi.json` before every build, check and test (`npm run api`). It is not committed:
 * all of it stands in the document, which is, and so it cannot lag behind.
 */

import createClient, { type Client } from "openapi-fetch";
import type { components, paths } from "./schema";

export type Schemas = components["schemas"];
export type Api = Client<paths>;

/**
 * A client for this page's own origin; the token goes nowhere else.
 *
 * `token`: null to ask without one.
 */
export function api(token: string | null, fetcher: typeof fetch = fetch): Api {
  return createClient<paths>({
    baseUrl: globalThis.location?.origin ?? "http://self.invalid",
    fetch: (request) => fetcher(request),
    credentials: "omit",
    headers: token === null ? {} : { authorization: `Bearer ${token}` },
  });
}
