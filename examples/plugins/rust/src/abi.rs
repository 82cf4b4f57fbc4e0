//! What `farebox_plugin.h` says, in Rust: the parts of it that this plugin uses, in the same order.
#![allow(dead_code)] // members that are only there for their place

use std::ffi::c_void;

pub const ABI_MAJOR: u16 = 1;
pub const ABI_MINOR: u16 = 0;

pub type Status = i32;
pub const OK: Status = 0;
pub const FAILED: Status = 1;
pub const INVALID_INPUT: Status = 2;
pub const UNKNOWN_TOOL: Status = 3;
pub const UNAVAILABLE: Status = 4;
pub const CANCELLED: Status = 5;

pub const METER: &str = "farebox.meter/1";
pub const CANCEL: &str = "farebox.cancel/1";

/// Borrowed bytes; absent where the pointer is null or the length 0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Str {
    pub ptr: *const u8,
    pub len: usize,
}

impl Str {
    pub const fn of(text: &str) -> Str {
        Str { ptr: text.as_ptr(), len: text.len() }
    }

    /// The bytes, for as long as what they were borrowed from lives.
    ///
    /// # Safety
    /// The text is valid, and `'a` ends before it does.
    pub unsafe fn bytes<'a>(self) -> &'a [u8] {
        if self.ptr.is_null() {
            return &[];
        }
        unsafe { std::slice::from_raw_parts(self.ptr, self.len) }
    }
}

#[repr(C)]
pub struct Sink {
    pub struct_size: u32,
    pub reserved: u32,
    pub context: *mut c_void,
    pub write: unsafe extern "C" fn(sink: *const Sink, bytes: *const c_void, len: usize) -> Status,
}

#[repr(C)]
pub struct Call {
    pub struct_size: u32,
    pub flags: u32,
    pub tool: Str,
    pub input: Str,
    pub account: Str,
    pub run: Str,
    pub call: Str,
    pub deadline: i64,
    pub output: *const Sink,
    pub error: *const Sink,
    pub context: *mut c_void,
}

#[repr(C)]
pub struct Host {
    pub struct_size: u32,
    pub abi_major: u16,
    pub abi_minor: u16,
    pub context: *mut c_void,
    pub service: unsafe extern "C" fn(host: *const Host, id: Str) -> *const c_void,
}

#[repr(C)]
pub struct Meter {
    pub struct_size: u32,
    pub add: unsafe extern "C" fn(call: *const Call, meter: Str, count: i64, micro: u32) -> Status,
}

#[repr(C)]
pub struct Cancel {
    pub struct_size: u32,
    pub cancelled: unsafe extern "C" fn(call: *const Call) -> i32,
}

#[repr(C)]
pub struct Plugin {
    pub struct_size: u32,
    pub abi_major: u16,
    pub abi_minor: u16,
    pub id: Str,
    pub version: Str,
    pub tools: *const Str,
    pub tool_count: u32,
    pub reserved: u32,
    pub init: unsafe extern "C" fn(host: *const Host, config: Str, instance: *mut *mut c_void) -> Status,
    pub call: unsafe extern "C" fn(instance: *mut c_void, call: *const Call) -> Status,
    pub shutdown: Option<unsafe extern "C" fn(instance: *mut c_void)>,
    pub activate: Option<unsafe extern "C" fn(instance: *mut c_void) -> Status>,
    pub deactivate: Option<unsafe extern "C" fn(instance: *mut c_void)>,
    pub health: Option<unsafe extern "C" fn(instance: *mut c_void) -> Status>,
    pub configure: Option<unsafe extern "C" fn(instance: *mut c_void, config: Str) -> Status>,
}

// The pointers of a plugin's table are to what never changes.
unsafe impl Sync for Plugin {}
unsafe impl Sync for Str {}
