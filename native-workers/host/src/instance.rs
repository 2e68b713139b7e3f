//! What one instance of a component holds: its store's data, its limits, and how long it lives.

use crate::component::LoadedComponent;
use crate::outgoing::Outgoing;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::sync::OwnedSemaphorePermit;
use wasmtime::component::{GuestTaskId, HasData, ResourceTable};
use wasmtime::{Store, StoreContextMut, StoreLimits, StoreLimitsBuilder, UpdateDeadline};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::handler::{ShouldAccept, WorkerExpiration, WorkerState, WorkerStatus};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

/// A store's data.
pub(crate) struct InstanceData {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    hooks: Outgoing,
    table: ResourceTable,
    limits: StoreLimits,
    component: Arc<LoadedComponent>,
    running: Arc<Running>,
}

/// Marks the host's own view in generated code.
pub(crate) struct ComponentData;

impl HasData for ComponentData {
    type Data<'a> = HostView<'a>;
}

/// What the Spin interfaces see of an instance.
pub(crate) struct HostView<'a> {
    pub(crate) table: &'a mut ResourceTable,
    pub(crate) component: &'a LoadedComponent,
}

impl InstanceData {
    pub(crate) fn view(&mut self) -> HostView<'_> {
        HostView {
            table: &mut self.table,
            component: &self.component,
        }
    }

    pub(crate) fn http_view(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            hooks: &mut self.hooks,
            table: &mut self.table,
            ctx: &mut self.http,
        }
    }
}

impl WasiView for InstanceData {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for InstanceData {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        self.http_view()
    }
}

/// How often busy guests are looked at.
pub(crate) const EPOCH: Duration = Duration::from_millis(10);

/// Deadlines of the requests that an instance is answering.
///
/// The epoch callback reads it: a guest that computes past the deadline is stopped there, because the event loop
/// that would notice is the very one it keeps busy.
#[derive(Debug, Default)]
pub(crate) struct Running {
    deadlines: Mutex<BTreeMap<Instant, usize>>,
    /// A request passed its deadline: nobody reads what the instance still does.
    expired: AtomicBool,
    /// Ticks of the epoch clock that found the guest computing since it answered.
    ticks_after_head: AtomicU64,
}

impl Running {
    fn add(&self, deadline: Instant) {
        self.ticks_after_head.store(0, Ordering::Relaxed);
        *self.lock().entry(deadline).or_default() += 1;
    }

    fn remove(&self, deadline: Instant) {
        let mut running = self.lock();
        if let Some(count) = running.get_mut(&deadline) {
            *count -= 1;
            if *count == 0 {
                running.remove(&deadline);
            }
        }
    }

