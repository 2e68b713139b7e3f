import { describe, expect, it } from "vitest";
import { labelled, pairsChanged, pairsOf, pairText } from "./pairs";

describe("labels and tags as lines of text", () => {
  it("are read as they are written", () => {
    const pairs = { team: "news", place: "studio 2, upstairs", empty: "", constructor: "us" };
    expect(pairText(pairs)).toBe("team=news\nplace=studio 2, upstairs\nempty=\nconstructor=us");
    expect(pairsOf(pairText(pairs), "labels")).toEqual(pairs);
    expect(pairsOf(" a = b=c \n\n", "labels")).toEqual({ a: "b=c" });
    expect(Object.entries(pairsOf("__proto__=1", "tags"))).toEqual([["__proto__", "1"]]);
    expect(pairsOf("", "labels")).toEqual({});
    expect(pairText(null)).toBe("");
    expect(pairText({ a: "1", b: "2" }, ", ")).toBe("a=1, b=2");
  });

  it("say which line is none", () => {
    expect(() => pairsOf("a=1\nb", "tags")).toThrow("b is not of the form name=text.");
    expect(() => pairsOf("=1", "tags")).toThrow("=1 is not");
    expect(() => pairsOf("a=1\na=2", "tags")).toThrow("a is there twice.");
  });

  it("are not sent as long as nobody changed them", () => {
    const odd = { "a=b": "c", d: "two\nlines" };
    expect(pairsChanged("tags", pairText(odd), odd)).toEqual({});
    expect(pairsChanged("tags", "d=one", odd)).toEqual({ tags: { d: "one" } });
    expect(pairsChanged("tags", "", odd)).toEqual({ tags: {} });
  });
});

describe("what is searched by label", () => {
  it("is a name with a text", () => {
    expect(labelled("team=news")).toEqual({ $label: ["team=news"] });
    expect(labelled(" place=studio 2, upstairs ")).toEqual({ $label: ["place=studio 2, upstairs"] });
    expect(labelled("team~ne")).toEqual({ $label: ["team~ne"] });
    expect(labelled("team=")).toEqual({ $label_key: ["team"] });
  });

  it("is nothing else", () => {
    for (const words of ["", "film", "a film=x", "=x", "/a=b"]) expect(labelled(words)).toBeNull();
  });
});
