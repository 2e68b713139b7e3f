/** Streaming locators: what is published, under which addresses, and until when. */

import { useState } from "preact/hooks";
import type { Schemas } from "../api/client";
import { go, href } from "../app/router";
import type { PageProps } from "../app/routes";
import { ask, here, may } from "../app/session";
import { moment } from "../format";
import { asPage, List, quoted, Table } from "../ui/list";
import { useLoad } from "../ui/load";
import { Act, Confirm, Copy, Facts, Heading, Opener, Section } from "../ui/parts";
import { Await, Empty, FailureNote } from "../ui/states";
import { asFailure, type Failure } from "../api/failure";
import { Addresses, policyLabel, PublishForm } from "./publish";

type Locator = Schemas["StreamingLocator"];

export function LocatorsPage({ path }: PageProps) {
  const name = path[1];
  return name === undefined ? <LocatorList /> : <LocatorPage name={name} />;
}

function LocatorList() {
  return (
    <>
      <Heading title="Locators">
        <Opener label="Publish an asset" disabled={!may("StreamingLocator", "write")}>
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
            <Confirm
              label="Unpublish"
              disabled={!may("StreamingLocator", "delete")}
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
        {({ properties }) => (
          <>
            <Facts
              rows={[
                ["Asset", <a href={href(["assets", properties.assetName])}>{properties.assetName}</a>],
                ["Streaming policy", policyLabel(properties.streamingPolicyName)],
                ["Key policy", properties.defaultContentKeyPolicyName],
                ["Created", moment(properties.created)],
                ["Not before", moment(properties.startTime)],
                ["Until", moment(properties.endTime) || "for good"],
                ["Filters", properties.filters.join(", ")],
                ["Id", <code>{properties.streamingLocatorId}</code>],
              ]}
            />
            <Addresses locator={name} />
            <Keys locator={name} />
          </>
        )}
      </Await>
    </>
  );
}

/** Keys are shown when they are asked for, and not before. */
function Keys({ locator }: { locator: string }) {
  const [keys, setKeys] = useState<Schemas["StreamingLocatorContentKey"][] | null>(null);
  const [failure, setFailure] = useState<Failure | null>(null);
  if (!may("StreamingLocator", "reveal")) return null;
  return (
    <Section
      title="Content keys"
      actions={
        <Act
          label="Show keys"
          done="Keys shown"
          run={async () => {
            try {
              const answer = await ask((to) =>
                to.POST("/api/v1/projects/{project}/media/streamingLocators/{locator}/listContentKeys", { params: { path: here({ locator }) } }),
              );
              // A string is the CPIX document, which is not asked for here.
              if (typeof answer !== "string") setKeys(answer.contentKeys);
              setFailure(null);
            } catch (thrown) {
              setFailure(asFailure(thrown));
            }
          }}
        />
      }
    >
      {failure !== null && <FailureNote failure={failure} />}
      {keys === null ? (
        <p class="meta">Whoever has a key can decrypt. They are shown on request.</p>
      ) : keys.length === 0 ? (
        <Empty title="Not encrypted" />
      ) : (
        <Table
          label="Content keys"
          items={keys}
          id={({ id }) => id}
          columns={[
            { head: "Kind", cell: ({ type }) => type },
            { head: "Id", long: true, cell: ({ id }) => <code>{id}</code> },
            { head: "Policy", cell: ({ policyName }) => policyName ?? "" },
            { head: "Key", cell: ({ value }) => (value === undefined ? "" : <Copy text={value} label="key" />) },
          ]}
        />
      )}
    </Section>
  );
}
