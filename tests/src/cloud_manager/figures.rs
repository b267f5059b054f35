//! Figures and the bounds they must keep.

/// What a figure must be.
#[derive(Clone, Copy, Debug)]
pub enum Bound {
    /// At most this.
    AtMost(f64),
    /// Exactly this.
    Exactly(f64),
    /// It is told, no more.
    None,
}

/// A table of figures.
pub struct Figures {
    table: kit::Table,
    missed: usize,
}

impl Default for Figures {
    fn default() -> Self {
        Self::new()
    }
}

impl Figures {
    /// An empty one.
    pub fn new() -> Self {
        Self {
            table: kit::Table::new(["FIGURE", "NODES", "OURS", "GO", "BOUND", "KEPT"]),
            missed: 0,
        }
    }

    /// Adds a figure: what, at how many nodes, how much in which unit, and what the Go framework needs.
    pub fn add(&mut self, what: &str, nodes: usize, (ours, unit): (f64, &str), go: &str, bound: Bound) {
        let number = |value: f64| {
            let digits = usize::from(value.fract() != 0.0) * 2;
            format!("{value:.digits$} {unit}").trim_end().to_owned()
        };
        let (bound, kept) = match bound {
            Bound::AtMost(most) => (format!("≤ {}", number(most)), Some(ours <= most)),
            Bound::Exactly(wanted) => (number(wanted), Some((ours - wanted).abs() < f64::EPSILON)),
            Bound::None => ("–".to_owned(), None),
        };
        self.missed += usize::from(kept == Some(false));
        let kept = match kept {
            Some(true) => "yes",
            Some(false) => "NO",
            None => "",
        };
        self.table.row([
            what.to_owned(),
            nodes.to_string(),
            number(ours),
            go.to_owned(),
            bound,
            kept.to_owned(),
        ]);
    }

    /// How many bounds were missed.
    pub fn missed(&self) -> usize {
        self.missed
    }
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.table.fmt(f)
    }
}
