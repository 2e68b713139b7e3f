//! `cargo xtask bench keys`: what a request for a key costs, with the token checked that its policy asks for.
//!
//! Server on core 0, load generator on core 1. A JWT under RS256, as most identity providers sign: one verification a request.

use crate::bench::{CONNECTIONS, Round, load_with};
use crate::installation::Installation;
use crate::run::quiet;
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

const MEDIA: &str = "/api/v1/projects/default/media";
const ODATA: &str = "#Microsoft.Media.ContentKeyPolicy";

pub(crate) fn keys(binary: &Path, args: &[String]) -> Result<()> {
    if let Some(unknown) = args.first() {
        bail!("{unknown:?} is not an option of this benchmark; it has none");
    }
    let headwater = Installation::start_with(
        Command::new("taskset").args(["-c", "0"]).arg(binary),
        "bench-keys",
        &["--no-demo", "--no-access-log"],
    )?;
    println!("| what | connections | req/s | p50 ms | p99 ms | CPU µs a request |");
    println!("|---|---|---|---|---|---|");
    let signer = Signer::make(&headwater.directory)?;
    let rows = [
        (
            "open",
            json!({"@odata.type": format!("{ODATA}OpenRestriction")}),
        ),
        ("RS256", signer.restriction()?),
    ];
    for (name, restriction) in rows {
        let kid = publish(&headwater, name, &restriction)?;
        let script = headwater.directory.join("keys.lua");
        std::fs::write(
            &script,
            format!(
                "wrk.headers['Authorization'] = 'Bearer {}'",
                signer.token()?
            ),
        )?;
        let url = format!("{}/keys/?kid={kid}", headwater.base()?);
        let Round {
            requests,
            seconds,
            cpu,
            p50_ms,
            p99_ms,
            ..
        } = load_with(&url, headwater.pid(), CONNECTIONS, Some(&script))?;
        println!(
            "| AES key, {name} | {CONNECTIONS} | {:.0} | {p50_ms:.2} | {p99_ms:.2} | {:.0} |",
            requests / seconds,
            cpu / requests * 1e6,
        );
    }
    Ok(())
}

/// A locator whose keys this restriction is for; the id of its key.
fn publish(headwater: &Installation, name: &str, restriction: &Value) -> Result<String> {
    let put = |kind: &str, properties: Value| {
        let path = format!("{MEDIA}/{kind}/{name}");
        headwater.call("PUT", &path, &json!({ "properties": properties }))
    };
    put("assets", json!({}))?;
    put(
        "contentKeyPolicies",
        json!({"options": [{
            "configuration": {"@odata.type": format!("{ODATA}ClearKeyConfiguration")}, "restriction": restriction,
        }]}),
    )?;
    put(
        "streamingLocators",
        json!({"assetName": name, "streamingPolicyName": "Predefined_ClearKey", "defaultContentKeyPolicyName": name}),
    )?;
    let path = format!("{MEDIA}/streamingLocators/{name}/listContentKeys");
    let keys = headwater.call("POST", &path, &json!({}))?;
    let id = keys["contentKeys"][0]["id"].as_str();
    Ok(id.context("a locator without a key")?.to_owned())
}

/// A key pair of openssl's.
struct Signer {
    key: std::path::PathBuf,
}

impl Signer {
    fn make(folder: &Path) -> Result<Self> {
        let key = folder.join("signer.pem");
        quiet(
            Command::new("openssl")
                .args(["genrsa", "-out"])
                .arg(&key)
                .arg("2048"),
        )?;
        Ok(Self { key })
    }

    fn restriction(&self) -> Result<Value> {
        let printed = quiet(
            Command::new("openssl")
                .args(["rsa", "-noout", "-modulus", "-in"])
                .arg(&self.key),
        )?;
        let hex = printed.trim().trim_start_matches("Modulus=");
        let modulus = (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(hex.get(at..at + 2).unwrap_or_default(), 16))
            .collect::<Result<Vec<u8>, _>>()?;
        Ok(json!({
            "@odata.type": format!("{ODATA}TokenRestriction"), "issuer": "bench", "audience": "bench",
            "restrictionTokenType": "Jwt",
            "primaryVerificationKey": {
                "@odata.type": format!("{ODATA}RsaTokenKey"), "exponent": "AQAB", "modulus": base64(&modulus, false),
            },
        }))
    }

    fn token(&self) -> Result<String> {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
        let claims = json!({"iss": "bench", "aud": "bench", "exp": now.as_secs() + 600});
        let part = |value: &Value| base64(value.to_string().as_bytes(), true);
        let text = format!(
            "{}.{}",
            part(&json!({"alg": "RS256", "typ": "JWT"})),
            part(&claims)
        );
        let file = self.key.with_extension("txt");
        std::fs::write(&file, &text)?;
        let signed = Command::new("openssl")
            .args(["dgst", "-sha256", "-sign"])
            .arg(&self.key)
            .arg(&file)
            .output()?;
        if !signed.status.success() {
            bail!("openssl signed nothing");
        }
        Ok(format!("{text}.{}", base64(&signed.stdout, true)))
    }
}

/// Base64; for URLs without padding.
fn base64(bytes: &[u8], url: bool) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let word = (byte(0) << 16) | (byte(1) << 8) | byte(2);
        for at in 0..4 {
            if at <= chunk.len() {
                out.push(char::from(ALPHABET[(word >> (18 - 6 * at)) as usize & 63]));
            } else if !url {
                out.push('=');
            }
        }
    }
    if url {
        out = out.replace('+', "-").replace('/', "_");
    }
    out
}
