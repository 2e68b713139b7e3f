use jiff::SignedDuration;
use proptest::prelude::*;

use super::*;
use crate::query::Query;

const KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

fn key() -> AccountKey {
    AccountKey::from_base64(KEY).unwrap()
}

fn caller() -> Caller {
    Caller {
        now: "2026-11-22T18:00:00Z".parse().unwrap(),
        ip: "10.0.0.5".parse().ok(),
        https: true,
    }
}

fn check(query: &str, blob: Option<&str>) -> Result<Grant, SasError> {
    verify(
        &Query::parse(query).unwrap(),
        "local",
        Some("asset-1"),
        blob,
        &key(),
        caller(),
    )
}

/// Made by `azure-storage-blob` 12.31.1.
const PYTHON_CONTAINER: &str = "st=2020-01-01T00%3A00%3A00Z&se=2030-01-02T03%3A04%3A05Z&sp=rwl&sv=2026-10-06&sr=c&sig=zFLMEDaRBC0bqZgwrXNpXqoLjTJ4hft6fJbj6L6MwS4%3D";
const PYTHON_BLOB: &str = "se=2030-01-02T03%3A04%3A05Z&sp=r&sip=10.0.0.1-10.0.0.9&spr=https&sv=2026-10-06&sr=b&rscc=no-cache&rsct=video/mp4&sig=FL0T8TtnufEdstDmHB47uPVw1gSHHZ7U1D4N5tW3nhE%3D";
const PYTHON_ACCOUNT: &str = "se=2030-01-02T03%3A04%3A05Z&sp=rwdlc&sv=2026-10-06&ss=b&srt=sco&ses=sc&sig=gRKFBIxmqJNEfWGuN/k1/VuBJUxwddKFGTD2YNmJyBY%3D";
const BLOB: &str = "dir/ünï 1.mp4";

#[test]
fn signatures_of_the_python_sdk_verify() {
    let grant = check(PYTHON_CONTAINER, Some("any")).unwrap();
    assert_eq!(
        (grant.scope, grant.permissions.to_string().as_str()),
        (Scope::Container, "rwl")
    );
    let grant = check(PYTHON_BLOB, Some(BLOB)).unwrap();
    assert_eq!(grant.scope, Scope::Blob);
    assert_eq!(grant.overrides.content_type.as_deref(), Some("video/mp4"));
    assert_eq!(grant.overrides.cache_control.as_deref(), Some("no-cache"));
    let grant = check(PYTHON_ACCOUNT, None).unwrap();
    assert_eq!(
        grant.scope,
        Scope::Account {
            service: true,
            container: true,
            object: true
        }
    );
}

/// Signatures by Azurite 3.35.0's `generateBlobSASSignature`, one for each layout of the string to sign.
#[test]
fn every_layout_matches_azurite() {
    let vectors = [
        (
            "2015-04-05",
            "c",
            "6HFFC3pleR2otoecaMmapTo2fOmaXgcUF+KstuWAQ6Y=",
        ),
        (
            "2015-04-05",
            "b",
            "6JmtOaFgFbk2SOAAg+usnP1dFlYYH9rfkKSqY8qzBgY=",
        ),
        (
            "2018-11-09",
            "c",
            "UfiVXcG6H9+VWoUM9RqB3c3BQGPtq8CblM8SSnKGWmI=",
        ),
        (
            "2018-11-09",
            "b",
            "31EA2KJLdTlabaq80HsIrzPD21Dyog/80JDQ9BM895Y=",
        ),
        (
            "2020-12-06",
            "c",
            "gFhfEZhLQvPH4OUefvmra/GmV6+xlNgUf+TgoCZh254=",
        ),
        (
            "2020-12-06",
            "b",
            "oVd/eTaBtTbA7/YydcpnRYPPN370x3FKhY664blcVQ4=",
        ),
        (
            "2021-12-02",
            "c",
            "ICP4gDSFdmpQvDbTmb3EnQTvXnEmkE7S9vXeWSIj9xk=",
        ),
        (
            "2021-12-02",
            "b",
            "8y4NhNCsuSUnA1tnbtTG4dx6fqX3ct3Eqjn+9PLrgvw=",
        ),
    ];
    for (version, resource, signature) in vectors {
        let query = format!(
            "sp=rw&st=2020-01-01T00:00:00Z&se=2030-01-02T03:04:05Z&sip=10.0.0.1-10.0.0.9&spr=https,http&sv={version}&sr={resource}&rscc=no-cache&rsct=video/mp4&sig={}",
            encode_query(signature)
        );
        assert!(check(&query, Some(BLOB)).is_ok(), "{version} {resource}");
    }
    for (version, signature) in [
        ("2015-04-05", "twYekm8MGPt6wLeYIkqXk7QiBkOtOMIcBpFbbEZQNEw="),
        ("2020-12-06", "ApC3SWFug3YPWjntPaYlRr8oZMLGxocAhJMyr2RWTZ4="),
    ] {
        let query = format!(
            "sp=rwl&ss=b&srt=co&se=2030-01-02T03:04:05Z&sv={version}&sig={}",
            encode_query(signature)
        );
        let grant = check(&query, None).unwrap();
        assert_eq!(
            grant.scope,
            Scope::Account {
                service: false,
                container: true,
                object: true
            }
        );
        let sas = AccountSas {
            permissions: Permissions::parse("rwl").unwrap(),
            resource_types: "co".to_owned(),
            start: None,
            expiry: "2030-01-02T03:04:05Z".parse().unwrap(),
            protocol: None,
            ip: None,
            version: version.to_owned(),
        };
        assert!(
            sas.sign("local", &key())
                .ends_with(&format!("sig={}", encode_query(signature))),
            "{version}"
        );
    }
}

