//! Which bids stand on the ladder.

use crate::market::thousandths;
use crate::settings::Ladder;

/// Whether `price`, which has the syntax of a price, is allowed.
pub(super) fn allows(ladder: Ladder, price: &str) -> bool {
    match ladder {
        Ladder::Off => true,
        Ladder::ThreeDecimals => thousandths(price).is_some_and(|value| value >= 1),
        Ladder::July2026 => thousandths(price).is_some_and(on_a_rung),
    }
}

fn on_a_rung(price: u64) -> bool {
    if !price.is_multiple_of(10) {
        return false;
    }
    let cents = price / 10;
    // From 22 cents on the rungs are five apart for ever.
    if cents >= 22 {
        return (cents - 22).is_multiple_of(5);
    }
    let mut rung = 1;
    while rung < cents {
        rung += match rung {
            ..4 => 1,
            4..10 => 2,
            10..20 => 3,
            _ => 5,
        };
    }
    rung == cents
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rungs_are_those_of_july_2026() {
        let rungs: Vec<u64> = (0..=62).filter(|cents| on_a_rung(cents * 10)).collect();
        assert_eq!(
            rungs,
            [1, 2, 3, 4, 6, 8, 10, 13, 16, 19, 22, 27, 32, 37, 42, 47, 52, 57, 62]
        );
        assert!(!on_a_rung(15), "half cents are between rungs");
    }

    #[test]
    fn other_ladders_allow_more() {
        for (ladder, price, allowed) in [
            (Ladder::July2026, "0.05", false),
            (Ladder::July2026, "0.060", true),
            (Ladder::ThreeDecimals, "0.055", true),
            (Ladder::ThreeDecimals, "0", false),
            (Ladder::Off, "0", true),
        ] {
            assert_eq!(allows(ladder, price), allowed, "{ladder:?} {price}");
        }
    }
}
