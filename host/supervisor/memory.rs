//! The functions that compiled code calls without being told to. Elsewhere libc has them.
//!
//! They move bytes one by one. The largest thing that is moved here is a line of /proc, so that a faster way would be more
//! to read and nothing to feel.

/// memcpy(3).
///
/// # Safety
///
/// `source` is valid for reading and `target` for writing `count` bytes, and they do not overlap.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(target: *mut u8, source: *const u8, count: usize) -> *mut u8 {
    for index in 0..count {
        // SAFETY: within both, as the caller promises.
        unsafe { *target.add(index) = *source.add(index) };
    }
    target
}

/// memmove(3).
///
/// # Safety
///
/// `source` is valid for reading and `target` for writing `count` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(target: *mut u8, source: *const u8, count: usize) -> *mut u8 {
    if target.cast_const() <= source {
        for index in 0..count {
            // SAFETY: within both, as the caller promises; what was written lies behind what is still to be read.
            unsafe { *target.add(index) = *source.add(index) };
        }
    } else {
        for index in (0..count).rev() {
            // SAFETY: within both, as the caller promises; what was written lies after what is still to be read.
            unsafe { *target.add(index) = *source.add(index) };
        }
    }
    target
}

/// memset(3).
///
/// # Safety
///
/// `target` is valid for writing `count` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(target: *mut u8, value: i32, count: usize) -> *mut u8 {
    for index in 0..count {
        // SAFETY: within it, as the caller promises. Only the low byte counts, as memset(3) says.
        unsafe { *target.add(index) = value.to_le_bytes()[0] };
    }
    target
}

/// memcmp(3).
///
/// # Safety
///
/// Both are valid for reading `count` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(left: *const u8, right: *const u8, count: usize) -> i32 {
    for index in 0..count {
        // SAFETY: within both, as the caller promises.
        let (left, right) = unsafe { (*left.add(index), *right.add(index)) };
        if left != right {
            return i32::from(left) - i32::from(right);
        }
    }
    0
}

/// bcmp(3).
///
/// # Safety
///
/// Both are valid for reading `count` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(left: *const u8, right: *const u8, count: usize) -> i32 {
    // SAFETY: as the caller promises.
    unsafe { memcmp(left, right, count) }
}

/// strlen(3).
///
/// # Safety
///
/// `text` ends with NUL.
#[unsafe(no_mangle)]
unsafe extern "C" fn strlen(text: *const u8) -> usize {
    let mut length = 0;
    // SAFETY: not beyond the NUL, as the caller promises.
    while unsafe { *text.add(length) } != 0 {
        length += 1;
    }
    length
}
