//! Holds one event under a lease: brings what the worker does to what is wanted, and says how far it is.

use std::sync::Arc;
use std::time::Duration;

use headwater_blob::client::HyperClient;
use headwater_live::timeline::Timeline;
use headwater_work::live::facts::Fact;
use headwater_work::live::{
    Assignment, Claim, Edge, Endpoint, Endpoints, Output, OutputReport, OutputState, OutputWanted,
    Protocol, ReleaseRequest, RenewRequest, Wanted, WorkerState,
};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::api::{Api, ApiError};
use crate::event::Live;
use crate::hub::{Hub, Open};
use crate::lease::Lease;
use crate::recording::{self, Handle};
use crate::spool::Spool;
use crate::{Bound, Config, black, measure, resume, srt};

/// What all events of a worker share.
pub(crate) struct Around {
    pub(crate) api: Api,
    pub(crate) client: HyperClient,
    pub(crate) hub: Arc<Hub>,
    pub(crate) bound: Bound,
    pub(crate) config: Config,
}

impl Around {
    /// Where the origin asks.
    fn edge(&self) -> Edge {
        let mut at = self.bound.edge;
        if at.ip().is_unspecified() {
            at.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
        }
        Edge {
            url: match &self.config.edge_url {
                Some(url) => url.trim_end_matches('/').to_owned(),
                None => format!("http://{at}"),
            },
            secret: self.config.edge_secret.clone(),
        }
    }
}

/// Engines are told of the time so often.
const TICK: Duration = Duration::from_millis(100);

/// Heartbeats of tracks, as AMS has them.
const HEARTBEAT: Duration = Duration::from_secs(20);

/// Recordings are waited for so long when the worker goes away.
const GRACE: Duration = Duration::from_secs(20);

/// What has come is encoded within this when an event ends: more than its queues hold, unless encoders cannot keep up.
const ENCODED: Duration = Duration::from_secs(5);

/// How soon a change of state is told.
const SOON: Duration = Duration::from_millis(200);

/// How long encoders may take to go when they are to.
const FAREWELL: Duration = Duration::from_secs(2);

struct Holder {
    around: Arc<Around>,
    lease: Arc<Lease>,
    assignment: Assignment,
    running: Option<Running>,
    /// Outputs that cannot be begun yet, as storage does not say what is there.
    recordings: Vec<Handle>,
    /// What generations before counted up to.
    before: Timeline,
}

/// The event while it takes encoders in.
struct Running {
    live: Arc<Live>,
    token: String,
    srt: Option<srt::Listening>,
}

/// How an event was let go.
enum Over {
    /// Nothing more is wanted.
    Done,
    /// The worker goes away.
    Leaving,
    LeaseLost,
    /// It cannot be brought up.
    Failed(String),
}

/// Holds an event until it is over, its lease is lost, or `shutdown`.
pub(crate) async fn hold(around: Arc<Around>, claim: Claim, shutdown: CancellationToken) {
    let event = claim.assignment.event_id;
    tracing::info!(%event, name = claim.assignment.event_name, "took a live event");
    let mut holder = Holder {
        around,
        lease: Arc::new(Lease::new(claim.lease, claim.lease_seconds)),
        assignment: claim.assignment,
        running: None,
        recordings: Vec::new(),
        before: Timeline::default(),
    };
    let over = holder.keep(&shutdown).await;
    let failure = match over {
        Over::LeaseLost => {
            tracing::warn!(%event, "the lease is lost; nothing more is written");
            holder.drop_everything().await;
            resume::forget(&holder.around.config.data, event);
            return;
        }
        Over::Leaving => {
            holder.bring_home().await;
            None
        }
        Over::Done => {
            let late = async {
                shutdown.cancelled().await;
                tokio::time::sleep(GRACE).await;
            };
            let finished = tokio::select! {
                () = holder.finish_outputs() => true,
                () = late => false,
            };
            if !finished {
                holder.drop_everything().await;
            }
            None
        }
        Over::Failed(failure) => {
            holder.drop_everything().await;
            Some(failure)
        }
    };
    holder.tell_facts().await;
    let release = ReleaseRequest {
        lease: holder.lease.token.clone(),
        failure,
    };
    resume::forget(&holder.around.config.data, event);
    for wait in [200, 1_000, 3_000] {
        match holder.around.api.release(event, &release).await {
            Ok(()) | Err(ApiError::LeaseLost | ApiError::Refused(..)) => break,
            Err(error) => tracing::warn!(%event, "releasing a live event: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(wait)).await;
    }
    tracing::info!(%event, "let a live event go");
}

/// Tells an event's engine of the time for as long as encoders are taken in, however long anybody else is waited for.
async fn tell_time(live: Arc<Live>) {
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            () = live.stop.cancelled() => return,
            _ = tick.tick() => black::provide(&live, live.tick()),
        }
    }
}

