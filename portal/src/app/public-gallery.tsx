/** What an installation shows to everybody, beside the sign-in. Nothing where it shows nothing. */

import type { Schemas } from "../api/client";
import { Card } from "../pages/home";
import { Section } from "../ui/parts";
import { useLoad } from "../ui/load";
import { href } from "./router";

/** Those that play; none where the operator keeps the list to people who are signed in. */
async function readPublic(): Promise<Schemas["Published"][]> {
  const answer = await fetch("/api/v1/projects/default/media/published", { credentials: "omit" }).catch(() => null);
  if (answer === null || !answer.ok) return [];
  const { value } = (await answer.json()) as { value: Schemas["Published"][] };
  return value.filter(({ hlsUrl, dashUrl }) => (hlsUrl ?? dashUrl) !== null);
}

export function PublicGallery() {
  const videos = useLoad(readPublic, [], (value) => (value.length === 0 ? 3000 : 30_000));
  if (videos.value === null || videos.value.length === 0) return null;
  return (
    <Section title="Published videos">
      <ul class="grid">
        {videos.value.map((video) => (
          <li key={video.locatorId}>
            <Card video={video} to={href(["play"], { url: video.hlsUrl ?? video.dashUrl ?? "" })} />
          </li>
        ))}
      </ul>
    </Section>
  );
}
