/** Streaming endpoints: where players come to. Start, stop, scale. */

import type { Schemas } from "../api/client";
import type { PageProps } from "../app/routes";
import { href, go } from "../app/router";
import { Failure } from "../api/failure";
import { ask, barred, here } from "../app/session";
import { moment } from "../format";
import { Area, Check, Form, NAME_HINT, Text } from "../ui/form";
import { asPage, List } from "../ui/list";
import { useDraft, useLoad } from "../ui/load";
import { Act, Confirm, Copy, Facts, Heading, Opener, State } from "../ui/parts";
import { Await, Empty } from "../ui/states";
import { changed } from "./changes";
import { pairsChanged, pairText } from "./pairs";
import { listed, rangesOf } from "./ranges";

type Endpoint = Schemas["StreamingEndpoint"];

export function EndpointsPage({ path }: PageProps) {
  const name = path[1];
  return name === undefined ? <EndpointList /> : <EndpointPage name={name} />;
}

/** Whom an endpoint serves. A list that AMS's clients have left empty is for nobody. */
function served({ accessControl }: Endpoint["properties"]): string {
  const allow = accessControl?.ip?.allow;
  const whom = allow === undefined ? "everybody" : allow.length === 0 ? "nobody" : listed(allow) || "everybody";
  return keysOf(accessControl) === 0 ? whom : `${whom}, if Akamai has signed it`;
}

/** How many keys Akamai's servers sign with. */
function keysOf(accessControl: Endpoint["properties"]["accessControl"]): number {
  return accessControl?.akamai?.akamaiSignatureHeaderAuthenticationKeyList?.length ?? 0;
}

function changing({ properties }: Endpoint): boolean {
  return properties.provisioningState !== "Succeeded";
}

function EndpointList() {
  return (
    <>
      <Heading title="Streaming endpoints">
        <Opener label="New endpoint" disabled={barred("StreamingEndpoint", "write")}>
          {(close) => <EndpointForm done={(name) => (close(), go(["endpoints", name]))} />}
        </Opener>
      </Heading>
      <List<Endpoint>
        label="Streaming endpoints"
        load={async (query) =>
          asPage(await ask((to) => to.GET("/api/v1/projects/{project}/media/streamingEndpoints", { params: { path: here({}), query } })))
        }
        everyMs={(items) => (items.some(changing) ? 1500 : 15_000)}
        id={({ name }) => name}
        columns={[
          { head: "Name", cell: ({ name }) => <a href={href(["endpoints", name])}>{name}</a> },
          { head: "State", cell: ({ properties }) => <State of={properties.resourceState} /> },
          { head: "Host", cell: ({ properties }) => properties.hostName },
          { head: "Kind", cell: ({ properties: { sku, scaleUnits } }) => (scaleUnits > 0 ? `${sku.name}, ${scaleUnits} units` : sku.name) },
        ]}
        empty={
          <Empty title="No endpoint">
            <p>Players reach what is published through a streaming endpoint. Make one and start it.</p>
          </Empty>
        }
      />
    </>
  );
}

const HOST = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*(?::\d+)?$/i;

/** What is said of access: the ranges, and what was there of keys, which are made by scripts. */
function accessWith(allow: ReturnType<typeof rangesOf>, of: Endpoint | undefined) {
  const { akamai } = of?.properties.accessControl ?? {};
  const access = { ...(allow.length === 0 ? {} : { ip: { allow } }), ...(akamai === undefined ? {} : { akamai }) };
  return Object.keys(access).length === 0 ? null : access;
}

