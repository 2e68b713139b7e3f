/** Storage accounts: where the project's media lies, and the credentials for it. */

import type { Schemas } from "../api/client";
import { go, href } from "../app/router";
import type { PageProps } from "../app/routes";
import { ask, barred, here } from "../app/session";
import { moment } from "../format";
import { Choice, Form, Text } from "../ui/form";
import { List, Table, whole } from "../ui/list";
import { useDraft, useLoad } from "../ui/load";
import { Confirm, Facts, Heading, Opener, Section, State } from "../ui/parts";
import { Await, Empty } from "../ui/states";

type Storage = Pick<Schemas["Storage"], "metadata" | "status"> & {
  spec: Omit<Schemas["Storage"]["spec"], "privateLinkServiceConnection">;
};

export function StoragePage({ path }: PageProps) {
  const name = path[1];
  return name === undefined ? <StorageList /> : <Account name={name} />;
}

function StorageList() {
  return (
    <>
      <Heading title="Storage accounts">
        <Opener label="Add storage account" disabled={barred("Storage", "write")}>
          {(close) => <StorageForm done={(name) => (close(), go(["storage", name]))} />}
        </Opener>
      </Heading>
      <List<Storage>
        label="Storage accounts"
        load={async () => {
          const answer = await ask((to) => to.GET("/api/v1/projects/{project}/media/storage", { params: { path: here({}) } }));
          return whole(answer.items);
        }}
        id={({ metadata }) => metadata.id}
        columns={[
          { head: "Name", cell: ({ metadata }) => <a href={href(["storage", metadata.name])}>{metadata.name}</a> },
          { head: "Address", long: true, cell: ({ spec }) => spec.url },
          { head: "Description", cell: ({ spec }) => spec.description ?? "" },
          { head: "Added", cell: ({ metadata }) => moment(metadata.created) },
        ]}
        empty={
          <Empty title="No storage account">
            <p>Assets need a place to lie: Headwater's own blob store, or an account of Azure Storage.</p>
          </Empty>
        }
      />
    </>
  );
}

function secret(draft: { kind: string; secret: string }): Schemas["StorageSecret"] {
  return draft.kind === "sas" ? { sasToken: draft.secret.replace(/^\?/, "") } : { accountKey: draft.secret };
}

const SECRETS = [
  { value: "sas", label: "SAS token", hint: "Limited in rights and time; can be replaced without touching others.", safe: true },
  { value: "key", label: "Account key", hint: "Opens everything in the account, for good." },
];

function StorageForm({ done }: { done: (name: string) => void }) {
  const [draft, change, clear] = useDraft("storage", { name: "", url: "", description: "", kind: "sas", secret: "" });
  return (
    <Form
      label="Add storage account"
      done="Storage account added"
      submit={() =>
        ask((to) =>
          to.PUT("/api/v1/projects/{project}/media/storage/{storage}", {
            params: { path: here({ storage: draft.name }) },
            body: {
              spec: { type: "Microsoft.Storage", url: draft.url, description: draft.description || null, credential: secret(draft) },
            },
          }),
        )
      }
      then={() => (clear(), done(draft.name))}
    >
      <Text label="Name" name="name" required value={draft.name} change={(name) => change({ name })} hint="As the account is called in Azure." />
      <Text label="Address" name="url" type="url" required value={draft.url} change={(url) => change({ url })} hint="https://name.blob.core.windows.net" />
      <Text label="Description" name="description" value={draft.description} change={(description) => change({ description })} />
      <Choice legend="Credential" value={draft.kind} change={(kind) => change({ kind })} options={SECRETS} />
      <Text
        label={draft.kind === "sas" ? "SAS token" : "Account key"}
        name={draft.kind === "sas" ? "sasToken" : "accountKey"}
        type="password"
        required
        value={draft.secret}
        change={(secret) => change({ secret })}
        hint="It is kept encrypted and never shown again."
      />
    </Form>
  );
}

function DescribeStorage({ name, was, done }: { name: string; was: string; done: () => void }) {
  const [draft, change, clear] = useDraft(`describe-storage-${name}`, { description: was }, true);
  return (
    <Form
      label="Save"
      done="Saved"
      submit={() =>
        ask((to) =>
          to.PATCH("/api/v1/projects/{project}/media/storage/{storage}", {
            params: { path: here({ storage: name }) },
            body: { spec: { description: draft.description } },
          }),
        )
      }
      then={() => (clear(), done())}
    >
      <Text label="Description" name="description" value={draft.description} change={(description) => change({ description })} />
    </Form>
  );
}

