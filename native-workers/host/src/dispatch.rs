//! Which instance answers a request: of those that have nothing to do the one that answered last, else a new one.
//!
//! What the last one works on is still in the core's cache. Under a steady load the others idle until they are dropped, so
//! there are as many instances as requests in flight, not as many as there ever were.
//!
//! An instance is a task of its own. It has one request at a time (ADR 3), and is free for the next when the guest is done
//! with the last one altogether, its body written.
//!
//! A component that can say what it remembers is asked for that first, in a single call ([`Dispatcher::recall`]): its handler
//! costs thirty of them (ADR 48).

use crate::bindings::memory::Remembering;
use crate::bindings::memory::exports::headwater::edge::memory::{Answer, Body, Question};
use crate::component::LoadedComponent;
use crate::host::Registry;
use crate::instance::{InstanceData, Overdue, Phase, Running, Watch, new_store};
use crate::outgoing::{self, Outgoing, full_body};
use bytes::Bytes;
use futures::channel::oneshot;
use futures::future::BoxFuture;
use futures::task::AtomicWaker;
use headwater_trace::Here;
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, response};
use http_body::Body as _;
use metrics::Counter;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use tokio::sync::OwnedSemaphorePermit;
use wasmtime::component::Accessor;
use wasmtime::{AsContextMut, Store};
use wasmtime_wasi_http::handler::{ExpirationError, Prepared, Proxy};
use wasmtime_wasi_http::{Error, WasiBody};

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
    /// Where to say what is not an answer yet, if the component is asked first for what it remembers.
    recalled: Option<oneshot::Sender<HandedOn>>,
}

/// An answer whose body is another component's.
struct HandedOn {
    head: response::Parts,
    post: Request<WasiBody>,
    /// What was asked, should that body not come.
    request: Request<WasiBody>,
    place: OwnedSemaphorePermit,
}

/// What came of asking for what is remembered.
enum Remembered {
    Answer(Response<WasiBody>),
    /// The head of an answer, and where its body comes from.
    HandedOn(Box<(response::Parts, Request<WasiBody>)>),
    /// The question is one for the handler.
    Nothing,
}

/// What a component that may remember something has answered.
pub(crate) enum Recalled {
    Answer(Response<WasiBody>),
    /// Nothing yet; the request keeps its place.
    Nothing(Request<WasiBody>, OwnedSemaphorePermit),
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
    /// Requests that memory answered, and that it did not.
    recalls: (Counter, Counter),
}

