import { defineConfig } from "vite";

// The pages live at `/`, everything they load at `/assets-ui/`: the origin's route `/:locator/...` takes what nothing
// more specific claims. `functions/portal` embeds `dist/`. `api-docs.html` is served as `/api/docs`,
// and `signed-in.html` as `/assets-ui/signed-in`.
export default defineConfig({
  base: "/assets-ui/",
  build: {
    target: "es2022",
    // Flat: every file but index.html has its content's hash in its name and may be cached for ever.
    assetsDir: ".",
    // Nothing inlined as data: URLs, so that the content security policy needs no exception.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rollupOptions: { input: ["index.html", "api-docs.html", "signed-in.html"] },
    // The players are big and loaded one at a time, when first used.
    chunkSizeWarningLimit: 1200,
  },
  server: {
    // `npm run dev` with `headwater up` running beside it.
    proxy: { "/api": process.env.HEADWATER_API ?? "http://127.0.0.1:8080" },
  },
});
