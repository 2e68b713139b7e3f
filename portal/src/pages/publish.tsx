/** Publishing an asset, and the locators it has. */

import type { Schemas } from "../api/client";
import { readLocations } from "../api/streams";
import { go, href } from "../app/router";
import { ask, here, may } from "../app/session";
import { moment } from "../format";
import { Choice, Form, Select, Text } from "../ui/form";
import { Table } from "../ui/list";
import { useDraft, useLoad } from "../ui/load";
import { Copy, Opener, Section } from "../ui/parts";
import { Await, Empty } from "../ui/states";
import { stamp } from "./encode";

export const CLEAR = "Predefined_ClearStreamingOnly";

export const POLICIES = [
  { value: CLEAR, label: "Stream to everybody", hint: "HLS and DASH, not encrypted, no download.", safe: true },
  { value: "Predefined_DownloadAndClearStreaming", label: "Stream and download", hint: "Files can be taken as they are, too." },
  { value: "Predefined_ClearKey", label: "Encrypt with AES-128", hint: "Players fetch the key; your key policy decides who gets it." },
  { value: "Predefined_MultiDrmCencStreaming", label: "DRM", hint: "Widevine and PlayReady, for which the key policy needs options." },
];

/** Publishes an asset; answers the locator's name. */
export async function publish(
  asset: string,
  policy: string,
  more: Partial<Schemas["StreamingLocatorPropertiesWrite"]> = {},
  name = `${asset}-${stamp()}`,
): Promise<string> {
  await ask((to) =>
    to.PUT("/api/v1/projects/{project}/media/streamingLocators/{locator}", {
      params: { path: here({ locator: name }) },
      body: { properties: { assetName: asset, streamingPolicyName: policy, ...more } },
    }),
  );
  return name;
}

export function PublishForm({ asset, done }: { asset?: string; done: (locator: string) => void }) {
  const [draft, change, clear] = useDraft(`publish-${asset ?? ""}`, {
    asset: asset ?? "",
    name: "",
    policy: CLEAR,
    own: "",
    keys: "",
    start: "",
    end: "",
    filter: "",
  });
  const known = useLoad(
    () =>
      Promise.all([
        ask((to) => to.GET("/api/v1/projects/{project}/media/streamingPolicies", { params: { path: here({}), query: { $top: 200 } } })),
        may("ContentKeyPolicy", "read")
          ? ask((to) => to.GET("/api/v1/projects/{project}/media/contentKeyPolicies", { params: { path: here({}), query: { $top: 200 } } }))
          : null,
        ask((to) => to.GET("/api/v1/projects/{project}/media/assets", { params: { path: here({}), query: { $top: 100, $orderby: "properties/created desc" } } })),
      ]),
    [],
  );
  const [policies, keyPolicies, assets] = known.value ?? [null, null, null];
  const offered = POLICIES.filter(({ value }) => policies === null || policies.value.some(({ name }) => name === value));
  const others = (policies?.value ?? []).map(({ name }) => name).filter((name) => !POLICIES.some(({ value }) => value === name));
  const policy = draft.policy === "" ? draft.own || (others[0] ?? "") : draft.policy;
  const encrypted = draft.policy !== CLEAR && draft.policy !== "Predefined_DownloadAndClearStreaming";
  const name = draft.name || `${draft.asset}-${stamp()}`;
  let made = "";
  return (
    <Form
      label="Publish"
      done="Published"
      submit={async () => {
        made = await publish(
          draft.asset,
          policy,
          {
            ...(encrypted && draft.keys !== "" ? { defaultContentKeyPolicyName: draft.keys } : {}),
            ...(draft.start === "" ? {} : { startTime: new Date(draft.start).toISOString() }),
            ...(draft.end === "" ? {} : { endTime: new Date(draft.end).toISOString() }),
            ...(draft.filter === "" ? {} : { filters: draft.filter.split(",").map((one) => one.trim()).filter(Boolean) }),
          },
          name,
        );
      }}
      then={() => (clear(), done(made))}
    >
      {asset === undefined && (
        <Text
          label="Asset"
          name="assetName"
          required
          list={(assets?.value ?? []).map(({ name }) => name)}
          value={draft.asset}
          change={(asset) => change({ asset })}
        />
      )}
      <Choice
        legend="Who may watch"
        value={draft.policy}
        change={(policy) => change({ policy })}
        options={[
          ...offered,
          ...(others.length > 0 ? [{ value: "", label: "Another policy", hint: "One of this project's own, or one made for a single purpose." }] : []),
        ]}
      />
      {draft.policy === "" && (
        <Select label="Streaming policy" name="streamingPolicyName" value={policy} change={(own) => change({ own })} options={others} />
      )}
      {encrypted && (
        <Select
          label="Key policy"
          name="defaultContentKeyPolicyName"
          value={draft.keys}
          change={(keys) => change({ keys })}
          hint="Without one, nobody gets the key."
          options={[["", "None"], ...(keyPolicies?.value ?? []).map(({ name }): [string, string] => [name, name])]}
        />
      )}
      <details>
        <summary>More</summary>
        <Text label="Locator name" value={draft.name} change={(name) => change({ name })} hint="Made from the asset's name when left empty." />
        <Text label="Not before" name="startTime" type="datetime-local" value={draft.start} change={(start) => change({ start })} />
        <Text label="Until" name="endTime" type="datetime-local" value={draft.end} change={(end) => change({ end })} />
        <Text label="Filters" name="filters.*" value={draft.filter} change={(filter) => change({ filter })} hint="Names, with commas between them." />
      </details>
    </Form>
  );
}

