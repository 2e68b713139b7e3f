// The test files given, or all of them, and after all of them the look back in `called.mjs`.

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FOLDER } from "./lib/called.mjs";

const files = process.argv.slice(2);
const folder = mkdtempSync(join(tmpdir(), "headwater-called-"));

function tests(...of) {
  const options = { env: { ...process.env, [FOLDER]: folder }, stdio: "inherit" };
  const { status, error } = spawnSync(process.execPath, ["--test", "--test-reporter=tap", ...of], options);
  if (error) throw error;
  return status ?? 1;
}

try {
  const statuses = [tests(...files)];
  if (files.length === 0) statuses.push(tests("called.mjs"));
  process.exitCode = Math.max(...statuses);
} finally {
  rmSync(folder, { recursive: true });
}
