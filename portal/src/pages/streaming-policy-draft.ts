/** What a person fills in for a streaming policy, and the policy that it says. */

import type { Schemas } from "../api/client";
import { Failure } from "../api/failure";

export type Kind = "noEncryption" | "envelopeEncryption" | "clearKeyCenc" | "drmCenc" | "drmCbcs" | "drmBoth" | "json";
export type System = "widevine" | "playReady" | "fairPlay";

type Properties = Schemas["StreamingPolicyPropertiesWrite"];

export interface PolicyDraft {
  kind: Kind;
  hls: boolean;
  dash: boolean;
  download: boolean;
  smooth: boolean;
  /** The key policy of locators that name none. */
  keys: string;
  /** Where keys are (AES-128, ClearKey); empty for here, like `licences`. */
  server: string;
  licences: Record<System, string>;
  /** How often keys of what is live change, ISO 8601; empty for never. */
  rotation: string;
  /** FairPlay's players may keep what they got. */
  persistent: boolean;
  /** The whole of it, for `json`. */
  json: string;
}

export const NEW_POLICY: PolicyDraft = {
  kind: "noEncryption",
  hls: true,
  dash: true,
  download: false,
  smooth: false,
  keys: "",
  server: "",
  licences: { widevine: "", playReady: "", fairPlay: "" },
  rotation: "",
  persistent: false,
  json: "",
};

const SYSTEMS: Partial<Record<Kind, System[]>> = {
  drmCenc: ["widevine", "playReady"],
  drmCbcs: ["fairPlay"],
  drmBoth: ["widevine", "playReady", "fairPlay"],
};

/** The key systems whose licences players ask for. */
export function systemsOf(kind: Kind): System[] {
  return SYSTEMS[kind] ?? [];
}

/** The policy that is filled in; throws a `Failure` for what is no JSON. */
export function policyOf(draft: PolicyDraft): Properties {
  if (draft.kind === "json") {
    try {
      return JSON.parse(draft.json) as Properties;
    } catch (thrown) {
      throw new Failure("invalid", `This is not JSON: ${thrown instanceof Error ? thrown.message : ""}`, "properties");
    }
  }
  const { kind, hls, dash, smooth } = draft;
  const clear = kind === "noEncryption";
  const protocols = (smoothStreaming: boolean) => ({ hls, dash, download: clear && draft.download, smoothStreaming });
  // Smooth Streaming has no CBC.
  const [enabledProtocols, chained] = [protocols(smooth), protocols(false)];
  const contentKeys = { defaultKey: { label: "key" } };
  const licence = (system: System) => {
    const url = draft.licences[system].trim();
    return url === "" ? {} : { customLicenseAcquisitionUrlTemplate: url };
  };
  const server = draft.server.trim();
  const rotation = draft.rotation === "" ? {} : { keyRotationInterval: draft.rotation };
  const cenc = { enabledProtocols, contentKeys, ...rotation, drm: { widevine: licence("widevine"), playReady: licence("playReady") } };
  const cbcs = {
    enabledProtocols: chained,
    // Together with CENC each has a key of its own.
    contentKeys: { defaultKey: { label: kind === "drmBoth" ? "keyCbcs" : "key" } },
    ...rotation,
    drm: { fairPlay: { allowPersistentLicense: draft.persistent, ...licence("fairPlay") } },
  };
  const ways: Record<Exclude<Kind, "json">, Properties> = {
    noEncryption: { noEncryption: { enabledProtocols } },
    envelopeEncryption: {
      envelopeEncryption: { enabledProtocols, contentKeys, ...rotation, ...(server === "" ? {} : { customKeyAcquisitionUrlTemplate: server }) },
    },
    clearKeyCenc: {
      commonEncryptionCenc: {
        enabledProtocols,
        contentKeys,
        ...rotation,
        clearKeyEncryptionConfiguration: server === "" ? {} : { customKeysAcquisitionUrlTemplate: server },
      },
    },
    drmCenc: { commonEncryptionCenc: cenc },
    drmCbcs: { commonEncryptionCbcs: cbcs },
    drmBoth: { commonEncryptionCenc: cenc, commonEncryptionCbcs: cbcs },
  };
  return { ...ways[kind], ...(!clear && draft.keys !== "" ? { defaultContentKeyPolicyName: draft.keys } : {}) };
}
