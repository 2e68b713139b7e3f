import { describe, expect, it } from "vitest";
import { Failure } from "../api/failure";
import { draftOf, hasUntold, newOption, optionOf, type Option } from "./key-policy-draft";

const token = (more: object) =>
  ({ "@odata.type": "#Microsoft.Media.ContentKeyPolicyTokenRestriction", restrictionTokenType: "Jwt", issuer: "us", audience: "them", ...more }) as Option["restriction"];
const symmetric = (keyValue: string | null) => ({ primaryVerificationKey: { "@odata.type": "#Microsoft.Media.ContentKeyPolicySymmetricTokenKey", keyValue } });
const clearKey = (restriction: Option["restriction"]): Option => ({
  policyOptionId: "1",
  name: "one",
  configuration: { "@odata.type": "#Microsoft.Media.ContentKeyPolicyClearKeyConfiguration" },
  restriction,
});
const fairPlay = (secret: string | null): Option =>
  ({
    policyOptionId: "2",
    configuration: {
      "@odata.type": "#Microsoft.Media.ContentKeyPolicyFairPlayConfiguration",
      ask: secret,
      fairPlayPfx: secret,
      fairPlayPfxPassword: secret,
      rentalAndLeaseKeyType: "PersistentLimited",
      rentalDuration: 3600,
      offlineRentalConfiguration: { playbackDurationSeconds: 1, storageDurationSeconds: 2 },
    },
    restriction: { "@odata.type": "#Microsoft.Media.ContentKeyPolicyOpenRestriction" },
  }) as unknown as Option;

