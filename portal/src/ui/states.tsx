/** Loading, empty and failed: the states every page has besides the good one. */

import type { ComponentChildren } from "preact";
import type { Failure, FailureKind } from "../api/failure";
import type { Loaded } from "./load";

const HEADINGS: Record<FailureKind, string> = {
  "signed-out": "Sign in to go on",
  forbidden: "Not allowed",
  missing: "Not found",
  conflict: "That does not go together",
  busy: "Headwater is busy",
  down: "No answer",
  invalid: "That was refused",
  broken: "Something went wrong",
};

const ADVICE: Partial<Record<FailureKind, string>> = {
  forbidden: "An owner of this Headwater can give your user or token the role for it, under People.",
  conflict: "Reload to see how it is now. What you typed is kept.",
  down: "Try again when it is back. What you typed is kept.",
};

export function FailureNote({ failure, retry }: { failure: Failure; retry?: (() => void) | undefined }) {
  // What can be tried again here is read, and reading goes on by itself.
  const reading = failure.kind === "down" && retry !== undefined;
  const advice = reading ? "This page tries again by itself every few seconds." : ADVICE[failure.kind];
  return (
    <div class="failure" role="alert" data-kind={failure.kind}>
      <strong>{HEADINGS[failure.kind]}</strong>
      <p>{failure.message}</p>
      {advice !== undefined && <p>{advice}</p>}
      {failure.retryAfterSeconds !== null && (
        <p>
          {/* What is read is asked for again by itself; what is sent is not. */}
          {retry === undefined ? "Try again" : "Asks again"} in {failure.retryAfterSeconds} s.
        </p>
      )}
      {failure.reference !== null && (
        <p class="meta">
          Reference <code>{failure.reference}</code>
        </p>
      )}
      {retry !== undefined && (
        <button type="button" class="small" onClick={retry}>
          Try again
        </button>
      )}
    </div>
  );
}

/** Shows `children` of what was loaded, or why there is none yet. */
export function Await<T>({ of, children }: { of: Loaded<T>; children: (value: T) => ComponentChildren }) {
  if (of.value === null) {
    if (of.failure !== null) return <FailureNote failure={of.failure} retry={of.reload} />;
    return <Loading slow={of.slow} />;
  }
  return (
    <>
      {of.failure !== null && <FailureNote failure={of.failure} retry={of.reload} />}
      {children(of.value)}
    </>
  );
}

export function Loading({ slow }: { slow: boolean }) {
  return (
    <div class="loading" role="status">
      <span class="visually-hidden">Loading</span>
      <div class="bone" aria-hidden="true" />
      <div class="bone" aria-hidden="true" />
      <div class="bone" aria-hidden="true" />
      {slow && <p>This takes longer than usual. Still waiting for Headwater.</p>}
    </div>
  );
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <strong>{title}</strong>
      {children}
    </div>
  );
}
