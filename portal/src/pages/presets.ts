/** What ready-made presets are called. */

import type { Schemas } from "../api/client";
import type { BuiltInName, CopyName } from "../presets/draft";

export const BUILT_IN: { value: BuiltInName; label: string; hint: string }[] = [
  { value: "AdaptiveStreaming", label: "Adaptive", hint: "A ladder that follows the source's size and sound." },
  { value: "ContentAwareEncoding", label: "Content-aware", hint: "The same, scaled by what the source needs: fewer bits for easy pictures." },
  { value: "H265AdaptiveStreaming", label: "Adaptive, H.265", hint: "Fewer bits, and fewer players that take them." },
  { value: "H265ContentAwareEncoding", label: "Content-aware, H.265", hint: "Fewer bits still." },
  { value: "H264MultipleBitrate1080p", label: "Ladder to 1080p", hint: "Fixed steps up to 1920×1080." },
  { value: "H264MultipleBitrate1080pWithCVQ", label: "Ladder to 1080p, constant quality", hint: "Fixed steps; easy pictures take less." },
  { value: "H264MultipleBitrateSport1080p", label: "Ladder to 1080p, sport", hint: "Fixed steps up to 1920×1080." },
  { value: "H264MultipleBitrate720p", label: "Ladder to 720p", hint: "Fixed steps up to 1280×720." },
  { value: "H264MultipleBitrate720pWithCVQ", label: "Ladder to 720p, constant quality", hint: "Fixed steps; easy pictures take less." },
  { value: "H264MultipleBitrateSD", label: "Ladder in SD", hint: "Fixed steps of small pictures." },
  { value: "H264MultipleBitrateSDWithCVQ", label: "Ladder in SD, constant quality", hint: "Fixed steps; easy pictures take less." },
  { value: "H264SingleBitrate1080p", label: "One quality, 1080p", hint: "A single file, for downloads." },
  { value: "H264SingleBitrate720p", label: "One quality, 720p", hint: "A single file, for downloads." },
  { value: "H264SingleBitrateSD", label: "One quality, SD", hint: "A small single file." },
  { value: "H265SingleBitrate4K", label: "One quality, 4K, H.265", hint: "A single file, for downloads." },
  { value: "H265SingleBitrate1080p", label: "One quality, 1080p, H.265", hint: "A single file, for downloads." },
  { value: "H265SingleBitrate720p", label: "One quality, 720p, H.265", hint: "A single file, for downloads." },
  { value: "AACGoodQualityAudio", label: "Sound only", hint: "AAC stereo, 192 kbit/s." },
  { value: "DDGoodQualityAudio", label: "Sound only, Dolby Digital", hint: "Stereo, 192 kbit/s." },
];

export const COPIES: { value: CopyName; label: string; hint: string }[] = [
  { value: "CopyAllBitrateInterleaved", label: "All, sound and picture together", hint: "A file for each quality." },
  { value: "CopyAllBitrateNonInterleaved", label: "All, a file each", hint: "As adaptive streaming has them." },
  { value: "CopyTopBitrateInterleaved", label: "The best only", hint: "One file, for downloads." },
];

const KINDS: Record<string, string> = {
  StandardEncoderPreset: "Encode of its own",
  ThumbnailGeneratorPreset: "Thumbnails",
  TrackInserterPreset: "Captions",
};

/** What a preset is called: by its name, or by its kind where it has none. */
export function presetLabel(preset: Schemas["TransformOutput"]["preset"]): string {
  if (!("presetName" in preset)) {
    const kind = preset["@odata.type"].replace(/^.*\./, "");
    return KINDS[kind] ?? kind;
  }
  const copy = COPIES.find(({ value }) => value === preset.presetName);
  if (copy !== undefined) return `Copy: ${copy.label.toLowerCase()}`;
  return BUILT_IN.find(({ value }) => value === preset.presetName)?.label ?? preset.presetName;
}
