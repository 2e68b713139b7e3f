/** Who is signed in, where, and with which rights. One for the whole page. */

import { computed, signal } from "@preact/signals";
import { api, type Api, type Schemas } from "../api/client";
import { asFailure, Failure, failureOf } from "../api/failure";
import { forgetSigned, keepPasted, keepSigned, readSigned, type Signed } from "../signin/kept";
import { forgetAll } from "../upload/kept";
import { renew, renewIn } from "../signin/renewal";
import { readToken, takeToken } from "../token";

const PROJECT_KEY = "headwater.project";

const taken = takeToken(location.href);
if (taken.token !== null) {
  keepPasted(sessionStorage, taken.token);
  history.replaceState(null, "", taken.url);
}

export const token = signal<string | null>(readToken(sessionStorage));
/** The authority at which the person signed in, and what renews the token; null with a token that was pasted. */
const elsewhere = signal(readSigned(sessionStorage));
/** The API refused the token while a page was open: the page stays, and the sign-in lies over it. */
export const expired = signal(false);
export const profile = signal<Schemas["Profile"] | null>(null);

/** As much of a project as every page needs. */
export interface Known {
  metadata: Pick<Schemas["Project"]["metadata"], "id" | "name">;
  spec: Pick<Schemas["Project"]["spec"], "displayName">;
}

export const projects = signal<Known[]>([]);
export const rights = signal<Schemas["Rights"] | null>(null);
/** The name of the project whose things are shown. */
export const project = signal(sessionStorage.getItem(PROJECT_KEY) ?? "default");

const client = computed<Api>(() => api(token.value, patient));

/** No request hangs for ever: an answer that has not begun after this is none. */
const PATIENCE_MS = 45_000;

function patient(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
  const request = input as Request;
  return fetch(request, { ...init, signal: AbortSignal.any([request.signal, AbortSignal.timeout(PATIENCE_MS)]) });
}

interface Answer<T> {
  data?: T | undefined;
  error?: unknown;
  response: Response;
}

/** Calls the API: the body of a 2xx, or a thrown `Failure`. A token that has ended is renewed, where that can be. */
export async function ask<T>(call: (to: Api) => Promise<Answer<T>>): Promise<T> {
  const before = token.peek();
  let answer = await once(call);
  if (answer.response.status === 401 && before !== null && (await renewed(before))) answer = await once(call);
  if (answer.response.ok) return answer.data as T;
  const failure = failureOf(answer.response, answer.error);
  if (failure.kind === "signed-out" && token.peek() !== null) expired.value = true;
  throw failure;
}

async function once<T>(call: (to: Api) => Promise<Answer<T>>): Promise<Answer<T>> {
  try {
    return await call(client.peek());
  } catch (thrown) {
    throw thrown instanceof DOMException && thrown.name === "AbortError" ? thrown : asFailure(thrown);
  }
}

/** Whether there is another token than `before` now. */
async function renewed(before: string): Promise<boolean> {
  const kept = elsewhere.peek();
  if (token.peek() === before && kept !== null && kept.refreshToken !== null) {
    await renew(kept).then(take, () => undefined);
  }
  return token.peek() !== null && token.peek() !== before;
}

function take(signed: Signed): void {
  keepSigned(sessionStorage, signed);
  const { token: taken, ...rest } = signed;
  elsewhere.value = rest;
  token.value = taken;
  expired.value = false;
  schedule();
}

/** How long after a renewal that failed the next is tried, while the token is good still. */
const AGAIN_MS = 30_000;
let timer: number | undefined;

function schedule(): void {
  window.clearTimeout(timer);
  const kept = elsewhere.peek();
  const wait = kept === null ? null : renewIn(kept, Date.now());
  if (wait !== null) timer = window.setTimeout(() => void tick(), wait);
}

async function tick(): Promise<void> {
  const before = token.peek();
  if (before === null || (await renewed(before))) return;
  const end = elsewhere.peek()?.expiresAt ?? 0;
  // Whoever asks for something with a token that has ended tries once more, and is asked to sign in.
  if (Date.now() + AGAIN_MS < end) timer = window.setTimeout(() => void tick(), AGAIN_MS);
}

schedule();

/** Path parameters of something in the project that is shown. */
export function here<P extends object>(parameters: P): P & { project: string } {
  return { ...parameters, project: project.peek() };
}

