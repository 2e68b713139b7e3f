/** A small line over time, as SVG: how one number went in the last minutes. What it shows is also said in words. */

export interface Point {
  /** Milliseconds since the epoch. */
  at: number;
  /** Null where nothing was measured. */
  value: number | null;
}

const WIDTH = 300;
const HEIGHT = 60;
const EDGE = 3;

/**
 * The line through the points, broken where nothing was measured or points are more than `gapMs` apart.
 *
 * `from` and `to`: what the width shows, in milliseconds; `low` and `high`: what the height shows.
 */
export function linePath(points: readonly Point[], from: number, to: number, low: number, high: number, gapMs: number): string {
  const span = Math.max(1, to - from);
  const range = high - low || 1;
  let path = "";
  let before: number | null = null;
  for (const { at, value } of points) {
    if (value === null || at < from) {
      before = null;
      continue;
    }
    const x = (WIDTH * (at - from)) / span;
    const y = HEIGHT - EDGE - ((HEIGHT - 2 * EDGE) * (value - low)) / range;
    const spot = `${x.toFixed(1)} ${y.toFixed(1)}`;
    // A point with no neighbour is drawn as a short dash.
    path += before !== null && at - before <= gapMs ? `L${spot}` : `M${spot}h0.5`;
    before = at;
  }
  return path;
}

/** `format` says a number with its unit. `zero`: whether nought belongs into the picture. */
export function Chart(props: { title: string; points: readonly Point[]; now: number; minutes: number; format: (value: number) => string; zero?: boolean }) {
  const { title, points, now, minutes, format } = props;
  const values = points.flatMap(({ value }) => (value === null ? [] : [value]));
  const last = points.at(-1)?.value ?? null;
  const least = Math.min(...values);
  const most = Math.max(...values);
  const said =
    values.length === 0
      ? `${title}: nothing measured`
      : `${title} over the last ${minutes} minutes: ${last === null ? "nothing" : format(last)} now, between ${format(least)} and ${format(most)}`;
  const low = props.zero === false ? least : Math.min(0, least);
  return (
    <figure class="chart">
      <figcaption>
        {title} <strong>{last === null ? "–" : format(last)}</strong>
      </figcaption>
      <svg role="img" aria-label={said} viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none">
        <line x1="0" y1={HEIGHT - EDGE} x2={WIDTH} y2={HEIGHT - EDGE} />
        <path d={linePath(points, now - minutes * 60_000, now, low, Math.max(most, low), 16_000)} />
      </svg>
      <p class="meta">
        <span>{minutes} min ago</span>
        <span>{values.length === 0 ? "" : `${format(least)} to ${format(most)}`}</span>
        <span>now</span>
      </p>
    </figure>
  );
}
