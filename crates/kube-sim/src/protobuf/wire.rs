//! The wire format of protobuf: numbered fields, each with one of a few payloads.
//!
//! Fails in the words of the code that gogo/protobuf generates for kubernetes/api (`generated.pb.go`).

use super::Error;

/// What a field carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Payload<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32,
    /// A group, the old form of a nested message. No Kubernetes type has one, so that all are unknown fields.
    Group,
}

impl<'a> Payload<'a> {
    fn wire_type(self) -> u64 {
        match self {
            Self::Varint(_) => 0,
            Self::Fixed64(_) => 1,
            Self::Bytes(_) => 2,
            Self::Group => 3,
            Self::Fixed32 => 5,
        }
    }

    fn wrong(self, field: &str) -> Error {
        let mut letters = field.chars();
        let first = letters.next().map(|letter| letter.to_ascii_uppercase());
        Error::WrongType {
            wire: self.wire_type(),
            field: first.into_iter().chain(letters).collect(),
        }
    }

    /// The payload of a string, of bytes, of a message. `field` is for the error.
    pub fn bytes(self, field: &str) -> Result<&'a [u8], Error> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            other => Err(other.wrong(field)),
        }
    }

    /// The payload of an integer or a boolean.
    pub fn varint(self, field: &str) -> Result<u64, Error> {
        match self {
            Self::Varint(number) => Ok(number),
            other => Err(other.wrong(field)),
        }
    }

    /// The payload of a double.
    pub fn fixed64(self, field: &str) -> Result<u64, Error> {
        match self {
            Self::Fixed64(number) => Ok(number),
            other => Err(other.wrong(field)),
        }
    }
}

/// Reads the fields of one message in their order.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    message: &'a str,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// `message` is the name that errors use.
    pub fn new(message: &'a str, bytes: &'a [u8]) -> Self {
        Self { message, rest: bytes }
    }

    /// The next field: its number and what it carries. Nothing at the end of the message.
    pub fn next(&mut self) -> Result<Option<(i32, Payload<'a>)>, Error> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        // The number is cut to 32 bits, as Go does.
        let number = (tag >> 3) as i32;
        if tag & 7 == 4 {
            return Err(Error::EndGroup {
                message: self.message.to_owned(),
            });
        }
        if number <= 0 {
            return Err(Error::IllegalTag {
                message: self.message.to_owned(),
                number,
                tag,
            });
        }
        self.payload(tag & 7).map(|payload| Some((number, payload)))
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// A number of seven bits a byte, the lowest first.
    pub fn varint(&mut self) -> Result<u64, Error> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Error::Overflow)
    }

    /// A number of eight bytes, the lowest first.
    pub fn fixed64(&mut self) -> Result<u64, Error> {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(self.take(8)?);
        Ok(u64::from_le_bytes(bytes))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Error> {
        let (head, rest) = self.rest.split_at_checked(length).ok_or(Error::UnexpectedEof)?;
        self.rest = rest;
        Ok(head)
    }

    fn length(&mut self) -> Result<usize, Error> {
        let length = i64::try_from(self.varint()?).map_err(|_| Error::NegativeLength)?;
        usize::try_from(length).map_err(|_| Error::UnexpectedEof)
    }

    fn payload(&mut self, wire_type: u64) -> Result<Payload<'a>, Error> {
        Ok(match wire_type {
            0 => Payload::Varint(self.varint()?),
            1 => Payload::Fixed64(self.fixed64()?),
            2 => {
                let length = self.length()?;
                Payload::Bytes(self.take(length)?)
            }
            3 => {
                self.skip_group()?;
                Payload::Group
            }
            5 => {
                self.take(4)?;
                Payload::Fixed32
            }
            4 => return Err(Error::EndOfGroup),
            other => return Err(Error::IllegalType(other)),
        })
    }

    /// Reads to the end of the group that has begun. Groups in it are counted, so that deep ones need no deep stack.
    fn skip_group(&mut self) -> Result<(), Error> {
        let mut open: usize = 1;
        while open > 0 {
            match self.varint()? & 7 {
                3 => open += 1,
                4 => open -= 1,
                wire_type => {
                    self.payload(wire_type)?;
                }
            }
        }
        Ok(())
    }
}
