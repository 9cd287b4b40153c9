//! Writes small Windows event logs, for tests: one chunk, templates with values, nested ones.

use std::collections::HashMap;

use metsuke_intake::evtx::{CHUNK_BYTES, HEADER_BYTES, MAGIC};

/// An event to be written.
#[derive(Clone, Debug)]
pub(crate) struct Written<'w> {
    pub(crate) channel: &'w str,
    pub(crate) provider: &'w str,
    pub(crate) id: u16,
    /// Hundreds of nanoseconds since 1601.
    pub(crate) time: u64,
    /// Names, types and bytes of `EventData`; without a name a bare `Data`.
    pub(crate) data: Vec<(&'w str, u8, Vec<u8>)>,
    /// Whether `EventData` is binary XML in a value, as Windows writes it for most providers.
    pub(crate) nested: bool,
}

/// UTF-16 of `text`.
pub(crate) fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// A log of one chunk.
pub(crate) fn log(events: &[Written<'_>]) -> Vec<u8> {
    let mut file = vec![0; HEADER_BYTES];
    file[..8].copy_from_slice(MAGIC);
    file.extend(chunk(events));
    file
}

/// A chunk with `events`, numbered from 1.
pub(crate) fn chunk(events: &[Written<'_>]) -> Vec<u8> {
    let mut writer = Writer { bytes: vec![0; 512], names: HashMap::new() };
    for (number, event) in (1_u64..).zip(events) {
        let start = writer.bytes.len();
        writer.bytes.extend([0x2a, 0x2a, 0, 0, 0, 0, 0, 0]);
        writer.bytes.extend(number.to_le_bytes());
        writer.bytes.extend(event.time.to_le_bytes());
        writer.event(event);
        let size = u32::try_from(writer.bytes.len() + 4 - start).expect("small");
        writer.bytes.extend(size.to_le_bytes());
        writer.put_u32(start + 4, size);
    }
    let end = writer.bytes.len();
    assert!(end <= CHUNK_BYTES, "too much for a chunk");
    writer.bytes[..8].copy_from_slice(b"ElfChnk\0");
    writer.bytes[8..16].copy_from_slice(&1_u64.to_le_bytes());
    writer.bytes[16..24].copy_from_slice(&(events.len() as u64).to_le_bytes());
    writer.put_u32(48, u32::try_from(end).expect("small"));
    let crc = crc32fast::hash(&writer.bytes[512..end]);
    writer.put_u32(52, crc);
    writer.bytes.resize(CHUNK_BYTES, 0);
    writer.bytes
}

struct Writer {
    bytes: Vec<u8>,
    names: HashMap<String, u32>,
}

impl Writer {
    fn put_u32(&mut self, at: usize, number: u32) {
        self.bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
    }

    fn here(&self) -> u32 {
        u32::try_from(self.bytes.len()).expect("small")
    }

    fn name(&mut self, name: &str) {
        if let Some(offset) = self.names.get(name) {
            return self.bytes.extend(offset.to_le_bytes());
        }
        let offset = self.here() + 4;
        self.names.insert(name.to_owned(), offset);
        self.bytes.extend(offset.to_le_bytes());
        self.bytes.extend([0; 6]);
        let text = wide(name);
        self.bytes.extend(u16::try_from(text.len() / 2).expect("short").to_le_bytes());
        self.bytes.extend(text);
        self.bytes.extend([0, 0]);
    }

    fn text(&mut self, text: &str) {
        self.bytes.extend([0x05, 0x01]);
        let text = wide(text);
        self.bytes.extend(u16::try_from(text.len() / 2).expect("short").to_le_bytes());
        self.bytes.extend(text);
    }

    fn value(&mut self, index: u16, kind: u8) {
        self.bytes.push(0x0d);
        self.bytes.extend(index.to_le_bytes());
        self.bytes.push(kind);
    }

    fn element(
        &mut self,
        name: &str,
        attributes: &mut dyn FnMut(&mut Self) -> bool,
        children: &mut dyn FnMut(&mut Self),
    ) {
        let start = self.bytes.len();
        self.bytes.extend([0x01, 0xff, 0xff, 0, 0, 0, 0]);
        self.name(name);
        let size_at = self.bytes.len();
        self.bytes.extend([0; 4]);
        if attributes(self) {
            self.bytes[start] = 0x41;
            let size = self.here() - u32::try_from(size_at + 4).expect("small");
            self.put_u32(size_at, size);
        } else {
            self.bytes.truncate(size_at);
        }
        self.bytes.push(0x02);
        children(self);
        self.bytes.push(0x04);
        let size = self.here() - u32::try_from(start + 7).expect("small");
        self.put_u32(start + 3, size);
    }

    fn leaf(&mut self, name: &str, content: &mut dyn FnMut(&mut Self)) {
        self.element(name, &mut |_| false, content);
    }

    fn attribute(&mut self, name: &str) {
        self.bytes.push(0x06);
        self.name(name);
    }

    /// A template in line, then its values.
    fn instance(&mut self, body: &mut dyn FnMut(&mut Self), values: &[(u8, Vec<u8>)]) {
        self.bytes.extend([0x0f, 1, 1, 0, 0x0c, 1, 0, 0, 0, 0]);
        let offset = self.here() + 4;
        self.bytes.extend(offset.to_le_bytes());
        self.bytes.extend([0; 20]);
        let size_at = self.bytes.len();
        self.bytes.extend([0; 4]);
        self.bytes.extend([0x0f, 1, 1, 0]);
        body(self);
        self.bytes.push(0);
        let size = self.here() - u32::try_from(size_at + 4).expect("small");
        self.put_u32(size_at, size);
        self.bytes.extend(u32::try_from(values.len()).expect("few").to_le_bytes());
        for (kind, bytes) in values {
            self.bytes.extend(u16::try_from(bytes.len()).expect("short").to_le_bytes());
            self.bytes.extend([*kind, 0]);
        }
        for (_, bytes) in values {
            self.bytes.extend(bytes);
        }
    }

    fn event(&mut self, event: &Written<'_>) {
        let mut values = vec![
            (0x06, event.id.to_le_bytes().to_vec()),
            (0x11, event.time.to_le_bytes().to_vec()),
            (0x13, vec![1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0]),
        ];
        if event.nested {
            // What stands in a value knows where it stands: after this template and these values.
            let before = self.bytes.len();
            let names = self.names.clone();
            self.instance(
                &mut |writer| writer.body(event),
                &[values.clone(), vec![(0x21, vec![])]].concat(),
            );
            let at = self.bytes.len();
            self.instance(&mut |writer| writer.data(event, 0), &data_values(event));
            let inner = self.bytes.split_off(at);
            self.bytes.truncate(before);
            self.names = names;
            values.push((0x21, inner));
            self.instance(&mut |writer| writer.body(event), &values);
            assert_eq!(self.bytes.len(), at + values[3].1.len(), "offsets hold");
            // Its names stand there now.
            self.bytes.push(0);
        } else {
            values.extend(data_values(event));
            self.instance(&mut |writer| writer.body(event), &values);
            self.bytes.push(0);
        }
    }

    fn body(&mut self, event: &Written<'_>) {
        self.leaf("Event", &mut |writer| {
            writer.leaf("System", &mut |writer| writer.system(event));
            if event.nested {
                writer.value(3, 0x21);
            } else {
                writer.data(event, 3);
            }
        });
    }

    fn system(&mut self, event: &Written<'_>) {
        let mut provider = |writer: &mut Self| {
            writer.attribute("Name");
            writer.text(event.provider);
            true
        };
        self.element("Provider", &mut provider, &mut |_| ());
        self.leaf("EventID", &mut |writer| writer.value(0, 0x06));
        let mut time = |writer: &mut Self| {
            writer.attribute("SystemTime");
            writer.value(1, 0x11);
            true
        };
        self.element("TimeCreated", &mut time, &mut |_| ());
        self.leaf("Channel", &mut |writer| writer.text(event.channel));
        self.leaf("Computer", &mut |writer| writer.text("pc7.example"));
        let mut user = |writer: &mut Self| {
            writer.attribute("UserID");
            writer.value(2, 0x13);
            true
        };
        self.element("Security", &mut user, &mut |_| ());
    }

    fn data(&mut self, event: &Written<'_>, first: u16) {
        self.leaf("EventData", &mut |writer| {
            for (index, (name, kind, _)) in (first..).zip(&event.data) {
                let mut named = |writer: &mut Self| {
                    if !name.is_empty() {
                        writer.attribute("Name");
                        writer.text(name);
                    }
                    !name.is_empty()
                };
                // A name of `=…` has the value of the first.
                let index = if name.starts_with('=') { first } else { index };
                writer.element("Data", &mut named, &mut |writer| writer.value(index, *kind));
            }
        });
    }
}

fn data_values(event: &Written<'_>) -> Vec<(u8, Vec<u8>)> {
    event.data.iter().map(|(_, kind, bytes)| (*kind, bytes.clone())).collect()
}
