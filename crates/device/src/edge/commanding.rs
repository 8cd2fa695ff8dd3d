//! Does what the device is told to do: one command after the other, each once at most.
//!
//! It is announced to the server, noted as begun, done, noted as ended, told. Cut off before it is noted as begun it
//! is done later; cut off after that it is told as interrupted, and not done again.

use std::{sync::Arc, time::Duration};

use client::{AskError, Client};
use contract::{
    Code, document,
    id::ServiceName,
    limits::{COMMAND_OUTPUT_BYTES, COMMAND_PIECE_BYTES, COMMAND_WHOLE_BYTES},
    v1::{CommandOrder, CommandOutputTaken, CommandState, Done, GetCommand, PutCommandOutput, ReportCommand},
};
use tokio::{sync::watch, time::Instant};

use super::{
    body::{Body, told_whole},
    errand::Failed,
    retiring,
    words::{line, reason},
};
use crate::{
    command::{End, How, Kept, Step, Whole},
    event::{CommandStep, Event},
    files::Folder,
    ground::Ground,
    platform::{Ended, Order, Platform, Progress},
    warrant::{Distrust, Guard, Spent, Warranted},
};

/// How often progress is told at most.
const PROGRESS: Duration = Duration::from_secs(1);
/// Pieces of an output that are sent in one go, with some to spare: a server may ask for one again.
const PIECES_MAX: usize = 4 * COMMAND_WHOLE_BYTES / COMMAND_PIECE_BYTES;
/// How long a device that is to be wiped tries to tell it.
const WIPE_TOLD: Duration = Duration::from_secs(30);

/// What doing commands needs, apart from the device itself.
pub(crate) struct Commander<P> {
    client: Client,
    platform: Arc<P>,
    folder: Arc<Folder>,
    guard: Guard,
    ground: Arc<dyn Ground>,
}

/// What the end of a command asks for, now that it is on the disk.
enum Then {
    Nothing,
    /// This process is to end and be started again.
    Restart,
    /// So is the machine.
    Reboot,
}

/// What is to follow.
pub(crate) enum After {
    /// There is nothing more to do.
    Rest,
    /// This process is to end and be started again.
    Restart,
    /// Everything is to go.
    Wipe,
}

impl<P: Platform> Commander<P> {
    pub(super) fn of(body: &Body<P>, client: &Client) -> Commander<P> {
        Commander {
            client: client.clone(),
            platform: body.platform.clone(),
            folder: body.folder.clone(),
            guard: body.guard.clone(),
            ground: body.ground.clone(),
        }
    }

    /// Does all there is to do. It may be cut off anywhere, and begins again with what is on the disk.
    pub(super) async fn obey(self) -> Result<After, Failed> {
        loop {
            if let Some(kept) = self.read()?
                && kept.step != Step::Announced
                && let After::Wipe = self.tell_end(kept).await?
            {
                return Ok(After::Wipe);
            }
            let order = self.ask().await?;
            if order.command_id.is_empty() {
                return Ok(After::Rest);
            }
            let announced = self
                .read()?
                .is_some_and(|kept| kept.command_id == order.command_id);
            if order.state() == CommandState::Running && !announced {
                // It was begun, or may have been: the disk does not say.
                self.keep(&order, Step::Ended(End::interrupted()))?;
                continue;
            }
            let warranted = match self.trust(&order)? {
                Ok(warranted) => warranted,
                // Its signature is noted as used, and that it began is not.
                Err(Distrust::Used(_)) if announced => {
                    self.keep(&order, Step::Ended(End::interrupted()))?;
                    continue;
                }
                Err(distrust) => {
                    let end = End::without_output(How::Rejected, distrust.to_string());
                    self.keep(&order, Step::Ended(end))?;
                    continue;
                }
            };
            if let After::Restart = self.follow(order, warranted).await? {
                return Ok(After::Restart);
            }
        }
    }

    /// Whether the device takes the server's word for an order, or an operator's own is there.
    fn trust(&self, order: &CommandOrder) -> Result<Result<Option<Warranted>, Distrust>, Failed> {
        let now_ms = self.ground.now_ms();
        let spent = Spent::read(&self.folder, now_ms).map_err(files)?;
        Ok(self.guard.check(order, now_ms, &spent))
    }

    async fn ask(&self) -> Result<CommandOrder, Failed> {
        let asked = GetCommand {
            can: self.platform.commands(),
            ..GetCommand::default()
        };
        let order = self
            .client
            .ask::<CommandOrder>(ServiceName::Registry, "command", &asked);
        order.await.map_err(Failed::Ask)
    }

