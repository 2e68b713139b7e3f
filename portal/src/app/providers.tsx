/** The other authorities at which people sign in, a button each. */

import { useRef } from "preact/hooks";
import { api, type Schemas } from "../api/client";
import { asFailure, failureOf } from "../api/failure";
import { keepPending, type Provider } from "../signin/kept";
import { useAction, useLoad } from "../ui/load";
import { FailureNote } from "../ui/states";
import { takeSigned } from "./session";

async function readProviders(): Promise<Schemas["SignInProvider"][]> {
  const { data, error, response } = await api(null)
    .GET("/api/v1/signInProviders", { signal: AbortSignal.timeout(45_000) })
    .catch((thrown: unknown) => {
      throw asFailure(thrown);
    });
  if (data === undefined) throw failureOf(response, error);
  return data.items;
}

/** Goes there; the page that people come back to goes on. */
async function leaveFor(provider: Provider): Promise<void> {
  const { begin } = await import("../signin/flow");
  const { pending, url } = await begin(provider, location.hash);
  keepPending(sessionStorage, pending);
  location.assign(url);
}

async function stayFor(provider: Provider, signal: AbortSignal): Promise<void> {
  const { inWindow } = await import("../signin/window");
  await takeSigned(await inWindow(provider, signal));
}

/** `over`: the sign-in lies over a page that is to stay. */
export function Providers({ over }: { over: boolean }) {
  const providers = useLoad(readProviders, []);
  if (providers.value === null) return providers.failure === null ? null : <FailureNote failure={providers.failure} retry={providers.reload} />;
  if (providers.value.length === 0) return null;
  return (
    <ul class="providers">
      {providers.value.map((provider) => (
        <li key={provider.issuer}>
          <One provider={provider} over={over} />
        </li>
      ))}
    </ul>
  );
}

function One({ provider, over }: { provider: Provider; over: boolean }) {
  const action = useAction();
  const waiting = useRef(new AbortController());
  const start = async () => {
    try {
      waiting.current = new AbortController();
      await (over ? stayFor(provider, waiting.current.signal) : leaveFor(provider));
    } catch (thrown) {
      const { explain } = await import("../signin/words");
      throw explain(thrown, provider.name);
    }
  };
  return (
    <>
      <button type="button" disabled={action.busy} onClick={() => void action.run(start)}>
        Sign in with {provider.name}
      </button>
      {over && action.busy && (
        <p class="meta" role="status">
          Go on in the window that opens.{" "}
          <button type="button" class="small plain" onClick={() => waiting.current.abort()}>
            Stop waiting
          </button>
        </p>
      )}
      {action.failure !== null && <FailureNote failure={action.failure} />}
    </>
  );
}
