import { describe, expect, it } from "vitest";
import { asFailure, failureOf, Failure } from "./api/failure";
import { href, readPlace } from "./app/router";
import { bytes, clock, isoDuration, isoSeconds, nameFrom, spokenDuration, timeInFilm } from "./format";
import { picturesAmong, spread, tiles } from "./pages/picture-index";
import { listed, rangesOf } from "./pages/ranges";
import { names } from "./ui/names";
import { protocolOf, qualityLabel } from "./player/players";
import { shortName } from "./player/requests";
import { takeToken } from "./token";
import { blobUrl, blockBytes, blockList, blocksOf, storedBlocks } from "./upload/plan";

describe("the token in the address", () => {
  it("is taken out, and the rest stays", () => {
    expect(takeToken("http://h/?watch=1#token=a.b.c&t=5")).toEqual({ token: "a.b.c", url: "http://h/?watch=1#t=5" });
    expect(takeToken("http://h/#token=a.b.c")).toEqual({ token: "a.b.c", url: "http://h/" });
  });

  it("is none when there is none, and a place in the portal is left as it is", () => {
    expect(takeToken("http://h/?token=a#t=5")).toEqual({ token: null, url: "http://h/?token=a#t=5" });
    expect(takeToken("http://h/#token=")).toEqual({ token: null, url: "http://h/" });
    const place = "http://h/#/play?url=http%3A%2F%2Fh%2Fx";
    expect(takeToken(place)).toEqual({ token: null, url: place });
  });
});

describe("places", () => {
  it("are read as they were written, whatever is in a name", () => {
    const names = ["assets", "a/b ä?#%"];
    const { path, query } = readPlace(href(names, { q: "x y&z" }));
    expect(path).toEqual(names);
    expect(query.get("q")).toBe("x y&z");
    expect(readPlace("")).toMatchObject({ path: [] });
    expect(readPlace("#/assets/%E0%A4%A").path).toEqual(["assets", "%E0%A4%A"]);
  });
});

describe("failures", () => {
  const failed = (status: number, body: unknown = {}, headers = {}) => failureOf(new Response(null, { status, headers }), body);

  it("are of the kind that the page has a state for", () => {
    expect([401, 403, 404, 409, 412, 429, 503, 400, 500].map((status) => failed(status).kind)).toEqual([
      "signed-out",
      "forbidden",
      "missing",
      "conflict",
      "conflict",
      "busy",
      "busy",
      "invalid",
      "broken",
    ]);
  });

  it("say what the API said, which field, where to look it up and when to come back", () => {
    const error = { error: { code: "BadRequest", detail: "Too long.", extraDetail: { field: "properties.name" } }, ref: "r1" };
    expect(failed(400, error)).toMatchObject({ message: "Too long.", field: "properties.name", reference: "r1" });
    const problem = { title: "Busy", detail: "Later.", instance: "r2" };
    expect(failed(429, problem, { "retry-after": "7" })).toMatchObject({ message: "Later.", reference: "r2", retryAfterSeconds: 7 });
    expect(failed(500, "oops").message).toContain("500");
  });

  it("stand at the field that the API names, however much of its path tells it from others", () => {
    const field = "properties.outputs[1].preset.codecs[0].layers[2].bitrate";
    expect(names(field, "bitrate")).toBe(true);
    expect(names(field, "layers[2].bitrate")).toBe(true);
    expect(names(field, "layers[1].bitrate")).toBe(false);
    expect(names(field, "outputs[1].preset.*")).toBe(true);
    expect(names(field, "outputs[0].preset.*")).toBe(false);
    expect(names("outputs[1].preset", "outputs[1].preset.*")).toBe(true);
    expect([names(null, "url"), names("spec/url", "url"), names("url", undefined), names("curl", "url")]).toEqual([false, true, false, false]);
  });

  it("of the network are told from those of the page", () => {
    expect(asFailure(new TypeError("Failed to fetch")).kind).toBe("down");
    expect(asFailure(new DOMException("", "TimeoutError"))).toMatchObject({ kind: "down", message: "Headwater took too long to answer." });
    expect(asFailure(new TypeError("x is not a function"))).toMatchObject({ kind: "broken", message: "x is not a function" });
    const own = new Failure("conflict", "x");
    expect(asFailure(own)).toBe(own);
  });
});

describe("pictures of an asset", () => {
  it("are told from sheets, whose index says where each tile is", () => {
    const files = ["film.mp4", "film_000001.jpg", "film_sheet.vtt", "film_sheet000001.jpg", "film_sheet000002.jpg", "film_Thumbnail000001.png", "captions.vtt"];
    expect(picturesAmong(files)).toEqual({ pictures: ["film_Thumbnail000001.png", "film_000001.jpg"], index: "film_sheet.vtt" });
    expect(picturesAmong(["film.mp4", "captions.vtt"])).toEqual({ pictures: [], index: null });
    const vtt =
      "WEBVTT\n\n00:00:00.000 --> 00:00:02.000\nsheet1.jpg#xywh=0,0,160,90\n\n00:02.000 --> 00:04.000\nsheet1.jpg#xywh=160,0,160,90\n\n" +
      "01:00:04.500 --> 01:00:06.000\nsheet2.jpg#xywh=0,90,160,90\n\n00:06.000 --> 00:08.000\nwords\n";
    expect(tiles(vtt).map(({ at, sheet, x, y }) => [at, sheet, x, y])).toEqual([
      [0, "sheet1.jpg", 0, 0],
      [2, "sheet1.jpg", 160, 0],
      [3604.5, "sheet2.jpg", 0, 90],
    ]);
    expect(tiles("nonsense")).toEqual([]);
    expect([spread([1, 2, 3], 5), spread([0, 1, 2, 3, 4, 5, 6, 7, 8], 3)]).toEqual([[1, 2, 3], [0, 4, 8]]);
  });
});

