/** One live event: state, where the encoder sends, preview, recordings. */

import { useEffect, useRef, useState } from "preact/hooks";
import type { Schemas } from "../api/client";
import { go, href } from "../app/router";
import { ask, barred, here } from "../app/session";
import { isoDuration, isoSeconds, moment, clock } from "../format";
import { protocolOf } from "../player/players";
import { Screen } from "../player/screen";
import { Check, Form, NAME_HINT, Select, Text } from "../ui/form";
import { Table } from "../ui/list";
import { useDraft, useLoad, type Loaded } from "../ui/load";
import { Act, Confirm, Copy, Facts, Heading, Opener, Section, State } from "../ui/parts";
import { Await, Empty } from "../ui/states";
import { stamp } from "./encode";
import { encodingLabel, type LiveEvent } from "./live";
import { FILLS, LiveForm } from "./live-form";
import { labelLinks } from "./labels";
import { pairText } from "./pairs";
import { listed } from "./ranges";
import { HealthPanel, type Health } from "./live-health";
import { CLEAR, publish } from "./publish";

function moving({ properties: { resourceState } }: LiveEvent): boolean {
  return ["Starting", "Stopping", "Allocating", "Deleting"].includes(resourceState);
}

export function LiveEventPage({ name }: { name: string }) {
  const params = { params: { path: here({ event: name }) } };
  const event = useLoad(
    () => ask((to) => to.GET("/api/v1/projects/{project}/media/liveEvents/{event}", params)),
    [name],
    (one) => (moving(one) ? 1000 : 5000),
  );
  const state = event.value?.properties.resourceState;
  const busy = event.value !== null && moving(event.value);
  const off = barred("LiveEvent", "act");
  const health = useLoad<Health>(
    () => ask((to) => to.GET("/api/v1/projects/{project}/media/liveEvents/{event}/health", params)),
    [name, state],
    () => (state === "Running" ? 5000 : null),
  );
  // The preview ends with the event, so its player lets go before the event is asked to end.
  const [ending, setEnding] = useState(false);
  useEffect(() => setEnding(false), [state]);
  const end = async (how: () => Promise<unknown>) => {
    setEnding(true);
    await new Promise((gone) => window.setTimeout(gone, 50));
    try {
      await how();
    } catch (thrown) {
      setEnding(false);
      throw thrown;
    }
  };
  return (
    <>
      <Heading title={name} back={[href(["live"]), "Live events"]}>
        {event.value !== null && (
          <>
            {(state === "Stopped" || state === "StandBy") && (
              <Act
                label="Start"
                kind="primary"
                disabled={off}
                done="Live event is starting"
                run={() => ask((to) => to.POST("/api/v1/projects/{project}/media/liveEvents/{event}/start", params))}
                then={event.reload}
              />
            )}
            {state === "Stopped" && (
              <Act
                label="Stand by"
                disabled={off}
                done="Live event is being readied"
                run={() => ask((to) => to.POST("/api/v1/projects/{project}/media/liveEvents/{event}/allocate", params))}
                then={event.reload}
              />
            )}
            {state !== "Stopped" && (
              <Confirm
                label="Stop"
                disabled={off || state === "Stopping" || state === "Deleting"}
                question={`Stop ${name}?`}
                consequence="Encoders are disconnected and viewers see no more of it. Recordings stay, and their recording ends."
                done="Live event is stopping"
                run={() =>
                  end(() =>
                    ask((to) =>
                      to.POST("/api/v1/projects/{project}/media/liveEvents/{event}/stop", { ...params, body: { removeOutputsOnStop: true } }),
                    ),
                  )
                }
                then={event.reload}
              />
            )}
            {state === "Running" && (
              <Confirm
                label="Reset"
                disabled={off}
                question={`Reset ${name}?`}
                consequence="Encoders are disconnected, and the timeline begins anew when they come back."
                done="Live event is being reset"
                run={() => end(() => ask((to) => to.POST("/api/v1/projects/{project}/media/liveEvents/{event}/reset", params)))}
                then={event.reload}
              />
            )}
            <Opener
              label="Change"
              kind="plain"
              title={`Change ${name}`}
              disabled={barred("LiveEvent", "write")}
            >
              {(close) => <LiveForm of={event.value!} done={() => (close(), event.reload())} />}
            </Opener>
            <Confirm
              label="Delete"
              disabled={busy || state !== "Stopped" || barred("LiveEvent", "delete")}
              question={`Delete ${name}?`}
              consequence="Its ingest addresses are gone for good. Recordings stay as assets."
              done="Live event deleted"
              run={() => ask((to) => to.DELETE("/api/v1/projects/{project}/media/liveEvents/{event}", params))}
              then={() => go(["live"])}
            />
          </>
        )}
      </Heading>
      <Await of={event}>
        {(one) => (
          <>
            <Facts
              rows={[
                ["State", <State of={one.properties.resourceState} />],
                ["Description", one.properties.description],
                ["Labels", labelLinks(one.labels, "live")],
                ["Tags", pairText(one.tags, ", ")],
                ["Input", one.properties.input.streamingProtocol],
                ["Qualities", encodingLabel(one.properties.encoding.encodingType)],
                ["Latency", one.properties.streamOptions.some((option) => option.startsWith("Low")) ? "low" : "standard"],
                ["Key frames", keyFrames(one)],
                ["Without an encoder", standsIn(one)],
                ["Host name", one.properties.useStaticHostname ? `its own: ${one.properties.hostnamePrefix ?? one.name}` : ""],
                ["Preview's media id", one.properties.preview.alternativeMediaId],
                ["Preview for", listed(one.properties.preview.accessControl.ip.allow) || "whoever has its address"],
                ["Created", moment(one.properties.created)],
              ]}
            />
            <HealthPanel health={health} name={name} />
            <Ingest event={one} />
            <Preview event={one} health={health} ending={ending} lost={event.reload} />
            <Outputs event={name} basic={one.properties.encoding.encodingType === "PassthroughBasic"} state={one.properties.resourceState} />
          </>
        )}
      </Await>
    </>
  );
}

