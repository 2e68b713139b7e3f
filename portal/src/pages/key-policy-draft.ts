/**
 * What a person fills in for an option of a content key policy, and the option that it says.
 *
 * The API takes the options of a policy together, with the secrets that it shows to nobody who does not ask for them. So what
 * nobody touched is taken from the option as it stands, secrets included, and forms hold only secrets that were typed.
 */

import type { Schemas } from "../api/client";
import { Failure } from "../api/failure";
import { publicKeys, type PublicKey } from "./public-keys";

export type Option = Schemas["ContentKeyPolicyOption"];
export type OptionWrite = Schemas["ContentKeyPolicyOptionWrite"];
type Configuration = OptionWrite["configuration"];
type Restriction = OptionWrite["restriction"];
type Token = Schemas["ContentKeyPolicyTokenRestrictionWrite"];

export type System = "ClearKey" | "Widevine" | "PlayReady" | "FairPlay";

export interface OptionDraft {
  /** The option that it changes; null for a new one. */
  id: string | null;
  name: string;
  system: System;
  /** Widevine's template or PlayReady's licences, as JSON. */
  licence: string;
  /** What PlayReady's answers carry for players. */
  customData: string;
  /** Secrets, like `pfx`, `password` and `key`: empty where those that are there stay. */
  ask: string;
  pfx: string;
  password: string;
  rental: string;
  rentalDuration: string;
  /** What is kept in FairPlay's `DualExpiry`, and how long it plays from the first play on, in seconds. */
  storage: string;
  playback: string;
  who: "token" | "open";
  issuer: string;
  audience: string;
  /** A token opens everything, the key that it names, or needs the `claims`. */
  claim: "" | "key" | "typed";
  /** `plan=gold` a line each; without a text, any will do. */
  claims: string;
  /** Verified by a shared secret, by public keys, by a provider's keys, or by those that are there already. */
  verify: "symmetric" | "public" | "openid" | "others";
  key: string;
  /** Public keys as PEM, one after the other. */
  pem: string;
  discovery: string;
}

export const KEY_ID = "urn:microsoft:azure:mediaservices:contentkeyidentifier";

const PERSISTENT_FREE_WIDEVINE = JSON.stringify({
  allowed_track_types: "SD_HD",
  content_key_specs: [{ track_type: "SD", security_level: 1, required_output_protection: { hdcp: "HDCP_NONE" } }],
  policy_overrides: { can_play: true, can_persist: false, can_renew: false },
});

const PERSISTENT_FREE_PLAYREADY: Schemas["ContentKeyPolicyPlayReadyConfigurationWrite"]["licenses"] = [
  {
    allowTestDevices: false,
    licenseType: "NonPersistent",
    contentType: "Unspecified",
    contentKeyLocation: { "@odata.type": "#Microsoft.Media.ContentKeyPolicyPlayReadyContentEncryptionKeyFromHeader" },
    playRight: {
      digitalVideoOnlyContentRestriction: false,
      imageConstraintForAnalogComponentVideoRestriction: false,
      imageConstraintForAnalogComputerMonitorRestriction: false,
      allowPassingVideoContentToUnknownOutput: "Allowed",
    },
  },
];

/** 32 random bytes, base64. */
export function freshKey(): string {
  return btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(32))));
}

/** What players of that system may do unless somebody says otherwise: play, and keep nothing. */
export function usualLicence(system: System): string {
  if (system === "Widevine") return PERSISTENT_FREE_WIDEVINE;
  return system === "PlayReady" ? JSON.stringify(PERSISTENT_FREE_PLAYREADY, null, 2) : "";
}

export function newOption(system: System, key: string, issuer: string): OptionDraft {
  return {
    id: null,
    name: system,
    system,
    licence: usualLicence(system),
    customData: "",
    ask: "",
    pfx: "",
    password: "",
    rental: "Undefined",
    rentalDuration: "0",
    storage: "0",
    playback: "0",
    who: "token",
    issuer,
    audience: "viewers",
    claim: "",
    claims: "",
    verify: "symmetric",
    key,
    pem: "",
    discovery: "",
  };
}

