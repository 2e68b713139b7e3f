//! What every operation is for, what it takes and what it answers: one arm for each.
//!
//! Paths, methods, permissions and status codes are not said here: they come from the route table.

use super::description::{Description, Listing, on};
use super::shapes::{
    assets, filters, imports, jobs, key_policies, live, organization, people, policies, publishing,
    storage, tokens, tracks, upload_rules, usage, webhooks,
};
use crate::resources::team_spec::MOST_OPERATIONS;
use crate::routes::Operation as Op;

/// What the document groups operations by, with a line on each group.
pub(super) const TAGS: [(&str, &str); 16] = [
    (
        "Assets",
        "Containers and folders with a name: what jobs read and write, and locators publish.",
    ),
    ("Tracks", "What players can choose between."),
    ("Filters", "Parts of presentations."),
    ("Content key policies", "Who gets keys."),
    ("Transforms", "Recipes for jobs."),
    ("Jobs", "Encoding."),
    ("Streaming policies", "What locators give out."),
    (
        "Streaming locators",
        "Doors through which assets are played.",
    ),
    (
        "Streaming endpoints",
        "The origin, as something to start and stop.",
    ),
    ("Live", "What encoders send to, and what is made of it."),
    (
        "Upload rules",
        "What happens to files that only get dropped.",
    ),
    ("Webhooks", "Who is told what happens."),
    ("Storage", "Where files are."),
    ("Organization", "Projects, and what they use."),
    (
        "People",
        "Users, their teams and roles, and programs with tokens.",
    ),
    ("Service", "Readiness, keys, sign-in, and this document."),
];

const NAME_AND_DATES: &[&str] = &["name", "properties/created", "properties/lastModified"];