function standsIn({ properties: { input } }: LiveEvent): string {
  const what = FILLS.find(([value]) => value === input.fillWith && value !== "None")?.[1];
  return what === undefined ? "" : `${what}, after ${isoSeconds(input.fillAfter ?? "") ?? 1} s`;
}

function keyFrames({ properties: { encoding, input } }: LiveEvent): string {
  const seconds = isoSeconds(encoding.keyFrameInterval ?? input.keyFrameIntervalDuration ?? "");
  return seconds === null ? "" : `every ${seconds} s`;
}

/** `rtmp://host/app/key` as OBS asks for it: server and stream key. */
export function forObs(url: string): { server: string; key: string } | null {
  const at = url.lastIndexOf("/");
  if (!/^rtmps?:/i.test(url) || at < 10) return null;
  return { server: url.slice(0, at), key: url.slice(at + 1) };
}

function Ingest({ event }: { event: LiveEvent }) {
  const { endpoints, accessControl, streamingProtocol } = event.properties.input;
  const allow = listed(accessControl.ip.allow);
  return (
    <Section title="Send here">
      {endpoints.length === 0 ? (
        <Empty title={event.properties.resourceState === "Stopped" ? "Start the live event to get its addresses" : "No addresses yet"}>
          {event.properties.resourceState !== "Stopped" && <p>They appear here when the event runs and this Headwater takes {streamingProtocol}.</p>}
        </Empty>
      ) : (
        <ul class="addresses">
          {endpoints.map(({ protocol, url }, index) => {
            const obs = forObs(url);
            return (
              <li key={url}>
                <span class="meta">{index === 0 ? protocol : `${protocol}, second`}</span>
                <Copy text={url} label={`${protocol} ingest address ${index + 1}`} />
                {obs !== null && index === 0 && (
                  <>
                    <span class="meta">OBS: server</span>
                    <Copy text={obs.server} label="OBS server" />
                    <span class="meta">OBS: stream key</span>
                    <Copy text={obs.key} label="OBS stream key" />
                  </>
                )}
              </li>
            );
          })}
        </ul>
      )}
      <p class="meta">
        {endpoints.length > 0 && "Keep these to yourself: whoever has them can send. "}Allowed from {allow === "" ? "anywhere" : allow}.
      </p>
    </Section>
  );
}

/** Whether there is a segment: its end is the second key frame. */
function playable({ tracks }: Health): boolean {
  const pictures = tracks.filter(({ trackType }) => trackType === "video");
  return pictures.length > 0 ? pictures.some(({ keyFrameDistanceMs }) => keyFrameDistanceMs != null) : tracks.some(({ frameRate }) => frameRate > 0);
}

