/**
 * The page that another authority sends people back to: it takes the answer, makes sure that this Headwater knows the
 * person, and goes on to the portal.
 *
 * Code, tokens and all are handled here and not beside the players: what this page may connect to is this origin and the
 * configured authorities. The answer is out of the address bar before anything else happens.
 */

import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { api } from "../api/client";
import { asFailure, failureOf, type Failure } from "../api/failure";
import { Brand } from "../ui/brand";
import { FailureNote, Loading } from "../ui/states";
import { end, finish } from "./flow";
import { keepSigned, takePending, type Pending, type Provider, type Signed } from "./kept";
import { handOn } from "./window";
import { explain } from "./words";

const answer = new URL(location.href);
history.replaceState(null, "", location.pathname);
const pending = takePending(sessionStorage);

type Stage =
  | { is: "working" }
  | { is: "failed"; failure: Failure; signed: Signed | null }
  /** The authority knows them, and this Headwater gives them no right. */
  | { is: "unknown"; signed: Signed; failure: Failure }
  | { is: "handed-on" }
  | { is: "stray" };

/** Whether the API takes the token, and what for. */
async function introduce(signed: Signed): Promise<Stage> {
  try {
    const { response, error } = await api(signed.token).GET("/api/v1/user/profile", { signal: AbortSignal.timeout(45_000) });
    if (response.ok) {
      keepSigned(sessionStorage, signed);
      location.replace(`/${pending?.place ?? ""}`);
      return { is: "working" };
    }
    const failure = failureOf(response, error);
    return failure.kind === "forbidden" ? { is: "unknown", signed, failure } : { is: "failed", signed, failure };
  } catch (thrown) {
    return { is: "failed", signed, failure: asFailure(thrown) };
  }
}

async function take(of: Pending): Promise<Stage> {
  try {
    return await introduce(await finish(of, answer));
  } catch (thrown) {
    return { is: "failed", failure: explain(thrown, of.provider.name), signed: null };
  }
}

async function leave({ provider, refreshToken }: Signed): Promise<void> {
  location.replace(await end(provider, refreshToken).catch(() => "/"));
}

function SignedIn() {
  const [stage, setStage] = useState<Stage>({ is: "working" });
  useEffect(() => {
    if (pending !== null) {
      void take(pending).then(setStage);
    } else if (answer.searchParams.has("state")) {
      handOn(answer);
      setStage({ is: "handed-on" });
      window.close();
    } else {
      setStage({ is: "stray" });
    }
  }, []);
  return (
    <>
      <header class="bar">
        <Brand href="/" />
      </header>
      <div class="frame-of-pages alone">
        <main id="content">
          <section class="notice">
            <Shown stage={stage} provider={pending?.provider ?? null} again={setStage} />
          </section>
        </main>
      </div>
    </>
  );
}

function Shown({ stage, provider, again }: { stage: Stage; provider: Provider | null; again: (stage: Stage) => void }) {
  const name = provider?.name ?? "";
  if (stage.is === "working") {
    return (
      <>
        <h1>Signing in</h1>
        <Loading slow={false} />
      </>
    );
  }
  if (stage.is === "handed-on") {
    return (
      <>
        <h1>Back to the portal</h1>
        <p>The portal's page that was open has the answer and goes on. This window can be closed.</p>
      </>
    );
  }
  if (stage.is === "unknown") {
    const { signed, failure } = stage;
    return (
      <>
        <h1>No access yet</h1>
        <div class="failure" role="alert" data-kind="forbidden">
          <strong>{name} knows you, this Headwater does not</strong>
          <p>None of your roles at {name} gives a right here. Who runs this Headwater can give you one there, or name one of yours here.</p>
          <p class="meta">{failure.message}</p>
        </div>
        <div class="actions">
          <button type="button" onClick={() => void leave(signed)}>
            Sign out of {name}
          </button>
          <a class="button plain" href="/">
            To the portal
          </a>
        </div>
      </>
    );
  }
  const signed = stage.is === "failed" ? stage.signed : null;
  return (
    <>
      <h1>Not signed in</h1>
      {stage.is === "failed" ? <FailureNote failure={stage.failure} /> : <p>A sign-in ends here, and none was begun in this tab.</p>}
      <div class="actions">
        {signed !== null && (
          <button
            type="button"
            onClick={() => {
              again({ is: "working" });
              void introduce(signed).then(again);
            }}
          >
            Try again
          </button>
        )}
        <a class={signed === null ? "button" : "button plain"} href={`/${pending?.place ?? ""}`}>
          To the sign-in
        </a>
      </div>
    </>
  );
}

render(<SignedIn />, document.querySelector("#portal")!);
