use super::*;
use crate::sas::{AccountSas, ServiceSas};
use crate::server::operation::{ListBlobs, ListContainers};

const KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

fn key() -> AccountKey {
    AccountKey::from_base64(KEY).unwrap()
}

fn caller() -> Caller {
    Caller {
        now: "2026-11-22T18:00:00Z".parse().unwrap(),
        ip: None,
        https: false,
    }
}

fn expiry() -> jiff::Timestamp {
    "2026-11-23T18:00:00Z".parse().unwrap()
}

fn ask(sas: &str, operation: &Operation) -> Result<Authorized, ErrorCode> {
    let uri: Uri = format!("http://h/local/asset-1/a?{sas}").parse().unwrap();
    let query = Query::parse(sas).unwrap();
    let headers = HeaderMap::new();
    let head = RequestHead {
        method: &Method::GET,
        uri: &uri,
        headers: &headers,
        query: &query,
    };
    let target = Target {
        container: Some("asset-1".into()),
        blob: Some("a".into()),
    };
    authorize(head, &target, operation, "local", &key(), caller()).map_err(|e| e.code)
}

fn all_operations() -> Vec<(Operation, &'static str, ServiceSasUse, char)> {
    use ServiceSasUse::{ContainerOnly, ContainerOrBlob, Never};
    let list = ListBlobs {
        prefix: None,
        delimiter: None,
        marker: None,
        max_results: None,
        include_metadata: false,
    };
    let containers = ListContainers {
        prefix: None,
        marker: None,
        max_results: None,
        include_metadata: false,
    };
    vec![
        (Operation::ListContainers(containers), "l", Never, 's'),
        (Operation::CreateContainer, "cw", Never, 'c'),
        (Operation::DeleteContainer, "d", Never, 'c'),
        (Operation::GetContainerProperties, "r", Never, 'c'),
        (Operation::ListBlobs(list), "l", ContainerOnly, 'c'),
        (Operation::GetBlob, "r", ContainerOrBlob, 'o'),
        (Operation::GetBlobProperties, "r", ContainerOrBlob, 'o'),
        (
            Operation::GetBlockList {
                committed: true,
                uncommitted: true,
            },
            "r",
            ContainerOrBlob,
            'o',
        ),
        (Operation::PutBlob, "cw", ContainerOrBlob, 'o'),
        (
            Operation::PutBlock { id: "YQ==".into() },
            "cw",
            ContainerOrBlob,
            'o',
        ),
        (Operation::PutBlockList, "cw", ContainerOrBlob, 'o'),
        (Operation::SetBlobProperties, "w", ContainerOrBlob, 'o'),
        (Operation::SetBlobMetadata, "w", ContainerOrBlob, 'o'),
        (Operation::DeleteBlob, "d", ContainerOrBlob, 'o'),
    ]
}

/// The whole matrix: every operation, every single permission letter, every kind of signature.
#[test]
fn one_letter_opens_exactly_its_operations() {
    for letter in "racwdl".chars() {
        let permissions = Permissions::parse(&letter.to_string()).unwrap();
        let container =
            ServiceSas::for_container("asset-1", permissions, expiry()).sign("local", &key());
        let blob =
            ServiceSas::for_blob("asset-1", "a", permissions, expiry()).sign("local", &key());
        for (operation, letters, service, resource) in all_operations() {
            let opens = letters.contains(letter);
            let expected = opens && service != ServiceSasUse::Never;
            assert_eq!(
                ask(&container, &operation).is_ok(),
                expected,
                "sr=c {letter} {operation:?}"
            );
            let expected = opens && service == ServiceSasUse::ContainerOrBlob;
            assert_eq!(
                ask(&blob, &operation).is_ok(),
                expected,
                "sr=b {letter} {operation:?}"
            );
            for srt in "sco".chars() {
                let sas = AccountSas {
                    permissions,
                    resource_types: srt.to_string(),
                    start: None,
                    expiry: expiry(),
                    protocol: None,
                    ip: None,
                    version: "2021-12-02".into(),
                };
                let result = ask(&sas.sign("local", &key()), &operation);
                assert_eq!(
                    result.is_ok(),
                    opens && srt == resource,
                    "srt={srt} {letter} {operation:?}"
                );
            }
        }
    }
}

#[test]
fn create_alone_does_not_overwrite() {
    let sas = |letters| {
        let permissions = Permissions::parse(letters).unwrap();
        ask(
            &ServiceSas::for_container("asset-1", permissions, expiry()).sign("local", &key()),
            &Operation::PutBlob,
        )
    };
    assert!(!sas("rc").unwrap().overwrite);
    assert!(sas("rcw").unwrap().overwrite);
}

#[test]
fn refusals_have_azures_codes() {
    assert_eq!(
        ask("", &Operation::GetBlob),
        Err(ErrorCode::NoAuthenticationInformation)
    );
    assert_eq!(
        ask(
            "sv=2021-12-02&sr=c&sp=r&se=2030-01-01&sig=AAAA",
            &Operation::GetBlob
        ),
        Err(ErrorCode::AuthenticationFailed)
    );
    let read = ServiceSas::for_container("asset-1", Permissions::READ, expiry());
    assert_eq!(
        ask(&read.sign("local", &key()), &Operation::DeleteBlob),
        Err(ErrorCode::AuthorizationPermissionMismatch)
    );
    assert_eq!(
        ask(&read.sign("local", &key()), &Operation::CreateContainer),
        Err(ErrorCode::AuthorizationResourceTypeMismatch)
    );
    let https = ServiceSas {
        protocol: Some(crate::sas::Protocol::HttpsOnly),
        ..read.clone()
    };
    assert_eq!(
        ask(&https.sign("local", &key()), &Operation::GetBlob),
        Err(ErrorCode::AuthorizationProtocolMismatch)
    );
    let bound = ServiceSas {
        ip: Some("10.0.0.1".into()),
        ..read
    };
    assert_eq!(
        ask(&bound.sign("local", &key()), &Operation::GetBlob),
        Err(ErrorCode::AuthorizationSourceIPMismatch)
    );
}