impl Dispatcher {
    pub(crate) fn new(component: Arc<LoadedComponent>, registry: Weak<Registry>) -> Self {
        let recalls = |outcome| {
            metrics::counter!("headwater_component_recalls_total",
                "component" => component.id.clone(), "outcome" => outcome)
        };
        Self(Arc::new(Instances {
            recalls: (recalls("answered"), recalls("asked")),
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
            recalled: None,
        });
        answered
            .await
            .map_err(|oneshot::Canceled| Unanswered::Lost)?
            .map_err(unanswered)
    }

    /// Has an instance answer of what it remembers, or else by its handler; by that alone if the component has no memory or the
    /// request is none for it: with a body, or to change something.
    pub(crate) async fn recall(
        &self,
        place: OwnedSemaphorePermit,
        request: Request<WasiBody>,
    ) -> Result<Recalled, Unanswered> {
        let component = &self.0.component;
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        if !reads || !request.body().is_end_stream() || !component.exports.has_memory() {
            return self.handle(place, request).await.map(Recalled::Answer);
        }
        let (answer, answered) = oneshot::channel();
        let (handed_on, recalled) = oneshot::channel();
        self.0.give(Job {
            request,
            place,
            answer,
            recalled: Some(handed_on),
        });
        if let Ok(answer) = answered.await {
            return answer.map(Recalled::Answer).map_err(unanswered);
        }
        let HandedOn {
            head,
            post,
            request,
            place,
        } = recalled
            .await
            .map_err(|oneshot::Canceled| Unanswered::Lost)?;
        let here = request.extensions().get::<Here>().cloned();
        let asked = self.0.send(post, here);
        let answered = tokio::time::timeout(component.limits.request_deadline, asked).await;
        let (remembered, other) = &self.0.recalls;
        Ok(match answered.map_err(|_| Unanswered::Late)? {
            Ok(answered) if answered.status() == StatusCode::OK => {
                remembered.increment(1);
                Recalled::Answer(Response::from_parts(head, answered.into_body()))
            }
            // The handler knows what to do about it, or how to say it.
            _ => {
                other.increment(1);
                Recalled::Nothing(request, place)
            }
        })
    }
}

fn unanswered(error: wasmtime::Error) -> Unanswered {
    if error.is::<ExpirationError>() {
        return Unanswered::Late;
    }
    match error.downcast::<NoInstance>() {
        Ok(NoInstance(error)) => Unanswered::NoInstance(error),
        Err(error) => Unanswered::Refused(error),
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

    async fn instantiate(
        &self,
    ) -> wasmtime::Result<(Store<InstanceData>, Proxy, Option<Remembering>)> {
        let hooks = Outgoing {
            component: self.component.clone(),
            registry: self.registry.clone(),
            here: None,
        };
        let mut store = new_store(&self.component, hooks)?;
        let (proxy, memory) = self.component.exports.instantiate(&mut store).await?;
        metrics::counter!("headwater_component_instances_total", "component" => self.component.id.clone())
            .increment(1);
        Ok((store, proxy, memory))
    }

    /// Sends what a component asks of another. Boxed, as that one may ask others in the same way.
    fn send(
        &self,
        request: Request<WasiBody>,
        here: Option<Here>,
    ) -> BoxFuture<'_, Result<Response<WasiBody>, Error>> {
        let registry = self.registry.clone();
        Box::pin(outgoing::send(
            &self.component,
            registry,
            request,
            None,
            here,
        ))
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
    let (mut store, proxy, memory) = match instances.instantiate().await {
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
            let guest = Guest {
                instances: &instances,
                accessor,
                proxy: &proxy,
                memory: memory.as_ref(),
                running: &running,
            };
            guest.serve(&mailbox, first).await
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

/// An instance, and what it takes to have it answer.
struct Guest<'a> {
    instances: &'a Instances,
    accessor: &'a Accessor<InstanceData>,
    proxy: &'a Proxy,
    memory: Option<&'a Remembering>,
    running: &'a Running,
}

impl Guest<'_> {
    /// Answers one request after the other.
    async fn serve(&self, mailbox: &Arc<Mailbox>, first: Job) -> wasmtime::Result<()> {
        let mut job = first;
        let mut left = self.instances.component.limits.requests_per_instance;
        loop {
            self.running.enter(Phase::Answering);
            let in_time = self.answer(job).await?;
            self.running.enter(Phase::After);
            poll_fn(|cx| self.accessor.poll_no_interesting_tasks(cx)).await;
            left = left.saturating_sub(1);
            if !in_time || left == 0 {
                return Ok(());
            }
            self.running.enter(Phase::Idle);
            lock(&self.instances.idle).push(mailbox.clone());
            job = poll_fn(|cx| mailbox.poll(cx)).await;
        }
    }

    /// Answers a request. False: not before its deadline.
    async fn answer(&self, job: Job) -> wasmtime::Result<bool> {
        let Job {
            request,
            place,
            answer,
            recalled,
        } = job;
        if let (Some(memory), Some(handed_on)) = (self.memory, recalled) {
            let (remembered, other) = &self.instances.recalls;
            match self.recall(memory, question(&request)).await? {
                Remembered::Answer(response) => {
                    remembered.increment(1);
                    drop(place);
                    // Nobody may be waiting any more.
                    let _ = answer.send(Ok(response));
                    return Ok(true);
                }
                Remembered::HandedOn(answer) => {
                    let (head, post) = *answer;
                    let _ = handed_on.send(HandedOn {
                        head,
                        post,
                        request,
                        place,
                    });
                    return Ok(true);
                }
                // Of the same instance, which remembers what comes of it.
                Remembered::Nothing => {
                    other.increment(1);
                    self.running.enter(Phase::Answering);
                }
            }
        }
        let view = InstanceData::http_view;
        let here = request.extensions().get::<Here>().cloned();
        let prepared = self.accessor.with(|mut store| {
            store.as_context_mut().data_mut().answers_within(here);
            Prepared::new(store.as_context_mut(), self.proxy, request, view, answer)
        })?;
        prepared.run(self.accessor, self.running.late()).await
    }

    /// What the guest remembers.
    ///
    /// Errors: it traps, or its answer is none.
    async fn recall(
        &self,
        memory: &Remembering,
        question: Question,
    ) -> wasmtime::Result<Remembered> {
        let recalled = memory
            .headwater_edge_memory()
            .call_recall(self.accessor, question)
            .await?;
        let Some(Answer {
            status,
            headers,
            body,
        }) = recalled
        else {
            return Ok(Remembered::Nothing);
        };
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::from_u16(status)?;
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes())?;
            let value = HeaderValue::from_maybe_shared(Bytes::from(value))?;
            response.headers_mut().append(name, value);
        }
        let bytes = match body {
            Body::Empty => Bytes::new(),
            Body::Bytes(bytes) => bytes.into(),
            Body::HandedOn(post) => {
                let post = Request::post(post.url).body(full_body(post.body));
                // Nowhere: the handler has its own words for that.
                return Ok(post.map_or(Remembered::Nothing, |post| {
                    Remembered::HandedOn(Box::new((response.into_parts().0, post)))
                }));
            }
        };
        Ok(Remembered::Answer(response.map(|()| full_body(bytes))))
    }
}

/// A request as the guest's memory takes it.
fn question(request: &Request<WasiBody>) -> Question {
    let headers = request.headers().iter();
    let target = request.uri().path_and_query();
    Question {
        head: *request.method() == Method::HEAD,
        target: target.map_or("/", PathAndQuery::as_str).to_owned(),
        authority: request.uri().authority().map(ToString::to_string),
        headers: headers
            .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
            .collect(),
    }
}
