/** Filters: parts of what is published, by time and quality. The project's own, and those of one asset. */

import type { Schemas } from "../api/client";
import { ask, barred, here } from "../app/session";
import { clock } from "../format";
import { Check, Form, NAME_HINT, Select, Text } from "../ui/form";
import { Table } from "../ui/list";
import { useDraft, useLoad, type Loaded } from "../ui/load";
import { Confirm, Heading, Opener } from "../ui/parts";
import { Await, Empty } from "../ui/states";
import { changesOf, draftOf, propertiesOf, said, simple, type Condition, type FilterTrack } from "./filter-draft";

type Filter = Schemas["Filter"];
interface Place {
  key: string;
  put(name: string, body: Schemas["FilterWrite"]): Promise<unknown>;
  patch(name: string, body: Schemas["FilterWrite"]): Promise<unknown>;
  remove(name: string): Promise<unknown>;
}

export function FiltersPage() {
  const list = useLoad(
    () => ask((to) => to.GET("/api/v1/projects/{project}/media/accountFilters", { params: { path: here({}), query: { $top: 200 } } })),
    [],
  );
  const place: Place = {
    key: "project",
    put: (filter, body) =>
      ask((to) => to.PUT("/api/v1/projects/{project}/media/accountFilters/{filter}", { params: { path: here({ filter }) }, body })),
    patch: (filter, body) =>
      ask((to) => to.PATCH("/api/v1/projects/{project}/media/accountFilters/{filter}", { params: { path: here({ filter }) }, body })),
    remove: (filter) =>
      ask((to) => to.DELETE("/api/v1/projects/{project}/media/accountFilters/{filter}", { params: { path: here({ filter }) } })),
  };
  return (
    <>
      <Heading title="Filters">
        <NewFilter place={place} done={list.reload} />
      </Heading>
      <p class="meta">For all assets of the project. Filters of one asset stand on its page. Name them when you publish, or in an address: filter=name.</p>
      <div class="list">
        <Shown list={list} place={place} />
      </div>
    </>
  );
}

export function AssetFilters({ asset }: { asset: string }) {
  const list = useLoad(
    () => ask((to) => to.GET("/api/v1/projects/{project}/media/assets/{asset}/assetFilters", { params: { path: here({ asset }) } })),
    [asset],
  );
  const place: Place = {
    key: asset,
    put: (filter, body) =>
      ask((to) =>
        to.PUT("/api/v1/projects/{project}/media/assets/{asset}/assetFilters/{filter}", { params: { path: here({ asset, filter }) }, body }),
      ),
    patch: (filter, body) =>
      ask((to) =>
        to.PATCH("/api/v1/projects/{project}/media/assets/{asset}/assetFilters/{filter}", { params: { path: here({ asset, filter }) }, body }),
      ),
    remove: (filter) =>
      ask((to) =>
        to.DELETE("/api/v1/projects/{project}/media/assets/{asset}/assetFilters/{filter}", { params: { path: here({ asset, filter }) } }),
      ),
  };
  return (
    <>
      <Shown list={list} place={place} />
      <div class="actions">
        <NewFilter place={place} done={list.reload} />
      </div>
    </>
  );
}

function range({ properties: { presentationTimeRange: time } }: Filter): string {
  if (time == null) return "all";
  const scale = said(time.timescale) ?? 10_000_000;
  const at = (number: number | null | undefined) => {
    const ticks = said(number);
    return ticks === null ? "" : clock(ticks / scale);
  };
  if (said(time.presentationWindowDuration) !== null) return `the last ${at(time.presentationWindowDuration)}`;
  return `${at(time.startTimestamp) || "begin"} to ${at(time.endTimestamp) || "end"}`;
}

function conditions({ properties }: Filter): string {
  return (properties.tracks ?? [])
    .map(({ trackSelections }) => trackSelections.map(({ property, operation, value }) => `${property} ${operation === "Equal" ? "is" : "is not"} ${value}`).join(" and "))
    .join("; or ");
}

function Shown({ list, place }: { list: Loaded<Schemas["FilterPage"]>; place: Place }) {
  return (
    <Await of={list}>
      {({ value }) =>
        value.length === 0 ? (
          <Empty title="No filters yet" />
        ) : (
          <Table<Filter>
            label="Filters"
            items={value}
            id={({ name }) => name}
            columns={[
              { head: "Name", cell: ({ name }) => name },
              { head: "Time", cell: range },
              { head: "Tracks", cell: (filter) => conditions(filter) || "all" },
              { head: "First quality", cell: ({ properties }) => (properties.firstQuality == null ? "" : `${Math.round(properties.firstQuality.bitrate / 1000)} kbit/s`) },
              {
                head: "Actions",
                cell: (filter) => (
                  <>
                    <Opener label="Edit" kind="plain" title={`Edit ${filter.name}`} disabled={barred("Filter", "write")}>
                      {(close) => <FilterForm of={filter} place={place} done={() => (close(), list.reload())} />}
                    </Opener>
                    <Confirm
                      label="Delete"
                      disabled={barred("Filter", "delete")}
                      question={`Delete ${filter.name}?`}
                      consequence="Addresses that name it answer that there is no such filter."
                      done="Filter deleted"
                      run={() => place.remove(filter.name)}
                      then={list.reload}
                    />
                  </>
                ),
              },
            ]}
          />
        )
      }
    </Await>
  );
}

