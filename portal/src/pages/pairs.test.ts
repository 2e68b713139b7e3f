import { describe, expect, it } from "vitest";
import { pairsOf, pairText } from "./pairs";

describe("labels and tags as a line of text", () => {
  it("are read as they are written", () => {
    const pairs = { team: "news", place: "studio 2", empty: "" };
    expect(pairText(pairs)).toBe("team=news, place=studio 2, empty=");
    expect(pairsOf(pairText(pairs), "labels")).toEqual(pairs);
    expect(pairsOf(" a = b=c ,, ", "labels")).toEqual({ a: "b=c" });
    expect(pairsOf("", "labels")).toEqual({});
    expect(pairText(null)).toBe("");
  });

  it("say which part is none", () => {
    expect(() => pairsOf("a=1, b", "tags")).toThrow("b is not of the form name=text.");
    expect(() => pairsOf("=1", "tags")).toThrow("=1 is not");
    expect(() => pairsOf("a=1, a=2", "tags")).toThrow("a is there twice.");
  });
});