export function systemOf({ configuration }: Pick<Option, "configuration">): System {
  return configuration["@odata.type"].replace("#Microsoft.Media.", "").replace(/^ContentKeyPolicy|Configuration$/g, "") as System;
}

function claimText(claims: { claimType: string; claimValue?: string | null }[]): string {
  return claims.map(({ claimType, claimValue }) => (claimValue == null ? claimType : `${claimType}=${claimValue}`)).join("\n");
}

function claimsOf(text: string): Schemas["ContentKeyPolicyTokenClaimWrite"][] {
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean)
    .map((line) => {
      const at = line.indexOf("=");
      return at < 1 ? { claimType: line } : { claimType: line.slice(0, at).trim(), claimValue: line.slice(at + 1).trim() };
    });
}

/** `option`: as it is shown, without secrets. */
export function draftOf(option: Option): OptionDraft {
  const system = systemOf(option);
  const configuration = option.configuration as Partial<Record<string, unknown>>;
  const offline = "offlineRentalConfiguration" in option.configuration ? option.configuration.offlineRentalConfiguration : undefined;
  const draft: OptionDraft = {
    ...newOption(system, "", ""),
    id: option.policyOptionId,
    name: option.name ?? "",
    licence: "widevineTemplate" in option.configuration ? option.configuration.widevineTemplate : "licenses" in option.configuration ? JSON.stringify(option.configuration.licenses, null, 2) : "",
    customData: String(configuration.responseCustomData ?? ""),
    rental: String(configuration.rentalAndLeaseKeyType ?? "Undefined"),
    rentalDuration: String(configuration.rentalDuration ?? 0),
    storage: String(offline?.storageDurationSeconds ?? 0),
    playback: String(offline?.playbackDurationSeconds ?? 0),
  };
  const { restriction } = option;
  if (!("issuer" in restriction)) return { ...draft, who: "open" };
  const claims = restriction.requiredClaims ?? [];
  const [only] = claims;
  const primary = restriction.primaryVerificationKey;
  const discovery = restriction.openIdConnectDiscoveryDocument ?? "";
  const several = (restriction.alternateVerificationKeys ?? []).length > 0 || (primary != null && discovery !== "");
  return {
    ...draft,
    issuer: restriction.issuer,
    audience: restriction.audience,
    claim: only === undefined ? "" : claims.length === 1 && only.claimType === KEY_ID && only.claimValue == null ? "key" : "typed",
    claims: claimText(claims),
    verify: several ? "others" : primary == null ? "openid" : "keyValue" in primary ? "symmetric" : "others",
    discovery,
  };
}

const SECRETS = ["keyValue", "ask", "fairPlayPfx", "fairPlayPfxPassword"];

/** Whether a secret in it is not told. */
export function hasUntold(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  return Object.entries(value).some(([name, member]) => (SECRETS.includes(name) && member === null) || hasUntold(member));
}

function json(text: string, field: string): unknown {
  try {
    return JSON.parse(text);
  } catch (thrown) {
    throw new Failure("invalid", `This is not JSON: ${thrown instanceof Error ? thrown.message : ""}`, field);
  }
}

function same(a: OptionDraft, b: OptionDraft | null, ...members: (keyof OptionDraft)[]): boolean {
  return b !== null && members.every((member) => a[member] === b[member]);
}

/**
 * `full`: the option as it stands, secrets included; null for a new one. `field`: its path, for complaints.
 *
 * Throws a `Failure` for what is no JSON.
 */
export function optionOf(draft: OptionDraft, full: Option | null, field: string): OptionWrite {
  const was = full === null ? null : draftOf(full);
  return {
    ...(draft.name === "" ? {} : { name: draft.name }),
    configuration: configurationOf(draft, was, full, `${field}.configuration`),
    restriction: restrictionOf(draft, was, full, `${field}.restriction`),
  };
}

