import { MediaPlayer } from "/node_modules/dashjs/dist/modern/esm/dash.all.min.js";
// Finds the player by itself.
import "/node_modules/dashjs/dist/modern/esm/dash.mss.min.js";
import { end, errors, heard, hex, tagText, video, warnings } from "./common.js";

const player = MediaPlayer().create();
player.updateSettings({ debug: { logLevel: 0 } });
const said = ({ error }) => (typeof error === "string" ? error : `${error?.code} ${error?.message}`);
player.on(MediaPlayer.events.ERROR, (event) => errors.push(`dash.js ${said(event)}`));
player.on(MediaPlayer.events.PLAYBACK_ENDED, end);
player.on(MediaPlayer.events.PLAYBACK_STALLED, () => warnings.push("stalled"));

window.player = {
  version: player.getVersion(),
  load: (url, { token } = {}) =>
    new Promise((resolve, reject) => {
      // A `serverURL` for ClearKey makes dash.js fail; it finds the licence in the manifest.
      if (token !== undefined) {
        player.registerLicenseRequestFilter((request) => {
          request.headers.authorization = `Bearer ${token}`;
          return Promise.resolve();
        });
      }
      player.on(MediaPlayer.events.STREAM_INITIALIZED, resolve);
      player.on(MediaPlayer.events.ERROR, (event) => reject(new Error(said(event))));
      player.initialize(video, url, false);
      player.attachTTMLRenderingDiv(document.querySelector("#text"));
    }),
  renditions: () =>
    player
      .getRepresentationsByType("video")
      .map(({ id, width, height, bandwidth }) => ({ id, width, height, bitrate: bandwidth }))
      .sort((a, b) => a.bitrate - b.bitrate),
  // The manifest says whether it is; a page may let the player catch up.
  lowLatency: () => player.updateSettings({ streaming: { liveCatchup: { enabled: true } } }),
  // Its own seek: what is sought past it, and is farther than `liveCatchup.maxDrift` from the edge, it takes for a player that lost its way.
  goBack: (time) => player.seekToPresentationTime(time),
  live: () => player.seekToOriginalLive(),
  latency: () => (player.isDynamic() ? player.getCurrentLiveLatency() : null),
  select: (id) => {
    player.updateSettings({ streaming: { abr: { autoSwitchBitrate: { video: false } } } });
    player.setRepresentationForTypeById("video", id, /* forceReplace= */ true);
  },
  listen: () => {
    const received = { mode: MediaPlayer.events.EVENT_MODE_ON_RECEIVE };
    const on = (scheme, note) => player.on(scheme, ({ event }) => note(event), null, received);
    on("https://aomedia.org/emsg/ID3", ({ messageData, calculatedPresentationTime }) => {
      heard.push({ tag: tagText(messageData), time: calculatedPresentationTime });
    });
    // Of a signal dash.js gives the section.
    on("urn:scte:scte35:2014:xml+bin", ({ messageData, calculatedPresentationTime, duration }) => {
      heard.push({ splice: hex(messageData), time: calculatedPresentationTime, duration });
    });
  },
  texts: () => player.getTracksFor("text").map(({ lang, labels }) => ({ language: lang, name: labels?.[0]?.text })),
  showText: (language) => {
    player.setTextTrack(player.getTracksFor("text").findIndex(({ lang }) => lang === language));
  },
};
