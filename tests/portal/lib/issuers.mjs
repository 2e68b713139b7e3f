// The authorities that the tests sign in at, as `--oidc-config` takes them: `node lib/issuers.mjs PORT SILENT_PORT` prints the
// file. At the first port the tests run one; at the second nobody listens.

import { argv } from "node:process";
import { fileURLToPath } from "node:url";

export const AUDIENCE = "api://headwater";
export const CLIENT = "portal";

function issuer(port, name) {
  return {
    issuer: `http://127.0.0.1:${port}`,
    audience: AUDIENCE,
    roles: { boss: "owner" },
    portal: { clientId: CLIENT, name, parameters: { resource: AUDIENCE, prompt: "consent" } },
  };
}

if (argv[1] === fileURLToPath(import.meta.url)) {
  console.log(JSON.stringify([issuer(argv[2], "Test authority"), issuer(argv[3], "Silent authority")]));
}
