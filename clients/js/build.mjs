// Makes dist, and fetches the compiler first where it isn't there: so `npm pack` works in a fresh clone.
import { execFileSync, execSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));
const compiler = fileURLToPath(new URL("node_modules/typescript/bin/tsc", import.meta.url));
// What is printed to stdout is npm's: `npm pack` names its file there.
const stdio = ["ignore", 2, 2];
if (!existsSync(compiler)) execSync("npm ci --ignore-scripts --no-audit --no-fund", { cwd: here, stdio });
execFileSync(process.execPath, [compiler, "-p", "tsconfig.build.json"], { cwd: here, stdio });
