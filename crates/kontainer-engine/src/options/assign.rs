//! Options out of what somebody typed.

use super::spec::OptionKind;
use super::values::InvalidOptions;
use crate::wire::DriverOptions;

impl DriverOptions {
    /// Sets an option of this kind from text, as a command line has it. A list gets one item more each time; the other kinds
    /// are replaced. Only what the user gave belongs here: a driver knows its defaults.
    pub fn set_text(&mut self, key: &str, kind: OptionKind, text: &str) -> Result<(), InvalidOptions> {
        let wrong = |wanted: &str| InvalidOptions {
            problems: vec![format!("{key} must be {wanted}")],
        };
        let key = key.to_owned();
        match kind {
            OptionKind::String => {
                self.string_options.insert(key, text.to_owned());
            }
            OptionKind::StringSlice => self
                .string_slice_options
                .entry(key)
                .or_default()
                .value
                .push(text.to_owned()),
            OptionKind::Int | OptionKind::IntPtr => {
                let number = text.trim().parse().map_err(|_| wrong("a whole number"))?;
                self.int_options.insert(key, number);
            }
            OptionKind::Bool | OptionKind::BoolPtr => {
                let yes = text
                    .trim()
                    .to_ascii_lowercase()
                    .parse()
                    .map_err(|_| wrong("true or false"))?;
                self.bool_options.insert(key, yes);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_becomes_a_value_of_the_options_kind() {
        let mut options = DriverOptions::default();
        for (key, kind, text) in [
            ("region", OptionKind::String, " iad "),
            ("count", OptionKind::Int, "3"),
            ("ha", OptionKind::BoolPtr, "True"),
            ("zones", OptionKind::StringSlice, "a,b"),
            ("zones", OptionKind::StringSlice, "c"),
        ] {
            options.set_text(key, kind, text).unwrap();
        }
        assert_eq!(options.string_options["region"], " iad ");
        assert_eq!((options.int_options["count"], options.bool_options["ha"]), (3, true));
        assert_eq!(options.string_slice_options["zones"].value, ["a,b", "c"]);
        let error = options.set_text("count", OptionKind::IntPtr, "0x3").unwrap_err();
        assert_eq!(error.to_string(), "count must be a whole number");
        assert!(options.set_text("ha", OptionKind::Bool, "yes").is_err());
    }
}
