import { describe, expect, it } from "vitest";
import { linePath } from "./chart";

describe("a line over time", () => {
  it("goes through what was measured and stops where nothing was", () => {
    const points = [
      { at: 0, value: 0 },
      { at: 5_000, value: 10 },
      { at: 10_000, value: null },
      { at: 15_000, value: 5 },
      { at: 40_000, value: 5 },
    ];
    const path = linePath(points, 0, 50_000, 0, 10, 16_000);
    expect(path).toBe("M0.0 57.0h0.5L30.0 3.0M90.0 30.0h0.5M240.0 30.0h0.5");
  });

  it("leaves out what is older, and draws what never changes", () => {
    const points = [
      { at: 0, value: 7 },
      { at: 20_000, value: 7 },
      { at: 25_000, value: 7 },
    ];
    expect(linePath(points, 10_000, 30_000, 7, 7, 16_000)).toBe("M150.0 57.0h0.5L225.0 57.0");
  });
});
