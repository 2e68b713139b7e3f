//! Compiled components, as files that are mapped rather than read.
//!
//! A file's pages are in memory where they have run, are shared by all hosts of a machine, and can be let go of by the
//! kernel. `wasmtime::Cache` keeps its files compressed instead: all code is then memory of each process, 50 MiB for
//! Headwater's own functions, and twice that while it starts.
//!
//! A file is named `<key>-<digest>.cwasm`: the key is of the component and the engine it was compiled by, the digest of the
//! file's own bytes. What a crash or a full disk has left of a file is told by that, and made anew.

use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fs::File;
use std::hash::{Hash, Hasher};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use wasmtime::Engine;
use wasmtime::component::Component;

/// Files of other versions are kept so long after they were last used: two versions may share a folder while one replaces
/// the other.
const UNUSED: Duration = Duration::from_secs(30 * 86_400);

const SUFFIX: &str = ".cwasm";

/// Compiles each component once.
pub(crate) struct Compiler {
    engine: Engine,
    /// Where compiled code is kept. Without it each start compiles anew.
    directory: Option<PathBuf>,
    /// Two components of a manifest may be of the same bytes.
    made: HashMap<String, Component>,
}

impl Compiler {
    pub(crate) fn new(engine: Engine, directory: Option<PathBuf>) -> std::io::Result<Self> {
        if let Some(directory) = &directory {
            std::fs::create_dir_all(directory)?;
            tidy(directory, SystemTime::now());
        }
        Ok(Self {
            engine,
            directory,
            made: HashMap::new(),
        })
    }

    /// The component of `bytes`, which are WebAssembly.
    pub(crate) fn component(&mut self, bytes: &[u8]) -> wasmtime::Result<Component> {
        let key = key(&self.engine, bytes);
        if let Some(component) = self.made.get(&key) {
            return Ok(component.clone());
        }
        let component = match &self.directory {
            Some(directory) => kept(&self.engine, directory, &key, bytes)?,
            None => Component::from_binary(&self.engine, bytes)?,
        };
        self.made.insert(key, component.clone());
        Ok(component)
    }
}

/// What is in `directory`, or is put there.
fn kept(engine: &Engine, directory: &Path, key: &str, bytes: &[u8]) -> wasmtime::Result<Component> {
    if let Some(path) = find(directory, key) {
        match read(engine, &path) {
            Ok(component) => return Ok(component),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "compiled code is made anew");
                let _ = std::fs::remove_file(&path);
            }
        }
    }
    let compiled = compile(engine, bytes)?;
    match keep(directory, key, &compiled) {
        Ok(path) => {
            drop(compiled);
            load(engine, &path)
        }
        Err(error) => {
            tracing::warn!(directory = %directory.display(), %error, "compiled code is not kept");
            in_memory(engine, &compiled)
        }
    }
}

/// On threads of its own. Those of the process stay, and with them stays what the compiler has left in their allocators: a
/// hundred megabytes after a first start.
fn compile(engine: &Engine, bytes: &[u8]) -> wasmtime::Result<Vec<u8>> {
    match rayon::ThreadPoolBuilder::new().build() {
        Ok(threads) => threads.install(|| engine.precompile_component(bytes)),
        Err(_) => engine.precompile_component(bytes),
    }
}

/// Of the component and of everything about the engine that its code depends on.
fn key(engine: &Engine, bytes: &[u8]) -> String {
    /// What `Hash` writes, which is the same on each start of one build.
    struct Into<'a>(&'a mut Sha256);
    impl Hasher for Into<'_> {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
        fn finish(&self) -> u64 {
            0
        }
    }
    let mut digest = Sha256::new();
    engine
        .precompile_compatibility_hash()
        .hash(&mut Into(&mut digest));
    digest.update(bytes);
    const_hex::encode(digest.finalize())
}

/// The file of `key`, whichever digest it is of.
fn find(directory: &Path, key: &str) -> Option<PathBuf> {
    files(directory).find(|path| {
        path.file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| name.starts_with(key) && name.ends_with(SUFFIX))
    })
}

/// The component in the file at `path`, if its bytes are still those that were written.
fn read(engine: &Engine, path: &Path) -> wasmtime::Result<Component> {
    let mut digest = Sha256::new();
    let mut file = File::open(path)?;
    let mut piece = vec![0; 1 << 16];
    loop {
        match file.read(&mut piece)? {
            0 => break,
            read => digest.update(&piece[..read]),
        }
    }
    let said = path
        .file_stem()
        .and_then(|name| name.to_str())
        .and_then(|name| name.split_once('-'))
        .map(|(_, digest)| digest);
    if said != Some(const_hex::encode(digest.finalize()).as_str()) {
        wasmtime::bail!("its bytes are not those that were written");
    }
    if let Err(error) = File::options()
        .append(true)
        .open(path)
        .and_then(|file| file.set_modified(SystemTime::now()))
    {
        // A folder that may only be read from is good enough.
        tracing::debug!(path = %path.display(), %error, "its time of use is not kept");
    }
    load(engine, path)
}

