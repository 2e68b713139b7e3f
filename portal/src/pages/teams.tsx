/** Teams: who belongs together, and which roles they have where. */

import type { Schemas } from "../api/client";
import { go, href } from "../app/router";
import type { PageProps } from "../app/routes";
import { ask, may } from "../app/session";
import { moment } from "../format";
import { Check, Form, NAME_HINT, Select, Text } from "../ui/form";
import { List, Table, whole } from "../ui/list";
import { useDraft, useLoad } from "../ui/load";
import { Act, Confirm, Facts, Heading, Opener, Section } from "../ui/parts";
import { Await, Empty } from "../ui/states";

type Team = Schemas["Team"];

export function TeamsPage({ path }: PageProps) {
  const id = path[1];
  return id === undefined ? <TeamList /> : <TeamPage id={id} />;
}

export function put(team: string, spec: Schemas["TeamWriteSpec"]): Promise<unknown> {
  return ask((to) => to.PUT("/api/v1/organization/teams/{team}", { params: { path: { team } }, body: { spec } }));
}

function grants({ spec }: Team): string {
  return Object.entries(spec.scopes)
    .map(([scope, { roles }]) => `${roles.join(", ")} in ${scope}`)
    .join("; ");
}

function TeamList() {
  return (
    <>
      <Heading title="Teams">
        <Opener label="New team" disabled={!may("Team", "write")}>
          {(close) => <TeamForm done={(id) => (close(), go(["teams", id]))} />}
        </Opener>
      </Heading>
      <List<Team>
        label="Teams"
        load={async () => whole((await ask((to) => to.GET("/api/v1/organization/teams"))).items)}
        matches={({ metadata }, words) => metadata.name.toLowerCase().includes(words.toLowerCase())}
        id={({ metadata }) => metadata.id}
        columns={[
          { head: "Name", cell: ({ metadata }) => <a href={href(["teams", metadata.id])}>{metadata.name}</a> },
          { head: "Description", cell: ({ spec }) => spec.description ?? "" },
          { head: "May", cell: grants },
          { head: "Members", end: true, cell: ({ spec }) => Object.keys(spec.members).length },
        ]}
        empty={
          <Empty title="No teams yet">
            <p>A team gives its members roles: in one project, or in all.</p>
          </Empty>
        }
      />
    </>
  );
}

function TeamForm({ done }: { done: (id: string) => void }) {
  const known = useLoad(
    () => Promise.all([ask((to) => to.GET("/api/v1/organization/scopes")), ask((to) => to.GET("/api/v1/organization/roles"))]),
    [],
  );
  return (
    <Await of={known}>
      {([scopes, roles]) => (
        <TeamFields
          scopes={scopes.items.map(({ metadata, spec }): [string, string] => [metadata.id, spec.description || metadata.name])}
          roles={roles.items.map(({ metadata }) => metadata.name)}
          done={done}
        />
      )}
    </Await>
  );
}

function TeamFields({ scopes, roles, done }: { scopes: [string, string][]; roles: string[]; done: (id: string) => void }) {
  const [draft, change, clear] = useDraft("team", { name: "", description: "", scope: scopes.at(-1)?.[0] ?? "", role: "viewer" });
  return (
    <Form
      label="Make team"
      done="Team made"
      submit={() =>
        put(draft.name, { description: draft.description || null, members: {}, scopes: { [draft.scope]: { roles: [draft.role] } } })
      }
      then={() => (clear(), done(draft.name))}
    >
      <Text label="Name" required hint={NAME_HINT} value={draft.name} change={(name) => change({ name })} />
      <Text label="Description" name="description" value={draft.description} change={(description) => change({ description })} />
      <Select label="Role" name="scopes.*" value={draft.role} change={(role) => change({ role })} options={roles} hint="Begin with the least that does." />
      <Select label="Where" value={draft.scope} change={(scope) => change({ scope })} options={scopes} />
    </Form>
  );
}

function TeamPage({ id }: { id: string }) {
  const params = { params: { path: { team: id } } };
  const team = useLoad(() => ask((to) => to.GET("/api/v1/organization/teams/{team}", params)), [id]);
  const users = useLoad(async () => (may("User", "read") ? (await ask((to) => to.GET("/api/v1/organization/users"))).items : []), []);
  const nameOf = (user: string) => users.value?.find(({ metadata }) => metadata.id === user)?.spec.name ?? user;
  return (
    <>
      <Heading title={id} back={[href(["teams"]), "Teams"]}>
        {team.value !== null && (
          <Confirm
            label="Delete"
            disabled={!may("Team", "delete")}
            question={`Delete ${id}?`}
            consequence="Its members lose the rights that it gave them. They stay users."
            done="Team deleted"
            run={() => ask((to) => to.DELETE("/api/v1/organization/teams/{team}", params))}
            then={() => go(["teams"])}
          />
        )}
      </Heading>
      <Await of={team}>
        {(one) => (
          <>
            <Facts
              rows={[
                ["Description", one.spec.description],
                ["May", grants(one)],
                ["Changed", moment(one.metadata.updated)],
              ]}
            />
            <Section
              title="Members"
              actions={
                <Opener label="Add member" disabled={!may("Team", "write")}>
                  {(close) => <MemberForm team={one} users={users.value ?? []} done={() => (close(), team.reload())} />}
                </Opener>
              }
            >
              {Object.keys(one.spec.members).length === 0 ? (
                <Empty title="No members yet" />
              ) : (
                <Table
                  label="Members"
                  items={Object.entries(one.spec.members)}
                  id={([user]) => user}
                  columns={[
                    { head: "Name", cell: ([user]) => nameOf(user) },
                    { head: "Team admin", cell: ([, { isTeamAdmin }]) => (isTeamAdmin === true ? "yes" : "no") },
                    {
                      head: "Actions",
                      cell: ([user]) => (
                        <Act
                          label="Remove"
                          disabled={!may("Team", "write")}
                          done="Member removed"
                          run={() => {
                            const { [user]: _gone, ...members } = one.spec.members;
                            return put(id, { ...one.spec, members });
                          }}
                          then={team.reload}
                        />
                      ),
                    },
                  ]}
                />
              )}
            </Section>
          </>
        )}
      </Await>
    </>
  );
}

function MemberForm({ team, users, done }: { team: Team; users: Schemas["User"][]; done: () => void }) {
  const free = users.filter(({ metadata }) => !(metadata.id in team.spec.members));
  const [draft, change, clear] = useDraft(`member-${team.metadata.id}`, { user: free[0]?.metadata.id ?? "", admin: false });
  if (free.length === 0) return <Empty title="Everybody is a member already" />;
  return (
    <Form
      label="Add"
      done="Member added"
      submit={() => put(team.metadata.id, { ...team.spec, members: { ...team.spec.members, [draft.user]: { isTeamAdmin: draft.admin } } })}
      then={() => (clear(), done())}
    >
      <Select label="User" value={draft.user} change={(user) => change({ user })} options={free.map(({ metadata, spec }): [string, string] => [metadata.id, spec.name])} />
      <Check label="May change the team's members" checked={draft.admin} change={(admin) => change({ admin })} />
    </Form>
  );
}
