//! The rows.

use headwater_auth::{Permission, ResourceKind as K, Verb as V};
use http::Method;

use super::{Access, Operation, Operation as Op};
use crate::dialect::Dialect;

/// One row.
#[derive(Debug)]
pub struct Route {
    pub surfaces: &'static [Dialect],
    pub method: Method,
    /// Below the surface's prefix.
    pub template: &'static str,
    pub operation: Operation,
    pub access: Access,
    /// What a success may answer.
    pub success: &'static [u16],
}

/// What comes before a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Base {
    Root,
    Account,
}

const ALL: &[Dialect] = &[Dialect::Arm, Dialect::MkIo, Dialect::MkIoOlder];
const ARM: &[Dialect] = &[Dialect::Arm];
const MKIO: &[Dialect] = &[Dialect::MkIo, Dialect::MkIoOlder];
const OWN: &[Dialect] = &[Dialect::Own];
const V1: &[Dialect] = &[Dialect::MkIo];
const OLDER: &[Dialect] = &[Dialect::MkIoOlder];

const fn needs(kind: K, verb: V) -> Access {
    Access::Token(Permission::new(kind, verb))
}

macro_rules! routes {
    ($($surfaces:ident $method:ident $template:literal => $operation:ident, $access:expr, [$($code:literal),*];)*) => {
        &[$(Route {
            surfaces: $surfaces,
            method: Method::$method,
            template: $template,
            operation: Op::$operation,
            access: $access,
            success: &[$($code),*],
        }),*]
    };
}

