/* The types of libffi are variables, which Swift 6 does not read without a lock, so functions give their addresses. */
#ifndef FAREBOX_CFFI_SHIM_H
#define FAREBOX_CFFI_SHIM_H

#include <ffi.h>

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

#endif
