//! Serves a simulation on loopback and prints where: `cargo run --example serve -- [--tls] [--port N] [--controllers LIST]`.

use std::io::Write;

use kube_sim::KubeSim;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let value = |name: &str| args.iter().position(|a| a == name).and_then(|i| args.get(i + 1));
    let tls = args.iter().any(|a| a == "--tls");
    let controllers = value("--controllers").map_or("all", String::as_str).parse()?;
    let sim = KubeSim::builder().controllers(controllers).build();
    let port = value("--port").map_or("0", String::as_str);
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    let url = format!("{}://{}", if tls { "https" } else { "http" }, listener.local_addr()?);
    if let Some(path) = value("--kubeconfig") {
        std::fs::write(path, sim.kubeconfig(&url))?;
    }
    writeln!(std::io::stdout(), "{url} {}", sim.admin_token())?;
    let cancel = CancellationToken::new();
    if tls {
        kube_sim::serve::tls(sim, listener, cancel).await?;
    } else {
        kube_sim::serve::http(sim, listener, cancel).await;
    }
    Ok(())
}
