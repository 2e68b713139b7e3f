//! Reading ahead in fragmented files.
//!
//! An index holds every sample, and samples are in the fragments' own headers, so all of those are read; one after the other
//! that is a round trip to storage each. Where the file says where its fragments are (`mfra`, `sidx`), several are asked for
//! at once. What it says is a hint: the walk over the file goes on as it would, and reads by itself what was not fetched.

use super::MediaFile;
use super::build::read_exactly;
use crate::error::OriginError;
use crate::ports::{ObjectInfo, Storage};
use bytes::Bytes;
use futures::future::try_join_all;
use headwater_bmff::{MFRO_LEN, mfra_len, mfra_places, sidx_places};
use std::collections::VecDeque;

/// Files below this are walked as they are: looking for hints would cost as much as it saves.
const LEAST_BYTES: u64 = 8 << 20;
/// Largest `mfra` or `sidx` that is read.
const MAX_HINT_BYTES: u64 = 4 << 20;
/// What is looked at for a `sidx`: it follows the movie header.
const FRONT_BYTES: u64 = 64 << 10;
/// Fragments that are asked for at a time.
const AT_A_TIME: usize = 16;

/// Headers of fragments that are fetched before they are asked for.
pub(super) struct Ahead<'a, S: Storage> {
    storage: &'a S,
    media: &'a MediaFile<'a, S::Location>,
    info: &'a ObjectInfo,
    /// Where fragments begin, ascending, those that are behind us taken away.
    places: VecDeque<u64>,
    /// What was fetched, and where it begins.
    fetched: VecDeque<(u64, Bytes)>,
}

impl<'a, S: Storage> Ahead<'a, S> {
    /// Looks for hints in the file.
    ///
    /// Errors: what storage says.
    pub(super) async fn of(
        storage: &'a S,
        media: &'a MediaFile<'a, S::Location>,
        info: &'a ObjectInfo,
    ) -> Result<Self, OriginError> {
        let mut ahead = Self {
            storage,
            media,
            info,
            places: VecDeque::new(),
            fetched: VecDeque::new(),
        };
        if info.len >= LEAST_BYTES {
            let mut places = ahead.by_mfra().await?;
            if places.is_none() {
                places = ahead.by_sidx().await?;
            }
            ahead.places = places.unwrap_or_default().into();
        }
        Ok(ahead)
    }

    async fn by_mfra(&self) -> Result<Option<Vec<u64>>, OriginError> {
        let end = self.info.len.saturating_sub(MFRO_LEN);
        let end = self.get(end, MFRO_LEN).await?;
        let Some(len) = mfra_len(&end).filter(|len| *len <= MAX_HINT_BYTES.min(self.info.len))
        else {
            return Ok(None);
        };
        let mfra = self.get(self.info.len.saturating_sub(len), len).await?;
        Ok(mfra_places(&mfra).filter(|places| !places.is_empty()))
    }

    /// By a `sidx` box near the front.
    async fn by_sidx(&self) -> Result<Option<Vec<u64>>, OriginError> {
        let front = self.get(0, FRONT_BYTES.min(self.info.len)).await?;
        let mut at = 0_u64;
        loop {
            let header = usize::try_from(at)
                .ok()
                .and_then(|at| front.get(at..)?.get(..8));
            let Some((len, name)) = header.and_then(|header| header.split_first_chunk::<4>())
            else {
                return Ok(None);
            };
            let len = u64::from(u32::from_be_bytes(*len));
            if len < 8 || name == b"moof" {
                return Ok(None);
            }
            if name == b"sidx" {
                let whole = len <= MAX_HINT_BYTES && at.saturating_add(len) <= self.info.len;
                return match whole {
                    true => Ok(sidx_places(at, &self.get(at, len).await?)),
                    false => Ok(None),
                };
            }
            at = at.saturating_add(len);
        }
    }

    async fn get(&self, offset: u64, len: u64) -> Result<Bytes, OriginError> {
        read_exactly(self.storage, self.media, self.info, offset, len).await
    }

    /// `len` bytes at `offset`, if a fragment is said to begin there: fetched with the next ones.
    ///
    /// Errors: what storage says.
    pub(super) async fn read(
        &mut self,
        offset: u64,
        len: u64,
    ) -> Result<Option<Bytes>, OriginError> {
        while self.fetched.front().is_some_and(|(at, _)| *at < offset) {
            self.fetched.pop_front();
        }
        if let Some((at, bytes)) = self.fetched.front()
            && *at == offset
        {
            let wanted = usize::try_from(len).unwrap_or(usize::MAX);
            return Ok((bytes.len() >= wanted).then(|| bytes.clone()));
        }
        while self.places.front().is_some_and(|place| *place < offset) {
            self.places.pop_front();
        }
        if self.places.front() != Some(&offset) {
            return Ok(None);
        }
        let next = self.places.drain(..AT_A_TIME.min(self.places.len()));
        let next: Vec<u64> = next.filter(|place| *place < self.info.len).collect();
        let this: &Self = self;
        let reads = next.iter().map(|place| async move {
            let len = len.min(this.info.len.saturating_sub(*place));
            Ok::<_, OriginError>((*place, this.get(*place, len).await?))
        });
        let fetched = try_join_all(reads).await?;
        self.fetched = fetched.into();
        Ok(self.fetched.front().map(|(_, bytes)| bytes.clone()))
    }
}
