//! Writes `docs/topics.md` anew: `cargo run -p muster-tests --example topics`.

fn main() -> std::io::Result<()> {
    std::fs::write(world::repository().join("docs/topics.md"), world::topics::page())
}
