//! One file per kind of resource, and the match that leads to them.

mod account_changes;
mod accounts;
pub(crate) mod assets;
pub(crate) mod endpoints;
pub(crate) mod filters;
pub(crate) mod jobs;
pub(crate) mod key_policies;
pub(crate) mod key_policy_options;
pub(crate) mod locators;
mod organization;
mod policies;
mod published;
mod service;
mod storage;
mod tokens;
mod transforms;
mod upload_rules;
mod work;

use headwater_blob::HttpClient;
use headwater_catalog::Sql;

use crate::call::Call;
use crate::error::ApiError;
use crate::openapi;
use crate::reply::Reply;
use crate::routes::Operation as Op;

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

        Op::OperationList => Ok(accounts::operations()),
        Op::AccountListBySubscription | Op::AccountListByGroup => accounts::list(call).await,
        Op::AccountGet => accounts::get(call).await,
        Op::AccountPut => account_changes::put(call).await,
        Op::AccountUpdate => account_changes::update(call).await,
        Op::AccountDelete => account_changes::delete(call),
        Op::AccountSyncStorageKeys => account_changes::sync_storage_keys(call).await,
        Op::AccountEdgePolicies => account_changes::edge_policies(call),
        Op::AccountOperationStatus => account_changes::operation_status(call).await,
        Op::AccountOperationResult => account_changes::operation_result(call).await,
        Op::PrivateLinkList => Ok(account_changes::no_private_links()),
        Op::PrivateLinkGet => account_changes::no_such_link(call),
        Op::PrivateLinkPut => account_changes::no_new_link(),
        Op::PrivateLinkDelete => Ok(Reply::deleted(false)),
        Op::CheckNameAvailability => accounts::check_name(call).await,
        Op::ProjectList => accounts::list_projects(call).await,
        Op::ProjectGet => accounts::get_project(call),
        Op::ProfileGet => accounts::profile(call),
        Op::RbacGet => organization::rbac(call).await,
        Op::OrganizationGet => Ok(organization::get()),
        Op::OrganizationsOfUser => Ok(organization::of_user()),
        Op::OrganizationOfUser => organization::one_of_user(call),
        Op::PaymentMethodList => Ok(organization::payment_methods()),
        Op::PaymentMethodGet => organization::no_payment_method(call),
        Op::RoleList => Ok(organization::roles()),
        Op::RoleGet => organization::role(call),
        Op::ScopeList => organization::scopes(call).await,
        Op::ScopeGet => organization::scope(call).await,
        Op::OwnTokenList => tokens::own_list(call).await,
        Op::OwnTokenCreate => tokens::create(call).await,
        Op::OwnTokenGet => tokens::own_get(call).await,
        Op::OwnTokenRevoke => tokens::own_revoke(call).await,
        Op::OwnTokenRevokeAll => tokens::own_revoke_all(call).await,
        Op::TokenListAll => tokens::all_list(call).await,
        Op::TokenRevoke => tokens::all_revoke(call).await,
        Op::StatsGet => accounts::stats(call).await,
        Op::LocationList => accounts::list_locations(call).await,
        Op::LocationGet => accounts::get_location(call).await,

        Op::StorageList => storage::list(call).await,
        Op::StorageGet => storage::get(call).await,

        Op::AssetList => assets::list(call).await,
        Op::AssetGet => assets::get(call).await,
        Op::AssetPut => assets::put(call).await,
        Op::AssetUpdate => assets::update(call).await,
        Op::AssetDelete => assets::delete(call).await,
        Op::AssetState => assets::state(call).await,
        Op::AssetContainerSas => assets::container_sas(call).await,
        Op::AssetLocators => assets::locators(call).await,
        Op::AssetStorage => assets::storage(call).await,

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
        Op::LocatorPaths => locators::paths(call).await,
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

        Op::UploadRuleList => upload_rules::list(call).await,
        Op::UploadRuleGet => upload_rules::get(call).await,
        Op::UploadRulePut => upload_rules::put(call).await,
        Op::UploadRuleDelete => upload_rules::delete(call).await,

        Op::PublishedList => published::list(call).await,

        Op::WorkClaim => work::claim(call).await,
        Op::WorkRenew => work::renew(call).await,
        Op::WorkFinish => work::finish(call).await,
    }
}

/// A light state, as MK.IO's `/state` routes answer.
fn light_state(state: &str) -> Reply {
    Reply::ok(serde_json::json!({"status": {"state": state}}))
}

/// The status of a PUT that made something or met something.
fn status(written: headwater_catalog::Written) -> http::StatusCode {
    match written {
        headwater_catalog::Written::Created => http::StatusCode::CREATED,
        headwater_catalog::Written::Existing => http::StatusCode::OK,
    }
}
