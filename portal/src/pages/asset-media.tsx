/** What is in an asset: its files, and its tracks with captions. */

import type { Schemas } from "../api/client";
import { Failure } from "../api/failure";
import { href } from "../app/router";
import { ask, barred, here, project } from "../app/session";
import { el } from "../dom";
import { bytes } from "../format";
import { Check, Form, Select, Text } from "../ui/form";
import { Table } from "../ui/list";
import { useDraft, useLoad } from "../ui/load";
import { Act, Confirm, Opener, Section } from "../ui/parts";
import { Await, Empty } from "../ui/states";
import { blobUrl } from "../upload/plan";
import { uploads } from "../upload/uploads";

/** A link to a file is good that long. */
const LINK_MS = 3600_000;

/** Straight from storage, in a tab of its own: what a browser can show it shows there. */
async function download(asset: string, name: string): Promise<void> {
  const { assetContainerSasUrls } = await ask((to) =>
    to.POST("/api/v1/projects/{project}/media/assets/{asset}/listContainerSas", {
      params: { path: here({ asset }) },
      body: { permissions: "Read", expiryTime: new Date(Date.now() + LINK_MS).toISOString() },
    }),
  );
  const [container] = assetContainerSasUrls;
  if (container === undefined) throw new Failure("missing", "The asset has no container.");
  el("a", { href: blobUrl(container, name), download: name.split("/").at(-1), target: "_blank", rel: "noopener noreferrer" }).click();
}

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
                {
                  head: "Actions",
                  cell: ({ name, size }) =>
                    size === null ? null : (
                      <Act label="Download" done={`${name} opens`} disabled={barred("Asset", "reveal")} run={() => download(asset, name)} />
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

type Track = Schemas["AssetTrack"];

function kindOf({ properties: { track } }: Track): "Picture" | "Sound" | "Captions" {
  if (track["@odata.type"] === "#Microsoft.Media.TextTrack") return "Captions";
  return track["@odata.type"] === "#Microsoft.Media.AudioTrack" ? "Sound" : "Picture";
}

/** It came with the media, which stays as it is; what was added can be changed. Sound alone tells. */
function ofMedia({ properties: { track } }: Track): boolean {
  return "bitRate" in track;
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
        <Opener label="Add captions or sound" kind="plain" disabled={barred("Asset", "write")}>
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
                    kindOf(track) === "Picture" || ofMedia(track) ? null : (
                      <>
                        <Opener label="Edit" kind="plain" title={`Edit ${track.name}`} disabled={barred("Asset", "write")}>
                          {(close) => <TrackForm asset={asset} of={track} done={() => (close(), tracks.reload())} />}
                        </Opener>
                        <Act
                          label="Read file again"
                          disabled={barred("Asset", "act")}
                          done={`The file of ${track.name} is read again`}
                          run={() =>
                            ask((to) =>
                              to.POST("/api/v1/projects/{project}/media/assets/{asset}/tracks/{track}/updateTrackData", {
                                params: { path: here({ asset, track: track.name }) },
                              }),
                            )
                          }
                        />
                        <Confirm
                          label="Remove"
                          disabled={barred("Asset", "write")}
                          question={`Remove ${track.name}?`}
                          consequence="Players do not offer it any more. The file stays."
                          done="Track removed"
                          run={remove(track.name)}
                          then={tracks.reload}
                        />
                      </>
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

interface TrackDraft {
  kind: Track["properties"]["track"]["@odata.type"];
  name: string;
  fileName: string;
  languageCode: string;
  displayName: string;
  isDefault: boolean;
  forced: boolean;
  characteristics: string;
  role: string;
  offered: boolean;
}

function trackDraft(of: Track | undefined): TrackDraft {
  const track = (of?.properties.track ?? {}) as Partial<Omit<Schemas["TextTrack"], "@odata.type"> & Omit<Schemas["AudioTrack"], "@odata.type">>;
  return {
    kind: of?.properties.track["@odata.type"] ?? "#Microsoft.Media.TextTrack",
    name: of?.name ?? "",
    fileName: track.fileName ?? "",
    languageCode: track.languageCode ?? "",
    displayName: track.displayName ?? "",
    isDefault: track.hlsSettings?.default ?? false,
    forced: track.hlsSettings?.forced ?? false,
    characteristics: track.hlsSettings?.characteristics ?? "",
    role: track.dashSettings?.role ?? "",
    offered: track.playerVisibility !== "Hidden",
  };
}

function sameAs(draft: TrackDraft, was: TrackDraft, ...members: (keyof TrackDraft)[]): boolean {
  return members.every((member) => draft[member] === was[member]);
}

/** A track's members, without its kind and file. `was`: those that are as before are left out. */
function trackMembers(draft: TrackDraft, was: TrackDraft | null) {
  const differs = (...members: (keyof TrackDraft)[]) => was === null || !sameAs(draft, was, ...members);
  const text = draft.kind === "#Microsoft.Media.TextTrack";
  return {
    ...(differs("languageCode") ? { languageCode: draft.languageCode || null } : {}),
    ...(differs("displayName") ? { displayName: draft.displayName || null } : {}),
    ...(differs("isDefault", "forced", "characteristics")
      ? { hlsSettings: { default: draft.isDefault, ...(text ? { forced: draft.forced } : {}), characteristics: draft.characteristics || null } }
      : {}),
    ...(text && differs("offered") ? { playerVisibility: draft.offered ? ("Visible" as const) : ("Hidden" as const) } : {}),
    ...(!text && differs("role") && (was !== null || draft.role !== "") ? { dashSettings: { role: draft.role || null } } : {}),
  };
}

/** `of`: the track to change; its kind and file stay. */
function TrackForm({ asset, of, done }: { asset: string; of?: Track; done: () => void }) {
  const [draft, change, clear, was] = useDraft(`track-${asset}-${of?.name ?? ""}`, trackDraft(of), of !== undefined);
  const files = useLoad(
    () => ask((to) => to.GET("/api/v1/projects/{project}/media/assets/{asset}/storage", { params: { path: here({ asset }) } })),
    [asset],
  );
  const text = draft.kind === "#Microsoft.Media.TextTrack";
  const fitting = (files.value?.spec.files ?? []).map(({ name }) => name).filter((name) => (text ? /\.(vtt|ttml|xml|srt|mp4)$/i : /\.(mp4|m4a)$/i).test(name));
  const params = { params: { path: here({ asset, track: draft.name }) } };
  const submit = () => {
    // What was there and is taken back goes with a PUT alone: to PATCH, nothing is what stays as it is.
    const emptied = of !== undefined && (["languageCode", "displayName"] as const).some((member) => was[member] !== "" && draft[member] === "");
    if (of !== undefined && !emptied) {
      const track = { "@odata.type": draft.kind, ...trackMembers(draft, was) } as Schemas["TextTrackUpdate"] | Schemas["AudioTrackUpdate"];
      return ask((to) => to.PATCH("/api/v1/projects/{project}/media/assets/{asset}/tracks/{track}", { ...params, body: { properties: { track } } }));
    }
    const kept = of !== undefined && "mpeg4TrackId" in of.properties.track ? { mpeg4TrackId: of.properties.track.mpeg4TrackId } : {};
    const track = { "@odata.type": draft.kind, fileName: draft.fileName, ...kept, ...trackMembers(draft, null) } as Schemas["TextTrackWrite"] | Schemas["AudioTrackWrite"];
    return ask((to) => to.PUT("/api/v1/projects/{project}/media/assets/{asset}/tracks/{track}", { ...params, body: { properties: { track } } }));
  };
  return (
    <Form label={of === undefined ? "Add track" : "Save track"} done={of === undefined ? "Track added" : "Track saved"} submit={submit} then={() => (clear(), done())}>
      {of === undefined && (
        <>
          <Select
            label="Kind"
            value={draft.kind}
            change={(kind) => change({ kind: kind as TrackDraft["kind"] })}
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
        </>
      )}
      <Text label="Language" name="languageCode" value={draft.languageCode} change={(languageCode) => change({ languageCode })} hint="en, de, pt-BR" />
      <Text label="Shown as" name="displayName" value={draft.displayName} change={(displayName) => change({ displayName })} hint="What players call it: English" />
      <Check label="On by default" checked={draft.isDefault} change={(isDefault) => change({ isDefault })} />
      {text && <Check label="Forced" hint="Shown even to those who have captions off." checked={draft.forced} change={(forced) => change({ forced })} />}
      {text && <Check label="Offered to viewers" name="playerVisibility" hint="Otherwise players do not see it." checked={draft.offered} change={(offered) => change({ offered })} />}
      <details>
        <summary>More</summary>
        <Text
          label="Characteristics in HLS"
          name="characteristics"
          value={draft.characteristics}
          change={(characteristics) => change({ characteristics })}
          hint={text ? "public.accessibility.transcribes-spoken-dialog" : "public.accessibility.describes-video"}
        />
        {!text && <Text label="Role in DASH" name="dashSettings.role" value={draft.role} change={(role) => change({ role })} hint="alternate, commentary, dub" />}
      </details>
    </Form>
  );
}
