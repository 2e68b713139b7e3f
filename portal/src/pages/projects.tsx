/** Projects: accounts of their own, each with its media, storage and rights. */

import type { Schemas } from "../api/client";
import { go, href } from "../app/router";
import type { PageProps } from "../app/routes";
import { Failure } from "../api/failure";
import { ask, barred, choose, project, rereadProjects } from "../app/session";
import { moment } from "../format";
import { Form, Select, Text } from "../ui/form";
import { List, whole } from "../ui/list";
import { useDraft, useLoad } from "../ui/load";
import { Copy, Facts, Heading, Opener, Section, State } from "../ui/parts";
import { Await, Empty } from "../ui/states";

type Project = Schemas["Project"];

export function ProjectsPage({ path }: PageProps) {
  const name = path[1];
  return name === undefined ? <ProjectList /> : <ProjectPage name={name} />;
}

function ProjectList() {
  return (
    <>
      <Heading title="Projects">
        <Opener label="New project" disabled={barred("Account", "write")}>
          {(close) => <NewProject done={(name) => (close(), go(["projects", name]))} />}
        </Opener>
      </Heading>
      <List<Project>
        label="Projects"
        load={async () => whole((await ask((to) => to.GET("/api/v1/projects"))).items)}
        matches={({ metadata, spec }, words) => `${metadata.name} ${spec.displayName}`.toLowerCase().includes(words.toLowerCase())}
        id={({ metadata }) => metadata.id}
        columns={[
          { head: "Name", cell: ({ metadata }) => <a href={href(["projects", metadata.name])}>{metadata.name}</a> },
          { head: "Shown as", cell: ({ spec }) => spec.displayName },
          { head: "Location", cell: ({ spec }) => spec.locationName },
          { head: "State", cell: ({ status }) => <State of={status.state} /> },
          { head: "Made", cell: ({ metadata }) => moment(metadata.created) },
          { head: "Actions", cell: ({ metadata, spec }) => <Switch name={metadata.name} label={spec.displayName || metadata.name} /> },
        ]}
        empty={<Empty title="No projects" />}
      />
    </>
  );
}

/** Shows another project's things. */
function Switch({ name, label }: { name: string; label: string }) {
  if (project.value === name) return <span class="meta">shown now</span>;
  return (
    <button type="button" class="small plain" aria-label={`Switch to ${label}`} onClick={() => choose(name)}>
      Switch
    </button>
  );
}

function NewProject({ done }: { done: (name: string) => void }) {
  const locations = useLoad(() => ask((to) => to.GET("/api/v1/locations")), []);
  return (
    <Await of={locations}>
      {({ items }) => (
        <NewFields locations={items.map(({ metadata }): [string, string] => [metadata.name, metadata.displayName])} done={done} />
      )}
    </Await>
  );
}

function NewFields({ locations, done }: { locations: [string, string][]; done: (name: string) => void }) {
  const [draft, change, clear] = useDraft("project", { name: "", displayName: "", location: locations[0]?.[0] ?? "" });
  return (
    <Form
      label="Make project"
      done="Project made"
      submit={async () => {
        // PUT renames a project that is there, which is not what this form says it does.
        const { items } = await ask((to) => to.GET("/api/v1/projects"));
        if (items.some(({ metadata }) => metadata.name === draft.name)) {
          throw new Failure("conflict", `There is a project ${draft.name} already.`, "name");
        }
        await ask((to) =>
          to.PUT("/api/v1/projects/{project}", {
            params: { path: { project: draft.name } },
            body: { spec: { displayName: draft.displayName || null, locationName: draft.location } },
          }),
        );
        await rereadProjects();
      }}
      then={() => (clear(), done(draft.name))}
    >
      <Text
        label="Name"
        name="name"
        required
        value={draft.name}
        change={(name) => change({ name })}
        hint="3 to 24 lower-case letters, digits and single dashes. It cannot be changed later."
      />
      <Text label="Shown as" name="displayName" value={draft.displayName} change={(displayName) => change({ displayName })} hint="The name, when left empty." />
      <Select
        label="Location"
        name="locationName"
        value={draft.location}
        change={(location) => change({ location })}
        options={locations}
        hint="It cannot be changed later."
      />
    </Form>
  );
}

function ProjectPage({ name }: { name: string }) {
  const params = { params: { path: { project: name } } };
  const found = useLoad(() => ask((to) => to.GET("/api/v1/projects/{project}", params)), [name]);
  const metrics = useLoad(() => ask((to) => to.GET("/api/v1/projects/{project}/metricsEndpoint", params)), [name]);
  return (
    <>
      <Heading title={name} back={[href(["projects"]), "Projects"]}>
        {found.value !== null && (
          <>
            <Switch name={name} label={found.value.spec.displayName || name} />
            <Opener label="Rename" kind="plain" title={`Rename ${name}`} disabled={barred("Account", "write")}>
              {(close) => <Rename of={found.value!} done={() => (close(), found.reload())} />}
            </Opener>
          </>
        )}
      </Heading>
      <Await of={found}>
        {({ metadata, spec, status }) => (
          <Facts
            rows={[
              ["Shown as", spec.displayName],
              ["State", <State of={status.state} />],
              ["Location", spec.locationName],
              ["Id", metadata.id],
              ["Made", moment(metadata.created)],
              ["Changed", moment(metadata.updated)],
            ]}
          />
        )}
      </Await>
      <Section title="Its first steps">
        {project.value === name ? (
          <ul>
            <li>
              <a href={href(["storage"])}>Storage accounts</a>: a new project has none, and needs one before anything is uploaded.
            </li>
            <li>
              <a href={href(["teams"])}>Teams</a>: who may do what in it.
            </li>
            <li>
              <a href={href(["usage"])}>Usage</a>: what it has used.
            </li>
          </ul>
        ) : (
          <p>Switch to it to see and change what is in it: storage accounts first, for a new project has none.</p>
        )}
      </Section>
      <Section title="Metrics">
        <Await of={metrics}>
          {({ spec: { enabled, url } }) =>
            enabled && url !== null ? (
              <>
                <Copy text={url} label="address of the metrics" />
                <p class="meta">For a Prometheus server. They are those of the whole installation.</p>
              </>
            ) : (
              <Empty title="Not switched on">
                <p>Metrics are where the installation was started with --metrics-listen.</p>
              </Empty>
            )
          }
        </Await>
      </Section>
    </>
  );
}

function Rename({ of, done }: { of: Project; done: () => void }) {
  const { name } = of.metadata;
  const [draft, change, clear] = useDraft(`project-${name}`, { displayName: of.spec.displayName }, true);
  return (
    <Form
      label="Save"
      done="Project renamed"
      submit={async () => {
        await ask((to) =>
          to.PATCH("/api/v1/projects/{project}", { params: { path: { project: name } }, body: { spec: { displayName: draft.displayName } } }),
        );
        await rereadProjects();
      }}
      then={() => (clear(), done())}
    >
      <Text label="Shown as" name="displayName" required value={draft.displayName} change={(displayName) => change({ displayName })} />
    </Form>
  );
}
