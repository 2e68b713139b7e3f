import { describe, expect, it } from "vitest";
import { forgetSigned, keepPasted, keepPending, keepSigned, readSigned, takePending, type Provider } from "./kept";
import { renewIn } from "./renewal";

const provider: Provider = {
  name: "Example",
  issuer: "https://login.example",
  discoveryUrl: "https://login.example/.well-known/openid-configuration",
  clientId: "portal",
  scopes: "openid",
  parameters: {},
  bearer: "accessToken",
};

function store() {
  const items = new Map<string, string>();
  return {
    items,
    getItem: (key: string) => items.get(key) ?? null,
    setItem: (key: string, value: string) => void items.set(key, value),
    removeItem: (key: string) => void items.delete(key),
  };
}

describe("what is kept of a sign-in", () => {
  it("matches one answer and is gone then", () => {
    const kept = store();
    const pending = { provider, state: "s", nonce: "n", verifier: "v", place: "#/assets" };
    keepPending(kept, pending);
    expect(takePending(kept)).toEqual(pending);
    expect(takePending(kept)).toBeNull();
    expect(kept.items.size).toBe(0);
    kept.setItem("headwater.sign-in", "{");
    expect(takePending(kept)).toBeNull();
  });

  it("is forgotten at sign-out, and when a token is pasted", () => {
    const kept = store();
    keepSigned(kept, { provider, token: "t", expiresAt: 1, refreshToken: "r" });
    expect(readSigned(kept)).toEqual({ provider, expiresAt: 1, refreshToken: "r" });
    keepPasted(kept, "other");
    expect(readSigned(kept)).toBeNull();
    expect(kept.getItem("headwater.token")).toBe("other");
    keepSigned(kept, { provider, token: "t", expiresAt: 1, refreshToken: "r" });
    forgetSigned(kept);
    expect(kept.items.size).toBe(0);
  });
});

describe("a renewal", () => {
  const signed = (expiresAt: number | null, refreshToken: string | null = "r") => renewIn({ expiresAt, refreshToken }, 1_000_000);

  it("comes a minute before the end, or with the last fifth of a short life", () => {
    expect(signed(1_000_000 + 3_600_000)).toBe(3_540_000);
    expect(signed(1_000_000 + 100_000)).toBe(80_000);
  });

  it("does not storm, overflow, or happen where nothing can be renewed", () => {
    expect(signed(0)).toBe(5_000);
    expect(signed(1_000_000 + 40 * 86_400_000)).toBe(2 ** 31 - 1);
    expect(signed(null)).toBeNull();
    expect(signed(2_000_000, null)).toBeNull();
  });
});