/// Below the account: `/subscriptions/.../mediaServices/{account}`, `/api/v1/projects/{project}/media`, `/api/ams/{project}`.
pub(super) static ACCOUNT: &[Route] = routes! {
    ARM GET "" => AccountGet, needs(K::Account, V::Read), [200];
    ARM PUT "" => AccountPut, needs(K::Account, V::Write), [200, 201];
    ARM PATCH "" => AccountUpdate, needs(K::Account, V::Write), [202];
    ARM DELETE "" => AccountDelete, needs(K::Account, V::Delete), [200, 204];
    ARM POST "/syncStorageKeys" => AccountSyncStorageKeys, needs(K::Account, V::Act), [200];
    ARM POST "/listEdgePolicies" => AccountEdgePolicies, needs(K::Account, V::Read), [200];
    ARM GET "/privateLinkResources" => PrivateLinkList, needs(K::Account, V::Read), [200];
    ARM GET "/privateLinkResources/{link}" => PrivateLinkGet, needs(K::Account, V::Read), [];
    ARM GET "/privateEndpointConnections" => PrivateLinkList, needs(K::Account, V::Read), [200];
    ARM GET "/privateEndpointConnections/{link}" => PrivateLinkGet, needs(K::Account, V::Read), [];
    ARM PUT "/privateEndpointConnections/{link}" => PrivateLinkPut, needs(K::Account, V::Write), [];
    ARM DELETE "/privateEndpointConnections/{link}" => PrivateLinkDelete, needs(K::Account, V::Delete), [204];
    OLDER GET "/stats" => StatsGet, needs(K::Account, V::Read), [200];
    V1 GET "/stats" => StatsGet, needs(K::Account, V::Read), [200];

    MKIO GET "/storage" => StorageList, needs(K::Storage, V::Read), [200];
    MKIO GET "/storage/{storage}" => StorageGet, needs(K::Storage, V::Read), [200];
    MKIO PUT "/storage/{storage}" => StoragePut, needs(K::Storage, V::Write), [200, 201];
    MKIO PATCH "/storage/{storage}" => StorageUpdate, needs(K::Storage, V::Write), [200];
    MKIO DELETE "/storage/{storage}" => StorageDelete, needs(K::Storage, V::Delete), [200, 204];
    MKIO GET "/storage/{storage}/credentials" => CredentialList, needs(K::Storage, V::Read), [200];
    MKIO POST "/storage/{storage}/credentials" => CredentialCreate, needs(K::Storage, V::Write), [200, 201];
    MKIO GET "/storage/{storage}/credentials/{credential}" => CredentialGet, needs(K::Storage, V::Read), [200];
    MKIO DELETE "/storage/{storage}/credentials/{credential}" => CredentialDelete, needs(K::Storage, V::Delete), [200, 204];
    MKIO POST "/assets/{asset}/getFileAccessInfo" => FileAccessInfo, needs(K::Asset, V::Reveal), [200];
    MKIO GET "/assets/{asset}/files/{file...}" => FileRead, Access::FileToken, [200, 206, 307];
    // Older clients append the word to the address as it is.
    MKIO POST "/assets/{asset}/filesdownloadBlob" => FileDownload, Access::FileToken, [200, 206, 303];

    ALL GET "/assets" => AssetList, needs(K::Asset, V::Read), [200];
    ALL GET "/assets/{asset}" => AssetGet, needs(K::Asset, V::Read), [200];
    ALL PUT "/assets/{asset}" => AssetPut, needs(K::Asset, V::Write), [200, 201];
    ALL PATCH "/assets/{asset}" => AssetUpdate, needs(K::Asset, V::Write), [200];
    ALL DELETE "/assets/{asset}" => AssetDelete, needs(K::Asset, V::Delete), [200, 204];
    MKIO GET "/assets/{asset}/state" => AssetState, needs(K::Asset, V::Read), [200];
    MKIO GET "/assets/{asset}/storage" => AssetStorage, needs(K::Asset, V::Read), [200];
    MKIO GET "/assets/{asset}/streaming" => AssetStreaming, needs(K::Asset, V::Read), [200];
    // What else a document holds is asked for by its handler.
    MKIO POST "/import" => Import, needs(K::Asset, V::Write), [200];
    ALL POST "/assets/{asset}/listContainerSas" => AssetContainerSas, needs(K::Asset, V::Reveal), [200];
    ALL POST "/assets/{asset}/listStreamingLocators" => AssetLocators, needs(K::Asset, V::Read), [200];

    ARM POST "/assets/{asset}/getEncryptionKey" => AssetEncryptionKey, needs(K::Asset, V::Reveal), [];
    ALL GET "/assets/{asset}/tracks" => TrackList, needs(K::Asset, V::Read), [200];
    ALL GET "/assets/{asset}/tracks/{track}" => TrackGet, needs(K::Asset, V::Read), [200];
    ALL PUT "/assets/{asset}/tracks/{track}" => TrackPut, needs(K::Asset, V::Write), [200, 201];
    ALL PATCH "/assets/{asset}/tracks/{track}" => TrackUpdate, needs(K::Asset, V::Write), [202];
    ALL DELETE "/assets/{asset}/tracks/{track}" => TrackDelete, needs(K::Asset, V::Delete), [202, 204];
    ALL POST "/assets/{asset}/tracks/{track}/updateTrackData" => TrackUpdateData, needs(K::Asset, V::Act), [202];
    ALL GET "/assets/{asset}/tracks/{track}/operationStatuses/{operation}" => TrackOperationStatus, needs(K::Asset, V::Read), [200];
    ALL GET "/assets/{asset}/tracks/{track}/operationResults/{operation}" => TrackOperationResult, needs(K::Asset, V::Read), [200, 204];

    ALL GET "/accountFilters" => FilterList, needs(K::Filter, V::Read), [200];
    ALL GET "/accountFilters/{filter}" => FilterGet, needs(K::Filter, V::Read), [200];
    ALL PUT "/accountFilters/{filter}" => FilterPut, needs(K::Filter, V::Write), [200, 201];
    ALL PATCH "/accountFilters/{filter}" => FilterUpdate, needs(K::Filter, V::Write), [200];
    ALL DELETE "/accountFilters/{filter}" => FilterDelete, needs(K::Filter, V::Delete), [200, 204];
    ALL GET "/assets/{asset}/assetFilters" => FilterList, needs(K::Filter, V::Read), [200];
    ALL GET "/assets/{asset}/assetFilters/{filter}" => FilterGet, needs(K::Filter, V::Read), [200];
    ALL PUT "/assets/{asset}/assetFilters/{filter}" => FilterPut, needs(K::Filter, V::Write), [200, 201];
    ALL PATCH "/assets/{asset}/assetFilters/{filter}" => FilterUpdate, needs(K::Filter, V::Write), [200];
    ALL DELETE "/assets/{asset}/assetFilters/{filter}" => FilterDelete, needs(K::Filter, V::Delete), [200, 204];
    // MK.IO's SDK and its migration tool spell it so.
    MKIO GET "/assets/{asset}/filters" => FilterList, needs(K::Filter, V::Read), [200];
    MKIO GET "/assets/{asset}/filters/{filter}" => FilterGet, needs(K::Filter, V::Read), [200];
    MKIO PUT "/assets/{asset}/filters/{filter}" => FilterPut, needs(K::Filter, V::Write), [200, 201];
    MKIO PATCH "/assets/{asset}/filters/{filter}" => FilterUpdate, needs(K::Filter, V::Write), [200];
    MKIO DELETE "/assets/{asset}/filters/{filter}" => FilterDelete, needs(K::Filter, V::Delete), [200, 204];

    ALL GET "/contentKeyPolicies" => KeyPolicyList, needs(K::ContentKeyPolicy, V::Read), [200];
    ALL GET "/contentKeyPolicies/{policy}" => KeyPolicyGet, needs(K::ContentKeyPolicy, V::Read), [200];
    ALL PUT "/contentKeyPolicies/{policy}" => KeyPolicyPut, needs(K::ContentKeyPolicy, V::Write), [200, 201];
    ALL PATCH "/contentKeyPolicies/{policy}" => KeyPolicyUpdate, needs(K::ContentKeyPolicy, V::Write), [200];
    ALL DELETE "/contentKeyPolicies/{policy}" => KeyPolicyDelete, needs(K::ContentKeyPolicy, V::Delete), [200, 204];
    MKIO GET "/contentKeyPolicies/{policy}/state" => KeyPolicyState, needs(K::ContentKeyPolicy, V::Read), [200];
    ALL POST "/contentKeyPolicies/{policy}/getPolicyPropertiesWithSecrets" => KeyPolicySecrets, needs(K::ContentKeyPolicy, V::Reveal), [200];

    ALL GET "/transforms" => TransformList, needs(K::Transform, V::Read), [200];
    ALL GET "/transforms/{transform}" => TransformGet, needs(K::Transform, V::Read), [200];
    ALL PUT "/transforms/{transform}" => TransformPut, needs(K::Transform, V::Write), [200, 201];
    ALL PATCH "/transforms/{transform}" => TransformUpdate, needs(K::Transform, V::Write), [200];
    ALL DELETE "/transforms/{transform}" => TransformDelete, needs(K::Transform, V::Delete), [200, 204];

    MKIO GET "/jobs" => JobListAll, needs(K::Job, V::Read), [200];
    ALL GET "/transforms/{transform}/jobs" => JobList, needs(K::Job, V::Read), [200];
    ALL GET "/transforms/{transform}/jobs/{job}" => JobGet, needs(K::Job, V::Read), [200];
    ARM PUT "/transforms/{transform}/jobs/{job}" => JobPut, needs(K::Job, V::Write), [201];
    MKIO PUT "/transforms/{transform}/jobs/{job}" => JobPut, needs(K::Job, V::Write), [200, 201];
    ALL PATCH "/transforms/{transform}/jobs/{job}" => JobUpdate, needs(K::Job, V::Write), [200];
    ALL DELETE "/transforms/{transform}/jobs/{job}" => JobDelete, needs(K::Job, V::Delete), [200, 204];
    MKIO GET "/transforms/{transform}/jobs/{job}/state" => JobState, needs(K::Job, V::Read), [200];
    ALL POST "/transforms/{transform}/jobs/{job}/cancelJob" => JobCancel, needs(K::Job, V::Act), [200];

    ALL GET "/streamingPolicies" => PolicyList, needs(K::StreamingPolicy, V::Read), [200];
    ALL GET "/streamingPolicies/{policy}" => PolicyGet, needs(K::StreamingPolicy, V::Read), [200];
    ARM PUT "/streamingPolicies/{policy}" => PolicyPut, needs(K::StreamingPolicy, V::Write), [201];
    MKIO PUT "/streamingPolicies/{policy}" => PolicyPut, needs(K::StreamingPolicy, V::Write), [200, 201];
    ALL DELETE "/streamingPolicies/{policy}" => PolicyDelete, needs(K::StreamingPolicy, V::Delete), [200, 204];

    ALL GET "/streamingLocators" => LocatorList, needs(K::StreamingLocator, V::Read), [200];
    ALL GET "/streamingLocators/{locator}" => LocatorGet, needs(K::StreamingLocator, V::Read), [200];
    ARM PUT "/streamingLocators/{locator}" => LocatorPut, needs(K::StreamingLocator, V::Write), [201];
    MKIO PUT "/streamingLocators/{locator}" => LocatorPut, needs(K::StreamingLocator, V::Write), [200, 201];
    ALL DELETE "/streamingLocators/{locator}" => LocatorDelete, needs(K::StreamingLocator, V::Delete), [200, 204];
    MKIO GET "/streamingLocators/{locator}/state" => LocatorState, needs(K::StreamingLocator, V::Read), [200];
    ALL POST "/streamingLocators/{locator}/listPaths" => LocatorPaths, needs(K::StreamingLocator, V::Read), [200];
    ALL POST "/streamingLocators/{locator}/listContentKeys" => LocatorContentKeys, needs(K::StreamingLocator, V::Reveal), [200];

    ALL GET "/streamingEndpoints" => EndpointList, needs(K::StreamingEndpoint, V::Read), [200];
    ALL GET "/streamingEndpoints/{endpoint}" => EndpointGet, needs(K::StreamingEndpoint, V::Read), [200];
    ALL PUT "/streamingEndpoints/{endpoint}" => EndpointPut, needs(K::StreamingEndpoint, V::Write), [200, 201];
    ALL PATCH "/streamingEndpoints/{endpoint}" => EndpointUpdate, needs(K::StreamingEndpoint, V::Write), [200];
    ALL DELETE "/streamingEndpoints/{endpoint}" => EndpointDelete, needs(K::StreamingEndpoint, V::Delete), [200, 204];
    ALL GET "/streamingEndpoints/{endpoint}/skus" => EndpointSkus, needs(K::StreamingEndpoint, V::Read), [200];
    ALL POST "/streamingEndpoints/{endpoint}/scale" => EndpointScale, needs(K::StreamingEndpoint, V::Act), [200];
    MKIO GET "/streamingEndpoints/{endpoint}/state" => EndpointState, needs(K::StreamingEndpoint, V::Read), [200];
    ALL POST "/streamingEndpoints/{endpoint}/start" => EndpointStart, needs(K::StreamingEndpoint, V::Act), [200, 202];
    ALL POST "/streamingEndpoints/{endpoint}/stop" => EndpointStop, needs(K::StreamingEndpoint, V::Act), [200, 202];
    ARM GET "/streamingEndpointOperations/{operation}" => EndpointOperationStatus, needs(K::StreamingEndpoint, V::Read), [200];
    ARM GET "/streamingEndpoints/{endpoint}/operationLocations/{operation}" => EndpointOperationResult, needs(K::StreamingEndpoint, V::Read), [200, 202];
    // MK.IO's client polls without its token; the operation's id is what it has to show.
    MKIO GET "/streamingEndpointOperations/{operation}" => EndpointOperationStatus, Access::Open, [200];

    ALL GET "/liveEvents" => LiveEventList, needs(K::LiveEvent, V::Read), [200];
    ALL GET "/liveEvents/{event}" => LiveEventGet, needs(K::LiveEvent, V::Read), [200];
    ALL PUT "/liveEvents/{event}" => LiveEventPut, needs(K::LiveEvent, V::Write), [200, 201];
    ALL PATCH "/liveEvents/{event}" => LiveEventUpdate, needs(K::LiveEvent, V::Write), [200];
    ALL DELETE "/liveEvents/{event}" => LiveEventDelete, needs(K::LiveEvent, V::Delete), [200, 202, 204];
    MKIO GET "/liveEvents/{event}/state" => LiveEventState, needs(K::LiveEvent, V::Read), [200];
    ALL GET "/liveEvents/{event}/health" => LiveEventHealth, needs(K::LiveEvent, V::Read), [200];
    ALL POST "/liveEvents/{event}/allocate" => LiveEventAllocate, needs(K::LiveEvent, V::Act), [200, 202];
    ALL POST "/liveEvents/{event}/start" => LiveEventStart, needs(K::LiveEvent, V::Act), [200, 202];
    ALL POST "/liveEvents/{event}/reset" => LiveEventReset, needs(K::LiveEvent, V::Act), [200, 202];
    ALL POST "/liveEvents/{event}/stop" => LiveEventStop, needs(K::LiveEvent, V::Act), [200, 202];
    ARM GET "/liveEventOperations/{operation}" => LiveEventOperationStatus, needs(K::LiveEvent, V::Read), [200];
    ARM GET "/liveEvents/{event}/operationLocations/{operation}" => LiveEventOperationResult, needs(K::LiveEvent, V::Read), [200, 202];
    ALL GET "/liveEvents/{event}/liveOutputs" => LiveOutputList, needs(K::LiveOutput, V::Read), [200];
    ALL GET "/liveEvents/{event}/liveOutputs/{output}" => LiveOutputGet, needs(K::LiveOutput, V::Read), [200];
    ALL PUT "/liveEvents/{event}/liveOutputs/{output}" => LiveOutputPut, needs(K::LiveOutput, V::Write), [200, 201];
    ALL DELETE "/liveEvents/{event}/liveOutputs/{output}" => LiveOutputDelete, needs(K::LiveOutput, V::Delete), [200, 202, 204];
    MKIO GET "/liveEvents/{event}/liveOutputs/{output}/state" => LiveOutputState, needs(K::LiveOutput, V::Read), [200];
    ARM GET "/liveOutputOperations/{operation}" => LiveOutputOperationStatus, needs(K::LiveOutput, V::Read), [200];
    ARM GET "/liveEvents/{event}/liveOutputs/{output}/operationLocations/{operation}" => LiveOutputOperationResult, needs(K::LiveOutput, V::Read), [200, 202];
    // As for endpoints.
    MKIO GET "/liveEventOperations/{operation}" => LiveEventOperationStatus, Access::Open, [200];
    MKIO GET "/liveOutputOperations/{operation}" => LiveOutputOperationStatus, Access::Open, [200];

    ALL GET "/uploadRules" => UploadRuleList, needs(K::UploadRule, V::Read), [200];
    ALL GET "/uploadRules/{rule}" => UploadRuleGet, needs(K::UploadRule, V::Read), [200];
    ALL PUT "/uploadRules/{rule}" => UploadRulePut, needs(K::UploadRule, V::Write), [200, 201];
    ALL DELETE "/uploadRules/{rule}" => UploadRuleDelete, needs(K::UploadRule, V::Delete), [200, 204];

    V1 GET "/published" => PublishedList, Access::Gallery(Permission::new(K::StreamingLocator, V::Read)), [200];
};

