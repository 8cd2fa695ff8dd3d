//! What the device is told to do: once at most, told until the server knows, whatever is cut off.

use contract::{
    id::ServiceName,
    v1::{CommandNotice, CommandState},
};
use device::{CommandStep, Ending, Event};

use crate::{
    pump::{Pump, Watch},
    world::{World, command_key, order, signed_order},
};

/// What a device told of a command, each state once.
fn states(world: &World, id: &str) -> Vec<CommandState> {
    let state = world.state.lock();
    let of = state.command_reports.iter().filter(|r| r.command_id == id);
    let mut states: Vec<_> = of.map(|r| r.state()).collect();
    states.dedup();
    states
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_asks_does_tells_and_comes_when_called() {
    use CommandState::{Failed, Rejected, Running, Succeeded};
    let (world, watch) = (World::new().await, Watch::default());
    let long = "é".repeat(3_000);
    world.state.lock().orders = vec![
        order("c-1", "say", r#"{"text":"one\ntwo"}"#),
        order("c-2", "dance", "{}"),
        order("c-3", "say", &format!("{{\"text\":\"{long}\"}}")),
    ];
    let pump = Pump::start(&world.settings("pump-7"), &watch).await;
    world.until("all are done", |s| s.orders.is_empty()).await;
    let told = |id: &str| {
        let state = world.state.lock();
        let of = state.command_reports.iter().rev();
        of.clone().find(|r| r.command_id == id).cloned().unwrap()
    };
    assert_eq!(states(&world, "c-1"), [Running, Succeeded]);
    assert_eq!(told("c-1").output, "one\ntwo");
    assert_eq!(states(&world, "c-2"), [Running, Rejected]);
    assert_eq!(told("c-2").error, "what?");
    assert_eq!((told("c-3").output.len(), told("c-3").output_cut), (4_096, true));

    let mut brief = order("c-4", "hang", "{}");
    brief.remaining_ms = 1_000;
    world.state.lock().orders.push(brief);
    world.push(
        "pump-7",
        ServiceName::Registry,
        "command",
        &CommandNotice::default(),
    );
    world.until("it is done", |s| s.orders.is_empty()).await;
    assert_eq!(states(&world, "c-4"), [Running, Failed]);
    assert!(told("c-4").error.contains("in time"));
    let state = world.state.lock().command_reports.clone();
    assert!(
        state
            .iter()
            .any(|r| (r.percent, r.note.as_str()) == (40, "under way"))
    );
    pump.stop().await;
    assert_eq!(watch.commands.lock().clone(), ["c-1", "c-2", "c-3", "c-4"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_cut_off_is_told_as_interrupted_and_not_done_again() {
    let (world, watch) = (World::new().await, Watch::default());
    world.state.lock().orders = vec![order("c-1", "hang", "{}"), order("c-2", "say", r#"{"text":"x"}"#)];
    let settings = world.settings("pump-7");
    let pump = Pump::start(&settings, &watch).await;
    while watch.commands.lock().is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    // A lost connection does not cut it off.
    world.cut();
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    pump.kill().await;
    let pump = Pump::start(&settings, &watch).await;
    world.until("both are told", |s| s.orders.is_empty()).await;
    assert_eq!(
        states(&world, "c-1"),
        [CommandState::Running, CommandState::Failed]
    );
    let reports = world.state.lock().command_reports.clone();
    assert!(reports.iter().any(|r| r.error.starts_with("interrupted")));
    assert_eq!(watch.commands.lock().clone(), ["c-1", "c-2"]);
    // The server says that it was begun, and the disk knows nothing of it.
    let mut lost = order("c-3", "say", r#"{"text":"x"}"#);
    lost.state = CommandState::Running.into();
    world.state.lock().orders.push(lost);
    world.push(
        "pump-7",
        ServiceName::Registry,
        "command",
        &CommandNotice::default(),
    );
    world.until("it is told", |s| s.orders.is_empty()).await;
    assert_eq!(states(&world, "c-3"), [CommandState::Failed]);
    pump.stop().await;
    assert_eq!(watch.commands.lock().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_is_told_until_it_is_acknowledged() {
    let (world, watch) = (World::new().await, Watch::default());
    {
        let mut state = world.state.lock();
        state.orders = vec![order("c-1", "say", r#"{"text":"x"}"#)];
        state.mute_on_end = true;
    }
    let settings = world.settings("pump-7");
    let pump = Pump::start(&settings, &watch).await;
    let ended = |r: &contract::v1::ReportCommand| r.state() == CommandState::Succeeded;
    world
        .until("it tells", |s| s.command_reports.iter().any(ended))
        .await;
    pump.kill().await;
    world.state.lock().mute_on_end = false;
    let pump = Pump::start(&settings, &watch).await;
    world.until("it tells again", |s| s.orders.is_empty()).await;
    assert_eq!(watch.commands.lock().clone(), ["c-1"]);
    // It restarts when told to, and tells that it did.
    world.state.lock().orders = vec![order("c-2", "restart", "{}")];
    world.push(
        "pump-7",
        ServiceName::Registry,
        "command",
        &CommandNotice::default(),
    );
    assert_eq!(pump.end().await.unwrap(), Ending::Restart);
    assert_eq!(states(&world, "c-2"), [CommandState::Running]);
    let pump = Pump::start(&settings, &watch).await;
    world.until("it tells", |s| s.orders.is_empty()).await;
    assert_eq!(
        states(&world, "c-2"),
        [CommandState::Running, CommandState::Succeeded]
    );
    assert_eq!(watch.commands.lock().clone(), ["c-1", "c-2"]);
    pump.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_that_was_told_to_restart_tells_it_once_and_afterwards() {
    use CommandState::{Failed, Running, Succeeded};
    let (world, watch) = (World::new().await, Watch::default());
    let settings = world.settings("pump-7");
    world.state.lock().orders = vec![order("c-1", "reboot", "{}")];
    let pump = Pump::start(&settings, &watch).await;
    while *watch.reboots.lock() == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    // The network goes first.
    world.cut();
    assert_eq!(states(&world, "c-1"), [Running]);
    pump.kill().await;
    let pump = Pump::start(&settings, &watch).await;
    world.until("it is told", |s| s.orders.is_empty()).await;
    assert_eq!(states(&world, "c-1"), [Running, Succeeded]);
    // The server asks for the same again, as if it had not heard: it is not done again.
    let mut again = order("c-1", "reboot", "{}");
    again.state = Running.into();
    world.state.lock().orders = vec![again];
    call(&world);
    world.until("it is told", |s| s.orders.is_empty()).await;
    assert_eq!(*watch.reboots.lock(), 1);
    // One that stays up says so.
    *watch.stays_up.lock() = Some("the watchdog is in the way".into());
    world.state.lock().orders = vec![
        order("c-2", "reboot", "{}"),
        order("c-3", "say", r#"{"text":"x"}"#),
    ];
    call(&world);
    world.until("both are told", |s| s.orders.is_empty()).await;
    assert_eq!(states(&world, "c-2"), [Running, Failed]);
    assert_eq!(end(&world, "c-2").1, "the watchdog is in the way");
    assert_eq!(watch.commands.lock().clone(), ["c-1", "c-2", "c-3"]);
    pump.stop().await;
}

/// What came of a command in the end.
fn end(world: &World, id: &str) -> (CommandState, String) {
    let state = world.state.lock();
    let told = state.command_reports.iter().rev().find(|r| r.command_id == id);
    told.map(|r| (r.state(), r.error.clone())).unwrap()
}

fn call(world: &World) {
    world.push(
        "pump-7",
        ServiceName::Registry,
        "command",
        &CommandNotice::default(),
    );
}

/// The front door of these tests is a server in other hands: it answers whatever it likes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stolen_server_cannot_order_what_an_operator_must_sign() {
    let (world, watch) = (World::new().await, Watch::default());
    let mut settings = world.settings("pump-7");
    settings.command_keys = vec![command_key().public_key()];
    settings.signed_commands = vec!["say".into(), "wipe".into()];
    let say = |id: &str| order(id, "say", r#"{"text":"x"}"#);
    let own = |device: &str, order| signed_order(&command_key(), device, order);
    let good = own("pump-7", say("c-2"));
    let mut changed = own("pump-7", say("c-5"));
    changed.arguments = r#"{"text":"y"}"#.into();
    let mut renamed = own("pump-7", say("c-6"));
    renamed.name = "wipe".into();
    let mut stolen = good.clone();
    stolen.command_id = "c-3".into();
    let stranger = artifact::SigningKey::from_seed(&[1; 32]);
    world.state.lock().orders = vec![
        say("c-1"),
        good.clone(),
        stolen,
        own("pump-8", say("c-4")),
        changed,
        renamed,
        signed_order(&stranger, "pump-7", say("c-7")),
        order("c-8", "wipe", "{}"),
    ];
    let pump = Pump::start(&settings, &watch).await;
    world.until("all are told", |s| s.orders.is_empty()).await;
    assert_eq!(end(&world, "c-2"), (CommandState::Succeeded, String::new()));
    for (id, why) in [
        ("c-1", "signature-missing"),
        ("c-3", "signature-wrong"),
        ("c-4", "signature-wrong"),
        ("c-5", "signature-wrong"),
        ("c-6", "signature-wrong"),
        ("c-7", "signature-wrong"),
        ("c-8", "signature-missing"),
    ] {
        let (state, error) = end(&world, id);
        assert_eq!(state, CommandState::Rejected, "{id}");
        assert!(error.starts_with(why), "{id}: {error}");
    }
    // The one that counted does not count again, also after a start.
    for _ in 0..2 {
        world.state.lock().orders = vec![good.clone()];
        call(&world);
        world.until("it is told", |s| s.orders.is_empty()).await;
        assert!(end(&world, "c-2").1.starts_with("signature-used"));
    }
    pump.stop().await;
    let pump = Pump::start(&settings, &watch).await;
    world.state.lock().orders = vec![good];
    call(&world);
    world.until("it is told", |s| s.orders.is_empty()).await;
    assert!(end(&world, "c-2").1.starts_with("signature-used"));
    pump.stop().await;
    assert_eq!(watch.commands.lock().clone(), ["c-2"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signed_wipe_leaves_no_key_and_counts_once() {
    let (world, watch) = (World::new().await, Watch::default());
    let mut settings = world.settings("pump-7");
    settings.command_keys = vec![command_key().public_key()];
    settings.signed_commands = vec!["*".into()];
    let wipe = signed_order(&command_key(), "pump-7", order("c-1", "wipe", "{}"));
    world.state.lock().orders = vec![wipe.clone()];
    let pump = Pump::start(&settings, &watch).await;
    assert_eq!(pump.end().await.unwrap(), Ending::Wiped);
    assert_eq!(end(&world, "c-1").0, CommandState::Succeeded);
    let mut left: Vec<_> = std::fs::read_dir(&settings.folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, ["active", "boots", "lock", "warrants"]);
    assert_eq!(watch.heard(|event| *event == device::Event::Wiped), 1);
    // It comes back as a new one, and the order is no order any more.
    world.state.lock().orders = vec![wipe];
    let pump = Pump::start(&settings, &watch).await;
    world.until("it is told", |s| s.orders.is_empty()).await;
    assert!(end(&world, "c-1").1.starts_with("signature-used"));
    pump.stop().await;
    // A cut between the decision and the end of it: it goes on at the next start.
    std::fs::write(settings.folder.join("wipe"), "").unwrap();
    let pump = Pump::start(&settings, &watch).await;
    assert_eq!(pump.end().await.unwrap(), Ending::Wiped);
    assert!(!settings.folder.join("identity.pem").exists() && !settings.folder.join("wipe").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_output_is_sent_in_pieces_from_where_it_was_cut_off() {
    let (world, watch) = (World::new().await, Watch::default());
    let text = "0123456789abcde\\n".repeat(5_000);
    {
        let mut state = world.state.lock();
        state.orders = vec![order("c-1", "say", &format!("{{\"text\":\"{text}\"}}"))];
        state.mute_at_piece = 3;
    }
    let settings = world.settings("pump-7");
    let pump = Pump::start(&settings, &watch).await;
    world.until("three pieces have come", |s| s.pieces == 3).await;
    pump.kill().await;
    let pump = Pump::start(&settings, &watch).await;
    world.until("it is told", |s| s.orders.is_empty()).await;
    let said = text.replace("\\n", "\n");
    {
        let state = world.state.lock();
        assert_eq!(String::from_utf8(state.output.clone()).unwrap(), said);
        // Five pieces; the first once more, to hear where it was.
        assert_eq!((said.len(), state.pieces), (80_000, 6));
        let told = state.command_reports.last().unwrap();
        assert_eq!((told.output.as_str(), told.output_cut), (&said[..4_096], true));
    }
    let is_over =
        |event: &Event| matches!(event, Event::Command { step, .. } if *step == CommandStep::Succeeded);
    watch.until(is_over).await;
    pump.stop().await;
    assert!(!settings.folder.join("command-output").exists());
}
