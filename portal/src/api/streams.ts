/** What a locator can be played from: complete URLs for each protocol and encryption. */

import { ask, here } from "../app/session";
import { protocolOf } from "../player/players";
import type { Stream } from "../player/screen";
import type { Schemas } from "./client";

export interface Locations {
  streams: Stream[];
  /** URLs to copy, with what they are. */
  addresses: { label: string; url: string }[];
  /** A running endpoint serves them. */
  served: boolean;
}

const SCHEMES: Record<string, string> = {
  NoEncryption: "",
  EnvelopeEncryption: "AES-128",
  CommonEncryptionCenc: "CENC",
  CommonEncryptionCbcs: "CBCS",
};

const PROTOCOLS: Record<string, string> = { hls: "HLS", dash: "DASH", smoothstreaming: "Smooth Streaming" };

const SYSTEMS: Record<string, string> = {
  clearkey: "org.w3.clearkey",
  widevine: "com.widevine.alpha",
  playready: "com.microsoft.playready",
  fairplay: "com.apple.fps",
};

/** Scheme and host of the endpoint that serves, the running ones first. */
export function endpointOrigin(endpoints: Schemas["StreamingEndpoint"][]): { origin: string; running: boolean } {
  const running = endpoints.find(({ properties }) => properties.resourceState === "Running");
  const host = (running ?? endpoints[0])?.properties.hostName;
  // An endpoint names its host without scheme: what runs beside this page is reached as this page is.
  return { origin: host === undefined ? location.origin : `${location.protocol}//${host}`, running: running !== undefined };
}

export function locationsOf(origin: string, paths: Schemas["StreamingPaths"], running: boolean): Locations {
  const licences: Record<string, string> = {};
  for (const [name, { licenseAcquisitionUrl }] of Object.entries(paths.drm)) {
    const system = SYSTEMS[name.toLowerCase()];
    if (system !== undefined) licences[system] = licenseAcquisitionUrl;
  }
  const streams: Stream[] = [];
  const addresses: Locations["addresses"] = [];
  for (const { streamingProtocol, encryptionScheme, paths: list } of paths.streamingPaths) {
    const scheme = SCHEMES[encryptionScheme] ?? encryptionScheme;
    for (const path of list) {
      const url = origin + path;
      const format = path.match(/format=([a-z0-9-]+)/)?.[1] ?? "";
      const label = [PROTOCOLS[streamingProtocol.toLowerCase()] ?? streamingProtocol, format.includes("cmaf") || format === "" ? "" : "older players", scheme]
        .filter(Boolean)
        .join(" · ");
      addresses.push({ label, url });
      const protocol = protocolOf(url);
      if (protocol === null) continue;
      const encrypted = encryptionScheme !== "NoEncryption";
      // Keys of whole segments are where the playlist says.
      const licensed = encrypted && encryptionScheme !== "EnvelopeEncryption";
      streams.push({ url, protocol, label, encrypted, licences: licensed ? licences : {} });
    }
  }
  for (const path of paths.downloadPaths) {
    addresses.push({ label: `Download ${decodeURIComponent(path.split("/").at(-1) ?? path)}`, url: origin + path });
  }
  return { streams, addresses, served: running };
}

export async function readLocations(locator: string): Promise<Locations> {
  const [paths, endpoints] = await Promise.all([
    ask((to) =>
      to.POST("/api/v1/projects/{project}/media/streamingLocators/{locator}/listPaths", { params: { path: here({ locator }) } }),
    ),
    ask((to) => to.GET("/api/v1/projects/{project}/media/streamingEndpoints", { params: { path: here({}) } })),
  ]);
  const { origin, running } = endpointOrigin(endpoints.value);
  return locationsOf(origin, paths, running);
}
