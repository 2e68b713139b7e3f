/**
 * What a person fills in for one output of a transform, and the preset that it says.
 *
 * Only what is typed is written: what is left empty is the API's to decide. Numbers stay text until then, so that a
 * half-typed one is not lost. Paths of fields are the API's own, so that its complaints find them.
 */

import type { Schemas } from "../api/client";
import { Failure } from "../api/failure";

export type Preset = Schemas["TransformOutput"]["preset"];
export type BuiltInName = Schemas["BuiltInStandardEncoderPreset"]["presetName"];
export type CopyName = Schemas["BuiltInAssetConverterPreset"]["presetName"];

export type Kind = "BuiltIn" | "Standard" | "Thumbnails" | "Copy" | "Json";

export interface LayerDraft {
  label: string;
  width: string;
  height: string;
  /** kbit/s, as all bit rates here. */
  bitrate: string;
  maxBitrate: string;
  frameRate: string;
  crf: string;
}

export interface PictureDraft {
  format: "Jpg" | "Png";
  /** `best`: one, chosen by the encoder. `one`: at a time. `many`: every so often. `sheet`: those on sheets, with an index. */
  take: "best" | "one" | "many" | "sheet";
  start: string;
  step: string;
  range: string;
  width: string;
  height: string;
  quality: string;
  columns: string;
  label: string;
}

export interface OutputDraft {
  kind: Kind;
  onError: "StopProcessingJob" | "ContinueJob";
  priority: "Low" | "Normal" | "High";
  builtIn: BuiltInName;
  complexity: string;
  interleave: string;
  keyFrames: string;
  minBitrate: string;
  maxBitrate: string;
  minHeight: string;
  maxHeight: string;
  maxLayers: string;
  copy: CopyName;
  video: "H264" | "H265" | "AV1" | "Copy" | "None";
  videoComplexity: string;
  videoKeyFrames: string;
  rate: string;
  stretch: string;
  layers: LayerDraft[];
  audio: "AacLc" | "HeAacV1" | "HeAacV2" | "DD" | "Copy" | "None";
  audioBitrate: string;
  channels: string;
  samplingRate: string;
  pictures: PictureDraft[];
  container: "Mp4" | "TransportStream";
  pattern: string;
  base: string;
  json: string;
}

export function newLayer(part: Partial<LayerDraft> = {}): LayerDraft {
  return { label: "", width: "", height: "", bitrate: "", maxBitrate: "", frameRate: "", crf: "", ...part };
}

export function newPicture(part: Partial<PictureDraft> = {}): PictureDraft {
  return {
    format: "Jpg",
    take: "best",
    start: "",
    step: "",
    range: "",
    width: "",
    height: "",
    quality: "",
    columns: "",
    label: "",
    ...part,
  };
}

export function newOutput(part: Partial<OutputDraft> = {}): OutputDraft {
  return {
    kind: "BuiltIn",
    onError: "StopProcessingJob",
    priority: "Normal",
    builtIn: "AdaptiveStreaming",
    complexity: "",
    interleave: "",
    keyFrames: "",
    minBitrate: "",
    maxBitrate: "",
    minHeight: "",
    maxHeight: "",
    maxLayers: "",
    copy: "CopyAllBitrateInterleaved",
    video: "H264",
    videoComplexity: "",
    videoKeyFrames: "",
    rate: "",
    stretch: "",
    layers: [newLayer({ width: "1280", height: "720", bitrate: "3000" }), newLayer({ width: "640", height: "360", bitrate: "800" })],
    audio: "AacLc",
    audioBitrate: "",
    channels: "",
    samplingRate: "",
    pictures: [],
    container: "Mp4",
    pattern: "",
    base: "",
    json: "",
    ...part,
  };
}

/** Presets that choose their layers themselves, and take limits for it. */
export function choosesLayers(name: BuiltInName): boolean {
  return name.includes("Adaptive") || name.includes("ContentAware");
}

/** What files are called when nothing is said: different for each track of a usual ladder. */
export const PATTERN = "{Basename}_{Codec}_{Bitrate}{Extension}";
const PICTURE_PATTERN = "{Basename}_{Label}{Index}{Extension}";

type Json = Record<string, unknown>;

