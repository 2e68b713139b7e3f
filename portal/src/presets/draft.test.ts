import { describe, expect, it } from "vitest";
import { asJson, draftOf, newLayer, newOutput, newPicture, place, presetOf, streams, type OutputDraft, type Preset } from "./draft";

const PATH = "outputs[0].preset";

function output(preset: unknown) {
  return { preset: preset as Preset, onError: "ContinueJob" as const, relativePriority: "High" as const };
}

describe("the preset that a form says", () => {
  it("has what was filled in, in the API's units, and nothing of what was left empty", () => {
    const draft = newOutput({
      kind: "Standard",
      video: "H264",
      rate: "CRF",
      videoKeyFrames: "2",
      layers: [newLayer({ width: "1280", height: "720", bitrate: "3000.5", crf: "23" }), newLayer({ label: "SD", height: "50%", bitrate: "600" })],
      audio: "DD",
      audioBitrate: "192",
      channels: "6",
      pictures: [newPicture({ take: "sheet", step: "2", width: "160", columns: "4", label: "sheet" }), newPicture({ format: "Png", take: "one", start: "5" })],
    });
    expect(presetOf(draft, PATH)).toEqual({
      "@odata.type": "#Microsoft.Media.StandardEncoderPreset",
      codecs: [
        {
          "@odata.type": "#Microsoft.Media.H264Video",
          keyFrameInterval: "PT2S",
          rateControlMode: "CRF",
          layers: [
            { width: "1280", height: "720", bitrate: 3_000_500, crf: 23 },
            { label: "SD", height: "50%", bitrate: 600_000 },
          ],
        },
        { "@odata.type": "#Microsoft.Media.DDAudio", bitrate: 192_000, channels: 6 },
        {
          "@odata.type": "#Microsoft.Media.JpgImage",
          start: "PT0S",
          step: "PT2S",
          range: "100%",
          label: "sheet",
          spriteColumn: 4,
          layers: [{ width: "160" }],
        },
        { "@odata.type": "#Microsoft.Media.PngImage", start: "PT5S", range: "1" },
      ],
      formats: [
        { "@odata.type": "#Microsoft.Media.Mp4Format", filenamePattern: "{Basename}_{Codec}_{Bitrate}{Extension}" },
        { "@odata.type": "#Microsoft.Media.JpgFormat", filenamePattern: "{Basename}_{Label}{Index}{Extension}" },
        { "@odata.type": "#Microsoft.Media.PngFormat", filenamePattern: "{Basename}_{Label}{Index}{Extension}" },
      ],
    });
  });

  it("writes limits only for presets that take them, and constant quality only where it is the mode", () => {
    expect(presetOf(newOutput({ maxHeight: "720" }), PATH)).toMatchObject({ configurations: { maxHeight: 720 } });
    expect(presetOf(newOutput({ builtIn: "H264SingleBitrate720p", maxHeight: "720" }), PATH)).not.toHaveProperty("configurations");
    const layers = [newLayer({ bitrate: "100", crf: "20" })];
    expect(JSON.stringify(presetOf(newOutput({ kind: "Standard", layers }), PATH))).not.toContain("crf");
  });

  it("is read back into the same form", () => {
    const drafts: Partial<OutputDraft>[] = [
      { builtIn: "H265AdaptiveStreaming", maxBitrate: "4000", complexity: "Speed" },
      { kind: "Copy", copy: "CopyTopBitrateInterleaved" },
      { kind: "Thumbnails", base: "cover", pictures: [newPicture({ width: "320" }), newPicture({ take: "sheet", step: "2", columns: "5", start: "PT0S", range: "100%" })] },
      { kind: "Standard", video: "AV1", audio: "HeAacV1", audioBitrate: "64", stretch: "AutoFit" },
      { kind: "Standard", video: "None", audio: "Copy", container: "TransportStream", pattern: "{Basename}{Extension}" },
      { kind: "Standard", video: "None", audio: "None", pictures: [newPicture({ take: "many", start: "10%", step: "25%", range: "80%", format: "Png" })] },
    ];
    for (const part of drafts) {
      const preset = presetOf(newOutput(part), PATH);
      const read = draftOf(output(preset));
      expect(read.kind).toBe(part.kind ?? "BuiltIn");
      expect(presetOf(read, PATH)).toEqual(preset);
      expect(read).toMatchObject({ onError: "ContinueJob", priority: "High" });
    }
  });

  it("is JSON where no form says all of it, and the JSON is as it was", () => {
    const preset = {
      "@odata.type": "#Microsoft.Media.StandardEncoderPreset",
      filters: { rotation: "Rotate90" },
      codecs: [{ "@odata.type": "#Microsoft.Media.CopyAudio", label: "x" }],
      formats: [{ "@odata.type": "#Microsoft.Media.Mp4Format", filenamePattern: "x", outputFiles: [{ labels: ["x"] }] }],
    };
    const read = draftOf(output(preset));
    expect(read.kind).toBe("Json");
    expect(presetOf(read, PATH)).toEqual(preset);
    expect(presetOf(asJson(newOutput()), PATH)).toEqual(presetOf(newOutput(), PATH));
  });

  it("is refused at its field when it is no JSON", () => {
    for (const json of ["{", "[]", "null", "7"]) {
      expect(() => presetOf(newOutput({ kind: "Json", json }), PATH)).toThrow(expect.objectContaining({ kind: "invalid", field: PATH }));
    }
  });

  it("says whether there is something to stream", () => {
    const says = (part: Partial<OutputDraft>) => streams(presetOf(newOutput(part), PATH));
    expect(says({})).toBe(true);
    expect(says({ kind: "Standard", video: "None" })).toBe(true);
    expect(says({ kind: "Standard", video: "None", audio: "None", pictures: [newPicture()] })).toBe(false);
    expect(says({ kind: "Thumbnails", pictures: [newPicture()] })).toBe(false);
  });

  it("takes times as people write them", () => {
    expect(["12", " 1.5 ", "10%", "PT3S", "{Best}", ""].map(place)).toEqual(["PT12S", "PT1.5S", "10%", "PT3S", "{Best}", ""]);
  });
});
