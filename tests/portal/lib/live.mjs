// A live event that is recorded and published under one name, and an encoder for it.

import { spawn } from "node:child_process";
import { must } from "./media.mjs";

/** Makes the event, its output, asset and locator, all called `name`, and starts it. Resolves to its first ingest address. */
export async function startEvent(to, name, { segmentSeconds = 1, streamOptions = ["Default"] } = {}) {
  await must(to, "PUT", `/assets/${name}`, { properties: { containerDeletionPolicy: "Delete" } });
  await must(to, "PUT", `/liveEvents/${name}`, {
    location: "local",
    properties: {
      input: { streamingProtocol: "RTMP", keyFrameIntervalDuration: `PT${segmentSeconds}S` },
      encoding: { encodingType: "PassthroughStandard" },
      streamOptions,
    },
  });
  await must(to, "PUT", `/liveEvents/${name}/liveOutputs/${name}`, {
    properties: { assetName: name, manifestName: "show", archiveWindowLength: "PT1H" },
  });
  await must(to, "PUT", `/streamingLocators/${name}`, { properties: { assetName: name, streamingPolicyName: "Predefined_ClearStreamingOnly" } });
  await must(to, "POST", `/liveEvents/${name}/start`);
  for (;;) {
    const { properties } = await must(to, "GET", `/liveEvents/${name}`);
    if (properties.resourceState === "Running" && properties.input.endpoints.length > 0) return properties.input.endpoints[0].url;
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
}

/** Pictures and a tone to an ingest address, with a key frame every second, until the process is killed. */
export function encodeTo(ingest) {
  return spawn("ffmpeg", [
    ...["-v", "error", "-re", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000"],
    ...["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-pix_fmt", "yuv420p", "-g", "25", "-sc_threshold", "0"],
    ...["-b:v", "400k", "-c:a", "aac", "-f", "flv", `${ingest}/main`],
  ]);
}
