/** Content key policies: who gets keys. */

import { useState } from "preact/hooks";
import type { Schemas } from "../api/client";
import { go, href } from "../app/router";
import type { PageProps } from "../app/routes";
import { ask, here, may } from "../app/session";
import { moment } from "../format";
import { Choice, Form, NAME_HINT, Select, Text } from "../ui/form";
import { asPage, List, quoted, Table } from "../ui/list";
import { useDraft, useLoad } from "../ui/load";
import { Act, Confirm, Copy, Facts, Heading, Opener, Section } from "../ui/parts";
import { Await, Empty } from "../ui/states";

type Policy = Schemas["ContentKeyPolicy"];
type Option = Schemas["ContentKeyPolicyOption"];

function kind(option: Option): string {
  return option.configuration["@odata.type"].replace("#Microsoft.Media.", "").replace(/^ContentKeyPolicy|Configuration$/g, "");
}

function restricted({ restriction }: Option): string {
  if (!("issuer" in restriction)) return "everybody";
  return `tokens of ${restriction.issuer} for ${restriction.audience}`;
}

export function KeyPoliciesPage({ path }: PageProps) {
  const name = path[1];
  return name === undefined ? <PolicyList /> : <PolicyPage name={name} />;
}

function PolicyList() {
  return (
    <>
      <Heading title="Key policies">
        <Opener label="New key policy" disabled={!may("ContentKeyPolicy", "write")}>
          {(close) => <PolicyForm done={(name) => (close(), go(["key-policies", name]))} />}
        </Opener>
      </Heading>
      <List<Policy>
        label="Key policies"
        load={async (query) =>
          asPage(await ask((to) => to.GET("/api/v1/projects/{project}/media/contentKeyPolicies", { params: { path: here({}), query } })))
        }
        search={(words) => `contains(name,${quoted(words)})`}
        id={({ name }) => name}
        columns={[
          { head: "Name", cell: ({ name }) => <a href={href(["key-policies", name])}>{name}</a> },
          { head: "Key systems", cell: ({ properties }) => [...new Set(properties.options.map(kind))].join(", ") },
          { head: "Keys go to", long: true, cell: ({ properties }) => [...new Set(properties.options.map(restricted))].join("; ") },
          { head: "Changed", cell: ({ properties }) => moment(properties.lastModified) },
        ]}
        empty={
          <Empty title="No key policies yet">
            <p>A key policy says who gets the keys of encrypted video: those with a token of yours.</p>
          </Empty>
        }
      />
    </>
  );
}

/** 32 random bytes, base64. */
function freshKey(): string {
  return btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(32))));
}

const PERSISTENT_FREE_WIDEVINE = JSON.stringify({
  allowed_track_types: "SD_HD",
  content_key_specs: [{ track_type: "SD", security_level: 1, required_output_protection: { hdcp: "HDCP_NONE" } }],
  policy_overrides: { can_play: true, can_persist: false, can_renew: false },
});

function configuration(system: string): Schemas["ContentKeyPolicyOptionWrite"]["configuration"] {
  if (system === "Widevine") {
    return { "@odata.type": "#Microsoft.Media.ContentKeyPolicyWidevineConfiguration", widevineTemplate: PERSISTENT_FREE_WIDEVINE };
  }
  if (system === "PlayReady") {
    return {
      "@odata.type": "#Microsoft.Media.ContentKeyPolicyPlayReadyConfiguration",
      licenses: [
        {
          allowTestDevices: false,
          licenseType: "NonPersistent",
          contentType: "Unspecified",
          contentKeyLocation: { "@odata.type": "#Microsoft.Media.ContentKeyPolicyPlayReadyContentEncryptionKeyFromHeader" },
          playRight: {
            digitalVideoOnlyContentRestriction: false,
            imageConstraintForAnalogComponentVideoRestriction: false,
            imageConstraintForAnalogComputerMonitorRestriction: false,
            allowPassingVideoContentToUnknownOutput: "Allowed",
          },
        },
      ],
    };
  }
  return { "@odata.type": "#Microsoft.Media.ContentKeyPolicyClearKeyConfiguration" };
}

const SYSTEMS = [
  { value: "ClearKey", label: "ClearKey and AES-128", hint: "Works in every browser; keeps strangers out, not determined copiers.", safe: true },
  { value: "Widevine", label: "Widevine", hint: "Licences without storing: Chrome, Android." },
  { value: "PlayReady", label: "PlayReady", hint: "Licences without storing: Edge, televisions." },
  { value: "Widevine+PlayReady", label: "Widevine and PlayReady", hint: "What the policy “DRM” needs." },
];

