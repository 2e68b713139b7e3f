// Pictures that say when they were made: the time of day in 4 by 8 blocks of black and white, most significant first.

import { spawn } from "node:child_process";

const [WIDTH, HEIGHT, RATE] = [640, 360, 25];
const [COLUMNS, ROWS] = [8, 4];
const [BLACK, WHITE, GREY] = [32, 224, 128];
/** Bits of the time in milliseconds; the last four of the 32 blocks are the sum of the others' nibbles. */
const TIME_BITS = 28;

const sum = (time) => {
  let total = 0;
  for (let shift = 0; shift < TIME_BITS; shift += 4) total += (time >>> shift) & 15;
  return total & 15;
};

/** One picture in yuv420p that shows `time`, in milliseconds. */
function picture(time) {
  const shown = time % 2 ** TIME_BITS;
  const bits = shown * 16 + sum(shown);
  const bytes = Buffer.alloc((WIDTH * HEIGHT * 3) / 2, GREY);
  const [blockWidth, blockHeight] = [WIDTH / COLUMNS, HEIGHT / ROWS];
  for (let row = 0; row < ROWS; row++) {
    const line = Buffer.alloc(WIDTH);
    for (let column = 0; column < COLUMNS; column++) {
      const bit = Math.floor(bits / 2 ** (31 - (row * COLUMNS + column))) % 2;
      line.fill(bit === 1 ? WHITE : BLACK, column * blockWidth, (column + 1) * blockWidth);
    }
    for (let y = row * blockHeight; y < (row + 1) * blockHeight; y++) line.copy(bytes, y * WIDTH);
  }
  return bytes;
}

/** Encodes the clock with a tone and pushes it to `url`, a key frame every `groupS` seconds. Resolves to `stop()`. */
export function pushClock(url, groupS) {
  const encoder = spawn(
    "ffmpeg",
    [
      ...["-v", "error", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-video_size", `${WIDTH}x${HEIGHT}`],
      ...["-framerate", String(RATE), "-i", "pipe:0"],
      ...["-re", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000"],
      ...["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", String(RATE * groupS)],
      ...["-sc_threshold", "0", "-b:v", "1M", "-c:a", "aac", "-b:a", "96k", "-ac", "2"],
      ...["-flush_packets", "1", "-f", "flv", url],
    ],
    { stdio: ["pipe", "inherit", "inherit"] },
  );
  encoder.stdin.on("error", () => {});
  const begun = Date.now();
  let made = 0;
  const timer = setInterval(() => {
    // What a busy machine held up is made up for, so that the film does not fall behind the clock.
    while (made < ((Date.now() - begun) * RATE) / 1000) {
      encoder.stdin.write(picture(Date.now()));
      made += 1;
    }
  }, 5);
  return () => {
    clearInterval(timer);
    encoder.kill("SIGKILL");
  };
}

/** For a page: notes in `window.delays` how old every picture is when it is shown, in milliseconds. */
export function watchClock({ columns, rows, timeBits }) {
  const video = document.querySelector("video");
  const canvas = new OffscreenCanvas(columns * 8, rows * 8);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  window.delays = [];
  window.misread = 0;
  const read = () => {
    const now = Date.now();
    context.drawImage(video, 0, 0, canvas.width, canvas.height);
    const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
    let bits = 0;
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        const at = ((row * 8 + 4) * canvas.width + column * 8 + 4) * 4;
        bits = bits * 2 + (data[at] > 128 ? 1 : 0);
      }
    }
    const time = Math.floor(bits / 16);
    let total = 0;
    for (let shift = 0; shift < timeBits; shift += 4) total += Math.floor(time / 2 ** shift) & 15;
    if ((total & 15) === bits % 16) window.delays.push((now - time + 2 ** timeBits) % 2 ** timeBits);
    else window.misread += 1;
    video.requestVideoFrameCallback(read);
  };
  video.requestVideoFrameCallback(read);
}

/** What `watchClock` has to know. */
export const CLOCK = { columns: COLUMNS, rows: ROWS, timeBits: TIME_BITS };
