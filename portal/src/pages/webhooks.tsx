/** Webhooks: rules, and what became of each delivery. */

import type { Schemas } from "../api/client";
import { go, href } from "../app/router";
import type { PageProps } from "../app/routes";
import { ask, barred, here } from "../app/session";
import { moment } from "../format";
import { Area, Check, Form, NAME_HINT, Text } from "../ui/form";
import { asPage, List } from "../ui/list";
import { useDraft, useLoad } from "../ui/load";
import { Confirm, Facts, Heading, Opener, Section, State } from "../ui/parts";
import { Await, Empty } from "../ui/states";
import { pairsOf, pairText } from "./pairs";

type Rule = Schemas["WebhookRule"];
type Event = Rule["spec"]["events"][number];
type Pairs = Record<string, string>;

/** The ones most rules are for, with what they are; the others are chosen by name. */
const COMMON: { event: Event; label: string }[] = [
  { event: "MediaKind.JobStarted", label: "A job has started" },
  { event: "MediaKind.JobFinished", label: "A job has ended, well or not" },
  { event: "MediaKind.StreamingLocatorCreated", label: "Something was published" },
  { event: "Headwater.LiveEventStateChange", label: "A live event changed its state" },
  { event: "Microsoft.Media.JobStateChange", label: "A job changed its state (Event Grid)" },
  { event: "Microsoft.Media.JobErrored", label: "A job failed (Event Grid)" },
  { event: "Microsoft.Media.JobOutputProgress", label: "A job's progress (Event Grid)" },
  { event: "Microsoft.Media.LiveEventEncoderConnected", label: "An encoder connected (Event Grid)" },
  { event: "Microsoft.Media.LiveEventEncoderDisconnected", label: "An encoder disconnected (Event Grid)" },
];

export function WebhooksPage({ path }: PageProps) {
  const name = path[1];
  return name === undefined ? <RuleList /> : <RulePage name={name} />;
}

function RuleList() {
  return (
    <>
      <Heading title="Webhooks">
        <Opener label="New webhook" disabled={barred("Webhook", "write")}>
          {(close) => <RuleForm done={(name) => (close(), go(["webhooks", name]))} />}
        </Opener>
      </Heading>
      <List<Rule>
        label="Webhooks"
        load={async (query) => asPage(await ask((to) => to.GET("/api/v1/projects/{project}/webhook/rules", { params: { path: here({}), query } })))}
        id={({ metadata }) => metadata.id}
        columns={[
          { head: "Name", cell: ({ metadata }) => <a href={href(["webhooks", metadata.name])}>{metadata.name}</a> },
          { head: "State", cell: ({ spec }) => <State of={spec.enabled ? "Enabled" : "Disabled"} /> },
          { head: "Calls", long: true, cell: ({ spec }) => spec.url },
          { head: "Events", cell: ({ spec }) => spec.events.length },
        ]}
        empty={
          <Empty title="No webhooks yet">
            <p>A webhook tells a program of yours when something happens: a job that ends, an encoder that connects.</p>
          </Empty>
        }
      />
    </>
  );
}

/** As Standard Webhooks write them. */
function freshSecret(): string {
  return `whsec_${btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(32))))}`;
}

