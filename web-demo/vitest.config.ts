import { defineConfig } from "vitest/config";

/** Two kinds of tests: of pure parts, and of the page in a real browser, served by the real server. */
export default defineConfig({
  test: {
    projects: [
      { test: { name: "units", include: ["tests/units/**/*.test.ts"], environment: "node" } },
      {
        test: {
          name: "browser",
          include: ["tests/browser/**/*.test.ts"],
          environment: "node",
          globalSetup: "tests/browser/server.ts",
          // One browser at a time: two cores are what the tests may count on.
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
