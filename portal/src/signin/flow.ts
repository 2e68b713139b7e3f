/**
 * The authorization code flow with PKCE (RFC 7636) of a public client, in the browser: OpenID Connect Core 1.0 section 3.1.
 *
 * `oauth4webapi` makes the requests and checks the answers: state, `iss`, nonce, and the claims of the ID token. This
 * module is loaded when somebody signs in, renews or signs out, and not before.
 */

import * as oauth from "oauth4webapi";
import type { Pending, Provider, Signed } from "./kept";

/** To which authorities send people back. It has to be registered there. */
export function redirectUri(): string {
  return `${location.origin}/assets-ui/signed-in`;
}

/** Clocks differ. */
const TOLERANCE_SECONDS = 30;
const PATIENCE_MS = 20_000;

function client({ clientId }: Provider): oauth.Client {
  return { client_id: clientId, [oauth.clockTolerance]: TOLERANCE_SECONDS };
}

/** For requests to it. Plain HTTP is for an authority on this machine, which the API has made sure of. */
function options(provider: Provider) {
  return {
    signal: AbortSignal.timeout(PATIENCE_MS),
    [oauth.allowInsecureRequests]: provider.issuer.startsWith("http:"),
  };
}

async function discover(provider: Provider): Promise<oauth.AuthorizationServer> {
  const response = await fetch(provider.discoveryUrl, {
    credentials: "omit",
    headers: { accept: "application/json" },
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
  return oauth.processDiscoveryResponse(new URL(provider.issuer), response);
}

/** Begins a sign-in: what is to be kept until the answer comes, and the address that asks for it. */
export async function begin(provider: Provider, place: string): Promise<{ pending: Pending; url: string }> {
  const server = await discover(provider);
  if (server.authorization_endpoint === undefined) throw new Error("it names no authorization endpoint");
  const pending: Pending = {
    provider,
    place,
    state: oauth.generateRandomState(),
    nonce: oauth.generateRandomNonce(),
    verifier: oauth.generateRandomCodeVerifier(),
  };
  const url = new URL(server.authorization_endpoint);
  const parameters = {
    ...provider.parameters,
    client_id: provider.clientId,
    response_type: "code",
    redirect_uri: redirectUri(),
    scope: provider.scopes,
    state: pending.state,
    nonce: pending.nonce,
    code_challenge: await oauth.calculatePKCECodeChallenge(pending.verifier),
    code_challenge_method: "S256",
  };
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  return { pending, url: url.href };
}

/** What the token endpoint is told besides. `prompt` and the like are for people. */
function additional({ parameters }: Provider): Record<string, string> {
  return Object.fromEntries(Object.entries(parameters).filter(([name]) => ["resource", "audience"].includes(name)));
}

/** Checks the answer and changes its code for tokens. `url`: as the authority sent the browser there. */
export async function finish(pending: Pending, url: URL): Promise<Signed> {
  const { provider } = pending;
  const server = await discover(provider);
  const us = client(provider);
  const answer = oauth.validateAuthResponse(server, us, url, pending.state);
  const response = await oauth.authorizationCodeGrantRequest(server, us, oauth.None(), answer, redirectUri(), pending.verifier, {
    ...options(provider),
    additionalParameters: additional(provider),
  });
  const tokens = await oauth.processAuthorizationCodeResponse(server, us, response, {
    expectedNonce: pending.nonce,
    requireIdToken: true,
  });
  return signed(provider, tokens, null);
}

/** Asks for new tokens. */
export async function refresh(provider: Provider, refreshToken: string): Promise<Signed> {
  const server = await discover(provider);
  const us = client(provider);
  const response = await oauth.refreshTokenGrantRequest(server, us, oauth.None(), refreshToken, {
    ...options(provider),
    additionalParameters: additional(provider),
  });
  return signed(provider, await oauth.processRefreshTokenResponse(server, us, response), refreshToken);
}

/** `before`: what renewed it, which an authority may let be used again. */
function signed(provider: Provider, tokens: oauth.TokenEndpointResponse, before: string | null): Signed {
  const refreshToken = tokens.refresh_token ?? before;
  const life = tokens.expires_in;
  if (provider.bearer === "accessToken") {
    const expiresAt = life === undefined ? null : Date.now() + life * 1000;
    return { provider, token: tokens.access_token, expiresAt, refreshToken };
  }
  const claims = oauth.getValidatedIdTokenClaims(tokens);
  if (tokens.id_token === undefined || claims === undefined) throw new Error("it gave no ID token");
  return { provider, token: tokens.id_token, expiresAt: claims.exp * 1000, refreshToken };
}

/**
 * Ends the sign-in at the authority, too: what renews it is good for nothing any more, and the answer is where the browser
 * goes next. No token is in that address; the authority asks the person itself.
 */
export async function end(provider: Provider, refreshToken: string | null): Promise<string> {
  const server = await discover(provider);
  if (refreshToken !== null && server.revocation_endpoint !== undefined) {
    const revoking = oauth.revocationRequest(server, client(provider), oauth.None(), refreshToken, options(provider));
    await revoking.then(oauth.processRevocationResponse).catch(() => undefined);
  }
  const home = `${location.origin}/`;
  if (server.end_session_endpoint === undefined) return home;
  const url = new URL(server.end_session_endpoint);
  url.searchParams.set("client_id", provider.clientId);
  url.searchParams.set("post_logout_redirect_uri", home);
  return url.href;
}
