//! One file per kind of resource, and the match that leads to them.

mod account_changes;
mod account_create;
mod accounts;
mod asset_storage;
pub(crate) mod assets;
mod audit_log;
mod clients;
pub(crate) mod cross_site;
mod depth;
pub(crate) mod endpoints;
mod facts;
mod file_access;
pub(crate) mod filters;
mod granting;
mod import_assets;
mod import_items;
mod import_locators;
pub(crate) mod imports;
mod invites;
pub(crate) mod job_inputs;
pub(crate) mod jobs;
mod key_documents;
mod key_orders;
pub(crate) mod key_policies;
pub(crate) mod key_policy_options;
pub(crate) mod live_event_body;
mod live_events;
mod live_health;
mod live_outputs;
mod live_work;
mod location;
mod locator_paths;
pub(crate) mod locators;
mod long_running;
mod media_tracks;
mod notices;
mod organization;
mod policies;
pub(crate) mod policy_schemes;
mod projects;
mod published;
mod roles;
mod service;
mod sign_in;
mod signing_keys;
mod storage;
mod storage_credentials;
mod streaming_report;
pub(crate) mod team_spec;
mod teams;
pub(crate) mod tokens;
pub(crate) mod track_fields;
mod tracks;
mod transforms;
mod upload_rules;
pub(crate) mod usage;
pub(crate) mod users;
pub(crate) mod webhooks;
mod work;

use std::pin::Pin;

use headwater_blob::HttpClient;
use headwater_catalog::Sql;
use headwater_catalog::live::Action;
use headwater_catalog::query::Page;
use serde_json::Value as Json;

use crate::call::Call;
use crate::error::ApiError;
use crate::openapi;
use crate::query;
use crate::reply::Reply;
use crate::routes::Operation as Op;

pub(crate) use invites::invite_shown;
pub(crate) use service::client_id;

/// The future that `make` gives, on the heap: without optimisation the frame of [`dispatch`] would have room for those of all of its arms
/// at once, more than the 2 MiB of a test's thread.
fn apart<F: Future>(make: impl FnOnce() -> F) -> Pin<Box<F>> {
    Box::pin(make())
}

