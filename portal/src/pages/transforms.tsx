/** Transforms: recipes for encodes. */

import type { Schemas } from "../api/client";
import { go, href } from "../app/router";
import type { PageProps } from "../app/routes";
import { ask, barred, here } from "../app/session";
import { moment } from "../format";
import { asPage, List, quoted, Table } from "../ui/list";
import { useLoad } from "../ui/load";
import { Confirm, Facts, Heading, Opener, Section, State } from "../ui/parts";
import { Await, Empty } from "../ui/states";
import { jobHref } from "./home";
import { presetLabel } from "./presets";
import { TransformForm } from "./transform-form";

type Transform = Schemas["Transform"];

export function TransformsPage({ path }: PageProps) {
  const name = path[1];
  return name === undefined ? <TransformList /> : <TransformPage name={name} />;
}

function TransformList() {
  return (
    <>
      <Heading title="Transforms">
        <Opener label="New transform" disabled={barred("Transform", "write")}>
          {(close) => <TransformForm done={(name) => (close(), go(["transforms", name]))} />}
        </Opener>
      </Heading>
      <List<Transform>
        label="Transforms"
        load={async (query) =>
          asPage(await ask((to) => to.GET("/api/v1/projects/{project}/media/transforms", { params: { path: here({}), query } })))
        }
        search={(words) => `contains(name,${quoted(words)})`}
        id={({ name }) => name}
        columns={[
          { head: "Name", cell: ({ name }) => <a href={href(["transforms", name])}>{name}</a> },
          { head: "Makes", cell: ({ properties }) => properties.outputs.map(({ preset }) => presetLabel(preset)).join(", ") },
          { head: "Description", cell: ({ properties }) => properties.description ?? "" },
          { head: "Changed", cell: ({ properties }) => moment(properties.lastModified) },
        ]}
        empty={
          <Empty title="No transforms yet">
            <p>A transform says what is made of a film: which qualities, and what happens when one fails.</p>
          </Empty>
        }
      />
    </>
  );
}

function TransformPage({ name }: { name: string }) {
  const params = { params: { path: here({ transform: name }) } };
  const transform = useLoad(() => ask((to) => to.GET("/api/v1/projects/{project}/media/transforms/{transform}", params)), [name]);
  return (
    <>
      <Heading title={name} back={[href(["transforms"]), "Transforms"]}>
        {transform.value !== null && (
          <>
            <Opener label="Change" kind="plain" title={`Change ${name}`} disabled={barred("Transform", "write")}>
              {(close) => <TransformForm of={transform.value!} done={() => (close(), transform.reload())} />}
            </Opener>
            <Confirm
              label="Delete"
              disabled={barred("Transform", "delete")}
              question={`Delete ${name}?`}
              consequence="The records of its jobs go with it. What they made stays."
              done="Transform deleted"
              run={() => ask((to) => to.DELETE("/api/v1/projects/{project}/media/transforms/{transform}", params))}
              then={() => go(["transforms"])}
            />
          </>
        )}
      </Heading>
      <Await of={transform}>
        {({ properties }) => (
          <>
            <Facts
              rows={[
                ["Description", properties.description],
                ["Created", moment(properties.created)],
                ["Changed", moment(properties.lastModified)],
              ]}
            />
            <Section title="Outputs">
              <Table<Schemas["TransformOutput"] & { at: number }>
                label="Outputs"
                items={properties.outputs.map((output, at) => ({ ...output, at: at + 1 }))}
                id={({ at }) => String(at)}
                columns={[
                  { head: "Output", cell: ({ at }) => at },
                  { head: "Makes", cell: ({ preset }) => presetLabel(preset) },
                  { head: "Priority", cell: ({ relativePriority }) => relativePriority ?? "Normal" },
                  { head: "When it fails", cell: ({ onError }) => (onError === "ContinueJob" ? "the others go on" : "the job stops") },
                  {
                    head: "Preset",
                    cell: ({ preset, at }) => (
                      <details>
                        <summary>
                          JSON<span class="visually-hidden"> of output {at}</span>
                        </summary>
                        <pre tabIndex={0} aria-label={`Preset of output ${at}`}>
                          {JSON.stringify(preset, null, 2)}
                        </pre>
                      </details>
                    ),
                  },
                ]}
              />
            </Section>
          </>
        )}
      </Await>
      <Section title="Its jobs">
        <List<Schemas["Job"]>
          label="Jobs of this transform"
          load={async (query) =>
            asPage(
              await ask((to) =>
                to.GET("/api/v1/projects/{project}/media/transforms/{transform}/jobs", {
                  params: { path: here({ transform: name }), query: { $orderby: "properties/created desc", ...query } },
                }),
              ),
            )
          }
          id={({ name }) => name}
          columns={[
            { head: "Job", cell: ({ name, id }) => <a href={jobHref(id)}>{name}</a> },
            { head: "State", cell: ({ properties }) => <State of={properties.state} /> },
            { head: "Created", cell: ({ properties }) => moment(properties.created) },
          ]}
          empty={<Empty title="No jobs yet" />}
        />
      </Section>
    </>
  );
}