/** `lost`: the player was refused, so the event may have ended meanwhile. */
function Preview({ event, health, ending, lost }: { event: LiveEvent; health: Loaded<Health>; ending: boolean; lost: () => void }) {
  const { endpoints } = event.properties.preview;
  const first = endpoints[0];
  // As AMS has it the address ends in `/manifest`, which alone means Smooth Streaming; live plays as HLS and DASH.
  const url = first === undefined || protocolOf(first.url) !== null ? first?.url : `${first.url}(format=m3u8-cmaf)`;
  const protocol = url === undefined ? null : protocolOf(url);
  const running = event.properties.resourceState === "Running" && !ending;
  // Before the first segment there is nothing to ask for. Once something came, an encoder may come and go.
  const [came, setCame] = useState(false);
  const comes = health.value === null ? health.failure !== null : playable(health.value);
  useEffect(() => setCame(running && (came || comes)), [running, comes]);
  // Whoever waits for pictures wants no button for it: another player is tried while the event runs.
  const [turn, setTurn] = useState(0);
  const again = useRef<number | undefined>(undefined);
  useEffect(() => () => window.clearTimeout(again.current), [running]);
  const stopped = () => {
    lost();
    window.clearTimeout(again.current);
    again.current = window.setTimeout(() => setTurn((before) => before + 1), 5000);
  };
  return (
    <Section title="Preview">
      {url === undefined || protocol === null || !running || !came ? (
        <Empty title="Nothing to see yet">
          <p>The preview plays here while the event runs and an encoder sends.</p>
        </Empty>
      ) : (
        <>
          <Screen
            key={turn}
            streams={[{ url, protocol, label: protocol, licences: {}, encrypted: false }]}
            label={`Preview of ${event.name}`}
            stopped={stopped}
          />
          <ul class="addresses">
            {endpoints.map(({ url }) => (
              <li key={url}>
                <span class="meta">Preview</span>
                <Copy text={url} label="preview address" />
              </li>
            ))}
          </ul>
        </>
      )}
    </Section>
  );
}

type Output = Schemas["LiveOutput"];

/** `basic`: an event that records less. */
function Outputs({ event, basic, state }: { event: string; basic: boolean; state: string }) {
  const outputs = useLoad(
    () => ask((to) => to.GET("/api/v1/projects/{project}/media/liveEvents/{event}/liveOutputs", { params: { path: here({ event }) } })),
    [event, state],
    ({ value }) => (value.some(({ properties }) => properties.resourceState !== "Running") ? 1500 : 10_000),
  );
  return (
    <Section
      title="Recordings"
      actions={
        <Opener label="Record" disabled={barred("LiveOutput", "write")}>
          {(close) => <OutputForm event={event} basic={basic} done={() => (close(), outputs.reload())} />}
        </Opener>
      }
    >
      <Await of={outputs}>
        {({ value }) =>
          value.length === 0 ? (
            <Empty title="Nothing is recorded">
              <p>A recording is what viewers watch, too: make one before you go live.</p>
            </Empty>
          ) : (
            <Table<Output>
              label="Recordings"
              items={value}
              id={({ name }) => name}
              columns={[
                { head: "Name", cell: ({ name }) => name },
                { head: "State", cell: ({ properties }) => <State of={properties.resourceState} /> },
                { head: "Asset", cell: ({ properties: { assetName } }) => <a href={href(["assets", assetName])}>{assetName}</a> },
                { head: "Kept", cell: ({ properties }) => length(properties.archiveWindowLength) },
                { head: "Viewers go back", cell: ({ properties }) => length(properties.rewindWindowLength ?? properties.archiveWindowLength) },
                {
                  head: "Actions",
                  cell: ({ name, properties: { resourceState, assetName } }) => (
                    <>
                      <a class="button small plain" href={href(["clip", assetName])} aria-label={`Clip ${assetName}`}>
                        Clip
                      </a>
                      <Confirm
                        label="End recording"
                        disabled={resourceState === "Deleting" || barred("LiveOutput", "delete")}
                        question={`End ${name}?`}
                        consequence="The recording stops here. Its asset stays, and plays as a film does."
                        done="Recording ended"
                        run={() =>
                          ask((to) =>
                            to.DELETE("/api/v1/projects/{project}/media/liveEvents/{event}/liveOutputs/{output}", {
                              params: { path: here({ event, output: name }) },
                            }),
                          )
                        }
                        then={outputs.reload}
                      />
                    </>
                  ),
                },
              ]}
            />
          )
        }
      </Await>
    </Section>
  );
}

