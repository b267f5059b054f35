//! What a server costs at any moment: a pure function of the seed, the settings and the time.

use std::time::Duration;

use crate::chance;
use crate::settings::{Market, Settings};

/// How long a price left to chance stays.
const PRICE_HOLDS: u64 = 3600;

/// A price in thousandths of a dollar per hour, rounded up; nothing when the text is no price.
pub(crate) fn thousandths(price: &str) -> Option<u64> {
    let (whole, fraction) = price.split_once('.').unwrap_or((price, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || whole.len() > 9 || !digits(whole) || !digits(fraction) || price.ends_with('.') {
        return None;
    }
    let mut value = whole.parse::<u64>().ok()?;
    for i in 0..3 {
        let digit = fraction.as_bytes().get(i).map_or(0, |b| u64::from(b - b'0'));
        value = value * 10 + digit;
    }
    let rest = fraction.bytes().skip(3).any(|b| b != b'0');
    Some(value + u64::from(rest))
}

/// As the API writes prices: six decimals.
pub(crate) fn text(thousandths: u64) -> String {
    format!("{}.{:03}000", thousandths / 1000, thousandths % 1000)
}

/// The market price of `class`, in thousandths, `age` after the start of the simulation.
pub(crate) fn price(settings: &Settings, seed: u64, class: &str, age: Duration) -> u64 {
    let told = settings.market.get(class).or_else(|| settings.market.get("*"));
    let told = match told {
        Some(Market::Fixed(price)) => thousandths(price),
        Some(Market::Schedule(points)) => {
            let latest = points
                .iter()
                .filter(|point| point.after <= age)
                .max_by_key(|point| point.after);
            latest.and_then(|point| thousandths(&point.price))
        }
        None => None,
    };
    told.unwrap_or_else(|| by_chance(seed, class, age.as_secs() / PRICE_HOLDS))
}

/// The last moment, counted from the start of the simulation, up to which all prices stay what they are at `age`.
pub(crate) fn next_move(settings: &Settings, age: Duration) -> Duration {
    let hour = Duration::from_secs((age.as_secs() / PRICE_HOLDS + 1) * PRICE_HOLDS);
    let told = settings.market.values().flat_map(|market| match market {
        Market::Fixed(_) => &[][..],
        Market::Schedule(points) => points,
    });
    let next = told.map(|point| point.after).filter(|after| *after > age).min();
    next.map_or(hour, |next| next.min(hour))
        .saturating_sub(Duration::from_nanos(1))
}

/// Around a base that follows the size, up to a fifth more or less, another one every hour.
fn by_chance(seed: u64, class: &str, hour: u64) -> u64 {
    let base = base(class);
    let swing = base * 2 / 5;
    let drawn = chance::mix(seed ^ chance::of_text(class), hour);
    (base - swing / 2 + drawn % (swing + 1)).max(1)
}

/// What a class usually costs, in thousandths: the smallest a thousandth, each size up some four times the one below.
fn base(class: &str) -> u64 {
    match class.split('.').nth(2).and_then(|size| size.split('-').next()) {
        Some("large") => 4,
        Some("xlarge") => 16,
        Some("2xlarge") => 50,
        Some("xlargeplusplus") => 400,
        _ if class.contains(".bm2") => 60,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::PricePoint;

    #[test]
    fn prices_are_read_exactly_and_rounded_up() {
        for (text, expected) in [
            ("0.01", Some(10)),
            ("1", Some(1000)),
            ("0.001000", Some(1)),
            ("0.0011", Some(2)),
            ("12.345", Some(12345)),
            ("", None),
            (".5", None),
            ("1.", None),
            ("-1", None),
            ("$0.01", None),
            ("9999999999", None),
        ] {
            assert_eq!(thousandths(text), expected, "{text}");
        }
        assert_eq!(text(12), "0.012000");
    }

    #[test]
    fn a_price_is_told_by_settings_or_left_to_the_seed() {
        let mut settings = Settings::default();
        let class = "gp.vs1.xlarge-iad";
        let hour = Duration::from_hours(1);
        let drawn: Vec<u64> = (0..48).map(|h| price(&settings, 7, class, hour * h)).collect();
        assert!(drawn.iter().all(|p| (13..=19).contains(p)), "{drawn:?}");
        assert!(drawn.iter().any(|p| *p != drawn[0]), "it moves");
        assert_eq!(price(&settings, 7, "gp.vs1.medium-iad", hour), 1);

        settings.market.insert("*".into(), Market::Fixed("0.02".into()));
        assert_eq!(price(&settings, 7, class, hour), 20);
        let rise = PricePoint {
            after: hour,
            price: "0.5".into(),
        };
        settings.market.insert(class.into(), Market::Schedule(vec![rise]));
        assert_eq!(price(&settings, 7, class, hour), 500);
        assert_eq!(price(&settings, 7, class, Duration::ZERO), drawn[0]);
    }
}
