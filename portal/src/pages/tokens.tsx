/** Tokens: one's own, everybody's, and the clients of programs. */

import { useState } from "preact/hooks";
import type { Schemas } from "../api/client";
import { Failure } from "../api/failure";
import { ask, barred, may, projects, rights } from "../app/session";
import { moment } from "../format";
import { Check, Choice, Complaints, Form, NAME_HINT, Select, Text } from "../ui/form";
import { Table } from "../ui/list";
import { useDraft, useLoad } from "../ui/load";
import { Act, Confirm, Copy, Dialog, Heading, Opener, Section, State } from "../ui/parts";
import { Await, Empty } from "../ui/states";
import { count, offered, permissionsOf, shared, type Capabilities } from "./rights";
import { RightsButtons, RightsFields, RightsList } from "./rights-fields";

type Token = Schemas["Token"];
type Client = Schemas["Client"];

function stateOf({ spec }: Token): string {
  if (spec.revoked !== null) return "Revoked";
  return Date.parse(spec.expires) < Date.now() ? "Expired" : "Active";
}

export function TokensPage() {
  const [secret, setSecret] = useState<{ title: string; text: string; label: string } | null>(null);
  const [turn, setTurn] = useState(0);
  const again = () => setTurn((before) => before + 1);
  const mine = useLoad(() => ask((to) => to.GET("/api/v1/user/tokens")), [], () => null, turn);
  return (
    <>
      <Heading title="Tokens">
        <Opener label="New token" disabled={barred("OwnToken", "write")}>
          {(close) => (
            <TokenForm
              done={(made) => {
                close();
                setSecret({ title: "Your new token", text: made.metadata.JWT ?? "", label: "token" });
                again();
              }}
            />
          )}
        </Opener>
      </Heading>
      {secret !== null && (
        <Dialog title={secret.title} close={() => setSecret(null)}>
          <p>It is shown this once. Copy it to where it is needed, and nowhere else.</p>
          <Copy text={secret.text} label={secret.label} />
          <div class="actions">
            <button type="button" onClick={() => setSecret(null)}>
              Done
            </button>
          </div>
        </Dialog>
      )}
      <Section
        title="Yours"
        actions={
          (mine.value?.items.some((token) => stateOf(token) === "Active") ?? false) && (
            <Confirm
              label="Revoke all"
              disabled={barred("OwnToken", "delete")}
              question="Revoke all your tokens?"
              consequence="Whatever uses one of them is refused from now on; so are you, if you are signed in with one. This cannot be taken back."
              done="Tokens revoked"
              run={() => ask((to) => to.DELETE("/api/v1/user/tokens"))}
              then={again}
            />
          )
        }
      >
        <Await of={mine}>
          {({ items }) => (
            <TokenTable
              label="Your tokens"
              items={items}
              revoke={(token) => ask((to) => to.DELETE("/api/v1/user/tokens/{token}", { params: { path: { token } } }))}
              then={again}
            />
          )}
        </Await>
      </Section>
      {may("Token", "read") && <Everybodys turn={turn} again={again} />}
      {may("ApiClient", "read") && <Clients show={setSecret} />}
    </>
  );
}

function Everybodys({ turn, again }: { turn: number; again: () => void }) {
  const all = useLoad(() => ask((to) => to.GET("/api/v1/organization/tokens")), [], () => null, turn);
  const users = useLoad(async () => (may("User", "read") ? (await ask((to) => to.GET("/api/v1/organization/users"))).items : []), []);
  const nameOf = (user: string) => users.value?.find(({ metadata }) => metadata.id === user)?.spec.name ?? user;
  return (
    <Section title="Everybody's">
      <Await of={all}>
        {({ items }) => (
          <TokenTable
            label="Everybody's tokens"
            items={items}
            nameOf={nameOf}
            revoke={(token) => ask((to) => to.DELETE("/api/v1/organization/tokens/{token}", { params: { path: { token } } }))}
            then={again}
          />
        )}
      </Await>
    </Section>
  );
}

interface TokenTableProps {
  label: string;
  items: Token[];
  /** Whose they are; one's own otherwise. */
  nameOf?: (user: string) => string;
  revoke: (id: string) => Promise<unknown>;
  then: () => void;
}

