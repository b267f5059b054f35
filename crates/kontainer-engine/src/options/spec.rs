//! The declaration of one option.

use crate::wire::{Default as WireDefault, Flag, StringSlice};

/// The types an option can have. Mirrors the six constants of rancher/kontainer-engine `types/types.go`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionKind {
    /// Text.
    String,
    /// Yes or no.
    Bool,
    /// Yes or no, where "not given" was meant to be a third value. Rancher does not keep it apart, so it needs a default.
    BoolPtr,
    /// A whole number.
    Int,
    /// A whole number, where "not given" was meant to be a value. Rancher does not keep it apart, so it needs a default.
    IntPtr,
    /// A list of texts.
    StringSlice,
}

impl OptionKind {
    const ALL: [Self; 6] = [
        Self::String,
        Self::Bool,
        Self::BoolPtr,
        Self::Int,
        Self::IntPtr,
        Self::StringSlice,
    ];

    /// The name in the protocol.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Bool => "bool",
            Self::BoolPtr => "boolPtr",
            Self::Int => "int",
            Self::IntPtr => "intPtr",
            Self::StringSlice => "stringSlice",
        }
    }

    /// The kind a flag of the protocol has; [`None`] for a type nobody knows.
    pub fn of(flag: &Flag) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == flag.r#type)
    }
}

/// What an option is when it is not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultValue {
    /// Nothing in particular: the driver decides, or asks for it.
    None,
    /// For strings.
    Str(&'static str),
    /// For yes-or-no options.
    Bool(bool),
    /// For numbers.
    Int(i64),
    /// For lists.
    Strings(&'static [&'static str]),
}

/// Which operation an option is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Creating a cluster.
    Create,
    /// Changing one.
    Update,
}

/// Checks a value given as text (numbers in decimal, yes-or-no as `true` or `false`, lists item by item). `Err` says what
/// it must be: `must be between 1 and 10`.
pub type Validate = fn(&str) -> Result<(), String>;

/// One option of a driver, declared as a constant:
///
/// ```
/// use kontainer_engine::OptionSpec;
/// const OPTIONS: &[OptionSpec] = &[
///     OptionSpec::string("api-token", "token of the cloud account").secret().required(),
///     OptionSpec::int("node-count", "number of nodes").default_int(3),
///     OptionSpec::strings("taints", "taints of the nodes, key=value:effect").create_only(),
/// ];
/// let table = kontainer_engine::OptionTable::new(OPTIONS)?;
/// assert_eq!(table.create_flags().options["node-count"].r#type, "int");
/// # Ok::<(), kontainer_engine::TableError>(())
/// ```
///
/// By default an option is for creating and updating, is not required, not secret, and has no default.
#[derive(Clone, Copy, Debug)]
pub struct OptionSpec {
    /// The name, in kebab case.
    pub name: &'static str,
    /// The type.
    pub kind: OptionKind,
    /// What it is for, in one line.
    pub usage: &'static str,
    /// What it is when it is not given.
    pub default: DefaultValue,
    /// Whether the value is never shown.
    pub secret: bool,
    /// Whether creating a cluster needs it. An empty string does not count as given.
    pub required: bool,
    /// Whether it is a flag of Create.
    pub create: bool,
    /// Whether it is a flag of Update.
    pub update: bool,
    /// Further names it is read from, after the kebab-case and the camelCase one.
    pub aliases: &'static [&'static str],
    /// Checks a given value. Not called for an empty string, which is what Rancher sends for a field left empty.
    pub validate: Option<Validate>,
}

impl OptionSpec {
    const fn new(name: &'static str, kind: OptionKind, usage: &'static str) -> Self {
        Self {
            name,
            kind,
            usage,
            default: DefaultValue::None,
            secret: false,
            required: false,
            create: true,
            update: true,
            aliases: &[],
            validate: None,
        }
    }

    /// A text.
    pub const fn string(name: &'static str, usage: &'static str) -> Self {
        Self::new(name, OptionKind::String, usage)
    }

