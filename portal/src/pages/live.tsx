/** Live events: the list, and making one. */

import type { Schemas } from "../api/client";
import { go, href } from "../app/router";
import type { PageProps } from "../app/routes";
import { ask, here, may } from "../app/session";
import { moment } from "../format";
import { Check, Choice, Form, NAME_HINT, Select, Text } from "../ui/form";
import { asPage, List, quoted } from "../ui/list";
import { useDraft } from "../ui/load";
import { Heading, Opener, State } from "../ui/parts";
import { Empty } from "../ui/states";
import { LiveEventPage } from "./live-event";

export type LiveEvent = Schemas["LiveEvent"];

export function LivePage({ path }: PageProps) {
  const name = path[1];
  return name === undefined ? <LiveList /> : <LiveEventPage name={name} />;
}

function LiveList() {
  return (
    <>
      <Heading title="Live events">
        <Opener label="New live event" disabled={!may("LiveEvent", "write")}>
          {(close) => <LiveForm done={(name) => (close(), go(["live", name]))} />}
        </Opener>
      </Heading>
      <List<LiveEvent>
        label="Live events"
        load={async (query) =>
          asPage(
            await ask((to) =>
              to.GET("/api/v1/projects/{project}/media/liveEvents", {
                params: { path: here({}), query: { $orderby: "properties/created desc", ...query } },
              }),
            ),
          )
        }
        search={(words) => `contains(name,${quoted(words)})`}
        everyMs={(events) =>
          events.some(({ properties }) => ["Starting", "Stopping", "Allocating", "Deleting"].includes(properties.resourceState)) ? 1500 : 5000
        }
        id={({ name }) => name}
        columns={[
          { head: "Name", cell: ({ name }) => <a href={href(["live", name])}>{name}</a> },
          { head: "State", cell: ({ properties }) => <State of={properties.resourceState} /> },
          { head: "Input", cell: ({ properties }) => properties.input.streamingProtocol },
          { head: "Encoding", cell: ({ properties }) => encodingLabel(properties.encoding.encodingType) },
          { head: "Created", cell: ({ properties }) => moment(properties.created) },
        ]}
        empty={
          <Empty title="No live events yet">
            <p>A live event gives an encoder an address to send to, and viewers one to watch.</p>
          </Empty>
        }
      />
    </>
  );
}

const ENCODINGS = [
  { value: "PassthroughStandard", label: "As it comes", hint: "The encoder's own qualities go to viewers unchanged.", safe: true },
  { value: "PassthroughBasic", label: "As it comes, basic", hint: "One quality, and less of everything." },
  { value: "Standard", label: "Ladder to 720p", hint: "Several qualities are made from one." },
  { value: "Premium1080p", label: "Ladder to 1080p", hint: "Several qualities, up to 1920×1080." },
];

export function encodingLabel(type: string): string {
  return ENCODINGS.find(({ value }) => value === type)?.label ?? "As it comes";
}

function LiveForm({ done }: { done: (name: string) => void }) {
  const [draft, change, clear] = useDraft("live-event", {
    name: "",
    description: "",
    protocol: "RTMP",
    encoding: "PassthroughStandard",
    lowLatency: false,
    allowed: "",
    start: true,
  });
  return (
    <Form
      label="Make live event"
      done="Live event made"
      submit={() => {
        const allow = draft.allowed
          .split(/[\s,]+/)
          .filter(Boolean)
          .map((one) => {
            const [address = "", length] = one.split("/");
            return { name: one, address, ...(length === undefined ? {} : { subnetPrefixLength: Number(length) }) };
          });
        return ask((to) =>
          to.PUT("/api/v1/projects/{project}/media/liveEvents/{event}", {
            params: { path: here({ event: draft.name }), query: { autoStart: draft.start } },
            body: {
              location: "local",
              properties: {
                ...(draft.description === "" ? {} : { description: draft.description }),
                encoding: { encodingType: draft.encoding as "Standard" },
                streamOptions: [draft.lowLatency ? "LowLatencyV2" : "Default"],
                input: {
                  streamingProtocol: draft.protocol as "RTMP",
                  ...(allow.length === 0 ? {} : { accessControl: { ip: { allow } } }),
                },
              },
            },
          }),
        );
      }}
      then={() => (clear(), done(draft.name))}
    >
      <Text label="Name" required hint={NAME_HINT} value={draft.name} change={(name) => change({ name })} />
      <Text label="Description" name="description" value={draft.description} change={(description) => change({ description })} />
      <Select
        label="The encoder sends"
        name="streamingProtocol"
        value={draft.protocol}
        change={(protocol) => change({ protocol })}
        options={[
          ["RTMP", "RTMP (OBS and most encoders)"],
          ["RTMPS", "RTMPS (encrypted)"],
          ["SRT", "SRT (over networks that lose packets)"],
        ]}
      />
      <Choice legend="Qualities" value={draft.encoding} change={(encoding) => change({ encoding })} options={ENCODINGS} />
      <Check
        label="Low latency"
        hint="A few seconds behind instead of some twenty, with less room for bad connections."
        checked={draft.lowLatency}
        change={(lowLatency) => change({ lowLatency })}
      />
      <Text
        label="Encoders' addresses"
        name="accessControl"
        value={draft.allowed}
        change={(allowed) => change({ allowed })}
        hint="203.0.113.7 or 203.0.113.0/24, with spaces between them. Empty: from anywhere, with the secret in the address."
      />
      <Check label="Start it at once" checked={draft.start} change={(start) => change({ start })} />
    </Form>
  );
}
