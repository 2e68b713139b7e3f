import Hls from "/node_modules/hls.js/dist/hls.mjs";
import { errors, heard, tagText, video, warnings } from "./common.js";

// Made when it is known which keys it is to get: hls.js looks at that once.
let hls;
// Low latency is asked for: by default hls.js takes it wherever it is offered.
let lowLatencyMode = false;
let listening = false;

function create({ licence, token }) {
  const keyUrls = new Set();
  const authorize = (request) => {
    if (token !== undefined) request.setRequestHeader("authorization", `Bearer ${token}`);
  };
  const made = new Hls({
    workerPath: "/node_modules/hls.js/dist/hls.worker.js",
    lowLatencyMode,
    // It begins a segment behind where it wants to be, and by itself does nothing about that.
    ...(lowLatencyMode ? { maxLiveSyncPlaybackRate: 1.1 } : {}),
    xhrSetup: (request, url) => {
      if (keyUrls.has(url)) authorize(request);
    },
    licenseXhrSetup: authorize,
    ...(licence === undefined ? {} : { emeEnabled: true, drmSystems: { "org.w3.clearkey": { licenseUrl: licence } } }),
  });
  made.on(Hls.Events.KEY_LOADING, (_event, { frag }) => keyUrls.add(frag.decryptdata?.uri));
  made.on(Hls.Events.ERROR, (_event, data) => {
    const text = `${data.type} ${data.details} ${data.response?.code ?? ""} ${data.error?.message ?? ""}`;
    // A busy machine stalls now and then, and a forced switch aborts what is being loaded; everything else is the
    // stream's fault.
    // So does what a transport stream's demuxer was fed of an aborted segment: it says that it found nothing, and goes on.
    const cutOff = data.details === "fragParsingError" && data.error?.message?.includes("Found no media");
    // Live sound that begins before the first picture is appended where nothing can be shown yet: hls.js says so once, and goes on.
    const early = data.details === "bufferAppendNoProgress" && data.parent === "audio";
    // It counts a transport stream's time from the first DTS, so reordered pictures begin a frame or two after 0, and where the
    // decoder is slow to start it steps there before the browser does.
    const toFirst = data.details === "bufferSeekOverHole" && /seeking from 0 to 0\.[012]\d*$/.test(data.error?.message ?? "");
    const expected = cutOff || early || toFirst || ["bufferStalledError", "bufferNudgeOnStall", "aborted"].includes(data.details);
    (expected && !data.fatal ? warnings : errors).push(text);
  });
  return made;
}

function listenTo(made) {
  const known = new Set();
  made.on(Hls.Events.FRAG_PARSING_METADATA, (_event, { samples }) => {
    for (const { data, pts } of samples) {
      const tag = tagText(data);
      if (tag !== undefined) heard.push({ tag, time: pts });
    }
  });
  made.on(Hls.Events.LEVEL_UPDATED, (_event, { details }) => {
    for (const range of Object.values(details.dateRanges)) {
      const splice = range.attr["SCTE35-OUT"];
      if (splice === undefined || known.has(range.id)) continue;
      known.add(range.id);
      heard.push({ splice: splice.toLowerCase().replace("0x", ""), time: range.startTime, duration: range.duration ?? range.plannedDuration });
    }
  });
}

window.player = {
  version: Hls.version,
  load: (url, keys = {}) =>
    new Promise((resolve, reject) => {
      hls = create(keys);
      if (listening) listenTo(hls);
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
    lowLatencyMode = true;
  },
  latency: () => hls.latency,
  goBack: (time) => void (video.currentTime = time),
  live: () => void (video.currentTime = hls.liveSyncPosition),
  listen: () => {
    listening = true;
  },
  texts: () => hls.subtitleTracks.map(({ lang, name }) => ({ language: lang, name })),
  showText: (language) => {
    hls.subtitleTrack = hls.subtitleTracks.findIndex(({ lang }) => lang === language);
    hls.subtitleDisplay = true;
  },
};