    /// Yes or no.
    pub const fn bool(name: &'static str, usage: &'static str) -> Self {
        Self::new(name, OptionKind::Bool, usage)
    }

    /// Yes or no, announced as `boolPtr`.
    pub const fn bool_ptr(name: &'static str, usage: &'static str, default: bool) -> Self {
        Self::new(name, OptionKind::BoolPtr, usage).default_bool(default)
    }

    /// A whole number.
    pub const fn int(name: &'static str, usage: &'static str) -> Self {
        Self::new(name, OptionKind::Int, usage)
    }

    /// A whole number, announced as `intPtr`.
    pub const fn int_ptr(name: &'static str, usage: &'static str, default: i64) -> Self {
        Self::new(name, OptionKind::IntPtr, usage).default_int(default)
    }

    /// A list of texts.
    pub const fn strings(name: &'static str, usage: &'static str) -> Self {
        Self::new(name, OptionKind::StringSlice, usage)
    }

    /// Sets the default of a text.
    #[must_use]
    pub const fn default_str(mut self, value: &'static str) -> Self {
        self.default = DefaultValue::Str(value);
        self
    }

    /// Sets the default of a yes-or-no option.
    #[must_use]
    pub const fn default_bool(mut self, value: bool) -> Self {
        self.default = DefaultValue::Bool(value);
        self
    }

    /// Sets the default of a number.
    #[must_use]
    pub const fn default_int(mut self, value: i64) -> Self {
        self.default = DefaultValue::Int(value);
        self
    }

    /// Sets the default of a list.
    #[must_use]
    pub const fn default_strings(mut self, value: &'static [&'static str]) -> Self {
        self.default = DefaultValue::Strings(value);
        self
    }

    /// The value is never shown: Rancher treats the field as a password.
    #[must_use]
    pub const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    /// No cluster is created without it.
    #[must_use]
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// Not a flag of Update.
    #[must_use]
    pub const fn create_only(mut self) -> Self {
        self.update = false;
        self
    }

    /// Not a flag of Create.
    #[must_use]
    pub const fn update_only(mut self) -> Self {
        self.create = false;
        self
    }

    /// Reads the option from further names too.
    #[must_use]
    pub const fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    /// Checks given values.
    #[must_use]
    pub const fn validate(mut self, check: Validate) -> Self {
        self.validate = Some(check);
        self
    }

    /// The names it is read from, in order: as declared, in camelCase, the aliases.
    pub fn spellings(&self) -> Vec<String> {
        let mut all = vec![self.name.to_owned()];
        let rest = std::iter::once(super::camel_case(self.name)).chain(self.aliases.iter().map(ToString::to_string));
        for spelling in rest {
            if !all.contains(&spelling) {
                all.push(spelling);
            }
        }
        all
    }

    /// The flag of the protocol. The textual default of older command lines is filled in too.
    pub fn flag(&self) -> Flag {
        let (value, default) = match self.default {
            DefaultValue::None => (String::new(), None),
            DefaultValue::Str(text) => (
                text.to_owned(),
                Some(WireDefault {
                    default_string: text.to_owned(),
                    ..WireDefault::default()
                }),
            ),
            DefaultValue::Bool(yes) => (
                String::new(),
                Some(WireDefault {
                    default_bool: yes,
                    ..WireDefault::default()
                }),
            ),
            DefaultValue::Int(number) => (
                number.to_string(),
                Some(WireDefault {
                    default_int: number,
                    ..WireDefault::default()
                }),
            ),
            DefaultValue::Strings(items) => (
                String::new(),
                Some(WireDefault {
                    default_string_slice: Some(StringSlice {
                        value: items.iter().map(ToString::to_string).collect(),
                    }),
                    ..WireDefault::default()
                }),
            ),
        };
        Flag {
            r#type: self.kind.as_str().to_owned(),
            usage: self.usage.to_owned(),
            value,
            default,
            password: self.secret,
        }
    }
}
