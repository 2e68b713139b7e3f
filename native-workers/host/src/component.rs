//! A component of the manifest, compiled and linked, ready to be instantiated from the pool.

use crate::bindings;
use crate::bindings::memory::{Remembering, RememberingIndices};
use crate::instance::{ComponentData, InstanceData};
use crate::manifest::RequestHeaders;
use crate::outbound::AllowedHosts;
use crate::postgres::Pools;
use crate::sqlite::Database;
use crate::template::Variables;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use wasmtime::component::{Component, InstancePre, Linker};
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store,
};
use wasmtime_wasi::WasiCtx;
use wasmtime_wasi::filesystem::FsPerms;
use wasmtime_wasi_http::handler::Proxy;
use wasmtime_wasi_http::p3;
use wasmtime_wasi_http::p3::bindings::ServiceIndices;

/// Bounds of one component's instances.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Linear memory of one instance.
    pub memory_bytes: usize,
    /// Requests an instance answers before it is dropped.
    pub requests_per_instance: usize,
    /// Requests in flight in all instances of a component; more wait, then get 503.
    pub concurrent_requests: usize,
    /// From the request to the response's head.
    pub request_deadline: Duration,
    /// How long an instance may go on after the head, streaming its body.
    pub streaming: Duration,
    /// How long it may compute in that time. The slowest component that streams moves a gigabyte in less than two seconds.
    pub computing_after_head: Duration,
    /// How long a request may wait for a place.
    pub queue: Duration,
    /// How long an instance without requests is kept.
    pub idle_instance: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 128 << 20,
            requests_per_instance: 10_000,
            concurrent_requests: 128,
            request_deadline: Duration::from_secs(30),
            streaming: Duration::from_secs(3600),
            computing_after_head: Duration::from_secs(60),
            queue: Duration::from_secs(5),
            idle_instance: Duration::from_secs(30),
        }
    }
}

/// Everything of a component that does not change from instance to instance.
pub(crate) struct LoadedComponent {
    pub(crate) id: String,
    pub(crate) variables: Variables,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) mounts: Vec<Mount>,
    pub(crate) allowed_hosts: AllowedHosts,
    pub(crate) databases: BTreeMap<String, Arc<Database>>,
    pub(crate) postgres: Arc<Pools>,
    pub(crate) limits: Limits,
    /// Which of Spin's request headers it is told.
    pub(crate) request_headers: RequestHeaders,
    /// Whether its answers may be kept by the host's cache.
    pub(crate) cached: bool,
    /// How long it goes by what the database said before, while that does not answer.
    pub(crate) stale_if_error: Duration,
    /// The parameter of its routes that requests are counted by.
    pub(crate) count_by: Option<String>,
    pub(crate) exports: Exports,
    pub(crate) engine: Engine,
}

/// A component's code, with what its imports ask for, and where its answers come from.
pub(crate) struct Exports {
    pre: InstancePre<InstanceData>,
    handler: ServiceIndices,
    /// Whether it can be asked for what it remembers.
    memory: Option<RememberingIndices>,
}

impl Exports {
    fn of(pre: InstancePre<InstanceData>) -> wasmtime::Result<Self> {
        let memory = pre.component().get_export_index(None, MEMORY);
        Ok(Self {
            handler: ServiceIndices::new(&pre)?,
            memory: memory.map(|_| RememberingIndices::new(&pre)).transpose()?,
            pre,
        })
    }

    pub(crate) fn has_memory(&self) -> bool {
        self.memory.is_some()
    }

    pub(crate) async fn instantiate(
        &self,
        store: &mut Store<InstanceData>,
    ) -> wasmtime::Result<(Proxy, Option<Remembering>)> {
        let instance = self.pre.instantiate_async(&mut *store).await?;
        let handler = Proxy::P3(self.handler.load(&mut *store, &instance)?);
        let memory = self.memory.as_ref();
        let memory = memory.map(|memory| memory.load(&mut *store, &instance));
        Ok((handler, memory.transpose()?))
    }
}

const MEMORY: &str = "headwater:edge/memory@1.0.0";

/// A folder a component may read.
#[derive(Debug, Clone)]
pub(crate) struct Mount {
    pub(crate) source: PathBuf,
    pub(crate) destination: String,
}

impl LoadedComponent {
    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// A fresh WASI context: the manifest's environment, read-only mounts, both outputs to our standard error.
    pub(crate) fn wasi_context(&self) -> wasmtime::Result<WasiCtx> {
        let mut builder = WasiCtx::builder();
        builder
            .stdout(wasmtime_wasi::cli::stderr())
            .stderr(wasmtime_wasi::cli::stderr());
        for (name, value) in &self.environment {
            builder.env(name, value);
        }
        for mount in &self.mounts {
            builder.preopened_dir(&mount.source, &mount.destination, FsPerms::ReadOnly)?;
        }
        Ok(builder.build())
    }
}

/// The engine all components share.
pub(crate) fn engine(limits: &Limits) -> wasmtime::Result<Engine> {
    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(1_000)
        .total_core_instances(4_000)
        .total_memories(1_000)
        .total_tables(2_000)
        .total_stacks(1_000)
        .max_memory_size(limits.memory_bytes)
        .max_core_instances_per_component(200)
        .max_memories_per_component(32)
        .max_tables_per_component(64)
        .table_elements(100_000)
        .max_component_instance_size(10 << 20)
        .max_core_instance_size(10 << 20)
        .linear_memory_keep_resident(1 << 20)
        .table_keep_resident(64 << 10)
        // Only the pages an instance has touched are reset: without it the whole first MiB of every memory is written
        // to, which costs more than the rest of an instance's life. Kernels before 6.7 do without.
        .pagemap_scan(Enabled::Auto)
        .max_unused_warm_slots(64);
    let mut config = Config::new();
    config
        .wasm_component_model_async(true)
        .epoch_interruption(true)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    Engine::new(&config)
}

/// Gives `component` what its imports ask for.
pub(crate) fn link(engine: &Engine, component: &Component) -> wasmtime::Result<Exports> {
    let mut linker = Linker::<InstanceData>::new(engine);
    // Rust's standard library still imports WASI 0.2; the SDK brings 0.3.
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi::p3::add_to_linker(&mut linker)?;
    p3::add_to_linker(&mut linker)?;
    bindings::HostImports::add_to_linker::<_, ComponentData>(&mut linker, InstanceData::view)?;
    Exports::of(linker.instantiate_pre(component)?)
}
