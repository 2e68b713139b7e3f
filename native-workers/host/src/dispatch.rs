//! Which instance answers a request: of those that have nothing to do the one that answered last, else a new one.
//!
//! What the last one works on is still in the core's cache. Under a steady load the others idle until they are dropped, so
//! there are as many instances as requests in flight, not as many as there ever were.
//!
//! An instance is a task of its own. It has one request at a time (ADR 3), and is free for the next when the guest is done
//! with the last one altogether, its body written.

use crate::component::LoadedComponent;
use crate::host::Registry;
use crate::instance::{InstanceData, Overdue, Phase, Running, Watch, new_store};
use crate::outgoing::Outgoing;
use futures::channel::oneshot;
use futures::task::AtomicWaker;
use headwater_trace::Here;
use http::{Request, Response};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use tokio::sync::OwnedSemaphorePermit;
use wasmtime::component::Accessor;
use wasmtime::{AsContextMut, Store};
use wasmtime_wasi_http::WasiBody;
use wasmtime_wasi_http::handler::{ExpirationError, Prepared, Proxy};

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Unanswered {
    /// No instance could be made; the pool is used up, most likely.
    NoInstance(wasmtime::Error),
    /// The deadline passed.
    Late,
    /// The component answered with an error code.
    Refused(wasmtime::Error),
    /// The component trapped, or its instance ended in another way.
    Lost,
}

/// A request on its way into an instance.
struct Job {
    request: Request<WasiBody>,
    /// Its place among those in flight. It is given back with the response's head or at the deadline, and not when the client
    /// goes away: the guest cannot be told, and goes on.
    place: OwnedSemaphorePermit,
    answer: oneshot::Sender<wasmtime::Result<Response<WasiBody>>>,
}

/// Where an instance that has nothing to do waits for its next request.
#[derive(Default)]
struct Mailbox {
    job: Mutex<Option<Job>>,
    waker: AtomicWaker,
}

impl Mailbox {
    fn put(&self, job: Job) {
        *lock(&self.job) = Some(job);
        self.waker.wake();
    }

    fn take(&self) -> Option<Job> {
        lock(&self.job).take()
    }

