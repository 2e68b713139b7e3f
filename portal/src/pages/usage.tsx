/** Usage: this month's totals, and a report by day, week or month. */

import { useState } from "preact/hooks";
import type { Schemas } from "../api/client";
import { ask, here, project } from "../app/session";
import { bytes, day } from "../format";
import { Form, Select, Text } from "../ui/form";
import { Table } from "../ui/list";
import { useChoices, useLoad } from "../ui/load";
import { Heading, Section } from "../ui/parts";
import { Await, Empty } from "../ui/states";

const METERS: Record<Schemas["UsageTotal"]["meter"], string> = {
  jobs: "Jobs",
  encodedAudio: "Sound encoded",
  encodedVideoSD: "SD picture encoded",
  encodedVideoHD: "HD picture encoded",
  encodedVideoUHD: "UHD picture encoded",
  livePassthrough: "Live, passed through",
  liveEncoding: "Live, encoded",
  streamed: "Streamed",
  streamedRequests: "Requests of players",
};

function amount({ quantity, unit }: Pick<Schemas["UsageTotal"], "quantity" | "unit">): string {
  switch (unit) {
    case "pieces":
      return String(quantity);
    case "minutes":
      return `${quantity.toFixed(1)} min`;
    case "gigabytes":
      return bytes(quantity * 1e9);
  }
}

export function UsagePage() {
  const usage = useLoad(() => ask((to) => to.GET("/api/v1/projects/{project}/usage", { params: { path: here({}) } })), []);
  return (
    <>
      <Heading title="Usage" />
      <Section title="This month">
        <Await of={usage}>
          {({ items }) => (
            <Table<Schemas["UsageTotal"]>
              label="This month"
              items={items}
              id={({ meter }) => meter}
              columns={[
                { head: "Meter", cell: ({ meter }) => METERS[meter] },
                { head: "What it counts", cell: ({ description }) => description },
                { head: "Amount", end: true, cell: amount },
              ]}
            />
          )}
        </Await>
      </Section>
      <Report />
    </>
  );
}

function isoDay(msFromNow: number): string {
  return new Date(Date.now() + msFromNow).toISOString().slice(0, 10);
}

const DAY_MS = 86_400_000;

function Report() {
  const [draft, change] = useChoices("usage", { start: isoDay(-29 * DAY_MS), end: isoDay(DAY_MS), granularity: "day" });
  const [report, setReport] = useState<Schemas["UsageReport"] | null>(null);
  return (
    <Section title="Report">
      <Form
        label="Make report"
        done="Report made"
        submit={async () => {
          const answer = await ask((to) =>
            to.POST("/api/v1/organization/reports/usage", {
              body: {
                startDate: draft.start,
                endDate: draft.end,
                format: "json",
                granularity: draft.granularity as "day",
                projectNames: [project.peek()],
              },
            }),
          );
          if (typeof answer !== "string") setReport(answer);
        }}
      >
        <div class="columns">
          <Text label="From" name="startDate" type="date" required value={draft.start} change={(start) => change({ start })} />
          <Text label="Before" name="endDate" type="date" required value={draft.end} change={(end) => change({ end })} />
          <Select label="By" name="granularity" value={draft.granularity} change={(granularity) => change({ granularity })} options={["hour", "day", "week", "month", "year"]} />
        </div>
      </Form>
      {report !== null &&
        (report.items.length === 0 ? (
          <Empty title="Nothing was used in that time" />
        ) : (
          <Table<Schemas["UsageLine"]>
            label="Report"
            items={report.items}
            id={({ meter, periodStart }) => `${meter}${periodStart}`}
            columns={[
              { head: "From", cell: ({ periodStart }) => day(periodStart) },
              { head: "Meter", cell: ({ meter }) => METERS[meter] },
              { head: "Amount", end: true, cell: amount },
            ]}
          />
        ))}
    </Section>
  );
}
