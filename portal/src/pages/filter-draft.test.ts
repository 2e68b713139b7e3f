import { describe, expect, it } from "vitest";
import { changesOf, draftOf, propertiesOf, type FilterTrack } from "./filter-draft";

const video: FilterTrack = {
  trackSelections: [
    { property: "Type", operation: "Equal", value: "video" },
    { property: "Bitrate", operation: "Equal", value: "0-1500000" },
  ],
};
const audio: FilterTrack = {
  trackSelections: [
    { property: "Type", operation: "Equal", value: "Audio" },
    { property: "Language", operation: "Equal", value: "en" },
  ],
};
const other: FilterTrack = { trackSelections: [{ property: "FourCC", operation: "NotEqual", value: "hvc1" }] };
const filter = {
  presentationTimeRange: { startTimestamp: 33_366_667, endTimestamp: 600_000_000, forceEndTimestamp: false },
  firstQuality: { bitrate: 600_500 },
  tracks: [other, audio, video],
};

describe("a filter in a form", () => {
  it("says what the filter says", () => {
    const draft = draftOf("f", filter);
    expect(draft).toMatchObject({ start: "3.3366667", end: "60", forceEnd: false, window: "", first: "600.5", most: "1500", language: "en", tracks: [other] });
  });

  it("leaves empty what the filter says is not set", () => {
    const unset = 9_223_372_036_854_776_000;
    const was = { presentationTimeRange: { startTimestamp: 10_000_000, endTimestamp: unset, presentationWindowDuration: unset, timescale: unset } };
    const draft = draftOf("f", was);
    expect(draft).toMatchObject({ start: "1", end: "", window: "", backoff: "" });
    expect(propertiesOf({ ...draft, start: "2" }, was).presentationTimeRange).toEqual({ startTimestamp: 20_000_000 });
  });

  it("comes out as it was where nobody changed it", () => {
    expect(propertiesOf(draftOf("f", filter), filter)).toEqual(filter);
    expect(changesOf(propertiesOf(draftOf("f", filter), filter), filter)).toEqual({});
    expect(propertiesOf(draftOf("f", {}), {})).toEqual({});
  });

  it("changes one thing and leaves the others, ticks as well", () => {
    const now = propertiesOf({ ...draftOf("f", filter), end: "59.5", forceEnd: true }, filter);
    expect(now.presentationTimeRange).toEqual({ startTimestamp: 33_366_667, endTimestamp: 595_000_000, forceEndTimestamp: true });
    expect(changesOf(now, filter)).toEqual({ presentationTimeRange: now.presentationTimeRange });
    const tracks = propertiesOf({ ...draftOf("f", filter), most: "700" }, filter).tracks;
    expect(tracks?.map(({ trackSelections }) => trackSelections.at(-1)?.value)).toEqual(["0-700000", "en", "hvc1"]);
  });

  it("makes a coarse scale finer for what is typed", () => {
    const was = { presentationTimeRange: { timescale: 1, startTimestamp: 3, endTimestamp: 9 } };
    expect(propertiesOf({ ...draftOf("f", was), end: "8.25" }, was).presentationTimeRange).toEqual({ timescale: 1000, startTimestamp: 3000, endTimestamp: 8250 });
  });

  it("that takes something back is put as a whole", () => {
    const now = propertiesOf({ ...draftOf("f", filter), first: "" }, filter);
    expect(now).toEqual({ presentationTimeRange: filter.presentationTimeRange, tracks: filter.tracks });
    expect(changesOf(now, filter)).toBeNull();
    expect(changesOf(propertiesOf({ ...draftOf("f", filter), start: "", end: "" }, filter), filter)).toBeNull();
  });

  it("of a new one counts in thousandths", () => {
    expect(propertiesOf({ ...draftOf("f", {}), window: "120", backoff: "10.5" })).toEqual({
      presentationTimeRange: { timescale: 1000, presentationWindowDuration: 120_000, liveBackoffDuration: 10_500 },
    });
  });
});
