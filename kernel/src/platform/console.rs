//! The console: a PL011, written by polling.
//!
//! Owns: the device and who may write to it. Refuses to know: what is written. Until the device
//! tree is read, the console is where QEMU `virt` always has it, so that every boot error is seen.

use crate::memory::layout::device;
use arm_pl011_uart::{DataBits, LineConfig, PL011Registers, Parity, StopBits, Uart};
use core::fmt::{self, Write};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, Ordering};
use safe_mmio::UniqueMmioPointer;
use spin::mutex::{SpinMutex, SpinMutexGuard};

/// Where the console of QEMU `virt` is.
const WELL_KNOWN: u64 = 0x0900_0000;
/// The clock of QEMU's PL011, and a speed that nothing depends on there.
const CLOCK_HERTZ: u32 = 24_000_000;
const BAUD_RATE: u32 = 115_200;

static ADDRESS: AtomicU64 = AtomicU64::new(WELL_KNOWN);
static LOCK: SpinMutex<()> = SpinMutex::new(());

/// Writes formatted text to the console.
macro_rules! print {
    ($($argument:tt)*) => {
        $crate::platform::console::write(format_args!($($argument)*))
    };
}

/// Writes formatted text and a line feed to the console.
macro_rules! println {
    ($($argument:tt)*) => {
        $crate::platform::console::write(format_args!("{}\n", format_args!($($argument)*)))
    };
}

pub(crate) use {print, println};

/// The device, for as long as the holder may write.
struct Console<'a> {
    uart: Uart<'a>,
    /// Keeps others out; absent in a panic, which waits for nobody.
    _guard: Option<SpinMutexGuard<'a, ()>>,
}

impl Console<'_> {
    fn open() -> Self {
        Console { uart: uart(), _guard: Some(LOCK.lock()) }
    }

    fn byte(&mut self, byte: u8) {
        while self.uart.is_tx_fifo_full() {
            core::hint::spin_loop();
        }
        self.uart.write_word(byte);
    }
}

impl Write for Console<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().for_each(|byte| self.byte(byte));
        Ok(())
    }
}

/// Returns the driver of the device at its current address.
fn uart() -> Uart<'static> {
    let address = device(ADDRESS.load(Ordering::Relaxed)) as usize;
    let registers: *mut PL011Registers = core::ptr::with_exposed_provenance_mut(address);
    let registers = NonNull::new(registers).expect("the device map does not start at zero");
    // SAFETY: The boot tables and the final ones map the console's registers here, and nothing
    // else of the kernel does. Two drivers at once, as in a panic, mix characters at worst.
    Uart::new(unsafe { UniqueMmioPointer::new(registers) })
}

/// Moves the console to where the device tree has it and sets it up.
pub fn move_to(physical: u64) {
    ADDRESS.store(physical, Ordering::Relaxed);
    let line =
        LineConfig { data_bits: DataBits::Bits8, parity: Parity::None, stop_bits: StopBits::One };
    let mut console = Console::open();
    // The only error is a speed that the clock cannot give, and both are constants.
    let _ = console.uart.enable(line, BAUD_RATE, CLOCK_HERTZ);
}

/// Writes bytes as they are, none of another CPU's between them.
pub fn write_bytes(bytes: &[u8]) {
    let mut console = Console::open();
    bytes.iter().for_each(|byte| console.byte(*byte));
}

/// Writes formatted text. Behind [`print!`] and [`println!`].
pub fn write(text: fmt::Arguments<'_>) {
    // The console never fails.
    let _ = Console::open().write_fmt(text);
}

/// Writes formatted text without waiting for whoever is writing: in a panic.
pub fn write_in_panic(text: fmt::Arguments<'_>) {
    let _ = Console { uart: uart(), _guard: None }.write_fmt(text);
}
