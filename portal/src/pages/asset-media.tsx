/** What is in an asset: its files, and its tracks with captions. */

import type { Schemas } from "../api/client";
import { href } from "../app/router";
import { ask, here, may, project } from "../app/session";
import { bytes } from "../format";
import { Check, Form, Select, Text } from "../ui/form";
import { Table } from "../ui/list";
import { useDraft, useLoad } from "../ui/load";
import { Confirm, Opener, Section } from "../ui/parts";
import { Await, Empty } from "../ui/states";
import { uploads } from "../upload/uploads";

export function Contents({ asset, turn }: { asset: string; turn: number }) {
  const finished = uploads.value.filter((one) => one.asset === asset && one.project === project.value && one.state === "done").length;
  const storage = useLoad(
    () => ask((to) => to.GET("/api/v1/projects/{project}/media/assets/{asset}/storage", { params: { path: here({ asset }) } })),
    [asset],
    () => null,
    turn + finished,
  );
  // Where a live output keeps what it has recorded.
  const recorded = storage.value?.spec.folders.some(({ name }) => name.endsWith(".live")) === true;
  return (
    <Section
      title="Contents"
      actions={
        recorded && (
          <a class="button small plain" href={href(["clip", asset])}>
            Clip the recording
          </a>
        )
      }
    >
      <Await of={storage}>
        {({ spec: { files, folders } }) =>
          files.length + folders.length === 0 ? (
            <Empty title="No files yet" />
          ) : (
            <Table
              label="Files"
              items={[...folders.map(({ name }) => ({ name: `${name}/`, size: null })), ...files]}
              id={({ name }) => name}
              columns={[
                { head: "File", long: true, cell: ({ name }) => name },
                { head: "Size", end: true, cell: ({ size }) => (size === null ? "" : bytes(size)) },
              ]}
            />
          )
        }
      </Await>
    </Section>
  );
}

type Track = Schemas["AssetTrack"];

function kindOf({ properties: { track } }: Track): "Picture" | "Sound" | "Captions" {
  if (track["@odata.type"] === "#Microsoft.Media.TextTrack") return "Captions";
  return track["@odata.type"] === "#Microsoft.Media.AudioTrack" ? "Sound" : "Picture";
}

export function Tracks({ asset, turn }: { asset: string; turn: number }) {
  const tracks = useLoad(
    () => ask((to) => to.GET("/api/v1/projects/{project}/media/assets/{asset}/tracks", { params: { path: here({ asset }) } })),
    [asset],
    () => null,
    turn,
  );
  const remove = (track: string) => () =>
    ask((to) => to.DELETE("/api/v1/projects/{project}/media/assets/{asset}/tracks/{track}", { params: { path: here({ asset, track }) } }));
  return (
    <Section
      title="Tracks and captions"
      actions={
        <Opener label="Add captions or sound" kind="plain" disabled={!may("Asset", "write")}>
          {(close) => <TrackForm asset={asset} done={() => (close(), tracks.reload())} />}
        </Opener>
      }
    >
      <Await of={tracks}>
        {({ value }) =>
          value.length === 0 ? (
            <Empty title="No tracks">
              <p>Tracks are found in media that can be streamed: encode the asset, or upload an MP4 file and publish it.</p>
            </Empty>
          ) : (
            <Table<Track>
              label="Tracks"
              items={value}
              id={({ name }) => name}
              columns={[
                { head: "Track", cell: ({ name }) => name },
                { head: "Kind", cell: kindOf },
                {
                  head: "Language",
                  cell: ({ properties: { track } }) => ("languageCode" in track ? (track.languageCode ?? "") : ""),
                },
                { head: "Shown as", cell: ({ properties: { track } }) => ("displayName" in track ? (track.displayName ?? "") : "") },
                { head: "File", cell: ({ properties: { track } }) => ("fileName" in track ? (track.fileName ?? "") : "") },
                {
                  head: "Actions",
                  cell: (track) =>
                    kindOf(track) === "Picture" ? null : (
                      <Confirm
                        label="Remove"
                        disabled={!may("Asset", "write")}
                        question={`Remove ${track.name}?`}
                        consequence="Players do not offer it any more. The file stays."
                        done="Track removed"
                        run={remove(track.name)}
                        then={tracks.reload}
                      />
                    ),
                },
              ]}
            />
          )
        }
      </Await>
    </Section>
  );
}

function TrackForm({ asset, done }: { asset: string; done: () => void }) {
  const [draft, change, clear] = useDraft(`track-${asset}`, {
    kind: "#Microsoft.Media.TextTrack",
    name: "",
    fileName: "",
    languageCode: "",
    displayName: "",
    isDefault: false,
    forced: false,
  });
  const files = useLoad(
    () => ask((to) => to.GET("/api/v1/projects/{project}/media/assets/{asset}/storage", { params: { path: here({ asset }) } })),
    [asset],
  );
  const text = draft.kind === "#Microsoft.Media.TextTrack";
  const fitting = (files.value?.spec.files ?? []).map(({ name }) => name).filter((name) => (text ? /\.(vtt|ttml|xml|srt|mp4)$/i : /\.(mp4|m4a)$/i).test(name));
  return (
    <Form
      label="Add track"
      done="Track added"
      submit={() => {
        const common = {
          fileName: draft.fileName,
          languageCode: draft.languageCode || null,
          displayName: draft.displayName || null,
          hlsSettings: { default: draft.isDefault, ...(text ? { forced: draft.forced } : {}) },
        };
        return ask((to) =>
          to.PUT("/api/v1/projects/{project}/media/assets/{asset}/tracks/{track}", {
            params: { path: here({ asset, track: draft.name }) },
            body: {
              properties: {
                track: text
                  ? { "@odata.type": "#Microsoft.Media.TextTrack", playerVisibility: "Visible", ...common }
                  : { "@odata.type": "#Microsoft.Media.AudioTrack", ...common },
              },
            },
          }),
        );
      }}
      then={() => (clear(), done())}
    >
      <Select
        label="Kind"
        value={draft.kind}
        change={(kind) => change({ kind })}
        options={[
          ["#Microsoft.Media.TextTrack", "Captions or subtitles"],
          ["#Microsoft.Media.AudioTrack", "Sound"],
        ]}
      />
      <Text label="Name" required value={draft.name} change={(name) => change({ name })} hint="Of the track in this asset: captions-en" />
      <Text
        label="File"
        name="fileName"
        required
        list={fitting}
        value={draft.fileName}
        change={(fileName) => change({ fileName })}
        hint={text ? "In this asset: upload the WebVTT or TTML file first." : "In this asset: an MP4 file with sound."}
      />
      <Text label="Language" name="languageCode" value={draft.languageCode} change={(languageCode) => change({ languageCode })} hint="en, de, pt-BR" />
      <Text label="Shown as" name="displayName" value={draft.displayName} change={(displayName) => change({ displayName })} hint="What players call it: English" />
      <Check label="On by default" checked={draft.isDefault} change={(isDefault) => change({ isDefault })} />
      {text && <Check label="Forced" hint="Shown even to those who have captions off." checked={draft.forced} change={(forced) => change({ forced })} />}
    </Form>
  );
}
