//! How a worker on a machine of its own reaches its installation, checked before it starts.
//!
//! What is wrong for good (an address that is none, a certificate that is none, a token that has run out or is refused) ends the
//! process with the setting's name. An API that is merely away is waited for: it may start later than its workers.

use crate::client::ApiClient;
use crate::fault::{self, Fault, Kind};
use crate::health::{Ask, Health};
use crate::{files, metrics};
use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Parser;
use http::{Method, StatusCode};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

#[derive(Parser)]
pub(crate) struct Connect {
    /// Where the API answers, e.g. `https://video.example.com`.
    #[arg(long, env = "HEADWATER_API_URL")]
    pub(crate) api_url: String,
    /// A token of role `worker` (`headwater token --role worker`). Better in the environment than on the command line.
    #[arg(long, env = "HEADWATER_TOKEN", hide_env_values = true)]
    pub(crate) token: String,
    /// A PEM file of roots to trust besides the public ones.
    #[arg(long, env = "HEADWATER_CA_FILE")]
    ca_file: Option<PathBuf>,
    /// Address of `/livez`, `/readyz` and `/metrics`; without it there is none.
    #[arg(long, env = "HEADWATER_HEALTH_LISTEN", value_parser = crate::up::address)]
    health_listen: Option<SocketAddr>,
}

/// How far this machine's clock may be off the API's before somebody should know.
const SKEW: SignedDuration = SignedDuration::from_secs(60);
/// How long the first question may take.
const FIRST: Duration = Duration::from_secs(5);

impl Connect {
    /// Checks the settings, asks the API whether it takes the token, and answers probes from then on.
    ///
    /// Ok: the file of roots, read.
    pub(crate) async fn start(&self) -> Result<(Option<Vec<u8>>, Arc<Health>)> {
        let ca = self.check(Timestamp::now())?;
        let client = ApiClient::to(&self.api_url, &self.token, self.ca_file.as_deref())?;
        self.first(&client).await?;
        let health = Health::new(vec![("api", api_answers(client))]);
        if let Some(address) = self.health_listen {
            metrics::serve(address, health.clone(), fault::HEALTH_LISTEN).await?;
        }
        Ok((ca, health))
    }

    /// What can be said without asking anybody.
    fn check(&self, now: Timestamp) -> Result<Option<Vec<u8>>> {
        origin(&self.api_url, fault::API_URL)?;
        lifetime(&self.token, now)?;
        files::ca(self.ca_file.as_deref())
    }

    async fn first(&self, client: &ApiClient) -> Result<()> {
        // An empty report on a job that cannot be: whoever may work is told that it is wrong, and nothing comes of it.
        let path = "/internal/v1/jobs/00000000-0000-0000-0000-000000000000/renew";
        let asked = client.ask(Method::POST, path);
        let answer = match tokio::time::timeout(FIRST, asked).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                tracing::warn!("{} does not answer yet: {error:#}", fault::API_URL);
                return Ok(());
            }
            Err(_) => {
                tracing::warn!("{} does not answer yet", fault::API_URL);
                return Ok(());
            }
        };
        if let Some(date) = answer.headers().get(http::header::DATE)
            && let Some(skew) = date
                .to_str()
                .ok()
                .and_then(|date| skew(date, Timestamp::now()))
            && skew.abs() > SKEW
        {
            tracing::warn!(
                "this machine's clock is {} s off the API's: leases and signed URLs depend on it",
                skew.as_secs()
            );
        }
        accepted(answer.status())
    }
}

/// What the API's answer to the first question says about the settings.
fn accepted(status: StatusCode) -> Result<()> {
    let fault = match status {
        StatusCode::UNAUTHORIZED => Fault::new(
            Kind::Refused,
            format_args!(
                "{}: the API at {} does not accept it: another installation's, revoked, or run out",
                fault::TOKEN,
                fault::API_URL
            ),
        ),
        StatusCode::FORBIDDEN => Fault::new(
            Kind::Refused,
            format_args!(
                "{}: it gives no right to work; `headwater token --role worker` makes one",
                fault::TOKEN
            ),
        ),
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => Fault::new(
            Kind::Configuration,
            format_args!("{}: what answers there is no Headwater", fault::API_URL),
        ),
        _ => return Ok(()),
    };
    Err(fault.into())
}

/// Makes sure that `text` is `http://host[:port]` or with `https`, with nothing behind it but a slash.
pub(crate) fn origin(text: &str, setting: fault::Setting) -> Result<http::Uri> {
    let url = base(text, setting)?;
    if !matches!(url.path(), "" | "/") || url.query().is_some() {
        let why = format!("{text:?} has a path; scheme, host and port are asked for");
        return Err(Fault::bad(setting, why));
    }
    Ok(url)
}

