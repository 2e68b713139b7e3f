//! Several workers make one job: who may take which chunk, and what becomes of it when a worker is lost.

use crate::support::{Catalog, TRANSFORM};
use futures::executor::block_on;
use headwater_catalog::CatalogError;
use headwater_catalog::jobs::queue::{self, Claimed, Ending};
use headwater_catalog::jobs::sharing::{self, Taken, Want};
use headwater_catalog::jobs::{self, JobState, Priority};
use headwater_work::{ChunkRecord, EngineChoice};
use serde_json::json;
use uuid::Uuid;

const PLAN: &str = "plan-1";

impl Catalog {
    fn holder(&self) -> Claimed {
        let claimed = block_on(queue::claim(
            &self.sql,
            &self.seal,
            "holder",
            30,
            self.moment(),
        ));
        claimed.unwrap().expect("a job is queued")
    }

    /// Each in a lot of its own.
    fn share(&self, of: &Claimed, plan: &str, chunks: &[u32]) -> Result<(), CatalogError> {
        let lots: Vec<_> = chunks.iter().map(|&chunk| vec![chunk]).collect();
        self.share_lots(of, plan, &lots)
    }

    fn share_lots(&self, of: &Claimed, plan: &str, lots: &[Vec<u32>]) -> Result<(), CatalogError> {
        block_on(sharing::share(
            &self.sql,
            of.job_id,
            &of.lease,
            (0, plan),
            lots,
            self.moment(),
        ))
    }

    fn helper(&self, except: &[Uuid]) -> Option<(Claimed, Vec<u32>)> {
        block_on(sharing::assist(
            &self.sql,
            &self.seal,
            ("helper", 15),
            except,
            self.moment(),
        ))
        .unwrap()
    }

    fn take_of(&self, of: &Claimed, plan: &str, holding: &[u32]) -> Result<Taken, CatalogError> {
        let want = Want {
            output: 0,
            plan,
            holding,
        };
        block_on(sharing::take(
            &self.sql,
            of.job_id,
            &of.lease,
            want,
            self.moment(),
        ))
    }

    /// Takes so many lots, or all that there are.
    fn take(&self, of: &Claimed, most: u32, holding: &[u32]) -> Vec<u32> {
        let (mut held, mut taken) = (holding.to_vec(), Vec::new());
        for _ in 0..most {
            let chunks = self.take_of(of, PLAN, &held).unwrap().chunks;
            held.extend(&chunks);
            taken.extend(chunks);
        }
        taken
    }

    fn made(&self, of: &Claimed, chunks: &[u32]) -> Result<bool, CatalogError> {
        let records: Vec<ChunkRecord> = chunks
            .iter()
            .map(|&chunk| record(&of.lease, chunk))
            .collect();
        block_on(queue::renew(
            &self.sql,
            of.job_id,
            &of.lease,
            &[],
            &records,
            self.moment(),
        ))
    }

    fn give_back(&self, of: &Claimed, ending: &Ending) -> Result<(), CatalogError> {
        block_on(queue::finish(
            &self.sql,
            of.job_id,
            &of.lease,
            ending,
            None,
            self.moment(),
        ))
    }

    fn rows(&self, table: &str) -> usize {
        use headwater_catalog::Sql as _;
        block_on(self.sql.query(&format!("SELECT 1 FROM {table}"), &[]))
            .unwrap()
            .rows
            .len()
    }
}

/// A record that says who made it.
fn record(by: &str, chunk: u32) -> ChunkRecord {
    ChunkRecord {
        output: 0,
        chunk,
        record: json!({"by": by}),
    }
}

fn finished() -> Ending {
    Ending::Finished {
        manifests: vec!["film.ism".into()],
        encoded: vec![],
        failed: vec![],
    }
}

