/** Making and changing a transform: its outputs one by one, as forms for what is common and as JSON for everything. */

import type { Schemas } from "../api/client";
import { Failure } from "../api/failure";
import { ask, here } from "../app/session";
import {
  asJson,
  choosesLayers,
  codecsOf,
  constantQuality,
  draftOf,
  newLayer,
  newOutput,
  newPicture,
  PATTERN,
  presetOf,
  type Kind,
  type LayerDraft,
  type OutputDraft,
  type PictureDraft,
} from "../presets/draft";
import { Area, Choice, Complaints, Form, NAME_HINT, Select, Text } from "../ui/form";
import { useDraft } from "../ui/load";
import { changed } from "./changes";
import { BUILT_IN, COPIES } from "./presets";

interface Draft {
  name: string;
  description: string;
  outputs: OutputDraft[];
}

/** `of`: the transform to change; a new one without it. */
export function TransformForm({ of, done }: { of?: Schemas["Transform"]; done: (name: string) => void }) {
  const initial: Draft = {
    name: of?.name ?? "",
    description: of?.properties.description ?? "",
    outputs: of?.properties.outputs.map(draftOf) ?? [newOutput()],
  };
  const [draft, change, clear, was] = useDraft<Draft>(`transform-${of?.name ?? ""}`, initial, of !== undefined);
  const set = (at: number) => (part: Partial<OutputDraft>) =>
    change({ outputs: draft.outputs.map((one, index) => (index === at ? { ...one, ...part } : one)) });
  return (
    <Form
      label={of === undefined ? "Make transform" : "Save transform"}
      done={of === undefined ? "Transform made" : "Transform saved"}
      submit={async () => {
        const params = { params: { path: here({ transform: draft.name }) } };
        const outputs = draft.outputs.map((output, at) => ({
          onError: output.onError,
          relativePriority: output.priority,
          preset: presetOf(output, `outputs[${at}].preset`),
        }));
        if (of !== undefined) {
          // Outputs come back from the form as it writes them, which says the same in other words.
          const same = JSON.stringify(draft.outputs) === JSON.stringify(was.outputs);
          const body = { properties: { ...changed({ description: draft.description }, was), ...(same ? {} : { outputs }) } };
          return ask((to) => to.PATCH("/api/v1/projects/{project}/media/transforms/{transform}", { ...params, body }));
        }
        const { value } = await ask((to) =>
          to.GET("/api/v1/projects/{project}/media/transforms", { params: { path: here({}), query: { $filter: `name eq '${draft.name.replaceAll("'", "''")}'` } } }),
        );
        // PUT changes a transform that is there, which is not what this form says it does.
        if (value.length > 0) throw new Failure("conflict", `There is a transform ${draft.name} already.`, "name");
        const body = { properties: { ...(draft.description === "" ? {} : { description: draft.description }), outputs } };
        return ask((to) => to.PUT("/api/v1/projects/{project}/media/transforms/{transform}", { ...params, body }));
      }}
      then={() => (clear(), done(draft.name))}
    >
      {of === undefined && <Text label="Name" name="name" required hint={NAME_HINT} value={draft.name} change={(name) => change({ name })} />}
      <Text label="Description" name="description" value={draft.description} change={(description) => change({ description })} />
      {draft.outputs.map((output, at) => (
        <Output
          key={at}
          at={at}
          alone={draft.outputs.length === 1}
          output={output}
          change={set(at)}
          remove={() => change({ outputs: draft.outputs.filter((_, index) => index !== at) })}
        />
      ))}
      <Complaints name="outputs" />
      <button type="button" class="small plain" onClick={() => change({ outputs: [...draft.outputs, newOutput({ kind: "Thumbnails", pictures: [newPicture()] })] })}>
        Another output
      </button>
    </Form>
  );
}

