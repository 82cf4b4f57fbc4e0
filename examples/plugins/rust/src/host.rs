//! What this plugin uses of its host, without pointers.

use crate::abi::{self, Call, Cancel, Host, Meter, Sink, Status, Str};

/// Why a call does not succeed: a status, and a sentence for a person.
pub struct Refusal {
    pub status: Status,
    pub sentence: &'static str,
}

impl Refusal {
    pub fn new(status: Status, sentence: &'static str) -> Refusal {
        Refusal { status, sentence }
    }

    pub fn status(status: Status) -> Refusal {
        Refusal::new(status, "")
    }
}

/// Services, which live longer than the plugin; a host may have none of them.
pub struct Services {
    meter: Option<&'static Meter>,
    cancel: Option<&'static Cancel>,
}

impl Services {
    /// # Safety
    /// `host` is what init was given.
    pub unsafe fn of(host: *const Host) -> Services {
        let find = |id| unsafe { ((*host).service)(host, Str::of(id)) };
        Services {
            meter: unsafe { find(abi::METER).cast::<Meter>().as_ref() },
            cancel: unsafe { find(abi::CANCEL).cast::<Cancel>().as_ref() },
        }
    }
}

/// One call of a tool, for as long as the function that was given it.
pub struct ToolCall<'a> {
    raw: &'a Call,
    services: &'a Services,
}

impl<'a> ToolCall<'a> {
    /// # Safety
    /// `raw` is what a host has given the function `call`, which has not returned.
    pub unsafe fn new(raw: &'a Call, services: &'a Services) -> ToolCall<'a> {
        ToolCall { raw, services }
    }

    pub fn tool(&self) -> &'a [u8] {
        unsafe { self.raw.tool.bytes() }
    }

    pub fn input(&self) -> &'a [u8] {
        unsafe { self.raw.input.bytes() }
    }

    /// Whether to stop: the caller gave up, or the deadline is near.
    pub fn is_cancelled(&self) -> bool {
        self.services.cancel.is_some_and(|cancel| unsafe { (cancel.cancelled)(self.raw) } != 0)
    }

    /// Writes output.
    pub fn write(&self, text: &str) -> Result<(), Refusal> {
        match put(self.raw.output, text) {
            abi::OK => Ok(()),
            status => Err(Refusal::status(status)),
        }
    }

    /// Says why the call fails.
    pub fn explain(&self, sentence: &str) {
        put(self.raw.error, sentence);
    }

    /// Adds to the units that the call is charged for.
    pub fn add_units(&self, count: usize) -> Result<(), Refusal> {
        let meter = self.services.meter.ok_or(Refusal::new(abi::UNAVAILABLE, "this host meters nothing"))?;
        let count = i64::try_from(count).map_err(|_| Refusal::status(abi::FAILED))?;
        match unsafe { (meter.add)(self.raw, Str::of("units"), count, 0) } {
            abi::OK => Ok(()),
            status => Err(Refusal::new(status, "the text could not be metered")),
        }
    }
}

fn put(sink: *const Sink, text: &str) -> Status {
    unsafe { ((*sink).write)(sink, text.as_ptr().cast(), text.len()) }
}
