/** People: users, and invitations to become one. */

import { useState } from "preact/hooks";
import type { Schemas } from "../api/client";
import { ask, barred, may, profile } from "../app/session";
import { moment } from "../format";
import { Check, Form, Select, Text } from "../ui/form";
import { Table } from "../ui/list";
import { useDraft, useLoad } from "../ui/load";
import { Confirm, Copy, Dialog, Heading, Opener, Section, State } from "../ui/parts";
import { Await, Empty } from "../ui/states";

type User = Schemas["User"];
type Invite = Schemas["Invite"];

export function PeoplePage() {
  const users = useLoad(() => ask((to) => to.GET("/api/v1/organization/users")), []);
  const invites = useLoad(async () => (may("Invite", "read") ? ask((to) => to.GET("/api/v1/organization/invites")) : null), []);
  // Lists of users say nothing of their teams.
  const teams = useLoad(async () => (may("Team", "read") ? (await ask((to) => to.GET("/api/v1/organization/teams"))).items : []), []);
  const teamsOf = (user: string) => (teams.value ?? []).filter(({ spec }) => user in spec.members).map(({ metadata }) => metadata.name);
  const nameOf = (user: string) => users.value?.items.find(({ metadata }) => metadata.id === user)?.spec.name ?? user;
  const [made, setMade] = useState<Invite | null>(null);
  return (
    <>
      <Heading title="People">
        <Opener label="Invite somebody" disabled={barred("Invite", "write")}>
          {(close) => (
            <InviteForm
              users={users.value?.items ?? []}
              done={(invite) => {
                close();
                setMade(invite);
                invites.reload();
              }}
            />
          )}
        </Opener>
      </Heading>
      {made !== null && (
        <Dialog title="Hand this on" close={() => setMade(null)}>
          {made.spec.userId == null ? (
            <p>
              Whoever has this secret becomes {made.spec.name ?? "a user"} of this Headwater. It is shown this once, and nothing sends it: hand
              it on yourself.
            </p>
          ) : (
            <p>
              {nameOf(made.spec.userId)} can accept it on their profile. This secret is for when they cannot sign in: whoever has it comes in as
              them, with all their rights. It is shown this once.
            </p>
          )}
          <Copy text={made.metadata.secret ?? ""} label="secret of the invitation" />
          <p class="meta">
            It is accepted at {`${location.origin}/#/invited`} or POST /api/v1/invites/accept, and good until {moment(made.spec.expires)}.
          </p>
        </Dialog>
      )}
      <Section title="Users">
        <Await of={users}>
          {({ items }) => (
            <Table<User>
              label="Users"
              items={items}
              id={({ metadata }) => metadata.id}
              columns={[
                { head: "Name", cell: ({ spec }) => spec.name },
                { head: "Sign-in", cell: ({ spec }) => spec.loginEmail ?? "" },
                { head: "State", cell: ({ spec }) => <State of={spec.isActive ? "Active" : "Disabled"} /> },
                { head: "Teams", cell: ({ metadata }) => teamsOf(metadata.id).join(", ") },
                { head: "Since", cell: ({ metadata }) => moment(metadata.created) },
                {
                  head: "Actions",
                  cell: ({ metadata, spec }) =>
                    metadata.id === profile.value?.metadata.id ? (
                      <span class="meta">you</span>
                    ) : (
                      <Confirm
                        label="Remove"
                        disabled={barred("User", "delete")}
                        question={`Remove ${spec.name}?`}
                        consequence="All their tokens stop working at once."
                        done="User removed"
                        run={() => ask((to) => to.DELETE("/api/v1/organization/users/{user}", { params: { path: { user: metadata.id } } }))}
                        then={users.reload}
                      />
                    ),
                },
              ]}
            />
          )}
        </Await>
      </Section>
      <Section title="Invitations">
        <Await of={invites}>
          {(list) =>
            list === null || list.items.length === 0 ? (
              <Empty title="Nobody is invited" />
            ) : (
              <Table<Invite>
                label="Invitations"
                items={list.items}
                id={({ metadata }) => metadata.id}
                columns={[
                  { head: "For", cell: ({ spec }) => (spec.userId == null ? (spec.name ?? spec.loginEmail ?? "anybody") : nameOf(spec.userId)) },
                  { head: "State", cell: ({ status }) => <State of={status.state} /> },
                  { head: "Teams", cell: ({ spec }) => spec.teams.join(", ") },
                  { head: "Until", cell: ({ spec }) => moment(spec.expires) },
                  {
                    head: "Actions",
                    cell: ({ metadata, status }) =>
                      status.state !== "Pending" ? null : (
                        <Confirm
                          label="Take back"
                          disabled={barred("Invite", "delete")}
                          question="Take this invitation back?"
                          consequence="Its secret stops working."
                          done="Invitation taken back"
                          run={() =>
                            ask((to) => to.DELETE("/api/v1/organization/invites/{invite}", { params: { path: { invite: metadata.id } } }))
                          }
                          then={invites.reload}
                        />
                      ),
                  },
                ]}
              />
            )
          }
        </Await>
      </Section>
    </>
  );
}

const DAY_MS = 86_400_000;

function InviteForm({ users, done }: { users: User[]; done: (invite: Invite) => void }) {
  const teams = useLoad(() => ask((to) => to.GET("/api/v1/organization/teams")), []);
  const [draft, change, clear] = useDraft("invite", { user: "", name: "", email: "", days: "7", teams: [] as string[] });
  let made: Invite | null = null;
  return (
    <Form
      label="Invite"
      done="Invitation made"
      submit={async () => {
        made = await ask((to) =>
          to.POST("/api/v1/organization/invites", {
            body: {
              spec: {
                ...(draft.user === "" ? { name: draft.name, loginEmail: draft.email || null } : { userId: draft.user }),
                teams: draft.teams,
                expires: new Date(Date.now() + Number(draft.days) * DAY_MS).toISOString(),
              },
            },
          }),
        );
      }}
      then={() => {
        clear();
        if (made !== null) done(made);
      }}
    >
      <Select
        label="Who"
        name="userId"
        value={draft.user}
        change={(user) => change({ user })}
        options={[["", "Somebody new"], ...users.filter(({ metadata }) => metadata.id !== profile.value?.metadata.id).map(({ metadata, spec }): [string, string] => [metadata.id, spec.name])]}
      />
      {draft.user === "" ? (
        <>
          <Text label="Name" name="name" required value={draft.name} change={(name) => change({ name })} />
          <Text label="E-mail for signing in" name="loginEmail" type="email" value={draft.email} change={(email) => change({ email })} hint="May be left to whoever accepts." />
        </>
      ) : (
        <p class="meta">They find it on their profile, and accept it there.</p>
      )}
      <Text label="Days it is good for" name="expires" type="number" min={1} max={30} required value={draft.days} change={(days) => change({ days })} />
      <fieldset class="choice">
        <legend>Teams</legend>
        <p class="meta">Teams give rights. Without one, a user can sign in and do nothing.</p>
        {(teams.value?.items ?? []).map(({ metadata, spec }) => (
          <Check
            key={metadata.id}
            label={metadata.name}
            {...(spec.description === null ? {} : { hint: spec.description })}
            checked={draft.teams.includes(metadata.id)}
            change={(on) => change({ teams: on ? [...draft.teams, metadata.id] : draft.teams.filter((one) => one !== metadata.id) })}
          />
        ))}
      </fieldset>
    </Form>
  );
}