/// Maps the file at `path`. Volumes that are mounted `noexec` do not let code be mapped: there it is memory of this process.
fn load(engine: &Engine, path: &Path) -> wasmtime::Result<Component> {
    mapped(engine, path).or_else(|error| {
        tracing::info!(path = %path.display(), %error, "compiled code is read, as it cannot be mapped");
        in_memory(engine, &std::fs::read(path)?)
    })
}

/// Writes the file of `key` at once or not at all.
fn keep(directory: &Path, key: &str, compiled: &[u8]) -> std::io::Result<PathBuf> {
    let path = directory.join(format!(
        "{key}-{}{SUFFIX}",
        const_hex::encode(Sha256::digest(compiled))
    ));
    let mut file = tempfile::Builder::new()
        .prefix(".")
        .tempfile_in(directory)?;
    file.write_all(compiled)?;
    file.as_file().sync_all()?;
    file.persist(&path)?;
    Ok(path)
}

/// Removes what no version has used for long, and what `wasmtime::Cache` left here before there were these files.
fn tidy(directory: &Path, now: SystemTime) {
    let _ = std::fs::remove_dir_all(directory.join("modules"));
    for path in files(directory) {
        let old = std::fs::metadata(&path)
            .and_then(|found| found.modified())
            .is_ok_and(|used| now.duration_since(used).is_ok_and(|age| age > UNUSED));
        if old {
            let _ = std::fs::remove_file(path);
        }
    }
}

fn files(directory: &Path) -> impl Iterator<Item = PathBuf> {
    std::fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_file())
}

#[allow(unsafe_code)]
fn mapped(engine: &Engine, path: &Path) -> wasmtime::Result<Component> {
    // SAFETY: `precompile_component` made these bytes: their digest was just compared with the name they were given. They are
    // never written to in place; removing the file leaves the mapping as it is. Who else may write to the folder may also
    // replace the secrets beside it.
    unsafe { Component::deserialize_file(engine, path) }
}

#[allow(unsafe_code)]
fn in_memory(engine: &Engine, compiled: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: `precompile_component` made these bytes, in this process or as for `mapped`.
    unsafe { Component::deserialize(engine, compiled) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmtime::Config;

    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<String> = files(directory)
            .filter_map(|path| path.file_name()?.to_str().map(str::to_owned))
            .collect();
        names.sort();
        names
    }

    fn compile(directory: &Path) {
        Compiler::new(Engine::default(), Some(directory.to_owned()))
            .unwrap()
            .component(EMPTY)
            .unwrap();
    }

    #[test]
    fn what_was_compiled_is_found_again_and_made_anew_where_it_is_damaged() {
        let directory = tempfile::tempdir().unwrap();
        compile(directory.path());
        let made = names(directory.path());
        assert_eq!(made.len(), 1, "{made:?}");
        compile(directory.path());
        assert_eq!(names(directory.path()), made);

        let path = directory.path().join(&made[0]);
        let whole = std::fs::read(&path).unwrap();
        let mut damaged = whole.clone();
        let middle = damaged.len() / 2;
        damaged[middle] ^= 1;
        for bytes in [&damaged[..], &whole[..middle], &[]] {
            std::fs::write(&path, bytes).unwrap();
            compile(directory.path());
            assert_eq!(names(directory.path()), made);
            assert_eq!(std::fs::read(&path).unwrap(), whole);
        }
    }

    #[test]
    fn another_engine_compiles_for_itself() {
        let directory = tempfile::tempdir().unwrap();
        compile(directory.path());
        let engine = Engine::new(Config::new().epoch_interruption(true)).unwrap();
        Compiler::new(engine, Some(directory.path().to_owned()))
            .unwrap()
            .component(EMPTY)
            .unwrap();
        assert_eq!(names(directory.path()).len(), 2);
    }

    #[test]
    fn what_nobody_has_used_for_long_goes() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(directory.path().join("modules/before")).unwrap();
        let old = directory.path().join("old.cwasm");
        let file = File::create(&old).unwrap();
        file.set_modified(SystemTime::now() - UNUSED - Duration::from_secs(1))
            .unwrap();
        compile(directory.path());
        assert!(!old.exists());
        assert!(!directory.path().join("modules").exists());
        assert_eq!(names(directory.path()).len(), 1);
    }

    #[test]
    fn a_folder_that_cannot_be_written_to_is_done_without() {
        let directory = tempfile::tempdir().unwrap();
        let mut compiler =
            Compiler::new(Engine::default(), Some(directory.path().to_owned())).unwrap();
        drop(directory);
        compiler.component(EMPTY).unwrap();
    }

    #[test]
    fn the_same_bytes_are_one_component() {
        let mut compiler = Compiler::new(Engine::default(), None).unwrap();
        let first = compiler.component(EMPTY).unwrap();
        let second = compiler.component(EMPTY).unwrap();
        assert_eq!(first.image_range(), second.image_range());
    }
}