/// Makes sure that `text` is a URL with `http` or `https` and a host.
pub(crate) fn base(text: &str, setting: fault::Setting) -> Result<http::Uri> {
    let wrong = || {
        let why = format!("{text:?} is no URL like https://video.example.com");
        Fault::bad(setting, why)
    };
    let url: http::Uri = text.parse().map_err(|_| wrong())?;
    if !matches!(url.scheme_str(), Some("http" | "https")) || url.host().is_none_or(str::is_empty) {
        return Err(wrong());
    }
    Ok(url)
}

#[derive(Deserialize)]
struct Lifetime {
    exp: Option<i64>,
}

/// Makes sure that a token is one and has not run out. Whether it is genuine, the API knows.
fn lifetime(token: &str, now: Timestamp) -> Result<()> {
    let bad = |why: String| Fault::bad(fault::TOKEN, why);
    let mut parts = token.split('.');
    let (Some(_), Some(claims), Some(_), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(bad("it is no token (three parts with dots between)".into()));
    };
    let claims = URL_SAFE_NO_PAD
        .decode(claims)
        .ok()
        .and_then(|json| serde_json::from_slice::<Lifetime>(&json).ok())
        .ok_or_else(|| bad("its middle part cannot be read: it was cut or changed".into()))?;
    match claims.exp.map(Timestamp::from_second) {
        Some(Ok(end)) if end <= now => {
            let what = format!(
                "{}: it ran out at {end}; `headwater token --role worker` makes a new one",
                fault::TOKEN
            );
            Err(Fault::new(Kind::Refused, what).into())
        }
        _ => Ok(()),
    }
}

/// How far `now` is ahead of an HTTP date.
fn skew(date: &str, now: Timestamp) -> Option<SignedDuration> {
    let theirs = jiff::fmt::rfc2822::parse(date).ok()?.timestamp();
    Some(now.duration_since(theirs))
}

/// Asks whether the API, and the catalog behind it, answers.
pub(crate) fn api_answers(client: ApiClient) -> Ask {
    Box::new(move || {
        let client = client.clone();
        Box::pin(async move {
            let answer = client.ask(Method::GET, "/api/ready").await;
            match answer.map(|answer| answer.status()) {
                Ok(status) if status.is_success() => Ok(()),
                Ok(status) => Err(format!("it answers {status}")),
                Err(error) => Err(format!("{error:#}")),
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(error: &anyhow::Error) -> Kind {
        error.downcast_ref::<Fault>().unwrap().kind
    }

    fn token(claims: &str) -> String {
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn addresses_are_origins() {
        for good in ["http://127.0.0.1:8080", "https://video.example.com/"] {
            origin(good, fault::API_URL).unwrap();
        }
        for bad in [
            "",
            "video.example.com",
            "ftp://a",
            "http://",
            "https://a/api/v1",
            "http://a?b",
        ] {
            let error = origin(bad, fault::API_URL).unwrap_err();
            assert_eq!(kind(&error), Kind::Configuration, "{bad}");
            assert!(
                error.to_string().contains("--api-url (HEADWATER_API_URL)"),
                "{error}"
            );
        }
        base("https://cdn.example.com/live", fault::STREAMING_URL).unwrap();
    }

    #[test]
    fn a_token_that_has_run_out_is_told_by_its_date_and_never_shown() {
        let now: Timestamp = "2026-11-26T12:00:00Z".parse().unwrap();
        lifetime(&token(r#"{"exp":1795694401}"#), now).unwrap();
        lifetime(&token("{}"), now).unwrap();
        let old = token(r#"{"exp":1795694399}"#);
        let error = lifetime(&old, now).unwrap_err();
        assert_eq!(kind(&error), Kind::Refused);
        let said = error.to_string();
        assert!(
            said.contains("--token (HEADWATER_TOKEN): it ran out at 2026-11-26T11:59:59Z"),
            "{said}"
        );
        for bad in ["", "abc", "a.b", "a.!.c", &token("[]"), "a.b.c.d"] {
            let error = lifetime(bad, now).unwrap_err();
            assert_eq!(kind(&error), Kind::Configuration, "{bad}");
        }
        assert!(!said.contains(&old));
    }

    #[test]
    fn the_first_answer_says_which_setting_is_wrong() {
        for (status, expected) in [
            (401, Kind::Refused),
            (403, Kind::Refused),
            (404, Kind::Configuration),
        ] {
            let error = accepted(StatusCode::from_u16(status).unwrap()).unwrap_err();
            assert_eq!(kind(&error), expected);
        }
        // 400 is what somebody who may work is told; whatever is the API's own trouble is waited for.
        for status in [400, 409, 429, 500, 503] {
            accepted(StatusCode::from_u16(status).unwrap()).unwrap();
        }
    }

    #[test]
    fn clocks_are_compared() {
        let now: Timestamp = "2026-11-26T12:00:30Z".parse().unwrap();
        let found = skew("Thu, 26 Nov 2026 12:00:00 GMT", now).unwrap();
        assert_eq!(found.as_secs(), 30);
        assert!(skew("yesterday", now).is_none());
    }
}
