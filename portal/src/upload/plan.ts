/**
 * A file as blocks of a block blob.
 *
 * Block ids say which file they are from (name, size, time of change) and which block: whoever chooses the same file
 * again finds what is already there, and another file of the same name does not continue it.
 *
 * Source: Azure Storage REST, "Put Block", "Put Block List", "Get Block List" (2021-12-02): ids are base64 of at most 64
 * bytes and of one length within a blob; at most 50 000 blocks.
 */

export interface Block {
  id: string;
  /** First byte. */
  start: number;
  /** The byte after the last. */
  end: number;
}

export interface Chosen {
  name: string;
  size: number;
  /** Milliseconds since 1970. */
  lastModified: number;
}

const MIB = 1 << 20;
const MAX_BLOCKS = 50_000;

/** 4 MiB, or as much more as a file of more than 195 GiB needs. */
export function blockBytes(size: number): number {
  return Math.max(4, Math.ceil(size / MAX_BLOCKS / MIB)) * MIB;
}

/** In order, without gap; one empty block list for an empty file. */
export function blocksOf(file: Chosen): Block[] {
  const step = blockBytes(file.size);
  const mark = fingerprint(`${file.name}\n${file.size}\n${file.lastModified}`);
  const blocks: Block[] = [];
  for (let start = 0; start < file.size; start += step) {
    const number = String(blocks.length).padStart(6, "0");
    blocks.push({ id: btoa(`hw-${mark}-${number}`), start, end: Math.min(file.size, start + step) });
  }
  return blocks;
}

/** FNV-1a, 32 bits, as 8 hex digits. It tells files apart, and guards nothing. */
function fingerprint(text: string): string {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash.toString(16).padStart(8, "0");
}

/** Ids and sizes of the uncommitted blocks that the store tells of. */
export function storedBlocks(xml: string): Map<string, number> {
  const stored = new Map<string, number>();
  const uncommitted = xml.match(/<UncommittedBlocks>([\s\S]*?)<\/UncommittedBlocks>/)?.[1] ?? "";
  for (const [, block = ""] of uncommitted.matchAll(/<Block>([\s\S]*?)<\/Block>/g)) {
    const id = block.match(/<Name>([^<]*)<\/Name>/)?.[1];
    const size = Number(block.match(/<Size>(\d+)<\/Size>/)?.[1]);
    if (id !== undefined && Number.isSafeInteger(size)) stored.set(id, size);
  }
  return stored;
}

/** The body of Put Block List. */
export function blockList(blocks: readonly Block[]): string {
  return `<?xml version="1.0" encoding="utf-8"?><BlockList>${blocks.map(({ id }) => `<Latest>${id}</Latest>`).join("")}</BlockList>`;
}

/** The URL of a blob below a container's signed URL. */
export function blobUrl(container: string, name: string, query: Record<string, string> = {}): string {
  const url = new URL(container);
  url.pathname += `/${name.split("/").map(encodeURIComponent).join("/")}`;
  // The signature's own parameters stay exactly as they were signed.
  const more = new URLSearchParams(query).toString();
  return more === "" ? url.href : `${url.href}&${more}`;
}
