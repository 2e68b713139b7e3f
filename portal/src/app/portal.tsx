/** The frame around every page: who and where one is, the ways to everything, the sign-in, and what has just happened. */

import { useEffect, useRef, useState } from "preact/hooks";
import { Brand } from "../ui/brand";
import { said, Dialog, Heading } from "../ui/parts";
import { Empty, FailureNote, Loading } from "../ui/states";
import { useLoad } from "../ui/load";
import { restore } from "../upload/flows";
import { uploads } from "../upload/uploads";
import { choose, expired, may, profile, project, projects, resume, signOut, token } from "./session";
import { href, place } from "./router";
import { ANYWHERE, NAVIGATION, PUBLIC, ROUTES } from "./routes";
import { Providers } from "./providers";
import { PublicGallery } from "./public-gallery";
import { SignIn } from "./signin";

export function Portal() {
  const { path, query } = place.value;
  const page = path[0] ?? "";
  const signedIn = token.value !== null;
  const main = useRef<HTMLElement>(null);
  const first = useRef(true);
  useEffect(() => {
    // After a change of page, and not when the portal opens, so that a screen reader begins at the new heading.
    if (!first.current) {
      window.scrollTo(0, 0);
      main.current?.querySelector<HTMLElement>("h1")?.focus({ preventScroll: true });
    }
    first.current = false;
  }, [path.join("/")]);
  const open = signedIn || PUBLIC.includes(page);
  return (
    <>
      <a
        class="skip"
        href="#content"
        onClick={(event) => {
          event.preventDefault();
          main.current?.focus();
        }}
      >
        Skip to content
      </a>
      <Top signedIn={signedIn} />
      <div class={signedIn ? "frame-of-pages" : "frame-of-pages alone"}>
        {signedIn && <Navigation page={page} />}
        <main id="content" ref={main} tabIndex={-1}>
          {!open ? (
            <>
              <SignInPage />
              <PublicGallery />
            </>
          ) : signedIn ? <Ready page={page} path={path} query={query} /> : <Page page={page} path={path} query={query} />}
        </main>
      </div>
      {expired.value && (
        <Dialog title="Sign in to go on">
          <p>The token is not accepted any more. The page below stays as it is, with what you typed.</p>
          <Providers over />
          <SignIn label="Go on" />
          <button type="button" class="small plain" onClick={signOut}>
            Sign out
          </button>
        </Dialog>
      )}
      <p class="toast" role="status" aria-live="polite" data-shown={said.value !== ""}>
        {said.value}
      </p>
    </>
  );
}

/** Pages wait until it is known which projects there are. */
function Ready({ page, path, query }: { page: string; path: string[]; query: URLSearchParams }) {
  const known = useLoad(async () => {
    await resume();
    void restore();
    return true;
    // Not again for another token of the same visit: the page below a renewed sign-in stays as it is.
  }, []);
  if (known.value === null) {
    return known.failure === null ? <Loading slow={known.slow} /> : <FailureNote failure={known.failure} retry={known.reload} />;
  }
  if (projects.value.length === 0 && !ANYWHERE.includes(page)) {
    return (
      <Empty title="No project">
        <p>Your token does not reach any project. An owner can add you to a team that does.</p>
        <p>
          Whether you are invited to one stands on <a href={href(["profile"])}>your profile</a>.
        </p>
      </Empty>
    );
  }
  return <Page key={project.value} page={page} path={path} query={query} />;
}

function Page({ page, path, query }: { page: string; path: string[]; query: URLSearchParams }) {
  const Shown = ROUTES[page];
  if (Shown === undefined) {
    return (
      <>
        <Heading title="Page not found" />
        <Empty title="The portal has no such page">
          <a class="button" href={href([])}>
            To the overview
          </a>
        </Empty>
      </>
    );
  }
  // A new page for each thing: nothing of the one before is left in it.
  return <Shown key={path.join("/")} path={path} query={query} />;
}

function SignInPage() {
  return (
    <section class="notice">
      <Heading title="Sign in" />
      <Providers over={false} />
      <p>With a token of this Headwater. Who runs it makes one with:</p>
      <pre>
        <code>headwater token</code>
      </pre>
      <SignIn label="Sign in" />
      <p>
        <a href={href(["invited"])}>You have an invitation?</a>
      </p>
    </section>
  );
}

function Top({ signedIn }: { signedIn: boolean }) {
  const name = profile.value?.spec.name ?? "";
  const sending = uploads.value.filter(({ state }) => state === "sending" || state === "waiting").length;
  const left = uploads.value.filter(({ state }) => state === "interrupted").length;
  return (
    <header class="bar">
      <Brand href={href([])} />
      {signedIn && (
        <div class="who">
          {left > 0 && (
            <a class="left" href={href(["upload"])}>
              {left === 1 ? "1 unfinished upload" : `${left} unfinished uploads`}
            </a>
          )}
          {sending > 0 && <a class="left" href={href(["upload"])}>{sending === 1 ? "1 upload" : `${sending} uploads`}</a>}
          {projects.value.length > 1 ? (
            <select aria-label="Project" value={project.value} onChange={(event) => choose(event.currentTarget.value)}>
              {projects.value.map(({ metadata, spec }) => (
                <option key={metadata.id} value={metadata.name}>
                  {spec.displayName || metadata.name}
                </option>
              ))}
            </select>
          ) : (
            <span class="meta project" title={project.value}>
              {project.value}
            </span>
          )}
          {name !== "" && (
            <a class="meta person" href={href(["profile"])}>
              {name}
            </a>
          )}
          <button type="button" class="small plain" onClick={signOut}>
            Sign out
          </button>
        </div>
      )}
    </header>
  );
}

function Navigation({ page }: { page: string }) {
  const [open, setOpen] = useState(false);
  useEffect(() => setOpen(false), [place.value]);
  return (
    <nav class="ways" aria-label="Portal">
      <button type="button" class="plain menu" aria-expanded={open} aria-controls="ways" onClick={() => setOpen(!open)}>
        Menu
      </button>
      <div id="ways" data-open={open}>
        {NAVIGATION.map(({ title, pages }) => {
          const shown = pages.filter(({ kind }) => kind === null || may(kind, "read"));
          if (shown.length === 0) return null;
          return (
            <section key={title}>
              <h2>{title}</h2>
              <ul>
                {shown.map(({ to, label }) => (
                  <li key={to}>
                    <a href={to === "" ? "#/" : href([to])} aria-current={page === to ? "page" : undefined}>
                      {label}
                    </a>
                  </li>
                ))}
              </ul>
            </section>
          );
        })}
        <section>
          <h2>Help</h2>
          <ul>
            <li>
              <a href="/api/docs">API reference</a>
            </li>
          </ul>
        </section>
      </div>
    </nav>
  );
}