    fn poll(&self, cx: &Context<'_>) -> Poll<Job> {
        // Before looking: what is put in afterwards wakes.
        self.waker.register(cx.waker());
        self.take().map_or(Poll::Pending, Poll::Ready)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The instances of one component.
pub(crate) struct Dispatcher(Arc<Instances>);

struct Instances {
    component: Arc<LoadedComponent>,
    registry: Weak<Registry>,
    /// Those that have nothing to do; the one that answered last is at the end.
    idle: Mutex<Vec<Arc<Mailbox>>>,
}

impl Dispatcher {
    pub(crate) fn new(component: Arc<LoadedComponent>, registry: Weak<Registry>) -> Self {
        Self(Arc::new(Instances {
            component,
            registry,
            idle: Mutex::default(),
        }))
    }

    /// Has an instance answer. How many do so at once is for the caller to bound, by its `place`s.
    pub(crate) async fn handle(
        &self,
        place: OwnedSemaphorePermit,
        request: Request<WasiBody>,
    ) -> Result<Response<WasiBody>, Unanswered> {
        let (answer, answered) = oneshot::channel();
        self.0.give(Job {
            request,
            place,
            answer,
        });
        answered
            .await
            .map_err(|oneshot::Canceled| Unanswered::Lost)?
            .map_err(|error| {
                if error.is::<ExpirationError>() {
                    Unanswered::Late
                } else {
                    match error.downcast::<NoInstance>() {
                        Ok(NoInstance(error)) => Unanswered::NoInstance(error),
                        Err(error) => Unanswered::Refused(error),
                    }
                }
            })
    }
}

#[derive(Debug, thiserror::Error)]
#[error("no instance: {0}")]
struct NoInstance(wasmtime::Error);

impl Instances {
    fn give(self: &Arc<Self>, job: Job) {
        let mut idle = lock(&self.idle);
        match idle.pop() {
            // Under the lock: an instance that retires finds itself in the list or its job in the mailbox.
            Some(mailbox) => mailbox.put(job),
            None => {
                drop(idle);
                tokio::spawn(live(self.clone(), job));
            }
        }
    }

    async fn instantiate(&self) -> wasmtime::Result<(Store<InstanceData>, Proxy)> {
        let hooks = Outgoing {
            component: self.component.clone(),
            registry: self.registry.clone(),
            here: None,
        };
        let mut store = new_store(&self.component, hooks)?;
        let proxy = self.component.pre.instantiate_async(&mut store).await?;
        metrics::counter!("headwater_component_instances_total", "component" => self.component.id.clone())
            .increment(1);
        Ok((store, proxy))
    }

    /// Takes an instance from those that wait; false if a request has found it before.
    fn retire(&self, mailbox: &Arc<Mailbox>) -> bool {
        let mut idle = lock(&self.idle);
        let at = idle.iter().position(|one| Arc::ptr_eq(one, mailbox));
        at.map(|at| idle.remove(at)).is_some()
    }
}

/// The life of an instance: from its first request until it has idled for long, has answered often enough, or is ended.
async fn live(instances: Arc<Instances>, first: Job) {
    let (mut store, proxy) = match instances.instantiate().await {
        Ok(made) => made,
        Err(error) => {
            // Nobody may be waiting any more.
            let _ = first.answer.send(Err(NoInstance(error).into()));
            return;
        }
    };
    let running = store.data().running();
    let mailbox = Arc::new(Mailbox::default());
    let mut watch = Watch::new(instances.component.limits, running.clone());
    let ended = {
        let mut serving = pin!(store.run_concurrent(async |accessor| {
            serve(&instances, accessor, &proxy, &mailbox, &running, first).await
        }));
        poll_fn(|cx| {
            loop {
                if let Poll::Ready(ended) = serving.as_mut().poll(cx) {
                    return Poll::Ready(ended.flatten());
                }
                match watch.poll(cx) {
                    Poll::Pending => return Poll::Pending,
                    // The one who waits for it is in there.
                    Poll::Ready(Overdue::Request) => {}
                    Poll::Ready(Overdue::Idle) => {
                        if instances.retire(&mailbox) {
                            return Poll::Ready(Ok(()));
                        }
                    }
                    Poll::Ready(Overdue::Instance) => {
                        return Poll::Ready(Err(wasmtime::Error::msg("the guest does not end")));
                    }
                }
            }
        })
        .await
    };
    // At the end of the process instances are dropped in the middle of waiting, which is no failure of theirs. Nor is it one
    // that a database did not answer before the deadline: who asked has been told that it passed.
    if let Err(error) = ended
        && !crate::server::is_stopping()
        && !running.was_kept_waiting()
    {
        let id = &instances.component.id;
        metrics::counter!("headwater_component_traps_total", "component" => id.clone())
            .increment(1);
        tracing::error!(component = %id, "instance ended: {error:?}");
    }
    drop(store);
    // One that ended while it waited.
    instances.retire(&mailbox);
    if let Some(job) = mailbox.take() {
        instances.give(job);
    }
}

/// Answers one request after the other.
async fn serve(
    instances: &Instances,
    accessor: &Accessor<InstanceData>,
    proxy: &Proxy,
    mailbox: &Arc<Mailbox>,
    running: &Running,
    first: Job,
) -> wasmtime::Result<()> {
    let mut job = first;
    let mut left = instances.component.limits.requests_per_instance;
    loop {
        running.enter(Phase::Answering);
        let Job {
            request,
            place,
            answer,
        } = job;
        let view = InstanceData::http_view;
        let here = request.extensions().get::<Here>().cloned();
        let prepared = accessor.with(|mut store| {
            store.as_context_mut().data_mut().answers_within(here);
            Prepared::new(store.as_context_mut(), proxy, request, view, answer)
        })?;
        let in_time = prepared.run(accessor, running.late()).await?;
        drop(place);
        running.enter(Phase::After);
        poll_fn(|cx| accessor.poll_no_interesting_tasks(cx)).await;
        left = left.saturating_sub(1);
        if !in_time || left == 0 {
            return Ok(());
        }
        running.enter(Phase::Idle);
        lock(&instances.idle).push(mailbox.clone());
        job = poll_fn(|cx| mailbox.poll(cx)).await;
    }
}
