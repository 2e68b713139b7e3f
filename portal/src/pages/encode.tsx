/** Submitting an encode: the transform, what it reads, and an asset for each thing that comes out. */

import type { Schemas } from "../api/client";
import { Failure } from "../api/failure";
import { ask, here } from "../app/session";
import { timeInFilm } from "../format";
import { Area, Check, Choice, Form, NAME_HINT, Select, Text } from "../ui/form";
import { useDraft, useLoad } from "../ui/load";
import { Await, Empty } from "../ui/states";
import { href } from "../app/router";
import { pairsOf } from "./pairs";
import { presetLabel } from "./presets";

type Input = Schemas["JobPropertiesWrite"]["input"];
type AssetInput = Schemas["JobInputAssetWrite"];

/** Names of everything in a list of the project's, for choosing. */
export function useTransforms() {
  return useLoad(
    () =>
      ask((to) =>
        to.GET("/api/v1/projects/{project}/media/transforms", { params: { path: here({}), query: { $top: 200 } } }),
      ),
    [],
  );
}

/** Short enough for a name, and different every time. */
export function stamp(): string {
  return Date.now().toString(36).slice(-6);
}

/** An input of files of an asset. */
export function assetInput(assetName: string, more: Omit<AssetInput, "@odata.type" | "assetName"> = {}): AssetInput {
  return { "@odata.type": "#Microsoft.Media.JobInputAsset", assetName, ...more };
}

/** An asset for each output: the first under this name, the others with a number behind it. */
export function outputNames(outputs: readonly unknown[], first: string): string[] {
  return outputs.map((_, at) => (at === 0 ? first : `${first}-${at + 1}`));
}

type Override = NonNullable<Schemas["JobOutputAssetWrite"]["presetOverride"]>;

interface JobMore extends Pick<Schemas["JobPropertiesWrite"], "priority" | "description" | "correlationData"> {
  /** In place of the transform's presets, by output. */
  overrides?: (Override | undefined)[];
}

/** Makes the output assets, as many as the transform has outputs, and the job. */
export async function submitJob(
  transform: string,
  job: string,
  input: Input,
  outputs: readonly string[],
  more: JobMore = {},
): Promise<void> {
  const { overrides, ...properties } = more;
  for (const asset of new Set(outputs)) {
    await ask((to) => to.PUT("/api/v1/projects/{project}/media/assets/{asset}", { params: { path: here({ asset }) }, body: { properties: {} } }));
  }
  await ask((to) =>
    to.PUT("/api/v1/projects/{project}/media/transforms/{transform}/jobs/{job}", {
      params: { path: here({ transform, job }) },
      body: {
        properties: {
          priority: "Normal",
          ...properties,
          input,
          outputs: outputs.map((assetName, at) => ({
            "@odata.type": "#Microsoft.Media.JobOutputAsset" as const,
            assetName,
            ...(overrides?.[at] === undefined ? {} : { presetOverride: overrides[at] }),
          })),
        },
      },
    }),
  );
}

/** `asset`: whose files are read; a file elsewhere can be read without one. */
export function EncodeForm({ asset, done }: { asset: string | null; done: (transform: string, job: string) => void }) {
  const transforms = useTransforms();
  return (
    <Await of={transforms}>
      {({ value }) =>
        value.length === 0 ? (
          <Empty title="No transforms yet">
            <p>A transform says what is made of a film.</p>
            <a class="button" href={href(["transforms"])}>
              Make one
            </a>
          </Empty>
        ) : (
          <Fields asset={asset} transforms={value} done={done} />
        )
      }
    </Await>
  );
}

interface Draft {
  transform: string;
  job: string;
  outputs: string[];
  files: string[];
  sequence: boolean;
  urls: string;
  clip: "none" | "film" | "clock";
  start: string;
  end: string;
  priority: string;
  tracks: "all" | "video" | "audio" | "language";
  language: string;
  description: string;
  /** As `pairText` writes them. */
  correlation: string;
  /** Presets as JSON, by output; empty for the transform's. */
  overrides: string[];
}

/** A time in the film as the API takes it; undefined where nothing is typed. */
function inFilm(text: string, field: string): { "@odata.type": "#Microsoft.Media.AbsoluteClipTime"; time: string } | undefined {
  if (text.trim() === "") return undefined;
  const time = timeInFilm(text);
  if (time === null) throw new Failure("invalid", "A time is such as 90, 1:30.5, 1:02:03 or PT1M30S.", field);
  return { "@odata.type": "#Microsoft.Media.AbsoluteClipTime", time };
}

