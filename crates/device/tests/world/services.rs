//! The services, as far as a device notices them.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use contract::{
    Code, Leaf, Refusal, Root, Topic,
    id::{Principal, ServiceName},
    v1::*,
    verb::DATA,
    wire::{Encoding, Wire, decode, encode},
};
use parking_lot::Mutex;
use rumqttc::v5::mqttbytes::v5::Publish;

use super::{Outbox, Site, State};

type Answer = Result<Bytes, Refusal>;

/// Takes a request; `false` holds its acknowledgement back.
pub(crate) fn take(
    publish: Publish,
    who: &Principal,
    site: &Arc<Site>,
    state: &Arc<Mutex<State>>,
    outbox: &Outbox,
) -> bool {
    let root = Root::default();
    let topic = String::from_utf8(publish.topic.to_vec()).unwrap();
    let Some(Topic::Up { who: author, verb }) = root.parse_topic(&topic) else {
        panic!("no such topic: {topic}");
    };
    assert!(
        author == *who && verb.open_to(who.kind),
        "{who} may not publish on {topic}"
    );
    let name = publish.properties.and_then(|p| p.correlation_data).unwrap();
    let (service, payload) = (verb.service, publish.payload);
    let Some(answer) = answer(service, verb.name, &payload, &name, who, site, &mut state.lock()) else {
        return ["heartbeat", DATA].contains(&verb.name);
    };
    let (leaf, payload) = match answer {
        Ok(payload) => (Leaf::Accepted, payload),
        Err(refusal) => (
            Leaf::Rejected,
            encode(&refusal.to_message(""), Encoding::Protobuf),
        ),
    };
    let reply = (root.down(who, service, verb.name, leaf), Some(name), payload);
    let pause = match verb.name {
        "block" => state.lock().slow,
        "assignment" => state.lock().late,
        _ => Duration::ZERO,
    };
    let outbox = outbox.clone();
    if !pause.is_zero() {
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            outbox.send(reply)
        });
    } else {
        let _ = outbox.send(reply);
    }
    true
}

fn answer(
    service: ServiceName,
    verb: &str,
    payload: &[u8],
    name: &Bytes,
    who: &Principal,
    site: &Site,
    state: &mut State,
) -> Option<Answer> {
    match (service, verb) {
        (ServiceName::Provisioning, "sign" | "renew") => {
            if verb == "renew" {
                state.renewals.push(who.id.clone());
            }
            Some(sign(&read::<Sign>(payload), name, who, site, state))
        }
        (ServiceName::Registry, "report") => {
            state.reports.push((who.id.clone(), read(payload)));
            Some(ok(&Changed::default()))
        }
        (ServiceName::Registry, "standing") => Some(ok(&Standing {
            retire: state.retiring,
            ..Standing::default()
        })),
        (ServiceName::Registry, "config") => {
            state.configs_asked += 1;
            Some(ok(&state.config))
        }
        (ServiceName::Registry, "config-report") => {
            state.config_reports.push(read(payload));
            (!state.mute_on_config).then(|| ok(&Done::default()))
        }
        (ServiceName::Registry, "command") => Some(ok(&state.orders.first().cloned().unwrap_or_default())),
        (ServiceName::Registry, "command-output") => output(read(payload), state),
        (ServiceName::Registry, "command-report") => command_report(read(payload), state),
        (ServiceName::Registry, "erased") => {
            state.erased.push(read(payload));
            (!state.mute_on_erased).then(|| ok(&Done::default()))
        }
        (ServiceName::Monitoring, "heartbeat") => {
            state.heartbeats += 1;
            assert!(read::<Heartbeat>(payload).boot_count > 0);
            None
        }
        (ServiceName::FrontDoor, DATA) => {
            state.said.push((who.id.clone(), payload.to_vec()));
            None
        }
        (ServiceName::Rollout, "assignment") => {
            state.asked += 1;
            let assigned = state.assigned.get(&who.id).cloned();
            Some(ok(&assigned.unwrap_or_default()))
        }
        (ServiceName::Rollout, "block") => Some(block(&read(payload), who, state)),
        (ServiceName::Rollout, "report") => Some(report(&read(payload), who, state)),
        other => panic!("nobody plays {other:?}"),
    }
}

fn sign(request: &Sign, name: &Bytes, who: &Principal, site: &Site, state: &mut State) -> Answer {
    if state.refuses_to_sign {
        let refusal = Refusal::new(Code::NotAllowed, "the device is not registered");
        return Err(refusal.retry_after_ms(100));
    }
    let key = (who.clone(), name.clone());
    if let Some(answer) = state.answers.get(&key) {
        return Ok(answer.clone());
    }
    let other = if std::mem::take(&mut state.signs_for_another) {
        "-other"
    } else {
        ""
    };
    let subject = format!("urn:muster:harbour:devices:{}{other}", who.id)
        .parse()
        .unwrap();
    state.serials += 1;
    let signed = Signed {
        certificate: site.answer(&request.csr, &subject, state.lifetime_ms),
        ..Signed::default()
    };
    let answer = encode(&signed, Encoding::Protobuf);
    state.answers.insert(key, answer.clone());
    Ok(answer)
}

fn block(request: &GetBlock, who: &Principal, state: &mut State) -> Answer {
    let assigned = state.assigned.get(&who.id);
    if assigned.is_none_or(|a| a.artifact_id != request.artifact_id) {
        return Err(Refusal::new(Code::Denied, "this image is not assigned to you"));
    }
    state.blocks += 1;
    let data = state.image[request.offset as usize..][..request.length as usize].to_vec();
    let damage = u32::from(state.damages_blocks && state.blocks.is_multiple_of(3));
    ok(&Block {
        artifact_id: request.artifact_id.clone(),
        offset: request.offset,
        crc32: crc32fast::hash(&data) ^ damage,
        data,
        ..Block::default()
    })
}

fn report(report: &UpdateReport, who: &Principal, state: &mut State) -> Answer {
    state
        .updates
        .push((who.id.clone(), report.state(), report.detail.clone()));
    if report.state() as i32 >= UpdateState::Succeeded as i32 {
        state.assigned.remove(&who.id);
    }
    ok(&Done::default())
}

fn output(piece: PutCommandOutput, state: &mut State) -> Option<Answer> {
    state.pieces += 1;
    if piece.offset == state.output.len() as u64 {
        state.output.extend(&piece.data);
    }
    let next_offset = state.output.len() as u64;
    (state.pieces != state.mute_at_piece).then(|| {
        ok(&CommandOutputTaken {
            next_offset,
            ..CommandOutputTaken::default()
        })
    })
}

fn command_report(told: ReportCommand, state: &mut State) -> Option<Answer> {
    let is_end = told.state() != CommandState::Running;
    let at = state.orders.iter().position(|o| o.command_id == told.command_id);
    let state_told = told.state;
    state.command_reports.push(told);
    let Some(at) = at else {
        let refusal = Refusal::new(Code::NotAllowed, "the command is cancelled; do not run it");
        return Some(if is_end {
            ok(&Done::default())
        } else {
            Err(refusal)
        });
    };
    if is_end && state.mute_on_end {
        return None;
    }
    if is_end {
        state.orders.remove(at);
    } else {
        state.orders[at].state = state_told;
    }
    Some(ok(&Done::default()))
}

fn read<M: Wire>(payload: &[u8]) -> M {
    decode(payload, "").unwrap()
}

fn ok(message: &impl Wire) -> Answer {
    Ok(encode(message, Encoding::Protobuf))
}