pub(crate) async fn dispatch<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
    operation: Op,
) -> Result<Reply, ApiError> {
    match operation {
        Op::Ready => apart(|| service::ready(call)).await,
        Op::OpenApi => Ok(openapi::serve(call.incoming.headers)),
        Op::Jwks => apart(|| service::jwks(call)).await,
        Op::Revoked => apart(|| service::revoked(call)).await,
        Op::OpenIdConfiguration => Ok(service::openid_configuration(call)),
        Op::IssueToken => apart(|| service::issue_token(call)).await,
        Op::SignInProviders => Ok(sign_in::providers(call)),

        Op::OperationList => Ok(accounts::operations()),
        Op::AccountListBySubscription | Op::AccountListByGroup => {
            apart(|| accounts::list(call)).await
        }
        Op::AccountGet => apart(|| accounts::get(call)).await,
        Op::AccountPut => apart(|| account_changes::put(call)).await,
        Op::AccountUpdate => apart(|| account_changes::update(call)).await,
        Op::AccountDelete => apart(|| account_changes::delete(call)).await,
        Op::AccountSyncStorageKeys => apart(|| account_changes::sync_storage_keys(call)).await,
        Op::AccountEdgePolicies => account_changes::edge_policies(call),
        Op::AccountOperationStatus => apart(|| account_changes::operation_status(call)).await,
        Op::AccountOperationResult => apart(|| account_changes::operation_result(call)).await,
        Op::PrivateLinkList => Ok(account_changes::no_private_links()),
        Op::PrivateLinkGet => account_changes::no_such_link(call),
        Op::PrivateLinkPut => account_changes::no_new_link(),
        Op::PrivateLinkDelete => Ok(Reply::deleted(false)),
        Op::CheckNameAvailability => apart(|| accounts::check_name(call)).await,
        Op::ProjectList | Op::SubscriptionList => apart(|| projects::list(call)).await,
        Op::ProjectGet | Op::SubscriptionGet => projects::get(call),
        Op::ProfileGet => apart(|| users::profile(call)).await,
        Op::RbacGet => apart(|| organization::rbac(call)).await,
        Op::OrganizationGet => apart(|| organization::get(call)).await,
        Op::OrganizationUpdate => apart(|| organization::update(call)).await,
        Op::OrganizationCreate => organization::no_other(call),
        Op::OrganizationsOfUser => apart(|| organization::of_user(call)).await,
        Op::OrganizationOfUser => apart(|| organization::one_of_user(call)).await,
        Op::PaymentMethodList => Ok(organization::payment_methods()),
        Op::PaymentMethodGet | Op::PaymentMethodUpdate | Op::PaymentMethodAcceptTerms => {
            organization::no_payment_method(call)
        }
        Op::RoleList => apart(|| roles::list(call)).await,
        Op::RoleGet => apart(|| roles::get(call)).await,
        Op::ScopeList => apart(|| organization::scopes(call)).await,
        Op::ScopeGet => apart(|| organization::scope(call)).await,
        Op::OwnTokenList => apart(|| tokens::own_list(call)).await,
        Op::OwnTokenCreate => apart(|| tokens::create(call)).await,
        Op::OwnTokenGet => apart(|| tokens::own_get(call)).await,
        Op::OwnTokenRevoke => apart(|| tokens::own_revoke(call)).await,
        Op::OwnTokenRevokeAll => apart(|| tokens::own_revoke_all(call)).await,
        Op::TokenListAll => apart(|| tokens::all_list(call)).await,
        Op::TokenGet => apart(|| tokens::any_get(call)).await,
        Op::TokenRevoke => apart(|| tokens::all_revoke(call)).await,
        Op::StatsGet => apart(|| accounts::stats(call)).await,
        Op::LocationList => apart(|| accounts::list_locations(call)).await,
        Op::LocationGet => apart(|| accounts::get_location(call)).await,

        Op::StorageList => apart(|| storage::list(call)).await,
        Op::StorageGet => apart(|| storage::get(call)).await,
        Op::StoragePut => apart(|| storage::put(call)).await,
        Op::StorageCreate => apart(|| storage::create(call)).await,
        Op::StorageUpdate => apart(|| storage::update(call)).await,
        Op::StorageDelete => apart(|| storage::delete(call)).await,
        Op::CredentialList => apart(|| storage_credentials::list(call)).await,
        Op::CredentialCreate => apart(|| storage_credentials::create(call)).await,
        Op::CredentialGet => apart(|| storage_credentials::get(call)).await,
        Op::CredentialDelete => apart(|| storage_credentials::delete(call)).await,
        Op::FileAccessInfo => apart(|| file_access::info(call)).await,
        Op::FileRead => apart(|| file_access::read(call)).await,
        Op::FileDownload => apart(|| file_access::download(call)).await,
        Op::ProjectPut => apart(|| projects::put(call)).await,
        Op::ProjectUpdate => apart(|| projects::update(call)).await,
        Op::ProjectPaymentMethodGet => projects::payment_method(call),
        Op::ProjectPaymentMethodSet => projects::set_payment_method(call),
        Op::MetricsEndpointGet => projects::metrics_endpoint(call),
        Op::MetricsEndpointUpdate => projects::set_metrics_endpoint(call),
        Op::UsageGet => apart(|| usage::month_to_date(call)).await,
        Op::UsageReport => apart(|| usage::report(call)).await,

        Op::AssetList => apart(|| assets::list(call)).await,
        Op::AssetGet => apart(|| assets::get(call)).await,
        Op::AssetPut => apart(|| assets::put(call)).await,
        Op::AssetUpdate => apart(|| assets::update(call)).await,
        Op::AssetDelete => apart(|| assets::delete(call)).await,
        Op::AssetState => apart(|| assets::state(call)).await,
        Op::AssetContainerSas => apart(|| assets::container_sas(call)).await,
        Op::AssetLocators => apart(|| assets::locators(call)).await,
        Op::AssetStorage => apart(|| asset_storage::get(call)).await,
        Op::AssetStreaming => apart(|| streaming_report::get(call)).await,
        Op::Import => apart(|| imports::import(call)).await,

        Op::AssetEncryptionKey => apart(|| assets::encryption_key(call)).await,
        Op::TrackList => apart(|| tracks::list(call)).await,
        Op::TrackGet => apart(|| tracks::get(call)).await,
        Op::TrackPut => apart(|| tracks::put(call)).await,
        Op::TrackUpdate => apart(|| tracks::update(call)).await,
        Op::TrackDelete => apart(|| tracks::delete(call)).await,
        Op::TrackUpdateData => apart(|| tracks::update_data(call)).await,
        Op::TrackOperationStatus => apart(|| tracks::operation_status(call)).await,
        Op::TrackOperationResult => apart(|| tracks::operation_result(call)).await,

        Op::TransformList => apart(|| transforms::list(call)).await,
        Op::TransformGet => apart(|| transforms::get(call)).await,
        Op::TransformPut => apart(|| transforms::put(call)).await,
        Op::TransformUpdate => apart(|| transforms::update(call)).await,
        Op::TransformDelete => apart(|| transforms::delete(call)).await,

        Op::JobListAll | Op::JobList => apart(|| jobs::list(call)).await,
        Op::JobGet => apart(|| jobs::get(call)).await,
        Op::JobPut => apart(|| jobs::put(call)).await,
        Op::JobUpdate => apart(|| jobs::update(call)).await,
        Op::JobDelete => apart(|| jobs::delete(call)).await,
        Op::JobState => apart(|| jobs::state(call)).await,
        Op::JobCancel => apart(|| jobs::cancel(call)).await,

        Op::FilterList => apart(|| filters::list(call)).await,
        Op::FilterGet => apart(|| filters::get(call)).await,
        Op::FilterPut => apart(|| filters::put(call)).await,
        Op::FilterUpdate => apart(|| filters::update(call)).await,
        Op::FilterDelete => apart(|| filters::delete(call)).await,

        Op::KeyPolicyList => apart(|| key_policies::list(call)).await,
        Op::KeyPolicyGet => apart(|| key_policies::get(call)).await,
        Op::KeyPolicyPut => apart(|| key_policies::put(call)).await,
        Op::KeyPolicyUpdate => apart(|| key_policies::update(call)).await,
        Op::KeyPolicyDelete => apart(|| key_policies::delete(call)).await,
        Op::KeyPolicyState => apart(|| key_policies::state(call)).await,
        Op::KeyPolicySecrets => apart(|| key_policies::with_secrets(call)).await,

        Op::PolicyList => apart(|| policies::list(call)).await,
        Op::PolicyGet => apart(|| policies::get(call)).await,
        Op::PolicyPut => apart(|| policies::put(call)).await,
        Op::PolicyDelete => apart(|| policies::delete(call)).await,

        Op::LocatorList => apart(|| locators::list(call)).await,
        Op::LocatorGet => apart(|| locators::get(call)).await,
        Op::LocatorPut => apart(|| locators::put(call)).await,
        Op::LocatorDelete => apart(|| locators::delete(call)).await,
        Op::LocatorState => apart(|| locators::state(call)).await,
        Op::LocatorPaths => apart(|| locator_paths::paths(call)).await,
        Op::LocatorContentKeys => apart(|| locators::content_keys(call)).await,

        Op::EndpointList => apart(|| endpoints::list(call)).await,
        Op::EndpointGet => apart(|| endpoints::get(call)).await,
        Op::EndpointPut => apart(|| endpoints::put(call)).await,
        Op::EndpointUpdate => apart(|| endpoints::update(call)).await,
        Op::EndpointDelete => apart(|| endpoints::delete(call)).await,
        Op::EndpointSkus => apart(|| endpoints::skus(call)).await,
        Op::EndpointScale => apart(|| endpoints::scale(call)).await,
        Op::EndpointState => apart(|| endpoints::state(call)).await,
        Op::EndpointStart => apart(|| endpoints::start(call)).await,
        Op::EndpointStop => apart(|| endpoints::stop(call)).await,
        Op::EndpointOperationStatus => apart(|| endpoints::operation_status(call)).await,
        Op::EndpointOperationResult => apart(|| endpoints::operation_result(call)).await,

        Op::LiveEventList => apart(|| live_events::list(call)).await,
        Op::LiveEventGet => apart(|| live_events::get(call)).await,
        Op::LiveEventPut => apart(|| live_events::put(call)).await,
        Op::LiveEventUpdate => apart(|| live_events::update(call)).await,
        Op::LiveEventDelete => apart(|| live_events::delete(call)).await,
        Op::LiveEventState => apart(|| live_events::state(call)).await,
        Op::LiveEventHealth => apart(|| live_health::get(call)).await,
        Op::LiveEventAllocate => apart(|| live_events::act(call, Action::Allocate)).await,
        Op::LiveEventStart => apart(|| live_events::act(call, Action::Start)).await,
        Op::LiveEventReset => apart(|| live_events::act(call, Action::Reset)).await,
        Op::LiveEventStop => apart(|| live_events::stop(call)).await,
        Op::LiveEventOperationStatus => apart(|| live_events::operation_status(call)).await,
        Op::LiveEventOperationResult => apart(|| live_events::operation_result(call)).await,
        Op::LiveOutputList => apart(|| live_outputs::list(call)).await,
        Op::LiveOutputGet => apart(|| live_outputs::get(call)).await,
        Op::LiveOutputPut => apart(|| live_outputs::put(call)).await,
        Op::LiveOutputDelete => apart(|| live_outputs::delete(call)).await,
        Op::LiveOutputState => apart(|| live_outputs::state(call)).await,
        Op::LiveOutputOperationStatus => apart(|| live_outputs::operation_status(call)).await,
        Op::LiveOutputOperationResult => apart(|| live_outputs::operation_result(call)).await,
        Op::LiveWorkClaim => apart(|| live_work::claim(call)).await,
        Op::LiveWorkRenew => apart(|| live_work::renew(call)).await,
        Op::LiveWorkRelease => apart(|| live_work::release(call)).await,

        Op::UploadRuleList => apart(|| upload_rules::list(call)).await,
        Op::UploadRuleGet => apart(|| upload_rules::get(call)).await,
        Op::UploadRulePut => apart(|| upload_rules::put(call)).await,
        Op::UploadRuleDelete => apart(|| upload_rules::delete(call)).await,

        Op::PublishedList => apart(|| published::list(call)).await,

        Op::WorkDepth => apart(|| depth::depth(call)).await,
        Op::WorkMetrics => apart(|| depth::metrics(call)).await,
        Op::WorkClaim => apart(|| work::claim(call)).await,
        Op::WorkRenew => apart(|| work::renew(call)).await,
        Op::WorkShare => apart(|| work::share(call)).await,
        Op::WorkTake => apart(|| work::take(call)).await,
        Op::WorkRecords => apart(|| work::records(call)).await,
        Op::WorkPlaces => apart(|| work::places(call)).await,
        Op::WorkAssist => apart(|| work::assist(call)).await,
        Op::WorkFinish => apart(|| work::finish(call)).await,

        Op::UserList => apart(|| users::list(call)).await,
        Op::UserGet => apart(|| users::get(call)).await,
        Op::UserDelete => apart(|| users::delete(call)).await,
        Op::ProfileUpdate => apart(|| users::update_profile(call)).await,
        Op::ProfileReplace => apart(|| users::replace_profile(call)).await,
        Op::OrganizationAccept => apart(|| organization::accept(call)).await,
        Op::OrganizationLeave => apart(|| organization::leave(call)).await,
        Op::InviteList => apart(|| invites::list(call)).await,
        Op::InviteCreate => apart(|| invites::create(call)).await,
        Op::InviteGet => apart(|| invites::get(call)).await,
        Op::InviteDelete => apart(|| invites::delete(call)).await,
        Op::InviteAccept => apart(|| invites::accept(call)).await,
        Op::TeamList => apart(|| teams::list(call)).await,
        Op::TeamGet => apart(|| teams::get(call)).await,
        Op::TeamPut => apart(|| teams::put(call)).await,
        Op::TeamUpdate => apart(|| teams::update(call)).await,
        Op::TeamDelete => apart(|| teams::delete(call)).await,
        Op::RolePut => apart(|| roles::put(call)).await,
        Op::RoleDelete => apart(|| roles::delete(call)).await,
        Op::ClientList => apart(|| clients::list(call)).await,
        Op::ClientGet => apart(|| clients::get(call)).await,
        Op::ClientPut => apart(|| clients::put(call)).await,
        Op::ClientRotateSecret => apart(|| clients::rotate(call)).await,
        Op::ClientDelete => apart(|| clients::delete(call)).await,
        Op::SigningKeyList => apart(|| signing_keys::list(call)).await,
        Op::SigningKeyRotate => apart(|| signing_keys::rotate(call)).await,
        Op::SigningKeyRevoke => apart(|| signing_keys::revoke(call)).await,
        Op::WebhookRuleList => apart(|| webhooks::list(call)).await,
        Op::WebhookRuleGet => apart(|| webhooks::get(call)).await,
        Op::WebhookRulePut => apart(|| webhooks::put(call)).await,
        Op::WebhookRuleDelete => apart(|| webhooks::delete(call)).await,
        Op::WebhookEventList => apart(|| webhooks::log(call)).await,
        Op::WebhookClaim => apart(|| notices::claim(call)).await,
        Op::WebhookReport => apart(|| notices::report(call)).await,
        Op::LiveFacts => apart(|| facts::report(call)).await,
        Op::AuditLogList => apart(|| audit_log::list(call)).await,
    }
}

