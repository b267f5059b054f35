//! Counters, gauges and histograms under the exact names, labels and buckets of the Go programs, in Prometheus' text
//! format 0.0.4.
//!
//! ```
//! let registry = kube_kit::metrics::Registry::new();
//! let syncs = registry.counter("route_controller_route_sync_total", "Reconciles started.", &[]);
//! syncs.inc(&[]);
//! assert!(registry.render().contains("route_controller_route_sync_total 1\n"));
//! ```

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The content type of [`Registry::render`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All metrics of a process. Clones share them; there is no global registry.
#[derive(Clone, Default)]
pub struct Registry(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    families: BTreeMap<&'static str, Family>,
    collectors: Vec<Collector>,
}

/// Called before each rendering, to bring gauges up to date.
type Collector = Arc<dyn Fn() + Send + Sync>;

#[derive(Clone)]
struct Family {
    help: &'static str,
    kind: Kind,
    labels: &'static [&'static str],
    series: Arc<Mutex<BTreeMap<Vec<String>, Value>>>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Counter,
    Gauge,
    Histogram(&'static [f64]),
}

#[derive(Clone, Debug)]
enum Value {
    Number(f64),
    Histogram { counts: Vec<u64>, sum: f64, count: u64 },
}

/// A number that only grows.
#[derive(Clone)]
pub struct Counter(Family);

/// A number that goes up and down.
#[derive(Clone)]
pub struct Gauge(Family);

/// Observations counted in buckets.
#[derive(Clone)]
pub struct Histogram(Family);

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Registry {
    /// An empty registry.
    pub fn new() -> Self {
        Self::default()
    }

    /// A counter with these label names. Asking again for a name gives the same metric.
    pub fn counter(&self, name: &'static str, help: &'static str, labels: &'static [&'static str]) -> Counter {
        Counter(self.family(name, help, Kind::Counter, labels))
    }

    /// A gauge with these label names.
    pub fn gauge(&self, name: &'static str, help: &'static str, labels: &'static [&'static str]) -> Gauge {
        Gauge(self.family(name, help, Kind::Gauge, labels))
    }

    /// A histogram with these upper bucket bounds, ascending and without the infinite one, and these label names.
    pub fn histogram(
        &self,
        name: &'static str,
        help: &'static str,
        buckets: &'static [f64],
        labels: &'static [&'static str],
    ) -> Histogram {
        Histogram(self.family(name, help, Kind::Histogram(buckets), labels))
    }

    /// Calls `collect` before each rendering.
    pub fn on_render(&self, collect: impl Fn() + Send + Sync + 'static) {
        locked(&self.0).collectors.push(Arc::new(collect));
    }

    /// Everything, as text. Families without a series are left out unless they have no labels.
    pub fn render(&self) -> String {
        let collectors = locked(&self.0).collectors.clone();
        for collect in collectors {
            collect();
        }
        let families = locked(&self.0).families.clone();
        let mut text = String::new();
        for (name, family) in families {
            family.render(name, &mut text);
        }
        text
    }

    /// The series of a metric by the values of its labels: what a counter or gauge stands at, and what a histogram's
    /// observations add up to. Nothing when there is no such metric.
    pub fn series(&self, name: &str) -> BTreeMap<Vec<String>, f64> {
        let family = locked(&self.0).families.get(name).cloned();
        let Some(family) = family else { return BTreeMap::new() };
        let number = |value: &Value| match value {
            Value::Number(number) => *number,
            Value::Histogram { sum, .. } => *sum,
        };
        let series = locked(&family.series);
        series
            .iter()
            .map(|(labels, value)| (labels.clone(), number(value)))
            .collect()
    }

    fn family(&self, name: &'static str, help: &'static str, kind: Kind, labels: &'static [&'static str]) -> Family {
        let mut inner = locked(&self.0);
        let family = inner.families.entry(name).or_insert_with(|| {
            let family = Family {
                help,
                kind,
                labels,
                series: Arc::default(),
            };
            if labels.is_empty() {
                family.with(&[], |_| {});
            }
            family
        });
        debug_assert!(
            family.kind == kind && family.labels == labels,
            "{name} is registered as something else"
        );
        family.clone()
    }
}

