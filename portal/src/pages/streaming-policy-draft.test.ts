import { expect, test } from "vitest";
import { NEW_POLICY, policyOf, systemsOf } from "./streaming-policy-draft";

const plain = { hls: true, dash: true, download: false, smoothStreaming: false };

test("each kind is the policy that its fields say", () => {
  expect(policyOf({ ...NEW_POLICY, download: true, keys: "left over" })).toEqual({ noEncryption: { enabledProtocols: { ...plain, download: true } } });
  expect(policyOf({ ...NEW_POLICY, kind: "envelopeEncryption", download: true, server: " https://keys.example.com " })).toEqual({
    envelopeEncryption: {
      enabledProtocols: plain,
      contentKeys: { defaultKey: { label: "key" } },
      customKeyAcquisitionUrlTemplate: "https://keys.example.com",
    },
  });
  expect(policyOf({ ...NEW_POLICY, kind: "clearKeyCenc", keys: "some" })).toEqual({
    commonEncryptionCenc: { enabledProtocols: plain, contentKeys: { defaultKey: { label: "key" } }, clearKeyEncryptionConfiguration: {} },
    defaultContentKeyPolicyName: "some",
  });
});

test("both ways of DRM have keys and licence servers of their own, and Smooth Streaming only the one it knows", () => {
  const both = policyOf({ ...NEW_POLICY, kind: "drmBoth", smooth: true, persistent: true, licences: { widevine: "https://w", playReady: "", fairPlay: "skd://f" } });
  expect(both.commonEncryptionCenc).toEqual({
    enabledProtocols: { ...plain, smoothStreaming: true },
    contentKeys: { defaultKey: { label: "key" } },
    drm: { widevine: { customLicenseAcquisitionUrlTemplate: "https://w" }, playReady: {} },
  });
  expect(both.commonEncryptionCbcs).toEqual({
    enabledProtocols: plain,
    contentKeys: { defaultKey: { label: "keyCbcs" } },
    drm: { fairPlay: { allowPersistentLicense: true, customLicenseAcquisitionUrlTemplate: "skd://f" } },
  });
  expect(systemsOf("drmBoth")).toEqual(["widevine", "playReady", "fairPlay"]);
  expect(systemsOf("clearKeyCenc")).toEqual([]);
});

test("keys of what is live change in every way of encrypting", () => {
  const rotation = "PT10M";
  for (const kind of ["envelopeEncryption", "clearKeyCenc", "drmCenc", "drmCbcs", "drmBoth"] as const) {
    const { defaultContentKeyPolicyName: _, ...ways } = policyOf({ ...NEW_POLICY, kind, rotation });
    expect(Object.values(ways).map((way) => (way as { keyRotationInterval?: string }).keyRotationInterval)).toEqual(Object.keys(ways).map(() => rotation));
  }
  expect(policyOf({ ...NEW_POLICY, rotation })).toEqual({ noEncryption: { enabledProtocols: plain } });
});

test("JSON is taken as it is, and what is none is a complaint", () => {
  expect(policyOf({ ...NEW_POLICY, kind: "json", json: '{"noEncryption":{}}' })).toEqual({ noEncryption: {} });
  expect(() => policyOf({ ...NEW_POLICY, kind: "json", json: "{" })).toThrow("This is not JSON");
});
