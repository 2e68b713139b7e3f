/** What can go wrong between a page and the API, in the words a person is told. */

/**
 * | kind | what happened | what the page offers |
 * |---|---|---|
 * | `signed-out` | 401 | the sign-in over the page, which stays as it is |
 * | `forbidden` | 403 | whom to ask |
 * | `missing` | 404, 410 | the way back |
 * | `conflict` | 409, 412 | reading again, then deciding |
 * | `busy` | 429, 503 | another try, after `retryAfterSeconds` |
 * | `down` | no answer at all | another try |
 * | `invalid` | any other 4xx | the field to correct |
 * | `broken` | any other 5xx, or an answer that is none | another try, and the reference |
 */
export type FailureKind = "signed-out" | "forbidden" | "missing" | "conflict" | "busy" | "down" | "invalid" | "broken";

export class Failure extends Error {
  constructor(
    readonly kind: FailureKind,
    sentence: string,
    /** The field that the API named, as it stands in the request body; null when it named none. */
    readonly field: string | null = null,
    /** The request's id, to find it in the log; null when there was no answer. */
    readonly reference: string | null = null,
    /** When another try makes sense; null when the API did not say. */
    readonly retryAfterSeconds: number | null = null,
  ) {
    super(sentence);
    this.name = "Failure";
  }
}

const PLAIN: Record<FailureKind, string> = {
  "signed-out": "The token was not accepted. It may have expired or been revoked.",
  forbidden: "Your token does not have the right to do this.",
  missing: "This does not exist, or no longer.",
  conflict: "Something else changed this, or it is in use.",
  busy: "Headwater has too much to do just now.",
  down: "Headwater does not answer. Is it still running?",
  invalid: "The request was refused.",
  broken: "Something in Headwater went wrong.",
};

function kindOf(status: number): FailureKind {
  if (status === 401) return "signed-out";
  if (status === 403) return "forbidden";
  if (status === 404 || status === 410) return "missing";
  if (status === 409 || status === 412) return "conflict";
  if (status === 429 || status === 503) return "busy";
  return status < 500 ? "invalid" : "broken";
}

/** The failure that an answer other than 2xx tells. `body`: parsed JSON of the API's error, a problem (RFC 9457), or anything. */
export function failureOf(response: Response, body: unknown): Failure {
  const kind = kindOf(response.status);
  const outer = record(body);
  const error = record(outer.error);
  const extra = record(error.extraDetail);
  const detail = text(error.detail) ?? text(error.message) ?? text(outer.detail);
  const after = Number(response.headers.get("retry-after") ?? "");
  return new Failure(
    kind,
    detail ?? `${PLAIN[kind]} (status ${response.status})`,
    text(extra.field) ?? text(outer.field),
    text(outer.ref) ?? text(outer.instance) ?? response.headers.get("x-ms-request-id"),
    after > 0 ? Math.min(after, 600) : null,
  );
}

/** The failure behind anything thrown. */
export function asFailure(thrown: unknown): Failure {
  if (thrown instanceof Failure) return thrown;
  if (thrown instanceof SyntaxError) return new Failure("broken", "The answer is not one this page understands.");
  if (thrown instanceof DOMException && thrown.name === "TimeoutError") {
    return new Failure("down", "Headwater took too long to answer.");
  }
  // What fetch throws without an answer is a TypeError; what a page got wrong itself is one too, and has its own words.
  if (thrown instanceof TypeError && /fetch|network|load failed/i.test(thrown.message)) {
    return new Failure("down", PLAIN.down);
  }
  return new Failure("broken", thrown instanceof Error ? thrown.message : String(thrown));
}

function record(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

function text(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}
