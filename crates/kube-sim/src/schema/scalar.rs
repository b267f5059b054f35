//! Times, quantities and base64, as the server reads and writes them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;

/// A time in whole seconds, the form of `metav1.Time`.
pub(crate) fn format_time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A time with exactly six digits, the form of `metav1.MicroTime`.
pub(crate) fn format_micro_time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

/// Reads RFC 3339. Other spellings that jiff knows (a space instead of the T, no offset) are refused, as Go does.
pub(crate) fn parse_time(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    if bytes.len() < 20 || bytes[10] != b'T' || !(text.ends_with('Z') || matches!(bytes[bytes.len() - 6], b'+' | b'-'))
    {
        return None;
    }
    text.parse().ok()
}

/// Reads a `metav1.MicroTime`: RFC 3339 with exactly six digits after the point.
pub(crate) fn parse_micro_time(text: &str) -> Option<Timestamp> {
    let fraction = text.get(19..)?.strip_prefix('.')?;
    let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
    (digits == 6).then(|| parse_time(text))?
}

/// Base64 in the canonical form, or nothing when the text is not base64. Line breaks are skipped, as Go does.
pub(crate) fn canonical_base64(text: &str) -> Option<String> {
    let joined: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
    STANDARD.decode(&joined).ok().map(|bytes| STANDARD.encode(bytes))
}

/// The canonical form of a quantity, or nothing when the text is none.
///
/// Mirrors kubernetes/apimachinery pkg/api/resource/quantity.go for what people write: the number is brought to the largest
/// suffix of its family that leaves no fraction.
pub(crate) fn canonical_quantity(text: &str) -> Option<String> {
    let text = text.trim();
    let end = text
        .char_indices()
        .find(|(i, c)| !(c.is_ascii_digit() || *c == '.' || (*i == 0 && matches!(c, '+' | '-'))))
        .map_or(text.len(), |(i, _)| i);
    let (number, suffix) = text.split_at(end);
    let negative = number.starts_with('-');
    let digits = number.trim_start_matches(['+', '-']);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let family = Family::of(suffix)?;
    // The value in units of 10^-9, rounded up: the smallest step a quantity has.
    let mut scaled: i128 = format!("{whole}{fraction:0<9}").get(..whole.len() + 9)?.parse().ok()?;
    scaled = match family {
        Family::Binary(power) => scaled.checked_mul(1024i128.checked_pow(power)?)?,
        Family::Decimal(power) | Family::Exponent(power) => {
            if power >= 0 {
                scaled.checked_mul(10i128.checked_pow(u32::try_from(power).ok()?)?)?
            } else {
                let by = 10i128.checked_pow(power.unsigned_abs())?;
                scaled / by + i128::from(scaled % by != 0)
            }
        }
    };
    let sign = if negative && scaled != 0 { "-" } else { "" };
    Some(format!("{sign}{}", render(scaled, &family)))
}

enum Family {
    Binary(u32),
    Decimal(i32),
    Exponent(i32),
}

impl Family {
    fn of(suffix: &str) -> Option<Self> {
        Some(match suffix {
            "Ki" => Self::Binary(1),
            "Mi" => Self::Binary(2),
            "Gi" => Self::Binary(3),
            "Ti" => Self::Binary(4),
            "Pi" => Self::Binary(5),
            "Ei" => Self::Binary(6),
            "n" => Self::Decimal(-9),
            "u" => Self::Decimal(-6),
            "m" => Self::Decimal(-3),
            "" => Self::Decimal(0),
            "k" => Self::Decimal(3),
            "M" => Self::Decimal(6),
            "G" => Self::Decimal(9),
            "T" => Self::Decimal(12),
            "P" => Self::Decimal(15),
            "E" => Self::Decimal(18),
            _ => Self::Exponent(
                suffix
                    .strip_prefix(['e', 'E'])?
                    .parse()
                    .ok()
                    .filter(|p: &i32| p.abs() < 25)?,
            ),
        })
    }
}

fn render(scaled: i128, family: &Family) -> String {
    const NANO: i128 = 1_000_000_000;
    if scaled == 0 {
        return "0".to_owned();
    }
    if let Family::Binary(_) = family
        && scaled % NANO == 0
    {
        let mut value = scaled / NANO;
        let mut power = 0;
        while value % 1024 == 0 && power < 6 {
            value /= 1024;
            power += 1;
        }
        return format!("{value}{}", ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"][power]);
    }
    let mut value = scaled;
    let mut power = -9;
    while value % 1000 == 0 && power < 18 {
        value /= 1000;
        power += 3;
    }
    if let (Family::Exponent(_), true) = (family, power != 0) {
        return format!("{value}e{power}");
    }
    let suffix = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"][usize::try_from((power + 9) / 3).unwrap_or(3)];
    format!("{value}{suffix}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_take_their_canonical_form() {
        for (text, canonical) in [
            ("1000m", "1"),
            ("0.5", "500m"),
            ("1024Ki", "1Mi"),
            ("1500M", "1500M"),
            ("2000M", "2G"),
            ("1e3", "1e3"),
            ("0", "0"),
            ("-2", "-2"),
            ("1.5Gi", "1536Mi"),
        ] {
            assert_eq!(canonical_quantity(text).as_deref(), Some(canonical), "{text}");
        }
        for bad in ["", "x", "1x", "1..2", "Mi"] {
            assert_eq!(canonical_quantity(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_micro_time_has_exactly_six_digits() {
        assert!(parse_micro_time("2024-01-01T00:00:00.000000Z").is_some());
        assert!(parse_micro_time("2024-01-01T00:00:00Z").is_none());
        assert!(parse_micro_time("2024-01-01T00:00:00.123Z").is_none());
        assert!(parse_time("2024-01-01T02:00:00+02:00").is_some());
        assert!(parse_time("2024-01-01 00:00:00Z").is_none());
    }
}
