//! A batch that asks somebody else: the question, the first answer, and everything that is no answer.

use contract::v1::{self, Admission, AdmissionStatus, DecideAdmission, Purpose, Role, Stage, WaitingDevice};

use crate::world::{ADA, Answered, World, key_and_csr};

const PLANT: &str = "integrators/plant";
const MINUTE: u64 = 60_000;

fn hook() -> v1::PutClaim {
    v1::PutClaim {
        uses: 99,
        per_minute: 1_000_000,
        admission: Admission::Hook.into(),
        approver: PLANT.into(),
        answer_within_ms: MINUTE,
        ..Default::default()
    }
}

/// A batch whose devices the integrator `plant` answers for.
fn world() -> World {
    let mut world = World::new();
    world.tell_person("integrators", "plant", false);
    world.tell_built("pump-7", Stage::Registered, "SN-7", "pump");
    world.claim_as("dock", hook());
    world
}

fn ask(world: &mut World, batch: &str, csr: &str) -> Answered<v1::Signed> {
    let request = v1::Sign {
        csr: csr.into(),
        ..Default::default()
    };
    world.sign_with("pump-7", batch, &request)
}

/// What was asked of the plant so far.
fn questions(world: &World) -> Vec<WaitingDevice> {
    let told = world.frames.iter().filter(|frame| {
        frame.purpose() == Purpose::Message
            && frame
                .topic
                .ends_with("/integrators/plant/down/provisioning/admission")
    });
    told.map(|frame| contract::wire::decode(&frame.payload, "").unwrap())
        .collect()
}

fn answer_to(question: &WaitingDevice, admit: bool) -> v1::AnswerAdmission {
    v1::AnswerAdmission {
        question: question.question.clone(),
        device_id: question.device_id.clone(),
        fingerprint: question.fingerprint.clone(),
        admit,
        reason: "it is on the list".into(),
        ..Default::default()
    }
}

fn answer(world: &mut World, who: &str, answer: &v1::AnswerAdmission) -> Result<(), String> {
    let said: Answered<v1::Done> = world.ask(who, "answer-admission", answer);
    said.map(drop).map_err(|refusal| refusal.code)
}

#[test]
fn the_question_says_who_asks_and_the_answer_opens() {
    let mut world = world();
    let csr = key_and_csr("pump-7").1;
    let pending = ask(&mut world, "dock", &csr).unwrap_err();
    assert_eq!(
        (pending.code.as_str(), pending.retry_after_ms),
        ("precondition", 1_000)
    );
    let question = questions(&world).remove(0);
    assert_eq!(
        (
            question.serial_number.as_str(),
            question.device_type.as_str(),
            question.batch.as_str()
        ),
        ("SN-7", "pump", "dock")
    );
    assert_eq!(question.deadline_ms, world.now_ms + MINUTE as i64);
    answer(&mut world, PLANT, &answer_to(&question, true)).unwrap();
    assert_eq!(
        world.event_data("admissions/pump-7", "admitted")["reason"],
        "it is on the list"
    );
    ask(&mut world, "dock", &csr).unwrap();
}

#[test]
fn no_is_the_last_word_for_this_key() {
    let mut world = world();
    let csr = key_and_csr("pump-7").1;
    ask(&mut world, "dock", &csr).unwrap_err();
    let question = questions(&world).remove(0);
    answer(&mut world, PLANT, &answer_to(&question, false)).unwrap();
    let refused = ask(&mut world, "dock", &csr).unwrap_err();
    assert_eq!((refused.code.as_str(), refused.retry_after_ms), ("denied", 0));
    // What is not said is no.
    assert!(!v1::AnswerAdmission::default().admit);
}

#[test]
fn a_late_answer_changes_nothing_and_the_next_question_is_another() {
    let mut world = world();
    let csr = key_and_csr("pump-7").1;
    ask(&mut world, "dock", &csr).unwrap_err();
    let first = questions(&world).remove(0);
    world.now_ms += MINUTE as i64;
    // In the very moment, before the service has looked at its clock.
    assert_eq!(
        answer(&mut world, PLANT, &answer_to(&first, true)),
        Err("not-found".into())
    );
    assert!(world.events().iter().any(|e| e == "admissions/pump-7 expired"));
    ask(&mut world, "dock", &csr).unwrap_err();
    let second = questions(&world).pop().unwrap();
    assert_ne!(second.question, first.question);
    assert_eq!(
        answer(&mut world, PLANT, &answer_to(&first, true)),
        Err("not-found".into())
    );
    assert!(ask(&mut world, "dock", &csr).is_err());
    answer(&mut world, PLANT, &answer_to(&second, true)).unwrap();
    ask(&mut world, "dock", &csr).unwrap();
}