/** `of`: the endpoint to change. */
function EndpointForm({ of, done }: { of?: Endpoint; done: (name: string) => void }) {
  const initial = {
    name: of?.name ?? "",
    description: of?.properties.description ?? "",
    hosts: (of?.properties.customHostNames ?? []).join(" "),
    served: listed(of?.properties.accessControl?.ip?.allow ?? []),
    age: String(of?.properties.maxCacheAge ?? ""),
    tags: pairText(of?.tags),
    start: true,
  };
  const [draft, change, clear, was] = useDraft(`endpoint-${of?.name ?? ""}`, initial, of !== undefined);
  return (
    <Form
      label={of === undefined ? "Make endpoint" : "Save endpoint"}
      done={of === undefined ? "Endpoint made" : "Endpoint saved"}
      submit={async () => {
        const customHostNames = draft.hosts.split(/[\s,]+/).filter(Boolean);
        const odd = customHostNames.find((host) => !HOST.test(host));
        // Said before anything is asked for.
        if (odd !== undefined) throw new Failure("invalid", `${odd} is not the name of a host.`, "customHostNames");
        const allow = rangesOf(draft.served, of?.properties.accessControl?.ip?.allow);
        const rules = {
          ...(draft.served === was.served ? {} : { accessControl: accessWith(allow, of) }),
          ...(draft.age === was.age ? {} : { maxCacheAge: draft.age === "" ? null : Number(draft.age) }),
        };
        const tags = draft.tags === was.tags ? {} : pairsChanged("tags", draft.tags, of?.tags);
        if (of !== undefined) {
          await ask((to) =>
            to.PATCH("/api/v1/projects/{project}/media/streamingEndpoints/{endpoint}", {
              params: { path: here({ endpoint: of.name }) },
              body: {
                ...tags,
                properties: {
                  ...changed({ description: draft.description }, was),
                  ...(draft.hosts === was.hosts ? {} : { customHostNames }),
                  ...rules,
                },
              },
            }),
          );
          return;
        }
        await ask((to) =>
          to.PUT("/api/v1/projects/{project}/media/streamingEndpoints/{endpoint}", {
            params: { path: here({ endpoint: draft.name }), query: { autoStart: draft.start } },
            body: {
              // That of the project.
              location: null,
              ...tags,
              properties: {
                scaleUnits: 0,
                ...(draft.description === "" ? {} : { description: draft.description }),
                customHostNames,
                ...rules,
              },
            },
          }),
        );
      }}
      then={() => (clear(), done(draft.name))}
    >
      {of === undefined && <Text label="Name" required hint={NAME_HINT} value={draft.name} change={(name) => change({ name })} />}
      <Text label="Description" name="description" value={draft.description} change={(description) => change({ description })} />
      <Text
        label="Host names of your own"
        name="customHostNames.*"
        value={draft.hosts}
        change={(hosts) => change({ hosts })}
        hint="With spaces between them. They have to lead here in DNS."
      />
      <Text
        label="Addresses that are served"
        name="accessControl.*"
        value={draft.served}
        change={(served) => change({ served })}
        hint="203.0.113.7 or 203.0.113.0/24, with spaces between them: of a CDN, say. Empty: everybody."
      />
      <Text
        label="Caches keep films for, in seconds"
        name="maxCacheAge"
        type="number"
        value={draft.age}
        change={(age) => change({ age })}
        hint="Empty: as long as is right for each. Manifests of what is live are left alone."
      />
      <Area label="Tags" name="tags.*" rows={2} value={draft.tags} change={(tags) => change({ tags })} hint="A line each: for=the web site" />
      {of === undefined && <Check label="Start it at once" checked={draft.start} change={(start) => change({ start })} />}
    </Form>
  );
}

