/** Making and changing a live event. What was decided when it was made is not asked for again. */

import type { Schemas } from "../api/client";
import { ask, here } from "../app/session";
import { isoSeconds } from "../format";
import { Area, Check, Choice, Form, NAME_HINT, Select, Text } from "../ui/form";
import { useDraft } from "../ui/load";
import { ENCODINGS, type LiveEvent } from "./live";
import { changed } from "./changes";
import { pairsChanged, pairText } from "./pairs";
import { listed, rangesOf } from "./ranges";

/** Key frames this far apart unless somebody says otherwise: the closer, the lower the latency. */
const KEY_FRAMES = { standard: "2", low: "1" };

const PROTOCOLS: [string, string][] = [
  ["RTMP", "RTMP (most encoders)"],
  ["RTMPS", "RTMPS (encrypted)"],
  ["SRT", "SRT (for lossy networks)"],
  ["FragmentedMP4", "Smooth Streaming (fragmented MP4)"],
];

const STRETCHES: [string, string][] = [
  ["None", "To exactly each size"],
  ["AutoSize", "Within it, not distorted"],
  ["AutoFit", "Within it, with black bars"],
];

/** What stands in for what an encoder does not send. */
export const FILLS: [string, string][] = [
  ["None", "Nothing: the event waits for it"],
  ["Silence", "Silence for sound that is missing"],
  ["BlackAndSilence", "Black pictures and silence"],
];

export function encodes(type: string): boolean {
  return type === "Standard" || type === "Premium1080p";
}

interface Draft {
  name: string;
  description: string;
  /** As `pairText` writes them, like the tags. */
  labels: string;
  tags: string;
  protocol: string;
  encoding: string;
  lowLatency: boolean;
  /** Empty until somebody says it, so that low latency has its own. */
  keyFrames: string;
  stretch: string;
  /** A transform whose layers it gets; empty for the usual ones. */
  preset: string;
  fill: string;
  /** Seconds. Empty until somebody says it. */
  fillAfter: string;
  token: string;
  fixedHost: boolean;
  hostPrefix: string;
  previewId: string;
  previewMediaId: string;
  ingest: string;
  preview: string;
  start: boolean;
}