const KINDS: { value: Kind; label: string; hint: string; safe?: boolean }[] = [
  { value: "BuiltIn", label: "A ready-made ladder", hint: "Qualities that are known to work.", safe: true },
  { value: "Standard", label: "An encode of your own", hint: "Codecs, sizes and bit rates one by one, with thumbnails." },
  { value: "Thumbnails", label: "Thumbnails only", hint: "Posters, stills, and sheets for seeking." },
  { value: "Copy", label: "A copy", hint: "Tracks as they are, into MP4; nothing is encoded." },
  { value: "Json", label: "JSON", hint: "Whatever the API takes: overlays, crops, fades, captions." },
];

interface Part {
  output: OutputDraft;
  change: (part: Partial<OutputDraft>) => void;
  /** Of the preset in the request. */
  path: string;
}

function Output(props: { at: number; alone: boolean; output: OutputDraft; change: Part["change"]; remove: () => void }) {
  const { at, output, change } = props;
  const part: Part = { output, change, path: `outputs[${at}].preset` };
  const choose = (kind: string) => {
    // What was filled in goes on as JSON, and the picture that pictures are about is there to be filled in.
    if (kind === "Json" && output.json === "") return change(asJson(output));
    change({ kind: kind as Kind, ...(kind === "Thumbnails" && output.pictures.length === 0 ? { pictures: [newPicture()] } : {}) });
  };
  return (
    <fieldset class="part">
      <legend class={props.alone ? "visually-hidden" : undefined}>Output {at + 1}</legend>
      <Choice legend="What it makes" value={output.kind} change={choose} options={KINDS} />
      {output.kind === "BuiltIn" && <BuiltIn {...part} />}
      {output.kind === "Standard" && <Standard {...part} />}
      {output.kind === "Thumbnails" && (
        <>
          <Pictures {...part} list="thumbnails" first={0} needed />
          <Text
            label="Files are called"
            name={`${part.path}.baseFilename`}
            value={output.base}
            change={(base) => change({ base })}
            hint="What their names begin with; the source's name when left empty."
          />
        </>
      )}
      {output.kind === "Copy" && (
        <Choice legend="Which tracks" value={output.copy} change={(copy) => change({ copy: copy as OutputDraft["copy"] })} options={COPIES} />
      )}
      {output.kind === "Json" && (
        <Area
          label="Preset"
          name={`${part.path}.*`}
          code
          rows={14}
          required
          value={output.json}
          change={(json) => change({ json })}
          hint="As the API takes it, with its @odata.type. What is not understood is refused, by the path of what it is."
        />
      )}
      <div class="columns">
        <Select
          label="Priority"
          name={`outputs[${at}].relativePriority`}
          value={output.priority}
          change={(priority) => change({ priority: priority as "Normal" })}
          options={["Low", "Normal", "High"]}
        />
        <Select
          label="When it fails"
          name={`outputs[${at}].onError`}
          value={output.onError}
          change={(onError) => change({ onError: onError as "ContinueJob" })}
          options={[
            ["StopProcessingJob", "Stop the job"],
            ["ContinueJob", "Go on with the others"],
          ]}
        />
      </div>
      {!props.alone && (
        <button type="button" class="small plain" onClick={props.remove}>
          Remove output {at + 1}
        </button>
      )}
    </fieldset>
  );
}

const COMPLEXITIES: [string, string][] = [
  ["", "As it comes"],
  ["Speed", "Fast"],
  ["Balanced", "Balanced"],
  ["Quality", "Best quality"],
];