#[test]
fn of_two_answers_the_first_counts() {
    for (first, code) in [(true, "not-allowed"), (false, "not-allowed")] {
        let mut world = world();
        let csr = key_and_csr("pump-7").1;
        ask(&mut world, "dock", &csr).unwrap_err();
        let question = questions(&world).remove(0);
        answer(&mut world, PLANT, &answer_to(&question, first)).unwrap();
        answer(&mut world, PLANT, &answer_to(&question, first)).unwrap();
        let other = answer(&mut world, PLANT, &answer_to(&question, !first));
        assert_eq!(other, Err(code.into()));
        assert_eq!(ask(&mut world, "dock", &csr).is_ok(), first);
        let said = world.events();
        let said = said
            .iter()
            .filter(|e| *e == "admissions/pump-7 admitted" || *e == "admissions/pump-7 turned-away");
        assert_eq!(said.count(), 1);
    }
}

#[test]
fn nobody_else_answers_and_no_other_question_is_answered() {
    let mut world = world();
    world.tell_person("integrators", "spy", false);
    let csr = key_and_csr("pump-7").1;
    ask(&mut world, "dock", &csr).unwrap_err();
    let question = questions(&world).remove(0);
    let good = answer_to(&question, true);
    for who in ["integrators/spy", ADA, "operators/plant"] {
        let refused = answer(&mut world, who, &good).unwrap_err();
        assert!(
            ["not-found", "denied"].contains(&refused.as_str()),
            "{who}: {refused}"
        );
    }
    let other_key = v1::AnswerAdmission {
        fingerprint: "ab".repeat(32),
        ..good.clone()
    };
    let other_device = v1::AnswerAdmission {
        device_id: "pump-8".into(),
        ..good.clone()
    };
    for question in ["", "0000000000000000"] {
        let guessed = v1::AnswerAdmission {
            question: question.into(),
            ..good.clone()
        };
        assert_eq!(answer(&mut world, PLANT, &guessed), Err("not-found".into()));
    }
    for forged in [other_key, other_device] {
        assert_eq!(answer(&mut world, PLANT, &forged), Err("not-found".into()));
    }
    // An operator's word is not the one that is waited for.
    let decide = DecideAdmission {
        device_id: "pump-7".into(),
        fingerprint: question.fingerprint.clone(),
        ..Default::default()
    };
    for verb in ["admit", "turn-away"] {
        let refused: Answered<v1::Done> = world.ask(ADA, verb, &decide);
        assert_eq!(refused.unwrap_err().code, "not-allowed");
    }
    assert!(ask(&mut world, "dock", &csr).is_err());
    answer(&mut world, PLANT, &good).unwrap();
}

#[test]
fn whoever_was_away_is_asked_again_and_can_ask_what_waits() {
    let mut world = world();
    let csr = key_and_csr("pump-7").1;
    ask(&mut world, "dock", &csr).unwrap_err();
    world.wait(1_000);
    ask(&mut world, "dock", &csr).unwrap_err();
    assert_eq!(questions(&world).len(), 1, "it is most likely being answered");
    world.wait(5_000);
    let pending = ask(&mut world, "dock", &csr).unwrap_err();
    assert_eq!(pending.retry_after_ms, 5_000);
    let asked = questions(&world);
    assert_eq!((asked.len(), &asked[0].question), (2, &asked[1].question));
    let list = |world: &mut World, who: &str| {
        let all: Answered<v1::AdmissionsListed> =
            world.ask(who, "admission-questions", &v1::ListAdmissions::default());
        all.unwrap().devices
    };
    let own = list(&mut world, PLANT);
    assert_eq!((own.len(), &own[0].question), (1, &asked[0].question));
    world.tell_person("integrators", "spy", false);
    assert!(list(&mut world, "integrators/spy").is_empty());
    world.wait(MINUTE);
    assert!(list(&mut world, PLANT).is_empty());
}

