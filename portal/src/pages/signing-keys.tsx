/** The keys that sign this Headwater's tokens: another one in good time, or an end to one that has leaked. */

import { useRef, useState } from "preact/hooks";
import type { Schemas } from "../api/client";
import { ask, barred } from "../app/session";
import { moment } from "../format";
import { List, whole } from "../ui/list";
import { Confirm, Heading, State } from "../ui/parts";

type SigningKey = Schemas["SigningKey"];

export function SigningKeysPage() {
  const [turn, setTurn] = useState(0);
  const again = () => setTurn((before) => before + 1);
  const off = barred("SigningKey", "act");
  const known = useRef<string[]>([]);
  const signing = useRef("");
  return (
    <>
      <Heading title="Signing keys">
        <Confirm
          label="New key"
          disabled={off}
          question="Let a new key sign tokens?"
          consequence="Tokens are signed with it from here on. Those that the last one signed stay good until they end."
          done={() => (known.current.includes(signing.current) ? "The key that signs is less than a minute old and stays" : "A new key signs tokens")}
          run={async () => {
            const { metadata } = await ask((to) => to.POST("/api/v1/organization/signingKeys/rotate"));
            signing.current = metadata.id;
          }}
          then={again}
        />
      </Heading>
      <p>Every token of this Headwater is signed by one of these. Make a new one now and then, and revoke one that somebody else may have.</p>
      <List<SigningKey>
        label="Signing keys"
        turn={turn}
        load={async () => {
          const { items } = await ask((to) => to.GET("/api/v1/organization/signingKeys"));
          known.current = items.map(({ metadata }) => metadata.id);
          return whole(items);
        }}
        id={({ metadata }) => metadata.id}
        columns={[
          { head: "Key", cell: ({ metadata }) => <code>{metadata.id}</code>, long: true },
          { head: "State", cell: ({ status }) => <State of={status.state} /> },
          { head: "Algorithm", cell: ({ spec }) => spec.algorithm },
          { head: "Made", cell: ({ metadata }) => moment(metadata.created) },
          { head: "Tokens good until", cell: ({ status }) => (status.state === "Verifying" ? moment(status.verifiesUntil) : "") },
          {
            head: "Actions",
            cell: ({ metadata, status }) =>
              status.state === "Signing" || status.state === "Verifying" ? (
                <Confirm
                  label="Revoke"
                  disabled={off}
                  question="Revoke this key?"
                  consequence="Every token that it signed is refused at once, of people, programs and workers; yours may be among them. It cannot be taken back."
                  done="Key revoked"
                  run={() => ask((to) => to.POST("/api/v1/organization/signingKeys/{key}/revoke", { params: { path: { key: metadata.id } } }))}
                  then={again}
                />
              ) : null,
          },
        ]}
        empty={<p>No key has signed anything yet.</p>}
      />
    </>
  );
}
