//! Whether a disk that was full has room again.

use std::io::{self, IoSlice};

use super::{
    disk::{Disk, TEMPORARY, write_all},
    layout::Layout,
};

/// How much room is room: a little more than the largest group that is usual.
const ROOM_BYTES: usize = 1 << 20;

/// Writes that much to a file of its own, makes it durable, and removes it.
///
/// # Errors
/// If it can't.
pub(super) fn has_room(disk: &dyn Disk, layout: &Layout) -> io::Result<()> {
    let path = layout.root().join(format!("room{TEMPORARY}"));
    let tried = disk.open(&path, true).and_then(|file| {
        write_all(&*file, &mut [IoSlice::new(&vec![0; ROOM_BYTES])], 0)?;
        file.sync_all()
    });
    disk.remove_file(&path)?;
    tried
}
