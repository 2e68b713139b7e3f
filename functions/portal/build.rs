//! Turns `portal/dist` into a table of embedded files: bytes, gzip bytes where they are fewer, type, ETag, and whether
//! the name already says which bytes these are.
//!
//! Makes `$OUT_DIR/files.rs`, an expression of type `&[File]` sorted by path (see `src/site.rs`).

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context, Result, bail};
use flate2::Compression;
use sha2::{Digest, Sha256};

fn main() {
    if let Err(error) = run() {
        // Cargo shows what a failing build script printed; one line says what to do.
        eprintln!("error: {error:#}");
        std::process::exit(1);
    }
}

fn run() -> Result<()> {
    let manifest = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let dist = manifest.join("../../portal/dist");
    println!("cargo::rerun-if-changed={}", dist.display());
    println!("cargo::rerun-if-changed=build.rs");
    if !dist.join("index.html").is_file() {
        bail!("the portal is not built (no portal/dist/index.html): run `cargo xtask up`");
    }

    let mut files = Vec::new();
    walk(&dist, &mut files)?;
    files.sort();

    let mut table = String::from("&[\n");
    for path in files {
        let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
        let name = path
            .strip_prefix(&dist)?
            .to_str()
            .context("a file name that is not UTF-8")?
            .replace('\\', "/");
        let hash = const_hex::encode(&Sha256::digest(&bytes)[..16]);
        let packed = gzip(&bytes)?;
        let gzip = if packed.len() < bytes.len() {
            let at = out.join(format!("{hash}.gz"));
            fs::write(&at, packed)?;
            format!("Some(include_bytes!({at:?}))")
        } else {
            "None".to_owned()
        };
        writeln!(
            table,
            "File {{ path: {name:?}, media_type: {:?}, hash: {hash:?}, immutable: {}, bytes: include_bytes!({:?}), \
             gzip: {gzip} }},",
            media_type(&name)?,
            has_content_hash(&name),
            path.canonicalize()?,
        )?;
    }
    table.push_str("]\n");
    fs::write(out.join("files.rs"), table)?;
    Ok(())
}

fn walk(dir: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            walk(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

/// Without a time stamp, so that the same file gives the same bytes.
fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = flate2::GzBuilder::new()
        .mtime(0)
        .write(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}

/// The type of each kind of file that Vite makes; one that is not listed here is a question to answer, not to guess.
fn media_type(name: &str) -> Result<&'static str> {
    Ok(match name.rsplit_once('.').map(|(_, suffix)| suffix) {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("ico") => "image/x-icon",
        Some("woff2") => "font/woff2",
        Some("json" | "map") => "application/json",
        Some("txt") => "text/plain; charset=utf-8",
        _ => bail!("functions/portal/build.rs knows no media type for {name}"),
    })
}

/// Vite names hashed files `{name}-{8 characters of base64url}.{suffix}`.
fn has_content_hash(name: &str) -> bool {
    let Some((stem, _)) = name.rsplit_once('.') else {
        return false;
    };
    let Some(dash) = stem.len().checked_sub(9) else {
        return false;
    };
    stem.as_bytes()[dash] == b'-'
        && stem[dash + 1..]
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}
