//! What happened, for people. Told only when somebody will read it.

/// The timeline of one run.
#[derive(Default)]
pub struct Story {
    lines: Option<Vec<(u64, String)>>,
    /// A digest of everything that happened: equal for equal runs.
    digest: u64,
}

impl Story {
    /// A story that is written down.
    pub(crate) fn written() -> Story {
        Story {
            lines: Some(Vec::new()),
            digest: 0,
        }
    }

    /// Something worth a line.
    pub(crate) fn tell(&mut self, at_ms: u64, line: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            lines.push((at_ms, line()));
        }
    }

    /// Something that two equal runs have in common.
    pub(crate) fn mark(&mut self, what: u64) {
        // FNV-1a, by words.
        self.digest = (self.digest ^ what)
            .wrapping_mul(0x0100_0000_01b3)
            .rotate_left(17);
    }

    /// Equal for equal runs.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// The lines, with their times in milliseconds.
    pub fn lines(&self) -> &[(u64, String)] {
        self.lines.as_deref().unwrap_or_default()
    }
}