function BuiltIn({ output, change, path }: Part) {
  const at = (member: string) => `${path}.configurations.${member}`;
  return (
    <>
      <Select
        label="Ladder"
        name={`${path}.presetName`}
        value={output.builtIn}
        change={(builtIn) => change({ builtIn: builtIn as OutputDraft["builtIn"] })}
        options={BUILT_IN.map(({ value, label }): [string, string] => [value, label])}
        hint={BUILT_IN.find(({ value }) => value === output.builtIn)?.hint ?? ""}
      />
      {choosesLayers(output.builtIn) && (
        <details>
          <summary>Limits</summary>
          <div class="columns fields">
            <Text label="Most qualities" name={at("maxLayers")} type="number" min={1} value={output.maxLayers} change={(maxLayers) => change({ maxLayers })} />
            <Text label="Height at most" name={at("maxHeight")} type="number" min={1} value={output.maxHeight} change={(maxHeight) => change({ maxHeight })} />
            <Text label="Height at least" name={at("minHeight")} type="number" min={1} value={output.minHeight} change={(minHeight) => change({ minHeight })} />
            <Text label="kbit/s at most" name={at("maxBitrateBps")} type="number" min={1} step="any" value={output.maxBitrate} change={(maxBitrate) => change({ maxBitrate })} />
            <Text label="kbit/s at least" name={at("minBitrateBps")} type="number" min={1} step="any" value={output.minBitrate} change={(minBitrate) => change({ minBitrate })} />
            <Text
              label="Key frame every (s)"
              name={at("keyFrameIntervalInSeconds")}
              type="number"
              min={0.5}
              max={20}
              step="any"
              value={output.keyFrames}
              change={(keyFrames) => change({ keyFrames })}
            />
            <Select label="Effort" name={at("complexity")} value={output.complexity} change={(complexity) => change({ complexity })} options={COMPLEXITIES} />
            <Select
              label="Files"
              name={at("interleaveOutput")}
              value={output.interleave}
              change={(interleave) => change({ interleave })}
              options={[
                ["", "As it comes"],
                ["NonInterleavedOutput", "One for each track"],
                ["InterleavedOutput", "Sound and picture together"],
              ]}
            />
          </div>
        </details>
      )}
    </>
  );
}

function Standard({ output, change, path }: Part) {
  const codecs = codecsOf(output);
  const media = output.video !== "None" || output.audio !== "None";
  const encodesVideo = output.video !== "None" && output.video !== "Copy";
  const encodesAudio = output.audio !== "None" && output.audio !== "Copy";
  const video = `${path}.codecs[${codecs.video}]`;
  const audio = `${path}.codecs[${codecs.audio}]`;
  return (
    <>
      <Select
        label="Picture"
        name={`${video}.@odata.type`}
        value={output.video}
        change={(video) => change({ video: video as OutputDraft["video"] })}
        options={[
          ["H264", "H.264"],
          ["H265", "H.265 (HEVC)"],
          ["AV1", "AV1"],
          ["Copy", "As it is"],
          ["None", "None"],
        ]}
      />
      {encodesVideo && (
        <>
          <Layers output={output} change={change} path={`${video}.layers`} />
          <details>
            <summary>More about the picture</summary>
            <div class="columns fields">
              <Select label="Effort" name={`${video}.complexity`} value={output.videoComplexity} change={(videoComplexity) => change({ videoComplexity })} options={COMPLEXITIES} />
              <Text
                label="Key frame every (s)"
                name={`${video}.keyFrameInterval`}
                type="number"
                min={0.5}
                max={20}
                step="any"
                value={output.videoKeyFrames}
                change={(videoKeyFrames) => change({ videoKeyFrames })}
              />
              <Select
                label="Fitting"
                name={`${video}.stretchMode`}
                value={output.stretch}
                change={(stretch) => change({ stretch })}
                options={[
                  ["", "As it comes"],
                  ["None", "Exactly this size"],
                  ["AutoSize", "Within it"],
                  ["AutoFit", "With bars"],
                ]}
              />
              {output.video === "H264" && (
                <Select
                  label="Bit rate"
                  name={`${video}.rateControlMode`}
                  value={output.rate}
                  change={(rate) => change({ rate })}
                  options={[
                    ["", "As it comes"],
                    ["ABR", "On average"],
                    ["CBR", "Constant"],
                    ["CRF", "Constant quality"],
                  ]}
                />
              )}
            </div>
          </details>
        </>
      )}
      <Select
        label="Sound"
        name={`${audio}.profile`}
        value={output.audio}
        change={(audio) => change({ audio: audio as OutputDraft["audio"] })}
        options={[
          ["AacLc", "AAC"],
          ["HeAacV1", "HE-AAC (where the worker has it)"],
          ["HeAacV2", "HE-AAC v2, stereo (where the worker has it)"],
          ["DD", "Dolby Digital"],
          ["Copy", "As it is"],
          ["None", "None"],
        ]}
      />
      {encodesAudio && (
        <div class="columns narrow">
          <Text label="Sound, kbit/s" name={`${audio}.bitrate`} type="number" min={16} step="any" max={640} value={output.audioBitrate} change={(audioBitrate) => change({ audioBitrate })} />
          <Select
            label="Channels"
            name={`${audio}.channels`}
            value={output.channels}
            change={(channels) => change({ channels })}
            options={[
              ["", "As it comes"],
              ["1", "Mono"],
              ["2", "Stereo"],
              ...(output.audio === "HeAacV2" ? [] : [["6", "5.1"] as [string, string]]),
            ]}
          />
          <Select
            label="Sampling rate"
            name={`${audio}.samplingRate`}
            value={output.samplingRate}
            change={(samplingRate) => change({ samplingRate })}
            options={[
              ["", "As it comes"],
              ["44100", "44.1 kHz"],
              ["48000", "48 kHz"],
            ]}
          />
        </div>
      )}
      <Pictures output={output} change={change} path={path} list="codecs" first={codecs.pictures} />
      {media && (
        <>
          <Select
            label="Files are"
            name={`${path}.formats[0].@odata.type`}
            value={output.container}
            change={(container) => change({ container: container as OutputDraft["container"] })}
            options={[
              ["Mp4", "MP4, to be streamed"],
              ["TransportStream", "MPEG-2 TS, to be taken"],
            ]}
          />
          <Text
            label="Files are called"
            name={`${path}.formats[0].filenamePattern`}
            value={output.pattern}
            change={(pattern) => change({ pattern })}
            placeholder={PATTERN}
            hint="Different for each track. {Label}, {Resolution} and {Index} are known, too."
          />
        </>
      )}
      <Complaints name={`${path}.codecs`} />
      <Complaints name={`${path}.formats`} />
    </>
  );
}

