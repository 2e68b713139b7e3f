// An OpenID provider that we did not write, on this machine: `oidc-provider`, with the pages it has for developers. Who
// signs in as `owner` has the role that means something to Headwater, whoever else has none.

import { createServer } from "node:http";
import { Provider } from "oidc-provider";
import { AUDIENCE, CLIENT } from "./issuers.mjs";

/** Starts it; `close` ends it. `lifeSeconds`: of its access tokens. */
export async function authority(port, portalUrl, lifeSeconds = 3600) {
  const issued = [];
  const provider = new Provider(`http://127.0.0.1:${port}`, {
    clients: [
      {
        client_id: CLIENT,
        token_endpoint_auth_method: "none",
        grant_types: ["authorization_code", "refresh_token"],
        redirect_uris: [`${portalUrl}/assets-ui/signed-in`],
        post_logout_redirect_uris: [`${portalUrl}/`],
      },
    ],
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    clientBasedCORS: (_, origin) => origin === new URL(portalUrl).origin,
    cookies: { keys: ["of the tests"] },
    ttl: { AccessToken: lifeSeconds, RefreshToken: 3600, IdToken: 3600, Session: 3600, Grant: 3600, Interaction: 600 },
    rotateRefreshToken: true,
    extraTokenClaims: (_, token) => ({ roles: token.accountId === "owner" ? ["boss"] : ["somebody"] }),
    features: {
      devInteractions: { enabled: true },
      revocation: { enabled: true },
      rpInitiatedLogout: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => AUDIENCE,
        useGrantedResource: () => true,
        getResourceServerInfo: () => ({
          scope: "",
          audience: AUDIENCE,
          accessTokenTTL: lifeSeconds,
          accessTokenFormat: "jwt",
          jwt: { sign: { alg: "RS256" } },
        }),
      },
    },
  });
  provider.on("grant.success", (context) => issued.push(context.oidc.params.grant_type));
  const server = createServer(provider.callback());
  await new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
  return {
    /** The grant of each answer of the token endpoint. */
    issued,
    close: () =>
      new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      }),
  };
}

/** What a person does on its pages: a name, any password, and consent. */
export async function signInAs(page, name) {
  await page.locator("input[name=login]").fill(name);
  await page.locator("input[name=password]").fill("any");
  await page.getByRole("button", { name: "Sign-in" }).click();
  await page.getByRole("button", { name: "Continue" }).click();
}
