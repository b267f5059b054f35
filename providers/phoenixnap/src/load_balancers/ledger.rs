//! What this process did and lists do not show yet, and what it is about to do.
//!
//! Services are worked on side by side, and each waits for the API on its own. What must not happen twice is written down
//! here first, under a lock that is never held while anybody waits: that a block is being bought, worked on or given back,
//! and that an address is given.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use kit::Clock;

use super::tags;
use crate::client::{BlockStatus, IpBlock};

/// For how long a new block may be missing from lists. Longer than any call takes, so that what was read before a change is
/// never older than the note of it.
pub(super) const LIST_LAG: Duration = Duration::from_mins(2);

/// The notes, and who works on what.
#[derive(Default)]
pub(super) struct Ledger(Mutex<Notes>);

/// The notes of this process.
#[derive(Default)]
pub(super) struct Notes {
    /// Blocks that were bought a short time ago.
    bought: Vec<Bought>,
    /// Purchases that are under way or whose answer was lost, by the Service that needs one.
    buying: BTreeMap<String, Timestamp>,
    /// Blocks that are to go: nobody gets an address of them any more.
    ending: BTreeMap<String, Timestamp>,
    /// Services and blocks that somebody is working on.
    working: BTreeSet<String>,
    /// When something was done to blocks last.
    touched: BTreeMap<String, Timestamp>,
    /// The addresses that Services were given.
    pub given: BTreeMap<String, IpAddr>,
    /// Since when blocks have been without their Service, by ID.
    pub orphans: BTreeMap<String, Timestamp>,
    /// Whether all tags exist.
    pub tagged: bool,
}

/// A block that was bought, as it was read last.
struct Bought {
    block: IpBlock,
    at: Timestamp,
    read: Timestamp,
}

/// Somebody works on a Service or block, until this is dropped.
pub(super) struct Working<'a> {
    ledger: &'a Ledger,
    what: String,
}

impl Drop for Working<'_> {
    fn drop(&mut self) {
        self.ledger.notes().working.remove(&self.what);
    }
}

/// A purchase that was noted and not sent. Forgotten when this is dropped.
pub(super) struct Purchase<'a> {
    ledger: &'a Ledger,
    whose: Option<String>,
}

impl Purchase<'_> {
    /// It is sent: from now on it is only known not to have come about when that is known.
    pub fn sent(mut self) {
        self.whose = None;
    }
}

impl Drop for Purchase<'_> {
    fn drop(&mut self) {
        if let Some(whose) = &self.whose {
            self.ledger.notes().not_buying(whose);
        }
    }
}

impl Ledger {
    /// The notes, for a moment: not to be held while waiting.
    pub fn notes(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to work on a Service, by its key, or on a block, by its ID; nothing when somebody does already.
    pub fn begin(&self, what: &str) -> Option<Working<'_>> {
        let new = self.notes().working.insert(what.to_owned());
        new.then(|| Working {
            ledger: self,
            what: what.to_owned(),
        })
    }

    /// Begins to work on a block that was seen at this moment; nothing when somebody does already, or did something to it
    /// since: what is to be done now can only be seen in a new look.
    pub fn begin_as_seen(&self, block: &IpBlock, seen: Timestamp, now: Timestamp) -> Option<Working<'_>> {
        let mut notes = self.notes();
        let is_stale = notes.touched.get(&block.id).is_some_and(|at| *at >= seen);
        if is_stale || !notes.working.insert(block.id.clone()) {
            return None;
        }
        notes.touch(block, now);
        Some(Working {
            ledger: self,
            what: block.id.clone(),
        })
    }

    /// The purchase that was noted for this Service.
    pub fn purchase(&self, whose: &str) -> Purchase<'_> {
        Purchase {
            ledger: self,
            whose: Some(whose.to_owned()),
        }
    }
}

impl Notes {
    /// The blocks that were bought and that a list lacks, and when they were read last. Forgets what is too old to matter.
    pub fn unseen(&mut self, listed: &[IpBlock], clock: &Clock) -> Vec<(IpBlock, Timestamp)> {
        let is_listed = |id: &str| listed.iter().any(|block| block.id == id);
        self.bought.retain(|bought| clock.since(bought.at) < LIST_LAG);
        // Whoever is still at it knows more than the clock.
        let working = &self.working;
        self.buying
            .retain(|whose, at| working.contains(whose) || clock.since(*at) < LIST_LAG);
        self.ending
            .retain(|id, at| is_listed(id) || clock.since(*at) < LIST_LAG);
        self.touched.retain(|_, at| clock.since(*at) < LIST_LAG);
        let unseen = self.bought.iter().filter(|bought| !is_listed(&bought.block.id));
        unseen.map(|bought| (bought.block.clone(), bought.read)).collect()
    }

