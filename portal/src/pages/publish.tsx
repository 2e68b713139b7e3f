/** Publishing an asset, and the locators it has. */

import type { Schemas } from "../api/client";
import { Failure } from "../api/failure";
import { readLocations } from "../api/streams";
import { go, href } from "../app/router";
import { ask, barred, here, may } from "../app/session";
import { moment } from "../format";
import { Area, Choice, FileText, Form, Select, Text } from "../ui/form";
import { Table } from "../ui/list";
import { useDraft, useLoad } from "../ui/load";
import { Copy, Opener, Section } from "../ui/parts";
import { Await, Empty } from "../ui/states";
import { stamp } from "./encode";
import { LocatorFields, locatorChanges, NEW_LOCATOR } from "./locator-form";

export const CLEAR = "Predefined_ClearStreamingOnly";

/** Those built in that encrypt nothing. */
export const CLEAR_POLICIES = [CLEAR, "Predefined_DownloadAndClearStreaming", "Predefined_DownloadOnly"];

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

/** Keys that somebody brings along are a CPIX document or a list in JSON. */
function isDocument(text: string): boolean {
  return text.trimStart().startsWith("<");
}

function keysOf(text: string): Partial<Schemas["StreamingLocatorPropertiesWrite"]> {
  return isDocument(text) ? { contentKeyDocument: text } : { contentKeys: listOf(text) };
}

function listOf(text: string): Schemas["StreamingLocatorContentKeyWrite"][] {
  try {
    return JSON.parse(text) as Schemas["StreamingLocatorContentKeyWrite"][];
  } catch (thrown) {
    throw new Failure("invalid", `This is not JSON: ${thrown instanceof Error ? thrown.message : ""}`, "contentKeys");
  }
}

export function PublishForm({ asset, done }: { asset?: string; done: (locator: string) => void }) {
  const [draft, change, clear] = useDraft(`publish-${asset ?? ""}`, {
    asset: asset ?? "",
    name: "",
    policy: CLEAR,
    own: "",
    keys: "",
    ...NEW_LOCATOR,
    id: "",
    contentKeys: "",
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
  const encrypted = !CLEAR_POLICIES.includes(policy);
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
            ...locatorChanges(draft, NEW_LOCATOR),
            ...(draft.id === "" ? {} : { streamingLocatorId: draft.id.trim() }),
            ...(encrypted && draft.contentKeys.trim() !== "" ? keysOf(draft.contentKeys) : {}),
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
          hint="Who gets the key. None is needed where you or another licence server give it out."
          options={[["", "None"], ...(keyPolicies?.value ?? []).map(({ name }): [string, string] => [name, name])]}
        />
      )}
      <details>
        <summary>More</summary>
        <Text label="Locator name" value={draft.name} change={(name) => change({ name })} hint="Made from the asset's name when left empty." />
        <LocatorFields draft={draft} change={change} />
        <Text
          label="Id"
          name="streamingLocatorId"
          value={draft.id}
          change={(id) => change({ id })}
          hint="A UUID, the first part of its addresses. Empty: one is made."
        />
        {encrypted && (
          <>
            <Area
              label="Content keys of your own"
              name={isDocument(draft.contentKeys) ? "contentKeyDocument" : "contentKeys.*"}
              rows={3}
              code
              value={draft.contentKeys}
              change={(contentKeys) => change({ contentKeys })}
              hint="A CPIX document, or a list in JSON as listContentKeys gives it: id, value, labelReferenceInStreamingPolicy. Empty: keys are made."
            />
            <FileText label="Content keys from a file" accept=".xml,.cpix,.json" read={(contentKeys) => change({ contentKeys })} />
          </>
        )}
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
        <Opener label="Publish" title={`Publish ${asset}`} disabled={barred("StreamingLocator", "write")}>
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
