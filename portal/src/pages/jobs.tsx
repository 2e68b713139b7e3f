/** Jobs: all of them as they go, and one. */

import { useState } from "preact/hooks";
import type { Schemas } from "../api/client";
import { go, href } from "../app/router";
import type { PageProps } from "../app/routes";
import { ask, barred, here } from "../app/session";
import { moment } from "../format";
import { asPage, List, quoted } from "../ui/list";
import { useChoices, useDraft, useLoad } from "../ui/load";
import { Act, Confirm, Facts, Heading, Opener, Section, State } from "../ui/parts";
import { Await, Empty, FailureNote } from "../ui/states";
import { Area, Form, Select, Text } from "../ui/form";
import { Failure } from "../api/failure";
import { changed } from "./changes";
import { EncodeForm } from "./encode";
import { PublishForm } from "./publish";
import { jobHref } from "./home";
import { pairText } from "./pairs";

type Job = Schemas["Job"];

export function JobsPage({ path }: PageProps) {
  const [, transform, job] = path;
  return transform === undefined || job === undefined ? <JobList /> : <JobPage transform={transform} job={job} />;
}

const ENDED = ["Finished", "Error", "Canceled"];

export function goesOn(state: string): boolean {
  return !ENDED.includes(state);
}

function percent(job: Job): number {
  const { outputs } = job.properties;
  return outputs.length === 0 ? 0 : Math.round(outputs.reduce((sum, { progress }) => sum + progress, 0) / outputs.length);
}

function JobList() {
  return (
    <>
      <Heading title="Jobs">
        <Opener label="New encode" disabled={barred("Job", "write")}>
          {(close) => <NewEncode done={(transform, job) => (close(), go(["jobs", transform, job]))} />}
        </Opener>
      </Heading>
      <List<Job>
        label="Jobs"
        load={async (query) =>
          asPage(
            await ask((to) =>
              to.GET("/api/v1/projects/{project}/media/jobs", {
                params: { path: here({}), query: { $orderby: "properties/created desc", ...query } },
              }),
            ),
          )
        }
        search={(words) => `contains(name,${quoted(words)})`}
        filters={{
          label: "Which jobs",
          options: [
            ["", "All"],
            ["properties/state eq 'Processing'", "Running"],
            ["properties/state eq 'Queued'", "Waiting"],
            ["properties/state eq 'Finished'", "Finished"],
            ["properties/state eq 'Error'", "Failed"],
          ],
        }}
        everyMs={(jobs) => (jobs.some(({ properties }) => goesOn(properties.state)) ? 2000 : 15_000)}
        id={({ id }) => id}
        columns={[
          { head: "Name", cell: ({ name, id }) => <a href={jobHref(id)}>{name}</a> },
          { head: "State", cell: ({ properties }) => <State of={properties.state} /> },
          {
            head: "Progress",
            cell: (job) => (
              <span class="progress">
                <progress max={100} value={percent(job)} aria-label={`Progress of ${job.name}`} /> {percent(job)} %
              </span>
            ),
          },
          { head: "Input", long: true, cell: ({ properties: { input } }) => <InputNames of={input} /> },
          { head: "Created", cell: ({ properties }) => moment(properties.created) },
        ]}
        empty={
          <Empty title="No jobs yet">
            <p>A job makes a film's qualities, and says how far it is.</p>
            <a class="button" href={href(["upload"])}>
              Upload a film
            </a>
          </Empty>
        }
      />
    </>
  );
}

