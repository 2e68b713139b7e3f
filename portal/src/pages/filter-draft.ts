/**
 * What a person fills in for a filter, and the properties that it says.
 *
 * Times are seconds. Where the filter counts in ticks of its own, those that nobody touched stay the ticks they are.
 */

import type { Schemas } from "../api/client";

type Write = Schemas["FilterPropertiesWrite"];
/** Filters need not say in which ticks they count. */
type Range = Partial<Schemas["PresentationTimeRange"]>;
type Properties = Omit<Schemas["FilterProperties"], "presentationTimeRange"> & { presentationTimeRange?: Range };
export type FilterTrack = Schemas["FilterTrack"];
export type Condition = FilterTrack["trackSelections"][number];

/** Ticks a second, where a filter does not say. */
const UNSAID = 10_000_000;
/** Ticks a second in what is typed. */
const TYPED = 1000;

export interface FilterDraft {
  name: string;
  start: string;
  end: string;
  forceEnd: boolean;
  window: string;
  backoff: string;
  /** In kbit/s, like `first`. */
  most: string;
  language: string;
  first: string;
  /** Those that `most` and `language` do not say. */
  tracks: FilterTrack[];
}

const TIMES = [
  ["start", "startTimestamp"],
  ["end", "endTimestamp"],
  ["window", "presentationWindowDuration"],
  ["backoff", "liveBackoffDuration"],
] as const;

function isOne(track: FilterTrack, type: string, property: Condition["property"], value: RegExp): string | null {
  const [first, second, ...rest] = track.trackSelections;
  const plain = (one: Condition | undefined, wanted: string) => one?.property === wanted && one.operation === "Equal";
  if (!plain(first, "Type") || !plain(second, property) || rest.length > 0) return null;
  return first?.value.toLowerCase() === type ? (second?.value.match(value)?.[1] ?? null) : null;
}

/** A number of a filter; null where it says "not set", as Azure Media Services writes it. */
export function said(number: number | null | undefined): number | null {
  return number == null || number >= 2 ** 63 ? null : number;
}

export function draftOf(name: string, { presentationTimeRange: time, firstQuality, tracks }: Properties): FilterDraft {
  const scale = said(time?.timescale) ?? UNSAID;
  const seconds = (number: number | null | undefined) => {
    const ticks = said(number);
    return ticks === null ? "" : String(ticks / scale);
  };
  const draft: FilterDraft = {
    name,
    start: seconds(time?.startTimestamp),
    end: seconds(time?.endTimestamp),
    forceEnd: time?.forceEndTimestamp ?? false,
    window: seconds(time?.presentationWindowDuration),
    backoff: seconds(time?.liveBackoffDuration),
    most: "",
    language: "",
    first: firstQuality == null ? "" : String(firstQuality.bitrate / 1000),
    tracks: [],
  };
  for (const track of tracks ?? []) {
    const most = isOne(track, "video", "Bitrate", /^0-(\d+)$/);
    const language = isOne(track, "audio", "Language", /^(.+)$/);
    if (most !== null && draft.most === "") draft.most = String(Number(most) / 1000);
    else if (language !== null && draft.language === "") draft.language = language;
    else draft.tracks.push(track);
  }
  return draft;
}

/** The entries that come before those of `tracks`. */
export function simple({ most, language }: Pick<FilterDraft, "most" | "language">): FilterTrack[] {
  const entry = (type: string, property: Condition["property"], value: string): FilterTrack => ({
    trackSelections: [
      { property: "Type", operation: "Equal", value: type },
      { property, operation: "Equal", value },
    ],
  });
  return [
    ...(most === "" ? [] : [entry("Video", "Bitrate", `0-${Math.round(Number(most) * 1000)}`)]),
    ...(language === "" ? [] : [entry("Audio", "Language", language)]),
  ];
}

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** `was`: the filter as it stands; empty for a new one. What is said as before comes out as it was. */
export function propertiesOf(draft: FilterDraft, was: Properties = {}): Write {
  const before = draftOf(draft.name, was);
  const range = rangeOf(draft, before, was.presentationTimeRange ?? null);
  const tracks =
    draft.most === before.most && draft.language === before.language && same(draft.tracks, before.tracks)
      ? (was.tracks ?? null)
      : [...simple(draft), ...draft.tracks];
  const quality = draft.first === before.first ? (was.firstQuality ?? null) : draft.first === "" ? null : { bitrate: Math.round(Number(draft.first) * 1000) };
  return {
    ...(range === null ? {} : { presentationTimeRange: range as Schemas["PresentationTimeRange"] }),
    ...(quality === null ? {} : { firstQuality: quality }),
    ...(tracks === null || tracks.length === 0 ? {} : { tracks }),
  };
}

function rangeOf(draft: FilterDraft, before: FilterDraft, was: Range | null): Range | null {
  if (draft.forceEnd === before.forceEnd && TIMES.every(([field]) => draft[field] === before[field])) return was;
  const scale = was === null ? TYPED : (said(was.timescale) ?? UNSAID);
  // A scale too coarse for what may be typed is made finer, for all of them.
  const factor = scale < TYPED ? TYPED : 1;
  const range: Range = {};
  for (const [field, member] of TIMES) {
    const ticks = said(was?.[member]);
    if (draft[field] === "") continue;
    range[member] = draft[field] === before[field] && ticks !== null ? ticks * factor : Math.round(Number(draft[field]) * scale * factor);
  }
  if (draft.forceEnd) range.forceEndTimestamp = true;
  if (Object.keys(range).length === 0) return null;
  return was !== null && said(was.timescale) === null ? range : { ...range, timescale: scale * factor };
}

/** What PATCH is to be sent; null where something goes, which takes a PUT of all of it. */
export function changesOf(now: Write, was: Properties): Write | null {
  const changes: Write = {};
  for (const member of ["presentationTimeRange", "firstQuality", "tracks"] as const) {
    if (same(now[member], was[member])) continue;
    if (now[member] === undefined) return null;
    Object.assign(changes, { [member]: now[member] });
  }
  return changes;
}
