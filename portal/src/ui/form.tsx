/** Forms: labelled fields, the API's complaint at the field it names, nothing lost. */

import { createContext, type ComponentChildren } from "preact";
import { useContext, useEffect, useId, useRef } from "preact/hooks";
import type { Failure } from "../api/failure";
import { useAction } from "./load";
import { names } from "./names";
import { say } from "./parts";
import { FailureNote } from "./states";

const Complaint = createContext<Failure | null>(null);

/** A field that somebody has to correct is in sight. */
function unfold(field: HTMLElement): void {
  for (let around = field.closest("details"); around !== null; around = around.parentElement?.closest("details") ?? null) around.open = true;
}

export function Form(props: {
  submit: () => Promise<unknown>;
  label: string;
  /** Said when it is done. */
  done: string;
  then?: () => void;
  children: ComponentChildren;
}) {
  const action = useAction();
  const form = useRef<HTMLFormElement>(null);
  useEffect(() => {
    if (action.failure === null) return;
    const field = form.current?.querySelector<HTMLElement>("[aria-invalid=true]");
    if (field != null) {
      unfold(field);
      field.focus();
    }
    else form.current?.querySelector(".failure")?.scrollIntoView({ block: "nearest" });
  }, [action.failure]);
  const onSubmit = async (event: Event) => {
    event.preventDefault();
    if (await action.run(props.submit)) {
      say(props.done);
      props.then?.();
    }
  };
  return (
    <Complaint.Provider value={action.failure}>
      <form
        ref={form}
        class="form"
        onSubmit={(event) => void onSubmit(event)}
        onInvalidCapture={(event) => event.target instanceof HTMLElement && unfold(event.target)}
      >
        {props.children}
        {action.failure !== null && <FailureNote failure={action.failure} />}
        {action.slow && (
          <p class="meta" role="status">
            This takes longer than usual. Still waiting for Headwater.
          </p>
        )}
        <div class="actions">
          <button type="submit" aria-disabled={action.busy || undefined} aria-busy={action.busy}>
            {props.label}
          </button>
        </div>
      </form>
    </Complaint.Provider>
  );
}

interface FieldProps {
  label: string;
  /** As the API names it, for its complaints. */
  name?: string;
  hint?: string;
  value: string;
  change: (value: string) => void;
}

function useField({ name, hint }: { name?: string | undefined; hint?: string | undefined }) {
  const id = useId();
  const failure = useContext(Complaint);
  const wrong = names(failure?.field ?? null, name);
  const described = [hint === undefined ? "" : `${id}-hint`, wrong ? `${id}-wrong` : ""].filter(Boolean).join(" ");
  return {
    id,
    attributes: { id, "aria-describedby": described || undefined, "aria-invalid": wrong ? ("true" as const) : undefined },
    below: (
      <>
        {hint !== undefined && (
          <small id={`${id}-hint`} class="meta">
            {hint}
          </small>
        )}
        {wrong && (
          <small id={`${id}-wrong`} class="wrong">
            {failure?.message}
          </small>
        )}
      </>
    ),
  };
}

export function Text(
  props: FieldProps & {
    type?: "text" | "url" | "email" | "number" | "date" | "datetime-local" | "password";
    required?: boolean;
    pattern?: string;
    placeholder?: string;
    list?: string[];
    min?: number;
    max?: number;
    step?: string;
  },
) {
  const { id, attributes, below } = useField(props);
  return (
    <div class="field">
      <label for={id}>{props.label}</label>
      <input
        {...attributes}
        type={props.type ?? "text"}
        value={props.value}
        required={props.required}
        pattern={props.pattern}
        placeholder={props.placeholder}
        min={props.min}
        max={props.max}
        step={props.step}
        autocomplete="off"
        spellcheck={false}
        list={props.list === undefined ? undefined : `${id}-list`}
        onInput={(event) => props.change(event.currentTarget.value)}
      />
      {props.list !== undefined && (
        <datalist id={`${id}-list`}>
          {props.list.map((item) => (
            <option key={item} value={item} />
          ))}
        </datalist>
      )}
      {below}
    </div>
  );
}

export function Area(props: FieldProps & { rows?: number; required?: boolean; code?: boolean }) {
  const { id, attributes, below } = useField(props);
  return (
    <div class="field">
      <label for={id}>{props.label}</label>
      <textarea
        {...attributes}
        class={props.code === true ? "code" : undefined}
        rows={props.rows ?? 4}
        required={props.required}
        spellcheck={false}
        value={props.value}
        onInput={(event) => props.change(event.currentTarget.value)}
      />
      {below}
    </div>
  );
}

/** A button that reads a file which somebody chooses. */
export function FileText({ label, accept, read }: { label: string; accept: string; read: (text: string) => void }) {
  const input = useRef<HTMLInputElement>(null);
  return (
    <div class="actions">
      <button type="button" class="small plain" onClick={() => input.current?.click()}>
        {label}
      </button>
      <input
        ref={input}
        type="file"
        accept={accept}
        hidden
        aria-label={label}
        onChange={(event) => {
          const [chosen] = event.currentTarget.files ?? [];
          // So that the same file can be chosen again.
          event.currentTarget.value = "";
          if (chosen !== undefined) void chosen.text().then(read);
        }}
      />
    </div>
  );
}

export function Select(props: FieldProps & { options: (string | [value: string, label: string])[]; required?: boolean }) {
  const { id, attributes, below } = useField(props);
  return (
    <div class="field">
      <label for={id}>{props.label}</label>
      <select {...attributes} value={props.value} required={props.required} onChange={(event) => props.change(event.currentTarget.value)}>
        {props.options.map((option) => {
          const [value, label] = typeof option === "string" ? [option, option] : option;
          return (
            <option key={value} value={value}>
              {label}
            </option>
          );
        })}
      </select>
      {below}
    </div>
  );
}

export function Check(props: { label: string; hint?: string; name?: string; checked: boolean; change: (checked: boolean) => void }) {
  const { attributes, below } = useField(props);
  return (
    <div class="field check">
      <label for={attributes.id}>
        <input
          {...attributes}
          type="checkbox"
          checked={props.checked}
          onChange={(event) => props.change(event.currentTarget.checked)}
        />
        <span>{props.label}</span>
      </label>
      {below}
    </div>
  );
}

/** A complaint about something that is no field of its own: a list that is empty, or too long. */
export function Complaints({ name }: { name: string }) {
  const failure = useContext(Complaint);
  return failure !== null && names(failure.field, name) ? <small class="wrong">{failure.message}</small> : null;
}

/** One of a few, all of them in sight with what they mean. */
export function Choice(props: {
  legend: string;
  value: string;
  change: (value: string) => void;
  options: { value: string; label: string; hint: string; safe?: boolean }[];
}) {
  const name = useId();
  return (
    <fieldset class="choice">
      <legend>{props.legend}</legend>
      {props.options.map(({ value, label, hint, safe }) => (
        <label key={value}>
          <input type="radio" name={name} value={value} checked={props.value === value} onChange={() => props.change(value)} />
          <span>
            <strong>{label}</strong>
            {safe === true && <span class="tag">Recommended</span>}
            <small class="meta">{hint}</small>
          </span>
        </label>
      ))}
    </fieldset>
  );
}

/** What names may be in the API: asset, job, locator. */
export const NAME_HINT = "Letters, digits, dashes and underscores. It cannot be changed later.";