/// Outside any account.
pub(super) static ROOT: &[Route] = routes! {
    OWN GET "/api/ready" => Ready, Access::Open, [200];
    OWN GET "/api/openapi.json" => OpenApi, Access::Open, [200, 304];
    OWN GET "/.well-known/jwks.json" => Jwks, Access::Open, [200];
    OWN GET "/.well-known/revoked.json" => Revoked, Access::Open, [200];
    OWN GET "/{tenant}/v2.0/.well-known/openid-configuration" => OpenIdConfiguration, Access::Open, [200];
    OWN POST "/{tenant}/oauth2/v2.0/token" => IssueToken, Access::Open, [200];
    V1 GET "/api/v1/signInProviders" => SignInProviders, Access::Open, [200];

    ARM GET "/providers/Microsoft.Media/operations" => OperationList, needs(K::Account, V::Read), [200];
    ARM GET "/subscriptions/{subscription}/providers/Microsoft.Media/mediaservices" => AccountListBySubscription, needs(K::Account, V::Read), [200];
    ARM GET "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Media/mediaservices" => AccountListByGroup, needs(K::Account, V::Read), [200];
    ARM POST "/subscriptions/{subscription}/providers/Microsoft.Media/locations/{location}/checkNameAvailability" => CheckNameAvailability, needs(K::Account, V::Read), [200];

    ARM GET "/subscriptions/{subscription}/providers/Microsoft.Media/locations/{location}/mediaServicesOperationStatuses/{operation}" => AccountOperationStatus, needs(K::Account, V::Read), [200];
    ARM GET "/subscriptions/{subscription}/providers/Microsoft.Media/locations/{location}/mediaServicesOperationResults/{operation}" => AccountOperationResult, needs(K::Account, V::Read), [200];

    V1 GET "/api/v1/projects" => ProjectList, needs(K::Account, V::Read), [200];
    V1 GET "/api/v1/projects/{project}" => ProjectGet, needs(K::Account, V::Read), [200];
    V1 PUT "/api/v1/projects/{project}" => ProjectPut, needs(K::Account, V::Write), [200, 201];
    V1 PATCH "/api/v1/projects/{project}" => ProjectUpdate, needs(K::Account, V::Write), [200];
    V1 GET "/api/v1/projects/{project}/paymentMethod" => ProjectPaymentMethodGet, needs(K::Account, V::Read), [];
    V1 POST "/api/v1/projects/{project}/paymentMethod" => ProjectPaymentMethodSet, needs(K::Account, V::Write), [];
    V1 GET "/api/v1/projects/{project}/metricsEndpoint" => MetricsEndpointGet, needs(K::Account, V::Read), [200];
    V1 PATCH "/api/v1/projects/{project}/metricsEndpoint" => MetricsEndpointUpdate, needs(K::Account, V::Write), [];
    V1 GET "/api/v1/projects/{project}/usage" => UsageGet, needs(K::Account, V::Read), [200];
    V1 POST "/api/v1/organization/reports/usage" => UsageReport, needs(K::Account, V::Read), [200];
    // MK.IO's older form: by the ids of organization, project and storage account.
    OLDER GET "/api/accounts/{customer}/subscriptions" => SubscriptionList, needs(K::Account, V::Read), [200];
    OLDER GET "/api/accounts/{customer}/subscriptions/{projectId}" => SubscriptionGet, needs(K::Account, V::Read), [200];
    OLDER GET "/api/accounts/{customer}/subscriptions/{projectId}/usage" => UsageGet, needs(K::Account, V::Read), [200];
    OLDER GET "/api/accounts/{customer}/subscriptions/{projectId}/storage" => StorageList, needs(K::Storage, V::Read), [200];
    OLDER POST "/api/accounts/{customer}/subscriptions/{projectId}/storage" => StorageCreate, needs(K::Storage, V::Write), [200, 201];
    OLDER GET "/api/accounts/{customer}/subscriptions/{projectId}/storage/{storageId}" => StorageGet, needs(K::Storage, V::Read), [200];
    OLDER PUT "/api/accounts/{customer}/subscriptions/{projectId}/storage/{storageId}" => StoragePut, needs(K::Storage, V::Write), [200];
    OLDER PATCH "/api/accounts/{customer}/subscriptions/{projectId}/storage/{storageId}" => StorageUpdate, needs(K::Storage, V::Write), [200];
    OLDER DELETE "/api/accounts/{customer}/subscriptions/{projectId}/storage/{storageId}" => StorageDelete, needs(K::Storage, V::Delete), [200, 204];
    OLDER GET "/api/accounts/{customer}/subscriptions/{projectId}/storage/{storageId}/credentials" => CredentialList, needs(K::Storage, V::Read), [200];
    OLDER POST "/api/accounts/{customer}/subscriptions/{projectId}/storage/{storageId}/credentials" => CredentialCreate, needs(K::Storage, V::Write), [200, 201];
    OLDER GET "/api/accounts/{customer}/subscriptions/{projectId}/storage/{storageId}/credentials/{credential}" => CredentialGet, needs(K::Storage, V::Read), [200];
    OLDER DELETE "/api/accounts/{customer}/subscriptions/{projectId}/storage/{storageId}/credentials/{credential}" => CredentialDelete, needs(K::Storage, V::Delete), [200, 204];
    V1 GET "/api/v1/user/profile" => ProfileGet, needs(K::Profile, V::Read), [200];
    V1 GET "/api/v1/user/rbac" => RbacGet, needs(K::Profile, V::Read), [200];
    V1 GET "/api/v1/user/organizations" => OrganizationsOfUser, needs(K::Profile, V::Read), [200];
    V1 GET "/api/v1/user/organizations/{organization}" => OrganizationOfUser, needs(K::Profile, V::Read), [200];
    V1 GET "/api/v1/organization" => OrganizationGet, needs(K::Profile, V::Read), [200];
    V1 PATCH "/api/v1/organization" => OrganizationUpdate, needs(K::Organization, V::Write), [200];
    // There is one already.
    V1 POST "/api/v1/organization" => OrganizationCreate, needs(K::Organization, V::Write), [];
    V1 GET "/api/v1/organization/paymentMethods" => PaymentMethodList, needs(K::Account, V::Read), [200];
    V1 GET "/api/v1/organization/paymentMethods/{method}" => PaymentMethodGet, needs(K::Account, V::Read), [];
    V1 PATCH "/api/v1/organization/paymentMethods/{method}" => PaymentMethodUpdate, needs(K::Account, V::Write), [];
    V1 POST "/api/v1/organization/paymentMethods/{method}/acceptTermsAndConditions" => PaymentMethodAcceptTerms, needs(K::Account, V::Write), [];
    V1 GET "/api/v1/organization/paymentMethods/{method}/rateCard" => PaymentMethodGet, needs(K::Account, V::Read), [];
    V1 GET "/api/v1/organization/roles" => RoleList, needs(K::Profile, V::Read), [200];
    V1 GET "/api/v1/organization/roles/{role}" => RoleGet, needs(K::Profile, V::Read), [200];
    V1 GET "/api/v1/organization/scopes" => ScopeList, needs(K::Profile, V::Read), [200];
    V1 GET "/api/v1/organization/scopes/{scope}" => ScopeGet, needs(K::Profile, V::Read), [200];
    V1 GET "/api/v1/user/tokens" => OwnTokenList, needs(K::OwnToken, V::Read), [200];
    V1 POST "/api/v1/user/tokens" => OwnTokenCreate, needs(K::OwnToken, V::Write), [201];
    V1 DELETE "/api/v1/user/tokens" => OwnTokenRevokeAll, needs(K::OwnToken, V::Delete), [200, 204];
    V1 GET "/api/v1/user/tokens/{token}" => OwnTokenGet, needs(K::OwnToken, V::Read), [200];
    V1 DELETE "/api/v1/user/tokens/{token}" => OwnTokenRevoke, needs(K::OwnToken, V::Delete), [200, 204];
    V1 GET "/api/v1/organization/tokens" => TokenListAll, needs(K::Token, V::Read), [200];
    V1 GET "/api/v1/organization/tokens/{token}" => TokenGet, needs(K::Token, V::Read), [200];
    V1 DELETE "/api/v1/organization/tokens/{token}" => TokenRevoke, needs(K::Token, V::Delete), [200, 204];
    V1 GET "/api/v1/locations" => LocationList, needs(K::Account, V::Read), [200];
    V1 GET "/api/v1/locations/{location}" => LocationGet, needs(K::Account, V::Read), [200];
    OLDER GET "/api/profile" => ProfileGet, needs(K::Profile, V::Read), [200];
    OLDER GET "/api/locations" => LocationList, needs(K::Account, V::Read), [200];

    V1 GET "/api/v1/organization/users" => UserList, needs(K::User, V::Read), [200];
    V1 GET "/api/v1/organization/users/{user}" => UserGet, needs(K::User, V::Read), [200];
    V1 DELETE "/api/v1/organization/users/{user}" => UserDelete, needs(K::User, V::Delete), [200, 204];
    V1 PATCH "/api/v1/user/profile" => ProfileUpdate, needs(K::Profile, V::Write), [200];
    OLDER PUT "/api/profile" => ProfileReplace, needs(K::Profile, V::Write), [200];
    V1 PATCH "/api/v1/user/organizations/{organization}" => OrganizationAccept, needs(K::Profile, V::Write), [200];
    V1 DELETE "/api/v1/user/organizations/{organization}" => OrganizationLeave, needs(K::Profile, V::Delete), [200];
    V1 GET "/api/v1/organization/invites" => InviteList, needs(K::Invite, V::Read), [200];
    V1 POST "/api/v1/organization/invites" => InviteCreate, needs(K::Invite, V::Write), [201];
    V1 GET "/api/v1/organization/invites/{invite}" => InviteGet, needs(K::Invite, V::Read), [200];
    V1 DELETE "/api/v1/organization/invites/{invite}" => InviteDelete, needs(K::Invite, V::Delete), [200, 204];
    // What is asked for is the invite's secret, in the body.
    V1 POST "/api/v1/invites/accept" => InviteAccept, Access::Open, [201];
    V1 GET "/api/v1/organization/teams" => TeamList, needs(K::Team, V::Read), [200];
    V1 GET "/api/v1/organization/teams/{team}" => TeamGet, Access::TeamAdmin(Permission::new(K::Team, V::Read)), [200];
    V1 PUT "/api/v1/organization/teams/{team}" => TeamPut, Access::TeamAdmin(Permission::new(K::Team, V::Write)), [200, 201];
    V1 PATCH "/api/v1/organization/teams/{team}" => TeamUpdate, Access::TeamAdmin(Permission::new(K::Team, V::Write)), [200];
    V1 DELETE "/api/v1/organization/teams/{team}" => TeamDelete, needs(K::Team, V::Delete), [200, 204];
    V1 PUT "/api/v1/organization/roles/{role}" => RolePut, needs(K::CustomRole, V::Write), [200, 201];
    V1 DELETE "/api/v1/organization/roles/{role}" => RoleDelete, needs(K::CustomRole, V::Delete), [200, 204];
    V1 GET "/api/v1/organization/clients" => ClientList, needs(K::ApiClient, V::Read), [200];
    V1 GET "/api/v1/organization/clients/{client}" => ClientGet, needs(K::ApiClient, V::Read), [200];
    V1 PUT "/api/v1/organization/clients/{client}" => ClientPut, needs(K::ApiClient, V::Write), [200, 201];
    V1 POST "/api/v1/organization/clients/{client}/rotateSecret" => ClientRotateSecret, needs(K::ApiClient, V::Reveal), [200];
    V1 DELETE "/api/v1/organization/clients/{client}" => ClientDelete, needs(K::ApiClient, V::Delete), [200, 204];
    V1 GET "/api/v1/organization/signingKeys" => SigningKeyList, needs(K::SigningKey, V::Read), [200];
    V1 POST "/api/v1/organization/signingKeys/rotate" => SigningKeyRotate, needs(K::SigningKey, V::Act), [200];
    V1 POST "/api/v1/organization/signingKeys/{key}/revoke" => SigningKeyRevoke, needs(K::SigningKey, V::Act), [200];

    OWN GET "/internal/v1/queue" => WorkDepth, needs(K::WorkQueue, V::Act), [200];
    OWN GET "/internal/v1/queue/metrics" => WorkMetrics, needs(K::WorkQueue, V::Act), [200];
    OWN POST "/internal/v1/jobs/claim" => WorkClaim, needs(K::WorkQueue, V::Act), [200, 204];
    OWN POST "/internal/v1/jobs/{id}/renew" => WorkRenew, needs(K::WorkQueue, V::Act), [200];
    OWN POST "/internal/v1/jobs/{id}/places" => WorkPlaces, needs(K::WorkQueue, V::Act), [200];
    OWN POST "/internal/v1/jobs/assist" => WorkAssist, needs(K::WorkQueue, V::Act), [200, 204];
    OWN POST "/internal/v1/jobs/{id}/share" => WorkShare, needs(K::WorkQueue, V::Act), [204];
    OWN POST "/internal/v1/jobs/{id}/take" => WorkTake, needs(K::WorkQueue, V::Act), [200];
    OWN POST "/internal/v1/jobs/{id}/records" => WorkRecords, needs(K::WorkQueue, V::Act), [200];
    OWN POST "/internal/v1/jobs/{id}/finish" => WorkFinish, needs(K::WorkQueue, V::Act), [204];
    OWN POST "/internal/v1/liveEvents/claim" => LiveWorkClaim, needs(K::WorkQueue, V::Act), [200, 204];
    OWN POST "/internal/v1/liveEvents/{id}/renew" => LiveWorkRenew, needs(K::WorkQueue, V::Act), [200];
    OWN POST "/internal/v1/liveEvents/{id}/release" => LiveWorkRelease, needs(K::WorkQueue, V::Act), [204];

    V1 GET "/api/v1/projects/{project}/webhook/rules" => WebhookRuleList, needs(K::Webhook, V::Read), [200];
    V1 GET "/api/v1/projects/{project}/webhook/rules/{rule}" => WebhookRuleGet, needs(K::Webhook, V::Read), [200];
    V1 PUT "/api/v1/projects/{project}/webhook/rules/{rule}" => WebhookRulePut, needs(K::Webhook, V::Write), [200, 201];
    V1 DELETE "/api/v1/projects/{project}/webhook/rules/{rule}" => WebhookRuleDelete, needs(K::Webhook, V::Delete), [200, 204];
    V1 GET "/api/v1/projects/{project}/webhook/rules/{rule}/events" => WebhookEventList, needs(K::Webhook, V::Read), [200];
    OWN POST "/internal/v1/webhooks/claim" => WebhookClaim, needs(K::WorkQueue, V::Act), [200, 204];
    OWN POST "/internal/v1/webhooks/report" => WebhookReport, needs(K::WorkQueue, V::Act), [204];
    OWN POST "/internal/v1/liveEvents/{id}/facts" => LiveFacts, needs(K::WorkQueue, V::Act), [204];
    V1 GET "/api/v1/organization/auditLog" => AuditLogList, needs(K::AuditLog, V::Read), [200];
};

