// What the three pages share: the video element's side of the story.
//
// A page sets `window.player` to an object with
//   load(url, keys)  resolves when playback can begin. `keys`: { licence, token }, where ClearKey licences are and what
//                    requests for keys and licences are to carry; either may be missing
//   renditions()     [{ id, width, height, bitrate }], one per video rendition, lowest first
//   select(id)       plays that rendition and no other from now on
//   texts()          [{ language, name }], one per text track; pages of players that are asked for it
//   showText(lang)   shows the text track of that language
//   goBack(time)     to what was broadcast then; pages of players that are asked for it, and so with live()
//   live()           to the edge, as its button does
//   latency()        how far behind the edge it is, in seconds
//   listen()         has the player tell of messages and cues from then on; pages that are asked for it
// and pushes what its player complains of to `errors`, and what it is told beside the pictures to `heard`.

const video = document.querySelector("video");
export const errors = [];
export const warnings = [];

/** `{ tag, time }` of an ID3 tag's text, `{ splice, time, duration }` of a break's section in hexadecimal; in seconds. */
export const heard = [];
window.heard = heard;

/** The text of a tag, whether frames around it are there or not. */
export const tagText = (data) => /tag \d+/.exec(new TextDecoder("latin1").decode(data))?.[0];
export const hex = (data) => Array.from(new Uint8Array(data), (byte) => byte.toString(16).padStart(2, "0")).join("");

video.addEventListener("error", () => errors.push(`media element: ${video.error?.code} ${video.error?.message}`));

// By the element's event or the player's own: dash.js may pause on the last frame and announce the end itself.
let ended = false;
export const end = () => (ended = true);
video.addEventListener("ended", end);
video.addEventListener("seeking", () => (ended = false));

window.state = () => {
  const quality = video.getVideoPlaybackQuality();
  return {
    time: video.currentTime,
    duration: video.duration,
    frames: quality.totalVideoFrames,
    dropped: quality.droppedVideoFrames,
    width: video.videoWidth,
    height: video.videoHeight,
    ended,
    paused: video.paused,
    readyState: video.readyState,
    buffered: Array.from({ length: video.buffered.length }, (_, at) => [video.buffered.start(at), video.buffered.end(at)]),
    audioBytes: video.webkitAudioDecodedByteCount,
    start: video.seekable.length > 0 ? video.seekable.start(0) : null,
    errors: [...errors],
    warnings: [...warnings],
  };
};

window.seek = (time) =>
  new Promise((resolve) => {
    video.addEventListener("seeked", () => resolve(video.currentTime), { once: true });
    video.currentTime = time;
  });

/** Cues that the element has of tracks that are on: `{ start, end, text }` in seconds, each once, in order. */
window.cues = () => {
  const found = new Map();
  for (const track of video.textTracks) {
    if (track.mode === "disabled") continue;
    for (const { startTime, endTime, text } of track.cues ?? []) {
      const cue = { start: startTime, end: endTime, text: text.replace(/<[^>]*>/g, "") };
      found.set(JSON.stringify(cue), cue);
    }
  }
  return [...found.values()].sort((a, b) => a.start - b.start);
};

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Resolves when the player has fetched what it wants for now.
 *
 * Shaka Player answers a seek during a fetch by emptying the buffer under a decoder that has begun to read it, and Chromium
 * then goes on at the next key frame: the picture on screen is a segment late, whatever the media is.
 */
const atRest = async () => {
  let end = -1;
  for (let since = performance.now(); performance.now() - since < 1000; await pause(50)) {
    const ranges = video.buffered;
    const now = ranges.length > 0 ? ranges.end(ranges.length - 1) : -1;
    const enough = now > Math.min(video.currentTime + 5, video.duration - 0.5);
    if (now !== end || !enough || video.readyState < 2 || video.seeking) since = performance.now();
    end = now;
  }
};

/** Stops and goes to `time`; resolves to the media time of the picture that is then on screen. */
window.shownAt = async (time) => {
  video.pause();
  await atRest();
  // Pictures from before the seek may still be on their way to the screen: the last one counts.
  let shown = null;
  let watching = true;
  const note = (_now, { mediaTime }) => {
    shown = mediaTime;
    if (watching) video.requestVideoFrameCallback(note);
  };
  video.requestVideoFrameCallback(note);
  await window.seek(time);
  await pause(1000);
  watching = false;
  return shown;
};

export { video };