function TokenTable({ label, items, nameOf, revoke, then }: TokenTableProps) {
  if (items.length === 0) {
    return (
      <Empty title="No tokens">
        <p>Those made with the command line are not listed here.</p>
      </Empty>
    );
  }
  return (
    <Table<Token>
      label={label}
      items={items}
      id={({ metadata }) => metadata.id}
      columns={[
        { head: "For", cell: ({ spec, metadata }) => spec.description ?? metadata.id.slice(0, 8) },
        ...(nameOf === undefined ? [] : [{ head: "Whose", cell: ({ spec }: Token) => nameOf(spec.user) }]),
        { head: "State", cell: (token) => <State of={stateOf(token)} /> },
        { head: "Kind", cell: ({ metadata }) => metadata.type },
        { head: "May", cell: (token) => <Allowed by={token} /> },
        { head: "Project", cell: ({ spec }) => spec.project ?? "all" },
        { head: "Expires", cell: ({ spec }) => moment(spec.expires) },
        {
          head: "Actions",
          cell: (token) =>
            stateOf(token) !== "Active" ? null : (
              <Confirm
                label="Revoke"
                question={`Revoke ${token.spec.description ?? "this token"}?`}
                consequence="Whatever uses it is refused from now on. This cannot be taken back."
                done="Token revoked"
                run={() => revoke(token.metadata.id)}
                then={then}
              />
            ),
        },
      ]}
    />
  );
}

/** What a token is good for, of all that its user may do. */
function Allowed({ by: { spec } }: { by: Token }) {
  const roles = (spec.roles ?? []).join(", ");
  if (spec.permissions === null) return <>{roles || "whatever its user may"}</>;
  const places = [
    ...Object.entries(spec.permissions["core.project"] ?? {}).map(([id, held]): [string, Capabilities] => [
      projects.value.find(({ metadata }) => metadata.id === id)?.metadata.name ?? id,
      held,
    ]),
    ...Object.values(spec.permissions["core.organization"] ?? {}).map((held): [string, Capabilities] => ["the organization", held]),
  ];
  const all = places.reduce((sum, [, held]) => sum + count(held), 0);
  return (
    <details>
      <summary>
        {all === 1 ? "1 right" : `${all} rights`}
        {roles !== "" && ` of ${roles}`}
      </summary>
      {places.map(([place, held]) => (
        <div key={place}>
          <strong>In {place}</strong>
          <RightsList of={held} />
        </div>
      ))}
    </details>
  );
}

const DAY_MS = 86_400_000;

function TokenForm({ done }: { done: (token: Token) => void }) {
  const roles = useLoad(() => ask((to) => to.GET("/api/v1/organization/roles")), []);
  const [draft, change, clear] = useDraft("token", {
    description: "",
    role: "viewer",
    project: "",
    days: "30",
    some: false,
    /** What was ticked; until something was, all that the role has. */
    ticked: null as Capabilities | null,
  });
  const own = rights.value;
  const place = projects.value.find(({ metadata }) => metadata.name === draft.project)?.metadata.id ?? null;
  const role = roles.value?.items.find(({ metadata }) => metadata.name === draft.role)?.spec.capabilities;
  const among = role === undefined || own === null ? null : offered(role, own, place);
  let made: Token | null = null;
  /** `full-access`, or `restricted` to what is ticked. */
  const reach = (): Pick<Schemas["TokenWrite"], "type" | "permissions"> => {
    if (!draft.some) return { type: "full-access" };
    if (among === null || own === null) throw new Failure("invalid", "What can be ticked is not known yet.", "permissions");
    const held = shared(among, draft.ticked ?? among);
    if (count(held) === 0) throw new Failure("invalid", "Tick one right at least.", "permissions");
    return { type: "restricted", permissions: permissionsOf(held, own, place) };
  };
  return (
    <Form
      label="Make token"
      done="Token made"
      submit={async () => {
        const held = reach();
        made = await ask((to) =>
          to.POST("/api/v1/user/tokens", {
            body: {
              ...held,
              description: draft.description,
              roles: [draft.role as "viewer"],
              ...(draft.project === "" ? {} : { project: draft.project }),
              expireDate: new Date(Date.now() + Number(draft.days) * DAY_MS).toISOString(),
            },
          }),
        );
      }}
      then={() => {
        clear();
        if (made !== null) done(made);
      }}
    >
      <Text label="What it is for" name="description" required value={draft.description} change={(description) => change({ description })} hint="So that you know it again: build server." />
      <Choice
        legend="It may"
        value={draft.role}
        change={(role) => change({ role })}
        options={[
          { value: "viewer", label: "Look", hint: "Reads everything that is not a secret.", safe: true },
          { value: "operator", label: "Operate", hint: "Uploads, encodes, publishes, runs live events." },
          { value: "owner", label: "Own", hint: "Everything, users and keys as well." },
        ]}
      />
      <Select
        label="In"
        name="project"
        value={draft.project}
        change={(project) => change({ project })}
        options={[["", "All your projects"], ...projects.value.map(({ metadata }): [string, string] => [metadata.name, metadata.name])]}
      />
      <Check label="Only some of that" hint="You tick what it may do, and to which things." checked={draft.some} change={(some) => change({ some })} />
      {draft.some && (
        <Await of={roles}>
          {() =>
            among !== null && (
              <fieldset class="rows rights">
                <legend>Rights of this token</legend>
                {draft.project === "" && (
                  <p class="meta">
                    In the projects that you have today; those made later are not among them. “Account: read” lets it find out which there are,
                    as this portal does.
                  </p>
                )}
                <RightsButtons among={among} chosen={draft.ticked ?? among} change={(ticked) => change({ ticked })} />
                <RightsFields among={among} chosen={shared(among, draft.ticked ?? among)} change={(ticked) => change({ ticked })} />
                <Complaints name="permissions" />
              </fieldset>
            )
          }
        </Await>
      )}
      <Text label="Days it is good for" name="expireDate" type="number" min={1} max={365} required value={draft.days} change={(days) => change({ days })} />
    </Form>
  );
}

