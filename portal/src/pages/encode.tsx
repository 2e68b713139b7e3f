/** Submitting an encode of an asset: the transform, the files, and an asset for what comes out. */

import type { Schemas } from "../api/client";
import { ask, here } from "../app/session";
import { Form, NAME_HINT, Select, Text } from "../ui/form";
import { useDraft, useLoad } from "../ui/load";
import { Await, Empty } from "../ui/states";
import { href } from "../app/router";

/** Names of everything in a list of the project's, for choosing. */
export function useTransforms() {
  return useLoad(
    () =>
      ask((to) =>
        to.GET("/api/v1/projects/{project}/media/transforms", { params: { path: here({}), query: { $top: 200 } } }),
      ),
    [],
  );
}

/** Short enough for a name, and different every time. */
export function stamp(): string {
  return Date.now().toString(36).slice(-6);
}

/** Makes the output asset and the job. */
export async function submitJob(
  transform: string,
  job: string,
  input: Omit<Schemas["JobInputAsset"], "@odata.type">,
  output: string,
  priority: Schemas["JobProperties"]["priority"] = "Normal",
): Promise<void> {
  await ask((to) =>
    to.PUT("/api/v1/projects/{project}/media/assets/{asset}", { params: { path: here({ asset: output }) }, body: { properties: {} } }),
  );
  await ask((to) =>
    to.PUT("/api/v1/projects/{project}/media/transforms/{transform}/jobs/{job}", {
      params: { path: here({ transform, job }) },
      body: {
        properties: {
          priority,
          input: { "@odata.type": "#Microsoft.Media.JobInputAsset", ...input },
          outputs: [{ "@odata.type": "#Microsoft.Media.JobOutputAsset", assetName: output }],
        },
      },
    }),
  );
}

export function EncodeForm({ asset, done }: { asset: string; done: (transform: string, job: string) => void }) {
  const transforms = useTransforms();
  return (
    <Await of={transforms}>
      {({ value }) =>
        value.length === 0 ? (
          <Empty title="No transforms yet">
            <p>A transform says what is made of a film.</p>
            <a class="button" href={href(["transforms"])}>
              Make one
            </a>
          </Empty>
        ) : (
          <Fields asset={asset} names={value.map(({ name }) => name)} done={done} />
        )
      }
    </Await>
  );
}

function Fields({ asset, names, done }: { asset: string; names: string[]; done: (transform: string, job: string) => void }) {
  const short = stamp();
  const [draft, change, clear] = useDraft(`encode-${asset}`, {
    transform: names[0] ?? "",
    job: `${asset}-${short}`,
    output: `${asset}-encoded-${short}`,
    file: "",
    priority: "Normal",
  });
  const files = useLoad(
    () => ask((to) => to.GET("/api/v1/projects/{project}/media/assets/{asset}/storage", { params: { path: here({ asset }) } })),
    [asset],
  );
  const names_of_files = (files.value?.spec.files ?? []).map(({ name }) => name);
  return (
    <Form
      label="Start encode"
      done="Encode started"
      submit={() =>
        submitJob(
          draft.transform,
          draft.job,
          { assetName: asset, files: draft.file === "" ? [] : [draft.file] },
          draft.output,
          draft.priority as Schemas["JobProperties"]["priority"],
        )
      }
      then={() => (clear(), done(draft.transform, draft.job))}
    >
      <Select label="Transform" value={draft.transform} change={(transform) => change({ transform })} options={names} />
      <Select
        label="File"
        name="files"
        value={draft.file}
        change={(file) => change({ file })}
        options={[["", "The only one, or all"], ...names_of_files.map((name): [string, string] => [name, name])]}
      />
      <Text label="Job name" required value={draft.job} change={(job) => change({ job })} hint={NAME_HINT} />
      <Text label="Output asset" name="assetName" required value={draft.output} change={(output) => change({ output })} hint="Made for what comes out." />
      <Select label="Priority" value={draft.priority} change={(priority) => change({ priority })} options={["Low", "Normal", "High"]} />
    </Form>
  );
}
