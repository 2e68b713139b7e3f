/** The part of the public API that this page reads. */

/** A published, clear video: one locator and what it plays. */
export interface Published {
  /** The streaming locator's name. */
  name: string;
  assetName: string;
  /** ISO 8601. */
  created: string;
  locatorId: string;
  /** Null where the streaming policy does not allow it. */
  hlsUrl: string | null;
  dashUrl: string | null;
  posterUrl: string | null;
  durationSeconds: number | null;
}

/** Why the list could not be read. */
export type ListFailure =
  | { kind: "needs-token"; rejected: boolean }
  | { kind: "failed"; sentence: string };

export type ListResult = { ok: true; videos: Published[] } | { ok: false; failure: ListFailure };

const LIST_PATH = "/api/v1/projects/default/media/published";

/** Pages that are followed before the list is shown as it is. */
const MAX_PAGES = 20;

export async function listPublished(
  token: string | null,
  signal: AbortSignal,
  fetcher: typeof fetch = fetch,
): Promise<ListResult> {
  const videos: Published[] = [];
  let next: string | null = LIST_PATH;
  for (let page = 0; next !== null && page < MAX_PAGES; page++) {
    const answer = await readPage(next, token, signal, fetcher);
    if (!answer.ok) return answer;
    videos.push(...answer.videos);
    next = answer.next;
  }
  return { ok: true, videos };
}

type Page = { ok: true; videos: Published[]; next: string | null } | { ok: false; failure: ListFailure };

async function readPage(
  url: string,
  token: string | null,
  signal: AbortSignal,
  fetcher: typeof fetch,
): Promise<Page> {
  const headers: Record<string, string> = { accept: "application/json" };
  if (token !== null) headers.authorization = `Bearer ${token}`;
  let response: Response;
  try {
    response = await fetcher(url, { headers, signal, credentials: "omit" });
  } catch (error) {
    if (signal.aborted) throw error;
    return failed("Headwater does not answer. Is it still running?");
  }
  if (response.status === 401 || response.status === 403) {
    return { ok: false, failure: { kind: "needs-token", rejected: token !== null } };
  }
  const body: unknown = await response.json().catch(() => null);
  if (!response.ok) return failed(sentenceOf(body) ?? `The list could not be read (status ${response.status}).`);
  const value = isRecord(body) ? body.value : undefined;
  if (!Array.isArray(value)) return failed("The list that came back is not one this page understands.");
  const link = isRecord(body) ? body["@odata.nextLink"] : undefined;
  return { ok: true, videos: value.filter(isPublished), next: typeof link === "string" ? sameOriginPath(link) : null };
}

/** The token goes to this page's own origin and nowhere else, whatever host a next link names. */
function sameOriginPath(link: string): string {
  const url = new URL(link, "http://self.invalid");
  return url.pathname + url.search;
}

function failed(sentence: string): { ok: false; failure: ListFailure } {
  return { ok: false, failure: { kind: "failed", sentence } };
}

/** The API's error shape, or a problem body (RFC 9457) from a part before it. */
function sentenceOf(body: unknown): string | null {
  if (!isRecord(body)) return null;
  const error = isRecord(body.error) ? body.error : {};
  for (const text of [error.detail, error.message, body.detail, body.title]) {
    if (typeof text === "string" && text !== "") return text;
  }
  return null;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function isPublished(value: unknown): value is Published {
  return (
    isRecord(value) &&
    typeof value.name === "string" &&
    typeof value.assetName === "string" &&
    typeof value.locatorId === "string" &&
    [value.hlsUrl, value.dashUrl].every((url) => url === null || typeof url === "string") &&
    (value.hlsUrl !== null || value.dashUrl !== null)
  );
}
