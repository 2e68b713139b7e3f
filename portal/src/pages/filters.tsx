/** Filters: parts of what is published, by time and quality. The project's own, and those of one asset. */

import type { Schemas } from "../api/client";
import { ask, here, may } from "../app/session";
import { clock } from "../format";
import { Form, NAME_HINT, Text } from "../ui/form";
import { Table } from "../ui/list";
import { useDraft, useLoad, type Loaded } from "../ui/load";
import { Confirm, Heading, Opener } from "../ui/parts";
import { Await, Empty } from "../ui/states";

type Filter = Schemas["Filter"];
interface Place {
  key: string;
  put(name: string, body: Schemas["FilterWrite"]): Promise<unknown>;
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
  const scale = time.timescale ?? 10_000_000;
  const at = (ticks: number | null | undefined) => (ticks == null ? "" : clock(ticks / scale));
  if (time.presentationWindowDuration != null) return `the last ${at(time.presentationWindowDuration)}`;
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
                cell: ({ name }) => (
                  <Confirm
                    label="Delete"
                    disabled={!may("Filter", "delete")}
                    question={`Delete ${name}?`}
                    consequence="Addresses that name it answer that there is no such filter."
                    done="Filter deleted"
                    run={() => place.remove(name)}
                    then={list.reload}
                  />
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
    <Opener label="New filter" disabled={!may("Filter", "write")}>
      {(close) => <FilterForm place={place} done={() => (close(), done())} />}
    </Opener>
  );
}

function FilterForm({ place, done }: { place: Place; done: () => void }) {
  const [draft, change, clear] = useDraft(`filter-${place.key}`, { name: "", start: "", end: "", most: "", first: "", language: "" });
  return (
    <Form
      label="Make filter"
      done="Filter made"
      submit={() => {
        const seconds = (text: string) => Math.round(Number(text) * 1000);
        const tracks: Schemas["FilterTrack"][] = [];
        if (draft.most !== "") {
          tracks.push({
            trackSelections: [
              { property: "Type", operation: "Equal", value: "Video" },
              { property: "Bitrate", operation: "Equal", value: `0-${Math.round(Number(draft.most) * 1000)}` },
            ],
          });
        }
        if (draft.language !== "") {
          tracks.push({
            trackSelections: [
              { property: "Type", operation: "Equal", value: "Audio" },
              { property: "Language", operation: "Equal", value: draft.language },
            ],
          });
        }
        return place.put(draft.name, {
          properties: {
            ...(draft.start === "" && draft.end === ""
              ? {}
              : {
                  presentationTimeRange: {
                    timescale: 1000,
                    ...(draft.start === "" ? {} : { startTimestamp: seconds(draft.start) }),
                    ...(draft.end === "" ? {} : { endTimestamp: seconds(draft.end) }),
                  },
                }),
            ...(draft.first === "" ? {} : { firstQuality: { bitrate: Math.round(Number(draft.first) * 1000) } }),
            ...(tracks.length === 0 ? {} : { tracks }),
          },
        });
      }}
      then={() => (clear(), done())}
    >
      <Text label="Name" required hint={NAME_HINT} value={draft.name} change={(name) => change({ name })} />
      <Text label="From (seconds)" name="startTimestamp" type="number" min={0} step="any" value={draft.start} change={(start) => change({ start })} />
      <Text label="To (seconds)" name="endTimestamp" type="number" min={0} step="any" value={draft.end} change={(end) => change({ end })} />
      <Text label="Best picture (kbit/s)" name="tracks.*" type="number" min={1} step="any" value={draft.most} change={(most) => change({ most })} hint="Qualities above are left out." />
      <Text label="Sound's language" value={draft.language} change={(language) => change({ language })} hint="Others are left out: en" />
      <Text label="First quality (kbit/s)" name="firstQuality.*" type="number" min={1} step="any" value={draft.first} change={(first) => change({ first })} hint="What players begin with." />
    </Form>
  );
}
