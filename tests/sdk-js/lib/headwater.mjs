// The account under test, as a script that knows only `@azure/arm-mediaservices` and `connection.json` sees it.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import { AzureMediaServices } from "@azure/arm-mediaservices";
import { noted } from "./called.mjs";

const VARIABLE = "HEADWATER_CONNECTION_TLS";

/**
 * Why the tests cannot run, for the `skip` of a suite; `false` if they can. In CI nothing is skipped: a run that tested
 * nothing would look like one in which all is well.
 */
export const skip = missing();

function missing() {
  if (process.env[VARIABLE]) return false;
  const sentence = `${VARIABLE} has to name the connection.json of a Headwater that was started with --tls`;
  if (["1", "true", "yes"].includes((process.env.CI ?? "").toLowerCase())) throw new Error(sentence);
  return sentence;
}

/** `connection.json`, and `tls`: what the Azure clients need to trust the certificate. */
export function connection() {
  const fields = JSON.parse(readFileSync(process.env[VARIABLE], "utf8"));
  return { ...fields, tls: { ca: readFileSync(fields.caFile, "utf8") } };
}

/** A credential that always gives the same token. */
export function staticToken(token) {
  return { getToken: async () => ({ token, expiresOnTimestamp: Date.now() + 3600_000 }) };
}

/**
 * The unmodified client. Trust is one of its documented options, so nothing has to be set before node starts. `options`: more of
 * them.
 */
export function clientOf(to, credential = staticToken(to.token), subscription = to.subscriptionId, options = {}) {
  const at = { endpoint: to.armUrl, tlsOptions: to.tls };
  return noted(new AzureMediaServices(credential, subscription, { ...at, ...options }));
}

/** The client, and `where`: the two arguments with which nearly every call begins. */
export function account() {
  const to = connection();
  return { to, client: clientOf(to), where: [to.resourceGroup, to.accountName] };
}

/** A name that no other run has used. */
export function unique(kind) {
  return `sdkjs-${kind}-${randomUUID().replaceAll("-", "").slice(0, 10)}`;
}

/** Makes an asset under a name of its own. */
export async function newAsset({ client, where }, kind = "asset", properties = {}) {
  const name = unique(kind);
  await client.assets.createOrUpdate(...where, name, properties);
  return name;
}

/** All items of a list, over all its pages. */
export async function all(list) {
  const items = [];
  for await (const item of list) items.push(item);
  return items;
}

export const names = (resources) => resources.map(({ name }) => name);

/** Calls `send` with an `onResponse` for the options of an operation. Answers its result and all statuses. */
export async function statuses(send) {
  const seen = [];
  const result = await send({ onResponse: ({ status, headers }) => seen.push({ status, headers }) });
  return { result, seen, codes: seen.map(({ status }) => status) };
}

const CODES = {
  400: "BadRequest",
  401: "AuthenticationFailed",
  404: "NotFound",
  409: "ResourceExists",
};

/**
 * The call fails as AMS lets it fail: a RestError with status, code and a sentence.
 *
 * `field`: the member or parameter at fault, with which the message begins and which `target` names; `says`: what the
 * message has to say besides; `code`: where it is not the usual one of the status.
 */
export async function refused(call, status, { field, says, code = CODES[status] } = {}) {
  const error = await call.then(
    (answer) => assert.fail(`expected ${status}, but it succeeded: ${JSON.stringify(answer)}`),
    (thrown) => thrown,
  );
  assert.equal(error.name, "RestError", error.stack);
  assert.equal(error.statusCode, status, error.message);
  assert.equal(error.code, code, error.message);
  const body = error.response.parsedBody.error;
  assert.equal(body.code, code);
  assert.equal(body.message, error.message);
  assert.match(error.message, /\S+ \S+/, "the message is a sentence");
  assert.ok(error.response.headers.get("x-ms-request-id"), "the answer can be found in the log");
  if (field !== undefined) {
    assert.equal(body.target, field, error.message);
    assert.ok(error.message.startsWith(`${field}: `), error.message);
  }
  if (says !== undefined) assert.match(error.message, says);
  return error;
}

/** A request as it is, over TLS. Answers status, headers and text. */
function sent(to, url, options, body) {
  return new Promise((resolve, reject) => {
    // Storage may be elsewhere, and come by http.
    const { request } = new URL(url).protocol === "http:" ? http : https;
    const asked = request(url, { ca: to.tls.ca, ...options }, (answer) => {
      const chunks = [];
      answer.on("data", (chunk) => chunks.push(chunk));
      answer.on("end", () => {
        const text = Buffer.concat(chunks).toString();
        resolve({ status: answer.statusCode, headers: answer.headers, text });
      });
      answer.on("error", reject);
    });
    asked.on("error", reject);
    asked.end(body);
  });
}

/** A request to storage, with a signed URL as its only credential. Answers status and text. */
export async function storage(to, method, container, { blob = "", query = "", headers = {}, body } = {}) {
  const url = new URL(container);
  if (blob) url.pathname += `/${blob}`;
  if (query) url.search += `&${query}`;
  const options = { method, headers: { "x-ms-version": "2021-12-02", ...headers } };
  const { status, text } = await sent(to, url, options, body);
  return { status, text };
}

/** A request to the API without the client. `path`: from the root on; `token`: the owner's if none is given. */
export function api(to, method, path, { token = to.token, body } = {}) {
  const headers = { authorization: `Bearer ${token}` };
  if (body !== undefined) headers["content-type"] = "application/json";
  const text = body === undefined ? undefined : JSON.stringify(body);
  return sent(to, new URL(path, to.apiUrl), { method, headers }, text);
}

/**
 * The id of the operation that an answer of `statuses` names in these headers, the same in all of them. Each of the URLs has
 * the version of the API, and the answer says when to ask.
 */
export function operationOf({ headers }, ...named) {
  const among = named.length > 0 ? named : ["azure-asyncoperation", "location"];
  const ids = among.map((header) => {
    const url = headers.get(header);
    assert.match(url ?? "", /[?&]api-version=/, header);
    return url.split("?")[0].split("/").at(-1);
  });
  assert.equal(new Set(ids).size, 1, ids.join());
  assert.match(headers.get("retry-after"), /^\d+$/);
  return ids[0];
}

/** Puts a small file into an asset, through a signed URL. */
export async function upload({ to, client, where }, asset, blob, body) {
  const { assetContainerSasUrls } = await client.assets.listContainerSas(...where, asset, {
    permissions: "ReadWrite",
    expiryTime: new Date(Date.now() + 3600_000),
  });
  const headers = { "x-ms-blob-type": "BlockBlob", "content-length": Buffer.byteLength(body) };
  const { status, text } = await storage(to, "PUT", assetContainerSasUrls[0], { blob, headers, body });
  assert.equal(status, 201, text);
}

/** An id that nothing has. */
export const UNKNOWN = "00000000-0000-0000-0000-000000000001";

export const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
