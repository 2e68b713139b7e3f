/** One live event: state, where the encoder sends, preview, recordings. */

import { useEffect, useRef, useState } from "preact/hooks";
import type { Schemas } from "../api/client";
import { go, href } from "../app/router";
import { ask, here, may } from "../app/session";
import { isoDuration, isoSeconds, moment, clock } from "../format";
import { protocolOf } from "../player/players";
import { Screen } from "../player/screen";
import { Check, Form, NAME_HINT, Text } from "../ui/form";
import { Table } from "../ui/list";
import { useDraft, useLoad, type Loaded } from "../ui/load";
import { Act, Confirm, Copy, Facts, Heading, Opener, Section, State } from "../ui/parts";
import { Await, Empty } from "../ui/states";
import { stamp } from "./encode";
import { encodingLabel, type LiveEvent } from "./live";
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
  const act = may("LiveEvent", "act");
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
                disabled={!act}
                done="Live event is starting"
                run={() => ask((to) => to.POST("/api/v1/projects/{project}/media/liveEvents/{event}/start", params))}
                then={event.reload}
              />
            )}
            {state === "Stopped" && (
              <Act
                label="Stand by"
                disabled={!act}
                done="Live event is being readied"
                run={() => ask((to) => to.POST("/api/v1/projects/{project}/media/liveEvents/{event}/allocate", params))}
                then={event.reload}
              />
            )}
            {state !== "Stopped" && (
              <Confirm
                label="Stop"
                disabled={!act || state === "Stopping" || state === "Deleting"}
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
                disabled={!act}
                question={`Reset ${name}?`}
                consequence="Encoders are disconnected, and the timeline begins anew when they come back."
                done="Live event is being reset"
                run={() => end(() => ask((to) => to.POST("/api/v1/projects/{project}/media/liveEvents/{event}/reset", params)))}
                then={event.reload}
              />
            )}
            <Confirm
              label="Delete"
              disabled={busy || state !== "Stopped" || !may("LiveEvent", "delete")}
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
                ["Input", one.properties.input.streamingProtocol],
                ["Qualities", encodingLabel(one.properties.encoding.encodingType)],
                ["Latency", one.properties.streamOptions.some((option) => option.startsWith("Low")) ? "low" : "standard"],
                ["Created", moment(one.properties.created)],
              ]}
            />
            <HealthPanel health={health} name={name} />
            <Ingest event={one} />
            <Preview event={one} health={health} ending={ending} lost={event.reload} />
            <Outputs event={name} state={one.properties.resourceState} />
          </>
        )}
      </Await>
    </>
  );
}

/** `rtmp://host/app/key` as OBS asks for it: server and stream key. */
export function forObs(url: string): { server: string; key: string } | null {
  const at = url.lastIndexOf("/");
  if (!/^rtmps?:/i.test(url) || at < 10) return null;
  return { server: url.slice(0, at), key: url.slice(at + 1) };
}

function Ingest({ event }: { event: LiveEvent }) {
  const { endpoints, accessControl, streamingProtocol } = event.properties.input;
  const allow = accessControl.ip.allow.map(({ address, subnetPrefixLength }) => (subnetPrefixLength == null ? address : `${address}/${subnetPrefixLength}`));
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
        Keep these to yourself: whoever has them can send. Allowed from {allow.length === 0 || allow.includes("0.0.0.0/0") ? "anywhere" : allow.join(", ")}.
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

function Outputs({ event, state }: { event: string; state: string }) {
  const outputs = useLoad(
    () => ask((to) => to.GET("/api/v1/projects/{project}/media/liveEvents/{event}/liveOutputs", { params: { path: here({ event }) } })),
    [event, state],
    ({ value }) => (value.some(({ properties }) => properties.resourceState !== "Running") ? 1500 : 10_000),
  );
  return (
    <Section
      title="Recordings"
      actions={
        <Opener label="Record" disabled={!may("LiveOutput", "write")}>
          {(close) => <OutputForm event={event} done={() => (close(), outputs.reload())} />}
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
                {
                  head: "Kept",
                  cell: ({ properties }) => {
                    const seconds = isoSeconds(properties.archiveWindowLength);
                    return seconds === null ? properties.archiveWindowLength : clock(seconds);
                  },
                },
                {
                  head: "Actions",
                  cell: ({ name, properties: { resourceState, assetName } }) => (
                    <>
                      <a class="button small plain" href={href(["clip", assetName])} aria-label={`Clip ${assetName}`}>
                        Clip
                      </a>
                      <Confirm
                        label="End recording"
                        disabled={resourceState === "Deleting" || !may("LiveOutput", "delete")}
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

function OutputForm({ event, done }: { event: string; done: () => void }) {
  const [draft, change, clear] = useDraft(`output-${event}`, {
    name: `recording-${stamp()}`,
    asset: `${event}-recording-${stamp()}`,
    hours: "4",
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
                archiveWindowLength: isoDuration(Number(draft.hours) * 3600),
              },
            },
          }),
        );
        if (draft.publish) await publish(draft.asset, CLEAR, {}, draft.asset);
      }}
      then={() => (clear(), done())}
    >
      <Text label="Name" required hint={NAME_HINT} value={draft.name} change={(name) => change({ name })} />
      <Text label="Into a new asset" name="assetName" required value={draft.asset} change={(asset) => change({ asset })} />
      <Text
        label="Hours kept"
        name="archiveWindowLength"
        type="number"
        min={1}
        max={25}
        required
        value={draft.hours}
        change={(hours) => change({ hours })}
        hint="How far back viewers can go, and what is left of it afterwards."
      />
      <Check label="Publish it for everybody" checked={draft.publish} change={(publish) => change({ publish })} />
    </Form>
  );
}
