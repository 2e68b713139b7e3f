/** The first page: what is published, what is wrong, and what to do next. */

import { ask, here, may } from "../app/session";
import { href } from "../app/router";
import { clock, day, spokenDuration } from "../format";
import type { Schemas } from "../api/client";
import { webUrl } from "../dom";
import { Heading, Section } from "../ui/parts";
import { useLoad } from "../ui/load";
import { Await, Empty } from "../ui/states";

export function HomePage() {
  return (
    <>
      <Heading title="Overview" />
      <Trouble />
      <Steps />
      <Counts />
      <Gallery />
    </>
  );
}

async function readTrouble() {
  const [jobs, endpoints] = await Promise.all([
    may("Job", "read")
      ? ask((to) =>
          to.GET("/api/v1/projects/{project}/media/jobs", {
            params: { path: here({}), query: { $filter: "properties/state eq 'Error'", $top: 5, $orderby: "properties/created desc" } },
          }),
        )
      : null,
    may("StreamingEndpoint", "read")
      ? ask((to) => to.GET("/api/v1/projects/{project}/media/streamingEndpoints", { params: { path: here({}) } }))
      : null,
  ]);
  const day = Date.now() - 86_400_000;
  const failed = (jobs?.value ?? []).filter(({ properties }) => Date.parse(properties.lastModified) > day);
  const stopped = (endpoints?.value ?? []).every(({ properties }) => properties.resourceState !== "Running");
  return { failed, stopped: endpoints !== null && stopped };
}

function Trouble() {
  const found = useLoad(readTrouble, [], () => 30_000);
  if (found.value === null) return null;
  const { failed, stopped } = found.value;
  if (failed.length === 0 && !stopped) return null;
  return (
    <div class="failure" role="region" aria-label="What needs attention">
      <strong>Needs attention</strong>
      <ul>
        {stopped && (
          <li>
            No streaming endpoint is running, so nothing plays. <a href={href(["endpoints"])}>Start one</a>
          </li>
        )}
        {failed.map(({ name, id }) => (
          <li key={id}>
            Job <a href={jobHref(id)}>{name}</a> failed in the last 24 hours.
          </li>
        ))}
      </ul>
    </div>
  );
}

/** The job's page from its id (`.../transforms/{transform}/jobs/{job}`). */
export function jobHref(id: string): string {
  const parts = id.split("/");
  return href(["jobs", parts.at(-3) ?? "", parts.at(-1) ?? ""]);
}

function Steps() {
  const steps = [
    { to: href(["upload"]), title: "Upload a film", text: "Drop a file; it is encoded and published in the same go.", kind: "Asset" },
    { to: href(["live"]), title: "Go live", text: "Make a live event and point OBS or any encoder at it.", kind: "LiveEvent" },
    { to: href(["tokens"]), title: "Call the API", text: "Make a token for your own programs, with no more rights than they need.", kind: "OwnToken" },
  ].filter(({ kind }) => may(kind, "write"));
  if (steps.length === 0) return null;
  return (
    <nav aria-label="Next steps">
      <ul class="steps">
        {steps.map(({ to, title, text }) => (
          <li key={to}>
            <a class="step" href={to}>
              <strong>{title}</strong>
              <span class="meta">{text}</span>
            </a>
          </li>
        ))}
      </ul>
    </nav>
  );
}

function Counts() {
  const stats = useLoad(
    () => ask((to) => to.GET("/api/v1/projects/{project}/media/stats", { params: { path: here({}) } })),
    [],
    () => 30_000,
  );
  if (stats.value === null) return null;
  const { assets, jobs, streamingLocators, liveEvents } = stats.value;
  const rows: [string, string, string][] = [
    ["assets", "Assets", String(assets.total)],
    ["jobs", "Jobs", String(jobs.total)],
    ["locators", "Locators", String(streamingLocators.total)],
    ["live", "Live now", `${liveEvents.running} of ${liveEvents.total}`],
  ];
  return (
    <ul class="counts" aria-label="In this project">
      {rows.map(([to, label, count]) => (
        <li key={to}>
          <a href={href([to])}>
            <span class="meta">{label}</span> <strong>{count}</strong>
          </a>
        </li>
      ))}
    </ul>
  );
}

function Gallery() {
  const videos = useLoad(
    () => ask((to) => to.GET("/api/v1/projects/{project}/media/published", { params: { path: here({}) } })),
    [],
    ({ value }) => (value.length === 0 ? 3000 : 30_000),
  );
  return (
    <Section title="Published videos">
      <Await of={videos}>
        {({ value, "@odata.nextLink": more }) =>
          value.length === 0 ? (
            <Empty title="Nothing is published yet">
              <p>A new installation publishes its demo within a minute; it appears here by itself.</p>
              <a class="button" href={href(["upload"])}>
                Upload a film
              </a>
            </Empty>
          ) : (
            <>
              <ul class="grid">
                {value.map((video) => (
                  <li key={video.locatorId}>
                    <Card video={video} to={href(["watch", video.locatorId])} />
                  </li>
                ))}
              </ul>
              {more !== undefined && (
                <p>
                  <a href={href(["locators"])}>All locators</a>
                </p>
              )}
            </>
          )
        }
      </Await>
    </Section>
  );
}

export function Card({ video, to }: { video: Schemas["Published"]; to: string }) {
  const poster = video.posterUrl === null ? null : webUrl(video.posterUrl);
  return (
    <a class="card" href={to} data-locator={video.locatorId}>
      <div class="frame">
        {poster !== null && (
          // A poster that cannot be read leaves the plain frame.
          <img src={poster} alt="" loading="lazy" decoding="async" onError={(event) => event.currentTarget.remove()} />
        )}
        {video.durationSeconds !== null && (
          <>
            <span class="length" aria-hidden="true">
              {clock(video.durationSeconds)}
            </span>
            <span class="visually-hidden">{spokenDuration(video.durationSeconds)}</span>
          </>
        )}
      </div>
      <span class="title">{video.assetName || video.name}</span>
      <span class="meta">{day(video.created)}</span>
    </a>
  );
}