function Clients({ show }: { show: (secret: { title: string; text: string; label: string }) => void }) {
  const clients = useLoad(() => ask((to) => to.GET("/api/v1/organization/clients")), []);
  return (
    <Section
      title="Clients"
      actions={
        <Opener label="New client" kind="plain" disabled={barred("ApiClient", "write")}>
          {(close) => (
            <ClientForm
              done={(client) => {
                close();
                clients.reload();
                show({ title: `Secret of ${client.metadata.id}`, text: client.metadata.secret ?? "", label: "client secret" });
              }}
            />
          )}
        </Opener>
      }
    >
      <p class="meta">For programs that sign in as Azure's SDKs do, with a client id and a secret.</p>
      <Await of={clients}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty title="No clients" />
          ) : (
            <Table<Client>
              label="Clients"
              items={items}
              id={({ metadata }) => metadata.id}
              columns={[
                { head: "Client id", cell: ({ metadata }) => metadata.id },
                { head: "For", cell: ({ spec }) => spec.description ?? "" },
                { head: "Role", cell: ({ spec }) => spec.role },
                { head: "Project", cell: ({ spec }) => spec.project ?? "all" },
                {
                  head: "Actions",
                  cell: ({ metadata: { id }, ...client }) => (
                    <>
                      <Opener label="Edit" kind="plain" title={`Edit ${id}`} disabled={barred("ApiClient", "write")}>
                        {(close) => <ClientForm of={{ metadata: { id }, ...client }} done={() => (close(), clients.reload())} />}
                      </Opener>
                      <Act
                        label="New secret"
                        disabled={barred("ApiClient", "reveal")}
                        done="Secret changed"
                        run={async () => {
                          const { metadata } = await ask((to) =>
                            to.POST("/api/v1/organization/clients/{client}/rotateSecret", { params: { path: { client: id } } }),
                          );
                          show({ title: `Secret of ${id}`, text: metadata.secret ?? "", label: "client secret" });
                        }}
                      />
                      <Confirm
                        label="Delete"
                        disabled={barred("ApiClient", "delete")}
                        question={`Delete ${id}?`}
                        consequence="Programs that sign in with it are refused."
                        done="Client deleted"
                        run={() => ask((to) => to.DELETE("/api/v1/organization/clients/{client}", { params: { path: { client: id } } }))}
                        then={clients.reload}
                      />
                    </>
                  ),
                },
              ]}
            />
          )
        }
      </Await>
    </Section>
  );
}

/** `of`: the client to change; its secret stays. */
function ClientForm({ of, done }: { of?: Pick<Client, "spec"> & { metadata: { id: string } }; done: (client: Client) => void }) {
  const [draft, change, clear] = useDraft(
    `client-${of?.metadata.id ?? ""}`,
    {
      id: of?.metadata.id ?? "",
      description: of?.spec.description ?? "",
      role: of?.spec.role ?? "operator",
      project: of?.spec.project ?? "",
    },
    of !== undefined,
  );
  const roles = useLoad(() => ask((to) => to.GET("/api/v1/organization/roles")), []);
  let made: Client | null = null;
  return (
    <Form
      label={of === undefined ? "Make client" : "Save client"}
      done={of === undefined ? "Client made" : "Client saved"}
      submit={async () => {
        made = await ask((to) =>
          to.PUT("/api/v1/organization/clients/{client}", {
            params: { path: { client: draft.id } },
            body: { spec: { role: draft.role, description: draft.description || null, ...(draft.project === "" ? {} : { project: draft.project }) } },
          }),
        );
      }}
      then={() => {
        clear();
        if (made !== null) done(made);
      }}
    >
      {of === undefined && <Text label="Client id" required hint={NAME_HINT} value={draft.id} change={(id) => change({ id })} />}
      <Text label="What it is for" name="description" value={draft.description} change={(description) => change({ description })} />
      <Select label="Role" name="role" value={draft.role} change={(role) => change({ role })} options={roles.value?.items.map(({ metadata }) => metadata.name) ?? [draft.role]} />
      <Select
        label="Project"
        name="project"
        value={draft.project}
        change={(project) => change({ project })}
        options={[["", "All"], ...projects.value.map(({ metadata }): [string, string] => [metadata.name, metadata.name])]}
      />
    </Form>
  );
}
