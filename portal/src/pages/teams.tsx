/** Teams: who belongs together, and which roles they have where. */

import type { Schemas } from "../api/client";
import { go, href } from "../app/router";
import type { PageProps } from "../app/routes";
import { Failure } from "../api/failure";
import { ask, barred, may, profile } from "../app/session";
import { moment } from "../format";
import { Check, Complaints, Form, NAME_HINT, Select, Text } from "../ui/form";
import { List, Table, whole } from "../ui/list";
import { useDraft, useLoad } from "../ui/load";
import { Act, Confirm, Facts, Heading, Opener, Section } from "../ui/parts";
import { Await, Empty } from "../ui/states";

type Team = Schemas["Team"];

export function TeamsPage({ path }: PageProps) {
  const id = path[1];
  return id === undefined ? <TeamList /> : <TeamPage id={id} />;
}

function put(team: string, spec: Schemas["TeamWriteSpec"]): Promise<unknown> {
  return ask((to) => to.PUT("/api/v1/organization/teams/{team}", { params: { path: { team } }, body: { spec } }));
}

type Change = Schemas["PatchOperation"];

/** Changes what is named and leaves the rest, whoever changes that meanwhile. */
function patch(team: string, body: Change[]): Promise<unknown> {
  return ask((to) => to.PATCH("/api/v1/organization/teams/{team}", { params: { path: { team } }, body }));
}