impl Family {
    fn with(&self, labels: &[&str], change: impl FnOnce(&mut Value)) {
        debug_assert_eq!(labels.len(), self.labels.len(), "{}", self.help);
        let key = labels.iter().map(|label| (*label).to_owned()).collect();
        change(locked(&self.series).entry(key).or_insert_with(|| match self.kind {
            Kind::Histogram(buckets) => Value::Histogram {
                counts: vec![0; buckets.len()],
                sum: 0.0,
                count: 0,
            },
            Kind::Counter | Kind::Gauge => Value::Number(0.0),
        }));
    }

    fn number(&self, labels: &[&str], change: impl FnOnce(&mut f64)) {
        self.with(labels, |value| {
            if let Value::Number(number) = value {
                change(number);
            }
        });
    }

    fn read(&self, labels: &[&str]) -> f64 {
        let mut read = 0.0;
        self.number(labels, |number| read = *number);
        read
    }

    fn render(&self, name: &str, text: &mut String) {
        let series = locked(&self.series).clone();
        if series.is_empty() {
            return;
        }
        let kind = match self.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        };
        let _ = writeln!(text, "# HELP {name} {}\n# TYPE {name} {kind}", self.help);
        for (labels, value) in &series {
            match (value, self.kind) {
                (Value::Number(number), _) => {
                    let _ = writeln!(text, "{name}{} {number}", self.label_text(labels, None));
                }
                (Value::Histogram { counts, sum, count }, Kind::Histogram(buckets)) => {
                    let mut below = 0;
                    for (bound, in_bucket) in buckets.iter().zip(counts) {
                        below += in_bucket;
                        let le = self.label_text(labels, Some(&go_float(*bound)));
                        let _ = writeln!(text, "{name}_bucket{le} {below}");
                    }
                    let inf = self.label_text(labels, Some("+Inf"));
                    let plain = self.label_text(labels, None);
                    let _ = writeln!(
                        text,
                        "{name}_bucket{inf} {count}\n{name}_sum{plain} {sum}\n{name}_count{plain} {count}"
                    );
                }
                (Value::Histogram { .. }, _) => {}
            }
        }
    }

    fn label_text(&self, values: &[String], le: Option<&str>) -> String {
        let escape = |value: &str| value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', "\\n");
        let mut pairs: Vec<String> = self
            .labels
            .iter()
            .zip(values)
            .map(|(name, value)| format!("{name}=\"{}\"", escape(value)))
            .collect();
        pairs.extend(le.map(|le| format!("le=\"{le}\"")));
        if pairs.is_empty() {
            String::new()
        } else {
            format!("{{{}}}", pairs.join(","))
        }
    }
}

