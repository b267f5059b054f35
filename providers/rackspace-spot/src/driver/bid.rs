//! Bids: their syntax, and the ladder of amounts that the market takes.
//!
//! Since July 2026 bids are whole cents on a ladder: from each rung the next is one cent higher below 4 cents, two below
//! 10, three below 20, five from there (0.01 0.02 0.03 0.04 0.06 0.08 0.10 0.13 …). Amounts are kept in tenths of a cent,
//! the finest the API's own syntax allows, so that no floating point is involved.

use std::fmt;

/// US dollars per hour and machine, exact to a tenth of a cent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bid(u64);

/// Why a bid is refused, and what would be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BidError {
    /// It is no amount.
    #[error(
        "bid price {text:?} is not an amount like 0.04: digits, and at most three after the point; the next valid bid is {next}"
    )]
    Syntax {
        /// What was given.
        text: String,
        /// What would be taken.
        next: Bid,
    },
    /// It lies between two rungs.
    #[error("bid price {bid} is not on the bid ladder; the next valid bid is {next}")]
    OffLadder {
        /// What was given.
        bid: Bid,
        /// What would be taken.
        next: Bid,
    },
    /// The class costs more.
    #[error(
        "bid price {bid} is below the minimum bid of {minimum} for server class {class}; the next valid bid is {next}"
    )]
    BelowMinimum {
        /// What was given.
        bid: Bid,
        /// The class.
        class: String,
        /// What it costs at least.
        minimum: Bid,
        /// What would be taken.
        next: Bid,
    },
    /// Nobody means to pay so much.
    #[error("bid price {bid} for server class {class} is more than {why}; set allow-high-bids if that is meant")]
    TooHigh {
        /// What was given.
        bid: Bid,
        /// The class.
        class: String,
        /// What it was compared with.
        why: String,
    },
}

/// The lowest rung.
const LOWEST: Bid = Bid(10);
/// More than any machine costs; keeps the arithmetic far from its ends.
const HIGHEST: u64 = 100_000_000;

impl Bid {
    /// No price at all.
    pub const ZERO: Self = Self(0);

    /// This price so many times, at most the highest there is.
    #[must_use]
    pub fn times(self, factor: u64) -> Self {
        Self(self.0.saturating_mul(factor).min(HIGHEST))
    }

    /// The price of an hour, rounded up, where this one is that of another time. No time at all counts as an hour.
    #[must_use]
    pub fn per_hour(self, interval: std::time::Duration) -> Self {
        const HOUR: u64 = 3600;
        let seconds = match interval.as_secs() {
            0 => HOUR,
            seconds => seconds,
        };
        Self(self.0.saturating_mul(HOUR).div_ceil(seconds).min(HIGHEST))
    }

    /// Reads the API's syntax: digits, and one to three more after a point.
    pub fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = match text.split_once('.') {
            Some((whole, fraction)) if (1..=3).contains(&fraction.len()) => (whole, fraction),
            Some(_) => return None,
            None => (text, ""),
        };
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(fraction) {
            return None;
        }
        let tenths: u64 = format!("{fraction:0<3}").parse().ok()?;
        let bid = whole.parse::<u64>().ok()?.checked_mul(1000)?.checked_add(tenths)?;
        (bid <= HIGHEST).then_some(Self(bid))
    }

    /// Reads amounts as other people write them (`$0.01`, `.05`, `0.001000`), rounded up, to suggest something near.
    fn guess(text: &str) -> Option<Self> {
        let text = text.trim().trim_start_matches('$');
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let whole = if whole.is_empty() { "0" } else { whole };
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(fraction) || text.is_empty() || text == "." {
            return None;
        }
        let tenths: u64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
        let rest = u64::from(fraction.bytes().skip(3).any(|b| b != b'0'));
        let bid = whole
            .parse::<u64>()
            .ok()?
            .checked_mul(1000)?
            .checked_add(tenths + rest)?;
        (bid <= HIGHEST).then_some(Self(bid))
    }

    /// Reads a price that the API gives; these have up to six digits after the point.
    pub fn price(text: &str) -> Option<Self> {
        Self::guess(text)
    }

    /// The lowest rung that is not below this.
    #[must_use]
    pub fn round_up(self) -> Self {
        let mut rung = LOWEST.0;
        while rung < self.0 {
            rung += match rung / 10 {
                0..4 => 10,
                4..10 => 20,
                10..20 => 30,
                _ => {
                    // The rest of the ladder is regular: no need to climb it.
                    let left = (self.0 - rung).div_ceil(50);
                    50 * left
                }
            };
        }
        Self(rung)
    }

    /// Checks a bid for a class, or rounds it up to what is taken when `round` is set.
    pub fn check(text: &str, class: &str, minimum: Option<Bid>, round: Rounding) -> Result<Self, BidError> {
        let lowest = minimum.unwrap_or(LOWEST).round_up();
        let round = round == Rounding::Up;
        let Some(bid) = Self::parse(text) else {
            let next = Self::guess(text).unwrap_or(lowest).round_up().max(lowest);
            return Err(BidError::Syntax {
                text: text.to_owned(),
                next,
            });
        };
        let next = bid.round_up().max(lowest);
        if round || bid == next {
            return Ok(next);
        }
        match minimum {
            Some(minimum) if bid < minimum => Err(BidError::BelowMinimum {
                bid,
                class: class.to_owned(),
                minimum,
                next,
            }),
            _ => Err(BidError::OffLadder { bid, next }),
        }
    }
}

