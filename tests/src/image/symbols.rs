//! The kernel's function names, for the backtrace of a panic.

use elf::ElfBytes;
use elf::abi::STT_FUNC;
use elf::endian::LittleEndian;

/// Returns a line `<16 hex digits> <name>` for every function of an ELF file, sorted by address,
/// one for each address.
///
/// # Errors
/// A line saying why the file has no symbols that can be read.
pub fn symbol_lines(file: &[u8]) -> Result<String, String> {
    let mut functions = functions(file).map_err(|error| format!("no symbols: {error}"))?;
    functions.sort();
    functions.dedup_by_key(|(address, _)| *address);
    Ok(functions.iter().map(|(address, name)| format!("{address:016x} {name}\n")).collect())
}

fn functions(file: &[u8]) -> Result<Vec<(u64, String)>, elf::ParseError> {
    let elf = ElfBytes::<LittleEndian>::minimal_parse(file)?;
    let Some((symbols, names)) = elf.symbol_table()? else { return Ok(Vec::new()) };
    let functions = symbols.iter().filter(|symbol| symbol.st_symtype() == STT_FUNC);
    functions
        .map(|symbol| {
            let name = names.get(symbol.st_name as usize)?;
            // The alternate form leaves the hash out.
            Ok((symbol.st_value, format!("{:#}", rustc_demangle::demangle(name))))
        })
        .collect()
}
