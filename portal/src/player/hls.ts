/** hls.js; where there are no Media Source Extensions (iPhones), the browser's own HLS. */

import Hls from "hls.js";
import workerPath from "hls.js/dist/hls.worker.js?url";
import { NO_OFFER, qualityLabel, release, trackLabel, type Playback, type Source } from "./players";

/** What tells one language or version from another, in whatever group of codecs and channels it is. */
function soundOf(track: { name: string; lang?: string } | undefined): string {
  return track === undefined ? "" : `${track.lang ?? ""} ${track.name}`;
}

export function playHls(video: HTMLVideoElement, source: Source, onError: (sentence: string) => void): Playback {
  if (!Hls.isSupported()) return playNative(video, source, onError);
  const keys = new Set<string>();
  const hls = new Hls({
    workerPath,
    // With low latency it begins a segment behind where it wants to be, and by itself does nothing about that.
    maxLiveSyncPlaybackRate: 1.06,
    xhrSetup: (request, url) => {
      if (source.token !== null && keys.has(url)) request.setRequestHeader("authorization", `Bearer ${source.token}`);
    },
    emeEnabled: Object.keys(source.licences).length > 0,
    drmSystems: Object.fromEntries(Object.entries(source.licences).map(([system, licenseUrl]) => [system, { licenseUrl }])),
    licenseXhrSetup: (request) => {
      if (source.token !== null) request.setRequestHeader("authorization", `Bearer ${source.token}`);
    },
  });
  hls.on(Hls.Events.KEY_LOADING, (_event, { frag }) => {
    const uri = frag.decryptdata?.uri;
    if (uri) keys.add(uri);
  });
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
  hls.loadSource(source.url);
  hls.attachMedia(video);
  return {
    look: () => {
      const level = hls.levels[hls.currentLevel];
      return {
        qualities: {
          options: hls.levels.map(({ width, height, bitrate }, index) => ({
            id: String(index),
            label: qualityLabel(width, height, bitrate),
          })),
          chosen: hls.autoLevelEnabled ? "auto" : String(hls.loadLevel),
        },
        showing: level === undefined ? "" : qualityLabel(level.width, level.height, level.bitrate),
        sounds: {
          options: [...new Map(hls.allAudioTracks.map((track) => [soundOf(track), track]))].map(([id, { name, lang }], index) => ({
            id,
            label: trackLabel(name, lang, index),
          })),
          chosen: soundOf(hls.audioTracks[hls.audioTrack]),
        },
        texts: {
          options: hls.subtitleTracks.map(({ name, lang }, index) => ({ id: String(index), label: trackLabel(name, lang, index) })),
          chosen: hls.subtitleTrack === -1 ? "off" : String(hls.subtitleTrack),
        },
        latencySeconds: level?.details?.live === true ? hls.latency : null,
      };
    },
    quality: (id) => (hls.nextLevel = id === "auto" ? -1 : Number(id)),
    sound: (id) => {
      // Asked for by what it is: it stays when another quality brings another group of the same languages.
      const wanted = hls.allAudioTracks.find((track) => soundOf(track) === id);
      if (wanted !== undefined) hls.setAudioOption({ ...(wanted.lang === undefined ? {} : { lang: wanted.lang }), name: wanted.name });
    },
    text: (id) => {
      hls.subtitleTrack = id === "off" ? -1 : Number(id);
      hls.subtitleDisplay = id !== "off";
    },
    clock: () => hls.playingDate?.getTime() ?? null,
    async stop() {
      hls.destroy();
      release(video);
    },
  };
}

function playNative(video: HTMLVideoElement, source: Source, onError: (sentence: string) => void): Playback {
  if (video.canPlayType("application/vnd.apple.mpegurl") === "") {
    throw new Error("This browser can play neither HLS nor Media Source streams.");
  }
  const failed = () => onError(`The browser's own player stopped: ${video.error?.message || "no reason given"}.`);
  video.addEventListener("error", failed);
  video.src = source.url;
  const nothing = () => undefined;
  return {
    look: () => ({
      qualities: NO_OFFER,
      showing: video.videoWidth > 0 ? `${video.videoWidth}×${video.videoHeight}` : "",
      sounds: NO_OFFER,
      texts: NO_OFFER,
      latencySeconds: null,
    }),
    quality: nothing,
    sound: nothing,
    text: nothing,
    clock: () => {
      const start = (video as HTMLVideoElement & { getStartDate?: () => Date }).getStartDate?.().getTime() ?? Number.NaN;
      return Number.isNaN(start) ? null : start + video.currentTime * 1000;
    },
    async stop() {
      video.removeEventListener("error", failed);
      release(video);
    },
  };
}