/// What to do with a bid that is not on the ladder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rounding {
    /// Refuse it.
    #[default]
    No,
    /// Bid the next higher rung.
    Up,
}

impl fmt::Display for Bid {
    /// As the API writes it, with at least two digits after the point.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (dollars, tenths) = (self.0 / 1000, self.0 % 1000);
        if tenths % 10 == 0 {
            write!(f, "{dollars}.{:02}", tenths / 10)
        } else {
            write!(f, "{dollars}.{tenths:03}")
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn up(text: &str) -> String {
        Bid::guess(text).unwrap().round_up().to_string()
    }

    #[test]
    fn the_ladder_has_these_rungs() {
        let mut rungs = vec![LOWEST];
        for _ in 0..16 {
            rungs.push(Bid(rungs.last().unwrap().0 + 1).round_up());
        }
        let rungs: Vec<String> = rungs.iter().map(ToString::to_string).collect();
        assert_eq!(
            rungs.join(" "),
            "0.01 0.02 0.03 0.04 0.06 0.08 0.10 0.13 0.16 0.19 0.22 0.27 0.32 0.37 0.42 0.47 0.52"
        );
    }

    #[test]
    fn amounts_round_up_to_the_next_rung() {
        for (amount, rung) in [
            ("0.0012", "0.01"),
            ("0.011", "0.02"),
            ("0.04", "0.04"),
            ("0.041", "0.06"),
            ("0.101", "0.13"),
            ("0.19", "0.19"),
            ("0.191", "0.22"),
            ("0.221", "0.27"),
            ("12345", "12345.02"),
        ] {
            assert_eq!(up(amount), rung, "{amount}");
        }
    }

    #[test]
    fn a_refused_bid_comes_with_the_next_valid_one() {
        for (bid, next) in [
            ("0.05", "0.06"),
            ("0.50", "0.52"),
            ("$0.01", "0.01"),
            (".05", "0.06"),
            ("0.001", "0.01"),
            ("abc", "0.01"),
            ("", "0.01"),
            ("-1", "0.01"),
            ("1e3", "0.01"),
            ("0.0400", "0.04"),
        ] {
            let error = Bid::check(bid, "gp", Bid::price("0.010000"), Rounding::No)
                .unwrap_err()
                .to_string();
            assert!(
                error.ends_with(&format!("the next valid bid is {next}")),
                "{bid}: {error}"
            );
        }
    }

    #[test]
    fn the_minimum_of_a_class_counts() {
        let minimum = Bid::price("0.07");
        assert_eq!(
            Bid::check("0.04", "gp", minimum, Rounding::No).unwrap_err().to_string(),
            "bid price 0.04 is below the minimum bid of 0.07 for server class gp; the next valid bid is 0.08"
        );
        assert_eq!(
            Bid::check("0.04", "gp", minimum, Rounding::Up).unwrap().to_string(),
            "0.08"
        );
        assert_eq!(
            Bid::check("0.08", "gp", minimum, Rounding::No).unwrap().to_string(),
            "0.08"
        );
    }

    proptest! {
        #[test]
        fn rounding_is_up_and_stays(tenths in 0u64..2_000_000) {
            let up = Bid(tenths).round_up();
            prop_assert!(up.0 >= tenths);
            prop_assert_eq!(up.round_up(), up);
            prop_assert_eq!(Bid::parse(&up.to_string()), Some(up));
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,40}") {
            let _ = Bid::check(&text, "gp", None, Rounding::Up);
        }
    }
}