function length(iso: string): string {
  const seconds = isoSeconds(iso);
  return seconds === null ? iso : clock(seconds);
}

const UNITS: [string, string][] = [
  ["60", "minutes"],
  ["3600", "hours"],
  ["86400", "days"],
];

function OutputForm({ event, basic, done }: { event: string; basic: boolean; done: () => void }) {
  const [draft, change, clear] = useDraft(`output-${event}`, {
    name: `recording-${stamp()}`,
    asset: `${event}-recording-${stamp()}`,
    description: "",
    kept: "4",
    keptUnit: "3600",
    back: "",
    backUnit: "60",
    manifest: "",
    fragments: "",
    snap: "",
    publish: true,
  });
  return (
    <Form
      label="Record"
      done="Recording"
      submit={async () => {
        await ask((to) =>
          to.PUT("/api/v1/projects/{project}/media/assets/{asset}", {
            params: { path: here({ asset: draft.asset }) },
            body: { properties: { description: `Recording of ${event}` } },
          }),
        );
        await ask((to) =>
          to.PUT("/api/v1/projects/{project}/media/liveEvents/{event}/liveOutputs/{output}", {
            params: { path: here({ event, output: draft.name }) },
            body: {
              properties: {
                assetName: draft.asset,
                archiveWindowLength: isoDuration(Number(draft.kept) * Number(draft.keptUnit)),
                ...(draft.back === "" ? {} : { rewindWindowLength: isoDuration(Number(draft.back) * Number(draft.backUnit)) }),
                ...(draft.description === "" ? {} : { description: draft.description }),
                ...(draft.manifest === "" ? {} : { manifestName: draft.manifest }),
                ...(draft.fragments === "" ? {} : { hls: { fragmentsPerTsSegment: Number(draft.fragments) } }),
                ...(draft.snap === "" ? {} : { outputSnapTime: Number(draft.snap) }),
              },
            },
          }),
        );
        if (draft.publish) await publish(draft.asset, CLEAR, {}, draft.asset);
      }}
      then={() => (clear(), done())}
    >
      <Text label="Name" name="name" required hint={NAME_HINT} value={draft.name} change={(name) => change({ name })} />
      <Text label="Into a new asset" name="assetName" required value={draft.asset} change={(asset) => change({ asset })} />
      <div class="columns">
        <Text
          label="Kept for"
          name="archiveWindowLength"
          type="number"
          min={0}
          step="any"
          required
          value={draft.kept}
          change={(kept) => change({ kept })}
          hint={`A minute to ${basic ? "8 hours" : "7 days"}: what is left of it afterwards.`}
        />
        <Select label="Kept for, in" value={draft.keptUnit} change={(keptUnit) => change({ keptUnit })} options={UNITS} />
      </div>
      <Check label="Publish it for everybody" checked={draft.publish} change={(publish) => change({ publish })} />
      <details>
        <summary>More</summary>
        <div class="columns fields">
          <Text
            label="Viewers may go back"
            name="rewindWindowLength"
            type="number"
            min={0}
            step="any"
            value={draft.back}
            change={(back) => change({ back })}
            hint="Empty: as far as is kept; with low latency half an hour."
          />
          <Select label="Go back, in" value={draft.backUnit} change={(backUnit) => change({ backUnit })} options={UNITS} />
        </div>
        <Text
          label="Manifest name"
          name="manifestName"
          value={draft.manifest}
          change={(manifest) => change({ manifest })}
          hint="Stands in the addresses: letters, digits and dashes. Empty: one is made up."
        />
        <Text
          label="Fragments in a segment of HLS over MPEG-2 TS"
          name="fragmentsPerTsSegment"
          type="number"
          min={1}
          max={10}
          value={draft.fragments}
          change={(fragments) => change({ fragments })}
          placeholder="1"
          hint="More of them are fewer requests of older players, and farther behind."
        />
        <Text
          label="Begins at (ticks)"
          name="outputSnapTime"
          type="number"
          min={0}
          value={draft.snap}
          change={(snap) => change({ snap })}
          hint="Of the timeline that the encoder sends. Empty: now."
        />
        <Text label="Description" name="description" value={draft.description} change={(description) => change({ description })} />
      </details>
    </Form>
  );
}
