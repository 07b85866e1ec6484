// Entry and exit, as `vectors.rs` describes them. Its Rust side fills in the numbers in braces.
//
// While a thread runs user code, sp (SP_EL1) is its context; in the kernel it is the CPU's stack.

    .arch_extension fp
    .arch_extension simd
    .arch_extension memtag

    .pushsection .bss, "aw", %nobits
    .balign 16
    .global emergency_stack
emergency_stack:
    .skip   {emergency}
    .popsection

    // Saves what a function call may change. x2 and x3 are free afterwards.
    .macro save_caller_saved
    stp     x0, x1, [sp, #{low}]
    stp     x2, x3, [sp, #{low} + 16]
    stp     x4, x5, [sp, #{low} + 32]
    stp     x6, x7, [sp, #{low} + 48]
    stp     x8, x9, [sp, #{low} + 64]
    stp     x10, x11, [sp, #{low} + 80]
    stp     x12, x13, [sp, #{low} + 96]
    stp     x14, x15, [sp, #{low} + 112]
    stp     x16, x17, [sp, #{low} + 128]
    stp     x18, x30, [sp, #{x18}]
    mrs     x2, elr_el1
    mrs     x3, spsr_el1
    stp     x2, x3, [sp, #{elr}]
    .endm

    // Saves the rest in the context that a register names, for another thread is next. FP and SIMD registers are
    // saved if the thread could use them, and closed. x9 to x11 are lost.
    .macro save_callee_saved context
    stp     x19, x20, [\context, #{high}]
    stp     x21, x22, [\context, #{high} + 16]
    stp     x23, x24, [\context, #{high} + 32]
    stp     x25, x26, [\context, #{high} + 48]
    stp     x27, x28, [\context, #{high} + 64]
    mrs     x10, sp_el0
    stp     x29, x10, [\context, #{x29}]
    mrs     x10, tpidr_el0
    str     x10, [\context, #{tpidr}]
    mrs     x10, cpacr_el1
    tbz     x10, #{vectors_open_bit}, 1f
    .ifnc   \context, x9
    mov     x9, \context
    .endif
    save_vectors
    close_vectors
1:
    .endm

    .macro close_vectors
    mov     x10, #{vectors_closed}
    msr     cpacr_el1, x10
    .endm

    // From the thread's context to this CPU's stack; x0 becomes the context.
    .macro to_kernel_stack
    mrs     x9, tpidr_el1
    mov     x0, sp
    mov     sp, x9
    .endm

    // Saves the FP and SIMD registers in the context that x9 names; x9 to x11 are lost.
    .macro save_vectors
    mrs     x10, fpcr
    mrs     x11, fpsr
    stp     x10, x11, [x9, #{fpcr}]
    add     x9, x9, #{vectors}
    stp     q0, q1, [x9], #32
    stp     q2, q3, [x9], #32
    stp     q4, q5, [x9], #32
    stp     q6, q7, [x9], #32
    stp     q8, q9, [x9], #32
    stp     q10, q11, [x9], #32
    stp     q12, q13, [x9], #32
    stp     q14, q15, [x9], #32
    stp     q16, q17, [x9], #32
    stp     q18, q19, [x9], #32
    stp     q20, q21, [x9], #32
    stp     q22, q23, [x9], #32
    stp     q24, q25, [x9], #32
    stp     q26, q27, [x9], #32
    stp     q28, q29, [x9], #32
    stp     q30, q31, [x9]
    .endm

    // Loads them from the context that x9 names and lets EL0 use them; x9 to x11 are lost. The return to
    // EL0 synchronises the write of CPACR_EL1.
    .macro load_vectors
    ldp     x10, x11, [x9, #{fpcr}]
    msr     fpcr, x10
    msr     fpsr, x11
    add     x9, x9, #{vectors}
    ldp     q0, q1, [x9], #32
    ldp     q2, q3, [x9], #32
    ldp     q4, q5, [x9], #32
    ldp     q6, q7, [x9], #32
    ldp     q8, q9, [x9], #32
    ldp     q10, q11, [x9], #32
    ldp     q12, q13, [x9], #32
    ldp     q14, q15, [x9], #32
    ldp     q16, q17, [x9], #32
    ldp     q18, q19, [x9], #32
    ldp     q20, q21, [x9], #32
    ldp     q22, q23, [x9], #32
    ldp     q24, q25, [x9], #32
    ldp     q26, q27, [x9], #32
    ldp     q28, q29, [x9], #32
    ldp     q30, q31, [x9]
    mov     x10, #{vectors_open}
    msr     cpacr_el1, x10
    .endm

    .macro vector
    .balign 128
    .endm

    // A vector that reports a fault of the kernel.
    .macro kernel_vector number
    vector
    sub     sp, sp, #{frame}
    stp     x0, x1, [sp]
    mov     x0, #\number
    b       kernel_fault
    .endm

    // The same for an exception from EL0 that cannot be: sp is the thread's context until now.
    .macro user_fault_vector number
    vector
    stp     x0, x1, [sp, #{low}]
    mov     x1, sp
    mrs     x0, tpidr_el1
    sub     sp, x0, #{frame}
    ldp     x0, x1, [x1, #{low}]
    stp     x0, x1, [sp]
    mov     x0, #\number
    b       kernel_fault
    .endm

    // Behind to_kernel_stack: every entry sets PSTATE.TCO, and the kernel's accesses are checked only
    // once it is clear. What a thread did under asynchronous checks is known by now, as ITFSB makes
    // entry wait for it; such a thread goes no further if there was a fault.
    .macro begin_checks tags, asynchronous
    .if     \tags
    msr     tco, #0
    .endif
    .if     \asynchronous
    mrs     x9, s3_0_c5_c6_1 // TFSRE0_EL1
    cbnz    x9, asynchronous_tag_fault
    .endif
    .endm

    // `call` is what serves `svc`: the system call, or for a foreign process whoever is told of it. Only calls
    // of a program of this kernel can be for another thread.
    .macro vector_table name, tags, asynchronous, foreign, call
    .balign 2048
    .global \name
\name:
    // From EL1 on SP_EL0, which the kernel never uses.
    kernel_vector 4
    kernel_vector 5
    kernel_vector 6
    kernel_vector 7

    // From EL1, synchronous: a user copy that faulted, or a bug.
    vector
    sub     sp, sp, #{frame}
    // One bit of the stack pointer is clear if it has left the stack. No register is free yet, so
    // the test juggles sp and x0 by sums.
    add     sp, sp, x0
    sub     x0, sp, x0
    tbz     x0, #{stack_shift}, 1f
    sub     x0, sp, x0
    sub     sp, sp, x0
2:  stp     x16, x17, [sp, #{frame_x16}]
    mrs     x16, elr_el1
    adrp    x17, user_access_end
    add     x17, x17, :lo12:user_access_end
    cmp     x16, x17
    b.hs    3f
    adrp    x17, user_access_start
    add     x17, x17, :lo12:user_access_start
    cmp     x16, x17
    b.hs    user_access_fault
3:  ldp     x16, x17, [sp, #{frame_x16}]
    stp     x0, x1, [sp]
    mov     x0, #0
    b       kernel_fault
    // x0 is lost in x0 + sp: get it back, then leave for the emergency stack.
1:  sub     x0, sp, x0
    b       stack_left

    kernel_vector 1
    kernel_vector 2
    kernel_vector 3

    // From EL0, synchronous.
    vector
    save_caller_saved
    mrs     x1, esr_el1
    to_kernel_stack
    begin_checks \tags, \asynchronous
    ubfx    x2, x1, #26, #6
    cmp     x2, #0x15
    b.ne    user_exception
    .if     !\foreign
    sub     x9, x8, #{first_exchange}
    cmp     x9, #{exchanges} - 1
    b.ls    exchange
    .endif
    bl      \call
    cbz     x0, resume
    b       leave

    // From EL0, IRQ.
    vector
    save_caller_saved
    to_kernel_stack
    .if     \asynchronous
    mov     x1, xzr // no syndrome
    .endif
    begin_checks \tags, \asynchronous
    bl      {interrupt}
    cbz     x0, resume
    b       leave

    // From EL0, FIQ: nothing is in group 0, so it cannot be.
    user_fault_vector 8

    // From EL0, SError: an exception of a class of its own.
    vector
    save_caller_saved
    mrs     x1, esr_el1
    to_kernel_stack
    begin_checks \tags, \asynchronous
    mrs     x2, far_el1
    bl      {exception}
    cbz     x0, resume
    b       leave

    // From EL0 in AArch32, which no context can ask for.
    user_fault_vector 9
    user_fault_vector 10
    user_fault_vector 11
    user_fault_vector 12
    .balign 128
    .endm

    .pushsection .text.vectors, "ax"
    vector_table vectors, 0, 0, 0, {system_call}
    vector_table vectors_tags, 1, 0, 0, {system_call}
    vector_table vectors_asynchronous_tags, 1, 1, 0, {system_call}
    vector_table foreign_vectors, 0, 0, 1, {foreign_call}
    vector_table foreign_vectors_tags, 1, 0, 1, {foreign_call}
    vector_table foreign_vectors_asynchronous_tags, 1, 1, 1, {foreign_call}

    // A call by which a thread lets another run: most leave the kernel as that. x0 context.
exchange:
    save_callee_saved x0
    mov     x29, xzr
    b       {exchange}

    // Any synchronous exception from EL0 but a system call. x0 context, x1 ESR, x2 its class:
    // 0x20 and 0x24 are instruction and data aborts, 7 is the use of FP and SIMD registers.
user_exception:
    and     x9, x2, #~4
    cmp     x9, #0x20
    mrs     x2, far_el1
    b.ne    1f
    bl      {abort}
    cbz     x0, resume
    b       leave
1:  ubfx    x9, x1, #26, #6
    cmp     x9, #7
    b.eq    use_vectors
    bl      {exception}
    cbz     x0, resume
    b       leave

    // The thread's first use of FP and SIMD registers since it was switched to. x0 context.
use_vectors:
    mov     x9, #{vector_turns_after_use}
    str     x9, [x0, #{vector_turns}]
    mov     x9, x0
    load_vectors
    b       resume

    // Whatever the entry was for, the thread did an access before that it may not. x0 context, x1 ESR or,
    // after an interrupt, 0.
asynchronous_tag_fault:
    bl      {asynchronous_tag_fault}
    cbnz    x0, leave

    // Back to the thread that the kernel was entered from.
resume:
    ldr     x9, [sp, #{context}]
    mov     sp, x9
restore:
    ldp     x2, x3, [sp, #{elr}]
    msr     elr_el1, x2
    msr     spsr_el1, x3
    ldp     x0, x1, [sp, #{low}]
    ldp     x2, x3, [sp, #{low} + 16]
    ldp     x4, x5, [sp, #{low} + 32]
    ldp     x6, x7, [sp, #{low} + 48]
    ldp     x8, x9, [sp, #{low} + 64]
    ldp     x10, x11, [sp, #{low} + 80]
    ldp     x12, x13, [sp, #{low} + 96]
    ldp     x14, x15, [sp, #{low} + 112]
    ldp     x16, x17, [sp, #{low} + 128]
    ldp     x18, x30, [sp, #{x18}]
    eret
    // No speculation past the return.
    dsb     nsh
    isb

    // The handler answered 1 or more: x0, which stays.
leave:
    cmp     x0, #2
    b.eq    abandon
    ldr     x9, [sp, #{context}]
    save_callee_saved x9

    // x0 is the answer. The frame pointer may be the old thread's: the chain of kernel frames ends here.
next:
    mov     x29, xzr
    b       {switch}

    // Whose context is x0. What is on the kernel stack is given up.
    .global vectors_go_to
vectors_go_to:
    mrs     x9, tpidr_el1
    str     x0, [x9, #{context}]
    mov     sp, x0
    ldp     x19, x20, [sp, #{high}]
    ldp     x21, x22, [sp, #{high} + 16]
    ldp     x23, x24, [sp, #{high} + 32]
    ldp     x25, x26, [sp, #{high} + 48]
    ldp     x27, x28, [sp, #{high} + 64]
    ldp     x29, x10, [sp, #{x29}]
    msr     sp_el0, x10
    ldp     x10, x11, [sp, #{tpidr}]
    msr     tpidr_el0, x10
    cbz     x11, restore
    sub     x11, x11, #1
    str     x11, [sp, #{vector_turns}]
    mov     x9, sp
    load_vectors
    b       restore

    // Nobody will need the registers.
abandon:
    close_vectors
    b       next

    .global vectors_enter
vectors_enter:
    mrs     x9, tpidr_el1
    mov     sp, x9
    mov     x0, #2
    b       next

    .global vectors_call_on
vectors_call_on:
    mov     sp, x0
    mov     x29, xzr
    mov     x30, xzr
    br      x1

    // A user copy faulted: on to where the copy wants it, with syndrome and address.
user_access_fault:
    mrs     x16, esr_el1
    mrs     x17, far_el1
    msr     elr_el1, x5
    add     sp, sp, #{frame}
    eret

    // The stack pointer left the kernel stack. sp holds x0 plus it. Two registers that only
    // programs use keep x0 and x1: no program will run again.
stack_left:
    msr     tpidr_el0, x1
    sub     x1, sp, x0
    msr     tpidrro_el0, x0
    adrp    x0, emergency_stack + {emergency}
    add     x0, x0, :lo12:emergency_stack + {emergency}
    sub     sp, x0, #{frame}
    mrs     x0, tpidrro_el0
    str     x0, [sp]
    mrs     x0, tpidr_el0
    str     x0, [sp, #8]
    add     x1, x1, #{frame}
    mov     x0, #0
    b       kernel_fault_with_sp

    // x0 vector number; x0 and x1 are saved, the frame is on the stack.
kernel_fault:
    add     x1, sp, #{frame}
kernel_fault_with_sp:
    stp     x2, x3, [sp, #16]
    stp     x4, x5, [sp, #32]
    stp     x6, x7, [sp, #48]
    stp     x8, x9, [sp, #64]
    stp     x10, x11, [sp, #80]
    stp     x12, x13, [sp, #96]
    stp     x14, x15, [sp, #112]
    stp     x16, x17, [sp, #128]
    stp     x18, x19, [sp, #144]
    stp     x20, x21, [sp, #160]
    stp     x22, x23, [sp, #176]
    stp     x24, x25, [sp, #192]
    stp     x26, x27, [sp, #208]
    stp     x28, x29, [sp, #224]
    stp     x30, x1, [sp, #240]
    mrs     x2, elr_el1
    mrs     x3, spsr_el1
    stp     x2, x3, [sp, #256]
    mrs     x2, esr_el1
    mrs     x3, far_el1
    stp     x2, x3, [sp, #272]
    str     x0, [sp, #288]
    mov     x0, sp
    bl      {kernel_fault}
    .popsection