function Layers({ output, change, path }: Part) {
  const set = (at: number, part: Partial<LayerDraft>) => change({ layers: output.layers.map((one, index) => (index === at ? { ...one, ...part } : one)) });
  return (
    <div class="rows">
      {output.layers.map((layer, at) => {
        const name = (member: string) => `${path}[${at}].${member}`;
        const of = `quality ${at + 1}`;
        return (
          <fieldset key={at} class="row">
            <legend>Quality {at + 1}</legend>
            <div class="columns narrow">
              <Text label="Width" name={name("width")} value={layer.width} change={(width) => set(at, { width })} placeholder="source's" />
              <Text label="Height" name={name("height")} value={layer.height} change={(height) => set(at, { height })} placeholder="source's" />
              <Text label="kbit/s" name={name("bitrate")} type="number" min={10} step="any" required={!constantQuality(output)} value={layer.bitrate} change={(bitrate) => set(at, { bitrate })} />
              {constantQuality(output) && (
                <Text label="CRF" name={name("crf")} type="number" min={0} max={51} step="any" value={layer.crf} change={(crf) => set(at, { crf })} />
              )}
            </div>
            <details>
              <summary>
                More<span class="visually-hidden"> about {of}</span>
              </summary>
              <div class="columns narrow fields">
                <Text label="Most kbit/s" name={name("maxBitrate")} type="number" min={10} step="any" value={layer.maxBitrate} change={(maxBitrate) => set(at, { maxBitrate })} />
                <Text label="Frame rate" name={name("frameRate")} value={layer.frameRate} change={(frameRate) => set(at, { frameRate })} placeholder="source's" />
                <Text label="Label" name={name("label")} value={layer.label} change={(label) => set(at, { label })} hint="For names of files." />
              </div>
            </details>
            {output.layers.length > 1 && (
              <button type="button" class="small plain" aria-label={`Remove ${of}`} onClick={() => change({ layers: output.layers.filter((_, index) => index !== at) })}>
                Remove
              </button>
            )}
          </fieldset>
        );
      })}
      <small class="meta">In pixels, or in percent of the source's: 50%.</small>
      <Complaints name={path} />
      <button type="button" class="small plain" onClick={() => change({ layers: [...output.layers, newLayer()] })}>
        Another quality
      </button>
    </div>
  );
}

