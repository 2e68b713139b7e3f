/** From a file to a published video in one go. */

import { Failure } from "../api/failure";
import { href } from "../app/router";
import { ask, here, may, project } from "../app/session";
import { Choice, Select } from "../ui/form";
import { useAction, useChoices, useLoad } from "../ui/load";
import { Heading, Section } from "../ui/parts";
import { Empty, FailureNote } from "../ui/states";
import { advance, dropFlow, flows, startFlow, type Flow } from "../upload/flows";
import { uploads } from "../upload/uploads";
import { Drop, Uploads } from "../upload/view";
import { useTransforms } from "./encode";
import { CLEAR, POLICIES } from "./publish";

export function UploadPage() {
  const transforms = useTransforms();
  const keys = useLoad(
    async () =>
      may("ContentKeyPolicy", "read")
        ? (await ask((to) => to.GET("/api/v1/projects/{project}/media/contentKeyPolicies", { params: { path: here({}), query: { $top: 200 } } }))).value
        : [],
    [],
  );
  const [wish, change] = useChoices("upload", { transform: "", policy: CLEAR, keys: "" });
  const begin = useAction();
  if (!may("Asset", "write")) {
    return (
      <>
        <Heading title="Upload" />
        <Empty title="Your token may not upload">
          <p>An owner of this Headwater can give it the role of an operator.</p>
        </Empty>
      </>
    );
  }
  const names = (transforms.value?.value ?? []).map(({ name }) => name);
  // The first transform, until somebody chooses: a ladder plays everywhere.
  const transform = wish.transform === "" ? (names[0] ?? "as-is") : wish.transform;
  const encrypted = wish.policy === "Predefined_ClearKey" || wish.policy === "Predefined_MultiDrmCencStreaming";
  const mine = flows.value.filter((flow) => flow.project === project.value);
  // Files that were only added to an asset: here they are found again, whichever it was.
  const added = uploads.value.filter(
    ({ project: of, asset, state }) => of === project.value && state !== "done" && !flows.value.some((flow) => flow.asset === asset && flow.project === of),
  );
  return (
    <>
      <Heading title="Upload" />
      {transforms.failure !== null && <FailureNote failure={transforms.failure} retry={transforms.reload} />}
      <Drop
        label="Choose films"
        take={(files) =>
          void begin.run(async () => {
            // Known now, and not once everything is sent and encoded.
            if (encrypted && wish.keys === "") throw new Failure("invalid", "Choose the key policy first: what is encrypted is not published without one.");
            for (const file of files) {
              await startFlow(file, {
                transform: transform === "as-is" ? null : transform,
                policy: wish.policy === "" ? null : wish.policy,
                keys: encrypted && wish.keys !== "" ? wish.keys : null,
              });
            }
          })
        }
      />
      {begin.failure !== null && <FailureNote failure={begin.failure} />}
      {mine.length > 0 && (
        <Section title="Under way">
          <ul class="flows" aria-label="Films">
            {mine.map((flow) => (
              <FlowRow key={flow.id} flow={flow} />
            ))}
          </ul>
        </Section>
      )}
      {added.length > 0 && (
        <Section title="Files for assets">
          <Uploads of={(upload) => added.includes(upload)} />
        </Section>
      )}
      <Section title="What becomes of it">
        <div class="form">
          <Select
            label="Encode with"
            value={transform}
            change={(transform) => change({ transform })}
            options={[...names, ["as-is", "Nothing: publish the file as it is"]]}
            hint="A transform makes several qualities, so that players can follow the connection."
          />
          <Choice
            legend="Then publish"
            value={wish.policy}
            change={(policy) => change({ policy })}
            options={[...POLICIES, { value: "", label: "Do not publish", hint: "You can do so later, from the asset." }]}
          />
          {encrypted && (
            <Select
              label="Key policy"
              value={wish.keys}
              change={(keys) => change({ keys })}
              hint="Who gets the key."
              options={[["", "Choose one"], ...(keys.value ?? []).map(({ name }): [string, string] => [name, name])]}
            />
          )}
        </div>
      </Section>
    </>
  );
}

const STAGES: Record<Flow["stage"], string> = {
  uploading: "Uploading",
  encoding: "Encoding",
  publishing: "Publishing",
  done: "Ready",
  failed: "Stopped",
};

function FlowRow({ flow }: { flow: Flow }) {
  const { id, stage, file, asset, transform, job, locator, progress, failure, output } = flow;
  return (
    <li data-stage={stage} data-asset={asset}>
      <div class="heading-row">
        <strong>{file.name}</strong>
        <span class="meta">
          {STAGES[stage]}
          {stage === "encoding" && `, ${progress} %`}
        </span>
      </div>
      {stage === "uploading" && <Uploads of={(upload) => upload.asset === asset} />}
      {stage === "encoding" && <progress max={100} value={progress} aria-label={`Encode of ${file.name}`} />}
      {failure !== null && <FailureNote failure={failure} />}
      <div class="actions">
        {locator !== null && (
          <a class="button small" href={href(["watch", locator])}>
            Play
          </a>
        )}
        {stage === "failed" && (
          <button type="button" class="small" onClick={() => void advance(id)}>
            Try again
          </button>
        )}
        {job !== null && transform !== null && (
          <a class="button small plain" href={href(["jobs", transform, job])}>
            Job
          </a>
        )}
        {stage !== "uploading" && (
          <a class="button small plain" href={href(["assets", stage === "done" ? output : asset])}>
            Asset
          </a>
        )}
        {(stage === "done" || stage === "failed") && (
          <button type="button" class="small plain" onClick={() => dropFlow(id)}>
            Hide
          </button>
        )}
      </div>
    </li>
  );
}
