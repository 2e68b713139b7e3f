//! What every operation is for, what it takes and what it answers: one arm for each.
//!
//! Paths, methods, permissions and status codes are not said here: they come from the route table.

use serde_json::Value as Json;

use super::schema::{Schema, flag, shape};
use super::shapes::{assets, filters, jobs, key_policies, publishing, tokens, upload_rules};
use crate::routes::Operation as Op;

/// What the route table does not know of an operation.
#[derive(Debug, Clone)]
pub(super) struct Description {
    pub(super) tag: &'static str,
    pub(super) summary: &'static str,
    /// More than one line can say; may be empty.
    pub(super) about: &'static str,
    pub(super) listing: Option<Listing>,
    /// Query parameters beyond those of lists.
    pub(super) query: Vec<(&'static str, Schema)>,
    pub(super) body: Option<Body>,
    /// What a success holds; not there for the codes that never hold anything.
    pub(super) answer: Option<Schema>,
}

/// The query parameters that a list honours.
#[derive(Debug, Clone, Copy)]
pub(super) enum Listing {
    /// `$top` and `$skiptoken`.
    Pages,
    /// These, and `$filter` and `$orderby` over the fields of such name.
    Fields(&'static [&'static str]),
    /// These, and `$label` and `$label_key`.
    FieldsAndLabels(&'static [&'static str]),
}

/// What a request holds.
#[derive(Debug, Clone)]
pub(super) struct Body {
    pub(super) media_type: &'static str,
    pub(super) schema: Schema,
    /// By name. Each of them is tried by a test.
    pub(super) examples: Vec<(&'static str, Json)>,
}

/// What the document groups operations by, with a line on each group.
pub(super) const TAGS: [(&str, &str); 12] = [
    (
        "Assets",
        "Containers and folders with a name: what jobs read and write, and locators publish.",
    ),
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
    (
        "Upload rules",
        "What happens to files that only get dropped.",
    ),
    ("Storage", "Where files are."),
    ("Organization", "Projects, people, roles and tokens."),
    ("Service", "Readiness, keys, sign-in, and this document."),
];

fn on(tag: &'static str, summary: &'static str) -> Description {
    Description {
        tag,
        summary,
        about: "",
        listing: None,
        query: Vec::new(),
        body: None,
        answer: None,
    }
}

impl Description {
    fn about(mut self, about: &'static str) -> Self {
        self.about = about;
        self
    }

    fn answers(mut self, name: &str) -> Self {
        self.answer = Some(shape(name));
        self
    }

    fn lists(mut self, items: &str, listing: Listing) -> Self {
        self.listing = Some(listing);
        self.answers(&format!("{items}Page"))
    }

    fn takes<const N: usize>(mut self, name: &str, examples: [(&'static str, Json); N]) -> Self {
        self.body = Some(Body {
            media_type: "application/json",
            schema: shape(name),
            examples: Vec::from(examples),
        });
        self
    }

    /// Takes what it answers.
    fn puts<const N: usize>(self, name: &str, examples: [(&'static str, Json); N]) -> Self {
        self.takes(name, examples).answers(name)
    }
}

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

        Op::ProjectList => on("Organization", "Lists the projects that the token reaches").answers("ProjectList"),
        Op::ProjectGet => on("Organization", "Gives a project").answers("Project"),
        Op::ProfileGet => on("Organization", "Says who the token belongs to").answers("Profile"),
        Op::RbacGet => on("Organization", "Says what the token may do").answers("Capabilities"),
        Op::OrganizationGet => on("Organization", "Gives the organization").answers("Organization"),
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
        Op::RoleList => on("Organization", "Lists the roles").answers("RoleList"),
        Op::RoleGet => on("Organization", "Gives a role").answers("Role"),
        Op::ScopeList => on("Organization", "Lists what roles can be given over").answers("ScopeList"),
        Op::ScopeGet => on("Organization", "Gives a scope").answers("Scope"),
        Op::OwnTokenList => on("Organization", "Lists the caller's tokens").answers("TokenList"),
        Op::OwnTokenCreate => on("Organization", "Makes a token")
            .about("The answer is the only time that the token itself is shown.")
            .takes("TokenWrite", [("viewer", tokens::example())])
            .answers("Token"),
        Op::OwnTokenGet => on("Organization", "Gives one of the caller's tokens").answers("Token"),
        Op::OwnTokenRevoke => on("Organization", "Revokes one of the caller's tokens"),
        Op::OwnTokenRevokeAll => on("Organization", "Revokes all of the caller's tokens"),
        Op::TokenListAll => on("Organization", "Lists everybody's tokens").answers("TokenList"),
        Op::TokenRevoke => on("Organization", "Revokes a token"),
        Op::StatsGet => on("Organization", "Counts the resources of a project").answers("Stats"),
        Op::LocationList => on("Organization", "Lists locations").answers("LocationList"),
        Op::LocationGet => on("Organization", "Gives a location").answers("Location"),

        Op::StorageList => on("Storage", "Lists storage accounts").answers("StorageList"),
        Op::StorageGet => on("Storage", "Gives a storage account").answers("Storage"),

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
        Op::AssetStorage => on("Assets", "Lists an asset's files").answers("AssetStorage"),

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
            .puts("StreamingPolicy", [("clear", publishing::policy_example())]),
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
            on("Streaming locators", "Lists a locator's content keys").answers("ContentKeys")
        }
        Op::PublishedList => on("Streaming locators", "Lists what can be watched")
            .about("One item per locator that may be played now in the clear, newest first, at most 50 a page.")
            .lists("Published", Listing::Pages),

        Op::EndpointList => {
            let list = on("Streaming endpoints", "Lists streaming endpoints");
            list.answers("StreamingEndpointPage")
        }
        Op::EndpointGet => on("Streaming endpoints", "Gives a streaming endpoint").answers("StreamingEndpoint"),
        Op::EndpointPut => {
            let mut description = on("Streaming endpoints", "Creates or replaces a streaming endpoint")
                .puts("StreamingEndpoint", [("web", publishing::endpoint_example())]);
            let about = "Whether a new endpoint is running at once.";
            description.query = vec![("autoStart", flag().with("default", false).about(about))];
            description
        }
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

        Op::UploadRuleList => on("Upload rules", "Lists upload rules").answers("UploadRulePage"),
        Op::UploadRuleGet => on("Upload rules", "Gives an upload rule").answers("UploadRule"),
        Op::UploadRulePut => on("Upload rules", "Creates or replaces an upload rule")
            .puts("UploadRule", [("films", upload_rules::example())]),
        Op::UploadRuleDelete => on("Upload rules", "Deletes an upload rule"),

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
        | Op::EndpointOperationResult
        | Op::WorkClaim
        | Op::WorkRenew
        | Op::WorkFinish => return None,
    })
}

const JOB_LISTING: Listing = Listing::Fields(&[
    "name",
    "properties/created",
    "properties/lastModified",
    "properties/state",
]);
