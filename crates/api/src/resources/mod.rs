//! One file per kind of resource, and the match that leads to them.

mod account_changes;
mod account_create;
mod accounts;
mod asset_storage;
pub(crate) mod assets;
mod audit_log;
mod clients;
pub(crate) mod cross_site;
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

pub(crate) async fn dispatch<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
    operation: Op,
) -> Result<Reply, ApiError> {
    match operation {
        Op::Ready => service::ready(call).await,
        Op::OpenApi => Ok(openapi::serve(call.incoming.headers)),
        Op::Jwks => service::jwks(call).await,
        Op::Revoked => service::revoked(call).await,
        Op::OpenIdConfiguration => Ok(service::openid_configuration(call)),
        Op::IssueToken => service::issue_token(call).await,
        Op::SignInProviders => Ok(sign_in::providers(call)),

        Op::OperationList => Ok(accounts::operations()),
        Op::AccountListBySubscription | Op::AccountListByGroup => accounts::list(call).await,
        Op::AccountGet => accounts::get(call).await,
        Op::AccountPut => account_changes::put(call).await,
        Op::AccountUpdate => account_changes::update(call).await,
        Op::AccountDelete => account_changes::delete(call).await,
        Op::AccountSyncStorageKeys => account_changes::sync_storage_keys(call).await,
        Op::AccountEdgePolicies => account_changes::edge_policies(call),
        Op::AccountOperationStatus => account_changes::operation_status(call).await,
        Op::AccountOperationResult => account_changes::operation_result(call).await,
        Op::PrivateLinkList => Ok(account_changes::no_private_links()),
        Op::PrivateLinkGet => account_changes::no_such_link(call),
        Op::PrivateLinkPut => account_changes::no_new_link(),
        Op::PrivateLinkDelete => Ok(Reply::deleted(false)),
        Op::CheckNameAvailability => accounts::check_name(call).await,
        Op::ProjectList | Op::SubscriptionList => projects::list(call).await,
        Op::ProjectGet | Op::SubscriptionGet => projects::get(call),
        Op::ProfileGet => users::profile(call).await,
        Op::RbacGet => organization::rbac(call).await,
        Op::OrganizationGet => organization::get(call).await,
        Op::OrganizationUpdate => organization::update(call).await,
        Op::OrganizationCreate => organization::no_other(call),
        Op::OrganizationsOfUser => organization::of_user(call).await,
        Op::OrganizationOfUser => organization::one_of_user(call).await,
        Op::PaymentMethodList => Ok(organization::payment_methods()),
        Op::PaymentMethodGet | Op::PaymentMethodUpdate | Op::PaymentMethodAcceptTerms => {
            organization::no_payment_method(call)
        }
        Op::RoleList => roles::list(call).await,
        Op::RoleGet => roles::get(call).await,
        Op::ScopeList => organization::scopes(call).await,
        Op::ScopeGet => organization::scope(call).await,
        Op::OwnTokenList => tokens::own_list(call).await,
        Op::OwnTokenCreate => tokens::create(call).await,
        Op::OwnTokenGet => tokens::own_get(call).await,
        Op::OwnTokenRevoke => tokens::own_revoke(call).await,
        Op::OwnTokenRevokeAll => tokens::own_revoke_all(call).await,
        Op::TokenListAll => tokens::all_list(call).await,
        Op::TokenGet => tokens::any_get(call).await,
        Op::TokenRevoke => tokens::all_revoke(call).await,
        Op::StatsGet => accounts::stats(call).await,
        Op::LocationList => accounts::list_locations(call).await,
        Op::LocationGet => accounts::get_location(call).await,

        Op::StorageList => storage::list(call).await,
        Op::StorageGet => storage::get(call).await,
        Op::StoragePut => storage::put(call).await,
        Op::StorageCreate => storage::create(call).await,
        Op::StorageUpdate => storage::update(call).await,
        Op::StorageDelete => storage::delete(call).await,
        Op::CredentialList => storage_credentials::list(call).await,
        Op::CredentialCreate => storage_credentials::create(call).await,
        Op::CredentialGet => storage_credentials::get(call).await,
        Op::CredentialDelete => storage_credentials::delete(call).await,
        Op::FileAccessInfo => file_access::info(call).await,
        Op::FileRead => file_access::read(call).await,
        Op::FileDownload => file_access::download(call).await,
        Op::ProjectPut => projects::put(call).await,
        Op::ProjectUpdate => projects::update(call).await,
        Op::ProjectPaymentMethodGet => projects::payment_method(call),
        Op::ProjectPaymentMethodSet => projects::set_payment_method(call),
        Op::MetricsEndpointGet => projects::metrics_endpoint(call),
        Op::MetricsEndpointUpdate => projects::set_metrics_endpoint(call),
        Op::UsageGet => usage::month_to_date(call).await,
        Op::UsageReport => usage::report(call).await,

        Op::AssetList => assets::list(call).await,
        Op::AssetGet => assets::get(call).await,
        Op::AssetPut => assets::put(call).await,
        Op::AssetUpdate => assets::update(call).await,
        Op::AssetDelete => assets::delete(call).await,
        Op::AssetState => assets::state(call).await,
        Op::AssetContainerSas => assets::container_sas(call).await,
        Op::AssetLocators => assets::locators(call).await,
        Op::AssetStorage => asset_storage::get(call).await,
        Op::AssetStreaming => streaming_report::get(call).await,
        Op::Import => imports::import(call).await,

        Op::AssetEncryptionKey => assets::encryption_key(call).await,
        Op::TrackList => tracks::list(call).await,
        Op::TrackGet => tracks::get(call).await,
        Op::TrackPut => tracks::put(call).await,
        Op::TrackUpdate => tracks::update(call).await,
        Op::TrackDelete => tracks::delete(call).await,
        Op::TrackUpdateData => tracks::update_data(call).await,
        Op::TrackOperationStatus => tracks::operation_status(call).await,
        Op::TrackOperationResult => tracks::operation_result(call).await,

        Op::TransformList => transforms::list(call).await,
        Op::TransformGet => transforms::get(call).await,
        Op::TransformPut => transforms::put(call).await,
        Op::TransformUpdate => transforms::update(call).await,
        Op::TransformDelete => transforms::delete(call).await,

        Op::JobListAll | Op::JobList => jobs::list(call).await,
        Op::JobGet => jobs::get(call).await,
        Op::JobPut => jobs::put(call).await,
        Op::JobUpdate => jobs::update(call).await,
        Op::JobDelete => jobs::delete(call).await,
        Op::JobState => jobs::state(call).await,
        Op::JobCancel => jobs::cancel(call).await,

        Op::FilterList => filters::list(call).await,
        Op::FilterGet => filters::get(call).await,
        Op::FilterPut => filters::put(call).await,
        Op::FilterUpdate => filters::update(call).await,
        Op::FilterDelete => filters::delete(call).await,

        Op::KeyPolicyList => key_policies::list(call).await,
        Op::KeyPolicyGet => key_policies::get(call).await,
        Op::KeyPolicyPut => key_policies::put(call).await,
        Op::KeyPolicyUpdate => key_policies::update(call).await,
        Op::KeyPolicyDelete => key_policies::delete(call).await,
        Op::KeyPolicyState => key_policies::state(call).await,
        Op::KeyPolicySecrets => key_policies::with_secrets(call).await,

        Op::PolicyList => policies::list(call).await,
        Op::PolicyGet => policies::get(call).await,
        Op::PolicyPut => policies::put(call).await,
        Op::PolicyDelete => policies::delete(call).await,

        Op::LocatorList => locators::list(call).await,
        Op::LocatorGet => locators::get(call).await,
        Op::LocatorPut => locators::put(call).await,
        Op::LocatorDelete => locators::delete(call).await,
        Op::LocatorState => locators::state(call).await,
        Op::LocatorPaths => locator_paths::paths(call).await,
        Op::LocatorContentKeys => locators::content_keys(call).await,

        Op::EndpointList => endpoints::list(call).await,
        Op::EndpointGet => endpoints::get(call).await,
        Op::EndpointPut => endpoints::put(call).await,
        Op::EndpointUpdate => endpoints::update(call).await,
        Op::EndpointDelete => endpoints::delete(call).await,
        Op::EndpointSkus => endpoints::skus(call).await,
        Op::EndpointScale => endpoints::scale(call).await,
        Op::EndpointState => endpoints::state(call).await,
        Op::EndpointStart => endpoints::start(call).await,
        Op::EndpointStop => endpoints::stop(call).await,
        Op::EndpointOperationStatus => endpoints::operation_status(call).await,
        Op::EndpointOperationResult => endpoints::operation_result(call).await,

        Op::LiveEventList => live_events::list(call).await,
        Op::LiveEventGet => live_events::get(call).await,
        Op::LiveEventPut => live_events::put(call).await,
        Op::LiveEventUpdate => live_events::update(call).await,
        Op::LiveEventDelete => live_events::delete(call).await,
        Op::LiveEventState => live_events::state(call).await,
        Op::LiveEventHealth => live_health::get(call).await,
        Op::LiveEventAllocate => live_events::act(call, Action::Allocate).await,
        Op::LiveEventStart => live_events::act(call, Action::Start).await,
        Op::LiveEventReset => live_events::act(call, Action::Reset).await,
        Op::LiveEventStop => live_events::stop(call).await,
        Op::LiveEventOperationStatus => live_events::operation_status(call).await,
        Op::LiveEventOperationResult => live_events::operation_result(call).await,
        Op::LiveOutputList => live_outputs::list(call).await,
        Op::LiveOutputGet => live_outputs::get(call).await,
        Op::LiveOutputPut => live_outputs::put(call).await,
        Op::LiveOutputDelete => live_outputs::delete(call).await,
        Op::LiveOutputState => live_outputs::state(call).await,
        Op::LiveOutputOperationStatus => live_outputs::operation_status(call).await,
        Op::LiveOutputOperationResult => live_outputs::operation_result(call).await,
        Op::LiveWorkClaim => live_work::claim(call).await,
        Op::LiveWorkRenew => live_work::renew(call).await,
        Op::LiveWorkRelease => live_work::release(call).await,

        Op::UploadRuleList => upload_rules::list(call).await,
        Op::UploadRuleGet => upload_rules::get(call).await,
        Op::UploadRulePut => upload_rules::put(call).await,
        Op::UploadRuleDelete => upload_rules::delete(call).await,

        Op::PublishedList => published::list(call).await,

        Op::WorkClaim => work::claim(call).await,
        Op::WorkRenew => work::renew(call).await,
        Op::WorkShare => work::share(call).await,
        Op::WorkTake => work::take(call).await,
        Op::WorkRecords => work::records(call).await,
        Op::WorkPlaces => work::places(call).await,
        Op::WorkAssist => work::assist(call).await,
        Op::WorkFinish => work::finish(call).await,

        Op::UserList => users::list(call).await,
        Op::UserGet => users::get(call).await,
        Op::UserDelete => users::delete(call).await,
        Op::ProfileUpdate => users::update_profile(call).await,
        Op::ProfileReplace => users::replace_profile(call).await,
        Op::OrganizationAccept => organization::accept(call).await,
        Op::OrganizationLeave => organization::leave(call).await,
        Op::InviteList => invites::list(call).await,
        Op::InviteCreate => invites::create(call).await,
        Op::InviteGet => invites::get(call).await,
        Op::InviteDelete => invites::delete(call).await,
        Op::InviteAccept => invites::accept(call).await,
        Op::TeamList => teams::list(call).await,
        Op::TeamGet => teams::get(call).await,
        Op::TeamPut => teams::put(call).await,
        Op::TeamUpdate => teams::update(call).await,
        Op::TeamDelete => teams::delete(call).await,
        Op::RolePut => roles::put(call).await,
        Op::RoleDelete => roles::delete(call).await,
        Op::ClientList => clients::list(call).await,
        Op::ClientGet => clients::get(call).await,
        Op::ClientPut => clients::put(call).await,
        Op::ClientRotateSecret => clients::rotate(call).await,
        Op::ClientDelete => clients::delete(call).await,
        Op::SigningKeyList => signing_keys::list(call).await,
        Op::SigningKeyRotate => signing_keys::rotate(call).await,
        Op::SigningKeyRevoke => signing_keys::revoke(call).await,
        Op::WebhookRuleList => webhooks::list(call).await,
        Op::WebhookRuleGet => webhooks::get(call).await,
        Op::WebhookRulePut => webhooks::put(call).await,
        Op::WebhookRuleDelete => webhooks::delete(call).await,
        Op::WebhookEventList => webhooks::log(call).await,
        Op::WebhookClaim => notices::claim(call).await,
        Op::WebhookReport => notices::report(call).await,
        Op::LiveFacts => facts::report(call).await,
        Op::AuditLogList => audit_log::list(call).await,
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