function Account({ name }: { name: string }) {
  const params = { params: { path: here({ storage: name }) } };
  const account = useLoad(() => ask((to) => to.GET("/api/v1/projects/{project}/media/storage/{storage}", params)), [name]);
  const credentials = useLoad(() => ask((to) => to.GET("/api/v1/projects/{project}/media/storage/{storage}/credentials", params)), [name]);
  return (
    <>
      <Heading title={name} back={[href(["storage"]), "Storage accounts"]}>
        {account.value !== null && (
          <>
            <Opener label="Describe" kind="plain" title={`Describe ${name}`} disabled={barred("Storage", "write")}>
              {(close) => <DescribeStorage name={name} was={account.value!.spec.description ?? ""} done={() => (close(), account.reload())} />}
            </Opener>
            <Confirm
              label="Remove"
              disabled={barred("Storage", "delete")}
              question={`Remove ${name}?`}
              consequence="The project forgets the account. Nothing in it is deleted. It has to be free of assets first."
              done="Storage account removed"
              run={() => ask((to) => to.DELETE("/api/v1/projects/{project}/media/storage/{storage}", params))}
              then={() => go(["storage"])}
            />
          </>
        )}
      </Heading>
      <Await of={account}>
        {({ spec, metadata }) => (
          <Facts
            rows={[
              ["Address", spec.url],
              ["Description", spec.description],
              ["Added", moment(metadata.created)],
            ]}
          />
        )}
      </Await>
      <Section
        title="Credentials"
        actions={
          <Opener label="New credential" disabled={barred("Storage", "write")}>
            {(close) => <CredentialForm name={name} done={() => (close(), credentials.reload())} />}
          </Opener>
        }
      >
        <Await of={credentials}>
          {({ items }) =>
            items.length === 0 ? (
              <Empty title="Headwater's own storage needs none" />
            ) : (
              <Table<Schemas["StorageCredential"]>
                label="Credentials"
                items={items}
                id={({ metadata }) => metadata.id}
                columns={[
                  { head: "Kind", cell: ({ status }) => (status.kind === "sasToken" ? "SAS token" : "Account key") },
                  { head: "State", cell: ({ status }) => <State of={status.active ? "Active" : "Retired"} /> },
                  { head: "Expires", cell: ({ status }) => moment(status.expires) },
                  { head: "Made", cell: ({ metadata }) => moment(metadata.created) },
                  {
                    head: "Actions",
                    cell: ({ metadata, status }) => (
                      <Confirm
                        label="Delete"
                        disabled={status.active || barred("Storage", "write")}
                        question="Delete this credential?"
                        consequence="It cannot be used again."
                        done="Credential deleted"
                        run={() =>
                          ask((to) =>
                            to.DELETE("/api/v1/projects/{project}/media/storage/{storage}/credentials/{credential}", {
                              params: { path: here({ storage: name, credential: metadata.id }) },
                            }),
                          )
                        }
                        then={credentials.reload}
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

function CredentialForm({ name, done }: { name: string; done: () => void }) {
  const [draft, change, clear] = useDraft(`credential-${name}`, { kind: "sas", secret: "" });
  return (
    <Form
      label="Use this credential"
      done="Credential in use"
      submit={() =>
        ask((to) =>
          to.POST("/api/v1/projects/{project}/media/storage/{storage}/credentials", {
            params: { path: here({ storage: name }) },
            body: { spec: { type: "Microsoft.Storage", credential: secret(draft) } },
          }),
        )
      }
      then={() => (clear(), done())}
    >
      <Choice legend="Kind" value={draft.kind} change={(kind) => change({ kind })} options={SECRETS} />
      <Text
        label={draft.kind === "sas" ? "SAS token" : "Account key"}
        name={draft.kind === "sas" ? "sasToken" : "accountKey"}
        type="password"
        required
        value={draft.secret}
        change={(secret) => change({ secret })}
        hint="It is kept encrypted and never shown again."
      />
    </Form>
  );
}
