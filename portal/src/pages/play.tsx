/** The player: for a locator of this project (`#/watch/{id or name}`), or for any manifest (`#/play?url=`) without a token. */

import { useState } from "preact/hooks";
import { readLocations } from "../api/streams";
import { go, href } from "../app/router";
import type { PageProps } from "../app/routes";
import { ask, here, token } from "../app/session";
import { webUrl } from "../dom";
import { protocolOf } from "../player/players";
import { Screen } from "../player/screen";
import { quoted } from "../ui/list";
import { Form, Text } from "../ui/form";
import { Copy, Heading, Section } from "../ui/parts";
import { useLoad } from "../ui/load";
import { Await, Empty } from "../ui/states";
import { Failure } from "../api/failure";

const UUID = /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/i;

async function readWatch(wanted: string) {
  const byId = UUID.test(wanted);
  const found = byId
    ? (
        await ask((to) =>
          to.GET("/api/v1/projects/{project}/media/streamingLocators", {
            params: { path: here({}), query: { $filter: `properties/streamingLocatorId eq ${quoted(wanted)}` } },
          }),
        )
      ).value[0]
    : await ask((to) =>
        to.GET("/api/v1/projects/{project}/media/streamingLocators/{locator}", { params: { path: here({ locator: wanted }) } }),
      );
  if (found === undefined) throw new Failure("missing", "This video is not published, or no longer.");
  const [locations, published] = await Promise.all([
    readLocations(found.name),
    ask((to) => to.GET("/api/v1/projects/{project}/media/published", { params: { path: here({}) } })).catch(() => null),
  ]);
  const poster = published?.value.find(({ locatorId }) => locatorId === found.properties.streamingLocatorId)?.posterUrl;
  return { locator: found, ...locations, poster: poster == null ? undefined : (webUrl(poster) ?? undefined) };
}

export function WatchPage({ path }: PageProps) {
  const wanted = path[1] ?? "";
  const found = useLoad(
    () => readWatch(wanted),
    [wanted],
    // What has nothing to play yet is asked for again: a live event that starts, an index that is being made.
    ({ streams }) => (streams.length === 0 ? 3000 : null),
  );
  const title = found.value?.locator.properties.assetName ?? wanted;
  return (
    <>
      <Heading title={title} back={[href([]), "Overview"]}>
        {found.value !== null && (
          <>
            <a class="button small plain" href={href(["assets", found.value.locator.properties.assetName])}>
              Asset
            </a>
            <a class="button small plain" href={href(["locators", found.value.locator.name])}>
              Locator
            </a>
          </>
        )}
      </Heading>
      <Await of={found}>
        {({ streams, addresses, served, poster, locator }) => (
          <>
            {!served && (
              <div class="failure">
                <strong>No streaming endpoint is running</strong>
                <p>
                  Nothing plays until <a href={href(["endpoints"])}>one is started</a>.
                </p>
              </div>
            )}
            {streams.length === 0 ? (
              <Empty title="There is nothing to play yet">
                <p>The asset of this locator has no media, or its encryption needs a key system that is not set up. This page looks again by itself.</p>
              </Empty>
            ) : (
              <Screen streams={streams} poster={poster} label={locator.properties.assetName} />
            )}
            {addresses.length > 0 && (
              <Section title="Addresses">
                <ul class="addresses">
                  {addresses.map(({ label, url }) => (
                    <li key={url}>
                      <span class="meta">{label}</span>
                      <Copy text={url} label={label} />
                    </li>
                  ))}
                  {streams[0] !== undefined && (
                    <li>
                      <span class="meta">This player, for others</span>
                      <Copy text={shareUrl(streams[0].url)} label="player link" />
                    </li>
                  )}
                </ul>
              </Section>
            )}
          </>
        )}
      </Await>
    </>
  );
}

/** A link to the player that needs no token. */
export function shareUrl(manifest: string): string {
  return `${location.origin}/${href(["play"], { url: manifest })}`;
}

export function PlayPage({ query }: PageProps) {
  const url = query.get("url") ?? "";
  const manifest = url === "" ? null : webUrl(url);
  const protocol = manifest === null ? null : (protocolOf(manifest) ?? "HLS");
  const [typed, setTyped] = useState(url);
  return (
    <>
      <Heading title="Player" />
      {manifest !== null && protocol !== null ? (
        <Screen
          key={manifest}
          streams={[{ url: manifest, protocol, label: protocol, licences: {}, encrypted: /encryption=/.test(manifest) }]}
          label="Video"
        />
      ) : (
        url !== "" && <Empty title="That is not the address of a stream" />
      )}
      <Section title="Play an address">
        <Form
          label="Play"
          done="Playing"
          submit={async () => {
            if (webUrl(typed) === null) throw new Failure("invalid", "An address begins with http:// or https://.", "url");
            go(["play"], { url: typed });
          }}
        >
          <Text label="Manifest" name="url" type="url" required value={typed} change={setTyped} hint="HLS (.m3u8) or DASH (.mpd)" />
        </Form>
        {token.value === null && (
          <p class="meta">
            <a href={href([])}>Sign in</a> to see what this Headwater publishes.
          </p>
        )}
      </Section>
    </>
  );
}
