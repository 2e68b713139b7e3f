/** Making and changing a content key policy. Secrets are typed, never shown: what is not typed anew stays. */

import type { Schemas } from "../api/client";
import { Failure } from "../api/failure";
import { ask, barred, here, may } from "../app/session";
import { Area, Choice, Complaints, FileText, Form, NAME_HINT, Select, Text } from "../ui/form";
import { useDraft } from "../ui/load";
import { changed } from "./changes";
import { draftOf, freshKey, hasUntold, newOption, optionOf, usualLicence, type Option, type OptionDraft, type OptionWrite, type System } from "./key-policy-draft";

type Policy = Schemas["ContentKeyPolicy"];

const SYSTEMS = [
  { value: "ClearKey", label: "ClearKey and AES-128", hint: "Works in every browser; keeps strangers out, not determined copiers.", safe: true },
  { value: "Widevine", label: "Widevine", hint: "Licences without storing: Chrome, Android." },
  { value: "PlayReady", label: "PlayReady", hint: "Licences without storing: Edge, televisions." },
  { value: "Widevine+PlayReady", label: "Widevine and PlayReady", hint: "What the policy “DRM” needs." },
  { value: "Widevine+PlayReady+FairPlay", label: "Widevine, PlayReady and FairPlay", hint: "Every device; what policies with CENC and CBCS need." },
  { value: "FairPlay", label: "FairPlay", hint: "Safari, iOS and Apple TV; with a certificate that Apple gives to you." },
];

const CLAIMS: [string, string][] = [
  ["", "Every video with this policy"],
  ["key", "The one whose key id it names"],
  ["typed", "Every video, if it has certain claims"],
];

const RENTALS: [string, string][] = [
  ["Undefined", "Play while connected"],
  ["PersistentUnlimited", "Keep for good"],
  ["PersistentLimited", "Keep for a time"],
  ["DualExpiry", "Keep, and play for a time from the first play on"],
];

const put = (policy: string, properties: Schemas["ContentKeyPolicyPropertiesWrite"]) =>
  ask((to) =>
    to.PUT("/api/v1/projects/{project}/media/contentKeyPolicies/{policy}", { params: { path: here({ policy }) }, body: { properties } }),
  );

export function PolicyForm({ done }: { done: (name: string) => void }) {
  const [draft, change, clear] = useDraft("key-policy", {
    ...newOption("ClearKey", freshKey(), location.origin),
    name: "",
    description: "",
    systems: "ClearKey",
  });
  return (
    <Form
      label="Make key policy"
      done="Key policy made"
      submit={async () => {
        const { description, systems, ...option } = draft;
        const options = systems
          .split("+")
          .map((name, at) => optionOf({ ...option, name, system: name as System, licence: usualLicence(name as System) }, null, `options[${at}]`));
        await put(draft.name, { ...(description === "" ? {} : { description }), options });
      }}
      then={() => (clear(), done(draft.name))}
    >
      <Text label="Name" required hint={NAME_HINT} value={draft.name} change={(name) => change({ name })} />
      <Text label="Description" name="description" value={draft.description} change={(description) => change({ description })} />
      <Choice legend="Key system" value={draft.systems} change={(systems) => change({ systems })} options={SYSTEMS} />
      {draft.systems.split("+").includes("FairPlay") && <FairPlay draft={draft} change={change} path="configuration" />}
      <Choice
        legend="Keys go to"
        value={draft.who}
        change={(who) => change({ who: who as OptionDraft["who"] })}
        options={[
          { value: "token", label: "Those with a token", hint: "Your site signs a JWT for each viewer it lets in.", safe: true },
          { value: "open", label: "Everybody", hint: "No better than no encryption against anybody who has the address." },
        ]}
      />
      {draft.who === "token" && <TokenFields draft={draft} change={change} path="restriction" />}
    </Form>
  );
}

interface Part {
  draft: OptionDraft;
  change: (part: Partial<OptionDraft>) => void;
  /** As the API names it. */
  path: string;
  /** What there was; left out for a new one. */
  was?: OptionDraft;
}

