/**
 * What is remembered of uploads beyond their tab, in this browser's local storage: which file goes where, and what becomes of
 * it then. No bytes, no secrets; the sent blocks are in the store. It goes with the upload, and with whoever signs out.
 *
 * An entry belongs to the tab that has its lock; one whose tab is gone is there for the next.
 */

const PREFIX = "headwater.upload.";

/** Enough of a file to know it again when it is chosen once more. */
export interface FileMark {
  name: string;
  /** Bytes. */
  size: number;
  /** Milliseconds since 1970. */
  lastModified: number;
}

export interface Kept {
  /** The user whose upload it is. */
  who: string;
  project: string;
  asset: string;
  file: FileMark;
  /** What is done after the upload; null for a file that was added to an asset. */
  flow: {
    id: string;
    transform: string | null;
    policy: string | null;
    keys: string | null;
    at: "uploading" | "encoding" | "publishing";
    job: string | null;
    output: string;
  } | null;
}

export function sameFile(one: FileMark, other: FileMark): boolean {
  return one.name === other.name && one.size === other.size && one.lastModified === other.lastModified;
}

export function markOf({ name, size, lastModified }: FileMark): FileMark {
  return { name, size, lastModified };
}

function keyOf({ project, asset, file }: Pick<Kept, "project" | "asset" | "file">): string {
  return `${PREFIX}${project}/${asset}/${file.name}`;
}

type Store = Pick<Storage, "getItem" | "setItem" | "removeItem" | "key" | "length">;

export function keep(kept: Kept, store: Store = localStorage): void {
  const key = keyOf(kept);
  try {
    store.setItem(key, JSON.stringify(kept));
  } catch {
    // A store that is full or forbidden: the upload goes on, and is only not remembered.
    return;
  }
  own(key);
}

export function forget(kept: Pick<Kept, "project" | "asset" | "file">, store: Store = localStorage): void {
  store.removeItem(keyOf(kept));
}

export function forgetAll(store: Store = localStorage): void {
  for (const key of keys(store)) store.removeItem(key);
}

function keys(store: Store): string[] {
  return Array.from({ length: store.length }, (_, at) => store.key(at) ?? "").filter((key) => key.startsWith(PREFIX));
}

/** What no other tab is at, of this user; from now on this tab is. */
export async function takeLeft(who: string, store: Store = localStorage): Promise<Kept[]> {
  const left: Kept[] = [];
  for (const key of keys(store)) {
    const kept = read(store.getItem(key));
    if (kept === null) store.removeItem(key);
    else if (kept.who === who && (await own(key))) left.push(kept);
  }
  return left;
}

function read(text: string | null): Kept | null {
  try {
    const value = JSON.parse(text ?? "null") as Kept | null;
    return typeof value?.file?.name === "string" && typeof value.asset === "string" ? value : null;
  } catch {
    return null;
  }
}

const owned = new Set<string>();

/** Whether this tab has the entry, until it closes. Without locks (pages without HTTPS) every tab may. */
function own(key: string): Promise<boolean> {
  if (owned.has(key)) return Promise.resolve(true);
  const locks = globalThis.navigator?.locks as LockManager | undefined;
  if (locks === undefined) return Promise.resolve(true);
  return new Promise((resolve) => {
    void locks.request(key, { ifAvailable: true }, (lock) => {
      resolve(lock !== null);
      if (lock === null) return undefined;
      owned.add(key);
      return new Promise(() => undefined);
    });
  });
}