/** `list`: the preset's member that they are in, from `first` on. */
function Pictures({ output, change, path, list, first, needed = false }: Part & { list: string; first: number; needed?: boolean }) {
  const set = (at: number, part: Partial<PictureDraft>) =>
    change({ pictures: output.pictures.map((one, index) => (index === at ? { ...one, ...part } : one)) });
  return (
    <div class="rows">
      {output.pictures.map((picture, at) => {
        const name = (member: string) => `${path}.${list}[${first + at}].${member}`;
        // Sizes of an encode's pictures stand in a layer of their own.
        const size = (member: string) => (list === "codecs" ? name(`layers[0].${member}`) : name(member));
        const of = `thumbnail ${at + 1}`;
        const several = picture.take === "many" || picture.take === "sheet";
        return (
          <fieldset key={at} class="row">
            <legend>Thumbnail {at + 1}</legend>
            <div class="columns">
              <Select
                label="What it is"
                value={picture.take}
                change={(take) => set(at, { take: take as PictureDraft["take"], ...(take === "sheet" ? { format: "Jpg" as const } : {}) })}
                options={[
                  ["best", "The best there is"],
                  ["one", "One, at a time"],
                  ["many", "One every so often"],
                  ["sheet", "Sheets, for seeking"],
                ]}
              />
              <Select
                label="Format"
                name={name("format")}
                value={picture.format}
                change={(format) => set(at, { format: format as PictureDraft["format"] })}
                options={picture.take === "sheet" ? [["Jpg", "JPEG"]] : [["Jpg", "JPEG"], ["Png", "PNG"]]}
              />
            </div>
            <div class="columns narrow">
              {picture.take !== "best" && (
                <Text
                  label={several ? "From" : "At"}
                  name={name("start")}
                  value={picture.start}
                  change={(start) => set(at, { start })}
                  placeholder="0"
                />
              )}
              {several && (
                <>
                  <Text label="Every" name={name("step")} value={picture.step} change={(step) => set(at, { step })} placeholder="10%" />
                  <Text label="To" name={name("range")} value={picture.range} change={(range) => set(at, { range })} placeholder="100%" />
                </>
              )}
              <Text label="Width" name={size("width")} value={picture.width} change={(width) => set(at, { width })} placeholder="source's" />
              <Text label="Height" name={size("height")} value={picture.height} change={(height) => set(at, { height })} placeholder="source's" />
              {picture.take === "sheet" && (
                <Text label="Columns" name={name("spriteColumn")} type="number" min={1} max={100} value={picture.columns} change={(columns) => set(at, { columns })} placeholder="5" />
              )}
              {picture.format === "Jpg" && (
                <Text label="Quality" name={size("quality")} type="number" min={0} max={100} value={picture.quality} change={(quality) => set(at, { quality })} placeholder="70" />
              )}
              <Text label="Label" name={name("label")} value={picture.label} change={(label) => set(at, { label })} />
            </div>
            {!(needed && output.pictures.length === 1) && (
              <button type="button" class="small plain" aria-label={`Remove ${of}`} onClick={() => change({ pictures: output.pictures.filter((_, index) => index !== at) })}>
                Remove
              </button>
            )}
          </fieldset>
        );
      })}
      {output.pictures.length > 0 && (
        <small class="meta">Times in seconds, as PT1M30S or in percent of the film. Labels keep names of files apart.</small>
      )}
      <Complaints name={`${path}.${list}`} />
      <button
        type="button"
        class="small plain"
        onClick={() => change({ pictures: [...output.pictures, newPicture(output.pictures.length === 0 ? {} : { take: "sheet", label: "sheet", width: "160" })] })}
      >
        {output.pictures.length === 0 ? "Add thumbnails" : "More thumbnails"}
      </button>
    </div>
  );
}
