/** What went wrong between this page and another authority, in words. */

import { AuthorizationResponseError, OperationProcessingError, ResponseBodyError } from "oauth4webapi";
import { Failure, type FailureKind } from "../api/failure";

const ITS_ERRORS: Record<string, [FailureKind, (name: string) => string]> = {
  access_denied: ["invalid", (name) => `${name} did not let you in, or the sign-in was stopped there.`],
  login_required: ["signed-out", (name) => `${name} wants you to sign in there first.`],
  interaction_required: ["signed-out", (name) => `${name} wants to ask you something first.`],
  consent_required: ["signed-out", (name) => `${name} wants your consent first.`],
  account_selection_required: ["signed-out", (name) => `${name} wants you to choose an account first.`],
  temporarily_unavailable: ["busy", (name) => `${name} has too much to do just now.`],
  server_error: ["broken", (name) => `Something went wrong at ${name}.`],
  invalid_grant: ["signed-out", (name) => `What ${name} was asked with has been used, or is too old.`],
};

/** Errors that the configuration of this Headwater, or of the authority, is the cause of. */
const misfit = (name: string) => `${name} does not take what this Headwater asks for. Who runs it has to look at both configurations.`;

/** `name`: the authority's. */
export function explain(thrown: unknown, name: string): Failure {
  if (thrown instanceof Failure) return thrown;
  if (thrown instanceof AuthorizationResponseError || thrown instanceof ResponseBodyError) {
    const [kind, sentence] = ITS_ERRORS[thrown.error] ?? ["invalid", misfit];
    const said = thrown.error_description ?? thrown.error;
    return new Failure(kind, `${sentence(name)} It says: ${said}`);
  }
  if (thrown instanceof OperationProcessingError) {
    if (/"state"/.test(thrown.message)) {
      return new Failure("invalid", "This answer is not for a sign-in that was begun in this tab. Nobody was signed in.");
    }
    return new Failure("broken", `The answer of ${name} is not as it has to be, so nobody was signed in: ${thrown.message}.`);
  }
  if (thrown instanceof DOMException && thrown.name === "TimeoutError") return new Failure("down", `${name} took too long to answer.`);
  // What fetch throws without an answer is a TypeError.
  if (thrown instanceof TypeError && /fetch|network|load failed/i.test(thrown.message)) {
    return new Failure("down", `${name} does not answer, or does not let this page ask it.`);
  }
  return new Failure("broken", `The answer of ${name} is not as it has to be: ${thrown instanceof Error ? thrown.message : String(thrown)}.`);
}
