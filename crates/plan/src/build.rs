//! Building plans: limits are checked as steps arrive, touching ranges of one object become one step.

use crate::{
    MAX_INLINE_BYTES, MAX_OBJECTS, MAX_STEPS, MAX_TOTAL_BYTES, Object, Packetise, Parts, Plan,
    PlanError, Step,
};
use bytes::Bytes;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// Collects the steps of a [`Plan`].
#[derive(Default)]
pub struct PlanBuilder {
    objects: Vec<Object>,
    steps: Vec<Step>,
    inline_bytes: usize,
    total: u64,
}

impl PlanBuilder {
    /// An empty plan.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an object and returns its index for [`PlanBuilder::range`].
    ///
    /// Errors: [`PlanError::Limit`] past [`MAX_OBJECTS`].
    pub fn object(&mut self, object: Object) -> Result<u32, PlanError> {
        if self.objects.len() >= MAX_OBJECTS {
            return Err(PlanError::Limit {
                what: "objects",
                limit: MAX_OBJECTS as u64,
            });
        }
        let index = u32::try_from(self.objects.len()).map_err(|_| PlanError::Limit {
            what: "objects",
            limit: MAX_OBJECTS as u64,
        })?;
        self.objects.push(object);
        Ok(index)
    }

    /// Appends `bytes`; nothing if they are empty.
    ///
    /// Errors: [`PlanError::Limit`].
    pub fn inline(&mut self, bytes: impl Into<Bytes>) -> Result<(), PlanError> {
        let bytes = bytes.into();
        if bytes.is_empty() {
            return Ok(());
        }
        self.count_inline(bytes.len())?;
        self.push(Step::Inline(bytes))
    }

    fn count_inline(&mut self, bytes: usize) -> Result<(), PlanError> {
        self.inline_bytes = self
            .inline_bytes
            .checked_add(bytes)
            .filter(|total| *total <= MAX_INLINE_BYTES)
            .ok_or(PlanError::Limit {
                what: "inline bytes",
                limit: MAX_INLINE_BYTES as u64,
            })?;
        Ok(())
    }

    /// Appends a transport stream. There may be one in a plan: its own limits are then those of the plan.
    ///
    /// Errors: [`PlanError::NoSuchObject`], [`PlanError::Limit`].
    pub fn packetise(&mut self, step: Packetise) -> Result<(), PlanError> {
        for source in step.streams().iter().flatten() {
            if !usize::try_from(source.object).is_ok_and(|i| i < self.objects.len()) {
                return Err(PlanError::NoSuchObject(source.object));
            }
        }
        if self.steps.iter().any(|s| matches!(s, Step::Packetise(_))) {
            return Err(PlanError::Limit {
                what: "transport streams",
                limit: 1,
            });
        }
        self.count_inline(step.inline_bytes())?;
        self.push(Step::Packetise(Box::new(step)))
    }

    /// Appends the bytes `range` of `object`; nothing if it is empty. A range that continues the previous step is
    /// merged with it.
    ///
    /// Errors: [`PlanError::NoSuchObject`], [`PlanError::Limit`].
    pub fn range(&mut self, object: u32, range: Range<u64>) -> Result<(), PlanError> {
        let len = range.end.saturating_sub(range.start);
        if len == 0 {
            return Ok(());
        }
        if !usize::try_from(object).is_ok_and(|i| i < self.objects.len()) {
            return Err(PlanError::NoSuchObject(object));
        }
        if let Some(Step::Range {
            object: last,
            offset,
            len: last_len,
        }) = self.steps.last_mut()
            && *last == object
            && offset.checked_add(*last_len) == Some(range.start)
        {
            self.total = grow(self.total, len)?;
            // The sum is below the total, which is below the limit.
            *last_len = last_len.saturating_add(len);
            return Ok(());
        }
        self.push(Step::Range {
            object,
            offset: range.start,
            len,
        })
    }

    /// The plan.
    pub fn finish(self) -> Plan {
        Plan(Arc::new(Parts {
            objects: self.objects,
            steps: self.steps,
            cover: None,
            total: self.total,
            encoded: OnceLock::new(),
        }))
    }

    /// Appends a step as it is, not merged: the decoder keeps what the encoder wrote.
    pub(crate) fn push(&mut self, step: Step) -> Result<(), PlanError> {
        if self.steps.len() >= MAX_STEPS {
            return Err(PlanError::Limit {
                what: "steps",
                limit: MAX_STEPS as u64,
            });
        }
        self.total = grow(self.total, step.len())?;
        self.steps.push(step);
        Ok(())
    }
}

fn grow(total: u64, len: u64) -> Result<u64, PlanError> {
    total
        .checked_add(len)
        .filter(|sum| *sum <= MAX_TOTAL_BYTES)
        .ok_or(PlanError::Limit {
            what: "bytes",
            limit: MAX_TOTAL_BYTES,
        })
}