    /// The blocks that were seen at this moment as this process knows them: those that it bought are among them, as coming
    /// unless they were looked at since, those that it assigns are on their way, and those that are to go bear the mark.
    pub fn as_known(&self, blocks: &[IpBlock], seen: Timestamp) -> Vec<IpBlock> {
        let is_moved = |id: &str| self.working.contains(id) || self.touched.get(id).is_some_and(|at| *at >= seen);
        let known = |mut block: IpBlock| {
            if self.is_ending(&block.id) && !tags::is_marked(&block) {
                block.tags = tags::marked(&block);
            }
            if block.status == BlockStatus::Unassigned && is_moved(&block.id) {
                block.status = BlockStatus::Assigning;
            }
            block
        };
        let is_seen = |bought: &&Bought| blocks.iter().any(|block| block.id == bought.block.id);
        let unseen = self.bought.iter().filter(|bought| !is_seen(bought)).map(|bought| {
            let block = bought.block.clone();
            let status = if bought.read >= seen {
                block.status.clone()
            } else {
                BlockStatus::Creating
            };
            IpBlock { status, ..block }
        });
        blocks.iter().cloned().chain(unseen).map(known).collect()
    }

    /// A purchase begins, or its answer was lost.
    pub fn buy(&mut self, whose: &str, now: Timestamp) {
        self.buying.insert(whose.to_owned(), now);
    }

    /// Nobody buys a block for this Service any more.
    pub fn not_buying(&mut self, whose: &str) {
        self.buying.remove(whose);
    }

    /// A block was bought. It is on its way until it was looked at.
    pub fn bought(&mut self, whose: &str, block: IpBlock, now: Timestamp) {
        self.buying.remove(whose);
        let status = BlockStatus::Creating;
        self.bought.push(Bought {
            block: IpBlock { status, ..block },
            at: now,
            read: now,
        });
    }

    /// A block that was bought and that lists lack was asked about at this moment.
    pub fn reread(&mut self, block: &IpBlock, asked: Timestamp) {
        let older = |bought: &&mut Bought| bought.block.id == block.id && bought.read <= asked;
        for bought in self.bought.iter_mut().filter(older) {
            (bought.block, bought.read) = (block.clone(), asked);
        }
    }

    /// How long it may still take until it is known whether a block was bought for this Service; nothing when it is known.
    pub fn doubt(&self, whose: &str, clock: &Clock) -> Option<Duration> {
        let at = self.buying.get(whose)?;
        LIST_LAG.checked_sub(clock.since(*at)).filter(|left| !left.is_zero())
    }

    /// How many blocks other Services are buying, beyond their own that were seen.
    pub fn buying_others(&self, whose: &str, seen: &[IpBlock]) -> usize {
        let has_one = |key: &str| seen.iter().any(|block| tags::owner(block).as_deref() == Some(key));
        let buying = self.buying.keys().filter(|key| *key != whose && !has_one(key));
        buying.count()
    }

    /// Something was done to a block.
    pub fn touch(&mut self, block: &IpBlock, now: Timestamp) {
        self.touched.insert(block.id.clone(), now);
    }

    /// From now on nobody gets an address of the block.
    pub fn end(&mut self, id: &str, now: Timestamp) {
        self.ending.insert(id.to_owned(), now);
    }

    /// The block stays after all.
    pub fn keep(&mut self, id: &str) {
        self.ending.remove(id);
    }

    /// Whether the block is to go.
    pub fn is_ending(&self, id: &str) -> bool {
        self.ending.contains_key(id)
    }

