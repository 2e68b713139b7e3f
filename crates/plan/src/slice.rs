//! Part of a body (HTTP `Range`, RFC 9110 §14) as a plan of its own.

use crate::{Plan, PlanBuilder, PlanError, Step};
use std::ops::Range;

impl Plan {
    /// The plan of the bytes `range` of this plan's body. Objects that it does not need are left out.
    ///
    /// Errors: [`PlanError::SliceOutside`] unless `start <= end <= total`.
    pub fn slice(&self, range: Range<u64>) -> Result<Plan, PlanError> {
        if range.start > range.end || range.end > self.0.total {
            return Err(PlanError::SliceOutside {
                start: range.start,
                end: range.end,
                total: self.0.total,
            });
        }
        match &self.0.cover {
            Some(cover) => self.slice_covered(cover, range),
            None => self.part(range),
        }
    }

    /// The plan of the bytes `range` of what the steps give.
    pub(crate) fn part(&self, range: Range<u64>) -> Result<Plan, PlanError> {
        let mut out = PlanBuilder::new();
        let mut objects = Objects::of(self);
        let mut position: u64 = 0;
        for step in &self.0.steps {
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
                    let object = objects.rename(*object, &mut out)?;
                    let begin = offset.checked_add(from).ok_or(PlanError::RangeOverflow)?;
                    let end = offset.checked_add(to).ok_or(PlanError::RangeOverflow)?;
                    out.range(object, begin..end)?;
                }
                Step::Packetise(step) => {
                    let part = step.slice(from..to, |object| objects.rename(object, &mut out))?;
                    out.packetise(part)?;
                }
            }
        }
        Ok(out.finish())
    }
}

/// The objects of a plan that a part of it needs, numbered as they are met.
struct Objects<'a> {
    plan: &'a Plan,
    renamed: Vec<Option<u32>>,
}

impl<'a> Objects<'a> {
    fn of(plan: &'a Plan) -> Self {
        Self {
            plan,
            renamed: vec![None; plan.0.objects.len()],
        }
    }

    fn rename(&mut self, object: u32, out: &mut PlanBuilder) -> Result<u32, PlanError> {
        let index = usize::try_from(object).unwrap_or(usize::MAX);
        let none = PlanError::NoSuchObject(object);
        let Some(slot) = self.renamed.get_mut(index) else {
            return Err(none);
        };
        match *slot {
            Some(object) => Ok(object),
            None => {
                let new = out.object(self.plan.0.objects.get(index).ok_or(none)?.clone())?;
                *slot = Some(new);
                Ok(new)
            }
        }
    }
}
