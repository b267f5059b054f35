//! What has to be on the machine before a cluster is created.

/// A program that a driver's tool runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Program {
    /// Its name on `PATH`.
    pub name: &'static str,
    /// What people call it, when that is another name.
    pub called: &'static str,
    /// How to get it.
    pub advice: &'static str,
}

/// What has to be on the machine before a cluster is created. It is looked at before anything is begun: a tool finds most
/// of it out only when half of a cluster is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Programs, beside the tool itself.
    pub programs: Vec<Program>,
    /// The program of the container engine, which has to answer.
    pub engine: Option<&'static str>,
    /// Ports of this machine that have to be free.
    pub ports: Vec<u16>,
    /// Memory in bytes; zero when it does not matter. Less is warned of, as swapping may help.
    pub memory: u64,
    /// Whether images or disks are kept on this machine. Little space is warned of.
    pub disk: bool,
}
