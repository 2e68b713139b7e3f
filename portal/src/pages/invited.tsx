/** For somebody with an invitation: who has its secret becomes a user and is signed in. */

import { go } from "../app/router";
import { ask, signIn, token } from "../app/session";
import { Form, Text } from "../ui/form";
import { useDraft } from "../ui/load";
import { Heading } from "../ui/parts";
import { Empty } from "../ui/states";

export function InvitedPage() {
  const [draft, change, clear] = useDraft("invited", { secret: "", name: "", email: "" });
  if (token.value !== null) {
    return (
      <>
        <Heading title="Accept an invitation" />
        <Empty title="You are signed in">
          <p>An invitation makes another user. Sign out to accept it.</p>
        </Empty>
      </>
    );
  }
  const accept = async () => {
    const made = await ask((to) =>
      to.POST("/api/v1/invites/accept", {
        body: {
          secret: draft.secret.trim(),
          ...(draft.name === "" ? {} : { name: draft.name }),
          ...(draft.email === "" ? {} : { loginEmail: draft.email }),
        },
      }),
    );
    // An invitation is good once: its secret is of no more use, whatever comes of the rest.
    clear();
    await signIn(made.metadata.JWT ?? "");
  };
  return (
    <section class="notice">
      <Heading title="Accept an invitation" />
      <Form label="Accept" done="Welcome" submit={accept} then={() => go([])}>
        <Text label="Secret of the invitation" name="secret" type="password" required value={draft.secret} change={(secret) => change({ secret })} />
        <Text label="Your name" name="name" value={draft.name} change={(name) => change({ name })} hint="Needed unless whoever invited you gave it." />
        <Text
          label="E-mail for signing in"
          name="loginEmail"
          type="email"
          value={draft.email}
          change={(email) => change({ email })}
          hint="By which another sign-in knows you, if there is one."
        />
      </Form>
    </section>
  );
}
