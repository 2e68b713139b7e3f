// A way to Headwater that fails: a proxy on this machine which loses requests, or their answers. The client insists on
// HTTPS, so it has the certificate of the installation, which is one for this machine.

import { readFileSync } from "node:fs";
import { createServer, request } from "node:https";
import { dirname, join } from "node:path";

const WRITES = ["PUT", "PATCH", "POST", "DELETE"];
const HOP_BY_HOP = ["connection", "keep-alive", "transfer-encoding", "content-length", "date"];

const without = (headers) =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => !HOP_BY_HOP.includes(name)));

async function bodyOf(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function passOn(to, { method, url, headers }, body) {
  return new Promise((resolve, reject) => {
    const options = { method, headers: without(headers), ca: to.tls.ca };
    if (body.length > 0) options.headers["content-length"] = body.length;
    const sent = request(new URL(url, to.armUrl), options, async (answer) => {
      resolve({ status: answer.statusCode, headers: without(answer.headers), body: await bodyOf(answer) });
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

/**
 * Starts one. Each write fails by `fault` before it succeeds; the same method, path and body are the same write, and what
 * only reads is passed on. A fault has `status` (undefined: the connection ends without an answer), `after` (whether
 * Headwater has done it by then), `times` (how often, 1 if not given) and `retryAfter` in seconds.
 *
 * Answers `url`; `done`: method, path and status of the writes that reached Headwater; and `close`.
 */
export async function unreliable(to, fault) {
  const attempts = new Map();
  const done = [];
  const tls = join(dirname(process.env.HEADWATER_CONNECTION_TLS), "tls");
  const [key, cert] = ["key.pem", "cert.pem"].map((file) => readFileSync(join(tls, file)));

  function fails(method, path, body) {
    if (!WRITES.includes(method)) return false;
    const write = `${method} ${path} ${body}`;
    attempts.set(write, (attempts.get(write) ?? 0) + 1);
    return attempts.get(write) <= (fault.times ?? 1);
  }

  async function answer(asked, reply) {
    const body = await bodyOf(asked);
    const path = asked.url.split("?")[0];
    const failing = fails(asked.method, path, body);
    let passed;
    if (!failing || fault.after) {
      passed = await passOn(to, asked, body);
      if (WRITES.includes(asked.method)) done.push({ method: asked.method, path, status: passed.status });
    }
    if (!failing) return reply.writeHead(passed.status, passed.headers).end(passed.body);
    if (fault.status === undefined) return asked.socket.destroy();
    const headers = { "content-type": "text/html" };
    if (fault.retryAfter !== undefined) {
      headers["retry-after"] = String(fault.retryAfter);
      // Which clients believe sooner: hundreds of whole seconds would be waited for.
      headers["retry-after-ms"] = "50";
    }
    return reply.writeHead(fault.status, headers).end("<h1>The gateway is at fault</h1>");
  }

  const server = createServer({ key, cert }, (asked, reply) => {
    answer(asked, reply).catch((error) => reply.destroy(error));
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  return {
    url: `https://127.0.0.1:${server.address().port}`,
    done,
    async close() {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
}
