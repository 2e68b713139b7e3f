/** Streaming locators: what is published, under which addresses, and until when. */

import { useState } from "preact/hooks";
import type { Schemas } from "../api/client";
import { go, href } from "../app/router";
import type { PageProps } from "../app/routes";
import { ask, barred, here, may } from "../app/session";
import { saveText } from "../dom";
import { moment } from "../format";
import { asPage, List, quoted, Table } from "../ui/list";
import { useLoad } from "../ui/load";
import { Act, Confirm, Copy, Facts, Heading, Opener, Section, State } from "../ui/parts";
import { Await, Empty } from "../ui/states";
import { changeLocator, LocatorForm } from "./locator-form";
import { Addresses, CLEAR_POLICIES, policyLabel, PublishForm } from "./publish";

type Locator = Schemas["StreamingLocator"];

/** Whether it plays just now, as far as the locator goes. */
function stateOf({ properties: { suppressed, startTime, endTime } }: Locator): string {
  if (suppressed) return "Off the air";
  if (Date.parse(endTime) < Date.now()) return "Expired";
  return startTime !== undefined && Date.parse(startTime) > Date.now() ? "Not yet" : "Published";
}

export function LocatorsPage({ path }: PageProps) {
  const name = path[1];
  return name === undefined ? <LocatorList /> : <LocatorPage name={name} />;
}

function LocatorList() {
  return (
    <>
      <Heading title="Locators">
        <Opener label="Publish an asset" disabled={barred("StreamingLocator", "write")}>
          {(close) => <PublishForm done={(name) => (close(), go(["locators", name]))} />}
        </Opener>
      </Heading>
      <List<Locator>
        label="Locators"
        load={async (query) =>
          asPage(
            await ask((to) =>
              to.GET("/api/v1/projects/{project}/media/streamingLocators", {
                params: { path: here({}), query: { $orderby: "properties/created desc", ...query } },
              }),
            ),
          )
        }
        search={(words) => `contains(name,${quoted(words)})`}
        id={({ name }) => name}
        columns={[
          { head: "Name", cell: ({ name }) => <a href={href(["locators", name])}>{name}</a> },
          { head: "Asset", long: true, cell: ({ properties: { assetName } }) => <a href={href(["assets", assetName])}>{assetName}</a> },
          { head: "Policy", cell: ({ properties }) => policyLabel(properties.streamingPolicyName) },
          { head: "State", cell: (locator) => <State of={stateOf(locator)} /> },
          { head: "Until", cell: ({ properties }) => moment(properties.endTime) || "for good" },
          {
            head: "Actions",
            cell: ({ name }) => (
              <a class="button small plain" href={href(["watch", name])} aria-label={`Play ${name}`}>
                Play
              </a>
            ),
          },
        ]}
        empty={
          <Empty title="Nothing is published yet">
            <p>A locator gives an asset the addresses that players open.</p>
          </Empty>
        }
      />
    </>
  );
}