function FairPlay({ draft, change, path, was }: Part) {
  const keep = was === undefined ? "" : " Empty: it stays as it is.";
  return (
    <>
      <Text
        label="Application secret key (base64)"
        name={`${path}.ask`}
        type="password"
        required={was === undefined}
        value={draft.ask}
        change={(ask) => change({ ask })}
        hint={`The 16 bytes that Apple calls ASK.${keep}`}
      />
      <Area
        label="Certificate with its key (PFX, base64)"
        name={`${path}.fairPlayPfx`}
        rows={3}
        code
        required={was === undefined}
        value={draft.pfx}
        change={(pfx) => change({ pfx })}
        {...(was === undefined ? {} : { hint: keep.trim() })}
      />
      <Text
        label="The certificate's password"
        name={`${path}.fairPlayPfxPassword`}
        type="password"
        required={was === undefined}
        value={draft.password}
        change={(password) => change({ password })}
        {...(was === undefined ? {} : { hint: keep.trim() })}
      />
      <Select label="Players may" name={`${path}.rentalAndLeaseKeyType`} value={draft.rental} change={(rental) => change({ rental })} options={RENTALS} />
      <Text
        label="For (seconds)"
        name={`${path}.rentalDuration`}
        type="number"
        min={0}
        required
        value={draft.rentalDuration}
        change={(rentalDuration) => change({ rentalDuration })}
        hint="0 where there is no limit."
      />
      {draft.rental === "DualExpiry" && (
        <>
          <Text
            label="Kept for (seconds)"
            name={`${path}.offlineRentalConfiguration.storageDurationSeconds`}
            type="number"
            min={0}
            required
            value={draft.storage}
            change={(storage) => change({ storage })}
          />
          <Text
            label="From the first play on (seconds)"
            name={`${path}.offlineRentalConfiguration.playbackDurationSeconds`}
            type="number"
            min={0}
            required
            value={draft.playback}
            change={(playback) => change({ playback })}
          />
        </>
      )}
    </>
  );
}

function TokenFields({ draft, change, path, was }: Part) {
  const secretStays = was?.who === "token" && was.verify === "symmetric";
  return (
    <>
      <Text label="Issuer (iss)" name={`${path}.issuer`} required value={draft.issuer} change={(issuer) => change({ issuer })} />
      <Text label="Audience (aud)" name={`${path}.audience`} required value={draft.audience} change={(audience) => change({ audience })} />
      <Select
        label="Tokens are verified with"
        value={draft.verify}
        change={(verify) => change({ verify: verify as OptionDraft["verify"] })}
        options={[
          ["symmetric", "A shared secret (HS256)"],
          ["public", "A public key or certificate (RS256)"],
          ["openid", "An OpenID Connect provider"],
          ...(was?.verify === "others" ? [["others", "The keys that are there"] as [string, string]] : []),
        ]}
      />
      {draft.verify === "symmetric" && (
        <>
          <Text
            label="Shared secret (base64)"
            name={`${path}.primaryVerificationKey.*`}
            required={!secretStays}
            value={draft.key}
            change={(key) => change({ key })}
            hint={
              secretStays
                ? "Empty: it stays as it is. Tokens that are signed with it open nothing once there is another."
                : "A fresh one has been made. Keep a copy where your site signs tokens."
            }
          />
          <button type="button" class="small plain" onClick={() => change({ key: freshKey() })}>
            Another secret
          </button>
        </>
      )}
      {draft.verify === "public" && (
        <>
          <Area
            label="Public keys (PEM)"
            name={`${path}.primaryVerificationKey.*`}
            rows={6}
            code
            required
            value={draft.pem}
            change={(pem) => change({ pem })}
            hint="RSA keys or certificates. Several one after the other, while you change from one to the next: a token of any of them is good."
          />
          <FileText label="Public keys from a file" accept=".pem,.crt,.cer,.pub" read={(pem) => change({ pem })} />
        </>
      )}
      {draft.verify === "openid" && (
        <Text
          label="Discovery document"
          name={`${path}.openIdConnectDiscoveryDocument`}
          type="url"
          required
          value={draft.discovery}
          change={(discovery) => change({ discovery })}
          hint="https://…/.well-known/openid-configuration"
        />
      )}
      <Select
        label="A token opens"
        value={draft.claim}
        change={(claim) => change({ claim: claim as OptionDraft["claim"] })}
        options={CLAIMS}
      />
      {draft.claim === "typed" && (
        <Area
          label="Claims that it needs"
          name={`${path}.requiredClaims.*`}
          rows={3}
          required
          value={draft.claims}
          change={(claims) => change({ claims })}
          hint="A line each: plan=gold. Without a text, any will do."
        />
      )}
    </>
  );
}

/** The policy's options as they stand, with secrets where there are any; another version than `basis` is a conflict. */
async function standing(of: Policy, basis: string, conflict: () => void): Promise<Option[]> {
  const params = { params: { path: here({ policy: of.name }) } };
  const { properties } = hasUntold(of.properties.options)
    ? await ask((to) => to.POST("/api/v1/projects/{project}/media/contentKeyPolicies/{policy}/getPolicyPropertiesWithSecrets", params))
    : await ask((to) => to.GET("/api/v1/projects/{project}/media/contentKeyPolicies/{policy}", params));
  if (properties.lastModified === basis) return properties.options;
  conflict();
  throw new Failure("conflict", "Somebody else has changed the policy since you began.");
}

