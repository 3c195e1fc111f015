//! Cutting a stream of bytes into frames, and frames into a stream.
//!
//! Frames are bytes here: whether they are UTF-8, JSON or sense is the guest's business. Small frames are copied out of the
//! read buffer, so that whoever keeps a result of a hundred bytes does not keep a buffer of 64 KiB; large ones are split off
//! it.

use bytes::{Buf, Bytes, BytesMut};

/// How frames are told apart on a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Framing {
    /// A frame is a line, ended by a line feed; a carriage return before it is dropped, and so are empty lines. Frames
    /// contain no line feed.
    Lines,
    /// A frame follows its length: four bytes, big endian. Frames contain any bytes.
    LengthPrefixed,
}

/// Up to this size a frame is copied rather than split off.
const COPIED: usize = 16 * 1024;

/// Room to read into while no frame is half read, which is all that an idle session needs.
const ROOM: usize = 8 * 1024;

/// Room to read into while a frame is half read: the capacity of a pipe (pipe(7)).
const ROOM_MID_FRAME: usize = 64 * 1024;

/// Bytes of the length before a frame.
const PREFIX: usize = 4;

/// A frame is larger than allowed. The stream cannot be read any further.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FrameTooLarge;

/// Cuts what was read into frames.
pub(crate) struct FrameReader {
    framing: Framing,
    limit: usize,
    buffer: BytesMut,
    /// Bytes of the buffer that were searched for a delimiter without success.
    searched: usize,
}

impl FrameReader {
    pub(crate) fn new(framing: Framing, limit: usize) -> Self {
        Self { framing, limit, buffer: BytesMut::new(), searched: 0 }
    }

    /// Bytes of a frame that has begun and not ended.
    pub(crate) fn partial(&self) -> usize {
        self.buffer.len()
    }

    /// The buffer to read into, with room.
    pub(crate) fn buffer(&mut self) -> &mut BytesMut {
        if self.buffer.is_empty() && self.buffer.capacity() > ROOM_MID_FRAME {
            // What one large frame made it grow is not kept by an idle session.
            self.buffer = BytesMut::new();
        }
        self.buffer.reserve(if self.buffer.is_empty() { ROOM } else { ROOM_MID_FRAME });
        &mut self.buffer
    }

    /// The next whole frame; none: read more.
    pub(crate) fn next(&mut self) -> Result<Option<Bytes>, FrameTooLarge> {
        match self.framing {
            Framing::Lines => self.next_line(),
            Framing::LengthPrefixed => self.next_prefixed(),
        }
    }

    fn next_line(&mut self) -> Result<Option<Bytes>, FrameTooLarge> {
        loop {
            let unsearched = self.buffer.get(self.searched..).unwrap_or_default();
            let Some(found) = memchr::memchr(b'\n', unsearched) else {
                self.searched = self.buffer.len();
                return if self.searched > self.limit { Err(FrameTooLarge) } else { Ok(None) };
            };
            let mut length = self.searched + found;
            let whole = length + 1;
            self.searched = 0;
            if length > 0 && self.buffer.get(length - 1) == Some(&b'\r') {
                length -= 1;
            }
            if length > self.limit {
                return Err(FrameTooLarge);
            }
            if length == 0 {
                self.buffer.advance(whole);
                continue;
            }
            return Ok(Some(self.take(0, length, whole)));
        }
    }

    fn next_prefixed(&mut self) -> Result<Option<Bytes>, FrameTooLarge> {
        let Some(prefix) = self.buffer.first_chunk::<PREFIX>() else { return Ok(None) };
        let length = u32::from_be_bytes(*prefix) as usize;
        if length > self.limit {
            return Err(FrameTooLarge);
        }
        if self.buffer.len() < PREFIX + length {
            return Ok(None);
        }
        Ok(Some(self.take(PREFIX, length, PREFIX + length)))
    }

    /// Takes `whole` bytes off the buffer and returns the frame in them.
    fn take(&mut self, offset: usize, length: usize, whole: usize) -> Bytes {
        if length <= COPIED {
            let frame = Bytes::copy_from_slice(self.buffer.get(offset..offset + length).unwrap_or_default());
            self.buffer.advance(whole);
            frame
        } else {
            self.buffer.split_to(whole).freeze().slice(offset..offset + length)
        }
    }
}

