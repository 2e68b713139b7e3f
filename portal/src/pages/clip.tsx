/**
 * Clips of a recording, while it goes on and afterwards. As a link: a filter of its asset holds the times, and a locator of its
 * own applies it; nothing is copied. As a file: a job makes an asset of its own.
 *
 * A recording's media times are times of day (seconds since 1970), so the same marks hold whatever the player shows.
 */

import { useRef } from "preact/hooks";
import type { Schemas } from "../api/client";
import { Failure } from "../api/failure";
import { readLocations } from "../api/streams";
import { go, href } from "../app/router";
import type { PageProps } from "../app/routes";
import { ask, barred, here, may } from "../app/session";
import { clock, fieldTime, preciseMoment } from "../format";
import { Screen } from "../player/screen";
import { Choice, Form, NAME_HINT, Select, Text } from "../ui/form";
import { quoted, Table } from "../ui/list";
import { useDraft, useLoad } from "../ui/load";
import { Confirm, Heading, Section } from "../ui/parts";
import { Await, Empty } from "../ui/states";
import { assetInput, outputNames, stamp, submitJob, useTransforms } from "./encode";
import { said } from "./filter-draft";
import { CLEAR, policyLabel, publish } from "./publish";

type Locator = Schemas["StreamingLocator"];

/** In milliseconds since 1970. */
export interface Clip {
  locator: string;
  filter: string;
  startMs: number;
  endMs: number;
}

/** Who may watch. */
interface Policy {
  streaming: string;
  keys: string | null;
}

/** The times of a filter that has both. */
export function timesOf({ properties: { presentationTimeRange: range } }: Schemas["Filter"]): { startMs: number; endMs: number } | null {
  const [start, end] = [said(range?.startTimestamp), said(range?.endTimestamp)];
  if (start === null || end === null) return null;
  const perMs = (said(range?.timescale) ?? 10_000_000) / 1000;
  return { startMs: start / perMs, endMs: end / perMs };
}

export function clipsOf(locators: Locator[], filters: Schemas["Filter"][]): Clip[] {
  return locators.flatMap(({ name, properties }) => {
    const filter = filters.find((one) => properties.filters.includes(one.name) && timesOf(one) !== null);
    const times = filter === undefined ? null : timesOf(filter);
    return filter === undefined || times === null ? [] : [{ locator: name, filter: filter.name, ...times }];
  });
}

async function readRecording(asset: string) {
  const [locators, filters] = await Promise.all([
    ask((to) =>
      to.GET("/api/v1/projects/{project}/media/streamingLocators", {
        params: { path: here({}), query: { $filter: `properties/assetName eq ${quoted(asset)}`, $top: 200 } },
      }),
    ),
    ask((to) => to.GET("/api/v1/projects/{project}/media/assets/{asset}/assetFilters", { params: { path: here({ asset }) } })),
  ]);
  const whole = locators.value.filter(({ properties }) => properties.filters.length === 0);
  const source = whole[0];
  return {
    clips: clipsOf(locators.value, filters.value),
    policies: whole.map(({ properties }): Policy => ({ streaming: properties.streamingPolicyName, keys: properties.defaultContentKeyPolicyName ?? null })),
    streams: source === undefined ? null : (await readLocations(source.name)).streams,
  };
}

export function ClipPage({ path }: PageProps) {
  const asset = path[1] ?? "";
  const known = useLoad(
    () => readRecording(asset),
    [asset],
    // A recording that has just begun has nothing to show yet.
    ({ streams }) => (streams?.length === 0 ? 3000 : null),
  );
  const picture = useRef<() => number | null>(() => null);
  return (
    <>
      <Heading title={`Clips of ${asset}`} back={[href(["assets", asset]), asset]} />
      <Await of={known}>
        {({ clips, policies, streams }) => (
          <>
            {streams === null ? (
              <Empty title="The recording is not published">
                <p>
                  Publish it on <a href={href(["assets", asset])}>its page</a> to mark times in the picture. Times can be typed all the same.
                </p>
              </Empty>
            ) : streams.length === 0 ? (
              <Empty title="Nothing to see yet">
                <p>The picture comes when the first seconds are recorded. This page looks again by itself.</p>
              </Empty>
            ) : (
              <Screen streams={streams} label={`Recording ${asset}`} clock={picture} />
            )}
            <Section title="New clip">
              <ClipForm asset={asset} policies={policies} picture={streams === null || streams.length === 0 ? null : () => picture.current()} />
            </Section>
            <Section title="Clips">
              <Clips asset={asset} clips={clips} done={known.reload} />
            </Section>
          </>
        )}
      </Await>
    </>
  );
}

