import { describe, expect, it } from "vitest";
import { forget, forgetAll, keep, sameFile, takeLeft, type Kept } from "./kept";

class Memory {
  readonly items = new Map<string, string>();
  get length() {
    return this.items.size;
  }
  key(at: number) {
    return [...this.items.keys()][at] ?? null;
  }
  getItem(key: string) {
    return this.items.get(key) ?? null;
  }
  setItem(key: string, value: string) {
    this.items.set(key, value);
  }
  removeItem(key: string) {
    this.items.delete(key);
  }
}

const file = { name: "film.mp4", size: 7, lastModified: 1 };
const entry: Kept = { who: "ann", project: "default", asset: "film", file, flow: null };

describe("what is remembered of uploads", () => {
  it("is there for the next tab of the same user, until it is forgotten", async () => {
    const store = new Memory();
    keep(entry, store);
    keep({ ...entry, asset: "other", who: "ben" }, store);
    expect(await takeLeft("ann", store)).toEqual([entry]);
    expect(await takeLeft("ben", store)).toHaveLength(1);
    forget(entry, store);
    expect(await takeLeft("ann", store)).toEqual([]);
  });

  it("goes when somebody signs out, with nothing else of the store", () => {
    const store = new Memory();
    store.setItem("of another page", "1");
    keep(entry, store);
    forgetAll(store);
    expect([...store.items.keys()]).toEqual(["of another page"]);
  });

  it("is dropped when it is nothing that was written here, and a full store stops nothing", async () => {
    const store = new Memory();
    store.setItem("headwater.upload.x", "{");
    expect(await takeLeft("ann", store)).toEqual([]);
    expect(store.length).toBe(0);
    store.setItem = () => {
      throw new DOMException("full", "QuotaExceededError");
    };
    expect(() => keep(entry, store)).not.toThrow();
  });

  it("knows a file by name, size and time", () => {
    expect(sameFile(file, { ...file })).toBe(true);
    for (const other of [{ name: "x" }, { size: 8 }, { lastModified: 2 }]) expect(sameFile(file, { ...file, ...other })).toBe(false);
  });
});