function PolicyForm({ done }: { done: (name: string) => void }) {
  const [draft, change, clear] = useDraft("key-policy", {
    name: "",
    description: "",
    system: "ClearKey",
    who: "token",
    issuer: location.origin,
    audience: "viewers",
    verify: "symmetric",
    key: freshKey(),
    discovery: "",
    claim: "",
  });
  return (
    <Form
      label="Make key policy"
      done="Key policy made"
      submit={() => {
        const restriction: Schemas["ContentKeyPolicyOptionWrite"]["restriction"] =
          draft.who === "open"
            ? { "@odata.type": "#Microsoft.Media.ContentKeyPolicyOpenRestriction" }
            : {
                "@odata.type": "#Microsoft.Media.ContentKeyPolicyTokenRestriction",
                restrictionTokenType: "Jwt",
                issuer: draft.issuer,
                audience: draft.audience,
                ...(draft.claim === "key"
                  ? { requiredClaims: [{ claimType: "urn:microsoft:azure:mediaservices:contentkeyidentifier" }] }
                  : {}),
                ...(draft.verify === "symmetric"
                  ? { primaryVerificationKey: { "@odata.type": "#Microsoft.Media.ContentKeyPolicySymmetricTokenKey", keyValue: draft.key } }
                  : { openIdConnectDiscoveryDocument: draft.discovery }),
              };
        return ask((to) =>
          to.PUT("/api/v1/projects/{project}/media/contentKeyPolicies/{policy}", {
            params: { path: here({ policy: draft.name }) },
            body: {
              properties: {
                ...(draft.description === "" ? {} : { description: draft.description }),
                options: draft.system.split("+").map((system) => ({ name: system, configuration: configuration(system), restriction })),
              },
            },
          }),
        );
      }}
      then={() => (clear(), done(draft.name))}
    >
      <Text label="Name" required hint={NAME_HINT} value={draft.name} change={(name) => change({ name })} />
      <Text label="Description" name="description" value={draft.description} change={(description) => change({ description })} />
      <Choice legend="Key system" value={draft.system} change={(system) => change({ system })} options={SYSTEMS} />
      <Choice
        legend="Keys go to"
        value={draft.who}
        change={(who) => change({ who })}
        options={[
          { value: "token", label: "Those with a token", hint: "Your site signs a JWT for each viewer it lets in.", safe: true },
          { value: "open", label: "Everybody", hint: "No better than no encryption against anybody who has the address." },
        ]}
      />
      {draft.who === "token" && (
        <>
          <Text label="Issuer (iss)" name="issuer" required value={draft.issuer} change={(issuer) => change({ issuer })} />
          <Text label="Audience (aud)" name="audience" required value={draft.audience} change={(audience) => change({ audience })} />
          <Select
            label="Tokens are verified with"
            value={draft.verify}
            change={(verify) => change({ verify })}
            options={[
              ["symmetric", "A shared secret (HS256)"],
              ["openid", "An OpenID Connect provider"],
            ]}
          />
          {draft.verify === "symmetric" ? (
            <>
              <Text
                label="Shared secret (base64)"
                name="keyValue"
                required
                value={draft.key}
                change={(key) => change({ key })}
                hint="A fresh one has been made. Keep a copy where your site signs tokens."
              />
              <button type="button" class="small plain" onClick={() => change({ key: freshKey() })}>
                Another secret
              </button>
            </>
          ) : (
            <Text
              label="Discovery document"
              name="openIdConnectDiscoveryDocument"
              type="url"
              required
              value={draft.discovery}
              change={(discovery) => change({ discovery })}
              hint="https://…/.well-known/openid-configuration"
            />
          )}
          <Select
            label="A token opens"
            value={draft.claim}
            change={(claim) => change({ claim })}
            options={[
              ["", "Every video with this policy"],
              ["key", "The one whose key id it names"],
            ]}
          />
        </>
      )}
    </Form>
  );
}

function PolicyPage({ name }: { name: string }) {
  const params = { params: { path: here({ policy: name }) } };
  const policy = useLoad(() => ask((to) => to.GET("/api/v1/projects/{project}/media/contentKeyPolicies/{policy}", params)), [name]);
  const [secrets, setSecrets] = useState<Policy | null>(null);
  return (
    <>
      <Heading title={name} back={[href(["key-policies"]), "Key policies"]}>
        {policy.value !== null && (
          <>
            <Act
              label="Show secrets"
              disabled={!may("ContentKeyPolicy", "reveal")}
              done="Secrets shown"
              run={async () =>
                setSecrets(
                  await ask((to) =>
                    to.POST("/api/v1/projects/{project}/media/contentKeyPolicies/{policy}/getPolicyPropertiesWithSecrets", params),
                  ),
                )
              }
            />
            <Confirm
              label="Delete"
              disabled={!may("ContentKeyPolicy", "delete")}
              question={`Delete ${name}?`}
              consequence="Videos that are published with it give no more keys."
              done="Key policy deleted"
              run={() => ask((to) => to.DELETE("/api/v1/projects/{project}/media/contentKeyPolicies/{policy}", params))}
              then={() => go(["key-policies"])}
            />
          </>
        )}
      </Heading>
      <Await of={policy}>
        {({ properties }) => (
          <>
            <Facts
              rows={[
                ["Description", properties.description],
                ["Created", moment(properties.created)],
                ["Changed", moment(properties.lastModified)],
              ]}
            />
            <Section title="Options">
              <Table<Option>
                label="Options"
                items={properties.options}
                id={({ policyOptionId }) => policyOptionId}
                columns={[
                  { head: "Name", cell: ({ name }) => name ?? "" },
                  { head: "Key system", cell: kind },
                  { head: "Keys go to", cell: restricted },
                ]}
              />
            </Section>
            {secrets !== null && (
              <Section title="Secrets">
                <ul class="addresses">
                  {secrets.properties.options.map(({ policyOptionId, name: option, restriction }) => {
                    const key = "primaryVerificationKey" in restriction ? restriction.primaryVerificationKey : undefined;
                    const value = key !== undefined && "keyValue" in key ? key.keyValue : null;
                    return (
                      <li key={policyOptionId}>
                        <span class="meta">{option ?? "Option"}</span>
                        {value === null ? <span>no shared secret</span> : <Copy text={value} label={`secret of ${option ?? "the option"}`} />}
                      </li>
                    );
                  })}
                </ul>
              </Section>
            )}
          </>
        )}
      </Await>
    </>
  );
}
