/** Streaming policies: which protocols, and which encryption. */

import type { Schemas } from "../api/client";
import { go, href } from "../app/router";
import type { PageProps } from "../app/routes";
import { ask, here, may } from "../app/session";
import { moment } from "../format";
import { Check, Choice, Form, NAME_HINT, Select, Text } from "../ui/form";
import { asPage, List } from "../ui/list";
import { useDraft, useLoad } from "../ui/load";
import { Confirm, Facts, Heading, Opener } from "../ui/parts";
import { Await, Empty } from "../ui/states";

type Policy = Schemas["StreamingPolicy"];

const KINDS = [
  ["noEncryption", "None"],
  ["envelopeEncryption", "AES-128"],
  ["commonEncryptionCenc", "CENC"],
  ["commonEncryptionCbcs", "CBCS"],
] as const;

function encryption({ properties }: Policy): string {
  return KINDS.filter(([kind]) => properties[kind] !== undefined)
    .map(([, label]) => label)
    .join(", ");
}

function protocols({ properties }: Policy): string {
  const found = new Set<string>();
  for (const [kind] of KINDS) {
    const enabled = properties[kind]?.enabledProtocols;
    if (enabled?.hls) found.add("HLS");
    if (enabled?.dash) found.add("DASH");
    if (enabled?.smoothStreaming) found.add("Smooth");
    if (enabled?.download) found.add("Download");
  }
  return [...found].join(", ");
}

export function StreamingPoliciesPage({ path }: PageProps) {
  const name = path[1];
  return name === undefined ? <PolicyList /> : <PolicyPage name={name} />;
}

function PolicyList() {
  return (
    <>
      <Heading title="Streaming policies">
        <Opener label="New streaming policy" disabled={!may("StreamingPolicy", "write")}>
          {(close) => <PolicyForm done={(name) => (close(), go(["streaming-policies", name]))} />}
        </Opener>
      </Heading>
      <List<Policy>
        label="Streaming policies"
        load={async (query) =>
          asPage(await ask((to) => to.GET("/api/v1/projects/{project}/media/streamingPolicies", { params: { path: here({}), query } })))
        }
        matches={({ name }, words) => name.toLowerCase().includes(words.toLowerCase())}
        id={({ name }) => name}
        columns={[
          { head: "Name", cell: ({ name }) => <a href={href(["streaming-policies", name])}>{name}</a> },
          { head: "Encryption", cell: encryption },
          { head: "Protocols", cell: protocols },
          { head: "Kind", cell: ({ name }) => (name.startsWith("Predefined_") ? "Built in" : "Own") },
        ]}
        empty={<Empty title="No streaming policies" />}
      />
    </>
  );
}

