/** Assets: the list, and one with all that is in and around it. */

import { useState } from "preact/hooks";
import type { Schemas } from "../api/client";
import { go, href } from "../app/router";
import type { PageProps } from "../app/routes";
import { ask, barred, here, may, project } from "../app/session";
import { moment } from "../format";
import { Area, Form, NAME_HINT, Select, Text } from "../ui/form";
import { asPage, List, quoted } from "../ui/list";
import { useDraft, useLoad } from "../ui/load";
import { Confirm, Facts, Heading, Opener, Section } from "../ui/parts";
import { Await, Empty } from "../ui/states";
import { addUploads } from "../upload/uploads";
import { Drop, Uploads } from "../upload/view";
import { AssetFilters } from "./filters";
import { Contents, Tracks } from "./asset-media";
import { labelLinks } from "./labels";
import { EncodeForm } from "./encode";
import { changed } from "./changes";
import { pairsChanged, pairText } from "./pairs";
import { AssetPictures, Poster } from "./pictures";
import { AssetLocators } from "./publish";
import { Playable } from "./streaming-report";

export function AssetsPage({ path }: PageProps) {
  const name = path[1];
  return name === undefined ? <AssetList /> : <AssetPage name={name} />;
}

function AssetList() {
  return (
    <>
      <Heading title="Assets">
        <Opener label="New asset" disabled={barred("Asset", "write")}>
          {(close) => <AssetForm done={(name) => (close(), go(["assets", name]))} />}
        </Opener>
      </Heading>
      <List<Schemas["Asset"]>
        label="Assets"
        load={async (query) =>
          asPage(
            await ask((to) =>
              to.GET("/api/v1/projects/{project}/media/assets", {
                params: { path: here({}), query: { $orderby: "properties/created desc", ...query } },
              }),
            ),
          )
        }
        search={(words) => `contains(name,${quoted(words)})`}
        labels
        filters={{
          label: "Which assets",
          options: [
            ["", "All"],
            [`properties/created gt ${new Date(Date.now() - 7 * 86_400_000).toISOString().slice(0, 10)}T00:00:00Z`, "Made this week"],
            ["contains(properties/description,' ')", "With a description"],
          ],
        }}
        id={({ name }) => name}
        columns={[
          {
            head: "Name",
            cell: ({ name }) => (
              <span class="pictured">
                <Poster asset={name} />
                <a href={href(["assets", name])}>{name}</a>
              </span>
            ),
          },
          { head: "Description", long: true, cell: ({ properties }) => properties.description ?? "" },
          { head: "Storage", cell: ({ properties }) => properties.storageAccountName },
          { head: "Created", cell: ({ properties }) => moment(properties.created) },
        ]}
        empty={
          <Empty title="No assets yet">
            <p>An asset is a folder of media: what was uploaded, or what an encode made.</p>
            <a class="button" href={href(["upload"])}>
              Upload a film
            </a>
          </Empty>
        }
      />
    </>
  );
}

const DELETIONS: [string, string][] = [
  ["Retain", "Keep the files"],
  ["Delete", "Delete the files too"],
];

function AssetForm({ done }: { done: (name: string) => void }) {
  const [draft, change, clear] = useDraft("asset", {
    name: "",
    description: "",
    deletion: "Retain",
    account: "",
    container: "",
    subPath: "",
    labels: "",
  });
  const storage = useLoad(
    async () =>
      may("Storage", "read") ? (await ask((to) => to.GET("/api/v1/projects/{project}/media/storage", { params: { path: here({}) } }))).items : [],
    [],
  );
  return (
    <Form
      label="Make asset"
      done="Asset made"
      submit={async () => {
        const labels = pairsChanged("labels", draft.labels, null);
        return ask((to) =>
          to.PUT("/api/v1/projects/{project}/media/assets/{asset}", {
            params: { path: here({ asset: draft.name }) },
            body: {
              ...labels,
              properties: {
                containerDeletionPolicy: draft.deletion as "Retain",
                ...(draft.description === "" ? {} : { description: draft.description }),
                ...(draft.account === "" ? {} : { storageAccountName: draft.account }),
                ...(draft.container === "" ? {} : { container: draft.container }),
                ...(draft.subPath === "" ? {} : { subPath: draft.subPath }),
              },
            },
          }),
        );
      }}
      then={() => (clear(), done(draft.name))}
    >
      <Text label="Name" name="name" required hint={NAME_HINT} value={draft.name} change={(name) => change({ name })} />
      <Text label="Description" name="description" value={draft.description} change={(description) => change({ description })} />
      <Select
        label="When the asset is deleted"
        value={draft.deletion}
        change={(deletion) => change({ deletion })}
        options={DELETIONS}
      />
      <details>
        <summary>More</summary>
        <Select
          label="Storage account"
          name="storageAccountName"
          value={draft.account}
          change={(account) => change({ account })}
          options={[["", "The project's first"], ...(storage.value ?? []).map(({ metadata }): [string, string] => [metadata.name, metadata.name])]}
        />
        <Text
          label="Container"
          name="container"
          value={draft.container}
          change={(container) => change({ container })}
          hint="One that is there, with what is in it, or a new one. Empty: one is made."
        />
        <Text label="Folder" name="subPath" value={draft.subPath} change={(subPath) => change({ subPath })} hint="In the container. Empty: all of it." />
        <Area label="Labels" name="labels.*" rows={2} value={draft.labels} change={(labels) => change({ labels })} hint="To find it by, a line each: team=news" />
      </details>
    </Form>
  );
}