/** Only the members that say something. */
function said(members: Json): Json {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== "" && value !== undefined));
}

function number(text: string): number | undefined {
  return text.trim() === "" ? undefined : Number(text);
}

/** kbit/s to bit/s. */
function bits(text: string): number | undefined {
  const kilobits = number(text);
  return kilobits === undefined ? undefined : Math.round(kilobits * 1000);
}

/** Seconds to `PT2S`. */
function span(text: string): string {
  return text.trim() === "" ? "" : `PT${text.trim()}S`;
}

const PLAIN_TIME = /^\d+(\.\d+)?$/;

/** `12` to `PT12S`; `10%`, `PT12S` and `{Best}` as they are. A bare number means frames to the API, and seconds to people. */
export function place(text: string): string {
  const typed = text.trim();
  return PLAIN_TIME.test(typed) ? `PT${typed}S` : typed;
}

function times(picture: PictureDraft): Json {
  switch (picture.take) {
    case "best":
      return { start: "{Best}" };
    case "one":
      return { start: place(picture.start) || "PT0S", range: "1" };
    case "many":
    case "sheet":
      return { start: place(picture.start) || "PT0S", step: place(picture.step) || "10%", range: place(picture.range) || "100%" };
  }
}

function sheet(picture: PictureDraft): Json {
  return picture.take === "sheet" ? { spriteColumn: number(picture.columns) ?? 5 } : {};
}

function thumbnail(picture: PictureDraft): Json {
  return said({
    format: picture.format === "Png" ? "Png" : "Jpeg",
    ...times(picture),
    width: picture.width,
    height: picture.height,
    quality: picture.format === "Png" ? undefined : number(picture.quality),
    label: picture.label,
    ...sheet(picture),
  });
}

function image(picture: PictureDraft): Json {
  const layer = said({
    width: picture.width,
    height: picture.height,
    quality: picture.format === "Png" ? undefined : number(picture.quality),
  });
  return said({
    "@odata.type": `#Microsoft.Media.${picture.format}Image`,
    ...times(picture),
    label: picture.label,
    ...sheet(picture),
    layers: Object.keys(layer).length === 0 ? undefined : [layer],
  });
}

function layer(draft: LayerDraft, quality: boolean): Json {
  return said({
    label: draft.label,
    width: draft.width,
    height: draft.height,
    bitrate: bits(draft.bitrate),
    maxBitrate: bits(draft.maxBitrate),
    frameRate: draft.frameRate,
    crf: quality ? number(draft.crf) : undefined,
  });
}

/** Which layers' quality is constant: only then is `crf` written. */
export function constantQuality({ video, rate }: OutputDraft): boolean {
  return video === "H264" && rate === "CRF";
}

function videoCodec(draft: OutputDraft): Json[] {
  if (draft.video === "None") return [];
  if (draft.video === "Copy") return [{ "@odata.type": "#Microsoft.Media.CopyVideo" }];
  return [
    said({
      "@odata.type": draft.video === "AV1" ? "#Headwater.AV1Video" : `#Microsoft.Media.${draft.video}Video`,
      complexity: draft.videoComplexity,
      keyFrameInterval: span(draft.videoKeyFrames),
      stretchMode: draft.stretch,
      rateControlMode: draft.video === "H264" ? draft.rate : "",
      layers: draft.layers.map((one) => layer(one, constantQuality(draft))),
    }),
  ];
}

function audioCodec(draft: OutputDraft): Json[] {
  if (draft.audio === "None") return [];
  if (draft.audio === "Copy") return [{ "@odata.type": "#Microsoft.Media.CopyAudio" }];
  return [
    said({
      "@odata.type": draft.audio === "DD" ? "#Microsoft.Media.DDAudio" : "#Microsoft.Media.AacAudio",
      profile: draft.audio === "DD" ? "" : draft.audio,
      bitrate: bits(draft.audioBitrate),
      channels: number(draft.channels),
      samplingRate: number(draft.samplingRate),
    }),
  ];
}

/** Where the parts of a form stand in the preset, for what the API says of them. */
export function codecsOf(draft: OutputDraft): { video: number; audio: number; pictures: number } {
  const video = draft.video === "None" ? 0 : 1;
  return { video: 0, audio: video, pictures: video + (draft.audio === "None" ? 0 : 1) };
}

