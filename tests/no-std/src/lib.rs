//! Builds only if nothing in the core's dependencies, itself included, needs std.
//!
//! `#![no_std]` says this of one crate alone; its dependencies may bring std in. So this crate links the core into
//! a static library that defines what a program has exactly once, and std has as well: the panic handler. If std
//! is anywhere beneath, there are two, and the compiler refuses (`duplicate lang item`, E0152).
#![no_std]
#![deny(missing_docs)]

use core::{
    alloc::{GlobalAlloc, Layout},
    panic::PanicInfo,
    ptr,
};

use takhin_core as _;

#[global_allocator]
static ALLOCATOR: NoMemory = NoMemory;

/// An allocator without memory: the library is built, and never run.
struct NoMemory;

#[expect(unsafe_code, reason = "an allocator can't be declared without; this one never hands out memory")]
// SAFETY: null says that there is no memory, so there is nothing to be misused, and nothing to be given back.
unsafe impl GlobalAlloc for NoMemory {
    unsafe fn alloc(&self, _: Layout) -> *mut u8 {
        ptr::null_mut()
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {}
}
