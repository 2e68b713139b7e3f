/** Posters and stills of assets, read from storage: in the list, and on an asset's page with a strip of the film. */

import { useEffect, useRef, useState } from "preact/hooks";
import { ask, may, project } from "../app/session";
import { webUrl } from "../dom";
import { clock } from "../format";
import { useLoad } from "../ui/load";
import { Section } from "../ui/parts";
import { blobUrl } from "../upload/plan";
import { picturesAmong, spread, tiles, type Tile } from "./picture-index";

interface Pictures {
  /** URLs that are good for an hour, the poster first. */
  pictures: { name: string; url: string }[];
  strip: (Tile & { url: string })[];
}

const NONE: Pictures = { pictures: [], strip: [] };
const LIFE_MS = 3600_000;
/** Tiles of a strip. */
const STRIP = 10;

async function readPictures(of: string, asset: string, strip: boolean): Promise<Pictures> {
  const path = { project: of, asset };
  const { spec } = await ask((to) => to.GET("/api/v1/projects/{project}/media/assets/{asset}/storage", { params: { path } }));
  const { pictures, index } = picturesAmong(spec.files.map(({ name }) => name));
  if (pictures.length === 0 && (index === null || !strip)) return NONE;
  const { assetContainerSasUrls } = await ask((to) =>
    to.POST("/api/v1/projects/{project}/media/assets/{asset}/listContainerSas", {
      params: { path },
      body: { permissions: "Read", expiryTime: new Date(Date.now() + LIFE_MS).toISOString() },
    }),
  );
  const container = assetContainerSasUrls[0];
  if (container === undefined) return NONE;
  const url = (name: string) => blobUrl(container, name);
  return {
    pictures: pictures.map((name) => ({ name, url: url(name) })),
    strip: index === null || !strip ? [] : spread(await readIndex(url(index)), STRIP).map((tile) => ({ ...tile, url: url(tile.sheet) })),
  };
}

/** No tiles where storage does not let pages read it: a strip is nothing that anybody needs. */
async function readIndex(url: string): Promise<Tile[]> {
  const answer = await fetch(url, { credentials: "omit" }).catch(() => null);
  return answer === null || !answer.ok ? [] : tiles(await answer.text());
}

const posters = new Map<string, { until: number; url: Promise<string | null> }>();

/** How many assets are looked into at the same time. */
const PARALLEL = 3;
let looking = 0;
const waiting: (() => void)[] = [];

async function inTurn<T>(what: () => Promise<T>): Promise<T> {
  if (looking >= PARALLEL) await new Promise<void>((go) => waiting.push(go));
  looking++;
  try {
    return await what();
  } finally {
    looking--;
    waiting.shift()?.();
  }
}

/** Posters of what is published, by asset: for those who may not look into storage. Read once in a minute. */
const published = new Map<string, { until: number; posters: Promise<Map<string, string>> }>();

function publishedPosters(of: string): Promise<Map<string, string>> {
  const kept = published.get(of);
  if (kept !== undefined && kept.until > Date.now()) return kept.posters;
  const posters = ask((to) => to.GET("/api/v1/projects/{project}/media/published", { params: { path: { project: of } } })).then(
    ({ value }) =>
      new Map(
        value.flatMap(({ assetName, posterUrl }) => {
          const url = posterUrl == null ? null : webUrl(posterUrl);
          return url === null ? [] : [[assetName, url] as const];
        }),
      ),
    () => new Map<string, string>(),
  );
  published.set(of, { until: Date.now() + 60_000, posters });
  return posters;
}

/** The poster's URL; null where there is none. Asked for once in a while, however often a list is read again. */
function posterOf(of: string, asset: string): Promise<string | null> {
  if (!may("Asset", "reveal")) return publishedPosters(of).then((found) => found.get(asset) ?? null);
  const key = `${of}/${asset}`;
  const kept = posters.get(key);
  if (kept !== undefined && kept.until > Date.now()) return kept.url;
  const url = inTurn(() => readPictures(of, asset, false)).then(
    ({ pictures }) => pictures[0]?.url ?? null,
    // A list without a picture is a list; what is wrong is said where the asset is opened.
    () => null,
  );
  // What has none yet may have one soon.
  posters.set(key, { until: Date.now() + 60_000, url });
  void url.then((found) => {
    if (found !== null) posters.set(key, { until: Date.now() + LIFE_MS - 300_000, url });
  });
  return url;
}

/** A small poster beside a name, looked for when it comes into sight. */
export function Poster({ asset }: { asset: string }) {
  const frame = useRef<HTMLSpanElement>(null);
  const [url, setUrl] = useState<string | null>(null);
  useEffect(() => {
    if (frame.current === null) return;
    let left = false;
    const eyes = new IntersectionObserver((seen) => {
      if (!seen.some(({ isIntersecting }) => isIntersecting)) return;
      eyes.disconnect();
      void posterOf(project.peek(), asset).then((found) => {
        if (!left) setUrl(found);
      });
    });
    eyes.observe(frame.current);
    return () => {
      left = true;
      eyes.disconnect();
    };
  }, [asset]);
  return (
    <span class="poster" ref={frame}>
      {url !== null && <img src={url} alt="" decoding="async" onError={() => setUrl(null)} />}
    </span>
  );
}

/** Nothing for assets without pictures, and for those who may not look into storage. */
export function AssetPictures({ asset, turn }: { asset: string; turn: number }) {
  const found = useLoad(
    () => (may("Asset", "reveal") ? readPictures(project.peek(), asset, true) : Promise.resolve(NONE)),
    [asset],
    () => null,
    turn,
  );
  const { pictures, strip } = found.value ?? NONE;
  if (pictures.length === 0 && strip.length === 0) return null;
  return (
    <Section title="Pictures">
      {pictures.length > 0 && (
        <ul class="pictures">
          {pictures.slice(0, 12).map(({ name, url }) => (
            <li key={name}>
              <img src={url} alt={name} decoding="async" />
            </li>
          ))}
        </ul>
      )}
      {strip.length > 0 && (
        <ol class="strip" aria-label="The film in pictures">
          {strip.map(({ at, url, x, y, width, height }) => (
            <li key={at}>
              <svg role="img" aria-label={`Picture at ${clock(at)}`} viewBox={`${x} ${y} ${width} ${height}`}>
                <image href={url} />
              </svg>
              <span class="meta" aria-hidden="true">
                {clock(at)}
              </span>
            </li>
          ))}
        </ol>
      )}
    </Section>
  );
}
