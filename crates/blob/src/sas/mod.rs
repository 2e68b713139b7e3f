//! Shared access signatures: made from an account key, and checked against one.
//!
//! Spec: "Create a service SAS" and "Create an account SAS". Service SAS for a container (`sr=c`) or a blob (`sr=b`)
//! and account SAS are supported, in the layouts of every `sv` from 2015-04-05 on:
//!
//! | `sv` | string to sign of a service SAS |
//! |---|---|
//! | 2015-04-05 | `sp st se resource si sip spr sv rscc rscd rsce rscl rsct` |
//! | 2018-11-09 | adds `sr` and the snapshot time after `sv` |
//! | 2020-12-06 | adds the encryption scope (`ses`) after the snapshot time |
//!
//! Not supported, and refused by name: stored access policies (`si`), user delegation keys (`skoid`), directories
//! (`sr=d`), snapshots and versions (`sr=bs`, `sr=bv`).

mod permissions;
mod token;
mod verify;

pub use permissions::{Permissions, UnknownPermission};
pub use token::{InvalidSas, SasToken};
pub use verify::{Caller, Grant, ResponseOverrides, SasError, Scope, verify};

use jiff::Timestamp;

use crate::key::AccountKey;
use crate::names::encode_query;
use crate::time::sas_time;

/// The `sv` of signatures we make unless told otherwise.
pub const DEFAULT_VERSION: &str = "2021-12-02";

/// From this version on the encryption scope is part of the signed text.
const WITH_ENCRYPTION_SCOPE: &str = "2020-12-06";
/// From this version on `sr` and the snapshot time are part of the signed text.
const WITH_RESOURCE: &str = "2018-11-09";

/// What may carry a signed request (`spr`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    HttpsOnly,
    HttpsOrHttp,
}

impl Protocol {
    fn text(self) -> &'static str {
        match self {
            Self::HttpsOnly => "https",
            Self::HttpsOrHttp => "https,http",
        }
    }
}

/// A service SAS to be signed: rights on one container, or on one blob of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceSas {
    pub container: String,
    /// The blob the signature is for, not percent-encoded; `None` for the whole container.
    pub blob: Option<String>,
    pub permissions: Permissions,
    /// Leave empty to be valid at once: a start of "now" fails on machines whose clocks differ.
    pub start: Option<Timestamp>,
    pub expiry: Timestamp,
    pub protocol: Option<Protocol>,
    /// One address or `first-last`, IPv4.
    pub ip: Option<String>,
    /// `sv`, not before 2018-11-09.
    pub version: String,
}

impl ServiceSas {
    /// Rights on a container and everything in it.
    pub fn for_container(
        container: impl Into<String>,
        permissions: Permissions,
        expiry: Timestamp,
    ) -> Self {
        Self {
            container: container.into(),
            blob: None,
            permissions,
            start: None,
            expiry,
            protocol: None,
            ip: None,
            version: DEFAULT_VERSION.to_owned(),
        }
    }

    /// Rights on one blob.
    pub fn for_blob(
        container: impl Into<String>,
        blob: impl Into<String>,
        permissions: Permissions,
        expiry: Timestamp,
    ) -> Self {
        Self {
            blob: Some(blob.into()),
            ..Self::for_container(container, permissions, expiry)
        }
    }

    /// The complete query string, without a leading `?`.
    pub fn sign(&self, account: &str, key: &AccountKey) -> String {
        let resource = if self.blob.is_some() { "b" } else { "c" };
        let start = self.start.map(sas_time).unwrap_or_default();
        let expiry = sas_time(self.expiry);
        let permissions = self.permissions.to_string();
        let text = ServiceFields {
            permissions: &permissions,
            start: &start,
            expiry: &expiry,
            ip: self.ip.as_deref().unwrap_or_default(),
            protocol: self.protocol.map(Protocol::text).unwrap_or_default(),
            version: &self.version,
            resource,
            ..ServiceFields::default()
        }
        .string_to_sign(&canonical_name(
            account,
            &self.container,
            self.blob.as_deref(),
        ));
        let signature = key.sign(&text);
        let mut query = QueryWriter::default();
        query.push("sv", &self.version);
        query.push("st", &start);
        query.push("se", &expiry);
        query.push("sr", resource);
        query.push("sp", &permissions);
        query.push("sip", self.ip.as_deref().unwrap_or_default());
        query.push("spr", self.protocol.map(Protocol::text).unwrap_or_default());
        query.push("sig", &signature);
        query.0
    }
}

