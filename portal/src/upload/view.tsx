/** Where files are dropped, and how far they are. */

import { useRef, useState } from "preact/hooks";
import { href } from "../app/router";
import { bytes, leftTime } from "../format";
import { FailureNote } from "../ui/states";
import { pauseUpload, rejoin, removeUpload, resumeUpload, uploads, type Upload } from "./uploads";

export function Drop({ label, take }: { label: string; take: (files: File[]) => void }) {
  const [over, setOver] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  return (
    <div
      class="drop"
      data-over={over}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        event.preventDefault();
        setOver(false);
        const files = [...(event.dataTransfer?.files ?? [])];
        if (files.length > 0) take(files);
      }}
    >
      <p>
        <strong>Drop files here</strong> or
      </p>
      <button type="button" onClick={() => input.current?.click()}>
        {label}
      </button>
      <input
        ref={input}
        type="file"
        multiple
        hidden
        aria-label={label}
        onChange={(event) => {
          const files = [...(event.currentTarget.files ?? [])];
          event.currentTarget.value = "";
          if (files.length > 0) take(files);
        }}
      />
      <p class="meta">They go straight to storage, in blocks. An upload that breaks off goes on where it was when you choose the same file again.</p>
    </div>
  );
}

export function Uploads({ of: wanted }: { of: (upload: Upload) => boolean }) {
  const mine = uploads.value.filter(wanted);
  if (mine.length === 0) return null;
  return (
    <ul class="uploads" aria-label="Uploads">
      {mine.map((upload) => (
        <Row key={upload.id} upload={upload} />
      ))}
    </ul>
  );
}

const WORDS: Record<Upload["state"], string> = {
  waiting: "Waits for its turn",
  sending: "Uploading",
  paused: "Paused",
  failed: "Broke off",
  done: "Uploaded",
  interrupted: "Broke off when its tab was closed",
};

/** Browsers give a file to the page that it was chosen on, and to no later one. */
function Again({ id, name }: { id: number; name: string }) {
  const input = useRef<HTMLInputElement>(null);
  return (
    <>
      <button type="button" class="small" onClick={() => input.current?.click()}>
        Choose the file again<span class="visually-hidden">: {name}</span>
      </button>
      <input
        ref={input}
        type="file"
        hidden
        aria-label={`Choose ${name} again`}
        onChange={(event) => {
          const [file] = event.currentTarget.files ?? [];
          event.currentTarget.value = "";
          if (file !== undefined) rejoin(id, file);
        }}
      />
      <span class="meta">It goes on where it was.</span>
    </>
  );
}

function Row({ upload }: { upload: Upload }) {
  const { id, mark: file, state, sentBytes, keptBytes, failure, began, asset } = upload;
  const going = state === "sending" || state === "waiting";
  const elapsed = began === null ? 0 : (Date.now() - began.at) / 1000;
  const speed = began === null || elapsed < 1 ? 0 : (sentBytes - began.bytes) / elapsed;
  return (
    <li data-state={state}>
      <div class="heading-row">
        <strong>{file.name}</strong>
        <span class="meta">
          {WORDS[state]} · {state === "interrupted" ? bytes(file.size) : `${bytes(sentBytes)} of ${bytes(file.size)}`}
          {state === "sending" && speed > 0 && ` · ${bytes(speed)}/s · ${leftTime((file.size - sentBytes) / speed)}`}
          {keptBytes > 0 && state !== "done" && ` · ${bytes(keptBytes)} were there already`}
        </span>
      </div>
      <progress max={Math.max(1, file.size)} value={file.size === 0 && state === "done" ? 1 : sentBytes} aria-label={`Upload of ${file.name}`} />
      {failure !== null && <FailureNote failure={failure} />}
      <div class="actions">
        {(going || state === "paused" || state === "failed") && (
          // One button, so that the keyboard stays on it.
          <button type="button" class={going ? "small plain" : "small"} onClick={() => (going ? pauseUpload(id) : resumeUpload(id))}>
            {going ? "Pause" : "Go on"}
          </button>
        )}
        {state === "interrupted" && <Again id={id} name={file.name} />}
        {state === "done" && (
          <a class="button small plain" href={href(["assets", asset])}>
            Open asset
          </a>
        )}
        <button type="button" class="small plain" onClick={() => removeUpload(id)}>
          {state === "done" ? "Hide" : "Cancel"}
        </button>
      </div>
    </li>
  );
}