function NewEncode({ done }: { done: (transform: string, job: string) => void }) {
  const [draft, change] = useChoices("new-encode", { from: "asset", asset: "", chosen: "" });
  const assets = useLoad(
    () =>
      ask((to) =>
        to.GET("/api/v1/projects/{project}/media/assets", {
          params: { path: here({}), query: { $top: 100, $orderby: "properties/created desc" } },
        }),
      ),
    [],
  );
  const source = (
    <Select
      label="What is encoded"
      value={draft.from}
      change={(from) => change({ from, chosen: "" })}
      options={[
        ["asset", "Files of an asset"],
        ["http", "Files at addresses elsewhere"],
      ]}
    />
  );
  if (draft.from === "http") {
    return (
      <>
        <div class="form before">{source}</div>
        <EncodeForm key="http" asset={null} done={(transform, job) => (change({ from: "asset" }), done(transform, job))} />
      </>
    );
  }
  if (draft.chosen !== "") {
    return (
      <>
        <p>
          Of <strong>{draft.chosen}</strong>{" "}
          <button type="button" class="small plain" onClick={() => change({ chosen: "" })}>
            Another asset
          </button>
        </p>
        <EncodeForm key={draft.chosen} asset={draft.chosen} done={(transform, job) => (change({ chosen: "", asset: "" }), done(transform, job))} />
      </>
    );
  }
  return (
    <form
      class="form"
      onSubmit={(event) => {
        event.preventDefault();
        change({ chosen: draft.asset });
      }}
    >
      {assets.failure !== null && <FailureNote failure={assets.failure} retry={assets.reload} />}
      {source}
      <Text
        label="Asset"
        required
        list={(assets.value?.value ?? []).map(({ name }) => name)}
        value={draft.asset}
        change={(asset) => change({ asset })}
        hint="What is to be encoded."
      />
      <div class="actions">
        <button type="submit">Next</button>
      </div>
    </form>
  );
}

/** What a job reads: assets by name, URLs as they are shown; of several, each. */
function InputNames({ of, files = false }: { of: Schemas["JobProperties"]["input"]; files?: boolean }) {
  if ("inputs" in of) {
    return (
      <>
        {of.inputs.map((input, index) => (
          <span key={index}>
            {index > 0 && ", "}
            <InputNames of={input} files={files} />
          </span>
        ))}
      </>
    );
  }
  const named = files && of.files.length > 0 ? ` (${of.files.join(", ")})` : "";
  return "assetName" in of ? (
    <>
      <a href={href(["assets", of.assetName])}>{of.assetName}</a>
      {named}
    </>
  ) : (
    <>
      {of.baseUri ?? of.files.join(", ")}
      {of.baseUri !== undefined && named}
    </>
  );
}

/** What is used of the input's tracks, where it is not all of them. */
function tracksRead(input: Schemas["JobProperties"]["input"]): string {
  const [first] = "inputs" in input ? input.inputs : [input];
  const definitions = first !== undefined && "inputDefinitions" in first ? (first.inputDefinitions ?? []) : [];
  const words = definitions.flatMap(({ includedTracks }) => (Array.isArray(includedTracks) ? (includedTracks as Record<string, unknown>[]) : []).map(trackWords));
  return [...new Set(words)].join(", ");
}

function trackWords(track: Record<string, unknown>): string {
  const kind = String(track["@odata.type"]).includes("Audio") ? "sound" : "pictures";
  if (track.trackId !== undefined) return `${kind} of track ${String(track.trackId)}`;
  const value = track.filterValue ?? track.filter;
  return value == null || value === "All" ? kind : `${kind} with ${String(track.attribute).toLowerCase()} ${String(value)}`;
}

/** Of several outputs, the one that is asked for. `assets`: of outputs that are finished, at least one. */
function PublishResult({ assets, done }: { assets: string[]; done: (locator: string) => void }) {
  const [asset, choose] = useState(assets[0] ?? "");
  return (
    <>
      {assets.length > 1 && (
        <div class="form before">
          <Select
            label="Output"
            value={asset}
            change={choose}
            options={assets.map((name): [string, string] => [name, name])}
            hint="What failed is not among them."
          />
        </div>
      )}
      <PublishForm key={asset} asset={asset} done={done} />
    </>
  );
}

const PRIORITIES = ["Low", "Normal", "High"] as const;

function JobForm({ of, transform, done }: { of: Job; transform: string; done: () => void }) {
  const { description, priority } = of.properties;
  const [draft, change, clear, was] = useDraft(`job-${transform}/${of.name}`, { description: description ?? "", priority }, true);
  return (
    <Form
      label="Save job"
      done="Job saved"
      submit={() =>
        ask((to) =>
          to.PATCH("/api/v1/projects/{project}/media/transforms/{transform}/jobs/{job}", {
            params: { path: here({ transform, job: of.name }) },
            body: { properties: changed(draft, was) },
          }),
        )
      }
      then={() => (clear(), done())}
    >
      <Area label="Description" name="description" value={draft.description} change={(description) => change({ description })} />
      <Select
        label="Priority"
        name="priority"
        value={draft.priority}
        change={(priority) => change({ priority: priority as Job["properties"]["priority"] })}
        options={[...PRIORITIES]}
        hint={of.properties.state === "Queued" ? "Jobs of a higher one are begun first." : "It has been begun already: this changes its record only."}
      />
    </Form>
  );
}

