import { describe, expect, it } from "vitest";
import type { Failure } from "../api/failure";
import { partsOf } from "./import-parts";

const words = (text: string): string => {
  try {
    partsOf(text, "text");
    return "";
  } catch (thrown) {
    expect((thrown as Failure).field).toBe("text");
    return (thrown as Failure).message;
  }
};

describe("what was exported", () => {
  it("goes asset by asset, with the policies and locators that belong to it", () => {
    const document = {
      $schema: "x",
      contentKeyPolicies: [{ name: "keys" }],
      assets: [{ name: "a" }, { name: "b" }],
      streamingLocators: [{ name: "1", assetName: "b" }, { name: "2", properties: { assetName: "a" } }, { name: "3", assetName: "here already" }],
    };
    const parts = partsOf(JSON.stringify(document), "text");
    const names = (items: unknown[] = []) => items.map((item) => (item as { name: string }).name);
    expect(parts.map(({ what, body }) => [what, names(body.contentKeyPolicies), names(body.assets), names(body.streamingLocators)])).toEqual([
      ["policies and filters", ["keys"], [], []],
      ["a", ["keys"], ["a"], ["2"]],
      ["b", ["keys"], ["b"], ["1"]],
      ["locators of other assets", ["keys"], [], ["3"]],
    ]);
  });

  it("is told when it is none", () => {
    expect(words("{")).toMatch(/^This is not JSON/);
    expect(words("[]")).toMatch(/not a JSON object/);
    expect(words('{"asset": []}')).toMatch(/“asset” is not known/);
    expect(words('{"assets": {}}')).toMatch(/“assets” is not a list/);
    expect(words("{}")).toMatch(/nothing in it/);
  });
});
