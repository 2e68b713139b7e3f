//! Who makes which chunks of an output.
//!
//! The worker that has a job says what there is to make ([`Division::share`]). From then on everybody, helpers included, makes
//! what [`Division::take`] hands out. An output of a few chunks is not worth another's setting up: those are handed out from
//! a list here, as are those of a control plane that does not know of helpers yet.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use headwater_work::{ChunkRecord, RecordsRequest, ShareRequest, TakeRequest, TakeResponse};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::api::{Api, ApiError};
use crate::failure::{self, Step, Stopped};

/// Lots of an output, from which on it is shared.
const WORTHWHILE: usize = 4;

/// Between two looks at what others make.
pub const LOOK_AGAIN: Duration = Duration::from_millis(300);

/// Waits after a call that the API did not answer: doubled each time, up to this.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Most records that are asked for in one call.
const RECORDS: usize = 16;

/// How the chunks of one job are divided.
#[derive(Debug, Default)]
pub struct Division {
    others: Option<Others>,
    state: Mutex<State>,
}

/// Where chunks are handed out to several workers.
#[derive(Debug)]
struct Others {
    api: Api,
    job: Uuid,
    lease: String,
}

#[derive(Debug, Default)]
struct State {
    /// Chunks of outputs that nobody else has a hand in.
    own: BTreeMap<u32, VecDeque<Vec<u32>>>,
    /// What was taken and is not known to be made, by output.
    held: BTreeMap<u32, BTreeSet<u32>>,
}

impl Division {
    /// For the holder of `lease`, or a helper.
    pub fn among_others(api: Api, job: Uuid, lease: String) -> Self {
        Self {
            others: Some(Others { api, job, lease }),
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that the chunks `todo` of `output` are to be made, as parts of `plan`; those of a lot by one hand, at best.
    ///
    /// Errors: `Interrupted` if the lease is lost or `stop` is cancelled.
    pub async fn share(
        &self,
        output: u32,
        plan: &str,
        todo: Vec<Vec<u32>>,
        stop: &CancellationToken,
    ) -> Step<()> {
        self.state().held.remove(&output);
        let alone = match &self.others {
            Some(others) if todo.len() >= WORTHWHILE => {
                let request = ShareRequest {
                    lease: others.lease.clone(),
                    output,
                    plan: plan.to_owned(),
                    lots: todo.clone(),
                };
                let shared = patiently(stop, async || {
                    match others.api.share(others.job, &request).await {
                        // An older control plane.
                        Err(ApiError::Refused {
                            status: 404 | 405, ..
                        }) => Ok(false),
                        answer => answer.map(|()| true),
                    }
                });
                !shared.await?
            }
            _ => true,
        };
        let mut state = self.state();
        if alone {
            state.own.insert(output, todo.into());
        } else {
            state.own.remove(&output);
        }
        Ok(())
    }

    /// Takes the next lot of `output`.
    ///
    /// Errors: as [`Self::share`].
    pub async fn take(
        &self,
        output: u32,
        plan: &str,
        stop: &CancellationToken,
    ) -> Step<TakeResponse> {
        if let Some(own) = self.state().own.get_mut(&output) {
            let chunks = own.pop_front().unwrap_or_default();
            return Ok(TakeResponse {
                left: (chunks.len() + own.iter().map(Vec::len).sum::<usize>()) as u32,
                chunks,
                made: Vec::new(),
            });
        }
        let Some(others) = &self.others else {
            return Err(failure::internal(
                "Chunks are asked for that nobody shared.",
            ));
        };
        let held = self.state().held.get(&output).cloned();
        let request = TakeRequest {
            lease: others.lease.clone(),
            output,
            plan: plan.to_owned(),
            holding: held.into_iter().flatten().collect(),
        };
        let taken = patiently(stop, async || others.api.take(others.job, &request).await).await?;
        let mut state = self.state();
        let held = state.held.entry(output).or_default();
        for chunk in &taken.made {
            held.remove(chunk);
        }
        held.extend(&taken.chunks);
        Ok(taken)
    }

    /// The records of `chunks`, which others made.
    ///
    /// Errors: as [`Self::share`].
    pub async fn records(
        &self,
        output: u32,
        chunks: &[u32],
        stop: &CancellationToken,
    ) -> Step<Vec<ChunkRecord>> {
        let Some(others) = &self.others else {
            return Ok(Vec::new());
        };
        let mut records = Vec::with_capacity(chunks.len());
        for chunks in chunks.chunks(RECORDS) {
            let request = RecordsRequest {
                lease: others.lease.clone(),
                output,
                chunks: chunks.to_vec(),
            };
            let some = patiently(stop, async || {
                others.api.records(others.job, &request).await
            });
            records.extend(some.await?);
        }
        Ok(records)
    }
}

/// Chunks whose part in the progress is counted.
#[derive(Debug, Default)]
pub struct Counted(Mutex<BTreeSet<u32>>);

impl Counted {
    /// Those of `chunks` that were not counted before; now they are.
    pub fn add(&self, chunks: impl IntoIterator<Item = u32>) -> Vec<u32> {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        chunks
            .into_iter()
            .filter(|&chunk| counted.insert(chunk))
            .collect()
    }
}

/// Repeats a call until the API answers it.
async fn patiently<T>(
    stop: &CancellationToken,
    call: impl AsyncFn() -> Result<T, ApiError>,
) -> Step<T> {
    let mut wait = Duration::from_millis(100);
    loop {
        let answer = tokio::select! {
            biased;
            () = stop.cancelled() => return Err(Stopped::Interrupted),
            answer = call() => answer,
        };
        match answer {
            Ok(answer) => return Ok(answer),
            Err(ApiError::LeaseLost) => return Err(Stopped::Interrupted),
            Err(ApiError::Unavailable(error)) => {
                tracing::debug!(error, "the control plane is asked again");
            }
            Err(error) => {
                return Err(failure::internal(format!(
                    "The control plane did not divide the job's chunks: {error}."
                )));
            }
        }
        tokio::select! {
            () = stop.cancelled() => return Err(Stopped::Interrupted),
            () = tokio::time::sleep(wait) => {}
        }
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn alone_one_takes_all_in_order() {
        let (division, stop) = (Division::default(), CancellationToken::new());
        division
            .share(0, "plan", vec![vec![1, 3], vec![4, 7], vec![9]], &stop)
            .await
            .unwrap();
        let mut taken = Vec::new();
        loop {
            let some = division.take(0, "plan", &stop).await.unwrap();
            if some.chunks.is_empty() {
                break;
            }
            taken.push(some.chunks);
        }
        assert_eq!(taken, [vec![1, 3], vec![4, 7], vec![9]]);
        assert!(division.take(1, "plan", &stop).await.is_err());
    }

    #[test]
    fn a_chunk_is_counted_once() {
        let counted = Counted::default();
        assert_eq!(counted.add([1, 2]), [1, 2]);
        assert_eq!(counted.add([2, 3]), [3]);
    }
}
