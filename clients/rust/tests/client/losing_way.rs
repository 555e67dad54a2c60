//! A way to the server on which the answer to a poll is lost, once, just after the server has said 409.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// Between a client and a server on this machine, until it is dropped.
pub(crate) struct LosingWay {
    pub(crate) url: String,
    lost: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

impl LosingWay {
    pub(crate) async fn new(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (lost, armed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let counted = lost.clone();
        let accepting = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let Ok(server) = TcpStream::connect(server).await else { continue };
                tokio::spawn(carry(client, server, armed.clone(), counted.clone()));
            }
        });
        Self { url, lost, accepting }
    }

    pub(crate) fn lost(&self) -> usize {
        self.lost.load(Ordering::Relaxed)
    }
}

impl Drop for LosingWay {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Until either side hangs up, or an answer is to be lost. Requests and answers take turns.
async fn carry(mut client: TcpStream, mut server: TcpStream, armed: Arc<AtomicBool>, lost: Arc<AtomicUsize>) {
    let (mut there, mut back) = (vec![0; 65_536], vec![0; 65_536]);
    let mut is_poll = false;
    loop {
        tokio::select! {
            read = client.read(&mut there) => {
                let Ok(count @ 1..) = read else { return };
                is_poll |= there[..count].windows(8).any(|word| word == b"/consume");
                if server.write_all(&there[..count]).await.is_err() {
                    return;
                }
            }
            read = server.read(&mut back) => {
                let Ok(count @ 1..) = read else { return };
                if back.starts_with(b"HTTP/1.1 409") {
                    armed.store(true, Ordering::Relaxed);
                } else if is_poll && armed.swap(false, Ordering::Relaxed) {
                    lost.fetch_add(1, Ordering::Relaxed);
                    return;
                }
                is_poll = false;
                if client.write_all(&back[..count]).await.is_err() {
                    return;
                }
            }
        }
    }
}
