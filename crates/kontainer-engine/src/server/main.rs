//! What the `main` of a driver's binary does.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{Server, ServerError, stderr_log};
use crate::driver::Driver;
use crate::error::DriverError;
use crate::options::OptionTable;

/// The file name that Rancher expects of a driver's binary.
pub fn program_name(driver: &str) -> String {
    format!("kontainer-engine-driver-{driver}")
}

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
enum Order {
    Serve(u16),
    Version,
    Help,
    Refuse(String),
}

/// [`driver_main_with`], for a driver whose making cannot fail.
pub fn driver_main(driver: Arc<dyn Driver>, version: &str, args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let (name, options) = (driver.name(), driver.options().clone());
    driver_main_with(name, || options, version, args, || Ok::<_, DriverError>(driver))
}

/// Serves a driver as engines expect of a driver's binary: the one argument is the port, on 127.0.0.1; the log goes to
/// stderr; SIGTERM and SIGINT end it. `args` are those of the process, `version` is the binary's.
///
/// The driver is made by `make`, and only to be served: whatever is wrong with its surroundings, `--help` and `--version`
/// answer. `options` makes the table that `--help` shows.
///
/// Exit codes: 0 after a stop by signal and for `--help` and `--version`, 2 when the arguments make no sense or the driver
/// cannot be made (nothing is bound then), 1 when the port can not be had or serving fails.
pub fn driver_main_with<E: std::error::Error>(
    name: &str,
    options: impl FnOnce() -> OptionTable,
    version: &str,
    args: impl IntoIterator<Item = OsString>,
    make: impl FnOnce() -> Result<Arc<dyn Driver>, E>,
) -> ExitCode {
    let program = program_name(name);
    match order(args.into_iter().skip(1)) {
        Order::Version => say(std::io::stdout(), &format!("{program} {version}")),
        Order::Help => say(std::io::stdout(), &help(&program, name, &options())),
        Order::Refuse(problem) => {
            say(std::io::stderr(), &format!("{program}: {problem}\n{}", usage(&program)));
            return ExitCode::from(kit::exit::USAGE);
        }
        Order::Serve(port) => {
            let driver = match make() {
                Ok(driver) => driver,
                Err(error) => {
                    say(std::io::stderr(), &format!("{program}: {}", kit::chain(&error)));
                    return ExitCode::from(kit::exit::USAGE);
                }
            };
            stderr_log::install();
            if let Err(error) = serve(driver, &program, port) {
                say(std::io::stderr(), &format!("{program}: {}", explain(&error)));
                return ExitCode::from(kit::exit::FAILED);
            }
        }
    }
    ExitCode::SUCCESS
}

fn order(args: impl Iterator<Item = OsString>) -> Order {
    let args: Vec<String> = args.map(|arg| arg.to_string_lossy().into_owned()).collect();
    let refuse = |problem: String| Order::Refuse(problem);
    match args.as_slice() {
        [] => refuse("no port given".to_owned()),
        [one] => match one.as_str() {
            "--version" | "-V" => Order::Version,
            "--help" | "-h" | "help" => Order::Help,
            text => match text.parse() {
                Ok(0) => refuse("port 0 is not a port to be found at; give one from 1 to 65535".to_owned()),
                Ok(port) => Order::Serve(port),
                Err(_) => refuse(format!("{text:?} is not a port; give a number from 1 to 65535")),
            },
        },
        more => refuse(format!("{} arguments given, but the port is the only one", more.len())),
    }
}

fn usage(program: &str) -> String {
    format!("usage: {program} PORT\n       {program} --help | --version")
}

fn help(program: &str, name: &str, options: &OptionTable) -> String {
    let mut text = format!(
        "{}\n\nServes the cluster driver {} over gRPC on 127.0.0.1:PORT. Rancher starts it when it needs it; to use it \
         without Rancher, give this program's path to an engine.\n\nOptions of a cluster (* required, secrets are not \
         shown by Rancher):\n",
        usage(program),
        name
    );
    for spec in options.specs() {
        let mark = if spec.required { '*' } else { ' ' };
        let (name, kind, usage) = (spec.name, spec.kind.as_str(), spec.usage);
        let _ = writeln!(text, "  {mark} {name:<32} {kind:<12} {usage}");
    }
    text.truncate(text.trim_end().len());
    text
}

fn serve(driver: Arc<dyn Driver>, program: &str, port: u16) -> Result<(), MainError> {
    // One thread is enough for one caller, and starts fastest.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(MainError::Runtime)?;
    let served = runtime.block_on(async {
        let mut term = signal(SignalKind::terminate()).map_err(MainError::Runtime)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(MainError::Runtime)?;
        let server = Server::bind(driver, SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
        tracing::info!("{program} listening on {}", server.address());
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = term.recv() => {}
                _ = interrupt.recv() => {}
            }
            tracing::info!("stopping");
            stopped.cancel();
        });
        Ok(server.serve(stop).await?)
    });
    // Work on other threads that does not end must not hold up the process.
    runtime.shutdown_background();
    served
}

#[derive(Debug, thiserror::Error)]
enum MainError {
    #[error("setting up the process failed")]
    Runtime(#[source] std::io::Error),
    #[error(transparent)]
    Server(#[from] ServerError),
}

fn explain(error: &MainError) -> String {
    let mut text = kit::chain(error);
    if let MainError::Server(ServerError::Listen { source, .. }) = error
        && source.kind() == std::io::ErrorKind::AddrInUse
    {
        text.push_str("; another program has this port, give another one");
    }
    text
}

fn say(mut to: impl std::io::Write, text: &str) {
    // Whoever closed the stream does not want the text.
    let _ = writeln!(to, "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ordered(args: &[&str]) -> Order {
        order(args.iter().map(OsString::from))
    }

    #[test]
    fn the_one_argument_is_a_port() {
        assert_eq!(ordered(&["8080"]), Order::Serve(8080));
        assert_eq!(ordered(&["65535"]), Order::Serve(65535));
        assert_eq!(ordered(&["--version"]), Order::Version);
        assert_eq!(ordered(&["-h"]), Order::Help);
        for wrong in [
            &[][..],
            &["0"],
            &["65536"],
            &["-1"],
            &["abc"],
            &["127.0.0.1:80"],
            &["80", "81"],
            &[""],
        ] {
            assert!(matches!(ordered(wrong), Order::Refuse(_)), "{wrong:?}");
        }
    }
}