impl Holder {
    async fn keep(&mut self, shutdown: &CancellationToken) -> Over {
        let mut look = tokio::time::interval(TICK);
        look.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut beat = tokio::time::interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
        let mut renew_at = Instant::now();
        let mut told: Option<RenewRequest> = None;
        loop {
            if let Err(over) = self.follow().await {
                return over;
            }
            let report = self.report();
            let changed = told.as_ref() != Some(&report);
            let soon = changed && renew_at > Instant::now() + SOON;
            if soon {
                renew_at = Instant::now() + SOON;
            }
            tokio::select! {
                () = shutdown.cancelled() => return Over::Leaving,
                _ = look.tick() => {}
                _ = beat.tick() => {
                    if let Some(running) = &self.running {
                        for heartbeat in running.live.heartbeats() {
                            running.live.facts.tell(Fact::Heartbeat(heartbeat));
                        }
                    }
                }
            }
            if self.tell_facts_soon() {
                self.tell_facts().await;
            }
            if Instant::now() < renew_at {
                continue;
            }
            let asked = Instant::now();
            match self
                .around
                .api
                .renew(self.assignment.event_id, &self.measured(&report))
                .await
            {
                Ok(assignment) => {
                    self.assignment = assignment;
                    self.lease.renewed(asked);
                    if told.as_ref() != Some(&report) {
                        let data = &self.around.config.data;
                        if let Err(error) = resume::keep(data, self.assignment.event_id, &report) {
                            tracing::warn!("keeping a lease: {error}");
                        }
                    }
                    told = Some(report);
                    renew_at = Instant::now() + (self.lease.lasts / 3).min(Duration::from_secs(5));
                }
                Err(ApiError::LeaseLost) => return Over::LeaseLost,
                Err(error) => {
                    tracing::warn!(event = %self.assignment.event_id, "renewing a lease: {error}");
                    renew_at = Instant::now() + Duration::from_secs(1);
                    let may_go_on = matches!(error, ApiError::Unavailable(_)) && self.records();
                    if !(self.lease.is_sure() || may_go_on) {
                        return Over::LeaseLost;
                    }
                }
            }
        }
    }

    /// Whether something is recorded. Then the catalog may be away for longer than a lease lasts, which nobody else can be
    /// given meanwhile, and the recording tells should another have it all the same.
    fn records(&self) -> bool {
        let records =
            |handle: &Handle| handle.state() == Some(OutputState::Recording) && !handle.is_fenced();
        self.recordings.iter().any(records)
    }

    /// Whether somebody else records what is recorded here, and the event may be theirs.
    fn is_overtaken(&self) -> bool {
        self.recordings.iter().any(Handle::is_fenced) && !self.lease.is_sure()
    }

    /// Begins those recordings anew in whose place somebody else recorded, from what is there by now. One that cannot be begun
    /// stays as it is, to be tried again.
    async fn begin_fenced_anew(&mut self, live: &Arc<Live>) {
        for handle in &mut self.recordings {
            let mut outputs = self.assignment.outputs.iter();
            let output = outputs.find(|output| output.output_id == handle.id);
            let Some(output) = output.filter(|_| handle.is_fenced()) else {
                continue;
            };
            match recording::found(&self.around.client, output).await {
                Ok(found) => {
                    *handle = recording::start(&self.around.client, live, output, found);
                    handle.update(output, false);
                }
                Err(error) => {
                    tracing::warn!(event = %live.id, output = output.name, "what another recorded: {error}");
                }
            }
        }
    }

    /// Brings what is done to what is wanted.
    async fn follow(&mut self) -> Result<(), Over> {
        if let Some(running) = &self.running {
            if let Some(broken) = running.live.broken() {
                return Err(Over::Failed(broken));
            }
            if running.live.generation != self.assignment.generation {
                // Nothing of the old generation belongs on the new one's timeline, but numbers go on.
                self.before = running.live.ask(Timeline::anew);
                self.drop_everything().await;
            }
        }
        match self.assignment.wanted {
            Wanted::Stop => Err(Over::Done),
            Wanted::StandBy => {
                if self.running.is_some() {
                    self.drop_everything().await;
                }
                Ok(())
            }
            Wanted::Run => {
                if self.running.is_none() {
                    self.bring_up().await?;
                }
                if let Some(running) = &self.running {
                    running.live.set_allow(&self.assignment.input.allow);
                }
                if self.is_overtaken() {
                    return Err(Over::LeaseLost);
                }
                self.follow_outputs().await;
                Ok(())
            }
        }
    }

