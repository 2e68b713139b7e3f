// What the three pages share: the video element's side of the story.
//
// A page sets `window.player` to an object with
//   load(url)        resolves when playback can begin
//   renditions()     [{ id, width, height, bitrate }], one per video rendition, lowest first
//   select(id)       plays that rendition and no other from now on
// and pushes what its player complains of to `errors`.

const video = document.querySelector("video");
export const errors = [];
export const warnings = [];

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

/** Stops and goes to `time`; resolves to the media time of the picture that is then on screen. */
window.shownAt = async (time) => {
  video.pause();
  // Shaka Player goes to the start by itself until there is a picture.
  while (video.readyState < 2) await new Promise((resolve) => setTimeout(resolve, 50));
  // Pictures from before the seek may still be on their way to the screen: the last one counts.
  let shown = null;
  let watching = true;
  const note = (_now, { mediaTime }) => {
    shown = mediaTime;
    if (watching) video.requestVideoFrameCallback(note);
  };
  video.requestVideoFrameCallback(note);
  await window.seek(time);
  await new Promise((resolve) => setTimeout(resolve, 1000));
  watching = false;
  return shown;
};

export { video };