    /// Does one command; its end is on the disk then.
    async fn follow(&self, order: CommandOrder, warranted: Option<Warranted>) -> Result<After, Failed> {
        self.keep(&order, Step::Announced)?;
        let begins = ReportCommand {
            command_id: order.command_id.clone(),
            state: CommandState::Running.into(),
            ..ReportCommand::default()
        };
        match self.report(&begins).await {
            Ok(()) => {}
            // Cancelled, or too late.
            Err(AskError::Refused(refusal)) if matches!(refusal.code, Code::NotAllowed | Code::NotFound) => {
                self.forget()?;
                return Ok(After::Rest);
            }
            Err(error) => return Err(Failed::Ask(error)),
        }
        if let Some(warranted) = warranted {
            let now_ms = self.ground.now_ms();
            let spent = Spent::read(&self.folder, now_ms).map_err(files)?;
            spent.note(&self.folder, &warranted, now_ms).map_err(files)?;
        }
        self.keep(&order, Step::Begun)?;
        self.heard(&order.command_id, &order.name, CommandStep::Running, "");
        let (mut end, then, whole) = self.run(&order).await;
        // Without room for the whole of it, its beginning is told.
        end.whole = whole.and_then(|output| Whole::keep(&self.folder, &output).ok());
        if end.wipes {
            retiring::begin_wiping(&self.folder).map_err(files)?;
        }
        self.keep(&order, Step::Ended(end))?;
        match then {
            Then::Nothing => Ok(After::Rest),
            Then::Restart => Ok(After::Restart),
            Then::Reboot => self.reboot(&order).await,
        }
    }

    /// The end of the command is on the disk: whoever comes up again tells it. Who stays up says why.
    async fn reboot(&self, order: &CommandOrder) -> Result<After, Failed> {
        let why = self.platform.reboot().await;
        let end = End::without_output(How::Failed, reason(&why));
        self.keep(order, Step::Ended(end))?;
        Ok(After::Rest)
    }

    /// Lets the platform do it, for as long as there is time, and tells how far it is.
    async fn run(&self, order: &CommandOrder) -> (End, Then, Option<String>) {
        let (progress, mut said) = watch::channel((0, String::new()));
        let what = Order {
            command_id: order.command_id.clone(),
            name: order.name.clone(),
            arguments: document::from_text(&order.arguments),
        };
        let progress = Progress(progress);
        let work = self.platform.command(&what, &progress);
        let mut work = std::pin::pin!(tokio::time::timeout(
            Duration::from_millis(order.remaining_ms),
            work
        ));
        let mut next = Instant::now();
        loop {
            let told = async {
                tokio::time::sleep_until(next).await;
                // The sender lives as long as the work.
                let _ = said.changed().await;
                let (percent, note) = said.borrow_and_update().clone();
                let report = ReportCommand {
                    command_id: order.command_id.clone(),
                    state: CommandState::Running.into(),
                    percent,
                    note: line(&note),
                    ..ReportCommand::default()
                };
                // The next one, or the end, says more.
                let _ = self.report(&report).await;
            };
            tokio::select! {
                biased;
                ended = &mut work => return end(ended.ok()),
                () = told => next = Instant::now() + PROGRESS,
            }
        }
    }

    /// Tells the server the end of a command, or that it was interrupted, and forgets it.
    async fn tell_end(&self, mut kept: Kept) -> Result<After, Failed> {
        if kept.step == Step::Begun && retiring::is_wiping(&self.folder).map_err(files)? {
            // The disk had no room for its end.
            kept.step = Step::Ended(End::wiping());
        } else if kept.step == Step::Begun {
            kept.step = Step::Ended(End::interrupted());
            kept.write(&self.folder).map_err(files)?;
        }
        let Step::Ended(end) = kept.step else {
            return Ok(After::Rest);
        };
        let (state, step) = match end.how {
            How::Succeeded => (CommandState::Succeeded, CommandStep::Succeeded),
            How::Failed => (CommandState::Failed, CommandStep::Failed),
            How::Rejected => (CommandState::Rejected, CommandStep::Rejected),
        };
        let report = ReportCommand {
            command_id: kept.command_id.clone(),
            state: state.into(),
            percent: if end.how == How::Succeeded { 100 } else { 0 },
            output: end.output,
            output_cut: end.is_cut,
            error: end.error.clone(),
            ..ReportCommand::default()
        };
        if end.wipes {
            // A server that does not listen must not hold it up.
            let _ = tokio::time::timeout(WIPE_TOLD, self.report(&report)).await;
            self.heard(&kept.command_id, &kept.name, step, &end.error);
            return Ok(After::Wipe);
        }
        if let Some(whole) = &end.whole {
            self.send_whole(&kept.command_id, whole).await?;
        }
        match self.report(&report).await {
            Ok(()) => {}
            // A server that does not know of it has nothing to learn either.
            Err(AskError::Refused(refusal)) if refusal.code == Code::NotFound => {}
            Err(error) => return Err(Failed::Ask(error)),
        }
        self.forget()?;
        self.heard(&kept.command_id, &kept.name, step, &end.error);
        Ok(After::Rest)
    }

