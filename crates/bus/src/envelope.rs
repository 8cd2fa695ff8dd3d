//! Many frames in one MQTT message.

use contract::v1::{Envelope, Frame};
use prost::Message;

/// Frames in one envelope, at most.
const FRAMES: usize = 1_024;
/// Bytes in one envelope, about; one frame alone may be larger.
const BYTES: usize = 256 * 1024;

/// Packs frames into envelopes, in order.
pub(crate) fn pack(frames: Vec<Frame>) -> Vec<Vec<u8>> {
    let mut packed = Vec::new();
    let mut envelope = Envelope::default();
    let mut bytes = 0;
    for frame in frames {
        let size = frame.encoded_len() + 8;
        let full = envelope.frames.len() == FRAMES || bytes + size > BYTES;
        if full && !envelope.frames.is_empty() {
            packed.push(std::mem::take(&mut envelope).encode_to_vec());
            bytes = 0;
        }
        bytes += size;
        envelope.frames.push(frame);
    }
    if !envelope.frames.is_empty() {
        packed.push(envelope.encode_to_vec());
    }
    packed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packing_keeps_order_and_bounds() {
        let frame = |n: u64| Frame {
            connection: n,
            payload: vec![0; 1000].into(),
            ..Frame::default()
        };
        let packed = pack((0..3000).map(frame).collect());
        assert!(packed.len() > 3 && packed.iter().all(|p| p.len() < BYTES + 4096));
        let frames: Vec<_> = packed
            .iter()
            .flat_map(|p| Envelope::decode(p.as_slice()).unwrap().frames)
            .collect();
        assert!(frames.iter().enumerate().all(|(n, f)| f.connection == n as u64));
        assert_eq!(frames.len(), 3000);
    }
}
