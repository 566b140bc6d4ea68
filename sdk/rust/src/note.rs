//! Typed notes: a struct that the host keeps for a filter between the phases of one exchange.
//!
//! The form is private to one build of one plugin and never leaves the gateway: values one after the other,
//! integers little endian, lengths before what varies.

use std::time::Duration;

/// A value that can be part of a note: integers, `bool`, `f64`, `String`, `Duration`, `Option`, `Vec`, and
/// [`grpc::Stream`](crate::grpc::Stream).
pub trait Stored: Sized {
    /// Appends the value.
    fn write(&self, out: &mut Vec<u8>);

    /// Takes a value from the front of `bytes`; `None` when they do not hold one.
    fn read(bytes: &mut &[u8]) -> Option<Self>;
}

/// A struct that is kept as a note of its own: made by [`note!`](crate::note!).
pub trait Note: Stored {
    /// The key of the note: the name of the struct.
    const KEY: &'static str;

    /// The bytes that the host keeps.
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write(&mut bytes);
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote; `None` for anything else.
    fn from_bytes(mut bytes: &[u8]) -> Option<Self> {
        let note = Self::read(&mut bytes)?;
        bytes.is_empty().then_some(note)
    }
}

/// Declares a struct that [`Exchange::set_state`](crate::Exchange::set_state) keeps for later phases.
///
/// ```
/// weir_sdk::note! {
///     /// What the request head tells the log.
///     #[derive(Debug, PartialEq)]
///     struct Seen {
///         path: String,
///         attempts: u32,
///         user: Option<String>,
///     }
/// }
///
/// use weir_sdk::Note as _;
/// let seen = Seen { path: "/a".to_owned(), attempts: 2, user: None };
/// assert_eq!(Seen::from_bytes(&seen.to_bytes()), Some(seen));
/// ```
#[macro_export]
macro_rules! note {
    ($(#[$meta:meta])* $vis:vis struct $name:ident {
        $($(#[$field_meta:meta])* $field_vis:vis $field:ident: $kind:ty),* $(,)?
    }) => {
        $(#[$meta])*
        $vis struct $name {
            $($(#[$field_meta])* $field_vis $field: $kind,)*
        }

        impl $crate::Stored for $name {
            fn write(&self, _out: &mut ::std::vec::Vec<u8>) {
                $($crate::Stored::write(&self.$field, _out);)*
            }

            fn read(_bytes: &mut &[u8]) -> ::core::option::Option<Self> {
                ::core::option::Option::Some(Self {
                    $($field: <$kind as $crate::Stored>::read(_bytes)?,)*
                })
            }
        }

        impl $crate::Note for $name {
            const KEY: &'static str = ::core::stringify!($name);
        }
    };
}

macro_rules! numbers {
    ($($number:ty),*) => {$(
        impl Stored for $number {
            fn write(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }

            fn read(bytes: &mut &[u8]) -> Option<Self> {
                let (number, rest) = bytes.split_first_chunk()?;
                *bytes = rest;
                Some(Self::from_le_bytes(*number))
            }
        }
    )*};
}

numbers!(u8, u16, u32, u64, i32, i64, f64);

impl Stored for bool {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        match u8::read(bytes)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

impl Stored for usize {
    fn write(&self, out: &mut Vec<u8>) {
        (*self as u64).write(out);
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        Self::try_from(u64::read(bytes)?).ok()
    }
}

impl Stored for Duration {
    fn write(&self, out: &mut Vec<u8>) {
        self.as_secs().write(out);
        self.subsec_nanos().write(out);
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        let seconds = u64::read(bytes)?;
        let nanos = u32::read(bytes).filter(|nanos| *nanos < 1_000_000_000)?;
        Some(Self::new(seconds, nanos))
    }
}

impl Stored for String {
    fn write(&self, out: &mut Vec<u8>) {
        self.len().write(out);
        out.extend_from_slice(self.as_bytes());
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        let len = usize::read(bytes)?;
        let (text, rest) = bytes.split_at_checked(len)?;
        *bytes = rest;
        Self::from_utf8(text.to_vec()).ok()
    }
}

impl<T: Stored> Stored for Vec<T> {
    fn write(&self, out: &mut Vec<u8>) {
        self.len().write(out);
        for item in self {
            item.write(out);
        }
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        // Grown as items come, so that a wrong length costs nothing.
        let len = usize::read(bytes)?;
        let mut items = Self::new();
        for _ in 0..len {
            items.push(T::read(bytes)?);
        }
        Some(items)
    }
}

impl<T: Stored> Stored for Option<T> {
    fn write(&self, out: &mut Vec<u8>) {
        self.is_some().write(out);
        if let Some(value) = self {
            value.write(out);
        }
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        Some(if bool::read(bytes)? {
            Some(T::read(bytes)?)
        } else {
            None
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::note! {
        #[derive(Clone, Debug, PartialEq)]
        struct Everything {
            small: u8,
            status: u16,
            count: usize,
            delta: i64,
            share: f64,
            on: bool,
            at: Duration,
            path: String,
            chunks: Vec<Vec<u8>>,
            user: Option<String>,
            nobody: Option<u32>,
        }
    }

    fn everything() -> Everything {
        Everything {
            small: 255,
            status: 404,
            count: 70_000,
            delta: -1,
            share: 0.25,
            on: true,
            at: Duration::new(3, 999_999_999),
            path: "/å".to_owned(),
            chunks: vec![vec![1, 2], vec![]],
            user: Some(String::new()),
            nobody: None,
        }
    }

    #[test]
    fn a_note_comes_back_as_it_was_kept() {
        let note = everything();
        assert_eq!(Everything::from_bytes(&note.to_bytes()), Some(note));
        assert_eq!(Everything::KEY, "Everything");
    }

    #[test]
    fn bytes_that_are_no_such_note_are_none() {
        let bytes = everything().to_bytes();
        for len in 0..bytes.len() {
            let cut = bytes.get(..len).unwrap_or_default();
            assert_eq!(Everything::from_bytes(cut), None, "cut at {len}");
        }
        let longer = [bytes, vec![0]].concat();
        assert_eq!(Everything::from_bytes(&longer), None);
        assert_eq!(bool::read(&mut [2].as_slice()), None);
        let endless = u64::MAX.to_le_bytes();
        assert_eq!(Vec::<u8>::read(&mut endless.as_slice()), None);
    }
}
