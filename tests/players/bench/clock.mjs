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
      // Nothing to find out about raw pictures: half a second of them would be read for it before the sound is begun, and
      // every later picture would wait as long for the sound beside it.
      ...["-v", "error", "-probesize", "32", "-analyzeduration", "0"],
      ...["-f", "rawvideo", "-pix_fmt", "yuv420p", "-video_size", `${WIDTH}x${HEIGHT}`],
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

/** What 32 blocks of luma say, `bright(row, column)`: the time they were made; null if they are not a clock's. */
function timeOf(bright) {
  let bits = 0;
  for (let at = 0; at < COLUMNS * ROWS; at++) bits = bits * 2 + (bright(Math.floor(at / COLUMNS), at % COLUMNS) ? 1 : 0);
  const time = Math.floor(bits / 16);
  return sum(time) === bits % 16 ? time : null;
}

/**
 * Reads the clock off a fragmented MP4 that is written to it piece by piece: `{ write, delays, close }`. `delays`: how old every
 * picture was when it could be decoded, in milliseconds.
 */
export function readClock() {
  const [width, height] = [COLUMNS * 8, ROWS * 8];
  const decoder = spawn(
    "ffmpeg",
    [
      ...["-v", "error", "-threads", "1", "-probesize", "32", "-fflags", "nobuffer", "-flags", "low_delay", "-i", "pipe:0"],
      ...["-vf", `scale=${width}:${height}:flags=neighbor`, "-vsync", "passthrough", "-pix_fmt", "gray", "-f", "rawvideo", "pipe:1"],
    ],
    { stdio: ["pipe", "pipe", "inherit"] },
  );
  decoder.stdin.on("error", () => {});
  const delays = [];
  let held = Buffer.alloc(0);
  decoder.stdout.on("data", (data) => {
    const now = Date.now();
    held = Buffer.concat([held, data]);
    for (; held.length >= width * height; held = held.subarray(width * height)) {
      const picture = held;
      const time = timeOf((row, column) => picture[(row * 8 + 4) * width + column * 8 + 4] > 128);
      if (time !== null) delays.push((now - time + 2 ** TIME_BITS) % 2 ** TIME_BITS);
    }
  });
  return { write: (bytes) => decoder.stdin.write(bytes), delays, close: () => decoder.kill("SIGKILL") };
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