function AssetPage({ name }: { name: string }) {
  const [turn, setTurn] = useState(0);
  const asset = useLoad(
    () => ask((to) => to.GET("/api/v1/projects/{project}/media/assets/{asset}", { params: { path: here({ asset: name }) } })),
    [name],
    () => null,
    turn,
  );
  return (
    <>
      <Heading title={name} back={[href(["assets"]), "Assets"]}>
        {asset.value !== null && (
          <>
            <Opener label="Encode" kind="plain" title={`Encode ${name}`} disabled={barred("Job", "write")}>
              {(close) => <EncodeForm asset={name} done={(transform, job) => (close(), go(["jobs", transform, job]))} />}
            </Opener>
            <Opener label="Describe" kind="plain" title={`Describe ${name}`} disabled={barred("Asset", "write")}>
              {(close) => <Describe asset={asset.value!} done={() => (close(), setTurn(turn + 1))} />}
            </Opener>
            <Confirm
              label="Delete"
              disabled={barred("Asset", "delete")}
              question={`Delete ${name}?`}
              consequence={
                asset.value.properties.containerDeletionPolicy === "Delete"
                  ? "The asset goes with all its files. Its locators stop playing."
                  : "The asset goes; its files stay in storage. Its locators stop playing."
              }
              done="Asset deleted"
              run={() =>
                ask((to) => to.DELETE("/api/v1/projects/{project}/media/assets/{asset}", { params: { path: here({ asset: name }) } }))
              }
              then={() => go(["assets"])}
            />
          </>
        )}
      </Heading>
      <Await of={asset}>
        {({ properties, labels }) => (
          <>
            <Facts
              rows={[
                ["Description", properties.description],
                ["Labels", labelLinks(labels, "assets")],
                ["Created", moment(properties.created)],
                ["Storage", `${properties.storageAccountName} / ${properties.container}${properties.subPath ? ` / ${properties.subPath}` : ""}`],
                ["When deleted", properties.containerDeletionPolicy === "Delete" ? "files go too" : "files stay"],
                ["Alternate id", properties.alternateId],
              ]}
            />
            <AssetPictures asset={name} turn={turn} />
            <AssetLocators asset={name} />
            <AssetUpload name={name} done={() => setTurn((before) => before + 1)} />
            <Contents asset={name} turn={turn} />
            <Playable asset={name} />
            <Tracks asset={name} turn={turn} />
            <Section title="Filters">
              <AssetFilters asset={name} />
            </Section>
          </>
        )}
      </Await>
    </>
  );
}

function AssetUpload({ name, done }: { name: string; done: () => void }) {
  if (!may("Asset", "act")) return null;
  return (
    <Section
      title="Add files"
      actions={
        <button type="button" class="small plain" onClick={done}>
          Refresh contents
        </button>
      }
    >
      <Drop label="Choose files" take={(files) => addUploads(project.peek(), name, files)} />
      <Uploads of={({ asset, project: of }) => asset === name && of === project.value} />
    </Section>
  );
}

function Describe({ asset, done }: { asset: Schemas["Asset"]; done: () => void }) {
  const { description, alternateId, containerDeletionPolicy } = asset.properties;
  const [draft, change, clear, was] = useDraft(
    `describe-${asset.name}`,
    { description: description ?? "", alternateId: alternateId ?? "", containerDeletionPolicy, labels: pairText(asset.labels) },
    true,
  );
  return (
    <Form
      label="Save"
      done="Saved"
      submit={async () => {
        const { labels: typed, ...properties } = draft;
        const labels = typed === was.labels ? {} : pairsChanged("labels", typed, asset.labels);
        return ask((to) =>
          to.PATCH("/api/v1/projects/{project}/media/assets/{asset}", {
            params: { path: here({ asset: asset.name }) },
            body: { ...labels, properties: changed(properties, was) },
          }),
        );
      }}
      then={() => (clear(), done())}
    >
      <Area label="Description" name="description" value={draft.description} change={(description) => change({ description })} />
      <Text
        label="Alternate id"
        name="alternateId"
        hint="What your own system calls it."
        value={draft.alternateId}
        change={(alternateId) => change({ alternateId })}
      />
      <Area label="Labels" name="labels.*" rows={2} value={draft.labels} change={(labels) => change({ labels })} hint="To find it by, a line each: team=news" />
      <Select
        label="When the asset is deleted"
        name="containerDeletionPolicy"
        value={draft.containerDeletionPolicy}
        change={(policy) => change({ containerDeletionPolicy: policy as typeof containerDeletionPolicy })}
        options={DELETIONS}
      />
    </Form>
  );
}
