/** dash.js. */

import { MediaPlayer, type MediaInfo } from "dashjs";
import { qualityLabel, release, trackLabel, type Offer, type Playback, type Source } from "./players";

export function playDash(video: HTMLVideoElement, source: Source, onError: (sentence: string) => void): Playback {
  const player = MediaPlayer().create();
  // Captions begin off, as in the other players.
  player.updateSettings({ debug: { logLevel: 0 }, streaming: { text: { defaultEnabled: false } } });
  player.on(MediaPlayer.events.ERROR, (event: unknown) => {
    const { error } = event as { error?: { code?: number; message?: string } | string };
    const words = typeof error === "string" ? error : `${error?.message ?? "no reason given"} (${error?.code ?? "?"})`;
    onError(`dash.js stopped: ${words}`);
  });
  player.initialize(video, undefined, false);
  const { token } = source;
  if (token !== null) {
    player.registerLicenseRequestFilter((request) => {
      request.headers = { ...request.headers, authorization: `Bearer ${token}` };
      return Promise.resolve();
    });
  }
  // A server for ClearKey makes dash.js 5 fail; it finds that one in the manifest.
  const servers = Object.entries(source.licences).filter(([system]) => system !== "org.w3.clearkey");
  if (servers.length > 0) {
    player.setProtectionData(Object.fromEntries(servers.map(([system, serverURL]) => [system, { serverURL }])));
  }
  player.attachSource(source.url);

  const offer = (tracks: MediaInfo[], current: MediaInfo | null): Offer => ({
    options: tracks.map(({ lang, labels }, index) => ({
      id: String(index),
      label: trackLabel(labels?.[0]?.text, lang, index),
    })),
    chosen: String(tracks.findIndex(({ index }) => index === current?.index)),
  });
  let texting = false;
  let adaptive = true;
  const ready = () => player.isReady() && player.getActiveStream() !== null;
  return {
    look: () => {
      if (!ready()) {
        const none = { options: [], chosen: "" };
        return { qualities: none, showing: "", sounds: none, texts: none, latencySeconds: null };
      }
      const representations = player.getRepresentationsByType("video");
      const shown = player.getCurrentRepresentationForType("video");
      const texts = offer(player.getTracksFor("text"), player.getCurrentTrackFor("text"));
      return {
        qualities: {
          options: representations.map(({ id, width, height, bandwidth }) => ({ id, label: qualityLabel(width, height, bandwidth) })),
          chosen: adaptive || shown === null ? "auto" : shown.id,
        },
        showing: shown === null ? "" : qualityLabel(shown.width, shown.height, shown.bandwidth),
        sounds: offer(player.getTracksFor("audio"), player.getCurrentTrackFor("audio")),
        texts: { options: texts.options, chosen: texting ? texts.chosen : "off" },
        latencySeconds: player.isDynamic() ? player.getCurrentLiveLatency() : null,
      };
    },
    quality: (id) => {
      adaptive = id === "auto";
      player.updateSettings({ streaming: { abr: { autoSwitchBitrate: { video: adaptive } } } });
      if (!adaptive) player.setRepresentationForTypeById("video", id);
    },
    sound: (id) => {
      const track = player.getTracksFor("audio")[Number(id)];
      if (track !== undefined) player.setCurrentTrack(track);
    },
    text: (id) => {
      texting = id !== "off";
      player.enableText(texting);
      if (texting) player.setTextTrack(Number(id));
    },
    clock: () => (ready() && player.isDynamic() ? player.timeAsUTC() * 1000 : null),
    async stop() {
      player.destroy();
      release(video);
    },
  };
}
