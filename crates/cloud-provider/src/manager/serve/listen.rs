//! The secure port's socket.

use std::io;
use std::net::{Ipv6Addr, SocketAddr};

use socket2::{Domain, Socket, Type};
use tokio::net::TcpListener;

use super::ServeError;

/// How many connections may wait to be accepted.
const BACKLOG: i32 = 1024;

/// Opens the port. An address that is unspecified, of either family, stands for all interfaces and both families, as it
/// does for Go's `net.Listen`. To be called inside a runtime.
pub(crate) fn listen(address: SocketAddr) -> Result<TcpListener, ServeError> {
    let opened = if address.ip().is_unspecified() {
        let everywhere = SocketAddr::from((Ipv6Addr::UNSPECIFIED, address.port()));
        open(everywhere).or_else(|error| match error.kind() {
            io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied => Err(error),
            // A machine without IPv6.
            _ => open(address),
        })
    } else {
        open(address)
    };
    opened.map_err(|error| ServeError::Listen(address, error))
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if address.is_ipv6() {
        // Whatever the machine's default is.
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket.into())
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    /// Whether somebody listens there.
    fn is_open(host: &str, port: u16) -> bool {
        TcpStream::connect((host, port)).is_ok()
    }

    #[tokio::test]
    async fn an_unspecified_address_of_either_family_means_both() {
        for address in ["0.0.0.0:0", "[::]:0"] {
            let listener = listen(address.parse().unwrap()).unwrap();
            let port = listener.local_addr().unwrap().port();
            assert!(is_open("127.0.0.1", port), "{address}");
            let has_ipv6 = std::net::TcpListener::bind("[::1]:0").is_ok();
            assert_eq!(is_open("::1", port), has_ipv6, "{address}");
        }
    }

    #[tokio::test]
    async fn an_address_means_that_address_and_a_taken_port_is_an_error() {
        let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        assert!(is_open("127.0.0.1", address.port()) && !is_open("::1", address.port()));
        for taken in [address, SocketAddr::from(([0, 0, 0, 0], address.port()))] {
            let error = listen(taken).unwrap_err();
            assert!(matches!(error, ServeError::Listen(at, _) if at == taken), "{error}");
        }
    }
}
