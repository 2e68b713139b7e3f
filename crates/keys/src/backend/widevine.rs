//! Google's licence service: a JSON request in an envelope that the provider signs.
//!
//! `{"request": base64(json), "signature": base64, "signer": provider}`, the signature being AES-256-CBC with PKCS #7 over the
//! SHA-1 of the request's bytes. The answer is `{"status": "OK", "license": base64}`.

use aes::Aes256;
use aes::cipher::{Array, BlockCipherEncrypt, KeyInit};
use headwater_seal::Secret;
use serde_json::{Map, Value as Json, json};
use sha1::{Digest, Sha1};

use super::{BackendError, Message, base64, decode};

/// Signs requests as a provider.
#[derive(Debug, Clone)]
pub(super) struct CloudSigner {
    provider: String,
    /// 32 bytes.
    key: Secret,
    iv: [u8; 16],
}

fn unhex<const N: usize>(text: Option<&str>) -> Option<[u8; N]> {
    let digits: Vec<u8> = text?
        .chars()
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    let (pairs, odd) = digits.as_chunks::<2>();
    let bytes: Vec<u8> = pairs.iter().map(|[high, low]| (high << 4) | low).collect();
    odd.is_empty().then(|| bytes.try_into().ok()).flatten()
}

impl CloudSigner {
    pub(super) fn new(
        provider: Option<String>,
        key: Option<&str>,
        iv: Option<&str>,
    ) -> Result<Self, &'static str> {
        Ok(Self {
            provider: provider
                .filter(|name| !name.is_empty())
                .ok_or("provider: is missing")?,
            key: Secret::new(
                unhex::<32>(key)
                    .ok_or("key: must be 64 hexadecimal digits")?
                    .to_vec(),
            ),
            iv: unhex(iv).ok_or("iv: must be 32 hexadecimal digits")?,
        })
    }

    /// The signed request. The policy's template comes along as it is stored; what it says of content, provider and payload
    /// is ours to say.
    pub(super) fn envelope(&self, message: &Message<'_>) -> Result<Vec<u8>, BackendError> {
        let mut request: Map<String, Json> = match message.configuration {
            None => Map::new(),
            Some(configuration) => {
                let template = configuration
                    .0
                    .get("widevineTemplate")
                    .and_then(Json::as_str);
                serde_json::from_str(template.unwrap_or("{}")).map_err(|_| {
                    BackendError::Request("the policy's widevineTemplate is no JSON object")
                })?
            }
        };
        request.insert("payload".into(), base64(message.challenge).into());
        if let Some(kid) = message.kids.first() {
            request
                .entry("content_id")
                .or_insert_with(|| base64(kid.bytes()).into());
        }
        request.insert("provider".into(), self.provider.clone().into());
        let request = Json::Object(request).to_string();
        let signature = base64(&self.sign(request.as_bytes()));
        let envelope = json!({"request": base64(request.as_bytes()), "signature": signature, "signer": self.provider});
        Ok(envelope.to_string().into_bytes())
    }

    fn sign(&self, request: &[u8]) -> Vec<u8> {
        let digest = Sha1::digest(request);
        // 20 bytes and 12 of padding: two blocks.
        let mut padded = [12_u8; 32];
        padded
            .iter_mut()
            .zip(digest.iter())
            .for_each(|(to, from)| *to = *from);
        let mut key: Array<u8, aes::cipher::consts::U32> = Array([0; 32]);
        key.0
            .iter_mut()
            .zip(self.key.expose())
            .for_each(|(to, from)| *to = *from);
        let aes = Aes256::new(&key);
        let mut chain = self.iv;
        let mut out = Vec::new();
        for block in padded.as_chunks::<16>().0 {
            chain
                .iter_mut()
                .zip(block)
                .for_each(|(to, from)| *to ^= from);
            let mut next: Array<u8, aes::cipher::consts::U16> = Array(chain);
            aes.encrypt_block(&mut next);
            chain = next.0;
            out.extend_from_slice(&chain);
        }
        out
    }
}

/// The licence of an answer.
pub(super) fn licence(body: &[u8]) -> Result<Vec<u8>, BackendError> {
    let answer: Json =
        serde_json::from_slice(body).map_err(|_| BackendError::Answer("is no JSON"))?;
    if answer.get("status").and_then(Json::as_str) != Some("OK") {
        return Err(BackendError::Answer("says that there is no licence"));
    }
    let licence = answer.get("license").and_then(Json::as_str);
    decode(licence.ok_or(BackendError::Answer("holds no licence"))?)
}
