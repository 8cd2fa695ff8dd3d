//! `commit_rate` with the allocator of the programs.

#[path = "commit_rate.rs"]
mod commit_rate;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    commit_rate::main();
}