function LocatorPage({ name }: { name: string }) {
  // What is below follows an edit.
  const [turn, setTurn] = useState(0);
  const locator = useLoad(
    () =>
      ask((to) => to.GET("/api/v1/projects/{project}/media/streamingLocators/{locator}", { params: { path: here({ locator: name }) } })),
    [name],
  );
  return (
    <>
      <Heading title={name} back={[href(["locators"]), "Locators"]}>
        {locator.value !== null && (
          <>
            <a class="button small" href={href(["watch", name])}>
              Play
            </a>
            <Opener label="Edit" kind="plain" title={`Edit ${name}`} disabled={barred("StreamingLocator", "write")}>
              {(close) => <LocatorForm of={locator.value!} done={() => (close(), setTurn(turn + 1), locator.reload())} />}
            </Opener>
            {locator.value.properties.suppressed ? (
              <Act
                label="Put on the air"
                disabled={barred("StreamingLocator", "write")}
                done="On the air"
                run={() => changeLocator(name, { suppressed: false })}
                then={locator.reload}
              />
            ) : (
              <Confirm
                label="Take off the air"
                disabled={barred("StreamingLocator", "write")}
                question={`Take ${name} off the air?`}
                consequence="Its addresses answer that there is nothing, for those who are watching too, until you put it on the air again."
                done="Off the air"
                run={() => changeLocator(name, { suppressed: true })}
                then={locator.reload}
              />
            )}
            <Confirm
              label="Unpublish"
              disabled={barred("StreamingLocator", "delete")}
              question={`Unpublish ${name}?`}
              consequence="Its addresses stop working, for those who are watching too. They do not come back with a new locator."
              done="Unpublished"
              run={() =>
                ask((to) =>
                  to.DELETE("/api/v1/projects/{project}/media/streamingLocators/{locator}", { params: { path: here({ locator: name }) } }),
                )
              }
              then={() => go(["locators"])}
            />
          </>
        )}
      </Heading>
      <Await of={locator}>
        {({ properties, ...one }) => (
          <>
            <Facts
              rows={[
                ["State", <State of={stateOf({ ...one, properties })} />],
                ["Asset", <a href={href(["assets", properties.assetName])}>{properties.assetName}</a>],
                ["Streaming policy", policyLabel(properties.streamingPolicyName)],
                ["Key policy", properties.defaultContentKeyPolicyName],
                ["Created", moment(properties.created)],
                ["Not before", moment(properties.startTime)],
                ["Until", moment(properties.endTime) || "for good"],
                ["Filters", properties.filters.join(", ")],
                ["Alternative media id", properties.alternativeMediaId],
                ["Content id", properties.contentId],
                ["Server manifest", properties.defaultManifestFilename],
                ["Id", <code>{properties.streamingLocatorId}</code>],
              ]}
            />
            <Addresses key={`addresses-${turn}`} locator={name} />
            <Keys key={`keys-${turn}`} locator={name} some={!CLEAR_POLICIES.includes(properties.streamingPolicyName)} />
          </>
        )}
      </Await>
    </>
  );
}

/** Keys are shown when they are asked for, and not before. `some`: there may be any. */
function Keys({ locator, some }: { locator: string; some: boolean }) {
  const [keys, setKeys] = useState<Schemas["StreamingLocatorContentKey"][] | null>(null);
  if (!may("StreamingLocator", "reveal")) return null;
  if (!some) {
    return (
      <Section title="Content keys">
        <Empty title="Not encrypted" />
      </Section>
    );
  }
  const params = { params: { path: here({ locator }) } };
  return (
    <Section
      title="Content keys"
      actions={
        <>
          <Act
            label="Show keys"
            done="Keys shown"
            run={async () => {
              const answer = await ask((to) => to.POST("/api/v1/projects/{project}/media/streamingLocators/{locator}/listContentKeys", params));
              // A string is the CPIX document, which is not asked for here.
              if (typeof answer !== "string") setKeys(answer.contentKeys);
            }}
          />
          <Act
            label="Download as CPIX"
            done="CPIX document downloaded"
            run={async () => {
              const document = await ask((to) =>
                to.POST("/api/v1/projects/{project}/media/streamingLocators/{locator}/listContentKeys", {
                  ...params,
                  headers: { accept: "application/xml" },
                  parseAs: "text",
                }),
              );
              saveText(`${locator}.cpix.xml`, "application/xml", String(document));
            }}
          />
        </>
      }
    >
      {keys === null ? (
        <p class="meta">Whoever has a key can decrypt. They are shown on request, and a CPIX document has all of them.</p>
      ) : keys.length === 0 ? (
        <Empty title="Not encrypted" />
      ) : (
        <Table
          label="Content keys"
          items={keys}
          id={({ id, type, labelReferenceInStreamingPolicy }) => [id, type, labelReferenceInStreamingPolicy].join()}
          columns={[
            { head: "Kind", cell: ({ type }) => type },
            { head: "Id", long: true, cell: ({ id }) => <code>{id}</code> },
            { head: "Label", cell: ({ labelReferenceInStreamingPolicy }) => labelReferenceInStreamingPolicy ?? "" },
            { head: "Policy", cell: ({ policyName }) => policyName ?? "" },
            { head: "Key", cell: ({ value }) => (value === undefined ? "" : <Copy text={value} label="key" />) },
          ]}
        />
      )}
    </Section>
  );
}