function RuleForm({ rule, done }: { rule?: Rule; done: (name: string) => void }) {
  const [draft, change, clear] = useDraft(
    `webhook-${rule?.metadata.name ?? ""}`,
    {
      name: rule?.metadata.name ?? "",
      url: rule?.spec.url ?? "",
      enabled: rule?.spec.enabled ?? true,
      events: (rule?.spec.events ?? ["MediaKind.JobFinished"]) as string[],
      secret: rule === undefined ? freshSecret() : "",
      headers: pairText(rule?.spec.headers),
      queryParams: pairText(rule?.spec.queryParams),
      secretHeaders: pairText(rule?.spec.authentication.headers),
      secretParams: pairText(rule?.spec.authentication.queryParams),
    },
    rule !== undefined,
  );
  /** As it was read where nobody changed it: not all that programs write can be typed. */
  const pairs = (typed: string, was: Pairs | null | undefined, field: string) => (typed === pairText(was) ? (was ?? {}) : pairsOf(typed, field));
  const toggle = (event: string, on: boolean) =>
    change({ events: on ? [...draft.events, event] : draft.events.filter((one) => one !== event) });
  const rare = draft.events.filter((event) => !COMMON.some((one) => one.event === event));
  return (
    <Form
      label="Save webhook"
      done="Webhook saved"
      submit={async () => {
        const was = rule?.spec;
        const headers = pairs(draft.headers, was?.headers, "spec.headers");
        const queryParams = pairs(draft.queryParams, was?.queryParams, "spec.queryParams");
        // What is read back as asterisks is kept when asterisks are sent.
        const authentication = {
          ...was?.authentication,
          headers: pairs(draft.secretHeaders, was?.authentication.headers, "authentication.headers"),
          queryParams: pairs(draft.secretParams, was?.authentication.queryParams, "authentication.queryParams"),
          ...(draft.secret === "" ? {} : { signingSecret: draft.secret }),
        };
        return ask((to) =>
          to.PUT("/api/v1/projects/{project}/webhook/rules/{rule}", {
            params: { path: here({ rule: draft.name }) },
            body: {
              spec: {
                url: draft.url,
                enabled: draft.enabled,
                events: draft.events as Event[],
                headers,
                queryParams,
                authentication,
              },
            },
          }),
        );
      }}
      then={() => (clear(), done(draft.name))}
    >
      {rule === undefined && <Text label="Name" name="name" required hint={NAME_HINT} value={draft.name} change={(name) => change({ name })} />}
      <Text label="Address to call" name="url" type="url" required value={draft.url} change={(url) => change({ url })} hint="It gets a POST with the event as JSON." />
      <fieldset class="choice">
        <legend>When</legend>
        {COMMON.map(({ event, label }) => (
          <Check key={event} label={label} checked={draft.events.includes(event)} change={(on) => toggle(event, on)} />
        ))}
        {rare.map((event) => (
          <Check key={event} label={event} checked change={(on) => toggle(event, on)} />
        ))}
      </fieldset>
      <Text
        label="Signing secret"
        name="signingSecret"
        value={draft.secret}
        change={(secret) => change({ secret })}
        hint={
          rule === undefined
            ? "Deliveries are signed with it, so that your program can tell them from others. Keep a copy; it is not shown again."
            : "Empty: it stays as it is."
        }
      />
      <details>
        <summary>More</summary>
        <Area label="Headers" name="spec.headers.*" rows={2} value={draft.headers} change={(headers) => change({ headers })} hint="Sent along, a line each: x-team=news" />
        <Area label="Parameters" name="spec.queryParams.*" rows={2} value={draft.queryParams} change={(queryParams) => change({ queryParams })} hint="Added to the address, in the same way." />
        <Area
          label="Secret headers"
          name="authentication.headers.*"
          rows={2}
          value={draft.secretHeaders}
          change={(secretHeaders) => change({ secretHeaders })}
          hint="Shown to nobody afterwards: authorization=Bearer … What stands as asterisks stays as it is."
        />
        <Area
          label="Secret parameters"
          name="authentication.queryParams.*"
          rows={2}
          value={draft.secretParams}
          change={(secretParams) => change({ secretParams })}
          hint="In the same way."
        />
      </details>
      <Check label="Enabled" checked={draft.enabled} change={(enabled) => change({ enabled })} />
    </Form>
  );
}

function RulePage({ name }: { name: string }) {
  const params = { params: { path: here({ rule: name }) } };
  const rule = useLoad(() => ask((to) => to.GET("/api/v1/projects/{project}/webhook/rules/{rule}", params)), [name]);
  return (
    <>
      <Heading title={name} back={[href(["webhooks"]), "Webhooks"]}>
        {rule.value !== null && (
          <>
            <Opener label="Change" kind="plain" title={`Change ${name}`} disabled={barred("Webhook", "write")}>
              {(close) => <RuleForm rule={rule.value!} done={() => (close(), rule.reload())} />}
            </Opener>
            <Confirm
              label="Delete"
              disabled={barred("Webhook", "delete")}
              question={`Delete ${name}?`}
              consequence="Its address is called no more, and its delivery log goes."
              done="Webhook deleted"
              run={() => ask((to) => to.DELETE("/api/v1/projects/{project}/webhook/rules/{rule}", params))}
              then={() => go(["webhooks"])}
            />
          </>
        )}
      </Heading>
      <Await of={rule}>
        {({ spec, metadata }) => (
          <Facts
            rows={[
              ["State", <State of={spec.enabled ? "Enabled" : "Disabled"} />],
              ["Calls", spec.url],
              ["When", spec.events.map((event) => COMMON.find((one) => one.event === event)?.label ?? event).join("; ")],
              ["Changed", moment(metadata.updated)],
            ]}
          />
        )}
      </Await>
      <Section title="Deliveries">
        <List<Schemas["WebhookEvent"]>
          label="Deliveries"
          load={async (query) =>
            asPage(
              await ask((to) =>
                to.GET("/api/v1/projects/{project}/webhook/rules/{rule}/events", { params: { path: here({ rule: name }), query } }),
              ),
            )
          }
          everyMs={() => 5000}
          id={({ id }) => id}
          columns={[
            { head: "Event", cell: ({ type }) => type },
            { head: "State", cell: ({ status }) => <State of={status} /> },
            { head: "Answer", cell: ({ responseStatus, error }) => error ?? (responseStatus === null ? "" : `status ${responseStatus}`) },
            { head: "Tries", end: true, cell: ({ attempts }) => attempts },
            { head: "Next try", cell: ({ nextAttempt }) => moment(nextAttempt) },
            { head: "Created", cell: ({ created }) => moment(created) },
          ]}
          empty={<Empty title="Nothing was delivered yet" />}
        />
      </Section>
    </>
  );
}
