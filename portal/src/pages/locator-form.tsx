/** Changing how something is published: until when, under which policies, and whether at all just now. */

import type { Schemas } from "../api/client";
import { ask, here, may } from "../app/session";
import { fieldTime } from "../format";
import { Form, Select, Text } from "../ui/form";
import { useDraft, useLoad } from "../ui/load";
import { Await } from "../ui/states";

type Locator = Schemas["StreamingLocator"];
type Properties = Schemas["StreamingLocatorPropertiesWrite"];

export interface LocatorDraft {
  /** As a field for a local date and time has them; empty for none. */
  start: string;
  end: string;
  /** Names, with commas between them. */
  filter: string;
  mediaId: string;
  contentId: string;
  manifest: string;
}

export const NEW_LOCATOR: LocatorDraft = { start: "", end: "", filter: "", mediaId: "", contentId: "", manifest: "" };

function localTime(iso: string | undefined): string {
  // The year 9999 is never.
  if (iso === undefined || iso.startsWith("9999")) return "";
  return fieldTime(Date.parse(iso)).replace(/(:00)?\.000$/, "");
}

function draftOf({ properties }: Locator): LocatorDraft {
  return {
    start: localTime(properties.startTime),
    end: localTime(properties.endTime),
    filter: properties.filters.join(", "),
    mediaId: properties.alternativeMediaId ?? "",
    contentId: properties.contentId ?? "",
    manifest: properties.defaultManifestFilename ?? "",
  };
}

/** The members that differ from what they `were`; null takes back what there was. */
export function locatorChanges(draft: LocatorDraft, were: LocatorDraft): Partial<Properties> {
  const time = (text: string) => (text === "" ? null : new Date(text).toISOString());
  const words = (text: string) => (text.trim() === "" ? null : text.trim());
  const all: [keyof LocatorDraft, Partial<Properties>][] = [
    ["start", { startTime: time(draft.start) }],
    ["end", { endTime: time(draft.end) }],
    ["filter", { filters: draft.filter.split(",").map((one) => one.trim()).filter(Boolean) }],
    ["mediaId", { alternativeMediaId: words(draft.mediaId) }],
    ["contentId", { contentId: words(draft.contentId) }],
    ["manifest", { defaultManifestFilename: words(draft.manifest) }],
  ];
  return Object.assign({}, ...all.filter(([name]) => draft[name] !== were[name]).map(([, member]) => member)) as Partial<Properties>;
}

export function LocatorFields({ draft, change }: { draft: LocatorDraft; change: (part: Partial<LocatorDraft>) => void }) {
  return (
    <>
      <Text label="Not before" name="startTime" type="datetime-local" step="any" value={draft.start} change={(start) => change({ start })} />
      <Text label="Until" name="endTime" type="datetime-local" step="any" value={draft.end} change={(end) => change({ end })} hint="Empty: for good." />
      <Text label="Filters" name="filters.*" value={draft.filter} change={(filter) => change({ filter })} hint="Names, with commas between them." />
      <Text
        label="Alternative media id"
        name="alternativeMediaId"
        value={draft.mediaId}
        change={(mediaId) => change({ mediaId })}
        hint="What your own system calls it, for licence servers."
      />
      <Text
        label="Content id"
        name="contentId"
        value={draft.contentId}
        change={(contentId) => change({ contentId })}
        hint="What key vendors and CPIX documents call it. Empty: the locator's name."
      />
      <Text
        label="Server manifest"
        name="defaultManifestFilename"
        value={draft.manifest}
        change={(manifest) => change({ manifest })}
        hint="The .ism file that is played, in an asset with several. Empty: the asset's own."
      />
    </>
  );
}

/** Writes a locator anew with `changes`: what they do not name stays what it is now, keys and addresses too. */
export async function changeLocator(name: string, changes: Partial<Properties>): Promise<void> {
  const params = { params: { path: here({ locator: name }) } };
  const { properties } = await ask((to) => to.GET("/api/v1/projects/{project}/media/streamingLocators/{locator}", params));
  const whole = { ...properties, ...changes } as Properties;
  await ask((to) => to.PUT("/api/v1/projects/{project}/media/streamingLocators/{locator}", { ...params, body: { properties: whole } }));
}

export function LocatorForm({ of, done }: { of: Locator; done: () => void }) {
  const known = useLoad(
    () =>
      Promise.all([
        ask((to) => to.GET("/api/v1/projects/{project}/media/streamingPolicies", { params: { path: here({}), query: { $top: 200 } } })),
        may("ContentKeyPolicy", "read")
          ? ask((to) => to.GET("/api/v1/projects/{project}/media/contentKeyPolicies", { params: { path: here({}), query: { $top: 200 } } }))
          : null,
      ]),
    [],
  );
  return (
    <Await of={known}>
      {([policies, keyPolicies]) => (
        <LocatorEdit of={of} policies={policies.value.map(({ name }) => name)} keyPolicies={(keyPolicies?.value ?? []).map(({ name }) => name)} done={done} />
      )}
    </Await>
  );
}

function withOwn(names: string[], own: string): string[] {
  return own === "" || names.includes(own) ? names : [...names, own];
}

function LocatorEdit({ of, policies, keyPolicies, done }: { of: Locator; policies: string[]; keyPolicies: string[]; done: () => void }) {
  const [draft, change, clear, first] = useDraft(
    `locator-${of.name}`,
    { ...draftOf(of), policy: of.properties.streamingPolicyName, keys: of.properties.defaultContentKeyPolicyName ?? "" },
    true,
  );
  return (
    <Form
      label="Save locator"
      done="Locator saved"
      submit={async () => {
        const changes = {
          ...locatorChanges(draft, first),
          ...(draft.policy === first.policy ? {} : { streamingPolicyName: draft.policy }),
          ...(draft.keys === first.keys ? {} : { defaultContentKeyPolicyName: draft.keys || null }),
        };
        if (Object.keys(changes).length > 0) await changeLocator(of.name, changes);
      }}
      then={() => (clear(), done())}
    >
      <p class="meta">Its id, and with it its addresses, stays the same.</p>
      <Select
        label="Streaming policy"
        name="streamingPolicyName"
        value={draft.policy}
        change={(policy) => change({ policy })}
        options={withOwn(policies, first.policy)}
        hint="Another encryption has other keys: who is watching has to begin anew."
      />
      <Select
        label="Key policy"
        name="defaultContentKeyPolicyName"
        value={draft.keys}
        change={(keys) => change({ keys })}
        hint="Who gets the keys, if it is encrypted."
        options={[["", "None"], ...withOwn(keyPolicies, first.keys).map((name): [string, string] => [name, name])]}
      />
      <LocatorFields draft={draft} change={change} />
    </Form>
  );
}
