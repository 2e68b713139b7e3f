/**
 * The three players behind one small face.
 *
 * Each is loaded when it is first chosen. A player's error is turned into a sentence; `fatal` says that playback has
 * ended with it.
 */

export type PlayerName = "hls.js" | "shaka" | "dash.js";

export const PLAYERS: readonly { name: PlayerName; label: string; protocol: "HLS" | "DASH" }[] = [
  { name: "hls.js", label: "hls.js", protocol: "HLS" },
  { name: "shaka", label: "Shaka Player", protocol: "DASH" },
  { name: "dash.js", label: "dash.js", protocol: "DASH" },
];

export interface Playback {
  /** Lets go of the video element and of everything that is being loaded. */
  stop(): Promise<void>;
}

/** Attaches a player to `video` and loads `url`, which is of the player's protocol. `onError` may be called until `stop`. */
export async function play(
  name: PlayerName,
  video: HTMLVideoElement,
  url: string,
  onError: (sentence: string) => void,
): Promise<Playback> {
  switch (name) {
    case "hls.js":
      return playHls(video, url, onError);
    case "shaka":
      return playShaka(video, url, onError);
    case "dash.js":
      return playDash(video, url, onError);
  }
}

async function playHls(video: HTMLVideoElement, url: string, onError: (sentence: string) => void): Promise<Playback> {
  const [{ default: Hls }, { default: workerPath }] = await Promise.all([
    import("hls.js"),
    import("hls.js/dist/hls.worker.js?url"),
  ]);
  if (!Hls.isSupported()) {
    // Safari on iPhones: no Media Source Extensions, but HLS of its own.
    if (video.canPlayType("application/vnd.apple.mpegurl") === "") {
      throw new Error("This browser can play neither HLS nor Media Source streams.");
    }
    const failed = () => onError(`The browser's own player stopped: ${video.error?.message || "no reason given"}.`);
    video.addEventListener("error", failed);
    video.src = url;
    return {
      async stop() {
        video.removeEventListener("error", failed);
        release(video);
      },
    };
  }
  const hls = new Hls({ workerPath });
  let recovered = false;
  hls.on(Hls.Events.ERROR, (_event, data) => {
    if (!data.fatal) return;
    if (data.type === Hls.ErrorTypes.MEDIA_ERROR && !recovered) {
      recovered = true;
      hls.recoverMediaError();
      return;
    }
    const status = data.response?.code ? `, status ${data.response.code}` : "";
    onError(`hls.js stopped: ${data.details}${status}.`);
  });
  hls.loadSource(url);
  hls.attachMedia(video);
  return {
    async stop() {
      hls.destroy();
      release(video);
    },
  };
}

async function playShaka(video: HTMLVideoElement, url: string, onError: (sentence: string) => void): Promise<Playback> {
  const { default: shaka } = await import("shaka-player");
  shaka.polyfill.installAll();
  if (!shaka.Player.isBrowserSupported()) throw new Error("Shaka Player does not support this browser.");
  const player = new shaka.Player();
  const sentence = (error: unknown) => {
    const code = typeof error === "object" && error !== null && "code" in error ? Number(error.code) : null;
    return code === null ? `Shaka Player stopped: ${String(error)}.` : `Shaka Player stopped with error ${code}.`;
  };
  player.addEventListener("error", (event: Event) => onError(sentence((event as Event & { detail: unknown }).detail)));
  await player.attach(video);
  try {
    await player.load(url);
  } catch (error) {
    await player.destroy();
    throw new Error(sentence(error));
  }
  return {
    async stop() {
      await player.destroy();
      release(video);
    },
  };
}

async function playDash(video: HTMLVideoElement, url: string, onError: (sentence: string) => void): Promise<Playback> {
  const { MediaPlayer } = await import("dashjs");
  const player = MediaPlayer().create();
  player.updateSettings({ debug: { logLevel: 0 } });
  player.on(MediaPlayer.events.ERROR, (event: unknown) => {
    const { error } = event as { error?: { code?: number; message?: string } | string };
    const words = typeof error === "string" ? error : `${error?.message ?? "no reason given"} (${error?.code ?? "?"})`;
    onError(`dash.js stopped: ${words}`);
  });
  player.initialize(video, url, false);
  return {
    async stop() {
      player.destroy();
      release(video);
    },
  };
}

function release(video: HTMLVideoElement): void {
  video.removeAttribute("src");
  video.load();
}
