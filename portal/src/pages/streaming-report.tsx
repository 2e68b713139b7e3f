/** What of an asset plays, track by track and protocol by protocol, as the origin judges it; and why the rest does not. */

import { useState } from "preact/hooks";
import type { Schemas } from "../api/client";
import { ask, here } from "../app/session";
import { clock } from "../format";
import { Table } from "../ui/list";
import { Act, Section } from "../ui/parts";
import { Empty } from "../ui/states";

type Report = Schemas["AssetStreaming"];

const PROTOCOLS: Record<string, string> = { Hls: "HLS", HlsTs: "HLS over MPEG-2 TS", Dash: "DASH", SmoothStreaming: "Smooth Streaming" };

function named(protocol: string): string {
  return PROTOCOLS[protocol] ?? protocol;
}

/** On request: it may read files that nobody has played yet. */
export function Playable({ asset }: { asset: string }) {
  const [report, setReport] = useState<Report | null>(null);
  return (
    <Section
      title="What plays"
      actions={
        <Act
          label={report === null ? "Look" : "Look again"}
          done="What plays is shown"
          run={async () =>
            setReport(await ask((to) => to.GET("/api/v1/projects/{project}/media/assets/{asset}/streaming", { params: { path: here({ asset }) } })))
          }
        />
      }
    >
      {report === null ? (
        <p class="meta">Track by track and protocol by protocol, and why the rest does not. Looking may take a moment where nobody has played it yet.</p>
      ) : (
        <StreamingReport of={report} />
      )}
    </Section>
  );
}

export function StreamingReport({ of }: { of: Report }) {
  return (
    <>
      {of.warnings.map((warning) => (
        <p key={warning} class="wrong">
          {warning}
        </p>
      ))}
      {of.tracks.length === 0 ? (
        <Empty title="Nothing plays" />
      ) : (
        <Table<Schemas["StreamingTrack"] & { at: number }>
          label="What plays"
          items={of.tracks.map((track, at) => ({ ...track, at }))}
          id={({ at }) => String(at)}
          columns={[
            { head: "Track", cell: ({ name, languageCode }) => (languageCode === undefined ? name : `${name} (${languageCode})`) },
            { head: "Kind", cell: ({ type }) => type },
            { head: "kbit/s", end: true, cell: ({ bitRate }) => Math.round(bitRate / 1000) },
            { head: "Codec", cell: ({ codec }) => codec },
            { head: "Length", end: true, cell: ({ durationMs }) => clock(durationMs / 1000) },
            {
              head: "Plays in",
              cell: ({ protocols, refusals }) => (
                <>
                  {protocols.map(named).join(", ")}
                  {refusals.map(({ protocol, reason }) => (
                    <small key={protocol} class="wrong">
                      Not in {named(protocol)}: {reason}
                    </small>
                  ))}
                </>
              ),
            },
          ]}
        />
      )}
      {of.leftOut.length > 0 && (
        <ul class="meta" aria-label="What does not play">
          {of.leftOut.map(({ fileName, reason }, at) => (
            <li key={at}>
              {fileName !== undefined && <strong>{fileName}: </strong>}
              {reason}
            </li>
          ))}
        </ul>
      )}
    </>
  );
}