/** A transform that copies all renditions into MP4 files, named as its preset; made when it is first needed. */
const COPY = "CopyAllBitrateInterleaved";

async function needCopy(): Promise<void> {
  const known = await ask((to) => to.GET("/api/v1/projects/{project}/media/transforms", { params: { path: here({}), query: { $top: 200 } } }));
  if (known.value.some(({ name }) => name === COPY)) return;
  await ask((to) =>
    to.PUT("/api/v1/projects/{project}/media/transforms/{transform}", {
      params: { path: here({ transform: COPY }) },
      body: {
        properties: {
          description: "MP4 files of recordings and Smooth assets; nothing is encoded.",
          outputs: [{ preset: { "@odata.type": "#Microsoft.Media.BuiltInAssetConverterPreset", presetName: COPY } }],
        },
      },
    }),
  );
}

/** What a job takes of a recording. */
function cutOf(assetName: string, startMs: number, endMs: number): Parameters<typeof submitJob>[2] {
  const at = (ms: number) => ({ "@odata.type": "#Microsoft.Media.UtcClipTime" as const, time: new Date(ms).toISOString() });
  return assetInput(assetName, { files: [], start: at(startMs), end: at(endMs) });
}

const KINDS = [
  { value: "link", label: "A link", hint: "Addresses of its own. Nothing is copied; whole segments are shown, usually two seconds each." },
  { value: "copy", label: "A file, as it was recorded", hint: "MP4, a file per rendition. Nothing is encoded; it begins at the key frame before." },
  { value: "encode", label: "A file, encoded anew", hint: "Exact to the frame, and whatever the transform makes." },
];

const MORE: Record<string, string> = {
  link: ", and as much more as the segments at both ends hold",
  copy: ", and as much more as there is from the key frame before",
};

