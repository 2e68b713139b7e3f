/** Streaming policies: which protocols, and which encryption. */

import type { Schemas } from "../api/client";
import { go, href } from "../app/router";
import type { PageProps } from "../app/routes";
import { ask, barred, here, may } from "../app/session";
import { moment } from "../format";
import { Area, Check, Choice, Form, NAME_HINT, Select, Text } from "../ui/form";
import { asPage, List } from "../ui/list";
import { useDraft, useLoad } from "../ui/load";
import { Confirm, Facts, Heading, Opener } from "../ui/parts";
import { Await, Empty } from "../ui/states";
import { NEW_POLICY, policyOf, systemsOf, type Kind, type System } from "./streaming-policy-draft";

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
        <Opener label="New streaming policy" disabled={barred("StreamingPolicy", "write")}>
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

const WAYS: { value: Kind; label: string; hint: string; safe?: boolean }[] = [
  { value: "noEncryption", label: "None", hint: "For what everybody may see." },
  { value: "envelopeEncryption", label: "AES-128", hint: "Whole segments, for HLS: the simplest that keeps strangers out.", safe: true },
  { value: "clearKeyCenc", label: "CENC with ClearKey", hint: "Samples, with keys in the open protocol of browsers." },
  { value: "drmCenc", label: "CENC with DRM", hint: "Samples, with Widevine and PlayReady licences." },
  { value: "drmCbcs", label: "CBCS with FairPlay", hint: "Samples, for Safari and Apple's devices." },
  { value: "drmBoth", label: "CENC and CBCS with DRM", hint: "Widevine and PlayReady, and FairPlay: for every device." },
  { value: "json", label: "JSON", hint: "The whole of it, as the API has it: keys for some tracks only, tracks in the clear, PlayReady's attributes." },
];

const ROTATIONS: [string, string][] = [
  ["", "Never"],
  ["PT1M", "Every minute"],
  ["PT10M", "Every ten minutes"],
  ["PT1H", "Every hour"],
  ["P1D", "Every day"],
];

const NAMES: Record<System, string> = { widevine: "Widevine", playReady: "PlayReady", fairPlay: "FairPlay" };

function PolicyForm({ done }: { done: (name: string) => void }) {
  const [draft, change, clear] = useDraft("streaming-policy", { ...NEW_POLICY, name: "" });
  const keyPolicies = useLoad(
    async () =>
      may("ContentKeyPolicy", "read")
        ? (await ask((to) => to.GET("/api/v1/projects/{project}/media/contentKeyPolicies", { params: { path: here({}), query: { $top: 200 } } }))).value
        : [],
    [],
  );
  const { kind } = draft;
  const clear_ = kind === "noEncryption";
  // What was filled in so far is what the JSON begins with.
  const choose = (next: Kind) => change({ kind: next, ...(next === "json" && kind !== "json" ? { json: JSON.stringify(policyOf(draft), null, 2) } : {}) });
  return (
    <Form
      label="Make streaming policy"
      done="Streaming policy made"
      submit={async () => {
        const properties = policyOf(draft);
        await ask((to) =>
          to.PUT("/api/v1/projects/{project}/media/streamingPolicies/{policy}", { params: { path: here({ policy: draft.name }) }, body: { properties } }),
        );
      }}
      then={() => (clear(), done(draft.name))}
    >
      <Text label="Name" required hint={NAME_HINT} value={draft.name} change={(name) => change({ name })} />
      <Choice legend="Encryption" value={kind} change={(next) => choose(next as Kind)} options={WAYS} />
      {kind === "json" ? (
        <Area label="Policy" name="properties.*" rows={16} code required value={draft.json} change={(json) => change({ json })} />
      ) : (
        <>
          <fieldset class="choice">
            <legend>Protocols</legend>
            <Check label="HLS" checked={draft.hls} change={(hls) => change({ hls })} />
            <Check label="DASH" checked={draft.dash} change={(dash) => change({ dash })} />
            {kind !== "drmCbcs" && (
              <Check label="Smooth Streaming" hint="For players of old." checked={draft.smooth} change={(smooth) => change({ smooth })} />
            )}
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
          {!clear_ && (
            <Select
              label="Keys of what is live change"
              name="keyRotationInterval"
              value={draft.rotation}
              change={(rotation) => change({ rotation })}
              hint="Players fetch each new key. Not with Smooth Streaming."
              options={ROTATIONS}
            />
          )}
          {(kind === "envelopeEncryption" || kind === "clearKeyCenc") && (
            <Text
              label="Key server of your own"
              name={kind === "clearKeyCenc" ? "customKeysAcquisitionUrlTemplate" : "customKeyAcquisitionUrlTemplate"}
              value={draft.server}
              change={(server) => change({ server })}
              hint={`Empty: Headwater's.${kind === "clearKeyCenc" ? "" : " {ContentKeyId} stands for the key's id."}`}
            />
          )}
          {systemsOf(kind).map((system) => (
            <Text
              key={system}
              label={`Licence server for ${NAMES[system]}`}
              name={`${system}.customLicenseAcquisitionUrlTemplate`}
              value={draft.licences[system]}
              change={(url) => change({ licences: { ...draft.licences, [system]: url } })}
              hint="Empty: Headwater's. {ContentKeyId} and {AlternativeMediaId} are filled in."
            />
          ))}
          {systemsOf(kind).includes("fairPlay") && (
            <Check
              label="FairPlay's players may keep licences"
              hint="To play without a connection, as long as the key policy says."
              checked={draft.persistent}
              change={(persistent) => change({ persistent })}
            />
          )}
        </>
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
            disabled={barred("StreamingPolicy", "delete")}
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
