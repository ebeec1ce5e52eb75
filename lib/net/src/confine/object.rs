//! Programs as the object file that the loader reads.

use object::write::{Object, Symbol, SymbolSection};
use object::{Architecture, BinaryFormat, Endianness, SectionKind, SymbolFlags, SymbolKind, SymbolScope};

/// Octets that a section of instructions begins at a multiple of.
const ALIGNMENT: u64 = 8;
/// What the kernel is told; none of the helpers is for programs under the GPL alone.
const LICENSE: &[u8] = b"Apache-2.0\0";

/// An object with a program for each hook, named after it.
pub fn of<'a>(programs: impl IntoIterator<Item = (&'a str, Vec<u8>)>) -> Vec<u8> {
    let endianness = if cfg!(target_endian = "little") { Endianness::Little } else { Endianness::Big };
    let mut object = Object::new(BinaryFormat::Elf, Architecture::Bpf, endianness);
    let license = object.add_section(Vec::new(), b"license".to_vec(), SectionKind::Data);
    object.append_section_data(license, LICENSE, 1);
    for (hook, instructions) in programs {
        let section =
            object.add_section(Vec::new(), format!("cgroup/{hook}").into_bytes(), SectionKind::Text);
        let value = object.append_section_data(section, &instructions, ALIGNMENT);
        object.add_symbol(Symbol {
            name: hook.as_bytes().to_vec(),
            value,
            size: instructions.len() as u64,
            kind: SymbolKind::Text,
            scope: SymbolScope::Dynamic,
            weak: false,
            section: SymbolSection::Section(section),
            flags: SymbolFlags::None,
        });
    }
    object.write().expect("invariant: an object in memory, with names that fit")
}
