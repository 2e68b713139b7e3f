//! Traces: what a request or an encoder's connection set off, from process to process, as OpenTelemetry has it.
//!
//! | | |
//! |---|---|
//! | [`start`], [`Tracing`] | reads the standard's settings (`OTEL_*`) and exports spans by OTLP over HTTP |
//! | [`Span`] | a piece of work; one that nobody traces costs a look at an `Option` |
//! | [`Here`] | where a span is: what those that are begun within it need to know, here or in another process |
//!
//! Between processes the place travels in `traceparent` and `tracestate` (W3C Trace Context). Attributes are named as the
//! semantic conventions of HTTP name them. URLs are told without their queries, which carry tokens and signatures.

mod settings;

use std::borrow::Cow;
use std::sync::OnceLock;

use bytes::Bytes;
use headwater_blob::client::{HttpClient, HyperClient, HyperOptions};
use http::{HeaderMap, Request, Response};
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::{
    Span as _, SpanContext, Status, TraceContextExt as _, Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_http::{HeaderExtractor, HeaderInjector};
use opentelemetry_otlp::{WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};

pub use opentelemetry::Value;
pub use opentelemetry::trace::SpanKind as Kind;
pub use settings::{InvalidSetting, Settings};

static TRACER: OnceLock<SdkTracer> = OnceLock::new();

/// Exports what is traced until it is shut down.
#[must_use]
pub struct Tracing(SdkTracerProvider);

impl Tracing {
    /// Sends what has not been sent yet. Waits for that, some seconds at most.
    pub fn shutdown(self) {
        if let Err(error) = self.0.shutdown() {
            tracing::warn!("the last spans were not exported: {error}");
        }
    }
}

/// Begins to trace, for as long as the process lives. `None`: the settings ask for no traces.
///
/// `service`: the name of this process, unless `OTEL_SERVICE_NAME` says another. To be called within a Tokio runtime, once;
/// a second call exports nothing.
///
/// Errors: a setting that is wrong, by its name.
pub fn start(
    settings: &Settings,
    service: &'static str,
) -> Result<Option<Tracing>, InvalidSetting> {
    if !settings.is_on()? {
        return Ok(None);
    }
    let client = HyperClient::new(HyperOptions {
        extra_ca_pem: settings.ca()?,
        ..HyperOptions::default()
    });
    let client = client.map_err(|error| InvalidSetting::of_ca(&error.to_string()))?;
    let sender = Sender {
        client,
        runtime: tokio::runtime::Handle::current(),
    };
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_http_client(sender)
        .with_protocol(opentelemetry_otlp::Protocol::HttpBinary)
        .build()
        .map_err(|error| InvalidSetting::of_exporter(&error.to_string()))?;
    let resource = Resource::builder();
    let resource = match settings.names_service() {
        true => resource,
        false => resource.with_service_name(service),
    };
    let resource =
        resource.with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource.build())
        .build();
    // Were it set already, this provider would just never be given a span.
    let _ = TRACER.set(provider.tracer("headwater"));
    Ok(Some(Tracing(provider)))
}

/// Sends what the exporter has, on our runtime: the exporter's thread has none.
#[derive(Debug)]
struct Sender {
    client: HyperClient,
    runtime: tokio::runtime::Handle,
}

#[async_trait::async_trait]
impl opentelemetry_http::HttpClient for Sender {
    async fn send_bytes(
        &self,
        request: Request<Bytes>,
    ) -> Result<Response<Bytes>, opentelemetry_http::HttpError> {
        let client = self.client.clone();
        let sent = self
            .runtime
            .spawn(async move { client.send(request).await });
        Ok(sent.await??)
    }
}

/// Where a span is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Here(SpanContext);

impl Here {
    /// What tells another process of it. Whoever sends it is asked to continue the trace.
    pub fn tell(&self, headers: &mut HeaderMap) {
        let context = Context::new().with_remote_span_context(self.0.clone());
        TraceContextPropagator::new().inject_context(&context, &mut HeaderInjector(headers));
    }

    /// As [`Self::tell`], into headers of its own.
    pub fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        self.tell(&mut headers);
        headers
    }

    /// A client whose requests are part of it; as it is, if nobody traces.
    pub fn through(here: Option<&Self>, client: &HyperClient) -> HyperClient {
        match here {
            Some(here) => client.sending(here.headers()),
            None => client.clone(),
        }
    }
}

/// A piece of work. It ends when it is dropped.
#[must_use]
#[derive(Debug, Default)]
pub struct Span(Option<Box<opentelemetry_sdk::trace::Span>>);

impl Span {
    /// One that nobody is told of.
    pub const fn none() -> Self {
        Self(None)
    }

    /// The answer to a request: within what its headers say, if they say anything.
    pub fn serve(headers: &HeaderMap, name: impl FnOnce() -> Cow<'static, str>) -> Self {
        let Some(tracer) = TRACER.get() else {
            return Self::none();
        };
        let outside = TraceContextPropagator::new()
            .extract_with_context(&Context::new(), &HeaderExtractor(headers));
        Self::begin(tracer, &outside, Kind::Server, name())
    }

    /// Work within another, here or elsewhere. Without one, a trace of its own.
    pub fn within(parent: Option<&Here>, kind: Kind, name: impl Into<Cow<'static, str>>) -> Self {
        let Some(tracer) = TRACER.get() else {
            return Self::none();
        };
        let context = match parent {
            Some(Here(parent)) => Context::new().with_remote_span_context(parent.clone()),
            None => Context::new(),
        };
        Self::begin(tracer, &context, kind, name.into())
    }

    /// Work within another that is traced; nothing by itself.
    pub fn part_of(parent: Option<&Here>, kind: Kind, name: impl Into<Cow<'static, str>>) -> Self {
        match parent {
            Some(_) => Self::within(parent, kind, name),
            None => Self::none(),
        }
    }

    fn begin(tracer: &SdkTracer, parent: &Context, kind: Kind, name: Cow<'static, str>) -> Self {
        let builder = tracer.span_builder(name).with_kind(kind);
        Self(Some(Box::new(tracer.build_with_context(builder, parent))))
    }

    /// Where it is; `None` if nobody traces.
    pub fn here(&self) -> Option<Here> {
        let span = self.0.as_deref()?;
        Some(Here(span.span_context().clone()))
    }

    /// Says something about it.
    pub fn set(&mut self, key: &'static str, value: impl Into<Value>) {
        if let Some(span) = &mut self.0 {
            span.set_attribute(KeyValue::new(key, value));
        }
    }

    /// As [`Self::set`], with what is only made if somebody wants to know.
    pub fn tell(&mut self, key: &'static str, value: impl FnOnce() -> Value) {
        if let Some(span) = &mut self.0 {
            span.set_attribute(KeyValue::new(key, value()));
        }
    }

    /// It did not succeed.
    pub fn fail(&mut self, why: impl FnOnce() -> String) {
        if let Some(span) = &mut self.0 {
            span.set_status(Status::error(why()));
        }
    }
}
