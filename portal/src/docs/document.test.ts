import { describe, expect, it } from "vitest";
import text from "../../../docs/openapi.json?raw";
import { bounds, nameOf, resolve, rows, type OpenApi } from "./document";

const document = JSON.parse(text) as OpenApi;
const all = document.tags.flatMap(({ name }) => rows(document, name));

describe("our own document", () => {
  it("has every operation under one tag", () => {
    const operations = Object.values(document.paths).flatMap((item) => Object.keys(item).filter((m) => m !== "parameters"));
    expect(all).toHaveLength(operations.length);
    expect(new Set(all.map(({ operation }) => operation.operationId)).size).toBe(all.length);
  });

  it("has its path variables and answers resolved", () => {
    const put = all.find(({ operation }) => operation.operationId === "assetPut")!;
    expect([put.method, put.parameters.map(({ name }) => name)]).toEqual(["put", ["project", "asset"]]);
    expect(resolve(document, put.operation.responses["404"]!).description).toBe("Not found.");
    for (const { operation } of all) {
      for (const answer of Object.values(operation.responses)) expect(resolve(document, answer).description).toBeTruthy();
    }
  });
});

describe("schemas", () => {
  it("say their bounds in words", () => {
    expect(bounds({ type: "string", maxLength: 64, format: "uuid" })).toBe("0 to 64 characters; uuid");
    expect(bounds({ type: "integer", minimum: 1, maximum: 2 ** 63, default: 5 })).toBe("at least 1; 5 by default");
    expect(bounds({ enum: ["a", null] })).toBe('one of "a", null');
    expect(bounds({ type: "array", minItems: 1, maxItems: 30 })).toBe("1 to 30 items");
    expect(bounds({})).toBe("");
    expect(nameOf("#/components/schemas/Asset")).toBe("Asset");
  });
});