#[test]
fn chunks_are_divided_and_come_together() {
    let catalog = Catalog::new();
    catalog.job("a", Priority::Normal);
    let holder = catalog.holder();
    assert!(catalog.helper(&[]).is_none(), "nothing is shared yet");
    catalog.share(&holder, PLAN, &[0, 1, 2, 3, 4, 5]).unwrap();
    assert_eq!(catalog.take(&holder, 2, &[]), [0, 1]);

    let (helper, outputs) = catalog
        .helper(&[])
        .expect("there is something to help with");
    assert_eq!(
        (helper.job_id, outputs.as_slice()),
        (holder.job_id, [0].as_slice())
    );
    assert_ne!(helper.lease, holder.lease);
    assert_eq!(
        helper.outputs[0].location.container,
        holder.outputs[0].location.container
    );
    assert_eq!(catalog.take(&helper, 3, &[]), [2, 3, 4]);
    assert_eq!(catalog.take(&holder, 3, &[0, 1]), [5]);
    let none = catalog.take_of(&helper, PLAN, &[2, 3, 4]).unwrap();
    assert_eq!((none.chunks.as_slice(), none.left), ([].as_slice(), 6));

    assert!(!catalog.made(&helper, &[2, 3]).unwrap());
    assert!(!catalog.made(&holder, &[0, 1, 5]).unwrap());
    assert!(!catalog.made(&helper, &[4]).unwrap());
    let all = catalog.take_of(&holder, PLAN, &[]).unwrap();
    assert_eq!(
        all,
        Taken {
            chunks: vec![],
            left: 0,
            made: vec![0, 1, 2, 3, 4, 5]
        }
    );
    let records = block_on(sharing::records(
        &catalog.sql,
        holder.job_id,
        &holder.lease,
        0,
        &[2, 4, 9],
    ))
    .unwrap();
    assert_eq!(
        records,
        [record(&helper.lease, 2), record(&helper.lease, 4)]
    );

    catalog.give_back(&holder, &finished()).unwrap();
    assert_eq!(catalog.job_now("a").state, JobState::Finished);
    assert!(matches!(
        catalog.made(&helper, &[]),
        Err(CatalogError::LeaseLost)
    ));
    for table in ["job_shares", "job_parts", "job_helpers", "job_chunks"] {
        assert_eq!(catalog.rows(table), 0, "{table}");
    }
}

#[test]
fn what_a_lost_helper_had_is_the_holders() {
    let catalog = Catalog::new();
    catalog.job("a", Priority::Normal);
    let holder = catalog.holder();
    catalog.share(&holder, PLAN, &[0, 1, 2, 3]).unwrap();
    let (helper, _) = catalog.helper(&[]).unwrap();
    assert_eq!(catalog.take(&helper, 2, &[]), [0, 1]);
    assert!(!catalog.made(&helper, &[0]).unwrap());
    catalog.wait(14);
    catalog.made(&holder, &[]).unwrap();
    assert_eq!(catalog.take(&holder, 64, &[]), [2, 3]);
    catalog.wait(2);
    assert_eq!(catalog.take(&holder, 64, &[2, 3]), [1]);
    // It comes back late: what it made of the holder's chunk does not count.
    assert!(!catalog.made(&helper, &[1]).unwrap());
    assert_eq!(
        catalog.take_of(&holder, PLAN, &[1, 2, 3]).unwrap().made,
        [0]
    );
}

#[test]
fn what_was_taken_and_not_heard_of_is_handed_out_again() {
    let catalog = Catalog::new();
    catalog.job("a", Priority::Normal);
    let holder = catalog.holder();
    catalog.share(&holder, PLAN, &[0, 1, 2, 3]).unwrap();
    assert_eq!(catalog.take(&holder, 2, &[]), [0, 1]);
    // The answer was lost on its way.
    assert_eq!(catalog.take(&holder, 2, &[]), [0, 1]);
    assert_eq!(catalog.take(&holder, 4, &[1]), [0, 2, 3]);
}

#[test]
fn helpers_go_on_while_a_lost_holder_is_replaced() {
    let catalog = Catalog::new();
    catalog.job("a", Priority::Normal);
    let lost = catalog.holder();
    catalog.share(&lost, PLAN, &[0, 1, 2, 3, 4, 5]).unwrap();
    assert_eq!(catalog.take(&lost, 2, &[]), [0, 1]);
    catalog.made(&lost, &[0]).unwrap();
    catalog.wait(20);
    let (helper, _) = catalog.helper(&[]).unwrap();
    assert_eq!(catalog.take(&helper, 2, &[]), [2, 3]);
    catalog.wait(11);
    // The holder's lease has lapsed; nobody has the job yet.
    assert!(!catalog.made(&helper, &[2]).unwrap());
    let next = catalog.holder();
    assert_eq!(
        next.chunks
            .iter()
            .map(|chunk| chunk.chunk)
            .collect::<Vec<_>>(),
        [0, 2]
    );
    assert!(matches!(
        catalog.take_of(&lost, PLAN, &[]),
        Err(CatalogError::LeaseLost)
    ));
    catalog.share(&next, PLAN, &[1, 3, 4, 5]).unwrap();
    assert_eq!(catalog.take(&next, 64, &[]), [1, 4, 5]);
    assert!(!catalog.made(&helper, &[3]).unwrap());
    assert_eq!(
        catalog.take_of(&next, PLAN, &[1, 4, 5]).unwrap().made,
        [0, 2, 3]
    );
}

