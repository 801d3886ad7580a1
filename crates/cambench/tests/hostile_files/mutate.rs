//! Damage to bytes, the same for the same seed everywhere.

/// A source of damage.
pub(crate) struct Mutator {
    state: u64,
    words: &'static [&'static str],
}

/// Numbers at which lengths and counts go wrong.
const NUMBERS: [u64; 12] = [
    0,
    1,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0xffff_ffff,
    1 << 40,
    i64::MAX as u64,
    u64::MAX,
];

/// The same, written out.
const TEXTS: [&str; 14] = [
    "0",
    "-1",
    "1",
    "2147483648",
    "4294967296",
    "9223372036854775808",
    "18446744073709551616",
    "1e308",
    "1e999",
    "-1e-400",
    "NaN",
    ".inf",
    "null",
    "99999999999999999999999999999999999999",
];

impl Mutator {
    /// `words` are put where a format of text has words of its own.
    pub(crate) fn new(seed: u64, words: &'static [&'static str]) -> Self {
        Self { state: seed, words }
    }

    /// A number below `n`: SplitMix64.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % n as u64) as usize
    }

    /// One of the originals, damaged in one to five places.
    pub(crate) fn damaged(&mut self, originals: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = originals[self.below(originals.len())].clone();
        for _ in 0..=self.below(5) {
            let other = self.below(originals.len());
            self.damage(&mut bytes, &originals[other]);
        }
        bytes
    }

    fn damage(&mut self, bytes: &mut Vec<u8>, other: &[u8]) {
        if bytes.is_empty() {
            bytes.extend(other);
            return;
        }
        let place = self.below(bytes.len());
        let length = 1 + self.below((bytes.len() - place).min(64));
        match self.below(12) {
            0 => bytes[place] ^= 1 << self.below(8),
            1 => bytes[place] = self.below(256) as u8,
            2 | 3 => self.put_number(&mut bytes[place..]),
            4 => drop(bytes.drain(place..place + length)),
            5 => {
                let copy = bytes[place..place + length].to_vec();
                let times = 1 + self.below(4);
                bytes.splice(place..place, copy.repeat(times));
            }
            6 => bytes[place..place + length].fill(0),
            7 => bytes.truncate(place),
            8 if !other.is_empty() => {
                // The end of another one.
                let from = self.below(other.len());
                bytes.truncate(place);
                bytes.extend(&other[from..]);
            }
            9 if !self.words.is_empty() => {
                let word = self.words[self.below(self.words.len())];
                let end = if self.below(2) == 0 { place } else { place + length };
                bytes.splice(place..end, word.bytes());
            }
            _ => self.put_text(bytes, place),
        }
    }

    /// A number in place of another one, of any width and order of bytes.
    fn put_number(&mut self, bytes: &mut [u8]) {
        let width = (1 << self.below(4)).min(bytes.len());
        let number = NUMBERS[self.below(NUMBERS.len())];
        if self.below(2) == 0 {
            bytes[..width].copy_from_slice(&number.to_le_bytes()[..width]);
        } else {
            bytes[..width].copy_from_slice(&number.to_be_bytes()[8 - width..]);
        }
    }

    /// A number that is written out in place of the next one, where there is one.
    fn put_text(&mut self, bytes: &mut Vec<u8>, place: usize) {
        let digits = |byte: &u8| byte.is_ascii_digit();
        let Some(start) = bytes[place..].iter().position(digits).map(|at| place + at) else {
            bytes[place] = self.below(256) as u8;
            return;
        };
        let length = bytes[start..].iter().take_while(|byte| digits(byte)).count();
        let text = TEXTS[self.below(TEXTS.len())];
        bytes.splice(start..start + length, text.bytes());
    }
}