/** A JSON pointer (RFC 6901) to a member of the team's `spec`. */
function pointer(...steps: string[]): string {
  return ["", "spec", ...steps].map((step) => step.replaceAll("~", "~0").replaceAll("/", "~1")).join("/");
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
        <Opener label="New team" disabled={barred("Team", "write")}>
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

/** `of`: the team to change; `rights`: whether what it gives may be changed, too. */
function TeamForm({ of, rights = true, done }: { of?: Team; rights?: boolean; done: (id: string) => void }) {
  const known = useLoad(
    () => Promise.all([ask((to) => to.GET("/api/v1/organization/scopes")), ask((to) => to.GET("/api/v1/organization/roles"))]),
    [],
  );
  return (
    <Await of={known}>
      {([scopes, roles]) => {
        const places = scopes.items.map(({ metadata, spec }): [string, string] => [metadata.id, spec.description || metadata.name]);
        const names = roles.items.map(({ metadata }) => metadata.name);
        return of === undefined ? (
          <TeamFields scopes={places} roles={names} done={done} />
        ) : (
          <EditTeam of={of} rights={rights} scopes={places} roles={names} done={() => done(of.metadata.id)} />
        );
      }}
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

interface Grant {
  scope: string;
  roles: string[];
}

function grantsOf({ spec }: Team): Grant[] {
  return Object.entries(spec.scopes).map(([scope, { roles }]) => ({ scope, roles: [...roles].sort() }));
}

/** What makes `grants` of what `was`. */
function scopeChanges(was: Grant[], grants: Grant[]): Change[] {
  const before = new Map(was.map(({ scope, roles }) => [scope, roles]));
  const after = new Map<string, string[]>();
  for (const { scope, roles } of grants) {
    if (after.has(scope)) throw new Failure("invalid", `${scope} is there twice.`, "scopes");
    after.set(scope, [...roles].sort());
  }
  return [
    ...[...after].filter(([scope, roles]) => roles.join() !== before.get(scope)?.join()).map(([scope, roles]): Change => ({ op: "add", path: pointer("scopes", scope), value: { roles } })),
    ...[...before.keys()].filter((scope) => !after.has(scope)).map((scope): Change => ({ op: "remove", path: pointer("scopes", scope) })),
  ];
}

function EditTeam({ of, rights, scopes, roles, done }: { of: Team; rights: boolean; scopes: [string, string][]; roles: string[]; done: () => void }) {
  const [draft, change, clear, was] = useDraft(`team-${of.metadata.id}`, { description: of.spec.description ?? "", grants: grantsOf(of) }, true);
  const set = (at: number, part: Partial<Grant>) => change({ grants: draft.grants.map((one, index) => (index === at ? { ...one, ...part } : one)) });
  const free = scopes.find(([scope]) => !draft.grants.some((grant) => grant.scope === scope));
  return (
    <Form
      label="Save team"
      done="Team saved"
      submit={async () => {
        const description: Change[] = draft.description === was.description ? [] : [{ op: "replace", path: pointer("description"), value: draft.description || null }];
        const changes = [...description, ...(rights ? scopeChanges(was.grants, draft.grants) : [])];
        if (changes.length > 0) await patch(of.metadata.id, changes);
      }}
      then={() => (clear(), done())}
    >
      <Text label="Description" name="description" value={draft.description} change={(description) => change({ description })} />
      {rights && (
        <div class="rows">
          {draft.grants.map(({ scope, roles: given }, at) => (
            <fieldset key={at} class="row">
              <legend>Rights {at + 1}</legend>
              <Select
                label="Where"
                value={scope}
                change={(next) => set(at, { scope: next })}
                options={scopes.some(([known]) => known === scope) ? scopes : [...scopes, scope]}
              />
              <fieldset class="choice inline">
                <legend>Roles</legend>
                {[...new Set([...roles, ...given])].map((role) => (
                  <Check
                    key={role}
                    label={role}
                    checked={given.includes(role)}
                    change={(on) => set(at, { roles: on ? [...given, role] : given.filter((one) => one !== role) })}
                  />
                ))}
              </fieldset>
              <button type="button" class="small plain" aria-label={`Remove rights ${at + 1}`} onClick={() => change({ grants: draft.grants.filter((_, index) => index !== at) })}>
                Remove
              </button>
            </fieldset>
          ))}
          <Complaints name="scopes.*" />
          {free !== undefined && (
            <button type="button" class="small plain" onClick={() => change({ grants: [...draft.grants, { scope: free[0], roles: [] }] })}>
              Rights elsewhere
            </button>
          )}
        </div>
      )}
    </Form>
  );
}

function TeamPage({ id }: { id: string }) {
  const params = { params: { path: { team: id } } };
  const team = useLoad(() => ask((to) => to.GET("/api/v1/organization/teams/{team}", params)), [id]);
  const users = useLoad(async () => (may("User", "read") ? (await ask((to) => to.GET("/api/v1/organization/users"))).items : []), []);
  const me = profile.value?.metadata.id ?? "";
  // A team's own administrators may change who is in it.
  const barredMembers = team.value?.spec.members[me]?.isTeamAdmin === true ? false : barred("Team", "write");
  const nameOf = (user: string) => users.value?.find(({ metadata }) => metadata.id === user)?.spec.name ?? user;
  return (
    <>
      <Heading title={id} back={[href(["teams"]), "Teams"]}>
        {team.value !== null && (
          <>
            <Opener label="Edit" kind="plain" title={`Edit ${id}`} disabled={barredMembers}>
              {(close) => <TeamForm of={team.value!} rights={may("Team", "write")} done={() => (close(), team.reload())} />}
            </Opener>
            <Confirm
              label="Delete"
              disabled={barred("Team", "delete")}
              question={`Delete ${id}?`}
              consequence="Its members lose the rights that it gave them. They stay users."
              done="Team deleted"
              run={() => ask((to) => to.DELETE("/api/v1/organization/teams/{team}", params))}
              then={() => go(["teams"])}
            />
          </>
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
                <Opener label="Add member" disabled={barredMembers}>
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
                      cell: ([user, { isTeamAdmin }]) => (
                        <>
                          <Act
                            label={isTeamAdmin === true ? "Make member" : "Make admin"}
                            disabled={barredMembers}
                            done={`${nameOf(user)} is ${isTeamAdmin === true ? "a plain member" : "an admin of the team"}`}
                            run={() => patch(id, [{ op: "add", path: pointer("members", user), value: { isTeamAdmin: isTeamAdmin !== true } }])}
                            then={team.reload}
                          />
                          <Act
                            label="Remove"
                            disabled={barredMembers}
                            done="Member removed"
                            run={() => patch(id, [{ op: "remove", path: pointer("members", user) }])}
                            then={team.reload}
                          />
                        </>
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
  const unseen = !may("User", "read");
  if (!unseen && free.length === 0) return <Empty title="Everybody is a member already" />;
  return (
    <Form
      label="Add"
      done="Member added"
      submit={() => patch(team.metadata.id, [{ op: "add", path: pointer("members", draft.user.trim()), value: { isTeamAdmin: draft.admin } }])}
      then={() => (clear(), done())}
    >
      {unseen ? (
        <Text label="User's id" name="members.*" required value={draft.user} change={(user) => change({ user })} hint="It stands on their profile." />
      ) : (
        <Select label="User" value={draft.user} change={(user) => change({ user })} options={free.map(({ metadata, spec }): [string, string] => [metadata.id, spec.name])} />
      )}
      <Check label="May change the team's members" checked={draft.admin} change={(admin) => change({ admin })} />
    </Form>
  );
}