/// An account SAS to be signed: rights on the blob service of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountSas {
    pub permissions: Permissions,
    /// `s` (service), `c` (containers), `o` (blobs), in this order.
    pub resource_types: String,
    pub start: Option<Timestamp>,
    pub expiry: Timestamp,
    pub protocol: Option<Protocol>,
    pub ip: Option<String>,
    /// `sv`, not before 2015-04-05.
    pub version: String,
}

impl AccountSas {
    /// The complete query string, without a leading `?`. The signed service is always `b` (blob).
    pub fn sign(&self, account: &str, key: &AccountKey) -> String {
        let start = self.start.map(sas_time).unwrap_or_default();
        let expiry = sas_time(self.expiry);
        let permissions = self.permissions.to_string();
        let ip = self.ip.as_deref().unwrap_or_default();
        let protocol = self.protocol.map(Protocol::text).unwrap_or_default();
        let text = AccountFields {
            permissions: &permissions,
            services: "b",
            resource_types: &self.resource_types,
            start: &start,
            expiry: &expiry,
            ip,
            protocol,
            version: &self.version,
            encryption_scope: "",
        }
        .string_to_sign(account);
        let mut query = QueryWriter::default();
        query.push("sv", &self.version);
        query.push("ss", "b");
        query.push("srt", &self.resource_types);
        query.push("sp", &permissions);
        query.push("st", &start);
        query.push("se", &expiry);
        query.push("sip", ip);
        query.push("spr", protocol);
        query.push("sig", &key.sign(&text));
        query.0
    }
}

/// The signed fields of a service SAS, exactly as they stand in the query after percent-decoding.
#[derive(Debug, Clone, Copy, Default)]
struct ServiceFields<'a> {
    permissions: &'a str,
    start: &'a str,
    expiry: &'a str,
    identifier: &'a str,
    ip: &'a str,
    protocol: &'a str,
    version: &'a str,
    resource: &'a str,
    encryption_scope: &'a str,
    /// `rscc`, `rscd`, `rsce`, `rscl`, `rsct`.
    overrides: [&'a str; 5],
}

impl ServiceFields<'_> {
    fn string_to_sign(&self, canonical_name: &str) -> String {
        let mut fields = vec![
            self.permissions,
            self.start,
            self.expiry,
            canonical_name,
            self.identifier,
            self.ip,
            self.protocol,
            self.version,
        ];
        if self.version >= WITH_RESOURCE {
            // The snapshot time is always empty: only `sr=c` and `sr=b` are supported.
            fields.extend([self.resource, ""]);
        }
        if self.version >= WITH_ENCRYPTION_SCOPE {
            fields.push(self.encryption_scope);
        }
        fields.extend(self.overrides);
        fields.join("\n")
    }
}

/// The signed fields of an account SAS.
#[derive(Debug, Clone, Copy)]
struct AccountFields<'a> {
    permissions: &'a str,
    services: &'a str,
    resource_types: &'a str,
    start: &'a str,
    expiry: &'a str,
    ip: &'a str,
    protocol: &'a str,
    version: &'a str,
    encryption_scope: &'a str,
}

impl AccountFields<'_> {
    fn string_to_sign(&self, account: &str) -> String {
        let mut fields = vec![
            account,
            self.permissions,
            self.services,
            self.resource_types,
            self.start,
            self.expiry,
            self.ip,
            self.protocol,
            self.version,
        ];
        if self.version >= WITH_ENCRYPTION_SCOPE {
            fields.push(self.encryption_scope);
        }
        fields.push("");
        fields.join("\n")
    }
}

/// `/blob/{account}/{container}[/{blob}]`, decoded.
fn canonical_name(account: &str, container: &str, blob: Option<&str>) -> String {
    match blob {
        Some(blob) => format!("/blob/{account}/{container}/{blob}"),
        None => format!("/blob/{account}/{container}"),
    }
}

/// Appends non-empty parameters.
#[derive(Default)]
struct QueryWriter(String);

impl QueryWriter {
    fn push(&mut self, name: &str, value: &str) {
        if value.is_empty() {
            return;
        }
        if !self.0.is_empty() {
            self.0.push('&');
        }
        self.0.push_str(name);
        self.0.push('=');
        self.0.push_str(&encode_query(value));
    }
}

#[cfg(test)]
mod tests;