function configurationOf(draft: OptionDraft, was: OptionDraft | null, full: Option | null, field: string): Configuration {
  const before = full === null ? {} : full.configuration;
  if (full !== null && same(draft, was, "system", "licence", "customData", "ask", "pfx", "password", "rental", "rentalDuration", "storage", "playback")) return full.configuration as Configuration;
  const type = `#Microsoft.Media.ContentKeyPolicy${draft.system}Configuration`;
  if (draft.system === "Widevine") return { ...before, "@odata.type": type, widevineTemplate: draft.licence } as Configuration;
  if (draft.system === "PlayReady") {
    const { responseCustomData: _before, ...kept } = before as { responseCustomData?: string };
    const custom = draft.customData === "" ? {} : { responseCustomData: draft.customData };
    return { ...kept, "@odata.type": type, licenses: json(draft.licence, `${field}.licenses`), ...custom } as Configuration;
  }
  if (draft.system === "ClearKey") return { "@odata.type": type } as Configuration;
  // A program may have said it for other terms, which are then left alone.
  const said = draft.rental === "DualExpiry" || !same(draft, was, "storage", "playback");
  const offline = { storageDurationSeconds: Number(draft.storage), playbackDurationSeconds: Number(draft.playback) };
  return {
    ...before,
    "@odata.type": type,
    ...(draft.ask === "" ? {} : { ask: draft.ask }),
    ...(draft.pfx === "" ? {} : { fairPlayPfx: draft.pfx.replace(/\s+/g, "") }),
    ...(draft.password === "" ? {} : { fairPlayPfxPassword: draft.password }),
    rentalAndLeaseKeyType: draft.rental,
    rentalDuration: Number(draft.rentalDuration),
    ...(said && (draft.rental === "DualExpiry" || was !== null) ? { offlineRentalConfiguration: offline } : {}),
  } as Configuration;
}

function keysOf(pem: string, field: string): PublicKey[] {
  try {
    return publicKeys(pem);
  } catch (thrown) {
    throw new Failure("invalid", thrown instanceof Error ? thrown.message : String(thrown), field);
  }
}

function restrictionOf(draft: OptionDraft, was: OptionDraft | null, full: Option | null, field: string): Restriction {
  if (full !== null && same(draft, was, "who", "issuer", "audience", "claim", "claims", "verify", "key", "pem", "discovery")) return full.restriction as Restriction;
  if (draft.who === "open") return { "@odata.type": "#Microsoft.Media.ContentKeyPolicyOpenRestriction" };
  const before: Partial<Token> = full !== null && "issuer" in full.restriction ? (full.restriction as Token) : {};
  const token: Token = {
    restrictionTokenType: "Jwt",
    ...before,
    "@odata.type": "#Microsoft.Media.ContentKeyPolicyTokenRestriction",
    issuer: draft.issuer,
    audience: draft.audience,
  };
  if (!same(draft, was, "claim", "claims")) {
    delete token.requiredClaims;
    if (draft.claim === "key") token.requiredClaims = [{ claimType: KEY_ID }];
    if (draft.claim === "typed") token.requiredClaims = claimsOf(draft.claims);
  }
  if (draft.verify === "symmetric") {
    delete token.openIdConnectDiscoveryDocument;
    if (draft.key !== "" || was?.verify !== "symmetric") {
      delete token.alternateVerificationKeys;
      token.primaryVerificationKey = { "@odata.type": "#Microsoft.Media.ContentKeyPolicySymmetricTokenKey", keyValue: draft.key };
    }
  } else if (draft.verify === "public") {
    const [primary, ...others] = keysOf(draft.pem, `${field}.primaryVerificationKey`);
    delete token.openIdConnectDiscoveryDocument;
    delete token.alternateVerificationKeys;
    token.primaryVerificationKey = primary ?? null;
    if (others.length > 0) token.alternateVerificationKeys = others;
  } else if (draft.verify === "openid") {
    delete token.primaryVerificationKey;
    delete token.alternateVerificationKeys;
    token.openIdConnectDiscoveryDocument = draft.discovery;
  }
  return token;
}
