/** Pictures among an asset's files, and the index of a sheet of small ones (WebVTT with `#xywh`, as for seeking). */

export interface Tile {
  /** Seconds from the beginning. */
  at: number;
  sheet: string;
  x: number;
  y: number;
  width: number;
  height: number;
}

const PICTURE = /\.(jpe?g|png)$/i;

/**
 * Which of an asset's files are pictures of their own, which are sheets, and the index of the sheets; null without one.
 *
 * An index `film_sheet.vtt` has sheets called `film_sheet` and a number.
 */
export function picturesAmong(files: readonly string[]): { pictures: string[]; index: string | null } {
  const images = files.filter((name) => PICTURE.test(name));
  const index = files.find((name) => name.endsWith(".vtt") && images.some((image) => isSheet(image, name))) ?? null;
  const pictures = index === null ? images : images.filter((image) => !isSheet(image, index));
  // What was made to stand for the film comes first.
  const rank = (name: string) => (/thumbnail|poster|cover/i.test(name) ? 0 : 1);
  return { pictures: pictures.sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1)), index };
}

function isSheet(image: string, index: string): boolean {
  const stem = index.replace(/\.vtt$/, "");
  return image.startsWith(stem) && /^\d+\.jpe?g$/i.test(image.slice(stem.length));
}

/** The tiles of an index, in order. What is no tile is left out. */
export function tiles(vtt: string): Tile[] {
  const found: Tile[] = [];
  const cues = vtt.matchAll(/(?:(\d+):)?(\d\d):(\d\d\.\d{3}) --> [^\n]*\n([^\n#]+)#xywh=(\d+),(\d+),(\d+),(\d+)/g);
  for (const [, hours = "0", minutes = "", seconds = "", sheet = "", ...area] of cues) {
    const [x = 0, y = 0, width = 0, height = 0] = area.map(Number);
    if (width > 0 && height > 0) found.push({ at: Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds), sheet, x, y, width, height });
  }
  return found;
}

/** At most `most` of them, evenly apart, the first and the last among them. */
export function spread<T>(items: readonly T[], most: number): T[] {
  if (items.length <= most) return [...items];
  return Array.from({ length: most }, (_, at) => items[Math.round((at * (items.length - 1)) / (most - 1))] as T);
}
