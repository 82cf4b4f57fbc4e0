//! org.farebox.example.redact - a plugin to copy: finds and masks personal data in texts, charged by the kilobyte.
//!
//! `abi` is the border to the host and the only place, beside this file, with unsafe code; `redact` does the work.

mod abi;
mod host;
mod json;
mod redact;

use abi::{Call, Host, Plugin, Status, Str};
use host::{Refusal, Services, ToolCall};
use json::Json;
use redact::{Finding, Kind};
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};

const BYTES_OF_A_UNIT: usize = 1024;

struct Redact {
    services: Services,
    kinds: Vec<Kind>,
    mask: String,
}

impl Redact {
    /// Takes a configuration that the host has checked against the manifest's schema.
    fn configure(&mut self, config: &[u8]) -> Result<(), Refusal> {
        let config = Json::parse(config).ok_or(Refusal::status(abi::INVALID_INPUT))?;
        let named = config.member("kinds").map(Json::elements);
        self.kinds = match named {
            Some(names) => {
                Kind::ALL.into_iter().filter(|kind| names.iter().any(|name| name.text() == Some(kind.name()))).collect()
            }
            None => Kind::ALL.to_vec(),
        };
        self.mask = config.member("mask").and_then(Json::text).unwrap_or("[redacted]").to_owned();
        Ok(())
    }

    fn run(&self, call: &ToolCall) -> Result<(), Refusal> {
        let input = Json::parse(call.input()).ok_or(Refusal::new(abi::INVALID_INPUT, "the input is not JSON"))?;
        let text = input.member("text").and_then(Json::text);
        let text = text.ok_or(Refusal::new(abi::INVALID_INPUT, "input.text is not a text"))?;
        let answer = match call.tool() {
            b"redact.find" => Self::list(&self.find(call, text)?),
            b"redact.mask" => self.masked(text, &self.find(call, text)?),
            _ => return Err(Refusal::status(abi::UNKNOWN_TOOL)),
        };
        call.write(&answer)
    }

    /// Looks through the text, and meters it.
    fn find(&self, call: &ToolCall, text: &str) -> Result<Vec<Finding>, Refusal> {
        let found = redact::find(text, &self.kinds, || call.is_cancelled()).ok_or(Refusal::status(abi::CANCELLED))?;
        call.add_units(text.len().div_ceil(BYTES_OF_A_UNIT))?;
        Ok(found)
    }

    fn list(found: &[Finding]) -> String {
        let entries: Vec<String> = found
            .iter()
            .map(|finding| {
                let (kind, start, end) = (finding.kind.name(), finding.range.start, finding.range.end);
                format!("{{\"kind\":\"{kind}\",\"start\":{start},\"end\":{end}}}")
            })
            .collect();
        format!("{{\"found\":[{}]}}", entries.join(","))
    }

    fn masked(&self, text: &str, found: &[Finding]) -> String {
        let mut masked = String::with_capacity(text.len());
        let mut from = 0;
        for finding in found {
            masked.push_str(&text[from..finding.range.start]);
            masked.push_str(&self.mask);
            from = finding.range.end;
        }
        masked.push_str(&text[from..]);
        format!("{{\"text\":{},\"masked\":{}}}", json::quoted(&masked), found.len())
    }
}

/// A panic must not leave a function of the plugin: it fails the call, and says no more than that.
fn barrier(body: impl FnOnce() -> Status) -> Status {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(abi::FAILED)
}

unsafe extern "C" fn init(host: *const Host, config: Str, instance: *mut *mut c_void) -> Status {
    barrier(|| {
        let services = unsafe { Services::of(host) };
        let mut plugin = Redact { services, kinds: Vec::new(), mask: String::new() };
        if let Err(refusal) = plugin.configure(unsafe { config.bytes() }) {
            return refusal.status;
        }
        unsafe { *instance = Box::into_raw(Box::new(plugin)).cast() };
        abi::OK
    })
}

unsafe extern "C" fn call(instance: *mut c_void, call: *const Call) -> Status {
    barrier(|| {
        let plugin = unsafe { &*instance.cast::<Redact>() };
        let call = unsafe { ToolCall::new(&*call, &plugin.services) };
        match plugin.run(&call) {
            Ok(()) => abi::OK,
            Err(refusal) => {
                call.explain(refusal.sentence);
                refusal.status
            }
        }
    })
}

unsafe extern "C" fn configure(instance: *mut c_void, config: Str) -> Status {
    barrier(|| {
        let plugin = unsafe { &mut *instance.cast::<Redact>() };
        plugin.configure(unsafe { config.bytes() }).map_or_else(|refusal| refusal.status, |()| abi::OK)
    })
}

unsafe extern "C" fn shutdown(instance: *mut c_void) {
    barrier(|| {
        drop(unsafe { Box::from_raw(instance.cast::<Redact>()) });
        abi::OK
    });
}

static TOOLS: [Str; 2] = [Str::of("redact.find"), Str::of("redact.mask")];

static PLUGIN: Plugin = Plugin {
    struct_size: size_of::<Plugin>() as u32,
    abi_major: abi::ABI_MAJOR,
    abi_minor: abi::ABI_MINOR,
    id: Str::of("org.farebox.example.redact"),
    version: Str::of("1.0.0"),
    tools: TOOLS.as_ptr(),
    tool_count: TOOLS.len() as u32,
    reserved: 0,
    init,
    call,
    shutdown: Some(shutdown),
    activate: None,
    deactivate: None,
    health: None,
    configure: Some(configure),
};

/// The one symbol that a host looks for.
#[unsafe(no_mangle)]
pub extern "C" fn farebox_plugin_entry() -> *const Plugin {
    &PLUGIN
}
