//! A server and an agent, killed in turn while something goes on.

use std::{path::Path, time::Duration};

use rand::Rng;

use crate::{process::Process, world::World};

/// The reference agent, in a process of its own.
pub fn agent(world: &World, device: &str, claim: &Path) -> Process {
    let server = format!("127.0.0.1:{}", world.endpoint().port);
    let arguments = ["--server", &server, "agent", device, "--claim"];
    let mut command = Process::command(world.folder(), &arguments, &[]);
    command.arg(claim);
    Process::spawn(command)
}

/// Kills the agent of a device and the server so often (SIGKILL), each some time after the other, and starts them
/// again. What the agents said that are gone, and the one that runs.
pub async fn kill_in_turn(
    world: &mut World,
    device: &str,
    claim: &Path,
    rounds: u64,
) -> (Vec<String>, Process) {
    let mut logs = Vec::new();
    let mut running = agent(world, device, claim);
    for _ in 0..rounds {
        let pause = || Duration::from_millis(rand::rng().random_range(200..1_500));
        tokio::time::sleep(pause()).await;
        running.kill();
        tokio::time::sleep(pause() / 4).await;
        logs.push(running.log());
        running = agent(world, device, claim);
        tokio::time::sleep(pause()).await;
        world.kill();
        tokio::time::sleep(pause() / 4).await;
        world.start().await;
    }
    (logs, running)
}
