import "/node_modules/shaka-player/dist/shaka-player.compiled.debug.js";
import { errors, heard, hex, tagText, video } from "./common.js";

const { shaka } = window;
shaka.polyfill.installAll();
const player = new shaka.Player();
player.addEventListener("error", ({ detail }) => errors.push(`shaka ${detail.code} ${detail.message}`));
const attached = player.attach(video);

window.player = {
  version: shaka.Player.version,
  load: async (url, { licence, token } = {}) => {
    await attached;
    if (licence !== undefined) player.configure({ drm: { servers: { "org.w3.clearkey": licence } } });
    const { KEY, LICENSE } = shaka.net.NetworkingEngine.RequestType;
    player.getNetworkingEngine().registerRequestFilter((type, request) => {
      if (token !== undefined && (type === KEY || type === LICENSE)) request.headers.authorization = `Bearer ${token}`;
    });
    try {
      await player.load(url);
    } catch (error) {
      errors.push(`shaka ${error.code} ${error.message}`);
      throw new Error(`shaka ${error.code} ${error.message}`);
    }
  },
  renditions: () => {
    const byVideo = new Map();
    for (const { id, videoId, width, height, bandwidth } of player.getVariantTracks()) {
      if (!byVideo.has(videoId)) byVideo.set(videoId, { id, width, height, bitrate: bandwidth });
    }
    return [...byVideo.values()].sort((a, b) => a.bitrate - b.bitrate);
  },
  select: (id) => {
    player.configure({ abr: { enabled: false } });
    const track = player.getVariantTracks().find((candidate) => candidate.id === id);
    player.selectVariantTrack(track, /* clearBuffer= */ true, /* safeMargin= */ 0);
  },
  latency: () => (player.isLive() ? (Date.now() - player.getPlayheadTimeAsDate().getTime()) / 1000 : null),
  goBack: (time) => void (video.currentTime = time),
  live: () => player.goToLive(),
  /** Plays at another rate, from key frames where the manifest has any. */
  fast: (rate) => player.trickPlay(rate),
  normal: () => player.cancelTrickPlay(),
  listen: () => {
    player.addEventListener("emsg", ({ detail }) => {
      const tag = tagText(detail.messageData);
      if (tag !== undefined) heard.push({ tag, time: detail.startTime });
    });
    player.addEventListener("timelineregionadded", ({ detail: { eventNode, startTime, endTime } }) => {
      // Shaka Player has nodes of its own; the section is the text of the innermost.
      const text = (node) => (node === undefined ? "" : [node.children ?? []].flat().map((child) => (typeof child === "string" ? child : text(child))).join(""));
      const bytes = Uint8Array.from(atob(text(eventNode).trim()), (letter) => letter.charCodeAt(0));
      heard.push({ splice: hex(bytes), time: startTime, duration: endTime - startTime });
    });
  },
  texts: () => player.getTextTracks().map(({ language, label }) => ({ language, name: label })),
  showText: (language) => player.selectTextTrack(player.getTextTracks().find((track) => track.language === language)),
};
