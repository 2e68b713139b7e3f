/**
 * What was requested, when and how long it took: from the browser's own record (Resource Timing), so that it is the same
 * for every player.
 */

export interface Asked {
  name: string;
  url: string;
  /** Milliseconds since playback was started. */
  startMs: number;
  tookMs: number;
  /** Until the first byte; null where the server does not let pages of another origin know. */
  waitedMs: number | null;
  /** 0 where the server does not let pages of another origin know. */
  bytes: number;
  /** 0 where the browser does not tell. */
  status: number;
}

/** The last part of a path, readable. */
export function shortName(url: string): string {
  const { pathname } = new URL(url, "http://self.invalid");
  const parts = pathname.split("/").filter(Boolean);
  const last = parts.at(-1) ?? pathname;
  const before = parts.at(-2);
  const name = before?.startsWith("QualityLevels") === true ? `${before}/${last}` : last;
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

const MAX = 300;

/** Collects requests to the source's origin and to key servers; `changed` is called with all, newest first. */
export function watchRequests(origins: readonly string[], changed: (all: Asked[]) => void): () => void {
  const began = performance.now();
  let all: Asked[] = [];
  const observer = new PerformanceObserver((list) => {
    const fresh = (list.getEntries() as PerformanceResourceTiming[])
      .filter(({ name, startTime, initiatorType }) => {
        const { origin, pathname } = new URL(name);
        const player = initiatorType === "fetch" || initiatorType === "xmlhttprequest";
        // The API and the portal's own files are not the player's.
        return player && startTime >= began && origins.includes(origin) && !/^\/(api|assets-ui)\//.test(pathname);
      })
      .map((entry) => ({
        name: shortName(entry.name),
        url: entry.name,
        startMs: entry.startTime - began,
        tookMs: entry.duration,
        waitedMs: entry.responseStart > 0 ? entry.responseStart - entry.startTime : null,
        bytes: entry.encodedBodySize || entry.transferSize,
        status: entry.responseStatus ?? 0,
      }));
    if (fresh.length === 0) return;
    all = [...fresh.reverse(), ...all].slice(0, MAX);
    changed(all);
  });
  observer.observe({ type: "resource", buffered: false });
  return () => observer.disconnect();
}
