/** Content key policies: who gets keys. */

import { useState } from "preact/hooks";
import type { Schemas } from "../api/client";
import { go, href } from "../app/router";
import type { PageProps } from "../app/routes";
import { ask, barred, here } from "../app/session";
import { moment } from "../format";
import { asPage, List, quoted, Table } from "../ui/list";
import { useLoad } from "../ui/load";
import { Act, Confirm, Copy, Facts, Heading, Opener, Section } from "../ui/parts";
import { Await, Empty } from "../ui/states";
import { systemOf, type Option } from "./key-policy-draft";
import { EditPolicy, PolicyForm } from "./key-policy-form";

type Policy = Schemas["ContentKeyPolicy"];

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
        <Opener label="New key policy" disabled={barred("ContentKeyPolicy", "write")}>
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
          { head: "Key systems", cell: ({ properties }) => [...new Set(properties.options.map(systemOf))].join(", ") },
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

function PolicyPage({ name }: { name: string }) {
  const params = { params: { path: here({ policy: name }) } };
  const policy = useLoad(() => ask((to) => to.GET("/api/v1/projects/{project}/media/contentKeyPolicies/{policy}", params)), [name]);
  const [secrets, setSecrets] = useState<Policy | null>(null);
  return (
    <>
      <Heading title={name} back={[href(["key-policies"]), "Key policies"]}>
        {policy.value !== null && (
          <>
            <Opener label="Edit" kind="plain" title={`Edit ${name}`} disabled={barred("ContentKeyPolicy", "write")}>
              {(close) => <EditPolicy of={policy.value!} again={policy.reload} done={() => (close(), setSecrets(null), policy.reload())} />}
            </Opener>
            <Act
              label="Show secrets"
              disabled={barred("ContentKeyPolicy", "reveal")}
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
              disabled={barred("ContentKeyPolicy", "delete")}
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
                  { head: "Key system", cell: systemOf },
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
