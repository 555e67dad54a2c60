//! A way to the server that breaks connections at random bytes, there and back.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::JoinHandle,
};

/// Between a client and a server on this machine, until it is dropped.
pub(crate) struct BreakingWay {
    pub(crate) url: String,
    cuts: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

impl BreakingWay {
    /// Each direction of each connection passes `mean_bytes` on the average, and then both are cut.
    pub(crate) async fn new(server: SocketAddr, mut seed: u64, mean_bytes: usize) -> Self {
        println!("seed {seed}");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let cuts = Arc::new(AtomicUsize::new(0));
        let counted = cuts.clone();
        let accepting = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let (there, back) = (length(&mut seed, mean_bytes), length(&mut seed, mean_bytes));
                let Ok(server) = TcpStream::connect(server).await else { continue };
                tokio::spawn(carry_both(client, server, there, back, counted.clone()));
            }
        });
        Self { url, cuts, accepting }
    }

    pub(crate) fn cuts(&self) -> usize {
        self.cuts.load(Ordering::Relaxed)
    }
}

impl Drop for BreakingWay {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// From 0 to twice the mean, all equally likely (xorshift).
fn length(seed: &mut u64, mean_bytes: usize) -> usize {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    usize::try_from(*seed >> 32).unwrap() % (2 * mean_bytes)
}

/// Ends with the first direction that does, and takes the other along.
async fn carry_both(client: TcpStream, server: TcpStream, there: usize, back: usize, cuts: Arc<AtomicUsize>) {
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let was_cut = tokio::select! {
        was_cut = carry(from_client, to_server, there) => was_cut,
        was_cut = carry(from_server, to_client, back) => was_cut,
    };
    cuts.fetch_add(usize::from(was_cut), Ordering::Relaxed);
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut left: usize) -> bool {
    let mut bytes = vec![0; 16_384];
    loop {
        let Ok(count @ 1..) = from.read(&mut bytes).await else { return false };
        if to.write_all(&bytes[..count.min(left)]).await.is_err() {
            return false;
        }
        if count > left {
            return true;
        }
        left -= count;
    }
}