describe("addresses that somebody may come from", () => {
  it("are a line of text and the API's list, with the names that were there", () => {
    const office = { address: "203.0.113.0", name: "office", subnetPrefixLength: 24 };
    expect(listed([office, { address: "::1" }])).toBe("203.0.113.0/24 ::1");
    expect(rangesOf("203.0.113.0/24, 198.51.100.7", [office])).toEqual([office, { name: "198.51.100.7", address: "198.51.100.7" }]);
    expect([listed([{ address: "0.0.0.0", name: "AllowAll", subnetPrefixLength: 0 }]), rangesOf(" ")]).toEqual(["", []]);
  });
});

describe("an upload's blocks", () => {
  const MIB = 1 << 20;
  const file = { name: "film.mp4", size: 9 * MIB + 1, lastModified: 5 };

  it("tile the file, with ids of one length that only this file has", () => {
    const blocks = blocksOf(file);
    expect(blocks.map(({ start, end }) => [start, end])).toEqual([
      [0, 4 * MIB],
      [4 * MIB, 8 * MIB],
      [8 * MIB, 9 * MIB + 1],
    ]);
    expect(new Set(blocks.map(({ id }) => id.length)).size).toBe(1);
    expect(blocksOf(file)).toEqual(blocks);
    expect(blocksOf({ ...file, lastModified: 6 })[0]?.id).not.toBe(blocks[0]?.id);
    expect(blocksOf({ ...file, size: 0 })).toEqual([]);
  });

  it("are never more than a blob may have", () => {
    const size = 4 * 1024 ** 4;
    expect(size / blockBytes(size)).toBeLessThanOrEqual(50_000);
  });

  it("that are in the store are read from its list, committed ones aside", () => {
    const xml =
      "<BlockList><CommittedBlocks><Block><Name>old</Name><Size>1</Size></Block></CommittedBlocks>" +
      "<UncommittedBlocks><Block><Name>YQ==</Name><Size>4194304</Size></Block></UncommittedBlocks></BlockList>";
    expect([...storedBlocks(xml)]).toEqual([["YQ==", 4194304]]);
    expect([...storedBlocks("nonsense")]).toEqual([]);
    expect(blockList(blocksOf(file)).match(/<Latest>/g)).toHaveLength(3);
  });

  it("go to the container's URL with its signature untouched", () => {
    const url = blobUrl("http://h/acc/c?sig=a%2Bb%3D&se=1", "a b/ü.mp4", { comp: "block", blockid: "YQ==" });
    expect(url).toBe("http://h/acc/c/a%20b/%C3%BC.mp4?sig=a%2Bb%3D&se=1&comp=block&blockid=YQ%3D%3D");
  });
});

describe("what people read", () => {
  it("durations and sizes", () => {
    expect(clock(20.04)).toBe("0:20");
    expect(clock(3725)).toBe("1:02:05");
    expect(spokenDuration(3661)).toBe("1 hour 1 minute 1 second");
    expect(spokenDuration(0.2)).toBe("0 seconds");
    expect([bytes(0), bytes(1536), bytes(4535072)]).toEqual(["0 B", "1.5 KiB", "4.3 MiB"]);
    expect(isoSeconds("P1DT2H3M4.5S")).toBe(93784.5);
    expect(isoSeconds("soon")).toBeNull();
    expect([isoDuration(14400), isoDuration(5400), isoDuration(0)]).toEqual(["PT4H", "PT1H30M", "PT0S"]);
  });

  it("times in a film, as they are typed", () => {
    const typed = ["90", "1:30.5", "1:02:03", " 0:00.001 ", "PT1M30S", "", "soon", "1:", "-5", "P"];
    expect(typed.map(timeInFilm)).toEqual(["PT90S", "PT90.5S", "PT3723S", "PT0.001S", "PT1M30S", null, null, null, null, null]);
  });

  it("names and streams", () => {
    expect(nameFrom("Ümläute & (final).v2.MP4")).toBe("U-mla-ute-final-v2");
    expect(nameFrom("???.mp4")).toBe("upload");
    expect(qualityLabel(1280, 720, 1_820_000)).toBe("1280×720, 1.8 Mbit/s");
    expect(shortName("http://h/x/demo.ism/QualityLevels(64000)/Fragments(a=0,format=m4s)")).toBe(
      "QualityLevels(64000)/Fragments(a=0,format=m4s)",
    );
  });

  it("manifests by what they are", () => {
    expect(protocolOf("http://h/1/demo.ism/manifest(format=m3u8-cmaf)")).toBe("HLS");
    expect(protocolOf("http://h/1/demo.ism/manifest(format=mpd-time-cmaf,encryption=cenc)")).toBe("DASH");
    expect(protocolOf("http://h/live/index.mpd?x=1")).toBe("DASH");
    expect(protocolOf("http://h/film.mp4")).toBeNull();
  });
});
