//! Whose token a request brings, and whether it is good for what is asked.

use headwater_auth::issuer::unchecked_issuer;
use headwater_auth::{
    AuthError, Caller, Capabilities, Claims, Grant, Issuer, Over, Place, Powers, SubjectKind,
    Verified, Verifier,
};
use headwater_blob::HttpClient;
use headwater_catalog::projects::{Asked, Brought, Project};
use headwater_catalog::rights::{self, Standing, TokenId};
use headwater_catalog::{Sql, teams};
use http::{HeaderMap, header};
use jiff::Timestamp;

use crate::error::{ApiError, Kind};
use crate::routes::{Access, Matched};
use crate::{Api, verifier};

impl<S: Sql, C: HttpClient> Api<'_, S, C> {
    /// Whoever asks, and what is `asked` about where it could be read along with their rights.
    pub(crate) async fn authenticate(
        &self,
        headers: &HeaderMap,
        asked: Option<Asked<'_>>,
    ) -> Result<(Caller, Brought), ApiError> {
        let token = needed(headers)?;
        match self.foreign_issuer(token) {
            Some(issuer) => Ok((self.foreigner(issuer, token).await?, Brought::default())),
            None => self.own(token, asked).await,
        }
    }

    /// Somebody with a token of ours.
    async fn own(
        &self,
        token: &str,
        asked: Option<Asked<'_>>,
    ) -> Result<(Caller, Brought), ApiError> {
        let Verified { claims, kid } = self.verified(token, Verifier::verify).await?;
        let standing = self.standing(&claims, &kid, asked).await?;
        if standing.revoked {
            return Err(refuse("it has been revoked"));
        }
        let mut caller = Caller::new(claims, standing.grants);
        match (&caller.project, standing.project) {
            (None, held) => caller.project = held,
            // Made for one project, of a client that is held to another meanwhile.
            (Some(own), Some(held)) if *own != held => caller.grants.clear(),
            (Some(_), _) => {}
        }
        Ok((caller, standing.brought))
    }

    /// Whoever holds a token for the files of one asset. The asset's id is its subject; it grants nothing else.
    pub(crate) async fn reader_of_files(&self, headers: &HeaderMap) -> Result<Caller, ApiError> {
        let token = needed(headers)?;
        let Verified { claims, kid } = self.verified(token, Verifier::verify_for_files).await?;
        let id = TokenId {
            jti: &claims.jti,
            kid: &kid,
        };
        if rights::is_token_revoked(self.sql, id).await? {
            return Err(refuse("it has been revoked"));
        }
        Ok(Caller::new(
            claims,
            vec![everywhere(Powers::Custom(Capabilities::default()))],
        ))
    }

    /// `check`: which kind of token of ours it has to be.
    async fn verified(
        &self,
        token: &str,
        check: impl Fn(&Verifier, &str, Timestamp) -> Result<Verified, AuthError>,
    ) -> Result<Verified, ApiError> {
        let verified = match check(self.verifier, token, self.now) {
            // Signed with a key that was made since the verifier was.
            Err(AuthError::UnknownKey) => {
                let newer = verifier(self.sql, self.settings, self.now).await?;
                check(&newer, token, self.now)
            }
            verified => verified,
        };
        verified.map_err(|error| refuse(&error.to_string()))
    }

    async fn standing(
        &self,
        claims: &Claims,
        kid: &str,
        asked: Option<Asked<'_>>,
    ) -> Result<Standing, ApiError> {
        let (sql, subject) = (self.sql, claims.sub.as_str());
        let token = TokenId {
            jti: &claims.jti,
            kid,
        };
        match claims.idtyp {
            Some(SubjectKind::User) => rights::of_user(sql, subject, token, asked)
                .await?
                .ok_or_else(|| refuse("its user is not active here")),
            Some(SubjectKind::App) => rights::of_client(sql, subject, token, asked)
                .await?
                .ok_or_else(|| refuse("its client does not exist any more")),
            None => {
                let roles = claims.roles.iter().flatten().copied();
                Ok(Standing {
                    grants: roles.map(Powers::Role).map(everywhere).collect(),
                    ..rights::of_nobody(sql, token, asked).await?
                })
            }
        }
    }

    /// The other authority that a token claims to be of, if it is one that we trust.
    fn foreign_issuer(&self, token: &str) -> Option<&Issuer> {
        let issuers = &self.settings.issuers;
        if issuers.is_empty() {
            return None;
        }
        let named = unchecked_issuer(token)?;
        issuers.iter().find(|issuer| issuer.issuer == named)
    }

    /// Somebody whom another authority vouches for.
    async fn foreigner(&self, issuer: &Issuer, token: &str) -> Result<Caller, ApiError> {
        let known = self.issuer_keys.known(issuer, self.http, self.now).await?;
        let verified = match issuer.verify(&known, token, self.now) {
            // Signed with a key that was published since.
            Err(AuthError::UnknownKey) => {
                let newer = self.issuer_keys.newer(issuer, self.http, self.now).await?;
                issuer.verify(&newer, token, self.now)
            }
            verified => verified,
        };
        let foreigner = verified.map_err(|error| refuse(&error.to_string()))?;
        let powers = rights::of_roles(self.sql, &foreigner.roles).await?;
        Ok(Caller {
            // Unique together only: it must not be taken for one of ours.
            subject: format!("{}|{}", issuer.issuer, foreigner.subject),
            kind: None,
            token_id: None,
            foreign: Some(issuer.issuer.clone()),
            grants: powers.into_iter().map(everywhere).collect(),
            roles: None,
            project: issuer.project.clone(),
            permissions: None,
        })
    }

    /// Errors: 403 if the caller may not do what the route is for.
    pub(crate) async fn authorise(
        &self,
        caller: &Caller,
        matched: &Matched,
        project: Option<&Project>,
    ) -> Result<(), ApiError> {
        let access = matched.route.access;
        let Some(needed) = access.permission() else {
            return Ok(());
        };
        if caller.may(needed, place(project)) {
            return Ok(());
        }
        if matches!(access, Access::TeamAdmin(_))
            && caller.is_user()
            && caller.is_unlimited()
            && teams::is_admin(self.sql, matched.vars.get("team"), &caller.subject).await?
        {
            return Ok(());
        }
        Err(ApiError::new(
            Kind::PermissionDenied,
            format!(
                "The token's roles do not allow this ({:?} {:?}).",
                needed.verb, needed.kind
            ),
        ))
    }
}

/// A project, or what is outside of any, as rights see it.
pub(crate) fn place(project: Option<&Project>) -> Place<'_> {
    match project {
        None => Place::Organization,
        Some(project) => Place::Project {
            id: project.id.as_str(),
            name: &project.name,
        },
    }
}

fn everywhere(powers: Powers) -> Grant {
    Grant {
        over: Over::Organization,
        powers,
    }
}

fn refuse(reason: &str) -> ApiError {
    ApiError::new(
        Kind::Unauthenticated,
        format!("The token is not accepted: {reason}."),
    )
}

fn needed(headers: &HeaderMap) -> Result<&str, ApiError> {
    token(headers).ok_or_else(|| {
        ApiError::new(
            Kind::Unauthenticated,
            "A token is needed: 'Authorization: Bearer <token>' or 'x-mkio-token: <token>'.",
        )
    })
}

fn token(headers: &HeaderMap) -> Option<&str> {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| {
        let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
        scheme
            .eq_ignore_ascii_case("bearer")
            .then_some(token.trim())
    });
    let older = || headers.get("x-mkio-token")?.to_str().ok().map(str::trim);
    bearer.or_else(older).filter(|token| !token.is_empty())
}