/// A page of a list, as the surface shows it. `kind`: MK.IO's word for the items.
fn listed<S, C, T>(
    call: &Call<'_, S, C>,
    kind: &str,
    page: Page<T>,
    render: impl Fn(T) -> Result<Json, ApiError>,
) -> Result<Reply, ApiError> {
    let mut items = query::Items::default();
    let page = page.each(|item| {
        items.push(&render(item)?);
        Ok::<_, ApiError>(())
    })?;
    Ok(written(call, kind, &page, &items))
}

/// A list whose items are written already.
fn written<S, C, T>(
    call: &Call<'_, S, C>,
    kind: &str,
    page: &Page<T>,
    items: &query::Items,
) -> Reply {
    let text = query::write(call.dialect, kind, &call.url(), page, items);
    Reply::written(text)
}

/// A list without pages.
fn whole<T>(items: Vec<T>) -> Page<T> {
    Page {
        total: u32::try_from(items.len()).ok(),
        items,
        offset: 0,
        next: None,
    }
}

/// A light state, as MK.IO's `/state` routes answer.
fn light_state(state: &str) -> Reply {
    Reply::ok(serde_json::json!({"status": {"state": state}}))
}

/// A list as the management side of MK.IO shows it.
fn items(kind: &str, items: Vec<serde_json::Value>) -> Reply {
    Reply::ok(serde_json::json!({"kind": kind, "items": items}))
}

/// The status of a PUT that made something or met something.
fn status(written: headwater_catalog::Written) -> http::StatusCode {
    match written {
        headwater_catalog::Written::Created => http::StatusCode::CREATED,
        headwater_catalog::Written::Existing => http::StatusCode::OK,
    }
}
