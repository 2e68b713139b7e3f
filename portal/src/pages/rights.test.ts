import { expect, test } from "vitest";
import { count, offered, permissionsOf, shared, toggled, union, type Rights } from "./rights";

const own: Rights = {
  "core.organization": { org: { OwnToken: ["read", "write"], Team: ["read"] } },
  "core.project": { one: { Asset: ["read", "write"], Job: ["read"] }, two: { Asset: ["read"] } },
};
const role = { Asset: ["read", "write", "delete"], Job: ["read"], OwnToken: ["read"], Team: ["read", "write"] };

test("a role's rights are offered as far as one has them, in one of the projects at least", () => {
  expect(offered(role, own, null)).toEqual({ Asset: ["read", "write"], Job: ["read"], OwnToken: ["read"], Team: ["read"] });
  expect(offered(role, own, "two")).toEqual({ Asset: ["read"], OwnToken: ["read"] });
  expect(offered(role, own, "three")).toEqual({ OwnToken: ["read"] });
});

test("a token is held to what was chosen, where one has it", () => {
  const chosen = { Asset: ["read", "write"], Team: ["read"] };
  expect(permissionsOf(chosen, own, null)).toEqual({
    "core.organization": { org: { Team: ["read"] } },
    "core.project": { one: { Asset: ["read", "write"] }, two: { Asset: ["read"] } },
  });
  expect(permissionsOf({ Job: ["read"] }, own, null)).toEqual({ "core.organization": {}, "core.project": { one: { Job: ["read"] } } });
  expect(permissionsOf({ Asset: ["write"] }, own, "two")).toEqual({ "core.organization": {}, "core.project": {} });
});

test("rights are put together, compared and counted", () => {
  expect(union([{ Asset: ["read"] }, { Asset: ["write", "read"], Job: ["act"] }])).toEqual({ Asset: ["read", "write"], Job: ["act"] });
  expect(shared({ Asset: ["read"], Job: ["act"] }, { Job: ["act"] })).toEqual({ Job: ["act"] });
  expect(toggled({ Asset: ["read"] }, "Asset", "read", false)).toEqual({});
  expect(toggled({ Asset: ["read"] }, "Asset", "write", true)).toEqual({ Asset: ["read", "write"] });
  expect(count(role)).toBe(7);
});
