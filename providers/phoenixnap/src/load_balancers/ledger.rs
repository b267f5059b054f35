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
use crate::client::IpBlock;

/// For how long a new block may be missing from lists. Longer than any call takes, so that what was read before a change is
/// never older than the note of it.
pub(super) const LIST_LAG: Duration = Duration::from_mins(2);
/// For how long the block of somebody else stays as it was seen.
const STRANGER: Duration = Duration::from_mins(1);

/// The notes, and who works on what.
#[derive(Default)]
pub(super) struct Ledger(Mutex<Notes>);

/// The notes of this process.
#[derive(Default)]
pub(super) struct Notes {
    /// Blocks that were bought a short time ago.
    bought: Vec<(IpBlock, Timestamp)>,
    /// Purchases that are under way or whose answer was lost, by the Service they are for; shared blocks are for none.
    buying: BTreeMap<String, Timestamp>,
    /// Blocks that are to go: nobody gets an address of them any more.
    ending: BTreeMap<String, Timestamp>,
    /// Blocks of the network that are not this cluster's, as they were read.
    strangers: BTreeMap<String, (IpBlock, Timestamp)>,
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
    pub fn begin_as_seen(&self, block: &IpBlock, seen: Timestamp) -> Option<Working<'_>> {
        let is_stale = self.notes().touched.get(&block.id).is_some_and(|at| *at >= seen);
        if is_stale { None } else { self.begin(&block.id) }
    }
}

impl Notes {
    /// The blocks that were bought and that a list lacks. Forgets what is too old to matter.
    pub fn unseen(&mut self, listed: &[IpBlock], clock: &Clock) -> Vec<IpBlock> {
        let is_listed = |id: &str| listed.iter().any(|block| block.id == id);
        self.bought.retain(|(_, at)| clock.since(*at) < LIST_LAG);
        self.buying.retain(|_, at| clock.since(*at) < LIST_LAG);
        self.ending
            .retain(|id, at| is_listed(id) || clock.since(*at) < LIST_LAG);
        self.strangers.retain(|_, (_, at)| clock.since(*at) < STRANGER);
        self.touched.retain(|_, at| clock.since(*at) < LIST_LAG);
        let unseen = self.bought.iter().filter(|(bought, _)| !is_listed(&bought.id));
        unseen.map(|(bought, _)| bought.clone()).collect()
    }

    /// The blocks as this process knows them: those that are to go bear the mark, whatever the list says.
    pub fn as_known(&self, blocks: &[IpBlock]) -> Vec<IpBlock> {
        let known = |block: &IpBlock| {
            let mut known = block.clone();
            if self.is_ending(&block.id) && !tags::is_marked(block) {
                known.tags = tags::marked(block);
            }
            known
        };
        blocks.iter().map(known).collect()
    }

    /// A purchase begins, or its answer was lost.
    pub fn buy(&mut self, whose: &str, now: Timestamp) {
        self.buying.insert(whose.to_owned(), now);
    }

    /// Nobody buys a block for this Service any more.
    pub fn not_buying(&mut self, whose: &str) {
        self.buying.remove(whose);
    }

    /// A block was bought.
    pub fn bought(&mut self, whose: &str, block: &IpBlock, now: Timestamp) {
        self.buying.remove(whose);
        self.bought.push((block.clone(), now));
    }

    /// How long it may still take until it is known whether a block was bought for this Service; nothing when it is known.
    pub fn doubt(&self, whose: &str, clock: &Clock) -> Option<Duration> {
        let at = self.buying.get(whose)?;
        LIST_LAG.checked_sub(clock.since(*at)).filter(|left| !left.is_zero())
    }

    /// The shared block that was bought a short time ago and that whoever read these blocks has not seen.
    pub fn unseen_shared(&self, seen: &[IpBlock]) -> Option<&IpBlock> {
        let bought = self.bought.iter().map(|(bought, _)| bought);
        bought
            .filter(|bought| tags::is_shared(bought))
            .find(|bought| !seen.iter().any(|block| block.id == bought.id))
    }

    /// How many blocks there may be for other Services beyond those that were seen: bought meanwhile, or being bought.
    pub fn coming(&self, whose: &str, seen: &[IpBlock]) -> usize {
        let is_seen = |id: &str| seen.iter().any(|block| block.id == id);
        let bought = self.bought.iter().filter(|(bought, _)| !is_seen(&bought.id)).count();
        let has_one = |key: &str| seen.iter().any(|block| tags::owner(block).as_deref() == Some(key));
        let buying = self.buying.keys().filter(|key| *key != whose && !has_one(key));
        bought + buying.count()
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
        self.bought.retain(|(bought, _)| bought.id != id);
        self.orphans.remove(id);
    }

    /// Somebody else's block as it was read a short time ago.
    pub fn stranger(&self, id: &str) -> Option<IpBlock> {
        self.strangers.get(id).map(|(block, _)| block.clone())
    }

    /// Takes note of somebody else's block.
    pub fn met(&mut self, block: &IpBlock, now: Timestamp) {
        self.strangers.insert(block.id.clone(), (block.clone(), now));
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
        assert_eq!(notes.coming("default/other", &[]), 1);
        assert_eq!(notes.doubt("default/web", &clock), Some(LIST_LAG));
        notes.bought("default/web", &block("a"), clock.now());
        assert_eq!(
            (notes.doubt("default/web", &clock), notes.coming("default/other", &[])),
            (None, 1)
        );
        // Whoever read the blocks before it was bought still counts it, although somebody else has seen it.
        assert_eq!(notes.unseen(&[block("a")], &clock), []);
        assert_eq!((notes.coming("", &[]), notes.coming("", &[block("a")])), (1, 0));
        clock.advance(LIST_LAG);
        assert_eq!((notes.unseen(&[], &clock), notes.coming("", &[])), (vec![], 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_block_that_is_to_go_bears_the_mark_until_no_list_shows_it() {
        let (clock, mut notes) = (clock(), Notes::default());
        notes.end("a", clock.now());
        clock.advance(2 * LIST_LAG);
        notes.unseen(&[block("a")], &clock);
        assert!(tags::is_marked(&notes.as_known(&[block("a")])[0]));
        assert!(!tags::is_marked(&notes.as_known(&[block("b")])[0]));
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
        assert!(ledger.begin_as_seen(&block("a"), seen).is_some());
        ledger.notes().touch(&block("a"), clock.now());
        assert!(ledger.begin_as_seen(&block("a"), seen).is_none());
        assert!(ledger.begin_as_seen(&block("b"), seen).is_some());
        clock.advance(Duration::from_secs(1));
        assert!(ledger.begin_as_seen(&block("a"), clock.now()).is_some());
        clock.advance(LIST_LAG);
        ledger.notes().unseen(&[], &clock);
        assert!(ledger.begin_as_seen(&block("a"), seen).is_some(), "not kept for ever");
    }
}
