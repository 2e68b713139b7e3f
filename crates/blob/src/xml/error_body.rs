//! `<Error>`: what every failed request answers.

use super::{XmlError, XmlWriter, child_text, with_root};

/// The useful part of an error body.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ErrorBody {
    pub code: String,
    pub message: String,
    /// Why authentication failed, in detail (`AuthenticationErrorDetail`).
    pub detail: Option<String>,
}

/// Writes an error body. `message` is safe for strangers.
pub fn write_error(body: &ErrorBody) -> String {
    let mut xml = XmlWriter::new();
    xml.open("Error")
        .text("Code", &body.code)
        .text("Message", &body.message);
    xml.text_if("AuthenticationErrorDetail", body.detail.as_deref())
        .close("Error");
    xml.finish()
}

/// Reads an error body.
pub fn parse_error(body: &[u8]) -> Result<ErrorBody, XmlError> {
    with_root(body, "Error", |root| {
        Ok(ErrorBody {
            code: child_text(root, "Code").unwrap_or_default().to_owned(),
            message: child_text(root, "Message")
                .unwrap_or_default()
                .trim()
                .to_owned(),
            detail: child_text(root, "AuthenticationErrorDetail").map(str::to_owned),
        })
    })
}