    /// Forgets a block that is given back, or is not ours any more.
    pub fn forget(&mut self, id: &str) {
        self.bought.retain(|bought| bought.block.id != id);
        self.orphans.remove(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock() -> Clock {
        Clock::simulated("2026-01-01T00:00:00Z".parse().unwrap(), 1.0)
    }

    fn block(id: &str) -> IpBlock {
        IpBlock {
            id: id.to_owned(),
            ..IpBlock::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_bought_is_known_until_every_list_must_show_it() {
        let (clock, mut notes) = (clock(), Notes::default());
        notes.buy("default/web", clock.now());
        assert_eq!(notes.buying_others("default/other", &[]), 1);
        assert_eq!(notes.doubt("default/web", &clock), Some(LIST_LAG));
        notes.bought("default/web", block("a"), clock.now());
        assert_eq!(notes.doubt("default/web", &clock), None);
        assert_eq!(notes.buying_others("default/other", &[]), 0);
        let known = |notes: &Notes, listed: &[IpBlock]| {
            let known = notes.as_known(listed, clock.now());
            known.into_iter().map(|it| (it.id, it.status)).collect::<Vec<_>>()
        };
        let new = vec![("a".to_owned(), BlockStatus::Creating)];
        assert_eq!(known(&notes, &[]), new, "lists lack it");
        clock.advance(Duration::from_secs(1));
        let mut read = block("a");
        read.status = BlockStatus::Unassigned;
        notes.reread(&read, clock.now());
        assert_eq!(notes.unseen(&[], &clock), [(read.clone(), clock.now())]);
        assert_eq!(notes.unseen(&[block("a")], &clock), []);
        // Whoever read the blocks before it was bought still counts it, although somebody else has seen it.
        let there = vec![("a".to_owned(), BlockStatus::Unassigned)];
        assert_eq!(
            (known(&notes, &[]), known(&notes, &[read.clone()])),
            (there.clone(), there)
        );
        notes.reread(&block("a"), clock.now() - Duration::from_millis(1));
        assert_eq!(
            notes.unseen(&[], &clock)[0].0,
            read,
            "an answer that comes late is no news"
        );
        clock.advance(Duration::from_secs(1));
        assert_eq!(known(&notes, &[]), new, "what it was before one looked says nothing");
        clock.advance(LIST_LAG);
        assert_eq!((notes.unseen(&[], &clock), known(&notes, &[])), (vec![], vec![]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_purchase_that_was_not_sent_is_forgotten() {
        let (clock, ledger) = (clock(), Ledger::default());
        let noted = || {
            ledger.notes().buy("a", clock.now());
            ledger.purchase("a")
        };
        drop(noted());
        assert_eq!(ledger.notes().doubt("a", &clock), None);
        noted().sent();
        assert_eq!(ledger.notes().doubt("a", &clock), Some(LIST_LAG));
    }

    #[tokio::test(start_paused = true)]
    async fn a_purchase_is_noted_for_as_long_as_somebody_is_at_it() {
        let (clock, ledger) = (clock(), Ledger::default());
        let working = ledger.begin("a");
        ledger.notes().buy("a", clock.now());
        clock.advance(LIST_LAG);
        ledger.notes().unseen(&[], &clock);
        assert_eq!(ledger.notes().buying_others("b", &[]), 1);
        drop(working);
        ledger.notes().unseen(&[], &clock);
        assert_eq!(ledger.notes().buying_others("b", &[]), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_block_that_is_to_go_bears_the_mark_until_no_list_shows_it() {
        let (clock, mut notes) = (clock(), Notes::default());
        notes.end("a", clock.now());
        clock.advance(2 * LIST_LAG);
        notes.unseen(&[block("a")], &clock);
        assert!(tags::is_marked(&notes.as_known(&[block("a")], clock.now())[0]));
        assert!(!tags::is_marked(&notes.as_known(&[block("b")], clock.now())[0]));
        notes.unseen(&[], &clock);
        assert!(!notes.is_ending("a"));
    }

    #[test]
    fn only_one_works_on_a_thing_at_a_time() {
        let ledger = Ledger::default();
        let first = ledger.begin("a");
        assert!(first.is_some() && ledger.begin("a").is_none() && ledger.begin("b").is_some());
        drop(first);
        assert!(ledger.begin("a").is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_seen_before_something_was_done_to_a_block_is_no_reason_to_do_more() {
        let (clock, ledger) = (clock(), Ledger::default());
        let seen = clock.now();
        let free = IpBlock {
            status: BlockStatus::Unassigned,
            ..block("a")
        };
        let begin = |block: &IpBlock, seen| ledger.begin_as_seen(block, seen, clock.now()).is_some();
        let status = |block: &IpBlock, seen| {
            ledger.notes().as_known(std::slice::from_ref(block), seen)[0]
                .status
                .clone()
        };
        assert!(begin(&free, seen));
        assert!(!begin(&free, seen));
        assert!(begin(&block("b"), seen));
        assert_eq!(status(&free, seen), BlockStatus::Assigning);
        let assigned = IpBlock {
            status: BlockStatus::Assigned,
            ..free.clone()
        };
        assert_eq!(
            status(&assigned, seen),
            BlockStatus::Assigned,
            "whoever saw that saw it later"
        );
        clock.advance(Duration::from_secs(1));
        assert_eq!(status(&free, clock.now()), BlockStatus::Unassigned, "it was in vain");
        let working = ledger.begin("a");
        assert_eq!(status(&free, clock.now()), BlockStatus::Assigning, "somebody is at it");
        drop(working);
        assert!(begin(&free, clock.now()));
        clock.advance(LIST_LAG);
        ledger.notes().unseen(&[], &clock);
        assert!(begin(&free, seen), "not kept for ever");
    }
}
