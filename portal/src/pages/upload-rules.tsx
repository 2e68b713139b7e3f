/** Upload rules: what lands in a container is encoded and published by itself. */

import type { Schemas } from "../api/client";
import { ask, barred, here } from "../app/session";
import { Check, Form, NAME_HINT, Select, Text } from "../ui/form";
import { asPage, List } from "../ui/list";
import { useDraft, useLoad } from "../ui/load";
import { Act, Confirm, Heading, Opener, State } from "../ui/parts";
import { Await, Empty } from "../ui/states";
import { useState } from "preact/hooks";
import { policyLabel } from "./publish";

type Rule = Schemas["UploadRule"];

function put(name: string, properties: Schemas["UploadRulePropertiesWrite"]): Promise<unknown> {
  return ask((to) =>
    to.PUT("/api/v1/projects/{project}/media/uploadRules/{rule}", { params: { path: here({ rule: name }) }, body: { properties } }),
  );
}

function writable({ properties: { created: _created, lastModified: _changed, ...rest } }: Rule): Schemas["UploadRulePropertiesWrite"] {
  return rest;
}

export function UploadRulesPage() {
  const [turn, setTurn] = useState(0);
  const again = () => setTurn((before) => before + 1);
  return (
    <>
      <Heading title="Upload rules">
        <Opener label="New upload rule" disabled={barred("UploadRule", "write")}>
          {(close) => <RuleForm done={() => (close(), again())} />}
        </Opener>
      </Heading>
      <List<Rule>
        label="Upload rules"
        turn={turn}
        load={async (query) =>
          asPage(await ask((to) => to.GET("/api/v1/projects/{project}/media/uploadRules", { params: { path: here({}), query } })))
        }
        id={({ name }) => name}
        columns={[
          { head: "Name", cell: ({ name }) => name },
          { head: "State", cell: ({ properties }) => <State of={properties.enabled ? "Enabled" : "Disabled"} /> },
          {
            head: "Watches",
            long: true,
            cell: ({ properties: { storageAccountName, container, prefix, suffixes } }) =>
              `${storageAccountName} / ${container} / ${prefix}* (${suffixes.join(", ")})`,
          },
          { head: "Encodes with", cell: ({ properties }) => properties.transformName },
          { head: "Publishes", cell: ({ properties }) => policyLabel(properties.streamingPolicyName) },
          {
            head: "Actions",
            cell: (rule) => (
              <>
                <Act
                  label={rule.properties.enabled ? "Disable" : "Enable"}
                  done={rule.properties.enabled ? "Rule disabled" : "Rule enabled"}
                  disabled={barred("UploadRule", "write")}
                  run={() => put(rule.name, { ...writable(rule), enabled: !rule.properties.enabled })}
                  then={again}
                />
                <Opener label="Change" kind="plain" title={`Change ${rule.name}`} disabled={barred("UploadRule", "write")}>
                  {(close) => <RuleForm rule={rule} done={() => (close(), again())} />}
                </Opener>
                <Confirm
                  label="Delete"
                  disabled={barred("UploadRule", "delete")}
                  question={`Delete ${rule.name}?`}
                  consequence="What is put into the container from now on stays as it is."
                  done="Upload rule deleted"
                  run={() =>
                    ask((to) =>
                      to.DELETE("/api/v1/projects/{project}/media/uploadRules/{rule}", { params: { path: here({ rule: rule.name }) } }),
                    )
                  }
                  then={again}
                />
              </>
            ),
          },
        ]}
        empty={
          <Empty title="No upload rules">
            <p>With a rule, a file that any program puts into a container becomes a published video.</p>
          </Empty>
        }
      />
    </>
  );
}

function RuleForm({ rule, done }: { rule?: Rule; done: () => void }) {
  const known = useLoad(
    () =>
      Promise.all([
        ask((to) => to.GET("/api/v1/projects/{project}/media/transforms", { params: { path: here({}), query: { $top: 200 } } })),
        ask((to) => to.GET("/api/v1/projects/{project}/media/storage", { params: { path: here({}) } })),
        ask((to) => to.GET("/api/v1/projects/{project}/media/streamingPolicies", { params: { path: here({}), query: { $top: 200 } } })),
      ]),
    [],
  );
  return (
    <Await of={known}>
      {([transforms, storage, policies]) => (
        <Fields
          {...(rule === undefined ? {} : { rule })}
          transforms={transforms.value.map(({ name }) => name)}
          accounts={storage.items.map(({ metadata }) => metadata.name)}
          policies={policies.value.map(({ name }) => name)}
          done={done}
        />
      )}
    </Await>
  );
}

function Fields({ rule, transforms, accounts, policies, done }: { rule?: Rule; transforms: string[]; accounts: string[]; policies: string[]; done: () => void }) {
  const [draft, change, clear] = useDraft(
    `upload-rule-${rule?.name ?? ""}`,
    {
      name: rule?.name ?? "",
      description: rule?.properties.description ?? "",
      account: rule?.properties.storageAccountName ?? accounts[0] ?? "",
      container: rule?.properties.container ?? "",
      prefix: rule?.properties.prefix ?? "",
      suffixes: (rule?.properties.suffixes ?? [".mp4", ".mov"]).join(" "),
      transform: rule?.properties.transformName ?? transforms[0] ?? "",
      policy: rule?.properties.streamingPolicyName ?? "Predefined_ClearStreamingOnly",
      enabled: rule?.properties.enabled ?? true,
    },
    rule !== undefined,
  );
  return (
    <Form
      label="Save rule"
      done="Upload rule saved"
      submit={() =>
        put(draft.name, {
          ...(draft.description === "" ? {} : { description: draft.description }),
          storageAccountName: draft.account,
          container: draft.container,
          prefix: draft.prefix,
          suffixes: draft.suffixes.split(/[\s,]+/).filter(Boolean),
          transformName: draft.transform,
          streamingPolicyName: draft.policy,
          enabled: draft.enabled,
        })
      }
      then={() => (clear(), done())}
    >
      {rule === undefined && <Text label="Name" required hint={NAME_HINT} value={draft.name} change={(name) => change({ name })} />}
      <Text label="Description" name="description" value={draft.description} change={(description) => change({ description })} />
      <Select label="Storage account" name="storageAccountName" value={draft.account} change={(account) => change({ account })} options={accounts} />
      <Text label="Container" name="container" required value={draft.container} change={(container) => change({ container })} />
      <Text label="Folder" name="prefix" value={draft.prefix} change={(prefix) => change({ prefix })} hint="Only files whose path begins so. Empty: all." />
      <Text label="Kinds of files" name="suffixes.*" required value={draft.suffixes} change={(suffixes) => change({ suffixes })} hint="Ends of names, with spaces between them." />
      <Select label="Encode with" name="transformName" value={draft.transform} change={(transform) => change({ transform })} options={transforms} />
      <Select
        label="Publish with"
        name="streamingPolicyName"
        value={draft.policy}
        change={(policy) => change({ policy })}
        options={policies.map((name): [string, string] => [name, policyLabel(name)])}
      />
      <Check label="Enabled" checked={draft.enabled} change={(enabled) => change({ enabled })} />
    </Form>
  );
}
