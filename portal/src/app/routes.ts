/** Which page stands at which address, and where the navigation leads. */

import type { ComponentType } from "preact";
import { AssetsPage } from "../pages/assets";
import { AuditPage } from "../pages/audit";
import { ClipPage } from "../pages/clip";
import { EndpointsPage } from "../pages/endpoints";
import { FiltersPage } from "../pages/filters";
import { HomePage } from "../pages/home";
import { ImportPage } from "../pages/import";
import { InvitedPage } from "../pages/invited";
import { JobsPage } from "../pages/jobs";
import { KeyPoliciesPage } from "../pages/key-policies";
import { LivePage } from "../pages/live";
import { LocatorsPage } from "../pages/locators";
import { OrganizationPage } from "../pages/organization";
import { PeoplePage } from "../pages/people";
import { PlayPage, WatchPage } from "../pages/play";
import { ProfilePage } from "../pages/profile";
import { ProjectsPage } from "../pages/projects";
import { RolesPage } from "../pages/roles";
import { SigningKeysPage } from "../pages/signing-keys";
import { StoragePage } from "../pages/storage";
import { StreamingPoliciesPage } from "../pages/streaming-policies";
import { TeamsPage } from "../pages/teams";
import { TokensPage } from "../pages/tokens";
import { TransformsPage } from "../pages/transforms";
import { UploadPage } from "../pages/upload";
import { UploadRulesPage } from "../pages/upload-rules";
import { UsagePage } from "../pages/usage";
import { WebhooksPage } from "../pages/webhooks";

export interface PageProps {
  /** The page's own name first. */
  path: string[];
  query: URLSearchParams;
}

export const ROUTES: Record<string, ComponentType<PageProps>> = {
  "": HomePage,
  upload: UploadPage,
  assets: AssetsPage,
  jobs: JobsPage,
  transforms: TransformsPage,
  "upload-rules": UploadRulesPage,
  locators: LocatorsPage,
  endpoints: EndpointsPage,
  "streaming-policies": StreamingPoliciesPage,
  "key-policies": KeyPoliciesPage,
  filters: FiltersPage,
  live: LivePage,
  clip: ClipPage,
  projects: ProjectsPage,
  storage: StoragePage,
  import: ImportPage,
  webhooks: WebhooksPage,
  usage: UsagePage,
  audit: AuditPage,
  organization: OrganizationPage,
  profile: ProfilePage,
  people: PeoplePage,
  teams: TeamsPage,
  roles: RolesPage,
  tokens: TokensPage,
  "signing-keys": SigningKeysPage,
  invited: InvitedPage,
  watch: WatchPage,
  play: PlayPage,
};

/** What is shown without a token: the player, for whom a link to it was given, and the way in for somebody invited. */
export const PUBLIC: readonly string[] = ["play", "invited"];

/** What belongs to no project, and is shown to those who reach none. */
export const ANYWHERE: readonly string[] = ["projects", "audit", "profile", "organization", "people", "teams", "roles", "tokens", "signing-keys"];

/** `kind`: what one has to be allowed to read to see the way there; null for everybody. */
export const NAVIGATION: { title: string; pages: { to: string; label: string; kind: string | null }[] }[] = [
  {
    title: "Content",
    pages: [
      { to: "", label: "Overview", kind: null },
      { to: "upload", label: "Upload", kind: "Asset" },
      { to: "assets", label: "Assets", kind: "Asset" },
      { to: "jobs", label: "Jobs", kind: "Job" },
      { to: "transforms", label: "Transforms", kind: "Transform" },
      { to: "upload-rules", label: "Upload rules", kind: "UploadRule" },
    ],
  },
  { title: "Live", pages: [{ to: "live", label: "Live events", kind: "LiveEvent" }] },
  {
    title: "Delivery",
    pages: [
      { to: "locators", label: "Locators", kind: "StreamingLocator" },
      { to: "endpoints", label: "Streaming endpoints", kind: "StreamingEndpoint" },
      { to: "streaming-policies", label: "Streaming policies", kind: "StreamingPolicy" },
      { to: "key-policies", label: "Key policies", kind: "ContentKeyPolicy" },
      { to: "filters", label: "Filters", kind: "Filter" },
    ],
  },
  {
    title: "Project",
    pages: [
      { to: "projects", label: "Projects", kind: "Account" },
      { to: "storage", label: "Storage accounts", kind: "Storage" },
      { to: "import", label: "Import", kind: "Asset" },
      { to: "webhooks", label: "Webhooks", kind: "Webhook" },
      { to: "usage", label: "Usage", kind: "Account" },
      { to: "audit", label: "Audit log", kind: "AuditLog" },
    ],
  },
  {
    title: "Access",
    pages: [
      { to: "profile", label: "Profile", kind: null },
      { to: "organization", label: "Organization", kind: null },
      { to: "people", label: "People", kind: "User" },
      { to: "teams", label: "Teams", kind: "Team" },
      { to: "roles", label: "Roles", kind: null },
      { to: "tokens", label: "Tokens", kind: "OwnToken" },
      { to: "signing-keys", label: "Signing keys", kind: "SigningKey" },
    ],
  },
];
