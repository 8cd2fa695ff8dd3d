//! What devices are given: their assignment and the blocks of their own image.

use contract::v1::*;

use crate::world::*;

fn block(world: &mut World, n: usize, artifact: &str, offset: u64, length: u32) -> Answer<Block> {
    let message = GetBlock {
        artifact_id: artifact.into(),
        offset,
        length,
        ..GetBlock::default()
    };
    world.ask(&device(n), "block", &message)
}

#[test]
fn a_device_reads_its_image_in_blocks() {
    let (mut world, artifact) = World::with_fleet(1);
    world.create("r1", &artifact, |_| {}).unwrap();
    let assignment = world.assignment(0);
    assert_eq!(
        (assignment.rollout_id.as_str(), &assignment.artifact_id),
        ("r1", &artifact)
    );
    assert_eq!(
        assignment.signed.unwrap(),
        sign(
            &Manifest {
                ..manifest(&image(1))
            },
            &release_key()
        )
    );
    let mut read = Vec::new();
    while read.len() < 70_000 {
        let block = block(&mut world, 0, &artifact, read.len() as u64, 32_768).unwrap();
        assert_eq!(block.crc32, crc32fast::hash(&block.data));
        read.extend(block.data);
    }
    assert_eq!(read, image(1));
    for (offset, length, code) in [
        (70_000, 1, "invalid"),
        (0, 0, "invalid"),
        (0, 32_769, "too-large"),
        (u64::MAX, 1, "invalid"),
    ] {
        assert_eq!(
            block(&mut world, 0, &artifact, offset, length).unwrap_err().code,
            code,
            "{offset}+{length}"
        );
    }
}

#[test]
fn nobody_reads_what_is_not_assigned() {
    let (mut world, artifact) = World::with_fleet(2);
    assert_eq!(block(&mut world, 0, &artifact, 0, 9).unwrap_err().code, "denied");
    world.create("r1", &artifact, |m| m.waves = vec![50, 50]).unwrap();
    assert!(block(&mut world, 0, &artifact, 0, 9).is_ok());
    let other = world.firmware(2, "3.0.0");
    assert_eq!(block(&mut world, 0, &other, 0, 9).unwrap_err().code, "denied");
    assert_eq!(
        block(&mut world, 1, &artifact, 0, 9).unwrap_err().code,
        "denied",
        "it waits"
    );
    assert_eq!(world.assignment(1).rollout_id, "");
    world.succeed(0, "r1");
    assert_eq!(
        block(&mut world, 0, &artifact, 0, 9).unwrap_err().code,
        "denied",
        "it is done"
    );
    assert_eq!(world.assignment(0).rollout_id, "");
    assert_eq!(block(&mut world, 1, "../x", 0, 9).unwrap_err().code, "invalid");
}