impl Framing {
    /// Appends a frame to what is to be written. False, and nothing appended: the frame contains the delimiter, or is longer
    /// than its length can say.
    pub(crate) fn append<'a>(self, parts: impl Iterator<Item = &'a [u8]> + Clone, to: &mut BytesMut) -> bool {
        let length: usize = parts.clone().map(<[u8]>::len).sum();
        match self {
            Self::Lines => {
                if parts.clone().any(|part| memchr::memchr(b'\n', part).is_some()) {
                    return false;
                }
                to.reserve(length + 1);
                parts.for_each(|part| to.extend_from_slice(part));
                to.extend_from_slice(b"\n");
            }
            Self::LengthPrefixed => {
                let Ok(prefix) = u32::try_from(length) else { return false };
                to.reserve(PREFIX + length);
                to.extend_from_slice(&prefix.to_be_bytes());
                parts.for_each(|part| to.extend_from_slice(part));
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(framing: Framing, limit: usize, chunks: &[&[u8]]) -> Result<Vec<Bytes>, FrameTooLarge> {
        let mut reader = FrameReader::new(framing, limit);
        let mut frames = Vec::new();
        for chunk in chunks {
            reader.buffer().extend_from_slice(chunk);
            while let Some(frame) = reader.next()? {
                frames.push(frame);
            }
        }
        Ok(frames)
    }

    #[test]
    fn lines_are_frames_wherever_the_reads_are_cut() {
        let text: &[u8] = b"one\ntwo\r\n\n\r\nthree\nrest";
        for cut in 0..text.len() {
            let (head, tail) = text.split_at(cut);

            let frames = frames(Framing::Lines, 100, &[head, tail]).unwrap();

            assert_eq!(frames, ["one", "two", "three"], "cut at {cut}");
        }
    }

    #[test]
    fn a_line_longer_than_the_limit_is_refused_before_it_ends() {
        assert_eq!(frames(Framing::Lines, 4, &[b"12345"]), Err(FrameTooLarge));
        assert_eq!(frames(Framing::Lines, 4, &[b"1234\n12345\n"]), Err(FrameTooLarge));
        assert_eq!(frames(Framing::Lines, 4, &[b"1234\r\n"]), Ok(vec![Bytes::from("1234")]));
    }

    #[test]
    fn a_prefixed_frame_contains_any_bytes() {
        let mut wire = BytesMut::new();
        assert!(Framing::LengthPrefixed.append([b"a\nb".as_slice(), b"c"].into_iter(), &mut wire));
        assert!(Framing::LengthPrefixed.append(std::iter::empty(), &mut wire));

        for cut in 0..wire.len() {
            let (head, tail) = wire.split_at(cut);
            assert_eq!(frames(Framing::LengthPrefixed, 4, &[head, tail]).unwrap(), ["a\nbc", ""]);
        }
        assert_eq!(frames(Framing::LengthPrefixed, 3, &[&wire]), Err(FrameTooLarge));
    }

    #[test]
    fn a_line_frame_with_a_line_feed_is_not_written() {
        let mut wire = BytesMut::new();

        assert!(!Framing::Lines.append([b"a".as_slice(), b"b\n"].into_iter(), &mut wire));

        assert!(wire.is_empty());
    }

    #[test]
    fn a_large_frame_is_split_off_and_a_small_one_copied() {
        let mut reader = FrameReader::new(Framing::Lines, 1 << 20);
        let large = vec![b'x'; COPIED + 1];
        reader.buffer().extend_from_slice(&[&large[..], b"\nsmall\n"].concat());
        let buffer = reader.buffer.as_ptr_range();

        let first = reader.next().unwrap().unwrap();
        let second = reader.next().unwrap().unwrap();

        assert!(buffer.contains(&first.as_ptr()) && !buffer.contains(&second.as_ptr()));
        assert_eq!((first.len(), &second[..]), (large.len(), b"small".as_slice()));
    }
}
