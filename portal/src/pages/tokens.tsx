/** Tokens: one's own, everybody's, and the clients of programs. */

import { useState } from "preact/hooks";
import type { Schemas } from "../api/client";
import { ask, may, projects } from "../app/session";
import { moment } from "../format";
import { Choice, Form, NAME_HINT, Select, Text } from "../ui/form";
import { Table } from "../ui/list";
import { useDraft, useLoad } from "../ui/load";
import { Act, Confirm, Copy, Dialog, Heading, Opener, Section, State } from "../ui/parts";
import { Await, Empty } from "../ui/states";

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
        <Opener label="New token" disabled={!may("OwnToken", "write")}>
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
      <Section title="Yours">
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
  return (
    <Section title="Everybody's">
      <Await of={all}>
        {({ items }) => (
          <TokenTable
            label="Everybody's tokens"
            items={items}
            revoke={(token) => ask((to) => to.DELETE("/api/v1/organization/tokens/{token}", { params: { path: { token } } }))}
            then={again}
          />
        )}
      </Await>
    </Section>
  );
}

function TokenTable({ label, items, revoke, then }: { label: string; items: Token[]; revoke: (id: string) => Promise<unknown>; then: () => void }) {
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
        { head: "State", cell: (token) => <State of={stateOf(token)} /> },
        { head: "Kind", cell: ({ metadata }) => metadata.type },
        { head: "Roles", cell: ({ spec }) => (spec.roles ?? []).join(", ") },
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

const DAY_MS = 86_400_000;

function TokenForm({ done }: { done: (token: Token) => void }) {
  const [draft, change, clear] = useDraft("token", { description: "", role: "viewer", project: "", days: "30" });
  let made: Token | null = null;
  return (
    <Form
      label="Make token"
      done="Token made"
      submit={async () => {
        made = await ask((to) =>
          to.POST("/api/v1/user/tokens", {
            body: {
              type: "full-access",
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
        <Opener label="New client" kind="plain" disabled={!may("ApiClient", "write")}>
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
                  cell: ({ metadata: { id } }) => (
                    <>
                      <Act
                        label="New secret"
                        disabled={!may("ApiClient", "write")}
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
                        disabled={!may("ApiClient", "delete")}
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

function ClientForm({ done }: { done: (client: Client) => void }) {
  const [draft, change, clear] = useDraft("client", { id: "", description: "", role: "operator", project: "" });
  const roles = useLoad(() => ask((to) => to.GET("/api/v1/organization/roles")), []);
  let made: Client | null = null;
  return (
    <Form
      label="Make client"
      done="Client made"
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
      <Text label="Client id" required hint={NAME_HINT} value={draft.id} change={(id) => change({ id })} />
      <Text label="What it is for" name="description" value={draft.description} change={(description) => change({ description })} />
      <Select label="Role" name="role" value={draft.role} change={(role) => change({ role })} options={(roles.value?.items ?? []).map(({ metadata }) => metadata.name)} />
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