#[test]
fn a_signature_holds_for_its_resource_only() {
    assert!(matches!(
        check(PYTHON_BLOB, Some("dir/other.mp4")),
        Err(SasError::WrongSignature { .. })
    ));
    assert_eq!(check(PYTHON_BLOB, None), Err(SasError::Malformed("sr")));
    let query = Query::parse(PYTHON_CONTAINER).unwrap();
    let other =
        |account, container| verify(&query, account, Some(container), None, &key(), caller());
    assert!(matches!(
        other("local", "asset-2"),
        Err(SasError::WrongSignature { .. })
    ));
    assert!(matches!(
        other("remote", "asset-1"),
        Err(SasError::WrongSignature { .. })
    ));
    let widened = PYTHON_CONTAINER.replace("sp=rwl", "sp=rwdl");
    assert!(matches!(
        check(&widened, None),
        Err(SasError::WrongSignature { .. })
    ));
    let longer = PYTHON_CONTAINER.replace("se=2030", "se=2031");
    assert!(matches!(
        check(&longer, None),
        Err(SasError::WrongSignature { .. })
    ));
}

#[test]
fn time_protocol_and_address_are_honoured() {
    let query = Query::parse(PYTHON_BLOB).unwrap();
    let at = |caller| verify(&query, "local", Some("asset-1"), Some(BLOB), &key(), caller);
    assert!(at(caller()).is_ok());
    assert_eq!(
        at(Caller {
            https: false,
            ..caller()
        }),
        Err(SasError::Protocol)
    );
    assert_eq!(
        at(Caller {
            ip: "10.0.0.10".parse().ok(),
            ..caller()
        }),
        Err(SasError::SourceIp)
    );
    assert_eq!(
        at(Caller {
            ip: None,
            ..caller()
        }),
        Err(SasError::SourceIp)
    );
    assert!(
        at(Caller {
            ip: "::ffff:10.0.0.9".parse().ok(),
            ..caller()
        })
        .is_ok()
    );
    let late: Timestamp = "2030-01-02T03:04:05Z".parse().unwrap();
    assert!(matches!(
        at(Caller {
            now: late,
            ..caller()
        }),
        Err(SasError::Expired(_))
    ));
    assert!(
        at(Caller {
            now: late - SignedDuration::from_secs(1),
            ..caller()
        })
        .is_ok()
    );
    let query = Query::parse(PYTHON_CONTAINER).unwrap();
    let early: Timestamp = "2019-12-31T23:59:59Z".parse().unwrap();
    let result = verify(
        &query,
        "local",
        Some("asset-1"),
        None,
        &key(),
        Caller {
            now: early,
            ..caller()
        },
    );
    assert!(matches!(result, Err(SasError::NotYetValid(_))));
}

#[test]
fn what_cannot_be_checked_is_refused() {
    assert_eq!(
        check("sv=2021-12-02&sr=c", None),
        Err(SasError::Missing("sig"))
    );
    assert_eq!(
        check("sv=2014-02-14&sr=c&sig=x", None),
        Err(SasError::Version)
    );
    assert_eq!(check("sv=latest&sr=c&sig=x", None), Err(SasError::Version));
    assert!(matches!(
        check("sv=2021-12-02&sr=c&si=policy&sig=x", None),
        Err(SasError::Unsupported(_))
    ));
    assert!(matches!(
        check("sv=2021-12-02&sr=c&skoid=1&sig=x", None),
        Err(SasError::Unsupported(_))
    ));
    assert!(matches!(
        check("sv=2021-12-02&sr=d&sig=x", None),
        Err(SasError::Unsupported(_))
    ));
    assert_eq!(
        check(&format!("{PYTHON_CONTAINER}&sp=d"), None),
        Err(SasError::Duplicate("sp"))
    );
    assert_eq!(
        check(&format!("{PYTHON_CONTAINER}&SP=d"), None),
        Err(SasError::Duplicate("sp"))
    );
    assert_eq!(
        check("ss=f&srt=sco&sv=2021-12-02&sig=x", None),
        Err(SasError::Malformed("ss"))
    );
}

#[test]
fn an_unsigned_expiry_is_not_eternal() {
    // Signed without `se`: valid HMAC, no end.
    let fields = ServiceFields {
        permissions: "r",
        version: "2021-12-02",
        resource: "c",
        ..ServiceFields::default()
    };
    let text = fields.string_to_sign(&canonical_name("local", "asset-1", None));
    let query = format!(
        "sp=r&sv=2021-12-02&sr=c&sig={}",
        encode_query(&key().sign(&text))
    );
    assert_eq!(check(&query, None), Err(SasError::Missing("se")));
}

proptest! {
    #[test]
    fn what_we_sign_we_accept(
        blob in proptest::option::of("[a-zA-Z0-9 /%&=+ü日]{1,40}"),
        letters in "[rcwdl]{1,5}",
        minutes in 1i64..10_000,
    ) {
        let permissions = Permissions::parse(&letters).unwrap();
        let expiry = caller().now + SignedDuration::from_mins(minutes);
        let mut sas = ServiceSas::for_container("asset-1", permissions, expiry);
        sas.blob = blob.clone();
        let grant = check(&sas.sign("local", &key()), blob.as_deref()).unwrap();
        prop_assert_eq!(grant.permissions, permissions);
    }

    #[test]
    fn arbitrary_queries_never_verify(raw in "\\PC{0,200}") {
        if let Ok(query) = Query::parse(&raw) {
            prop_assert!(verify(&query, "local", Some("asset-1"), None, &key(), caller()).is_err());
        }
    }
}
