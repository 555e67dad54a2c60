import { defineConfig } from "vitest/config";

export default defineConfig({
  // The tests start servers and cut their connections; what bounds a run is the number of its steps.
  test: { include: ["test/**/*.test.ts"], testTimeout: 0, hookTimeout: 0, fileParallelism: false },
});