    async fn bring_up(&mut self) -> Result<(), Over> {
        let assignment = &self.assignment;
        if assignment.input.protocol == Protocol::Rtmps && self.around.bound.rtmps.is_empty() {
            return Err(Over::Failed(
                "this installation takes no RTMPS; use RTMP or SRT, or give it a certificate"
                    .to_owned(),
            ));
        }
        let disk = |error| Over::Failed(format!("the worker's disk cannot be used: {error}"));
        let data = &self.around.config.data;
        let opened = Spool::open(data, assignment.event_id, assignment.generation);
        let (spool, journal) = opened.map_err(disk)?;
        // Another machine may have had the event since: whoever counted further knows better.
        let mut best = journal.unwrap_or_default();
        // One that is still to begin counts rows that it does not have: who goes on from it has none for the others.
        let mut waiting = Timeline::default();
        for output in &assignment.outputs {
            let found = recording::found(&self.around.client, output).await;
            let Ok(Some(found)) = found.map(|found| found.recording) else {
                continue;
            };
            let known = match found.open.rows.is_empty() && found.pages.is_empty() {
                true => &mut waiting,
                false => &mut best,
            };
            if !found.open.ended && found.open.next_number > known.next_number {
                *known = found.open;
            }
        }
        if best.next_number.is_none() {
            best = waiting;
        }
        // An event that has ended, or was reset, begins anew; its numbers go on.
        if best.next_number < self.before.next_number {
            best = self.before.clone();
        } else if best.ended {
            best = best.anew();
        }
        let live = Live::new(assignment, spool, best, self.lease.clone()).map_err(Over::Failed)?;
        let live = Arc::new(live);
        let open = Open {
            live: live.clone(),
            host: self.host().into(),
        };
        let token = assignment.input.access_token.clone();
        let srt = match assignment.input.protocol {
            // Brought up to be finished: nobody is let in.
            _ if assignment.wanted != Wanted::Run => None,
            Protocol::Srt => {
                let listening = srt::listen(self.around.config.srt, &token, open).await;
                Some(listening.map_err(|error| Over::Failed(format!("SRT: {error}")))?)
            }
            Protocol::Rtmp | Protocol::Rtmps | Protocol::FragmentedMp4 => {
                self.around.hub.open(&token, open);
                None
            }
        };
        self.around.hub.show(&live);
        tokio::spawn(tell_time(live.clone()));
        self.running = Some(Running { live, token, srt });
        Ok(())
    }

    async fn follow_outputs(&mut self) {
        let Some(running) = &self.running else {
            return;
        };
        let wanted = &self.assignment.outputs;
        let (kept, gone): (Vec<Handle>, Vec<Handle>) = std::mem::take(&mut self.recordings)
            .into_iter()
            .partition(|known| wanted.iter().any(|output| output.output_id == known.id));
        self.recordings = kept;
        for handle in gone {
            handle.stop().await;
        }
        // An output that ends after its encoder has gone ends with all that came.
        let ends = |known: &Handle| {
            let own = wanted.iter().find(|output| output.output_id == known.id);
            !known.is_over() && own.is_some_and(|output| output.wanted == OutputWanted::Finish)
        };
        if self.recordings.iter().any(ends) {
            running.live.flush_what_was_left();
        }
        let live = running.live.clone();
        for output in wanted {
            if let Some(known) = self.recording_of(output) {
                known.update(output, false);
            }
        }
        self.begin_fenced_anew(&live).await;
        self.begin_missing(&live).await;
    }

    fn recording_of(&self, output: &Output) -> Option<&Handle> {
        let mut recordings = self.recordings.iter();
        recordings.find(|known| known.id == output.output_id)
    }

    /// Begins the recordings that are wanted and do not run yet.
    async fn begin_missing(&mut self, live: &Arc<Live>) {
        for output in &self.assignment.outputs {
            if self.recording_of(output).is_some() {
                continue;
            }
            // What is there already must be known before anything is written.
            match recording::found(&self.around.client, output).await {
                Ok(found) => {
                    let handle = recording::start(&self.around.client, live, output, found);
                    handle.update(output, false);
                    self.recordings.push(handle);
                }
                Err(error) => {
                    tracing::warn!(event = %live.id, output = output.name, "what is recorded already: {error}");
                }
            }
        }
    }