/// The description of an operation; `None` for those that are not on our own surface.
pub(super) fn describe(operation: Op) -> Option<Description> {
    Some(match operation {
        Op::Ready => on("Service", "Says whether the service can answer").answers("Readiness"),
        Op::OpenApi => on("Service", "Gives this document").answers("OpenApiDocument"),
        Op::Jwks => on("Service", "Gives the keys that tokens are signed with").answers("JsonWebKeySet"),
        Op::Revoked => on("Service", "Lists the tokens that are not to be believed any more").answers("RevokedTokens"),
        Op::OpenIdConfiguration => {
            on("Service", "Says where tokens are issued").answers("OpenIdConfiguration")
        }
        Op::IssueToken => {
            let mut description = on("Service", "Issues a token to a client with a secret")
                .takes("TokenRequest", [])
                .answers("IssuedToken");
            if let Some(body) = &mut description.body {
                body.media_type = "application/x-www-form-urlencoded";
            }
            description
        }
        Op::SignInProviders => on("Service", "Lists the authorities at which people can sign in")
            .about("For programs in a browser: the authorization code flow with PKCE, without a secret. The token that comes of it is for this API.")
            .answers("SignInProviderList"),

        Op::ProjectList => on("Organization", "Lists the projects that the token reaches").answers("ProjectList"),
        Op::ProjectGet => on("Organization", "Gives a project").answers("Project"),
        Op::ProjectPut => on("Organization", "Creates or renames a project")
            .about("A new project has no storage accounts yet.")
            .puts_as("ProjectWrite", "Project", [("films", organization::project_example())]),
        Op::ProjectUpdate => on("Organization", "Renames a project")
            .puts_as("ProjectWrite", "Project", [("films", organization::project_example())]),
        Op::ProjectPaymentMethodGet => on("Organization", "Finds no payment method of a project"),
        Op::ProjectPaymentMethodSet => on("Organization", "Refuses a payment method: nothing is paid for here"),
        Op::MetricsEndpointGet => on("Organization", "Says where metrics are").answers("MetricsEndpoint"),
        Op::MetricsEndpointUpdate => {
            on("Organization", "Refuses a change: metrics are where the installation was started with")
        }
        Op::UsageGet => on("Organization", "Says what a project used this month").answers("UsageList"),
        Op::UsageReport => on("Organization", "Reports what projects used")
            .puts_as("UsageReportRequest", "UsageReport", [("january", usage::example())])
            .or_text("text/csv"),

        Op::UserList => on("People", "Lists users").answers("UserList"),
        Op::UserGet => on("People", "Gives a user").answers("User"),
        Op::UserDelete => on("People", "Removes a user, with their tokens"),
        Op::ProfileUpdate => on("People", "Changes the caller's profile")
            .puts_as("ProfileUpdate", "User", [("ada", people::profile_example())]),
        Op::InviteList => on("People", "Lists invites").answers("InviteList"),
        Op::InviteCreate => on("People", "Invites somebody")
            .about("The answer is the only time that the secret is shown. Nothing sends mail: hand it on.")
            .puts_as("InviteWrite", "Invite", [("grace", people::invite_example())]),
        Op::InviteGet => on("People", "Gives an invite").answers("Invite"),
        Op::InviteDelete => on("People", "Takes an invite back"),
        Op::InviteAccept => on("People", "Makes whoever knows an invite's secret a user")
            .about("The answer holds a token to begin with.")
            .puts_as("InviteAnswer", "Token", [("grace", people::accept_example())]),
        Op::TeamList => on("People", "Lists teams").answers("TeamList"),
        Op::TeamGet => on("People", "Gives a team").answers("Team"),
        Op::TeamPut => on("People", "Creates or replaces a team")
            .about("Nobody gives a right that they do not have. A team's own administrators change its members only.")
            .puts_as("TeamWrite", "Team", [("editors", people::team_example())]),
        Op::TeamUpdate => on("People", "Changes a team by a JSON Patch of what is shown")
            .takes_list_of("PatchOperation", MOST_OPERATIONS, [("description", people::team_update_example())])
            .answers("Team"),
        Op::TeamDelete => on("People", "Deletes a team"),
        Op::RolePut => on("People", "Creates or replaces a role")
            .puts_as("RoleWrite", "Role", [("uploads", people::role_example())]),
        Op::RoleDelete => on("People", "Deletes a role"),
        Op::ClientList => on("People", "Lists API clients").answers("ClientList"),
        Op::ClientGet => on("People", "Gives an API client").answers("Client"),
        Op::ClientPut => on("People", "Creates or changes an API client")
            .about("The secret of a new one is shown once, in the answer.")
            .puts_as("ClientWrite", "Client", [("ingest", people::client_example())]),
        Op::ClientRotateSecret => on("People", "Gives an API client another secret")
            .about("The old one is refused from then on.")
            .answers("Client"),
        Op::ClientDelete => on("People", "Deletes an API client, with its tokens"),
        Op::SigningKeyList => on("People", "Lists the keys that tokens were signed with").answers("SigningKeyList"),
        Op::SigningKeyRotate => on("People", "Makes another key to sign with")
            .about("Tokens that the last one signed stay good.")
            .answers("SigningKey"),
        Op::SigningKeyRevoke => on("People", "Refuses a key and all its tokens").answers("SigningKey"),
        Op::OrganizationAccept => on("People", "Takes up an invite of the caller's")
            .about("By the invite's id, or with the organization's id all of them.")
            .answers("Organization"),
        Op::OrganizationLeave => on("People", "Declines an invite of the caller's")
            .about("By the invite's id. With the organization's id, the caller is a user no more."),
        Op::ProfileGet => on("People", "Says who the token belongs to").answers("Profile"),
        Op::RbacGet => on("People", "Says what the token may do").answers("Rights"),
        Op::OrganizationGet => on("Organization", "Gives the organization").answers("Organization"),
        Op::OrganizationUpdate => on("Organization", "Changes what was sent of the organization")
            .puts_as("OrganizationWrite", "Organization", [("studio", organization::example())]),
        Op::OrganizationCreate => on("Organization", "Refuses another organization: an installation has one"),
        Op::OrganizationsOfUser => {
            on("Organization", "Lists the caller's organizations").answers("OrganizationList")
        }
        Op::OrganizationOfUser => {
            on("Organization", "Gives one of the caller's organizations").answers("Organization")
        }
        Op::PaymentMethodList => {
            on("Organization", "Lists no payment methods").answers("PaymentMethodList")
        }
        Op::PaymentMethodGet => on("Organization", "Finds no payment method"),
        Op::PaymentMethodUpdate => on("Organization", "Finds no payment method to change"),
        Op::PaymentMethodAcceptTerms => on("Organization", "Finds no payment method whose terms could be accepted"),
        Op::RoleList => on("People", "Lists the roles").answers("RoleList"),
        Op::RoleGet => on("People", "Gives a role").answers("Role"),
        Op::ScopeList => on("People", "Lists what roles can be given over").answers("ScopeList"),
        Op::ScopeGet => on("People", "Gives a scope").answers("Scope"),
        Op::OwnTokenList => on("People", "Lists the caller's tokens").answers("TokenList"),
        Op::OwnTokenCreate => on("People", "Makes a token")
            .about("The answer is the only time that the token itself is shown.")
            .takes("TokenWrite", [("restricted", tokens::restricted_example()), ("viewer", tokens::example())])
            .answers("Token"),
        Op::OwnTokenGet => on("People", "Gives one of the caller's tokens").answers("Token"),
        Op::OwnTokenRevoke => on("People", "Revokes one of the caller's tokens"),
        Op::OwnTokenRevokeAll => on("People", "Revokes all of the caller's tokens"),
        Op::TokenListAll => on("People", "Lists everybody's tokens").answers("TokenList"),
        Op::TokenGet => on("People", "Gives anybody's token").answers("Token"),
        Op::TokenRevoke => on("People", "Revokes a token"),
        Op::StatsGet => on("Organization", "Counts the resources of a project").answers("Stats"),
        Op::LocationList => on("Organization", "Lists locations").answers("LocationList"),
        Op::LocationGet => on("Organization", "Gives a location").answers("Location"),

        Op::StorageList => on("Storage", "Lists storage accounts")
            .lists("Storage", STORAGE_LISTING)
            .answers("StorageList"),
        Op::StorageGet => on("Storage", "Gives a storage account").answers("Storage"),

        Op::StoragePut => on("Storage", "Adds a storage account, or changes its credential")
            .about("A credential is tried out before anything is written.")
            .puts_as("StorageWrite", "Storage", [("films", storage::example())]),
        Op::StorageUpdate => on("Storage", "Changes a storage account's description")
            .puts_as("StorageUpdate", "Storage", [("films", storage::update_example())]),
        Op::StorageDelete => on("Storage", "Takes a storage account off").about("What lies in it stays."),
        Op::CredentialList => {
            on("Storage", "Lists a storage account's credentials, without secrets").answers("StorageCredentialList")
        }
        Op::CredentialCreate => on("Storage", "Adds a credential")
            .about("The one that lasts longest is used.")
            .puts_as("StorageCredentialWrite", "StorageCredential", [("key", storage::credential_example())]),
        Op::CredentialGet => on("Storage", "Gives a credential, without its secret").answers("StorageCredential"),
        Op::CredentialDelete => on("Storage", "Deletes a credential"),

        Op::AssetList => on("Assets", "Lists assets").lists(
            "Asset",
            Listing::FieldsAndLabels(&[
                "name",
                "properties/created",
                "properties/lastModified",
                "properties/alternateId",
                "properties/assetId",
                "properties/storageAccountName",
                "properties/container",
                "properties/description",
            ]),
        ),
        Op::AssetGet => on("Assets", "Gives an asset").answers("Asset"),
        Op::AssetPut => on("Assets", "Creates or replaces an asset")
            .about("Creating one moves no files. Where the files are cannot be changed afterwards.")
            .puts("Asset", [("folder", assets::example())]),
        Op::AssetUpdate => on("Assets", "Changes an asset").puts("Asset", [("folder", assets::example())]),
        Op::AssetDelete => on("Assets", "Deletes an asset")
            .about("With its files, if its `containerDeletionPolicy` says so."),
        Op::AssetState => on("Assets", "Gives an asset's state").answers("State"),
        Op::AssetContainerSas => on("Assets", "Signs a URL of an asset's container")
            .takes("ContainerSasRequest", [("upload", assets::sas_example())])
            .answers("ContainerSas"),
        Op::AssetLocators => on("Assets", "Lists an asset's streaming locators").answers("AssetLocatorList"),
        Op::AssetStorage => {
            on("Assets", "Lists an asset's files").answers("AssetStorage").looks_into_storage()
        }

        Op::AssetStreaming => on("Assets", "Says what of an asset plays, and why the rest does not")
            .about(
                "Track by track and protocol by protocol, as the origin judges it. Looks into files that nobody has played yet, \
                 which may take as long as the first player's request would.",
            )
            .answers("AssetStreaming")
            .looks_into_storage(),
        Op::Import => on("Assets", "Takes over what was exported from Azure Media Services")
            .about(
                "Containers become assets where they lie, locators keep their ids, and content keys their values. Unless `dryRun` is \
                 `false` nothing is made; either way the answer has a line for each resource. Members of resources are read \
                 as `az ams` and the SDKs write them.",
            )
            .takes("ImportDocument", [("film", imports::example())])
            .answers("ImportReport"),

        Op::FileAccessInfo => on("Assets", "Says how an asset's files are read").answers("FileAccess"),
        Op::FileRead => on("Assets", "Leads to a file of an asset")
            .about("With a token from `getFileAccessInfo`. Slashes in the file's name may stand as they are.")
            .looks_into_storage(),

        Op::FileDownload => on("Assets", "Leads to a file of an asset that the body names")
            .about("With a token from `getFileAccessInfo`; for clients that put `downloadBlob` behind the address.")
            .takes("FileDownload", [("film", assets::download_example())])
            .looks_into_storage(),

        Op::TrackList => on("Tracks", "Lists an asset's tracks")
            .answers("AssetTrackPage")
            .looks_into_storage(),
        Op::TrackGet => on("Tracks", "Gives a track").answers("AssetTrack").looks_into_storage(),
        Op::TrackPut => on("Tracks", "Adds a file of the asset as a track, or changes one that was added").puts(
            "AssetTrack",
            [("sound", tracks::audio_example()), ("subtitles", tracks::text_example())],
        ),
        Op::TrackUpdate => on("Tracks", "Changes a track that was added")
            .takes("AssetTrackUpdate", [("subtitles", tracks::update_example())]),
        Op::TrackDelete => on("Tracks", "Takes a track that was added away").about("Its file stays."),
        Op::TrackUpdateData => on("Tracks", "Looks at a track's file again"),
        Op::TrackOperationStatus => {
            on("Tracks", "Says what became of a change").answers("TrackOperationStatus")
        }
        Op::TrackOperationResult => on("Tracks", "Gives the track that a change made").answers("AssetTrack"),

        Op::FilterList => {
            on("Filters", "Lists filters").lists("Filter", Listing::Fields(&["name", "properties/created"]))
        }
        Op::FilterGet => on("Filters", "Gives a filter").answers("Filter"),
        Op::FilterPut => on("Filters", "Creates or replaces a filter").puts("Filter", [("low", filters::example())]),
        Op::FilterUpdate => on("Filters", "Changes a filter").puts("Filter", [("low", filters::example())]),
        Op::FilterDelete => on("Filters", "Deletes a filter"),

        Op::KeyPolicyList => on("Content key policies", "Lists content key policies").lists(
            "ContentKeyPolicy",
            Listing::Fields(&[
                "name",
                "properties/created",
                "properties/lastModified",
                "properties/description",
                "properties/policyId",
            ]),
        ),
        Op::KeyPolicyGet => {
            on("Content key policies", "Gives a content key policy, without its secrets").answers("ContentKeyPolicy")
        }
        Op::KeyPolicyPut => on("Content key policies", "Creates or replaces a content key policy").puts(
            "ContentKeyPolicy",
            [("open", key_policies::open_example()), ("token", key_policies::token_example())],
        ),
        Op::KeyPolicyUpdate => on("Content key policies", "Changes a content key policy")
            .takes("ContentKeyPolicyUpdate", [("open", key_policies::open_example())])
            .answers("ContentKeyPolicy"),
        Op::KeyPolicyDelete => on("Content key policies", "Deletes a content key policy"),
        Op::KeyPolicyState => on("Content key policies", "Gives a content key policy's state").answers("State"),
        Op::KeyPolicySecrets => {
            on("Content key policies", "Gives a content key policy with its secrets").answers("ContentKeyPolicy")
        }

        Op::TransformList => {
            on("Transforms", "Lists transforms").lists("Transform", Listing::Fields(NAME_AND_DATES))
        }
        Op::TransformGet => on("Transforms", "Gives a transform").answers("Transform"),
        Op::TransformPut => on("Transforms", "Creates or replaces a transform")
            .about("Jobs that exist keep the presets they were made with.")
            .puts("Transform", [("adaptive", jobs::transform_example())]),
        Op::TransformUpdate => on("Transforms", "Changes a transform")
            .takes("TransformUpdate", [("adaptive", jobs::transform_example())])
            .answers("Transform"),
        Op::TransformDelete => on("Transforms", "Deletes a transform and its jobs"),

        Op::JobListAll => on("Jobs", "Lists the jobs of all transforms").lists("Job", JOB_LISTING),
        Op::JobList => on("Jobs", "Lists a transform's jobs").lists("Job", JOB_LISTING),
        Op::JobGet => on("Jobs", "Gives a job").answers("Job"),
        Op::JobPut => on("Jobs", "Starts a job")
            .about("The same request again is a success; another one under the same name is a conflict.")
            .puts("Job", [("encode", jobs::job_example())]),
        Op::JobUpdate => on("Jobs", "Changes a job's description or priority")
            .takes("JobUpdate", [("sooner", jobs::job_update_example())])
            .answers("Job"),
        Op::JobDelete => on("Jobs", "Deletes a job").about("What it made stays."),
        Op::JobState => on("Jobs", "Gives a job's state").answers("State"),
        Op::JobCancel => on("Jobs", "Cancels a job"),

        Op::PolicyList => on("Streaming policies", "Lists streaming policies")
            .lists("StreamingPolicy", Listing::Fields(&["name", "properties/created"])),
        Op::PolicyGet => on("Streaming policies", "Gives a streaming policy").answers("StreamingPolicy"),
        Op::PolicyPut => on("Streaming policies", "Creates a streaming policy")
            .about("The same request again is a success; another one under the same name is a conflict.")
            .puts(
                "StreamingPolicy",
                [
                    ("clear", policies::clear_example()),
                    ("encrypted", policies::encrypted_example()),
                    ("rotating", policies::rotating_example()),
                ],
            ),
        Op::PolicyDelete => on("Streaming policies", "Deletes a streaming policy"),

        Op::LocatorList => on("Streaming locators", "Lists streaming locators").lists(
            "StreamingLocator",
            Listing::Fields(&[
                "name",
                "properties/created",
                "properties/endTime",
                "properties/assetName",
                "properties/streamingPolicyName",
                "properties/streamingLocatorId",
            ]),
        ),
        Op::LocatorGet => on("Streaming locators", "Gives a streaming locator").answers("StreamingLocator"),
        Op::LocatorPut => on("Streaming locators", "Publishes an asset, or replaces how it is published")
            .about("Asset and locator id cannot be changed.")
            .puts("StreamingLocator", [("clear", publishing::locator_example())]),
        Op::LocatorDelete => on("Streaming locators", "Deletes a streaming locator"),
        Op::LocatorState => on("Streaming locators", "Gives a streaming locator's state").answers("State"),
        Op::LocatorPaths => {
            on("Streaming locators", "Lists the paths that a locator opens").answers("StreamingPaths")
        }
        Op::LocatorContentKeys => {
            on("Streaming locators", "Lists a locator's content keys")
                .about("With `Accept: application/xml` as a CPIX 2.3 document.")
                .answers("ContentKeys")
                .or_text("application/xml")
        }
        Op::PublishedList => on("Streaming locators", "Lists what can be watched")
            .about(
                "One item per locator that may be played now in the clear, newest first unless `$orderby` says otherwise, at \
                 most 50 a page.",
            )
            .lists("Published", Listing::Fields(&["created", "name", "assetName", "locatorId"])),

        Op::EndpointList => on("Streaming endpoints", "Lists streaming endpoints").lists(
            "StreamingEndpoint",
            Listing::Fields(&[
                "name",
                "properties/created",
                "properties/lastModified",
                "properties/resourceState",
            ]),
        ),
        Op::EndpointGet => on("Streaming endpoints", "Gives a streaming endpoint").answers("StreamingEndpoint"),
        Op::EndpointPut => on("Streaming endpoints", "Creates or replaces a streaming endpoint")
            .puts("StreamingEndpoint", [("web", publishing::endpoint_example())])
            .may_start("Whether a new endpoint is running at once."),
        Op::EndpointUpdate => on("Streaming endpoints", "Changes a streaming endpoint")
            .puts("StreamingEndpoint", [("web", publishing::endpoint_example())]),
        Op::EndpointDelete => on("Streaming endpoints", "Deletes a streaming endpoint"),
        Op::EndpointSkus => on("Streaming endpoints", "Lists the sizes of a streaming endpoint").answers("SkuList"),
        Op::EndpointScale => on("Streaming endpoints", "Sets a streaming endpoint's units")
            .takes("ScaleRequest", [("two", publishing::scale_example())])
            .answers("StreamingEndpoint"),
        Op::EndpointState => on("Streaming endpoints", "Gives a streaming endpoint's state").answers("State"),
        Op::EndpointStart => on("Streaming endpoints", "Starts a streaming endpoint"),
        Op::EndpointStop => on("Streaming endpoints", "Stops a streaming endpoint"),
        Op::EndpointOperationStatus => {
            on("Streaming endpoints", "Says what became of a start or stop").answers("OperationStatus")
        }

        Op::LiveEventList => on("Live", "Lists live events").lists(
            "LiveEvent",
            Listing::FieldsAndLabels(&[
                "name",
                "properties/created",
                "properties/lastModified",
                "properties/resourceState",
            ]),
        ),
        Op::LiveEventGet => on("Live", "Gives a live event").answers("LiveEvent"),
        Op::LiveEventPut => on("Live", "Creates a live event")
            .about("The same request again is a success; another one under the same name is a conflict.")
            .puts("LiveEvent", [("morning", live::event_example())])
            .may_start("Whether a new event is started at once."),
        Op::LiveEventUpdate => on("Live", "Changes a live event")
            .about("What is left out stays as it is.")
            .puts("LiveEvent", [("morning", live::event_example())]),
        Op::LiveEventDelete => on("Live", "Deletes a live event that is stopped"),
        Op::LiveEventState => on("Live", "Gives a live event's state").answers("State"),
        Op::LiveEventHealth => on("Live", "Says how a live event's ingest is doing").answers("LiveEventHealth"),
        Op::LiveEventAllocate => on("Live", "Readies a live event, so that it starts at once later"),
        Op::LiveEventStart => on("Live", "Starts a live event"),
        Op::LiveEventReset => on("Live", "Disconnects encoders and begins the timeline anew"),
        Op::LiveEventStop => on("Live", "Stops a live event")
            .takes("LiveEventStop", [("keep", live::stop_example())])
            .body_may_be_missing(),
        Op::LiveEventOperationStatus => {
            on("Live", "Says what became of a change of a live event").answers("OperationStatus")
        }
        Op::LiveOutputList => on("Live", "Lists a live event's outputs").lists(
            "LiveOutput",
            Listing::Fields(&[
                "name",
                "properties/assetName",
                "properties/created",
                "properties/resourceState",
            ]),
        ),
        Op::LiveOutputGet => on("Live", "Gives a live output").answers("LiveOutput"),
        Op::LiveOutputPut => on("Live", "Records a live event into an asset")
            .about("The same request again is a success; another one under the same name is a conflict.")
            .puts("LiveOutput", [("show", live::output_example())]),
        Op::LiveOutputDelete => on("Live", "Ends a recording").about("The asset stays, and plays as a film does."),
        Op::LiveOutputState => on("Live", "Gives a live output's state").answers("State"),
        Op::LiveOutputOperationStatus => {
            on("Live", "Says what became of a change of a live output").answers("OperationStatus")
        }

        Op::UploadRuleList => on("Upload rules", "Lists upload rules").lists(
            "UploadRule",
            Listing::Fields(&[
                "name",
                "properties/created",
                "properties/lastModified",
                "properties/storageAccountName",
                "properties/container",
                "properties/transformName",
                "properties/streamingPolicyName",
            ]),
        ),
        Op::UploadRuleGet => on("Upload rules", "Gives an upload rule").answers("UploadRule"),
        Op::UploadRulePut => on("Upload rules", "Creates or replaces an upload rule")
            .puts("UploadRule", [("films", upload_rules::example())]),
        Op::UploadRuleDelete => on("Upload rules", "Deletes an upload rule"),

        Op::WebhookRuleList => on("Webhooks", "Lists webhook rules").lists(
            "WebhookRule",
            Listing::Fields(&["name", "metadata/created", "spec/url"]),
        ),
        Op::WebhookRuleGet => on("Webhooks", "Gives a webhook rule, its secrets as asterisks").answers("WebhookRule"),
        Op::WebhookRulePut => on("Webhooks", "Creates or replaces a webhook rule")
            .puts_as("WebhookRuleWrite", "WebhookRule", [("jobs", webhooks::example())]),
        Op::WebhookRuleDelete => on("Webhooks", "Deletes a webhook rule"),
        Op::WebhookEventList => on("Webhooks", "Lists what was sent by a webhook rule")
            .lists("WebhookEvent", Listing::Fields(&["created", "type", "status"])),
        Op::AuditLogList => on("People", "Lists who changed what")
            .about("The newest first, unless `$orderby` says otherwise. Of the projects that the caller owns.")
            .lists(
                "AuditLogEntry",
                Listing::Fields(&["time", "who", "operation", "project", "resource", "status", "requestId"]),
            ),

        // On other surfaces only.
        Op::OperationList
        | Op::AccountListBySubscription
        | Op::AccountListByGroup
        | Op::AccountGet
        | Op::AccountPut
        | Op::AccountUpdate
        | Op::AccountDelete
        | Op::AccountSyncStorageKeys
        | Op::AccountEdgePolicies
        | Op::AccountOperationStatus
        | Op::AccountOperationResult
        | Op::PrivateLinkList
        | Op::PrivateLinkGet
        | Op::PrivateLinkPut
        | Op::PrivateLinkDelete
        | Op::CheckNameAvailability
        | Op::SubscriptionList
        | Op::SubscriptionGet
        | Op::StorageCreate
        | Op::ProfileReplace
        | Op::AssetEncryptionKey
        | Op::EndpointOperationResult
        | Op::LiveEventOperationResult
        | Op::LiveOutputOperationResult
        | Op::LiveWorkClaim
        | Op::LiveWorkRenew
        | Op::LiveWorkRelease
        | Op::LiveFacts
        | Op::WebhookClaim
        | Op::WebhookReport
        | Op::WorkAssist
        | Op::WorkClaim
        | Op::WorkDepth
        | Op::WorkMetrics
        | Op::WorkRecords
        | Op::WorkPlaces
        | Op::WorkRenew
        | Op::WorkShare
        | Op::WorkTake
        | Op::WorkFinish => return None,
    })
}

const JOB_LISTING: Listing = Listing::Fields(&[
    "name",
    "properties/created",
    "properties/lastModified",
    "properties/state",
]);

const STORAGE_LISTING: Listing = Listing::Fields(&[
    "metadata/name",
    "metadata/created",
    "metadata/updated",
    "spec/url",
    "spec/description",
]);
