/** Small parts that pages are made of. */

import { signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { FailureNote } from "./states";
import { useAction } from "./load";

/** What happened last, for everybody to see and for screen readers to say. */
export const said = signal("");

export function say(sentence: string): void {
  said.value = "";
  // A live region says a text only when it changes.
  window.setTimeout(() => (said.value = sentence), 30);
}

export function Heading({ title, children, back }: { title: string; children?: ComponentChildren; back?: [string, string] }) {
  useEffect(() => {
    document.title = `${title} · Headwater`;
  }, [title]);
  return (
    <header class="heading">
      {back !== undefined && (
        <p class="back">
          <a href={back[0]}>← {back[1]}</a>
        </p>
      )}
      <div class="heading-row">
        <h1 tabIndex={-1}>{title}</h1>
        <div class="actions">{children}</div>
      </div>
    </header>
  );
}

const GOOD = ["Running", "Finished", "Succeeded", "Sent", "Active", "Accepted", "Signing", "Published", "Enabled", "Healthy", "Created"];
const BAD = ["Error", "Failed", "Revoked", "Expired", "Declined", "Unhealthy", "Refused"];
const IDLE = ["Stopped", "Canceled", "Disabled", "Retired", "Verifying", "Not running", "Exists", "Off the air"];

/** A state in words, with a colour that repeats what the word says. */
export function State({ of: state }: { of: string }) {
  const tone = GOOD.includes(state) ? "good" : BAD.includes(state) ? "bad" : IDLE.includes(state) ? "idle" : "busy";
  return (
    <span class="state" data-tone={tone}>
      {state}
    </span>
  );
}

export function Facts({ rows }: { rows: [string, ComponentChildren][] }) {
  return (
    <dl class="facts">
      {rows
        .filter(([, value]) => value !== null && value !== undefined && value !== "")
        .map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
    </dl>
  );
}

export function Section({ title, actions, children }: { title: string; actions?: ComponentChildren; children: ComponentChildren }) {
  const id = `section-${title.toLowerCase().replace(/[^a-z]+/g, "-")}`;
  return (
    <section class="panel" aria-labelledby={id}>
      <div class="heading-row">
        <h2 id={id}>{title}</h2>
        <div class="actions">{actions}</div>
      </div>
      {children}
    </section>
  );
}

/** A text to copy, in full view. `label` names it for those who do not see it. */
export function Copy({ text, label }: { text: string; label: string }) {
  const [copied, setCopied] = useState(false);
  const field = useRef<HTMLInputElement>(null);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setCopied(true);
      say(`${label} copied`);
      window.setTimeout(() => setCopied(false), 2000);
    } catch {
      // Without HTTPS there is no clipboard; the text is selected for the keyboard.
      field.current?.select();
      say(`${label} selected`);
    }
  };
  return (
    <span class="copy">
      <input ref={field} readOnly value={text} aria-label={label} onFocus={(event) => event.currentTarget.select()} />
      <button type="button" class="small" aria-label={`Copy ${label}`} onClick={() => void copy()}>
        {copied ? "Copied" : "Copy"}
      </button>
    </span>
  );
}

/** Whether a button is switched off: a text says why, and stays in reach so that everybody can find out. */
export type Off = boolean | string;

function Press(props: { label: string; look: string; off?: Off | undefined; busy?: boolean; press: () => void }) {
  const { off, busy } = props;
  const why = typeof off === "string" ? off : undefined;
  return (
    <button
      type="button"
      class={`small ${props.look}`}
      disabled={off === true}
      aria-disabled={why !== undefined || busy === true || undefined}
      aria-busy={busy}
      title={why}
      onClick={() => (why === undefined ? props.press() : say(why))}
    >
      {props.label}
    </button>
  );
}

/**
 * A button that does something at the API and says what became of it. It is pressed once at a time, and not switched off
 * meanwhile: what is switched off loses the focus.
 */
export function Act(props: {
  label: string;
  done: string;
  run: () => Promise<unknown>;
  then?: () => void;
  kind?: "primary" | "danger" | "plain";
  disabled?: Off;
}) {
  const action = useAction();
  const press = async () => {
    if (await action.run(props.run)) {
      say(props.done);
      props.then?.();
    }
  };
  return (
    <>
      <Press label={props.label} look={props.kind ?? "plain"} off={props.disabled} busy={action.busy} press={() => void press()} />
      {action.failure !== null && (
        <Dialog title={`${props.label}: not done`} close={action.clear}>
          <FailureNote failure={action.failure} />
        </Dialog>
      )}
    </>
  );
}

/** `Act` that asks first, for what cannot be taken back. */
export function Confirm(props: {
  label: string;
  question: string;
  consequence: string;
  done: string | (() => string);
  run: () => Promise<unknown>;
  then?: () => void;
  disabled?: Off;
}) {
  const [open, setOpen] = useState(false);
  const action = useAction();
  const press = async () => {
    if (await action.run(props.run)) {
      setOpen(false);
      say(typeof props.done === "string" ? props.done : props.done());
      props.then?.();
    }
  };
  return (
    <>
      <Press label={props.label} look="danger" off={props.disabled} press={() => setOpen(true)} />
      {open && (
        <Dialog title={props.question} close={() => setOpen(false)}>
          <p>{props.consequence}</p>
          {action.failure !== null && <FailureNote failure={action.failure} />}
          <div class="actions">
            <button type="button" class="danger" aria-disabled={action.busy || undefined} aria-busy={action.busy} onClick={() => void press()}>
              {props.label}
            </button>
            <button type="button" class="plain" onClick={() => setOpen(false)}>
              Keep
            </button>
          </div>
        </Dialog>
      )}
    </>
  );
}

let dialogs = 0;

/** A modal dialog: focus stays inside, Escape closes, focus goes back to where it was. */
export function Dialog({ title, close, children }: { title: string; close?: () => void; children: ComponentChildren }) {
  const element = useRef<HTMLDialogElement>(null);
  const [id] = useState(() => `dialog-${++dialogs}`);
  // Before the next key is pressed: what it reached would be taken for where one came from.
  useLayoutEffect(() => {
    const before = document.activeElement;
    const dialog = element.current;
    dialog?.showModal();
    return () => {
      // While it is open, nothing outside can take the focus.
      dialog?.close();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  return (
    <dialog
      ref={element}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        close?.();
      }}
    >
      <div class="heading-row">
        <h2 id={id}>{title}</h2>
        {close !== undefined && (
          <button type="button" class="small plain" aria-label="Close" onClick={close}>
            ✕
          </button>
        )}
      </div>
      {children}
    </dialog>
  );
}

/** A button and the dialog it opens; `children` get what closes it. */
export function Opener(props: {
  label: string;
  title?: string;
  kind?: "primary" | "plain";
  disabled?: Off;
  children: (close: () => void) => ComponentChildren;
}) {
  const [open, setOpen] = useState(false);
  return (
    <>
      <Press label={props.label} look={props.kind ?? "primary"} off={props.disabled} press={() => setOpen(true)} />
      {open && (
        <Dialog title={props.title ?? props.label} close={() => setOpen(false)}>
          {props.children(() => setOpen(false))}
        </Dialog>
      )}
    </>
  );
}
