/** Transforms: recipes for encodes. */

import type { Schemas } from "../api/client";
import { go, href } from "../app/router";
import type { PageProps } from "../app/routes";
import { ask, here, may } from "../app/session";
import { moment } from "../format";
import { Choice, Form, NAME_HINT, Select, Text } from "../ui/form";
import { asPage, List, quoted } from "../ui/list";
import { useDraft, useLoad } from "../ui/load";
import { Confirm, Facts, Heading, Opener, Section, State } from "../ui/parts";
import { Await, Empty } from "../ui/states";
import { jobHref } from "./home";

type Preset = Schemas["BuiltInStandardEncoderPreset"]["presetName"];

const PRESETS: { value: Preset; label: string; hint: string; safe?: boolean }[] = [
  { value: "AdaptiveStreaming", label: "Adaptive", hint: "A ladder that follows the source's size and sound.", safe: true },
  { value: "H264MultipleBitrate1080p", label: "Ladder to 1080p", hint: "Fixed steps up to 1920×1080." },
  { value: "H264MultipleBitrate720p", label: "Ladder to 720p", hint: "Fixed steps up to 1280×720." },
  { value: "H264MultipleBitrateSD", label: "Ladder in SD", hint: "Fixed steps of small pictures." },
  { value: "H264SingleBitrate1080p", label: "One quality, 1080p", hint: "A single file, for downloads." },
  { value: "H264SingleBitrate720p", label: "One quality, 720p", hint: "A single file, for downloads." },
  { value: "H264SingleBitrateSD", label: "One quality, SD", hint: "A small single file." },
  { value: "AACGoodQualityAudio", label: "Sound only", hint: "AAC stereo." },
];

/** What a preset is called: by its name, or by its kind where it has none. */
export function presetLabel(preset: Schemas["TransformOutput"]["preset"]): string {
  const name = "presetName" in preset ? preset.presetName : preset["@odata.type"].replace(/^.*\./, "");
  return PRESETS.find(({ value }) => value === name)?.label ?? name;
}

type Transform = Schemas["Transform"];

export function TransformsPage({ path }: PageProps) {
  const name = path[1];
  return name === undefined ? <TransformList /> : <TransformPage name={name} />;
}

function TransformList() {
  return (
    <>
      <Heading title="Transforms">
        <Opener label="New transform" disabled={!may("Transform", "write")}>
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

function TransformForm({ done }: { done: (name: string) => void }) {
  const [draft, change, clear] = useDraft("transform", {
    name: "",
    description: "",
    preset: "AdaptiveStreaming",
    priority: "Normal",
    onError: "StopProcessingJob",
  });
  return (
    <Form
      label="Make transform"
      done="Transform made"
      submit={() =>
        ask((to) =>
          to.PUT("/api/v1/projects/{project}/media/transforms/{transform}", {
            params: { path: here({ transform: draft.name }) },
            body: {
              properties: {
                ...(draft.description === "" ? {} : { description: draft.description }),
                outputs: [
                  {
                    onError: draft.onError as "StopProcessingJob",
                    relativePriority: draft.priority as "Normal",
                    preset: { "@odata.type": "#Microsoft.Media.BuiltInStandardEncoderPreset", presetName: draft.preset as Preset },
                  },
                ],
              },
            },
          }),
        )
      }
      then={() => (clear(), done(draft.name))}
    >
      <Text label="Name" required hint={NAME_HINT} value={draft.name} change={(name) => change({ name })} />
      <Text label="Description" name="description" value={draft.description} change={(description) => change({ description })} />
      <Choice legend="What it makes" value={draft.preset} change={(preset) => change({ preset })} options={PRESETS} />
      <Select label="Priority" value={draft.priority} change={(priority) => change({ priority })} options={["Low", "Normal", "High"]} />
      <Select
        label="When an output fails"
        value={draft.onError}
        change={(onError) => change({ onError })}
        options={[
          ["StopProcessingJob", "Stop the job"],
          ["ContinueJob", "Go on with the others"],
        ]}
      />
    </Form>
  );
}

function TransformPage({ name }: { name: string }) {
  const params = { params: { path: here({ transform: name }) } };
  const transform = useLoad(() => ask((to) => to.GET("/api/v1/projects/{project}/media/transforms/{transform}", params)), [name]);
  return (
    <>
      <Heading title={name} back={[href(["transforms"]), "Transforms"]}>
        {transform.value !== null && (
          <Confirm
            label="Delete"
            disabled={!may("Transform", "delete")}
            question={`Delete ${name}?`}
            consequence="The records of its jobs go with it. What they made stays."
            done="Transform deleted"
            run={() => ask((to) => to.DELETE("/api/v1/projects/{project}/media/transforms/{transform}", params))}
            then={() => go(["transforms"])}
          />
        )}
      </Heading>
      <Await of={transform}>
        {({ properties }) => (
          <Facts
            rows={[
              ["Description", properties.description],
              ["Makes", properties.outputs.map(({ preset }) => presetLabel(preset)).join(", ")],
              ["Created", moment(properties.created)],
              ["Changed", moment(properties.lastModified)],
            ]}
          />
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
