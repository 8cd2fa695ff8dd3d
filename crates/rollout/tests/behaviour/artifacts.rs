//! Adding firmware: what is believed, what is refused, and what a power cut may not spoil.

use artifact::SigningKey;
use contract::v1::*;
use service::store::{Blobs, StoreError};

use crate::world::*;

#[test]
fn signed_uploaded_sealed() {
    let mut world = World::new();
    let artifact = world.firmware(1, "2.0.0");
    let listed: ArtifactsListed = world
        .ask(&operator(), "artifacts", &ListArtifacts::default())
        .unwrap();
    assert_eq!(listed.artifacts.len(), 1);
    assert!(listed.artifacts[0].complete);
    assert_eq!(
        world.blobs.read(&artifact, 0, 1 << 20).unwrap().unwrap(),
        image(1)
    );
    assert_eq!(world.events(), [format!("artifacts/{artifact} sealed")]);
    let again = world
        .open_artifact(sign(&manifest(&image(1)), &release_key()))
        .unwrap();
    assert!(again.complete, "nothing to upload");
    assert!(world.seal(&artifact).unwrap().artifact.unwrap().complete);
    assert_eq!(world.put(&artifact, 0, b"x").unwrap_err().code, "not-allowed");
}

#[test]
fn the_same_bytes_under_another_version_are_refused_with_the_release_that_has_them() {
    let mut world = World::new();
    world.firmware(1, "2.0.0");
    let first = manifest(&image(1));
    let renamed = Manifest {
        version: "2.0.1".into(),
        sequence: first.sequence + 1,
        ..first.clone()
    };
    let refused = world.open_artifact(sign(&renamed, &release_key())).unwrap_err();
    assert_eq!(
        (refused.code.as_str(), refused.field.as_str()),
        ("conflict", "manifest.sha256")
    );
    let release = format!("{}@{}", first.name, first.version);
    assert!(refused.message.contains(&release), "{}", refused.message);
    assert!(refused.message.contains("roll"), "{}", refused.message);
}

#[test]
fn a_check_that_fails_is_answered_and_can_be_asked_for_again() {
    let mut world = World::new();
    let image = image(1);
    let signed = sign(&manifest(&image), &release_key());
    let artifact = world.open_artifact(signed).unwrap().artifact_id;
    for (n, block) in image.chunks(32 * 1024).enumerate() {
        world.put(&artifact, n as u64 * 32 * 1024, block).unwrap();
    }
    world.effects_wait = true;
    let request = SealArtifact {
        artifact_id: artifact.clone(),
        ..SealArtifact::default()
    };
    let promised = world.ask_as::<_, ArtifactSealed>(&operator(), "seal-artifact", &request, "seal");
    assert!(promised.is_none());
    let answer = world.fail_effects();
    assert_eq!(answer[0].rejected, "internal");
    world.effects_wait = false;
    assert!(world.seal(&artifact).unwrap().artifact.unwrap().complete);
}

#[test]
fn what_is_not_signed_by_a_known_key_over_these_bytes_is_untrusted() {
    let good = sign(&manifest(&image(1)), &release_key());
    let mut cases = vec![(
        "unknown key",
        sign(&manifest(&image(1)), &SigningKey::from_seed(&[8; 32])),
    )];
    let changed = |change: fn(&mut SignedManifest)| {
        let mut signed = good.clone();
        change(&mut signed);
        signed
    };
    cases.push((
        "another type",
        changed(|s| s.payload_type = "application/json".into()),
    ));
    cases.push(("flipped bit", changed(|s| s.payload[3] ^= 1)));
    cases.push(("trailing byte", changed(|s| s.payload.push(0))));
    cases.push((
        "flipped signature",
        changed(|s| s.signatures[0].signature[9] ^= 1),
    ));
    cases.push(("no signature", changed(|s| s.signatures.clear())));
    cases.push((
        "oversized signature",
        changed(|s| s.signatures[0].signature = vec![0; 4_000]),
    ));
    cases.push(("nothing", SignedManifest::default()));
    for (name, signed) in cases {
        let mut world = World::new();
        assert_eq!(
            world.open_artifact(signed).unwrap_err().code,
            "untrusted",
            "{name}"
        );
        assert!(world.rows().is_empty());
    }
}

#[test]
fn signed_nonsense_is_refused_with_its_field() {
    let mut world = World::new();
    let with = |change: fn(&mut Manifest)| {
        let mut manifest = manifest(&image(1));
        change(&mut manifest);
        sign(&manifest, &release_key())
    };
    for (field, change) in [
        ("manifest.models", (|m| m.models.clear()) as fn(&mut Manifest)),
        ("manifest.sequence", |m| m.sequence = u64::MAX),
        ("manifest.size", |m| m.size = 0),
        ("manifest.expires_ms", |m| m.expires_ms = START),
    ] {
        assert_eq!(world.open_artifact(with(change)).unwrap_err().field, field);
    }
}

#[test]
fn an_older_release_does_not_come_after_a_newer_one() {
    let mut world = World::new();
    world.firmware(5, "5");
    for sequence in [4, 5, 6 + (1 << 20)] {
        let manifest = Manifest {
            sequence,
            ..manifest(&image(sequence + 90))
        };
        assert_eq!(
            world
                .open_artifact(sign(&manifest, &release_key()))
                .unwrap_err()
                .code,
            "conflict"
        );
    }
    world.firmware(6, "6");
}