function onClock(text: string): { "@odata.type": "#Microsoft.Media.UtcClipTime"; time: string } | undefined {
  return text === "" ? undefined : { "@odata.type": "#Microsoft.Media.UtcClipTime", time: new Date(text).toISOString() };
}

function defined<T extends object>(members: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as { [K in keyof T]?: Exclude<T[K], undefined> };
}

/** What is used of the tracks that the files have. */
function tracksOf({ tracks, language }: Draft): Pick<AssetInput, "inputDefinitions"> {
  const video = { "@odata.type": "#Microsoft.Media.VideoTrackDescriptor" };
  const audio = { "@odata.type": "#Microsoft.Media.AudioTrackDescriptor" };
  const spoken = {
    "@odata.type": "#Microsoft.Media.SelectAudioTrackByAttribute",
    attribute: "Language",
    filter: "ValueEquals",
    filterValue: language.trim(),
  };
  const included = { all: [], video: [video], audio: [audio], language: [video, spoken] }[tracks];
  return included.length === 0 ? {} : { inputDefinitions: [{ "@odata.type": "#Microsoft.Media.FromAllInputFile", includedTracks: included }] };
}

function overrideOf(text: string, at: number): Override | undefined {
  if (text.trim() === "") return undefined;
  try {
    return JSON.parse(text) as Override;
  } catch (thrown) {
    throw new Failure("invalid", `This is not JSON: ${thrown instanceof Error ? thrown.message : ""}`, `outputs[${at}].presetOverride`);
  }
}

function inputOf(asset: string | null, draft: Draft): Input {
  const tracks = tracksOf(draft);
  const film = draft.clip === "film" ? { start: inFilm(draft.start, "start"), end: inFilm(draft.end, "end") } : {};
  if (asset === null) {
    const files = draft.urls.split(/\s+/).filter(Boolean);
    return { "@odata.type": "#Microsoft.Media.JobInputHttp", files, ...defined(film), ...tracks };
  }
  const { files } = draft;
  if (draft.sequence && files.length > 1) {
    return { "@odata.type": "#Microsoft.Media.JobInputSequence", inputs: files.map((file) => assetInput(asset, { files: [file], ...tracks })) };
  }
  const times = draft.clip === "clock" ? { start: onClock(draft.start), end: onClock(draft.end) } : film;
  return assetInput(asset, { files, ...defined(times), ...tracks });
}

