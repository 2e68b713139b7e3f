/**
 * The three players behind one small face.
 *
 * Each is loaded when it is first chosen. A player's error is turned into a sentence; after one, playback has ended.
 */

export type PlayerName = "hls.js" | "shaka" | "dash.js";
export type Protocol = "HLS" | "DASH";

export const PLAYERS: readonly { name: PlayerName; label: string; protocols: readonly Protocol[] }[] = [
  { name: "hls.js", label: "hls.js", protocols: ["HLS"] },
  { name: "shaka", label: "Shaka Player", protocols: ["DASH", "HLS"] },
  { name: "dash.js", label: "dash.js", protocols: ["DASH"] },
];

/** Something that can be chosen: a quality, a sound, a text. */
export interface Option {
  id: string;
  label: string;
}

export interface Offer {
  options: Option[];
  /** The chosen one's id; `auto` for qualities, `off` for texts. */
  chosen: string;
}

/** What a player has on offer, and does, at this moment. */
export interface Look {
  qualities: Offer;
  /** What is shown: `1280×720, 1.8 Mbit/s`; empty while nothing is. */
  showing: string;
  sounds: Offer;
  texts: Offer;
  /** Behind the live edge; null for a film. */
  latencySeconds: number | null;
}

export interface Playback {
  look(): Look;
  quality(id: string): void;
  sound(id: string): void;
  text(id: string): void;
  /** When what is shown was recorded, in milliseconds since 1970; null where the stream does not say. */
  clock(): number | null;
  /** Lets go of the video element and of everything that is being loaded. */
  stop(): Promise<void>;
}

/** What is played, and with what. */
export interface Source {
  url: string;
  protocol: Protocol;
  /** Sent as `Authorization: Bearer` with requests for keys and licences, and with nothing else. */
  token: string | null;
  /** Licence servers by key system (`org.w3.clearkey`); empty for what is clear or has keys of its own. */
  licences: Record<string, string>;
}

/** Attaches a player to `video` and loads the source. `onError` may be called until `stop`. */
export async function play(
  name: PlayerName,
  video: HTMLVideoElement,
  source: Source,
  onError: (sentence: string) => void,
): Promise<Playback> {
  switch (name) {
    case "hls.js":
      return (await import("./hls")).playHls(video, source, onError);
    case "shaka":
      return (await import("./shaka")).playShaka(video, source, onError);
    case "dash.js":
      return (await import("./dash")).playDash(video, source, onError);
  }
}

export function release(video: HTMLVideoElement): void {
  video.removeAttribute("src");
  video.load();
}

/** `1280×720, 1.8 Mbit/s`. */
export function qualityLabel(width: number | undefined, height: number | undefined, bitsPerSecond: number | undefined): string {
  const size = width && height ? `${width}×${height}` : "";
  const rate = !bitsPerSecond
    ? ""
    : bitsPerSecond >= 1e6
      ? `${(bitsPerSecond / 1e6).toFixed(1)} Mbit/s`
      : `${Math.round(bitsPerSecond / 1000)} kbit/s`;
  return [size, rate].filter(Boolean).join(", ");
}

export function trackLabel(name: string | null | undefined, language: string | null | undefined, index: number): string {
  const spoken = language && language !== "und" ? language : "";
  return [name || "", spoken && spoken !== name ? spoken : ""].filter(Boolean).join(" · ") || `Track ${index + 1}`;
}

export const NO_OFFER: Offer = { options: [], chosen: "" };

/** `what` of a manifest's kind; null for one that no player here takes. */
export function protocolOf(url: string): Protocol | null {
  if (/format=m3u8|\.m3u8(?:[?#]|$)/i.test(url)) return "HLS";
  if (/format=mpd|\.mpd(?:[?#]|$)/i.test(url)) return "DASH";
  return null;
}
