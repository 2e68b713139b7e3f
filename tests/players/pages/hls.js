import Hls from "/node_modules/hls.js/dist/hls.mjs";
import { errors, video, warnings } from "./common.js";

// Low latency is asked for: by default hls.js takes it wherever it is offered.
const hls = new Hls({ workerPath: "/node_modules/hls.js/dist/hls.worker.js", lowLatencyMode: false });

hls.on(Hls.Events.ERROR, (_event, data) => {
  const text = `${data.type} ${data.details} ${data.response?.code ?? ""} ${data.error?.message ?? ""}`;
  // A busy machine stalls now and then, and a forced switch aborts what is being loaded; everything else is the
  // stream's fault.
  // So does what a transport stream's demuxer was fed of an aborted segment: it says that it found nothing, and goes on.
  const cutOff = data.details === "fragParsingError" && data.error?.message?.includes("Found no media");
  const expected = cutOff || ["bufferStalledError", "bufferNudgeOnStall", "aborted"].includes(data.details);
  (expected && !data.fatal ? warnings : errors).push(text);
});

window.player = {
  version: Hls.version,
  load: (url) =>
    new Promise((resolve, reject) => {
      hls.once(Hls.Events.MANIFEST_PARSED, resolve);
      hls.on(Hls.Events.ERROR, (_event, data) => data.fatal && reject(new Error(data.details)));
      hls.loadSource(url);
      hls.attachMedia(video);
    }),
  renditions: () =>
    hls.levels
      .map(({ width, height, bitrate }, id) => ({ id, width, height, bitrate }))
      .sort((a, b) => a.bitrate - b.bitrate),
  select: (id) => {
    hls.currentLevel = id;
  },
  lowLatency: () => {
    hls.config.lowLatencyMode = true;
  },
  latency: () => hls.latency,
};
