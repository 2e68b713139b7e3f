/** Reading something for a page: once, again, and every so often. */

import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { asFailure, type Failure } from "../api/failure";
import { expired, project } from "../app/session";
import { isTyped, rebased, type Draft } from "./drafts";

export interface Loaded<T> {
  /** Null until the first answer; what was read last stays while a later reading fails. */
  value: T | null;
  failure: Failure | null;
  /** The first answer has been waited for longer than a moment. */
  slow: boolean;
  reload(): void;
}

const SLOW_MS = 4000;

/**
 * Reads with `read` whenever one of `inputs` or the project changes.
 *
 * `everyMs`: how long after an answer it is asked for again; null for never. Nothing is asked while the tab is hidden.
 * `again`: reads anew when it changes, and shows what there was until then.
 * A failure that says when to come back is followed by another try then.
 */
export function useLoad<T>(
  read: () => Promise<T>,
  inputs: readonly unknown[],
  everyMs: (value: T) => number | null = () => null,
  again = 0,
): Loaded<T> {
  const [state, setState] = useState<{ value: T | null; failure: Failure | null }>({ value: null, failure: null });
  const [slow, setSlow] = useState(false);
  const [turn, setTurn] = useState(0);
  const key = [...inputs, project.value, expired.value];
  const forgetting = useRef<string>("");
  const reload = useCallback(() => setTurn((before) => before + 1), []);

  useEffect(() => {
    let left = false;
    let timer: number | undefined;
    const patience = window.setTimeout(() => setSlow(true), SLOW_MS);
    const inputKey = JSON.stringify([...inputs, project.value]);
    if (forgetting.current !== inputKey) {
      forgetting.current = inputKey;
      setState({ value: null, failure: null });
    }
    const later = (ms: number) => {
      timer = window.setTimeout(() => (document.hidden ? later(ms) : void once()), ms);
    };
    const once = async () => {
      try {
        const value = await read();
        if (left) return;
        setState({ value, failure: null });
        const wait = everyMs(value);
        if (wait !== null) later(wait);
      } catch (thrown) {
        if (left) return;
        const failure = asFailure(thrown);
        setState((before) => ({ value: before.value, failure }));
        if (failure.retryAfterSeconds !== null) later(failure.retryAfterSeconds * 1000);
        else if (failure.kind === "down") later(5000);
      } finally {
        window.clearTimeout(patience);
        if (!left) setSlow(false);
      }
    };
    void once();
    return () => {
      left = true;
      window.clearTimeout(timer);
      window.clearTimeout(patience);
    };
  }, [...key, turn, again]);

  return { ...state, slow, reload };
}

export interface Action {
  busy: boolean;
  /** The answer has been waited for longer than a moment. */
  slow: boolean;
  failure: Failure | null;
  /** Runs `what`, one at a time; true when it succeeded. */
  run(what: () => Promise<unknown>): Promise<boolean>;
  clear(): void;
}

export function useAction(): Action {
  const [busy, setBusy] = useState(false);
  const [slow, setSlow] = useState(false);
  const [failure, setFailure] = useState<Failure | null>(null);
  const running = useRef(false);
  const run = async (what: () => Promise<unknown>) => {
    if (running.current) return false;
    running.current = true;
    setBusy(true);
    setFailure(null);
    const patience = window.setTimeout(() => setSlow(true), SLOW_MS);
    try {
      await what();
      return true;
    } catch (thrown) {
      setFailure(asFailure(thrown));
      return false;
    } finally {
      window.clearTimeout(patience);
      running.current = false;
      setBusy(false);
      setSlow(false);
    }
  };
  return { busy, slow, failure, run, clear: () => setFailure(null) };
}

const drafts = new Map<string, Draft<unknown>>();
const choices = new Map<string, Draft<unknown>>();

// What was typed is in this page and nowhere else: whoever leaves it is asked first.
window.addEventListener("beforeunload", (event) => {
  if ([...drafts.values()].some(isTyped)) event.preventDefault();
});

/**
 * What a person is typing, kept in memory under `key` until `done`: closing a dialog, another page or a refused token
 * lose nothing. Secrets are typed here too, so it goes nowhere else.
 *
 * `edits`: it changes something that is there, which others change, too. The fourth is what there was when it began: to
 * find out what was typed.
 */
export function useDraft<T extends object>(key: string, initial: T, edits = false): Kept<T> {
  return useKept(drafts, key, initial, edits);
}

/** The same for what is chosen rather than typed: nobody is asked about it who leaves. */
export function useChoices<T extends object>(key: string, initial: T): Kept<T> {
  return useKept(choices, key, initial, false);
}

type Kept<T> = [T, (change: Partial<T>) => void, () => void, T];

function useKept<T extends object>(drafts: Map<string, Draft<unknown>>, key: string, initial: T, edits: boolean): Kept<T> {
  const [{ base, value }, set] = useState<Draft<T>>(() => {
    const kept = drafts.get(key) as Draft<T> | undefined;
    if (kept === undefined) return { base: initial, value: initial };
    return edits ? rebased(kept, initial) : kept;
  });
  const change = (part: Partial<T>) =>
    set((before) => {
      const next = { base: before.base, value: { ...before.value, ...part } };
      drafts.set(key, next);
      return next;
    });
  const done = () => {
    drafts.delete(key);
    set({ base: initial, value: initial });
  };
  return [value, change, done, base];
}
