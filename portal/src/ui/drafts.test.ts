import { describe, expect, it } from "vitest";
import { isTyped, rebased } from "./drafts";

describe("what was typed before somebody else changed something", () => {
  it("stays, and what nobody touched is as it is now", () => {
    const kept = { base: { name: "a", roles: ["x"], on: false }, value: { name: "mine", roles: ["x"], on: false } };
    expect(rebased(kept, { name: "theirs", roles: ["x", "y"], on: true })).toEqual({
      base: { name: "a", roles: ["x", "y"], on: true },
      value: { name: "mine", roles: ["x", "y"], on: true },
    });
  });
});

describe("whether anything was typed", () => {
  it("is told by what there was at first, not by what was pressed on the way", () => {
    expect(isTyped({ base: { name: "", roles: ["x"] }, value: { name: "", roles: ["x"] } })).toBe(false);
    expect(isTyped({ base: { name: "", roles: ["x"] }, value: { name: "", roles: [] } })).toBe(true);
  });
});