    fn report(&self) -> RenewRequest {
        let state = match (self.assignment.wanted, &self.running) {
            (Wanted::StandBy, _) => WorkerState::StandBy,
            (Wanted::Run, Some(_)) => WorkerState::Running,
            _ => WorkerState::Preparing,
        };
        RenewRequest {
            lease: self.lease.token.clone(),
            state,
            generation: self.assignment.generation,
            endpoints: self.endpoints(),
            edge: self.running.is_some().then(|| self.around.edge()),
            outputs: self.output_reports(),
            health: None,
        }
    }

    /// A report with what was measured, which changes all the time and is no reason to tell it.
    fn measured(&self, report: &RenewRequest) -> RenewRequest {
        let health = self.running.as_ref().map(|running| {
            let of = (&*self.assignment.project, &*self.assignment.event_name);
            measure::health(&running.live, of)
        });
        RenewRequest {
            health,
            ..report.clone()
        }
    }

    fn output_reports(&self) -> Vec<OutputReport> {
        let reports = self.recordings.iter().filter_map(|recording| {
            let state: OutputState = recording.state()?;
            Some(OutputReport {
                output_id: recording.id,
                state,
            })
        });
        reports.collect()
    }

    /// The host in the URLs that encoders are told: only a name that leads here.
    fn host(&self) -> String {
        let config = &self.around.config;
        match &self.assignment.static_hostname {
            Some(label) if config.host_labels => {
                format!("{label}.{}", config.public_host)
            }
            _ => config.public_host.clone(),
        }
    }