/** `of`: the event to change. Unless it is stopped or standing by, there are its labels and tags only. */
export function LiveForm({ of, done }: { of?: LiveEvent; done: (name: string) => void }) {
  const was = of?.properties;
  const known = { ingest: was?.input.accessControl.ip.allow ?? [], preview: was?.preview.accessControl.ip.allow ?? [] };
  const keyFramesWas = was?.encoding.keyFrameInterval ?? was?.input.keyFrameIntervalDuration;
  const initial: Draft = {
    name: of?.name ?? "",
    description: was?.description ?? "",
    labels: pairText(of?.labels),
    tags: pairText(of?.tags),
    protocol: was?.input.streamingProtocol ?? "RTMP",
    encoding: was?.encoding.encodingType ?? "PassthroughStandard",
    lowLatency: was?.streamOptions.some((option) => option.startsWith("Low")) ?? false,
    keyFrames: keyFramesWas === undefined ? "" : String(isoSeconds(keyFramesWas) ?? ""),
    stretch: was?.encoding.stretchMode ?? "AutoSize",
    preset: "",
    fill: was?.input.fillWith ?? "None",
    fillAfter: was?.input.fillAfter == null ? "" : String(isoSeconds(was.input.fillAfter) ?? ""),
    token: "",
    fixedHost: was?.useStaticHostname ?? false,
    hostPrefix: was?.hostnamePrefix ?? "",
    previewId: "",
    previewMediaId: "",
    ingest: listed(known.ingest),
    preview: listed(known.preview),
    start: true,
  };
  const [draft, change, clear, first] = useDraft<Draft>(`live-event-${of?.name ?? ""}`, initial, of !== undefined);
  const fixed = was !== undefined && was.resourceState !== "Stopped" && was.resourceState !== "StandBy";
  const encoded = encodes(draft.encoding);
  const usual = draft.lowLatency ? KEY_FRAMES.low : KEY_FRAMES.standard;
  const interval = `PT${draft.keyFrames.trim() || usual}S`;
  const fill = () => ({
    ...(draft.fill === first.fill ? {} : { fillWith: draft.fill as "None" }),
    ...(draft.fill === "None" || draft.fillAfter === first.fillAfter ? {} : { fillAfter: draft.fillAfter.trim() === "" ? "PT1S" : `PT${draft.fillAfter.trim()}S` }),
  });
  const changeable = (): Schemas["LiveEventPropertiesWrite"] => ({
    input: {
      accessControl: { ip: { allow: rangesOf(draft.ingest, known.ingest) } },
      ...(encoded ? {} : { keyFrameIntervalDuration: interval }),
      ...fill(),
    },
    preview: { accessControl: { ip: { allow: rangesOf(draft.preview, known.preview) } } },
    ...(encoded ? { encoding: { keyFrameInterval: interval, stretchMode: draft.stretch as "AutoSize" } } : {}),
  });
  /** What differs from what there was. */
  const edited = (): Schemas["LiveEventPropertiesWrite"] => {
    const { input, preview, encoding } = changeable();
    const differs = (...members: (keyof Draft)[]) => members.some((member) => draft[member] !== first[member]);
    const { accessControl, keyFrameIntervalDuration } = input ?? {};
    const edits = {
      ...(differs("ingest") ? { accessControl: accessControl ?? null } : {}),
      ...(!encoded && differs("keyFrames") ? { keyFrameIntervalDuration: keyFrameIntervalDuration ?? null } : {}),
      ...fill(),
    };
    return {
      ...changed({ description: draft.description }, first),
      ...(differs("hostPrefix") ? { hostnamePrefix: draft.hostPrefix.trim() || draft.name } : {}),
      ...(Object.keys(edits).length > 0 ? { input: edits } : {}),
      ...(differs("preview") ? { preview: preview ?? null } : {}),
      ...(encoded && differs("keyFrames", "stretch")
        ? {
            encoding: {
              ...(differs("keyFrames") ? { keyFrameInterval: encoding?.keyFrameInterval ?? null } : {}),
              ...(differs("stretch") ? { stretchMode: encoding?.stretchMode ?? null } : {}),
            },
          }
        : {}),
    };
  };
  const submit = async () => {
    const path = here({ event: draft.name });
    const properties = changeable();
    const pairs = {
      ...(draft.labels === first.labels ? {} : pairsChanged("labels", draft.labels, of?.labels)),
      ...(draft.tags === first.tags ? {} : pairsChanged("tags", draft.tags, of?.tags)),
    };
    if (of !== undefined) {
      return ask((to) =>
        to.PATCH("/api/v1/projects/{project}/media/liveEvents/{event}", {
          params: { path },
          body: { ...pairs, ...(fixed ? {} : { properties: edited() }) },
        }),
      );
    }
    return ask((to) =>
      to.PUT("/api/v1/projects/{project}/media/liveEvents/{event}", {
        params: { path, query: { autoStart: draft.start } },
        body: {
          ...pairs,
          // That of the project.
          location: null,
          properties: {
            ...properties,
            ...(draft.description === "" ? {} : { description: draft.description }),
            encoding: {
              ...properties.encoding,
              encodingType: draft.encoding as "Standard",
              ...(encoded && draft.preset.trim() !== "" ? { presetName: draft.preset.trim() } : {}),
            },
            ...(draft.fixedHost ? { useStaticHostname: true } : {}),
            ...(draft.fixedHost && draft.hostPrefix.trim() !== "" ? { hostnamePrefix: draft.hostPrefix.trim() } : {}),
            preview: {
              ...properties.preview,
              ...(draft.previewId.trim() === "" ? {} : { previewLocator: draft.previewId.trim() }),
              ...(draft.previewMediaId.trim() === "" ? {} : { alternativeMediaId: draft.previewMediaId.trim() }),
            },
            streamOptions: [draft.lowLatency ? "LowLatencyV2" : "Default"],
            input: {
              ...properties.input,
              streamingProtocol: draft.protocol as "RTMP",
              ...(draft.token === "" ? {} : { accessToken: draft.token }),
            },
          },
        },
      }),
    );
  };
  const hostPrefix = (
    <Text
      label="Host name begins with"
      name="hostnamePrefix"
      value={draft.hostPrefix}
      change={(hostPrefix) => change({ hostPrefix })}
      placeholder={draft.name}
      hint="Letters, digits and hyphens, 32 at most. Empty: the event's name."
    />
  );
  return (
    <Form
      label={of === undefined ? "Make live event" : "Save live event"}
      done={of === undefined ? "Live event made" : "Live event saved"}
      submit={submit}
      then={() => (clear(), done(draft.name))}
    >
      {of === undefined && <Text label="Name" name="name" required hint={NAME_HINT} value={draft.name} change={(name) => change({ name })} />}
      {fixed ? (
        <p class="meta">Everything else can be changed while it is stopped or standing by.</p>
      ) : (
        <Text label="Description" name="description" value={draft.description} change={(description) => change({ description })} />
      )}
      <Area label="Labels" name="labels.*" rows={2} value={draft.labels} change={(labels) => change({ labels })} hint="To find it by, a line each: team=news" />
      <Area label="Tags" name="tags.*" rows={2} value={draft.tags} change={(tags) => change({ tags })} hint="In the same way, as Azure has them." />
      {of === undefined && (
        <>
          <Select label="The encoder sends" name="streamingProtocol" value={draft.protocol} change={(protocol) => change({ protocol })} options={PROTOCOLS} />
          <Choice legend="Qualities" value={draft.encoding} change={(encoding) => change({ encoding })} options={ENCODINGS} />
          <Check
            label="Low latency"
            hint="A few seconds behind instead of some twenty, with less room for bad connections."
            name="streamOptions"
            checked={draft.lowLatency}
            change={(lowLatency) => change({ lowLatency })}
          />
        </>
      )}
      {!fixed && (
        <>
          <Text
            label="Seconds between key frames"
            name={encoded ? "encoding.keyFrameInterval" : "input.keyFrameIntervalDuration"}
            type="number"
            min={0.5}
            max={20}
            step="any"
            value={draft.keyFrames}
            change={(keyFrames) => change({ keyFrames })}
            placeholder={usual}
            hint={encoded ? "They are made here." : "Set the encoder to the same: segments begin at key frames. One second gives the lowest latency."}
          />
          {encoded && (
            <Select label="The picture is fitted" name="stretchMode" value={draft.stretch} change={(stretch) => change({ stretch })} options={STRETCHES} />
          )}
          <Select label="Without an encoder" name="fillWith" value={draft.fill} change={(fill) => change({ fill })} options={FILLS} />
          {draft.fill !== "None" && (
            <Text
              label="After so many seconds without"
              name="fillAfter"
              type="number"
              min={0.5}
              max={30}
              step="any"
              value={draft.fillAfter}
              change={(fillAfter) => change({ fillAfter })}
              placeholder="1"
              hint="Then viewers see and hear that instead, until the encoder is back. Black is made for H.264."
            />
          )}
          <Text
            label="Encoders' addresses"
            name="input.accessControl.*"
            value={draft.ingest}
            change={(ingest) => change({ ingest })}
            hint="203.0.113.7 or 203.0.113.0/24, with spaces between them. Empty: from anywhere, with the secret in the address."
          />
          <Text
            label="Addresses that may see the preview"
            name="preview.accessControl.*"
            value={draft.preview}
            change={(preview) => change({ preview })}
            hint="In the same way. Empty: whoever has the preview's address."
          />
        </>
      )}
      {!fixed && was?.useStaticHostname === true && hostPrefix}
      {of === undefined && (
        <>
          <details>
            <summary>More</summary>
            {encoded && (
              <Text
                label="Layers of a transform"
                name="presetName"
                value={draft.preset}
                change={(preset) => change({ preset })}
                hint="The name of one that makes H.264 in layers of its own. Empty: the usual layers."
              />
            )}
            <Text
              label="Encoder's secret"
              name="accessToken"
              value={draft.token}
              change={(token) => change({ token })}
              hint={draft.protocol === "SRT" ? "A passphrase of 10 to 79 characters. Empty: one is made." : "A UUID, which stands in the address. Empty: one is made."}
            />
            <Check
              label="A host name of its own"
              hint="Encoders are told a name that stays the same, where whoever runs this Headwater has given such names to it (--ingest-host-labels)."
              name="useStaticHostname"
              checked={draft.fixedHost}
              change={(fixedHost) => change({ fixedHost })}
            />
            {draft.fixedHost && hostPrefix}
            <Text
              label="Preview's id"
              name="previewLocator"
              value={draft.previewId}
              change={(previewId) => change({ previewId })}
              hint="A UUID, the first part of the preview's address. Empty: one is made."
            />
            <Text
              label="Alternative media id of the preview"
              name="alternativeMediaId"
              value={draft.previewMediaId}
              change={(previewMediaId) => change({ previewMediaId })}
              hint="What your own system calls it."
            />
          </details>
          <Check label="Start it at once" checked={draft.start} change={(start) => change({ start })} />
        </>
      )}
    </Form>
  );
}