function standard(draft: OutputDraft): Json {
  const media = draft.video !== "None" || draft.audio !== "None";
  const has = (format: string) => draft.pictures.some((picture) => picture.format === format);
  return {
    "@odata.type": "#Microsoft.Media.StandardEncoderPreset",
    codecs: [...videoCodec(draft), ...audioCodec(draft), ...draft.pictures.map(image)],
    formats: [
      ...(media ? [{ "@odata.type": `#Microsoft.Media.${draft.container}Format`, filenamePattern: draft.pattern || PATTERN }] : []),
      ...(has("Jpg") ? [{ "@odata.type": "#Microsoft.Media.JpgFormat", filenamePattern: PICTURE_PATTERN }] : []),
      ...(has("Png") ? [{ "@odata.type": "#Microsoft.Media.PngFormat", filenamePattern: PICTURE_PATTERN }] : []),
    ],
  };
}

function builtIn(draft: OutputDraft): Json {
  const configurations = said({
    complexity: draft.complexity,
    interleaveOutput: draft.interleave,
    keyFrameIntervalInSeconds: number(draft.keyFrames),
    minBitrateBps: bits(draft.minBitrate),
    maxBitrateBps: bits(draft.maxBitrate),
    minHeight: number(draft.minHeight),
    maxHeight: number(draft.maxHeight),
    maxLayers: number(draft.maxLayers),
  });
  return {
    "@odata.type": "#Microsoft.Media.BuiltInStandardEncoderPreset",
    presetName: draft.builtIn,
    ...(choosesLayers(draft.builtIn) && Object.keys(configurations).length > 0 ? { configurations } : {}),
  };
}

/**
 * The preset that the draft says. `path`: of the preset in the request, such as `outputs[0].preset`.
 *
 * Errors: a `Failure` at `path` for JSON that is none.
 */
export function presetOf(draft: OutputDraft, path: string): Preset {
  switch (draft.kind) {
    case "BuiltIn":
      return builtIn(draft) as unknown as Preset;
    case "Standard":
      return standard(draft) as unknown as Preset;
    case "Thumbnails":
      return said({
        "@odata.type": "#MediaKind.ThumbnailGeneratorPreset",
        baseFilename: draft.base,
        thumbnails: draft.pictures.map(thumbnail),
      }) as unknown as Preset;
    case "Copy":
      return { "@odata.type": "#Microsoft.Media.BuiltInAssetConverterPreset", presetName: draft.copy };
    case "Json":
      return parsed(draft.json, path) as unknown as Preset;
  }
}

function parsed(text: string, path: string): Json {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (thrown) {
    throw new Failure("invalid", `This is not JSON: ${thrown instanceof Error ? thrown.message : String(thrown)}.`, path);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new Failure("invalid", "A preset is an object: { … }.", path);
  }
  return value as Json;
}

/** The draft as JSON, to go on there with what no form has. */
export function asJson(draft: OutputDraft): OutputDraft {
  return { ...draft, kind: "Json", json: JSON.stringify(presetOf({ ...draft }, ""), null, 2) };
}

/** The form that says an output as it is; JSON where no form says all of it. */
export function draftOf({ preset, onError, relativePriority }: Schemas["TransformOutput"]): OutputDraft {
  const common = { onError: onError ?? "StopProcessingJob", priority: relativePriority ?? "Normal" } as const;
  const read = { ...newOutput(readPreset(preset as unknown as Json)), ...common };
  const same = canonical(presetOf(read, "")) === canonical(preset);
  return same ? read : { ...newOutput({ kind: "Json", json: JSON.stringify(preset, null, 2) }), ...common };
}