function NewFilter({ place, done }: { place: Place; done: () => void }) {
  return (
    <Opener label="New filter" disabled={barred("Filter", "write")}>
      {(close) => <FilterForm place={place} done={() => (close(), done())} />}
    </Opener>
  );
}

/** `of`: the filter to change. */
function FilterForm({ of, place, done }: { of?: Filter; place: Place; done: () => void }) {
  const was = of?.properties ?? {};
  const [draft, change, clear] = useDraft(`filter-${place.key}-${of?.name ?? ""}`, draftOf(of?.name ?? "", was), of !== undefined);
  return (
    <Form
      label={of === undefined ? "Make filter" : "Save filter"}
      done={of === undefined ? "Filter made" : "Filter saved"}
      submit={() => {
        const properties = propertiesOf(draft, was);
        const changes = of === undefined ? null : changesOf(properties, was);
        return changes === null ? place.put(draft.name, { properties }) : place.patch(draft.name, { properties: changes });
      }}
      then={() => (clear(), done())}
    >
      {of === undefined && <Text label="Name" required hint={NAME_HINT} value={draft.name} change={(name) => change({ name })} />}
      <Text label="From (seconds)" name="startTimestamp" type="number" min={0} step="any" value={draft.start} change={(start) => change({ start })} />
      <Text label="To (seconds)" name="endTimestamp" type="number" min={0} step="any" value={draft.end} change={(end) => change({ end })} />
      <Text label="Best picture (kbit/s)" name="tracks.*" type="number" min={1} step="any" value={draft.most} change={(most) => change({ most })} hint="Qualities above are left out." />
      <Text label="Sound's language" value={draft.language} change={(language) => change({ language })} hint="Others are left out: en" />
      <Text label="First quality (kbit/s)" name="firstQuality.*" type="number" min={1} step="any" value={draft.first} change={(first) => change({ first })} hint="What players begin with." />
      <details open={draft.tracks.length > 0 || draft.window !== "" || draft.backoff !== "" || draft.forceEnd}>
        <summary>More</summary>
        <Text
          label="Window (seconds)"
          name="presentationWindowDuration"
          type="number"
          min={0}
          step="any"
          value={draft.window}
          change={(window) => change({ window })}
          hint="Of a live event: how far back one can go. 60 or more."
        />
        <Text
          label="Behind the live edge (seconds)"
          name="liveBackoffDuration"
          type="number"
          min={0}
          step="any"
          value={draft.backoff}
          change={(backoff) => change({ backoff })}
          hint="At most 300."
        />
        <Check
          label="End there also while it is live"
          name="forceEndTimestamp"
          checked={draft.forceEnd}
          change={(forceEnd) => change({ forceEnd })}
        />
        <Conditions tracks={draft.tracks} first={simple(draft).length} change={(tracks) => change({ tracks })} />
      </details>
    </Form>
  );
}

const PROPERTIES: [Condition["property"], string][] = [
  ["Type", "Kind"],
  ["Name", "Name"],
  ["Language", "Language"],
  ["FourCC", "Codec"],
  ["Bitrate", "Bit rate"],
];

/** Tracks that stay, each by conditions that hold together. `first`: how many come before them in the API's list. */
function Conditions({ tracks, first, change }: { tracks: FilterTrack[]; first: number; change: (tracks: FilterTrack[]) => void }) {
  const set = (at: number, trackSelections: Condition[]) =>
    change(trackSelections.length === 0 ? tracks.filter((_, index) => index !== at) : tracks.map((one, index) => (index === at ? { trackSelections } : one)));
  const plain: Condition = { property: "Language", operation: "Equal", value: "" };
  return (
    <div class="rows fields">
      {tracks.map(({ trackSelections: all }, at) => (
        <fieldset key={at} class="row">
          <legend>Tracks {at + 1}</legend>
          {all.map((one, index) => {
            const edit = (part: Partial<Condition>) => set(at, all.map((other, i) => (i === index ? { ...other, ...part } : other)));
            const path = `tracks[${first + at}].trackSelections[${index}]`;
            return (
              <div key={index} class="columns narrow">
                <Select
                  label="What"
                  name={`${path}.property`}
                  value={one.property}
                  change={(property) => edit({ property: property as Condition["property"] })}
                  options={PROPERTIES.some(([property]) => property === one.property) ? PROPERTIES : [...PROPERTIES, one.property]}
                />
                <Select
                  label="Has to be"
                  name={`${path}.operation`}
                  value={one.operation}
                  change={(operation) => edit({ operation: operation as Condition["operation"] })}
                  options={[["Equal", "is"], ["NotEqual", "is not"]]}
                />
                <Text label="This" name={`${path}.value`} required value={one.value} change={(value) => edit({ value })} />
                <div class="actions">
                  <button type="button" class="small plain" aria-label={`Remove condition ${index + 1} of tracks ${at + 1}`} onClick={() => set(at, all.filter((_, i) => i !== index))}>
                    Remove
                  </button>
                </div>
              </div>
            );
          })}
          <button type="button" class="small plain" aria-label={`Another condition of tracks ${at + 1}`} onClick={() => set(at, [...all, plain])}>
            And
          </button>
        </fieldset>
      ))}
      {tracks.length > 0 && <small class="meta">Kinds are Video, Audio and Text; codecs as FourCC: hvc1. Bit rates are in bit/s, or two of them: 0-1500000.</small>}
      <button type="button" class="small plain" onClick={() => change([...tracks, { trackSelections: [plain] }])}>
        Only certain tracks
      </button>
    </div>
  );
}
