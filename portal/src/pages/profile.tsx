/** One's own profile: who one is to the others, what one may do, and invitations that wait. */

import type { Schemas } from "../api/client";
import { href } from "../app/router";
import { ask, barred, resume, signOut } from "../app/session";
import { moment } from "../format";
import { Form, Text } from "../ui/form";
import { Table } from "../ui/list";
import { useDraft, useLoad } from "../ui/load";
import { Act, Confirm, Facts, Heading, Opener, Section } from "../ui/parts";
import { Await } from "../ui/states";
import { changed } from "./changes";

type Profile = Schemas["Profile"];

const FIELDS = [
  ["name", "Name", "text"],
  ["loginEmail", "E-mail for signing in", "email"],
  ["contactEmail", "E-mail to be reached at", "email"],
  ["company", "Company", "text"],
  ["jobRole", "Job", "text"],
  ["phoneNumber", "Telephone", "text"],
  ["country", "Country", "text"],
] as const;

/** Programs, and those for whom another authority vouches, have no profile of their own here. */
function isUser({ spec }: Profile): boolean {
  return spec.loginEmail !== undefined;
}

export function ProfilePage() {
  const found = useLoad(() => ask((to) => to.GET("/api/v1/user/profile")), []);
  const organizations = useLoad(() => ask((to) => to.GET("/api/v1/user/organizations")), []);
  const invites = (organizations.value?.items ?? []).flatMap(({ status }) => status.invites ?? []);
  const off = (of: Profile) => (isUser(of) ? barred("Profile", "write") : "This token is not a user's: there is nobody to change.");
  const again = async () => {
    // The name stands above every page, and the rights may be others.
    await resume();
    found.reload();
    organizations.reload();
  };
  return (
    <>
      <Heading title="Profile">
        {found.value !== null && (
          <Opener label="Edit" kind="plain" title="Edit your profile" disabled={off(found.value)}>
            {(close) => <ProfileForm of={found.value!} done={() => (close(), void again())} />}
          </Opener>
        )}
      </Heading>
      <Await of={found}>
        {({ metadata, spec, status }) => (
          <Facts
            rows={[
              ...FIELDS.map(([member, label]): [string, string | null | undefined] => [label, spec[member]]),
              ["Id", <code>{metadata.id}</code>],
              [
                "Teams",
                Object.keys(status.teams ?? {}).map((team, at) => (
                  <span key={team}>
                    {at > 0 && ", "}
                    <a href={href(["teams", team])}>{team}</a>
                  </span>
                )),
              ],
              ["This token may", (status.roles ?? []).join(", ")],
              ["In the project", status.project],
              ["Signed in at", status.issuer],
              ["Since", moment(metadata.created)],
              ["Changed", moment(metadata.updated)],
            ]}
          />
        )}
      </Await>
      {invites.length > 0 && (
        <Section title="Invitations for you">
          <Table<Schemas["OwnInvite"]>
            label="Invitations for you"
            items={invites}
            id={({ id }) => id}
            columns={[
              { head: "Teams", cell: ({ teams }) => teams.join(", ") || "none" },
              {
                head: "Actions",
                cell: ({ id }) => {
                  const params = { params: { path: { organization: id } } };
                  return (
                    <>
                      <Act label="Accept" kind="primary" done="Invitation accepted" run={() => ask((to) => to.PATCH("/api/v1/user/organizations/{organization}", params))} then={() => void again()} />
                      <Act label="Decline" done="Invitation declined" run={() => ask((to) => to.DELETE("/api/v1/user/organizations/{organization}", params))} then={organizations.reload} />
                    </>
                  );
                },
              },
            ]}
          />
        </Section>
      )}
      {found.value !== null && isUser(found.value) && (
        <Section title="Leave">
          <p class="meta">You are a user no more then: your tokens stop working, and only an invitation brings you back.</p>
          <div class="actions">
            <Confirm
              label="Leave this Headwater"
              disabled={barred("Profile", "delete")}
              question="Leave this Headwater?"
              consequence="Your user is removed and all your tokens stop working at once. Others have to invite you to come back."
              done="You have left"
              run={() =>
                ask((to) =>
                  to.DELETE("/api/v1/user/organizations/{organization}", { params: { path: { organization: found.value!.spec.activeOrganizationId } } }),
                )
              }
              then={signOut}
            />
          </div>
        </Section>
      )}
    </>
  );
}

function ProfileForm({ of, done }: { of: Profile; done: () => void }) {
  const initial = Object.fromEntries(FIELDS.map(([member]) => [member, of.spec[member] ?? ""])) as Record<(typeof FIELDS)[number][0], string>;
  const [draft, change, clear, was] = useDraft("profile", initial, true);
  return (
    <Form
      label="Save profile"
      done="Profile saved"
      submit={() => ask((to) => to.PATCH("/api/v1/user/profile", { body: { spec: changed(draft, was) } }))}
      then={() => (clear(), done())}
    >
      {FIELDS.map(([member, label, type]) => (
        <Text key={member} label={label} name={member} type={type} required={member === "name"} value={draft[member]} change={(text) => change({ [member]: text })} />
      ))}
    </Form>
  );
}
