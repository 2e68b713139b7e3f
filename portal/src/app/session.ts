/** Who is signed in, where, and with which rights. One for the whole page. */

import { computed, signal } from "@preact/signals";
import { api, type Api, type Schemas } from "../api/client";
import { asFailure, Failure, failureOf } from "../api/failure";
import { forgetToken, keepToken, readToken, takeToken } from "../token";

const PROJECT_KEY = "headwater.project";

const taken = takeToken(location.href);
if (taken.token !== null) {
  keepToken(sessionStorage, taken.token);
  history.replaceState(null, "", taken.url);
}

export const token = signal<string | null>(readToken(sessionStorage));
/** The API refused the token while a page was open: the page stays, and the sign-in lies over it. */
export const expired = signal(false);
export const profile = signal<Schemas["Profile"] | null>(null);
export const projects = signal<Schemas["Project"][]>([]);
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

/** Calls the API: the body of a 2xx, or a thrown `Failure`. */
export async function ask<T>(call: (to: Api) => Promise<Answer<T>>): Promise<T> {
  let answer;
  try {
    answer = await call(client.peek());
  } catch (thrown) {
    throw thrown instanceof DOMException && thrown.name === "AbortError" ? thrown : asFailure(thrown);
  }
  if (answer.response.ok) return answer.data as T;
  const failure = failureOf(answer.response, answer.error);
  if (failure.kind === "signed-out" && token.peek() !== null) expired.value = true;
  throw failure;
}

/** Path parameters of something in the project that is shown. */
export function here<P extends object>(parameters: P): P & { project: string } {
  return { ...parameters, project: project.peek() };
}

/** Takes the token if the API does; throws the `Failure` otherwise, and keeps what was there. */
export async function signIn(wanted: string): Promise<void> {
  const to = api(wanted, patient);
  const who = await to.GET("/api/v1/user/profile").catch((thrown: unknown) => {
    throw asFailure(thrown);
  });
  if (who.data === undefined) throw failureOf(who.response, who.error);
  keepToken(sessionStorage, wanted);
  token.value = wanted;
  profile.value = who.data;
  expired.value = false;
  await readSurroundings();
}

/** Reads who the kept token belongs to and what it reaches. */
export async function resume(): Promise<void> {
  if (token.peek() === null) return;
  profile.value = await ask((to) => to.GET("/api/v1/user/profile"));
  await readSurroundings();
}

async function readSurroundings(): Promise<void> {
  const [list, may] = await Promise.all([
    ask((to) => to.GET("/api/v1/projects")),
    ask((to) => to.GET("/api/v1/user/rbac")),
  ]);
  projects.value = list.items;
  rights.value = may;
  const names = list.items.map(({ metadata }) => metadata.name);
  const first = names[0];
  if (first !== undefined && !names.includes(project.peek())) choose(first);
}

/** Forgets the token, and with a new page everything that was typed or shown: whoever signs in next may be another. */
export function signOut(): void {
  forgetToken(sessionStorage);
  sessionStorage.removeItem(PROJECT_KEY);
  location.replace("/");
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

export { Failure };
