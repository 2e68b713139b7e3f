/** How a live event's ingest is doing: the verdict, what encoders send, and how that went in the last ten minutes. */

import { useState } from "preact/hooks";
import type { Schemas } from "../api/client";
import { href } from "../app/router";
import { Chart, type Point } from "../ui/chart";
import { Table } from "../ui/list";
import type { Loaded } from "../ui/load";
import { Section, State } from "../ui/parts";
import { Await, Empty } from "../ui/states";

export type Health = Schemas["LiveEventHealth"];
type Track = Schemas["LiveEventHealthTrack"];
type Encoder = Schemas["LiveEventHealthEncoder"];
type Measured = Schemas["LiveEventHealthPoint"];

const STATES: Record<Health["state"], string> = {
  Healthy: "Healthy",
  Unhealthy: "Unhealthy",
  NoEncoder: "No encoder",
  NotMeasured: "Not measured",
  NotRunning: "Not running",
};

/** `2_900_000` to `2.9 Mbit/s`. */
export function bitrate(bits: number): string {
  return bits >= 1e6 ? `${(bits / 1e6).toFixed(1)} Mbit/s` : `${Math.round(bits / 1e3)} kbit/s`;
}

function time(iso: string): string {
  return new Date(iso).toLocaleTimeString();
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

export function HealthPanel({ health, name }: { health: Loaded<Health>; name: string }) {
  return (
    <Section title="Health">
      <Await of={health}>
        {(one) =>
          one.state === "NotRunning" && one.history.length === 0 ? (
            <Empty title="Nothing to measure">
              <p>While the live event runs, this says what its encoder sends and whether that is as it should be.</p>
            </Empty>
          ) : (
            <div class="health">
              <Verdict of={one} name={name} />
              {one.encoders.length > 0 && (
                <div class="list">
                  <Encoders of={one.encoders} />
                </div>
              )}
              {one.tracks.length > 0 && (
                <div class="list">
                  <Tracks of={one.tracks} />
                </div>
              )}
              {one.history.length > 0 && <Charts of={one} />}
            </div>
          )
        }
      </Await>
    </Section>
  );
}

function Verdict({ of: health, name }: { of: Health; name: string }) {
  return (
    <div class="verdict">
      <p role="status" data-health={health.state}>
        <State of={STATES[health.state]} />{" "}
        {health.state === "Healthy" && "What comes in is as it should be."}
        {health.state === "NoEncoder" && "The live event runs and waits for an encoder: give it the address below."}
        {health.state === "NotMeasured" && "The live event runs, but its ingest worker has not been heard of for a while."}
        {health.state === "NotRunning" && "What follows is from before it stopped."}
        {health.state === "Unhealthy" && "Unhealthy because:"}
      </p>
      {health.filled.length > 0 && (
        <p data-filled={health.filled.join(" ")}>
          Viewers get {health.filled.map((kind) => (kind === "video" ? "black pictures" : "silence")).join(" and ")} instead of what does not come.
        </p>
      )}
      {health.state === "Unhealthy" && (
        <ul>
          {health.reasons.map(({ code, message }) => (
            <li key={`${code}${message}`} data-code={code}>
              {message}
            </li>
          ))}
        </ul>
      )}
      {health.state === "Unhealthy" && (
        <p class="meta">
          The encoder's settings are the first place to look; what was told of it before is in the <a href={href(["webhooks"])}>webhooks</a>' log, if one
          follows {name}.
        </p>
      )}
    </div>
  );
}

function Encoders({ of: encoders }: { of: Encoder[] }) {
  return (
    <Table<Encoder>
      label="Encoders"
      items={encoders}
      id={({ encoderIp, encoderPort }) => `${encoderIp}:${encoderPort}`}
      columns={[
        { head: "Encoder", cell: ({ encoderIp, encoderPort }) => `${encoderIp.includes(":") ? `[${encoderIp}]` : encoderIp}:${encoderPort}`, long: true },
        { head: "Protocol", cell: ({ protocol }) => protocol },
        { head: "Stream", cell: ({ streamId }) => streamId, long: true },
        { head: "Since", cell: ({ connectedTime }) => time(connectedTime) },
        { head: "Sends", cell: ({ incomingBitrate }) => bitrate(incomingBitrate), end: true },
      ]}
    />
  );
}

function Tracks({ of: tracks }: { of: Track[] }) {
  return (
    <Table<Track>
      label="Incoming tracks"
      items={tracks}
      id={({ trackName }) => trackName}
      columns={[
        { head: "Track", cell: ({ trackName }) => trackName },
        { head: "State", cell: ({ state, healthy }) => <State of={state === "Stopped" ? "Stopped" : healthy ? "Healthy" : "Unhealthy"} /> },
        { head: "Comes in", cell: ({ incomingBitrate }) => bitrate(incomingBitrate), end: true },
        { head: "Frames", cell: ({ frameRate }) => `${frameRate.toFixed(1)} /s`, end: true },
        { head: "Key frames", cell: ({ keyFrameDistanceMs }) => (keyFrameDistanceMs == null ? "–" : `every ${seconds(keyFrameDistanceMs)}`), end: true },
        { head: "Left out", cell: (one) => one.overlapCount + one.nonincreasingCount + one.undecodableCount, end: true },
        { head: "Jumps", cell: ({ discontinuityCount }) => discontinuityCount, end: true },
        { head: "Late", cell: ({ ingestDriftValue }) => (ingestDriftValue === "n/a" ? "–" : `${ingestDriftValue} s/min`), end: true },
      ]}
    />
  );
}

const MINUTES = 10;

function Charts({ of: health }: { of: Health }) {
  const { history } = health;
  const now = new Date(health.measuredTime ?? history.at(-1)?.time ?? 0).getTime();
  const line = (value: (point: Measured) => number | null): Point[] => history.map((point) => ({ at: new Date(point.time).getTime(), value: value(point) }));
  const pictures = (point: Measured) => point.tracks.find(({ trackName }) => trackName.startsWith("video")) ?? null;
  const drifts = history.some(({ avDriftMs }) => avDriftMs != null);
  const lost = (point: Measured) => point.tracks.reduce((sum, { droppedCount }) => sum + droppedCount, 0);
  return (
    <>
      <div class="charts">
        <Chart title="Comes in" points={line(({ incomingBitrate }) => incomingBitrate)} now={now} minutes={MINUTES} format={bitrate} />
        <Chart title="Pictures" points={line((point) => pictures(point)?.frameRate ?? null)} now={now} minutes={MINUTES} format={(value) => `${value.toFixed(1)} /s`} />
        {drifts && (
          <Chart title="Sound ahead of pictures" points={line(({ avDriftMs }) => avDriftMs ?? null)} now={now} minutes={MINUTES} format={(value) => `${Math.round(value)} ms`} />
        )}
        <Chart title="Left out in a minute" points={line(lost)} now={now} minutes={MINUTES} format={(value) => String(Math.round(value))} />
      </div>
      <Numbers history={history} lost={lost} pictures={(point) => pictures(point)?.frameRate ?? null} />
    </>
  );
}

/** The same as numbers. */
function Numbers({ history, lost, pictures }: { history: Measured[]; lost: (point: Measured) => number; pictures: (point: Measured) => number | null }) {
  const [open, setOpen] = useState(false);
  return (
    <details onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>As a table</summary>
      {open && (
        <div class="scroll" tabIndex={0} role="region" aria-label="Measurements, the newest first">
          <Table<Measured>
            label="Measurements"
            items={[...history].reverse()}
            id={({ time: at }) => at}
            columns={[
              { head: "Time", cell: ({ time: at }) => time(at) },
              { head: "Encoders", cell: ({ encoders }) => encoders, end: true },
              { head: "Comes in", cell: ({ incomingBitrate }) => bitrate(incomingBitrate), end: true },
              { head: "Pictures", cell: (point) => pictures(point)?.toFixed(1) ?? "–", end: true },
              { head: "Sound ahead", cell: ({ avDriftMs }) => (avDriftMs == null ? "–" : `${avDriftMs} ms`), end: true },
              { head: "Left out", cell: lost, end: true },
            ]}
          />
        </div>
      )}
    </details>
  );
}
