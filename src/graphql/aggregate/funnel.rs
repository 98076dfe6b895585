//! How far inspections come, and where they drop out.

use super::lifecycle::GroupingKey;
use crate::graphql::enums::InspectionStatus;
use crate::store::read::StatusTimeline;
use async_graphql::SimpleObject;
use entity::Status;

/// The way to a completed inspection.
const STAGES: [InspectionStatus; 7] = [
    InspectionStatus::Requested,
    InspectionStatus::Started,
    InspectionStatus::InProgress,
    InspectionStatus::Submitted,
    InspectionStatus::Processing,
    InspectionStatus::ReadyForReview,
    InspectionStatus::Completed,
];

/// How far inspections have come.
#[derive(Clone, Debug, PartialEq, SimpleObject)]
pub struct Funnel {
    /// The vendor; none if all are told of in one.
    pub vendor: Option<String>,
    /// The source; none unless sources are told apart.
    pub source: Option<String>,
    /// How many inspections there are.
    pub inspections: i32,
    /// How many of them have ever been completed.
    pub completed: i32,
    /// How many of them dropped out: they are `CANCELED`, `EXPIRED` or `FAILED`, and were never completed.
    pub dropped_out: i32,
    /// The stages from `REQUESTED` to `COMPLETED`, all of them.
    pub stages: Vec<FunnelStage>,
}

/// A stage of the way to a completed inspection. As long as it is not the last: `reached` is the sum of `movedOn`, `open`
/// and `droppedOut`.
#[derive(Clone, Debug, PartialEq, SimpleObject)]
pub struct FunnelStage {
    /// The stage.
    pub status: InspectionStatus,
    /// How many have ever been in it or in a later one. All have reached the first.
    pub reached: i32,
    /// How many have ever been in a later one.
    pub moved_on: i32,
    /// How many came no further yet and may still do.
    pub open: i32,
    /// How many came no further and dropped out: the sum of the three that follow.
    pub dropped_out: i32,
    /// How many came no further and were called off.
    pub canceled: i32,
    /// How many came no further and were not done in time.
    pub expired: i32,
    /// How many came no further and came to nothing.
    pub failed: i32,
}

/// How many came no further than each stage.
#[derive(Debug, Default)]
pub struct FunnelCounter([StageOutcomes; STAGES.len()]);

#[derive(Clone, Copy, Debug, Default)]
struct StageOutcomes {
    all: i32,
    canceled: i32,
    expired: i32,
    failed: i32,
}

impl FunnelCounter {
    pub fn add(&mut self, life: &StatusTimeline) {
        let been = life.intervals.iter().map(|phase| phase.status).chain([life.status]);
        let furthest = been.flatten().filter_map(stage_index).max().unwrap_or_default();
        let Some(ends) = self.0.get_mut(furthest) else { return };
        ends.all += 1;
        match life.status {
            Some(Status::Canceled) => ends.canceled += 1,
            Some(Status::Expired) => ends.expired += 1,
            Some(Status::Failed) => ends.failed += 1,
            _ => {}
        }
    }

    pub fn into_funnel(self, whose: GroupingKey) -> Funnel {
        let GroupingKey { vendor, source } = whose;
        let last = STAGES.len() - 1;
        let mut reached = 0;
        let mut stages = Vec::with_capacity(STAGES.len());
        for (place, (status, ends)) in STAGES.into_iter().zip(self.0).enumerate().rev() {
            let moved_on = reached;
            reached += ends.all;
            // Who was completed did not drop out, whatever came after a reopening.
            let StageOutcomes { all, canceled, expired, failed } =
                if place < last { ends } else { StageOutcomes::default() };
            let dropped_out = canceled + expired + failed;
            let open = all - dropped_out;
            stages.push(FunnelStage { status, reached, moved_on, open, dropped_out, canceled, expired, failed });
        }
        stages.reverse();
        let completed = self.0[last].all;
        let dropped_out = stages.iter().map(|stage| stage.dropped_out).sum();
        Funnel { vendor, source, inspections: reached, completed, dropped_out, stages }
    }
}

fn stage_index(status: Status) -> Option<usize> {
    let status = InspectionStatus::of(status)?;
    STAGES.iter().position(|stage| *stage == status)
}
