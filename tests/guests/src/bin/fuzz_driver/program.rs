//! A program: bytes that say which functions of the host are called with what. Every sequence of bytes is one.

use std::ptr;

/// A reader of a program, with the memory that its arguments stand in.
pub(crate) struct Program<'a> {
    rest: &'a [u8],
    /// Lengths of the pointers given out, for the argument that follows each.
    lengths: Vec<i32>,
    /// What pointers given out point to. Nothing in here moves before the program ends.
    kept: Vec<Box<[u8]>>,
    lists: Vec<Box<[Pair]>>,
    /// Where the host writes answers: more than the largest has.
    answer: Box<[u64; 16]>,
}

/// A field or a label in memory.
#[repr(C)]
struct Pair {
    name: i32,
    name_length: i32,
    value: i32,
    value_length: i32,
}

impl<'a> Program<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            lengths: Vec::new(),
            kept: Vec::new(),
            lists: Vec::new(),
            answer: Box::new([0; 16]),
        }
    }

    pub(crate) const fn is_over(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next byte; 0 after the end.
    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.rest.split_first() else {
            return 0;
        };
        self.rest = rest;
        *first
    }

    /// A pointer to a word of the list, to bytes of the program, to many of one byte, or to nowhere.
    pub(crate) fn bytes(&mut self) -> i32 {
        let (pointer, length) = self.slice();
        self.lengths.push(length);
        pointer
    }

    /// A pointer to fields.
    pub(crate) fn pairs(&mut self) -> i32 {
        let count = match self.byte() {
            few @ 0..=249 => usize::from(few % 8),
            250..=253 => usize::from(self.byte()) * 64,
            // A list that is not there.
            _ => {
                self.lengths.push(i32::MAX);
                return 8;
            }
        };
        let list: Box<[Pair]> = if count < 8 {
            (0..count).map(|_| self.pair()).collect()
        } else {
            let (name, name_length) = self.slice();
            let (value, value_length) = self.slice();
            let pair = || Pair {
                name,
                name_length,
                value,
                value_length,
            };
            (0..count).map(|_| pair()).collect()
        };
        let pointer = list.as_ptr().addr();
        self.lengths.push(count as i32);
        self.lists.push(list);
        pointer as i32
    }

    /// The length of the pointer that was given out before.
    pub(crate) fn length(&mut self) -> i32 {
        self.lengths.pop().unwrap_or_default()
    }

    /// A small number, or any.
    pub(crate) fn number(&mut self) -> i32 {
        match self.byte() {
            small @ 0..=239 => i32::from(small),
            status @ 240..=250 => i32::from(status - 240) * 100 + i32::from(self.byte()),
            _ => i32::from_le_bytes(std::array::from_fn(|_| self.byte())),
        }
    }

    /// A small number, or any.
    pub(crate) fn long(&mut self) -> i64 {
        match self.byte() {
            small @ 0..=249 => i64::from(small),
            _ => i64::from_le_bytes(std::array::from_fn(|_| self.byte())),
        }
    }

    /// Any fraction, none of them a number included.
    pub(crate) fn fraction(&mut self) -> f64 {
        match self.byte() {
            small @ 0..=249 => f64::from(small) / 8.0,
            _ => f64::from_le_bytes(std::array::from_fn(|_| self.byte())),
        }
    }

    /// Where the answer goes: mostly where it should, else where the host must refuse to write.
    pub(crate) fn answer(&mut self) -> i32 {
        let right = self.answer.as_mut_ptr().addr() as i32;
        match self.byte() {
            253 => right + 1,
            254 => -8,
            255 => i32::MAX - 7,
            _ => right,
        }
    }

    fn pair(&mut self) -> Pair {
        let (name, name_length) = self.slice();
        let (value, value_length) = self.slice();
        Pair {
            name,
            name_length,
            value,
            value_length,
        }
    }

    fn slice(&mut self) -> (i32, i32) {
        match self.byte() {
            word @ 0..=159 => {
                let word = WORDS
                    .get(usize::from(word) % WORDS.len())
                    .copied()
                    .unwrap_or_default();
                whole(word.as_bytes())
            }
            160..=239 => {
                let length = usize::from(self.byte()).min(self.rest.len());
                let (bytes, rest) = self.rest.split_at(length);
                self.rest = rest;
                whole(bytes)
            }
            240..=249 => {
                let (byte, count) = (self.byte(), usize::from(self.byte()) * 256);
                self.keep(vec![byte; count])
            }
            250 => {
                let count = usize::from(self.byte()) << 16;
                self.keep(vec![b'x'; count])
            }
            // Before and after memory, and across its end.
            251 => (0, i32::MAX),
            252 => (-1, 1),
            253 => (i32::MIN, i32::MIN),
            254 => (ptr::from_ref(self).addr() as i32, i32::MAX),
            255 => (-16, 32),
        }
    }

    fn keep(&mut self, bytes: Vec<u8>) -> (i32, i32) {
        let bytes = bytes.into_boxed_slice();
        let place = whole(&bytes);
        self.kept.push(bytes);
        place
    }
}

fn whole(bytes: &[u8]) -> (i32, i32) {
    (bytes.as_ptr().addr() as i32, bytes.len() as i32)
}

/// Names and values that mean something to the host.
const WORDS: &[&str] = &[
    "",
    "x-a",
    "x-b",
    "host",
    "Host",
    ":path",
    ":method",
    ":authority",
    ":scheme",
    ":status",
    ":",
    ":unknown",
    "content-length",
    "transfer-encoding",
    "connection",
    "te",
    "trailer",
    "upgrade",
    "keep-alive",
    "cookie",
    "set-cookie",
    "content-type",
    "grpc-status",
    "grpc-message",
    "grpc-timeout",
    "/",
    "/a?b=c",
    "/a#b",
    "//h/a",
    "*",
    "http://h/",
    "GET",
    "CONNECT",
    "OPTIONS",
    "POST",
    "200",
    "100",
    "1000",
    "0",
    "-1",
    "9223372036854775807",
    "a",
    "a.example",
    "a.example:80",
    "a@b",
    "[::1]:8",
    "trailers",
    "chunked",
    "one",
    "gone",
    "none",
    "fuzz",
    "a/0",
    "a/1",
    "b/0",
    "ZONE",
    "\u{e9}",
    "a\r\nb: c",
    "a\0b",
    " ",
    "test.Echo",
    "Echo",
    "k",
    "counter",
    "m",
    "le",
    "plugin",
];
