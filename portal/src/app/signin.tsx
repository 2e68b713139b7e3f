/** The sign-in: at another authority, or with a token. The token is kept in this tab until it closes, and goes to this origin only. */

import { useState } from "preact/hooks";
import { useAction } from "../ui/load";
import { FailureNote } from "../ui/states";
import { signIn } from "./session";

export function SignIn({ label }: { label: string }) {
  const [typed, setTyped] = useState("");
  const action = useAction();
  return (
    <form
      class="form"
      onSubmit={(event) => {
        event.preventDefault();
        void action.run(() => signIn(typed.trim()));
      }}
    >
      <div class="field">
        <label for="token">Token</label>
        <input
          id="token"
          name="token"
          type="password"
          autocomplete="off"
          spellcheck={false}
          required
          value={typed}
          aria-describedby="token-help"
          aria-invalid={action.failure?.kind === "signed-out" ? "true" : undefined}
          onInput={(event) => setTyped(event.currentTarget.value)}
        />
        <small class="meta" id="token-help">
          It is kept in this tab until you close it or sign out.
        </small>
      </div>
      {action.failure !== null && <FailureNote failure={action.failure} />}
      <div class="actions">
        <button type="submit" disabled={action.busy}>
          {label}
        </button>
      </div>
    </form>
  );
}
