/** Taking over what was exported from Azure Media Services: looked at first, then made. */

import { useState } from "preact/hooks";
import type { Schemas } from "../api/client";
import { href } from "../app/router";
import { ask, barred, here } from "../app/session";
import { Area, FileText, Form } from "../ui/form";
import { Table } from "../ui/list";
import { useChoices } from "../ui/load";
import { Confirm, Heading, Section, State } from "../ui/parts";
import { partsOf } from "./import-parts";
import { StreamingReport } from "./streaming-report";

type Item = Schemas["ImportedItem"];

const OUTCOMES: Record<Item["outcome"], string> = { WouldCreate: "To be made", Created: "Created", Exists: "Exists", Refused: "Refused" };
const KINDS: Record<Item["kind"], string> = {
  ContentKeyPolicy: "Key policy",
  StreamingPolicy: "Streaming policy",
  AccountFilter: "Filter",
  Asset: "Asset",
  AssetFilter: "Asset's filter",
  StreamingLocator: "Locator",
};
const PLACES: Partial<Record<Item["kind"], string>> = {
  Asset: "assets",
  StreamingLocator: "locators",
  ContentKeyPolicy: "key-policies",
  StreamingPolicy: "streaming-policies",
};

interface Report {
  items: Item[];
  dryRun: boolean;
  /** What is being asked about; null when it is done. */
  at: string | null;
}

export function ImportPage() {
  const [draft, change] = useChoices("import", { text: "" });
  const [report, setReport] = useState<Report | null>(null);
  const off = barred("Asset", "write");
  const run = async (dryRun: boolean) => {
    const items: Item[] = [];
    for (const { what, kinds, body } of partsOf(draft.text, "text")) {
      setReport({ items: [...items], dryRun, at: what });
      const answer = await ask((to) => to.POST("/api/v1/projects/{project}/media/import", { params: { path: here({}) }, body: { ...body, dryRun } }));
      items.push(...answer.items.filter(({ kind }) => kinds.includes(kind)));
    }
    setReport({ items, dryRun, at: null });
  };
  const made = report?.items.filter(({ outcome }) => outcome === "WouldCreate").length ?? 0;
  return (
    <>
      <Heading title="Import" />
      <p>
        From Azure Media Services: containers become assets where they lie, locators keep their addresses, content keys their values. Nothing is
        copied. The storage accounts have to be <a href={href(["storage"])}>the project's</a> first.
      </p>
      {off !== false ? (
        <p class="wrong">{off}</p>
      ) : (
        <Form label="Look what would be made" done="Nothing was made so far" submit={() => run(true)}>
          <FileText label="Choose a file" accept=".json,application/json" read={(text) => (change({ text }), setReport(null))} />
          <Area
            label="What was exported (JSON)"
            name="text"
            rows={10}
            code
            required
            value={draft.text}
            change={(text) => (change({ text }), setReport(null))}
            hint="Lists of assets, streamingLocators, contentKeyPolicies, streamingPolicies and accountFilters, as az ams writes them."
          />
        </Form>
      )}
      {report !== null && (
        <Section
          title={report.dryRun ? "What would be made" : "What was made"}
          actions={
            report.dryRun &&
            report.at === null &&
            made > 0 && (
              <Confirm
                label="Import"
                disabled={off}
                question={made === 1 ? "Make one thing?" : `Make ${made} things?`}
                consequence="What is there already stays as it is. What breaks off can be begun again: it makes what is still missing."
                done="Imported"
                run={() => run(false)}
              />
            )
          }
        >
          {report.at !== null && (
            <p class="meta" role="status">
              Asking about {report.at}…
            </p>
          )}
          <Table<Item & { at: number }>
            label="Import"
            items={report.items.map((item, at) => ({ ...item, at }))}
            id={({ at }) => String(at)}
            columns={[
              { head: "Kind", cell: ({ kind }) => KINDS[kind] },
              {
                head: "Name",
                cell: ({ kind, name, outcome }) => {
                  const place = PLACES[kind];
                  return place === undefined || outcome === "WouldCreate" || outcome === "Refused" ? name : <a href={href([place, name])}>{name}</a>;
                },
              },
              { head: "Outcome", cell: ({ outcome }) => <State of={OUTCOMES[outcome]} /> },
              { head: "More", cell: (item) => <More of={item} /> },
            ]}
          />
        </Section>
      )}
    </>
  );
}

function More({ of: { reason, warnings, serverManifest, streaming, name } }: { of: Item }) {
  return (
    <>
      {reason}
      {warnings?.map((warning) => <small class="wrong" key={warning}>{warning}</small>)}
      {serverManifest !== undefined && <small class="meta">The server manifest {serverManifest} is missing and is written.</small>}
      {streaming !== undefined && (
        <details>
          <summary>
            What plays<span class="visually-hidden"> of {name}</span>
          </summary>
          <StreamingReport of={streaming} />
        </details>
      )}
    </>
  );
}