function JobPage({ transform, job }: { transform: string; job: string }) {
  const params = { params: { path: here({ transform, job }) } };
  const found = useLoad(
    () => ask((to) => to.GET("/api/v1/projects/{project}/media/transforms/{transform}/jobs/{job}", params)),
    [transform, job],
    ({ properties }) => (goesOn(properties.state) ? 1000 : null),
  );
  const state = found.value?.properties.state ?? "";
  const finished = found.value?.properties.outputs.filter(({ state }) => state === "Finished").map(({ assetName }) => assetName) ?? [];
  return (
    <>
      <Heading title={job} back={[href(["jobs"]), "Jobs"]}>
        {!goesOn(state) && finished.length > 0 && (
          <Opener label="Publish the result" title="Publish the result" disabled={barred("StreamingLocator", "write")}>
            {(close) => <PublishResult assets={[...new Set(finished)]} done={(name) => (close(), go(["locators", name]))} />}
          </Opener>
        )}
        {found.value !== null && (
          <Opener label="Edit" kind="plain" title={`Edit ${job}`} disabled={barred("Job", "write")}>
            {(close) => <JobForm of={found.value!} transform={transform} done={() => (close(), found.reload())} />}
          </Opener>
        )}
        {state !== "" && goesOn(state) && (
          <Act
            label="Cancel job"
            kind="danger"
            done="Job is being cancelled"
            disabled={state === "Canceling" || barred("Job", "act")}
            run={() => ask((to) => to.POST("/api/v1/projects/{project}/media/transforms/{transform}/jobs/{job}/cancelJob", params))}
            then={found.reload}
          />
        )}
        {state !== "" && !goesOn(state) && (
          <Confirm
            label="Delete"
            disabled={barred("Job", "delete")}
            question={`Delete ${job}?`}
            consequence="The record of the job goes. What it made stays."
            done="Job deleted"
            run={() => ask((to) => to.DELETE("/api/v1/projects/{project}/media/transforms/{transform}/jobs/{job}", params))}
            then={() => go(["jobs"])}
          />
        )}
      </Heading>
      <Await of={found}>
        {({ properties }) => (
          <>
            <Facts
              rows={[
                ["State", <State of={properties.state} />],
                ["Transform", <a href={href(["transforms", transform])}>{transform}</a>],
                [
                  "Input",
                  <InputNames of={properties.input} files />,
                ],
                ["Engine", properties.engine && `${properties.engine.name}: ${properties.engine.reason}`],
                ["Priority", properties.priority],
                ["Created", moment(properties.created)],
                ["Started", moment(properties.startTime)],
                ["Ended", moment(properties.endTime)],
                ["Description", properties.description],
                ["Correlation data", pairText(properties.correlationData, ", ")],
                ["Tracks", tracksRead(properties.input)],
              ]}
            />
            {properties.outputs.map((output, index) => (
              <Section key={index} title={`Output ${index + 1}`}>
                <div class="heading-row">
                  <a href={href(["assets", output.assetName])}>{output.assetName}</a>
                  <State of={output.state} />
                </div>
                <span class="progress wide">
                  <progress max={100} value={output.progress} aria-label={`Progress of output ${index + 1}`} /> {output.progress} %
                </span>
                {output.error !== undefined && (
                  <>
                    <FailureNote failure={new Failure("broken", output.error.message)} />
                    <ul class="meta">
                      {output.error.details.map((detail, at) => (
                        <li key={at}>
                          {detail.code}: {detail.message}
                        </li>
                      ))}
                    </ul>
                  </>
                )}
              </Section>
            ))}
          </>
        )}
      </Await>
    </>
  );
}