/** `again`: reads the policy anew. */
export function EditPolicy({ of, again, done }: { of: Policy; again: () => void; done: () => void }) {
  const { description, lastModified, options: shown } = of.properties;
  const was = shown.map(draftOf);
  const [draft, change, clear] = useDraft(`key-policy-${of.name}`, { description: description ?? "", described: description ?? "", options: was, basis: lastModified });
  const hidden = hasUntold(shown) && !may("ContentKeyPolicy", "reveal");
  const set = (at: number) => (part: Partial<OptionDraft>) =>
    change({ options: draft.options.map((one, index) => (index === at ? { ...one, ...part } : one)) });
  const before = (id: string | null) => was.find((one) => one.id === id);
  return (
    <Form
      label="Save key policy"
      done="Key policy saved"
      submit={async () => {
        const properties: Schemas["ContentKeyPolicyPropertiesUpdate"] = changed({ description: draft.description }, { description: draft.described });
        if (JSON.stringify(draft.options) !== JSON.stringify(was)) {
          const full = await standing(of, draft.basis, again);
          properties.options = draft.options.map(
            (one, at): OptionWrite => optionOf(one, full.find(({ policyOptionId }) => policyOptionId === one.id) ?? null, `options[${at}]`),
          );
        }
        await ask((to) =>
          to.PATCH("/api/v1/projects/{project}/media/contentKeyPolicies/{policy}", { params: { path: here({ policy: of.name }) }, body: { properties } }),
        );
      }}
      then={() => (clear(), done())}
    >
      {draft.basis !== lastModified && (
        <>
          <p class="wrong">The policy was changed after you began. What you see here is what you typed.</p>
          <button type="button" class="small plain" onClick={() => change({ options: was, basis: lastModified })}>
            Take its options as they are now
          </button>
        </>
      )}
      <Text label="Description" name="description" value={draft.description} change={(description) => change({ description })} />
      {hidden ? (
        <p class="meta">The options hold secrets, which are sent again with every change of them. {barred("ContentKeyPolicy", "reveal")}</p>
      ) : (
        <>
          {draft.options.map((option, at) => {
            const old = before(option.id);
            return (
              <OptionFields
                key={`${option.id}-${at}`}
                draft={option}
                {...(old === undefined ? {} : { was: old })}
                at={at}
                change={set(at)}
                remove={draft.options.length === 1 ? null : () => change({ options: draft.options.filter((_, index) => index !== at) })}
              />
            );
          })}
          <Complaints name="options" />
          <button
            type="button"
            class="small plain"
            onClick={() => change({ options: [...draft.options, newOption("Widevine", freshKey(), location.origin)] })}
          >
            Another option
          </button>
        </>
      )}
    </Form>
  );
}

function OptionFields({ draft, was, at, change, remove }: Omit<Part, "path"> & { at: number; remove: (() => void) | null }) {
  const path = `options[${at}]`;
  const part: Part = { draft, change, path: `${path}.configuration`, ...(was === undefined ? {} : { was }) };
  return (
    <fieldset class="part">
      <legend>Option {at + 1}</legend>
      <Text label="Name" name={`${path}.name`} value={draft.name} change={(name) => change({ name })} />
      {was === undefined ? (
        <Select
          label="Key system"
          value={draft.system}
          change={(system) => change({ ...(draft.name === draft.system ? { name: system } : {}), system: system as System, licence: usualLicence(system as System) })}
          options={SYSTEMS.filter(({ value }) => !value.includes("+")).map(({ value, label }): [string, string] => [value, label])}
        />
      ) : (
        <p class="meta">{SYSTEMS.find(({ value }) => value === draft.system)?.label ?? draft.system}</p>
      )}
      {draft.system === "FairPlay" && <FairPlay {...part} />}
      {(draft.system === "Widevine" || draft.system === "PlayReady") && (
        <details>
          <summary>What players may do</summary>
          <Area
            label={draft.system === "Widevine" ? "Widevine's template (JSON)" : "PlayReady's licences (JSON)"}
            name={`${path}.configuration.*`}
            rows={8}
            code
            required
            value={draft.licence}
            change={(licence) => change({ licence })}
          />
          {draft.system === "PlayReady" && (
            <Text
              label="Custom data in answers"
              name={`${path}.configuration.responseCustomData`}
              value={draft.customData}
              change={(customData) => change({ customData })}
              hint="For players of your own."
            />
          )}
        </details>
      )}
      <Select
        label="Keys go to"
        name={`${path}.restriction.@odata.type`}
        value={draft.who}
        change={(who) => change({ who: who as OptionDraft["who"], ...(who === "token" && was?.who === "open" && draft.issuer === "" ? { issuer: location.origin, key: freshKey() } : {}) })}
        options={[
          ["token", "Those with a token"],
          ["open", "Everybody"],
        ]}
      />
      {draft.who === "token" && <TokenFields {...part} path={`${path}.restriction`} />}
      {remove !== null && (
        <button type="button" class="small plain" aria-label={`Remove option ${at + 1}`} onClick={remove}>
          Remove
        </button>
      )}
    </fieldset>
  );
}
