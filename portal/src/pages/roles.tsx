/** Roles: named sets of rights, built in and of one's own. */

import { useState } from "preact/hooks";
import type { Schemas } from "../api/client";
import { ask, barred } from "../app/session";
import { Form, NAME_HINT, Text } from "../ui/form";
import { List, whole } from "../ui/list";
import { useDraft, useLoad } from "../ui/load";
import { Confirm, Heading, Opener } from "../ui/parts";
import { Await, Empty } from "../ui/states";
import { union, type Capabilities } from "./rights";
import { RightsFields, RightsList } from "./rights-fields";

type Role = Schemas["Role"];

export function RolesPage() {
  const [turn, setTurn] = useState(0);
  const again = () => setTurn((before) => before + 1);
  return (
    <>
      <Heading title="Roles">
        <Opener label="New role" disabled={barred("CustomRole", "write")}>
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
                <RightsList of={spec.capabilities} />
              </details>
            ),
          },
          {
            head: "Actions",
            cell: (role) =>
              role.metadata.builtIn ? (
                <span class="meta">built in</span>
              ) : (
                <>
                  <Opener label="Edit" kind="plain" title={`Edit ${role.metadata.name}`} disabled={barred("CustomRole", "write")}>
                    {(close) => <RoleForm of={role} done={() => (close(), again())} />}
                  </Opener>
                  <Confirm
                    label="Delete"
                    disabled={barred("CustomRole", "delete")}
                    question={`Delete ${role.metadata.name}?`}
                    consequence="Teams and clients that have it lose its rights."
                    done="Role deleted"
                    run={() => ask((to) => to.DELETE("/api/v1/organization/roles/{role}", { params: { path: { role: role.metadata.id } } }))}
                    then={again}
                  />
                </>
              ),
          },
        ]}
        empty={<Empty title="No roles" />}
      />
    </>
  );
}

/** `of`: the role to change. */
function RoleForm({ of, done }: { of?: Role; done: () => void }) {
  const roles = useLoad(() => ask((to) => to.GET("/api/v1/organization/roles")), []);
  const [draft, change, clear] = useDraft(
    `role-${of?.metadata.name ?? ""}`,
    {
      name: of?.metadata.name ?? "",
      description: of?.spec.description ?? "",
      capabilities: of?.spec.capabilities ?? ({} as Capabilities),
    },
    of !== undefined,
  );
  return (
    <Await of={roles}>
      {({ items }) => (
        <Form
          label={of === undefined ? "Make role" : "Save role"}
          done={of === undefined ? "Role made" : "Role saved"}
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
          {of === undefined && <Text label="Name" required hint={NAME_HINT} value={draft.name} change={(name) => change({ name })} />}
          <Text label="Description" name="description" value={draft.description} change={(description) => change({ description })} />
          <RightsFields
            among={union(items.filter(({ metadata }) => metadata.builtIn).map(({ spec }) => spec.capabilities))}
            chosen={draft.capabilities}
            change={(capabilities) => change({ capabilities })}
          />
        </Form>
      )}
    </Await>
  );
}
