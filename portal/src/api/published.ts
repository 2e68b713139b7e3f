/** The list of what is published. */

import { api, type Schemas } from "./client";

/** A published, clear video: one locator and what it plays. */
export type Published = Schemas["Published"];

/** Why the list could not be read. */
export type ListFailure =
  | { kind: "needs-token"; rejected: boolean }
  | { kind: "failed"; sentence: string };

export type ListResult = { ok: true; videos: Published[] } | { ok: false; failure: ListFailure };

/** Pages that are followed before the list is shown as it is. */
const MAX_PAGES = 20;

export async function listPublished(
  token: string | null,
  signal: AbortSignal,
  fetcher: typeof fetch = fetch,
): Promise<ListResult> {
  const videos: Published[] = [];
  let start: number | null = 0;
  for (let page = 0; start !== null && page < MAX_PAGES; page++) {
    const answer = await readPage(start, token, signal, fetcher);
    if (!answer.ok) return answer;
    videos.push(...answer.videos);
    start = answer.next;
  }
  return { ok: true, videos };
}

type Page = { ok: true; videos: Published[]; next: number | null } | { ok: false; failure: ListFailure };

async function readPage(
  start: number,
  token: string | null,
  signal: AbortSignal,
  fetcher: typeof fetch,
): Promise<Page> {
  let answer;
  try {
    answer = await api(token, fetcher).GET("/api/v1/projects/{project}/media/published", {
      params: { path: { project: "default" }, query: start === 0 ? {} : { $skiptoken: start } },
      signal,
    });
  } catch (error) {
    if (signal.aborted) throw error;
    return failed(
      error instanceof SyntaxError
        ? "The list that came back is not one this page understands."
        : "Headwater does not answer. Is it still running?",
    );
  }
  const { data, error, response } = answer;
  if (response.status === 401 || response.status === 403) {
    return { ok: false, failure: { kind: "needs-token", rejected: token !== null } };
  }
  if (data === undefined) return failed(sentenceOf(error) ?? `The list could not be read (status ${response.status}).`);
  if (!Array.isArray(data.value)) return failed("The list that came back is not one this page understands.");
  return { ok: true, videos: data.value.filter(isPublished), next: nextStart(data["@odata.nextLink"]) };
}

/** Where the next page begins. Of the link only that is taken, whatever host it names. */
function nextStart(link: string | undefined): number | null {
  if (link === undefined) return null;
  const start = Number(new URL(link, "http://self.invalid").searchParams.get("$skiptoken"));
  return Number.isSafeInteger(start) && start > 0 ? start : null;
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

/** A server of another version may send what the types do not say. */
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
