/** Live events: the list, and making one. */

import type { Schemas } from "../api/client";
import { go, href } from "../app/router";
import type { PageProps } from "../app/routes";
import { ask, barred, here } from "../app/session";
import { moment } from "../format";
import { asPage, List, quoted } from "../ui/list";
import { Heading, Opener, State } from "../ui/parts";
import { Empty } from "../ui/states";
import { LiveEventPage } from "./live-event";
import { LiveForm } from "./live-form";

export type LiveEvent = Schemas["LiveEvent"];

export function LivePage({ path }: PageProps) {
  const name = path[1];
  return name === undefined ? <LiveList /> : <LiveEventPage name={name} />;
}

function LiveList() {
  return (
    <>
      <Heading title="Live events">
        <Opener label="New live event" disabled={barred("LiveEvent", "write")}>
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
        labels
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

export const ENCODINGS = [
  { value: "PassthroughStandard", label: "As it comes", hint: "The encoder's own qualities go to viewers unchanged.", safe: true },
  { value: "PassthroughBasic", label: "As it comes, basic", hint: "One quality, and less of everything." },
  { value: "Standard", label: "Ladder to 720p", hint: "Several qualities are made from one." },
  { value: "Premium1080p", label: "Ladder to 1080p", hint: "Several qualities, up to 1920×1080." },
];

export function encodingLabel(type: string): string {
  return ENCODINGS.find(({ value }) => value === type)?.label ?? "As it comes";
}
