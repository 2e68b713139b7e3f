// For work on the portal: serves portal/dist, with the policy that functions/portal sends, in front of a Headwater that
// is running already. `HEADWATER_CONNECTION=... node lib/front.mjs` prints the address for PORTAL_URL.

import { createServer, request as ask } from "node:http";
import { readFileSync } from "node:fs";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const dist = join(root, "portal/dist");
const { apiUrl } = JSON.parse(readFileSync(process.env.HEADWATER_CONNECTION, "utf8"));
const behind = new URL(apiUrl);
const site = readFileSync(join(root, "functions/portal/src/site.rs"), "utf8");
const policy = site.match(/CONTENT_SECURITY_POLICY: &str = "([^"]*)"/)[1].replace(/\\\n\s*/g, "");
const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };

function fileOf(path) {
  if (path === "/") return "index.html";
  if (path === "/api/docs") return "api-docs.html";
  if (path === "/assets-ui/signed-in") return "signed-in.html";
  return path.startsWith("/assets-ui/") ? normalize(path.slice("/assets-ui".length)) : null;
}

/** The policy of a page: that of the sign-in names the authorities that the Headwater behind was started with. */
async function policyOf(file) {
  if (file !== "signed-in.html") return policy;
  return (await fetch(new URL("/assets-ui/signed-in", apiUrl))).headers.get("content-security-policy");
}

const server = createServer(async (request, response) => {
  const { pathname } = new URL(request.url, apiUrl);
  const file = fileOf(pathname);
  if (file !== null) {
    try {
      const bytes = gzipSync(readFileSync(join(dist, file)));
      const type = TYPES[extname(file)] ?? "application/octet-stream";
      response.writeHead(200, { "content-type": type, "content-encoding": "gzip", "content-length": bytes.length, "content-security-policy": await policyOf(file) });
      response.end(bytes);
    } catch {
      response.writeHead(404).end();
    }
    return;
  }
  if (request.method === "GET" && pathname.endsWith("/media/published")) {
    // Its addresses are those of the Headwater behind; what is in front of it is one origin with it.
    const answer = await fetch(new URL(request.url, apiUrl), { headers: request.headers.authorization ? { authorization: request.headers.authorization } : {} });
    const here = `http://127.0.0.1:${server.address().port}`;
    response.writeHead(answer.status, { "content-type": answer.headers.get("content-type") });
    response.end((await answer.text()).replaceAll(behind.origin, here));
    return;
  }
  const { hostname, port } = behind;
  const onward = ask({ hostname, port, path: request.url, method: request.method, headers: { ...request.headers, host: behind.host } }, (answer) => {
    response.writeHead(answer.statusCode, answer.headers);
    answer.pipe(response);
  });
  onward.on("error", () => response.destroy());
  request.pipe(onward);
});
server.listen(Number(process.env.PORT ?? 0), "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}`));