/** A guess; `draftOf` looks whether it says the same. */
function readPreset(preset: Json): Partial<OutputDraft> {
  const text = (value: unknown) => (value === undefined || value === null ? "" : String(value));
  const kilo = (value: unknown) => (typeof value === "number" ? String(value / 1000) : "");
  const seconds = (value: unknown) => text(value).match(/^PT([\d.]+)S$/)?.[1] ?? "";
  const objects = (value: unknown) => (Array.isArray(value) ? (value as Json[]) : []);
  const picture = (one: Json, layer: Json, format: PictureDraft["format"]): PictureDraft =>
    newPicture({
      format,
      take: one.spriteColumn !== undefined ? "sheet" : one.start === "{Best}" ? "best" : one.range === "1" ? "one" : "many",
      start: one.start === "{Best}" ? "" : text(one.start),
      step: text(one.step),
      range: one.range === "1" ? "" : text(one.range),
      width: text(layer.width),
      height: text(layer.height),
      quality: text(layer.quality),
      columns: text(one.spriteColumn),
      label: text(one.label),
    });
  const kind = text(preset["@odata.type"]).replace(/^.*\./, "");
  if (kind === "BuiltInAssetConverterPreset") return { kind: "Copy", copy: preset.presetName as CopyName };
  if (kind === "BuiltInStandardEncoderPreset") {
    const limits = (preset.configurations ?? {}) as Json;
    return {
      kind: "BuiltIn",
      builtIn: preset.presetName as BuiltInName,
      complexity: text(limits.complexity),
      interleave: text(limits.interleaveOutput),
      keyFrames: text(limits.keyFrameIntervalInSeconds),
      minBitrate: kilo(limits.minBitrateBps),
      maxBitrate: kilo(limits.maxBitrateBps),
      minHeight: text(limits.minHeight),
      maxHeight: text(limits.maxHeight),
      maxLayers: text(limits.maxLayers),
    };
  }
  if (kind === "ThumbnailGeneratorPreset") {
    const pictures = objects(preset.thumbnails).map((one) => picture(one, one, one.format === "Png" ? "Png" : "Jpg"));
    return { kind: "Thumbnails", base: text(preset.baseFilename), pictures };
  }
  const codecs = objects(preset.codecs);
  const named = (name: RegExp) => codecs.find((codec) => name.test(text(codec["@odata.type"])));
  const video = named(/Video$/);
  const audio = named(/Audio$/);
  const format = objects(preset.formats)[0] ?? {};
  const videoKind = text(video?.["@odata.type"]).match(/(H264|H265|AV1|Copy)Video$/)?.[1];
  const audioKind = text(audio?.["@odata.type"]).match(/(Aac|DD|Copy)Audio$/)?.[1];
  return {
    kind: "Standard",
    video: (videoKind ?? "None") as OutputDraft["video"],
    videoComplexity: text(video?.complexity),
    videoKeyFrames: seconds(video?.keyFrameInterval),
    rate: text(video?.rateControlMode),
    stretch: text(video?.stretchMode),
    layers: objects(video?.layers).map((one) =>
      newLayer({
        label: text(one.label),
        width: text(one.width),
        height: text(one.height),
        bitrate: kilo(one.bitrate),
        maxBitrate: kilo(one.maxBitrate),
        frameRate: text(one.frameRate),
        crf: text(one.crf),
      }),
    ),
    audio: (audioKind === "Aac" ? text(audio?.profile) || "AacLc" : (audioKind ?? "None")) as OutputDraft["audio"],
    audioBitrate: kilo(audio?.bitrate),
    channels: text(audio?.channels),
    samplingRate: text(audio?.samplingRate),
    pictures: codecs
      .filter((codec) => /(Jpg|Png)Image$/.test(text(codec["@odata.type"])))
      .map((codec) => picture(codec, objects(codec.layers)[0] ?? {}, /Png/.test(text(codec["@odata.type"])) ? "Png" : "Jpg")),
    container: /TransportStream/.test(text(format["@odata.type"])) ? "TransportStream" : "Mp4",
    pattern: text(format.filenamePattern) === PATTERN ? "" : text(format.filenamePattern),
  };
}

/** The same text for the same JSON, in whichever order its members stand. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === "object" && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}

/** Whether what an output makes can be streamed, as far as the preset tells. */
export function streams(preset: Preset): boolean {
  const kind = preset["@odata.type"].replace(/^.*\./, "");
  if (kind === "ThumbnailGeneratorPreset" || kind === "TrackInserterPreset") return false;
  if (!("codecs" in preset)) return true;
  return preset.codecs.some((codec) => /(Video|Audio)$/.test(String((codec as Json)["@odata.type"])));
}