    /// Sends a long output, from where the server has it on. What the server refuses does not hold up the end.
    async fn send_whole(&self, command_id: &str, whole: &Whole) -> Result<(), Failed> {
        let bytes = whole.read(&self.folder).map_err(files)?.unwrap_or_default();
        let mut offset = 0;
        for _ in 0..PIECES_MAX {
            let Some(piece) = bytes
                .get(offset..)
                .and_then(|rest| rest.chunks(COMMAND_PIECE_BYTES).next())
            else {
                break;
            };
            let request = PutCommandOutput {
                command_id: command_id.to_owned(),
                offset: offset as u64,
                data: piece.to_vec(),
                size: whole.size,
                sha256: whole.sha256.clone(),
                ..PutCommandOutput::default()
            };
            let asked =
                self.client
                    .ask::<CommandOutputTaken>(ServiceName::Registry, "command-output", &request);
            match asked.await {
                Ok(taken) => offset = usize::try_from(taken.next_offset).unwrap_or(usize::MAX),
                Err(AskError::Refused(refusal)) if is_unwanted(refusal.code) => break,
                Err(error) => return Err(Failed::Ask(error)),
            }
        }
        Ok(())
    }

    async fn report(&self, report: &ReportCommand) -> Result<(), AskError> {
        let told = self
            .client
            .ask::<Done>(ServiceName::Registry, "command-report", report);
        told.await.map(drop)
    }

    fn read(&self) -> Result<Option<Kept>, Failed> {
        Kept::read(&self.folder).map_err(files)
    }

    fn keep(&self, order: &CommandOrder, step: Step) -> Result<(), Failed> {
        let kept = Kept {
            command_id: order.command_id.clone(),
            name: order.name.clone(),
            step,
        };
        kept.write(&self.folder).map_err(files)
    }

    fn forget(&self) -> Result<(), Failed> {
        Kept::erase(&self.folder).map_err(files)
    }

    fn heard(&self, command_id: &str, name: &str, step: CommandStep, error: &str) {
        self.platform.heard(Event::Command {
            command_id: command_id.to_owned(),
            name: name.to_owned(),
            step,
            error: error.to_owned(),
        });
    }
}

/// The server will not take it later, either.
fn is_unwanted(code: Code) -> bool {
    matches!(
        code,
        Code::NotAllowed | Code::NotFound | Code::Invalid | Code::TooLarge
    )
}

fn files(error: crate::error::Error) -> Failed {
    Failed::Other(told_whole(&error))
}

/// What the platform's answer is on the disk; nothing: its time was over.
fn end(ended: Option<Ended>) -> (End, Then, Option<String>) {
    let wipes = ended == Some(Ended::Wipe);
    let then = match ended {
        Some(Ended::Restart { .. }) => Then::Restart,
        Some(Ended::Reboot { .. }) => Then::Reboot,
        _ => Then::Nothing,
    };
    let (how, output, error) = match ended {
        Some(Ended::Wipe) => (How::Succeeded, String::new(), String::new()),
        Some(Ended::Succeeded { output } | Ended::Restart { output } | Ended::Reboot { output }) => {
            (How::Succeeded, output, String::new())
        }
        Some(Ended::Failed { output, why }) => (How::Failed, output, reason(&why)),
        Some(Ended::Rejected { why }) => (How::Rejected, String::new(), reason(&why)),
        None => {
            let why = "it did not come to an end in time".to_owned();
            (How::Failed, String::new(), why)
        }
    };
    let kept = output.floor_char_boundary(COMMAND_OUTPUT_BYTES);
    let whole = &output[..output.floor_char_boundary(COMMAND_WHOLE_BYTES)];
    let whole = (kept < output.len()).then(|| whole.to_owned());
    let end = End {
        how,
        output: output[..kept].to_owned(),
        error,
        is_cut: kept < output.len(),
        wipes,
        whole: None,
    };
    (end, then, whole)
}
