//! The local engine, on the machine's file system and on one that fails and forgets as told.

mod anchors;
mod aside;
mod behind;
mod bench;
mod compaction;
mod compression;
mod crashes;
mod damage;
mod deletion;
mod durability;
mod failures;
mod faulty_disk;
mod harness;
mod keyed;
mod many_logs;
mod producers;
mod random_runs;
mod reads;
mod retention;
mod rounds;
mod running;
mod written_over;
