//! One authorised request, with what its handler needs.

use std::cell::Cell;

use headwater_auth::{Caller, Permission};
use headwater_catalog::Moment;
use headwater_catalog::assets::Asset;
use headwater_catalog::projects::Project;
use headwater_catalog::query::Listing;
use headwater_seal::Seal;
use serde_json::Value as Json;

use crate::access::place;
use crate::dialect::Dialect;
use crate::error::ApiError;
use crate::query::Url;
use crate::routes::Vars;
use crate::{Incoming, Settings, json};

pub(crate) struct Call<'a, S, C> {
    pub sql: &'a S,
    pub http: &'a C,
    pub seal: &'a Seal,
    pub settings: &'a Settings,
    pub moment: Moment<'a>,
    pub dialect: Dialect,
    pub vars: Vars,
    /// Of the path, if it names one.
    pub project: Option<Project>,
    /// The asset of the path, where it was read along with rights and project; there for the first who takes it.
    pub asset: Cell<Option<Asset>>,
    /// Whose token it is, if one was needed.
    pub caller: Option<Caller>,
    pub incoming: Incoming<'a>,
}

impl<S, C> Call<'_, S, C> {
    /// The project of a path that has one.
    pub(crate) fn project(&self) -> Result<&Project, ApiError> {
        self.project.as_ref().ok_or_else(|| {
            ApiError::internal("a route without a project reached a handler that needs one")
        })
    }

    /// Who calls, on a route that asks for a token.
    pub(crate) fn caller(&self) -> Result<&Caller, ApiError> {
        self.caller.as_ref().ok_or_else(|| {
            ApiError::internal("a route without a token reached a handler that needs one")
        })
    }

    /// Whether the caller may do this in the project of the path: what is shown may depend on it.
    pub(crate) fn may(&self, permission: Permission) -> bool {
        self.caller
            .as_ref()
            .is_some_and(|caller| caller.may(permission, place(self.project.as_ref())))
    }

    /// Whether the caller has anything to do with a project.
    pub(crate) fn reaches(&self, project: &Project) -> bool {
        self.caller
            .as_ref()
            .is_some_and(|caller| caller.reaches(project.id.as_str(), &project.name))
    }

    /// A variable of the path.
    pub(crate) fn var(&self, name: &str) -> &str {
        self.vars.get(name)
    }

    /// The request's body as JSON.
    pub(crate) fn body(&self) -> Result<Json, ApiError> {
        json::parse(self.incoming.body).map_err(|bad| {
            let field = if bad.field.is_empty() {
                "body".to_owned()
            } else {
                bad.field
            };
            ApiError::invalid(field, bad.reason)
        })
    }

    /// What a list call asks for.
    pub(crate) fn listing(&self) -> Result<Listing, ApiError> {
        self.incoming.query.listing(self.dialect)
    }

    /// Where a list was asked for.
    pub(crate) fn url(&self) -> Url<'_> {
        Url {
            origin: &self.incoming.origin,
            path: self.incoming.path,
            query: &self.incoming.query,
        }
    }

    /// Whether the request came in on the AMS surface.
    pub(crate) fn is_arm(&self) -> bool {
        self.dialect == Dialect::Arm
    }
}
