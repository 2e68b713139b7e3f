/**
 * A sign-in in a window of its own, for a page that is to stay as it is: its token has ended, and things are typed or on
 * their way. The window has nothing of this tab, so it hands on the address it was sent to, to all pages of this origin;
 * the one that knows its `state` takes it.
 */

import { Failure } from "../api/failure";
import { begin, finish } from "./flow";
import type { Provider, Signed } from "./kept";

const CHANNEL = "headwater.sign-in";

/** `signal`: nobody waits any more; what is in the window cannot be seen from here. */
export async function inWindow(provider: Provider, signal: AbortSignal): Promise<Signed> {
  const { pending, url } = await begin(provider, "");
  const channel = new BroadcastChannel(CHANNEL);
  try {
    const came = new Promise<URL>((resolve, reject) => {
      signal.addEventListener("abort", () => reject(new Failure("invalid", "Nobody was signed in: the sign-in was stopped here.")));
      channel.onmessage = ({ data }: MessageEvent<unknown>) => {
        const answer = new URL(String(data), location.origin);
        if (answer.searchParams.get("state") === pending.state) resolve(answer);
      };
    });
    if (window.open(url, "_blank", "popup,width=520,height=720") === null) {
      throw new Failure("invalid", "The browser opened no window for it. Allow this page to open one, or paste a token.");
    }
    return await finish(pending, await came);
  } finally {
    channel.close();
  }
}

/** Hands on the address that this window was sent to. */
export function handOn(url: URL): void {
  const channel = new BroadcastChannel(CHANNEL);
  channel.postMessage(url.href);
  channel.close();
}