export function AssetLocators({ asset }: { asset: string }) {
  const locators = useLoad(
    () =>
      ask((to) => to.POST("/api/v1/projects/{project}/media/assets/{asset}/listStreamingLocators", { params: { path: here({ asset }) } })),
    [asset],
  );
  return (
    <Section
      title="Published as"
      actions={
        <Opener label="Publish" title={`Publish ${asset}`} disabled={!may("StreamingLocator", "write")}>
          {(close) => <PublishForm asset={asset} done={(name) => (close(), go(["locators", name]))} />}
        </Opener>
      }
    >
      <Await of={locators}>
        {({ streamingLocators }) =>
          streamingLocators.length === 0 ? (
            <Empty title="Not published" />
          ) : (
            <Table<Schemas["AssetLocator"]>
              label="Locators of this asset"
              items={streamingLocators}
              id={({ name }) => name}
              columns={[
                { head: "Locator", cell: ({ name }) => <a href={href(["locators", name])}>{name}</a> },
                { head: "Policy", cell: ({ streamingPolicyName }) => policyLabel(streamingPolicyName) },
                { head: "Until", cell: ({ endTime }) => moment(endTime) || "for good" },
                {
                  head: "Actions",
                  cell: ({ name }) => (
                    <a class="button small plain" href={href(["watch", name])} aria-label={`Play ${name}`}>
                      Play
                    </a>
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

export function policyLabel(name: string): string {
  return POLICIES.find(({ value }) => value === name)?.label ?? name.replace("Predefined_", "");
}

/** All addresses of a locator. */
export function Addresses({ locator }: { locator: string }) {
  const found = useLoad(
    () => readLocations(locator),
    [locator],
    ({ addresses }) => (addresses.length === 0 ? 3000 : null),
  );
  return (
    <Section title="Addresses">
      <Await of={found}>
        {({ addresses, served }) => (
          <>
            {!served && (
              <p class="wrong">
                No streaming endpoint is running: <a href={href(["endpoints"])}>start one</a>.
              </p>
            )}
            {addresses.length === 0 ? (
              <Empty title="Nothing to play yet">
                <p>The asset has no media so far. This page looks again by itself.</p>
              </Empty>
            ) : (
              <ul class="addresses">
                {addresses.map(({ label, url }) => (
                  <li key={url}>
                    <span class="meta">{label}</span>
                    <Copy text={url} label={label} />
                  </li>
                ))}
              </ul>
            )}
          </>
        )}
      </Await>
    </Section>
  );
}
