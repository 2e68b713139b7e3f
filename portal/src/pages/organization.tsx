/** The organization: what it is called, and who answers for it. */

import type { Schemas } from "../api/client";
import { ask, barred } from "../app/session";
import { moment } from "../format";
import { Form, Text } from "../ui/form";
import { useDraft, useLoad } from "../ui/load";
import { Facts, Heading, Opener } from "../ui/parts";
import { Await } from "../ui/states";
import { changed } from "./changes";

type Organization = Schemas["Organization"];

export function OrganizationPage() {
  const found = useLoad(() => ask((to) => to.GET("/api/v1/organization")), []);
  return (
    <>
      <Heading title="Organization">
        {found.value !== null && (
          <Opener label="Edit" kind="plain" title="Edit the organization" disabled={barred("Organization", "write")}>
            {(close) => <OrganizationForm of={found.value!} done={() => (close(), found.reload())} />}
          </Opener>
        )}
      </Heading>
      <p class="meta">All projects, users and teams of this Headwater belong to it.</p>
      <Await of={found}>
        {({ metadata, spec }) => (
          <Facts
            rows={[
              ["Name", spec.name],
              ["Legal entity", spec.legalEntityName],
              ["Its e-mail", spec.legalEntityContactEmail],
              ["In scopes", <code>{metadata.name}</code>],
              ["Changed", moment(metadata.updated)],
            ]}
          />
        )}
      </Await>
    </>
  );
}

function OrganizationForm({ of, done }: { of: Organization; done: () => void }) {
  const { name, legalEntityName = "", legalEntityContactEmail = "" } = of.spec;
  const [draft, change, clear, was] = useDraft("organization", { name, legalEntityName, legalEntityContactEmail }, true);
  return (
    <Form
      label="Save organization"
      done="Organization saved"
      submit={() => ask((to) => to.PATCH("/api/v1/organization", { body: { spec: changed(draft, was) } }))}
      then={() => (clear(), done())}
    >
      <Text label="Name" name="name" required value={draft.name} change={(text) => change({ name: text })} />
      <Text label="Legal entity" name="legalEntityName" value={draft.legalEntityName} change={(text) => change({ legalEntityName: text })} />
      <Text label="Its e-mail" name="legalEntityContactEmail" type="email" value={draft.legalEntityContactEmail} change={(text) => change({ legalEntityContactEmail: text })} />
    </Form>
  );
}