#[test]
fn two_opened_side_by_side_only_the_newer_is_sealed_last() {
    let mut world = World::new();
    let mut opened = Vec::new();
    for sequence in [3, 2] {
        let image = image(sequence);
        let manifest = Manifest {
            sequence,
            ..manifest(&image)
        };
        let id = world
            .open_artifact(sign(&manifest, &release_key()))
            .unwrap()
            .artifact_id;
        for (n, block) in image.chunks(32_768).enumerate() {
            world.put(&id, n as u64 * 32_768, block).unwrap();
        }
        opened.push(id);
    }
    world.seal(&opened[0]).unwrap();
    assert_eq!(world.seal(&opened[1]).unwrap_err().code, "conflict");
}

#[test]
fn a_wrong_image_is_thrown_away_and_a_short_one_goes_on() {
    let mut world = World::new();
    let image = image(1);
    let artifact = world
        .open_artifact(sign(&manifest(&image), &release_key()))
        .unwrap()
        .artifact_id;
    assert_eq!(world.seal(&artifact).unwrap_err().code, "invalid", "nothing came");
    world.put(&artifact, 0, &image[..30_000]).unwrap();
    assert_eq!(world.seal(&artifact).unwrap_err().code, "invalid", "too short");
    world.put(&artifact, 40_000, &image[40_000..]).unwrap();
    assert_eq!(world.seal(&artifact).unwrap_err().code, "untrusted", "a hole");
    assert_eq!(world.blobs.digest_part(&artifact).unwrap(), None);
    for (n, block) in image.chunks(10_000).enumerate() {
        world.put(&artifact, n as u64 * 10_000, block).unwrap();
        world.put(&artifact, n as u64 * 10_000, block).unwrap();
    }
    assert!(world.seal(&artifact).unwrap().artifact.unwrap().complete);
}

#[test]
fn blocks_stay_within_their_image() {
    let mut world = World::new();
    let artifact = world
        .open_artifact(sign(&manifest(&image(1)), &release_key()))
        .unwrap()
        .artifact_id;
    for (offset, length, field) in [
        (0, 0, "data"),
        (0, 32_769, "data"),
        (69_999, 2, "offset"),
        (u64::MAX, 1, "offset"),
        (70_000, 1, "offset"),
    ] {
        assert_eq!(
            world.put(&artifact, offset, &vec![0; length]).unwrap_err().field,
            field,
            "{offset}+{length}"
        );
    }
    assert_eq!(
        world.put("../../etc/passwd", 0, b"x").unwrap_err().code,
        "invalid"
    );
    assert_eq!(world.put(&"a".repeat(64), 0, b"x").unwrap_err().code, "not-found");
}

#[test]
fn a_stop_at_any_moment_of_sealing_gives_one_answer_and_one_event() {
    for sealed_before in [false, true] {
        let mut world = World::new();
        let image = image(1);
        let artifact = world
            .open_artifact(sign(&manifest(&image), &release_key()))
            .unwrap()
            .artifact_id;
        for (n, block) in image.chunks(10_000).enumerate() {
            world.put(&artifact, n as u64 * 10_000, block).unwrap();
        }
        world.effects_wait = true;
        let message = SealArtifact {
            artifact_id: artifact.clone(),
            ..SealArtifact::default()
        };
        assert!(
            world
                .ask_as::<_, ArtifactSealed>(&operator(), "seal-artifact", &message, "seal")
                .is_none()
        );
        assert_eq!(
            world.put(&artifact, 0, b"evil").unwrap_err().code,
            "not-allowed",
            "nothing changes it now"
        );
        assert_eq!(world.seal(&artifact).unwrap_err().code, "busy");
        if sealed_before {
            world.blobs.seal(&artifact).unwrap();
        }
        world.effects_wait = false;
        world.restart();
        let answer = world.ask_as::<_, ArtifactSealed>(&operator(), "seal-artifact", &message, "seal");
        assert!(answer.unwrap().unwrap().artifact.unwrap().complete);
        world.restart();
        assert_eq!(
            world.events().iter().filter(|e| e.ends_with(" sealed")).count(),
            1
        );
    }
}

#[test]
fn a_full_disk_while_sealing_is_told_and_passes() {
    let mut world = World::new();
    let image = image(1);
    let artifact = world
        .open_artifact(sign(&manifest(&image), &release_key()))
        .unwrap()
        .artifact_id;
    for (n, block) in image.chunks(10_000).enumerate() {
        world.put(&artifact, n as u64 * 10_000, block).unwrap();
    }
    world.blobs.fail_next(StoreError::Full {
        path: "/state".into(),
    });
    assert_eq!(world.seal(&artifact).unwrap_err().code, "busy");
    assert!(world.seal(&artifact).unwrap().artifact.unwrap().complete);
}

#[test]
fn an_image_that_never_comes_is_forgotten() {
    let mut world = World::new();
    let image = image(1);
    let artifact = world
        .open_artifact(sign(&manifest(&image), &release_key()))
        .unwrap()
        .artifact_id;
    world.put(&artifact, 0, &image[..100]).unwrap();
    world.later(8 * 24 * 3_600_000);
    assert!(world.rows().is_empty());
    assert_eq!(world.blobs.digest_part(&artifact).unwrap(), None);
}

#[test]
fn the_number_of_awaited_images_is_bounded() {
    let mut world = World::new();
    for n in 0..17 {
        let opened = world.open_artifact(sign(&manifest(&image(n + 1)), &release_key()));
        assert_eq!(opened.is_ok(), n < 16, "{n}");
    }
}
