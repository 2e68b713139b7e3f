/** Posters and stills of assets, read from storage: in the list, and on an asset's page with a strip of the film. */

import { useEffect, useRef, useState } from "preact/hooks";
import { endpointOrigin } from "../api/streams";
import { ask, may, project } from "../app/session";
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

/** Where what is published is reached. Asked for once in a minute. */
const origins = new Map<string, { until: number; origin: Promise<string> }>();

function originOf(of: string): Promise<string> {
  const kept = origins.get(of);
  if (kept !== undefined && kept.until > Date.now()) return kept.origin;
  const origin = ask((to) => to.GET("/api/v1/projects/{project}/media/streamingEndpoints", { params: { path: { project: of } } })).then(
    ({ value }) => endpointOrigin(value).origin,
    () => location.origin,
  );
  origins.set(of, { until: Date.now() + 60_000, origin });
  return origin;
}

/** Locators of an asset that are looked through. */
const LOCATORS = 5;

/** For those who may not look into storage: what a locator lets everybody take as it is. */
async function readTakeable(of: string, asset: string, strip: boolean): Promise<Pictures> {
  const { streamingLocators } = await ask((to) =>
    to.POST("/api/v1/projects/{project}/media/assets/{asset}/listStreamingLocators", { params: { path: { project: of, asset } } }),
  );
  for (const { name: locator } of streamingLocators.slice(0, LOCATORS)) {
    const { downloadPaths } = await ask((to) =>
      to.POST("/api/v1/projects/{project}/media/streamingLocators/{locator}/listPaths", { params: { path: { project: of, locator } } }),
    );
    const paths = new Map(downloadPaths.map((path) => [decodeURIComponent(path.split("/").at(-1) ?? ""), path]));
    const { pictures, index } = picturesAmong([...paths.keys()]);
    if (pictures.length === 0 && index === null) continue;
    const origin = await originOf(of);
    const url = (name: string) => `${origin}${paths.get(name) ?? ""}`;
    return {
      pictures: pictures.map((name) => ({ name, url: url(name) })),
      strip: index === null || !strip ? [] : spread(await readIndex(url(index)), STRIP).map((tile) => ({ ...tile, url: url(tile.sheet) })),
    };
  }
  return NONE;
}

function read(of: string, asset: string, strip: boolean): Promise<Pictures> {
  return may("Asset", "reveal") ? readPictures(of, asset, strip) : readTakeable(of, asset, strip);
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

/** The poster's URL; null where there is none. Asked for once in a while, however often a list is read again. */
function posterOf(of: string, asset: string): Promise<string | null> {
  const key = `${of}/${asset}`;
  const kept = posters.get(key);
  if (kept !== undefined && kept.until > Date.now()) return kept.url;
  const url = inTurn(() => read(of, asset, false)).then(
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

/** Nothing for assets without pictures; for those who may not look into storage, those that are published for everybody to take. */
export function AssetPictures({ asset, turn }: { asset: string; turn: number }) {
  const found = useLoad(
    () => read(project.peek(), asset, true),
    [asset],
    () => null,
    turn,
  );
  // What a locator promises and nobody serves is no picture.
  const [broken, setBroken] = useState<string[]>([]);
  const { pictures: all, strip } = found.value ?? NONE;
  const pictures = all.filter(({ url }) => !broken.includes(url));
  if (pictures.length === 0 && strip.length === 0) return null;
  return (
    <Section title="Pictures">
      {pictures.length > 0 && (
        <ul class="pictures">
          {pictures.slice(0, 12).map(({ name, url }) => (
            <li key={name}>
              <img src={url} alt={name} decoding="async" onError={() => setBroken((before) => [...before, url])} />
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
