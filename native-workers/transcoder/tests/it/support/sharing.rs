//! The control plane's part in jobs that several workers make.

use std::collections::{BTreeMap, BTreeSet};

use headwater_work::{
    Assist, AssistRequest, Claim, RecordsRequest, RecordsResponse, RenewRequest, ShareRequest,
    TakeRequest, TakeResponse,
};

use super::State;

/// What is to be made of an output, and the lease of whoever has it.
#[derive(Default)]
pub struct Share {
    plan: String,
    open: BTreeMap<u32, Option<String>>,
    lots: BTreeMap<u32, usize>,
}

/// Of the job that is under way.
#[derive(Default)]
pub struct Sharing {
    /// As a control plane that knows of none of this.
    pub unknown: bool,
    pub job: Option<Claim>,
    pub shares: BTreeMap<u32, Share>,
    /// Leases of helpers that are to be helpers still.
    pub helpers: Vec<String>,
    /// How many were ever let in.
    pub let_in: usize,
    /// Which chunks were reported by whom.
    pub made_by: BTreeMap<(u32, u32), String>,
    /// The name of each lease's worker.
    pub workers: BTreeMap<String, String>,
    /// So many workers are to have a hand in it: until they do, nobody is handed a second lot.
    pub crew: usize,
    /// Workers that were handed something.
    hands: BTreeSet<String>,
}

impl Sharing {
    pub fn employ(&mut self, lease: &str, worker: &str) {
        self.workers.insert(lease.to_owned(), worker.to_owned());
    }

    /// Whether `lease` has to wait for workers that were not handed anything yet.
    fn waits(&self, lease: &str) -> bool {
        self.hands.len() < self.crew && self.hands.contains(&self.workers[lease])
    }
}

impl State {
    pub(super) fn holds(&self, lease: &str) -> bool {
        lease == self.holder() || self.sharing.helpers.iter().any(|helper| helper == lease)
    }

    pub(super) fn share(&mut self, request: ShareRequest) -> u16 {
        if request.lease != self.holder() {
            return 409;
        }
        let lots = request.lots.into_iter().enumerate();
        let lots = lots.flat_map(|(at, lot)| lot.into_iter().map(move |chunk| (chunk, at)));
        let lots: BTreeMap<u32, usize> = lots.collect();
        let share = Share {
            plan: request.plan,
            open: lots.keys().map(|&chunk| (chunk, None)).collect(),
            lots,
        };
        self.sharing.shares.insert(request.output, share);
        204
    }

    pub(super) fn take(&mut self, request: &TakeRequest) -> Option<TakeResponse> {
        if !self.holds(&request.lease) {
            return None;
        }
        let holder = self.holder();
        let alive = [self.sharing.helpers.clone(), vec![holder]].concat();
        let waits = self.sharing.waits(&request.lease);
        let made = self
            .chunks
            .iter()
            .filter(|made| made.output == request.output);
        let made: Vec<u32> = made.map(|made| made.chunk).collect();
        let share = self.sharing.shares.entry(request.output).or_default();
        if share.plan != request.plan {
            return Some(TakeResponse {
                chunks: vec![],
                left: 0,
                made: vec![],
            });
        }
        for (chunk, lease) in &mut share.open {
            let unheard =
                lease.as_deref() == Some(&request.lease) && !request.holding.contains(chunk);
            if unheard || lease.as_ref().is_some_and(|lease| !alive.contains(lease)) {
                *lease = None;
            }
        }
        let mut free = share.open.iter().filter(|(_, lease)| lease.is_none());
        let first = free.next().filter(|_| !waits);
        let lot = first.and_then(|(chunk, _)| share.lots.get(chunk).copied());
        let mut chunks = Vec::new();
        for (chunk, lease) in &mut share.open {
            if lease.is_none() && lot.is_some() && share.lots.get(chunk).copied() == lot {
                *lease = Some(request.lease.clone());
                chunks.push(*chunk);
            }
        }
        let left = share.open.len() as u32;
        if !chunks.is_empty() {
            let worker = self.sharing.workers[&request.lease].clone();
            self.sharing.hands.insert(worker);
        }
        let made = made
            .into_iter()
            .filter(|chunk| !share.open.contains_key(chunk));
        Some(TakeResponse {
            chunks,
            left,
            made: made.collect(),
        })
    }

    pub(super) fn records(&self, request: &RecordsRequest) -> Option<RecordsResponse> {
        if request.lease != self.holder() {
            return None;
        }
        let wanted = self.chunks.iter().filter(|record| {
            record.output == request.output && request.chunks.contains(&record.chunk)
        });
        Some(RecordsResponse {
            records: wanted.cloned().collect(),
        })
    }

    pub(super) fn assist(&mut self, request: &AssistRequest) -> Option<Assist> {
        let mut claim = self.sharing.job.clone()?;
        let open = |share: &&Share| share.open.values().any(Option::is_none);
        if request.except.contains(&claim.job_id)
            || !self.sharing.shares.values().any(|share| open(&share))
        {
            return None;
        }
        self.sharing.let_in += 1;
        claim.lease = format!("helper-{}", self.sharing.let_in);
        claim.chunks = Vec::new();
        self.sharing.helpers.push(claim.lease.clone());
        self.sharing.employ(&claim.lease, &request.worker);
        let shares = self.sharing.shares.iter();
        Some(Assist {
            claim,
            outputs: shares
                .filter(|(_, share)| open(share))
                .map(|(&output, _)| output)
                .collect(),
        })
    }

    /// Notes the chunks of a renewal by anybody. A helper's are kept while they are its own.
    pub(super) fn note_chunks(&mut self, request: &RenewRequest) {
        for chunk in &request.chunks {
            let share = self.sharing.shares.entry(chunk.output).or_default();
            let own = share.open.get(&chunk.chunk) == Some(&Some(request.lease.clone()));
            if request.lease != self.holder() && !own {
                continue;
            }
            let share = self.sharing.shares.entry(chunk.output).or_default();
            share.open.remove(&chunk.chunk);
            let place = (chunk.output, chunk.chunk);
            self.sharing.made_by.insert(place, request.lease.clone());
            self.chunks.push(chunk.clone());
        }
    }
}
