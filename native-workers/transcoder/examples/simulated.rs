//! A worker that takes its time over every chunk and makes nothing: what dividing a job costs, on machines with fewer cores than
//! workers. For `cargo xtask bench workers`.
//!
//! `simulated API_URL TOKEN CHUNKS MILLISECONDS`

use std::sync::Arc;
use std::time::Duration;

use futures::future::LocalBoxFuture;
use headwater_net::egress::Guard;
use headwater_transcoder::auto::Choice;
use headwater_transcoder::division::LOOK_AGAIN;
use headwater_transcoder::engine::{Engine, Job};
use headwater_transcoder::failure::Step;
use headwater_transcoder::worker::run_with;
use headwater_transcoder::{CancellationToken, WorkerConfig};
use headwater_work::{ChunkRecord, Claim};

const PLAN: &str = "simulated";

/// Sleeps for as long as an encoder would work.
struct Simulated {
    chunks: u32,
    each: Duration,
}

impl Simulated {
    /// Makes what there is to take of the first output.
    async fn make(&self, job: &Job) -> Step<u32> {
        loop {
            let taken = job.division.take(0, PLAN, &job.stop).await?;
            if taken.chunks.is_empty() {
                return Ok(taken.left);
            }
            for chunk in taken.chunks {
                tokio::time::sleep(self.each).await;
                job.finished_chunk(ChunkRecord {
                    output: 0,
                    chunk,
                    record: serde_json::Value::Null,
                });
            }
        }
    }
}

impl Engine for Simulated {
    fn name(&self) -> &'static str {
        "simulated"
    }

    fn run<'a>(&'a self, _: &'a Claim, job: &'a Job) -> LocalBoxFuture<'a, Step<Vec<String>>> {
        Box::pin(async {
            let todo = (0..self.chunks).map(|chunk| vec![chunk]).collect();
            job.division.share(0, PLAN, todo, &job.stop).await?;
            while self.make(job).await? > 0 {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            Ok(vec![String::new()])
        })
    }

    fn help<'a>(
        &'a self,
        _: &'a Claim,
        _: &'a [u32],
        job: &'a Job,
    ) -> LocalBoxFuture<'a, Step<()>> {
        Box::pin(async { self.make(job).await.map(|_| ()) })
    }
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().expect("API_URL TOKEN CHUNKS MILLISECONDS");
    let config = WorkerConfig {
        api_url: next(),
        token: next(),
        ca: None,
        threads: 1,
        poll: Duration::from_millis(500),
        name: format!("simulated/{}", std::process::id()),
        engine: Choice::BuiltIn,
        ffmpeg: None,
        scratch: std::env::temp_dir(),
        guard: Guard::default(),
    };
    let engine = Simulated {
        chunks: next().parse().expect("a count"),
        each: Duration::from_millis(next().parse().expect("milliseconds")),
    };
    let ended = run_with(config, Arc::new(engine), CancellationToken::new()).await;
    ended.expect("a control plane that takes this worker");
}
