/** Numbers and dates as people read them. */

/** `65.4` to `1:05`, `3725` to `1:02:05`. */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const two = (n: number) => String(n).padStart(2, "0");
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor(whole / 60) % 60;
  return hours > 0 ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

/** The same for screen readers: `1 minute 5 seconds`. */
export function spokenDuration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const parts: string[] = [];
  for (const [unit, value] of [
    ["hour", Math.floor(whole / 3600)],
    ["minute", Math.floor(whole / 60) % 60],
    ["second", whole % 60],
  ] as const) {
    if (value > 0) parts.push(`${value} ${unit}${value === 1 ? "" : "s"}`);
  }
  return parts.join(" ") || "0 seconds";
}

/** A date in the reader's own language; empty for text that is none. */
export function day(iso: string, locale?: string): string {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return "";
  return new Intl.DateTimeFormat(locale, { dateStyle: "medium" }).format(date);
}

/** Day and time in the reader's own language; empty for text that is none, and for "never" (the year 9999). */
export function moment(iso: string | null | undefined, locale?: string): string {
  if (iso === null || iso === undefined || iso.startsWith("9999")) return "";
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return "";
  // AM and PM do not stand alone on a line.
  return new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" }).format(date).replace(/ (?=[AP]M$)/, "\u00a0");
}

/** Day and time to the second, in the reader's own language. `ms`: since 1970. */
export function preciseMoment(ms: number, locale?: string): string {
  return new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "medium" }).format(new Date(ms));
}

/** What a field for a local date and time takes: `2026-06-01T13:15:00.250`. `ms`: since 1970. */
export function fieldTime(ms: number): string {
  const at = new Date(ms);
  return new Date(ms - at.getTimezoneOffset() * 60_000).toISOString().slice(0, -1);
}

/** `1536` to `1.5 KiB`. */
export function bytes(count: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = Math.max(0, count);
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** `75` to `1:15 left`. */
export function leftTime(seconds: number): string {
  return Number.isFinite(seconds) ? `${clock(seconds)} left` : "";
}

/** An ISO 8601 duration of hours, minutes and seconds as seconds; null for anything else. */
export function isoSeconds(text: string): number | null {
  const parts = text.match(/^P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?$/);
  if (parts === null) return null;
  const [days = 0, hours = 0, minutes = 0, seconds = 0] = parts.slice(1).map((part) => Number(part ?? 0));
  return ((days * 24 + hours) * 60 + minutes) * 60 + seconds;
}

/** Seconds as the API writes them: `PT2H`. */
export function isoDuration(seconds: number): string {
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor(seconds / 60) % 60;
  const rest = Math.round(seconds) % 60;
  return `PT${hours > 0 ? `${hours}H` : ""}${minutes > 0 ? `${minutes}M` : ""}${rest > 0 || seconds < 60 ? `${rest}S` : ""}`;
}

/** A time in a film as people write it (`90`, `1:30.5`, `1:02:03`) as ISO 8601, which is taken too; null for anything else. */
export function timeInFilm(text: string): string | null {
  const typed = text.trim();
  if (isoSeconds(typed) !== null && typed !== "P" && !typed.endsWith("T")) return typed;
  const parts = typed.match(/^(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d{1,3})?)$/);
  if (parts === null) return null;
  const [hours = 0, minutes = 0, seconds = 0] = parts.slice(1).map((part) => Number(part ?? 0));
  // In thousandths, or a sum of decimals would have more of them.
  const whole = Math.round((hours * 3600 + minutes * 60 + seconds) * 1000);
  return `PT${whole / 1000}S`;
}

/** A name for the API from a file's: what is not a letter or digit becomes a dash. */
export function nameFrom(file: string): string {
  const stem = file.replace(/\.[^.]+$/, "").normalize("NFKD").replace(/[^A-Za-z0-9]+/g, "-").replace(/^-+|-+$/g, "");
  return stem.slice(0, 60) || "upload";
}