// An operation without a row, which says who may ask for it, does not compile.
#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "evaluated by the compiler"
)]
const _: () = {
    const fn has_row(operation: Operation, rows: &[Route]) -> bool {
        let mut at = 0;
        while at < rows.len() {
            if rows[at].operation as usize == operation as usize {
                return true;
            }
            at += 1;
        }
        false
    }
    let mut at = 0;
    while at < Operation::ALL.len() {
        let operation = Operation::ALL[at];
        assert!(
            has_row(operation, ACCOUNT) || has_row(operation, ROOT),
            "an operation has no row in the table of routes"
        );
        at += 1;
    }
};

/// Every row with its surfaces and complete path templates.
pub fn all() -> impl Iterator<Item = (Dialect, String, &'static Route)> {
    [(Base::Account, ACCOUNT), (Base::Root, ROOT)]
        .into_iter()
        .flat_map(|(base, routes)| routes.iter().map(move |route| (base, route)))
        .flat_map(|(base, route)| {
            route.surfaces.iter().map(move |surface| {
                (
                    *surface,
                    format!("{}{}", prefix(base, *surface), route.template),
                    route,
                )
            })
        })
}

pub(super) fn prefix(base: Base, surface: Dialect) -> &'static str {
    match (base, surface) {
        (Base::Root, _) | (_, Dialect::Own) => "",
        (Base::Account, Dialect::Arm) => {
            "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Media/mediaServices/{account}"
        }
        (Base::Account, Dialect::MkIo) => "/api/v1/projects/{project}/media",
        (Base::Account, Dialect::MkIoOlder) => "/api/ams/{project}",
    }
}
