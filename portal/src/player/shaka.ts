/** Shaka Player, for DASH and for HLS. */

import shaka from "shaka-player";
import { qualityLabel, release, trackLabel, type Playback, type Source } from "./players";

export async function playShaka(
  video: HTMLVideoElement,
  source: Source,
  onError: (sentence: string) => void,
): Promise<Playback> {
  shaka.polyfill.installAll();
  if (!shaka.Player.isBrowserSupported()) throw new Error("Shaka Player does not support this browser.");
  const player = new shaka.Player();
  const sentence = (error: unknown) => {
    const code = typeof error === "object" && error !== null && "code" in error ? Number(error.code) : null;
    return code === null ? `Shaka Player stopped: ${String(error)}.` : `Shaka Player stopped with error ${code}.`;
  };
  player.addEventListener("error", (event: Event) => onError(sentence((event as Event & { detail: unknown }).detail)));
  const { KEY, LICENSE } = shaka.net.NetworkingEngine.RequestType;
  player.getNetworkingEngine()?.registerRequestFilter((type, request) => {
    if (source.token !== null && (type === KEY || type === LICENSE)) {
      request.headers.authorization = `Bearer ${source.token}`;
    }
  });
  player.configure({ drm: { servers: source.licences } });
  await player.attach(video);
  try {
    await player.load(source.url);
  } catch (error) {
    await player.destroy();
    throw new Error(sentence(error));
  }
  let adaptive = true;
  return {
    look: () => {
      const sounds = player.getAudioTracks();
      const texts = player.getTextTracks();
      const sizes = player.getVideoTracks();
      const shown = sizes.find(({ active }) => active);
      return {
        qualities: {
          options: sizes.map(({ width, height, bandwidth }, index) => ({
            id: String(index),
            label: qualityLabel(width ?? undefined, height ?? undefined, bandwidth ?? undefined),
          })),
          chosen: adaptive || shown === undefined ? "auto" : String(sizes.indexOf(shown)),
        },
        showing:
          shown === undefined ? "" : qualityLabel(shown.width ?? undefined, shown.height ?? undefined, shown.bandwidth ?? undefined),
        sounds: {
          options: sounds.map(({ label, language }, index) => ({ id: String(index), label: trackLabel(label, language, index) })),
          chosen: String(sounds.findIndex(({ active }) => active)),
        },
        texts: {
          options: texts.map(({ label, language }, index) => ({ id: String(index), label: trackLabel(label, language, index) })),
          chosen: String(texts.findIndex(({ active }) => active)).replace("-1", "off"),
        },
        // Not what is left of the seek range: that ends some seconds before now.
        latencySeconds: player.isLive() ? player.getStats().liveLatency : null,
      };
    },
    quality: (id) => {
      adaptive = id === "auto";
      player.configure("abr.enabled", adaptive);
      const track = player.getVideoTracks()[Number(id)];
      if (!adaptive && track !== undefined) player.selectVideoTrack(track, true);
    },
    sound: (id) => {
      const track = player.getAudioTracks()[Number(id)];
      if (track !== undefined) player.selectAudioTrack(track);
    },
    text: (id) => {
      const track = player.getTextTracks()[Number(id)];
      player.selectTextTrack(id === "off" ? null : (track ?? null));
    },
    clock: () => player.getPlayheadTimeAsDate()?.getTime() ?? null,
    async stop() {
      await player.destroy();
      release(video);
    },
  };
}