/// Go writes small bounds with an exponent (`1e-08`), and dashboards match on the text.
fn go_float(value: f64) -> String {
    if value == 0.0 || (1e-4..1e21).contains(&value.abs()) {
        return value.to_string();
    }
    let text = format!("{value:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, digits) = exponent
        .strip_prefix('-')
        .map_or(('+', exponent), |digits| ('-', digits));
    format!("{mantissa}e{sign}{digits:0>2}")
}

impl Counter {
    /// Adds one to the series with these label values.
    pub fn inc(&self, labels: &[&str]) {
        self.0.number(labels, |number| *number += 1.0);
    }

    /// Sets the series to a total counted elsewhere, which must only grow.
    pub fn set_total(&self, labels: &[&str], total: f64) {
        self.0.number(labels, |number| *number = number.max(total));
    }

    /// The value of the series.
    pub fn get(&self, labels: &[&str]) -> f64 {
        self.0.read(labels)
    }
}

impl Gauge {
    /// Sets the series.
    pub fn set(&self, labels: &[&str], value: f64) {
        self.0.number(labels, |number| *number = value);
    }

    /// The value of the series.
    pub fn get(&self, labels: &[&str]) -> f64 {
        self.0.read(labels)
    }
}

impl Histogram {
    /// Counts one observation.
    pub fn observe(&self, labels: &[&str], observed: f64) {
        let Kind::Histogram(buckets) = self.0.kind else { return };
        self.0.with(labels, |value| {
            if let Value::Histogram { counts, sum, count } = value {
                if let Some(bucket) = buckets.iter().position(|bound| observed <= *bound) {
                    counts[bucket] += 1;
                }
                *sum += observed;
                *count += 1;
            }
        });
    }

    /// How many observations the series has.
    pub fn count(&self, labels: &[&str]) -> u64 {
        let mut read = 0;
        self.0.with(labels, |value| {
            if let Value::Histogram { count, .. } = value {
                read = *count;
            }
        });
        read
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_counts_each_observation_in_all_buckets_above_it() {
        let registry = Registry::new();
        let sizes = registry.histogram("h", "Sizes.", &[1.0, 4.0], &["name"]);
        for observed in [0.5, 1.0, 2.0, 9.0] {
            sizes.observe(&["a\"b"], observed);
        }
        assert_eq!(
            registry.render(),
            "# HELP h Sizes.\n# TYPE h histogram\nh_bucket{name=\"a\\\"b\",le=\"1\"} 2\nh_bucket{name=\"a\\\"b\",le=\"4\"} 3\n\
             h_bucket{name=\"a\\\"b\",le=\"+Inf\"} 4\nh_sum{name=\"a\\\"b\"} 12.5\nh_count{name=\"a\\\"b\"} 4\n"
        );
    }

    #[test]
    fn series_can_be_read_by_name() {
        let registry = Registry::new();
        registry.counter("c_total", "C.", &["a", "b"]).inc(&["x", "y"]);
        for observed in [2.0, 3.0] {
            registry.histogram("h", "H.", &[1.0], &["a"]).observe(&["x"], observed);
        }
        let labels = |labels: &[&str]| labels.iter().map(|label| (*label).to_owned()).collect::<Vec<_>>();
        assert_eq!(registry.series("c_total"), BTreeMap::from([(labels(&["x", "y"]), 1.0)]));
        assert_eq!(registry.series("h"), BTreeMap::from([(labels(&["x"]), 5.0)]));
        assert_eq!(registry.series("nosuch"), BTreeMap::new());
    }

    #[test]
    fn what_has_no_labels_shows_before_it_is_first_used_and_what_has_some_does_not() {
        let registry = Registry::new();
        registry.counter("plain_total", "Plain.", &[]);
        registry.counter("labelled_total", "Labelled.", &["a"]);
        assert_eq!(
            registry.render(),
            "# HELP plain_total Plain.\n# TYPE plain_total counter\nplain_total 0\n"
        );
    }

    #[test]
    fn the_same_name_is_the_same_metric() {
        let registry = Registry::new();
        registry.counter("c_total", "C.", &[]).inc(&[]);
        assert!((registry.counter("c_total", "C.", &[]).get(&[]) - 1.0).abs() < f64::EPSILON);
    }

    #[test]
    fn bounds_are_written_as_go_writes_them() {
        for (value, text) in [
            (1e-8, "1e-08"),
            (9.999_999_999_999_999e-6, "9.999999999999999e-06"),
            (0.001, "0.001"),
            (1024.0, "1024"),
        ] {
            assert_eq!(go_float(value), text);
        }
    }

    #[test]
    fn collectors_run_before_rendering() {
        let registry = Registry::new();
        let gauge = registry.gauge("g", "G.", &[]);
        registry.on_render(move || gauge.set(&[], 7.0));
        assert!(registry.render().ends_with("g 7\n"));
    }
}
