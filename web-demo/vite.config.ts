import { gzipSync, brotliCompressSync, constants } from "node:zlib";
import { defineConfig, type Plugin } from "vite";

/** Puts each file's compressed forms beside it: the server sends them as they are. */
function compressed(): Plugin {
  return {
    name: "compressed",
    apply: "build",
    generateBundle(_options, bundle) {
      for (const file of Object.values(bundle)) {
        const content = file.type === "chunk" ? file.code : file.source;
        const bytes = typeof content === "string" ? Buffer.from(content) : Buffer.from(content);
        if (bytes.length < 512) continue;
        const brotli = { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length } };
        this.emitFile({ type: "asset", fileName: `${file.fileName}.gz`, source: gzipSync(bytes, { level: 9 }) });
        this.emitFile({ type: "asset", fileName: `${file.fileName}.br`, source: brotliCompressSync(bytes, brotli) });
      }
    },
  };
}

export default defineConfig({
  base: "./",
  build: {
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  worker: { format: "es" },
  // With the dev server, the tab live is the console of this one.
  server: { proxy: { "/api": process.env["TAKHIN_URL"] ?? "http://localhost:8080" } },
  plugins: [compressed()],
});
