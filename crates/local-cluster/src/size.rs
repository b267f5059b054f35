//! Amounts of memory and disk as people write them.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::settings::Setting;

const MIB: u64 = 1024 * 1024;
const UNITS: [(&str, u64); 11] = [
    ("", 1024 * MIB),
    ("kib", 1024),
    ("mib", MIB),
    ("mi", MIB),
    ("gib", 1024 * MIB),
    ("gi", 1024 * MIB),
    ("tib", 1024 * 1024 * MIB),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
];

/// An amount: `10GiB`, `10240MiB`, `10GB` (decimal, so less than `10GiB`), or a plain number of GiB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Size {
    bytes: u64,
    written: String,
}

impl Size {
    /// Reads one.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let written = text.trim().to_owned();
        let error = || format!("{text:?} is no amount; write it like 10GiB, 10240MiB or 10 (GiB), more than nothing");
        let end = written
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(written.len());
        let (number, unit) = written.split_at(end);
        let unit = unit.trim().to_ascii_lowercase();
        let scale = UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .map(|(_, scale)| *scale)
            .ok_or_else(error)?;
        let number: f64 = number.parse().map_err(|_| error())?;
        let bytes = number * scale as f64;
        if !(1.0..1e18).contains(&bytes) {
            return Err(error());
        }
        Ok(Self {
            bytes: bytes as u64,
            written,
        })
    }

    /// That many bytes.
    pub fn bytes(bytes: u64) -> Self {
        Self {
            bytes,
            written: gib(bytes),
        }
    }

    /// In bytes.
    pub fn in_bytes(&self) -> u64 {
        self.bytes
    }

    /// In MiB, rounded to the nearest: tools that calculate with fractions of a GiB lose no more than that.
    pub fn mib(&self) -> u64 {
        (self.bytes + MIB / 2) / MIB
    }

    /// In GiB, as tools take it: no more digits than needed.
    pub fn in_gib(&self) -> String {
        let text = format!("{:.4}", self.bytes as f64 / (1024 * MIB) as f64);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }

    /// For comparing. What was written in other units is shown in both.
    pub fn setting(&self) -> Setting {
        let plain = gib(self.bytes);
        let shown = if plain == self.written {
            plain
        } else {
            format!("{} ({plain})", self.written)
        };
        Setting {
            value: format!("{}MiB", self.mib()),
            shown,
        }
    }
}

fn gib(bytes: u64) -> String {
    let text = format!("{:.2}", bytes as f64 / (1024 * MIB) as f64);
    format!("{}GiB", text.trim_end_matches('0').trim_end_matches('.'))
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.written)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Size;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an amount like 10GiB")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Size, E> {
                Size::parse(text).map_err(E::custom)
            }
            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Size, E> {
                Size::parse(&number.to_string()).map_err(E::custom)
            }
            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Size, E> {
                Size::parse(&number.to_string()).map_err(E::custom)
            }
            fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Size, E> {
                Size::parse(&number.to_string()).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_amount_in_different_units_is_equal() {
        let settings: Vec<_> = ["10GiB", "10240MiB", "10", "10 gib"]
            .iter()
            .map(|text| Size::parse(text).unwrap().setting())
            .collect();
        assert!(settings.iter().all(|one| *one == settings[0]), "{settings:?}");
    }

    #[test]
    fn a_decimal_amount_is_another_one_and_says_so() {
        let decimal = Size::parse("10GB").unwrap().setting();
        assert_ne!(decimal, Size::parse("10GiB").unwrap().setting());
        assert_eq!(decimal.shown, "10GB (9.31GiB)");
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "abc",
            "0",
            "-1",
            "-1GiB",
            "",
            "10XB",
            "1.2.3",
            "GiB",
            "1e400",
            "999999999999TiB",
            "0GiB",
        ] {
            assert!(Size::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn tools_get_no_more_digits_than_needed() {
        assert_eq!(Size::parse("4").unwrap().in_gib(), "4");
        assert_eq!(Size::parse("1536MiB").unwrap().in_gib(), "1.5");
        assert_eq!(Size::parse("100").unwrap().in_gib(), "100");
    }
}