#[test]
fn without_anybody_to_answer_there_is_no_certificate_and_no_question() {
    let mut world = world();
    let csr = key_and_csr("pump-7").1;
    world.tell_person("integrators", "plant", true);
    let pending = ask(&mut world, "dock", &csr).unwrap_err();
    assert_eq!(
        (pending.code.as_str(), pending.retry_after_ms),
        ("precondition", 30_000)
    );
    assert!(questions(&world).is_empty());
    world.tell_person("integrators", "plant", false);
    ask(&mut world, "dock", &csr).unwrap_err();
    let question = questions(&world).remove(0);
    // Disabled between the question and the answer.
    world.tell_person("integrators", "plant", true);
    assert_eq!(
        answer(&mut world, PLANT, &answer_to(&question, true)),
        Err("precondition".into())
    );
    assert!(ask(&mut world, "dock", &csr).is_err());
}

#[test]
fn a_restart_loses_no_question_and_no_answer() {
    let mut world = world();
    let csr = key_and_csr("pump-7").1;
    ask(&mut world, "dock", &csr).unwrap_err();
    let question = questions(&world).remove(0);
    world.restart();
    answer(&mut world, PLANT, &answer_to(&question, true)).unwrap();
    world.restart();
    ask(&mut world, "dock", &csr).unwrap();
    // And the deadline is kept.
    world.tell_built("pump-8", Stage::Registered, "SN-8", "pump");
    let request = v1::Sign {
        csr: key_and_csr("pump-8").1,
        ..Default::default()
    };
    world.sign_with("pump-8", "dock", &request).unwrap_err();
    world.restart();
    world.wait(MINUTE);
    assert!(world.events().iter().any(|e| e == "admissions/pump-8 expired"));
}

#[test]
fn one_batchs_word_opens_no_other_batch() {
    let mut world = world();
    let manual = v1::PutClaim {
        uses: 9,
        admission: Admission::Manual.into(),
        ..Default::default()
    };
    world.claim_as("yard", manual);
    let csr = key_and_csr("pump-7").1;
    ask(&mut world, "yard", &csr).unwrap_err();
    let listed: v1::AdmissionsListed = world
        .ask(ADA, "admissions", &v1::ListAdmissions::default())
        .unwrap();
    let decide = DecideAdmission {
        device_id: "pump-7".into(),
        fingerprint: listed.devices[0].fingerprint.clone(),
        ..Default::default()
    };
    world.ask::<v1::Done>(ADA, "admit", &decide).unwrap();
    // The operator's word does not stand for the plant's, nor the plant's for the operator's.
    assert!(ask(&mut world, "dock", &csr).is_err());
    let question = questions(&world).remove(0);
    answer(&mut world, PLANT, &answer_to(&question, true)).unwrap();
    assert!(ask(&mut world, "yard", &csr).is_err());
    let listed: v1::AdmissionsListed = world
        .ask(ADA, "admissions", &v1::ListAdmissions::default())
        .unwrap();
    assert_eq!(listed.devices[0].status(), AdmissionStatus::Waiting);
}

#[test]
fn a_batch_names_somebody_who_can_answer_in_a_time_that_makes_sense() {
    let mut world = world();
    world.tell_role("operators", "eve", Role::Operator, true);
    let put = |world: &mut World, claim: v1::PutClaim| {
        let request = v1::PutClaim {
            batch: "other".into(),
            csr: key_and_csr("other").1,
            expires_ms: world.now_ms + 3_600_000,
            ..claim
        };
        let made: Answered<v1::ClaimMade> = world.ask(ADA, "put-claim", &request);
        made.map(drop).map_err(|refusal| refusal.field)
    };
    let approver = |name: &str| v1::PutClaim {
        approver: name.into(),
        ..hook()
    };
    let within = |answer_within_ms| v1::PutClaim {
        answer_within_ms,
        ..hook()
    };
    let automatic = v1::PutClaim {
        admission: Admission::Automatic.into(),
        ..hook()
    };
    for (claim, field) in [
        (approver(""), "approver"),
        (approver("plant"), "approver"),
        (approver("devices/pump-7"), "approver"),
        (approver("integrators/nobody"), "approver"),
        (approver("operators/eve"), "approver"),
        (within(999), "answer_within_ms"),
        (within(u64::MAX), "answer_within_ms"),
        (automatic, "approver"),
    ] {
        assert_eq!(put(&mut world, claim), Err(field.to_owned()));
    }
    assert_eq!(put(&mut world, within(0)), Ok(()));
}
