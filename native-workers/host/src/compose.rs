//! Component dependencies: one component out of several, composed at load (wac-graph), as Spin does.
//!
//! Each named import of the component is wired to an export of the dependency; whatever the dependency itself
//! imports becomes an import of the composition. A dependency that may not inherit the component's configuration
//! must therefore not import anything that carries a capability: it is refused at load, by the name of the import.

use anyhow::{Context, bail};
use std::collections::BTreeMap;
use wac_graph::types::Package;
use wac_graph::{CompositionGraph, EncodeOptions};

/// One dependency, its bytes loaded.
pub(crate) struct Dependency {
    pub(crate) bytes: Vec<u8>,
    /// The export to use when it is not called as the import is.
    pub(crate) export: Option<String>,
    /// Whether it may use what the component was granted.
    pub(crate) inherit: bool,
}

/// Interfaces without a capability: any component gets them. `wasi:cli/environment` is among them, which every Rust program
/// imports: unlike with Spin's adapter, a dependency can read the `environment` of the component that uses it.
const HARMLESS: [&str; 4] = ["wasi:io/", "wasi:clocks/", "wasi:random/", "wasi:cli/"];

/// Composes `component` with its dependencies, keyed by the import each satisfies (with or without version).
pub(crate) fn compose(
    component: Vec<u8>,
    dependencies: BTreeMap<String, Dependency>,
) -> anyhow::Result<Vec<u8>> {
    if dependencies.is_empty() {
        return Ok(component);
    }
    let mut graph = CompositionGraph::new();
    let package = Package::from_bytes("component", None, component, graph.types_mut())
        .context("reading the component")?;
    let imports: Vec<String> = graph.types()[package.ty()]
        .imports
        .keys()
        .cloned()
        .collect();
    let package = graph.register_package(package)?;
    let main = graph.instantiate(package);

    for (index, (name, dependency)) in dependencies.into_iter().enumerate() {
        let import = imports
            .iter()
            .find(|import| *import == &name || import.split('@').next() == Some(name.as_str()))
            .with_context(|| format!("the component does not import `{name}`"))?;
        let package = Package::from_bytes(
            &format!("dependency-{index}"),
            None,
            dependency.bytes,
            graph.types_mut(),
        )
        .with_context(|| format!("reading the dependency for `{name}`"))?;
        let world = &graph.types()[package.ty()];
        if !dependency.inherit
            && let Some(capability) = world
                .imports
                .keys()
                .find(|i| !HARMLESS.iter().any(|harmless| i.starts_with(harmless)))
        {
            bail!(
                "the dependency for `{name}` imports `{capability}`, which it may only do with inherit_configuration = true"
            );
        }
        let export = match &dependency.export {
            Some(export) => export.clone(),
            None => world
                .exports
                .keys()
                .find(|export| *export == import || export.split('@').next() == Some(name.as_str()))
                .cloned()
                .with_context(|| format!("the dependency for `{name}` has no such export"))?,
        };
        let package = graph.register_package(package)?;
        let instance = graph.instantiate(package);
        let export = graph
            .alias_instance_export(instance, &export)
            .with_context(|| format!("dependency for `{name}`: export `{export}`"))?;
        graph
            .set_instantiation_argument(main, import, export)
            .with_context(|| {
                format!("dependency for `{name}` does not fit the import `{import}`")
            })?;
    }

    let exports: Vec<String> = {
        let package = graph[main].package().context("an instance has a package")?;
        let ty = graph[package].ty();
        graph.types()[ty].exports.keys().cloned().collect()
    };
    for export in exports {
        let alias = graph.alias_instance_export(main, &export)?;
        graph.export(alias, &export)?;
    }
    graph
        .encode(EncodeOptions::default())
        .context("encoding the composition")
}