    /// Why a guest that is computing at `now` has to stop.
    fn verdict(&self, now: Instant, after_head: Duration) -> Result<(), &'static str> {
        match self.lock().first_key_value() {
            Some((deadline, _)) if *deadline <= now => {
                Err("the request's deadline passed while the component was computing")
            }
            Some(_) => Ok(()),
            // It has answered: streaming its body, or tidying up.
            None => {
                let ticks = self.ticks_after_head.fetch_add(1, Ordering::Relaxed);
                let spent = EPOCH.saturating_mul(u32::try_from(ticks).unwrap_or(u32::MAX));
                if spent < after_head {
                    Ok(())
                } else {
                    Err("the component went on computing after it had answered")
                }
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Instant, usize>> {
        self.deadlines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes a store for one instance of `component`.
pub(crate) fn new_store(
    component: &Arc<LoadedComponent>,
    hooks: Outgoing,
) -> wasmtime::Result<Store<InstanceData>> {
    let running = Arc::new(Running::default());
    let data = InstanceData {
        wasi: component.wasi_context()?,
        http: WasiHttpCtx::new(),
        hooks,
        table: ResourceTable::new(),
        limits: StoreLimitsBuilder::new()
            .memory_size(component.limits.memory_bytes)
            .build(),
        component: component.clone(),
        running,
    };
    let mut store = Store::new(component.engine(), data);
    store.limiter(|data| &mut data.limits);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|context| {
        let InstanceData {
            running, component, ..
        } = context.data();
        running
            .verdict(Instant::now(), component.limits.computing_after_head)
            .map_err(wasmtime::Error::msg)?;
        // Let other tasks of this thread run, then go on.
        Ok(UpdateDeadline::Yield(1))
    });
    Ok(store)
}

/// How many requests one instance takes and until when it may idle.
pub(crate) struct Worker {
    pub(crate) component: Arc<LoadedComponent>,
    pub(crate) running: Arc<Running>,
}

impl Worker {
    pub(crate) fn new(store: &Store<InstanceData>) -> Self {
        let data = store.data();
        Self {
            component: data.component.clone(),
            running: data.running.clone(),
        }
    }
}

impl WorkerState for Worker {
    type StoreData = InstanceData;
    /// The request's place among those in flight. It is given back with the response's head or at the deadline, and not
    /// when the client goes away: the guest cannot be told, and goes on.
    type RequestData = OwnedSemaphorePermit;

    fn should_accept_request(&self, concurrent: usize, total: usize) -> ShouldAccept {
        if total >= self.component.limits.requests_per_instance {
            ShouldAccept::Never
        } else if concurrent >= self.component.limits.concurrent_requests_per_instance {
            ShouldAccept::No
        } else {
            ShouldAccept::Yes
        }
    }

    fn on_request_start(
        &self,
        _store: StoreContextMut<'_, InstanceData>,
        place: OwnedSemaphorePermit,
        _task: GuestTaskId,
    ) -> Pin<Box<dyn Future<Output = ()> + 'static + Send + Sync>> {
        struct Guard(Arc<Running>, Instant);
        impl Drop for Guard {
            fn drop(&mut self) {
                self.0.remove(self.1);
            }
        }
        let deadline = Instant::now() + self.component.limits.request_deadline;
        self.running.add(deadline);
        let guard = Guard(self.running.clone(), deadline);
        Box::pin(async move {
            let (guard, _place) = (guard, place);
            tokio::time::sleep_until(guard.1.into()).await;
            guard.0.expired.store(true, Ordering::Relaxed);
        })
    }

    fn drop(&self, store: Store<InstanceData>, result: wasmtime::Result<()>) {
        // At the end of the process instances are dropped in the middle of waiting, which is no failure of theirs.
        if let Err(error) = result
            && !crate::server::is_stopping()
        {
            metrics::counter!("headwater_component_traps_total", "component" => self.component.id.clone())
                .increment(1);
            tracing::error!(component = %self.component.id, "instance ended: {error:?}");
        }
        drop(store);
    }
}

/// How long a guest may go on after its request's deadline, to end in order.
const AFTERMATH: Duration = Duration::from_secs(5);

/// Ends an instance that has idled, or whose guest does not come back.
pub(crate) struct Expiration {
    idle: Duration,
    request: Duration,
    streaming: Duration,
    running: Arc<Running>,
    timer: Pin<Box<tokio::time::Sleep>>,
}

impl Expiration {
    pub(crate) fn new(store: &Store<InstanceData>) -> Self {
        let InstanceData {
            component, running, ..
        } = store.data();
        Self {
            idle: component.limits.idle_instance,
            // The epoch callback ends a busy guest at its deadline; this is for one that waits for ever.
            request: component.limits.request_deadline + AFTERMATH,
            streaming: component.limits.streaming,
            running: running.clone(),
            timer: Box::pin(tokio::time::sleep(Duration::ZERO)),
        }
    }
}

impl WorkerExpiration for Expiration {
    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        status: WorkerStatus,
        start: Instant,
    ) -> Poll<()> {
        let allowed = match status {
            WorkerStatus::Idle => self.idle,
            WorkerStatus::Requests => self.request,
            // An unanswered guest that waits for a storage that went silent would hold its place in the pool for as long
            // as a film may be streamed.
            WorkerStatus::PostReturn if self.running.expired.load(Ordering::Relaxed) => AFTERMATH,
            WorkerStatus::PostReturn => self.streaming,
        };
        let deadline = tokio::time::Instant::from_std(start + allowed);
        if self.timer.deadline() != deadline {
            self.timer.as_mut().reset(deadline);
        }
        self.timer.as_mut().poll(cx)
    }
}