function ClipForm({ asset, policies, picture }: { asset: string; policies: Policy[]; picture: (() => number | null) | null }) {
  const [draft, change, clear] = useDraft(`clip-${asset}`, {
    start: "",
    end: "",
    name: `${asset}-clip-${stamp()}`,
    as: "link",
    policy: "0",
    transform: "",
  });
  const transforms = useTransforms();
  const known = transforms.value?.value ?? [];
  const encoders = known.map(({ name }) => name).filter((name) => name !== COPY);
  const encoder = draft.transform || (encoders[0] ?? "");
  const offered = [...policies, { streaming: CLEAR, keys: null }].filter(
    (one, at, all) => all.findIndex(({ streaming, keys }) => streaming === one.streaming && keys === one.keys) === at,
  );
  const mark = (which: "start" | "end") => {
    const ms = picture?.() ?? null;
    if (ms !== null) change({ [which]: fieldTime(ms) });
  };
  const [startMs, endMs] = [Date.parse(draft.start), Date.parse(draft.end)];
  return (
    <Form
      label="Make clip"
      done="Clip made"
      submit={async () => {
        if (!(startMs < endMs)) throw new Failure("invalid", "A clip ends after it begins.", "endTimestamp");
        if (draft.as !== "link") {
          if (draft.as === "copy") await needCopy();
          const made = draft.as === "copy" ? undefined : known.find(({ name }) => name === encoder);
          const assets = outputNames(made?.properties.outputs ?? [null], draft.name);
          await submitJob(draft.as === "copy" ? COPY : encoder, draft.name, cutOf(asset, startMs, endMs), assets);
          return;
        }
        const { streaming, keys } = offered[Number(draft.policy)] ?? { streaming: CLEAR, keys: null };
        await ask((to) =>
          to.PUT("/api/v1/projects/{project}/media/assets/{asset}/assetFilters/{filter}", {
            params: { path: here({ asset, filter: draft.name }) },
            // While the event goes on an end counts only when it is forced.
            body: { properties: { presentationTimeRange: { timescale: 1000, startTimestamp: startMs, endTimestamp: endMs, forceEndTimestamp: true } } },
          }),
        );
        await publish(asset, streaming, { filters: [draft.name], ...(keys === null ? {} : { defaultContentKeyPolicyName: keys }) }, draft.name);
      }}
      then={() => {
        const { name, as } = draft;
        clear();
        go(as === "link" ? ["watch", name] : ["jobs", as === "copy" ? COPY : encoder, name]);
      }}
    >
      {picture !== null && (
        <div class="actions">
          <button type="button" class="plain" onClick={() => mark("start")}>
            Begin at this picture
          </button>
          <button type="button" class="plain" onClick={() => mark("end")}>
            End at this picture
          </button>
        </div>
      )}
      <div class="columns times">
        <Text label="From" name="startTimestamp" type="datetime-local" step="0.001" required value={draft.start} change={(start) => change({ start })} />
        <Text label="To" name="endTimestamp" type="datetime-local" step="0.001" required value={draft.end} change={(end) => change({ end })} />
      </div>
      <Choice legend="What it becomes" value={draft.as} change={(as) => change({ as })} options={may("Job", "write") ? KINDS : KINDS.slice(0, 1)} />
      <p class="meta" aria-live="polite">
        {startMs < endMs && `${clock((endMs - startMs) / 1000)} long${MORE[draft.as] ?? ""}.`}
      </p>
      <Text label="Name" required hint={NAME_HINT} value={draft.name} change={(name) => change({ name })} />
      {draft.as === "encode" &&
        (encoders.length === 0 ? (
          <p>
            A transform says what is made of it: <a href={href(["transforms"])}>make one</a>.
          </p>
        ) : (
          <Select label="Transform" value={encoder} change={(transform) => change({ transform })} options={encoders} />
        ))}
      {draft.as === "link" && (
        <Select
          label="Who may watch"
          name="streamingPolicyName"
          value={draft.policy}
          change={(policy) => change({ policy })}
          options={offered.map(({ streaming, keys }, at): [string, string] => [
            String(at),
            `${policyLabel(streaming)}${keys === null ? "" : `, keys by ${keys}`}${at < policies.length ? ", as the recording" : ""}`,
          ])}
        />
      )}
    </Form>
  );
}

function Clips({ asset, clips, done }: { asset: string; clips: Clip[]; done: () => void }) {
  if (clips.length === 0) return <Empty title="No clips yet" />;
  return (
    <Table<Clip>
      label="Clips"
      items={clips}
      id={({ locator }) => locator}
      columns={[
        { head: "Name", cell: ({ locator }) => <a href={href(["locators", locator])}>{locator}</a> },
        { head: "From", cell: ({ startMs }) => preciseMoment(startMs) },
        { head: "Length", cell: ({ startMs, endMs }) => clock((endMs - startMs) / 1000) },
        {
          head: "Actions",
          cell: ({ locator, filter }) => (
            <>
              <a class="button small plain" href={href(["watch", locator])} aria-label={`Play ${locator}`}>
                Play
              </a>
              <Confirm
                label="Delete"
                disabled={barred("StreamingLocator", "delete") || barred("Filter", "delete")}
                question={`Delete ${locator}?`}
                consequence="Its addresses stop working. The recording stays."
                done="Clip deleted"
                run={async () => {
                  await ask((to) =>
                    to.DELETE("/api/v1/projects/{project}/media/streamingLocators/{locator}", { params: { path: here({ locator }) } }),
                  );
                  await ask((to) =>
                    to.DELETE("/api/v1/projects/{project}/media/assets/{asset}/assetFilters/{filter}", { params: { path: here({ asset, filter }) } }),
                  );
                }}
                then={done}
              />
            </>
          ),
        },
      ]}
    />
  );
}