#[test]
fn another_plan_takes_everything_back() {
    let catalog = Catalog::new();
    catalog.job("a", Priority::Normal);
    let holder = catalog.holder();
    catalog.share(&holder, PLAN, &[0, 1, 2, 3]).unwrap();
    let (helper, _) = catalog.helper(&[]).unwrap();
    assert_eq!(
        catalog.take_of(&helper, "mine", &[]).unwrap().left,
        0,
        "a helper with another plan"
    );
    assert_eq!(catalog.take(&helper, 1, &[]), [0]);
    catalog.share(&holder, "plan-2", &[0, 1]).unwrap();
    assert!(!catalog.made(&helper, &[0]).unwrap());
    assert_eq!(
        catalog.take_of(&helper, PLAN, &[]).unwrap(),
        Taken {
            chunks: vec![],
            left: 0,
            made: vec![]
        }
    );
    let error = catalog.take_of(&holder, PLAN, &[]).unwrap_err();
    assert!(
        matches!(&error, CatalogError::Invalid { field, .. } if field == "plan"),
        "{error:?}"
    );
    assert_eq!(catalog.take_of(&holder, "plan-2", &[]).unwrap().chunks, [0]);
}

#[test]
fn a_queued_job_goes_before_help() {
    let catalog = Catalog::new();
    catalog.job("a", Priority::Normal);
    let holder = catalog.holder();
    catalog.share(&holder, PLAN, &[0, 1, 2, 3]).unwrap();
    let (helper, _) = catalog.helper(&[]).unwrap();
    assert_eq!(catalog.take(&helper, 1, &[]), [0]);
    catalog.job("b", Priority::Low);
    assert_eq!(catalog.take(&helper, 1, &[0]), [0_u32; 0]);
    assert!(!catalog.made(&helper, &[0]).unwrap());
    catalog.give_back(&helper, &Ending::Stopped).unwrap();
    assert_eq!(catalog.rows("job_helpers"), 0);
    assert_eq!(
        catalog.job_now("a").state,
        JobState::Scheduled,
        "the helper left, not the holder"
    );
    let other = catalog.holder();
    assert_ne!(other.job_id, holder.job_id);
    assert!(
        catalog.helper(&[holder.job_id]).is_none(),
        "a job that it cannot help with"
    );
    assert!(catalog.helper(&[]).is_some());
}

/// Chunks alone are no film: somebody has to put them together, and those who could are all helping.
#[test]
fn a_job_whose_holder_is_lost_goes_before_help_with_it() {
    let catalog = Catalog::new();
    catalog.job("a", Priority::Normal);
    let lost = catalog.holder();
    catalog.share(&lost, PLAN, &[0, 1, 2, 3]).unwrap();
    catalog.wait(20);
    let (helper, _) = catalog.helper(&[]).unwrap();
    assert_eq!(catalog.take(&helper, 1, &[]), [0]);
    catalog.wait(11);
    assert_eq!(catalog.take(&helper, 1, &[0]), [0_u32; 0]);
    catalog.give_back(&helper, &Ending::Stopped).unwrap();
    assert_eq!(catalog.holder().job_id, lost.job_id);
}