/** Takes the token if the API does; throws the `Failure` otherwise, and keeps what was there. */
export async function signIn(wanted: string): Promise<void> {
  profile.value = await whoHas(wanted);
  keepPasted(sessionStorage, wanted);
  elsewhere.value = null;
  window.clearTimeout(timer);
  token.value = wanted;
  expired.value = false;
  await readSurroundings();
}

/** The same with what another authority gave. */
export async function takeSigned(signed: Signed): Promise<void> {
  profile.value = await whoHas(signed.token);
  take(signed);
  await readSurroundings();
}

async function whoHas(wanted: string): Promise<Schemas["Profile"]> {
  const who = await api(wanted, patient)
    .GET("/api/v1/user/profile")
    .catch((thrown: unknown) => {
      throw asFailure(thrown);
    });
  if (who.data === undefined) throw failureOf(who.response, who.error);
  return who.data;
}

/** Reads who the kept token belongs to and what it reaches. */
export async function resume(): Promise<void> {
  if (token.peek() === null) return;
  profile.value = await ask((to) => to.GET("/api/v1/user/profile"));
  await readSurroundings();
}

/** Reads again which projects there are: after one was made or renamed. */
export async function rereadProjects(): Promise<void> {
  await readSurroundings();
}

/** The one project of a token that may not ask which there are; none where it is held to no single one. */
function onlyOne(may: Schemas["Rights"]): Known[] {
  const name = profile.peek()?.status.project ?? null;
  const [id, ...others] = Object.keys(may["core.project"]);
  return name === null || id === undefined || others.length > 0 ? [] : [{ metadata: { id, name }, spec: { displayName: name } }];
}

async function readSurroundings(): Promise<void> {
  const [list, may] = await Promise.all([
    ask((to) => to.GET("/api/v1/projects")).catch((thrown: unknown) => {
      // Who is in no team may not even ask which there are: there is a profile to be seen all the same, with invitations.
      if (thrown instanceof Failure && thrown.kind === "forbidden") return null;
      throw thrown;
    }),
    ask((to) => to.GET("/api/v1/user/rbac")),
  ]);
  const reached: Known[] = list?.items ?? onlyOne(may);
  projects.value = reached;
  rights.value = may;
  const names = reached.map(({ metadata }) => metadata.name);
  const first = names[0];
  if (first !== undefined && !names.includes(project.peek())) choose(first);
}

/** Another authority that does not answer keeps nobody signed in here. */
const FAREWELL_MS = 5_000;

/**
 * Forgets the token, and with a new page everything that was typed or shown: whoever signs in next may be another. Where
 * the sign-in was another authority's it is ended there, too.
 */
export function signOut(): void {
  const kept = elsewhere.peek();
  window.clearTimeout(timer);
  forgetSigned(sessionStorage);
  forgetAll();
  sessionStorage.removeItem(PROJECT_KEY);
  if (kept === null) {
    location.replace("/");
    return;
  }
  const there = import("../signin/flow").then(({ end }) => end(kept.provider, kept.refreshToken));
  const here = new Promise<string>((resolve) => window.setTimeout(() => resolve("/"), FAREWELL_MS));
  void Promise.race([there, here])
    .catch(() => "/")
    .then((next) => location.replace(next));
}

export function choose(name: string): void {
  sessionStorage.setItem(PROJECT_KEY, name);
  project.value = name;
}

/**
 * Whether the token may do `verb` to things of `kind` (`Asset`, `LiveEvent`, ...) here; yes while that is not known, for
 * the API decides in the end.
 */
export function may(kind: string, verb: "read" | "write" | "delete" | "act" | "reveal"): boolean {
  const known = rights.value;
  if (known === null) return true;
  const id = projects.value.find(({ metadata }) => metadata.name === project.value)?.metadata.id;
  const scopes = [
    ...(id === undefined ? [] : [known["core.project"][id]]),
    ...Object.values(known["core.organization"]),
  ];
  return scopes.some((scope) => scope?.[kind]?.includes(verb));
}

/** Why the token may not do it, to be said where it is switched off; false where it may. */
export function barred(kind: string, verb: "read" | "write" | "delete" | "act" | "reveal"): string | false {
  return may(kind, verb) ? false : `Your role does not have the right “${kind}: ${verb}”. An owner can give it to you.`;
}

export { Failure };
