//! Embeds the application: `spin.toml` and the components that `cargo xtask functions` built. Without them the binary
//! still builds, and `headwater up` needs `--app`.

use std::fmt::Write as _;
use std::path::Path;

fn main() {
    // At run time: checkouts that share a target directory share this program as well.
    let root = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    let root = Path::new(&root).join("../..");
    let manifest = root.join("spin.toml");
    let functions = root.join("dist/functions");
    println!("cargo:rerun-if-changed={}", manifest.display());
    println!("cargo:rerun-if-changed={}", functions.display());
    let mut names: Vec<_> = std::fs::read_dir(&functions)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".wasm"))
        .collect();
    names.sort();
    let mut code = String::from(
        "/// Files of the application, by their path in the manifest's folder.\npub(crate) const FILES: &[(&str, &[u8])] = &[\n",
    );
    if !names.is_empty() {
        let mut file = |name: String, path: &Path| {
            println!("cargo:rerun-if-changed={}", path.display());
            let _ = writeln!(
                code,
                "    ({name:?}, include_bytes!({:?})),",
                path.display().to_string()
            );
        };
        file("spin.toml".into(), &manifest);
        for name in &names {
            file(format!("dist/functions/{name}"), &functions.join(name));
        }
    }
    code.push_str("];\n");
    let out = std::env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    std::fs::write(Path::new(&out).join("app.rs"), code).expect("writing to OUT_DIR");
}