    fn endpoints(&self) -> Endpoints {
        let Some(running) = &self.running else {
            return Endpoints::default();
        };
        let (config, host) = (&self.around.config, self.host());
        let token = &running.token;
        let path = |scheme: &str, ports: &[std::net::SocketAddr]| {
            let ports = ports.iter().map(std::net::SocketAddr::port);
            let urls = ports.map(|port| Endpoint {
                protocol: scheme.to_ascii_uppercase(),
                url: format!("{scheme}://{host}:{port}/live/{token}"),
            });
            urls.collect::<Vec<_>>()
        };
        let mut input = Vec::new();
        match self.assignment.input.protocol {
            Protocol::Srt => {
                let port = running.srt.as_ref().map_or(0, |srt| srt.port);
                input.push(Endpoint {
                    protocol: "SRT".to_owned(),
                    url: format!("srt://{host}:{port}?passphrase={token}&pbkeylen=16"),
                });
            }
            Protocol::Rtmp => {
                input.extend(path("rtmp", &self.around.bound.rtmp));
                input.extend(path("rtmps", &self.around.bound.rtmps));
            }
            Protocol::FragmentedMp4 => {
                let ports = |scheme: &'static str, ports: &[std::net::SocketAddr]| {
                    let urls = ports.iter().map(|at| Endpoint {
                        protocol: "FragmentedMP4".to_owned(),
                        url: format!("{scheme}://{host}:{}/{token}/ingest.isml", at.port()),
                    });
                    urls.collect::<Vec<_>>()
                };
                input.extend(ports("http", &self.around.bound.rtmp));
                input.extend(ports("https", &self.around.bound.rtmps));
            }
            Protocol::Rtmps => input.extend(path("rtmps", &self.around.bound.rtmps)),
        }
        // Not of SRT, which has a port for each event and no HTTP.
        let posts = |scheme: &'static str, ports: &[std::net::SocketAddr]| {
            let urls = ports.iter().take(1).map(|at| {
                format!(
                    "{scheme}://{host}:{}/{token}/ingest.isml/eventdata",
                    at.port()
                )
            });
            urls.collect::<Vec<_>>()
        };
        let bound = &self.around.bound;
        let mut timed_metadata = match self.assignment.input.protocol {
            Protocol::Srt => Vec::new(),
            _ => posts("https", &bound.rtmps),
        };
        if matches!(
            self.assignment.input.protocol,
            Protocol::Rtmp | Protocol::FragmentedMp4
        ) {
            timed_metadata.extend(posts("http", &bound.rtmp));
        }
        let preview = Endpoint {
            protocol: "FragmentedMP4".to_owned(),
            url: format!(
                "{}/{}/preview.ism/manifest",
                config.streaming_url.trim_end_matches('/'),
                self.assignment.preview.locator
            ),
        };
        Endpoints {
            input,
            preview: vec![preview],
            timed_metadata,
        }
    }

    /// Takes no encoder in any more, and lets those go that are there.
    fn close_doors(&mut self) -> Option<Arc<Live>> {
        let running = self.running.take()?;
        self.around.hub.close(&running.token);
        running.live.stop.cancel();
        drop(running.srt);
        Some(running.live)
    }

    /// As [`Self::close_doors`], and brings everything out that has come.
    async fn close_and_flush(&mut self) -> Option<Arc<Live>> {
        let live = self.close_doors()?;
        live.deserted(FAREWELL).await;
        if let Some(encoding) = &live.encoding {
            encoding.settle(ENCODED).await;
        }
        live.flush();
        Some(live)
    }

    /// Writes nothing more.
    async fn drop_everything(&mut self) {
        for recording in std::mem::take(&mut self.recordings) {
            recording.stop().await;
        }
        if let Some(live) = self.close_doors() {
            live.leave();
            live.hang_up();
            self.around.hub.hide(live.id);
            live.deserted(FAREWELL).await;
            self.tell_facts_of(&live).await;
        }
    }

    /// Brings what came into storage, for the next worker to go on from.
    async fn bring_home(&mut self) {
        let Some(live) = self.close_and_flush().await else {
            return;
        };
        live.hang_up();
        let deadline = Instant::now() + GRACE;
        for recording in &mut self.recordings {
            recording
                .settle(deadline.saturating_duration_since(Instant::now()))
                .await;
        }
        live.leave();
        self.tell_facts_of(&live).await;
        self.around.hub.hide(live.id);
        for recording in std::mem::take(&mut self.recordings) {
            recording.stop().await;
        }
    }

    /// The event ends: every recording becomes a film. The lease is kept meanwhile.
    async fn finish_outputs(&mut self) {
        // A worker that was lost while it did this left it to the next one.
        if self.running.is_none()
            && !self.assignment.outputs.is_empty()
            && self.bring_up().await.is_ok()
        {
            self.follow_outputs().await;
        }
        let live = self.close_and_flush().await;
        if let Some(live) = &live {
            // Should this be cut short, the next worker finds all of it.
            live.leave();
        }
        let event: Uuid = self.assignment.event_id;
        while !self.recordings.is_empty() {
            for recording in &self.recordings {
                let output = self
                    .assignment
                    .outputs
                    .iter()
                    .find(|output| output.output_id == recording.id);
                if let Some(output) = output {
                    recording.update(output, true);
                }
            }
            let over = self.recordings.iter().all(Handle::is_over);
            let report = RenewRequest {
                lease: self.lease.token.clone(),
                state: WorkerState::Preparing,
                generation: self.assignment.generation,
                endpoints: Endpoints::default(),
                edge: Some(self.around.edge()),
                outputs: self.output_reports(),
                health: None,
            };
            let asked = Instant::now();
            let renewed = self.around.api.renew(event, &report).await;
            let told = renewed.is_ok();
            if told {
                self.lease.renewed(asked);
            }
            match renewed {
                Ok(assignment) => {
                    self.assignment = assignment;
                    let outputs = &self.assignment.outputs;
                    self.recordings
                        .retain(|known| outputs.iter().any(|output| output.output_id == known.id));
                }
                Err(ApiError::LeaseLost) => break,
                Err(error) => tracing::warn!(%event, "renewing a lease: {error}"),
            }
            let fenced = self.recordings.iter().any(Handle::is_fenced);
            if let Some(live) = live.as_ref().filter(|_| told && fenced) {
                // Whoever recorded here as well is told by now, and what it came to is gone on from.
                self.begin_fenced_anew(live).await;
            }
            // Nobody may believe that an output is still being recorded.
            if over && told && !fenced {
                break;
            }
            tokio::time::sleep(SOON).await;
        }
        for recording in std::mem::take(&mut self.recordings) {
            recording.stop().await;
        }
        if let Some(live) = live {
            live.end();
            self.tell_facts_of(&live).await;
            self.around.hub.hide(live.id);
            live.forget();
        }
    }

    fn tell_facts_soon(&self) -> bool {
        self.running
            .as_ref()
            .is_some_and(|running| running.live.facts.next().is_some())
    }

    async fn tell_facts(&self) {
        if let Some(running) = &self.running {
            self.tell_facts_of(&running.live).await;
        }
    }

    async fn tell_facts_of(&self, live: &Live) {
        while let Some(report) = live.facts.next() {
            match self.around.api.facts(live.id, &report).await {
                // What the API does not take will not be taken later either.
                Ok(()) | Err(ApiError::Refused(..) | ApiError::LeaseLost) => {
                    live.facts.done(&report)
                }
                Err(error) => {
                    tracing::warn!(event = %live.id, "telling facts: {error}");
                    return;
                }
            }
        }
    }
}
