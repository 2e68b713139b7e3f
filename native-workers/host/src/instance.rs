//! What one instance of a component holds: its store's data, its limits, and how long it lives.

use crate::component::{Limits, LoadedComponent};
use crate::outgoing::Outgoing;
use futures::task::AtomicWaker;
use headwater_trace::Here;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use wasmtime::component::{HasData, ResourceTable};
use wasmtime::{Store, StoreLimits, StoreLimitsBuilder, UpdateDeadline};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
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
    pub(crate) running: &'a Running,
}

impl InstanceData {
    pub(crate) fn running(&self) -> Arc<Running> {
        self.running.clone()
    }

    /// What it asks of others from now on is part of this.
    pub(crate) fn answers_within(&mut self, here: Option<Here>) {
        self.hooks.here = here;
    }

    pub(crate) fn view(&mut self) -> HostView<'_> {
        HostView {
            table: &mut self.table,
            component: &self.component,
            running: &self.running,
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

/// What an instance does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Waiting for a request.
    Idle,
    /// The response's head is waited for.
    Answering,
    /// It has answered, or the deadline passed: streaming its body, or tidying up.
    After,
}

/// What an instance does and since when.
///
/// The epoch callback reads it: a guest that computes past the deadline is stopped there, because the event loop
/// that would notice is the very one it keeps busy. [`Watch`] reads it for guests that wait.
#[derive(Debug)]
pub(crate) struct Running {
    phase: Mutex<(Phase, Instant)>,
    /// A request passed its deadline: nobody reads what the instance still does.
    expired: AtomicBool,
    /// Who waits for that.
    late: AtomicWaker,
    /// It passed while a call of the host's kept the guest waiting: what is done to the guest then says nothing of it.
    kept_waiting: AtomicBool,
    /// Ticks of the epoch clock that found the guest computing since it answered.
    ticks_after_head: AtomicU64,
}

impl Running {
    fn new() -> Self {
        Self {
            phase: Mutex::new((Phase::Idle, Instant::now())),
            expired: AtomicBool::new(false),
            late: AtomicWaker::new(),
            kept_waiting: AtomicBool::new(false),
            ticks_after_head: AtomicU64::new(0),
        }
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.ticks_after_head.store(0, Ordering::Relaxed);
        *self.lock() = (phase, Instant::now());
    }

    /// Resolves when the request that is being answered is past its deadline.
    pub(crate) fn late(&self) -> impl Future<Output = ()> + Send + '_ {
        poll_fn(|cx| {
            // Before looking: an expiry afterwards wakes.
            self.late.register(cx.waker());
            match self.expired.load(Ordering::Relaxed) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
    }

    /// As [`Self::late`], for a call of the host's during which nothing else of the instance goes on.
    pub(crate) async fn late_while_waiting(&self) {
        self.late().await;
        self.kept_waiting.store(true, Ordering::Relaxed);
    }

    pub(crate) fn was_kept_waiting(&self) -> bool {
        self.kept_waiting.load(Ordering::Relaxed)
    }

    /// Why a guest that is computing at `now` has to stop.
    fn verdict(&self, now: Instant, limits: &Limits) -> Result<(), &'static str> {
        let (phase, since) = *self.lock();
        if phase == Phase::Answering {
            return match since + limits.request_deadline <= now {
                true => Err("the request's deadline passed while the component was computing"),
                false => Ok(()),
            };
        }
        let ticks = self.ticks_after_head.fetch_add(1, Ordering::Relaxed);
        let spent = EPOCH.saturating_mul(u32::try_from(ticks).unwrap_or(u32::MAX));
        match spent < limits.computing_after_head {
            true => Ok(()),
            false => Err("the component went on computing after it had answered"),
        }
    }

    fn lock(&self) -> MutexGuard<'_, (Phase, Instant)> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long a guest may go on after its request's deadline, to end in order.
const AFTERMATH: Duration = Duration::from_secs(5);

/// What has taken too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Overdue {
    /// The request: [`Running::late`] is ready now. The guest may end in order.
    Request,
    /// A request to come.
    Idle,
    /// The guest: it does not come back.
    Instance,
}

/// Looks at how long an instance has been doing what it does.
///
/// Not by a timer for every request: it looks so often that no limit can have begun and passed in between.
pub(crate) struct Watch {
    limits: Limits,
    running: Arc<Running>,
    timer: Pin<Box<tokio::time::Sleep>>,
}

impl Watch {
    pub(crate) fn new(limits: Limits, running: Arc<Running>) -> Self {
        Self {
            limits,
            running,
            timer: Box::pin(tokio::time::sleep(Duration::ZERO)),
        }
    }

    /// Ready each time that something turns out to be overdue.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Overdue> {
        loop {
            ready!(self.timer.as_mut().poll(cx));
            let now = Instant::now();
            let (overdue, due) = self.next();
            let limits = &self.limits;
            let shortest = [limits.idle_instance, limits.streaming, AFTERMATH]
                .into_iter()
                .fold(limits.request_deadline, Duration::min);
            let again = match now < due {
                true => due.min(now + shortest),
                false => now + shortest,
            };
            self.timer.as_mut().reset(again.into());
            if due <= now {
                if overdue == Overdue::Request {
                    self.running.expired.store(true, Ordering::Relaxed);
                    self.running.late.wake();
                }
                return Poll::Ready(overdue);
            }
        }
    }

    /// What will be overdue next if things stay as they are, and when.
    fn next(&self) -> (Overdue, Instant) {
        let (phase, since) = *self.running.lock();
        let expired = self.running.expired.load(Ordering::Relaxed);
        let limits = &self.limits;
        match (phase, expired) {
            (Phase::Idle, _) => (Overdue::Idle, since + limits.idle_instance),
            (Phase::Answering, false) => (Overdue::Request, since + limits.request_deadline),
            // The event loop is kept busy by a call of the host's: it has not even heard of the deadline.
            (Phase::Answering, true) => (
                Overdue::Instance,
                since + limits.request_deadline + AFTERMATH,
            ),
            // An unanswered guest that waits for a storage that went silent would hold its place in the pool for as long
            // as a film may be streamed.
            (Phase::After, true) => (Overdue::Instance, since + AFTERMATH),
            (Phase::After, false) => (Overdue::Instance, since + limits.streaming),
        }
    }
}

/// Makes a store for one instance of `component`.
pub(crate) fn new_store(
    component: &Arc<LoadedComponent>,
    hooks: Outgoing,
) -> wasmtime::Result<Store<InstanceData>> {
    let running = Arc::new(Running::new());
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
            .verdict(Instant::now(), &component.limits)
            .map_err(wasmtime::Error::msg)?;
        // Let other tasks of this thread run, then go on.
        Ok(UpdateDeadline::Yield(1))
    });
    Ok(store)
}