#[test]
fn a_job_with_little_left_needs_no_help_and_a_cancelled_one_none() {
    let catalog = Catalog::new();
    catalog.job("a", Priority::Normal);
    let holder = catalog.holder();
    catalog.share(&holder, PLAN, &[0, 1, 2, 3]).unwrap();
    assert_eq!(catalog.take(&holder, 2, &[]), [0, 1]);
    assert!(catalog.helper(&[]).is_none());
    catalog.share(&holder, PLAN, &[0, 1, 2, 3]).unwrap();
    let (helper, _) = catalog.helper(&[]).unwrap();
    block_on(jobs::cancel(
        &catalog.sql,
        &catalog.project,
        TRANSFORM,
        "a",
        catalog.moment(),
    ))
    .unwrap();
    assert!(matches!(
        catalog.made(&helper, &[]),
        Err(CatalogError::LeaseLost)
    ));
    assert!(matches!(
        catalog.take_of(&helper, PLAN, &[]),
        Err(CatalogError::LeaseLost)
    ));
    assert!(catalog.helper(&[]).is_none());
    assert!(
        catalog.made(&holder, &[]).unwrap(),
        "the holder is told to cancel"
    );
}

#[test]
fn a_helper_has_no_say_in_what_is_the_holders() {
    let catalog = Catalog::new();
    catalog.job("a", Priority::Normal);
    let holder = catalog.holder();
    catalog.share(&holder, PLAN, &[0, 1, 2]).unwrap();
    let (helper, _) = catalog.helper(&[]).unwrap();
    assert!(matches!(
        catalog.share(&helper, PLAN, &[]),
        Err(CatalogError::LeaseLost)
    ));
    let records = block_on(sharing::records(
        &catalog.sql,
        helper.job_id,
        &helper.lease,
        0,
        &[0],
    ));
    assert!(matches!(records, Err(CatalogError::LeaseLost)));
    let engine = EngineChoice {
        name: "builtin".into(),
        reason: "It can.".into(),
    };
    let noted = block_on(queue::note_engine(
        &catalog.sql,
        helper.job_id,
        &helper.lease,
        &engine,
    ));
    assert!(matches!(noted, Err(CatalogError::LeaseLost)));
    // A chunk that it did not take is not taken from it.
    assert!(!catalog.made(&helper, &[1]).unwrap());
    assert_eq!(catalog.take(&holder, 64, &[]), [0, 1, 2]);
    let refused = catalog.take_of(&holder, PLAN, &[7; 1025]);
    assert!(matches!(refused, Err(CatalogError::Invalid { .. })));
    for lots in [vec![vec![0], vec![]], vec![vec![0], (0..257).collect()]] {
        let refused = catalog.share_lots(&holder, PLAN, &lots).unwrap_err();
        assert!(
            matches!(&refused, CatalogError::Invalid { field, .. } if field == "lots[1]"),
            "{refused:?}"
        );
    }
    let long = "p".repeat(257);
    assert!(matches!(
        catalog.share(&holder, &long, &[0]),
        Err(CatalogError::Invalid { .. })
    ));
    let elsewhere = block_on(sharing::share(
        &catalog.sql,
        holder.job_id,
        &holder.lease,
        (7, PLAN),
        &[vec![0]],
        catalog.moment(),
    ));
    assert!(matches!(elsewhere, Err(CatalogError::Invalid { .. })));
}

#[test]
fn the_chunks_of_a_lot_are_taken_together() {
    let catalog = Catalog::new();
    catalog.job("a", Priority::Normal);
    let holder = catalog.holder();
    let lots = [vec![0, 1, 2], vec![3], vec![5, 4], vec![6]];
    catalog.share_lots(&holder, PLAN, &lots).unwrap();
    assert_eq!(catalog.take(&holder, 1, &[]), [0, 1, 2]);
    let (helper, _) = catalog.helper(&[]).unwrap();
    assert_eq!(catalog.take(&helper, 2, &[]), [3, 4, 5]);
    // Of a lot whose maker was lost the rest is left.
    assert!(!catalog.made(&helper, &[3, 4]).unwrap());
    catalog.wait(16);
    catalog.made(&holder, &[0]).unwrap();
    assert_eq!(catalog.take(&holder, 1, &[1, 2]), [5]);
}

#[test]
fn thousands_of_chunks_are_shared_at_once() {
    let catalog = Catalog::new();
    catalog.job("a", Priority::Normal);
    let holder = catalog.holder();
    let all: Vec<u32> = (0..2_345).collect();
    catalog.share(&holder, PLAN, &all).unwrap();
    let taken = catalog.take_of(&holder, PLAN, &[]).unwrap();
    assert_eq!((taken.chunks, taken.left), (vec![0], 2_345));
}
