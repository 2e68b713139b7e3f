//! What is told of a job: see [`crate::events`].
//!
//! A change of state is wrapped by whoever makes it: [`Before::look`], the change, [`Before::tell`]. Outputs go from state to
//! state with their job, but for those that a job finishes without.

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::{Job, JobOutput, JobState, by_id};
use crate::error::CatalogError;
use crate::events::{self, Event, EventType, Payload};
use crate::ids::{Moment, ProjectId};
use crate::sql::{Row, Sql};

/// Progress is told again after so many per cent, or after [`PROGRESS_AFTER`] (AMS).
const PROGRESS_STEP: u32 = 5;
const PROGRESS_AFTER: SignedDuration = SignedDuration::from_secs(30);

/// A job as it was before a change, and whether anybody wants to know.
#[derive(Debug)]
pub(super) struct Before {
    job_id: Uuid,
    project: ProjectId,
    state: JobState,
    started: bool,
    wanted: Vec<EventType>,
}

impl Before {
    /// `None`: there is no such job.
    pub(super) async fn look<S: Sql>(sql: &S, job_id: Uuid) -> Result<Option<Self>, CatalogError> {
        let rows = sql
            .query(
                "SELECT id, project_id, state, started FROM jobs WHERE id = ?1",
                &[job_id.into()],
            )
            .await?;
        match rows.first() {
            Some(row) => Self::read(sql, &row).await.map(Some),
            None => Ok(None),
        }
    }

    /// From a row with the columns `id`, `project_id`, `state` and `started`.
    pub(super) async fn read<S: Sql>(sql: &S, row: &Row<'_>) -> Result<Self, CatalogError> {
        let project = ProjectId(row.text("project_id")?);
        Ok(Self {
            job_id: row.uuid("id")?,
            state: JobState::parse(row.str("state")?)
                .ok_or_else(|| CatalogError::corrupt("state", "unknown"))?,
            started: row.opt_time("started")?.is_some(),
            wanted: events::wanted(sql, &project).await?,
            project,
        })
    }

    fn wants(&self, kind: EventType) -> bool {
        self.wanted.contains(&kind)
    }

    /// Records what the change made of the job.
    pub(super) async fn tell<S: Sql>(
        &self,
        sql: &S,
        moment: Moment<'_>,
    ) -> Result<(), CatalogError> {
        if self.wanted.is_empty() {
            return Ok(());
        }
        let job = by_id(sql, self.job_id).await?;
        let of_job = || Payload::Job(Box::new(job.clone()));
        if !self.started && job.started.is_some() {
            self.record(sql, &job, EventType::JOB_STARTED, of_job, moment)
                .await?;
        }
        if self.state == job.state {
            return Ok(());
        }
        let particular = EventType::of_job_state(job.state);
        let kinds = [
            Some(EventType::AMS_JOB_STATE_CHANGE),
            particular.map(|(of_job, _)| of_job),
            job.state.is_final().then_some(EventType::JOB_FINISHED),
        ];
        for kind in kinds.into_iter().flatten() {
            self.record(sql, &job, kind, of_job, moment).await?;
        }
        for (output, JobOutput { state, .. }) in job.outputs.iter().enumerate() {
            let particular = EventType::of_job_state(*state);
            let kinds = [
                Some(EventType::AMS_OUTPUT_STATE_CHANGE),
                particular.map(|(_, of_output)| of_output),
            ];
            let of_output = || Payload::JobOutput {
                job: Box::new(job.clone()),
                output,
            };
            for kind in kinds.into_iter().flatten() {
                self.record(sql, &job, kind, of_output, moment).await?;
            }
        }
        Ok(())
    }

    /// Records how far outputs are that have come far enough since they were told of last.
    pub(super) async fn tell_progress<S: Sql>(
        &self,
        sql: &S,
        moment: Moment<'_>,
    ) -> Result<(), CatalogError> {
        if !self.wants(EventType::AMS_OUTPUT_PROGRESS) {
            return Ok(());
        }
        let long_ago = moment
            .now
            .checked_sub(PROGRESS_AFTER)
            .unwrap_or(Timestamp::MIN);
        let rows = sql
            .query(
                "UPDATE job_outputs SET told_progress = progress, told = ?2
                 WHERE job_id = ?1 AND progress > told_progress
                     AND (progress >= told_progress + ?4 OR coalesce(told, started) <= ?3)
                 RETURNING output",
                &[
                    self.job_id.into(),
                    moment.now.into(),
                    long_ago.into(),
                    PROGRESS_STEP.into(),
                ],
            )
            .await?;
        if rows.is_empty() {
            return Ok(());
        }
        let job = by_id(sql, self.job_id).await?;
        for row in rows.iter() {
            let output = usize::try_from(row.unsigned("output")?).unwrap_or(usize::MAX);
            let payload = || Payload::JobOutput {
                job: Box::new(job.clone()),
                output,
            };
            self.record(sql, &job, EventType::AMS_OUTPUT_PROGRESS, payload, moment)
                .await?;
        }
        Ok(())
    }

    async fn record<S: Sql>(
        &self,
        sql: &S,
        job: &Job,
        kind: EventType,
        payload: impl Fn() -> Payload,
        moment: Moment<'_>,
    ) -> Result<(), CatalogError> {
        if !self.wants(kind) {
            return Ok(());
        }
        let event = Event {
            id: None,
            project: self.project.clone(),
            kind,
            subject: format!("transforms/{}/jobs/{}", job.transform_name, job.name),
            previous: Some(self.state.name().to_owned()),
            state: Some(job.state.name().to_owned()),
            payload: payload(),
        };
        events::record(sql, moment, &event).await
    }
}
