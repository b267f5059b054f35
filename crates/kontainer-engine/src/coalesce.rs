//! Puts the end of a call or of its answer into the same packet as its beginning.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, BufWriter, ReadBuf};
use tonic::transport::server::Connected;

/// A connection whose every other flush waits until its task is polled again, which happens at once.
///
/// HTTP/2 flushes after the head of a call and after the data of an answer, so that the few bytes that follow at once, the
/// message or the trailers, would be sent alone and wake the other side a second time.
pub(crate) struct Coalesced<S> {
    stream: BufWriter<S>,
    waiting: bool,
}

impl<S: AsyncWrite> Coalesced<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self {
            stream: BufWriter::new(stream),
            waiting: false,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Coalesced<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Coalesced<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.waiting && !self.stream.buffer().is_empty() {
            self.waiting = true;
            cx.waker().wake_by_ref();
            return Poll::Ready(Ok(()));
        }
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.waiting = false;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl<S: AsyncWrite + Connected> Connected for Coalesced<S> {
    type ConnectInfo = S::ConnectInfo;

    fn connect_info(&self) -> S::ConnectInfo {
        self.stream.get_ref().connect_info()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    /// Keeps each write apart.
    #[derive(Default)]
    struct Packets(Vec<Vec<u8>>);

    impl AsyncWrite for Packets {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
            self.0.push(buf.to_vec());
            Poll::Ready(Ok(buf.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn what_follows_a_flush_goes_along_and_nothing_waits_for_more_than_the_next() {
        let mut stream = Coalesced::new(Packets::default());
        let sent = |stream: &Coalesced<Packets>| stream.stream.get_ref().0.concat();
        stream.write_all(b"data ").await.unwrap();
        stream.flush().await.unwrap();
        assert_eq!(sent(&stream), b"");
        stream.write_all(b"and trailers").await.unwrap();
        stream.flush().await.unwrap();
        assert_eq!(stream.stream.get_ref().0, [b"data and trailers"]);
        stream.write_all(b", and more").await.unwrap();
        stream.flush().await.unwrap();
        assert_eq!(sent(&stream), b"data and trailers");
        stream.flush().await.unwrap();
        assert_eq!(sent(&stream), b"data and trailers, and more");
        stream.write_all(b"!").await.unwrap();
        stream.shutdown().await.unwrap();
        assert_eq!(sent(&stream), b"data and trailers, and more!");
    }

    #[tokio::test]
    async fn who_put_a_flush_off_is_polled_again() {
        let mut stream = Coalesced::new(Packets::default());
        stream.write_all(b"data").await.unwrap();
        let mut polls = 0;
        std::future::poll_fn(|cx| {
            polls += 1;
            assert!(Pin::new(&mut stream).poll_flush(cx).is_ready());
            if stream.stream.buffer().is_empty() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
        assert_eq!((polls, stream.stream.get_ref().0.concat()), (2, b"data".to_vec()));
    }
}
