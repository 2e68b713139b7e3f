//! Part of a body (HTTP `Range`, RFC 9110 §14) as a plan of its own.

use crate::{Plan, PlanBuilder, PlanError, Step};
use std::ops::Range;

impl Plan {
    /// The plan of the bytes `range` of this plan's body. Objects that it does not need are left out.
    ///
    /// Errors: [`PlanError::SliceOutside`] unless `start <= end <= total`.
    pub fn slice(&self, range: Range<u64>) -> Result<Plan, PlanError> {
        if range.start > range.end || range.end > self.total {
            return Err(PlanError::SliceOutside {
                start: range.start,
                end: range.end,
                total: self.total,
            });
        }
        let mut out = PlanBuilder::new();
        let mut renamed: Vec<Option<u32>> = vec![None; self.objects.len()];
        let mut position: u64 = 0;
        for step in &self.steps {
            let begin = position;
            position = position.saturating_add(step.len());
            let from = range.start.max(begin).saturating_sub(begin);
            let to = range.end.min(position).saturating_sub(begin);
            if from >= to {
                continue;
            }
            match step {
                Step::Inline(bytes) => {
                    let part = usize::try_from(from).unwrap_or(bytes.len())
                        ..usize::try_from(to).unwrap_or(bytes.len());
                    out.inline(bytes.slice(part))?;
                }
                Step::Range { object, offset, .. } => {
                    let index = usize::try_from(*object).unwrap_or(usize::MAX);
                    let slot = renamed
                        .get_mut(index)
                        .ok_or(PlanError::NoSuchObject(*object))?;
                    let object = match *slot {
                        Some(object) => object,
                        None => {
                            let original = self
                                .objects
                                .get(index)
                                .ok_or(PlanError::NoSuchObject(*object))?;
                            let new = out.object(original.clone())?;
                            *slot = Some(new);
                            new
                        }
                    };
                    let begin = offset.checked_add(from).ok_or(PlanError::RangeOverflow)?;
                    let end = offset.checked_add(to).ok_or(PlanError::RangeOverflow)?;
                    out.range(object, begin..end)?;
                }
            }
        }
        Ok(out.finish())
    }
}