function PolicyForm({ done }: { done: (name: string) => void }) {
  const [draft, change, clear] = useDraft("streaming-policy", {
    name: "",
    kind: "noEncryption",
    hls: true,
    dash: true,
    download: false,
    keys: "",
    licence: "",
  });
  const keyPolicies = useLoad(
    async () =>
      may("ContentKeyPolicy", "read")
        ? (await ask((to) => to.GET("/api/v1/projects/{project}/media/contentKeyPolicies", { params: { path: here({}), query: { $top: 200 } } }))).value
        : [],
    [],
  );
  const clear_ = draft.kind === "noEncryption";
  return (
    <Form
      label="Make streaming policy"
      done="Streaming policy made"
      submit={() => {
        const enabledProtocols = { hls: draft.hls, dash: draft.dash, download: clear_ && draft.download, smoothStreaming: false };
        const contentKeys = { defaultKey: { label: "key" } };
        const part: Schemas["StreamingPolicyPropertiesWrite"] =
          draft.kind === "envelopeEncryption"
            ? {
                envelopeEncryption: {
                  enabledProtocols,
                  contentKeys,
                  ...(draft.licence === "" ? {} : { customKeyAcquisitionUrlTemplate: draft.licence }),
                },
              }
            : draft.kind === "clearKeyCenc"
              ? { commonEncryptionCenc: { enabledProtocols, contentKeys, clearKeyEncryptionConfiguration: {} } }
              : draft.kind === "drmCenc"
                ? { commonEncryptionCenc: { enabledProtocols, contentKeys, drm: { widevine: {}, playReady: {} } } }
                : { noEncryption: { enabledProtocols } };
        return ask((to) =>
          to.PUT("/api/v1/projects/{project}/media/streamingPolicies/{policy}", {
            params: { path: here({ policy: draft.name }) },
            body: { properties: { ...part, ...(!clear_ && draft.keys !== "" ? { defaultContentKeyPolicyName: draft.keys } : {}) } },
          }),
        );
      }}
      then={() => (clear(), done(draft.name))}
    >
      <Text label="Name" required hint={NAME_HINT} value={draft.name} change={(name) => change({ name })} />
      <Choice
        legend="Encryption"
        value={draft.kind}
        change={(kind) => change({ kind })}
        options={[
          { value: "noEncryption", label: "None", hint: "For what everybody may see." },
          { value: "envelopeEncryption", label: "AES-128", hint: "Whole segments, for HLS: the simplest that keeps strangers out.", safe: true },
          { value: "clearKeyCenc", label: "CENC with ClearKey", hint: "Samples, with keys in the open protocol of browsers." },
          { value: "drmCenc", label: "CENC with DRM", hint: "Samples, with Widevine and PlayReady licences." },
        ]}
      />
      <fieldset class="choice">
        <legend>Protocols</legend>
        <Check label="HLS" checked={draft.hls} change={(hls) => change({ hls })} />
        <Check label="DASH" checked={draft.dash} change={(dash) => change({ dash })} />
        {clear_ && <Check label="Download of files" checked={draft.download} change={(download) => change({ download })} />}
      </fieldset>
      {!clear_ && (
        <Select
          label="Key policy"
          name="defaultContentKeyPolicyName"
          value={draft.keys}
          change={(keys) => change({ keys })}
          hint="For locators that do not name one."
          options={[["", "Each locator names its own"], ...(keyPolicies.value ?? []).map(({ name }): [string, string] => [name, name])]}
        />
      )}
      {draft.kind === "envelopeEncryption" && (
        <Text
          label="Key server of your own"
          name="customKeyAcquisitionUrlTemplate"
          value={draft.licence}
          change={(licence) => change({ licence })}
          hint="Empty: Headwater's. {ContentKeyId} stands for the key's id."
        />
      )}
    </Form>
  );
}

function PolicyPage({ name }: { name: string }) {
  const params = { params: { path: here({ policy: name }) } };
  const policy = useLoad(() => ask((to) => to.GET("/api/v1/projects/{project}/media/streamingPolicies/{policy}", params)), [name]);
  const builtIn = name.startsWith("Predefined_");
  return (
    <>
      <Heading title={name} back={[href(["streaming-policies"]), "Streaming policies"]}>
        {!builtIn && policy.value !== null && (
          <Confirm
            label="Delete"
            disabled={!may("StreamingPolicy", "delete")}
            question={`Delete ${name}?`}
            consequence="It can be deleted only when no locator uses it."
            done="Streaming policy deleted"
            run={() => ask((to) => to.DELETE("/api/v1/projects/{project}/media/streamingPolicies/{policy}", params))}
            then={() => go(["streaming-policies"])}
          />
        )}
      </Heading>
      <Await of={policy}>
        {(one) => (
          <>
            <Facts
              rows={[
                ["Encryption", encryption(one)],
                ["Protocols", protocols(one)],
                ["Key policy", one.properties.defaultContentKeyPolicyName],
                ["Made", builtIn ? "built in" : moment(one.properties.created)],
              ]}
            />
            <details class="panel">
              <summary>As the API has it</summary>
              <pre tabIndex={0}>
                <code>{JSON.stringify(one.properties, null, 2)}</code>
              </pre>
            </details>
          </>
        )}
      </Await>
    </>
  );
}
