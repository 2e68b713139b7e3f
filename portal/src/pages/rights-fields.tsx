/** Rights to look at and to choose, by kinds of things. */

import { Check, Complaints } from "../ui/form";
import { count, shared, toggled, type Capabilities } from "./rights";

/** `among`: what can be chosen. */
export function RightsFields(props: { among: Capabilities; chosen: Capabilities; change: (chosen: Capabilities) => void }) {
  const { among, chosen, change } = props;
  return (
    <>
      {Object.entries(among).map(([kind, verbs]) => (
        <fieldset class="choice inline right" key={kind}>
          <legend>{kind}</legend>
          {verbs.map((verb) => (
            <Check
              key={verb}
              label={verb}
              checked={chosen[kind]?.includes(verb) ?? false}
              change={(on) => change(toggled(chosen, kind, verb, on))}
            />
          ))}
          <Complaints name={`${kind}.*`} />
        </fieldset>
      ))}
    </>
  );
}

/** Many at once. */
export function RightsButtons(props: { among: Capabilities; chosen: Capabilities; change: (chosen: Capabilities) => void }) {
  const { among, chosen, change } = props;
  const reading = Object.fromEntries(Object.entries(among).map(([kind]): [string, string[]] => [kind, ["read"]]));
  const to = (next: Capabilities) => () => change(shared(among, next));
  return (
    <div class="actions">
      <button type="button" class="small plain" onClick={to(among)}>
        Tick all
      </button>
      <button type="button" class="small plain" onClick={to(reading)}>
        Tick reading only
      </button>
      <button type="button" class="small plain" onClick={to({})}>
        Tick none
      </button>
      <span class="meta" role="status">
        {count(shared(among, chosen))} of {count(among)}
      </span>
    </div>
  );
}

export function RightsList({ of }: { of: Capabilities }) {
  return (
    <ul class="plain-list meta">
      {Object.entries(of).map(([kind, verbs]) => (
        <li key={kind}>
          {kind}: {verbs.join(", ")}
        </li>
      ))}
    </ul>
  );
}
