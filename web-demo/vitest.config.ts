import { defineConfig } from "vitest/config";

const inBrowser = {
  environment: "node" as const,
  globalSetup: "tests/browser/server.ts",
  // One browser at a time: two cores are what the tests may count on.
  fileParallelism: false,
  testTimeout: 120_000,
  hookTimeout: 120_000,
};

/**
 * Two kinds of tests: of pure parts, and of the page in a real browser, served by the real server. Two more are asked for by name:
 * the gallery takes pictures, and measure says how quick the page is.
 */
export default defineConfig({
  test: {
    projects: [
      { test: { name: "units", include: ["tests/units/**/*.test.ts"], environment: "node" } },
      { test: { ...inBrowser, name: "browser", include: ["tests/browser/**/*.test.ts"] } },
      { test: { ...inBrowser, name: "gallery", include: ["tests/gallery/**/*.test.ts"] } },
      { test: { ...inBrowser, name: "measure", include: ["tests/measure/**/*.test.ts"] } },
    ],
  },
});