function EndpointPage({ name }: { name: string }) {
  const params = { params: { path: here({ endpoint: name }) } };
  const endpoint = useLoad(
    () => ask((to) => to.GET("/api/v1/projects/{project}/media/streamingEndpoints/{endpoint}", params)),
    [name],
    (one) => (changing(one) ? 1000 : 15_000),
  );
  const running = endpoint.value?.properties.resourceState === "Running";
  const busy = endpoint.value !== null && changing(endpoint.value);
  return (
    <>
      <Heading title={name} back={[href(["endpoints"]), "Streaming endpoints"]}>
        {endpoint.value !== null && (
          <>
            {running ? (
              <Confirm
                label="Stop"
                disabled={busy || barred("StreamingEndpoint", "act")}
                question={`Stop ${name}?`}
                consequence="Nobody can watch anything through it until it is started again."
                done="Endpoint is stopping"
                run={() => ask((to) => to.POST("/api/v1/projects/{project}/media/streamingEndpoints/{endpoint}/stop", params))}
                then={endpoint.reload}
              />
            ) : (
              <Act
                label="Start"
                kind="primary"
                disabled={busy || barred("StreamingEndpoint", "act")}
                done="Endpoint is starting"
                run={() => ask((to) => to.POST("/api/v1/projects/{project}/media/streamingEndpoints/{endpoint}/start", params))}
                then={endpoint.reload}
              />
            )}
            <Opener label="Edit" kind="plain" title={`Edit ${name}`} disabled={busy || barred("StreamingEndpoint", "write")}>
              {(close) => <EndpointForm of={endpoint.value!} done={() => (close(), endpoint.reload())} />}
            </Opener>
            <Opener label="Scale" kind="plain" title={`Scale ${name}`} disabled={busy || barred("StreamingEndpoint", "act")}>
              {(close) => (
                <Scale name={name} units={endpoint.value!.properties.scaleUnits} done={() => (close(), endpoint.reload())} />
              )}
            </Opener>
            <Confirm
              label="Delete"
              disabled={busy || running || barred("StreamingEndpoint", "delete")}
              question={`Delete ${name}?`}
              consequence="Addresses with its host name stop working."
              done="Endpoint deleted"
              run={() => ask((to) => to.DELETE("/api/v1/projects/{project}/media/streamingEndpoints/{endpoint}", params))}
              then={() => go(["endpoints"])}
            />
          </>
        )}
      </Heading>
      <Await of={endpoint}>
        {({ properties, tags }) => (
          <Facts
            rows={[
              ["State", <State of={properties.resourceState} />],
              ["Description", properties.description],
              ["Tags", pairText(tags, ", ")],
              ["Host", <Copy text={properties.hostName} label="host name" />],
              ["Own host names", (properties.customHostNames ?? []).join(", ")],
              ["Serves", served(properties)],
              ["Caches keep films for", properties.maxCacheAge ? `${properties.maxCacheAge} s` : "as long as is right for each"],
              ["Kind", properties.sku.name],
              ["Units", String(properties.scaleUnits)],
              ["Created", moment(properties.created)],
            ]}
          />
        )}
      </Await>
    </>
  );
}

function Scale({ name, units, done }: { name: string; units: number; done: () => void }) {
  const skus = useLoad(
    () =>
      ask((to) => to.GET("/api/v1/projects/{project}/media/streamingEndpoints/{endpoint}/skus", { params: { path: here({ endpoint: name }) } })),
    [name],
  );
  const [draft, change, clear] = useDraft(`scale-${name}`, { units: String(units) });
  const most = Math.max(0, ...(skus.value?.value ?? []).map(({ capacity }) => capacity.maximum));
  return (
    <Form
      label="Scale"
      done="Scaled"
      submit={() =>
        ask((to) =>
          to.POST("/api/v1/projects/{project}/media/streamingEndpoints/{endpoint}/scale", {
            params: { path: here({ endpoint: name }) },
            body: { scaleUnit: Number(draft.units) },
          }),
        )
      }
      then={() => (clear(), done())}
    >
      <Text
        label="Units"
        name="scaleUnit"
        type="number"
        required
        min={0}
        {...(most > 0 ? { max: most } : {})}
        value={draft.units}
        change={(units) => change({ units })}
        hint="0 is the standard kind, more makes it premium. They are shown to your programs; one origin serves all endpoints alike."
      />
    </Form>
  );
}
