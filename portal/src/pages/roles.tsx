/** Roles: named sets of rights, built in and of one's own. */

import { useState } from "preact/hooks";
import type { Schemas } from "../api/client";
import { ask, may } from "../app/session";
import { Check, Form, NAME_HINT, Text } from "../ui/form";
import { List, whole } from "../ui/list";
import { useDraft, useLoad } from "../ui/load";
import { Confirm, Heading, Opener } from "../ui/parts";
import { Await, Empty } from "../ui/states";

type Role = Schemas["Role"];

export function RolesPage() {
  const [turn, setTurn] = useState(0);
  const again = () => setTurn((before) => before + 1);
  return (
    <>
      <Heading title="Roles">
        <Opener label="New role" disabled={!may("CustomRole", "write")}>
          {(close) => <RoleForm done={() => (close(), again())} />}
        </Opener>
      </Heading>
      <List<Role>
        label="Roles"
        turn={turn}
        load={async () => whole((await ask((to) => to.GET("/api/v1/organization/roles"))).items)}
        id={({ metadata }) => metadata.id}
        columns={[
          { head: "Name", cell: ({ metadata }) => metadata.name },
          { head: "Description", cell: ({ spec }) => spec.description ?? "" },
          {
            head: "Rights",
            cell: ({ spec }) => (
              <details>
                <summary>{Object.keys(spec.capabilities).length} kinds of things</summary>
                <ul class="plain-list meta">
                  {Object.entries(spec.capabilities).map(([kind, verbs]) => (
                    <li key={kind}>
                      {kind}: {verbs.join(", ")}
                    </li>
                  ))}
                </ul>
              </details>
            ),
          },
          {
            head: "Actions",
            cell: ({ metadata }) =>
              metadata.builtIn ? (
                <span class="meta">built in</span>
              ) : (
                <Confirm
                  label="Delete"
                  disabled={!may("CustomRole", "delete")}
                  question={`Delete ${metadata.name}?`}
                  consequence="Teams and clients that have it lose its rights."
                  done="Role deleted"
                  run={() => ask((to) => to.DELETE("/api/v1/organization/roles/{role}", { params: { path: { role: metadata.id } } }))}
                  then={again}
                />
              ),
          },
        ]}
        empty={<Empty title="No roles" />}
      />
    </>
  );
}

/** What a role can be made of: everything that the built-in roles have. */
function offered(roles: Role[]): Map<string, string[]> {
  const all = new Map<string, string[]>();
  for (const { metadata, spec } of roles) {
    if (!metadata.builtIn) continue;
    for (const [kind, verbs] of Object.entries(spec.capabilities)) {
      all.set(kind, [...new Set([...(all.get(kind) ?? []), ...verbs])]);
    }
  }
  return all;
}

function RoleForm({ done }: { done: () => void }) {
  const roles = useLoad(() => ask((to) => to.GET("/api/v1/organization/roles")), []);
  const [draft, change, clear] = useDraft("role", { name: "", description: "", capabilities: {} as Record<string, string[]> });
  const toggle = (kind: string, verb: string, on: boolean) => {
    const verbs = (draft.capabilities[kind] ?? []).filter((one) => one !== verb);
    const { [kind]: _before, ...others } = draft.capabilities;
    const next = on ? [...verbs, verb] : verbs;
    change({ capabilities: next.length === 0 ? others : { ...others, [kind]: next } });
  };
  return (
    <Await of={roles}>
      {({ items }) => (
        <Form
          label="Make role"
          done="Role made"
          submit={() =>
            ask((to) =>
              to.PUT("/api/v1/organization/roles/{role}", {
                params: { path: { role: draft.name } },
                body: { spec: { description: draft.description || null, capabilities: draft.capabilities } },
              }),
            )
          }
          then={() => (clear(), done())}
        >
          <Text label="Name" required hint={NAME_HINT} value={draft.name} change={(name) => change({ name })} />
          <Text label="Description" name="description" value={draft.description} change={(description) => change({ description })} />
          {[...offered(items)].map(([kind, verbs]) => (
            <fieldset class="choice inline" key={kind}>
              <legend>{kind}</legend>
              {verbs.map((verb) => (
                <Check key={verb} label={verb} checked={draft.capabilities[kind]?.includes(verb) ?? false} change={(on) => toggle(kind, verb, on)} />
              ))}
            </fieldset>
          ))}
        </Form>
      )}
    </Await>
  );
}
