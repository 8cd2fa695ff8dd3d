//! Writes `docs/mqtt.md` anew.

fn main() -> std::io::Result<()> {
    let repository = world::repository();
    std::fs::write(repository.join("docs/mqtt.md"), world::mqtt::page(&repository))
}
