//! The funnel: which stages inspections reach, and where they drop out.

use super::lifecycle::GroupingKey;
use crate::graphql::enums::InspectionStatus;
use crate::store::read::StatusTimeline;
use async_graphql::SimpleObject;
use entity::Status;

/// The stages to a completed inspection.
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
    /// The vendor; null if the row is of all vendors.
    pub vendor: Option<String>,
    /// The source; null unless rows are grouped by source.
    pub source: Option<String>,
    /// The number of inspections.
    pub inspections: i32,
    /// How many of them were ever completed.
    pub completed: i32,
    /// How many of them dropped out: they are `CANCELED`, `EXPIRED` or `FAILED`, and were never completed.
    pub dropped_out: i32,
    /// All stages, from `REQUESTED` to `COMPLETED`.
    pub stages: Vec<FunnelStage>,
}

/// A stage to a completed inspection. For every stage but the last, `reached` is the sum of `movedOn`, `open` and
/// `droppedOut`.
#[derive(Clone, Debug, PartialEq, SimpleObject)]
pub struct FunnelStage {
    /// The stage.
    pub status: InspectionStatus,
    /// Inspections that were ever at this stage or a later one. All have reached the first.
    pub reached: i32,
    /// Inspections that were ever at a later stage.
    pub moved_on: i32,
    /// Inspections currently at this stage that can still progress.
    pub open: i32,
    /// Inspections that dropped out at this stage: the sum of the next three.
    pub dropped_out: i32,
    /// Inspections that were canceled at this stage.
    pub canceled: i32,
    /// Inspections that expired at this stage.
    pub expired: i32,
    /// Inspections that failed at this stage.
    pub failed: i32,
}

/// Counts inspections by the furthest stage they reached.
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
    pub fn add(&mut self, timeline: &StatusTimeline) {
        let reached = timeline.intervals.iter().map(|interval| interval.status).chain([timeline.status]);
        let furthest = reached.flatten().filter_map(stage_index).max().unwrap_or_default();
        let Some(ends) = self.0.get_mut(furthest) else { return };
        ends.all += 1;
        match timeline.status {
            Some(Status::Canceled) => ends.canceled += 1,
            Some(Status::Expired) => ends.expired += 1,
            Some(Status::Failed) => ends.failed += 1,
            _ => {}
        }
    }

    pub fn into_funnel(self, key: GroupingKey) -> Funnel {
        let GroupingKey { vendor, source } = key;
        let last = STAGES.len() - 1;
        let mut reached = 0;
        let mut stages = Vec::with_capacity(STAGES.len());
        for (index, (status, ends)) in STAGES.into_iter().zip(self.0).enumerate().rev() {
            let moved_on = reached;
            reached += ends.all;
            // A completed inspection did not drop out, whatever followed a reopening.
            let StageOutcomes { all, canceled, expired, failed } =
                if index < last { ends } else { StageOutcomes::default() };
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