function Fields({ asset, transforms, done }: { asset: string | null; transforms: Schemas["Transform"][]; done: (transform: string, job: string) => void }) {
  const short = stamp();
  const stem = asset ?? "film";
  const [draft, change, clear] = useDraft<Draft>(`encode-${asset ?? ""}`, {
    transform: transforms[0]?.name ?? "",
    job: `${stem}-${short}`,
    outputs: [`${stem}-encoded-${short}`],
    files: [],
    sequence: false,
    urls: "",
    clip: "none",
    start: "",
    end: "",
    priority: "Normal",
    tracks: "all",
    language: "",
    description: "",
    correlation: "",
    overrides: [],
  });
  const contents = useLoad(
    async () =>
      asset === null
        ? []
        : (await ask((to) => to.GET("/api/v1/projects/{project}/media/assets/{asset}/storage", { params: { path: here({ asset }) } }))).spec.files,
    [asset],
  );
  const made = transforms.find(({ name }) => name === draft.transform)?.properties.outputs ?? [];
  // One for each thing that the transform makes; what was typed for others is kept in case it is chosen again.
  const outputs = outputNames(made, draft.outputs[0] ?? stem).map((name, at) => draft.outputs[at] ?? name);
  const sequence = asset !== null && draft.sequence && draft.files.length > 1;
  const toggle = (file: string, on: boolean) => change({ files: on ? [...draft.files, file] : draft.files.filter((one) => one !== file) });
  return (
    <Form
      label="Start encode"
      done="Encode started"
      submit={async () => {
        const correlationData = pairsOf(draft.correlation, "correlationData");
        await submitJob(draft.transform, draft.job, inputOf(asset, draft), outputs, {
          priority: draft.priority as Schemas["JobProperties"]["priority"],
          ...(draft.description === "" ? {} : { description: draft.description }),
          ...(Object.keys(correlationData).length === 0 ? {} : { correlationData }),
          overrides: outputs.map((_, at) => overrideOf(draft.overrides[at] ?? "", at)),
        });
      }}
      then={() => (clear(), done(draft.transform, draft.job))}
    >
      <Select label="Transform" value={draft.transform} change={(transform) => change({ transform })} options={transforms.map(({ name }) => name)} />
      {asset === null ? (
        <Area
          label="Addresses of the files"
          name="files.*"
          required
          rows={3}
          value={draft.urls}
          change={(urls) => change({ urls })}
          hint="https://…, a line each. The tracks of several are taken together. The worker fetches them; what follows a question mark is shown to nobody."
        />
      ) : (
        <>
          <fieldset class="choice">
            <legend>Files</legend>
            {(contents.value ?? []).map(({ name }) => (
              <Check key={name} label={name} checked={draft.files.includes(name)} change={(on) => toggle(name, on)} />
            ))}
            <small class="meta">
              {draft.files.length === 0
                ? "None chosen: the only media file, or what the asset's manifest names."
                : `In this order: ${draft.files.join(", ")}`}
            </small>
          </fieldset>
          {draft.files.length > 1 && (
            <Choice
              legend="Several files are"
              value={draft.sequence ? "sequence" : "together"}
              change={(how) => change({ sequence: how === "sequence" })}
              options={[
                { value: "together", label: "Tracks of one film", hint: "Picture of one, sound of another." },
                { value: "sequence", label: "One after the other", hint: "In the size and frame rate of the first." },
              ]}
            />
          )}
        </>
      )}
      {!sequence && (
        <>
          <Select
            label="How much of it"
            value={draft.clip}
            change={(clip) => change({ clip: clip as Draft["clip"], start: "", end: "" })}
            options={[["none", "All"], ["film", "From a time to a time"], ...(asset === null ? [] : [["clock", "From a time of day to another (recordings)"] as [string, string]])]}
          />
          {draft.clip === "film" && (
            <div class="columns">
              <Text label="From" name="start.*" value={draft.start} change={(start) => change({ start })} placeholder="0:00" hint="Such as 1:30.5; empty: the beginning." />
              <Text label="To" name="end.*" value={draft.end} change={(end) => change({ end })} hint="Empty: the end." />
            </div>
          )}
          {draft.clip === "clock" && (
            <div class="columns times">
              <Text label="From" name="start.*" type="datetime-local" step="0.001" value={draft.start} change={(start) => change({ start })} />
              <Text label="To" name="end.*" type="datetime-local" step="0.001" value={draft.end} change={(end) => change({ end })} />
            </div>
          )}
        </>
      )}
      <Text label="Job name" required value={draft.job} change={(job) => change({ job })} hint={NAME_HINT} />
      {outputs.map((output, at) => (
        <Text
          key={at}
          label={outputs.length === 1 ? "Output asset" : `Output asset ${at + 1}`}
          name={`outputs[${at}].assetName`}
          required
          value={output}
          change={(name) => change({ outputs: outputs.map((one, index) => (index === at ? name : one)) })}
          hint={outputs.length === 1 ? "Made for what comes out." : `For: ${made[at] === undefined ? "" : presetLabel(made[at].preset)}`}
        />
      ))}
      <Select label="Priority" name="priority" value={draft.priority} change={(priority) => change({ priority })} options={["Low", "Normal", "High"]} />
      <details>
        <summary>More</summary>
        <Select
          label="Which tracks are read"
          name="inputDefinitions.*"
          value={draft.tracks}
          change={(tracks) => change({ tracks: tracks as Draft["tracks"] })}
          options={[
            ["all", "All"],
            ["language", "Pictures, and sound in one language"],
            ["video", "Pictures only"],
            ["audio", "Sound only"],
          ]}
        />
        {draft.tracks === "language" && (
          <Text label="Language" required value={draft.language} change={(language) => change({ language })} placeholder="de" hint="As the file has it, such as de or deu." />
        )}
        <Area label="Description" name="description" rows={2} value={draft.description} change={(description) => change({ description })} />
        <Area
          label="Correlation data"
          name="correlationData.*"
          rows={2}
          value={draft.correlation}
          change={(correlation) => change({ correlation })}
          hint="For your own programs, which find it with the job and in what webhooks send. A line each: order=4711"
        />
        {outputs.map((_, at) => (
          <Area
            key={at}
            label={outputs.length === 1 ? "Another preset, for this once (JSON)" : `Another preset for output ${at + 1}, for this once (JSON)`}
            name={`outputs[${at}].presetOverride.*`}
            rows={2}
            code
            value={draft.overrides[at] ?? ""}
            change={(text) => change({ overrides: outputs.map((_, index) => (index === at ? text : (draft.overrides[index] ?? ""))) })}
            hint="In place of the transform's. Empty: the transform's."
          />
        ))}
      </details>
    </Form>
  );
}
