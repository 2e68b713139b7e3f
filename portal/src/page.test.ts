import { describe, expect, it } from "vitest";
import { listPublished } from "./api/published";
import { clock, spokenDuration } from "./format";
import { takeToken } from "./token";

const VIDEO = {
  name: "demo",
  assetName: "demo",
  created: "2026-11-22T18:00:00Z",
  locatorId: "11111111-1111-1111-1111-111111111111",
  hlsUrl: "http://h/1/demo.ism/manifest(format=m3u8-cmaf)",
  dashUrl: "http://h/1/demo.ism/manifest(format=mpd-time-cmaf)",
  posterUrl: null,
  durationSeconds: 20.04,
};

function answering(...answers: { status?: number; body: unknown }[]) {
  const asked: { url: string; headers: Headers }[] = [];
  const fetcher = (async (request: Request) => {
    const { origin, href } = new URL(request.url);
    asked.push({ url: href.slice(origin.length), headers: request.headers });
    const answer = answers[Math.min(asked.length, answers.length) - 1]!;
    return new Response(JSON.stringify(answer.body), { status: answer.status ?? 200 });
  }) as unknown as typeof fetch;
  return { asked, fetcher };
}

const signal = new AbortController().signal;

describe("the token in the address", () => {
  it("is taken out, and the rest stays", () => {
    expect(takeToken("http://h/?watch=1#token=a.b.c&t=5")).toEqual({ token: "a.b.c", url: "http://h/?watch=1#t=5" });
    expect(takeToken("http://h/#token=a.b.c")).toEqual({ token: "a.b.c", url: "http://h/" });
  });

  it("is none when there is none", () => {
    expect(takeToken("http://h/?token=a#t=5")).toEqual({ token: null, url: "http://h/?token=a#t=5" });
    expect(takeToken("http://h/#token=")).toEqual({ token: null, url: "http://h/" });
  });
});

describe("the list", () => {
  it("follows pages, on this origin only, and leaves out what it does not understand", async () => {
    const { asked, fetcher } = answering(
      { body: { value: [VIDEO, { name: "half" }], "@odata.nextLink": "http://elsewhere/api/next?$skiptoken=2" } },
      { body: { value: [VIDEO] } },
    );
    expect(await listPublished("tok", signal, fetcher)).toEqual({ ok: true, videos: [VIDEO, VIDEO] });
    expect(asked.map(({ url }) => url)).toEqual([
      "/api/v1/projects/default/media/published",
      "/api/v1/projects/default/media/published?$skiptoken=2",
    ]);
    expect(asked[0]!.headers.get("authorization")).toBe("Bearer tok");
  });

  it("asks for a token when it is refused", async () => {
    const refused = answering({ status: 401, body: {} });
    expect(await listPublished(null, signal, refused.fetcher)).toEqual({
      ok: false,
      failure: { kind: "needs-token", rejected: false },
    });
    expect(refused.asked[0]!.headers.has("authorization")).toBe(false);
    expect(await listPublished("old", signal, refused.fetcher)).toEqual({
      ok: false,
      failure: { kind: "needs-token", rejected: true },
    });
  });

  it("says why it failed, in the server's words when there are any", async () => {
    const words = answering({ status: 503, body: { error: { code: "x", detail: "The catalog is busy." } } });
    expect(await listPublished(null, signal, words.fetcher)).toEqual({
      ok: false,
      failure: { kind: "failed", sentence: "The catalog is busy." },
    });
    const down = (() => Promise.reject(new TypeError("refused"))) as typeof fetch;
    expect(await listPublished(null, signal, down)).toMatchObject({ ok: false, failure: { kind: "failed" } });
    const odd = answering({ body: "hello" });
    expect(await listPublished(null, signal, odd.fetcher)).toMatchObject({ ok: false, failure: { kind: "failed" } });
  });
});

describe("durations", () => {
  it("read as clocks and as words", () => {
    expect(clock(20.04)).toBe("0:20");
    expect(clock(3725)).toBe("1:02:05");
    expect(spokenDuration(3661)).toBe("1 hour 1 minute 1 second");
    expect(spokenDuration(0.2)).toBe("0 seconds");
  });
});
