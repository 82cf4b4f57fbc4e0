/* What Swift cannot say by itself: the types of libffi are variables, which Swift 6 does not read without a lock, and the
 * language has no variables of a thread. */
#ifndef FAREBOX_CFFI_SHIM_H
#define FAREBOX_CFFI_SHIM_H

#include <ffi.h>
#include <stdint.h>

static inline ffi_type *farebox_ffi_void(void) { return &ffi_type_void; }
static inline ffi_type *farebox_ffi_sint8(void) { return &ffi_type_sint8; }
static inline ffi_type *farebox_ffi_sint16(void) { return &ffi_type_sint16; }
static inline ffi_type *farebox_ffi_sint32(void) { return &ffi_type_sint32; }
static inline ffi_type *farebox_ffi_sint64(void) { return &ffi_type_sint64; }
static inline ffi_type *farebox_ffi_uint8(void) { return &ffi_type_uint8; }
static inline ffi_type *farebox_ffi_uint16(void) { return &ffi_type_uint16; }
static inline ffi_type *farebox_ffi_uint32(void) { return &ffi_type_uint32; }
static inline ffi_type *farebox_ffi_uint64(void) { return &ffi_type_uint64; }
static inline ffi_type *farebox_ffi_double(void) { return &ffi_type_double; }
static inline ffi_type *farebox_ffi_pointer(void) { return &ffi_type_pointer; }

/* What metered calls know of the calling thread. */
typedef struct farebox_metering {
    void *_Nullable record; /* the payer and the last call's outcome, or NULL where there never was either */
    uint64_t payer;         /* changes with who pays; 0 is nobody */
    uint32_t is_plain;      /* the last call was done and charged nothing, whatever the record says */
    uint32_t is_asking;     /* a resolver is being asked who pays */
} farebox_metering;

/* Weak and not inline: a build has a copy of it for each Swift file that uses it, and the linker keeps one of them, so that
 * there is one variable. */
__attribute__((weak, visibility("hidden"))) farebox_metering *_Nonnull farebox_thread_metering(void) {
    static __thread farebox_metering metering;
    return &metering;
}

#endif
