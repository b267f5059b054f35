//! What happens when: time is caught up in steps, each to the next moment at which something is due.

use jiff::Timestamp;

use super::World;

/// Something that may be under way.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mover {
    Block(String),
    Server(String),
}

impl World {
    /// Lets everything happen that is due up to `now`, in order. Time that runs backwards changes nothing.
    pub(crate) fn settle(&mut self, now: Timestamp) {
        while let Some((due, mover)) = self.next_due().filter(|(due, _)| *due <= now) {
            self.now = self.now.max(due);
            self.arrive(&mover);
        }
        self.now = self.now.max(now);
    }

    fn next_due(&self) -> Option<(Timestamp, Mover)> {
        let blocks = self.blocks.iter().filter_map(|(id, block)| {
            let due = block.then.as_ref()?.due?;
            Some((due, Mover::Block(id.clone())))
        });
        let servers = self.servers.iter().filter_map(|(id, server)| {
            let due = server.then.as_ref()?.due?;
            Some((due, Mover::Server(id.clone())))
        });
        blocks.chain(servers).min()
    }

    fn arrive(&mut self, mover: &Mover) {
        match mover {
            Mover::Block(id) => self.block_arrives(id),
            Mover::Server(id) => self.server_arrives(id),
        }
    }

    /// Told that these were read: what ends after so many reads may end now.
    pub(super) fn read(&mut self, movers: &[Mover]) {
        for mover in movers {
            let then = match mover {
                Mover::Block(id) => self.blocks.get_mut(id).and_then(|block| block.then.as_mut()),
                Mover::Server(id) => self.servers.get_mut(id).and_then(|server| server.then.as_mut()),
            };
            let Some(polls) = then.and_then(|then| then.polls.as_mut()) else {
                continue;
            };
            *polls = polls.saturating_sub(1);
            if *polls == 0 {
                self.arrive(mover);
            }
        }
    }
}
