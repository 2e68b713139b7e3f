import { describe, expect, it } from "vitest";
import { changed } from "./changes";

describe("what an edit sends", () => {
  it("is what was changed", () => {
    expect(changed({ name: "b", text: "same", on: false }, { name: "a", text: "same", on: true })).toEqual({ name: "b", on: false });
    expect(changed({ hosts: ["a", "b"] }, { hosts: ["a", "b"] })).toEqual({});
    expect(changed({ hosts: ["b", "a"] }, { hosts: ["a", "b"] })).toEqual({ hosts: ["b", "a"] });
  });

  it("is an empty text where one was taken back, and nothing where there was none", () => {
    expect(changed({ description: "" }, { description: "old" })).toEqual({ description: "" });
    expect(changed({ description: "" }, { description: null })).toEqual({});
    expect(changed({ description: "" }, {})).toEqual({});
    expect(changed({ description: "new" }, {})).toEqual({ description: "new" });
  });
});
