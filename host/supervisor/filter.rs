//! The seccomp filter: system calls by which one process disturbs another of the same user, refused where they name another.
//!
//! Without it a server can starve its supervisor and its host: lower their limits, priority or share of the processors. Each of
//! these calls takes 0 for "this process", which is how programs use them on themselves, and stays allowed. A program that
//! names its own threads by their ids (`pthread_setaffinity_np` does) is refused too: the filter cannot know whose id it is.
//! Such calls are hints, and programs go on without them.
//!
//! Everything else is allowed: this is no sandbox. Signals and tracing are the business of the Landlock domain.

use crate::{
    arch,
    system::{Result, call},
};

/// `struct sock_filter`.
#[derive(Clone, Copy)]
#[repr(C)]
struct Instruction {
    code: u16,
    if_true: u8,
    if_false: u8,
    operand: u32,
}

/// `struct sock_fprog`.
#[repr(C)]
struct Program {
    length: u16,
    instructions: *const Instruction,
}

/// Where `struct seccomp_data` has what is looked at.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;

/// Where it has the low half of an argument: both architectures are little-endian. The kernel takes ints from there too and
/// ignores the high half.
const fn argument(index: u32) -> u32 {
    16 + 8 * index
}

/// Operations of the classic BPF machine.
const LD_W_ABS: u16 = 0x20;
const JMP_JEQ_K: u16 = 0x15;
const JMP_JGE_K: u16 = 0x35;
const RET_K: u16 = 0x06;

/// What the filter answers.
const ALLOW: u32 = 0x7FFF_0000;
const NOT_PERMITTED: u32 = 0x0005_0000 | 1;
/// As a kernel answers that lacks these system calls.
const NO_SUCH_CALL: u32 = 0x0005_0000 | 38;

/// Calls whose first argument is a process.
const OF_PROCESS: [usize; 5] =
    [arch::PRLIMIT64, arch::SCHED_SETAFFINITY, arch::SCHED_SETATTR, arch::SCHED_SETPARAM, arch::SCHED_SETSCHEDULER];

/// Calls whose first argument says of what kind the second is, with the kind that stands for a user: all processes of it.
const OF_KIND: [(usize, u32); 2] = [(arch::SETPRIORITY, 2), (arch::IOPRIO_SET, 3)];

const MOST_INSTRUCTIONS: usize = 64;

struct Builder {
    instructions: [Instruction; MOST_INSTRUCTIONS],
    length: usize,
}

impl Builder {
    fn push(&mut self, code: u16, if_true: u8, if_false: u8, operand: u32) {
        if let Some(slot) = self.instructions.get_mut(self.length) {
            *slot = Instruction { code, if_true, if_false, operand };
            self.length += 1;
        }
    }

    fn load(&mut self, offset: u32) {
        self.push(LD_W_ABS, 0, 0, offset);
    }

    /// Goes on where it is equal; skips so many instructions where it is not.
    fn unless_equal_skip(&mut self, skip: u8, operand: u32) {
        self.push(JMP_JEQ_K, 0, skip, operand);
    }

    fn answer(&mut self, answer: u32) {
        self.push(RET_K, 0, 0, answer);
    }
}

/// A number of a system call, as the filter sees it.
fn number(call: usize) -> u32 {
    u32::try_from(call).unwrap_or(u32::MAX)
}

fn build() -> Builder {
    let nothing = Instruction { code: 0, if_true: 0, if_false: 0, operand: 0 };
    let mut filter = Builder { instructions: [nothing; MOST_INSTRUCTIONS], length: 0 };

    // The numbers below are those of one architecture; on another they are other calls.
    filter.load(ARCHITECTURE);
    filter.push(JMP_JEQ_K, 1, 0, arch::AUDIT_ARCH);
    filter.answer(NO_SUCH_CALL);
    filter.load(NUMBER);
    if let Some(first) = arch::FOREIGN_NUMBERS {
        filter.push(JMP_JGE_K, 0, 1, first);
        filter.answer(NO_SUCH_CALL);
    }
    for call in OF_PROCESS {
        filter.unless_equal_skip(4, number(call));
        filter.load(argument(0));
        filter.unless_equal_skip(1, 0);
        filter.answer(ALLOW);
        filter.answer(NOT_PERMITTED);
    }
    for (call, user) in OF_KIND {
        filter.unless_equal_skip(6, number(call));
        filter.load(argument(1));
        filter.unless_equal_skip(2, 0);
        filter.load(argument(0));
        filter.unless_equal_skip(1, user);
        filter.answer(NOT_PERMITTED);
        filter.answer(ALLOW);
    }
    filter.answer(ALLOW);
    filter
}

/// Puts this process and all that it starts behind the filter, for good.
pub(crate) fn install() -> Result<()> {
    const SECCOMP_SET_MODE_FILTER: usize = 1;
    // Without it, older kernels would slow the whole process down for an attack on itself.
    const SECCOMP_FILTER_FLAG_SPEC_ALLOW: usize = 4;
    let filter = build();
    let length = u16::try_from(filter.length).unwrap_or(0);
    let program = Program { length, instructions: filter.instructions.as_ptr() };
    let flags = SECCOMP_FILTER_FLAG_SPEC_ALLOW;
    // SAFETY: the kernel reads the program and as many instructions as it says.
    unsafe { call(arch::SECCOMP, [SECCOMP_SET_MODE_FILTER, flags, &raw const program as usize]) }.map(drop)
}