describe("an option of a key policy in a form", () => {
  it("keeps the secret that nobody typed anew", () => {
    const shown = clearKey(token(symmetric(null)));
    const full = clearKey(token(symmetric("c2VjcmV0")));
    expect(hasUntold(shown)).toBe(true);
    expect(hasUntold(full)).toBe(false);
    const { policyOptionId: _id, ...written } = full;
    expect(optionOf(draftOf(shown), full, "options[0]")).toEqual(written);
    const changed = optionOf({ ...draftOf(shown), issuer: "others", claim: "key" }, full, "options[0]");
    expect(changed.restriction).toEqual(
      token({ ...symmetric("c2VjcmV0"), issuer: "others", requiredClaims: [{ claimType: "urn:microsoft:azure:mediaservices:contentkeyidentifier" }] }),
    );
  });

  it("takes another secret, or none where a provider has the keys", () => {
    const full = clearKey(token(symmetric("c2VjcmV0")));
    const draft = draftOf(clearKey(token(symmetric(null))));
    expect(optionOf({ ...draft, key: "b3RoZXI=" }, full, "options[0]").restriction).toEqual(token(symmetric("b3RoZXI=")));
    expect(optionOf({ ...draft, verify: "openid", discovery: "https://example.com" }, full, "options[0]").restriction).toEqual(
      token({ openIdConnectDiscoveryDocument: "https://example.com" }),
    );
    expect(optionOf({ ...draft, who: "open" }, full, "options[0]").restriction).toEqual({ "@odata.type": "#Microsoft.Media.ContentKeyPolicyOpenRestriction" });
  });

  it("leaves what a program has put there and no form can say", () => {
    const more = { ...symmetric(null), alternateVerificationKeys: [symmetric(null).primaryVerificationKey], requiredClaims: [{ claimType: "a", claimValue: "b" }] };
    const shown = clearKey(token(more));
    expect(draftOf(shown)).toMatchObject({ verify: "others", claim: "typed", claims: "a=b" });
    const changed = optionOf({ ...draftOf(shown), audience: "all" }, shown, "options[0]");
    expect(changed.restriction).toEqual(token({ ...more, audience: "all" }));
  });

  it("asks tokens for claims, a line each", () => {
    const full = clearKey(token({ ...symmetric("c2VjcmV0"), requiredClaims: [{ claimType: "a", claimValue: "b" }, { claimType: "c" }] }));
    const draft = draftOf(full);
    expect(draft.claims).toBe("a=b\nc");
    const changed = optionOf({ ...draft, claims: "a = b=d\n\n e" }, full, "options[0]");
    expect(changed.restriction).toEqual(token({ ...symmetric("c2VjcmV0"), requiredClaims: [{ claimType: "a", claimValue: "b=d" }, { claimType: "e" }] }));
    expect(optionOf({ ...draft, claim: "" }, full, "options[0]").restriction).toEqual(token(symmetric("c2VjcmV0")));
  });

  it("takes public keys, the first of them first, and says where there is none", () => {
    const certificate = (body: string) => `-----BEGIN CERTIFICATE-----\n${body}\n-----END CERTIFICATE-----\n`;
    const x509 = (rawBody: string) => ({ "@odata.type": "#Microsoft.Media.ContentKeyPolicyX509CertificateTokenKey", rawBody });
    const full = clearKey(token(symmetric("c2VjcmV0")));
    const draft = { ...draftOf(full), verify: "public" as const, pem: certificate("AAAA") + certificate("BBBB") };
    const changed = optionOf(draft, full, "options[0]");
    expect(changed.restriction).toEqual(token({ primaryVerificationKey: x509("AAAA"), alternateVerificationKeys: [x509("BBBB")] }));
    try {
      optionOf({ ...draft, pem: "none" }, full, "options[0]");
      expect.unreachable();
    } catch (thrown) {
      expect((thrown as Failure).field).toBe("options[0].restriction.primaryVerificationKey");
    }
  });

  it("gives PlayReady's answers data, and takes it back", () => {
    const made = { ...optionOf({ ...newOption("PlayReady", "a2V5", "us"), who: "open", customData: "ours" }, null, "options[0]"), policyOptionId: "3" } as unknown as Option;
    expect(made.configuration).toMatchObject({ responseCustomData: "ours" });
    const draft = draftOf(made);
    expect(draft.customData).toBe("ours");
    expect(optionOf({ ...draft, name: "other" }, made, "options[0]").configuration).toEqual(made.configuration);
    expect("responseCustomData" in optionOf({ ...draft, customData: "" }, made, "options[0]").configuration).toBe(false);
  });

  it("says both limits of what FairPlay keeps, and leaves them where nobody touched them", () => {
    const draft = draftOf(fairPlay(null));
    expect([draft.playback, draft.storage]).toEqual(["1", "2"]);
    const dual = optionOf({ ...draft, rental: "DualExpiry", storage: "86400" }, fairPlay("x"), "options[0]");
    expect(dual.configuration).toMatchObject({ rentalAndLeaseKeyType: "DualExpiry", offlineRentalConfiguration: { playbackDurationSeconds: 1, storageDurationSeconds: 86400 } });
    const made = optionOf({ ...newOption("FairPlay", "", "us"), who: "open" }, null, "options[0]");
    expect("offlineRentalConfiguration" in made.configuration).toBe(false);
  });

  it("changes FairPlay's terms without its certificate", () => {
    const changed = optionOf({ ...draftOf(fairPlay(null)), rentalDuration: "60" }, fairPlay("x"), "options[0]");
    expect(changed.configuration).toEqual({ ...fairPlay("x").configuration, rentalDuration: 60 });
    expect("name" in changed).toBe(false);
  });

  it("of a new one has what was typed, and says where JSON is none", () => {
    const made = optionOf({ ...newOption("PlayReady", "a2V5", "us") }, null, "options[1]");
    expect(made).toMatchObject({ name: "PlayReady", restriction: { issuer: "us", audience: "viewers", ...symmetric("a2V5") } });
    try {
      optionOf({ ...newOption("PlayReady", "a2V5", "us"), licence: "{" }, null, "options[1]");
      expect.unreachable();
    } catch (thrown) {
      expect((thrown as Failure).field).toBe("options[1].configuration.licenses");
    }
  });
});
