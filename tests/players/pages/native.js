import { video } from "./common.js";

// The browser's own HLS: nothing here can put a header on a request.
window.player = {
  version: navigator.userAgent,
  load: (url) =>
    new Promise((resolve, reject) => {
      video.addEventListener("canplay", resolve, { once: true });
      video.addEventListener("error", () => reject(new Error(video.error?.message)), { once: true });
      video.src = url;
    }),
};
